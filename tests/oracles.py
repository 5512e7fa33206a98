"""Naive twins: slow, obvious implementations that the tests compare with. Nothing here imports dynet."""

import itertools
from fractions import Fraction

import numpy as np
from scipy.optimize import linprog


def log_norm_by_limit(A, length, h=1e-7, samples=None):
    """(||I + hA|| - 1)/h for a norm that is given by the extreme points `samples` of its unit ball (columns)."""
    n = len(A)
    moved = (np.eye(n) + h * A) @ samples
    return (max(length(column) for column in moved.T) - 1) / h


def unit_ball_corners(p, eta):
    """The extreme points of the weighted l1 or l-inf unit ball, as columns."""
    n = len(eta)
    if p == 1:
        return np.hstack([np.diag(1 / eta), -np.diag(1 / eta)])
    return np.array(list(itertools.product([-1.0, 1.0], repeat=n))).T * eta[:, None]


def weighted_length(x, p, eta):
    return (
        sum(e * abs(v) for e, v in zip(eta, x, strict=True))
        if p == 1
        else max(abs(v) / e for e, v in zip(eta, x, strict=True))
    )


def log_norm(A, p, eta):
    """Row by row (or column by column), with Python loops."""
    n = len(A)
    values = []
    for i in range(n):
        if p == 1:
            values.append(A[i][i] + sum(eta[k] * abs(A[k][i]) / eta[i] for k in range(n) if k != i))
        else:
            values.append(A[i][i] + sum(abs(A[i][k]) * eta[k] / eta[i] for k in range(n) if k != i))
    return max(values)


def slope_corners(lo, hi):
    """All vertices of the box of slopes."""
    return itertools.product(*zip(lo, hi, strict=True))


def max_log_norm(E, F, G, lo, hi, p, eta):
    """The largest log norm of E + F [d] G over the vertices of the slopes, by enumeration."""
    return max(log_norm(E + F @ np.diag(d) @ G, p, eta) for d in slope_corners(lo, hi))


def max_log_norm_exact(E, F, G, lo, hi, p, eta):
    """The same in rational arithmetic."""
    E, F, G = ([[Fraction(float(v)) for v in row] for row in M] for M in (E, F, G))
    eta = [Fraction(float(v)) for v in eta]
    n, m = len(E), len(G)
    best = None
    for corner in slope_corners([Fraction(float(v)) for v in lo], [Fraction(float(v)) for v in hi]):
        J = [[E[i][j] + sum(F[i][k] * corner[k] * G[k][j] for k in range(m)) for j in range(n)] for i in range(n)]
        value = log_norm(J, p, eta)
        best = value if best is None else max(best, value)
    return best


def max_log_norm_two(E, F, G, lo, hi, P):
    """The largest log norm in l2 with matrix P over the vertices of the slopes."""
    L = np.linalg.cholesky(P)
    worst = -np.inf
    for d in slope_corners(lo, hi):
        J = L.T @ (E + F @ np.diag(d) @ G) @ np.linalg.inv(L.T)
        worst = max(worst, np.linalg.eigvalsh((J + J.T) / 2)[-1])
    return worst


def majorant(A):
    return np.where(np.eye(len(A), dtype=bool), A, np.abs(A))


def abscissa(A):
    return max(np.linalg.eigvals(A).real)


def optimal_value_by_lp(matrices, tol=1e-9):
    """Least b such that some eta >= 1 has M eta <= b eta for all Metzler matrices M: bisection with a linear program."""
    n = len(matrices[0])
    low = max(np.diagonal(M).max() for M in matrices) - 1
    high = max((majorant(M).sum(axis=1)).max() for M in matrices)
    while high - low > tol:
        b = (low + high) / 2
        rows = np.vstack([M - b * np.eye(n) for M in matrices])
        found = linprog(np.zeros(n), A_ub=rows, b_ub=np.zeros(len(rows)), bounds=[(1, 1e6)] * n, method="highs")
        low, high = (low, b) if found.status == 0 else (b, high)
    return high


def optimal_value_by_choice(first, second):
    """The largest spectral abscissa over all 2^n choices of rows from two Metzler matrices."""
    n = len(first)
    rows = np.array(list(itertools.product([False, True], repeat=n)))
    return max(abscissa(np.where(choice[:, None], second, first)) for choice in rows)
