r"""The range seminorm, its dual, and ergodic coefficients: how fast a network forgets differences.

The *range seminorm* :math:`|x| = (\max_i x_i - \min_i x_i)/2` vanishes on multiples of the vector of ones. For a matrix with
equal row sums its induced and log seminorms are (Dobrushin)

.. math::
    \tau(A) = \max_{i<j} \tfrac12\sum_k |a_{ik} - a_{jk}|, \qquad
    \mu(A) = \max_{i<j} \tfrac12\Big[(a_{ii}-a_{ji}) + (a_{jj}-a_{ij}) + \sum_{k\ne i,j}|a_{ik}-a_{jk}|\Big].

Its dual is the l1 norm on vectors of zero sum, for matrices with equal column sums, by the transpose. For the Laplacian L of a
weighted directed graph W, :math:`\mu(-L) = -\delta(W)` with the ergodic coefficient

.. math:: \delta(W) = \min_{i<j}\big[w_{ij} + w_{ji} + \sum_{k\ne i,j}\min(w_{ik}, w_{jk})\big].

Dense matrices take :math:`n^3` operations. For sparse ones what two rows have in common is summed only where they meet, which
takes the sum of the squared degrees.

References
----------
Jafarpour, Cisneros-Velarde, Bullo, Weak and semi-contraction for network systems and diffusively coupled oscillators,
IEEE Transactions on Automatic Control 67(3), 2022.
De Pasquale, Smith, Bullo, Valcher, Dual seminorms, ergodic coefficients and semicontraction theory, arXiv:2201.03103.
"""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError, Shown
from .pairs import largest_pair, shared_minima

__all__ = ["RangeSeminorm", "ergodic_coefficient"]

_EQUAL = 1e-9  # relative difference of row sums that counts as rounding


class RangeSeminorm:
    """Half the range of a vector; or its dual, the l1 norm on vectors of zero sum.

    Parameters
    ----------
    on_differences : bool
        False for the dual.

    Examples
    --------
    >>> norm = RangeSeminorm()
    >>> L = np.array([[1.0, -1.0, 0.0], [-0.5, 1.0, -0.5], [0.0, -1.0, 1.0]])
    >>> print(norm.length([1.0, 4.0, 2.0]), norm.log(-L), norm.dual().log(-L.T))
    1.5 -1.0 -1.0
    """

    __slots__ = ("on_differences",)
    n = None  #: fits any number of states

    def __init__(self, on_differences=True):
        object.__setattr__(self, "on_differences", bool(on_differences))

    def __setattr__(self, name, value):
        raise AttributeError("a RangeSeminorm cannot be changed; make another one")

    def length(self, x):
        """The seminorm of x, shape (..., n) -> (...).

        Raises
        ------
        ArgumentError
            In the dual, for a vector whose sum is not zero: it has no length.
        """
        x = np.asarray(x, dtype=float)
        if self.on_differences:
            return (x.max(axis=-1) - x.min(axis=-1)) / 2
        size = np.abs(x).sum(axis=-1)
        if not np.all(np.abs(x.sum(axis=-1)) <= _EQUAL * size):
            raise ArgumentError(
                "x", Shown(f"a vector of sum {np.max(np.abs(x.sum(axis=-1))):.3g}"), "a vector of sum 0"
            )
        return size

    def log(self, A):
        """The log seminorm of A, shape (..., n, n) -> (...), or of a sparse matrix.

        Raises
        ------
        ArgumentError
            For a matrix whose row sums (in the dual, column sums) are not equal: it moves the kernel.
        """
        A = self._checked(A)
        if hasattr(A, "tocsr"):
            return _sparse(A)
        return _dense(A, lambda row, rest, i, j: _log_pairs(A, row, rest, i, j))

    def induced(self, A):
        """The induced seminorm of A, the ergodic coefficient of Dobrushin; shapes and errors as for :meth:`log`."""
        A = self._checked(A)
        A = A.toarray() if hasattr(A, "tocsr") else A
        return _dense(A, lambda row, rest, i, j: np.abs(row - rest).sum(axis=-1) / 2)

    def pairing(self, x, y, atol=0.0):
        """The weak pairing of x with y, shape (..., n) -> (...); entries of y within `atol` of its ends count as ends.

        >>> print(RangeSeminorm().pairing([3.0, 5.0, 1.0], [1.0, 0.0, 1.0]))
        -0.5
        """
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        if not self.on_differences:
            self.length(x)
            return self.length(y) * (np.where(np.abs(y) <= atol, 0.0, np.sign(y)) * x).sum(axis=-1)
        high = np.where(y >= y.max(axis=-1, keepdims=True) - atol, x, -np.inf).max(axis=-1)
        low = np.where(y <= y.min(axis=-1, keepdims=True) + atol, x, np.inf).min(axis=-1)
        return self.length(y) * (high - low) / 2

    def dual(self):
        """The dual seminorm: the log seminorm of A in it is that of the transpose in this one."""
        return RangeSeminorm(not self.on_differences)

    def _checked(self, A):
        """A (transposed in the dual), square, with equal row sums."""
        A = A.tocsr() if hasattr(A, "tocsr") else np.asarray(A, dtype=float)
        if A.ndim < 2 or A.shape[-2] != A.shape[-1] or A.shape[-1] < 2:
            raise ArgumentError("A", Shown(f"shape {A.shape}"), "square matrices of size 2 or more")
        if not self.on_differences:
            A = A.T.tocsr() if hasattr(A, "tocsr") else np.swapaxes(A, -1, -2)
        sums, size = (np.asarray(M.sum(axis=-1)) for M in (A, abs(A)))
        gap = sums.max(axis=-1) - sums.min(axis=-1)
        if not np.all(gap <= _EQUAL * size.max(axis=-1)):
            what = "row" if self.on_differences else "column"
            raise ArgumentError(
                "A", Shown(f"a matrix whose {what} sums differ by {np.max(gap):.3g}"), f"equal {what} sums"
            )
        return A

    def __eq__(self, other):
        return isinstance(other, RangeSeminorm) and self.on_differences == other.on_differences

    def __hash__(self):
        return hash((RangeSeminorm, self.on_differences))

    def __repr__(self):
        return "range seminorm" if self.on_differences else "l_1 norm on vectors of zero sum"


def ergodic_coefficient(W):
    r"""The coefficient :math:`\delta(W)` of a weighted directed graph: the rate at which :math:`\dot x = -Lx` agrees.

    Parameters
    ----------
    W : ndarray (n, n) or scipy sparse array
        Nonnegative off the diagonal, which does not matter; ``W[i, j]`` is the weight with which i listens to j.

    Returns
    -------
    float

    Raises
    ------
    ArgumentError
        For a matrix with a negative or infinite weight.

    Examples
    --------
    >>> print(ergodic_coefficient([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5], [0.0, 1.0, 0.0]]))
    1.0
    """
    sparse = hasattr(W, "tocsr")
    W = W.tocsr() if sparse else np.asarray(W, dtype=float)
    if W.ndim != 2 or W.shape[0] != W.shape[1] or W.shape[0] < 2:
        raise ArgumentError("W", Shown(f"shape {W.shape}"), "a square matrix of size 2 or more")
    off = _off_diagonal(W) if sparse else np.where(np.eye(len(W), dtype=bool), 0.0, W)
    values = off.data if sparse else off
    if not (np.isfinite(values).all() and np.all(values >= 0)):
        raise ArgumentError("W", Shown("a matrix with a negative or infinite weight"), "weights of at least 0")
    if sparse:
        return 0.0 - largest_pair(np.zeros(W.shape[0]), shared_minima([off], off, factor=1.0))

    def pairs(row, rest, i, j):
        common = np.minimum(row, rest)
        here = np.arange(len(j))
        return -(common.sum(axis=-1) - common[:, i] - common[here, j] + off[i, j] + off[j, i])

    return 0.0 - float(_dense(off, pairs))


def _dense(A, value):
    """The largest value of a pair of rows; `value(row, rest, i, j)` is asked for one i and all j > i at a time."""
    n = A.shape[-1]
    best = np.full(A.shape[:-2], -np.inf)
    for i in range(n - 1):
        j = np.arange(i + 1, n)
        best = np.maximum(best, value(A[..., i, None, :], A[..., j, :], i, j).max(axis=-1))
    return best if best.ndim else float(best)


def _log_pairs(A, row, rest, i, j):
    apart = np.abs(row - rest)
    here = np.arange(len(j))
    own, other = A[..., i, None, i] - A[..., j, i], A[..., j, j] - A[..., i, j]
    return (apart.sum(axis=-1) - apart[..., i] - apart[..., here, j] + own + other) / 2


def _sparse(A):
    """With ``|a - b| = |a| + |b| - 2 min(|a|, |b|)`` for a and b of one sign, and without the last term otherwise."""
    off = _off_diagonal(A)
    up, down = off.copy(), off.copy()
    up.data, down.data = np.maximum(up.data, 0.0), np.maximum(-down.data, 0.0)
    for part in (up, down):
        part.eliminate_zeros()
    direct = up.copy()
    direct.data = 2 * direct.data
    g = A.diagonal() + np.asarray(abs(off).sum(axis=1)).ravel()
    return largest_pair(g, shared_minima([up, down], direct)) / 2


def _off_diagonal(A):
    from scipy.sparse import csr_array

    entries = A.tocoo()
    keep = entries.row != entries.col
    return csr_array((entries.data[keep], (entries.row[keep], entries.col[keep])), shape=A.shape)
