r"""Implicit graph networks: every node's state depends on its neighbours' states, however far the influence travels.

On a graph of N nodes with coupling matrix K (``K[i, j]`` is the effect of node j on node i) the states of d numbers per node,
the rows of X, solve

.. math:: X = \Phi(K X W^\top + U B^\top + \mathbf 1 b^\top), \qquad Y = X C^\top + \mathbf 1 d^\top.

(With states as columns this is :math:`X = \Phi(W X A + B U)`, :math:`A = K^\top`.) The matrix of the
stacked states is :math:`K\otimes W`. It is never formed: :mod:`dynet.implicit.posedness` finds from K
and W by themselves weights and a rate c > 0 for which any X is at most :math:`\|X - \Phi(\cdot)\|/c` away from the solution.
The averaged iteration contracts with a known factor, and so does, in the dual norm, the transposed equation from which
gradients come.

References
----------
Gu, Chang, Zhu, Sojoudi, El Ghaoui, Implicit graph neural networks, NeurIPS 2020, arXiv:2009.06211.
Jafarpour, Davydov, Proskurnikov, Bullo, Robust implicit networks via non-Euclidean contractions, arXiv:2106.03194.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..certify.explain import rate_text
from ..equilibrium import Equilibrium
from ..errors import ArgumentError, Shown, Status
from ..fields import activation as activations
from ..fields.base import describe
from ..fields.graph import coupling_matrix
from ..linalg.norms import Norm
from ..linalg.rigorous import UNIT, gamma, quotient_up
from .posedness import even_perron, well_posedness

__all__ = ["GraphGradients", "GraphNetwork"]

_LOOK = 20  # iterations between two estimates of what rounding hides
_EASY = ("relu", "identity", "hard_tanh")  # activations that do not round


class GraphGradients(NamedTuple):
    """Gradients of a loss; `exact` says whether the adjoint equation was solved to the tolerance."""

    W: np.ndarray
    B: np.ndarray
    C: np.ndarray
    b: np.ndarray
    d: np.ndarray
    U: np.ndarray
    iterations: int
    residual: float
    exact: bool


class GraphNetwork:
    r"""An implicit network on a graph, :math:`X = \Phi(K X W^\top + U B^\top + b)`, :math:`Y = X C^\top + d`.

    Parameters
    ----------
    coupling : networkx graph, ndarray (N, N) or scipy sparse array
        ``coupling[i, j]`` is the effect of node j on node i; see :func:`normalised`.
    W : array_like (d, d)
        How the d states of a neighbour act.
    B : array_like (d, m)
    C : array_like (q, d)
    b : float or array_like (d,)
    d : float or array_like (q,)
    activation : str or Activation
        With declared slopes.
    weights : (array_like, array_like), optional
        Of nodes and states; see :func:`well_posedness`.

    Attributes
    ----------
    nodes, states, inputs, outputs : int
        N, d, m, q.
    posedness : Posedness
    mu, rate : float
    well_posed : bool
        Whether it is proven that every input has exactly one X.

    Raises
    ------
    ArgumentError
        For shapes that do not fit, entries that are not finite, an unknown activation.

    Examples
    --------
    >>> import networkx as nx
    >>> net = GraphNetwork(nx.path_graph(3), W=[[0.3]], B=[[1.0]], C=[[1.0]])
    >>> net
    GraphNetwork(3 nodes, 1 -> 1 -> 1, relu, mu <= 0.432511, well-posed)
    >>> net([[1.0], [0.0], [0.0]]).ravel().round(6)
    array([1.109756, 0.365854, 0.109756])
    """

    def __init__(self, coupling, W, B, C, b=0.0, d=0.0, activation="relu", weights=None):
        self.coupling, self.labels = coupling_matrix(coupling)
        self.W, self.B, self.C = (_matrix(name, value) for name, value in (("W", W), ("B", B), ("C", C)))
        self.nodes, self.states = self.coupling.shape[0], len(self.W)
        self.inputs, self.outputs = self.B.shape[1], len(self.C)
        for name, wanted in (
            ("W", (self.states,) * 2),
            ("B", (self.states, self.inputs)),
            ("C", (self.outputs, self.states)),
        ):
            if getattr(self, name).shape != wanted:
                raise ArgumentError(name, describe(getattr(self, name)), f"a matrix of shape {wanted}")
        self.b, self.d = _vector("b", b, self.states), _vector("d", d, self.outputs)
        self.activation = activations.get(activation)
        if self.activation.slopes is None:
            raise ArgumentError(
                "activation", self.activation.name, "an activation that declares its slopes=(dmin, dmax)"
            )
        if weights is not None:
            weights = tuple(
                _vector("weights", v, size) for v, size in zip(weights, (self.nodes, self.states), strict=True)
            )
            if not all(((v >= 1e-60) & (v <= 1e60)).all() for v in weights):
                raise ArgumentError("weights", Shown("weights out of range"), "numbers between 1e-60 and 1e60")
        self.posedness = well_posedness(self.coupling, self.W, self.activation.slopes, weights)

    @classmethod
    def random(cls, coupling, inputs, states, outputs, gamma=0.9, seed=0, activation="relu"):
        """A network with random matrices and ``mu <= gamma < 1``.

        >>> GraphNetwork.random([[0.0, 1.0], [1.0, 0.0]], 3, 4, 2, gamma=0.5).mu <= 0.5
        True
        """
        for name, value in (("inputs", inputs), ("states", states), ("outputs", outputs)):
            if not isinstance(value, (int, np.integer)) or value < 1:
                raise ArgumentError(name, value, "a positive integer")
        rng = np.random.default_rng(seed)
        W, B, C = (
            rng.uniform(-1, 1, (rows, columns)) / np.sqrt(columns)
            for rows, columns in ((states, states), (states, inputs), (outputs, states))
        )
        return cls(coupling, W, B, C, activation=activation).projected(gamma)

    @property
    def mu(self):
        return self.posedness.mu

    @property
    def rate(self):
        return self.posedness.rate

    @property
    def well_posed(self):
        return self.rate > 0

    def replace(self, **changes):
        """The same network with other arrays, activation or weights."""
        known = ("coupling", "W", "B", "C", "b", "d", "activation", "weights")
        for name in changes:
            if name not in known:
                raise ArgumentError(name, changes[name], "a part of the network", choices=known, word=name)
        return GraphNetwork(**{**{name: getattr(self, name, None) for name in known}, **changes})

    def projected(self, gamma):
        r"""The network with the nearest W (row by row, in the Euclidean norm) whose rows prove :math:`\mu \le \gamma < 1`.

        The nodes' weights are those of ``posedness``, the states' are ones; the absolute sum of each row of W is brought to
        at most :math:`\gamma/\max_i\sum_j|K_{ij}|\beta_j/\beta_i` (divided by the largest slope where that is above 1).
        """
        if not (np.isscalar(gamma) and 0 < gamma < 1):
            raise ArgumentError("gamma", gamma, "a number above 0 and below 1: only then is the network well-posed")
        beta = even_perron(self.coupling)
        reach = float(quotient_up(np.zeros(self.nodes), abs(self.coupling), beta).max())
        slope = max(1.0, *(abs(s) for s in self.activation.slopes))
        radius = gamma / (reach * slope) * (1 - 1e-12) if reach > 0 else np.inf
        return self.replace(W=_onto_balls(self.W, radius), weights=(beta, np.ones(self.states)))

    def solve(self, U, tol=1e-10, *, x0=None, max_iterations=100_000):
        r"""The states X for inputs, with a bound on their distance from the true ones.

        Parameters
        ----------
        U : array_like, shape (N, m)
        tol : float
            Wanted bound on the error, in the norm of ``posedness``.
        x0 : array_like, shape (N, d), optional
            Where to start; zero by default.
        max_iterations : int

        Returns
        -------
        Equilibrium
            ``x`` (N, d). `error` bounds the distance, rounding included; it is NaN, and the status ``ill_posed``, where it is
            not proven that there is exactly one X.
        """
        U = self._check("U", U, (self.nodes, self.inputs))
        if not (np.isscalar(tol) and np.isfinite(tol) and tol > 0):
            raise ArgumentError("tol", tol, "a positive number")
        X = (
            np.zeros((self.nodes, self.states))
            if x0 is None
            else self._check("x0", x0, (self.nodes, self.states)).copy()
        )
        eta = np.outer(self.posedness.nodes, self.posedness.states)
        inject = U @ self.B.T + self.b
        status, residual, error, count = Status.MAX_ITERATIONS, np.inf, np.nan, 0
        goal = tol * self.rate / 1.01
        while self.well_posed:
            with np.errstate(over="ignore", invalid="ignore"):
                turned = self._activate(self.coupling @ X @ self.W.T + inject)
                residual = float((np.abs(turned - X) / eta).max())
            if not np.isfinite(residual):
                status = Status.NONFINITE
                break
            small = residual <= goal
            if small or count % _LOOK == _LOOK - 1 or count == max_iterations:
                hidden = self._hidden(X, U, turned, eta)
                error = (residual + hidden) / self.rate * (1 + 1e-12)
                if error <= tol or residual <= hidden or (small and hidden > 0.01 * goal):
                    status = Status.OK if error <= tol else Status.PRECISION
                    break
            if count == max_iterations:
                break
            X += self.posedness.step * (turned - X)
            count += 1
        if not self.well_posed:
            status = Status.ILL_POSED
        certified = bool(np.isfinite(error))
        norm = Norm("inf", eta.ravel())
        return Equilibrium(X, error, residual, count, status, norm, certified, "averaged", ())

    def __call__(self, U, tol=1e-10):
        """The outputs Y (N, q) for inputs (N, m); NaN where the states could not be found: :meth:`solve` says why."""
        found = self.solve(U, tol)
        if found.status not in (Status.OK, Status.PRECISION):
            return np.full((self.nodes, self.outputs), np.nan)
        return found.x @ self.C.T + self.d

    def gradients(self, U, X, dY, tol=1e-10, max_iterations=100_000):
        r"""The gradients of a loss through the equilibrium.

        With D the slopes at :math:`K X W^\top + \dots` and :math:`G = \partial L/\partial Y\,C` the adjoint is
        :math:`\Lambda = G + K^\top(D\circ\Lambda)W`; the averaged iteration solves it with the factor of the forward one.

        Parameters
        ----------
        U : array_like, shape (N, m)
        X : array_like, shape (N, d)
            From :meth:`solve`.
        dY : array_like, shape (N, q)
        tol : float
            Wanted error of the adjoint relative to G, both in the dual norm (absolute sum, with the weights).

        Returns
        -------
        GraphGradients
        """
        if not self.well_posed:
            raise ArgumentError("net", Shown(repr(self)), "a network that is well-posed: others have no gradient")
        U = self._check("U", U, (self.nodes, self.inputs))
        X = self._check("X", X, (self.nodes, self.states))
        dY = self._check("dY", dY, (self.nodes, self.outputs))
        eta = np.outer(self.posedness.nodes, self.posedness.states)
        near = self.coupling @ X
        D = self.activation.slope(near @ self.W.T + U @ self.B.T + self.b)
        back, G = self.coupling.T, dY @ self.C
        L, size, residual = G.copy(), float((np.abs(G) * eta).sum()), 0.0
        for count in range(max_iterations + 1):
            turned = G + back @ (D * L) @ self.W
            residual = float((np.abs(turned - L) * eta).sum())
            if residual <= tol * self.rate * size or count == max_iterations:
                break
            L += self.posedness.step * (turned - L)
        V = D * L
        relative = residual / size if size else 0.0
        exact = relative <= tol * self.rate
        return GraphGradients(
            V.T @ near, V.T @ U, dY.T @ X, V.sum(axis=0), dY.sum(axis=0), V @ self.B, count, relative, exact
        )

    def dynamics(self, U):
        r"""The vector field :math:`\dot X = -X + \Phi(K X W^\top + U B^\top + b)`, whose equilibrium X is; a model."""
        from ..models import ImplicitGraph

        U = self._check("U", U, (self.nodes, self.inputs))
        return ImplicitGraph(self.coupling, self.W, self.B, bias=self.b, activation=self.activation, input=U.ravel())

    def _activate(self, Z):
        return self.activation.function(Z, self.activation.parameter)

    def _hidden(self, X, U, value, eta):
        """A bound on what rounding can hide of the residual at X, in the norm."""
        K, absolute = self.coupling, np.abs(X)
        degree = int(np.diff(K.indptr).max(initial=0)) if hasattr(K, "indptr") else K.shape[1]
        growth = gamma(degree + self.states + self.inputs + 8)
        # products with K that underflow are multiplied by W
        size = (abs(K) @ absolute + 1e-290) @ np.abs(self.W).T + np.abs(U) @ np.abs(self.B).T + np.abs(self.b)
        slope = max(abs(s) for s in self.activation.slopes)
        bound = slope * growth * size + 4 * UNIT * (absolute + np.abs(value)) + 1e-290
        if self.activation.name not in _EASY:
            bound += 32 * UNIT * (np.abs(value) + size)
        return 1.001 * float((bound / eta).max())

    def _check(self, name, value, shape):
        try:
            array = np.asarray(value, dtype=float)
        except (TypeError, ValueError):
            raise ArgumentError(name, value, f"numbers of shape {shape}") from None
        if array.shape != shape or not np.isfinite(array).all():
            raise ArgumentError(name, describe(array), f"finite numbers of shape {shape}")
        return array

    def __repr__(self):
        word = "well-posed" if self.well_posed else "not known to be well-posed"
        sizes = f"{self.nodes} nodes, {self.inputs} -> {self.states} -> {self.outputs}"
        below = rate_text(-self.mu)  # the digits of -mu, rounded down: those of mu, rounded up
        mu = below[1:] if below.startswith("-") else below if self.mu == 0 else f"-{below}"
        return f"GraphNetwork({sizes}, {self.activation.name}, mu <= {mu}, {word})"


def _onto_balls(matrix, radius):
    """The nearest matrix each of whose rows has an absolute sum of at most `radius`."""
    absolute = np.abs(matrix)
    if not np.isfinite(radius):
        return matrix
    ordered = -np.sort(-absolute, axis=1)
    excess = (np.cumsum(ordered, axis=1) - radius) / np.arange(1, matrix.shape[1] + 1)
    active = np.maximum((ordered > excess).sum(axis=1), 1)
    cut = np.maximum(excess[np.arange(len(matrix)), active - 1], 0.0)
    shrunk = np.sign(matrix) * np.maximum(absolute - cut[:, None], 0.0)
    total = np.abs(shrunk).sum(axis=1, keepdims=True)
    return shrunk * np.where(total > radius, radius / np.maximum(total, 1e-300), 1.0)  # rounding, once more


def _matrix(name, value):
    try:
        matrix = np.array(value, dtype=float)
    except (TypeError, ValueError):
        raise ArgumentError(name, value, "a matrix of numbers") from None
    if matrix.ndim != 2 or 0 in matrix.shape or not np.isfinite(matrix).all():
        raise ArgumentError(name, describe(matrix), "a finite matrix")
    return matrix


def _vector(name, value, size):
    vector = np.asarray(value, dtype=float)
    if vector.shape not in ((), (size,)) or not np.isfinite(vector).all():
        raise ArgumentError(name, describe(vector), f"a finite number or {size} of them")
    return np.broadcast_to(vector, (size,)).copy()
