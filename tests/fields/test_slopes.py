"""Bounds from declared slopes contain every Jacobian, and give the rates that theory promises."""

import math

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet as dn
from dynet.errors import ArgumentError
from dynet.fields.slopes import jacobian_bounds

M = dn.models


def node(t, x, s, p, dx):
    dx[0] = -2.0 * x[0] + math.tanh(x[1]) + 0.5 * math.tanh(s[0])
    dx[1] = -x[1] + 0.3 * math.sin(x[0]) + p.k * s[1]


def edge(x, y, p, s):
    s[0] = math.sin(y[0] - x[1])
    s[1] = math.tanh(y[1])


SLOPES = {
    "node_x": ([[-2.0, 0.0], [-0.3, -1.0]], [[-2.0, 1.0], [0.3, -1.0]]),
    "node_s": ([[0.0, 0.0], [0.0, 0.1]], [[0.5, 0.0], [0.0, 0.1]]),
    "edge_x": ([[0.0, -1.0], [0.0, 0.0]], [[0.0, 1.0], [0.0, 0.0]]),
    "edge_y": ([[-1.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]),
}


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_every_jacobian_is_inside(n, seed):
    rng = np.random.default_rng(seed)
    A = np.where(rng.random((n, n)) < 0.6, rng.normal(size=(n, n)), 0.0)  # with self-loops and negative weights
    field = M.Network(A, node, edge, dim=2, params={"k": 0.1}, slopes=SLOPES)
    lo, hi = jacobian_bounds(field)
    assert np.array_equal(lo.indices, hi.indices) and lo.has_canonical_format and hi.has_canonical_format
    for _ in range(5):
        J = field.jacobian(0.0, 3 * rng.normal(size=field.n))
        assert (lo.toarray() <= J + 1e-15).all() and (J - 1e-15 <= hi.toarray()).all()


@pytest.mark.parametrize(
    "model",
    [
        M.SIS(nx.karate_club_graph(), 0.1, 0.9, edge_weight="none"),
        M.ReactionDiffusion(nx.cycle_graph(5)),
        M.Chua(4, weight=0.7),
        M.Kuramoto(nx.path_graph(4)),
        M.Kuramoto(5, weight=0.3),
    ],
    ids=lambda m: m.name,
)
def test_slopes_of_models_are_true(model):
    lo, hi = (b.toarray() for b in jacobian_bounds(model))
    for x in np.random.default_rng(0).random((20, model.n)) * 2 - (0 if model.name == "SIS" else 1):
        J = model.jacobian(0.0, np.clip(x, 0, 1) if model.name == "SIS" else x)
        J = J if isinstance(J, np.ndarray) else J.toarray()
        assert (lo <= J + 1e-7).all() and (J <= hi + 1e-7).all()  # some are difference quotients


def majorant(hi, lo):
    return dn.linalg.metzler_majorant(np.where(np.eye(len(hi)) > 0, hi, np.maximum(abs(lo), abs(hi))))


def test_rates_from_slopes():
    lo, hi = (b.toarray() for b in jacobian_bounds(M.SIS(nx.path_graph(3), infection=0.5, recovery=1.0)))
    found = dn.linalg.optimal_weights(majorant(hi, lo), "inf")
    assert -dn.linalg.log_norm(majorant(hi, lo), np.inf, [1, np.sqrt(2), 1]) == pytest.approx(0.292893, abs=1e-6)
    assert found is not None
    calm = M.ReactionDiffusion(nx.cycle_graph(12), reaction=[[-1, -0.5], [0.8, -1]], cubic=0.0)
    lo, hi = (b.toarray() for b in jacobian_bounds(calm))
    assert dn.linalg.spectral_abscissa(majorant(hi, lo)) == pytest.approx(-0.367544, abs=1e-6)


def test_bounds_are_outward_and_exact_where_nothing_rounds():
    lo, hi = (b.toarray() for b in jacobian_bounds(M.Chua(3, a=16.0, m0=-1.25, m1=-0.75)))
    assert hi[0, 0] == -16 * (1 - 1.25) - 2 and lo[0, 0] == -16 * (1 - 0.75) - 2
    third = M.Network(np.full((3, 3), 1 / 3), node, edge, dim=2, params={"k": 0.1}, slopes=SLOPES)
    lo, hi = (b.toarray() for b in jacobian_bounds(third))
    assert lo[1, 3] == 0.0 and hi[1, 3] >= 0.1 / 3


def test_without_slopes_there_are_no_bounds():
    with pytest.raises(ArgumentError, match="slopes"):
        jacobian_bounds(M.Network(3, node, edge, dim=2, params={"k": 0.1}))
