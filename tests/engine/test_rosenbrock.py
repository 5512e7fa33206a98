"""The Rosenbrock method: order conditions, stability at infinity, its twin, stiff problems, failures."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from dynet.engine import explicit
from dynet.engine.rosenbrock import RODAS5P, integrate
from dynet.engine.rosenbrock_source import UNROLLED
from dynet.errors import Status
from tests.engine.blocks import LORENZ, MIXED, SQUARE, block
from tests.engine.stiff_oracles import classical, rosenbrock

SPIN = [  # not autonomous, not linear
    "out[0, lane] = -y[1, lane] * y[1, lane] - 0.5 * y[0, lane] + fast.cos(3.0 * t[lane])",
    "out[1, lane] = y[0, lane] * y[1, lane] - 0.1 * y[1, lane] * y[2, lane]",
    "out[2, lane] = -0.2 * y[2, lane] + 0.1 * y[0, lane] * fast.sin(t[lane])",
]


def spin(t, y):
    a, b, c = y
    return np.array([-b * b - 0.5 * a + np.cos(3 * t), a * b - 0.1 * b * c, -0.2 * c + 0.1 * a * np.sin(t)])


def spin_jacobian(t, y):
    a, b, c = y
    return np.array([[-0.5, -2 * b, 0], [b, a - 0.1 * c, -0.1 * b], [0.1 * np.sin(t), 0, -0.2]])


def spin_rate(t, y):
    return np.array([-3 * np.sin(3 * t), 0.0, 0.1 * y[0] * np.cos(t)])


START = np.array([0.7, 0.4, 1.1])


def none(n):
    return np.empty((n, 0))


def test_the_order_conditions_hold():
    alpha, Gamma, b = classical(RODAS5P)
    beta, one = alpha + Gamma, np.ones(len(b))
    a = alpha @ one
    assert np.allclose(a, RODAS5P.c, atol=1e-12) and np.allclose(Gamma @ one, RODAS5P.d, atol=1e-12)
    conditions = {
        1: b @ one,
        1 / 2: b @ beta @ one,
        1 / 3: b @ a**2,
        1 / 6: b @ beta @ beta @ one,
        1 / 4: b @ a**3,
        1 / 8: b @ (a * (alpha @ beta @ one)),
        1 / 12: b @ beta @ a**2,
        1 / 24: b @ beta @ beta @ beta @ one,
        1 / 5: b @ a**4,
        1 / 20: b @ beta @ a**3,
        1 / 120: b @ beta @ beta @ beta @ beta @ one,
        1 / 60: b @ beta @ beta @ a**2,
    }
    for value, found in conditions.items():
        assert abs(found - value) < 1e-12, value


def test_the_method_is_stiffly_accurate_and_its_estimate_too():
    alpha, Gamma, b = classical(RODAS5P)
    beta = alpha + Gamma
    assert np.allclose(b, beta[-1], atol=1e-12)  # hence R(infinity) = 0
    assert abs(1 - b @ np.linalg.solve(beta, np.ones(len(b)))) < 1e-10
    embedded = np.array([*RODAS5P.m[:-1], 0.0]) @ Gamma
    assert np.allclose(embedded, beta[-2], atol=1e-12)


def test_the_twin_converges_with_order_five_and_its_dense_output_with_four():
    exact = solve_ivp(spin, (0, 1), START, method="DOP853", rtol=1e-13, atol=1e-14, dense_output=True)
    ends, insides = [], []
    for steps in (8, 16):
        ends.append(rosenbrock(spin, spin_jacobian, spin_rate, RODAS5P, START, 0.0, 1.0, steps))
        ends[-1] = np.abs(ends[-1] - exact.y[:, -1]).max()
        # one step of the dense output from an exact start
        h = 1 / steps
        inside = rosenbrock(spin, spin_jacobian, spin_rate, RODAS5P, START, 0.0, h, 1, theta=0.4)
        insides.append(np.abs(inside - exact.sol(0.4 * h)).max())
    assert 4.6 < np.log2(ends[0] / ends[1]) < 6
    assert 4.5 < np.log2(insides[0] / insides[1])  # local: one more than the order


@pytest.mark.parametrize("lanes", [1, 3])
def test_a_step_of_the_engine_is_the_step_of_the_twin(lanes):
    shift = [*SPIN, "out[3, lane] = 0.0"]  # a large constant state, so that the first step is the whole time
    y0 = np.tile([*START, 1000.0], (lanes, 1))
    save = np.array([0.1, 0.25])
    found = integrate(block(shift, 4), y0, none(lanes), 0.0, 0.25, save, rtol=1e-12, atol=1.0)
    assert (found.accepted == 1).all() and (found.rejected == 0).all()
    for theta, got in ((0.4, found.x[-1, 0, :3]), (None, found.x[-1, 1, :3])):
        want = rosenbrock(spin, spin_jacobian, spin_rate, RODAS5P, START, 0.0, 0.25, 1, theta)
        assert np.allclose(got, want, rtol=0, atol=1e-6)  # the engine's Jacobian has the error of differences


@pytest.mark.parametrize("lines, n, p", [(LORENZ, 3, [10.0, 28.0, 8 / 3]), (MIXED, 3, [1.5, 0.7])])
def test_a_trajectory_has_the_same_bits_alone_and_in_a_batch(lines, n, p):
    field, save = block(lines, n), np.linspace(0, 2, 5)
    y0 = np.random.default_rng(0).normal(size=(40, n))
    p = np.tile(p, (40, 1)) * np.linspace(1, 1.2, 40)[:, None]
    together = integrate(field, y0, p, 0.0, 2.0, save, threads=2)
    for i in (0, 17, 39):
        alone = integrate(field, y0[i : i + 1], p[i : i + 1], 0.0, 2.0, save)
        assert np.array_equal(alone.x[0], together.x[i]) and alone.accepted[0] == together.accepted[i]


@pytest.mark.parametrize("n", [2, UNROLLED, UNROLLED + 3])
def test_many_states_with_and_without_unrolling(n):
    field = block([f"out[{i}, lane] = -{10.0 ** (i % 5)} * y[{i}, lane] + y[{(i + 1) % n}, lane]" for i in range(n)], n)
    A = np.zeros((n, n))
    for i in range(n):
        A[i, i] -= 10.0 ** (i % 5)
        A[i, (i + 1) % n] += 1.0
    y0 = np.ones((2, n))
    found = integrate(field, y0, none(2), 0.0, 1.0, np.array([1.0]), rtol=1e-7, atol=1e-10)
    values, vectors = np.linalg.eig(A)
    exact = (vectors @ (np.exp(values) * np.linalg.solve(vectors, y0[0]))).real
    assert np.allclose(found.x[0, 0], exact, atol=1e-7)
    assert np.array_equal(found.x[0], found.x[1]) and found.accepted[0] < 200
    alone = integrate(field, y0[:1], none(1), 0.0, 1.0, np.array([1.0]), rtol=1e-7, atol=1e-10)
    assert np.array_equal(found.x[0], alone.x[0])


ROBERTSON = [
    "a, b, c = y[0, lane], y[1, lane], y[2, lane]",
    "out[0, lane] = -0.04 * a + 1e4 * b * c",
    "out[1, lane] = 0.04 * a - 1e4 * b * c - 3e7 * b * b",
    "out[2, lane] = 3e7 * b * b",
]


def robertson(t, y):
    return np.array(
        [
            -0.04 * y[0] + 1e4 * y[1] * y[2],
            0.04 * y[0] - 1e4 * y[1] * y[2] - 3e7 * y[1] ** 2,
            3e7 * y[1] ** 2,
        ]
    )


def test_robertson_within_tolerance_in_few_steps():
    times = np.array([0.4, 40.0, 1e5])
    reference = solve_ivp(robertson, (0, 1e5), [1, 0, 0], "Radau", t_eval=times, rtol=1e-11, atol=1e-16).y.T
    for rtol in (1e-4, 1e-6, 1e-8):
        found = integrate(
            block(ROBERTSON, 3), np.array([[1.0, 0, 0]]), none(1), 0.0, 1e5, times, rtol=rtol, atol=1e-4 * rtol
        )
        scaled = np.abs(found.x[0] - reference) / (1e-4 * rtol + rtol * np.abs(reference))
        assert scaled.max() < 30 and found.accepted[0] < 400
    nonstiff = explicit.integrate(
        block(ROBERTSON, 3), np.array([[1.0, 0, 0]]), none(1), 0.0, 0.4, times[:1], rtol=1e-6, atol=1e-10
    )
    assert nonstiff.accepted[0] > 100  # an explicit method takes more steps to 0.4 than this one to 1e5


def test_the_prothero_robinson_problem_keeps_its_order_when_it_is_very_stiff():
    field = block(["out[0, lane] = -1e6 * (y[0, lane] - fast.cos(t[lane])) - fast.sin(t[lane])"], 1)
    found = integrate(field, np.array([[1.0]]), none(1), 0.0, 3.0, np.array([3.0]), rtol=1e-7, atol=1e-9)
    assert abs(found.x[0, 0, 0] - np.cos(3.0)) < 3e-6 and found.accepted[0] < 200


def test_a_blow_up_has_its_time_and_the_batch_goes_on():
    y0 = np.array([[-1.0], [2.0], [0.1]])
    found = integrate(block(SQUARE, 1), y0, none(3), 0.0, 3.0, np.linspace(0, 3, 7), rtol=1e-6, atol=1e-9)
    assert [Status(s).word for s in found.status] == ["ok", "nonfinite", "ok"]
    assert abs(found.t_stop[1] - 0.5) < 1e-5 and np.isnan(found.x[1, 2:]).all()
    assert np.allclose(found.x[[0, 2], -1, 0], y0[[0, 2], 0] / (1 - 3 * y0[[0, 2], 0]), rtol=1e-5)


def test_an_undefined_right_hand_side_and_too_many_steps_are_statuses():
    edge = block(["out[0, lane] = np.sqrt(0.5 - t[lane])"], 1)
    found = integrate(edge, np.array([[0.0]]), none(1), 0.0, 1.0, np.array([0.4, 1.0]))
    assert found.status[0] == Status.NONFINITE and abs(found.t_stop[0] - 0.5) < 1e-6
    assert np.isfinite(found.x[0, 0]) and np.isnan(found.x[0, 1])
    few = integrate(block(SQUARE, 1), np.array([[-1.0]]), none(1), 0.0, 3.0, np.array([3.0]), max_steps=3)
    assert few.status[0] == Status.MAX_STEPS and 0 < few.t_stop[0] < 3


def test_forward_and_back_again():
    end = integrate(block(SPIN, 3), START[None], none(1), 0.0, 1.0, np.array([1.0]), rtol=1e-9, atol=1e-11).x[0, 0]
    exact = solve_ivp(spin, (0, 1), START, "DOP853", rtol=1e-12, atol=1e-13).y[:, -1]
    assert np.allclose(end, exact, atol=1e-8)
    for lanes in (1, 3):
        start = np.tile(end, (lanes, 1))
        back = integrate(block(SPIN, 3), start, none(lanes), 1.0, 0.0, np.array([0.5, 0.0]), rtol=1e-9, atol=1e-11)
        assert back.status[0] == Status.OK and np.allclose(back.x[-1, 1], START, atol=1e-7)
