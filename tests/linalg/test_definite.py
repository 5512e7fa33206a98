"""Proven bounds on eigenvalues and l2 log norms against exact elimination; singular matrices are never called definite."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from dynet.errors import ArgumentError
from dynet.linalg import Norm, definite
from dynet.linalg.definite import (
    Dominance,
    Factors,
    least_eigenvalue_bound,
    least_quadratic_bound,
    quadratic_bound_holds,
)
from dynet.linalg.rigorous import is_positive_definite_exact


def fractions(S):
    return [[Fraction(float(x)) for x in row] for row in S]


def positive(S, shift):
    """Whether S - shift I is positive definite, exactly."""
    rows, shift = fractions(S), Fraction(float(shift))
    return is_positive_definite_exact([[x - shift * (i == j) for j, x in enumerate(r)] for i, r in enumerate(rows)])


def symmetric(random, n, density=0.5, whole=False):
    A = random.integers(-3, 4, (n, n)).astype(float) if whole else random.normal(size=(n, n))
    A = np.triu(A * (random.random((n, n)) < density))
    return A + np.triu(A, 1).T


@settings(max_examples=120)
@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.booleans(), st.sampled_from(["dominance", "factors", "auto"]))
def test_bounds_are_below_the_least_eigenvalue(seed, n, whole, method):
    random = np.random.default_rng(seed)
    S = symmetric(random, n, whole=whole)
    bound, witness = least_eigenvalue_bound(sp.csr_array(S), method)
    least, size = np.linalg.eigvalsh(S)[0], np.abs(S).sum(axis=1).max()
    assert bound <= least + 1e-12 * (1 + size) and witness.bound(S) == bound
    assert positive(S, bound - 2.0**-40 * (1 + size))
    if method == "dominance":
        exact = witness.bound(S, exact=True)
        assert Fraction(bound) <= exact <= Fraction(bound) + Fraction(1e-12) * Fraction(1 + size)
        comparison = np.diag(np.diag(S)) - np.abs(S - np.diag(np.diag(S)))
        assert bound >= np.linalg.eigvalsh(comparison)[0] - 1e-4 * (1 + size)
    if method == "factors":
        assert bound >= least - 1e-10 * (1 + size)


def singular(random, n):
    """An integer matrix of rank below n: a Gram matrix, or a Laplacian with signs, or a block of either."""
    if random.random() < 0.5:
        root = random.integers(-3, 4, (n, n - 1)).astype(float)
        return root @ root.T
    W = np.triu(random.integers(0, 4, (n, n)).astype(float), 1)
    W = W + W.T
    d = np.where(random.random(n) < 0.5, -1.0, 1.0)
    return d[:, None] * (np.diag(W.sum(axis=1)) - W) * d


def eliminated(S):
    """Factors without pivoting, in floating point."""
    S, n = S.copy(), len(S)
    L = np.eye(n)
    with np.errstate(all="ignore"):
        for k in range(n):
            L[k + 1 :, k] = S[k + 1 :, k] / S[k, k]
            S[k + 1 :, k + 1 :] -= np.outer(L[k + 1 :, k], S[k, k + 1 :])
    return L, np.diagonal(S)


@pytest.mark.parametrize("count", [600, pytest.param(10_000, marks=pytest.mark.slow)])
def test_exactly_singular_matrices_are_always_refused(count):
    random = np.random.default_rng(count)
    naive = 0
    for k in range(count):
        S = singular(random, 2 + k % 9)
        naive += bool(np.linalg.eigvalsh(S)[0] > 0)
        for shift in (0.0, -1e-15, 1e-14):  # factors at hand-made shifts, too
            L, D = eliminated(S - shift * np.eye(len(S)))
            if np.all(D != 0) and np.isfinite(L).all():
                assert Factors(np.arange(len(S)), sp.csr_array(L), np.abs(D), shift).bound(S) <= 0
        v = random.uniform(0.1, 1, len(S)) if k % 2 else np.ones(len(S))
        assert Dominance(v).bound(S) <= 0
        if k % 5 == 0:
            bound, witness = least_eigenvalue_bound(sp.csr_array(S))
            assert bound <= 0 and witness.bound(S) <= 0
    assert naive > count / 6  # what the plain test would have accepted


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_rounding_is_covered_by_the_bounds_on_it(seed, n):
    random = np.random.default_rng(seed)
    S = symmetric(random, n, 0.8) + 4 * np.eye(n)
    shift = float(random.normal() / 10)
    L, D = eliminated(S - shift * np.eye(n))
    if seed % 2:  # a matrix that is the product as computed: all of its residual is hidden by rounding
        L, D, shift = np.tril(random.normal(size=(n, n)), -1) * 3 + np.eye(n), 2.0 ** random.integers(-2, 2, n), 0.0
        S = ((sp.csr_array(L) * D[None, :]) @ sp.csr_array(L).T).toarray()
    if np.all(D > 0) and np.array_equal(S, S.T):
        bound = Factors(np.arange(n), sp.csr_array(L), D, shift).bound(S)
        low, d, s = fractions(L), [Fraction(float(x)) for x in D], fractions(S)
        product = [[sum(low[i][k] * d[k] * low[j][k] for k in range(n)) for j in range(n)] for i in range(n)]
        shifted = [[s[i][j] - Fraction(shift) * (i == j) for j in range(n)] for i in range(n)]
        rows = [sum(abs(x - y) for x, y in zip(*pair, strict=True)) for pair in zip(shifted, product, strict=True)]
        assert Fraction(shift) - Fraction(1e-9) < Fraction(bound) <= Fraction(shift) - max(rows)
    J, b = random.normal(size=(n, n)), float(random.normal())
    Q, error = definite._form(S, J, b)
    p, j = fractions(S), fractions(J)
    PJ = [[sum(p[i][k] * j[k][m] for k in range(n)) for m in range(n)] for i in range(n)]
    rows = [sum(abs(Fraction(b) * p[i][m] - (PJ[i][m] + PJ[m][i]) / 2 - Fraction(float(Q[i, m]))) for m in range(n))
            for i in range(n)]  # fmt: skip
    assert max(rows) <= Fraction(float(error)) < 1e-11


def test_laplacians_of_grids_are_bounded_tightly():
    m = 30
    line = sp.diags_array([-np.ones(m - 1), np.full(m, 2.0), -np.ones(m - 1)], offsets=[-1, 0, 1])
    S = sp.csr_array(sp.kron(line, sp.eye_array(m)) + sp.kron(sp.eye_array(m), line))
    exact = 4 * (1 - np.cos(np.pi / (m + 1)))
    for method, gap in (("dominance", 1e-9), ("factors", 1e-11)):
        bound, witness = least_eigenvalue_bound(S, method)
        assert exact - gap < bound <= exact and witness.bound(S) == bound
    flipped = S.copy()
    flipped.data = np.where(flipped.data < 0, -flipped.data, flipped.data)  # the same spectrum: the grid is bipartite
    assert abs(least_eigenvalue_bound(flipped)[0] - exact) < 1e-9
    triangles = sp.csr_array(S @ S)  # entries of both signs: dominance says nothing here
    assert least_eigenvalue_bound(triangles, "dominance")[0] < 0
    bound, witness = least_eigenvalue_bound(triangles)
    assert isinstance(witness, Factors) and exact**2 - 1e-10 < bound <= exact**2


def test_a_changed_witness_proves_less_or_nothing():
    S = sp.csr_array(symmetric(np.random.default_rng(1), 30, 0.2) + 8 * np.eye(30))
    bound, witness = least_eigenvalue_bound(S, "factors")
    assert bound > 0
    changed = witness.L.copy()
    changed.data[5] += 0.5
    for bad in (
        replace(witness, L=changed),
        replace(witness, D=witness.D * 1.1),
        replace(witness, D=-witness.D),
        replace(witness, D=witness.D[:-1]),
        replace(witness, shift=witness.shift + 0.1),
        replace(witness, shift=np.nan),
        replace(witness, order=np.roll(witness.order, 1)),
        replace(witness, order=np.zeros(30, int)),
        replace(witness, L=changed * np.inf),
    ):
        with np.errstate(invalid="ignore"):
            assert bad.bound(S) < bound
    assert replace(witness, D=-witness.D).bound(S) == -np.inf
    for v in (np.zeros(30), -np.ones(30), np.ones(29), np.full(30, np.nan), np.full(30, 1e-200)):
        assert Dominance(v).bound(S) == -np.inf
    with pytest.raises(ArgumentError, match="symmetric"):
        witness.bound(sp.csr_array(np.triu(np.ones((30, 30)))))
    with pytest.raises(ArgumentError, match="dominance"):
        least_eigenvalue_bound(S, "dominanse")
    with pytest.raises(ArgumentError, match="symmetric|finite"):
        least_eigenvalue_bound(sp.csr_array(np.array([[np.inf]])))


@settings(max_examples=80)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(-48, -2))
def test_quadratic_bounds_are_sound_and_sharp(seed, n, exponent):
    random = np.random.default_rng(seed)
    root = random.integers(-3, 4, (n, n)).astype(float)
    P, J = root @ root.T + np.eye(n), random.integers(-4, 5, (n, n)).astype(float)
    b = round(float(Norm(2, P).log(J))) + 2.0**exponent
    exact = quadratic_bound_holds(P, J, b, exact=True)
    assert exact or not quadratic_bound_holds(P, J, b)
    proven = least_quadratic_bound(P, [J, -J])
    assert quadratic_bound_holds(P, J, proven, exact=True) and quadratic_bound_holds(P, -J, proven, exact=True)
    wanted = max(Norm(2, P).log(J), Norm(2, P).log(-J))
    assert wanted - 1e-10 <= proven <= wanted + 1e-9


def test_borderline_quadratic_claims_are_refused():
    random = np.random.default_rng(2)
    for _ in range(500):  # J skew or -(skew) - c I in integers: the log norm is exactly -c
        n, c = int(random.integers(2, 9)), float(random.integers(-3, 4))
        K = np.triu(random.integers(-3, 4, (n, n)).astype(float), 1)
        J = K - K.T - c * np.eye(n)
        assert not quadratic_bound_holds(np.eye(n), J, -c) and quadratic_bound_holds(np.eye(n), J, -c + 1e-9)
    assert not quadratic_bound_holds(np.array([[1.0, 1.0], [1.0, 1.0]]), -np.eye(2), 0.0)
    assert not quadratic_bound_holds(np.array([[1.0, 0.5], [0.0, 1.0]]), -np.eye(2), 0.0)
    assert not quadratic_bound_holds(np.eye(2), np.array([[np.nan, 0.0], [0.0, -1.0]]), 0.0)
    assert not quadratic_bound_holds(np.eye(2), np.eye(3), 5.0) and not quadratic_bound_holds(
        np.eye(2), -np.eye(2), np.inf
    )
    assert least_quadratic_bound(-np.eye(2), [np.eye(2)]) == np.inf
    assert not quadratic_bound_holds(np.array([[1.0, 0.5], [0.0, 1.0]]), -np.eye(2), 0.0, exact=True)
