"""Compiled pieces of the Lur'e right-hand side: products with packed matrices, and activations as scalar functions.

Sums run over the columns in one fixed order with one rounding a term, whatever the number of lanes, so that a trajectory
has the same bits alone or inside a batch. Everything here works on blocks ``x[n, W]`` whose last axis is the lane.
"""

import math

import numpy as np
from numba import njit

from .. import math as fast
from ..engine.block import FASTMATH, flat
from .tiles import FMA, add_dense
from .waves import evaluate

ZERO, DIAGONAL, DENSE, SPARSE = range(4)

_scalar = njit(fastmath=FASTMATH, error_model="numpy", forceinline=True)
_block = njit(fastmath=FASTMATH, error_model="numpy")


@_block
def add_product(kind, reals, ints, x, out):
    """``out += M x`` for a packed matrix M (see :func:`pack_matrix`), x of shape (columns, W), out (rows, W)."""
    rows, lanes = out.shape
    columns = x.shape[0]
    if kind == DIAGONAL:
        for i in range(rows):
            for lane in range(lanes):
                out[i, lane] += reals[i] * x[i, lane]
    elif kind == DENSE and lanes == 1:  # one lane: vectorise over the rows of a column instead of over lanes
        x1, out1 = x.reshape(x.size), out.reshape(out.size)
        for j in range(columns):
            column = reals[j * rows : (j + 1) * rows]
            xj = x1[j]
            for i in range(rows):
                out1[i] += column[i] * xj
    elif kind == DENSE and FMA:
        add_dense(flat(reals), flat(x), flat(out), rows, columns, lanes, 0, rows)
    elif kind == DENSE:
        for i in range(rows):
            target = out[i]
            for j in range(columns):
                a = reals[j * rows + i]
                source = x[j]
                for lane in range(lanes):
                    target[lane] += a * source[lane]
    elif kind == SPARSE and lanes == 1:
        x1, out1, numbers, places = flat(x), flat(out), flat(reals), flat(ints)
        for i in range(rows):
            total = out1[np.uint64(i)]
            for q in range(np.uint64(places[np.uint64(i)]), np.uint64(places[np.uint64(i + 1)])):
                total += numbers[q] * x1[np.uint64(places[np.uint64(rows + 1) + q])]
            out1[np.uint64(i)] = total
    elif kind == SPARSE:
        data = reals
        for i in range(rows):
            target = out[i]
            for q in range(np.uint64(ints[i]), np.uint64(ints[i + 1])):
                a = data[q]
                source = x[np.uint64(ints[np.uint64(rows + 1) + q])]
                for lane in range(lanes):
                    target[lane] += a * source[lane]


def pack_matrix(matrix):
    """A matrix as ``(kind, reals, ints)``: None, a diagonal as a vector, a dense array (by columns) or a CSR array."""
    if matrix is None:
        return ZERO, np.empty(0), np.empty(0, np.int64)
    if not isinstance(matrix, np.ndarray):
        matrix = matrix.tocsr()
        return SPARSE, matrix.data.astype(float), np.concatenate([matrix.indptr, matrix.indices]).astype(np.int64)
    if matrix.ndim == 1:
        return DIAGONAL, matrix.astype(float), np.empty(0, np.int64)
    return DENSE, matrix.T.ravel().astype(float), np.empty(0, np.int64)


HEADER = 23


def lure_rhs(t, y, p, reals, ints, work, out):
    """``out = E y + F phi(G y + B u + g) + D u + h`` over a block; copied into a module that defines ``phi``.

    The header of `ints` has n, m, k; for each of E, F, G, B, D its kind and where its data start in `reals` and `ints`;
    where g, h and the activation's parameter lie in `reals`; where the signal lies, -1 for none.
    """
    n, m, k = ints[0], ints[1], ints[2]
    lanes = y.shape[1]
    z = work[:m]
    u = work[m : m + k]
    if k > 0:
        if ints[22] < 0:
            u[:] = 0.0
        else:
            evaluate(t, p, reals[ints[21] :], ints[ints[22] :], u)
    for i in range(m):
        z[i] = reals[ints[18] + i]
    if k > 0:
        add_product(ints[12], reals[ints[13] :], ints[ints[14] :], u, z)
    add_product(ints[9], reals[ints[10] :], ints[ints[11] :], y, z)
    a = reals[ints[20]]
    if ints[3] == DIAGONAL and ints[6] == DIAGONAL:  # one pass instead of four
        h, e, f = reals[ints[19] :], reals[ints[4] :], reals[ints[7] :]
        if lanes == 1:
            y1, z1, out1 = flat(y), flat(z), flat(out)
            for i in range(n):
                out1[i] = (h[i] + e[i] * y1[i]) + f[i] * phi(z1[i], a)
        else:
            for i in range(n):
                total, yi, zi, hi, ei, fi = out[i], y[i], z[i], h[i], e[i], f[i]
                for lane in range(lanes):
                    total[lane] = (hi + ei * yi[lane]) + fi * phi(zi[lane], a)
        if k > 0:
            add_product(ints[15], reals[ints[16] :], ints[ints[17] :], u, out)
        return
    z1 = flat(z)
    for q in range(m * lanes):
        z1[q] = phi(z1[q], a)
    for i in range(n):
        out[i] = reals[ints[19] + i]
    add_product(ints[3], reals[ints[4] :], ints[ints[5] :], y, out)
    add_product(ints[6], reals[ints[7] :], ints[ints[8] :], z, out)
    if k > 0:
        add_product(ints[15], reals[ints[16] :], ints[ints[17] :], u, out)


@_scalar
def identity(z, a):
    return z


phi = identity  # stands in for the activation that a generated module puts in its place


@_scalar
def relu(z, a):
    return z if z > 0.0 or z != z else 0.0


@_scalar
def leaky_relu(z, a):
    return z if z > 0.0 else a * z


@_scalar
def hard_tanh(z, a):
    y = 1.0 if z > 1.0 else z
    return -1.0 if y < -1.0 else y


@_scalar
def tanh(z, a):
    return fast.tanh(z)


@_scalar
def logistic(z, a):
    return fast.logistic(z)


@_scalar
def softplus(z, a):
    return (z if z > 0.0 or z != z else 0.0) + math.log1p(fast.exp(-abs(z)))


@_scalar
def elu(z, a):
    return z if z > 0.0 else math.expm1(z)


@_scalar
def softsign(z, a):
    return z / (1.0 + abs(z))


@_scalar
def arctan(z, a):
    return math.atan(z)


@_scalar
def sin(z, a):
    return fast.sin(z)


@_scalar
def gelu(z, a):
    return 0.5 * z * (1.0 + math.erf(z * 0.7071067811865476))


@_scalar
def silu(z, a):
    return z * fast.logistic(z)
