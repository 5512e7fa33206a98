"""What simulate offers beyond the equation: dense output, callbacks, checkpoints, progress, direction, choice of method."""

import numpy as np
import pytest

import dynet as dn
from dynet.engine import checkpoint as checkpoints
from dynet.engine import explicit, methods
from dynet.errors import ArgumentError, Status

LORENZ = dn.models.Lorenz()
X0 = np.array([1.0, 1.0, 20.0])


@pytest.mark.parametrize("method", ["dopri5", "vern7", "dop853", "tsit5", "bs32", "rk4"])
def test_dense_output_is_that_of_the_save_times(method):
    options = {"dt": 0.01} if method == "rk4" else {"rtol": 1e-8, "atol": 1e-9}
    times = np.sort(np.random.default_rng(0).uniform(0, 2, 40))
    run = dn.simulate(LORENZ, [X0, X0 + 1], 2.0, save="last", dense=True, method=method, **options)
    saved = dn.simulate(LORENZ, [X0, X0 + 1], [0.0, 2.0], save=times, method=method, **options)
    assert np.allclose(run.at(times), saved.x, rtol=1e-10, atol=1e-10)
    assert np.array_equal(run.at(2.0).shape, (2, 3)) and np.allclose(run.at(2.0), run.final, rtol=1e-12)
    with pytest.raises(ArgumentError, match="times between"):
        run.at(2.1)


def test_dense_output_of_a_long_run_is_collected_between_pauses():
    run = dn.simulate(LORENZ, X0, 200.0, dense=True, save=2001)
    assert run.steps.places.shape[0] == run.stats["accepted"] > 2 * explicit.NOTES
    assert np.allclose(run.at(run.t), run.x, rtol=1e-9, atol=1e-9)


def test_backward_in_time():
    there = dn.simulate(LORENZ, X0, [0.0, 0.5], rtol=1e-10, atol=1e-12)
    back = dn.simulate(LORENZ, there.final, [0.5, 0.0], rtol=1e-10, atol=1e-12, dense=True)
    assert np.allclose(back.final, X0, atol=1e-7) and back.t[0] == 0.5 and back.t_stop == 0.0
    assert np.allclose(back.at([0.1, 0.3]), there.at([0.1, 0.3]), atol=1e-4)
    coarse = dn.simulate(LORENZ, there.final, [0.5, 0.25, 0.0], rtol=1e-10)
    assert np.array_equal(coarse.t, [0.5, 0.25, 0.0])


def test_a_callback_sees_every_step_and_can_stop():
    seen = []
    run = dn.simulate(LORENZ, X0, 3.0, callback=lambda t, x: seen.append((t, x.copy())) or t > 1.0)
    assert run.status is Status.INTERRUPTED and 1.0 < run.t_stop < 1.2
    assert np.all(np.diff([t for t, _ in seen]) >= 0) and len(seen) >= run.stats["accepted"] - 1
    whole = dn.simulate(LORENZ, X0, 3.0)
    assert np.array_equal(run.x[: len(run.t[run.t < 1.0])], whole.x[run.t < 1.0])
    batch = []
    dn.simulate(LORENZ, np.tile(X0, (5, 1)), 0.2, callback=lambda who, t, x: batch.append((who.size, t.shape, x.shape)))
    assert (5, (5,), (5, 3)) in batch


def test_a_killed_run_goes_on_with_the_same_bits(tmp_path, monkeypatch):
    path, x0 = tmp_path / "run.npz", np.random.default_rng(0).normal(size=(150, 3)) + [0.0, 0.0, 20.0]
    monkeypatch.setattr(explicit, "BETWEEN", 100)
    whole = dn.simulate(LORENZ, x0, 10.0, save=11)
    offers = []

    class Killed(Exception):
        pass

    def offer(self, arrays):
        store(self, arrays)
        offers.append(1)
        if len(offers) % 4 == 0:
            raise Killed

    store = checkpoints.Checkpoint.offer
    monkeypatch.setattr(checkpoints.Checkpoint, "offer", offer)
    monkeypatch.setattr(checkpoints.Checkpoint.__init__, "__defaults__", (0.0,))
    kills = 0
    for _ in range(10):
        try:
            run = dn.simulate(LORENZ, x0, 10.0, save=11, checkpoint=path)
            break
        except Killed:
            kills += 1
            assert path.exists()
    assert kills >= 2 and not path.exists()
    assert np.array_equal(run.x, whole.x) and run.stats["accepted"] == whole.stats["accepted"]


def test_a_checkpoint_of_another_run_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(explicit, "BETWEEN", 100)
    monkeypatch.setattr(checkpoints.Checkpoint, "end", lambda self: None)
    path = tmp_path / "run.npz"
    monkeypatch.setattr(checkpoints.Checkpoint.__init__, "__defaults__", (0.0,))
    dn.simulate(LORENZ, X0, 20.0, checkpoint=path)
    assert path.exists()
    with pytest.raises(ArgumentError, match="another file"):
        dn.simulate(LORENZ, X0 + 1, 20.0, checkpoint=path)
    path.write_bytes(b"nonsense")
    with pytest.raises(ArgumentError, match="a checkpoint, or a new file"):
        dn.simulate(LORENZ, X0, 20.0, checkpoint=path)


def test_progress_says_how_long_the_rest_will_take(capsys):
    seen = []
    dn.simulate(LORENZ, np.tile(X0, (300, 1)), 200.0, save="last", progress=seen.append, method="tsit5")
    assert seen[-1] == 1.0 and seen[-1].left == 0.0
    assert all(done.left is None or done.left >= 0 for done in seen)
    dn.simulate(LORENZ, X0, 1.0, progress=True)
    assert "100.0 %" in capsys.readouterr().err


def test_the_choice_of_a_method_is_explained():
    assert dn.simulate(LORENZ, X0, 1.0).stats["why"] == "the default of moderate tolerances"
    tight = dn.simulate(LORENZ, X0, 1.0, rtol=1e-10, atol=1e-12).stats
    assert tight["method"] == "vern7" and "tight" in tight["why"]
    assert dn.simulate(LORENZ, X0, 1.0, dt=0.01).stats["method"] == "rk4"
    assert dn.simulate(LORENZ, X0, 1.0, method="tsit5").stats["why"] == "asked for"


@dn.vector_field(n=1, params={"rate": 1.0})
def follower(t, x, p, dx):
    dx[0] = -p.rate * (x[0] - np.cos(t))


def test_what_is_stiff_is_given_to_a_stiff_method(monkeypatch):
    rates = np.array([1.0, 1e5, 2.0])
    alone = dn.simulate(follower, [1.0], 10.0, params={"rate": rates}, save=5, method="dopri5", max_steps=20_000)
    assert [s.word for s in alone.status] == ["ok", "stiff", "ok"] and "stiff method" in alone.status[1].remedy
    asked = []

    def run(task):
        asked.append(task)
        return original(task)

    original = methods.run
    monkeypatch.setattr(methods, "run", run)
    found = dn.simulate(follower, [1.0], 10.0, params={"rate": rates}, save=5)
    assert found.ok and np.array_equal(asked[1].p[:, 0], [1e5]) and "rodas5p for 1 of 3" in found.stats["why"]
    assert np.array_equal(found.x[[0, 2]], alone.x[[0, 2]])
    assert np.allclose(found.x[1, 1:, 0], np.cos(found.t[1:]), atol=1e-3)


def test_statistics_of_the_steps():
    stats = dn.simulate(follower, [1.0], 10.0, params={"rate": [1.0, 5000.0]}, method="dopri5").stats
    assert (
        stats["least_steps"] < 100 < stats["most_steps"]
        and stats["accepted"] == stats["least_steps"] + stats["most_steps"]
    )
    assert np.isclose(stats["mean_step"], 20.0 / stats["accepted"]) and stats["executor"] == "block"
    assert stats["stiff"] is not None and stats["stiff"] > 0.5
