r"""Search for the weights that make a family of Metzler matrices smallest, with bounds from both sides.

Let row i of a Metzler matrix come from any of the matrices :math:`M_1, \dots, M_r`: the least b with
:math:`M_k\eta \le b\eta` for all k and some :math:`\eta > 0` is a nonlinear Perron problem,

.. math:: b^* = \inf_{\eta>0} \max_k \max_i \frac{(M_k\eta)_i}{\eta_i} = \max_\sigma \alpha(M_\sigma),

where :math:`\sigma` chooses a row for each i. The search is a power iteration with Collatz-Wielandt bounds, followed where
needed by policy iteration with Noda's inverse iteration, and by resolvents for reducible matrices. It proves nothing: the
vectors that it returns do. :math:`\eta` proves the upper bound, and a vector :math:`v \ge 0` with
:math:`M_\sigma v \ge bv` the lower one; the bounds that are returned are those, rounded outward.

References
----------
Noda, Note on the computation of the maximal eigenvalue of a non-negative irreducible matrix, Numer. Math. 17, 1971.
Davydov, Proskurnikov, Bullo, Non-Euclidean contractivity of recurrent neural networks, arXiv:2110.08298.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .rigorous import quotient_down, quotient_up, rows_with_entries

__all__ = ["Perron", "bounds_of", "row_choice_perron", "without_diagonal"]

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


def row_choice_perron(rows, tol=None):
    """Least b with :math:`\\max_k M_k\\eta \\le b\\eta` for some positive vector, where row i may come from any `M_k`.

    Parameters
    ----------
    rows : list of Metzler matrices (n, n), or of pairs (diagonal, matrix without diagonal)
    tol : float, optional
        Wanted gap relative to the size of the matrices; by default 1e-15 up to n = 300, 1e-12 up to 2000, and
        1e-7 above.

    Returns
    -------
    Perron
    """
    diagonals, offs = _parts(rows)
    n = len(diagonals[0])
    tol = (1e-15 if n <= 300 else 1e-12 if n <= 2000 else 1e-7) if tol is None else tol
    scale = _scale(diagonals, offs)

    def ratios(v):
        return _quotients(diagonals, offs, v)

    def normal(v):
        v = v / v.max()
        return np.maximum(v, _FLOOR)

    linked = np.logical_or.reduce([rows_with_entries(o) for o in offs])  # other rows have no say in when to stop
    linked = linked if linked.any() else ~linked
    v = np.ones(n)
    best = (math.inf, v)
    shift = -min(d.min() for d in diagonals) + 0.05 * scale
    before = ten = math.inf
    for k in range(_POWERS):
        quotient, choice = ratios(v)
        top = quotient.max()
        if top < best[0]:
            best = (top, v)
        least = quotient[linked].min()
        if top - least <= tol * scale:
            break
        if k % 10 == 9:  # the upper bound stands still: what is missing is the lower one, of a reducible matrix
            if ten - best[0] <= 0.05 * tol * scale:
                break
            ten = best[0]
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
    for _ in range(4):  # each turn may find other rows, whose lower bound is better
        if top - lower <= tol * scale:  # otherwise reducible, or not converged
            break
        first = choice
        top, v, choice = _resolvent(ratios, diagonals, offs, (top, v, choice), lower, scale)
        other, value = _lower(diagonals, offs, choice, v, top, tol * scale)
        if value <= lower:
            choice = first
            break
        witness, lower = other, value
    return _proven(diagonals, offs, v, witness, choice, tol)


def _proven(diagonals, offs, v, witness, choice, tol):
    """The bounds that the vectors prove, rounded outward."""
    upper = max(float(quotient_up(d, o, v).max()) for d, o in zip(diagonals, offs, strict=True))
    lower = float(quotient_down(_pick(diagonals, choice), _chosen(offs, choice), witness).min())
    slack = 10 * tol * _scale(diagonals, offs) + 2 * _rounding(diagonals, offs, upper)
    return Perron(upper, lower, v, witness, choice, bool(upper - lower <= slack))


def bounds_of(rows, vector, tol=1e-9):
    """What a given positive vector proves, beside the best lower bound for the rows that bind it.

    >>> found = bounds_of([np.array([[-1.0, 0.5], [0.75, 0.25]])], np.array([1.0, 3.0]))
    >>> print(round(found.upper, 9), round(found.lower, 9), found.attained)
    0.5 0.5 True
    """
    diagonals, offs = _parts(rows)
    choice = _quotients(diagonals, offs, vector)[1]
    below = row_choice_perron([(_pick(diagonals, choice), _chosen(offs, choice))])
    return _proven(diagonals, offs, vector, below.witness, choice, tol)


def _parts(rows):
    """The diagonals of the matrices, and the matrices without them."""
    pairs = [M if isinstance(M, tuple) else (np.asarray(M.diagonal()), without_diagonal(M)) for M in rows]
    return tuple(list(part) for part in zip(*pairs, strict=True))


def _scale(diagonals, offs):
    """The size of the matrices, 1 if they vanish."""
    size = max(np.abs(d).max(initial=0.0) for d in diagonals) + max(o.sum() / len(diagonals[0]) for o in offs)
    return size or 1.0


def _quotients(diagonals, offs, v):
    """The quotients (M v)_i / v_i, maximal over the choice, and the choice."""
    best, choice = None, np.zeros(len(v), int)
    for k, (d, o) in enumerate(zip(diagonals, offs, strict=True)):
        values = d + (o @ v) / v if getattr(o, "nnz", 1) else d
        if best is None:
            best = values
        else:
            choice[values > best] = k
            best = np.maximum(best, values)
    return best, choice


def _rounding(diagonals, offs, top):
    """A bound on the rounding error of a quotient."""
    n = len(diagonals[0])
    longest = max(int(np.diff(o.indptr).max(initial=0)) if hasattr(o, "indptr") else n for o in offs)
    return 2.0**-51 * (longest + 4) * (abs(top) + 2 * max(np.abs(d).max(initial=0.0) for d in diagonals))


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
        matrix = offs[0].copy()
        for k, off in enumerate(offs[1:], start=1):
            matrix[choice == k] = off[choice == k]
        return matrix
    from scipy.sparse import diags_array

    return sum(diags_array((choice == k).astype(float)) @ off for k, off in enumerate(offs)).tocsr()


def _pick(diagonals, choice):
    return np.choose(choice, diagonals) if len(diagonals) <= 32 else np.stack(diagonals)[choice, np.arange(len(choice))]


def without_diagonal(M):
    """M with zeros on its diagonal; dense, or csr."""
    if isinstance(M, np.ndarray):
        off = M.copy()
        np.fill_diagonal(off, 0.0)
        return off
    off = M.tocoo()
    keep = off.row != off.col
    from scipy.sparse import csr_array

    return csr_array((off.data[keep], (off.row[keep], off.col[keep])), shape=off.shape)
