r"""One quadratic norm for a family of matrices, by linear matrix inequalities.

The least b for which some P makes :math:`\mu_{2,P}(J_k) \le b` for all k is found by bisection. For each b a semidefinite
program looks for the P of trace n with the largest slack t,

.. math:: 2bP - PJ_k - J_k^\top P \succeq tI, \quad P \succeq tI.

If t > 0 then P proves a bound below b, and the bisection goes on from that bound. If t <= 0 then so does its dual: matrices
:math:`Z_k \succeq 0`, not all zero, with :math:`\sum_k (J_k - bI)Z_k + Z_k(J_k - bI)^\top \succeq 0` show that no P can do
better than b. A lower bound is also the spectral abscissa of any one of the matrices.

Before any program is solved some candidates are tried, which are often optimal: the identity; the diagonal of the ratios of
the two Perron vectors of the entrywise largest Metzler majorant, which reaches that majorant's spectral abscissa; and the
solutions of the Lyapunov equations of the single matrices for b just above the lower bound.

The answer of the solver is a candidate. The upper bound that is returned is proven for the P that is returned, by
:func:`dynet.linalg.definite.quadratic_bound_holds`; the lower bound is computed in floating point and proves nothing.

References
----------
Boyd, El Ghaoui, Feron, Balakrishnan, Linear Matrix Inequalities in System and Control Theory, SIAM, 1994, chapter 5.
Aylward, Parrilo, Slotine, Stability and robustness analysis of nonlinear systems via contraction metrics and SOS
programming, Automatica 44, 2008.
"""

from __future__ import annotations

import math
import warnings
from typing import NamedTuple

import numpy as np

from ..errors import ArgumentError, Shown
from .definite import least_quadratic_bound
from .metzler import _family, optimal_weights

__all__ = ["QuadraticNorm", "common_quadratic_norm", "maximise_slack", "triangle"]

_LARGEST = 100  # rows; the programs have n (n + 1)/2 unknowns
_SOLVES = 60
_SPREAD = 1e12  # condition number of P beyond which a candidate is not used


class QuadraticNorm(NamedTuple):
    """A quadratic norm for a family of matrices.

    Attributes
    ----------
    P : ndarray, shape (n, n)
        Symmetric positive definite, with largest entry 1.
    upper : float
        Proven: the log norm of every matrix of the family in the norm of P is below it.
    lower : float
        No P reaches less, to the accuracy of floating point and of the solver.
    attained : bool
        Whether the two agree to the tolerance.
    dual : ndarray, shape (matrices, n, n), or None
        The matrices Z of the best dual solution, a candidate for a proof of the lower bound; None where none was needed.
    """

    P: np.ndarray
    upper: float
    lower: float
    attained: bool
    dual: np.ndarray | None = None


def common_quadratic_norm(family, tol=1e-6, diagonal=False):
    r"""The P in whose norm the largest log norm of a family of matrices is least.

    Parameters
    ----------
    family : ndarray (n, n), or a sequence of them
        For instance the Jacobians at the corners of a box of slopes: log norms are convex, so that what holds for them holds
        for all between them.
    tol : float
        Wanted gap between the bounds, relative to the size of the matrices.
    diagonal : bool
        Diagonal P only.

    Returns
    -------
    QuadraticNorm

    Raises
    ------
    ArgumentError
        For matrices that are not square, finite and of one size of at most 100 rows.

    Examples
    --------
    >>> saddle = np.array([[-1.0, 0.0, -1.0], [0.0, -2.0, -1.0], [1.0, 1.0, 0.0]])
    >>> found = common_quadratic_norm(saddle)
    >>> print(round(found.upper, 5), found.attained)
    -0.65884 True
    """
    matrices = [A.toarray() if hasattr(A, "toarray") else A for A in _family(family)]
    n = len(matrices[0])
    if n > _LARGEST:
        raise ArgumentError(
            "family", Shown(f"matrices of {n} rows"), f"at most {_LARGEST}; optimal_weights has no limit"
        )
    if not (np.isscalar(tol) and 0 < tol < 1):
        raise ArgumentError("tol", tol, "a relative gap between 0 and 1")
    size = max(float(np.abs(J).sum(axis=1).max()) for J in matrices) or 1.0
    gap = tol * size
    lower = max(float(np.linalg.eigvals(J).real.max()) for J in matrices)
    if diagonal:
        lower = max(lower, max(float(np.diagonal(J).max()) for J in matrices))
    best = (math.inf, np.eye(n))
    weights = optimal_weights(matrices, 2)[1]
    for P in (np.eye(n), np.diag(weights / weights.max())):
        best = _better(best, P, matrices)
    if not diagonal and best[0] - lower > gap:
        for J in matrices:
            for above in (0.5 * gap, 1e2 * gap, 1e4 * gap):
                best = _better(best, _lyapunov(J, lower + above), matrices)
    search, floor = _Program(matrices, diagonal), lower  # nothing was found below the floor
    dual = None
    for count in range(_SOLVES):
        if best[0] - floor <= gap:
            break
        # the lower bound is often what is reached: then one program a hair above it ends the search
        b = lower + gap / 2 if count == 0 else (best[0] + floor) / 2
        P, bound, Z = search.at(b)
        best = _better(best, P, matrices)
        if best[0] > b:
            dual = Z if bound > lower else dual
            lower = max(lower, min(bound, best[0]))
            floor = max(b, lower)
    P = best[1]
    proven = least_quadratic_bound(P, matrices)
    return QuadraticNorm(P, proven, min(lower, proven), bool(proven - lower <= 2 * gap), dual)


def _better(best, P, matrices):
    """The better of a pair (largest log norm, P) and another P, if that is positive definite and not too flat."""
    if P is None or not np.isfinite(P).all():
        return best
    P = (P + P.T) / 2
    P = P / np.abs(P).max()
    values = np.linalg.eigvalsh(P)
    if not values[0] > values[-1] / _SPREAD:
        return best
    L = np.linalg.cholesky(P)
    inner = [np.linalg.solve(L, (L.T @ J).T) for J in matrices]
    worst = max(float(np.linalg.eigvalsh((M + M.T) / 2)[-1]) for M in inner)
    return (worst, P) if worst < best[0] else best


def _lyapunov(J, b):
    """The P with ``(J - bI)'P + P(J - bI) = -I``, which proves b wherever it is positive definite."""
    from scipy.linalg import LinAlgError, LinAlgWarning, solve_continuous_lyapunov

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LinAlgWarning)  # of a matrix that is almost singular
        try:
            return solve_continuous_lyapunov((J - b * np.eye(len(J))).T, -np.eye(len(J)))
        except LinAlgError:
            return None


class _Program:
    """The semidefinite program of the module, ready for any b."""

    def __init__(self, matrices, diagonal):
        from scipy import sparse

        n = len(matrices[0])
        self.n, self.matrices = n, matrices
        self.a, self.b, self.scale = a, b, scale = triangle(n)
        self.i, self.j = (np.arange(n), np.arange(n)) if diagonal else (a, b)
        count = len(self.i)
        both = self.i != self.j
        # vec(P), column by column, from the unknowns; and the scaled triangle from vec
        at = np.concatenate([self.j * n + self.i, (self.i * n + self.j)[both]])
        unknown = np.concatenate([np.arange(count), np.arange(count)[both]])
        spread = sparse.csr_array((np.ones(len(at)), (at, unknown)), shape=(n * n, count))
        pick = sparse.csr_array((scale, (np.arange(len(a)), b * n + a)), shape=(len(a), n * n))
        eye = sparse.eye_array(n)
        self.plain = sparse.csr_array(pick @ spread)
        # vec(PJ) = (J' x I) vec(P), vec(J'P) = (I x J') vec(P)
        self.linear = [pick @ (sparse.kron(J.T, eye) + sparse.kron(eye, J.T)) @ spread for J in matrices]
        self.identity = sparse.csr_array((a == b).astype(float)[:, None])
        self.trace = sparse.csr_array((self.i == self.j).astype(float)[None, :])

    def at(self, b):
        """The best P for a bound b, or None; a lower bound that the dual shows, or -inf; and the dual matrices."""
        from scipy import sparse

        # unknowns (P, t); A x + s = rhs with s in the cones: s = 2 b P - (PJ + J'P) - t I, then P - t I
        blocks = [[sparse.csr_array(M - 2 * b * self.plain), self.identity] for M in self.linear]
        blocks += [[-1 * self.plain, self.identity], [self.trace, sparse.csr_array((1, 1))]]
        A = sparse.block_array(blocks, format="csc")
        sizes = [self.n] * (len(self.matrices) + 1)
        x, z = maximise_slack(A, self.n, sizes)
        if x is None:
            return None, -math.inf, None
        P = np.zeros((self.n, self.n))
        P[self.i, self.j] = x[:-1]
        P = P + np.triu(P, 1).T
        Z = self._duals(z)
        return P, self._shown(Z), Z

    def _duals(self, z):
        """The dual matrices, shape (matrices, n, n)."""
        length = len(self.a)
        found = np.zeros((len(self.matrices), self.n, self.n))
        for k, Z in enumerate(found):
            Z[self.a, self.b] = z[k * length : (k + 1) * length] / self.scale
            Z += np.triu(Z, 1).T
        return found

    def _shown(self, duals):
        """The largest b for which the dual matrices still show that no P reaches less."""
        n = self.n
        total = sum(J @ Z + Z @ J.T for J, Z in zip(self.matrices, duals, strict=True))
        weight = 2 * duals.sum(axis=0)
        if len(self.i) == n:  # diagonal P: only the diagonal of the inequality counts
            heavy = np.diagonal(weight) > 1e-9 * np.diagonal(weight).max()
            return float((np.diagonal(total)[heavy] / np.diagonal(weight)[heavy]).min())
        values, vectors = np.linalg.eigh(weight)
        heavy = values > 1e-9 * values[-1]
        root = vectors[:, heavy] / np.sqrt(values[heavy])
        inner = root.T @ total @ root
        return float(np.linalg.eigvalsh((inner + inner.T) / 2)[0])


def maximise_slack(A, total, sizes):
    """The largest last unknown t with ``-A x`` in the cones of positive semidefinite matrices, and the last row at `total`.

    Parameters
    ----------
    A : scipy.sparse.csc_array
        Upper triangles of matrices, column by column, off the diagonal times the root of 2; then one row.
    total : float
    sizes : list of int
        Rows of the matrices.

    Returns
    -------
    x, z : ndarray
        Solution and dual solution, None and None where the solver found none.
    """
    import clarabel
    from scipy.sparse import csc_matrix  # what the solver's interface reads

    rhs, cost = np.zeros(A.shape[0]), np.zeros(A.shape[1])
    rhs[-1], cost[-1] = total, -1.0
    cones = [clarabel.PSDTriangleConeT(size) for size in sizes] + [clarabel.ZeroConeT(1)]
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    empty = csc_matrix((A.shape[1], A.shape[1]))
    answer = clarabel.DefaultSolver(empty, cost, csc_matrix(A), rhs, cones, settings).solve()
    if "Solved" not in str(answer.status):
        return None, None
    return np.array(answer.x), np.array(answer.z)


def triangle(n):
    """Rows and columns of the upper triangle, column by column, and the factors that the solver wants on it."""
    row, column = np.triu_indices(n)
    order = np.lexsort((row, column))
    row, column = row[order], column[order]
    return row, column, np.where(row == column, 1.0, math.sqrt(2))
