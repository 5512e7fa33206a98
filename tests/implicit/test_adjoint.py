"""Gradients through the equilibrium: equal to finite differences and to the theorem written down."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from implicit.oracles import dense_gradients

import dynet as dn
from dynet.errors import ArgumentError
from dynet.implicit import intervals
from dynet.implicit.adjoint import gradients


def problem(seed, activation="relu", states=6, batch=4):
    random = np.random.default_rng(seed)
    net = dn.ImplicitNetwork.random(3, states, 2, gamma=0.8, seed=random, activation=activation)
    net = net.replace(b=random.normal(size=states), weights=net.weights)
    return net, random.normal(size=(batch, 3)), random.normal(size=(batch, 2))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), activation=st.sampled_from(["relu", "tanh", "leaky_relu"]))
def test_the_adjoint_equals_the_dense_formula(seed, activation):
    net, U, dY = problem(seed, activation)
    x = net.solve(U, 1e-13).x
    found, wanted = gradients(net, U, x, dY, tol=1e-13), dense_gradients(net, U, x, dY)
    assert found.exact and (found.residual <= 1e-12).all()
    for name, value in wanted.items():
        assert np.allclose(getattr(found, name), value, rtol=1e-9, atol=1e-11), name


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_adjoint_equals_finite_differences(activation):
    net, U, dY = problem(11, activation)

    def loss(U=U, **parts):
        return np.sum(dY * net.replace(**parts, weights=net.weights)(U, tol=1e-13))

    found, step = gradients(net, U, net.solve(U, 1e-13).x, dY), 1e-6
    random = np.random.default_rng(0)
    for name in ("A", "B", "C", "b", "d"):
        value = getattr(net, name)
        change = random.normal(size=value.shape)
        slope = (loss(**{name: value + step * change}) - loss(**{name: value - step * change})) / (2 * step)
        assert np.isclose(slope, np.sum(change * getattr(found, name)), rtol=1e-5, atol=1e-7), name
    change = random.normal(size=U.shape)
    slope = (loss(U + step * change) - loss(U - step * change)) / (2 * step)
    assert np.isclose(slope, np.sum(change * found.U), rtol=1e-5, atol=1e-7)


def test_shortcuts_are_labelled_and_differ():
    net, U, dY = problem(2, "tanh")
    x = net.solve(U).x
    exact, phantom, one = (gradients(net, U, x, dY, kind=k) for k in ("exact", "phantom", "one-step"))
    assert exact.exact and not phantom.exact and not one.exact
    apart = [np.abs(g.A - exact.A).max() for g in (phantom, one)]
    assert 1e-6 < apart[0] and 1e-6 < apart[1]
    D = net.activation.slope(x @ net.A.T + U @ net.B.T + net.b)
    assert np.allclose(one.b, (D * (dY @ net.C)).sum(0))
    with pytest.raises(ArgumentError, match="one-step"):
        gradients(net, U, x, dY, kind="onestep")


def test_gradients_of_samples_do_not_depend_on_the_batch():
    net, U, dY = problem(3, states=30, batch=9)
    x = net.solve(U).x
    assert np.array_equal(gradients(net, U, x, dY).U[4], gradients(net, U[4:5], x[4:5], dY[4:5]).U[0])


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_gradients_of_interval_bounds_equal_finite_differences(activation):
    net, U, _ = problem(5, activation)
    labels, eps, step = np.array([0, 1, 1, 0]), 0.1, 1e-6
    random = np.random.default_rng(1)
    weight = random.normal(size=(4, 2))

    def logits(**parts):
        other = net.replace(**parts, weights=net.weights)
        return intervals.worst_logits(other.passes(), other.C, other.d, U - eps, U + eps, labels, 1e-13)

    found = intervals.pull(net.passes(), net.C, logits(), weight, 1e-13)
    for name in ("A", "B", "C", "b", "d"):
        value = getattr(net, name)
        change = random.normal(size=value.shape)
        ends = [np.sum(weight * logits(**{name: value + s * step * change}).logits) for s in (1, -1)]
        assert np.isclose((ends[0] - ends[1]) / (2 * step), np.sum(change * getattr(found, name)), rtol=1e-5, atol=1e-7)
