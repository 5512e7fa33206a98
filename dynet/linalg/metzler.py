r"""Metzler matrices: Perron vectors, optimal weights, Hurwitz witnesses.

For a Metzler matrix M (nonnegative off the diagonal) and any vector :math:`\eta > 0`,

.. math:: \min_i \frac{(M\eta)_i}{\eta_i} \;\le\; \alpha(M) \;\le\; \max_i \frac{(M\eta)_i}{\eta_i},

so a positive vector is a proof of a bound on the spectral abscissa, and the right Perron vector makes both sides equal.
A nonnegative vector v with :math:`M v \ge b v` proves :math:`\alpha(M) \ge b` even where some of its entries vanish.

When each row of M may be chosen from two (the slope of a unit is at one of its two ends), the same holds for the larger of
the two products, and the optimal weights solve a nonlinear Perron problem. The search below is a power iteration with
Collatz-Wielandt bounds, followed where needed by policy iteration with Noda's inverse iteration. It proves nothing: the
vectors it returns do.

References
----------
Noda, Note on the computation of the maximal eigenvalue of a non-negative irreducible matrix, Numer. Math. 17, 1971.
Davydov, Proskurnikov, Bullo, Non-Euclidean contractivity of recurrent neural networks, arXiv:2110.08298.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..errors import ArgumentError, Shown

__all__ = ["Perron", "is_hurwitz_metzler", "metzler_majorant", "optimal_weights", "perron", "row_choice_perron",
           "spectral_abscissa"]  # fmt: skip

_POWERS = 400  # power iterations before inverse iteration is tried
_FLOOR = 1e-12  # least weight relative to the largest: keeps rows that nothing depends on from vanishing

_LEAST = 1e-90  # the same for matrices that are reducible, whose optimal weights are far apart


class Perron(NamedTuple):
    """Bounds on a spectral abscissa with the vectors that prove them.

    Attributes
    ----------
    upper, lower : float
    vector : ndarray, shape (n,)
        Positive; proves `upper`.
    witness : ndarray, shape (n,)
        Nonnegative; proves `lower`, for the rows in `choice`.
    choice : ndarray of int, shape (n,)
        The row of the family that attains the maximum.
    attained : bool
        Whether the bounds agree to the tolerance.
    """

    upper: float
    lower: float
    vector: np.ndarray
    witness: np.ndarray
    choice: np.ndarray
    attained: bool


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
    r"""The weights in which the log norm of A is least, and that least value :math:`\alpha(\lceil A\rceil)`.

    Parameters
    ----------
    A : ndarray (n, n) or scipy sparse array
    p : 1, 2 or inf
        For p = 2 the diagonal :math:`P = [\xi_i/\eta_i]` of the two Perron vectors, which attains the same value for the
        Metzler majorant of A but may not be the best P for A itself.
    tol : float, optional

    Returns
    -------
    value : float
        The log norm of the Metzler majorant in the returned weights, to rounding.
    weights : ndarray, shape (n,)

    Examples
    --------
    >>> value, weights = optimal_weights([[-1.0, 0.5], [-0.75, 0.25]])
    >>> print(round(value, 9), (weights / weights[0]).round(6))
    0.5 [1. 3.]
    """
    M = metzler_majorant(A)
    order = float(p)
    if order not in (1, 2, math.inf):
        raise ArgumentError("p", p, "1, 2 or inf", choices=("1", "2", "inf"))
    if order == math.inf:
        right = perron(M, tol)
        return right.upper, right.vector
    left = perron(M.T.tocsr() if hasattr(M, "tocsr") else M.T, tol)
    if order == 1:
        return left.upper, left.vector
    right = perron(M, tol)
    return max(left.upper, right.upper), left.vector / right.vector


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
    return found.vector if np.all(M @ found.vector < 0) else None


def row_choice_perron(rows, tol=None):
    """Least b with :math:`\\max_k M_k\\eta \\le b\\eta` for some positive vector, where row i may come from any `M_k`.

    Parameters
    ----------
    rows : list of one or two Metzler matrices (n, n)
    tol : float, optional
        Wanted gap relative to the size of the matrices; by default 1e-15 up to n = 300, 1e-12 up to 2000, and
        1e-7 above.

    Returns
    -------
    Perron
    """
    n = rows[0].shape[0]
    tol = (1e-15 if n <= 300 else 1e-12 if n <= 2000 else 1e-7) if tol is None else tol
    diagonals = [np.asarray(M.diagonal()) for M in rows]
    offs = [_without_diagonal(M) for M in rows]
    scale = max(np.abs(d).max(initial=0.0) for d in diagonals) + max(np.abs(o).sum() / n for o in offs)
    scale = scale or 1.0

    def ratios(v):
        """The quotients (M v)_i / v_i, maximal over the choice, and the choice."""
        values = [d + (o @ v) / v for d, o in zip(diagonals, offs, strict=True)]
        if len(values) == 1:
            return values[0], np.zeros(n, int)
        choice = (values[1] > values[0]).astype(int)
        return np.maximum(values[0], values[1]), choice

    def normal(v):
        v = v / v.max()
        return np.maximum(v, _FLOOR)

    linked = (
        sum(np.asarray(abs(o).sum(axis=1)).ravel() for o in offs) > 0
    )  # a row without links has no say in when to stop
    linked = linked if linked.any() else ~linked
    v = np.ones(n)
    best = (math.inf, v)
    shift = -min(d.min() for d in diagonals) + 0.05 * scale
    before = math.inf
    for k in range(_POWERS):
        quotient, choice = ratios(v)
        top = quotient.max()
        if top < best[0]:
            best = (top, v)
        least = quotient[linked].min()
        if top - least <= tol * scale:
            break
        if k % 50 == 49:  # too slow to be worth waiting for, or at the floor of rounding
            if before - best[0] <= 0.2 * (best[0] - least):
                break
            before = best[0]
        v = normal(v * (quotient + shift))
    top, v = best
    quotient, choice = ratios(v)
    if top - quotient[linked].min() > tol * scale:
        top, v, choice = _inverse_iteration(ratios, diagonals, offs, v, tol * scale, normal)
    witness, lower = _lower(diagonals, offs, choice, v, top, tol * scale)
    if top - lower > tol * scale:  # reducible, or not converged
        first = choice
        top, v, choice = _resolvent(ratios, diagonals, offs, (top, v, choice), lower, scale)
        other, value = _lower(diagonals, offs, choice, v, top, tol * scale)
        if value > lower:
            witness, lower = other, value
        else:
            choice = first
    longest = max(int(np.diff(o.indptr).max(initial=0)) if hasattr(o, "indptr") else n for o in offs)
    rounding = 2.0**-51 * (longest + 4) * (abs(top) + 2 * max(np.abs(d).max(initial=0.0) for d in diagonals))
    lower = min(lower, top) - rounding  # so that it stays below what the witness proves
    return Perron(float(top), float(lower), v, witness, choice, bool(top - lower <= 10 * tol * scale + 2 * rounding))


def _inverse_iteration(ratios, diagonals, offs, v, tol, normal):
    """Policy iteration: for the rows that are largest now, one step of Noda's iteration; keeps the best vector."""
    quotient, choice = ratios(v)
    best = (quotient.max(), v, choice)
    for _ in range(40):
        top = quotient.max()
        matrix, diagonal = _chosen(offs, choice), _pick(diagonals, choice)
        fresh = _solve(matrix, diagonal, top + 1e-14 * (abs(top) + tol), v)
        if fresh is None:
            break
        v = normal(fresh)
        quotient, choice = ratios(v)
        gained = best[0] - quotient.max()
        if gained > 0:
            best = (quotient.max(), v, choice)
        if gained <= 0.01 * tol or quotient.max() - quotient.min() <= tol:
            break
    return best


def _resolvent(ratios, diagonals, offs, best, lower, scale):
    """The vectors ``(b I - M)^-1 1`` for b just above the lower bound, which a reducible matrix needs; keeps the best."""
    for power in range(2, 13, 2):
        b, choice = lower + 10.0**-power * scale, best[2]
        for _ in range(4):
            fresh = _solve(_chosen(offs, choice), _pick(diagonals, choice), b, np.ones(len(choice)))
            if fresh is None:
                break
            v = np.maximum(fresh / fresh.max(), _LEAST)  # a chain of n links needs weights like powers of n
            quotient, after = ratios(v)
            if quotient.max() < best[0]:
                best = (quotient.max(), v, after)
            if np.array_equal(after, choice):
                break
            choice = after
    return best


def _solve(off, diagonal, b, v):
    """(b I - M)^-1 v, or None where it is not positive and finite, or too large to factor."""
    if isinstance(off, np.ndarray):
        try:
            x = np.linalg.solve(np.diag(b - diagonal) - off, v)
        except np.linalg.LinAlgError:
            return None
    else:
        from scipy.sparse import diags_array
        from scipy.sparse.linalg import splu

        if off.shape[0] > 20_000 and off.nnz > 4 * off.shape[0]:
            return None  # fill-in of a large network without planar structure
        try:
            x = splu((diags_array(b - diagonal) - off).tocsc()).solve(v)
        except RuntimeError:
            return None
    return x if np.all(np.isfinite(x)) and np.all(x > 0) else None


def _lower(diagonals, offs, choice, v, top, tol):
    """A nonnegative vector that proves a lower bound: v restricted to the strongly connected part that does best."""
    matrix, diagonal = _chosen(offs, choice), _pick(diagonals, choice)
    quotient = diagonal + (matrix @ v) / v
    best = (quotient.min(), v)
    if top - best[0] > tol:
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        entries = coo_array(matrix)
        keep = entries.data != 0
        row, col, data = entries.row[keep], entries.col[keep], entries.data[keep]
        count, part = connected_components(coo_array((data, (row, col)), shape=matrix.shape), connection="strong")
        if count > 1:
            inside = part[row] == part[col]
            sums = np.bincount(row[inside], data[inside] * v[col[inside]], minlength=len(v))
            least = np.full(count, np.inf)
            np.minimum.at(least, part, diagonal + sums / v)
            winner = int(least.argmax())
            if least[winner] > best[0]:
                best = (least[winner], np.where(part == winner, v, 0.0))
    return best[1], best[0]


def _chosen(offs, choice):
    """The off-diagonal matrix whose row i comes from ``offs[choice[i]]``."""
    if len(offs) == 1:
        return offs[0]
    if isinstance(offs[0], np.ndarray):
        return np.where(choice[:, None] == 1, offs[1], offs[0])
    from scipy.sparse import diags_array

    return (diags_array(1.0 - choice) @ offs[0] + diags_array(choice.astype(float)) @ offs[1]).tocsr()


def _pick(diagonals, choice):
    return diagonals[0] if len(diagonals) == 1 else np.where(choice == 1, diagonals[1], diagonals[0])


def _without_diagonal(M):
    if isinstance(M, np.ndarray):
        off = M.copy()
        np.fill_diagonal(off, 0.0)
        return off
    off = M.tocoo()
    keep = off.row != off.col
    from scipy.sparse import csr_array

    return csr_array((off.data[keep], (off.row[keep], off.col[keep])), shape=off.shape)


def _check_metzler(M):
    if hasattr(M, "tocsr"):
        from scipy.sparse import csr_array

        M = csr_array(M)
        off = _without_diagonal(M).data
    else:
        M = np.asarray(M, dtype=float)
        off = _without_diagonal(M) if M.ndim == 2 and M.shape[0] == M.shape[1] else np.array([np.nan])
    if M.ndim != 2 or M.shape[0] != M.shape[1]:
        raise ArgumentError("M", Shown(f"shape {M.shape}"), "a square matrix")
    if not (np.isfinite(off).all() and np.isfinite(M.diagonal()).all() and (off >= 0).all()):
        raise ArgumentError(
            "M", Shown("a matrix with a negative or infinite entry off its diagonal"), "a Metzler matrix"
        )
    return M
