"""The range seminorm and its dual against sign patterns and trajectories; ergodic coefficients against loops."""

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from dynet.errors import ArgumentError
from dynet.linalg import Norm, RangeSeminorm, ergodic_coefficient
from dynet.linalg import pairs as pairs_module
from tests.linalg import oracles


@st.composite
def equal_row_sums(draw, largest=6):
    n = draw(st.integers(2, largest))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    A = random.normal(size=(n, n)) * (random.random((n, n)) < draw(st.sampled_from([0.2, 0.5, 1.0])))
    if draw(st.booleans()):
        A = np.round(A)  # many ties
    np.fill_diagonal(A, 0.0)
    np.fill_diagonal(A, draw(st.sampled_from([0.0, -1.5])) - A.sum(axis=1))
    return A, random


@settings(max_examples=80)
@given(equal_row_sums())
def test_dobrushin_agrees_with_sign_patterns_dense_sparse_and_dual(case):
    A, random = case
    norm = RangeSeminorm()
    exact = oracles.range_log_norm(A)
    assert np.isclose(norm.log(A), exact, atol=1e-12)
    assert np.isclose(norm.log(sp.csr_array(A)), exact, atol=1e-12)
    assert np.isclose(norm.dual().log(A.T), exact, atol=1e-12)
    assert np.isclose(norm.dual().log(sp.csc_array(A.T)), exact, atol=1e-12)
    x = random.normal(size=(200, len(A)))
    assert np.all(norm.length(x @ A.T) <= norm.induced(A) * norm.length(x) + 1e-9)
    quotients = norm.pairing(x @ A.T, x) / norm.length(x) ** 2
    assert quotients.max() <= exact + 1e-9
    assert np.all(norm.length(x @ scipy.linalg.expm(A).T) <= np.exp(exact) * norm.length(x) * (1 + 1e-9))
    y = x - x.mean(axis=1, keepdims=True)
    assert np.all(norm.dual().length(y @ A) <= norm.induced(A) * norm.dual().length(y) + 1e-9)
    assert (norm.dual().pairing(y @ A, y) / norm.dual().length(y) ** 2).max() <= exact + 1e-9
    assert np.all(np.abs((x * y).sum(axis=1)) <= norm.length(x) * norm.dual().length(y) + 1e-9)


@settings(max_examples=60)
@given(equal_row_sums(), st.sampled_from([3, 2**22]))
def test_ergodic_coefficients_agree_with_loops_and_laplacians(case, at_once):
    W = np.abs(case[0])
    before, pairs_module._AT_ONCE = pairs_module._AT_ONCE, at_once  # small: the sum is cut into many pieces
    try:
        sparse = ergodic_coefficient(sp.csr_array(W))
    finally:
        pairs_module._AT_ONCE = before
    exact = oracles.ergodic_coefficient(W)
    assert np.isclose(ergodic_coefficient(W), exact, atol=1e-12) and np.isclose(sparse, exact, atol=1e-12)
    assert np.isclose(RangeSeminorm().log(-oracles.laplacian(W)), -exact, atol=1e-12)


def test_the_range_seminorm_is_the_seminorm_of_all_differences_for_three_states():
    differences = Norm("inf", R=[[1.0, -1.0, 0.0], [0.0, 1.0, -1.0]])
    A = -oracles.laplacian(np.array([[0.0, 1, 2], [3, 0, 1], [1, 1, 0]]))
    assert RangeSeminorm().log(A) <= differences.log(A)  # fewer differences: another norm on the same quotient
    assert np.linalg.eigvals(differences.conjugate(A)).real.max() <= RangeSeminorm().log(A) + 1e-12


def test_worked_number_batches_and_large_networks():
    W = np.array([[0.0, 1, 0], [0.5, 0, 0.5], [0, 1, 0]])
    assert ergodic_coefficient(W) == 1.0
    stack = np.array([-oracles.laplacian(W), -oracles.laplacian(2 * W)])
    assert np.allclose(RangeSeminorm().log(stack), [-1, -2]) and np.allclose(RangeSeminorm().induced(stack[0]), 2.0)
    random = np.random.default_rng(0)
    large = sp.random_array((300, 300), density=2e-2, rng=random, format="csr")
    for row in (7, 9):  # all listen to both
        large = large + sp.csr_array((np.full(300, 0.25), (np.arange(300), np.full(300, row))), shape=(300, 300))
    assert np.isclose(ergodic_coefficient(sp.csr_array(large)), ergodic_coefficient(large.toarray()))
    assert ergodic_coefficient(sp.csr_array((5, 5))) == 0.0


def test_ties_of_the_pairing_are_exact_unless_asked_otherwise():
    norm = RangeSeminorm()
    assert norm.pairing([1.0, 5.0, 0.0], [2.0, 1.9, 0.0]) == 1.0 * 0.5
    assert norm.pairing([1.0, 5.0, 0.0], [2.0, 1.9, 0.0], atol=0.2) == 1.0 * 2.5
    assert norm.pairing([1.0, 2.0], [3.0, 3.0]) == 0.0


def test_what_moves_the_kernel_has_no_log_seminorm():
    A = np.array([[1.0, 2.0], [0.0, 1.0]])
    with pytest.raises(ArgumentError, match="row sums differ by 2"):
        RangeSeminorm().log(A)
    with pytest.raises(ArgumentError, match="column sums differ by 2"):
        RangeSeminorm().dual().induced(sp.csr_array(A))
    with pytest.raises(ArgumentError, match="sum 3"):
        RangeSeminorm().dual().length([1.0, 2.0])
    with pytest.raises(ArgumentError, match="size 2 or more"):
        RangeSeminorm().log([[1.0]])
    for bad in ([[0.0, -1.0], [0.0, 0.0]], [[0.0, np.inf], [0.0, 0.0]]):
        with pytest.raises(ArgumentError, match="W="):
            ergodic_coefficient(bad)
    with pytest.raises(AttributeError):
        RangeSeminorm().on_differences = False
    assert RangeSeminorm() == RangeSeminorm().dual().dual() != RangeSeminorm().dual()
