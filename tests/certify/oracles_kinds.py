"""Naive twins of weak, semi- and k-contraction: enumeration of the slopes' vertices in exact arithmetic. No dynet here."""

import itertools
from fractions import Fraction

import numpy as np


def matrices(E, F, G, lo, hi):
    """E + F [d] G in Fractions at every vertex of the slopes, as lists of lists."""
    E, F, G = ([[Fraction(float(v)) for v in row] for row in M] for M in (E, F, G))
    n, m = len(E), len(G)
    for d in itertools.product(*({Fraction(float(a)), Fraction(float(b))} for a, b in zip(lo, hi, strict=True))):
        yield [[E[i][j] + sum(F[i][k] * d[k] * G[k][j] for k in range(m)) for j in range(n)] for i in range(n)]


def times(J, v):
    return [sum(a * Fraction(float(x)) for a, x in zip(row, v, strict=True)) for row in J]


def transposed(J):
    return [list(column) for column in zip(*J, strict=True)]


def is_metzler(J):
    return all(v >= 0 for i, row in enumerate(J) for j, v in enumerate(row) if i != j)


def range_log_seminorm(J, xi):
    """Dobrushin's formula as it stands, of [xi]^-1 J [xi]; None where xi is no eigenvector."""
    n, xi = len(J), [Fraction(float(x)) for x in xi]
    A = [[J[i][j] * xi[j] / xi[i] for j in range(n)] for i in range(n)]
    if len({sum(row) for row in A}) > 1:
        return None
    return max(
        (A[i][i] - A[j][i] + A[j][j] - A[i][j] + sum(abs(A[i][k] - A[j][k]) for k in range(n) if k not in (i, j))) / 2
        for i, j in itertools.combinations(range(n), 2)
    )


def compound(J, k):
    """The additive compound by its definition, minor by minor: the derivative of minors of I + hJ at h = 0."""
    n = len(J)
    sets = list(itertools.combinations(range(n), k))
    return [[sum(_minor_with_column(J, rows, columns, c) for c in range(k)) for columns in sets] for rows in sets]


def _minor_with_column(J, rows, columns, c):
    """The minor of the identity whose c-th column comes from J."""
    k = len(rows)
    M = [[J[i][j] if b == c else Fraction(int(i == j)) for b, j in enumerate(columns)] for i in rows]
    total = Fraction(0)
    for order in itertools.permutations(range(k)):
        sign = (-1) ** sum(order[a] > order[b] for a in range(k) for b in range(a + 1, k))
        term = Fraction(sign)
        for row, column in enumerate(order):
            term *= M[row][column]
        total += term
    return total


def log_norm(J, p, weights):
    """Exact weighted l1 or l-infinity log norm."""
    w = [Fraction(float(x)) for x in weights]
    A = transposed(J) if p == 1 else J
    n = len(A)
    return max(A[i][i] + sum(abs(A[i][j]) * w[j] for j in range(n) if j != i) / w[i] for i in range(n))


def largest_loop(gain):
    """The loop with the largest geometric mean of gain over rate, over all simple loops; (product, nodes)."""
    n, best = len(gain), (-np.inf, None, 0.0)
    for k in range(2, n + 1):
        for nodes in itertools.permutations(range(n), k):
            if nodes[0] != min(nodes):
                continue
            ring = list(zip(nodes, (*nodes[1:], nodes[0]), strict=True))
            product = np.prod([gain[b][a] / -gain[b][b] for a, b in ring])
            mean = product ** (1 / k)
            if mean > best[0] * (1 + 1e-12):
                best = (mean, nodes, product)
    return best[2], best[1]
