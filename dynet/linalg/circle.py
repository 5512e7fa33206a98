r"""Quadratic norms for :math:`J = E + F[s]G` with slopes in intervals: the circle criterion, in its incremental form.

Write the slopes as :math:`s = lo + d` with :math:`0 \le d \le h = hi - lo`, and :math:`E_0 = E + F[lo]G`. With multipliers
:math:`\lambda > 0`, for every x and :math:`v = d \circ Gx`,

.. math::
    v^\top[\lambda](h \circ Gx - v) \ge 0, \quad\text{so that}\quad
    \begin{bmatrix} 2bP - PE_0 - E_0^\top P & -(PF + G^\top[h\lambda]) \\ \cdot & 2[\lambda] \end{bmatrix} \succ 0

gives :math:`x^\top PJx \le b\,x^\top Px` for all slopes at once: one inequality of n + m rows instead of one for each of the
:math:`2^m` corners. It is linear in P and the multipliers for each b, and the best b is found by bisection. For one slope
nothing is lost. For several it may be larger than what the corners allow, which
:func:`dynet.linalg.common_quadratic_norm` finds for few slopes.

References
----------
Boyd, El Ghaoui, Feron, Balakrishnan, Linear Matrix Inequalities in System and Control Theory, SIAM, 1994, chapter 8.
Centorrino, Gokhale, Davydov, Russo, Bullo, Euclidean contractivity of neural networks with symmetric weights,
arXiv:2302.13452 (the case of multipliers 1/h).
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from ..errors import ArgumentError, Shown
from .lmi import maximise_slack, triangle
from .rigorous import gamma, is_positive_definite, is_positive_definite_exact

__all__ = ["SlopeNorm", "slope_bound_holds", "slope_quadratic_norm"]

_LARGEST = 100  # rows and slopes together; the programs have about n^2/2 unknowns
_SOLVES = 40


class SlopeNorm(NamedTuple):
    """A quadratic norm in which a matrix stays below a bound for all slopes.

    Attributes
    ----------
    P : ndarray, shape (n, n)
    multipliers : ndarray, shape (m,)
    upper : float
        Proven bound on the log norm for all slopes; inf where nothing was found.
    lower : float
        No norm of any kind reaches less: the largest spectral abscissa for slopes all at their lower or upper ends, in
        floating point.
    """

    P: np.ndarray
    multipliers: np.ndarray
    upper: float
    lower: float


def slope_bound_holds(P, multipliers, matrices, slopes, b, exact=False):
    r"""Whether :math:`\mu_{2,P}(E + F[s]G) < b` for all slopes, proven by the inequality of the module.

    Parameters
    ----------
    P : ndarray, shape (n, n)
        Symmetric.
    multipliers : ndarray, shape (m,)
    matrices : tuple of ndarray
        E (n, n), F (n, m), G (m, n).
    slopes : tuple of ndarray, shape (m,)
        lo and hi.
    b : float
    exact : bool
        In rational arithmetic.

    Returns
    -------
    bool
        True is a proof, also that P is positive definite.

    Examples
    --------
    >>> A = np.array([[0.5, -0.3], [-0.3, 0.2]])
    >>> parts, slopes = (-np.eye(2), np.eye(2), A), (np.zeros(2), np.ones(2))
    >>> P = np.array([[1.24565162, 0.90648966], [0.90648966, 2.15214128]])
    >>> slope_bound_holds(P, np.ones(2), parts, slopes, -0.3145), slope_bound_holds(P, np.ones(2), parts, slopes, -0.3147)
    (True, False)
    """
    arrays = [np.asarray(x, dtype=float) for x in (P, multipliers, *matrices, *slopes)]
    P, multipliers, E, F, G, lo, hi = arrays
    if P.ndim != 2 or multipliers.ndim != 1:
        return False
    n, m = len(P), len(multipliers)
    shapes = [(n, n), (m,), (n, n), (n, m), (m, n), (m,), (m,)]
    if [x.shape for x in arrays] != shapes or not all(np.isfinite(x).all() for x in (*arrays, b)):
        return False
    if not (np.all(lo <= hi) and np.all(multipliers > 0) and np.array_equal(P, P.T)):
        return False
    if exact:
        return _holds_exactly(arrays, b)
    if not is_positive_definite(P):
        return False
    M, error = _form(arrays, b)
    return is_positive_definite(M, error)


def slope_quadratic_norm(E, F, G, lo, hi, tol=1e-6):
    """The P, with multipliers, for which the bound on the log norm of ``E + F [s] G`` for all slopes s is least.

    Parameters
    ----------
    E, F, G : array_like, shapes (n, n), (n, m), (m, n)
    lo, hi : array_like, shape (m,)
        Ends of the slopes.
    tol : float
        Relative to the size of the matrices.

    Returns
    -------
    SlopeNorm

    Raises
    ------
    ArgumentError
        For arrays that do not fit or are not finite, lo > hi, n + m above 100.

    Examples
    --------
    >>> A = np.array([[0.5, -0.3], [-0.3, 0.2]])
    >>> found = slope_quadratic_norm(-np.eye(2), np.eye(2), A, np.zeros(2), np.ones(2))
    >>> print(round(found.upper, 4))
    -0.3146
    """
    E, F, G, lo, hi = _checked(E, F, G, lo, hi)
    if not (np.isscalar(tol) and 0 < tol < 1):
        raise ArgumentError("tol", tol, "a relative gap between 0 and 1")
    n, m = F.shape
    ends = [E + (F * s) @ G for s in (lo, hi)]
    lower = max(float(np.linalg.eigvals(J).real.max()) for J in ends)
    size = float((np.abs(E) + (np.abs(F) * np.maximum(np.abs(lo), np.abs(hi))) @ np.abs(G)).sum(axis=1).max()) or 1.0
    moving = hi > lo  # a fixed slope needs no multiplier
    program = _Program(ends[0], F[:, moving], G[moving], (hi - lo)[moving])
    best = (math.inf, np.eye(n), np.ones(m))
    low, high = lower, lower + 4 * size
    for count in range(_SOLVES):
        if high - low <= tol * size:
            break
        b = low + tol * size / 2 if count == 0 else (low + high) / 2
        found = program.at(b)
        if found is not None:
            multipliers = np.ones(m)
            multipliers[moving] = found[1]
            proven = _least(found[0], multipliers, (E, F, G), (lo, hi), b, tol * size)
            if proven < best[0]:
                best = (proven, found[0], multipliers)
        low, high = (low, b) if found is not None else (b, high)
    return SlopeNorm(best[1], best[2], best[0], min(lower, best[0]))


def _least(P, multipliers, matrices, slopes, b, step):
    """The bound b, or one that is a little larger, if it can be proven; else inf."""
    for more in (0.0, 0.1, 1.0):
        if slope_bound_holds(P, multipliers, matrices, slopes, b + more * step):
            return b + more * step
    return math.inf


def _form(arrays, b):
    """The matrix of the inequality in floating point, symmetric, and a bound on the spectral norm of its error."""
    P, multipliers, E, F, G, lo, hi = arrays
    n, m = F.shape
    with np.errstate(over="ignore", invalid="ignore"):
        scale = (hi - lo) * multipliers
        PF = P @ F
        PE = P @ E + (PF * lo) @ G
        side = -(PF * (hi > lo) + G.T * scale)  # v vanishes where the slope is fixed
        M = np.block([[2 * b * P - (PE + PE.T), side], [side.T, np.diag(2 * multipliers)]])
        p, e, f, g = (np.abs(x) for x in (P, E, F, G))
        pf, wide = p @ f, (np.abs(lo) + np.abs(hi)) * multipliers
        pe = p @ e + (pf * np.abs(lo)) @ g
        sums = np.concatenate([
            2 * abs(b) * p.sum(axis=1) + pe.sum(axis=1) + pe.sum(axis=0) + pf.sum(axis=1) + (g.T * wide).sum(axis=1),
            pf.sum(axis=0) + (g.T * wide).sum(axis=0),
        ])  # fmt: skip
        error = gamma(3 * n + 2 * m + 20) * sums.max() * (1 + 1e-9)
        # products that underflow are off by the least float times what multiplies them
        most = 1 + max(x.max(initial=0.0) for x in (p, f, g, e, np.abs(lo), np.abs(hi), multipliers))
        return M, error + 1e-300 * (n + m) ** 3 * most**3


def _holds_exactly(arrays, b):
    P, multipliers, E, F, G, lo, hi = (_fractions(x) for x in arrays)
    n, m, b = len(P), len(multipliers), Fraction(float(b))
    rows, units = range(n), range(m)
    PF = [[sum(P[i][k] * F[k][u] for k in rows) for u in units] for i in rows]
    PE = [[sum(P[i][k] * E[k][j] for k in rows) + sum(PF[i][u] * lo[u] * G[u][j] for u in units) for j in rows]
          for i in rows]  # fmt: skip
    side = [[-(PF[i][u] * (hi[u] > lo[u]) + G[u][i] * (hi[u] - lo[u]) * multipliers[u]) for u in units] for i in rows]
    M = [[2 * b * P[i][j] - PE[i][j] - PE[j][i] for j in rows] + side[i] for i in rows]
    M += [[side[i][u] for i in rows] + [2 * multipliers[u] * (u == w) for w in units] for u in units]
    return is_positive_definite_exact(P) and is_positive_definite_exact(M)


def _fractions(x):
    return [Fraction(float(v)) for v in x] if x.ndim == 1 else [[Fraction(float(v)) for v in row] for row in x]


class _Program:
    """The semidefinite program for the largest slack t of the inequality and of P, with P of trace n."""

    def __init__(self, E, F, G, h):
        from scipy import sparse

        self.n, self.m = n, m = F.shape
        self.i, self.j, _ = triangle(n)
        row, column, scale = triangle(n + m)
        count = len(self.i)
        both = self.i != self.j
        at = np.concatenate([self.j * n + self.i, (self.i * n + self.j)[both]])
        unknown = np.concatenate([np.arange(count), np.arange(count)[both]])
        spread = sparse.csr_array((np.ones(len(at)), (at, unknown)), shape=(n * n, count))
        eye = sparse.eye_array(n)
        first, side = column < n, (row < n) & (column >= n)
        corner = np.flatnonzero((row == column) & (row >= n))

        def rows_of(mask, place, size):
            """Takes entries of a block, as a vector column by column, to their rows of the large triangle."""
            where = np.flatnonzero(mask)
            return sparse.csr_array((scale[where], (where, place[where])), shape=(len(row), size))

        inner = rows_of(first, column * n + row, n * n)
        outer = rows_of(side, (column - n) * n + row, n * m)
        self.plain = sparse.csr_array(inner @ spread)
        linear = inner @ (sparse.kron(E.T, eye) + sparse.kron(eye, E.T)) @ spread
        self.linear = sparse.csr_array(linear + outer @ sparse.kron(F.T, eye) @ spread)
        unit = np.repeat(np.arange(m), n)
        gains = sparse.csr_array(((G * h[:, None]).ravel(), (np.arange(n * m), unit)), shape=(n * m, m))
        diagonal = sparse.csr_array((np.full(m, 2.0), (corner, np.arange(m))), shape=(len(row), m))
        self.multipliers = sparse.csr_array(diagonal - outer @ gains)
        self.identity = sparse.csr_array((row == column).astype(float)[:, None])
        a, b, scale = triangle(n)
        self.small = sparse.diags_array(scale), sparse.csr_array((a == b).astype(float)[:, None])

    def at(self, b):
        """P and the multipliers with the largest slack, or None where none has any."""
        from scipy import sparse

        trace = sparse.csr_array((self.i == self.j).astype(float)[None, :])
        inequality = [self.linear - 2 * b * self.plain, -1 * self.multipliers, self.identity]
        small = [-1 * self.small[0], None, self.small[1]]
        blocks = [inequality, small, [trace, sparse.csr_array((1, self.m)), sparse.csr_array((1, 1))]]
        if not self.m:
            blocks = [[line[0], line[2]] for line in blocks]
        x, _ = maximise_slack(sparse.block_array(blocks, format="csc"), self.n, [self.n + self.m, self.n])
        if x is None or not x[-1] > 0:
            return None
        P = np.zeros((self.n, self.n))
        P[self.i, self.j] = x[: len(self.i)]
        return P + np.triu(P, 1).T, x[len(self.i) : -1]


def _checked(E, F, G, lo, hi):
    arrays = []
    for name, value in (("E", E), ("F", F), ("G", G), ("lo", lo), ("hi", hi)):
        try:
            array = np.asarray(value.toarray() if hasattr(value, "toarray") else value, dtype=float)
        except (TypeError, ValueError):
            raise ArgumentError(name, value, "an array of numbers") from None
        if not np.isfinite(array).all():
            raise ArgumentError(name, Shown("an array with entries that are not finite"), "finite numbers")
        arrays.append(array)
    E, F, G, lo, hi = arrays
    n, m = len(E) if E.ndim else 0, len(lo) if lo.ndim else 0
    for name, array, shape in (
        ("E", E, (n, n)),
        ("F", F, (n, m)),
        ("G", G, (m, n)),
        ("lo", lo, (m,)),
        ("hi", hi, (m,)),
    ):
        if array.shape != shape or not n:
            raise ArgumentError(name, Shown(f"an array of shape {array.shape}"), f"shape {shape}")
    if not np.all(lo <= hi):
        i = int(np.flatnonzero(~(lo <= hi))[0])
        raise ArgumentError(f"lo[{i}]", float(lo[i]), f"at most hi[{i}] = {float(hi[i]):g}")
    if n + m > _LARGEST:
        raise ArgumentError("E", Shown(f"{n} rows with {m} slopes"), f"at most {_LARGEST} together")
    return E, F, G, lo, hi
