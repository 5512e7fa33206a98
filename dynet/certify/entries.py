r"""Bounds on the entries of a Jacobian from below, with which signs and differences are proven.

An entry of :math:`E + F[d]G` is :math:`e_{ij} + \sum_k d_k f_{ik}g_{kj}`, least where each slope is at the end that its
product asks for. The terms of either sign are added apart, so that an entry without negative terms is bounded by 0 or more
whatever is rounded.
"""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np

from ..linalg.rigorous import gamma

__all__ = ["as_sparse", "exact_lower", "exact_rows_of", "lower_bounds", "scale_columns", "transposed"]


def transposed(structure):
    """The structure of the transposed Jacobians of a Lur'e field, or of bounds with a vector that is kept."""
    if structure.form == "kept":
        return structure.transposed()
    E, F, G = (m if m.ndim == 1 else m.T if isinstance(m, np.ndarray) else m.T.tocsr()
               for m in (structure.E, structure.G, structure.F))  # fmt: skip
    return dataclasses.replace(structure, E=E, F=F, G=G)


def lower_bounds(structure):
    """A matrix that no Jacobian is below, entry by entry, or None where numbers are too small or large to bound.

    Parameters
    ----------
    structure : LureStructure or another with bounds ``hull()``

    Returns
    -------
    ndarray (n, n) or scipy.sparse.csr_array, or None
    """
    if structure.form != "lure":
        return structure.hull()[0]
    E, F, G, lo, hi = structure.E, structure.F, structure.G, structure.lo, structure.hi
    if not all(_moderate(m) for m in (E, F, G, lo, hi)):
        return None  # a product might vanish by underflow
    up, down = _part(E, 1), _part(E, -1)
    longest = 2
    for f_sign in (1, -1):
        for g_sign in (1, -1):
            slopes = lo if f_sign == g_sign else hi  # the slope at which the product is least
            f, g = _part(F, f_sign), _part(G, g_sign)
            for s_sign in (1, -1):
                term = _scaled_product(f, _part(slopes, s_sign), g)
                if f_sign * g_sign * s_sign > 0:
                    up = _add(up, term)
                else:
                    down = _add(down, term)
    longest += _terms(F)
    error = gamma(longest + 8)
    return _combine(up, 1 - error, down, 1 + error, structure.n)


def exact_lower(structure):
    """The bounds of :func:`lower_bounds` without rounding: a list of dicts column -> Fraction, for each row."""
    if structure.form != "lure":
        low = structure.hull()[0]
        return [{j: value for j, value in row.items()} for row in exact_rows_of(low)]
    E, F, G = (exact_rows_of(m) for m in (structure.E, structure.F, structure.G))
    lo, hi = ([Fraction(float(v)) for v in limit] for limit in (structure.lo, structure.hi))
    found = []
    for e, f in zip(E, F, strict=True):
        row = dict(e)
        for k, a in f.items():
            for j, c in G[k].items():
                q = a * c
                row[j] = row.get(j, 0) + min(q * lo[k], q * hi[k])
        found.append(row)
    return found


def exact_rows_of(M):
    """A matrix of any of the three kinds as a list of dicts column -> Fraction."""
    if isinstance(M, np.ndarray) and M.ndim == 1:
        return [{i: Fraction(float(v))} if v else {} for i, v in enumerate(M)]
    if isinstance(M, np.ndarray):
        return [{int(j): Fraction(float(row[j])) for j in np.flatnonzero(row)} for row in M]
    found = []
    for a, b in zip(M.indptr[:-1], M.indptr[1:], strict=True):
        row = {}
        for j, v in zip(M.indices[a:b], M.data[a:b], strict=True):
            if v:
                row[int(j)] = row.get(int(j), 0) + Fraction(float(v))
        found.append(row)
    return found


def _moderate(M):
    size = np.abs(M if isinstance(M, np.ndarray) else M.data)
    return bool(np.all((size == 0) | ((size >= 1e-90) & (size <= 1e90))))


def _part(M, sign):
    """The moduli of the entries of one sign."""
    if isinstance(M, np.ndarray):
        return np.maximum(sign * M, 0.0)
    part = M.copy()
    part.data = np.maximum(sign * part.data, 0.0)
    part.eliminate_zeros()
    return part


def _scaled_product(f, slopes, g):
    """``f [slopes] g`` as a diagonal, dense or sparse matrix."""
    if f.ndim == 1 and g.ndim == 1:
        return f * slopes * g
    if f.ndim == 1:
        return _scale_rows(f * slopes, g)
    if g.ndim == 1:
        return scale_columns(f, slopes * g)
    return scale_columns(f, slopes) @ g


def _scale_rows(d, M):
    if isinstance(M, np.ndarray):
        return d[:, None] * M
    from scipy.sparse import diags_array

    return (diags_array(d) @ M).tocsr()


def scale_columns(M, d):
    """A dense or sparse matrix with its columns scaled."""
    if isinstance(M, np.ndarray):
        return M * d
    from scipy.sparse import diags_array

    return (M @ diags_array(d)).tocsr()


def _add(A, B):
    if A.ndim == B.ndim and isinstance(A, np.ndarray) == isinstance(B, np.ndarray):
        return A + B
    kinds = [isinstance(m, np.ndarray) and m.ndim == 2 for m in (A, B)]
    if any(kinds):
        return _dense(A) + _dense(B)
    return as_sparse(A) + as_sparse(B)


def _dense(M):
    if not isinstance(M, np.ndarray):
        return M.toarray()
    return np.diag(M) if M.ndim == 1 else M


def as_sparse(M):
    """A matrix of any kind but a dense one as a csr array."""
    from scipy.sparse import diags_array

    return (diags_array(M) if isinstance(M, np.ndarray) else M).tocsr()


def _combine(up, less, down, more, n):
    if any(isinstance(m, np.ndarray) and m.ndim == 2 for m in (up, down)) or n <= 300:
        up, down = _dense(up), _dense(down)
        return np.where(down > 0, np.nextafter(np.nextafter(up * less, -np.inf) - np.nextafter(down * more, np.inf), -np.inf),
                        up * less)  # fmt: skip
    up, down = as_sparse(up), as_sparse(down)
    up.data, down.data = up.data * less, down.data * more * (1 + 2.0**-50)
    low = (up - down).tocsr()
    low.data = np.where(low.data > 0, low.data * (1 - 2.0**-50), low.data * (1 + 2.0**-50))
    return low


def _terms(F):
    if not isinstance(F, np.ndarray):
        return int(np.diff(F.indptr).max(initial=0))
    return 1 if F.ndim == 1 else F.shape[1]
