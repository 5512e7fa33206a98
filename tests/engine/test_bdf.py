"""The differentiation formulas: accuracy against tolerance, stiff problems, both linear solvers, failures."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from dynet.engine.bdf import integrate
from dynet.errors import Status
from tests.engine.blocks import SQUARE, block
from tests.engine.test_rosenbrock import ROBERTSON, SPIN, START, none, robertson, spin


def ring(n):
    """A reaction with diffusion around a ring of n cells."""
    lines = [f"out[{i}, lane] = 0.5 - y[{i}, lane] ** 3 + 400.0 * ({{}})" for i in range(n)]
    for i in range(n):
        neighbours = f"y[{(i - 1) % n}, lane] - 2.0 * y[{i}, lane] + y[{(i + 1) % n}, lane]"
        lines[i] = lines[i].format(neighbours)
    return block(lines, n)


def ring_numpy(t, y):
    return 0.5 - y**3 + 400.0 * (np.roll(y, 1) - 2 * y + np.roll(y, -1))


CELLS = 24
WAVE = 1.0 + np.sin(2 * np.pi * np.arange(CELLS) / CELLS)


@pytest.mark.parametrize("linear", ["lu", "krylov"])
def test_the_error_follows_the_tolerance(linear):
    times = np.array([0.0, 0.01, 0.3, 2.0])
    reference = solve_ivp(ring_numpy, (0, 2), WAVE, "Radau", t_eval=times, rtol=1e-11, atol=1e-13).y.T
    steps = []
    for rtol in (1e-4, 1e-6, 1e-8):
        found = integrate(ring(CELLS), WAVE[None], none(1), 0.0, 2.0, times, rtol=rtol, atol=rtol, linear=linear)
        assert found.status[0] == Status.OK and found.t_stop[0] == 2.0
        assert np.abs(found.x[0] - reference).max() < 30 * rtol
        steps.append(found.accepted[0])
    assert steps[0] < steps[1] < steps[2] < 10 * steps[0]  # the order rises with the accuracy


def test_robertson_within_tolerance():
    times = np.array([0.4, 40.0, 1e5])
    reference = solve_ivp(robertson, (0, 1e5), [1, 0, 0], "Radau", t_eval=times, rtol=1e-11, atol=1e-16).y.T
    for rtol in (1e-4, 1e-6):
        found = integrate(
            block(ROBERTSON, 3), np.array([[1.0, 0, 0]]), none(1), 0.0, 1e5, times, rtol=rtol, atol=1e-4 * rtol
        )
        scaled = np.abs(found.x[0] - reference) / (1e-4 * rtol + rtol * np.abs(reference))
        assert scaled.max() < 30 and found.accepted[0] < 500


def test_forward_and_back_again():
    end = integrate(block(SPIN, 3), START[None], none(1), 0.0, 1.0, np.array([1.0]), rtol=1e-9, atol=1e-11).x[0, 0]
    exact = solve_ivp(spin, (0, 1), START, "DOP853", rtol=1e-12, atol=1e-13).y[:, -1]
    assert np.allclose(end, exact, atol=1e-7)
    back = integrate(block(SPIN, 3), end[None], none(1), 1.0, 0.0, np.array([0.5, 0.0]), rtol=1e-9, atol=1e-11)
    assert back.status[0] == Status.OK and np.allclose(back.x[0, 1], START, atol=1e-6)


def test_a_trajectory_has_the_same_bits_alone_and_in_a_batch():
    y0 = WAVE + np.random.default_rng(0).normal(size=(6, CELLS))
    save = np.linspace(0, 1, 4)
    together = integrate(ring(CELLS), y0, none(6), 0.0, 1.0, save, threads=2)
    for i in (0, 3, 5):
        alone = integrate(ring(CELLS), y0[i : i + 1], none(1), 0.0, 1.0, save)
        assert np.array_equal(alone.x[0], together.x[i]) and alone.accepted[0] == together.accepted[i]


def test_a_blow_up_has_its_time_and_the_batch_goes_on():
    y0 = np.array([[-1.0], [2.0], [0.1]])
    found = integrate(block(SQUARE, 1), y0, none(3), 0.0, 3.0, np.linspace(0, 3, 7))
    assert [Status(s).word for s in found.status] == ["ok", "nonfinite", "ok"]
    assert abs(found.t_stop[1] - 0.5) < 1e-3 and np.isnan(found.x[1, 2:]).all()
    assert np.allclose(found.x[[0, 2], -1, 0], y0[[0, 2], 0] / (1 - 3 * y0[[0, 2], 0]), rtol=1e-4)


def test_an_undefined_right_hand_side_too_many_steps_and_a_stop_are_statuses():
    edge = block(["out[0, lane] = np.sqrt(0.5 - t[lane])"], 1)
    found = integrate(edge, np.array([[0.0]]), none(1), 0.0, 1.0, np.array([0.4, 1.0]))
    assert not Status(found.status[0]).ok and abs(found.t_stop[0] - 0.5) < 1e-6
    assert np.isfinite(found.x[0, 0]) and np.isnan(found.x[0, 1])
    few = integrate(block(SQUARE, 1), np.array([[-1.0]]), none(1), 0.0, 3.0, np.array([3.0]), max_steps=3)
    assert few.status[0] == Status.MAX_STEPS and 0 < few.t_stop[0] < 3
    stopped = integrate(
        block(SQUARE, 1), np.array([[-1.0]]), none(1), 0.0, 3.0, np.array([3.0]), monitor=np.array([0.0, 1.0])
    )
    assert stopped.status[0] == Status.INTERRUPTED
