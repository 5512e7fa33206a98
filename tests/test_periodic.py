"""Periodic orbits: the worked value, a closed form, the bound, an orbit that repels, refusals."""

import numpy as np
import pytest

import dynet as dn
from dynet.errors import ArgumentError, Status

WAVE = dn.Sinusoid(amplitude=1.0, period=2 * np.pi)
SCALAR = dn.models.Lure(E=[-2.0], F=[1.0], G=[1.0], D=[[1.0]], activation="tanh", input=WAVE)


def linear(rate, omega):
    """x' = rate x + sin(omega t): its periodic solution starts at -omega / (rate^2 + omega^2)."""
    wave = dn.Sinusoid(amplitude=1.0, period=2 * np.pi / omega)
    return dn.models.Lure(E=[rate], F=[0.0], G=[0.0], D=[[1.0]], activation="tanh", input=wave)


def test_the_worked_value_and_entrainment():
    certificate = dn.certify(SCALAR)
    orbit = dn.periodic_orbit(SCALAR, certificate=certificate)
    assert certificate.rate == pytest.approx(1.0) and orbit.status is Status.OK
    assert orbit.x[0] == pytest.approx(-0.4514557, abs=1e-7) and orbit.period == 2 * np.pi
    assert 0 < orbit.multipliers[0].real < np.exp(-2 * np.pi) and orbit.attracting
    far = dn.simulate(SCALAR, [[5.0], [-5.0]], (0.0, 8 * np.pi), save="last", rtol=1e-10, atol=1e-12).final
    assert np.allclose(far, orbit.x, atol=1e-8)
    assert np.allclose(orbit.trajectory.x[0], orbit.trajectory.x[-1], atol=1e-8)


@pytest.mark.parametrize("rate, omega", [(-0.7, 2.0), (-50.0, 1.0), (0.3, 1.5)])
def test_a_linear_system_also_when_it_repels(rate, omega):
    model = linear(rate, omega)
    orbit = dn.periodic_orbit(model)
    assert orbit.status is Status.OK and orbit.x[0] == pytest.approx(-omega / (rate**2 + omega**2), abs=1e-7)
    assert orbit.multipliers[0] == pytest.approx(np.exp(rate * orbit.period), rel=1e-4, abs=1e-6)
    assert orbit.attracting == (rate < 0) and np.isnan(orbit.error)


def test_the_bound_holds():
    random = np.random.default_rng(2)
    for _ in range(3):
        A = random.normal(size=(3, 3)) / 4
        net = dn.models.FiringRate(A, input=dn.Sinusoid(amplitude=random.normal(size=3), period=3.0))
        certificate = dn.certify(net)
        orbit = dn.periodic_orbit(net, certificate=certificate, x0=random.normal(size=3), tol=1e-4)
        exact = dn.periodic_orbit(net, tol=1e-11).x
        assert certificate and certificate.norm.length(orbit.x - exact) <= orbit.error + 1e-10
        assert orbit.error <= 1.5e-4 / -np.expm1(-3.0 * certificate.rate)


def test_a_state_at_another_time_lies_on_the_same_orbit():
    whole = dn.periodic_orbit(SCALAR)
    later = dn.periodic_orbit(SCALAR, t0=1.0)
    moved = dn.simulate(SCALAR, whole.x, 1.0, save="last", rtol=1e-10, atol=1e-12).final
    assert np.allclose(later.x, moved, atol=1e-8)


def test_too_few_iterations_and_explosions_are_statuses():
    assert dn.periodic_orbit(SCALAR, max_iterations=1, x0=[3.0]).status is Status.MAX_ITERATIONS

    @dn.vector_field(n=1)
    def square(t, x, p, dx):
        dx[0] = x[0] * x[0] + 1.0

    orbit = dn.periodic_orbit(square, period=4.0)
    assert not orbit.status.ok and np.isnan(orbit.residual)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"model": dn.models.Lorenz()}, "period of the forcing"),
        ({"period": 0.0}, "period=0.0"),
        ({"tol": -1.0}, "tol="),
        ({"x0": [[1.0]]}, "x0="),
        ({"t0": np.inf}, "t0="),
        ({"max_iterations": 0}, "max_iterations="),
        ({"certificate": 1.0}, "certificate="),
        ({"method": "rk45"}, "method="),
        ({"model": None}, "model="),
    ],
)
def test_refuses(arguments, message):
    arguments = {"model": SCALAR} | arguments
    with pytest.raises(ArgumentError, match=message):
        dn.periodic_orbit(arguments.pop("model"), **arguments)
