r"""Opinions and social power: two discrete-time maps on a network of influence.

References
----------
Jia, MirTabatabaei, Friedkin, Bullo, Opinion dynamics and the evolution of social power in influence networks, SIAM Review
57, 2015.
Friedkin, Johnsen, Social influence and opinions, Journal of Mathematical Sociology 15, 1990.
"""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError, Shown
from ..fields.base import describe
from ..linalg.metzler import perron
from .common import numbers

__all__ = ["FriedkinJohnsen", "SocialPower"]


class DiscreteMap:
    """A map x -> F(x) that is iterated.

    Attributes
    ----------
    n : int
    name, equation : str
    labels : tuple of str
    """

    inputs, input = 0, None

    @property
    def labels(self):
        return tuple(f"x{i}" for i in range(self.n))

    @property
    def params(self):
        """None that may differ from trajectory to trajectory."""
        return {}

    def step(self, x):
        """F at one or many states, shape (..., n)."""
        raise NotImplementedError

    def iterate(self, x0, steps):
        """The states ``x0, F(x0), ...``, shape (..., steps + 1, n)."""
        x = [self._check(x0)]
        for _ in range(int(steps)):
            x.append(self.step(x[-1]))
        return np.stack(x, axis=-2)

    def _check(self, x):
        x = np.asarray(x, dtype=float)
        if x.ndim == 0 or x.shape[-1] != self.n or not np.isfinite(x).all():
            raise ArgumentError("x", describe(x), f"finite numbers, the last axis of length {self.n}")
        return x

    def __repr__(self):
        return f"{self.name}(n={self.n})"


def _stochastic(matrix, name):
    W = np.asarray(matrix, dtype=float)
    if W.ndim != 2 or W.shape[0] != W.shape[1] or not np.isfinite(W).all() or (W < 0).any():
        raise ArgumentError(name, describe(W), "a square matrix of numbers that are not negative")
    sums = W.sum(axis=1)
    if not np.allclose(sums, 1.0, rtol=0, atol=1e-9):
        row = int(np.argmax(np.abs(sums - 1)))
        raise ArgumentError(name, Shown(f"a row {row} that sums to {sums[row]:g}"), "rows that sum to 1")
    return W


class SocialPower(DiscreteMap):
    r"""DeGroot-Friedkin: how self-appraisal evolves over a sequence of issues, :math:`x_i^+ \propto c_i/(1 - x_i)`.

    States are shares of social power, on the simplex; c is the left Perron vector of the relative interactions. Unless
    one member is at the centre of a star, there is exactly one equilibrium in the interior, and it attracts all states but
    the corners.

    Parameters
    ----------
    interactions : array_like (n, n)
        Row-stochastic with zero diagonal, irreducible: ``interactions[i, j]`` is the weight that i gives to j.

    Raises
    ------
    ArgumentError
        For rows that do not sum to 1, a diagonal that is not zero, a reducible matrix, a star.

    Examples
    --------
    >>> model = SocialPower([[0, 0.5, 0.5], [0.3, 0, 0.7], [0.6, 0.4, 0]])
    >>> model.centrality
    array([0.31718062, 0.30837004, 0.37444934])
    >>> model.fixed_point()
    array([0.29324109, 0.27975874, 0.42700018])
    """

    name = "SocialPower"
    equation = "x_i+ proportional to c_i / (1 - x_i)"

    def __init__(self, interactions):
        C = _stochastic(interactions, "interactions")
        if C.diagonal().any():
            raise ArgumentError(
                "interactions", Shown("a diagonal that is not zero"), "relative interactions: a zero diagonal"
            )
        import networkx as nx

        if not nx.is_strongly_connected(nx.from_numpy_array(C, create_using=nx.DiGraph)):
            raise ArgumentError("interactions", Shown("a reducible matrix"), "everyone to reach everyone")
        c = perron(C.T).vector
        self.n, self.interactions, self.centrality = C.shape[0], C, c / c.sum()
        if self.n < 3 or self.centrality.max() > 0.5 - 1e-9:
            raise ArgumentError("interactions", Shown("a star"), "three or more members, none at the centre of all")

    def step(self, x):
        x = self._check(x)
        if (x < 0).any() or not np.allclose(x.sum(axis=-1), 1.0, rtol=0, atol=1e-9):
            raise ArgumentError("x", describe(x), "shares of power that sum to 1")
        corner = x >= 1.0
        with np.errstate(divide="ignore"):
            raw = np.where(corner.any(axis=-1, keepdims=True), corner, self.centrality / (1 - x))
        return raw / raw.sum(axis=-1, keepdims=True)

    def jacobian(self, x):
        """The derivative of the map at one state in the interior, shape (n, n)."""
        x = self._check(x)
        raw = self.centrality / (1 - x)
        total, slope = raw.sum(), self.centrality / (1 - x) ** 2
        return np.diag(slope) / total - np.outer(raw, slope) / total**2

    def fixed_point(self, tol=1e-14, most=100_000):
        """The equilibrium in the interior, shape (n,)."""
        x = np.full(self.n, 1 / self.n)
        for _ in range(most):
            new = self.step(x)
            if np.abs(new - x).max() <= tol:
                return new
            x = new
        return x

    def tangent_factor(self, x):
        r"""The norm of the derivative at x on differences that sum to 0, in :math:`\ell_1`."""
        J = self.jacobian(x)
        return float(max(np.abs(J[:, i] - J[:, j]).sum() / 2 for i in range(self.n) for j in range(i)))


class FriedkinJohnsen(DiscreteMap):
    r"""Friedkin-Johnsen, opinions attached to where they began: :math:`x^+ = \Lambda Wx + (I - \Lambda)x_0`.

    A contraction in :math:`\ell_\infty` with factor :math:`\|\Lambda W\|_\infty = \max_i\lambda_i` when all
    susceptibilities are below 1.

    Parameters
    ----------
    influence : array_like (n, n)
        Row-stochastic.
    susceptibility : float or array_like (n,)
        How far each member yields to others, in [0, 1].
    start : array_like (n,)
        The opinions to which the members are attached.

    Raises
    ------
    ArgumentError
        For rows that do not sum to 1, susceptibilities outside [0, 1].

    Examples
    --------
    >>> model = FriedkinJohnsen([[0.5, 0.5], [0.2, 0.8]], susceptibility=0.5, start=[0.0, 1.0])
    >>> model.factor
    0.5
    >>> model.fixed_point()
    array([0.29411765, 0.88235294])
    """

    name = "FriedkinJohnsen"
    equation = "x+ = S W x + (I - S) x0"

    def __init__(self, influence, susceptibility, start):
        W = _stochastic(influence, "influence")
        self.n, self.influence = W.shape[0], W
        self.susceptibility = np.broadcast_to(numbers("susceptibility", susceptibility, self.n, least=0.0), self.n)
        if self.susceptibility.max() > 1:
            raise ArgumentError("susceptibility", float(self.susceptibility.max()), "numbers between 0 and 1")
        self.start = np.broadcast_to(numbers("start", start, self.n), self.n)

    @property
    def factor(self):
        """The contraction factor in l-inf."""
        return float(np.abs(self.susceptibility[:, None] * self.influence).sum(axis=1).max())

    def step(self, x):
        return (self._check(x) @ self.influence.T) * self.susceptibility + (1 - self.susceptibility) * self.start

    def jacobian(self, x):
        """The derivative of the map, shape (n, n)."""
        return self.susceptibility[:, None] * self.influence

    def fixed_point(self):
        """The opinions at which the map rests, shape (n,)."""
        A = np.eye(self.n) - self.jacobian(self.start)
        return np.linalg.solve(A, (1 - self.susceptibility) * self.start)
