"""Running a scenario: certify, find the equilibrium, simulate, draw; then write one folder whose files are whole.

Nothing is written before everything is computed. Then the files go to a hidden folder beside the goal and are moved one by
one with :func:`os.replace`, ``report.json`` last. A run that is stopped leaves either the old file or the new one, never half
of one, and no report for a mixture.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import tempfile
import threading
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .. import __version__
from ..engine import ahead
from ..errors import ArgumentError, ScenarioError
from ..figures.canvas import preload
from . import measure, training
from .report import Report

__all__ = ["digest", "run"]

PACKAGES = ("numpy", "scipy", "numba", "networkx")


def run(scenario, out, progress):
    """Run a scenario; see :meth:`dynet.Scenario.run`."""
    clock = _Clock(progress)
    folder = None if out is None else _goal(Path(out), scenario.name)
    with clock("build"):
        built = scenario.build()
        resolved = scenario.resolved()
        inputs = scenario.inputs(built)
    tables, where = resolved.tables, scenario.where
    study = certificate = equilibrium = trajectory = None
    if tables.network:
        with clock("train") as watch:
            study = training.run(built, watch)
        numbers = dict(study.numbers)
    else:
        with contextlib.nullcontext() if tables.simulate is None else ahead.compiling_driver():
            certificate, equilibrium, trajectory = _solve(built, tables, where, clock)
        numbers = measure.numbers(built.model, trajectory, certificate, equilibrium)
    figures = {}
    with clock("figures"):
        for index, table in enumerate(tables.figure):
            with _blame(where, ("figure", index)):
                figures[_figure_name(table["kind"], figures)] = _draw(
                    table, trajectory, certificate, built.model, study
                )

    def report(files=()):
        numbers["seconds"] = clock.stop()
        checks = measure.expectations(tables.expect, numbers)
        return Report(resolved, trajectory, certificate, equilibrium, numbers, checks, clock.seconds, versions(),
                      digest(resolved, inputs), folder, files, study, getattr(built, "notes", ""))  # fmt: skip

    if folder is None:
        return report()
    with _stage(folder) as stage:
        with clock("write"):
            _write(stage, resolved, inputs, trajectory, certificate, figures)
            if study is not None:
                training.write(stage, study)
        names = sorted(path.relative_to(stage).as_posix() for path in stage.rglob("*") if path.is_file())
        final = report((*names, "report.json"))
        (stage / "report.json").write_text(final.to_json() + "\n", encoding="utf-8")
        _move(stage, folder, final.files)
    return final


def _solve(built, tables, where, clock):
    """The certificate, the equilibrium and the trajectory, as far as the scenario asks for them."""
    certificate = equilibrium = trajectory = None
    if tables.certify is not None:
        from ..certify import certify

        with clock("certify"), _blame(where, ("certify",)):
            certificate = certify(built.model, built.norm, **built.certify)
    if tables.equilibrium is not None:
        from ..equilibrium import equilibrium as solve

        tol, method = tables.equilibrium.tol, tables.equilibrium.method
        with clock("equilibrium"), _blame(where, ("equilibrium",)):
            equilibrium = solve(built.model, u=built.u, tol=tol, method=method, certificate=certificate)
    if tables.simulate is not None:
        if ahead.helpers and tables.figure:  # a first run waits for another process soon: time to load what draws
            threading.Thread(target=preload, daemon=True).start()
        with clock("simulate") as watch, _blame(where, ("simulate",)):
            trajectory = _simulate(built, tables.simulate, watch)
    return certificate, equilibrium, trajectory


class _Clock:
    """Wall times of the stages, and what the caller's progress function hears."""

    def __init__(self, progress):
        self.seconds, self.progress, self.start = {}, progress, time.perf_counter()

    @contextlib.contextmanager
    def __call__(self, stage):
        if self.progress is not None:
            self.progress(stage, 0.0)
        start = time.perf_counter()
        yield None if self.progress is None else lambda fraction: self.progress(stage, fraction)
        self.seconds[stage] = time.perf_counter() - start

    def stop(self):
        """The total."""
        self.seconds["total"] = time.perf_counter() - self.start
        return self.seconds["total"]


@contextlib.contextmanager
def _blame(where, path):
    """What a library function refuses is a key of the scenario."""
    try:
        yield
    except ArgumentError as error:
        where.wrap(path, error)


def _simulate(built, settings, progress):
    from ..simulate import simulate

    return simulate(
        built.model, built.x0, settings.t, u=built.u, method=settings.method, rtol=settings.rtol, atol=settings.atol,
        dt=settings.dt, save=settings.save, max_steps=settings.max_steps, progress=progress,
        device=settings.device, precision=settings.precision,
    )  # fmt: skip


def _figure_name(kind, taken):
    number = 1 + sum(name == kind or name.startswith(f"{kind}-") for name in taken)
    return kind if number == 1 else f"{kind}-{number}"


def _draw(table, trajectory, certificate, model, study):
    from ..figures import draw

    options = {k: v for k, v in table.items() if k != "kind"}
    subjects = dict(trajectory=trajectory, certificate=certificate, model=model) if study is None else dict(study=study)
    return draw(table["kind"], **subjects, **options)


def _write(stage, resolved, inputs, trajectory, certificate, figures):
    """Every file but the report, into the hidden folder."""
    (stage / "scenario.toml").write_text(resolved.to_toml(), encoding="utf-8")
    for name, content in inputs.items():
        (stage / name).parent.mkdir(exist_ok=True)
        (stage / name).write_bytes(content)
    if certificate is not None:
        (stage / "certificate.json").write_text(certificate.to_json() + "\n", encoding="utf-8")
    if trajectory is not None:
        trajectory.save(stage / "trajectory.nc")
    if figures:
        from ..figures import save

        for name, figure in figures.items():
            save(figure, stage / "figures" / name)


def _goal(out, name):
    """The folder that the files of a run go to; refused at once where it cannot be written."""
    folder = out / name
    for place in (folder, *folder.parents):
        if place.exists():
            if not place.is_dir():
                raise ScenarioError(f"{folder}: expected a folder to write to, and {place} is a file")
            if not os.access(place, os.W_OK):
                raise ScenarioError(f"{folder}: expected a folder to write to, and {place} may not be changed")
            break
    return folder


@contextlib.contextmanager
def _stage(folder):
    """A hidden folder beside the goal; it never stays, and neither do empty parents when writing fails."""
    made = [place for place in folder.parents if not place.exists()]
    stage = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
        yield stage
    except OSError as error:
        raise ScenarioError(f"{folder}: cannot be written: {error.strerror or error}") from None
    finally:
        if stage is not None:
            shutil.rmtree(stage, ignore_errors=True)
        for place in made:
            with contextlib.suppress(OSError):
                place.rmdir()  # only where it is empty


def _move(stage, folder, files):
    """Move the files to their places; what an earlier run left and this one does not have goes."""
    report = folder / "report.json"
    old = _listed(folder)
    report.unlink(missing_ok=True)
    for name in files:  # report.json is the last
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(stage / name, folder / name)
    for name in old - set(files):
        (folder / name).unlink(missing_ok=True)


def _listed(folder):
    from .report import read

    try:
        files = read(folder)["files"]
    except (ArgumentError, KeyError):
        return set()
    return {
        name for name in files if isinstance(name, str) and (folder / name).resolve().is_relative_to(folder.resolve())
    }


def digest(resolved, inputs):
    """What decides a run's numbers: the resolved scenario, the files that it reads, dynet's version."""
    h = hashlib.sha256(f"{__version__}\n{resolved.to_toml()}".encode())
    for name in sorted(inputs):
        h.update(name.encode() + b"\0" + hashlib.sha256(inputs[name]).digest())
    return h.hexdigest()


def versions():
    """Versions of dynet and of what its numbers depend on."""
    found = {"dynet": __version__, "python": platform.python_version(), "machine": platform.machine()}
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
