r"""The dynamics of implicit graph networks: states of several numbers at each node, mixed and passed along the edges.

References
----------
Gu, Chang, Zhu, Sojoudi, El Ghaoui, Implicit graph neural networks, NeurIPS 2020, arXiv:2009.06211.
Jafarpour, Davydov, Proskurnikov, Bullo, Robust implicit networks via non-Euclidean contractions, arXiv:2106.03194.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array, eye_array, kron

from ..errors import ArgumentError
from ..fields.base import describe
from ..fields.facts import Facts
from ..fields.graph import coupling_matrix
from ..fields.lure import LureField
from .common import number, numbers

__all__ = ["ImplicitGraph"]

_RANGE = {"relu": (0.0, np.inf), "logistic": (0.0, 1.0), "tanh": (-1.0, 1.0), "hard_tanh": (-1.0, 1.0)}


class ImplicitGraph(LureField):
    r"""An implicit graph network as a system that settles on its own output,

    .. math:: \dot x_i = -x_i + \Phi\Big(w\,W\sum_j K_{ij}x_j + B u_i + b\Big),

    with states :math:`x_i` of d numbers at each of N nodes, ``x[i * d + k]`` number k of node i. It is a firing-rate network
    with the matrix :math:`wK\otimes W`, which is kept sparse. With :math:`\mu` the log norm of that matrix it contracts with
    rate at least :math:`1 - \mu^+` in :math:`\ell_\infty`, weights included, for slopes in [0, 1].

    Parameters
    ----------
    coupling : networkx graph, ndarray (N, N) or scipy sparse array
        The matrix K; a directed edge u -> v lets u act on v.
    mixing : array_like (d, d)
        The matrix W, from a neighbour's numbers to one's own.
    reading : array_like (d, m)
        The matrix B; the identity when None.
    bias : float or array_like (d,)
    weight : float
        Multiplies the coupling.
    activation : str or Activation
    input : float, array_like (N * m,) or Signal, optional
        Inputs u, node by node.
    edge_weight : str
        The edge attribute of a graph that holds the weights.
    labels : sequence of str, optional

    Raises
    ------
    ArgumentError
        For matrices whose shapes do not fit, or an unknown activation.

    Examples
    --------
    >>> import networkx as nx, dynet as dn
    >>> model = ImplicitGraph(nx.path_graph(3), [[0.3, 0.1], [-0.1, 0.3]], activation="tanh")
    >>> model, model.labels[:2]
    (ImplicitGraph(n=6), ('0.0', '0.1'))
    >>> round(dn.certify(model, "inf").rate, 6)  # 1 minus the square root of 2 times 0.4
    0.434315
    """

    name = "ImplicitGraph"
    equation = "x_i' = -x_i + phi(weight W sum_j K_ij x_j + B u_i + b)"

    def __init__(
        self, coupling, mixing=((1.0,),), reading=None, bias=0.0, weight=1.0, activation="relu", input=None,
        edge_weight="weight", labels=None,
    ):  # fmt: skip
        K, found = coupling_matrix(coupling, weight=edge_weight)
        N = K.shape[0]
        W = _matrix("mixing", mixing)
        d = W.shape[0]
        if W.shape != (d, d):
            raise ArgumentError("mixing", describe(W), "a square matrix")
        B = np.eye(d) if reading is None else _matrix("reading", reading)
        if len(B) != d:
            raise ArgumentError("reading", describe(B), f"a matrix with {d} rows, as many as the mixing matrix")
        bias = numbers("bias", bias, d, what="states of a node")
        weight = number("weight", weight)
        self.coupling, self.nodes, self.dim = coupling, N, d
        arguments = dict(mixing=W, reading=reading, bias=bias, weight=weight, activation=activation, input=input)
        self._arguments = {**arguments, "edge_weight": edge_weight, "labels": labels}
        if labels is None:
            nodes = [str(i) for i in range(N)] if found is None else found
            labels = nodes if d == 1 else [f"{node}.{k}" for node in nodes for k in range(d)]
        G = csr_array(kron(csr_array(weight * K), csr_array(W)))
        G = G.toarray() if N * d <= 64 or G.nnz > 0.1 * (N * d) ** 2 else G
        super().__init__(
            E=-np.ones(N * d), F=np.ones(N * d), G=G, B=csr_array(kron(eye_array(N), csr_array(B))),
            g=np.tile(np.broadcast_to(bias, d), N), activation=activation, input=input, labels=labels,
            params={key: value for key, value in arguments.items() if value is not None},
        )  # fmt: skip

    def replace(self, **params):
        for name, value in params.items():
            if name not in self._arguments:
                raise ArgumentError(name, value, f"a parameter of {self.name}", choices=self._arguments, word=name)
        return type(self)(self.coupling, **{**self._arguments, **params})

    @property
    def facts(self):
        box = _RANGE.get(self.activation.name)
        smallest = self.G.min() if isinstance(self.G, np.ndarray) else self.G.data.min(initial=0.0)
        rising = self.activation.slopes is not None and self.activation.slopes[0] >= 0
        return Facts(
            invariant=None if box is None else tuple(np.full(self.n, end) for end in box),
            monotone=bool(rising and smallest >= 0),
            theorem="contracting when the log norm of the product of coupling and mixing is below 1",
        )


def _matrix(name, value):
    try:
        matrix = np.array(value, dtype=float)
    except (TypeError, ValueError):
        raise ArgumentError(name, value, "a matrix of numbers") from None
    if matrix.ndim != 2 or 0 in matrix.shape or not np.isfinite(matrix).all():
        raise ArgumentError(name, describe(matrix), "a finite matrix")
    return matrix
