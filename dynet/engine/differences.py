"""The inner loops of implicit methods: coloured differences, elimination on a fixed pattern, GMRES, change of step.

Each is a function of arrays that a generated driver inlines. They work on one trajectory: the innermost loops run over
the states.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .block import FASTMATH, flat, window

__all__ = ["between", "eliminate", "gmres", "jacobian", "rescale", "substitute", "weighted"]

_inner = njit(fastmath=FASTMATH, error_model="numpy")
_sums = njit(fastmath=FASTMATH | {"reassoc"}, error_model="numpy")  # sums over the states, vectorised


@_inner
def rescale(D, order, factor, U, work):
    """Backward differences for a step that is `factor` times as long: row i of D becomes sum_j U_ji D_j.

    The interpolation polynomial stays; U is the product of its matrices for both steps (Shampine, Reichelt, section 2.2).
    """
    n = D.shape[1]
    size = order + 1
    R, one = U[:size, :size], U[size : 2 * size, :size]
    for j in range(size):
        R[0, j], one[0, j] = 1.0, 1.0
        for i in range(1, size):
            R[i, j] = R[i - 1, j] * (i - 1 - factor * j) / i
            one[i, j] = one[i - 1, j] * (i - 1 - 1.0 * j) / i
    both = U[2 * size : 3 * size, :size]
    for i in range(size):
        for j in range(size):
            total = 0.0
            for k in range(size):
                total += R[i, k] * one[k, j]
            both[i, j] = total
    for first in range(0, n, 64):  # pieces that stay in the nearest cache
        last = min(n, first + 64)
        for j in range(size):
            new = work[j]
            for q in range(last - first):
                new[q] = 0.0
            for i in range(size):
                weight, old = both[i, j], D[i]
                for q in range(last - first):
                    new[q] += weight * old[first + q]
        for j in range(size):
            new, old = work[j], D[j]
            for q in range(last - first):
                old[first + q] = new[q]


def _basis():
    """Row j: coefficients of the powers of theta in the product of (theta - 1 + m) / (m + 1) over m from 0 to j - 1."""
    table = np.zeros((6, 6))
    table[0, 0] = 1.0
    for j in range(1, 6):
        table[j, 1:] = table[j - 1, :-1] / j
        table[j] += table[j - 1] * (j - 2) / j
    return table


_BASIS = _basis()


@_inner
def between(D, order, h, before, after, slopes):
    """The polynomial through the last states: its ends, and its coefficients of theta, theta^2, ... over h."""
    for i in range(D.shape[1]):
        after[i, 0], before[i, 0] = D[0, i], D[0, i] - D[1, i]
    for power in range(1, 6):
        for i in range(D.shape[1]):
            total = 0.0
            for j in range(power, order + 1):
                total += _BASIS[j, power] * D[j, i]
            slopes[power - 1, i, 0] = total / h


@_sums
def weighted(v, scale):
    """The root mean square of v over scale."""
    total = 0.0
    for i in range(v.size):
        a = v[i] / scale[i]
        total += a * a
    return np.sqrt(total / v.size)


@_inner
def jacobian(rhs, t, h, y, f, p, reals, ints, rows, columns, colours, times, states, work, values, floor, J):
    """Coloured differences: each lane of one call is the state with all components of one colour perturbed."""
    n, wide = states.shape
    for lane in range(wide):
        times[lane] = t
    for i in range(n):
        for lane in range(wide):
            states[i, lane] = y[i]
        size, change = abs(y[i]), abs(h * f[i])
        states[i, colours[i]] = y[i] + max(1.5e-8 * max(size, change), floor)
    rhs(times, states, p, reals, ints, work, values)
    for i in range(n):
        for q in range(rows[i], rows[i + 1]):
            j = columns[q]
            c = colours[j]
            J[q] = (values[i, c] - f[i]) / (states[j, c] - y[j])


@_sums
def gmres(rhs, at, c, y, f, column, p, reals, ints, work, value, b, x, V, H, scale, goal):
    """Solve ``(I - c J) x = b`` to a weighted residual of `goal`, with differences of the right-hand side; True if so."""
    n, m = b.size, V.shape[0] - 1
    for i in range(n):
        x[i] = 0.0
    size = weighted(b, scale)
    if size <= goal:
        return True
    for i in range(n):
        V[0, i] = b[i] / scale[i]
    norm = size * np.sqrt(n)
    for i in range(n):
        V[0, i] /= norm
    g, cosines, sines = H[m + 1], H[m + 2], H[m + 3]
    g[0] = norm
    steps = 0
    for k in range(m):
        # a step along the direction that changes the state by much less than its tolerance scale, not less than rounding
        step, largest = 1e-2, 0.0
        for i in range(n):
            largest = max(largest, abs(V[k, i]))
        step = step / max(largest, 1e-300)
        for i in range(n):
            column[i] = y[i] + step * V[k, i] * scale[i]
        rhs(at, window(column, 0, n, 1), p, reals, ints, work, value)
        new = V[k + 1]
        out = flat(value)
        for i in range(n):
            new[i] = V[k, i] - c * (out[i] - f[i]) / (step * scale[i])
        for j in range(k + 1):
            total = 0.0
            for i in range(n):
                total += new[i] * V[j, i]
            H[j, k] = total
            for i in range(n):
                new[i] -= total * V[j, i]
        total = 0.0
        for i in range(n):
            total += new[i] * new[i]
        total = np.sqrt(total)
        if not total < np.inf:
            return False
        for i in range(n):
            new[i] /= total + 1e-300
        for j in range(k):
            a = cosines[j] * H[j, k] + sines[j] * H[j + 1, k]
            H[j + 1, k] = -sines[j] * H[j, k] + cosines[j] * H[j + 1, k]
            H[j, k] = a
        a = np.sqrt(H[k, k] ** 2 + total**2)
        cosines[k], sines[k] = H[k, k] / a, total / a
        H[k, k] = a
        g[k + 1] = -sines[k] * g[k]
        g[k] = cosines[k] * g[k]
        steps = k + 1
        if abs(g[k + 1]) <= goal * np.sqrt(n):
            break
    for k in range(steps - 1, -1, -1):
        total = g[k]
        for j in range(k + 1, steps):
            total -= H[k, j] * H[m + 4, j]
        H[m + 4, k] = total / H[k, k]
        for i in range(n):
            x[i] += H[m + 4, k] * V[k, i] * scale[i]
    return abs(g[steps]) <= goal * np.sqrt(n)


@_inner
def eliminate(starts, diagonal, places, factors, row):
    """Both factors of the matrix in `factors`, in place; the diagonal of the upper one is stored inverted.

    `row` is scratch of n zeros and is left so.
    """
    for i in range(diagonal.size):
        begin, middle, end = np.uint64(starts[i]), np.uint64(diagonal[i]), np.uint64(starts[i + 1])
        for q in range(begin, end):
            row[np.uint64(places[q])] = factors[q]
        for q in range(begin, middle):
            k = np.uint64(places[q])
            pivot = np.uint64(diagonal[k])
            a = row[k] * factors[pivot]
            row[k] = a
            for r in range(pivot + np.uint64(1), np.uint64(starts[k + np.uint64(1)])):
                row[np.uint64(places[r])] -= a * factors[r]
        for q in range(begin, end):
            j = np.uint64(places[q])
            factors[q] = row[j]
            row[j] = 0.0
        factors[middle] = 1.0 / factors[middle]


@_sums
def substitute(starts, diagonal, places, factors, x):
    """Solve with both factors, in place."""
    n = diagonal.size
    for i in range(n):
        total = 0.0
        for q in range(np.uint64(starts[i]), np.uint64(diagonal[i])):
            total += factors[q] * x[np.uint64(places[q])]
        x[i] -= total
    for i in range(n - 1, -1, -1):
        total = 0.0
        middle = np.uint64(diagonal[i])
        for q in range(middle + np.uint64(1), np.uint64(starts[i + 1])):
            total += factors[q] * x[np.uint64(places[q])]
        x[i] = (x[i] - total) * factors[middle]
