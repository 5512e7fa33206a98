"""Lyapunov exponents: linear systems exactly, the Lorenz attractor, the twin with the exact Jacobian, refusals."""

import numpy as np
import pytest

import dynet as dn
from dynet.errors import ArgumentError, Status

LORENZ = dn.models.Lorenz()


def naive(model, x, t, dt, every):
    """The variational equation with the exact Jacobian, by the classical Runge-Kutta method, in plain Python."""
    n = x.size

    def f(y):
        return np.concatenate([model.rhs(0.0, y[:n]), (model.jacobian(0.0, y[:n]) @ y[n:].reshape(n, n)).ravel()])

    frame = np.linalg.qr(np.random.default_rng(0).normal(size=(n, n)))[0]  # the same one
    y, total = np.concatenate([x, frame.ravel()]), np.zeros(n)
    for k in range(round(t / dt)):
        k1 = f(y)
        k2 = f(y + dt / 2 * k1)
        k3 = f(y + dt / 2 * k2)
        y = y + dt / 6 * (k1 + 2 * k2 + 2 * k3 + f(y + dt * k3))
        if (k + 1) % every == 0:
            Q, R = np.linalg.qr(y[n:].reshape(n, n))
            total += np.log(np.abs(np.diag(R)))
            y[n:] = Q.ravel()
    return total / t


def test_a_linear_system_has_the_real_parts_of_its_eigenvalues():
    A = np.array([[-1.0, 3.0, 0.0], [-3.0, -1.0, 1.0], [0.0, 0.0, 0.5]])
    model = dn.models.Lure(E=A, F=np.zeros((3, 1)), G=np.zeros((1, 3)), activation="tanh")
    spectrum = dn.lyapunov_exponents(model, np.zeros(3), 60.0, dt=0.01, transient=30.0)
    assert np.allclose(spectrum.exponents, [0.5, -1.0, -1.0], atol=0.02)
    assert abs(spectrum.exponents.sum() - np.trace(A)) < 1e-6 and spectrum.status is Status.OK


def test_agrees_with_the_exact_jacobian():
    x = np.array([1.0, 2.0, 25.0])
    found = dn.lyapunov_exponents(LORENZ, x, 3.0, dt=0.01, interval=0.1)
    assert np.allclose(found.exponents, naive(LORENZ, x, 3.0, 0.01, 10), atol=1e-5)


def test_the_lorenz_attractor():
    spectrum = dn.lyapunov_exponents(LORENZ, [1.0, 1.0, 20.0], 400.0, dt=0.01, transient=20.0)
    largest, middle, least = spectrum.exponents
    assert abs(largest - 0.9056) < 0.03 and abs(middle) < 0.02 and abs(least + 14.572) < 0.05
    assert abs(spectrum.exponents.sum() + (10 + 1 + 8 / 3)) < 3e-4
    assert abs(spectrum.dimension - 2.062) < 0.004
    assert (spectrum.spread[:2] < 0.05).all() and spectrum.running.shape == (spectrum.times.size, 3)
    assert "Kaplan-Yorke" in str(spectrum)


def test_fewer_exponents_are_the_largest():
    all_of_them = dn.lyapunov_exponents(LORENZ, [1.0, 1.0, 20.0], 20.0, dt=0.01)
    one = dn.lyapunov_exponents(LORENZ, [1.0, 1.0, 20.0], 20.0, dt=0.01, count=1)
    assert one.exponents.shape == (1,) and abs(one.exponents[0] - all_of_them.exponents[0]) < 1e-4
    assert np.isnan(one.dimension)


def test_a_contracting_field_has_dimension_zero_and_an_explosion_a_status():
    net = dn.models.FiringRate(np.array([[0.0, 0.2], [-0.3, 0.0]]))
    spectrum = dn.lyapunov_exponents(net, [1.0, -1.0], 10.0, dt=0.05)
    assert spectrum.exponents[0] < 0 and spectrum.dimension == 0.0
    assert spectrum.exponents[0] <= -dn.certify(net, norm="2").rate + 1e-3

    @dn.vector_field(n=1)
    def square(t, x, p, dx):
        dx[0] = x[0] * x[0]

    exploded = dn.lyapunov_exponents(square, [1.0], 5.0, dt=0.01)
    assert exploded.status is Status.NONFINITE and 0 < exploded.times[-1] < 1.2


@pytest.mark.parametrize(
    "change, message",
    [
        ({"t": 0.0}, "t="),
        ({"dt": -1.0}, "dt="),
        ({"count": 4}, "count="),
        ({"interval": 0.0}, "interval="),
        ({"transient": -1.0}, "transient="),
        ({"method": "rk5"}, "rk4"),
        ({"x0": np.ones((2, 3))}, "x0="),
        ({"x0": [np.nan, 0, 0]}, "x0="),
        ({"params": {"rho": [28.0, 29.0]}}, "params="),
        ({"model": "lorenz"}, "model="),
    ],
)
def test_refuses(change, message):
    arguments = {"model": LORENZ, "x0": np.ones(3), "t": 1.0, "dt": 0.01} | change
    model, x0, t = (arguments.pop(name) for name in ("model", "x0", "t"))
    with pytest.raises(ArgumentError, match=message):
        dn.lyapunov_exponents(model, x0, t, **arguments)
