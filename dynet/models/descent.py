r"""Optimisation as dynamics: gradient flows and saddle-point (primal-dual) flows of convex problems.

A function is strongly convex with parameter m if and only if its gradient flow contracts with rate m in :math:`\ell_2`.

References
----------
Arrow, Hurwicz, Uzawa, Studies in Linear and Non-Linear Programming, 1958.
Cisneros-Velarde, Jafarpour, Bullo, A contraction analysis of primal-dual dynamics in distributed and time-varying
implementations, IEEE Transactions on Automatic Control 67, 2022.
"""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError, Shown
from ..fields.base import describe
from ..fields.facts import Facts
from ..fields.lure import LureField

__all__ = ["GradientFlow", "PrimalDual"]


def _symmetric(name, value):
    Q = np.asarray(value, dtype=float)
    if Q.ndim != 2 or Q.shape[0] != Q.shape[1] or not np.isfinite(Q).all() or not np.array_equal(Q, Q.T):
        raise ArgumentError(name, describe(Q), "a finite symmetric matrix (n, n)")
    if np.linalg.eigvalsh(Q)[0] < -1e-12 * max(1.0, np.abs(Q).max()):
        raise ArgumentError(
            name, Shown("a matrix with a negative eigenvalue"), "a convex function: no negative eigenvalue"
        )
    return Q


class _Problem(LureField):
    def replace(self, **params):
        for name in params:
            if name not in self._arguments:
                raise ArgumentError(
                    name, params[name], f"a parameter of {self.name}", choices=self._arguments, word=name
                )
        return type(self)(**{**self._arguments, **params})


class GradientFlow(_Problem):
    r"""The gradient flow :math:`\dot x = -\nabla f(x)` of a convex function,

    .. math:: f(x) = \tfrac12 x^\top Qx - b^\top x + \sum_k \psi(a_k^\top x + c_k).

    With Q positive semidefinite and an increasing :math:`\psi'` f is convex: the flow does not expand in :math:`\ell_2`, and
    contracts with rate m where f is strongly convex with parameter m. Least squares, logistic regression and smoothed
    penalties are of this form.

    Parameters
    ----------
    Q : array_like (n, n)
        Symmetric, positive semidefinite.
    b : float or array_like (n,)
    A : array_like (K, n), optional
        Rows a_k; none by default.
    c : float or array_like (K,)
    slope : str or Activation
        The increasing function psi', for example "logistic" or "tanh".

    Raises
    ------
    ArgumentError
        For a Q that is not symmetric and positive semidefinite, and for a slope that may decrease.

    Examples
    --------
    >>> flow = GradientFlow([[2.0, 0.0], [0.0, 1.0]], b=[1.0, 0.0], A=[[1.0, 1.0]], slope="logistic")
    >>> flow.rhs(0.0, [0.0, 0.0])
    array([ 0.5, -0.5])
    """

    name = "GradientFlow"
    equation = "x' = -Q x + b - A^T psi'(A x + c)"

    def __init__(self, Q, b=0.0, A=None, c=0.0, slope="logistic"):
        Q = _symmetric("Q", Q)
        n = Q.shape[0]
        rows = np.zeros((1, n)) if A is None else np.atleast_2d(np.asarray(A, dtype=float))
        self._arguments = dict(Q=Q, b=b, A=A, c=c, slope=slope)
        super().__init__(-Q, -rows.T, rows, g=c, h=b, activation=slope, params={"b": b, "c": c})
        if self.activation.slopes is not None and self.activation.slopes[0] < 0:
            raise ArgumentError("slope", slope, "an increasing function, the derivative of a convex one")

    @property
    def facts(self):
        return Facts(theorem="contracting in l2 with the parameter of strong convexity as rate")


class PrimalDual(_Problem):
    r"""The saddle-point flow of a convex problem, minimise f(x) subject to Kx = b:

    .. math:: \dot x = -\nabla f(x) - K^\top\lambda, \qquad \dot\lambda = Kx - b.

    For :math:`f(x) = \frac12 x^\top Qx + q^\top x + \sum_i\psi(x_i)`. Weakly contracting in :math:`\ell_2` for every convex f;
    strongly contracting in the norm of :math:`P = [[I, aK^\top], [aK, I]]` with a small a > 0 when f is strongly convex and K
    has full row rank.

    Parameters
    ----------
    Q : array_like (n, n)
        Symmetric, positive semidefinite.
    K : array_like (m, n)
    b : float or array_like (m,)
    q : float or array_like (n,)
    slope : str or Activation, optional
        The increasing function psi'; none by default.

    Raises
    ------
    ArgumentError
        For a Q that is not symmetric and positive semidefinite, a K of another width, a slope that may decrease.

    Examples
    --------
    >>> flow = PrimalDual([[1.0, 0.0], [0.0, 2.0]], K=[[1.0, 1.0]], b=1.0)
    >>> flow.jacobian(0.0, [0.0, 0.0, 0.0])
    array([[-1.,  0., -1.],
           [ 0., -2., -1.],
           [ 1.,  1.,  0.]])
    >>> flow.labels
    ('x0', 'x1', 'multiplier0')
    """

    name = "PrimalDual"
    equation = "x' = -Q x - q - psi'(x) - K^T m, m' = K x - b"

    def __init__(self, Q, K, b=0.0, q=0.0, slope=None):
        Q, K = _symmetric("Q", Q), np.atleast_2d(np.asarray(K, dtype=float))
        n, m = Q.shape[0], K.shape[0]
        if K.shape[1] != n or not np.isfinite(K).all():
            raise ArgumentError("K", describe(K), f"a finite matrix with {n} columns")
        self._arguments = dict(Q=Q, K=K, b=b, q=q, slope=slope)
        E = np.block([[-Q, -K.T], [K, np.zeros((m, m))]])
        h = np.concatenate([-np.broadcast_to(np.asarray(q, float), n), -np.broadcast_to(np.asarray(b, float), m)])
        count = n if slope is not None else 1
        G = np.eye(n, n + m)[:count] * (slope is not None)
        labels = [*(f"x{i}" for i in range(n)), *(f"multiplier{k}" for k in range(m))]
        super().__init__(E, -G.T, G, h=h, activation=slope or "identity", labels=labels, params={"b": b, "q": q})
        if self.activation.slopes is not None and self.activation.slopes[0] < 0:
            raise ArgumentError("slope", slope, "an increasing function, the derivative of a convex one")

    @property
    def facts(self):
        return Facts(
            theorem="weakly contracting in l2; strongly in a norm that mixes x and m when f is strongly convex"
        )
