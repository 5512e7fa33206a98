"""Implicit Euler: its factor of contraction in three norms, its order, its twin, failures."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet as dn
from dynet.engine.implicit_euler import integrate
from dynet.errors import Status
from tests.engine.blocks import SQUARE, block


def step(model, x, h):
    """One step from each row of x."""
    p = np.tile(model.parameter_vector(), (len(x), 1))
    found = integrate(model.block(model.signal()), np.array(x, float), p, 0.0, h, np.array([h]), dt=h)
    assert (found.status == 0).all()
    return found.x[:, 0]


@given(
    st.integers(1, 5), st.integers(0, 2**31), st.floats(1e-3, 1e4), st.sampled_from(["1", "2", "inf"]),
    st.sampled_from(["tanh", "relu", "logistic"]),
)  # fmt: skip
@settings(max_examples=40)
def test_two_trajectories_approach_by_the_factor_of_the_theorem(n, seed, h, p, activation):
    random = np.random.default_rng(seed)
    A = random.normal(size=(n, n)) / np.sqrt(n)
    model = dn.models.FiringRate(A, leak=np.abs(A).sum() + 0.5, activation=activation)
    certificate = dn.certify(model, norm=p)
    assert certificate and certificate.rate > 0
    start = 3 * random.normal(size=(2, n))
    x, y = step(model, start, h)
    before, after = certificate.norm.length(start[0] - start[1]), certificate.norm.length(x - y)
    scale = certificate.norm.length(np.ones(n)) * (1 + np.abs(start).max())
    assert after <= before / (1 + h * certificate.rate) + 1e-12 * scale


def test_a_linear_step_is_the_resolvent():
    A = np.array([[-3.0, 1.0], [0.5, -200.0]])
    model = dn.models.Lure(E=A, F=np.zeros((2, 1)), G=np.zeros((1, 2)), activation="tanh")
    x = np.array([[1.0, -2.0]])
    for h in (0.1, 10.0):
        assert np.allclose(step(model, x, h)[0], np.linalg.solve(np.eye(2) - h * A, x[0]), rtol=1e-9)


def test_the_order_is_one():
    field = block(["out[0, lane] = fast.cos(t[lane]) - y[0, lane] * y[0, lane]"], 1)
    results = [
        integrate(field, np.array([[0.5]]), np.empty((1, 0)), 0.0, 2.0, np.array([2.0]), dt=dt).x[0, 0, 0]
        for dt in (0.02, 0.01, 0.005)
    ]
    assert 1.8 < (results[0] - results[1]) / (results[1] - results[2]) < 2.2


def test_the_twin_by_bisection():
    """One state: the step is the root of an increasing function."""
    field = block(["out[0, lane] = -y[0, lane] ** 3 - 2.0 * y[0, lane]"], 1)
    for h in (0.1, 5.0, 1e3):
        low, high = -3.0, 3.0
        for _ in range(200):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if middle - 1.7 + h * (middle**3 + 2 * middle) < 0 else (low, middle)
        found = integrate(field, np.array([[1.7], [1.7]]), np.empty((2, 0)), 0.0, h, np.array([h]), dt=h)
        assert np.allclose(found.x[:, 0, 0], middle, rtol=1e-12)


@pytest.mark.parametrize("count", [1, 5])
def test_a_trajectory_has_the_same_bits_alone_and_in_a_batch(count):
    model = dn.models.FiringRate(np.array([[0.3, -2.0], [1.5, 0.2]]), activation="tanh")
    x = np.random.default_rng(0).normal(size=(9, 2))
    assert np.array_equal(step(model, x, 0.7)[:count], step(model, x[:count], 0.7))


def test_an_equation_without_a_solution_is_a_status_and_the_batch_goes_on():
    found = integrate(block(SQUARE, 1), np.array([[-1.0], [5.0]]), np.empty((2, 0)), 0.0, 1.0, np.array([1.0]), dt=0.5)
    assert [Status(s).word for s in found.status] == ["ok", "nonfinite"] and found.t_stop[1] == 0.0
