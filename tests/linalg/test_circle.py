"""Quadratic norms for all slopes at once: proven exactly, above every corner, and as good as theory says where it does."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynet.errors import ArgumentError
from dynet.linalg import Norm, circle, common_quadratic_norm, slope_quadratic_norm
from dynet.linalg.circle import slope_bound_holds
from tests import oracles


def instance(n, m, seed):
    random = np.random.default_rng(seed)
    E, F, G = random.normal(size=(n, n)) - 2 * np.eye(n), random.normal(size=(n, m)), random.normal(size=(m, n))
    lo = random.uniform(-1, 1, m)
    return (E, F, G), (lo, lo + random.uniform(0, 1.5, m) * (random.random(m) < 0.8)), random


@settings(max_examples=20)
@given(st.integers(1, 3), st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_bounds_hold_at_every_corner_and_exactly(n, m, seed):
    parts, slopes, _ = instance(n, m, seed)
    found = slope_quadratic_norm(*parts, *slopes, tol=1e-4)
    assert found.lower <= found.upper < np.inf
    assert slope_bound_holds(found.P, found.multipliers, parts, slopes, found.upper, exact=True)
    assert oracles.max_log_norm_two(*parts, *slopes, found.P) <= found.upper + 1e-12
    corners = [parts[0] + (parts[1] * d) @ parts[2] for d in map(np.array, oracles.slope_corners(*slopes))]
    size = max(np.abs(J).sum(axis=1).max() for J in corners)
    assert found.upper >= common_quadratic_norm(corners).lower - 1e-6 * size


@settings(max_examples=15)
@given(st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_nothing_is_lost_for_one_slope(n, seed):
    (E, F, G), (lo, hi), _ = instance(n, 1, seed)
    ends = [E + F @ G * float(s[0]) for s in (lo, hi)]
    size = max(np.abs(J).sum(axis=1).max() for J in ends)
    best = common_quadratic_norm(ends)
    if best.attained and np.linalg.cond(best.P) < 1e4:
        assert slope_quadratic_norm(E, F, G, lo, hi, tol=1e-5).upper <= best.upper + 1e-4 * size


def test_worked_numbers():
    A = np.array([[0.5, -0.3], [-0.3, 0.2]])
    for F, G in ((np.eye(2), A), (A, np.eye(2))):  # firing rate and Hopfield: the rate 1 - a for symmetric weights
        found = slope_quadratic_norm(-np.eye(2), F, G, np.zeros(2), np.ones(2))
        assert -0.3145899 < found.upper < -0.31458
    a, b, m0, m1 = 15.6, 28.0, -8 / 7, -5 / 7
    E = np.array([[-a, a, 0], [1, -1, 1], [0, -b, 0]])
    found = slope_quadratic_norm(E, [[-a], [0], [0]], [[1, 0, 0]], [m0], [m1])
    assert round(found.upper, 4) == 3.4731


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 3))
def test_rounding_is_covered(seed, n, m):
    parts, slopes, random = instance(n, m, seed)
    root = random.normal(size=(n, n))
    P, multipliers, b = root @ root.T, random.uniform(0.1, 2, m), float(random.normal())
    arrays = [np.asarray(x, dtype=float) for x in ((P + P.T) / 2, multipliers, *parts, *slopes)]
    M, error = circle._form(arrays, b)
    seen = []

    def remember(matrix):
        seen.append(matrix)
        return True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(circle, "is_positive_definite_exact", remember)
        circle._holds_exactly(arrays, b)
    rows = [
        sum(abs(x - Fraction(float(y))) for x, y in zip(*pair, strict=True)) for pair in zip(seen[1], M, strict=True)
    ]
    assert max(rows) <= Fraction(error) < 1e-10


def test_borderline_claims_are_refused():
    for seed in range(100):  # J = -K - c I with K skew, and no slope that moves: the log norm is -c exactly
        random = np.random.default_rng(seed)
        n, c = int(random.integers(1, 6)), float(random.integers(1, 4))
        K = np.triu(random.integers(-3, 4, (n, n)).astype(float), 1)
        parts, slopes = (K - K.T - c * np.eye(n), np.zeros((n, 1)), np.zeros((1, n))), (np.zeros(1), np.ones(1))
        for exact in (False, True):
            assert not slope_bound_holds(np.eye(n), np.ones(1), parts, slopes, -c, exact)
            assert slope_bound_holds(np.eye(n), np.ones(1), parts, slopes, -c + 1e-9, exact)
    parts, slopes = (-np.eye(1), np.eye(1), np.eye(1)), (np.zeros(1), np.full(1, 0.5))
    good = (np.eye(1), np.full(1, 2.0), parts, slopes, -0.4)
    assert slope_bound_holds(*good) and float(Norm(2).log(-np.eye(1) + 0.5)) == -0.5
    for k, bad in ((0, -np.eye(1)), (0, np.eye(2)), (1, -np.ones(1)), (1, np.array([np.nan])), (4, np.inf), (4, -0.6)):
        assert not slope_bound_holds(*good[:k], bad, *good[k + 1 :])
    assert not slope_bound_holds(*good[:3], (np.ones(1), np.zeros(1)), -0.4)


def test_bad_input_is_refused():
    one = np.eye(1)
    for arguments, word in (
        ((one, one, one, [1.0], [0.0]), r"lo\[0\]"),
        ((one, one, np.eye(2), [0.0], [1.0]), "G="),
        ((one, one, one, [0.0], [np.inf]), "hi="),
        (("E", one, one, [0.0], [1.0]), "E="),
        ((np.eye(90), np.eye(90), np.eye(90), np.zeros(90), np.ones(90)), "at most 100"),
    ):
        with pytest.raises(ArgumentError, match=word):
            slope_quadratic_norm(*arguments)
    with pytest.raises(ArgumentError, match="tol"):
        slope_quadratic_norm(one, one, one, [0.0], [1.0], tol=2)
