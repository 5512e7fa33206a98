"""Compounds against cofactors and their algebra; log norms against the compounds themselves."""

import itertools
import math

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from dynet.errors import ArgumentError
from dynet.linalg import (
    Norm,
    additive_compound,
    alpha_compound,
    compound,
    compound_log_norm,
    multiplicative_compound,
)
from tests.linalg import oracles

CASES = st.tuples(st.integers(1, 5), st.integers(0, 2**32 - 1)).flatmap(
    lambda case: st.tuples(st.just(case[0]), st.integers(1, case[0]), st.just(np.random.default_rng(case[1])))
)


@settings(max_examples=60)
@given(CASES)
def test_compounds_agree_with_cofactors_and_obey_their_algebra(case):
    n, k, random = case
    A, B = random.normal(size=(2, n, n))
    T = random.normal(size=(n, n)) + 3 * np.eye(n)
    up, add = multiplicative_compound, additive_compound
    assert np.allclose(up(A, k), oracles.minors(A, k))
    assert np.allclose(up(A @ B, k), up(A, k) @ up(B, k))
    assert np.allclose(up(np.stack([A, B]), k), [up(A, k), up(B, k)])
    h = 1e-6
    slope = (oracles.minors(np.eye(n) + h * A, k) - oracles.minors(np.eye(n) - h * A, k)) / (2 * h)
    assert np.allclose(add(A, k), slope, atol=1e-7)
    assert np.allclose(add(sp.csr_array(A), k).toarray(), add(A, k))
    assert np.allclose(add(np.stack([A, B]), k), [add(A, k), add(B, k)])
    assert np.allclose(add(A + B, k), add(A, k) + add(B, k))
    assert np.allclose(add(A.T, k), add(A, k).T)
    assert np.allclose(up(scipy.linalg.expm(A), k), scipy.linalg.expm(add(A, k)))
    inverse = np.linalg.inv(T)
    assert np.allclose(add(T @ A @ inverse, k), up(T, k) @ add(A, k) @ np.linalg.inv(up(T, k)))
    assert np.allclose(add(A, 1), A) and np.allclose(add(A, n), np.trace(A))
    assert np.isclose(up(A, n), np.linalg.det(A))
    values = np.linalg.eigvals(A)
    sums = [sum(c) for c in itertools.combinations(values, k)]
    products = [np.prod(c) for c in itertools.combinations(values, k)]
    for M, wanted in ((add(A, k), sums), (up(A, k), products)):
        found = np.linalg.eigvals(M)
        distance = np.abs(found[:, None] - np.array(wanted)[None, :])
        assert distance[scipy.optimize.linear_sum_assignment(distance)].max() < 1e-6 * (1 + np.abs(found).max())


@settings(max_examples=80)
@given(CASES, st.sampled_from([1, 2, math.inf]), st.sampled_from(["plain", "weights", "matrix"]))
def test_log_norms_are_those_of_the_compound_that_is_not_formed(case, p, kind):
    n, k, random = case
    A = random.normal(size=(n, n)) * (random.random((n, n)) < 0.7)
    norm = Norm(p)
    T = np.eye(n)
    if kind == "weights":
        eta = random.uniform(0.3, 3.0, n)
        norm, T = Norm(p, eta), np.diag({1: eta, 2: np.sqrt(eta)}.get(p, 1 / eta))
    elif kind == "matrix":
        T = random.normal(size=(n, n)) + 3 * np.eye(n)
        norm = Norm(p, R=T)
    exact = Norm(p).log(additive_compound(T @ A @ np.linalg.inv(T), k))
    found = compound_log_norm(A, k, norm)
    assert found.exact and np.isclose(found.value, exact)
    assert np.allclose(compound_log_norm(np.stack([A, 2 * A]), k, norm).value, [exact, 2 * exact])
    sparse = compound_log_norm(sp.csr_array(A), k, norm)
    assert sparse.exact and np.isclose(sparse.value, exact)
    if k < n:
        further = compound_log_norm(A, k + 1, norm).value
        assert further <= found.value * (k + 1) / k + 1e-9  # what contracts k-volumes contracts those of k + 1
        s = random.uniform(0.1, 0.9)
        between = compound_log_norm(A, k + s, norm)
        assert np.isclose(between.value, (1 - s) * exact + s * further)
        plain = compound_log_norm(A, k + s, p)
        assert np.isclose(plain.value, Norm(p).log(alpha_compound(A, k + s)))


@settings(max_examples=60)
@given(CASES, st.sampled_from([1, math.inf]))
def test_the_bound_for_many_sets_is_one(case, p):
    n, k, random = case
    A = random.normal(size=(n, n))
    exact = compound_log_norm(A, k, p).value
    before, compound._SETS = compound._SETS, 0
    try:
        found = compound_log_norm(A, k, p)
        sparse = compound_log_norm(sp.csr_array(A), k, p)
    finally:
        compound._SETS = before
    assert found.exact == sparse.exact == (k in (1, 2, n))
    loose = np.sort(np.diag(A) + (np.abs(A) - np.diag(np.diag(np.abs(A)))).sum(axis=0 if p == 1 else 1))[-k:].sum()
    assert exact - 1e-12 <= found.value <= loose + 1e-12 and exact - 1e-12 <= sparse.value <= loose + 1e-12
    if found.exact:
        assert np.isclose(found.value, exact) and np.isclose(sparse.value, exact)


def test_worked_numbers():
    A = np.arange(1.0, 10.0).reshape(3, 3)
    assert np.array_equal(additive_compound(A, 2), [[6, 6, -3], [8, 10, 2], [-7, 4, 14]])
    assert np.array_equal(alpha_compound(A, 2.0), additive_compound(A, 2))

    def thomas(b, order):  # the log norm is convex, so its maximum over the cosines is at corners
        corners = [np.roll(np.diag(c), 1, axis=1) - b * np.eye(3) for c in itertools.product([-1.0, 1.0], repeat=3)]
        return compound_log_norm(np.array(corners), order, 2).value.max()

    for b in (0.2, 0.3, 0.45):
        dimension = 2 + (1 - 2 * b) / (1 + b)
        assert abs(thomas(b, dimension)) < 1e-12 and thomas(b, dimension + 0.01) < 0 < thomas(b, dimension - 0.01)
    assert np.isclose(2 + (1 - 0.4) / 1.2, 2.5)
    assert thomas(0.51, 2) < 0 < thomas(0.49, 2)


def test_pairs_of_a_large_sparse_matrix():
    random = np.random.default_rng(0)
    A = sp.random_array((400, 400), density=0.02, rng=random, format="csr")
    A.data = A.data - 0.5
    for p, norm in ((1, Norm(1)), (math.inf, Norm("inf", random.uniform(0.5, 2, 400)))):
        found, dense = compound_log_norm(A, 2, norm), compound_log_norm(A.toarray(), 2, norm)
        assert found.exact and dense.exact and np.isclose(found.value, dense.value)
        bound = compound_log_norm(A, 30, norm)
        assert not bound.exact and bound.value >= compound_log_norm(A.toarray(), 30, norm).value - 1e-12, p


@pytest.mark.parametrize("function", [multiplicative_compound, additive_compound, compound_log_norm, alpha_compound])
def test_orders_out_of_range_are_refused(function):
    for k in (0, 4, True, "2", np.nan, -1):
        with pytest.raises(ArgumentError, match="k="):
            function(np.eye(3), k)
    with pytest.raises(ArgumentError, match="square"):
        function(np.ones((2, 3)), 1)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ArgumentError, match="whole number"):
        additive_compound(np.eye(3), 1.5)
    with pytest.raises(ArgumentError, match="memory"):
        multiplicative_compound(np.eye(30), 15)
    with pytest.raises(ArgumentError, match="memory"):
        additive_compound(sp.eye_array(60), 30)
    with pytest.raises(ArgumentError, match="memory"):
        alpha_compound(np.eye(20), 5.5)
    with pytest.raises(ArgumentError, match="1, 2 or inf"):
        compound_log_norm(np.eye(3), 1, norm=3)
    with pytest.raises(ArgumentError, match="size 2"):
        compound_log_norm(np.eye(3), 1, norm=Norm(1, [1.0, 2.0]))
