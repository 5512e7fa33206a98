r"""The Jacobian of a Lur'e field, compiled: :math:`E + F\,\mathrm{diag}(\varphi'(z))\,G` at one state, on a pattern.

For n states and a diagonal F or G this costs as much as one evaluation of the field, where differences would cost n.
"""
# ruff: noqa: F821 (the names in the source that is copied are bound in the generated module)

import numpy as np

__all__ = ["SLOPES", "full_pattern", "lure_jacobian"]

#: The derivative of each activation of :mod:`dynet.fields.kernels`, as an expression in its argument z and its number a.
SLOPES = {
    "identity": "1.0",
    "relu": "1.0 if z > 0.0 else 0.0",
    "leaky_relu": "1.0 if z > 0.0 else a",
    "hard_tanh": "1.0 if abs(z) < 1.0 else 0.0",
    "tanh": "1.0 - fast.tanh(z) ** 2",
    "logistic": "fast.logistic(z) * fast.logistic(-z)",
    "softplus": "fast.logistic(z)",
    "elu": "1.0 if z > 0.0 else fast.exp(z)",
    "softsign": "1.0 / (1.0 + abs(z)) ** 2",
    "arctan": "1.0 / (1.0 + z * z)",
    "sin": "fast.cos(z)",
    "gelu": "0.5 * (1.0 + math.erf(z * 0.7071067811865476)) + z * fast.exp(-0.5 * z * z) * 0.3989422804014327",
    "silu": "fast.logistic(z) * (1.0 + z * fast.logistic(-z))",
}


def full_pattern(n):
    """All entries of an n times n matrix in compressed rows.

    >>> full_pattern(2)
    (array([0, 2, 4]), array([0, 1, 0, 1]))
    """
    return np.arange(n + 1, dtype=np.int64) * n, np.tile(np.arange(n, dtype=np.int64), n)


def lure_jacobian(t, y, p, reals, ints, work, out):
    """The entries at the state ``y[:, 0]``, into ``out[:, 0]``; copied into a module that defines ``slope``.

    `ints` is that of ``kernels.lure_rhs`` and then the pattern: its rows, its columns, and where the rows begin.
    `work` has room for the units, the inputs and one row of the matrix.
    """
    n, m, k = ints[0], ints[1], ints[2]
    z, u = work[:m], work[m : m + k]
    row = flat(work)[m + max(k, 1) :]
    if k > 0:
        if ints[22] < 0:
            u[:] = 0.0
        else:
            evaluate(t, p, reals[ints[21] :], ints[ints[22] :], u)
    for i in range(m):
        z[i, 0] = reals[ints[18] + i]
    if k > 0:
        add_product(ints[12], reals[ints[13] :], ints[ints[14] :], u, z)
    add_product(ints[9], reals[ints[10] :], ints[ints[11] :], y, z)
    a = reals[ints[20]]
    for i in range(m):
        z[i, 0] = slope(z[i, 0], a)
    starts = ints[ints[ints.size - 1] :]
    columns = starts[n + 1 :]
    for j in range(n):
        row[j] = 0.0
    f, f_places = reals[ints[7] :], ints[ints[8] :]
    for i in range(n):
        add_row(ints[3], reals[ints[4] :], ints[ints[5] :], i, 1.0, n, n, row)
        if ints[6] == DIAGONAL:
            add_row(ints[9], reals[ints[10] :], ints[ints[11] :], i, f[i] * z[i, 0], m, n, row)
        elif ints[6] == DENSE:
            for unit in range(m):
                add_row(ints[9], reals[ints[10] :], ints[ints[11] :], unit, f[unit * n + i] * z[unit, 0], m, n, row)
        elif ints[6] == SPARSE:
            for q in range(f_places[i], f_places[i + 1]):
                unit = f_places[n + 1 + q]
                add_row(ints[9], reals[ints[10] :], ints[ints[11] :], unit, f[q] * z[unit, 0], m, n, row)
        for q in range(starts[i], starts[i + 1]):
            out[q, 0] = row[columns[q]]
        for j in range(n):
            row[j] = 0.0


def add_row(kind, reals, ints, i, weight, rows, columns, row):
    """``row += weight * M[i, :]`` for a packed matrix M."""
    if kind == DIAGONAL:
        row[i] += weight * reals[i]
    elif kind == DENSE:
        for j in range(columns):
            row[j] += weight * reals[j * rows + i]
    elif kind == SPARSE:
        for q in range(ints[i], ints[i + 1]):
            row[ints[rows + 1 + q]] += weight * reals[q]
