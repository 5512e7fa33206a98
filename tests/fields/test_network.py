"""Networks: the compiled block agrees with loops over nodes and edges, whatever the graph and the form of the coupling."""

import math

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

import dynet as dn
from dynet.errors import ArgumentError
from dynet.fields.network import NetworkField
from tests.blocks import run_block


def phase(t, x, s, p, dx):
    dx[0] = p.omega + s[0]


def sine(x, y, p, s):
    s[0] = p.K * math.sin(y[0] - x[0])


def lagged(x, y, p, s):
    d = y[0] - x[0]
    s[0] = p.K * math.sin(d - p.lag) + p.c * d / (1.0 + p.lag**2)


def saturated(x, y, p, s):
    s[0] = p.K * math.tanh(y[0] - x[0])


def cell(t, x, s, p, dx):
    dx[0] = x[0] - x[0] ** 3 / 3 - x[1] + s[0]
    dx[1] = p.eps * (x[0] + 0.7 - 0.8 * x[1]) + 0.1 * s[1] + 0.01 * t


def gap(x, y, p, s):
    s[0] = p.K * (y[0] - x[0])
    s[1] = y[1] * x[0]


def threshold(x, y, p, s):
    if y[0] > x[0]:
        s[0] = p.K * y[0] ** 2
    else:
        s[0] = p.K * abs(x[1])
    s[1] = 0.5


def naive(field, t, x, u=None):
    """Node by node and edge by edge."""
    n, d, c = field.nodes, field.dim, field.channels
    X, out = x.reshape(n, d), np.zeros((n, d))
    sums = np.zeros((n, c))
    shared = {k: v for k, v in field.params.items() if np.ndim(v) == 0}
    dense = np.zeros((n, n))
    for q, (i, j) in enumerate(zip(*field.edges, strict=True)):
        weight = field.weight if field.complete else field.matrix[i, j]
        p = type("P", (), shared | {k: v[q] for k, v in field.edge_params.items()})
        s = np.zeros(c)
        field.edge(X[i], X[j], p, s)
        sums[i] += weight * s
        dense[i, j] = weight
    for i in range(n):
        p = type("P", (), {k: v if np.ndim(v) == 0 else v[i] for k, v in field.params.items()})
        more = () if u is None else (u.reshape(n, -1)[i],)
        field.node(t, X[i], sums[i], *more, p, out[i])
    return out.ravel()


def graphs():
    return {
        "undirected": nx.watts_strogatz_graph(30, 4, 0.2, seed=1),
        "directed": nx.gnp_random_graph(25, 0.15, seed=2, directed=True),
        "weighted": np.triu(np.random.default_rng(3).random((20, 20)) - 0.3, 1) * (np.arange(20) % 3 > 0),
        "complete": 17,
        "complete graph": nx.complete_graph(9),
        "no edges": np.zeros((3, 3)),
    }


@pytest.mark.parametrize("name", graphs())
@pytest.mark.parametrize("edge", [sine, gap, threshold], ids=lambda f: f.__name__)
def test_compiled_agrees_with_loops(name, edge):
    graph, rng = graphs()[name], np.random.default_rng(0)
    if edge in (gap, threshold):
        field = NetworkField(graph, cell, edge, dim=2, params={"eps": 0.08, "K": 0.3}, weight=0.7)
    else:
        count = NetworkField(graph, phase, edge, params={"omega": 0.0, "K": 1.0}).nodes
        field = NetworkField(graph, phase, edge, params={"omega": rng.normal(size=count), "K": 0.3}, weight=0.7)
    assert field.separable == (edge in (sine, gap))
    assert field.complete == name.startswith("complete")
    x = rng.normal(size=(5, field.n))
    wanted = np.array([naive(field, 0.4, row) for row in x])
    assert np.allclose(field.rhs(0.4, x), wanted, rtol=1e-12, atol=1e-12)
    together = run_block(field, 0.4, x)
    assert np.allclose(together, wanted, rtol=1e-12, atol=1e-12)
    alone = np.vstack([run_block(field, 0.4, row[None]) for row in x])
    assert np.array_equal(alone, together), "a trajectory has the same bits alone and in company"
    J = field.jacobian(0.4, x[0])
    steps = 1e-6 * np.eye(field.n)
    differences = np.array([(field.rhs(0.4, x[0] + e) - field.rhs(0.4, x[0] - e)) / 2e-6 for e in steps]).T
    assert np.allclose(J if isinstance(J, np.ndarray) else J.toarray(), differences, atol=1e-7)


def test_parameters_of_edges_scale_the_weights():
    graph, rng = graphs()["directed"], np.random.default_rng(1)
    count = graph.number_of_edges()
    more = {"lag": rng.random(count), "c": rng.random(count)}
    field = NetworkField(graph, phase, lagged, params={"omega": 1.0, "K": 0.3}, edge_params=more)
    assert field.separable
    x = rng.normal(size=(3, field.n))
    wanted = np.array([naive(field, 0.0, row) for row in x])
    assert np.allclose(run_block(field, 0.0, x), wanted, rtol=1e-12, atol=1e-12)
    assert np.allclose(run_block(field, 0.0, x[:1]), wanted[:1], rtol=1e-12, atol=1e-12)
    changed = field.replace(c=np.zeros(count), K=0.0)
    assert np.allclose(run_block(changed, 0.0, x), 1.0)
    assert field.params["K"] == 0.3 and field.edge_params["c"].any()


def test_parameters_of_edges_may_be_matrices_or_attributes():
    graph = nx.DiGraph()
    graph.add_edge("a", "b", lag=0.1, c=1.0)
    graph.add_edge("b", "c", lag=0.2, c=2.0)
    params = {"omega": 0.0, "K": 1.0}
    field = NetworkField(graph, phase, lagged, params=params, edge_params={"lag": "lag", "c": "c"})
    assert field.labels == ("a", "b", "c")
    assert field.edge_params["lag"].tolist() == [0.1, 0.2]
    lag = csr_array(([0.1, 0.2], ([1, 2], [0, 1])), shape=(3, 3))
    same = NetworkField(graph, phase, lagged, params=params, edge_params={"lag": lag, "c": [1.0, 2.0]})
    x = np.array([0.3, -0.1, 0.7])
    assert np.array_equal(field.rhs(0.0, x), same.rhs(0.0, x))


def test_direction_of_an_edge():
    def node(t, x, s, p, dx):
        dx[0] = s[0]

    def edge(x, y, p, s):
        s[0] = y[0]

    field = NetworkField(nx.DiGraph([("a", "b")]), node, edge)
    assert field.rhs(0.0, [3.0, 5.0]).tolist() == [0.0, 3.0], "a -> b lets a act on b"
    assert np.array_equal(field.matrix.toarray(), [[0, 0], [1, 0]])


def test_inputs_of_nodes():
    def node(t, x, s, u, p, dx):
        dx[0] = -x[0] + s[0] + u[0]

    field = NetworkField(
        graphs()["undirected"], node, sine, params={"K": 0.2}, inputs=1, input=dn.Sinusoid(1.0, period=3.0)
    )
    x = np.random.default_rng(0).normal(size=(3, field.n))
    wanted = np.array([naive(field, 0.7, row, field.input(0.7)) for row in x])
    assert np.allclose(run_block(field, 0.7, x, field.input), wanted, rtol=1e-12)
    assert np.allclose(run_block(field, 0.7, x[:1], field.input), wanted[:1], rtol=1e-12)
    assert np.allclose(field.rhs(0.7, x), wanted)


def test_labels_of_vector_states():
    field = NetworkField(nx.path_graph(["a", "b"]), cell, gap, dim=2, params={"eps": 0.1, "K": 1.0})
    assert field.labels == ("a.0", "a.1", "b.0", "b.1")


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 40), st.integers(0, 2**32 - 1))
def test_a_permutation_of_the_nodes_permutes_the_field(n, seed):
    rng = np.random.default_rng(seed)
    A = np.where(rng.random((n, n)) < 0.4, rng.normal(size=(n, n)), 0.0)
    x, order = rng.normal(size=n), rng.permutation(n)
    omega = rng.normal(size=n)
    field = NetworkField(A, phase, sine, params={"omega": omega, "K": 1.0})
    moved = NetworkField(A[np.ix_(order, order)], phase, sine, params={"omega": omega[order], "K": 1.0})
    assert np.allclose(run_block(moved, 0.0, x[None, order]), run_block(field, 0.0, x[None])[:, order], atol=1e-12)


def test_a_sweep_compiles_nothing():
    from dynet.engine import codegen

    field = NetworkField(5, phase, sine, params={"omega": np.zeros(5), "K": 0.3})
    field.block()
    before = codegen.loaded()
    for k in range(5):
        field.replace(K=0.1 * k).block()
        NetworkField(3 + k, phase, sine, params={"omega": np.full(3 + k, 0.1), "K": 0.3}, weight=k).block()
    assert codegen.loaded() == before


def test_parameters_differ_from_trajectory_to_trajectory():
    field = NetworkField(nx.path_graph(3), phase, sine, params={"omega": np.zeros(3), "K": 1.0})
    x0, K = np.array([0.0, 1.0, 2.0]), np.array([0.1, 1.0])
    run = dn.simulate(field, x0, 2.0, params={"K": K}, save="last")
    for k, value in enumerate(K):
        assert np.array_equal(dn.simulate(field.replace(K=value), x0, 2.0, save="last").x, run.x[k])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(graph=np.zeros((2, 3))), "square"),
        (dict(graph=0), "number of nodes"),
        (dict(dim=0), "components of a node's state"),
        (dict(weight="big"), "finite number"),
        (dict(params={"omega": 1.0}), "K"),
        (dict(params={"omega": [1.0, 2.0], "K": 1.0}), "one for each of 3 nodes"),
        (dict(params={"omega": 1.0, "K": [1.0, 1.0, 1.0]}), "the edge function sees"),
        (dict(node=lambda t, x: x), "arguments"),
        (dict(edge=saturated, dim=2), "all 2 components"),
        (dict(slopes={"node_x": (0.0, 0.0)}), "bounds for"),
        (dict(slopes={"nodex": (0.0, 0.0)}), "did you mean 'node_x'"),
        (dict(slopes={"node_x": (1.0, 0.0)}), "lower bound"),
        (dict(edge_params={"lag": [1.0]}), "one for each of 4 edges"),
    ],
)
def test_wrong_input_is_named(change, message):
    given = dict(graph=nx.path_graph(3), node=phase, edge=sine, params={"omega": 1.0, "K": 1.0}) | change
    with pytest.raises(ArgumentError, match=message):
        NetworkField(given.pop("graph"), given.pop("node"), given.pop("edge"), **given)
