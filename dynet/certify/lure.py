r"""What the slopes of a Lur'e field leave of its Jacobian: Metzler majorants, exact where the structure allows it.

The Jacobian of :math:`E x + F\Phi(Gx + \cdot)` is :math:`J(d) = E + F[d]G` with slopes :math:`d \in [lo, hi]`.

*Rows share a slope* when F is diagonal (firing rate): row i of J is :math:`e_i + s_i g_i` with one number
:math:`s_i`. *Columns share a slope* when G is diagonal (Hopfield, Persidskii, linear minus monotone). A weighted row sum of
moduli is convex in each slope, so its maximum is at an end of the interval:

- where the l-infinity log norm meets shared rows, or the l1 log norm shared columns, each row (column) is one of two:
  a *choice* between two Metzler matrices;
- in the other two cases the entries are independent, and one Metzler matrix, their entrywise maximum, is attained.

Both are exact maxima over the hypercube of slopes, for any matrix E. A single unit (m = 1) is one slope that all entries
share: again a choice, in both norms. In all other cases the entrywise interval of J gives a majorant that is sound and may
not be attained.

References
----------
Davydov, Proskurnikov, Bullo, Non-Euclidean contractivity of recurrent neural networks, arXiv:2110.08298.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

import numpy as np

from ..linalg.rigorous import add_down, add_up, gamma, multiply_down, multiply_up
from .entries import as_sparse, exact_rows_of, scale_columns

__all__ = ["LureStructure", "Majorant"]

_DENSE = 300  # states up to which entrywise bounds are dense whatever the field's matrices are


@dataclass(frozen=True, eq=False)
class Majorant:
    """A Metzler matrix that dominates, with outward rounding, every Jacobian (or every row of a choice).

    Attributes
    ----------
    off : ndarray or scipy.sparse.csr_array, shape (n, n)
        Upper bounds on the moduli off the diagonal; zero diagonal.
    high, low : ndarray, shape (n,)
        Bounds on the diagonal.
    """

    off: object
    high: np.ndarray
    low: np.ndarray

    def matrix(self):
        """The Metzler matrix itself, in floating point."""
        if isinstance(self.off, np.ndarray):
            return self.off + np.diag(self.high)
        from scipy.sparse import diags_array

        return (self.off + diags_array(self.high)).tocsr()

    def transposed(self):
        """The majorant of the transposed Jacobians."""
        return self._turned

    @cached_property
    def _turned(self):
        return Majorant(self.off.T if isinstance(self.off, np.ndarray) else self.off.T.tocsr(), self.high, self.low)


@dataclass(frozen=True, eq=False)
class LureStructure:
    """The numbers that a certificate of a Lur'e field is about.

    Attributes
    ----------
    E, F, G : ndarray (diagonal as a vector, or dense) or scipy.sparse.csr_array
    lo, hi : ndarray, shape (m,)
        Bounds on the slope of each unit.
    """

    E: object
    F: object
    G: object
    lo: np.ndarray
    hi: np.ndarray

    form = "lure"

    @property
    def n(self):
        return self.E.shape[0]

    @property
    def entries(self):
        """How many numbers an exact check goes through."""
        return sum(getattr(m, "nnz", np.size(m)) for m in (self.E, self.F, self.G))

    def check(self):
        """Raise ValueError unless the shapes fit and all numbers are finite floats, each given once, with lo <= hi."""
        n, m = self.n, self.G.shape[0]
        for name in ("E", "F", "G", "lo", "hi"):  # integers would wrap around, silently, in the exact arithmetic too
            if getattr(self, name).dtype != np.float64:
                raise ValueError(f"{name} has the type {getattr(self, name).dtype}, not float64")
        shapes = {"E": (n, n), "F": (n, m), "G": (m, n)}
        for name, shape in shapes.items():
            matrix = getattr(self, name)
            if (matrix.shape * 2 if matrix.ndim == 1 else matrix.shape) != shape:
                raise ValueError(f"{name} has shape {matrix.shape}, not {shape}")
            if not np.isfinite(matrix if isinstance(matrix, np.ndarray) else matrix.data).all():
                raise ValueError(f"{name} is not finite")
            if not isinstance(matrix, np.ndarray) and not (matrix.format == "csr" and matrix.has_canonical_format):
                raise ValueError(f"{name} gives an entry twice, or its rows are not sorted")
        if self.lo.shape != (m,) or self.hi.shape != (m,) or not np.all(self.lo <= self.hi):
            raise ValueError("the slope bounds do not fit")
        if not (np.isfinite(self.lo).all() and np.isfinite(self.hi).all()):
            raise ValueError("the slope bounds are not finite")

    @property
    def shared(self):
        """What shares a slope: ``"rows"``, ``"columns"``, ``"all"`` (there is one unit) or ``"neither"``."""
        if _is_diagonal(self.F):
            return "rows"
        if _is_diagonal(self.G):
            return "columns"
        return "all" if len(self.lo) == 1 else "neither"

    @property
    def exact(self):
        """Whether the majorants are attained by some slopes."""
        return self.shared != "neither"

    def slopes(self):
        """The interval of the shared slope of each row (column): the diagonal matrix times the unit's slope, outward."""
        scale = _vector(self.F if self.shared == "rows" else self.G)
        ends = [(multiply_down(scale, d), multiply_up(scale, d)) for d in (self.lo, self.hi)]
        return np.minimum(ends[0][0], ends[1][0]), np.maximum(ends[0][1], ends[1][1])

    def majorants(self, p):
        """The Metzler matrices whose rows bound the log norm for p = inf; for p = 1, of the transposed Jacobians.

        For p = 2 the entrywise maximum alone, which dominates every Jacobian.

        Returns
        -------
        list of Majorant
            Two for a choice, one otherwise.
        """
        if self.shared == "neither":
            found = [self._interval()]
        else:
            ends = self._ends
            found = ends if self._is_choice(p) else [self._largest]
        return [m.transposed() for m in found] if p == 1 else found

    def _is_choice(self, p):
        return (p, self.shared) in ((math.inf, "rows"), (1, "columns"), (math.inf, "all"), (1, "all"))

    def size_product(self, p, v):
        """The product of ``|E| + |F| max|d| |G|`` (of its transpose for p = 1) with v: what rounding is relative to."""
        largest = np.maximum(np.abs(self.lo), np.abs(self.hi))
        E, F, G = (abs(m) for m in (self.E, self.F, self.G))
        if p == 1:
            E, F, G = E.T, G.T, F.T

        def times(matrix, x):
            return matrix * x if _is_diagonal(matrix) else matrix @ x

        return times(E, v) + times(F, largest * times(G, v))

    @property
    def _coupling(self):
        """The matrix A of ``E + [s] A`` or ``E + A [s]``."""
        return self.G if self.shared == "rows" else self.F

    @cached_property
    def _ends(self):
        """The majorants of the family at the lower and at the upper slopes."""
        if self.shared == "all":
            return [self._at(d) for d in (self.lo[0], self.hi[0])]
        E, A, row, col = _aligned(self.E, self._coupling, self.n)
        shared = row if self.shared == "rows" else col
        a = A if isinstance(A, np.ndarray) else A.data
        own_e, own_a = _diagonal(self.E), _diagonal(self._coupling)
        found = []
        for s in self.slopes():
            if E is None:
                moduli = multiply_up(np.abs(s)[shared], np.abs(a)) if s.any() else np.zeros(a.shape)
            else:
                low, high = multiply_down(s[shared], a), multiply_up(s[shared], a)
                e = E if isinstance(E, np.ndarray) else E.data
                moduli = np.maximum(np.abs(add_down(e, low)), np.abs(add_up(e, high)))
            if isinstance(A, np.ndarray):
                moduli[np.broadcast_to(row == col, moduli.shape)] = 0.0
                off = moduli
            elif moduli.any():
                moduli[row == col] = 0.0
                off = type(A)((moduli, A.indices, A.indptr), shape=A.shape)
            else:
                off = type(A)(A.shape)
            high = add_up(own_e, multiply_up(s, own_a))
            found.append(Majorant(off, high, add_down(own_e, multiply_down(s, own_a))))
        return found

    @cached_property
    def _largest(self):
        return _maximum(*self._ends)

    def _at(self, slope):
        """The majorant of ``E + slope F G`` for one unit."""
        E, F, G = (_dense(m) for m in (self.E, self.F, self.G))
        products = [multiply_down(F, G), multiply_up(F, G)]
        least, most = products if slope >= 0 else products[::-1]
        low, high = add_down(E, multiply_down(slope, least)), add_up(E, multiply_up(slope, most))
        off = np.maximum(np.abs(low), np.abs(high))
        np.fill_diagonal(off, 0.0)
        return Majorant(off, np.diagonal(high).copy(), np.diagonal(low).copy())

    def _interval(self):
        """Entrywise bounds on ``E + F [d] G`` for dense or sparse F and G that are not diagonal."""
        centre, radius = (self.lo + self.hi) / 2, (self.hi - self.lo) / 2
        parts = [self.E, self.F, self.G]
        sparse = self.n > _DENSE and not any(isinstance(m, np.ndarray) and m.ndim == 2 for m in parts)
        E, F, G = (as_sparse(m) if sparse else _dense(m) for m in parts)
        terms = F.shape[1] if not sparse else int(np.diff(F.indptr).max(initial=0))  # of a sum
        middle = E + scale_columns(F, centre) @ G
        size = abs(E) + scale_columns(abs(F), np.abs(centre) + radius) @ abs(G)
        spread = scale_columns(abs(F), radius) @ abs(G)
        spread = spread * (1 + 1e-9) + (gamma(3 * terms + 20) * (1 + 1e-9)) * size
        low = np.nextafter(middle.diagonal() - spread.diagonal(), -np.inf)
        high = np.nextafter(middle.diagonal() + spread.diagonal(), np.inf)
        off = (abs(middle) + spread) * (1 + 2.0**-50)
        if not sparse:
            off = np.array(off)
            np.fill_diagonal(off, 0.0)
            return Majorant(off, high, low)
        off = off.tocoo()
        keep = off.row != off.col
        return Majorant(type(F)((off.data[keep], (off.row[keep], off.col[keep])), shape=off.shape), high, low)

    @property
    def vertex_count(self):
        """How many vertices the box of slopes has, inf where they are too many to visit."""
        free = int(np.sum(self.lo < self.hi))
        return 2**free if free <= 20 and self.n <= 400 else math.inf

    def vertices(self):
        """The Jacobians at the vertices of the slopes, dense, each with bounds on the error of its entries."""
        E, F, G = (np.asarray(_dense(m), dtype=float) for m in (self.E, self.F, self.G))
        growth = gamma(F.shape[1] + 4) * (1 + 1e-9)
        for d in itertools.product(*({lo, hi} for lo, hi in zip(self.lo, self.hi, strict=True))):
            d = np.array(d)
            yield E + (F * d) @ G, growth * (np.abs(E) + (np.abs(F) * np.abs(d)) @ np.abs(G)) + 1e-290

    def exact_vertices(self):
        """The same without rounding, as lists of lists of Fraction."""
        E, F, G = ([[Fraction(float(v)) for v in row] for row in _dense(m)] for m in (self.E, self.F, self.G))
        for d in itertools.product(*({Fraction(float(lo)), Fraction(float(hi))}
                                     for lo, hi in zip(self.lo, self.hi, strict=True))):  # fmt: skip
            J = [list(row) for row in E]
            for row, f in zip(J, F, strict=True):
                for k, a in enumerate(f):
                    for j, c in enumerate(G[k] if a and d[k] else ()):
                        row[j] += a * d[k] * c
            yield J

    def exact_rows(self, p):
        """The matrices of :meth:`majorants` in exact arithmetic.

        Returns
        -------
        list of (diagonal, off)
            ``diagonal`` a list of Fraction, ``off`` a list of dicts column -> positive Fraction; transposed for p = 1.
        """
        if self.shared == "neither":
            ends = self._exact_interval()
        else:
            ends = self._exact_ends()
            if not self._is_choice(p):
                ends = [_exact_maximum(*ends)]
        if p != 1:
            return ends
        turned = []
        for diagonal, off in ends:
            columns = [{} for _ in off]
            for i, row in enumerate(off):
                for j, value in row.items():
                    columns[j][i] = value
            turned.append((diagonal, columns))
        return turned

    def _exact_ends(self):
        if self.shared == "all":
            return [replace(self, lo=d, hi=d)._exact_interval()[0] for d in (self.lo, self.hi)]
        scale = [Fraction(v) for v in _vector(self.F if self.shared == "rows" else self.G)]
        ends = [[s * Fraction(d) for s, d in zip(scale, limit, strict=True)] for limit in (self.lo, self.hi)]
        exact = [[{} for _ in range(self.n)] for _ in ends]
        for where, e in _nonzeros(self.E):
            for rows in exact:
                rows[where[0]][where[1]] = e
        for (i, j), a in _nonzeros(self._coupling):
            for rows, s in zip(exact, ends, strict=True):
                rows[i][j] = rows[i].get(j, 0) + s[i if self.shared == "rows" else j] * a
        return [
            (
                [row.get(i, Fraction(0)) for i, row in enumerate(rows)],
                [{j: abs(v) for j, v in row.items() if j != i and v} for i, row in enumerate(rows)],
            )
            for rows in exact
        ]

    def _exact_interval(self):
        lo, hi = ([Fraction(float(v)) for v in limit] for limit in (self.lo, self.hi))
        E, F, G = (exact_rows_of(m) for m in (self.E, self.F, self.G))
        diagonal, off = [], []
        for i, (row, f) in enumerate(zip(E, F, strict=True)):
            low, high = dict(row), dict(row)
            for k, a in f.items():
                for j, c in G[k].items():
                    q = a * c
                    low[j] = low.get(j, 0) + min(q * lo[k], q * hi[k])
                    high[j] = high.get(j, 0) + max(q * lo[k], q * hi[k])
            diagonal.append(Fraction(high.get(i, 0)))
            off.append({j: max(abs(low[j]), abs(v)) for j, v in high.items() if j != i and (low[j] or v)})
        return [(diagonal, off)]


def _maximum(first, second):
    if isinstance(first.off, np.ndarray):
        off = np.maximum(first.off, second.off)
    else:
        off = first.off.maximum(second.off) if first.off.nnz else second.off
    return Majorant(off, np.maximum(first.high, second.high), np.minimum(first.low, second.low))


def _exact_maximum(first, second):
    diagonal = [max(a, b) for a, b in zip(first[0], second[0], strict=True)]
    off = [
        {j: max(a.get(j, 0), b.get(j, 0)) for j in a.keys() | b.keys()}
        for a, b in zip(first[1], second[1], strict=True)
    ]
    return diagonal, off


def _is_diagonal(matrix):
    return isinstance(matrix, np.ndarray) and matrix.ndim == 1


def _vector(matrix):
    return np.asarray(matrix, dtype=float)


def _dense(matrix):
    if not isinstance(matrix, np.ndarray):
        return matrix.toarray()
    return np.diag(matrix) if matrix.ndim == 1 else matrix


def _diagonal(matrix):
    return matrix if _is_diagonal(matrix) else np.asarray(matrix.diagonal(), dtype=float)


def _aligned(E, A, n):
    """E and A on one sparsity pattern, with the row and column of each entry; E is None where it is diagonal."""
    if isinstance(A, np.ndarray) and A.ndim == 1:
        from scipy.sparse import diags_array

        A = diags_array(A).tocsr()
    if _is_diagonal(E):
        E = None
    if isinstance(A, np.ndarray) or isinstance(E, np.ndarray):
        return None if E is None else _dense(E), _dense(A), *np.indices((n, n), sparse=True)
    if E is not None:
        from scipy.sparse import coo_array

        (er, ec, ev), (ar, ac, av) = ((m.row, m.col, m.data) for m in (E.tocoo(), A.tocoo()))
        where = (np.concatenate([er, ar]), np.concatenate([ec, ac]))
        E = coo_array((np.concatenate([ev, np.zeros(av.size)]), where), shape=(n, n)).tocsr()
        A = coo_array((np.concatenate([np.zeros(ev.size), av]), where), shape=(n, n)).tocsr()
    return E, A, np.repeat(np.arange(n), np.diff(A.indptr)), A.indices


def _nonzeros(matrix):
    """The entries of a matrix of any kind as ``((i, j), Fraction)``."""
    if _is_diagonal(matrix):
        return [((i, i), Fraction(float(v))) for i, v in enumerate(matrix) if v]
    if isinstance(matrix, np.ndarray):
        return [((int(i), int(j)), Fraction(float(matrix[i, j]))) for i, j in np.argwhere(matrix)]
    coo = matrix.tocoo()
    return [((int(i), int(j)), Fraction(float(v))) for i, j, v in zip(coo.row, coo.col, coo.data, strict=True) if v]
