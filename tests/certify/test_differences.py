"""Networks coupled through differences: worked numbers of Kuramoto, exact kernels, invariance, soundness at sampled states."""

import math

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet as dn
from dynet.certify.differences import difference_structure, is_cohesive
from dynet.certify.function import confirm
from dynet.certify.network import network_structure
from dynet.certify.region import PhaseCohesive
from dynet.linalg.ranges import RangeSeminorm
from tests.certify import oracles_kinds as naive


def drift(t, x, s, p, dx):
    dx[0] = p.w + s[0]


def lagged(x, y, p, s):
    s[0] = math.sin(y[0] - x[0] - p.lag)


def cubic(x, y, p, s):
    z = y[0] - x[0]
    s[0] = 0.3 * (z + z**3)


def lopsided(x, y, p, s):
    s[0] = y[0] - 0.999 * x[0]


def test_kuramoto_on_the_cohesive_set():
    """K_3, weight 1, angle pi/3: weak in l-inf and in l1, with both laws; the range of differences decays at the rate 1.5."""
    model, region = dn.models.Kuramoto(3, frequency=[0.0, 0.5, 1.0]), PhaseCohesive(3, math.pi / 3)
    auto, first = dn.certify(model, region=region), dn.certify(model, 1, kind="weak", region=region)
    assert auto.kind == "weak" and auto.law.name == "translation" and auto.bounds == (0.0, 0.0)
    assert first.law.name == "conservation" and np.array_equal(first.law.vector, np.ones(3))
    semi = dn.certify(model, kind="semi", region=region)
    assert semi.rate == pytest.approx(1.5, abs=1e-9) and semi.law.name == "translation"
    assert "IEEE TAC 67(3)" in auto.explain() and "bounded" in auto.explain()
    for found in (auto, first, semi):
        assert found.check() and found.check(exact=True) and confirm(found, model)
        assert dn.Certificate.from_json(found.to_json()).check(exact=True)
        assert found.region.endswith("(invariant: differences at the boundary do not grow)")
    assert not dn.certify(model)  # beyond the set nothing is promised
    assert not confirm(auto, model.replace(weight=2.0))
    assert not confirm(auto, model.replace(frequency=[0.0, 5.0, 9.0]))  # the same slopes, but the set is left


def test_one_way_couplings_conserve_nothing():
    model = dn.models.Kuramoto([[0.0, 1.0], [0.5, 0.0]])
    assert dn.certify(model, "inf", region=PhaseCohesive(2, 1.0))
    assert not dn.certify(model, 1, kind="weak", region=PhaseCohesive(2, 1.0))


@pytest.mark.parametrize(
    ("frequency", "angle", "stays"), [(1.0, 1.0, True), (1.8, 1.2, True), (3.0, 1.4, False), (1.0, 3.2, False)]
)
def test_the_cohesive_set_is_invariant_up_to_the_known_bound(frequency, angle, stays):
    """Two oscillators: the difference z has z' = w - 2 sin z, which is not positive at the angle iff w <= 2 sin(angle)."""
    model = dn.models.Kuramoto([[0.0, 1.0], [1.0, 0.0]], frequency=[0.0, frequency])
    assert is_cohesive(model, angle) == stays
    found = dn.certify(model, kind="semi", region=PhaseCohesive(2, angle))
    assert ("invariant" in found.region) == (stays and bool(found)) or "local" in found.region


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_sets_that_are_called_invariant_are_not_left(seed):
    random = np.random.default_rng(seed)
    n, angle = int(random.integers(2, 5)), float(random.uniform(0.2, 1.5))
    model = dn.models.Network(random.random((n, n)) * (1 - np.eye(n)), node=drift, edge=lagged,
                              params={"w": random.normal(size=n) * 0.3, "lag": random.normal() * 0.2})  # fmt: skip
    if is_cohesive(model, angle):
        for _ in range(30):
            x = random.uniform(0, angle, n)
            x[0], x[1] = 0.0, angle  # at the boundary
            v = model.rhs(0.0, x)
            assert v[x == x.max()].max() <= v[x == x.min()].min() + 1e-9


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from([lagged, cubic]))
def test_no_jacobian_of_the_set_is_outside(seed, edge):
    """The rate of the seminorm against Dobrushin's formula at states of the set, and the vertices of the structure."""
    random = np.random.default_rng(seed)
    n, angle = 3, float(random.uniform(0.1, 1.4))
    W = random.random((n, n)) * (random.random((n, n)) < 0.8)
    W = (W + W.T if random.random() < 0.5 else W) * (1 - np.eye(n))
    model = dn.models.Network(W, node=drift, edge=edge, params={"w": random.normal(size=n), "lag": random.normal() * 0.2} if
                              edge is lagged else {"w": random.normal(size=n)})  # fmt: skip
    found = dn.certify(model, RangeSeminorm(), kind="semi", region=PhaseCohesive(n, angle))
    assert found.claim is not None
    for x in random.uniform(0, angle, (20, n)):
        J = np.asarray(model.jacobian(0.0, x))
        J -= np.diag(J.sum(axis=1))  # the complex step rounds
        assert RangeSeminorm().log(J) <= -found.rate + 1e-9
    structure = network_structure(model, PhaseCohesive(n, angle))
    for J in naive.matrices(structure.E * np.eye(n) if structure.E.ndim == 1 else structure.E.toarray(),
                            structure.F.toarray(), structure.G.toarray(), structure.lo, structure.hi):  # fmt: skip
        assert all(sum(row) == 0 for row in J)


def test_what_is_no_difference_is_not_taken_for_one():
    model = dn.models.Network([[0.0, 1.0], [1.0, 0.0]], node=drift, edge=lopsided, params={"w": 0.0})
    assert network_structure(model).form == "interval"
    assert not dn.certify(model, kind="weak", region=PhaseCohesive(2, 0.5))
    assert difference_structure(model, {}) is None


def saturated(x, y, p, s):
    s[0] = math.sin(y[0]) - 0.5 * math.sin(x[0])


def test_a_coupling_that_is_no_difference_is_bounded_at_every_state_of_the_set():
    """States may be close to each other and anywhere: the slopes near 0 are not those of the set."""
    model = dn.models.Network([[0.0, 1.0], [1.0, 0.0]], node=drift, edge=saturated, params={"w": 0.0})
    lo, hi = network_structure(model, PhaseCohesive(2, 0.1)).hull()
    for x in np.random.default_rng(0).uniform(-4, 4, (50, 1)) + [0.0, 0.1]:
        J = np.asarray(model.jacobian(0.0, x))
        assert np.all(lo.toarray() - 1e-9 <= J) and np.all(J <= hi.toarray() + 1e-9)


def test_small_and_empty_networks():
    alone = dn.models.Kuramoto([[0.0]])
    for kind in ("auto", "weak", "semi"):
        found = dn.certify(alone, kind=kind, region=PhaseCohesive(1, 1.0))
        assert found.kind in ("weak", "none") and (not found or found.check(exact=True))
    empty = dn.models.Kuramoto(np.zeros((3, 3)))
    found = dn.certify(empty, region=PhaseCohesive(3, 1.0))
    assert found.kind == "weak" and found.check(exact=True)
    assert not dn.certify(empty, kind="semi", region=PhaseCohesive(3, 1.0))
    still = dn.certify(dn.models.Kuramoto(3), kind="semi", region=PhaseCohesive(3, 0.0))
    assert still.rate == pytest.approx(3.0, abs=1e-9)


def test_a_grid_of_thousands_of_oscillators():
    graph = nx.random_regular_graph(6, 2_000, seed=1)
    found = dn.certify(dn.models.Kuramoto(graph), region=PhaseCohesive(2_000, 1.0))
    assert found.kind == "weak" and found.check()
