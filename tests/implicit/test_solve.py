"""States of implicit networks: the bound on the distance holds, alone or in a batch, and nothing ill-posed is called solved."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from implicit.oracles import exact_relu, picard, rational
from scipy.sparse import csr_array

import dynet as dn
from dynet.errors import ArgumentError, Status


def soft(z):
    return z / (1.0 + abs(z))


ACTIVATIONS = ["relu", "leaky_relu", "hard_tanh", "identity", "tanh"]


def network(seed, states=6, activation="relu", gamma=0.9, inputs=3):
    random = np.random.default_rng(seed)
    net = dn.ImplicitNetwork.random(inputs, states, 2, gamma=gamma, seed=random, activation=activation)
    return net.replace(b=random.normal(size=states), weights=net.weights)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6), states=st.integers(1, 5), gamma=st.floats(-1.0, 0.99), tol=st.sampled_from([1e-3, 1e-9])
)
def test_the_error_bounds_the_distance_from_the_exact_state(seed, states, gamma, tol):
    net = network(seed, states, gamma=gamma, inputs=2)
    U = np.random.default_rng(seed + 1).normal(size=(2, 2))
    found = net.solve(U, tol)
    assert found.certified and all(s is Status.OK for s in found.status) and (found.error <= tol).all()
    A, B, b = rational(net.A), rational(net.B), [Fraction(float(v)) for v in net.b]
    for r in range(len(U)):
        u = [Fraction(float(v)) for v in U[r]]
        exact = exact_relu(A, [sum(B[i][k] * u[k] for k in range(2)) + b[i] for i in range(states)])
        distance = max(
            abs(Fraction(float(found.x[r, i])) - exact[i]) / Fraction(float(net.weights[i])) for i in range(states)
        )
        assert distance <= Fraction(float(found.error[r]))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_states_agree_with_the_averaged_iteration(activation):
    net = network(3, 8, activation)
    U = np.random.default_rng(0).normal(size=(7, 3)) * 3
    found = net.solve(U, 1e-11)
    twin = picard(net, U)
    assert found.certified and (np.abs((found.x - twin) / net.weights).max(axis=1) <= found.error + 1e-16).all()


def test_the_bound_holds_also_after_a_start_in_float32():
    net = network(3, 80)
    U = np.random.default_rng(0).normal(size=(4, 3)) * np.array([1e-20, 1.0, 1e5, 1e60])[:, None]
    found, twin = net.solve(U, 1e-9), picard(net, U, 2000)
    assert found.status[0].ok and found.status[1].ok
    assert (np.abs((found.x - twin) / net.weights).max(axis=1) <= found.error * (1 + 1e-6)).all()


@pytest.mark.parametrize("states", [5, 40, 70])  # from 64 units on, sweeps begin in float32
@pytest.mark.parametrize("sparse", [False, True])
def test_a_sample_has_the_same_bits_alone_and_in_a_batch(states, sparse):
    net = network(1, states)
    if sparse:
        net = net.replace(A=csr_array(net.A * (np.abs(net.A) > 0.05)), weights=net.weights)
    U = np.random.default_rng(2).normal(size=(23, 3)) * np.logspace(-3, 3, 23)[:, None]
    together, outputs = net.solve(U, 1e-8), net(U)
    assert len(set(together.iterations.tolist())) > 1, "samples of different difficulty stop at different times"
    for r in (0, 7, 22):
        alone = net.solve(U[r], 1e-8)
        assert np.array_equal(alone.x, together.x[r]) and alone.iterations == together.iterations[r]
        assert alone.error == together.error[r] and alone.residual == together.residual[r]
        assert np.array_equal(net(U[r]), outputs[r])


def test_sparse_and_dense_matrices_have_the_same_states():
    net = network(5, 30)
    thin = net.A * (np.abs(net.A) > 0.1)
    U = np.random.default_rng(0).normal(size=(4, 3))
    dense, sparse = (net.replace(A=A, weights=net.weights).solve(U) for A in (thin, csr_array(thin)))
    assert sparse.certified and np.allclose(dense.x, sparse.x, atol=1e-9)


@pytest.mark.parametrize("A", [[[1.5]], [[0.0, 2.0], [2.0, 0.0]], [[1.0]]])
def test_an_ill_posed_network_is_reported(A):
    n = len(A)
    net = dn.ImplicitNetwork(A, np.eye(n), np.eye(n), activation="relu")
    found = net.solve(np.ones((2, n)))
    assert not net.well_posed and not found.certified and np.isnan(found.error).all()
    assert not any(s.ok for s in found.status) and Status.ILL_POSED in found.status
    assert np.isnan(net(np.ones((2, n)))).all() and net.lipschitz() == np.inf and np.isinf(net.gain()).all()
    assert not net.certify(np.ones((2, n)), np.array([0, 0]), 0.1).any()
    assert "not known" in repr(net)


def test_precision_is_reported_where_rounding_forbids_the_tolerance():
    net = network(2)
    found = net.solve(np.full((1, 3), 1e6), 1e-14)
    assert found.status == (Status.PRECISION,) and found.error[0] > 1e-14
    twin = picard(net, np.full((1, 3), 1e6))
    assert np.abs((found.x - twin) / net.weights).max() <= found.error[0] * (1 + 1e-6)


def test_float32_networks_are_solved_in_float64_and_called_in_float32():
    net = network(4, 20)
    small = dn.ImplicitNetwork(*(getattr(net, k).astype(np.float32) for k in ("A", "B", "C", "b", "d")))
    U = np.random.default_rng(0).normal(size=(5, 3))
    assert small.dtype == np.float32 and small(U).dtype == np.float32
    found = small.solve(U)
    assert found.x.dtype == np.float64 and found.certified
    assert np.allclose(small(U), found.x @ small.C.T.astype(float), atol=1e-4)


@pytest.mark.parametrize("states", [12, 70])
def test_a_start_is_used_and_the_limit_of_iterations_reported(states):
    net = network(7, states)
    U = np.random.default_rng(0).normal(size=(3, 3))
    found = net.solve(U)
    again = net.solve(U, x0=found.x)
    assert (again.iterations <= 1).all() and (found.iterations > 2).all()
    stopped = net.solve(U, max_iterations=1)
    assert stopped.status[0] is Status.MAX_ITERATIONS
    assert (np.abs((stopped.x - found.x) / net.weights).max(axis=1) <= stopped.error + 1e-9).all()


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"A": [[1.0, 2.0]]}, "A"),
        ({"A": [[np.nan]]}, "A"),
        ({"B": [[1.0], [2.0]]}, "B"),
        ({"C": [1.0]}, "C"),
        ({"b": [1.0, 2.0]}, "b"),
        ({"activation": "rleu"}, "activation"),
        ({"weights": [0.0]}, "weights"),
    ],
)
def test_wrong_parts_are_named(arguments, name):
    with pytest.raises(ArgumentError) as error:
        dn.ImplicitNetwork(**{"A": [[0.5]], "B": [[1.0]], "C": [[1.0]], **arguments})
    assert error.value.name == name


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"U": [[1.0, 2.0]]}, "U"),
        ({"U": [[np.inf]]}, "U"),
        ({"tol": 0.0}, "tol"),
        ({"method": "swep"}, "method"),
        ({"x0": [[1.0, 1.0]]}, "x0"),
        ({"max_iterations": 0}, "max_iterations"),
    ],
)
def test_wrong_arguments_are_named(arguments, name):
    net = dn.ImplicitNetwork([[0.5]], [[1.0]], [[1.0]])
    with pytest.raises(ArgumentError) as error:
        net.solve(**{"U": [[1.0]], **arguments})
    assert error.value.name == name


def test_a_network_is_frozen():
    net = network(0)
    with pytest.raises(AttributeError):
        net.A = 1.0
    with pytest.raises(ValueError):
        net.A[0, 0] = 1.0


def test_an_activation_of_the_users_own_is_solved_but_not_called_certified():
    own = dn.Activation("mine", soft, slopes=(0.0, 1.0))
    net = network(2, 5).replace(activation=own)
    U = np.random.default_rng(0).normal(size=(3, 3))
    found = net.solve(U, 1e-10)
    assert found.status[0].ok and not found.certified
    assert np.allclose(found.x, net.replace(activation="softsign").solve(U).x, atol=1e-9)
    with pytest.raises(ArgumentError, match="slopes"):
        net.replace(activation=dn.Activation("mine", soft))


@pytest.mark.parametrize("activation", ["softplus", "elu", "arctan", "logistic", "softsign", "silu"])
def test_other_activations(activation):
    net = network(3, 6).replace(activation=activation)
    net = net.replace(A=0.3 * net.A)
    U = np.random.default_rng(0).normal(size=(4, 3))
    found = net.solve(U, 1e-10)
    assert (
        found.certified
        and (np.abs((found.x - picard(net, U, 1500)) / net.weights).max(axis=1) <= found.error + 1e-15).all()
    )


def test_the_best_weights_are_found_and_the_row_condition_leaves_out_the_diagonal():
    net = dn.ImplicitNetwork([[-1.0, 0.5], [-0.75, 0.25]], [[1.0], [2.0]], [[1.0, -1.0]])
    assert abs(net.mu - 0.5) < 1e-12 and np.allclose(net.weights, [1 / 3, 1])
    assert dn.ImplicitNetwork([[0.9]], [[1.0]], [[1.0]]).well_posed  # a_ii + |a_ii| would be 1.8


def test_errors_cover_underflow_under_small_weights():
    net = dn.ImplicitNetwork([[0.5]], [[1e-200]], [[1.0]], weights=[1e-100])
    found = net.solve([1e-130])  # B u = 1e-330 is computed as 0, in the norm it is 1e-230
    assert found.x[0] == 0.0 and found.error >= 2e-230
