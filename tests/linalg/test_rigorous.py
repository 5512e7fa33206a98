"""Directed rounding against rationals; definiteness proofs against exactly singular matrices."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynet.linalg.rigorous import (
    add_down,
    add_up,
    is_positive_definite,
    is_positive_definite_exact,
    multiply_down,
    multiply_up,
    quotient_up,
)

FLOATS = st.floats(-1e150, 1e150) | st.floats(-4, 4) | st.sampled_from([0.1, 1 / 3, 5e-324, 1e-200, 1.0, 0.0])


@settings(max_examples=300)
@given(FLOATS, FLOATS)
def test_directed_sums_and_products_enclose_tightly(x, y):
    a, b = np.array(x), np.array(y)
    for down, up, exact in (
        (add_down(a, b), add_up(a, b), Fraction(x) + Fraction(y)),
        (multiply_down(a, b), multiply_up(a, b), Fraction(x) * Fraction(y)),
    ):
        assert Fraction(float(down)) <= exact <= Fraction(float(up))
        assert up <= np.nextafter(down, np.inf) or abs(exact) < 1e-270
        if Fraction(float(exact)) == exact and (exact == 0 or abs(exact) > 1e-270):
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


def test_what_is_not_symmetric_finite_or_positive_is_not_definite():
    assert not is_positive_definite(np.array([[1.0, 2.0], [0.0, 1.0]]))
    assert not is_positive_definite(np.array([[np.nan]]))
    assert not is_positive_definite(np.array([[-1.0]]))
    assert is_positive_definite(np.array([[1e-322]])) is False  # below what the underflow term allows
    with pytest.raises(ValueError, match="dyadic"):
        is_positive_definite_exact([[Fraction(1, 3), 0], [0, Fraction(1, 2)]])
