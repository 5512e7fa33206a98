"""Properties of log norms (Strom 1975; arXiv:2103.12263), weak pairings and dual norms."""

import math

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from dynet.errors import ArgumentError
from dynet.linalg import Norm, log_norm, metzler_majorant, spectral_abscissa
from tests import oracles

ATOL = 1e-9


@st.composite
def cases(draw, orders=(1, 2, math.inf), coordinates=False):
    """A norm with or without weights, and a generator for matrices and vectors of its size."""
    n = draw(st.integers(1, 5))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    p = draw(st.sampled_from(orders))
    kind = draw(st.sampled_from(["plain", "vector", "matrix"] if p == 2 else ["plain", "vector"]))
    weights = R = None
    if coordinates and draw(st.booleans()):
        R = np.linalg.qr(random.normal(size=(n, n)))[0] * random.uniform(0.4, 2.0, n)
    if kind == "vector" and p in (1, 2, math.inf):
        weights = random.uniform(0.2, 5.0, n)
    elif kind == "matrix":
        root = random.normal(size=(n, n))
        weights = root @ root.T + np.eye(n)
        weights = (weights + weights.T) / 2
    return Norm(p, weights, R), random, n


@settings(max_examples=100)
@given(cases(coordinates=True))
def test_the_list_of_properties(case):
    norm, random, n = case
    A, B = random.normal(size=(2, n, n)) * 3
    mu, b = norm.log(A), random.normal()
    eye = np.eye(n)
    assert norm.log(A + B) <= mu + norm.log(B) + ATOL
    assert np.isclose(norm.log(abs(b) * A), abs(b) * mu, atol=ATOL)
    assert np.isclose(norm.log(A + b * eye), mu + b, atol=ATOL)
    assert norm.log(0.3 * A + 0.7 * B) <= 0.3 * mu + 0.7 * norm.log(B) + ATOL
    assert abs(mu - norm.log(B)) <= norm.induced(A - B) + ATOL
    real = np.linalg.eigvals(A).real
    assert -norm.induced(A) - ATOL <= -norm.log(-A) <= real.min() + ATOL
    assert real.max() - ATOL <= mu <= norm.induced(A) + ATOL
    t = random.uniform(0, 2)
    assert norm.induced(scipy.linalg.expm(A * t)) <= np.exp(mu * t) * (1 + 1e-9)
    x = random.normal(size=n)
    assert norm.length(A @ x) >= max(-mu, -norm.log(-A)) * norm.length(x) - ATOL
    stable = A - (mu + 1) * eye
    assert norm.induced(np.linalg.inv(stable)) <= 1 / -norm.log(stable) + ATOL
    assert np.isclose(mu, norm.dual().log(A.T), atol=ATOL)
    assert np.isclose(norm.induced(A), norm.dual().induced(A.T), atol=ATOL)


@settings(max_examples=80)
@given(cases(orders=(1, 2, math.inf, 1.5, 4.0), coordinates=True))
def test_lumer_quotients_stay_below_the_log_norm_and_reach_it(case):
    norm, random, n = case
    A = random.normal(size=(n, n))
    x = random.normal(size=(400, n))
    quotients = norm.pairing(x @ A.T, x) / norm.length(x) ** 2
    assert quotients.max() <= norm.log(A) + ATOL
    assert np.allclose(norm.pairing(x, x), norm.length(x) ** 2)
    assert np.allclose(norm.pairing(-x, x), -norm.pairing(x, x))
    y, c = random.normal(size=(400, n)), random.normal()
    assert np.allclose(norm.pairing(x + c * y, y), norm.pairing(x, y) + c * norm.length(y) ** 2)
    assert np.all(norm.pairing(x, y) <= norm.length(x) * norm.length(y) + ATOL)
    assert np.all(
        norm.pairing(x + A[0], y) <= norm.pairing(x, y) + norm.pairing(np.broadcast_to(A[0], x.shape), y) + ATOL
    )


@settings(max_examples=40)
@given(cases(orders=(1, math.inf)))
def test_closed_forms_agree_with_the_limit_that_defines_them(case):
    norm, random, n = case
    A = random.normal(size=(n, n))
    eta = np.ones(n) if norm.weights is None else norm.weights
    corners = oracles.unit_ball_corners(norm.p, eta)
    limit = oracles.log_norm_by_limit(A, lambda x: oracles.weighted_length(x, norm.p, eta), samples=corners)
    assert np.isclose(norm.log(A), limit, atol=1e-5)
    assert np.isclose(norm.log(A), oracles.log_norm(A, norm.p, eta), atol=ATOL)
    assert np.isclose(norm.log(sp.csr_array(A)), norm.log(A), atol=ATOL)
    assert np.isclose(norm.induced(sp.csr_array(A)), norm.induced(A), atol=ATOL)


@settings(max_examples=50)
@given(cases())
def test_monotone_norms_and_principal_submatrices(case):
    norm, random, n = case
    if norm.weights is not None and norm.weights.ndim == 2:
        return
    A = random.normal(size=(n, n))
    M = metzler_majorant(A)
    assert norm.log(A) <= norm.log(M) + ATOL
    if norm.p != 2:
        assert np.isclose(norm.log(A), norm.log(M))
    assert norm.log(M) <= norm.log(M + np.abs(random.normal(size=(n, n)))) + ATOL
    part = np.flatnonzero(random.random(n) < 0.6)
    if part.size:
        small = Norm(norm.p, None if norm.weights is None else norm.weights[part])
        assert small.log(A[np.ix_(part, part)]) <= norm.log(A) + ATOL


def test_batches_are_evaluated_matrix_by_matrix():
    random = np.random.default_rng(0)
    A = random.normal(size=(3, 4, 4))
    for norm in (Norm(1, [1, 2, 3, 4]), Norm(2), Norm(2, np.eye(4) + 0.1), Norm("inf"), Norm(3)):
        assert np.allclose(norm.log(A), [norm.log(a) for a in A])
        assert np.allclose(norm.induced(A), [norm.induced(a) for a in A])


def test_worked_numbers():
    A = np.array([[-1.0, 0.5], [-0.75, 0.25]])
    assert log_norm(A, 1) == 0.75 and log_norm(A, "inf") == 1.0
    assert round(float(log_norm(A, 2)), 6) == 0.262377
    assert np.isclose(spectral_abscissa(metzler_majorant(A)), 0.5)
    assert log_norm(A, "inf", [1, 3]) == 0.5


def test_other_orders_are_bounded_soundly():
    random = np.random.default_rng(1)
    for p in (1.5, 3.0, 7.0):
        norm = Norm(p)
        for _ in range(30):
            A = random.normal(size=(4, 4))
            x = random.normal(size=(500, 4))
            quotient = (norm.length(x + 1e-7 * x @ A.T) / norm.length(x) - 1) / 1e-7
            assert quotient.max() <= norm.log(A) + 1e-5
            assert (norm.length(x @ A.T) / norm.length(x)).max() <= norm.induced(A) + ATOL


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((0.5,), "p="),
        (("two",), "p="),
        ((1, [1.0, 0.0]), r"weights\[1\]"),
        ((math.inf, [1.0, -2.0]), r"weights\[1\]"),
        ((1, [1.0, np.nan]), r"weights\[1\]"),
        ((1, np.eye(2)), "vector"),
        ((2, [[1.0, 2.0], [0.0, 1.0]]), "symmetric"),
        ((2, [[1.0, 2.0], [2.0, 1.0]]), "positive definite"),
        ((3, [1.0, 1.0]), "weights"),
        ((1, None, [[1.0, 2.0], [2.0, 4.0]]), "rank 1"),
        ((1, None, [[1.0], [2.0]]), "at most as many rows"),
        ((1, None, [[np.nan, 1.0]]), "finite"),
        ((1, None, "rows"), "R="),
        ((1, [1.0, 1.0], [[1.0, 1.0]]), "one for each row of R"),
    ],
)
def test_bad_norms_are_refused(arguments, word):
    with pytest.raises(ArgumentError, match=word):
        Norm(*arguments)


def test_wrong_shapes_are_refused():
    with pytest.raises(ArgumentError, match="square"):
        Norm(1).log(np.ones((2, 3)))
    with pytest.raises(ArgumentError, match="size 2"):
        Norm(1, [1.0, 2.0]).log(np.ones((3, 3)))
    with pytest.raises(ArgumentError, match="last axis of 2"):
        Norm(1, [1.0, 2.0]).length(np.ones(3))


def test_norms_compare_and_hash_by_value():
    assert Norm(1, [1, 2]) == Norm("1", [1.0, 2.0]) and hash(Norm(1, [1, 2])) == hash(Norm(1, [1.0, 2.0]))
    assert Norm(1) != Norm(2) and Norm(1) != Norm(1, [1.0])
    with pytest.raises(AttributeError):
        Norm(1).p = 2


@st.composite
def seminorms(draw):
    """A seminorm, and a matrix that keeps its kernel."""
    n = draw(st.integers(2, 5))
    r = draw(st.integers(1, n - 1))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    p = draw(st.sampled_from([1, 2, math.inf]))
    R = random.normal(size=(r, n))
    weights = random.uniform(0.3, 3.0, r) if draw(st.booleans()) else None
    kernel = scipy.linalg.null_space(R)
    A = random.normal(size=(n, n))
    A = A - np.linalg.pinv(R) @ R @ A @ kernel @ kernel.T
    return Norm(p, weights, R), A, kernel, random


@settings(max_examples=60)
@given(seminorms())
def test_log_seminorms_bound_growth_modulo_the_kernel_and_refuse_what_moves_it(case):
    norm, A, kernel, random = case
    x = random.normal(size=(300, norm.n))
    assert np.allclose(norm.length(kernel.T), 0) and np.allclose(norm.length(x + kernel[:, 0]), norm.length(x))
    mu = norm.log(A)
    assert np.isclose(mu, norm.log(sp.csr_array(A))) and np.isclose(norm.log(np.stack([A, A]))[1], mu)
    assert np.all(norm.length(x @ scipy.linalg.expm(A).T) <= np.exp(mu) * norm.length(x) * (1 + 1e-9))
    assert (norm.pairing(x @ A.T, x) / norm.length(x) ** 2).max() <= mu + 1e-8
    assert np.all(norm.length(x @ A.T) <= norm.induced(A) * norm.length(x) * (1 + 1e-9))
    across = np.linalg.eigvals(norm.conjugate(A)).real.max()
    assert across <= mu + 1e-8
    if norm.p == 2 and norm.weights is None:  # the linear matrix inequality on the range of R
        W = norm.R.T @ norm.R
        assert np.linalg.eigvalsh(2 * mu * W - A.T @ W - W @ A).min() >= -1e-8 * (1 + abs(mu))
    moving = A + 1e-3 * np.outer(norm.R[0], kernel[:, 0])
    for bad in (moving, sp.csr_array(moving)):
        with pytest.raises(ArgumentError, match="moves the kernel"):
            norm.log(bad)
    with pytest.raises(ArgumentError, match="no dual"):
        norm.dual()


def test_norms_in_other_coordinates_agree_with_the_conjugated_matrix():
    random = np.random.default_rng(5)
    T, A = random.normal(size=(2, 4, 4)) + 2 * np.eye(4)
    for p in (1, 2, math.inf, 3):
        assert np.isclose(Norm(p, R=T).log(A), Norm(p).log(T @ A @ np.linalg.inv(T)))
    assert np.isclose(Norm(2, R=T).log(A), Norm(2, T.T @ T).log(A))
    assert np.isclose(Norm("inf", R=np.diag([1, 2, 3, 4.0])).log(A), Norm("inf", 1 / np.array([1, 2, 3, 4.0])).log(A))
    assert Norm(1, R=T) == Norm(1, R=T) != Norm(1) and hash(Norm(1, R=T)) == hash(Norm(1, R=T))


def test_large_sparse_matrices_are_bounded_in_l2_too(monkeypatch):
    random = np.random.default_rng(7)
    A = sp.csr_array(sp.random_array((60, 60), density=0.08, rng=random) - 0.04 * sp.eye_array(60))
    A.data = A.data - 0.5
    eta = random.uniform(0.5, 2.0, 60)
    for norm in (Norm(2), Norm(2, eta)):
        wanted = norm.log(A), norm.induced(A)
        with monkeypatch.context() as patch:
            patch.setattr("dynet.linalg.norms._DENSE", 10)
            found = norm.log(A), norm.induced(A)
        assert np.allclose(found, wanted) and found[0] >= wanted[0] - 1e-13 and found[1] >= wanted[1] - 1e-13
    m = 60
    line = sp.diags_array([np.ones(m - 1), np.full(m, -2.0), np.ones(m - 1)], offsets=[-1, 0, 1])
    grid = sp.csr_array(sp.kron(line, sp.eye_array(m)) + sp.kron(sp.eye_array(m), line))
    exact = -4 * (1 - np.cos(np.pi / (m + 1)))
    assert exact <= Norm(2).log(grid) <= exact + 1e-9


def test_ties_are_exact_unless_asked_otherwise():
    x, y = [1.0, 5.0], [2.0, 1.9]
    assert Norm("inf").pairing(x, y) == 2.0 and Norm("inf").pairing(x, y, atol=0.09) == 2.0
    assert Norm("inf").pairing(x, y, atol=0.11) == 9.5
    assert Norm(1).pairing([1.0, 5.0], [1.0, 1e-9]) == (1 + 1e-9) * 6
    assert Norm(1).pairing([1.0, 5.0], [1.0, 1e-9], atol=1e-8) == 1 + 1e-9
    with pytest.raises(ArgumentError, match="atol"):
        Norm(1).pairing(x, y, atol=-1.0)
