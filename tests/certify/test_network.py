"""Certificates of networks from declared slopes: worked numbers, soundness at sampled states, regions, refusals."""

import math

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet as dn
from dynet.certify.function import confirm
from dynet.certify.network import network_structure
from dynet.errors import ArgumentError


def node(t, x, s, p, dx):
    dx[0] = -p.leak * x[0] + s[0]


def edge(x, y, p, s):
    s[0] = math.tanh(y[0])


def square(x, y, p, s):
    s[0] = y[0] ** 2


SLOPES = {"node_x": (-1.0, -1.0), "node_s": (1.0, 1.0), "edge_x": (0.0, 0.0), "edge_y": (0.0, 1.0)}


def test_an_epidemic_below_its_threshold():
    """Rate gamma - beta rho(A) in the norm weighted by the right Perron vector, on the invariant box."""
    found = dn.certify(dn.models.SIS(nx.path_graph(3), infection=0.5, recovery=1.0), norm="inf")
    assert found.rate == pytest.approx(1 - 0.5 * math.sqrt(2), abs=1e-9)
    assert np.allclose(found.norm.weights / found.norm.weights[0], [1, math.sqrt(2), 1])
    assert found.check() and found.check(exact=True)
    assert found.region == "box [0.0, 1.0]^3 (invariant by the model's word)"
    assert dn.Certificate.from_json(found.to_json()).check(exact=True)


def test_an_epidemic_above_its_threshold_is_reported_as_what_it_is():
    found = dn.certify(dn.models.SIS(nx.path_graph(3), infection=1.5, recovery=1.0))
    assert not found.contracting and found.rate < 0 and "not negative" in found.reason


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, "inf"]))
def test_no_jacobian_has_a_larger_log_norm(seed, p):
    random = np.random.default_rng(seed)
    A = random.random((4, 4)) * (random.random((4, 4)) < 0.6)
    model = dn.models.SIS(A, infection=random.random(), recovery=1 + random.random())
    found = dn.certify(model, p, kind="strong")
    for x in random.random((20, 4)):
        assert found.norm.log(np.asarray(model.jacobian(0.0, x))) <= -found.rate + 1e-12


def test_the_users_own_network():
    graph = nx.cycle_graph(12)
    net = dn.models.Network(graph, node=node, edge=edge, params={"leak": 1.0}, weight=0.4, slopes=SLOPES)
    found = dn.certify(net)
    assert found.rate == pytest.approx(0.2, abs=1e-6) and found.region == "whole space" and found.check(exact=True)
    rest = dn.equilibrium(net, x0=np.ones(12), tol=1e-9, certificate=found)
    assert rest.status.ok and np.abs(rest.x).max() < 1e-8
    with pytest.raises(ArgumentError):
        other = dn.models.Network(graph, node=node, edge=edge, params={"leak": 1.0}, weight=0.3, slopes=SLOPES)
        dn.equilibrium(other, certificate=found)


def test_what_has_no_slopes_gets_no_certificate():
    net = dn.models.Network(nx.cycle_graph(4), node=node, edge=square, params={"leak": 1.0})
    assert network_structure(net) is None
    found = dn.certify(net)
    assert not found and found.status == "unknown" and "slopes=" in found.reason and "region" in found.reason


def test_slopes_that_are_not_declared_follow_from_the_functions():
    net = dn.models.Network(nx.cycle_graph(4), node=node, edge=edge, params={"leak": 1.0}, weight=0.4)
    found = dn.certify(net, "inf")
    assert found.rate == pytest.approx(0.2, abs=1e-12) and confirm(found, net)
    box = dn.certify(dn.models.Network(nx.cycle_graph(4), node=node, edge=square, params={"leak": 1.0}), "inf",
                     region=([-0.2] * 4, 0.2))  # fmt: skip
    assert box.rate == pytest.approx(0.2, abs=1e-12) and "local" in box.region


def test_declared_slopes_are_confirmed_or_not():
    """A certificate that rests on the model's word is proven by its functions, or found out."""
    honest = dn.models.Network(nx.cycle_graph(6), node=node, edge=edge, params={"leak": 1.0}, weight=0.4, slopes=SLOPES)
    liar = dn.models.Network(nx.cycle_graph(6), node=node, edge=edge, params={"leak": 1.0}, weight=0.4,
                             slopes={**SLOPES, "edge_y": (0.0, 0.5)})  # fmt: skip
    assert confirm(dn.certify(honest), honest)
    found = dn.certify(liar)
    assert (
        found and found.check() and not confirm(found, liar) and not confirm(dn.certify(honest), liar.replace(leak=0.9))
    )
    sis = dn.models.SIS(nx.path_graph(3), infection=0.5, recovery=1.0)
    assert confirm(dn.certify(sis), sis)


def test_regions():
    model = dn.models.SIS(nx.path_graph(3), infection=0.5, recovery=1.0)
    inside = dn.certify(model, region=([0.0] * 3, 0.5))
    assert inside and inside.region == "box [0.0, 0.5]^3 (local: not shown to be invariant)"
    for buy in (lambda: inside.entrainment(1.0), lambda: inside.shift(0.1), lambda: inside.lipschitz(1.0)):
        with pytest.raises(ArgumentError, match="solutions that stay where the claim holds"):
            buy()
    assert dn.certify(model).entrainment(1.0)[0] < 1
    with pytest.raises(ArgumentError, match="where the slopes of SIS hold"):
        dn.certify(model, region=([0.0] * 3, 2.0))
