r"""Matrices that are well-posed by construction.

Training moves parameters without constraints; :meth:`build` makes of them a matrix with :math:`\mu(A) \le \gamma`, and
:meth:`pull` carries the gradient back. In :class:`WeightedInf`, with :math:`\eta = e^w`,

.. math:: a_{ij} = \eta_i t_{ij}/\eta_j\ (j \ne i), \qquad a_{ii} = \gamma - \sum_{j\ne i}|t_{ij}| - s_i^2,

so that row i has the log norm :math:`\gamma - s_i^2` exactly: every matrix of the set is reached, and, unlike with
:math:`T - [|T|\mathbf 1] + \gamma I`, no entry has a gradient that vanishes identically. What rounding adds to a row is
taken off its diagonal again, so that the inequality holds for the numbers that are returned.

:class:`One` is the same for columns, :math:`\mu_{1,[\eta]}(A) = \mu_{\infty,[\eta]^{-1}}(A^\top) \le \gamma`.
:class:`Projection` keeps the matrix itself and projects it, row by row, onto :math:`\mu_\infty(A) \le \gamma`: with the
root :math:`\tau \ge 0` of :math:`a_{ii} - \tau + \sum_{j\ne i}(|a_{ij}| - \tau)^+ = \gamma` (0 where the row satisfies
it already),

.. math:: a_{ii} \leftarrow a_{ii} - \tau, \qquad a_{ij} \leftarrow \mathrm{sign}(a_{ij})(|a_{ij}| - \tau)^+ .

Both bounds imply :math:`\alpha(\lceil A\rceil) \le \gamma`, so that weights of the maximum norm exist; `build` returns some.

References
----------
Jafarpour, Davydov, Proskurnikov, Bullo, Robust implicit networks via non-Euclidean contractions, arXiv:2106.03194.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ArgumentError

__all__ = ["One", "Projection", "WeightedInf"]

_SLACK = 4.0  # rounding errors of a row's sum that are taken off, in units of n u


def _gamma(value):
    """A bound on the log norm as a float below 1, or ArgumentError."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not float(value) < 1:
        raise ArgumentError("gamma", value, "a number below 1: only then is the network well-posed")
    return float(value)


def _down(values, dtype):
    """Float64 values in another type, nowhere above."""
    rounded = values.astype(dtype)
    return np.where(rounded > values, np.nextafter(rounded, dtype.type(-np.inf)), rounded)


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
        A.flat[:: n + 1] = _down(low - sums - _SLACK * (n + 4) * unit * (sums + np.abs(low) + 1), A.dtype)
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


@dataclass(frozen=True)
class One:
    r"""Matrices with :math:`\mu_{1,[\eta]}(A) \le \gamma`: the transposes of those of :class:`WeightedInf`.

    Parameters
    ----------
    gamma : float
        Below 1.
    learn_weights : bool

    Examples
    --------
    >>> family = One(0.5)
    >>> params = family.init(4, seed=0)
    >>> A, weights = family.build(params)
    >>> import dynet as dn
    >>> bool(dn.Norm(1, family.column_weights(params)).log(A) <= 0.5), bool(dn.Norm("inf", weights).log(A) < 1)
    (True, True)
    """

    gamma: float = 0.95
    learn_weights: bool = True

    def __post_init__(self):
        object.__setattr__(self, "gamma", _gamma(self.gamma))

    def init(self, states, seed=0, dtype=float):
        """Parameters to start from, as :meth:`WeightedInf.init`."""
        return WeightedInf(self.gamma).init(states, seed, dtype)

    def column_weights(self, params):
        """The weights of the norm :math:`\\sum_i \\eta_i|x_i|` in which the bound holds, shape (n,)."""
        return np.exp(params["w"])

    def build(self, params):
        """The matrix (n, n), and weights (n,) of the maximum norm in which it is well-posed."""
        A = np.ascontiguousarray(WeightedInf(self.gamma).build(params)[0].T)
        majorant = np.abs(A).astype(float)
        np.fill_diagonal(majorant, A.diagonal())
        weights = np.linalg.solve((1 + self.gamma) / 2 * np.eye(len(A)) - majorant, np.ones(len(A)))
        return A, weights / weights.max()

    def pull(self, params, dA, dweights=None):
        """The gradients of the parameters; those of the maximum norm's weights are not followed."""
        return WeightedInf(self.gamma, self.learn_weights).pull(params, np.ascontiguousarray(dA.T))


@dataclass(frozen=True)
class Projection:
    r"""Matrices projected onto :math:`\mu_\infty(A) \le \gamma`, the nearest in the Euclidean sense.

    Parameters
    ----------
    gamma : float
        Below 1.

    Examples
    --------
    >>> A, weights = Projection(0.5).build({"A": np.array([[1.0, -2.0], [0.1, -1.0]])})
    >>> A.round(6)
    array([[-0.25, -0.75],
           [ 0.1 , -1.  ]])
    """

    gamma: float = 0.95

    def __post_init__(self):
        object.__setattr__(self, "gamma", _gamma(self.gamma))

    def init(self, states, seed=0, dtype=float):
        """Parameters to start from: A (n, n), projected."""
        random = np.random.default_rng(seed)
        start = {"A": (random.uniform(-1, 1, (states, states)) / np.sqrt(states)).astype(dtype)}
        return {"A": self.build(start)[0]}

    def _shift(self, A):
        """The shift of each row (n,), and how many of its entries stay."""
        n = len(A)
        off = np.abs(A).astype(float)
        off.flat[:: n + 1] = 0
        ordered = -np.sort(-off, axis=1)
        sums = np.cumsum(np.concatenate([A.diagonal()[:, None] - self.gamma, ordered], axis=1), axis=1)
        levels = sums / np.arange(1, n + 2)  # the root if the k largest entries stay
        stay = (ordered > np.maximum(levels[:, :-1], 0)).sum(axis=1)
        shift = np.take_along_axis(levels, stay[:, None], axis=1)[:, 0]
        return np.maximum(shift, 0.0), stay

    def build(self, params):
        """The nearest matrix (n, n), and weights (n,), which are ones."""
        A = params["A"]
        n, unit = len(A), 2.0**-53
        shift, _ = self._shift(A)
        out = (np.sign(A) * np.maximum(np.abs(A) - shift[:, None], 0)).astype(A.dtype)
        out.flat[:: n + 1] = 0
        sums = np.abs(out).astype(float).sum(axis=1)
        wanted = A.diagonal().astype(float) - shift
        limit = self.gamma - sums - _SLACK * (n + 4) * unit * (sums + abs(self.gamma) + 1)
        out.flat[:: n + 1] = _down(np.minimum(wanted, limit), A.dtype)
        return out, np.ones(n)

    def pull(self, params, dA, dweights=None):
        """The gradient of the parameters: that of the projection wherever it has one."""
        A = params["A"]
        n = len(A)
        shift, stay = self._shift(A)
        moved = shift > 0
        sign = np.sign(A) * (np.abs(A) > shift[:, None])
        sign.flat[:: n + 1] = 1
        common = np.where(moved, (dA * sign).sum(axis=1) / (1 + stay), 0.0)
        return {"A": np.where(moved[:, None], np.abs(sign) * dA - sign * common[:, None], dA).astype(A.dtype)}
