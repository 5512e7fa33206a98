"""Semi-contraction against Dobrushin's formula and against reduction, over all vertices in exact arithmetic."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet as dn
from dynet.certify import synchronisation
from dynet.certify.lure import LureStructure
from dynet.certify.semi import RangeClaim, ReducedStructure, WeightedRange
from dynet.certify.synchronise import connectivity
from dynet.errors import ArgumentError
from dynet.linalg import Norm, RangeSeminorm, ergodic_coefficient
from tests.certify import oracles_kinds as naive
from tests.certify.test_weak import WALK, diffusive, linear


def test_averaging_forgets_differences_at_the_ergodic_coefficient():
    c = dn.certify(linear(-WALK), kind="semi")
    assert c.kind == "semi" and c.rate == 1.0 and c.check() and c.check(exact=True)
    assert c.norm.length([1.0, 4.0, 2.0]) == 1.5 and dn.Certificate.from_json(c.to_json()) == c
    assert c.law.name == "translation" and "seminorm" in c.explain()
    dual = dn.certify(linear(-WALK.T), 1, kind="semi")
    assert dual.rate == 1.0 and dual.norm.p == 1 and dual.check(exact=True) and dual.law.name == "conservation"
    assert dn.certify(linear(-WALK), RangeSeminorm()).rate == 1.0


def test_kuramoto_within_an_arc():
    """Three oscillators that are all coupled, with cosines from 1/2 to 1: 3 cos(pi/3) = 1.5."""
    model = diffusive(np.ones((3, 3)) - np.eye(3), both=False)
    structure = LureStructure(model.E, model.F, model.G, np.full(6, 0.5), np.ones(6))
    claim = RangeClaim(structure, math.inf, np.ones(3))
    assert claim.least() == -1.5 and claim.holds(-1.5) and claim.holds(-1.5, exact=True)
    assert not claim.holds(math.nextafter(-1.5, -2)) and not claim.holds(math.nextafter(-1.5, -2), exact=True)


def test_a_leak_on_top_of_a_translation_is_an_eigenvalue():
    A = -2.0 * np.eye(3) - WALK
    c = dn.certify(linear(A), kind="semi")
    assert c.rate == 3.0 and c.law is None and c.check(exact=True)


@settings(max_examples=200)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.integers(1, 3), st.sampled_from([1.0, math.inf]))
def test_the_claim_is_never_below_dobrushin_at_any_vertex(seed, n, m, p):
    random = np.random.default_rng(seed)
    E, F, G = (random.integers(-2, 3, size).astype(float) for size in ((n, n), (n, m), (m, n)))
    lo, hi = np.sort(random.integers(-1, 3, (2, m)).astype(float), axis=0)
    v = random.choice([1.0, 2.0, 4.0], n)
    for M in (E.T, F.T) if p == 1 else (E, G):  # the kernel is kept
        M[:, 0] -= (M @ v) / v[0]
    E[np.diag_indices(n)] += random.integers(-2, 1)
    structure = LureStructure(E, F, G, lo, hi)
    values = [
        naive.range_log_seminorm(naive.transposed(J) if p == 1 else J, v) for J in naive.matrices(E, F, G, lo, hi)
    ]
    claim = RangeClaim(structure, p, v)
    b = claim.least()
    if any(value is None for value in values):
        assert b == math.inf and not claim.holds(1e300)
        return
    assert Fraction(b) >= max(values)
    assert claim.holds(b) and claim.holds(b, exact=True)
    below = math.nextafter(float(max(values)), -math.inf)
    assert not claim.holds(below) and not claim.holds(below, exact=True)
    if not F.any():
        assert b == float(max(values))


def test_a_kernel_that_moves_is_refused():
    A = -WALK.copy()
    A[0, 0] -= 1.0
    c = dn.certify(linear(A), WeightedRange(math.inf, np.ones(3)))
    assert not c and not RangeClaim(
        LureStructure(A, np.zeros(3), np.ones(3), *np.zeros((2, 3))), math.inf, np.ones(3)
    ).holds(9.0)
    good = dn.certify(linear(-WALK), kind="semi")
    forged = replace(good, claim=replace(good.claim, structure=replace(good.claim.structure, E=A)))
    assert not forged.check() and not forged.check(exact=True)
    for p in (2.0, 3.0):
        assert not replace(good.claim, p=p).holds(9.0)


def test_the_range_decays_as_certified():
    random = np.random.default_rng(1)
    model = diffusive(random.uniform(0.2, 1.0, (4, 4)), activation=None or "identity", both=False)
    c = dn.certify(model, "inf", kind="semi")
    run = dn.simulate(model, random.normal(size=(6, 4)), np.linspace(0.0, 2.0, 9), rtol=1e-10, atol=1e-12)
    x = run.x - run.x[:1]
    length = c.norm.length(x[1:])
    assert np.all(length <= np.exp(-c.rate * run.t) * length[:, :1] * (1 + 1e-7))


def differences(n):
    return np.hstack([np.eye(n - 1), -np.ones((n - 1, 1))])


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.sampled_from([1, 2, math.inf]))
def test_reduced_log_norms_are_those_of_the_quotient(seed, n, p):
    random = np.random.default_rng(seed)
    A = random.integers(-3, 4, (n, n)).astype(float)
    A[:, -1] -= A.sum(axis=1)  # rows sum to 0
    R = random.integers(-2, 3, (n - 1, n - 1)).astype(float)
    if abs(np.linalg.det(R)) < 0.5:
        R = np.eye(n - 1)
    R = R @ differences(n)
    norm = Norm(p, R=R)
    c = dn.certify(linear(A), norm)
    assert c.bounds[1] <= norm.log(A) + 1e-9
    weights = np.ones(1) if c.norm.weights is None else c.norm.weights
    if weights.ndim == 2 or weights.max() < 1e4 * weights.min():  # or else floats, here, magnify their own rounding
        assert c.bounds[1] == pytest.approx(c.norm.log(A), rel=1e-9, abs=1e-9)
    if c:
        assert c.kind == "semi" and c.check() and dn.Certificate.from_json(c.to_json()) == c
        assert not replace(c, rate=c.rate + 1e-6).check()
        if p == 2:
            assert replace(c, rate=c.rate - 1e-9).check(exact=True)
        moved = replace(c.claim.structure.base, E=A + np.diag(np.arange(n) / 8))
        assert not replace(c, claim=replace(c.claim, structure=replace(c.claim.structure, base=moved))).check()


def test_reduction_wants_independent_rows_and_an_invariant_kernel():
    base = LureStructure(-WALK, np.zeros(3), np.ones(3), np.zeros(3), np.ones(3))
    ReducedStructure(base, differences(3)).check()
    for R in (np.array([[1.0, -1.0, 0.0], [2.0, -2.0, 0.0]]), np.array([[1.0, 0.0, 0.0]]), np.ones((1, 2))):
        with pytest.raises(ValueError, match="R|kernel"):
            ReducedStructure(base, R).check()


def test_the_euclidean_distance_to_consensus_decays_with_the_connectivity():
    W = np.array([[0.0, 1.0, 0.0, 2.0], [1.0, 0.0, 3.0, 0.0], [0.0, 3.0, 0.0, 1.0], [2.0, 0.0, 1.0, 0.0]])
    L = np.diag(W.sum(axis=1)) - W
    second = np.sort(np.linalg.eigvalsh(L))[1]
    c = dn.certify(linear(-L), 2, kind="semi")
    assert c.rate == pytest.approx(second, rel=1e-9) and c.rate <= second and c.check()
    assert connectivity(W) == pytest.approx(second, rel=1e-9) and connectivity(W) <= second
    assert connectivity(np.zeros((3, 3))) == 0.0


def test_synchronisation_conditions():
    W = np.ones((4, 4)) - np.eye(4)
    assert synchronisation(W, 1.0).rate == pytest.approx(3.0) and ergodic_coefficient(W) == 4.0
    chua = synchronisation(W, 3.4732, Norm(2))
    assert chua and chua.condition == "spectral" and chua.rate == pytest.approx(4 - 3.4732)
    failed = synchronisation(W, 15.72)
    assert not failed and "3.93" in failed.reason
    ring = np.roll(np.eye(5), 1, axis=1) + np.roll(np.eye(5), -1, axis=1)
    assert synchronisation(ring, 1.2, Norm(2)).condition == "spectral" and not synchronisation(ring, 1.2)
    directed = np.triu(np.ones((3, 3)), 1)
    assert synchronisation(directed, 0.2, Norm(2)).condition == "ergodic"
    for bad in (lambda: synchronisation(-W, 1.0), lambda: synchronisation(W, math.nan), lambda: synchronisation(W, "fast"),
                lambda: synchronisation(directed, 0.2, inner=np.eye(2)), lambda: connectivity(directed)):  # fmt: skip
        with pytest.raises(ArgumentError):
            bad()


def test_synchronisation_takes_models_and_inner_couplings():
    thomas = dn.models.Lure(E=-0.2 * np.eye(3), F=np.eye(3), G=np.roll(np.eye(3), 1, axis=1), activation="sin")
    c = dn.certify(thomas, Norm(2, np.eye(3)), kind="strong")
    assert c.osLip == pytest.approx(0.8, abs=1e-9)
    W = np.ones((3, 3))
    for dynamics in (c, thomas):
        assert synchronisation(W, dynamics, Norm(2, np.eye(3))).rate == pytest.approx(2.2, abs=1e-9)
    assert synchronisation(W, thomas, Norm(2), inner=np.eye(3)).rate == pytest.approx(2.2, abs=1e-9)
    one = synchronisation(W, thomas, Norm(2), inner=np.diag([1.0, 0.0, 0.0]))
    assert not one and one.rate == pytest.approx(-0.5 - (-0.2) + 0.0, abs=0.31)
    with pytest.raises(ArgumentError, match="inner"):
        synchronisation(W, thomas, Norm(2), inner=-np.eye(3))


def test_identical_systems_do_synchronise_at_that_rate():
    random = np.random.default_rng(0)
    W = random.uniform(0.5, 1.0, (3, 3)) * (1 - np.eye(3))
    A = np.array([[0.2, 0.5], [-0.5, 0.1]])
    osLip = Norm("inf").log(A)
    found = synchronisation(W, osLip)
    L = np.diag(W.sum(axis=1)) - W
    run = dn.simulate(linear(np.kron(np.eye(3), A) - np.kron(L, np.eye(2))), random.normal(size=6), np.linspace(0, 3, 13),
                      rtol=1e-10, atol=1e-13)  # fmt: skip
    x = run.x.reshape(-1, 3, 2)
    spread = np.abs(x[:, :, None] - x[:, None, :]).max(axis=(1, 2, 3))
    assert found and np.all(spread <= np.exp(-found.rate * run.t) * spread[0] * (1 + 1e-7))
