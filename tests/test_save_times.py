"""Save times of its own for every trajectory: every method, every option that they meet, and what they refuse."""

import numpy as np
import pytest

import dynet as dn
from dynet.errors import ArgumentError

LORENZ = dn.models.Lorenz()
X0 = np.array([1.0, 1.0, 20.0]) + np.random.default_rng(0).normal(size=(20, 3))
SAVE = np.sort(np.random.default_rng(1).uniform(0.0, 1.0, (20, 6)), axis=1)
SAVE[::3, 0] = 0.0
SAVE[1::3, -1] = 1.0


@pytest.mark.parametrize("method", ["dopri5", "vern7", "dop853", "rk4", "rodas5p", "bdf", "implicit_euler"])
def test_each_has_the_states_that_it_has_alone_at_these_times(method):
    options = {"method": method} | ({"dt": 0.02} if method in ("rk4", "implicit_euler") else {})
    run = dn.simulate(LORENZ, X0, 1.0, save=SAVE, **options)
    assert run.ok and np.array_equal(run.t, SAVE) and run.x.shape == (20, 6, 3)
    for i in (0, 1, 7, 19):
        alone = dn.simulate(LORENZ, X0[i], [0.0, 1.0], save=SAVE[i], **options)
        assert np.array_equal(run.x[i], alone.x)
    threaded = dn.simulate(LORENZ, X0, 1.0, save=SAVE, threads=2, **options)
    assert np.array_equal(threaded.x, run.x)


def test_the_fused_step_backward_in_time_and_one_state_for_all():
    block = dn.simulate(LORENZ, X0[0], [1.0, 0.8], save=1.0 - 0.2 * SAVE)
    fused = dn.simulate(LORENZ, X0[0], [1.0, 0.8], save=1.0 - 0.2 * SAVE, executor="fused")
    assert block.batch == 20 and np.allclose(fused.x, block.x, rtol=1e-9)
    alone = dn.simulate(LORENZ, X0[0], [1.0, 0.8], save=1.0 - 0.2 * SAVE[3])
    assert np.array_equal(block.x[3], alone.x)


def test_summaries_are_over_the_times_of_each():
    def height(t, x, p):
        return x[2] + t

    wanted = {"top": "max", "mean": "mean", "height": ("mean", height), "last": "last"}
    run = dn.simulate(LORENZ, X0, 1.0, save=SAVE, summary=wanted)
    stored = dn.simulate(LORENZ, X0, 1.0, save=SAVE)
    span = SAVE[:, -1] - SAVE[:, 0]
    assert np.array_equal(run.summary["top"], stored.x.max(axis=1)) and np.array_equal(run.final, stored.final)
    for name, values in (("mean", stored.x), ("height", stored.x[..., 2] + SAVE)):
        middle = (np.trapezoid(values.T, SAVE.T, axis=-2) if values.ndim == 2 else 0.0) / span
        if values.ndim == 3:
            middle = np.array([np.trapezoid(v, t, axis=0) for v, t in zip(values, SAVE, strict=True)]) / span[:, None]
        assert np.allclose(run.summary[name], middle, rtol=1e-12)


def test_a_stiff_trajectory_takes_its_times_along():
    @dn.vector_field(n=1, params={"rate": 1.0})
    def follower(t, x, p, dx):
        dx[0] = -p.rate * (x[0] - np.cos(t))

    save = np.array([[1.0, 2.0], [3.0, 9.0], [4.0, 5.0]])
    run = dn.simulate(follower, [1.0], 10.0, params={"rate": [1.0, 1e5, 2.0]}, save=save)
    assert run.ok and "rodas5p for 1 of 3" in run.stats["why"]
    assert np.allclose(run.x[1, :, 0], np.cos(save[1]), atol=1e-4)


def test_error_bounds_and_files_and_axes(tmp_path):
    net = dn.models.FiringRate(np.array([[0.0, 0.5], [-0.5, 0.0]]), input=[1.0, 0.0])
    save = np.array([[0.0, 1.0, 2.0], [0.5, 2.5, 3.0]])
    run = dn.simulate(net, [[0.0, 0.0], [2.0, -1.0]], 3.0, save=save, certificate=dn.certify(net))
    exact = dn.simulate(net, [2.0, -1.0], [0.0, 3.0], save=save[1], rtol=1e-12, atol=1e-13)
    assert np.all(dn.certify(net).norm.length(run.x[1] - exact.x) <= run.error_bound[1] + 1e-12)
    assert "3 times each from 0 to 3" in repr(run)
    run.save(tmp_path / "run.nc")
    copy = dn.Trajectory.load(tmp_path / "run.nc")
    assert np.array_equal(copy.t, save) and np.array_equal(copy.x, run.x)
    assert np.array_equal(copy.error_bound, run.error_bound)
    data = run.to_xarray()
    assert data.dims == ("trajectory", "position", "state") and np.array_equal(data.coords["time"], save)
    between = run.at([0.5, 1.5, 2.0])
    assert np.array_equal(between[1, 0], run.x[1, 0]) and np.array_equal(between[0, 2], run.x[0, 2])
    lone = dn.Trajectory(save[1], run.x[1], status=run.status[1], t_stop=3.0, labels=run.labels, model=net)
    assert np.array_equal(lone.at([0.5, 1.5]), between[1, :2])
    with pytest.raises(ArgumentError, match="between 0.5 and 2"):
        run.at(0.2)
    with pytest.raises(ArgumentError, match="different save times"):
        run.distance()
    assert np.all(run.distance(to=run) == 0)


def test_a_plot_draws_each_over_its_own_times():
    from matplotlib.figure import Figure

    run = dn.simulate(LORENZ, X0[:2], 1.0, save=SAVE[:2])
    ax = run.plot(Figure().add_subplot(), states=["y"])
    assert [np.array_equal(line.get_xdata(), t) for line, t in zip(ax.lines, SAVE, strict=False)] == [True, True]


@pytest.mark.parametrize(
    ("save", "word"),
    [
        (SAVE[:5], "save with a batch of 5"),
        (SAVE[:, ::-1], "times in order between 0 and 1"),
        (SAVE + 0.5, "times in order between 0 and 1"),
        (SAVE[None], "times in order"),
        (np.where(SAVE > 0.9, np.nan, SAVE), "times in order"),
        ([[0.1, 0.2], [0.3]], "times"),
    ],
)
def test_times_that_cannot_be_used(save, word):
    with pytest.raises(ArgumentError, match=word):
        dn.simulate(LORENZ, X0, 1.0, save=save)
