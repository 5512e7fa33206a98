"""What the bridges share, and what they say where the other library is missing."""

import importlib
import importlib.util

import numpy as np
import pytest

import dynet as dn
from dynet.errors import ArgumentError, MissingExtraError
from dynet.implicit.bridge import layer
from tests.implicit import oracles


@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_two_functions_are_the_states_and_their_gradients(kind, activation):
    net = dn.ImplicitNetwork.random(3, 6, 2, gamma=0.6, seed=2, activation=activation)
    U = np.random.default_rng(0).normal(size=(4, 3))
    found = layer(*(np.array(v, kind) for v in (net.A, net.B, net.b)), activation=activation)
    x, state = found.forward(U.astype(kind))
    close = {"rtol": 1e-9, "atol": 1e-9} if kind is np.float64 else {"rtol": 1e-4, "atol": 1e-4}
    assert x.dtype == kind and np.allclose(x, net.solve(U, 1e-12).x, **close)
    dY = np.random.default_rng(1).normal(size=(4, 2))
    exact = oracles.dense_gradients(net, U, net.solve(U, 1e-12).x, dY)
    for seen in (state, found.again(U.astype(kind), x)):
        slopes = found.backward(seen, (dY @ net.C).astype(kind))
        for name, value in zip("UABb", slopes, strict=True):
            assert value.dtype == kind and np.allclose(value, exact[name], **close), name


def test_overflow_is_nan_for_its_own_sample_only():
    found = layer(*(np.array(v, np.float32) for v in ([[0.5]], [[1e20]], [0.0])))
    with np.errstate(over="ignore", invalid="ignore"):
        x, _ = found.forward(np.array([[1e30], [1e-20]], np.float32))
    assert np.isnan(x[0, 0]) and x[1, 0] == pytest.approx(2.0, abs=1e-4)


@pytest.mark.parametrize("name", ["torch", "jax"])
def test_a_missing_library_is_named_with_the_command_that_installs_it(name):
    if importlib.util.find_spec(name):
        pytest.skip(f"{name} is installed")
    with pytest.raises(MissingExtraError, match=rf"\[{name}\]"):
        importlib.import_module(f"dynet.implicit.{name}")


def test_an_ill_posed_matrix_is_refused():
    one = np.eye(2)
    with pytest.raises(ArgumentError, match="log norm of 1"):
        layer(one, one, np.zeros(2))
    with pytest.raises(ArgumentError, match="float32, float64|float64, float32|float32', 'float64"):
        layer(0.5 * one, one.astype(np.float32), np.zeros(2))


def test_rounding_that_goes_round_in_circles_is_noticed():
    # near the floor of single precision the sweep may settle on a cycle of several states
    for seed in (0, 1, 5, 261):
        rng = np.random.default_rng(seed)
        family = dn.implicit.WeightedInf(0.9)
        params = {"T": 0.75 * rng.normal(size=(16, 16)), "s": 0.5 * rng.random(16), "w": rng.normal(size=16)}
        A, weights = family.build({name: value.astype(np.float32) for name, value in params.items()})
        found = layer(A, rng.normal(size=(16, 2)).astype(np.float32), np.zeros(16, np.float32), weights)
        x, state = found.forward((10 * rng.normal(size=(64, 2))).astype(np.float32))
        assert np.isfinite(x).all() and state.iterations.max() < 1000


def test_an_adjoint_that_was_not_found_is_nan():
    found = layer(np.array([[0.0, 0.9], [0.9, 0.0]]), np.ones((2, 1)), np.zeros(2))
    x, state = found.forward(np.array([[1.0], [2.0]]))
    dx = np.array([[1.0, 0.0], [0.0, 0.0]])
    whole = found.backward(state, dx)
    assert np.allclose(whole[0], [[10.0], [0.0]]) and whole[0].dtype == float
    found.passes.adjoint = lambda *given, most, **options: type(found.passes).adjoint(found.passes, *given, most=2)
    assert np.isnan(found.backward(state, dx)[0][0, 0])


def test_gradients_below_what_single_precision_can_hold_are_nothing():
    found = layer(*(np.array(v, np.float32) for v in ([[0.9, 0.0], [0.5, -1.0]], np.eye(2), [0.0, 0.0])))
    x, state = found.forward(np.ones((2, 2), np.float32))
    slopes = found.backward(state, np.array([[1e-41, 1e-42], [1.0, 1.0]], np.float32))
    assert np.array_equal(slopes[0][0], [0.0, 0.0]) and np.allclose(slopes[0][1], [12.5, 0.5], rtol=1e-4)


def test_a_proof_in_the_euclidean_norm_is_enough():
    rng = np.random.default_rng(0)
    A, none = dn.implicit.Two(0.5).build({"M": 0.5 * rng.normal(size=(6, 6)), "S": 3 * rng.normal(size=(6, 6))})
    net = dn.ImplicitNetwork(A, rng.normal(size=(6, 3)), rng.normal(size=(2, 6)), rng.normal(size=6))
    assert none is None and not net.boxed and net.well_posed
    U, dY = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    found = layer(net.A, net.B, net.b)
    x, state = found.forward(U)
    exact = oracles.dense_gradients(net, U, x, dY)
    for seen in (state, found.again(U, x)):
        for name, value in zip("UABb", found.backward(seen, dY @ net.C), strict=True):
            assert np.allclose(value, exact[name], atol=1e-7), name
