r"""Matrices that are well-posed by construction.

Training moves parameters without constraints; :meth:`build` makes of them a matrix with :math:`\mu(A) \le \gamma`, and
:meth:`pull` carries the gradient back. In :class:`WeightedInf`, with :math:`\eta = e^w`,

.. math:: a_{ij} = \eta_i t_{ij}/\eta_j\ (j \ne i), \qquad a_{ii} = \gamma - \sum_{j\ne i}|t_{ij}| - s_i^2,

so that row i has the log norm :math:`\gamma - s_i^2` exactly: every matrix of the set is reached, and, unlike with
:math:`T - [|T|\mathbf 1] + \gamma I`, no entry has a gradient that vanishes identically. What rounding adds to a row is
taken off its diagonal again, so that the inequality holds for the numbers that are returned.

References
----------
Jafarpour, Davydov, Proskurnikov, Bullo, Robust implicit networks via non-Euclidean contractions, arXiv:2106.03194.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ArgumentError

__all__ = ["WeightedInf"]

_SLACK = 4.0  # rounding errors of a row's sum that are taken off, in units of n u


def _gamma(value):
    """A bound on the log norm as a float below 1, or ArgumentError."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not float(value) < 1:
        raise ArgumentError("gamma", value, "a number below 1: only then is the network well-posed")
    return float(value)


@dataclass(frozen=True)
class WeightedInf:
    r"""Matrices with :math:`\mu_{\infty,[\eta]^{-1}}(A) \le \gamma`, weights :math:`\eta` included.

    Parameters
    ----------
    gamma : float
        Below 1.
    learn_weights : bool
        Whether `w` is to be trained; if not, its gradient is zero.

    Examples
    --------
    >>> family = WeightedInf(0.5)
    >>> params = family.init(4, seed=0)
    >>> A, weights = family.build(params)
    >>> import dynet as dn
    >>> bool(dn.Norm("inf", weights).log(A) <= 0.5)
    True
    >>> sorted(family.pull(params, np.ones((4, 4))))
    ['T', 's', 'w']
    """

    gamma: float = 0.95
    learn_weights: bool = True

    def __post_init__(self):
        object.__setattr__(self, "gamma", _gamma(self.gamma))

    def init(self, states, seed=0, dtype=float):
        """Parameters to start from: T (n, n) with a diagonal that plays no part, s and w (n,)."""
        random = np.random.default_rng(seed)
        T = random.uniform(-1, 1, (states, states)) / np.sqrt(states)
        np.fill_diagonal(T, 0.0)
        return {"T": T.astype(dtype), "s": np.full(states, 0.5, dtype), "w": np.zeros(states, dtype)}

    def build(self, params):
        """The matrix (n, n) and its weights (n,), in the type of T."""
        T, s, w = params["T"], params["s"], params["w"]
        eta = np.exp(w)
        A = T * (eta[:, None] / eta)
        n = len(T)
        A.flat[:: n + 1] = 0
        low, unit = self.gamma - (s * s).astype(float), 2.0**-53
        sums = (np.abs(A) @ eta.astype(float)) / eta  # in float64 whatever A is
        diagonal = low - sums - _SLACK * (n + 4) * unit * (sums + np.abs(low) + 1)
        if A.dtype == np.float32:
            with np.errstate(over="ignore"):
                rounded = diagonal.astype(np.float32)
            diagonal = np.where(rounded > diagonal, np.nextafter(rounded, np.float32(-np.inf)), rounded)
        A.flat[:: n + 1] = diagonal
        return A, eta

    def pull(self, params, dA, dweights=None):
        """The gradients of the parameters from those of the matrix and, optionally, of the weights."""
        T, s, w = params["T"], params["s"], params["w"]
        eta = np.exp(w)
        own = dA.diagonal().copy()
        scale = eta[:, None] / eta
        dT = dA * scale
        flow = dT * T
        n = len(T)
        flow.flat[:: n + 1] = 0
        dT -= np.sign(T) * own[:, None]
        dT.flat[:: n + 1] = 0
        dw = flow.sum(axis=1) - flow.sum(axis=0) if self.learn_weights else np.zeros_like(w)
        if dweights is not None and self.learn_weights:
            dw = dw + dweights * eta
        return {"T": dT, "s": -2 * s * own, "w": dw}
