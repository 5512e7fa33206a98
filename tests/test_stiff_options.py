"""What the stiff methods offer beyond the equation: events, dense output, callbacks, checkpoints, summaries, Jacobians."""

import math

import networkx as nx
import numpy as np
import pytest

import dynet as dn
from dynet import math as fast
from dynet.engine import bdf, methods
from dynet.engine import checkpoint as checkpoints
from dynet.errors import Status
from dynet.fields import activation as activations
from dynet.fields import lure_jacobian
from dynet.fields.lure import LureField

BDF = pytest.mark.parametrize("method", ["bdf", "bdf_krylov"])
STIFF = pytest.mark.parametrize("method", ["bdf", "bdf_krylov", "rodas5p"])


@dn.vector_field(n=2, params={"rate": 1e4})
def follower(t, x, p, dx):
    dx[0] = -p.rate * (x[0] - np.cos(t))
    dx[1] = x[0] - 0.1 * x[1]


@dn.vector_field(n=2)
def ball(t, x, p, dx):
    dx[0] = x[1]
    dx[1] = -10.0


def first(t, x, p):
    return x[0]


def bump(z, a):
    return z / (1.0 + z * z)


def exact(t):
    """The slow solution of the first state, to the second order in 1 / rate."""
    return np.cos(t) + np.sin(t) / 1e4


@STIFF
def test_events_lie_where_the_solution_crosses_with_direction_count_and_end(method):
    events = [
        dn.Event(first, direction=-1, name="down"), dn.Event(first, direction=1, name="up"),
        dn.Event(first, terminal=5, name="fifth"),
    ]  # fmt: skip
    run = dn.simulate(follower, [1.0, 0.0], 20.0, method=method, events=events, save=6, dense=True)
    assert run.status is Status.EVENT
    crossings = np.pi * (np.arange(5) + 0.5) + 1e-4
    assert np.allclose(run.events["fifth"].t, crossings, atol=3e-5) and np.allclose(
        run.events["fifth"].x[:, 0], 0, atol=1e-12
    )
    assert np.array_equal(run.events["down"].t, run.events["fifth"].t[::2]) and len(run.events["up"].t) == 2
    assert run.t_stop == run.events["fifth"].t[-1]
    reached = run.t <= run.t_stop
    assert np.isfinite(run.x[reached]).all() and np.isnan(run.x[~reached]).all()
    assert np.isnan(run.at(run.t_stop + 0.1)).all() and np.isfinite(run.at(run.t_stop)).all()


@STIFF
def test_an_event_can_change_the_state(method):
    def bounce(t, x, p, new):
        new[0] = 0.0
        new[1] = -0.5 * x[1]

    ground = dn.Event(first, direction=-1, change=bounce, name="ground")
    run = dn.simulate(
        ball, [[5.0, 0.0], [20.0, 0.0]], 3.0, method=method, events=ground, dense=True, rtol=1e-8, atol=1e-10
    )
    assert np.allclose(run.events["ground"][0].t[:5], [1.0, 2.0, 2.5, 2.75, 2.875], atol=1e-5)
    assert np.allclose(run.events["ground"][1].t, [2.0], atol=1e-6)
    assert np.allclose(run.at([1.5, 2.25])[0], [[1.25, 0.0], [0.3125, 0.0]], atol=1e-4)
    assert np.allclose(run.x[1, -1], [0.5 * 20.0 - 5.0, 0.0], atol=1e-4)


@STIFF
def test_dense_output_keeps_the_tolerance_between_long_steps(method):
    times = np.linspace(0.0, 20.0, 3001)
    for rtol in (1e-4, 1e-6):
        run = dn.simulate(
            follower, [1.0, 0.0], 20.0, method=method, dense=True, rtol=rtol, atol=1e-3 * rtol, save="last"
        )
        assert run.stats["accepted"] < 400 and len(run.steps.places) == run.stats["accepted"]
        error = np.abs(run.at(times)[:, 0] - exact(times))
        assert error[5:].max() < 60 * rtol, (rtol, error.max() / rtol)
        assert np.allclose(run.at(20.0), run.final, rtol=1e-12)
        saved = dn.simulate(follower, [1.0, 0.0], times, method=method, rtol=rtol, atol=1e-3 * rtol)
        assert np.allclose(saved.x, run.at(times), rtol=1e-9, atol=1e-12)


@BDF
def test_a_callback_sees_every_step_and_can_stop(method):
    seen = []
    run = dn.simulate(
        follower, [1.0, 0.0], 3.0, method=method, callback=lambda t, x: seen.append((t, x.copy())) or t > 1.0
    )
    assert run.status is Status.INTERRUPTED and 1.0 < run.t_stop < 1.6
    assert np.all(np.diff([t for t, _ in seen]) >= 0) and len(seen) >= run.stats["accepted"]
    whole = dn.simulate(follower, [1.0, 0.0], 3.0, method=method)
    assert np.array_equal(run.x[run.t < 1.0], whole.x[run.t < 1.0])
    who = []
    dn.simulate(follower, np.ones((3, 2)), 1.0, method=method, callback=lambda w, t, x: who.extend(w.tolist()))
    assert sorted(set(who)) == [0, 1, 2] and who == sorted(who)


@BDF
def test_a_killed_run_goes_on_with_the_same_bits(method, tmp_path, monkeypatch):
    path, x0 = tmp_path / "run.npz", np.random.default_rng(0).normal(size=(4, 2))
    monkeypatch.setattr(bdf, "BETWEEN", 40)
    whole = dn.simulate(follower, x0, 10.0, save=11, method=method)
    offers, store = [], checkpoints.Checkpoint.offer

    class Killed(Exception):
        pass

    def offer(self, arrays):
        store(self, arrays)
        offers.append(1)
        if len(offers) % 6 == 0:
            raise Killed

    monkeypatch.setattr(checkpoints.Checkpoint, "offer", offer)
    monkeypatch.setattr(checkpoints.Checkpoint.__init__, "__defaults__", (0.0,))
    kills = 0
    for _ in range(20):
        try:
            run = dn.simulate(follower, x0, 10.0, save=11, method=method, checkpoint=path)
            break
        except Killed:
            kills += 1
    assert kills >= 2 and not path.exists()
    assert np.array_equal(run.x, whole.x) and run.stats["accepted"] == whole.stats["accepted"]


@BDF
def test_summaries_are_those_of_the_saved_states(method):
    def both(t, x, p):
        return x[0] * x[1]

    x0 = np.array([[1.0, 0.0], [0.5, 2.0]])
    stored = dn.simulate(follower, x0, 5.0, save=51, method=method)
    wanted = {"top": "max", "mean": "mean", "both": ("min", both), "far": ("max", stored.x[0])}
    run = dn.simulate(follower, x0, 5.0, save=51, method=method, summary=wanted)
    assert np.array_equal(run.summary["top"], stored.x.max(axis=1)) and np.array_equal(run.final, stored.final)
    assert np.allclose(run.summary["mean"], np.trapezoid(stored.x, stored.t, axis=1) / 5.0, rtol=1e-12)
    assert np.allclose(run.summary["both"], stored.x.prod(axis=2).min(axis=1), rtol=1e-12)
    assert np.allclose(run.summary["far"], stored.distance(to=stored.x[0]).max(axis=1))


def test_notes_of_a_long_run_are_collected_between_pauses(monkeypatch):
    monkeypatch.setattr(bdf, "NOTES", 16)
    x0 = np.array([[1.0, 0.0], [0.5, 2.0], [0.1, 0.3]])
    run = dn.simulate(follower, x0, 60.0, method="bdf", dense=True, events=first, threads=2)
    assert run.steps.places.shape[0] == run.stats["accepted"] > 16 * 3 and len(run.events["first"][2].t) == 19
    assert np.allclose(run.at(run.t), run.x, rtol=1e-9, atol=1e-9)


def test_a_large_stiff_system_goes_to_bdf_also_when_it_is_watched(monkeypatch):
    graph = nx.random_regular_graph(3, 60, seed=1)
    net = dn.models.FiringRate(graph, weight=0.5, leak=1.0, activation="tanh", input=dn.Sinusoid(1.0, 2.0))
    asked, original = [], methods.run

    def run(task):
        asked.append(task.method)
        if len(asked) == 1:
            found = original(task)
            found.status[:] = Status.STIFF
            return found
        return original(task)

    monkeypatch.setattr(methods, "run", run)
    found = dn.simulate(net, np.ones(60), 4.0, events=first, dense=True)
    assert asked == ["dopri5", "bdf"]
    assert found.ok and found.stats["jacobian"] == "the model's own" and found.steps is not None


@pytest.mark.parametrize("name", lure_jacobian.SLOPES)
def test_the_slopes_are_those_of_the_activations(name):
    activation = activations.get(name)
    for z in (-2.3, -0.7, 0.4, 1.9):
        found = eval(lure_jacobian.SLOPES[name], {"fast": fast, "math": math, "z": z, "a": activation.parameter})
        assert np.isclose(found, activation.slope(np.array([z]))[0], rtol=1e-12)


@pytest.mark.parametrize(
    ("activation", "form"), [("tanh", "dense"), ("tanh", "sparse"), ("tanh", "hopfield"), ("user", "dense")]
)
def test_a_compiled_jacobian_is_that_of_the_field(activation, form):
    rng = np.random.default_rng(3)
    A, B = rng.normal(size=(5, 5)), rng.normal(size=(5, 5))
    if form == "sparse":
        from scipy.sparse import csr_array

        A, B = (csr_array(np.where(rng.random((5, 5)) < 0.4, M, 0.0)) for M in (A, B))
    if activation == "user":
        activation = activations.Activation("own", bump)
    E = A if form != "hopfield" else -np.ones(5)
    F = {"dense": A, "sparse": A, "hopfield": B}[form]
    G = np.ones(5) if form == "hopfield" else B
    field = LureField(E, F, G, B=rng.normal(size=(5, 2)), activation=activation, input=[0.3, -0.2])
    function, (rows, columns), extra = field.jacobian_code()
    block = field.block(field.signal())
    where = np.concatenate([block.ints, rows, columns, [len(block.ints)]])
    wide = block._replace(function=function, ints=where, work_rows=block.work_rows + extra)
    x, out = rng.normal(size=5), np.empty((columns.size, 1))
    from dynet.engine.block import _caller

    _caller()(
        function,
        np.zeros(1),
        x[:, None].copy(),
        np.empty((0, 1)),
        wide.reals,
        where,
        np.zeros((wide.work_rows, 1)),
        out,
    )
    found = np.zeros((5, 5))
    found[np.repeat(np.arange(5), np.diff(rows)), columns] = out[:, 0]
    expected = field.jacobian(0.0, x) if field.activation.derivative else None
    if expected is None:
        expected = np.array([(field.rhs(0, x + e) - field.rhs(0, x - e)) / 2e-5 for e in 1e-5 * np.eye(5)]).T
    expected = expected.toarray() if hasattr(expected, "toarray") else expected
    assert np.allclose(found, expected, rtol=1e-7, atol=1e-8)


def test_the_models_own_jacobian_solves_as_well_as_differences(monkeypatch):
    rng = np.random.default_rng(0)
    net = dn.models.FiringRate(rng.normal(0, 30.0, (40, 40)) / np.sqrt(40), leak=50.0, input=rng.normal(size=40))
    x0 = rng.normal(size=(2, 40))
    own = dn.simulate(net, x0, 1.0, method="bdf")
    assert own.stats["jacobian"] == "the model's own"
    monkeypatch.setattr(LureField, "jacobian_code", lambda self: None)
    other = dn.simulate(net, x0, 1.0, method="bdf")
    assert other.stats["jacobian"] == "differences, 40 at once" and np.allclose(own.x, other.x, atol=1e-4)
    assert abs(own.stats["accepted"] - other.stats["accepted"]) < 0.1 * own.stats["accepted"] + 5
