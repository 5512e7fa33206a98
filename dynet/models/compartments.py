r"""Averaging and compartmental systems: linear flows on graphs.

Both are monotone. Averaging is invariant under a translation of all states (it forgets where the origin is), compartments
conserve what flows among them; hence averaging never increases distances in :math:`\ell_\infty`, compartments in
:math:`\ell_1`, and neither contracts strongly unless something leaves.

References
----------
Jafarpour, Cisneros-Velarde, Bullo, Weak and semi-contraction for network systems and diffusively coupled oscillators,
IEEE Transactions on Automatic Control 67, 2022.
Jacquez, Simon, Qualitative theory of compartmental systems, SIAM Review 35, 1993.
"""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError
from ..fields.facts import Facts
from ..fields.graph import coupling_matrix
from ..fields.lure import LureField
from .common import number, numbers

__all__ = ["Averaging", "Compartmental"]


def _flow(coupling, weight, edge_weight, what):
    """The coupling times the weight, its diagonal left out, and labels; entries must not be negative."""
    A, labels = coupling_matrix(coupling, weight=edge_weight)
    A = A * number("weight", weight)
    data = A if isinstance(A, np.ndarray) else A.data
    if (data < 0).any():
        raise ArgumentError("coupling", float(data.min()), f"{what} that are not negative")
    if isinstance(A, np.ndarray):
        return A - np.diag(A.diagonal()), labels
    from scipy.sparse import diags_array

    return (A - diags_array(A.diagonal())).tocsr(), labels


def _minus_diagonal(A, diagonal):
    if isinstance(A, np.ndarray):
        return A - np.diag(diagonal)
    from scipy.sparse import diags_array

    return (A - diags_array(diagonal)).tocsr()


class _Flow(LureField):
    def replace(self, **params):
        for name in params:
            if name not in self._arguments:
                raise ArgumentError(
                    name, params[name], f"a parameter of {self.name}", choices=self._arguments, word=name
                )
        return type(self)(self.coupling, **{**self._arguments, **params})


class Averaging(_Flow):
    r"""Averaging, or consensus: :math:`\dot x_i = \sum_j w_{ij}(x_j - x_i)`, that is :math:`\dot x = -Lx`.

    The Laplacian :math:`L` has zero row sums: the field does not change when all states are shifted alike, its one-sided
    Lipschitz constant in :math:`\ell_\infty` is 0, and the spread :math:`(\max x - \min x)/2` decays at least with rate
    :math:`\delta(W) = \min_{i<j}\,[w_{ij} + w_{ji} + \sum_{k \ne i,j}\min(w_{ik}, w_{jk})]`.

    Parameters
    ----------
    coupling : networkx graph, ndarray (n, n) or scipy sparse array
        ``coupling[i, j]``, not negative, is how strongly node i is drawn to node j, 1/time. The diagonal has no effect.
    weight : float
        Multiplies the coupling matrix.
    edge_weight : str
        The edge attribute of a graph that holds the weights.
    labels : sequence of str, optional

    Raises
    ------
    ArgumentError
        For negative weights.

    References
    ----------
    De Pasquale, Smith, Bullo, Valcher, Dual seminorms, ergodic coefficients and semicontraction theory, arXiv:2201.03103.

    Examples
    --------
    >>> model = Averaging([[0, 1, 0], [0.5, 0, 0.5], [0, 1, 0]])
    >>> model.rhs(0.0, [1.0, 0.0, 0.0])
    array([-1. ,  0.5,  0. ])
    >>> model.ergodicity
    1.0
    """

    name = "Averaging"
    equation = "x_i' = sum_j w_ij (x_j - x_i)"

    def __init__(self, coupling, weight=1.0, edge_weight="weight", labels=None):
        W, names = _flow(coupling, weight, edge_weight, "weights")
        self.coupling, self.W = coupling, W
        self._arguments = dict(weight=weight, edge_weight=edge_weight, labels=labels)
        L, n = _minus_diagonal(W, W @ np.ones(W.shape[0])), W.shape[0]
        super().__init__(
            L,
            np.zeros((n, 1)),
            np.zeros((1, n)),
            activation="identity",
            labels=labels or names,
            params={"weight": weight},
        )

    @property
    def ergodicity(self):
        r"""The rate :math:`\delta(W)` at which the spread of the states decays at least, 1/time."""
        W = self.W if isinstance(self.W, np.ndarray) else self.W.toarray()
        rates = []
        for i in range(self.n):
            shared = np.minimum(W[i], W[i + 1 :])
            shared[:, i] = 0.0
            shared[np.arange(len(shared)), np.arange(i + 1, self.n)] = 0.0
            rates.append(W[i, i + 1 :] + W[i + 1 :, i] + shared.sum(axis=1))
        return float(min((r.min() for r in rates if r.size), default=np.inf))

    @property
    def facts(self):
        one = np.ones(self.n)
        balanced = np.allclose(one @ self.W, self.W @ one, rtol=1e-14, atol=0)
        theorem = "weakly contracting in l-inf; the spread of the states decays with rate delta(W)"
        return Facts(translation=one, conserved=one if balanced else None, monotone=True, theorem=theorem)


class Compartmental(_Flow):
    r"""A compartmental system: :math:`\dot q = C\varphi(q) + u` with flow rates between compartments and to the outside.

    Compartment j sends :math:`c_{ij}\varphi(q_j)` to compartment i and :math:`f_j\varphi(q_j)` outside:
    :math:`C = A - [A^\top 1 + f]` with :math:`a_{ij} = c_{ij}`. The columns of C sum to :math:`-f`, so that distances do
    not grow in :math:`\ell_1`; when every compartment reaches an outflow, C is Hurwitz and the linear system contracts in
    the :math:`\ell_1` norm weighted by its left Perron vector. Contents stay nonnegative.

    Parameters
    ----------
    coupling : networkx graph, ndarray (n, n) or scipy sparse array
        ``coupling[i, j]``, not negative, is the rate of the flow from compartment j to i, 1/time. In a directed graph the
        edge j -> i carries it.
    outflow : float or array_like (n,)
        Rates f of the flow out of the system, 1/time, not negative.
    weight : float
        Multiplies the flow rates among the compartments.
    rate : str or Activation
        The increasing function phi with phi(0) = 0 by which flow depends on content; "identity" for linear flows.
    input : float, array_like (n,) or Signal, optional
        Inflow from outside, content/time.
    edge_weight : str
        The edge attribute of a graph that holds the rates.
    labels : sequence of str, optional

    Raises
    ------
    ArgumentError
        For negative rates, and for a rate function that may decrease.

    Examples
    --------
    >>> F = [[0, 0.5, 0], [0, 0, 1], [0.2, 0, 0]]  # row i: flow rates from i
    >>> model = Compartmental([list(column) for column in zip(*F)], outflow=[0, 0.3, 0.5])
    >>> model.rhs(0.0, [1.0, 1.0, 1.0])
    array([-0.3, -0.8,  0.3])
    """

    name = "Compartmental"
    equation = "q' = C phi(q) + u, C = A - [sum of columns of A + outflow]"

    def __init__(
        self, coupling, outflow=0.0, weight=1.0, rate="identity", input=None, edge_weight="weight", labels=None
    ):
        A, names = _flow(coupling, weight, edge_weight, "flow rates")
        n = A.shape[0]
        out = np.broadcast_to(numbers("outflow", outflow, n, least=0.0, what="compartments"), n)
        self.coupling, self.outflow = coupling, out
        self._arguments = dict(
            outflow=outflow, weight=weight, rate=rate, input=input, edge_weight=edge_weight, labels=labels
        )
        C, one = _minus_diagonal(A, np.ones(n) @ A + out), np.ones(n)
        linear = isinstance(rate, str) and rate == "identity"
        forms = dict(E=C, F=np.zeros((n, 1)), G=np.zeros((1, n))) if linear else dict(E=0 * one, F=C, G=one)
        super().__init__(
            **forms,
            D=one,
            activation=rate,
            input=input,
            labels=labels or names,
            params={"outflow": outflow, "weight": weight},
        )
        self.C, slopes = C, self.activation.slopes
        if slopes is None or slopes[0] < 0 or abs(self.activation(np.zeros(1))[0]) > 0:
            raise ArgumentError("rate", rate, "an increasing function that declares its slopes and is 0 at 0")

    @property
    def facts(self):
        closed = not self.outflow.any()
        theorem = "weakly contracting in l1; strongly in l1 weighted by the left Perron vector when C is Hurwitz"
        positive = self.input is None or not hasattr(self.input, "value") or (self.input.value >= 0).all()
        return Facts(
            invariant=(np.zeros(self.n), np.full(self.n, np.inf)) if positive else None,
            conserved=np.ones(self.n) if closed else None,
            monotone=True,
            theorem=theorem,
        )
