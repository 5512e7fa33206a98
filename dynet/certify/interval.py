r"""What entrywise bounds on a Jacobian leave of it: Metzler majorants of the pieces of a region.

A region is covered by pieces, and on each piece k every Jacobian J lies between two matrices, :math:`L_k \le J \le H_k`
entry by entry. Then the Metzler matrix :math:`M_k` with diagonal :math:`(H_k)_{ii}` and entries
:math:`\max(|L_k|, |H_k|)_{ij}` dominates every Jacobian of the piece, and

.. math:: \mu_{\infty,[\eta]^{-1}}(J) \le \max_k \max_i (M_k\eta)_i/\eta_i, \qquad
          \mu_{1,[\eta]}(J) \le \max_k \max_j (M_k^\top\eta)_j/\eta_j

for one vector :math:`\eta` common to all pieces. The l-infinity bound looks at one row at a time, so each row may be
covered by pieces of its own; so may each column for l1. Where the pieces cannot be used one by one (another p), their
entrywise hull is a single piece.

References
----------
Davydov, Jafarpour, Bullo, Non-Euclidean contraction theory for robust nonlinear stability, arXiv:2103.12263.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from .lure import Majorant

__all__ = ["IntervalStructure"]

PIECES = ("whole", "rows", "columns")


@dataclass(frozen=True, eq=False)
class IntervalStructure:
    """Bounds on the entries of every Jacobian of a field on a region: the numbers that a certificate is about.

    Attributes
    ----------
    lo, hi : ndarray (n, n), ndarray (k, n, n), or scipy.sparse.csr_array (n, n) of one pattern
        ``lo <= DF(x) <= hi`` entry by entry; entries outside a sparse pattern are zero.
    pieces : str
        What the first axis of length k means. ``"whole"``: for every x of the region there is one k that bounds the whole
        matrix. ``"rows"`` (``"columns"``): for every x and every row (column) there is one k that bounds that row (column).
    exact : bool
        Whether the majorant of the hull is attained: there is no slack in the entries.
    origin : dict of str
        Where the bounds come from, in words and digests; carried along, proves nothing.

    Examples
    --------
    >>> structure = IntervalStructure(np.array([[-3.0, -1.0], [0.0, -2.0]]), np.array([[-2.0, 0.5], [1.0, -2.0]]))
    >>> structure.majorants(math.inf)[0].matrix()
    array([[-2.,  1.],
           [ 1., -2.]])
    """

    lo: object
    hi: object
    pieces: str = "whole"
    exact: bool = False
    origin: dict = field(default_factory=dict)

    form = "interval"

    @property
    def n(self):
        return self.lo.shape[-1]

    @property
    def count(self):
        """The number of pieces."""
        return self.lo.shape[0] if self.lo.ndim == 3 else 1

    @property
    def entries(self):
        """How many numbers an exact check goes through."""
        return self.lo.nnz if hasattr(self.lo, "tocsr") else int(self.lo.size)

    def check(self):
        """Raise ValueError unless the shapes fit, lo <= hi, and all numbers are finite (lo may be -inf on the diagonal)."""
        if not isinstance(self.exact, bool) or not isinstance(self.origin, dict):
            raise ValueError("exact is a truth value, origin a dict of words")
        sparse = [hasattr(m, "tocsr") for m in (self.lo, self.hi)]
        if self.lo.shape != self.hi.shape or sparse[0] != sparse[1]:
            raise ValueError("the two bounds have different shapes")
        if self.lo.ndim not in ((2,) if sparse[0] else (2, 3)) or self.lo.shape[-1] != self.lo.shape[-2] or not self.n:
            raise ValueError(f"bounds of shape {self.lo.shape} are not square matrices")
        if self.count < 1:
            raise ValueError("the region has no piece")
        if self.pieces not in PIECES:
            raise ValueError(f"pieces {self.pieces!r}: expected one of {', '.join(PIECES)}")
        lo, hi = self.lo, self.hi
        own = np.broadcast_to(np.eye(self.n, dtype=bool), lo.shape) if not sparse[0] else None
        if sparse[0]:
            for m in (lo, hi):
                if not m.has_canonical_format:
                    raise ValueError("the sparse bounds have unsorted or repeated entries")
            if not (np.array_equal(lo.indptr, hi.indptr) and np.array_equal(lo.indices, hi.indices)):
                raise ValueError("the two bounds have different patterns")
            own = np.repeat(np.arange(self.n), np.diff(lo.indptr)) == lo.indices
            lo, hi = lo.data, hi.data
        # what a diagonal entry may be at least plays no part in a log norm: it may be -inf
        if not (np.all(np.isfinite(lo) | (own & (lo == -np.inf))) and np.isfinite(hi).all()):
            raise ValueError("the bounds are not finite")
        if not np.all(lo <= hi):
            raise ValueError("a lower bound is above its upper bound")

    def hull(self):
        """Bounds for the region as one piece, two matrices."""
        if self.lo.ndim == 2:
            return self.lo, self.hi
        return self.lo.min(axis=0), self.hi.max(axis=0)

    def _bounds(self, p):
        """The pieces that a p can use one by one, as pairs of matrices."""
        usable = self.pieces == "whole" or (p == math.inf and self.pieces == "rows")
        usable = usable or (p == 1 and self.pieces == "columns")
        if self.lo.ndim == 2 or not usable or p not in (1, math.inf):
            return [self.hull()]
        return list(zip(self.lo, self.hi, strict=True))

    def majorants(self, p):
        """The Metzler matrices whose rows bound the log norm for p = inf; for p = 1, of the transposed Jacobians.

        For every other p the majorant of the hull, which dominates every Jacobian.

        Returns
        -------
        list of Majorant
        """
        found = [_majorant(lo, hi) for lo, hi in self._bounds(p)]
        return [m.transposed() for m in found] if p == 1 else found

    def exact_rows(self, p):
        """The matrices of :meth:`majorants` in exact arithmetic.

        Returns
        -------
        list of (diagonal, off)
            ``diagonal`` a list of Fraction, ``off`` a list of dicts column -> positive Fraction; transposed for p = 1.
        """
        # no number is computed on the way from the bounds to the majorants, so that these are exact already
        return [_exact(m) for m in self.majorants(p)]


def _majorant(lo, hi):
    if isinstance(lo, np.ndarray):
        off = np.maximum(np.abs(lo), np.abs(hi))
        np.fill_diagonal(off, 0.0)
        return Majorant(off, np.diagonal(hi).copy(), np.diagonal(lo).copy())
    off = np.maximum(np.abs(lo.data), np.abs(hi.data))
    row = np.repeat(np.arange(lo.shape[0]), np.diff(lo.indptr))
    off[row == lo.indices] = 0.0
    sparse = type(lo)((off, lo.indices, lo.indptr), shape=lo.shape)
    return Majorant(sparse, np.asarray(hi.diagonal(), dtype=float), np.asarray(lo.diagonal(), dtype=float))


def _exact(majorant):
    off = [{} for _ in majorant.high]
    if isinstance(majorant.off, np.ndarray):
        entries = ((i, j, majorant.off[i, j]) for i, j in np.argwhere(majorant.off))
    else:
        coo = majorant.off.tocoo()
        entries = zip(coo.row, coo.col, coo.data, strict=True)
    for i, j, value in entries:
        if value:
            off[i][int(j)] = Fraction(float(value))
    return [Fraction(float(d)) for d in majorant.high], off
