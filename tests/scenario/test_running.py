"""One folder of whole files, or none: replacement, failure, and what a killed run leaves."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from scenario_files import SMALL, blow_up, drop, write

import dynet as dn
from dynet.errors import ScenarioError, Status
from dynet.scenario import running

FIGURES = (
    SMALL
    + '\n[[figure]]\nkind = "decay"\n\n[[figure]]\nkind = "decay"\npairs = 1\n\n[[figure]]\nkind = "trajectories"\n'
)


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_the_files_of_a_run(tmp_path):
    report = dn.Scenario.load(write(tmp_path, FIGURES)).run(out=tmp_path / "runs")
    folder = tmp_path / "runs" / "small"
    drawn = [f"figures/{name}.{end}" for name in ("decay-2", "decay", "trajectories") for end in ("png", "svg")]
    assert names(folder) == sorted([*drawn, "certificate.json", "report.json", "scenario.toml", "trajectory.nc"])
    assert sorted(report.files) == names(folder) and report.folder == folder
    assert names(tmp_path / "runs") == [f"small/{name}" for name in names(folder)]  # no temporary file stays
    data = json.loads((folder / "report.json").read_text())
    assert data["passed"] and data["seed"] == 3 and data["versions"]["numpy"] == np.__version__
    assert set(data["seconds"]) == {"build", "certify", "equilibrium", "simulate", "figures", "write", "total"}
    kept = dn.Trajectory.load(folder / "trajectory.nc")
    assert (kept.x == report.trajectory.x).all() and kept.labels == ("a", "b", "c")
    assert dn.Certificate.from_json((folder / "certificate.json").read_text()) == report.certificate


def test_only_what_was_asked_for(tmp_path):
    text = drop("simulate", "equilibrium")
    report = dn.Scenario.load(write(tmp_path, text)).run(out=tmp_path)
    assert names(report.folder) == ["certificate.json", "report.json", "scenario.toml"]
    text = drop("certify", "equilibrium", "expect")
    assert names(dn.Scenario.load(write(tmp_path, text)).run(out=tmp_path / "b").folder) == [
        "report.json", "scenario.toml", "trajectory.nc"
    ]  # fmt: skip


def test_a_new_run_replaces_the_files_of_the_old_one_and_nothing_else(tmp_path):
    first = dn.Scenario.load(write(tmp_path, FIGURES)).run(out=tmp_path / "runs")
    (first.folder / "notes.txt").write_text("mine")
    second = dn.Scenario.load(write(tmp_path, drop("simulate"))).run(out=tmp_path / "runs")
    assert names(second.folder) == ["certificate.json", "notes.txt", "report.json", "scenario.toml"]
    assert json.loads((second.folder / "report.json").read_text())["digest"] == second.digest


@pytest.mark.parametrize("stage", ["certify", "simulate", "save"])
def test_an_older_run_survives_one_that_fails(stage, tmp_path, monkeypatch):
    scenario = dn.Scenario.load(write(tmp_path))
    folder = scenario.run(out=tmp_path / "runs").folder
    before = {name: (folder / name).read_bytes() for name in names(folder)}

    def fail(*_, **__):
        raise KeyboardInterrupt

    owner, name = {
        "certify": (sys.modules["dynet.certify"], "certify"),
        "simulate": (running, "_simulate"),
        "save": (dn.Trajectory, "save"),
    }[stage]
    monkeypatch.setattr(owner, name, fail)
    with pytest.raises(KeyboardInterrupt):
        scenario.replace("seed", 9).run(out=tmp_path / "runs")
    assert {name: (folder / name).read_bytes() for name in names(folder)} == before
    assert names(tmp_path / "runs") == [f"small/{name}" for name in before]
    with pytest.raises(KeyboardInterrupt):
        scenario.run(out=tmp_path / "new" / "place")
    assert not (tmp_path / "new").exists()


def test_the_report_is_the_last_file_and_none_stands_beside_a_mixture(tmp_path, monkeypatch):
    scenario = dn.Scenario.load(write(tmp_path))
    folder = scenario.run(out=tmp_path / "runs").folder
    replace, moved = os.replace, []

    def stop(source, goal):
        if len(moved) == 2:
            raise KeyboardInterrupt
        if str(goal).startswith(str(folder)):
            moved.append(goal.name)
        replace(source, goal)

    monkeypatch.setattr(running.os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        scenario.replace("seed", 9).run(out=tmp_path / "runs")
    assert moved == ["certificate.json", "scenario.toml"] and not (folder / "report.json").exists()
    assert names(tmp_path / "runs") == [f"small/{n}" for n in ("certificate.json", "scenario.toml", "trajectory.nc")]


@pytest.mark.parametrize("place", ["runs", "runs/small"])
def test_a_file_in_the_way(place, tmp_path):
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text("mine")
    with pytest.raises(ScenarioError, match=f"expected a folder to write to, and .*{place} is a file"):
        dn.Scenario.load(write(tmp_path)).run(out=tmp_path / "runs")
    assert (tmp_path / place).read_text() == "mine"


def test_a_disk_that_is_full(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dynet.trajectory.Trajectory.save", full)
    with pytest.raises(ScenarioError, match="small: cannot be written: No space left on device"):
        dn.Scenario.load(write(tmp_path)).run(out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_run_that_blows_up_leaves_its_batch_untouched(tmp_path):
    scenario = dn.Scenario.load(blow_up(tmp_path))
    report = scenario.run(out=tmp_path / "runs")
    run = report.trajectory
    assert run.status == (Status.OK, Status.NONFINITE, Status.OK)
    alone = scenario.replace("simulate.x0", [[0.5], [-1.0]]).run(out=None).trajectory
    assert (run.x[[0, 2]] == alone.x).all()
    data = json.loads((report.folder / "report.json").read_text())
    [bad] = data["trajectories"]["failed"]
    assert data["numbers"]["failed"] == 1 and data["trajectories"]["statuses"] == {"ok": 2, "nonfinite": 1}
    assert bad["trajectory"] == 1 and bad["t"] == pytest.approx(np.log(2.0), abs=1e-3) and "shorten" in bad["remedy"]
    assert "number 1: nonfinite at t = 0.693" in str(report) and "shorten the time span" in str(report)


def test_two_names_of_figures():
    assert running._figure_name("decay", {}) == "decay"
    assert running._figure_name("decay", {"decay": 1, "decay-2": 1}) == "decay-3"


SLOW = """\
import dynet as dn

@dn.vector_field(n=1)
def slow(t, x, p, dx):
    dx[0] = -x[0]
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a signal that cannot be caught")
def test_a_killed_run_leaves_nothing_half_written(tmp_path):
    (tmp_path / "slow.py").write_text(SLOW)
    endless = '[model]\nfunction = "slow.py:slow"\n\n[simulate]\nt = 1e6\ndt = 1e-6\nmethod = "rk4"\nx0 = 1.0\n'
    write(tmp_path, endless, "slow.toml")
    mark = (
        "import pathlib, dynet.scenario.running as running\nsimulate = running._simulate\n"
        "def begun(*arguments):\n    pathlib.Path('begun').touch()\n    return simulate(*arguments)\n"
        "running._simulate = begun\nfrom dynet.cli import main\nmain(['run', 'slow.toml'])\n"
    )
    process = subprocess.Popen([sys.executable, "-c", mark], cwd=tmp_path, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not (tmp_path / "begun").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.2)
    alive = process.poll() is None
    process.kill()
    process.communicate()
    assert alive and (tmp_path / "begun").exists(), "it should have been killed while it simulated"
    assert not (tmp_path / "runs").exists()
