"""Slow, obvious twins of what dynet.implicit does."""

from fractions import Fraction

import numpy as np


def picard(net, U, steps=4000):
    """States by the averaged iteration with its safe step, in extended precision."""
    A, B, b = (np.asarray(getattr(net, k), np.longdouble) for k in "ABb")
    alpha = 1 / (1 - np.minimum(np.diag(A), 0).min() * max(net.activation.slopes))
    x = np.zeros((len(U), net.n), np.longdouble)
    phi = net.activation.function
    for _ in range(steps):
        x += alpha * (phi(x @ A.T + U @ B.T + b, net.activation.parameter) - x)
    return x


def exact_relu(A, v):
    """The state of a ReLU network in rationals, by trying all sets of active units: A and v lists of Fraction."""
    n = len(v)
    for mask in range(2**n):
        active = [i for i in range(n) if mask >> i & 1]
        M = [[(i == j) - A[i][j] for j in active] for i in active]
        y = solve_exact(M, [v[i] for i in active])
        if y is None:
            continue
        x = [Fraction(0)] * n
        for i, value in zip(active, y, strict=True):
            x[i] = value
        z = [sum(A[i][j] * x[j] for j in range(n)) + v[i] for i in range(n)]
        if all(max(z[i], 0) == x[i] for i in range(n)):
            return x
    raise AssertionError("a well-posed network has a state")


def solve_exact(M, right):
    """Gauss-Jordan elimination in rationals, None for a singular matrix."""
    n = len(right)
    rows = [list(row) + [value] for row, value in zip(M, right, strict=True)]
    for k in range(n):
        pivot = next((r for r in range(k, n) if rows[r][k] != 0), None)
        if pivot is None:
            return None
        rows[k], rows[pivot] = rows[pivot], rows[k]
        for r in range(n):
            if r != k and rows[r][k] != 0:
                factor = rows[r][k] / rows[k][k]
                rows[r] = [a - factor * b for a, b in zip(rows[r], rows[k], strict=True)]
    return [rows[k][n] / rows[k][k] for k in range(n)]


def rational(matrix):
    return [[Fraction(float(entry)) for entry in row] for row in np.atleast_2d(matrix)]


def exact_mu(A, weights):
    """The weighted log norm in rationals."""
    A, eta = rational(A), [Fraction(float(w)) for w in weights]
    return max(row[i] + sum(abs(a) * eta[j] / eta[i] for j, a in enumerate(row) if j != i) for i, row in enumerate(A))


def dense_gradients(net, U, x, dY):
    """The implicit function theorem, written down: gradients of A, B, b, C, d, U."""
    A, B, C = net.A, net.B, net.C
    z = x @ A.T + U @ B.T + net.b
    nu = np.zeros_like(x)
    for r in range(len(U)):
        D = np.diag(net.activation.slope(z[r]))
        nu[r] = D @ np.linalg.solve(np.eye(net.n) - A.T @ D, C.T @ dY[r])
    return {"A": nu.T @ x, "B": nu.T @ U, "b": nu.sum(0), "C": dY.T @ x, "d": dY.sum(0), "U": nu @ B}


def embedding(net, lo, hi, steps=3000):
    """Bounds on the states by the mixed-monotone embedding, as it is written in the paper."""
    A = net.A
    upper = np.where((A > 0) | np.eye(net.n, dtype=bool), A, 0)
    lower = A - upper
    Bp, Bm = np.maximum(net.B, 0), np.minimum(net.B, 0)
    low = np.zeros((len(lo), net.n))
    high = low.copy()
    alpha = 1 / (1 - np.minimum(np.diag(A), 0).min() * max(net.activation.slopes))
    for _ in range(steps):
        z_low = low @ upper.T + high @ lower.T + lo @ Bp.T + hi @ Bm.T + net.b
        z_high = high @ upper.T + low @ lower.T + hi @ Bp.T + lo @ Bm.T + net.b
        low, high = low + alpha * (net.activation(z_low) - low), high + alpha * (net.activation(z_high) - high)
    return low, high
