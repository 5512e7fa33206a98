"""Trajectories: interpolation, distances, files, labels."""

import numpy as np
import pytest

import dynet as dn
from dynet.errors import ArgumentError


@pytest.fixture(scope="module")
def run():
    net = dn.models.FiringRate(np.array([[0.0, 0.5], [-0.5, 0.0]]), input=[1.0, 0.0], labels=["left", "right"])
    return dn.simulate(net, [[0.0, 0.0], [2.0, -1.0], [1.0, 1.0]], t=4.0, save=41, rtol=1e-10, atol=1e-12)


def test_at_save_times_is_exact_and_between_them_of_fourth_order(run):
    assert np.array_equal(run.at(run.t[7]), run.x[:, 7])
    between = run.t[:-1] + 0.05
    fine = dn.simulate(run.model, run.x[:, 0], t=np.concatenate([[0.0], between]), rtol=1e-12, atol=1e-13)
    assert np.abs(run.at(between) - fine.x[:, 1:]).max() < 1e-6
    linear = dn.Trajectory(run.t, run.x, status=run.status, t_stop=run.t_stop, labels=run.labels)
    assert 1e-5 < np.abs(linear.at(between) - fine.x[:, 1:]).max() < 1e-2


def test_distances_between_neighbours_and_to_a_state(run):
    assert np.allclose(run.distance("inf"), np.abs(np.diff(run.x, axis=0)).max(axis=-1))
    assert np.allclose(run.distance(2, to=[0.0, 0.0]), np.linalg.norm(run.x, axis=-1))
    assert np.all(run.distance(to=run) == 0)


def test_to_xarray_names_its_axes(run):
    data = run.to_xarray()
    assert data.dims == ("trajectory", "time", "state")
    assert np.array_equal(data.sel(state="right").values, run.x[..., 1])


def test_a_file_gives_back_every_bit(run, tmp_path):
    for original in (run, dn.simulate(run.model, [0.0, 0.0], 1.0)):
        original.save(tmp_path / "run.nc")
        copy = dn.Trajectory.load(tmp_path / "run.nc")
        assert np.array_equal(copy.x, original.x) and np.array_equal(copy.t, original.t)
        assert copy.status == original.status and copy.labels == original.labels and copy.batch == original.batch
        assert copy.stats["method"] == original.stats["method"]
    assert [p.name for p in tmp_path.iterdir()] == ["run.nc"]


def test_a_failing_write_leaves_nothing(run, tmp_path, monkeypatch):
    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        run.save(tmp_path / "run.nc")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_trajectory_file_is_refused(tmp_path):
    (tmp_path / "text.nc").write_text("hello")
    for name in ("text.nc", "absent.nc"):
        with pytest.raises(ArgumentError, match=name):
            dn.Trajectory.load(tmp_path / name)


@pytest.mark.parametrize("bad", [-1.0, 5.0, [[1.0]], np.nan])
def test_times_outside_are_refused(run, bad):
    with pytest.raises(ArgumentError, match="times between 0 and 4"):
        run.at(bad)


def test_distance_needs_something_to_measure_from(run):
    single = dn.simulate(run.model, [0.0, 0.0], 1.0)
    with pytest.raises(ArgumentError, match="single"):
        single.distance()
    with pytest.raises(ArgumentError, match="save times"):
        run.distance(to=single)
    with pytest.raises(ArgumentError, match="2 states"):
        run.distance(to=[1.0, 2.0, 3.0])


def test_plot_labels_states(run):
    from matplotlib.figure import Figure

    ax = run.plot(Figure().add_subplot(), states=["right"])
    assert ax.get_legend_handles_labels()[1] == ["right"] and len(ax.lines) == 3
    with pytest.raises(ArgumentError, match="did you mean 'right'"):
        run.plot(ax, states=["rihgt"])
