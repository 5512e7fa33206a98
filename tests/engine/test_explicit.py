"""The driver of the explicit methods: agreement with naive twins, order, saving, lanes, statuses."""

import threading
import time

import numpy as np
import pytest
from engine import oracles
from engine.blocks import DECAY, LORENZ, MIXED, SQUARE, block
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from dynet.engine.control import FORCED_LIMIT, INTERRUPTED, MAX_STEPS, NONFINITE, OK, STEP_UNDERFLOW, STIFF
from dynet.engine.explicit import integrate
from dynet.math import rough_exp2, rough_log2

VAN_DER_POL = [
    "out[0, lane] = y[1, lane]",
    "out[1, lane] = p[0, lane] * (1 - y[0, lane] ** 2) * y[1, lane] - y[0, lane]",
]
CLOCK = ["out[0, lane] = np.cos(t[lane])"]
EVERY = {
    "lorenz": (LORENZ, 3, [10.0, 28.0, 8 / 3]),
    "van der pol": (VAN_DER_POL, 2, [1.5]),
    "mixed": (MIXED, 3, [0.4, 1.7]),
}
METHODS = pytest.mark.parametrize(
    "method", [{"method": "dopri5"}, {"method": "rk4", "dt": 0.01}], ids=["dopri5", "rk4"]
)


def run(model, y0, t1, save=None, p=None, t0=0.0, **options):
    y0 = np.atleast_2d(np.asarray(y0, float))
    p = np.zeros((len(y0), 0)) if p is None else np.broadcast_to(p, (len(y0), np.shape(p)[-1]))
    return integrate(model, y0, p, t0, t1, np.array([t1] if save is None else save, float), **options)


def plain(model, p=()):
    """The right-hand side as a Python function of one state: the interpreted body of the compiled one."""
    column = np.reshape(np.asarray(p, float), (-1, 1))

    def f(t, y):
        out = np.empty((model.n, 1))
        model.function(np.array([t]), np.reshape(y, (-1, 1)), column, model.reals, model.ints, np.empty((0, 1)), out)
        return out[:, 0]

    return f


def same(a, b):
    pairs = [(one, two) for one, two in zip(a, b, strict=True) if isinstance(one, np.ndarray)]
    return len(pairs) >= 3 and all(np.array_equal(one, two, equal_nan=True) for one, two in pairs)


def rows_of(solution, rows):
    """The same solution of these trajectories alone."""
    batch = len(solution.x)
    return [f[rows] if isinstance(f, np.ndarray) and len(f) == batch else f for f in solution]


# --- agreement with the naive twins


@pytest.mark.parametrize("name", EVERY)
def test_dopri5_takes_the_steps_of_the_naive_twin(name):
    lines, n, p = EVERY[name]
    model = block(lines, n)
    y0, save = np.linspace(0.7, 1.3, n), np.linspace(0.5, 2.5, 33)
    x, accepted, rejected = oracles.dopri5(plain(model, p), y0, 0.5, 2.5, save, 1e-4, 1e-5, rough_log2, rough_exp2)
    found = run(model, y0, 2.5, save, p, t0=0.5, rtol=1e-4, atol=1e-5)
    assert found.status[0] == OK and found.t_stop[0] == 2.5
    assert (found.accepted[0], found.rejected[0]) == (accepted, rejected)
    assert accepted > 5
    # rounding grows with the steps: Lorenz separates by about e^2 here
    assert np.max(np.abs(found.x[0] - x) / (1 + np.abs(x))) < 2e-12


@pytest.mark.parametrize(
    "dt", [0.1, 0.07, 0.3, 5.0]
)  # divides the span; does not; more than a third; longer than the span
@pytest.mark.parametrize("name", EVERY)
def test_rk4_takes_the_steps_of_the_naive_twin(name, dt):
    lines, n, p = EVERY[name]
    model = block(lines, n)
    y0, save = np.linspace(0.7, 1.3, n), np.linspace(0.5, 1.1, 17)
    x, count = oracles.rk4(plain(model, p), y0, 0.5, 1.1, save, dt)
    found = run(model, y0, 1.1, save, p, t0=0.5, method="rk4", dt=dt)
    assert found.status[0] == OK and found.t_stop[0] == 1.1
    assert (found.accepted[0], found.rejected[0]) == (count, 0)
    assert count == {0.1: 6, 0.07: 9, 0.3: 2, 5.0: 1}[dt]
    if dt < 1:
        assert np.allclose(found.x[0], x, rtol=1e-12, atol=1e-12)


def test_rejected_steps_are_counted_and_repeated():
    # a pulse that the first steps cannot see
    model = block(["out[0, lane] = -y[0, lane] + 100.0 * np.exp(-((t[lane] - 5.0) / 0.05) ** 2)"], 1)
    save = np.linspace(0, 10, 50)
    x, accepted, rejected = oracles.dopri5(plain(model), [1.0], 0.0, 10.0, save, 1e-6, 1e-9, rough_log2, rough_exp2)
    found = run(model, [1.0], 10.0, save)
    assert (found.accepted[0], found.rejected[0]) == (accepted, rejected)
    assert rejected > 3
    assert np.allclose(found.x[0], x, rtol=1e-9, atol=1e-10)


# --- convergence


def reference(model, y0, t1, save, p):
    exact = solve_ivp(plain(model, p), (0.0, t1), y0, method="DOP853", rtol=1e-12, atol=1e-13, t_eval=save)
    assert exact.success
    return exact.y.T


def test_rk4_and_its_interpolation_have_order_four():
    model, y0, save = block(VAN_DER_POL, 2), [0.5, 1.0], np.linspace(0.0, 4.0, 301)
    exact = reference(model, y0, 4.0, save, [1.5])
    errors = []
    for steps in (40, 80, 160, 320):
        found = run(model, y0, 4.0, save, [1.5], method="rk4", dt=4.0 / steps)
        assert found.accepted[0] == steps
        errors.append([np.abs(found.x[0] - exact)[-1].max(), np.abs(found.x[0] - exact).max()])
    orders = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    assert np.all((orders[1:] > 3.7) & (orders[1:] < 4.4)), orders


def test_the_error_of_dopri5_follows_the_tolerance_between_steps_too():
    model, y0, save = block(VAN_DER_POL, 2), [0.5, 1.0], np.linspace(0.0, 4.0, 301)
    exact = reference(model, y0, 4.0, save, [1.5])
    tolerances = 10.0 ** -np.arange(4, 11)
    runs = [run(model, y0, 4.0, save, [1.5], rtol=tol, atol=tol) for tol in tolerances]
    errors = np.array([np.abs(found.x[0] - exact).max() for found in runs])
    assert np.all((errors < 60 * tolerances) & (errors > 0.5 * tolerances)), errors / tolerances
    steps = np.array([found.accepted[0] for found in runs])
    # an error per step of order five: ten times the accuracy for 10**(1/5) times the steps
    assert np.allclose(np.diff(np.log10(steps[2:])), 0.2, atol=0.03), steps


def test_dopri5_is_as_accurate_and_takes_as_many_steps_as_another_program():
    model, y0, save = block(VAN_DER_POL, 2), [0.5, 1.0], np.linspace(0.0, 4.0, 301)
    exact = reference(model, y0, 4.0, save, [1.5])
    ours = run(model, y0, 4.0, save, [1.5], rtol=1e-7, atol=1e-7)
    theirs = solve_ivp(plain(model, [1.5]), (0.0, 4.0), y0, method="RK45", rtol=1e-7, atol=1e-7, t_eval=save)
    ratio = np.abs(ours.x[0] - exact).max() / np.abs(theirs.y.T - exact).max()
    assert 0.3 < ratio < 3
    assert abs(ours.accepted[0] + ours.rejected[0] - (theirs.nfev - 2) / 6) < 10


def test_tolerances_are_per_state_relative_and_absolute():
    lines = ["out[0, lane] = y[1, lane]", "out[1, lane] = -y[0, lane]"]
    model = block(lines, 2)
    small, large = (run(model, [scale, 0.0], 6.0, rtol=1e-8, atol=1e-8 * scale) for scale in (1e-3, 1e3))
    assert small.accepted[0] == large.accepted[0]
    assert np.allclose(small.x * 1e6, large.x, rtol=1e-9)
    assert run(model, [1.0, 0.0], 6.0, rtol=1e-12, atol=1e-2).accepted[0] < small.accepted[0]


# --- saving


@METHODS
def test_the_ends_are_saved_exactly_and_times_between_steps_in_order(method):
    model, y0 = block(VAN_DER_POL, 2), np.array([[0.5, 1.0], [2.0, 0.0]])
    save = np.array([0.0, 5e-324, 1e-18, 0.3, 0.3 + 1e-15, 0.9, np.nextafter(1.0, 0), 1.0])
    found = run(model, y0, 1.0, save, [1.5], **method)
    assert np.array_equal(found.x[:, 0], y0)
    assert np.allclose(found.x[:, 1:3], y0[:, None], rtol=1e-15, atol=1e-17)
    assert np.allclose(found.x[:, 4], found.x[:, 3], rtol=1e-14)
    assert np.allclose(found.x[:, -2], found.x[:, -1], rtol=1e-14)
    alone = run(model, y0, 1.0, None, [1.5], **method)
    assert np.array_equal(alone.x[:, 0], found.x[:, -1])  # saving does not change the steps
    assert np.array_equal(alone.accepted, found.accepted)
    assert run(model, y0, 1.0, [], [1.5], **method).x.shape == (2, 0, 2)


@METHODS
@settings(max_examples=40)
@given(
    t0=st.sampled_from([0.0, -1.0, 1e-3, 5.0, -1e6, 1e6]),
    span=st.sampled_from([1e-9, 1e-6, 0.013, 1.0]),
    places=st.lists(st.floats(0, 1), max_size=12),
)
def test_every_save_time_within_the_span_is_filled(method, t0, span, places):
    t1 = t0 + span
    save = np.unique(np.clip([t0, t1, *(t0 + span * np.array(places))], t0, t1))
    options = method if "dt" not in method else method | {"dt": span / 20.3}
    found = run(block(DECAY, 1), [1.0], t1, save, t0=t0, **options)
    assert found.status[0] == OK and found.t_stop[0] == t1
    assert np.allclose(found.x[0, :, 0], np.exp(t0 - save), rtol=1e-6)


def test_a_state_saved_at_the_end_of_a_step_is_that_step():
    model = block(VAN_DER_POL, 2)
    found = run(model, [0.5, 1.0], 1.0, np.arange(11) / 10, [1.5], method="rk4", dt=0.1)
    x = [np.array([0.5, 1.0])]
    for k in range(10):
        x.append(run(model, x[-1], (k + 1) / 10, None, [1.5], t0=k / 10, method="rk4", dt=0.2).x[0, 0])
    assert np.allclose(found.x[0], x, rtol=1e-14)


def test_the_time_reaches_the_stages():
    save = np.linspace(1.0, 9.0, 41)
    for options in ({"rtol": 1e-9, "atol": 1e-9}, {"method": "rk4", "dt": 0.01}):
        found = run(block(CLOCK, 1), [np.sin(1.0)], 9.0, save, t0=1.0, **options)
        assert np.allclose(found.x[0, :, 0], np.sin(save), atol=3e-9)


@pytest.mark.parametrize(
    ("t0", "t1"),
    [(0.0, 1e-300), (0.0, 1e-12), (1.0, np.nextafter(1.0, 2)), (1e9, np.nextafter(1e9, 2e9)), (-1e-3, 0.0)],
)
def test_a_step_longer_than_the_span_and_spans_near_the_rounding_limit(t0, t1):
    for options in ({}, {"method": "rk4", "dt": 10.0}):
        found = run(block(DECAY, 1), [1.0], t1, [t0, t1], t0=t0, **options)
        assert found.status[0] == OK and found.t_stop[0] == t1 and found.accepted[0] == 1
        assert np.allclose(found.x[0, :, 0], [1.0, np.exp(t0 - t1)], rtol=1e-12, atol=0)


def test_what_is_given_may_be_read_only_and_of_any_layout():
    y0, p = np.asfortranarray(np.ones((3, 3), np.float32)), np.broadcast_to([10.0, 28.0, 8 / 3], (3, 3))
    save = np.array([1, 2])
    save.flags.writeable = False
    found = integrate(block(LORENZ, 3), y0, p, 0, 2, save)
    assert same(found, integrate(block(LORENZ, 3), np.ones((3, 3)), p.copy(), 0.0, 2.0, np.array([1.0, 2.0])))


# --- lanes, threads, queue

_rng = np.random.default_rng(5)
BATCH = 61
Y0 = _rng.uniform(-2, 2, (BATCH, 3))
P = np.column_stack([_rng.uniform(0, 1, BATCH), _rng.uniform(0.1, 30, BATCH)])
SAVE = np.array([0.0, 0.37, 1.7, 3.0])


def mixed(rows, method, **options):
    options = method | {"rtol": 1e-7, "atol": 1e-8} | options
    return integrate(block(MIXED, 3), Y0[rows], P[rows], 0.0, 3.0, SAVE, **options)


@METHODS
@settings(max_examples=40)
@given(
    rows=st.lists(st.integers(0, BATCH - 1), min_size=1, max_size=BATCH),
    lanes=st.sampled_from([None, 1, 2, 3, 7, 16, 128]),
    threads=st.sampled_from([1, 2, 3]),
)
def test_a_trajectory_has_the_same_bits_in_any_company(method, rows, lanes, threads):
    whole = mixed(slice(None), method)
    assert np.all(whole.status == OK) and np.ptp(whole.accepted) > (10 if method["method"] == "dopri5" else -1)
    part = mixed(rows, method, lanes=lanes, threads=threads)
    assert same(part, rows_of(whole, rows))


@METHODS
def test_every_trajectory_alone_has_the_bits_that_it_has_in_the_batch(method):
    whole = mixed(slice(None), method)
    for row in range(BATCH):
        assert same(mixed([row], method), rows_of(whole, [row])), row


def test_lanes_are_refilled_while_long_trajectories_run():
    # the stiffest row takes hundreds of times the steps of the others
    model = block(["out[0, lane] = -p[0, lane] * y[0, lane]"], 1)
    rates = np.ones((200, 1))
    rates[::40] = 3000.0
    found = integrate(model, np.ones((200, 1)), rates, 0.0, 3.0, np.array([0.0, 3.0]), lanes=4)
    assert np.all(found.status == OK) and np.all(found.t_stop == 3.0)
    assert found.accepted.max() > 50 * np.median(found.accepted)
    assert np.allclose(found.x[:, 1, 0], np.exp(-3 * rates[:, 0]), atol=1e-6)
    again = integrate(model, np.ones((200, 1)), rates, 0.0, 3.0, np.array([0.0, 3.0]), lanes=64, threads=2)
    assert same(found, again)


def test_nobody_waits_for_the_slowest():
    # the right-hand side counts how many lanes it serves; most of them must serve a trajectory that is under way
    model = block(["reals[0] += 1.0", "out[0, lane] = -p[0, lane] * y[0, lane]"], 1, reals=[0.0])
    rates = 10 ** np.random.default_rng(3).uniform(0, 3, (256, 1))
    found = integrate(model, np.ones((256, 1)), rates, 0.0, 3.0, np.array([3.0]), lanes=16)
    assert found.accepted.max() > 4 * found.accepted.mean()
    assert (found.accepted + found.rejected).sum() * 6 > 0.7 * model.reals[0]


def test_a_large_state_in_a_single_lane():
    n = 5000
    source = ["for i in range(y.shape[0]):", "    out[i, lane] = -(0.5 + i / y.shape[0]) * y[i, lane]"]
    model, y0 = block(source, n), np.linspace(-1, 1, n)
    found = run(model, y0, 2.0, [1.0, 2.0], rtol=1e-8, atol=1e-10)
    rates = 0.5 + np.arange(n) / n
    assert np.allclose(found.x[0], y0 * np.exp(-np.outer([1.0, 2.0], rates)), rtol=1e-6, atol=1e-9)
    assert same(found, rows_of(run(model, [y0, -y0], 2.0, [1.0, 2.0], rtol=1e-8, atol=1e-10), [0]))


# --- failures


@METHODS
@pytest.mark.parametrize(
    ("line", "y0", "when"),
    [
        ("y[0, lane] ** 2", 1.0, 1.0),
        ("y[0, lane] ** 2", 1e-3, 1e3),
        ("y[0, lane] ** 3", -2.0, 1 / 8),
        ("np.exp(y[0, lane])", 0.0, 1.0),
    ],
)
def test_a_solution_that_explodes_is_reported_with_its_time(method, line, y0, when):
    found = run(block([f"out[0, lane] = {line}"], 1), [y0], 5 * when, np.linspace(0, 5 * when, 101), **method)
    assert found.status[0] == NONFINITE
    # a fixed step runs past the singularity by a few steps
    assert abs(found.t_stop[0] - when) < (1e-4 * when if method["method"] == "dopri5" else 20 * method["dt"])
    reached = np.linspace(0, 5 * when, 101) <= found.t_stop[0]
    assert np.all(np.isfinite(found.x[0]).all(axis=1) == reached)


def test_an_explosion_near_time_zero_is_found_to_all_digits():
    found = run(block(SQUARE, 1), [1.0], 1.0, [-0.5, 1.0], t0=-1.0)
    assert found.status[0] == NONFINITE and abs(found.t_stop[0]) < 1e-5
    assert np.isclose(found.x[0, 0, 0], 2.0, rtol=1e-5) and np.isnan(found.x[0, 1, 0])


@METHODS
def test_a_failing_trajectory_leaves_its_neighbours_alone(method):
    model = block(SQUARE, 1)
    y0 = np.where(np.arange(40) % 3 == 1, 2.0, -1.0)[:, None] * np.linspace(1, 1.2, 40)[:, None]
    good = np.arange(40) % 3 != 1
    whole, part = (run(model, rows, 3.0, [0.1, 3.0], lanes=5, **method) for rows in (y0, y0[good]))
    assert np.array_equal(whole.status, np.where(good, OK, NONFINITE))
    assert same(rows_of(whole, good), part)
    assert np.all(np.isfinite(whole.x[:, 0])) and np.all(np.isnan(whole.x[~good, 1]))


@METHODS
@pytest.mark.parametrize("t0", [0.0, 1.0])
@pytest.mark.parametrize("line", ["np.log(y[0, lane])", "1.0 / (y[0, lane] + 1.0)", "np.inf", "np.nan"])
def test_a_field_that_is_not_finite_at_the_start(method, t0, line):
    found = run(block([f"out[0, lane] = {line}"], 1), [-1.0], t0 + 1, [t0, t0 + 1], t0=t0, **method)
    assert found.status[0] == NONFINITE and found.t_stop[0] == t0 and found.accepted[0] == 0
    assert found.x[0, 0, 0] == -1.0 and np.isnan(found.x[0, 1, 0])


@METHODS
def test_a_field_that_stops_being_defined_on_the_way(method):
    model = block(["out[0, lane] = -1.0 + 0.0 * np.log(y[0, lane])"], 1)
    found = run(model, [1.0], 2.0, [0.5, 2.0], **method)
    assert found.status[0] == NONFINITE
    assert abs(found.t_stop[0] - 1.0) < (1e-9 if method["method"] == "dopri5" else 0.03)
    assert np.isclose(found.x[0, 0, 0], 0.5) and np.isnan(found.x[0, 1, 0])


@METHODS
def test_a_state_that_overflows_while_its_slope_and_its_error_are_small(method):
    found = run(block(["out[0, lane] = 1e308"], 1), [[0.0], [1e308]], 10.0, [0.5, 10.0], **method)
    assert np.all(found.status == NONFINITE)
    assert np.allclose(found.t_stop, [1.797693, 0.797693], atol=method.get("dt", 1e-5))
    assert np.allclose(found.x[:, 0, 0], [0.5e308, 1.5e308]) and np.all(np.isnan(found.x[:, 1]))


def test_a_discontinuity_that_no_step_can_cross():
    # the jump is so high that even a step at the rounding limit of t is not accurate enough; the solution is finite
    model = block(["out[0, lane] = 1e12 if t[lane] > 0.5 else 0.0"], 1)
    found = run(model, [[0.0], [1.0]], 1.0, [0.25, 0.75])
    assert np.all(found.status == STEP_UNDERFLOW)
    assert np.all(np.abs(found.t_stop - 0.5) < 1e-12)
    assert np.all(found.x[:, 0, 0] == [0.0, 1.0]) and np.all(np.isnan(found.x[:, 1]))
    assert np.all(found.accepted > FORCED_LIMIT)


def test_a_relay_that_chatters_late():
    model = block(["out[0, lane] = -1.0 if y[0, lane] > 0.0 else 1.0"], 1)
    found = run(model, [1.0], 1e8 + 2.0, [1e8 + 0.5, 1e8 + 2.0], t0=1e8, rtol=1e-10, atol=1e-10)
    assert found.status[0] == STEP_UNDERFLOW and abs(found.t_stop[0] - 1e8 - 1) < 1e-5
    assert np.isclose(found.x[0, 0, 0], 0.5) and np.isnan(found.x[0, 1, 0])


@METHODS
def test_max_steps(method):
    model = block(["out[0, lane] = -p[0, lane] * y[0, lane]"], 1)
    rates = np.array([[1.0], [1e6], [1.0]])
    options = dict(method, max_steps=400)
    found = integrate(
        model, np.ones((3, 1)), rates * 0 + 1 if "dt" in method else rates, 0.0, 5.0, np.array([1.0, 5.0]), **options
    )
    if "dt" in method:
        assert np.all(found.status == MAX_STEPS) and np.allclose(found.t_stop, 4.0) and np.all(found.accepted == 400)
        assert np.all(np.isfinite(found.x[:, 0])) and np.all(np.isnan(found.x[:, 1]))
        exact = run(model, [1.0], 4.0, p=[1.0], method="rk4", dt=0.01, max_steps=400)
        assert exact.status[0] == OK and exact.accepted[0] == 400
    else:
        assert list(found.status) == [OK, MAX_STEPS, OK]
        assert found.accepted[1] + found.rejected[1] == 400 and 0 < found.t_stop[1] < 0.01


def test_too_many_steps_for_stability_are_called_stiff():
    model = block(["out[0, lane] = -p[0, lane] * (y[0, lane] - np.cos(t[lane]))"], 1)
    rates, save = np.array([[1.0], [1e6], [1e5]]), np.array([1.0, 5.0])
    found = integrate(model, np.ones((3, 1)), rates, 0.0, 5.0, save, max_steps=20_000)
    assert list(found.status) == [OK, STIFF, STIFF]
    assert found.probes[0, 1] == 0 and np.all(found.probes[1:, 1] > 0.9 * found.probes[1:, 0])
    early = integrate(model, np.ones((3, 1)), rates, 0.0, 5.0, save, halt_if_stiff=True)
    assert list(early.status) == [OK, STIFF, STIFF] and np.all(early.accepted[1:] + early.rejected[1:] < 4000)
    lorenz = run(block(LORENZ, 3), [1.0, 1.0, 20.0], 200.0, p=[10.0, 28.0, 8 / 3], halt_if_stiff=True)
    assert lorenz.status[0] == OK and lorenz.probes[0, 0] > 5 and lorenz.probes[0, 1] == 0


@pytest.mark.parametrize("threads", [1, 2])
def test_a_run_can_be_watched_and_stopped(threads):
    model = block(LORENZ, 3)
    monitor = np.zeros(2)
    seen = []

    def watch():
        while monitor[0] < 0.02:
            seen.append(monitor[0])
            time.sleep(0.001)
        monitor[1] = 1.0

    watcher = threading.Thread(target=watch)
    watcher.start()
    y0 = np.random.default_rng(0).normal(size=(40, 3))
    save = np.array([0.0, 1.0, 1e5])
    found = integrate(
        model, y0, np.tile([10.0, 28.0, 8 / 3], (40, 1)), 0.0, 1e5, save, monitor=monitor, lanes=8, threads=threads
    )
    watcher.join()
    assert np.all(found.status == INTERRUPTED)
    assert 0.02 <= monitor[0] < 0.9 and seen == sorted(seen)
    started = found.accepted > 0
    assert started.sum() >= 8 * threads and not started.all()
    assert np.all((found.t_stop[started] > 1.0) & (found.t_stop[started] < 1e5))
    assert np.all(np.isfinite(found.x[started, 1])) and np.all(np.isnan(found.x[:, 2]))
    assert np.all(found.t_stop[~started] == 0.0) and np.all(np.isnan(found.x[~started, 1:]))


@pytest.mark.parametrize("threads", [1, 3])
@METHODS
def test_progress_ends_at_one(method, threads):
    monitor = np.zeros(2)
    run(block(SQUARE, 1), np.linspace(-2, 2, 50)[:, None], 1.0, monitor=monitor, threads=threads, **method)
    assert monitor[0] == 1.0 and monitor[1] == 0.0
