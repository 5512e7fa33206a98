r"""Compound matrices: how a linear map acts on volumes of k dimensions, and their log norms without forming them.

The *multiplicative* compound :math:`A^{(k)}` holds the minors of order k, over index sets in lexicographic order; the
*additive* compound is its derivative, :math:`A^{[k]} = \tfrac{d}{dh}(I + hA)^{(k)}|_{h=0}`. For a real order
:math:`\alpha = k + s` with 0 < s < 1, :math:`A^{[\alpha]} = ((1-s)A^{[k]}) \oplus (sA^{[k+1]})` (a Kronecker sum). The log
norms of additive compounds measure the growth of k-volumes:

.. math::
    \mu_1(A^{[k]}) &= \max_{|\beta|=k} \sum_{j\in\beta}\Big(a_{jj} + \sum_{i\notin\beta}|a_{ij}|\Big)
        = \max_{|\beta|=k} \sum_{j\in\beta} c_j - \sum_{\{i,j\}\subseteq\beta} w_{ij},\\
    \mu_2(A^{[k]}) &= \text{the sum of the k largest eigenvalues of } (A + A^\top)/2,

with :math:`c_j = a_{jj} + \sum_{i\ne j}|a_{ij}|`, :math:`w_{ij} = |a_{ij}| + |a_{ji}|`; :math:`\mu_\infty` is that of the
transpose. In other coordinates T they are the log norms of the compounds of :math:`TAT^{-1}`.

Where there are too many sets to look at, k of the :math:`c_j`, each less half of the k - 1 smallest :math:`w_{ij}`, bound the
maximum from above: each j in a set has k - 1 others with it. For k = 1 and k = n this is exact.

References
----------
Muldowney, Compound matrices and ordinary differential equations, Rocky Mountain J. Math. 20, 1990.
Wu, Kanevskiy, Margaliot, k-contraction: theory and applications, Automatica 136, 2022.
Wu, Pines, Margaliot, Slotine, Generalization of the multiplicative and additive compounds of square matrices and
contraction in the Hausdorff dimension, IEEE Transactions on Automatic Control 67(9), 2022.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np

from ..errors import ArgumentError, Shown
from .norms import Norm
from .pairs import largest_pair

__all__ = ["CompoundLogNorm", "additive_compound", "alpha_compound", "compound_log_norm", "multiplicative_compound"]

_ENTRIES = 2**26  # of a dense compound, half a gigabyte
_SETS = 200_000  # sets that are looked at before a bound is used instead
_AT_ONCE = 2**20  # numbers gathered at a time


class CompoundLogNorm(NamedTuple):
    """A log norm of an additive compound.

    Attributes
    ----------
    value : float or ndarray (...)
        The log norm, or an upper bound on it.
    exact : bool
        Whether it is the log norm itself, to rounding.
    """

    value: float | np.ndarray
    exact: bool


def multiplicative_compound(A, k):
    """The minors of order k of A, shape (..., n, n) -> (..., N, N) with N = n choose k.

    Parameters
    ----------
    A : array_like, shape (..., n, n)
    k : int
        1 to n.

    Returns
    -------
    ndarray

    Raises
    ------
    ArgumentError
        For k out of range, and where the result would not fit into memory.

    Examples
    --------
    >>> print(multiplicative_compound([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 10.0]], 2).round(12))
    [[ -3.  -6.  -3.]
     [ -6. -11.  -4.]
     [ -3.  -2.   2.]]
    """
    A = _square(A)
    n = A.shape[-1]
    k = _order(k, n)
    _fits(n, k, A)
    if k == 1:
        return A.copy()
    sets = _subsets(n, k)
    if k == 2:
        (i, j), (p, q) = (sets.T[:, :, None], sets.T[:, None, :])
        return A[..., i, p] * A[..., j, q] - A[..., i, q] * A[..., j, p]
    step = max(1, _AT_ONCE // (len(sets) * k * k * max(1, A[..., 0, 0].size)))
    parts = [np.linalg.det(A[..., rows[:, None, :, None], sets[None, :, None, :]])
             for rows in np.split(sets, range(step, len(sets), step))]  # fmt: skip
    return np.concatenate(parts, axis=-2)


def additive_compound(A, k):
    """The additive compound of order k, shape (..., n, n) -> (..., N, N) with N = n choose k; sparse for a sparse A.

    Parameters
    ----------
    A : array_like, shape (..., n, n), or scipy sparse array (n, n)
    k : int
        1 to n.

    Returns
    -------
    ndarray, or scipy.sparse.csr_array

    Raises
    ------
    ArgumentError
        For k out of range, and where the result would not fit into memory.

    Examples
    --------
    >>> print(additive_compound(np.arange(1.0, 10.0).reshape(3, 3), 2))
    [[ 6.  6. -3.]
     [ 8. 10.  2.]
     [-7.  4. 14.]]
    """
    A = _square(A)
    sparse = hasattr(A, "tocsr")
    n = A.shape[-1]
    k = _order(k, n)
    _fits(n, k, A)
    sets = _subsets(n, k)
    # One exchange for each set, each place p in it and each index j outside it: i = sets[p] leaves, j enters at place q.
    inside = np.zeros((len(sets), n), dtype=bool)
    np.put_along_axis(inside, sets, True, axis=1)
    outside = np.nonzero(~inside)[1].reshape(len(sets), n - k)
    row, p, e = (x.ravel() for x in np.indices((len(sets), k, n - k)))
    i, j = sets[row, p], outside[row, e]
    fresh = sets[row]
    fresh[np.arange(len(row)), p] = j
    fresh.sort(axis=1)
    q = np.argmax(fresh == j[:, None], axis=1) if len(row) else row
    column, sign = _rank(fresh, n), 1.0 - 2.0 * ((p + q) % 2)
    if sparse:
        from scipy.sparse import coo_array

        diagonal = A.diagonal()[sets].sum(axis=1)
        every = np.arange(len(sets))
        values = np.concatenate([diagonal, sign * A.toarray()[i, j]])
        at = (np.concatenate([every, row]), np.concatenate([every, column]))
        found = coo_array((values, at), shape=(len(sets),) * 2).tocsr()
        found.eliminate_zeros()
        return found
    compound = np.zeros((*A.shape[:-2], len(sets), len(sets)))
    every = np.arange(len(sets))
    compound[..., every, every] = np.diagonal(A, axis1=-2, axis2=-1)[..., sets].sum(axis=-1)
    compound[..., row, column] = sign * A[..., i, j]
    return compound


def alpha_compound(A, alpha):
    r"""The additive compound of real order :math:`\alpha = k + s`: for 0 < s < 1, that of the module's text.

    Parameters
    ----------
    A : array_like, shape (..., n, n)
    alpha : float
        1 to n; for a whole number, the additive compound itself.

    Returns
    -------
    ndarray, shape (..., N, N)
        N = (n choose k)(n choose k + 1), or n choose k for a whole number k.

    Raises
    ------
    ArgumentError
        As :func:`additive_compound`.

    Examples
    --------
    >>> print(alpha_compound([[1.0, 2.0], [3.0, 4.0]], 1.5))
    [[3.  1. ]
     [1.5 4.5]]
    """
    A = _square(A)
    A = A.toarray() if hasattr(A, "tocsr") else A
    k, s = _real_order(alpha, A.shape[-1])
    if s == 0:
        return additive_compound(A, k)
    n = A.shape[-1]
    if (math.comb(n, k) * math.comb(n, k + 1)) ** 2 * max(1, A[..., 0, 0].size) > _ENTRIES:
        raise ArgumentError("alpha", alpha, f"an order whose compound of a matrix of {n} rows fits into memory")
    low, high = (1 - s) * additive_compound(A, k), s * additive_compound(A, k + 1)
    a, b = low.shape[-1], high.shape[-1]
    left = np.einsum("...ij,kl->...ikjl", low, np.eye(b))
    right = np.einsum("ij,...kl->...ikjl", np.eye(a), high)
    return (left + right).reshape(*A.shape[:-2], a * b, a * b)


def compound_log_norm(A, k, norm=2):
    r"""The log norm of the additive compound of A, which is not formed.

    Parameters
    ----------
    A : array_like, shape (..., n, n), or scipy sparse array (n, n)
        A sparse A is made dense for p = 2; for p = 1 and inf it takes time proportional to its entries.
    k : int or float
        1 to n; for a number between two whole ones, the log norm of the compound of that real order, which is the mean of
        their log norms.
    norm : Norm, 1, 2 or inf
        With weights, P, or coordinates R: those of the states, which the compounds inherit.

    Returns
    -------
    CompoundLogNorm
        Negative: k-volumes contract. Exact for p = 2 always, for p = 1 and inf while the sets of k states are few.

    Raises
    ------
    ArgumentError
        For k out of range, a p that is not 1, 2 or inf, a matrix that does not fit the norm.

    Examples
    --------
    >>> thomas = np.array([[-0.6, 1.0, 0.0], [0.0, -0.6, 1.0], [1.0, 0.0, -0.6]])
    >>> found = compound_log_norm(thomas, 2, norm=2)
    >>> print(round(float(found.value), 9), found.exact)
    -0.7 True
    """
    norm = norm if isinstance(norm, Norm) else Norm(norm)
    if norm.p not in (1, 2, math.inf):
        raise ArgumentError("norm", norm, "p = 1, 2 or inf", choices=("1", "2", "inf"))
    A = _square(A)
    whole, s = _real_order(k, A.shape[-1] if norm.R is None else len(norm.R))
    if s:
        low, high = (compound_log_norm(A, order, norm) for order in (whole, whole + 1))
        return CompoundLogNorm((1 - s) * low.value + s * high.value, low.exact and high.exact)
    if hasattr(A, "tocsr") and norm.p != 2 and norm.R is None:
        norm._square(A)
        return _sparse_sums(A if norm.p == 1 else A.T.tocsr(), whole, norm.weights)
    A = norm.conjugate(A)
    if norm.p == 2:
        values = np.linalg.eigvalsh((A + np.swapaxes(A, -1, -2)) / 2)
        return CompoundLogNorm(values[..., -whole:].sum(axis=-1), True)
    A = A if norm.p == 1 else np.swapaxes(A, -1, -2)
    n = A.shape[-1]
    moduli = np.abs(A)
    moduli[..., np.arange(n), np.arange(n)] = 0.0
    c = np.diagonal(A, axis1=-2, axis2=-1) + moduli.sum(axis=-2)
    return _dense_sums(c, moduli + np.swapaxes(moduli, -1, -2), whole)


def _dense_sums(c, w, k):
    """Largest ``sum(c[set]) - sum of w over the pairs in it`` over sets of k."""
    n = c.shape[-1]
    if k in (1, n) or (k > 2 and math.comb(n, k) > _SETS):
        others = np.sort(w + np.where(np.eye(n, dtype=bool), np.inf, 0.0), axis=-1)[..., : k - 1]
        return CompoundLogNorm(np.sort(c - others.sum(axis=-1) / 2, axis=-1)[..., -k:].sum(axis=-1), k in (1, n))
    if k == 2:
        value = np.full(c.shape[:-1], -np.inf)
        for i in range(n - 1):
            value = np.maximum(value, (c[..., i, None] + c[..., i + 1 :] - w[..., i, i + 1 :]).max(axis=-1))
        return CompoundLogNorm(value, True)
    sets = _subsets(n, k)
    step = max(1, _AT_ONCE // (k * k * max(1, c[..., 0].size)))
    best = [(c[..., part].sum(axis=-1) - w[..., part[:, :, None], part[:, None, :]].sum(axis=(-2, -1)) / 2).max(axis=-1)
            for part in np.split(sets, range(step, len(sets), step))]  # fmt: skip
    return CompoundLogNorm(np.maximum.reduce(best), True)


def _sparse_sums(A, k, weights):
    """For p = 1: pairs by what they share, larger sets by the bound with no w (rows are short: most are zero)."""
    from scipy.sparse import csr_array

    n = A.shape[0]
    if weights is not None:
        entries = A.tocoo()
        A = csr_array((entries.data * weights[entries.row] / weights[entries.col], (entries.row, entries.col)), (n, n))
    if 2 < k < n and math.comb(n, k) <= _SETS or k == n:
        A = A.toarray()
        moduli = np.where(np.eye(n, dtype=bool), 0.0, np.abs(A))
        return _dense_sums(np.diagonal(A) + moduli.sum(axis=0), moduli + moduli.T, k)
    diagonal = A.diagonal()
    moduli = abs(A)
    c = diagonal - np.abs(diagonal) + np.asarray(moduli.sum(axis=0)).ravel()
    if k == 2:
        links = csr_array(moduli + moduli.T)

        def correction_of(order):
            yield 0, _sorted(links[order][:, order])

        return CompoundLogNorm(largest_pair(c, correction_of), True)
    return CompoundLogNorm(float(np.partition(c, n - k)[n - k :].sum()), k == 1)


def _sorted(matrix):
    matrix.sort_indices()
    return matrix


def _subsets(n, k):
    """The sets of k of n indices, (n choose k, k), in lexicographic order."""
    return np.fromiter(itertools.chain.from_iterable(itertools.combinations(range(n), k)), dtype=np.intp).reshape(-1, k)


def _rank(sets, n):
    """The place of each sorted set in lexicographic order."""
    k = sets.shape[1]
    # as many sets come after a set as there are sets of k with a later first difference: combinatorial number system
    choose = np.array([[math.comb(m, j) for j in range(k + 1)] for m in range(n)])
    after = sum(choose[n - 1 - sets[:, p], k - p] for p in range(k))
    return math.comb(n, k) - 1 - after


def _square(A):
    A = A.tocsr() if hasattr(A, "tocsr") else np.asarray(A, dtype=float)
    if A.ndim < 2 or A.shape[-2] != A.shape[-1] or A.shape[-1] == 0:
        raise ArgumentError("A", Shown(f"shape {A.shape}"), "square matrices")
    return A


def _order(k, n):
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= n:
        raise ArgumentError("k", k, f"a whole number from 1 to {n}, the size of the matrix")
    return int(k)


def _real_order(alpha, n):
    """The whole number below, and what is left."""
    if isinstance(alpha, bool) or not isinstance(alpha, int | float | np.number) or not 1 <= alpha <= n:
        raise ArgumentError("k", alpha, f"a number from 1 to {n}, the size of the matrix")
    return int(math.floor(alpha)), float(alpha - math.floor(alpha))


def _fits(n, k, A):
    size = math.comb(n, k)
    if hasattr(A, "tocsr"):
        need = size * (k * (n - k) + 1) * k
    else:
        need = max(size**2 * max(1, A[..., 0, 0].size), size * k * (n - k) * k)
    if need > _ENTRIES:
        raise ArgumentError("k", k, f"an order whose compound ({size} x {size}) fits into memory")
