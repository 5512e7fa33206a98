r"""Composite norms: a norm of norms, for systems made of parts.

The state is cut into blocks :math:`x = (x_1, \dots, x_r)` with a norm each, and an outer norm, l1, l2 or l-infinity with
weights, measures the vector of their lengths. With

.. math:: \Gamma_{ii} = \mu_i(A_{ii}), \qquad \Gamma_{ij} = \|A_{ij}\|_{j \to i} = \max_{\|x_j\|_j \le 1}\|A_{ij}x_j\|_i,

the log norm of A is at most that of the Metzler matrix :math:`\Gamma` in the outer norm, and its induced norm at most that of
:math:`\Gamma` with :math:`\Gamma_{ii} = \|A_{ii}\|_i`. The norm of a block between two different norms has no closed form for
some pairs; it is then bounded from above by the norm of its row or column norms, whichever is less.

References
----------
Strom, On logarithmic norms, SIAM J. Numer. Anal. 12, 1975.
Davydov, Jafarpour, Bullo, Non-Euclidean contraction theory for robust nonlinear stability, arXiv:2103.12263.
"""

from __future__ import annotations

import math

import numpy as np

from ..errors import ArgumentError, Shown
from .norms import Norm

__all__ = ["CompositeNorm"]


class CompositeNorm:
    """The outer norm of the vector of the norms of blocks.

    Parameters
    ----------
    blocks : sequence of (int, Norm)
        Number of states of each block, in order, and its norm: a :class:`~dynet.Norm`, a p, or another composite norm.
    outer : Norm, 1, 2 or inf
        The norm of the r lengths; its weights, where it has any, are r positive numbers.

    Raises
    ------
    ArgumentError
        For sizes that are not positive, norms of another size, an outer norm that is not monotone.

    Examples
    --------
    >>> norm = CompositeNorm([(2, "inf"), (1, 2)], outer=Norm(1, [1.0, 2.0]))
    >>> print(norm.length([3.0, -4.0, 5.0]))
    14.0
    >>> A = [[-3.0, 1.0, 0.0], [0.0, -2.0, 1.0], [0.5, 0.0, -2.0]]
    >>> print(norm.gain_matrix(A))
    [[-2.   1. ]
     [ 0.5 -2. ]]
    >>> print(norm.log(A))
    -1.0
    """

    __slots__ = ("sizes", "norms", "outer", "_ends")

    def __init__(self, blocks, outer="inf"):
        sizes, norms = [], []
        for k, block in enumerate(blocks):
            try:
                size, norm = block
            except (TypeError, ValueError):
                raise ArgumentError(f"blocks[{k}]", block, "a pair (number of states, norm)") from None
            if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
                raise ArgumentError(f"blocks[{k}][0]", size, "a number of states, at least 1")
            norm = norm if isinstance(norm, Norm | CompositeNorm) else Norm(norm)
            if norm.n not in (None, size):
                raise ArgumentError(f"blocks[{k}][1]", norm, f"a norm of {size} states")
            if getattr(norm, "R", None) is not None and norm.R.shape[0] < size:
                raise ArgumentError(f"blocks[{k}][1]", norm, "a norm, not a seminorm")
            sizes.append(int(size))
            norms.append(norm)
        if not sizes:
            raise ArgumentError("blocks", blocks, "at least one block")
        outer = outer if isinstance(outer, Norm) else Norm(outer)
        matrix = outer.R is not None or (outer.weights is not None and outer.weights.ndim == 2)
        if matrix or outer.p not in (1, 2, math.inf):
            raise ArgumentError("outer", outer, "p = 1, 2 or inf, with positive weights or none: a monotone norm")
        if outer.n not in (None, len(sizes)):
            raise ArgumentError("outer", outer, f"{len(sizes)} weights, one for each block")
        values = (tuple(sizes), tuple(norms), outer, tuple(np.cumsum([0, *sizes]).tolist()))
        for name, value in zip(self.__slots__, values, strict=True):
            object.__setattr__(self, name, value)

    def __setattr__(self, name, value):
        raise AttributeError("a CompositeNorm cannot be changed; make another one")

    @property
    def n(self):
        """Number of states."""
        return self._ends[-1]

    def cuts(self):
        """Pairs (norm, slice of its states), block by block."""
        return [(norm, slice(a, b)) for norm, a, b in zip(self.norms, self._ends[:-1], self._ends[1:], strict=True)]

    def length(self, x):
        """The norm of x, shape (..., n) -> (...)."""
        return self.outer.length(self._lengths(x))

    def gain_matrix(self, A, induced=False):
        """The Metzler matrix of log norms and gains, (..., n, n) -> (..., r, r), dense also for a sparse A.

        Parameters
        ----------
        A : ndarray (..., n, n) or scipy sparse array
        induced : bool
            Induced norms on the diagonal, too, instead of log norms.
        """
        sparse = hasattr(A, "tocsr")
        A = A.tocsr() if sparse else np.asarray(A, dtype=float)
        if A.ndim < 2 or A.shape[-2:] != (self.n, self.n):
            raise ArgumentError("A", Shown(f"shape {A.shape}"), f"square matrices of size {self.n}")
        r = len(self.sizes)
        gains = np.zeros((*A.shape[:-2], r, r))
        cuts = [slice(a, b) for a, b in zip(self._ends[:-1], self._ends[1:], strict=True)]
        for i in range(r):
            rows = A[cuts[i]] if sparse else A[..., cuts[i], :]
            met = set(np.searchsorted(self._ends, rows.indices, side="right") - 1) if sparse else range(r)
            for j in met | {i} if sparse else met:
                block = rows[:, cuts[j]] if sparse else rows[..., cuts[j]]
                if i == j:
                    gains[..., i, i] = (self.norms[i].induced if induced else self.norms[i].log)(block)
                else:
                    gains[..., i, j] = _between(block.toarray() if sparse else block, self.norms[j], self.norms[i])
        return gains

    def log(self, A):
        """An upper bound on the log norm of A, shape (..., n, n) -> (...): that of the gain matrix in the outer norm."""
        return self.outer.log(self.gain_matrix(A))

    def induced(self, A):
        """An upper bound on the induced norm of A, shape (..., n, n) -> (...)."""
        return self.outer.induced(self.gain_matrix(A, induced=True))

    def pairing(self, x, y, atol=0.0):
        r"""The weak pairing of x with y, shape (..., n) -> (...), made of those of the blocks.

        The outer pairing of :math:`[\![x_i, y_i]\!]_i/\|y_i\|_i`, the speed at which the i-th length changes, with the lengths
        of y; blocks in which y vanishes do not count.
        """
        lengths = self._lengths(y)
        x, y = np.broadcast_arrays(np.asarray(x, dtype=float), np.asarray(y, dtype=float))
        parts = [norm.pairing(x[..., a:b], y[..., a:b], atol)
                 for norm, a, b in zip(self.norms, self._ends[:-1], self._ends[1:], strict=True)]  # fmt: skip
        speeds = np.stack(parts, axis=-1) / np.where(lengths > 0, lengths, 1.0)
        return self.outer.pairing(np.where(lengths > 0, speeds, 0.0), np.broadcast_to(lengths, speeds.shape), atol)

    def dual(self):
        """The dual norm: the outer dual of the duals of the blocks."""
        blocks = [(size, norm.dual()) for size, norm in zip(self.sizes, self.norms, strict=True)]
        return CompositeNorm(blocks, self.outer.dual())

    def _lengths(self, x):
        x = np.asarray(x, dtype=float)
        if x.shape[-1:] != (self.n,):
            raise ArgumentError("x", Shown(f"an array of shape {x.shape}"), f"a last axis of {self.n}, as the norm has")
        cuts = zip(self.norms, self._ends[:-1], self._ends[1:], strict=True)
        return np.stack([norm.length(x[..., a:b]) for norm, a, b in cuts], axis=-1)

    def __eq__(self, other):
        if not isinstance(other, CompositeNorm):
            return NotImplemented
        return (self.sizes, self.norms, self.outer) == (other.sizes, other.norms, other.outer)

    def __hash__(self):
        return hash((self.sizes, self.norms, self.outer))

    def __repr__(self):
        return f"{self.outer} of {len(self.sizes)} blocks"


def _between(A, source, target):
    """A bound on the norm of A from `source` to `target`, (..., m, n) -> (...); exact where a closed form exists."""
    if isinstance(source, CompositeNorm) or isinstance(target, CompositeNorm):
        return _through_blocks(A, source, target)
    A = _coordinates(A, source, target)
    p, q = source.p, target.p
    conjugate = {1.0: math.inf, math.inf: 1.0}.get(p) or p / (p - 1)
    rows, columns = (_vector_norm(A, order, axis) for order, axis in ((conjugate, -1), (q, -2)))
    bounds = [_vector_norm(rows, q, -1), _vector_norm(columns, conjugate, -1)]  # exact for q = inf, and for p = 1
    if p == q == 2:
        return np.linalg.norm(A, ord=2, axis=(-2, -1))
    if p == q:  # Riesz-Thorin
        one, inf = (np.abs(A).sum(axis=axis).max(axis=-1) for axis in (-2, -1))
        bounds.append(one ** (1 / p) * inf ** (1 - 1 / p))
    return np.minimum.reduce(bounds)


def _coordinates(A, source, target):
    """The matrix between the coordinates in which both norms are plain p-norms."""
    return np.swapaxes(_to_plain(target, _from_plain(source, A)), -1, -2)


def _to_plain(norm, A):
    """The transpose of T A for ``norm = |T x|_p``."""
    return norm._transform(np.swapaxes(A, -1, -2))


def _from_plain(norm, A):
    """A T^-1 for ``norm = |T x|_p``."""
    columns = norm._transform(np.eye(A.shape[-1])) if norm.weights is not None or norm.R is not None else None
    if columns is None:
        return A
    if norm.R is None and norm.weights.ndim == 1:
        return A / np.diagonal(columns)
    return A @ np.linalg.inv(columns.T)


def _through_blocks(A, source, target):
    """With a composite norm on either side: the norm of the matrix of block gains, all of which are nonnegative."""
    plain = (CompositeNorm([(A.shape[-1], source)]) if not isinstance(source, CompositeNorm) else source,
             CompositeNorm([(A.shape[-2], target)]) if not isinstance(target, CompositeNorm) else target)  # fmt: skip
    source, target = plain
    gains = np.stack([
        np.stack([_between(A[..., c:d, a:b], s, t)
                  for s, a, b in zip(source.norms, source._ends[:-1], source._ends[1:], strict=True)], axis=-1)
        for t, c, d in zip(target.norms, target._ends[:-1], target._ends[1:], strict=True)], axis=-2)  # fmt: skip
    return _between(gains, source.outer, target.outer)


def _vector_norm(A, p, axis):
    return np.linalg.norm(A, ord=p, axis=axis)
