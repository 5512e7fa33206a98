r"""Proofs that symmetric matrices are positive definite, and that log norms in :math:`\ell_{2,P}` stay below a bound.

*Dense*: :math:`\mu_{2,P}(J) < b` if P and :math:`bP - (PJ + J^\top P)/2` are positive definite. Both go to the shifted Cholesky
factorisation of :mod:`dynet.linalg.rigorous`, the second with a bound on what rounding did to its entries.

*Sparse*, two lower bounds on the least eigenvalue of a symmetric S, each with a witness whose check solves nothing:

- *dominance*: a positive vector v with :math:`s_{ii}v_i - \sum_{j\ne i}|s_{ij}|v_j \ge \lambda v_i` for all i proves
  :math:`\lambda_{\min}(S) \ge \lambda`: it is Gershgorin's theorem for :math:`[v]^{-1}S[v]`. The Perron vector of the
  comparison matrix gives the best such bound, which is the eigenvalue itself where no entry off the diagonal is positive.
- *factors*: :math:`\Pi S\Pi^\top - sI = LDL^\top + R` with a permutation :math:`\Pi` and D > 0 proves
  :math:`\lambda_{\min}(S) \ge s - \|R\|_\infty`. The residual R is computed, and what rounding may have done is bounded by
  :math:`\gamma_{k+1}|L|D|L^\top|\mathbf 1`, for rows of at most k entries.

References
----------
Rump, Verification of positive definiteness, BIT Numerical Mathematics 46, 2006.
Higham, Accuracy and Stability of Numerical Algorithms, second edition, 2002, chapters 3 and 10.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ..errors import ArgumentError, Shown
from .metzler import perron
from .rigorous import UNIT, gamma, is_positive_definite, is_positive_definite_exact, quotient_up

__all__ = ["Dominance", "Factors", "least_eigenvalue_bound", "least_quadratic_bound", "quadratic_bound_holds"]

_HUGE = (
    1e100  # entries of factors beyond this, or below its inverse, are refused: no product of three underflows harmfully
)
_SPARE = 1 + 1e-9  # covers the rounding of sums of nonnegative numbers


def quadratic_bound_holds(P, J, b, exact=False):
    r"""Whether :math:`\mu_{2,P}(J) < b`, proven.

    Parameters
    ----------
    P : ndarray, shape (n, n)
        Symmetric.
    J : ndarray, shape (n, n)
    b : float
    exact : bool
        In rational arithmetic; of cost n^3 with growing numbers.

    Returns
    -------
    bool
        True is a proof, also that P is positive definite. False says nothing unless `exact`.

    Examples
    --------
    >>> J = np.array([[-1.0, 1.0], [-1.0, -1.0]])
    >>> quadratic_bound_holds(np.eye(2), J, -1.0 + 1e-12), quadratic_bound_holds(np.eye(2), J, -1.0)
    (True, False)
    """
    P, J = np.asarray(P, dtype=float), np.asarray(J, dtype=float)
    n = len(P)
    if not (P.shape == J.shape == (n, n) and math.isfinite(b) and np.isfinite(J).all()):
        return False
    if exact:
        return _holds_exactly(P, J, b)
    if not is_positive_definite(P):
        return False
    return is_positive_definite(*_form(P, J, b))


def _form(P, J, b):
    """The matrix of the claim in floating point, symmetric, and a bound on the spectral norm of its error."""
    one = np.ones(len(P))
    with np.errstate(over="ignore", invalid="ignore"):
        PJ = P @ J
        Q = b * P - (PJ + PJ.T) / 2
        p, j = np.abs(P), np.abs(J)
        sums = abs(b) * (p @ one) + (p @ (j @ one) + j.T @ (p @ one)) / 2
        return Q, gamma(len(P) + 6) * sums.max() * _SPARE + 1e-290


def least_quadratic_bound(P, family):
    r"""A proven bound on the largest :math:`\mu_{2,P}(J)` over a family, a hair above it; inf where nothing can be proven.

    Parameters
    ----------
    P : ndarray, shape (n, n)
        Symmetric.
    family : sequence of ndarray, shape (n, n)

    Returns
    -------
    float

    Examples
    --------
    >>> print(round(least_quadratic_bound(np.eye(2), [np.array([[-1.0, 1.0], [-1.0, -1.0]])]), 9))
    -1.0
    """
    try:
        L = np.linalg.cholesky(P)
    except np.linalg.LinAlgError:
        return math.inf
    worst = -math.inf
    for J in family:
        inner = np.linalg.solve(L, (L.T @ J).T)  # (L^T J L^-T)^T
        value = np.linalg.eigvalsh((inner + inner.T) / 2)[-1]
        size = max(np.abs(J).max(), abs(value)) or 1.0
        hair = 4 * UNIT * size
        while not quadratic_bound_holds(P, J, float(value + hair)):
            hair *= 4
            if hair > size:
                return math.inf
        worst = max(worst, float(value + hair))
    return worst


@dataclass(frozen=True, eq=False)
class Dominance:
    """A positive vector as a witness for a lower bound on the least eigenvalue."""

    v: np.ndarray

    def bound(self, S, exact=False):
        """The bound that the vector proves for S: rounded down, or as a Fraction; -inf for a vector that proves nothing."""
        S = _symmetric(S)
        v = self.v
        if v.shape != (S.shape[0],) or not np.all((v >= 1 / _HUGE) & (v <= _HUGE)):
            return -math.inf
        diagonal, off = _split(S)
        if not exact:
            return -float(quotient_up(-diagonal, off, v).max())
        v = [Fraction(float(x)) for x in v]
        rows = zip(off.indptr[:-1], off.indptr[1:], strict=True)
        sums = [sum(Fraction(float(off.data[t])) * v[off.indices[t]] for t in range(*row)) for row in rows]
        return min(Fraction(float(d)) - s / x for d, s, x in zip(diagonal, sums, v, strict=True))


@dataclass(frozen=True, eq=False)
class Factors:
    """Approximate factors of a shifted matrix as a witness for a lower bound on the least eigenvalue.

    Attributes
    ----------
    order : ndarray of int, shape (n,)
        Row i of the permuted matrix is row ``order[i]`` of S.
    L : scipy.sparse.csr_array, shape (n, n)
    D : ndarray, shape (n,)
    shift : float
    """

    order: np.ndarray
    L: object
    D: np.ndarray
    shift: float

    def bound(self, S):
        """The bound that the factors prove for S, rounded down; -inf for factors that prove nothing."""
        from scipy.sparse import diags_array

        S = _symmetric(S)
        n = S.shape[0]
        L, D, s = self.L, self.D, float(self.shift)
        whole = L.shape == (n, n) and D.shape == (n,) and np.array_equal(np.sort(self.order), np.arange(n))
        sane = (
            whole and math.isfinite(s) and np.all((D >= 1 / _HUGE) & (D <= _HUGE)) and np.all(np.abs(L.data) <= _HUGE)
        )
        if not sane:
            return -math.inf
        permuted = S[self.order][:, self.order]
        shifted = (permuted - s * diags_array(np.ones(n))).tocsr()
        R = shifted - (L * D[None, :]) @ L.T
        moduli = abs(L)
        k = int(np.diff(L.indptr).max())
        spread = moduli @ (D * (moduli.T @ np.ones(n)))
        rows = abs(R) @ np.ones(n) + gamma(k + 2) * spread + 2 * UNIT * np.abs(shifted.diagonal())
        worst = rows.max() * _SPARE + 1e-200
        return float(np.nextafter(s - worst, -np.inf)) if math.isfinite(worst) else -math.inf


def least_eigenvalue_bound(S, method="auto"):
    """A proven lower bound on the least eigenvalue of a sparse symmetric matrix, with the witness that proves it.

    Parameters
    ----------
    S : scipy sparse array (n, n)
        Symmetric, bit for bit.
    method : str
        ``"dominance"`` (entries only), ``"factors"`` (a sparse factorisation, which may fill up), ``"tightest"``: the better
        of the two, or ``"auto"``: the first, and the second where the first leaves the sign open. The last two factor
        matrices of more than 5,000 rows only if they have at most 8 entries a row.

    Returns
    -------
    bound : float
        -inf where nothing was found.
    witness : Dominance, Factors or None
        ``witness.bound(S)`` is `bound` again, without a search.

    Raises
    ------
    ArgumentError
        For a matrix that is not symmetric and finite, an unknown method.

    Examples
    --------
    >>> from scipy.sparse import diags_array
    >>> S = diags_array([np.full(99, -1.0), np.full(100, 2.0), np.full(99, -1.0)], offsets=[-1, 0, 1])
    >>> for method in ("dominance", "factors"):
    ...     bound, witness = least_eigenvalue_bound(S, method)
    ...     print(method, bound <= 2 - 2 * np.cos(np.pi / 101), round(bound, 9))
    dominance True 0.000967435
    factors True 0.000967435
    """
    methods = ("auto", "tightest", "dominance", "factors")
    if method not in methods:
        raise ArgumentError("method", method, "a kind of proof", choices=methods)
    S = _symmetric(S)
    if not np.isfinite(S.data).all():
        raise ArgumentError("S", Shown("a matrix with infinite entries"), "a finite matrix")
    best = (-math.inf, None)
    if method != "factors":
        diagonal, off = _split(S)
        from scipy.sparse import diags_array

        witness = Dominance(perron((off + diags_array(-diagonal)).tocsr()).vector)
        best = (witness.bound(S), witness)
    affordable = S.shape[0] <= 5_000 or S.nnz <= 8 * S.shape[0]
    wanted = method == "tightest" or (method == "auto" and best[0] <= 0)
    if method == "factors" or (wanted and affordable):
        witness = _factor(S)
        if witness is not None:
            best = max(best, (witness.bound(S), witness), key=lambda found: found[0])
    return best


def _factor(S):
    """Factors of S shifted to just below its least eigenvalue, or None."""
    from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

    n = S.shape[0]
    diagonal, off = _split(S)
    radius = np.asarray(off.sum(axis=1)).ravel()
    size = float(np.abs(diagonal).max(initial=0.0) + radius.max(initial=0.0)) or 1.0
    low = float((diagonal - radius).min()) - 1e-3 * size  # below all eigenvalues, so that the matrix can be factored
    lu = _lu(S, low)
    if lu is None:
        return None
    if n <= 20:
        least = float(np.linalg.eigvalsh(S.toarray())[0])
    else:
        inverse = LinearOperator((n, n), matvec=lu.solve, dtype=float)
        try:
            start = np.cos(np.arange(n))  # fixed, so that the same matrix gives the same witness
            least = float(eigsh(inverse, k=1, which="LA", v0=start, tol=1e-12, return_eigenvectors=False)[0])
            least = low + 1 / least
        except ArpackError:
            return None
    margin = 1e-13 * size
    while margin < size:
        lu = _lu(S, least - margin)
        if lu is not None:
            return Factors(np.argsort(lu.perm_c), lu.L.tocsr(), lu.U.diagonal(), least - margin)
        margin *= 16
    return None


def _lu(S, shift):
    """Sparse factors of ``S - shift I`` without pivoting and with positive pivots, or None."""
    from scipy.sparse import csc_array, eye_array
    from scipy.sparse.linalg import splu

    matrix = csc_array(S - shift * eye_array(S.shape[0]))
    try:
        lu = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    except RuntimeError:
        return None
    plain = np.array_equal(lu.perm_r, lu.perm_c)
    return lu if plain and np.all(lu.U.diagonal() > 0) and np.isfinite(lu.L.data).all() else None


def _symmetric(S):
    from scipy.sparse import csr_array

    S = csr_array(S)
    if S.shape[0] != S.shape[1] or (S != S.T).nnz:
        raise ArgumentError(
            "S", Shown(f"a matrix of shape {S.shape}"), "a symmetric matrix, equal to its transpose bit for bit"
        )
    return S


def _split(S):
    """The diagonal, and the moduli off it."""
    from scipy.sparse import csr_array

    entries = S.tocoo()
    keep = (entries.row != entries.col) & (entries.data != 0)
    off = csr_array((np.abs(entries.data[keep]), (entries.row[keep], entries.col[keep])), shape=S.shape)
    return S.diagonal(), off


def _holds_exactly(P, J, b):
    P, J = ([[Fraction(float(x)) for x in row] for row in M] for M in (P, J))
    n, b = len(P), Fraction(float(b))
    if any(P[i][j] != P[j][i] for i in range(n) for j in range(i)):
        return False
    PJ = [[sum(P[i][k] * J[k][j] for k in range(n)) for j in range(n)] for i in range(n)]
    Q = [[b * P[i][j] - (PJ[i][j] + PJ[j][i]) / 2 for j in range(n)] for i in range(n)]
    return is_positive_definite_exact(P) and is_positive_definite_exact(Q)
