"""Claims are never proven where exact enumeration of the slopes says otherwise; both checks agree."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import dynet as dn
from dynet.certify import claims as module
from dynet.certify.claims import DiagonalClaim, QuadraticClaim, RowsClaim
from dynet.certify.lure import LureStructure
from dynet.certify.search import structure_of
from dynet.linalg import Norm
from tests.certify import oracles


@settings(max_examples=80)
@given(oracles.fields(largest=4), st.sampled_from([1.0, math.inf]), st.data())
def test_row_claims_hold_exactly_down_to_the_last_bit(model, p, data):
    claim = RowsClaim(structure_of(model), p, data.draw(oracles.weights(model.n)))
    highest = max(claim.exact_quotients())
    assert highest >= oracles.exact_maximum(model, claim.norm())
    b = claim.least()
    assert Fraction(math.nextafter(b, -math.inf)) < highest <= Fraction(b)
    assert claim.holds(b) and claim.holds(b, exact=True)
    for below in (math.nextafter(b, -math.inf), b - 1e-9 * (1 + abs(b)), b - 1.0):
        assert not claim.holds(below) and not claim.holds(below, exact=True)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.sampled_from([1.0, math.inf]))
def test_weak_claims_of_integer_matrices_are_decided_exactly(seed, n, p):
    """Rows (columns) that sum to zero exactly: 0 holds, and no negative bound however small does."""
    random = np.random.default_rng(seed)
    A = random.integers(-5, 6, (n, n)).astype(float)
    off = np.abs(A - np.diag(np.diag(A)))
    np.fill_diagonal(A, -off.sum(axis=1 if p == math.inf else 0))
    s = LureStructure(A, -np.ones(n), np.ones(n), np.zeros(n), np.ones(n))
    claim = RowsClaim(s, p, np.ones(n))
    for exact in (False, True):
        assert claim.holds(0.0, exact=exact) and claim.holds(-0.0, exact=exact)
        assert not claim.holds(-5e-324, exact=exact) and not claim.holds(-1e-17, exact=exact)


@settings(max_examples=60)
@given(oracles.fields(largest=4), st.data())
def test_diagonal_claims_imply_the_matrix_inequality_at_every_vertex(model, data):
    P, v = data.draw(oracles.weights(model.n)), data.draw(oracles.weights(model.n))
    claim = DiagonalClaim(structure_of(model), P, v)
    b = claim.least()
    assert oracles.exact_l2_holds(model, np.diag(P), b)
    assert claim.holds(b) and claim.holds(b, exact=True)
    below = math.nextafter(b, -math.inf)
    assert not claim.holds(below) and not claim.holds(below, exact=True)
    assert Fraction(float(claim.quotients().max())) >= max(claim.exact_quotients())


@settings(max_examples=60)
@given(oracles.fields(kinds=["FiringRate", "Hopfield", "LinearMinusMonotone"], largest=4), st.data())
def test_quadratic_claims_imply_the_matrix_inequality_at_every_vertex(model, data):
    s = structure_of(model)
    assume(QuadraticClaim.applies(s) and s.size_product(2, np.ones(s.n)).any())
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    root = random.normal(size=(model.n, model.n))
    P = root @ root.T + 0.3 * np.eye(model.n)
    claim = QuadraticClaim(s, (P + P.T) / 2)
    b = claim.least()
    assert math.isfinite(b) and claim.holds(b) and claim.holds(b, exact=True)
    assert oracles.exact_l2_holds(model, claim.P, b)
    for below in (b - 1e-9 * (1 + abs(b)), b - 0.1):
        assert claim.holds(below, exact=True) or not claim.holds(below)  # floats never prove more than rationals


def test_quadratic_claims_that_are_singular_exactly_are_refused():
    """A = 1, leak 1, P = 1: the matrix of the claim at b is b + 1 - (1 + 1)^2 / 4 = b."""
    s = LureStructure(np.array([-1.0]), np.ones(1), np.ones((1, 1)), np.zeros(1), np.ones(1))
    claim = QuadraticClaim(s, np.ones((1, 1)))
    for exact in (False, True):
        assert not claim.holds(0.0, exact=exact) and not claim.holds(-1e-9, exact=exact)
        assert claim.holds(1e-9, exact=exact)
    random, accepted = np.random.default_rng(0), 0
    for _ in range(100):
        n = 3
        A = random.integers(-3, 4, (n, n)).astype(float)
        A, P = A + A.T, np.eye(n)
        s = LureStructure(np.zeros(n), np.ones(n), A, np.zeros(n), np.ones(n))
        # b P - N'N/4 is singular exactly at b = ||I + A||^2 / 4; take integers where that is representable
        top = np.linalg.eigvalsh(A + P)
        b = round(max(abs(top))) ** 2 / 4
        claim = QuadraticClaim(s, P)
        assert claim.holds(b, exact=True) or not claim.holds(b)
        accepted += claim.holds(b + 1)
    assert accepted > 50


def test_a_quadratic_claim_needs_slopes_that_are_not_negative_and_shared():
    A = np.array([[0.1, 0.2], [0.2, 0.1]])
    good = LureStructure(-np.ones(2), np.ones(2), A, np.zeros(2), np.ones(2))
    assert QuadraticClaim(good, np.eye(2)).holds(5.0)
    for change in (dict(lo=-np.ones(2)), dict(F=A, G=A), dict(F=-np.ones(2))):
        claim = QuadraticClaim(replace(good, **change), np.eye(2))
        assert not claim.holds(5.0) and not claim.holds(5.0, exact=True)
    for P in (np.eye(3), np.array([[1.0, 0.5], [0.4, 1.0]]), -np.eye(2), np.eye(2) * np.nan, np.eye(2, dtype=int)):
        claim = QuadraticClaim(good, P)
        assert not claim.holds(5.0) and not claim.holds(5.0, exact=True)


@pytest.mark.parametrize(
    "weight", [0.0, -1.0, -0.0, math.nan, math.inf, 1e-200, 1e200, 5e-324], ids=lambda value: str(value)
)
@pytest.mark.parametrize("which", ["rows", "weights", "v"])
def test_witnesses_that_are_no_weights_prove_nothing(weight, which):
    s = structure_of(dn.models.FiringRate([[0.0, 0.5], [0.5, 0.0]]))
    bad, good = np.array([1.0, weight]), np.ones(2)
    claim = {
        "rows": RowsClaim(s, math.inf, bad),
        "weights": DiagonalClaim(s, bad, good),
        "v": DiagonalClaim(s, good, bad),
    }[which]
    for exact in (False, True):
        assert not claim.holds(1e6, exact=exact)
    certificate = replace(dn.certify(dn.models.FiringRate([[0.0, 0.5], [0.5, 0.0]])), claim=claim)
    assert not certificate.check() and not certificate.check(exact=True)


@pytest.mark.parametrize("eta", [np.ones(3), np.ones((2, 1)), np.array([1, 1]), np.array([1, 1], dtype=object), None])
def test_witnesses_of_another_shape_or_type_prove_nothing(eta):
    s = structure_of(dn.models.FiringRate([[0.0, 0.5], [0.5, 0.0]]))
    claim = RowsClaim(s, math.inf, eta)
    assert not claim.holds(1e6) and not claim.holds(1e6, exact=True)


@pytest.mark.parametrize("p", [2.0, 1.5, 3.0, math.nan, -math.inf, 0.0])
def test_row_sums_prove_nothing_about_other_norms(p):
    """A field that rotates with growth in l2 but whose rows are negative would be certified in l2 by a forged order."""
    s = structure_of(dn.models.FiringRate([[0.0, 0.5], [0.5, 0.0]]))
    claim = RowsClaim(s, p, np.ones(2))
    assert not claim.holds(1e6) and not claim.holds(1e6, exact=True)


def test_a_forged_order_would_have_been_a_false_claim():
    """Rows of [[-1, 0], [10, -10.2]]: the l-inf log norm is -0.2, the l2 log norm is positive."""
    A = np.array([[-1.0, 0.0], [10.0, -10.25]])
    s = LureStructure(A, -np.ones(2), np.ones(2), np.zeros(2), np.zeros(2))
    assert RowsClaim(s, math.inf, np.ones(2)).holds(-0.2) and Norm(2).log(A) > 0
    assert not RowsClaim(s, 2.0, np.ones(2)).holds(-0.2)


@pytest.mark.parametrize("b", [math.nan, math.inf, -math.inf])
def test_bounds_that_are_not_finite_are_no_claims(b):
    s = structure_of(dn.models.FiringRate([[0.0, 0.5], [0.5, 0.0]]))
    for claim in (RowsClaim(s, math.inf, np.ones(2)), DiagonalClaim(s, np.ones(2), np.ones(2))):
        assert not claim.holds(b) and not claim.holds(b, exact=True)
    assert not QuadraticClaim(s, np.eye(2)).holds(b)


def test_large_fields_are_checked_in_floats_alone_and_soundly(monkeypatch):
    """With exact arithmetic out of reach the float bound is used; it is above the exact one by a hair."""
    monkeypatch.setattr(module, "_SMALL", 0)
    monkeypatch.setattr(module, "_DECIDE", 0)
    random = np.random.default_rng(3)
    for seed in range(30):
        A = random.normal(size=(6, 6)) * (random.random((6, 6)) < 0.6)
        model = getattr(dn.models, ["FiringRate", "Hopfield"][seed % 2])(sp.csr_array(A))
        eta = random.uniform(0.1, 1, 6)
        for claim in (
            RowsClaim(structure_of(model), math.inf, eta),
            RowsClaim(structure_of(model), 1.0, eta),
            DiagonalClaim(structure_of(model), eta, eta[::-1].copy()),
        ):
            exact = max(claim.exact_quotients())
            b = claim.least()
            assert 0 <= Fraction(b) - exact < 1e-13 * (1 + abs(exact))
            assert claim.holds(b)
            assert claim.holds(float(exact) - 1e-12) is False


def test_diagonal_bounds_survive_underflow():
    """Products below the least float are lost before a large weight multiplies the sum."""
    A = np.array([[0.0, 1e-250], [0.0, 0.0]])
    s = LureStructure(np.zeros(2), np.ones(2), A, np.zeros(2), np.ones(2))
    claim = DiagonalClaim(s, np.array([1e100, 1e-100]), np.array([1e100, 1e-100]))
    for weights, v in [([1e100, 1.0], [1.0, 1e-100]), ([1e100, 1e-100], [1e-100, 1e-100])]:
        claim = DiagonalClaim(s, np.array(weights), np.array(v))
        assert all(Fraction(float(q)) >= e for q, e in zip(claim.quotients(), claim.exact_quotients(), strict=True))


@settings(max_examples=60)
@given(oracles.fields(largest=4), st.data())
def test_lipschitz_bounds_hold_for_all_slopes(model, data):
    s = structure_of(model)
    eta, v = data.draw(oracles.weights(model.n)), data.draw(oracles.weights(model.n))
    found = [RowsClaim(s, 1.0, eta), RowsClaim(s, math.inf, eta), DiagonalClaim(s, eta, v)]
    if QuadraticClaim.applies(s):
        root = np.random.default_rng(0).normal(size=(model.n, model.n))
        P = root @ root.T + 0.1 * np.eye(model.n)
        found.append(QuadraticClaim(s, (P + P.T) / 2))
    E, F, G, lo, hi = oracles.parts(model)
    from tests.oracles import slope_corners

    for claim in found:
        highest = max(claim.norm().induced(E + (F * np.array(d)) @ G) for d in slope_corners(lo, hi))
        assert claim.lipschitz() >= highest * (1 - 1e-12)


def test_the_lipschitz_bound_of_an_ill_conditioned_matrix_is_not_guessed():
    s = structure_of(dn.models.FiringRate([[0.0, 0.5], [0.5, 0.0]]))
    assert QuadraticClaim(s, np.diag([1.0, 1e-16])).lipschitz() == math.inf


def test_long_rows_are_bounded_in_spite_of_the_rounding_of_their_sums():
    random, n = np.random.default_rng(1), 80
    for _ in range(2):
        A = random.uniform(0.5, 1.0, (n, n))
        np.fill_diagonal(A, 0.0)
        s = LureStructure(np.zeros(n), np.ones(n), A, np.zeros(n), np.ones(n))
        eta = random.uniform(0.5, 1.0, n)
        for claim in (RowsClaim(s, math.inf, eta), RowsClaim(s, 1.0, eta), DiagonalClaim(s, eta, eta[::-1].copy())):
            pairs = zip(claim.quotients(), claim.exact_quotients(), strict=True)
            assert all(Fraction(float(q)) >= exact for q, exact in pairs)


def test_the_rounding_of_the_quadratic_matrix_is_accounted_for():
    """One state: the bound is rounded to either side of the exact root, where the matrix cancels to almost nothing."""
    random = np.random.default_rng(2)
    for _ in range(300):
        p, a, c = random.uniform(0.1, 3.0, 3)
        s = LureStructure(np.array([-c]), np.ones(1), np.array([[a]]), np.zeros(1), np.ones(1))
        claim = QuadraticClaim(s, np.array([[p]]))
        p, a, c = (Fraction(x) for x in (p, a, c))
        b = float(-c + (p + a) ** 2 / (4 * p))
        for near in (math.nextafter(b, -math.inf), b, math.nextafter(b, math.inf)):
            assert claim.holds(near, exact=True) == (Fraction(near) > -c + (p + a) ** 2 / (4 * p))
            assert claim.holds(near, exact=True) or not claim.holds(near)
