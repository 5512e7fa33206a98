r"""Metzler matrices: Perron vectors, optimal weights, Hurwitz witnesses.

For a Metzler matrix M (nonnegative off the diagonal) and any vector :math:`\eta > 0`,

.. math:: \min_i \frac{(M\eta)_i}{\eta_i} \;\le\; \alpha(M) \;\le\; \max_i \frac{(M\eta)_i}{\eta_i},

so a positive vector is a proof of a bound on the spectral abscissa, and the right Perron vector makes both sides equal.
A nonnegative vector v with :math:`M v \ge b v` proves :math:`\alpha(M) \ge b` even where some of its entries vanish.

The log norm of A in l-infinity with weights is the larger side for the *majorant* of A, whose entries off the diagonal are
the moduli; so the least that weights can reach is its spectral abscissa. For a *family* of matrices one row after the other
may be chosen from any of them, and the least value is the largest spectral abscissa of all such mixtures. In l1 the same holds
for the transposes. :mod:`dynet.linalg.collatz` searches for the vectors; :mod:`dynet.linalg.programs` does by linear programs.

References
----------
Davydov, Proskurnikov, Bullo, Non-Euclidean contractivity of recurrent neural networks, arXiv:2110.08298.
Bullo, Contraction Theory for Dynamical Systems, chapters 2 and 3.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from ..errors import ArgumentError, Shown
from .collatz import Perron, bounds_of, row_choice_perron, without_diagonal

__all__ = ["Perron", "common_weights", "is_hurwitz_metzler", "metzler_majorant", "optimal_weights", "perron",
           "row_choice_perron", "spectral_abscissa"]  # fmt: skip

_EXACT = 100_000  # entries up to which exact arithmetic decides where floats cannot


def metzler_majorant(A):
    """The diagonal of A, and the moduli of its other entries; dense, batched or sparse.

    >>> metzler_majorant([[-1.0, -2.0], [3.0, -4.0]])
    array([[-1.,  2.],
           [ 3., -4.]])
    """
    if hasattr(A, "tocsr"):
        from scipy.sparse import csr_array

        M = csr_array(A).tocoo()
        return csr_array((np.where(M.row == M.col, M.data, np.abs(M.data)), (M.row, M.col)), shape=M.shape)
    A = np.asarray(A, dtype=float)
    M = np.abs(A)
    i = np.arange(A.shape[-1])
    M[..., i, i] = A[..., i, i]
    return M


def spectral_abscissa(A):
    """The largest real part of an eigenvalue of A, shape (..., n, n) -> (...). A floating-point estimate.

    >>> print(spectral_abscissa([[-1.0, 5.0], [0.0, -2.0]]))
    -1.0
    """
    return np.linalg.eigvals(np.asarray(A, dtype=float)).real.max(axis=-1)


def perron(M, tol=None):
    """The spectral abscissa of a Metzler matrix between two bounds, with the vectors that prove them.

    Parameters
    ----------
    M : ndarray (n, n) or scipy sparse array
    tol : float, optional
        Wanted gap, relative to the size of M.

    Returns
    -------
    Perron

    Raises
    ------
    ArgumentError
        For a matrix that is not Metzler.

    Examples
    --------
    >>> result = perron([[-2.0, 0.5], [0.5, -2.0]])
    >>> print(round(result.upper, 9), result.attained)
    -1.5 True
    """
    M = _check_metzler(M)
    return row_choice_perron([M], tol)


def optimal_weights(A, p="inf", tol=None):
    r"""The weights in which the log norm of A, or of all matrices of a family, is least, and that least value.

    Parameters
    ----------
    A : ndarray (n, n) or scipy sparse array, or a sequence of them
    p : 1, 2 or inf
        For p = 2 the diagonal :math:`P = [\xi_i/\eta_i]` of the two Perron vectors, which attains the same value for the
        Metzler majorant of A (of the entrywise largest, for a family) but may not be the best P for A itself.
    tol : float, optional

    Returns
    -------
    value : float
        The log norm of the Metzler majorant in the returned weights, to rounding.
    weights : ndarray, shape (n,)

    See Also
    --------
    common_weights : the same for p = 1 and inf, with a lower bound and what proves it.

    Examples
    --------
    >>> value, weights = optimal_weights([[-1.0, 0.5], [-0.75, 0.25]])
    >>> print(round(value, 9), (weights / weights[0]).round(6))
    0.5 [1. 3.]
    """
    if _order(p) != 2:
        found = common_weights(A, p, tol)
        return found.upper, found.vector
    M = None
    for B in _family(A):
        larger = metzler_majorant(B)
        M = larger if M is None else M.maximum(larger) if hasattr(M, "tocsr") else np.maximum(M, larger)
    left, right = perron(M.T.tocsr() if hasattr(M, "tocsr") else M.T, tol), perron(M, tol)
    return max(left.upper, right.upper), left.vector / right.vector


def common_weights(family, p="inf", tol=None, method="policy"):
    """One vector of weights in which the log norms of all matrices of a family are small, between two proven bounds.

    Parameters
    ----------
    family : ndarray (n, n) or scipy sparse array, or a sequence of them
    p : 1 or inf
    tol : float, optional
        Wanted gap, relative to the size of the matrices.
    method : str
        ``"policy"``: power and policy iteration. ``"program"``: bisection with linear programs, slower by orders of
        magnitude, for a second opinion.

    Returns
    -------
    Perron
        ``vector`` are the weights: the log norm of every matrix of the family in them is at most ``upper``. No other weights
        reach less than ``lower``, which `witness` proves for the rows (columns for p = 1) that `choice` takes from the
        family.

    Raises
    ------
    ArgumentError
        For another p, matrices that are not square, finite and of one size.

    Examples
    --------
    >>> family = [np.array([[-2.0, 0.5], [1.0, -1.0]]), np.array([[-1.0, 0.3], [-0.2, -2.0]])]
    >>> found = common_weights(family)
    >>> print(round(found.lower, 6), round(found.upper, 6), found.choice)
    -0.452277 -0.452277 [1 0]
    """
    order = _order(p)
    if order == 2:
        raise ArgumentError("p", p, "1 or inf", choices=("1", "inf"))
    if method not in ("policy", "program"):
        raise ArgumentError("method", method, "a way to search", choices=("policy", "program"))
    rows = [metzler_majorant(A) for A in _family(family)]
    if order == 1:
        rows = [M.T.tocsr() if hasattr(M, "tocsr") else np.ascontiguousarray(M.T) for M in rows]
    if method == "program":
        from .programs import weights_by_bisection

        tol = 1e-9 if tol is None else tol
        return bounds_of(rows, weights_by_bisection(rows, tol), tol)
    return row_choice_perron(rows, tol)


def is_hurwitz_metzler(M):
    r"""A vector :math:`\eta > 0` with :math:`M\eta < 0`, which proves that the Metzler matrix M is Hurwitz, or None.

    >>> is_hurwitz_metzler([[-1.0, 2.0], [2.0, -1.0]]) is None
    True
    >>> eta = is_hurwitz_metzler([[-2.0, 0.5, 0.0], [1.0, -1.5, 0.3], [0.2, 0.4, -1.0]])
    >>> print((eta / eta[2]).round(4))
    [0.2559 0.6765 1.    ]
    """
    M = _check_metzler(M)
    found = row_choice_perron([M], None)
    if found.upper < 0 or (found.lower < 0 and _is_negative_exactly(M, found.vector)):
        return found.vector
    return None


def _is_negative_exactly(M, v):
    """Whether M v < 0 in rational arithmetic; False for matrices of many entries, where this would take long."""
    if (M.nnz if hasattr(M, "tocsr") else M.size) > _EXACT:
        return False
    rows = M.toarray() if hasattr(M, "tocsr") else M
    v = [Fraction(float(x)) for x in v]
    return all(sum(Fraction(float(m)) * x for m, x in zip(row, v, strict=True) if m) < 0 for row in rows)


def _check_metzler(M):
    if hasattr(M, "tocsr"):
        from scipy.sparse import csr_array

        M = csr_array(M)
        off = without_diagonal(M).data
    else:
        M = np.asarray(M, dtype=float)
        off = without_diagonal(M) if M.ndim == 2 and M.shape[0] == M.shape[1] else np.array([np.nan])
    if M.ndim != 2 or M.shape[0] != M.shape[1]:
        raise ArgumentError("M", Shown(f"shape {M.shape}"), "a square matrix")
    if not (np.isfinite(off).all() and np.isfinite(M.diagonal()).all() and (off >= 0).all()):
        raise ArgumentError(
            "M", Shown("a matrix with a negative or infinite entry off its diagonal"), "a Metzler matrix"
        )
    return M


def _family(family):
    """A list of square, finite matrices of one size, dense or csr."""
    if hasattr(family, "tocsr"):
        family = [family]
    elif not (isinstance(family, list | tuple) and len(family) and any(hasattr(A, "tocsr") for A in family)):
        try:
            family = np.asarray(family, dtype=float)
        except (TypeError, ValueError):
            raise ArgumentError("A", family, "a square matrix, or several of one size") from None
        family = list(family) if family.ndim == 3 else [family]
    family = [A.tocsr() if hasattr(A, "tocsr") else np.asarray(A, dtype=float) for A in family]
    if len({hasattr(A, "tocsr") for A in family}) > 1:
        from scipy.sparse import csr_array

        family = [csr_array(A) for A in family]
    shapes = sorted({A.shape for A in family})
    if len(shapes) != 1 or len(shapes[0]) != 2 or shapes[0][0] != shapes[0][1] or shapes[0][0] == 0:
        shown = "no matrix" if not shapes else f"shape {shapes[0]}" if len(shapes) == 1 else f"shapes {shapes}"
        raise ArgumentError("A", Shown(shown), "a square matrix, or several of one size")
    if not all(np.isfinite(A.data if hasattr(A, "tocsr") else A).all() for A in family):
        raise ArgumentError("A", Shown("a matrix with an entry that is not finite"), "finite matrices")
    return family


def _order(p):
    try:
        order = float(p)
    except (TypeError, ValueError):
        order = math.nan
    if order not in (1, 2, math.inf):
        raise ArgumentError("p", p, "1, 2 or inf", choices=("1", "2", "inf"))
    return order
