"""Quadratic norms for families: the upper bound is proven exactly, nothing found by other means beats the lower bound."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynet.errors import ArgumentError
from dynet.linalg import Norm, common_quadratic_norm
from dynet.linalg.definite import quadratic_bound_holds
from tests import oracles
from tests.linalg.oracles import least_quadratic_norm_of_two_states

FAMILIES = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**32 - 1), st.sampled_from([0.4, 1.0]))


def family_of(case):
    n, count, seed, density = case
    random = np.random.default_rng(seed)
    return [random.normal(size=(n, n)) * (random.random((n, n)) < density) for _ in range(count)], random


@settings(max_examples=40)
@given(FAMILIES, st.booleans())
def test_bounds_are_proven_above_and_not_beaten_below(case, diagonal):
    family, random = family_of(case)
    n = len(family[0])
    found = common_quadratic_norm(family, diagonal=diagonal)
    assert np.array_equal(found.P, found.P.T) and found.lower <= found.upper
    assert not diagonal or np.count_nonzero(found.P - np.diag(np.diag(found.P))) == 0
    assert all(quadratic_bound_holds(found.P, J, found.upper, exact=True) for J in family)
    assert max(oracles.abscissa(J) for J in family) <= found.upper
    size = max(np.abs(J).sum(axis=1).max() for J in family) or 1.0
    for _ in range(40):
        root = np.diag(random.uniform(0.1, 1, n)) if diagonal else random.normal(size=(n, n))
        step = 10.0 ** random.integers(-6, 1)
        P = found.P + step * root @ root.T
        assert max(Norm(2, (P + P.T) / 2).log(J) for J in family) >= found.lower - 1e-7 * size


@settings(max_examples=15)
@given(st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_two_states_agree_with_a_search_over_all_norms(count, seed):
    family, _ = family_of((2, count, seed, 1.0))
    found = common_quadratic_norm(family)
    best = least_quadratic_norm_of_two_states(family)
    assert found.lower - 1e-6 <= best and found.upper <= best + 1e-4


def test_worked_numbers():
    saddle = np.array([[-1.0, 0, -1], [0, -2, -1], [1, 1, 0]])
    assert abs(Norm(2).log(saddle)) < 1e-12 and round(oracles.abscissa(saddle).real, 6) == -0.658836
    tilted = np.array([[1, 0, 0.31], [0, 1, 0.31], [0.31, 0.31, 1]])
    assert round(-float(Norm(2, tilted).log(saddle)), 6) == 0.598781
    found = common_quadratic_norm(saddle)
    assert found.attained and -0.658836 <= found.upper <= -0.658834

    def chua(m, a=15.6, b=28.0):
        return np.array([[a * (-1 - m), a, 0], [1, -1, 1], [0, -b, 0]])

    family = [chua(-8 / 7), chua(-5 / 7)]
    assert round(max(float(Norm(2).log(J)) for J in family), 4) == 15.7104
    found = common_quadratic_norm(family)
    assert found.attained and round(found.upper, 4) == 3.4731 and round(oracles.abscissa(family[0]).real, 4) == 3.4731


def test_candidates_that_need_no_program():
    metzler = np.array([[-2.0, 0.5], [1.0, -1.5]])
    found = common_quadratic_norm([metzler, metzler - 1.0 * np.eye(2)], diagonal=True)
    assert found.attained and abs(found.upper - oracles.abscissa(metzler)) < 1e-9
    found = common_quadratic_norm([np.diag([-1.0, -3.0]), np.array([[-2.0, 1.0], [-1.0, -2.0]])])
    assert found.attained and np.array_equal(found.P, np.eye(2)) and abs(found.upper + 1) < 1e-12


def test_no_norm_is_good_for_matrices_whose_mean_is_unstable():
    first, second = np.array([[-1.0, 4.0], [0.0, -1.0]]), np.array([[-1.0, 0.0], [4.0, -1.0]])
    found = common_quadratic_norm([first, second])  # both are Hurwitz; (first + second)/2 has the eigenvalue 1
    assert found.attained and abs(found.upper - 1) < 1e-5
    assert found.lower > -1 + 1e-3  # shown by the dual, not by the spectral abscissas


def test_bad_families_are_refused():
    for bad, word in ((np.ones((2, 3)), "square"), ([np.eye(2), np.eye(3)], "square"), (np.eye(101), "at most 100")):
        with pytest.raises(ArgumentError, match=word):
            common_quadratic_norm(bad)
    with pytest.raises(ArgumentError, match="finite"):
        common_quadratic_norm([[np.nan]])
    with pytest.raises(ArgumentError, match="tol"):
        common_quadratic_norm(np.eye(2), tol=0.0)
