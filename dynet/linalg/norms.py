r"""Weighted norms, their induced norms, log norms and weak pairings.

For a matrix A and a norm, the log norm is :math:`\mu(A) = \lim_{h \to 0^+} (\|I + hA\| - 1)/h`. With a positive vector
:math:`\eta` of weights,

.. math::
    \|x\|_{\infty,[\eta]^{-1}} = \max_i |x_i|/\eta_i, \ \mu = \max_i \big(a_{ii} + \sum_{j\ne i} |a_{ij}|\eta_j/\eta_i\big),\\
    \|x\|_{1,[\eta]} = \sum_i \eta_i|x_i|, \quad \mu = \max_j \big(a_{jj} + \sum_{i\ne j} \eta_i|a_{ij}|/\eta_j\big),\\
    \|x\|_{2,P^{1/2}} = \sqrt{x^\top P x}, \quad \mu = \lambda_{\max}\ \text{of the pencil}\ ((A^\top P + PA)/2,\, P).

Note where the weights stand: they divide in the first norm and multiply in the second.

References
----------
Strom, On logarithmic norms, SIAM J. Numer. Anal. 12, 1975.
Davydov, Jafarpour, Bullo, Non-Euclidean contraction theory for robust nonlinear stability, arXiv:2103.12263.
"""

from __future__ import annotations

import math

import numpy as np

from ..errors import ArgumentError, Shown

__all__ = ["Norm", "log_norm"]


class Norm:
    """A norm on states.

    Parameters
    ----------
    p : 1, 2, inf, or a number >= 1
        Also as a word: ``"1"``, ``"2"``, ``"inf"``.
    weights : array_like, optional
        For p = 1 and inf a positive vector (n,), see the module. For p = 2 a symmetric positive definite matrix P (n, n), or
        the diagonal of one as a vector. None for the plain norm. Other p take no weights.

    Raises
    ------
    ArgumentError
        For p below 1, weights that are not positive, a matrix that is not symmetric positive definite.

    Examples
    --------
    >>> A = np.array([[-1.0, 0.5], [-0.75, 0.25]])
    >>> print(Norm(1).log(A), Norm("inf").log(A), Norm("inf", [1.0, 3.0]).log(A), Norm(2).log(A).round(6))
    0.75 1.0 0.5 0.262377
    """

    __slots__ = ("p", "weights", "_factor")

    def __init__(self, p, weights=None):
        object.__setattr__(self, "p", _order(p))
        object.__setattr__(self, "_factor", None)
        if weights is not None:
            weights = _check_weights(self.p, weights)
            if weights.ndim == 2:
                object.__setattr__(self, "_factor", _cholesky(weights))
            weights.flags.writeable = False
        object.__setattr__(self, "weights", weights)

    def __setattr__(self, name, value):
        raise AttributeError("a Norm cannot be changed; make another one")

    @property
    def n(self):
        """Number of states that the weights fit, None for the plain norm."""
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
        r"""The log norm of A, shape (..., n, n) -> (...), or of a sparse matrix for p = 1 and inf.

        For p other than 1, 2 and inf an upper bound, :math:`\mu_1(A)/p + (1 - 1/p)\mu_\infty(A)`.
        """
        return self._evaluate(A, _log_one, _log_two, lambda one, inf: one / self.p + (1 - 1 / self.p) * inf)

    def induced(self, A):
        """The induced norm of A, shapes as for :meth:`log`; for other p the Riesz-Thorin upper bound."""
        return self._evaluate(
            A, _induced_one, _induced_two, lambda one, inf: one ** (1 / self.p) * inf ** (1 - 1 / self.p)
        )

    def pairing(self, x, y):
        r"""The weak pairing of x with y, shape (..., n) -> (...): sign pairing, inner product, max pairing.

        It satisfies :math:`[\![x, x]\!] = \|x\|^2` and, for almost every t, :math:`\|x\| D^+\|x\| = [\![\dot x, x]\!]`.

        >>> print(Norm("inf").pairing([1.0, 5.0], [2.0, -2.0]))
        2.0
        """
        x, y = (self._transform(np.asarray(v, dtype=float)) for v in (x, y))
        if self.p == 1:
            return np.abs(y).sum(axis=-1) * (np.sign(y) * x).sum(axis=-1)
        if self.p == 2:
            return (x * y).sum(axis=-1)
        if self.p == math.inf:
            size = np.abs(y)
            return np.where(size == size.max(axis=-1, keepdims=True), x * y, -np.inf).max(axis=-1)
        raise ArgumentError("p", self.p, "1, 2 or inf: no other weak pairing is built in")

    def dual(self):
        r"""The dual norm: :math:`\mu` of A in it is :math:`\mu` of the transpose in this one."""
        if self.p == 2 and self.weights is not None:
            inverse = 1 / self.weights if self.weights.ndim == 1 else np.linalg.inv(self.weights)
            return Norm(2, inverse if inverse.ndim == 1 else (inverse + inverse.T) / 2)
        other = {1.0: math.inf, math.inf: 1.0}.get(self.p) or self.p / (self.p - 1)
        return Norm(other, self.weights)

    def _transform(self, x):
        """The vector whose plain p-norm is the norm of x."""
        if self.weights is None:
            return x
        if x.shape[-1:] != (self.n,):
            raise ArgumentError(
                "x", Shown(f"an array of shape {x.shape}"), f"a last axis of {self.n}, as the weights have"
            )
        if self.p == math.inf:
            return x / self.weights
        if self.p == 1:
            return x * self.weights
        return x * np.sqrt(self.weights) if self.weights.ndim == 1 else x @ self._factor

    def _evaluate(self, A, one, two, between):
        sparse = hasattr(A, "tocsr")
        A = A.tocsr() if sparse else np.asarray(A, dtype=float)
        n = A.shape[-1]
        if A.ndim < 2 or A.shape[-2] != n or (self.n or n) != n:
            raise ArgumentError("A", Shown(f"shape {A.shape}"), f"square matrices of size {self.n or 'n'}")
        if self.p == 1:
            return one(A, self.weights)
        if self.p == math.inf:
            return one(A.T if sparse else np.swapaxes(A, -1, -2), self.weights)
        if self.p == 2:
            A = A.toarray() if sparse else A
            if self._factor is not None:  # L^T A L^-T for P = L L^T
                A = np.swapaxes(np.linalg.solve(self._factor, np.swapaxes(self._factor.T @ A, -1, -2)), -1, -2)
            elif self.weights is not None:
                root = np.sqrt(self.weights)
                A = root[:, None] * A / root
            return two(A)
        return between(one(A, None), one(A.T if sparse else np.swapaxes(A, -1, -2), None))

    def __eq__(self, other):
        if not isinstance(other, Norm) or self.p != other.p or (self.weights is None) != (other.weights is None):
            return NotImplemented if not isinstance(other, Norm) else False
        return self.weights is None or np.array_equal(self.weights, other.weights)

    def __hash__(self):
        return hash((self.p, None if self.weights is None else self.weights.tobytes()))

    def __repr__(self):
        name = f"l_{'inf' if self.p == math.inf else format(self.p, 'g')}"
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
