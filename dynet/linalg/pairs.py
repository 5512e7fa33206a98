"""The largest sum over pairs of rows, less what each pair has in common, in time proportional to what is common.

Several log norms are maxima of ``g_i + g_j - c_ij`` over all pairs i < j, where c is nonnegative and sparse. The pairs with
an entry in c are looked at one by one. Among the others only one partner matters for each i: the first in descending order
of g that i has nothing in common with.
"""

from __future__ import annotations

import math

import numpy as np

__all__ = ["largest_pair", "shared_minima"]

_AT_ONCE = 2**22  # products held in memory at a time


def largest_pair(g, correction_of):
    """Largest ``g_i + g_j - c_ij`` over pairs i < j; -inf where there is none.

    Parameters
    ----------
    g : ndarray, shape (n,)
    correction_of : callable
        ``correction_of(order)`` yields ``(start, c)``: the rows from start on of the symmetric, nonnegative matrix c, in
        the order given, as csr_arrays with n columns and sorted indices; their stored entries are the pairs looked at.
        The diagonal is not read.
    """
    n = len(g)
    order = np.argsort(-g, kind="stable")
    g = g[order]
    best = -math.inf
    for start, c in correction_of(order):
        count = c.shape[0]
        row = np.repeat(np.arange(count), np.diff(c.indptr))
        apart = c.indices != row + start
        row, col = row[apart], c.indices[apart]
        if row.size:
            best = max(best, (g[row + start] + g[col] - c.data[apart]).max())
        # Each row with its own place counted as taken: sorted, a place t holds t up to the first partner left free.
        taken = np.sort(np.concatenate([row * n + col, np.arange(count) * (n + 1) + start]))
        length = np.bincount(row, minlength=count) + 1
        first = np.cumsum(length) - length
        place = np.arange(taken.size) - np.repeat(first, length)
        off = taken - np.repeat(np.arange(count), length) * n != place
        free = np.minimum.reduceat(np.where(off, place, np.repeat(length, length)), first)
        some = free < n
        if some.any():
            best = max(best, (g[start : start + count][some] + g[free[some]]).max())
    return float(best)


def shared_minima(parts, direct, factor=2.0):
    r"""For :func:`largest_pair`: :math:`c_{ij} = d_{ij} + d_{ji} + f \sum_B \sum_{k \ne i,j} \min(b_{ik}, b_{jk})`.

    Parameters
    ----------
    parts : sequence of csr_array, shape (n, n)
        The nonnegative matrices B; their diagonals are zero.
    direct : csr_array, shape (n, n)
        The nonnegative matrix d.
    factor : float
    """
    from scipy.sparse import coo_array, csr_array

    def correction_of(order):
        n = len(order)
        rows = [csr_array(B[order][:, order]) for B in parts]
        columns = [B.T.tocsr() for B in rows]
        links = csr_array(direct[order][:, order])
        links = csr_array(links + links.T)
        work = sum(B @ np.diff(C.indptr).astype(float) for B, C in zip(map(_ones, rows), columns, strict=True))
        chunk = np.asarray(np.cumsum(work + np.diff(links.indptr) + 1) // _AT_ONCE, dtype=int)
        edges = np.flatnonzero(np.diff(chunk, prepend=-1, append=chunk[-1] + 1))
        for start, stop in zip(edges[:-1], edges[1:], strict=True):
            found = [links[start:stop].tocoo()]
            where, values = [(found[0].row, found[0].col)], [found[0].data]
            for B, C in zip(rows, columns, strict=True):
                low, high = B.indptr[start], B.indptr[stop]
                k, weight = B.indices[low:high], B.data[low:high]
                i = np.repeat(np.arange(stop - start), np.diff(B.indptr[start : stop + 1]))
                count = np.diff(C.indptr)[k]
                place = (
                    np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(C.indptr[k], count)
                )
                where.append((np.repeat(i, count), C.indices[place]))
                values.append(factor * np.minimum(np.repeat(weight, count), C.data[place]))
            at = tuple(np.concatenate([w[axis] for w in where]) for axis in (0, 1))
            yield start, coo_array((np.concatenate(values), at), shape=(stop - start, n)).tocsr()

    return correction_of


def _ones(B):
    return type(B)((np.ones_like(B.data), B.indices, B.indptr), shape=B.shape)
