"""Every solver reaches the same states as the averaged iteration, alone or in a batch; the choice follows the structure."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from implicit.oracles import picard
from scipy.sparse import csr_array

import dynet as dn
from dynet.errors import ArgumentError, Status
from dynet.implicit import seidel
from dynet.implicit.solve import METHODS, choose
from dynet.implicit.solvers import averaged_step


def cooperative(n, gamma, seed=0):
    random = np.random.default_rng(seed)
    A = random.uniform(size=(n, n))
    A *= gamma / A.sum(axis=1)[:, None]
    return dn.ImplicitNetwork(A, random.normal(size=(n, 3)), random.normal(size=(2, n)), 0.2)


def signed(n, activation="relu", gamma=0.9, seed=0):
    random = np.random.default_rng(seed)
    net = dn.ImplicitNetwork.random(3, n, 2, gamma=gamma, seed=random, activation=activation)
    return net.replace(b=random.normal(size=n), weights=net.weights)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6), method=st.sampled_from(METHODS), activation=st.sampled_from(["relu", "tanh"]),
    kind=st.sampled_from([signed, cooperative]),
)  # fmt: skip
def test_every_method_finds_the_state(seed, method, activation, kind):
    net = kind(7, gamma=0.8, seed=seed).replace(activation=activation)
    U = np.random.default_rng(seed).normal(size=(3, 3))
    found = net.solve(U, 1e-9, method=method)
    assert found.certified and all(s is Status.OK for s in found.status) and (found.error <= 1e-9).all()
    assert (np.abs((found.x - picard(net, U, 1500)) / net.weights).max(axis=1) <= found.error + 1e-15).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", [signed, cooperative])
def test_a_sample_has_the_same_bits_in_any_company(method, kind):
    net = kind(23, gamma=0.95)
    U = np.random.default_rng(1).normal(size=(11, 3)) * np.logspace(-2, 2, 11)[:, None]
    together = net.solve(U, 1e-7, method=method)
    for r in (0, 5, 10):
        alone = net.solve(U[r], 1e-7, method=method)
        assert np.array_equal(alone.x, together.x[r]) and alone.iterations == together.iterations[r]


def test_the_choice_follows_the_structure():
    assert choose(signed(40, gamma=0.95))[0] == "sweep"
    assert choose(cooperative(40, 0.99))[0] == "newton"
    found = cooperative(40, 0.9999).solve(np.ones((2, 3)), 1e-4)
    assert found.method == "newton" and found.status[0].ok and found.iterations.max() < 30
    large = cooperative(450, 0.999)
    assert choose(large)[0] == "anderson" and large.solve(np.ones((2, 3)), 1e-6).status[1].ok


def test_layers_are_solved_by_one_sweep_in_order():
    random = np.random.default_rng(0)
    A = np.zeros((12, 12))
    A[4:8, :4], A[8:, 4:8] = random.normal(size=(2, 4, 4))
    shuffle = random.permutation(12)
    net = dn.ImplicitNetwork(A[np.ix_(shuffle, shuffle)], random.normal(size=(12, 3)), np.ones((1, 12)))
    assert net.well_posed and choose(net)[0] == "gauss-seidel"
    found = net.solve(random.normal(size=(5, 3)), 1e-9)
    assert (found.iterations <= 1).all() and found.certified and found.status[0].ok
    assert seidel.order(signed(5)) is None


def test_sweeps_that_are_slow_are_taken_over():
    A = np.array([[0.0, 1 - 1e-4], [-(1 - 1e-4), 0.0]])
    A = np.kron(np.eye(10), A)
    net = dn.ImplicitNetwork(A, np.eye(20), np.eye(20), activation="identity", weights=np.ones(20))
    found = net.solve(np.ones((2, 20)), 1e-9)
    assert found.status[0].ok and found.iterations.max() < 1000
    exact = np.linalg.solve(np.eye(20) - A, np.ones(20))
    assert np.abs(found.x - exact).max() <= found.error.max()


def test_sparse_networks_have_every_solver():
    net = signed(25)
    thin = csr_array(net.A * (np.abs(net.A) > 0.1))
    net = net.replace(A=thin, weights=net.weights)
    U = np.random.default_rng(0).normal(size=(3, 3))
    states = [net.solve(U, 1e-10, method=method).x for method in METHODS]
    assert all(np.allclose(x, states[0], atol=1e-9) for x in states)


def test_the_averaged_step_contracts_as_promised():
    net = dn.ImplicitNetwork([[-1.0, 0.5], [0.5, -1.0]], np.eye(2), np.eye(2))
    alpha, factor = averaged_step(net)
    assert np.allclose([alpha, factor], [2 / 3.5, 1.5 / 3.5])
    for seed in range(5):
        net = signed(6, seed=seed, gamma=0.5)
        alpha, factor = averaged_step(net)
        worst = 0.0
        for pattern in range(2**6):
            D = np.diag([float(pattern >> i & 1) for i in range(6)])
            step = (1 - alpha) * np.eye(6) + alpha * D @ net.A
            worst = max(worst, net.norm.induced(step))
        assert worst <= factor + 1e-12


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "silu"])
@pytest.mark.parametrize("seed", range(3))
def test_the_sweep_contracts_no_worse_than_the_averaged_iteration(activation, seed):
    net = signed(6, activation, gamma=0.4, seed=seed)
    net = net.replace(A=0.5 * net.A, weights=net.weights)
    assert net.well_posed
    diagonal, off, worst = np.diag(net.A), net.A - np.diag(np.diag(net.A)), 0.0
    for pattern in range(2**6):
        d = np.array([net.activation.slopes[pattern >> i & 1] for i in range(6)])
        worst = max(worst, net.norm.induced((d / (1 - d * diagonal))[:, None] * off))
    assert worst <= net.factor + 1e-12
    if net.activation.slopes == (0.0, 1.0):
        least = 1 - min(diagonal.min(), 0.0)
        assert net.factor <= 1 - (1 - max(net.mu, 0.0)) / least + 1e-12


def test_splittings_refuse_slopes_outside_of_the_unit_interval():
    with pytest.raises(ArgumentError, match="slopes"):
        signed(5, "silu", gamma=0.1).replace(A=np.zeros((5, 5))).solve(np.zeros(3), method="peaceman-rachford")
