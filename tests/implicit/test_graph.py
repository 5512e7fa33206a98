"""Implicit graph networks against their Kronecker twin: log norm, states, gradients; and what training reaches."""

from fractions import Fraction

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

import dynet as dn
from dynet.errors import ArgumentError, Status
from dynet.implicit.graph import GraphNetwork
from dynet.implicit.graph_tasks import GraphTask, accuracy, chains, fit_nodes, karate_club, normalised
from dynet.implicit.posedness import well_posedness


def random_network(seed=0, nodes=5, states=3, gamma=0.8, activation="relu", sparse=False, **parts):
    rng = np.random.default_rng(seed)
    K = rng.normal(size=(nodes, nodes)) * (rng.random((nodes, nodes)) < 0.6)
    net = GraphNetwork(
        csr_array(K) if sparse else K, rng.normal(size=(states, states)), rng.normal(size=(states, 2)),
        rng.normal(size=(2, states)), rng.normal(size=states), rng.normal(size=2), activation,
    )  # fmt: skip
    return net.projected(gamma)


def kron(net):
    """The matrix of the stacked states, which the library never forms."""
    K = net.coupling if isinstance(net.coupling, np.ndarray) else net.coupling.toarray()
    return np.kron(K, net.W)


def log_norm(M, eta):
    """Exact, in rationals, for each row: the diagonal and the weighted absolute sum of the others."""
    rows = []
    for i, row in enumerate(M):
        others = [abs(Fraction(float(v))) * Fraction(float(eta[j])) for j, v in enumerate(row) if j != i]
        rows.append((Fraction(float(row[i])), sum(others) / Fraction(float(eta[i]))))
    return rows


@given(st.integers(0, 10**6), st.sampled_from([(0.0, 1.0), (0.01, 1.0), (-0.13, 1.13), (-1.0, 1.0), (0.0, 0.25)]))
def test_the_log_norm_is_that_of_the_kronecker_product_rounded_up(seed, slopes):
    rng = np.random.default_rng(seed)
    K, W = (np.round(rng.normal(size=(k, k)) * (rng.random((k, k)) < 0.7), 2) for k in (4, 3))
    given = rng.uniform(0.5, 2.0, 4), rng.uniform(0.5, 2.0, 3)
    for weights in (None, given):
        found = well_posedness(K, W, slopes, weights)
        # products of the entries are formed exactly, too
        exact = []
        for i in range(4):
            for k in range(3):
                p, off = Fraction(0), Fraction(0)
                for j in range(4):
                    for m in range(3):
                        entry = Fraction(float(K[i, j])) * Fraction(float(W[k, m]))
                        ratio = Fraction(float(found.nodes[j])) * Fraction(float(found.states[m]))
                        ratio /= Fraction(float(found.nodes[i])) * Fraction(float(found.states[k]))
                        if (i, k) == (j, m):
                            p = entry
                        else:
                            off += abs(entry) * ratio
                exact.append((p, off))
        mu = max(p + off for p, off in exact)
        worst = max(Fraction(s) * p + abs(Fraction(s)) * off for p, off in exact for s in slopes)
        assert mu <= Fraction(found.mu) <= mu + Fraction(1, 10**9)
        assert worst <= 1 - Fraction(found.rate) <= worst + Fraction(1, 10**9)
        if found.rate > 0:
            for p, off in exact:
                for s in slopes:
                    row = (
                        abs(1 - Fraction(found.step) * (1 - Fraction(s) * p))
                        + Fraction(found.step) * abs(Fraction(s)) * off
                    )
                    assert row <= Fraction(found.factor)


def test_the_weights_come_near_the_product_of_spectral_radii():
    K = np.abs(np.random.default_rng(0).normal(size=(6, 6)))
    W = np.array([[0.1, 0.02], [0.5, 0.0]])
    found = well_posedness(K, W)
    radius = np.abs(np.linalg.eigvals(K)).max() * np.abs(np.linalg.eigvals(W)).max()
    assert radius <= found.mu <= 1.05 * radius
    assert well_posedness(K, W, weights=(np.ones(6), np.ones(2))).mu > 1.2 * radius


def test_negative_loops_count():
    found = well_posedness(np.array([[2.0, 0.5], [0.5, 2.0]]), np.array([[-3.0]]))
    assert found.mu == pytest.approx(-6 + 1.5) and found.step == pytest.approx(1 / 7)
    net = GraphNetwork([[2.0, 0.5], [0.5, 2.0]], [[-3.0]], [[1.0]], [[1.0]])
    rest = net.solve([[7.0], [0.0]], tol=1e-12)
    assert rest.status.ok and np.allclose(rest.x.ravel(), [1.0, 0.0], atol=1e-11)


@pytest.mark.parametrize("activation", ["relu", "tanh", "leaky_relu", "gelu"])
@pytest.mark.parametrize("sparse", [False, True])
def test_the_states_are_those_of_the_stacked_network_and_within_the_error(activation, sparse):
    net = random_network(activation=activation, sparse=sparse)
    U = np.random.default_rng(1).normal(size=(5, 2))
    M, v = kron(net), (U @ net.B.T + net.b).ravel()
    exact = np.zeros(15)
    for _ in range(2000):
        exact = net.activation(M @ exact + v)
    for tol in (1e-3, 1e-6, 1e-10):
        rest = net.solve(U, tol)
        assert rest.status is Status.OK and rest.certified and rest.x.shape == (5, 3)
        off = rest.norm.length(rest.x.ravel() - exact)
        assert off <= rest.error <= tol
    assert np.allclose(net(U), exact.reshape(5, 3) @ net.C.T + net.d, atol=1e-9)
    far = net.solve(U, 1e-11, x0=np.full((5, 3), 50.0))
    assert np.allclose(far.x, rest.x, atol=1e-9) and far.iterations > rest.iterations


def test_iterations_are_not_more_than_the_factor_says():
    net = random_network(seed=4)
    U = np.random.default_rng(1).normal(size=(5, 2))
    eta = np.outer(net.posedness.nodes, net.posedness.states)

    size = (np.abs(net.activation(U @ net.B.T + net.b)) / eta).max()
    needed = np.log(size / (1e-9 * net.rate)) / -np.log(net.posedness.factor)
    assert net.solve(U, 1e-9).iterations <= needed + 2


def test_what_cannot_be_solved_is_said():
    ill = GraphNetwork([[0.0, 1.0], [1.0, 0.0]], [[1.5]], [[1.0]], [[1.0]])
    rest = ill.solve([[1.0], [1.0]])
    assert rest.status is Status.ILL_POSED and np.isnan(rest.error) and not rest.certified and not ill.well_posed
    assert np.isnan(ill([[1.0], [1.0]])).all()
    with pytest.raises(ArgumentError, match="well-posed"):
        ill.gradients([[1.0], [1.0]], rest.x, np.ones((2, 1)))
    net = random_network()
    U = np.random.default_rng(1).normal(size=(5, 2))
    short = net.solve(U, 1e-10, max_iterations=2)
    assert short.status is Status.MAX_ITERATIONS and short.iterations == 2
    exact = net.solve(U, 1e-12)
    assert exact.norm.length((short.x - exact.x).ravel()) <= short.error + 1e-12
    too_much = net.solve(1e6 * U, 1e-13)
    assert too_much.status is Status.PRECISION and 1e-13 < too_much.error < 1e-6


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_gradients_are_those_of_differences(activation):
    net = random_network(seed=2, activation=activation)
    rng = np.random.default_rng(3)
    U, target = rng.normal(size=(5, 2)), rng.normal(size=(5, 2))

    def loss(**changes):
        inputs = changes.pop("U", U)
        other = net.replace(**changes, weights=net.posedness[-2:])
        return 0.5 * np.sum((other(inputs, 1e-13) - target) ** 2)

    found = net.gradients(U, net.solve(U, 1e-13).x, net(U, 1e-13) - target, tol=1e-13)
    assert found.exact
    for name in ("W", "B", "C", "b", "d", "U"):
        value = U if name == "U" else getattr(net, name)
        wanted = np.empty_like(value)
        for index in np.ndindex(value.shape):
            step = np.zeros_like(value)
            step[index] = 1e-6
            wanted[index] = (loss(**{name: value + step}) - loss(**{name: value - step})) / 2e-6
        assert np.allclose(getattr(found, name), wanted, rtol=1e-5, atol=1e-6), name
    rough = net.gradients(U, net.solve(U).x, net(U) - target, tol=1e-13, max_iterations=1)
    assert not rough.exact and rough.iterations == 1


@given(st.integers(0, 10**6), st.floats(0.05, 0.99))
def test_projection_is_nearest_and_well_posed(seed, gamma):
    rng = np.random.default_rng(seed)
    K, W = rng.normal(size=(4, 4)), rng.normal(size=(3, 3))
    net = GraphNetwork(K, W, np.eye(3), np.eye(3))
    once = net.projected(gamma)
    assert once.mu <= gamma and once.well_posed
    assert np.allclose(once.projected(gamma).W, once.W, rtol=1e-9)
    radius = np.abs(once.W).sum(axis=1).max()
    if np.abs(W).sum(axis=1).max() > radius * 1.001:
        for row, moved in zip(W, once.W, strict=True):  # no point of the ball is nearer
            others = rng.dirichlet(np.ones(3), 50) * rng.choice([-1, 1], (50, 3)) * radius
            assert (np.linalg.norm(others - row, axis=1) >= np.linalg.norm(moved - row) - 1e-9).all()


def test_the_dynamics_settle_on_the_states_at_the_certified_rate():
    net = random_network(seed=1, activation="tanh")
    U = np.random.default_rng(1).normal(size=(5, 2))
    model = net.dynamics(U)
    cert = dn.certify(model, "inf")
    assert cert.rate >= net.rate - 1e-9
    assert np.allclose(dn.equilibrium(model, certificate=cert).x.reshape(5, 3), net.solve(U).x, atol=1e-8)
    run = dn.simulate(model, np.zeros(15), t=40.0)
    assert np.allclose(run.x[-1].reshape(5, 3), net.solve(U).x, atol=1e-5)


def test_the_model_knows_where_it_stays_and_whether_it_is_monotone():
    model = dn.models.ImplicitGraph(nx.path_graph(30), [[0.2, 0.1], [0.0, 0.2]], bias=[0.1, -0.2])
    assert model.n == 60 and not hasattr(dn.models.ImplicitGraph(nx.path_graph(3)).G, "indptr")
    assert model.facts.monotone and (model.facts.invariant[0] == 0).all()
    assert not model.replace(mixing=[[0.2, -0.1], [0.0, 0.2]]).facts.monotone
    assert model.replace(activation="sin").facts.invariant is None
    found = well_posedness(nx.to_numpy_array(nx.path_graph(30)), np.array([[0.2, 0.1], [0.0, 0.2]]))
    assert dn.certify(model, "inf").rate == pytest.approx(1 - 0.4 * np.cos(np.pi / 31), abs=2e-3)
    assert dn.certify(model, "inf").rate >= found.rate - 1e-6
    large = dn.models.ImplicitGraph(nx.path_graph(40), [[0.2, 0.1], [0.0, 0.2]])
    assert hasattr(large.G, "indptr")
    for call, word in (
        (lambda: dn.models.ImplicitGraph(nx.path_graph(3), [[1.0, 2.0]]), "mixing"),
        (lambda: dn.models.ImplicitGraph(nx.path_graph(3), [[1.0]], [[1.0], [2.0]]), "reading"),
        (lambda: model.replace(mixin=1.0), "mixing"),
    ):
        with pytest.raises(ArgumentError, match=word):
            call()


def test_influence_reaches_the_far_end_of_a_chain():
    task = chains(count=4, length=20, shown=1)
    net, history = fit_nodes(
        GraphNetwork.random(task.coupling, 2, 6, 2, activation="tanh"), task, epochs=60, lr=0.05, bias=False
    )
    assert history.accuracy[-1] == 1.0 and accuracy(net, task, tol=1e-12) == 1.0
    assert (history.mu <= 0.9).all() and history.loss[-1] < history.loss[0]
    near = net.solve(task.U, max_iterations=15).x  # what 15 layers know of the last node is nothing
    assert not near[19::20].any() and net.solve(task.U, 1e-12).x[19::20].all()


def test_the_karate_club_splits_as_it_did():
    task = karate_club()
    net, history = fit_nodes(GraphNetwork.random(task.coupling, 34, 8, 2), task, epochs=60, decay=5e-3)
    assert accuracy(net, task) >= 28 / 32 and history.accuracy[-1] == 1.0
    again, _ = fit_nodes(GraphNetwork.random(task.coupling, 34, 8, 2), task, epochs=60, decay=5e-3)
    assert np.array_equal(net.W, again.W)


def test_normalised_couplings_have_radius_one():
    for K in (
        normalised(nx.karate_club_graph()),
        normalised(nx.path_graph(80)),
        normalised(nx.path_graph(9), loops=False),
    ):
        dense = K if isinstance(K, np.ndarray) else K.toarray()
        assert np.abs(np.linalg.eigvalsh(dense)).max() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: GraphNetwork(np.eye(2), np.ones((2, 3)), np.eye(2), np.eye(2)), "W"),
        (lambda: GraphNetwork(np.eye(2), np.eye(2), np.eye(3), np.eye(2)), "B"),
        (lambda: GraphNetwork(np.eye(2), np.eye(2), np.eye(2), np.eye(3)), "C"),
        (lambda: GraphNetwork(np.ones((2, 3)), np.eye(2), np.eye(2), np.eye(2)), "coupling"),
        (lambda: GraphNetwork(np.eye(2), np.eye(2), np.eye(2), np.eye(2), b=[1.0, 2.0, 3.0]), "b="),
        (lambda: GraphNetwork(np.eye(2), np.eye(2), np.eye(2), np.eye(2), activation="tanhh"), "tanh"),
        (lambda: GraphNetwork(np.eye(2), [[0.1]], [[1.0]], [[1.0]], weights=([1.0, 0.0], [1.0])), "weights"),
        (lambda: random_network().replace(w=1.0), "part of the network"),
        (lambda: random_network().projected(1.0), "gamma"),
        (lambda: random_network().solve(np.ones((4, 2))), "U"),
        (lambda: random_network().solve(np.ones((5, 2)), tol=0.0), "tol"),
        (lambda: random_network().solve(np.full((5, 2), np.nan)), "U"),
        (lambda: random_network().gradients(np.ones((5, 2)), np.ones((5, 3)), np.ones((5, 3))), "dY"),
        (lambda: chains(length=1), "length"),
        (lambda: chains(count=2, shown=3), "shown"),
        (lambda: normalised(-np.eye(2)), "graph"),
        (
            lambda: fit_nodes(random_network(), GraphTask(None, np.ones((5, 2)), np.arange(5), np.ones(5, bool))),
            "labels",
        ),
        (lambda: fit_nodes(random_network(), GraphTask(None, None, np.zeros(5, int), np.zeros(5, bool))), "shown"),
        (lambda: fit_nodes(random_network(), karate_club(), lr=0.0), "labels"),
    ],
)
def test_what_does_not_fit_is_named(call, word):
    with pytest.raises(ArgumentError, match=word):
        call()


def test_errors_cover_products_with_the_graph_that_underflow():
    net = GraphNetwork([[1e-200]], [[0.5e200]], [[1.0]], [[1.0]])
    found = net.solve([[1e-150]])  # computed as 1e-150, while the solution is twice as large
    assert abs(found.x[0, 0] - 2e-150) / net.posedness.nodes[0] / net.posedness.states[0] <= found.error
