"""Events and summaries: against closed forms, against the stored states, and what is refused."""

import numpy as np
import pytest

import dynet as dn
from dynet.errors import ArgumentError, Status


@dn.vector_field(n=2, params={"w": 1.0})
def oscillator(t, x, p, dx):
    dx[0] = p.w * x[1]
    dx[1] = -p.w * x[0]


@dn.vector_field(n=2, params={"g": 9.81})
def ball(t, x, p, dx):
    dx[0] = x[1]
    dx[1] = -p.g


def height(t, x, p):
    return x[0]


def speed(t, x, p):
    return x[1]


def bounce(t, x, p, new):
    new[1] = -0.9 * x[1]


def energy(t, x, p):
    return 0.5 * x[1] ** 2 + p.g * x[0]


TIGHT = {"rtol": 1e-10, "atol": 1e-12}


@pytest.mark.parametrize("method", ["dopri5", "vern7", "dop853", "tsit5", "bs32"])
def test_the_zeros_of_a_cosine(method):
    tolerance = {"rtol": 1e-7, "atol": 1e-9} if method == "bs32" else TIGHT
    run = dn.simulate(oscillator, [1.0, 0.0], 20.0, events=height, method=method, save="last", **tolerance)
    zeros = np.pi / 2 + np.pi * np.arange(6)
    assert np.allclose(run.events["height"].t, zeros, atol=1e-4 if method == "bs32" else 1e-8)
    assert np.allclose(run.events["height"].x[:, 0], 0.0, atol=1e-12) and run.status.ok


@pytest.mark.parametrize("direction", [-1, 0, 1])
def test_directions_and_several_events(direction):
    events = [dn.Event(height, direction=direction), dn.Event(speed, direction=direction)]
    run = dn.simulate(oscillator, [1.0, 0.1], 12.0, events=events, save="last", **TIGHT)
    phase = np.arctan2(0.1, 1.0)
    falls = np.array([np.pi / 2 + phase + 2 * np.pi * k for k in range(2)])
    wanted = {-1: falls, 1: falls + np.pi, 0: np.sort([*falls, *(falls + np.pi)])}[direction]
    assert np.allclose(run.events["height"].t, wanted[wanted < 12], atol=1e-8)
    assert run.events["speed"].t.size == {-1: 2, 1: 2, 0: 4}[direction]


def test_a_pair_of_crossings_within_one_step_is_seen():
    # a loose tolerance takes steps of about a period; both zeros of a shallow dip lie inside one of them
    def dip(t, x, p):
        return (t - 1.3) ** 2 - 0.04

    @dn.vector_field(n=1)
    def still(t, x, p, dx):
        dx[0] = 1.0

    run = dn.simulate(still, [1.0], 4.0, events=dip)
    assert run.stats["accepted"] < 14
    assert np.allclose(run.events["dip"].t, [1.1, 1.5], atol=1e-12)


def test_a_terminal_event_ends_it_and_counts():
    times = np.linspace(0, 10, 101)
    for terminal in (True, 3):
        run = dn.simulate(oscillator, [1.0, 0.0], times, events=dn.Event(height, terminal=terminal), **TIGHT)
        when = np.pi / 2 + np.pi * (int(terminal) - 1)
        assert run.status is Status.EVENT and run.ok and abs(run.t_stop - when) < 1e-8
        assert np.array_equal(np.isfinite(run.x[:, 0]), times <= run.t_stop)
        assert run.events["height"].t.size == int(terminal)


def test_a_ball_that_bounces():
    run = dn.simulate(ball, [10.0, 0.0], 8.0, events=dn.Event(height, direction=-1, change=bounce), dense=True, **TIGHT)
    first = np.sqrt(2 * 10 / 9.81)
    v = 9.81 * first
    hits = first + np.cumsum([0.0, *(2 * v * 0.9 ** np.arange(1, 3) / 9.81)])
    assert np.allclose(run.events["height"].t, hits, atol=1e-10)
    rise = np.linspace(hits[0] + 1e-3, hits[1] - 1e-3, 7)
    assert np.allclose(run.at(rise)[:, 0], 0.9 * v * (rise - first) - 9.81 / 2 * (rise - first) ** 2, atol=1e-8)
    later = run.t > hits[0] + 1e-9
    assert np.all(run.x[later, 0] > -1e-9)


def test_events_in_a_batch_with_parameters_have_the_bits_of_each_alone():
    w = np.linspace(0.5, 3.0, 25)
    events = dn.Event(height, terminal=2)
    run = dn.simulate(oscillator, [1.0, 0.0], 20.0, params={"w": w}, events=events, save=5, **TIGHT)
    assert np.allclose(run.t_stop, 1.5 * np.pi / w, atol=1e-7) and set(run.status) == {Status.EVENT}
    for row in (0, 11, 24):
        alone = dn.simulate(oscillator, [1.0, 0.0], 20.0, params={"w": w[row]}, events=events, save=5, **TIGHT)
        assert np.array_equal(alone.events["height"].t, run.events["height"][row].t)
        assert np.array_equal(alone.x, run.x[row], equal_nan=True)


def test_many_events_are_collected_between_pauses():
    run = dn.simulate(oscillator, np.ones((40, 2)), 1000.0, events=height, save="last")
    assert all(found.t.size == 318 for found in run.events["height"])


def test_events_backward_in_time():
    run = dn.simulate(oscillator, [1.0, 0.0], -8.0, events=height, save="last", **TIGHT)
    assert np.allclose(run.events["height"].t, [-np.pi / 2, -3 * np.pi / 2, -5 * np.pi / 2], atol=1e-8)


def test_summaries_are_those_of_the_stored_states():
    x0 = np.random.default_rng(0).normal(size=(70, 2)) + [3.0, 0.0]
    save = np.array([0.0, 0.1, 0.5, 0.6, 1.0])
    centre, path = np.array([1.0, 2.0]), np.random.default_rng(1).normal(size=(5, 2))
    full = dn.simulate(ball, x0, 1.0, save=save)
    wanted = {"last": "last", "low": "min", "high": "max", "mean": "mean", "area": "integral"}
    wanted |= {"energy": ("mean", energy), "top": ("max", height), "far": ("max", centre), "off": ("last", path)}
    run = dn.simulate(ball, x0, 1.0, save=save, summary=wanted)
    got = run.summary
    assert np.array_equal(run.x, full.x[:, -1:]) and np.array_equal(got["last"], full.final)
    assert np.array_equal(got["low"], full.x.min(1)) and np.array_equal(got["high"], full.x.max(1))
    area = np.trapezoid(full.x, save, axis=1)
    assert np.allclose(got["area"], area, rtol=1e-13) and np.allclose(got["mean"], area, rtol=1e-13)
    e = 0.5 * full.x[..., 1] ** 2 + 9.81 * full.x[..., 0]
    assert np.allclose(got["energy"], np.trapezoid(e, save, axis=1)) and np.array_equal(
        got["top"], full.x[..., 0].max(1)
    )
    assert np.allclose(got["far"], np.linalg.norm(full.x - centre, axis=-1).max(1))
    assert np.allclose(got["off"], np.linalg.norm(full.x - path, axis=-1)[:, -1])


def test_summaries_of_the_fused_step_and_time_in_a_set():
    def inside(t, x, p):
        return 1.0 if x[2] > 25.0 else 0.0

    x0 = np.random.default_rng(0).normal(size=(100, 3)) + [0.0, 0.0, 20.0]
    asked = {"save": 201, "summary": {"time": ("integral", inside), "max": "max"}}
    block, whole = (dn.simulate(dn.models.Lorenz(), x0, 2.0, executor=e, **asked) for e in ("block", "fused"))
    assert np.allclose(block.summary["time"], whole.summary["time"], atol=1e-9)
    assert np.allclose(block.summary["max"], whole.summary["max"], rtol=1e-9)
    assert np.all((block.summary["time"] > 0) & (block.summary["time"] < 2))


def nothing(t, x, p):
    return np.log(-1.0 - x[0] ** 2)


def undefined(t, x, p):
    return p.nowhere


BAD = [
    (dict(events=3), "events"),
    (dict(events=[height, height]), "two events named 'height'"),
    (dict(events=nothing), r"events\[0\]=nothing returns nan"),
    (dict(events=undefined), "nowhere"),
    (dict(summary="maximum"), "did you mean 'max'"),
    (dict(summary=[]), "at least one"),
    (dict(summary={"far": ("max", np.zeros(3))}), "states of shape"),
    (dict(summary={"g": ("max", nothing)}), "finite number"),
    (dict(executor="fussed"), "did you mean 'fused'"),
    (dict(executor="fused", dense=True), "because dense"),
    (dict(callback=3), "callback"),
    (dict(checkpoint="x.npz", dense=True), "checkpoint"),
]


@pytest.mark.parametrize(("change", "word"), BAD)
def test_bad_arguments_are_named_before_anything_compiles(change, word, monkeypatch):
    from dynet.engine import codegen

    def forbidden(*args, **kwargs):
        raise AssertionError("compiled before the arguments were checked")

    monkeypatch.setattr(codegen, "module", forbidden)
    with pytest.raises(ArgumentError, match=word):
        dn.simulate(ball, [1.0, 0.0], 1.0, **change)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(dict(direction=2), "direction"), (dict(terminal=-1), "terminal"), (dict(change=1), "change")],
)
def test_bad_events(arguments, word):
    with pytest.raises(ArgumentError, match=word):
        dn.Event(height, **arguments)
