r"""Network fields: one equation per node and one per edge of a graph,

.. math:: \dot x_i = f(t, x_i, s_i, u_i, p_i), \qquad s_i = \sum_j w_{ij}\, e(x_i, x_j, p_{ij}),

with node states of d components. ``w[i, j]`` is the effect of node j on node i: a directed edge ``j -> i``. An undirected
edge acts both ways. States are ordered node by node: ``x[i * d + k]`` is component k of node i.

The two functions are plain Python and serve twice, as those of :mod:`dynet.fields.function` do: compiled over lanes, nodes
and edges (:mod:`dynet.fields.nodes`), and as they stand, on arrays of nodes and edges, for :meth:`~NetworkField.rhs` and
for the Jacobian by the complex step.
"""

from __future__ import annotations

import types

import numpy as np
from scipy.sparse import csr_array, issparse

from ..engine import codegen
from ..engine.block import BlockRHS, call, pack_small
from ..errors import ArgumentError, Shown
from . import couplings, nodes
from .base import VectorField, describe
from .columns import Seen, derivative, evaluate, watched
from .facts import Facts
from .function import _check_params, _on_numpy
from .graph import coupling_matrix
from .lanes import source_in
from .network_form import network_form
from .patterns import network_pattern

__all__ = ["NetworkField"]

LARGE = 20_000  # states from which the threads share one trajectory, rather than a batch
_EXPLICIT = 4_000  # nodes up to which a complete graph's edges are listed


class NetworkField(VectorField):
    r"""A vector field on a graph, from a node function and an edge function.

    Parameters
    ----------
    graph : int, networkx graph, ndarray (N, N) or scipy sparse array
        Who acts on whom; ``graph[i, j]`` is the weight with which node j acts on node i, a directed edge ``j -> i``. A
        number N stands for the complete graph: every node acts on every other with weight 1.
    node : function
        ``node(t, x, s, p, dx)`` writes the d components of ``dx``; with `inputs`, ``node(t, x, s, u, p, dx)``. `x` is the
        node's own state, `s` its coupling.
    edge : function
        ``edge(x, y, p, s)`` writes the components of ``s``: the coupling that a neighbour in state `y` exerts on a node in
        state `x`. The sum over the neighbours, weighted, is the `s` of the node function.
    dim : int
        Components d of a node's state.
    params : dict, optional
        Name -> a number, which node and edge functions see, or an array of shape (N,), which the node function sees.
        They may differ from trajectory to trajectory.
    edge_params : dict, optional
        Name -> an array with one number per edge in the order of :attr:`edges`, a matrix with the graph's pattern, or the
        name of an edge attribute of a networkx graph. The edge function sees them.
    weight : float
        Multiplies all weights.
    slopes : dict, optional
        Bounds ``(low, high)`` on derivatives that hold at every state, for certificates: keys ``"node_x"``, ``"node_s"``,
        ``"edge_x"``, ``"edge_y"``; each value is a pair of numbers, or of matrices (d, d), (d, c), (c, d), (c, d).
    inputs : int
        Input channels of each node.
    input : float, array_like or Signal, optional
        For all nodes, N times `inputs` channels; zero when None.
    labels : sequence of str, optional
        One name per state; by default the nodes of the graph, with the component after a point when d > 1.
    edge_weight : str
        The edge attribute of a networkx graph that holds the weights.

    Attributes
    ----------
    nodes, dim, channels : int
        Nodes N, components d of a node's state, components c of the coupling.
    edges : (ndarray, ndarray)
        Row i (who is acted on) and column j (who acts) of each edge, sorted by row.

    Raises
    ------
    ArgumentError
        For functions with other arguments, components that are not written, parameters of the wrong shape, slopes with a
        lower bound above the upper one. Found before any compile.

    Examples
    --------
    >>> import math
    >>> def node(t, x, s, p, dx):
    ...     dx[0] = p.omega + s[0]
    >>> def edge(x, y, p, s):
    ...     s[0] = p.K * math.sin(y[0] - x[0])
    >>> field = NetworkField([[0, 1], [1, 0]], node, edge, params={"omega": [1.0, 2.0], "K": 0.5})
    >>> field.rhs(0.0, [0.0, math.pi / 2])
    array([1.5, 1.5])
    """

    name = "Network"
    equation = "x_i' = node(t, x_i, sum_j w_ij edge(x_i, x_j))"

    def __init__(
        self, graph, node, edge, *, dim=1, params=None, edge_params=None, weight=1.0, slopes=None, inputs=0, input=None,
        labels=None, edge_weight="weight", name=None, equation=None,
    ):  # fmt: skip
        if not isinstance(dim, (int, np.integer)) or dim < 1:
            raise ArgumentError("dim", dim, "the number of components of a node's state, a positive integer")
        if isinstance(weight, (str, bool)) or np.ndim(weight) or not np.isfinite(weight):
            raise ArgumentError("weight", weight, "a finite number that multiplies all weights")
        self.name, self.equation = name or type(self).name, equation or type(self).equation
        self.dim, self.weight = int(dim), float(weight)
        self._read_graph(graph, edge_weight)
        if labels is None:
            labels = self._labels()
        params, extra = _check_params(params), self._edge_params(edge_params, graph)
        for key, value in params.items():
            if key in extra:
                raise ArgumentError(key, value, "either a parameter or an edge parameter, not both")
            if np.shape(value) not in ((), (self.nodes,)):
                raise ArgumentError(
                    f"params[{key!r}]", describe(value), f"a number, or one for each of {self.nodes} nodes"
                )
        super().__init__(
            self.nodes * self.dim, labels=labels, params=params, inputs=inputs * self.nodes, input=input
        )  # fmt: skip
        self.node, self.edge, self.edge_params, self.node_inputs = node, edge, extra, int(inputs)
        self._kinds = {k: "shared" if np.shape(v) == () else "node" for k, v in params.items()}
        self._kinds |= dict.fromkeys(extra, "edge")
        if callable(node) and callable(edge):
            self._plain_node, self._plain_edge = _on_numpy(node), _on_numpy(edge)
            self.channels = self._dry_run() if isinstance(node, types.FunctionType) else 1
        self._source, self._separated = nodes.block_source(
            node, edge, self._kinds, self.dim, self.channels, self.node_inputs, self.complete
        )
        self.slopes = self._check_slopes(slopes)

    @property
    def facts(self):
        return Facts(slopes=self.slopes)

    @property
    def separable(self):
        """Whether each edge visit is a multiplication and an addition (see :mod:`dynet.fields.couplings`)."""
        return self._separated is not None

    @property
    def matrix(self):
        """The weights as a sparse matrix, ``matrix[i, j]`` the effect of node j on node i."""
        rows, columns = self.edges
        return csr_array((self._weights(), (rows, columns)), shape=(self.nodes, self.nodes))

    @property
    def edges(self):
        if self.complete:
            rows, columns = np.divmod(np.arange(self.nodes * (self.nodes - 1)), max(self.nodes - 1, 1))
            return rows, columns + (columns >= rows)
        return np.repeat(np.arange(self.nodes), np.diff(self._pattern.indptr)), self._pattern.indices

    def rhs(self, t, x, u=None):
        x = self.check_state(x)
        if self.complete and self.nodes > _EXPLICIT:
            return self._compiled_rhs(t, x, u)
        out = np.empty(x.shape, dtype=float)
        for index in np.ndindex(x.shape[:-1]):
            out[index] = self._evaluate(t, x[index], u if u is None or np.ndim(u) < 2 else u[index])
        return out

    def jacobian(self, t, x, u=None):
        """Sparse where the network has more than 64 states and is not complete, dense otherwise."""
        X = self.check_state(x).reshape(self.nodes, self.dim).T.copy()
        rows, columns = self.edges
        weights, d, c = self._weights(), self.dim, self.channels
        own, other = X[:, rows], X[:, columns]
        s = self._sum(rows, weights * self._edges(own, other))
        u = self._inputs_at(t, u)
        node_x = derivative(lambda z: self._nodes(t, z, s, u), X)
        node_s = derivative(lambda z: self._nodes(t, X, z, u), s)
        edge_x = derivative(lambda z: self._edges(z, other), own) * weights
        edge_y = derivative(lambda z: self._edges(own, z), other) * weights
        summed = self._sum(rows, edge_x.reshape(c * d, -1)).reshape(c, d, -1)
        diagonal = node_x + np.einsum("acn,cbn->abn", node_s, summed)
        off = np.einsum("acn,cbn->abn", node_s[:, :, rows], edge_y)
        each = np.arange(self.nodes)
        data, i, j = [], [], []
        for a in range(d):
            for b in range(d):
                data += [diagonal[a, b], off[a, b]]
                i += [each * d + a, rows * d + a]
                j += [each * d + b, columns * d + b]
        J = csr_array((np.concatenate(data), (np.concatenate(i), np.concatenate(j))), shape=(self.n, self.n))
        return J if self.n > 64 and not self.complete else J.toarray()

    def jacobian_pattern(self):
        return None if self.complete else network_pattern(*self.edges, self.nodes, self.dim)

    def block(self, signal=None, precision="float64"):
        module = codegen.module(source_in(precision, self._source), tag="network")
        separated, M = self._separated, len(self._separated.tables) if self._separated else self.dim
        private = nodes.private_rows(separated, self.complete, self.dim, self.channels)
        groups = -(-self.nodes // nodes.GROUP) * M if separated and self.complete else 0
        rows = 2 * self.nodes * M + 2 * groups + self.inputs + private
        reals, ints = self._pack(signal, M, precision)
        split = self.dim if self.n >= LARGE and not self.inputs else 0
        return BlockRHS(module.rhs, self.n, rows, reals, ints, split, private, nodes.GROUP)

    def form(self):
        return network_form(self)

    def parameter_vector(self):
        parts = [np.ravel(v) for v in self.params.values()]
        return np.concatenate(parts) if parts else np.empty(0)

    def parameter_slices(self):
        slices, at = {}, 0
        for key, value in self.params.items():
            slices[key] = slice(at, at + np.size(value))
            at += np.size(value)
        return slices

    def replace(self, **params):
        """The same field with other values of its parameters (shapes stay); graph and functions stay, too."""
        changed, edge_changed = dict(self.params), dict(self.edge_params)
        for key, value in params.items():
            if key in edge_changed:
                edge_changed[key] = self._edge_params({key: value}, None)[key]
                continue
            if key not in changed:
                known = [*changed, *edge_changed]
                raise ArgumentError(key, value, f"a parameter of {self.name}", choices=known, word=key)
            changed[key] = _check_params({key: value})[key]
            if np.shape(changed[key]) != np.shape(self.params[key]):
                raise ArgumentError(key, describe(value), f"the shape {np.shape(self.params[key])} that it had")
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin.params, twin.edge_params = changed, edge_changed
        return twin

    # the graph

    def _read_graph(self, graph, edge_weight):
        self._names = None
        if isinstance(graph, (int, np.integer)) and not isinstance(graph, bool):
            if graph < 1:
                raise ArgumentError("graph", graph, "a number of nodes, at least 1")
            self.nodes, self.complete, self._pattern, self._uniform = int(graph), True, None, self.weight
            return
        matrix, self._names = coupling_matrix(graph, weight=edge_weight, name="graph")
        self._pattern = matrix if issparse(matrix) else csr_array(matrix)
        self._pattern.sort_indices()
        data = self._pattern.data
        self.nodes = matrix.shape[0]
        self._uniform = self.weight * float(data[0]) if data.size and np.all(data == data[0]) else None
        full = data.size == self.nodes * (self.nodes - 1) and self.nodes > 1 and not np.any(self._pattern.diagonal())
        self.complete = bool(full and self._uniform is not None)

    def _labels(self):
        names = self._names or ([str(i) for i in range(self.nodes)] if self.dim > 1 else None)
        if self.dim == 1 or names is None:
            return names
        return tuple(f"{name}.{k}" for name in names for k in self._components())

    def _components(self):
        return range(self.dim)

    def _weights(self):
        if self.complete:
            return np.full(self.nodes * (self.nodes - 1), self._uniform)
        return self.weight * self._pattern.data

    def _edge_params(self, given, graph):
        checked = {}
        for key, value in (given or {}).items():
            count = self.nodes * (self.nodes - 1) if self.complete else self._pattern.nnz
            if isinstance(value, str):
                if not hasattr(graph, "adj"):
                    raise ArgumentError(f"edge_params[{key!r}]", value, "a networkx graph, whose edges have attributes")
                value = coupling_matrix(graph, weight=value, name=f"edge_params[{key!r}]")[0]
            if issparse(value) or np.ndim(value) == 2:
                value = np.asarray(csr_array(value)[self.edges]).ravel()
            array = np.asarray(value, dtype=float)
            if array.shape not in ((), (count,)) or not np.isfinite(array).all():
                raise ArgumentError(
                    f"edge_params[{key!r}]", describe(array), f"finite numbers, one for each of {count} edges"
                )
            if not str(key).isidentifier():
                raise ArgumentError("edge_params", key, "names that can be written as p.name")
            checked[key] = np.broadcast_to(array, count).copy()
        return checked

    def _check_slopes(self, slopes):
        if slopes is None:
            return None
        d, c = self.dim, self.channels
        shapes = {"node_x": (d, d), "node_s": (d, c), "edge_x": (c, d), "edge_y": (c, d)}
        checked = {}
        for key, value in slopes.items():
            if key not in shapes:
                raise ArgumentError("slopes", key, "a derivative", choices=shapes, word=key)
            try:
                low, high = (np.broadcast_to(np.asarray(v, dtype=float), shapes[key]).copy() for v in value)
            except (TypeError, ValueError):
                raise ArgumentError(
                    f"slopes[{key!r}]", value, f"a pair (low, high) of numbers or {shapes[key]} arrays"
                ) from None
            if not np.all(low <= high):
                raise ArgumentError(f"slopes[{key!r}]", value, "a lower bound that is not above the upper one")
            checked[key] = (low, high)
        missing = [key for key in shapes if key not in checked]
        if missing:
            raise ArgumentError("slopes", Shown(f"no bounds for {missing[0]!r}"), f"bounds for {', '.join(shapes)}")
        return checked

    # evaluation in Python

    def _evaluate(self, t, x, u=None):
        X = x.reshape(self.nodes, self.dim).T
        rows, columns = self.edges
        s = self._sum(rows, self._weights() * self._edges(X[:, rows], X[:, columns]))
        return self._nodes(t, X, s, self._inputs_at(t, u)).T.ravel()

    def _inputs_at(self, t, u):
        u = self.input_at(t) if u is None else np.asarray(u, dtype=float)
        return u.reshape(self.nodes, self.node_inputs).T

    def _nodes(self, t, X, s, u):
        """The node function for all nodes: (d, N), (c, N), (inputs, N) -> (d, N)."""
        more = (u,) if self.node_inputs else ()
        return evaluate(
            lambda x, s, p, dx, *u: self._plain_node(t, x, s, *u, p, dx), self.dim, (X, s), self.params, more
        )

    def _edges(self, own, other):
        """The edge function for all edges: (d, E), (d, E) -> (c, E)."""
        shared = {k: v for k, v in self.params.items() if self._kinds[k] == "shared"}
        return evaluate(self._plain_edge, self.channels, (own, other), shared | self.edge_params)

    def _sum(self, rows, values):
        sums = [np.bincount(rows, weights=v, minlength=self.nodes).astype(float) for v in values]
        return np.array(sums).reshape(-1, self.nodes)

    def _compiled_rhs(self, t, x, u):
        y = x.reshape(-1, self.n).T
        p = np.repeat(self.parameter_vector()[:, None], y.shape[1], axis=1)
        return call(self.block(self.signal(u)), t, y, p).T.reshape(x.shape)

    def _dry_run(self):
        """One evaluation of both functions in plain Python that watches what is written; the number of channels."""
        state = list(np.linspace(0.3, 0.7, self.dim))
        shared = {k: v for k, v in self.params.items() if self._kinds[k] == "shared"}
        own = {k: float(v[0]) if v.size else 1.0 for k, v in self.edge_params.items()}
        s = watched("edge", self._plain_edge, state, state[::-1], Seen("edge", shared | own))
        if not s or sorted(s) != list(range(len(s))):
            raise ArgumentError(
                "edge", Shown(f"components {sorted(s)} of s are written"), "s[0], s[1], ... all written"
            )
        first = {k: float(v[0]) if np.ndim(v) else v for k, v in self.params.items()}
        more = ([0.0] * self.node_inputs,) if self.node_inputs else ()
        dx = watched("node", self._plain_node, 0.0, state, [0.1] * len(s), *more, Seen("node", first))
        if sorted(dx) != list(range(self.dim)):
            written = Shown(f"components {sorted(dx)} of dx are written")
            raise ArgumentError("node", written, f"all {self.dim} components written")
        return len(s)

    def _pack(self, signal, M, precision):
        """Everything that the compiled right-hand side reads, in two flat arrays; see ``nodes.block_source``."""
        header = np.zeros(nodes.HEADER + len(self._kinds), np.int64)
        header[:2] = self.nodes, self.inputs
        reals, ints, counts = [np.array([self._uniform or 0.0])], [header], [1, header.size]

        def append(some_reals, some_ints):
            at = tuple(counts)
            reals.append(np.asarray(some_reals, dtype=float))
            ints.append(np.asarray(some_ints, dtype=np.int64))
            counts[0] += reals[-1].size
            counts[1] += ints[-1].size
            return at

        scales = self._separated.scales if self._separated else []
        header[6] = self._uniform is not None and not scales
        if not self.complete:
            pattern = self._pattern
            header[4] = 2 * append([], pack_small(pattern.indptr))[1]  # counted in halves
            header[5] = 2 * append([], pack_small(pattern.indices.astype(np.int64) * M))[1]
            weights = [self._weights()]
            p = self.edge.__code__.co_varnames[2]
            weights += [weights[0] * couplings.edge_values(e, p, self.edge_params) for e in scales]
            if not header[6]:
                header[7] = append(np.concatenate(weights), [])[0]
            sums = [np.bincount(self.edges[0], weights=w, minlength=self.nodes) for w in weights]
            header[8] = append(np.concatenate(sums), [])[0]
            header[10] = pattern.nnz
        header[2:4] = append(*signal.pack(precision)) if signal is not None and self.inputs else (0, -1)
        slices = self.parameter_slices()
        for k, name in enumerate(self._kinds):
            at = slices[name].start if name in slices else append(np.append(self.edge_params[name], np.ones(8)), [])[0]
            header[nodes.HEADER + k] = at
        return np.concatenate(reals), np.concatenate(ints)
