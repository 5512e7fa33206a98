"""Directed rounding against rationals; definiteness proofs against exactly singular matrices."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from dynet.linalg.rigorous import (
    add_down,
    add_up,
    is_positive_definite,
    is_positive_definite_exact,
    multiply_down,
    multiply_up,
    quotient_down,
    quotient_up,
)

FLOATS = (
    st.floats(-1e150, 1e150)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(-4, 4)
    | st.sampled_from([0.1, 1 / 3, 5e-324, 1e-200, 1.0, 0.0])
)


@settings(max_examples=300)
@given(FLOATS, FLOATS)
def test_directed_sums_and_products_enclose_tightly(x, y):
    a, b = np.array(x), np.array(y)
    for down, up, exact in (
        (add_down(a, b), add_up(a, b), Fraction(x) + Fraction(y)),
        (multiply_down(a, b), multiply_up(a, b), Fraction(x) * Fraction(y)),
    ):
        assert np.isneginf(down) or Fraction(float(down)) <= exact
        assert np.isposinf(up) or exact <= Fraction(float(up))
        if max(abs(x), abs(y)) > 1e299 or not (exact == 0 or 1e-270 < abs(exact) < 1e299):
            continue
        assert up <= np.nextafter(down, np.inf)
        if Fraction(float(exact)) == exact:
            assert down == up


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_row_quotients_are_bounded_from_above_and_tightly(seed, n):
    random = np.random.default_rng(seed)
    off = np.abs(random.normal(size=(n, n))) * (random.random((n, n)) < 0.5) * 10.0 ** random.integers(-8, 8, (n, n))
    np.fill_diagonal(off, 0.0)
    diagonal, eta = random.normal(size=n), random.uniform(0.01, 1.0, n)
    bounds = quotient_up(diagonal, off, eta)
    for i in range(n):
        exact = Fraction(diagonal[i]) + sum(
            Fraction(m) * Fraction(e) for m, e in zip(off[i], eta, strict=True)
        ) / Fraction(eta[i])
        assert Fraction(bounds[i]) >= exact
        assert bounds[i] - float(exact) <= 1e-13 * (abs(diagonal[i]) + abs(float(exact)))


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.booleans())
def test_row_quotients_are_bounded_from_below_and_tightly_where_the_vector_is_positive(seed, n, sparse):
    random = np.random.default_rng(seed)
    off = np.abs(random.normal(size=(n, n))) * (random.random((n, n)) < 0.5) * 10.0 ** random.integers(-8, 8, (n, n))
    np.fill_diagonal(off, 0.0)
    diagonal, v = random.normal(size=n), random.uniform(0.01, 1.0, n) * (random.random(n) < 0.7)
    bounds = quotient_down(diagonal, csr_array(off) if sparse else off, v)
    for i in range(n):
        if v[i] == 0:
            assert bounds[i] == np.inf
            continue
        exact = Fraction(diagonal[i]) + sum(
            Fraction(m) * Fraction(e) for m, e in zip(off[i], v, strict=True)
        ) / Fraction(v[i])
        assert Fraction(bounds[i]) <= exact
        assert float(exact) - bounds[i] <= 1e-13 * (abs(diagonal[i]) + abs(float(exact)))


def gram(seed, n, rank):
    """An exactly singular (rank < n) or definite integer Gram matrix."""
    root = np.random.default_rng(seed).integers(-4, 5, (n, rank)).astype(float)
    return root @ root.T


def test_exactly_singular_matrices_are_never_called_definite():
    naive = 0
    for seed in range(300):
        n = 2 + seed % 8
        Q = gram(seed, n, n - 1)
        naive += bool(np.linalg.eigvalsh(Q)[0] > 0)
        assert not is_positive_definite(Q)
        assert not is_positive_definite_exact([[Fraction(v) for v in row] for row in Q])
    assert naive > 50  # what the plain test would have accepted


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(-45, 0))
def test_definiteness_is_never_claimed_falsely_and_seen_with_a_margin(seed, n, exponent):
    Q = gram(seed, n, max(1, n - 1)) + np.eye(n) * 2.0**exponent
    exact = is_positive_definite_exact([[Fraction(v) for v in row] for row in Q])
    assert exact or not is_positive_definite(Q)
    if exponent > -25 and n > 1:
        assert exact and is_positive_definite(Q)
        assert not is_positive_definite(Q, formation_error=2.0**exponent * 1.01)


def test_exact_elimination_agrees_with_determinants():
    for seed in range(60):
        A = np.random.default_rng(seed).integers(-5, 6, (4, 4)).astype(float)
        Q = A + A.T + np.eye(4) * 6
        minors = [round(np.linalg.det(Q[:k, :k])) for k in range(1, 5)]
        assert is_positive_definite_exact([[Fraction(v) for v in row] for row in Q]) == all(m > 0 for m in minors)


@pytest.mark.parametrize("scale", [2.0**-1060, 2.0**-1030, 2.0**-1000, 2.0**-500, 2.0**500, 2.0**1000])
def test_definiteness_is_sound_at_all_scales(scale):
    for seed in range(40):
        Q = gram(seed, 4, 3) * scale  # exactly singular; a product of two entries underflows or overflows
        assert not is_positive_definite(Q)
        assert is_positive_definite(Q + np.eye(4) * 2.0**-20 * scale) == (scale > 2.0**-1050)


def test_tiny_matrices_are_definite_down_to_what_the_underflow_term_allows():
    assert is_positive_definite(np.array([[1e-300]]))
    assert not is_positive_definite(np.array([[5e-324]]))  # it is, but rounding alone may reach its size


def test_a_factor_that_overflows_proves_nothing():
    # the last row of the factor becomes (inf, nan, nan), and a NaN pivot is not smaller than zero
    Q = np.array([[0.1, 0.0, 1e308], [0.0, 0.1, 0.1], [1e308, 0.1, 0.1]])
    assert not is_positive_definite_exact([[Fraction(v) for v in row] for row in Q])
    assert not is_positive_definite(Q)


def test_directed_operations_that_overflow_stay_bounds():
    large = np.array(1e308)
    most = np.finfo(float).max
    assert add_up(large, large) == np.inf and add_down(large, large) == most
    assert add_up(-large, -large) == -most and add_down(-large, -large) == -np.inf
    assert multiply_up(large, large) == np.inf and multiply_down(large, large) == most
    assert multiply_up(-large, large) == -most and multiply_down(-large, large) == -np.inf
    off = np.array([[0.0, 1e308], [1e308, 0.0]])
    assert np.isposinf(quotient_up(np.zeros(2), off, np.array([1.0, 1e-5]))[1])


def test_what_is_not_symmetric_finite_or_positive_is_not_definite():
    assert not is_positive_definite(np.array([[1.0, 2.0], [0.0, 1.0]]))
    assert not is_positive_definite(np.array([[np.nan]]))
    assert not is_positive_definite(np.array([[-1.0]]))
    with pytest.raises(ValueError, match="dyadic"):
        is_positive_definite_exact([[Fraction(1, 3), 0], [0, Fraction(1, 2)]])


@pytest.mark.parametrize("large", [0, 10**9])
def test_both_ways_to_factor_decide_alike(monkeypatch, large):
    monkeypatch.setattr("dynet.linalg.rigorous._LARGE", large)
    for seed in range(200):
        n = 2 + seed % 20
        Q = gram(seed, n, n - 1)
        kept = Q.copy()
        assert not is_positive_definite(Q) and np.array_equal(Q, kept)
        assert is_positive_definite(Q + 1e-9 * np.trace(Q) * np.eye(n))
    assert not is_positive_definite(np.full((3, 3), 1e308)) and not is_positive_definite(-np.eye(3))
