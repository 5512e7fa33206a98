"""Maxima of log norms over all slopes: against enumeration of the vertices, in floats and in rationals."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import dynet as dn
from dynet.certify.claims import RowsClaim
from dynet.certify.lure import LureStructure
from dynet.certify.search import structure_of
from dynet.linalg import Norm
from tests import oracles as naive
from tests.certify import oracles


@settings(max_examples=120)
@given(oracles.fields(largest=6), st.sampled_from([1, math.inf]), st.data())
def test_hypercube_maxima_agree_with_enumeration(model, p, data):
    eta = data.draw(oracles.weights(model.n))
    claim = RowsClaim(structure_of(model), float(p), eta)
    highest = oracles.exact_maximum(model, Norm(p, eta))
    exact = max(claim.exact_quotients())
    if claim.structure.exact:
        assert exact == highest
        assert abs(float(claim.quotients().max()) - float(highest)) <= 1e-12 * (1 + abs(float(highest)))
    assert exact >= highest
    assert Fraction(float(claim.quotients().max())) >= exact  # no rounding makes it better
    assert Fraction(claim.least()) >= exact


@settings(max_examples=60)
@given(oracles.fields(largest=4), st.data())
def test_a_slope_of_its_own_for_each_unit(model, data):
    """Slopes of any sign that differ between units."""
    s = structure_of(model)
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    ends = np.sort(np.round(random.normal(size=(2, len(s.lo))), data.draw(st.integers(1, 12))), axis=0)
    s = replace(s, lo=ends[0], hi=ends[1])
    eta = data.draw(oracles.weights(model.n))
    for p in (1.0, math.inf):
        claim = RowsClaim(s, p, eta)
        E, F, G = (oracles.dense(m) for m in (s.E, s.F, s.G))
        highest = naive.max_log_norm_exact(E, F, G, *ends, p, eta)
        exact = max(claim.exact_quotients())
        assert exact == highest if s.exact else exact >= highest
        assert Fraction(float(claim.quotients().max())) >= exact


@settings(max_examples=60)
@given(oracles.fields(sparse=False))
def test_majorants_dominate_every_jacobian_with_outward_rounding(model):
    s = structure_of(model)
    majorant = s.majorants(2)[0]
    off = oracles.dense(majorant.off)
    E, F, G, lo, hi = oracles.parts(model)
    for d in naive.slope_corners(lo, hi):
        for i in range(model.n):
            for j in range(model.n):
                entry = Fraction(E[i, j]) + sum(
                    Fraction(F[i, k]) * Fraction(d[k]) * Fraction(G[k, j]) for k in range(model.units)
                )
                if i == j:
                    assert Fraction(majorant.low[i]) <= entry <= Fraction(majorant.high[i])
                else:
                    assert abs(entry) <= Fraction(off[i, j])
    assert np.all(np.diagonal(off) == 0)


@settings(max_examples=60)
@given(oracles.fields(sparse=False), st.sampled_from([1.0, 2.0, math.inf]))
def test_sparse_equals_dense(model, p):
    full = structure_of(model)
    thin = LureStructure(*(m if m.ndim == 1 else sp.csr_array(m) for m in (full.E, full.F, full.G)), full.lo, full.hi)
    assert thin.shared == full.shared and thin.exact == full.exact
    for a, b in zip(full.majorants(p), thin.majorants(p), strict=True):
        assert np.array_equal(oracles.dense(a.off), oracles.dense(b.off))
        assert np.array_equal(a.high, b.high) and np.array_equal(a.low, b.low)
    assert full.exact_rows(p) == thin.exact_rows(p)
    v = np.linspace(1, 2, model.n)
    assert np.allclose(full.size_product(p, v), thin.size_product(p, v))
    E, F, G, lo, hi = oracles.parts(model)
    largest = np.maximum(abs(lo), abs(hi))
    whole = abs(E) + (abs(F) * largest) @ abs(G)
    assert np.allclose(full.size_product(p, v), (whole.T if p == 1 else whole) @ v)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.sampled_from([(0.0, 1.0), (0.2, 0.9)]))
def test_the_pull_back_formula(seed, n, slopes):
    """Without leak the maximum is that of the matrix at the two uniform slopes."""
    A = np.random.default_rng(seed).normal(size=(n, n))
    s = LureStructure(np.zeros(n), np.ones(n), A, *(np.full(n, d) for d in slopes))
    mu = naive.log_norm(A, math.inf, np.ones(n))
    assert math.isclose(RowsClaim(s, math.inf, np.ones(n)).least(), max(slopes[0] * mu, slopes[1] * mu), abs_tol=1e-14)


def test_structure_beats_the_interval_of_the_jacobian():
    """The entrywise interval forgets that a row shares a slope; a factor that is not diagonal is all it has."""
    random = np.random.default_rng(0)
    A = random.normal(size=(10, 10))
    A[np.diag_indices(10)] = 0.5 - np.abs(A - np.diag(np.diag(A))).sum(axis=1)  # row values of exactly about 1/2
    s = LureStructure(-np.ones(10), np.ones(10), A, np.zeros(10), np.ones(10))
    assert s.shared == "rows" and abs(RowsClaim(s, math.inf, np.ones(10)).least() + 0.5) < 1e-12
    loose = replace(s, F=np.eye(10))
    assert loose.shared == "neither" and RowsClaim(loose, math.inf, np.ones(10)).least() > 5


def test_what_shares_a_slope():
    one, A = np.ones(2), np.array([[0.0, 1.0], [1.0, 0.0]])
    for E, F, G, word in [
        (one, one, A, "rows"),
        (one, A, one, "columns"),
        (A, one, one, "rows"),
        (one, A, A, "neither"),
        (one, A[:, :1], A[:1], "all"),
    ]:
        m = 1 if word == "all" else 2
        s = LureStructure(E, F, G, np.zeros(m), np.ones(m))
        s.check()
        assert s.shared == word and s.exact == (word != "neither")


def test_a_matrix_that_happens_to_be_diagonal_is_known_as_one():
    A = np.array([[-1.0, 0.5], [-0.75, 0.25]])
    for F in (np.eye(2), sp.eye_array(2, format="csr")):
        model = dn.models.FiringRate(A)
        model.F = F
        assert structure_of(model).shared == "rows"
        assert dn.certify(model).rate == dn.certify(dn.models.FiringRate(A)).rate


GOOD = dict(E=-np.ones(2), F=np.ones(2), G=np.array([[0.0, 0.5], [0.5, 0.0]]), lo=np.zeros(2), hi=np.ones(2))
DOUBLE = sp.csr_array((np.array([0.5, 0.5]), np.array([1, 1]), np.array([0, 2, 2])), shape=(2, 2))
UNSORTED = sp.csr_array((np.array([0.5, 0.5]), np.array([1, 0]), np.array([0, 2, 2])), shape=(2, 2))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (dict(lo=np.array([0.0, 2.0])), "slope bounds"),
        (dict(lo=np.array([np.nan, 0.0])), "slope bounds"),
        (dict(hi=np.array([1.0, np.inf])), "slope bounds"),
        (dict(lo=np.array([-np.inf, 0.0])), "slope bounds"),
        (dict(lo=np.zeros(3)), "slope bounds"),
        (dict(E=np.array([-1.0, np.nan])), "E is not finite"),
        (dict(G=np.array([[0.0, np.inf], [0.5, 0.0]])), "G is not finite"),
        (dict(F=np.ones(3)), "F has shape"),
        (dict(E=np.ones((2, 3))), "E has shape"),
        (dict(G=np.array([[0, 2], [2, 0]])), "G has the type int64"),
        (dict(hi=np.array([True, True])), "hi has the type bool"),
        (dict(lo=np.array([0, 0], dtype=object)), "lo has the type object"),
        (dict(G=DOUBLE), "twice"),
        (dict(G=UNSORTED), "sorted"),
    ],
)
def test_what_is_no_structure_is_refused_and_proves_nothing(change, word):
    structure = LureStructure(**{**GOOD, **change})
    with pytest.raises(ValueError, match=word):
        structure.check()
    certificate = dn.certify(dn.models.FiringRate(GOOD["G"]))
    forged = replace(certificate, claim=replace(certificate.claim, structure=structure))
    assert certificate.check() and not forged.check() and not forged.check(exact=True)


def test_explicit_zeros_of_sparse_matrices_change_nothing():
    A = np.array([[-1.0, 0.5], [0.0, 0.25]])
    stored = sp.csr_array((A.ravel(), np.array([0, 1, 0, 1]), np.array([0, 2, 4])), shape=(2, 2))
    for kind in (dn.models.FiringRate, dn.models.Hopfield):
        assert dn.certify(kind(stored), "inf").rate == dn.certify(kind(A), "inf").rate


@settings(max_examples=40)
@given(oracles.fields(kinds=["FiringRate", "Hopfield", "LinearMinusMonotone"], sparse=False), st.integers(-1000, 900))
def test_bounds_hold_at_every_scale(model, power):
    s = structure_of(model)
    scaled = replace(s, E=s.E * 2.0**power, F=s.F * 2.0**power)
    assume(all(np.isfinite(m).all() for m in (scaled.E, scaled.F)))
    for p in (1.0, math.inf):
        claim = RowsClaim(scaled, p, np.ones(model.n))
        exact = max(claim.exact_quotients())
        bound = float(claim.quotients().max())
        assert bound == math.inf or Fraction(bound) >= exact


@pytest.mark.parametrize("slope", [-0.7, 0.3])
def test_the_products_of_a_single_unit_are_rounded_outward(slope):
    random = np.random.default_rng(0)
    for _ in range(60):
        F, G = random.normal(size=(3, 1)), random.normal(size=(1, 3))
        s = LureStructure(np.zeros((3, 3)), F, G, np.array([slope]), np.array([slope]))
        low, high = s._ends[0].low, s._ends[0].high
        exact = [Fraction(slope) * Fraction(F[i, 0]) * Fraction(G[0, i]) for i in range(3)]
        assert all(Fraction(a) <= e <= Fraction(b) for a, e, b in zip(low, exact, high, strict=True))
