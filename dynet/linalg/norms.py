r"""Weighted norms, their induced norms, log norms and weak pairings.

For a matrix A and a norm, the log norm is :math:`\mu(A) = \lim_{h \to 0^+} (\|I + hA\| - 1)/h`. With a positive vector
:math:`\eta` of weights,

.. math::
    \|x\|_{\infty,[\eta]^{-1}} = \max_i |x_i|/\eta_i, \ \mu = \max_i \big(a_{ii} + \sum_{j\ne i} |a_{ij}|\eta_j/\eta_i\big),\\
    \|x\|_{1,[\eta]} = \sum_i \eta_i|x_i|, \quad \mu = \max_j \big(a_{jj} + \sum_{i\ne j} \eta_i|a_{ij}|/\eta_j\big),\\
    \|x\|_{2,P^{1/2}} = \sqrt{x^\top P x}, \quad \mu = \lambda_{\max}\ \text{of the pencil}\ ((A^\top P + PA)/2,\, P).

Note where the weights stand: they divide in the first norm and multiply in the second.

A matrix R of full row rank makes of each of them the *seminorm* :math:`|Rx|` (a norm in other coordinates where R is square).
If A maps the kernel of R into itself then :math:`RA = A_R R` with :math:`A_R = R A R^\dagger`, and the log seminorm of A is the
log norm of :math:`A_R`; for any other A it is infinite, and A is refused.

References
----------
Strom, On logarithmic norms, SIAM J. Numer. Anal. 12, 1975.
Davydov, Jafarpour, Bullo, Non-Euclidean contraction theory for robust nonlinear stability, arXiv:2103.12263.
Jafarpour, Cisneros-Velarde, Bullo, Weak and semi-contraction for network systems and diffusively coupled oscillators,
IEEE Transactions on Automatic Control 67(3), 2022 (seminorms).
"""

from __future__ import annotations

import math

import numpy as np

from ..errors import ArgumentError, Shown

__all__ = ["Norm", "log_norm"]


_DENSE = 2_000  # rows up to which eigenvalues are taken of the dense matrix
_INVARIANT = 1e-9  # how far, relative to the norms of R and A, the kernel of R may seem to move because of rounding


class Norm:
    """A norm, or a seminorm, on states.

    Parameters
    ----------
    p : 1, 2, inf, or a number >= 1
        Also as a word: ``"1"``, ``"2"``, ``"inf"``.
    weights : array_like, optional
        For p = 1 and inf a positive vector (n,), see the module. For p = 2 a symmetric positive definite matrix P (n, n), or
        the diagonal of one as a vector. None for the plain norm. Other p take no weights.
    R : array_like, shape (r, n), optional
        Full row rank. The norm is then that of ``R x``, and the weights are r: a seminorm for r < n, whose kernel a matrix
        must keep for its log norm to be finite; the norm in the coordinates ``R x`` for r = n.

    Raises
    ------
    ArgumentError
        For p below 1, weights that are not positive, a matrix that is not symmetric positive definite, an R whose rows are
        linearly dependent.

    Examples
    --------
    >>> A = np.array([[-1.0, 0.5], [-0.75, 0.25]])
    >>> print(Norm(1).log(A), Norm("inf").log(A), Norm("inf", [1.0, 3.0]).log(A), Norm(2).log(A).round(6))
    0.75 1.0 0.5 0.262377
    >>> differences = Norm("inf", R=[[1.0, -1.0, 0.0], [0.0, 1.0, -1.0]])
    >>> print(differences.log([[-2.0, 1.0, 1.0], [1.0, -2.0, 1.0], [1.0, 1.0, -2.0]]).round(12))
    -3.0
    """

    __slots__ = ("p", "weights", "R", "_factor", "_right")

    def __init__(self, p, weights=None, R=None):
        object.__setattr__(self, "p", _order(p))
        object.__setattr__(self, "_factor", None)
        object.__setattr__(self, "_right", None)
        if R is not None:
            R = _check_rows(R)
            object.__setattr__(self, "_right", np.linalg.pinv(R))
            R.flags.writeable = False
        object.__setattr__(self, "R", R)
        if weights is not None:
            weights = _check_weights(self.p, weights)
            if R is not None and len(weights) != len(R):
                raise ArgumentError("weights", Shown(f"{len(weights)} weights"), f"{len(R)}, one for each row of R")
            if weights.ndim == 2:
                object.__setattr__(self, "_factor", _cholesky(weights))
            weights.flags.writeable = False
        object.__setattr__(self, "weights", weights)

    def __setattr__(self, name, value):
        raise AttributeError("a Norm cannot be changed; make another one")

    @property
    def n(self):
        """Number of states that the norm fits, None for any."""
        if self.R is not None:
            return self.R.shape[1]
        return None if self.weights is None else len(self.weights)

    def length(self, x):
        """The norm of x, shape (..., n) -> (...).

        >>> print(Norm("inf", [1.0, 2.0]).length([3.0, 4.0]))
        3.0
        """
        y = self._transform(np.asarray(x, dtype=float))
        if self.p == 1:
            return np.abs(y).sum(axis=-1)
        if self.p == math.inf:
            return np.abs(y).max(axis=-1)
        return np.linalg.norm(y, ord=self.p, axis=-1) if self.p != 2 else np.sqrt((y * y).sum(axis=-1))

    def log(self, A):
        r"""The log norm of A, shape (..., n, n) -> (...), or of a sparse matrix.

        For p other than 1, 2 and inf an upper bound, :math:`\mu_1(A)/p + (1 - 1/p)\mu_\infty(A)`. For p = 2 and a sparse
        matrix of more than 2,000 rows an upper bound, too, which is tight where its factors are affordable or its entries
        off the diagonal are nonnegative; a full P or R makes A dense.
        """
        return self._evaluate(A, _log_one, _log_two, lambda one, inf: one / self.p + (1 - 1 / self.p) * inf)

    def induced(self, A):
        """The induced norm of A, shapes as for :meth:`log`; for other p the Riesz-Thorin upper bound."""
        return self._evaluate(
            A, _induced_one, _induced_two, lambda one, inf: one ** (1 / self.p) * inf ** (1 - 1 / self.p)
        )

    def pairing(self, x, y, atol=0.0):
        r"""The weak pairing of x with y, shape (..., n) -> (...): sign pairing, inner product, max pairing.

        It satisfies :math:`[\![x, x]\!] = \|x\|^2` and, for almost every t, :math:`\|x\| D^+\|x\| = [\![\dot x, x]\!]`.
        The max pairing is taken over the entries of y (divided by the weights) that are largest in modulus to within `atol`;
        the sign pairing counts entries of at most `atol` as zeros. Other p have no such ties.

        >>> print(Norm("inf").pairing([1.0, 5.0], [2.0, -2.0]))
        2.0
        >>> print(Norm("inf").pairing([1.0, 5.0], [2.0, 1.9]), Norm("inf").pairing([1.0, 5.0], [2.0, 1.9], atol=0.2))
        2.0 9.5
        """
        if not atol >= 0:
            raise ArgumentError("atol", atol, "a number of at least 0")
        x, y = (self._transform(np.asarray(v, dtype=float)) for v in (x, y))
        if self.p == 1:
            return np.abs(y).sum(axis=-1) * (np.where(np.abs(y) <= atol, 0.0, np.sign(y)) * x).sum(axis=-1)
        if self.p == 2:
            return (x * y).sum(axis=-1)
        if self.p == math.inf:
            size = np.abs(y)
            return np.where(size >= size.max(axis=-1, keepdims=True) - atol, x * y, -np.inf).max(axis=-1)
        size = np.linalg.norm(y, ord=self.p, axis=-1)  # the semi-inner product, in the form that cannot overflow
        unit = np.abs(y) / np.where(size > 0, size, 1.0)[..., None]
        return size * (np.sign(y) * unit ** (self.p - 1) * x).sum(axis=-1)

    def dual(self):
        r"""The dual norm: :math:`\mu` of A in it is :math:`\mu` of the transpose in this one.

        Raises
        ------
        ArgumentError
            For a seminorm: its dual is a norm on a subspace only.
        """
        if self.R is not None:
            if len(self.R) < self.R.shape[1]:
                raise ArgumentError(
                    "R", Shown(f"a matrix of shape {self.R.shape}"), "a square R: a seminorm has no dual"
                )
            plain = Norm(self.p, self.weights).dual()
            return Norm(plain.p, plain.weights, np.linalg.inv(self.R).T)
        if self.p == 2 and self.weights is not None:
            inverse = 1 / self.weights if self.weights.ndim == 1 else np.linalg.inv(self.weights)
            return Norm(2, inverse if inverse.ndim == 1 else (inverse + inverse.T) / 2)
        other = {1.0: math.inf, math.inf: 1.0}.get(self.p) or self.p / (self.p - 1)
        return Norm(other, self.weights)

    def _transform(self, x):
        """The vector whose plain p-norm is the norm of x."""
        if self.n not in (None, x.shape[-1] if x.ndim else 0):
            raise ArgumentError("x", Shown(f"an array of shape {x.shape}"), f"a last axis of {self.n}, as the norm has")
        if self.R is not None:
            x = x @ self.R.T
        if self.weights is None:
            return x
        if self.p == math.inf:
            return x / self.weights
        if self.p == 1:
            return x * self.weights
        return x * np.sqrt(self.weights) if self.weights.ndim == 1 else x @ self._factor

    def conjugate(self, A):
        r"""The matrix whose plain p log norm is the log norm of A: :math:`TAT^{-1}`, (..., n, n) -> (..., r, r)."""
        A = self._reduced(self._square(A))
        A = A.toarray() if hasattr(A, "tocsr") else A
        if self.weights is None:
            return A
        if self._factor is not None:  # L^T A L^-T for P = L L^T
            return np.swapaxes(np.linalg.solve(self._factor, np.swapaxes(self._factor.T @ A, -1, -2)), -1, -2)
        scale = {1.0: self.weights, 2.0: np.sqrt(self.weights)}.get(self.p)
        scale = 1 / self.weights if scale is None else scale
        return scale[:, None] * A / scale

    def _square(self, A):
        A = A.tocsr() if hasattr(A, "tocsr") else np.asarray(A, dtype=float)
        if A.ndim < 2 or A.shape[-2] != A.shape[-1] or self.n not in (None, A.shape[-1]):
            raise ArgumentError("A", Shown(f"shape {A.shape}"), f"square matrices of size {self.n or 'n'}")
        return A

    def _reduced(self, A):
        """R A R^+, after a check that A keeps the kernel of R."""
        if self.R is None:
            return A
        RA = (A.T @ self.R.T).T if hasattr(A, "tocsr") else self.R @ A
        reduced = RA @ self._right
        moved = np.abs(RA - reduced @ self.R).max(axis=(-2, -1), initial=0.0)
        size = np.linalg.norm(self.R, 2) * (abs(A).max() if hasattr(A, "tocsr") else np.abs(A).max(axis=(-2, -1)))
        if len(self.R) < self.R.shape[1] and not np.all(moved <= _INVARIANT * size):
            far = Shown(f"a matrix that moves the kernel of R, by {np.max(moved):.3g}")
            raise ArgumentError("A", far, "R A x = 0 for all x with R x = 0")
        return reduced

    def _evaluate(self, A, one, two, between):
        A = self._reduced(self._square(A))
        diagonal = self.R is None and (self.weights is None or self.weights.ndim == 1)
        if self.p == 2 and hasattr(A, "tocsr") and diagonal and A.shape[0] > _DENSE:
            return _sparse_two(A, self.weights, two is _induced_two)
        if self.p == 2:
            return two(Norm(2, self.weights).conjugate(A))
        turned = A.T if hasattr(A, "tocsr") else np.swapaxes(A, -1, -2)
        if self.p in (1, math.inf):
            return one(A if self.p == 1 else turned, self.weights)
        return between(one(A, None), one(turned, None))

    def __eq__(self, other):
        if not isinstance(other, Norm):
            return NotImplemented
        pairs = ((self.weights, other.weights), (self.R, other.R))
        return self.p == other.p and all(
            a is b or (a is not None and b is not None and np.array_equal(a, b)) for a, b in pairs
        )

    def __hash__(self):
        return hash((self.p, *(None if a is None else (a + 0.0).tobytes() for a in (self.weights, self.R))))

    def __repr__(self):
        name = f"l_{'inf' if self.p == math.inf else format(self.p, 'g')}"
        if self.R is not None:
            name += f" of R x with R of {self.R.shape[0]} x {self.R.shape[1]}"
        if self.weights is None:
            return name
        if self.weights.ndim == 2:
            return f"{name} with a matrix P of {self.n} x {self.n}"
        if self.weights.min() == self.weights.max():
            return f"{name} with equal weights"
        return f"{name} with weights {self.weights.min():.3g} to {self.weights.max():.3g}"


def log_norm(A, p, weights=None):
    """The log norm of A in a weighted norm; see :class:`Norm`.

    Parameters
    ----------
    A : ndarray (..., n, n) or scipy sparse array
    p : 1, 2, inf
    weights : array_like, optional

    Examples
    --------
    >>> print(log_norm([[-2.0, 1.0], [0.5, -1.0]], "inf"))
    -0.5
    """
    return Norm(p, weights).log(A)


def _order(p):
    try:
        order = float(p)
    except (TypeError, ValueError):
        order = math.nan
    if not order >= 1:
        raise ArgumentError("p", p, "1, 2, inf, or a number of at least 1", choices=("1", "2", "inf"))
    return order


def _check_rows(R):
    try:
        R = np.array(R, dtype=float)
    except (TypeError, ValueError):
        raise ArgumentError("R", R, "a matrix of numbers") from None
    if R.ndim != 2 or not 0 < R.shape[0] <= R.shape[1] or not np.isfinite(R).all():
        raise ArgumentError(
            "R", Shown(f"an array of shape {R.shape}"), "finite numbers, with at most as many rows as columns"
        )
    rank = np.linalg.matrix_rank(R)
    if rank < len(R):
        raise ArgumentError("R", Shown(f"a matrix of {len(R)} rows and rank {rank}"), "linearly independent rows")
    return R


def _check_weights(p, weights):
    try:
        array = np.array(weights, dtype=float)
    except (TypeError, ValueError):
        raise ArgumentError("weights", weights, "positive numbers") from None
    if array.ndim == 1 and array.size and p in (1, 2, math.inf):
        if not (np.isfinite(array).all() and (array > 0).all()):
            i = int(np.flatnonzero(~(np.isfinite(array) & (array > 0)))[0])
            raise ArgumentError(f"weights[{i}]", float(array[i]), "positive and finite weights")
        return array
    if array.ndim == 2 and p == 2 and array.shape[0] == array.shape[1]:
        if not np.isfinite(array).all() or not np.array_equal(array, array.T):
            raise ArgumentError(
                "weights", Shown(f"a matrix of shape {array.shape}"), "a symmetric matrix of finite numbers"
            )
        return array
    wanted = {1: "a vector", math.inf: "a vector", 2: "a vector or a square matrix"}.get(p, "None")
    raise ArgumentError("weights", Shown(f"an array of shape {array.shape}"), f"{wanted} for p = {p:g}")


def _cholesky(P):
    try:
        return np.linalg.cholesky(P)
    except np.linalg.LinAlgError:
        raise ArgumentError("weights", Shown(f"a matrix of shape {P.shape}"), "a positive definite matrix") from None


def _column_sums(A, weights, with_diagonal):
    """Diagonal, and weighted sums of the moduli of each column, for dense, batched or sparse A."""
    diagonal = A.diagonal() if hasattr(A, "tocsr") else np.diagonal(A, axis1=-2, axis2=-1)
    moduli = abs(A)
    if not with_diagonal and hasattr(A, "tocsr"):
        moduli = moduli.tocoo()
        moduli.data = np.where(moduli.row == moduli.col, 0.0, moduli.data)
        moduli = moduli.tocsr()
    elif not with_diagonal:
        moduli[..., np.arange(A.shape[-1]), np.arange(A.shape[-1])] = 0.0
    if weights is None:
        return diagonal, np.asarray(moduli.sum(axis=-2))
    if hasattr(A, "tocsr"):
        return diagonal, (moduli.T @ weights) / weights
    return diagonal, (moduli * weights[:, None]).sum(axis=-2) / weights


def _log_one(A, weights):
    diagonal, sums = _column_sums(A, weights, with_diagonal=False)
    return (diagonal + sums).max(axis=-1)


def _induced_one(A, weights):
    return _column_sums(A, weights, with_diagonal=True)[1].max(axis=-1)


def _log_two(A):
    return np.linalg.eigvalsh((A + np.swapaxes(A, -1, -2)) / 2)[..., -1]


def _induced_two(A):
    return np.linalg.norm(A, ord=2, axis=(-2, -1))


def _sparse_two(A, weights, induced):
    """The bound on an eigenvalue of a large symmetric matrix: of (A + A')/2, or of [[0, A], [A', 0]] for singular values."""
    from scipy.sparse import block_array, csr_array, diags_array

    from .definite import least_eigenvalue_bound

    if weights is not None:
        root = np.sqrt(weights)
        A = csr_array(diags_array(root) @ A @ diags_array(1 / root))
    S = block_array([[None, A], [A.T, None]]) if induced else (A + A.T) / 2
    bound, _ = least_eigenvalue_bound(csr_array(-S), "tightest")
    return -bound
