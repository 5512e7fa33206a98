"""Naive twins of the matrix functions: loops over entries, sign patterns, pairs and subsets. Nothing here imports dynet."""

import itertools
import math

import numpy as np


def range_log_norm(A):
    """The log norm of A in the range seminorm: the largest speed at which the spread of an extreme vector grows.

    Extreme vectors of the unit ball modulo constants have entries 1 and -1, and both occur.
    """
    n = len(A)
    best = -math.inf
    for x in itertools.product([1.0, -1.0], repeat=n):
        for i, j in itertools.permutations(range(n), 2):
            if x[i] == 1.0 and x[j] == -1.0:
                best = max(best, sum((A[i][k] - A[j][k]) * x[k] for k in range(n)) / 2)
    return best


def ergodic_coefficient(W):
    n = len(W)
    return min(
        W[i][j] + W[j][i] + sum(min(W[i][k], W[j][k]) for k in range(n) if k not in (i, j))
        for i, j in itertools.combinations(range(n), 2)
    )


def laplacian(W):
    off = W - np.diag(np.diag(W))
    return np.diag(off.sum(axis=1)) - off


def log_norm_by_limit(norm, A, samples, h=1e-7):
    """Largest forward quotient over sample points: a lower bound on the log norm, for any norm."""
    moved = norm.length(samples + h * samples @ A.T) / norm.length(samples)
    return (moved.max() - 1) / h


def minors(A, k):
    """All minors of order k, by cofactors."""
    sets = list(itertools.combinations(range(len(A)), k))
    return np.array([[_determinant([[A[i][j] for j in columns] for i in rows]) for columns in sets] for rows in sets])


def _determinant(A):
    if not A:
        return 1.0
    return sum((-1) ** j * A[0][j] * _determinant([row[:j] + row[j + 1 :] for row in A[1:]]) for j in range(len(A)))


def least_quadratic_norm_of_two_states(family):
    """The least largest log norm over all P = [[1, s], [s, q]], by a grid that is refined around its best point."""
    centre, width, best = np.zeros(2), 6.0, math.inf
    for _ in range(24):
        for u, w in itertools.product(np.linspace(-1, 1, 9), repeat=2):
            x, y = centre + width * np.array([u, w])
            q = math.exp(x)
            s = math.tanh(y) * math.sqrt(q)
            T = np.linalg.cholesky(np.array([[1.0, s], [s, q * (1 + 1e-14)]])).T
            value = max(np.linalg.eigvalsh((M + M.T) / 2)[-1] for M in (T @ J @ np.linalg.inv(T) for J in family))
            if value < best:
                best, found = value, np.array([x, y])
        centre, width = found, width * 0.6
    return best
