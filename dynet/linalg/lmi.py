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

__all__ = ["QuadraticNorm", "common_quadratic_norm"]

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
    """

    P: np.ndarray
    upper: float
    lower: float
    attained: bool


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
    for count in range(_SOLVES):
        if best[0] - floor <= gap:
            break
        # the lower bound is often what is reached: then one program a hair above it ends the search
        b = lower + gap / 2 if count == 0 else (best[0] + floor) / 2
        P, bound = search.at(b)
        best = _better(best, P, matrices)
        if best[0] > b:
            lower = max(lower, min(bound, best[0]))
            floor = max(b, lower)
    P = best[1]
    proven = least_quadratic_bound(P, matrices)
    return QuadraticNorm(P, proven, min(lower, proven), bool(proven - lower <= 2 * gap))


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
        i, j = (np.arange(n), np.arange(n)) if diagonal else np.triu_indices(n)
        order = np.lexsort((i, j))  # the upper triangle, column by column
        self.i, self.j = i[order], j[order]
        count = len(self.i)
        both = self.i != self.j
        # vec(P), column by column, from the unknowns; and the scaled triangle that the solver wants from vec
        at = np.concatenate([self.j * n + self.i, (self.i * n + self.j)[both]])
        unknown = np.concatenate([np.arange(count), np.arange(count)[both]])
        spread = sparse.csr_array((np.ones(len(at)), (at, unknown)), shape=(n * n, count))
        a, b = np.triu_indices(n)
        order = np.lexsort((a, b))
        a, b = a[order], b[order]
        scale = np.where(a == b, 1.0, math.sqrt(2))
        self.a, self.b, self.scale = a, b, scale
        pick = sparse.csr_array((scale, (np.arange(len(a)), b * n + a)), shape=(len(a), n * n))
        eye = sparse.eye_array(n)
        self.plain = sparse.csr_array(pick @ spread)
        # vec(PJ) = (J' x I) vec(P), vec(J'P) = (I x J') vec(P)
        self.linear = [pick @ (sparse.kron(J.T, eye) + sparse.kron(eye, J.T)) @ spread for J in matrices]
        self.identity = sparse.csr_array((a == b).astype(float)[:, None])
        self.trace = sparse.csr_array((self.i == self.j).astype(float)[None, :])

    def at(self, b):
        """The best P for a bound b, or None; and a lower bound that the dual shows, or -inf."""
        import clarabel
        from scipy import sparse

        count = len(self.i)
        # unknowns (P, t); A x + s = rhs with s in the cones: s = 2 b P - (PJ + J'P) - t I, then P - t I
        blocks = [[sparse.csr_array(M - 2 * b * self.plain), self.identity] for M in self.linear]
        blocks += [[-1 * self.plain, self.identity], [self.trace, sparse.csr_array((1, 1))]]
        A = sparse.block_array(blocks, format="csc")
        rhs = np.zeros(A.shape[0])
        rhs[-1] = self.n
        cones = [clarabel.PSDTriangleConeT(self.n)] * (len(self.matrices) + 1) + [clarabel.ZeroConeT(1)]
        settings = clarabel.DefaultSettings()
        settings.verbose = False
        cost = np.concatenate([np.zeros(count), [-1.0]])
        empty = sparse.csc_array((count + 1, count + 1))
        answer = clarabel.DefaultSolver(_csc(empty), cost, _csc(A), rhs, cones, settings).solve()
        if "Solved" not in str(answer.status):
            return None, -math.inf
        P = np.zeros((self.n, self.n))
        P[self.i, self.j] = answer.x[:-1]
        P = P + np.triu(P, 1).T
        return P, self._shown(np.array(answer.z))

    def _shown(self, z):
        """The largest b for which the dual matrices still show that no P reaches less."""
        n, length = self.n, len(self.a)
        total, weight = np.zeros((n, n)), np.zeros((n, n))
        for k, J in enumerate(self.matrices):
            Z = np.zeros((n, n))
            Z[self.a, self.b] = z[k * length : (k + 1) * length] / self.scale
            Z = Z + np.triu(Z, 1).T
            total += J @ Z + Z @ J.T
            weight += 2 * Z
        if len(self.i) == n:  # diagonal P: only the diagonal of the inequality counts
            heavy = np.diagonal(weight) > 1e-9 * np.diagonal(weight).max()
            return float((np.diagonal(total)[heavy] / np.diagonal(weight)[heavy]).min())
        values, vectors = np.linalg.eigh(weight)
        heavy = values > 1e-9 * values[-1]
        root = vectors[:, heavy] / np.sqrt(values[heavy])
        inner = root.T @ total @ root
        return float(np.linalg.eigvalsh((inner + inner.T) / 2)[0])


def _csc(matrix):
    from scipy.sparse import csc_matrix

    return csc_matrix(matrix)  # what the solver's interface reads
