"""The command line: ``dynet run``, ``certify``, ``verify``, ``check``, ``show``, ``new``, ``models``, ``info``, ``figures``.

Results go to standard output, everything that is said to a person meanwhile to standard error. Exit status 0: done, and what
was asked holds; 1: a certificate or an expectation does not hold; 2: wrong input, with one message and nothing written;
130: interrupted. Heavy modules are imported inside the commands, so that ``dynet --help`` answers at once.
"""

from __future__ import annotations

import contextlib
import gc
import json
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter

from . import __version__
from .errors import ArgumentError, CertificateError, DynetError, Shown

__all__ = ["app", "main"]

app = App(
    name="dynet",
    version=__version__,
    help="Simulate dynamical systems and prove that they contract: rate, norm, and a certificate that anyone can check.",
    help_epilogue="Start with: dynet run scenarios/quickstart.toml, or dynet new firing_rate > mine.toml",
    default_parameter=Parameter(negative=(), show_default=False),
    suppress_keyboard_interrupt=False,  # main answers it
)

File = Annotated[Path, Parameter(help="A scenario file (TOML).")]
Files = Annotated[Path, Parameter(help="Scenario files (TOML).")]
Sets = Annotated[
    tuple[str, ...], Parameter(name="--set", help="Change a value, as in --set model.weight=0.2; may be repeated.")
]
Data = Annotated[
    Path | None,
    Parameter(help="The folder of data sets such as MNIST; the environment variable DYNET_DATA by default."),
]
Json = Annotated[bool, Parameter(name="--json", help="Print the result as JSON.")]
Exact = Annotated[bool, Parameter(help="Prove it in exact rational arithmetic (slower).")]
Quiet = Annotated[bool, Parameter(help="Print the folders only.")]
Out = Annotated[Path, Parameter(show_default=True, help="Where the folders of the runs go.")]


def main(arguments=None):
    """Run the command line and return its exit status.

    Parameters
    ----------
    arguments : list of str, optional
        ``sys.argv[1:]`` by default.

    Returns
    -------
    int

    Examples
    --------
    >>> main(["check", "missing.toml"])
    2
    """
    if arguments is None:  # a process of its own: importing makes a million objects and no garbage to look for
        gc.set_threshold(100_000)
    try:
        return app(arguments, exit_on_error=False, print_error=False, result_action="return_value") or 0
    except CycloptsError as error:
        return _complain(f"{' '.join(str(error).split())} (see dynet --help)")
    except DynetError as error:
        return _complain(error)
    except KeyboardInterrupt:
        _say("dynet: interrupted; nothing half-written is left")
        return 130
    except BrokenPipeError:  # the reader of a pipe has gone: not an error
        sys.stdout = None
        return 0


@app.command(usage="Usage: dynet run FILE... [OPTIONS]")
def run(
    *files: Files,
    out: Out = Path("runs"),
    set: Sets = (),
    check: Annotated[bool, Parameter(help="Exit with 1 when an expectation fails.")] = False,
    resume: Annotated[bool, Parameter(help="Skip runs whose report is there, unchanged and passed.")] = False,
    workers: Annotated[int, Parameter(show_default=True, help="How many scenarios run at the same time.")] = 1,
    dask: Annotated[
        str | None, Parameter(help="Run on a dask cluster that sees the same files: tcp://HOST:8786.")
    ] = None,
    device: Annotated[str, Parameter(show_default=True, help="Where to simulate: cpu or cuda.")] = "cpu",
    data: Data = None,
    quiet: Quiet = False,
    json: Json = False,
):
    """Run scenarios: certify, simulate, draw; write one folder for each and print where it is."""
    if device != "cpu":
        set = (*set, _on(device))
    if workers < 1:
        raise ArgumentError("--workers", workers, "at least 1")
    from .scenario.many import data_folder, load, outcomes
    from .scenario.report import read

    scenarios = [load(file, set) for file in _some(files)]
    _distinct(scenarios, files, out)
    with data_folder(data), _ahead(scenarios):
        for scenario in scenarios:
            scenario.build()  # everything is valid before the first run starts
        todo = []
        for scenario, file in zip(scenarios, files, strict=True):
            if resume and _done(scenario, out):
                if not quiet:
                    _say(f"{scenario.name}: done before, unchanged and passed")
                print(_dumps(read(out / scenario.name)) if json else out / scenario.name, flush=True)
            else:
                todo.append((scenario, file))
        failed = wrong = False
        for outcome in outcomes(todo, out, set, workers, dask, lambda name: _progress(name, quiet)):
            if "error" in outcome:
                wrong = bool(_complain(outcome["error"]))
                continue
            if not (quiet or json):
                _say(outcome["text"])
            print(_dumps(outcome["data"]) if json else outcome["folder"], flush=True)
            failed |= not outcome["data"]["passed"]
    return 2 if wrong else int(check and failed)


def _on(device):
    """The change of a scenario that moves its simulation to another device, which is asked whether it is there."""
    from .engine import cuda

    if device != "cuda":
        raise ArgumentError("--device", device, "a device", choices=("cpu", "cuda"))
    cuda.require()
    return f"simulate.device={device}"


def _ahead(scenarios):
    """A context in which, on a machine's first run, another process compiles what a simulation will need."""
    if all(scenario.tables.simulate is None for scenario in scenarios):
        return contextlib.nullcontext()
    from .engine.ahead import compiling_driver

    return compiling_driver()


@app.command(usage="Usage: dynet certify FILE [OPTIONS]")
def certify(file: File, /, *, set: Sets = (), exact: Exact = False, json: Json = False):
    """Certify the model of a scenario and check the proof. Exits with 0 when it is certified, otherwise with 1."""
    from .certify import certify as search
    from .scenario.many import load

    scenario = load(file, set)
    if scenario.tables.network:
        scenario.where.say(
            ("network",), "is nothing that this command certifies: dynet run trains, attacks and certifies it"
        )
    built = scenario.build()
    try:
        found = search(built.model, built.norm, **built.certify)
    except ArgumentError as error:
        scenario.where.wrap(("certify",), error)
    holds = bool(found) and found.check(exact=exact)
    print(found.to_json() if json else f"{found}\n  check   {_checked(found, holds, exact)}")
    return 0 if holds else 1


@app.command(usage="Usage: dynet verify CERTIFICATE [OPTIONS]")
def verify(
    certificate: Annotated[Path, Parameter(help="A certificate (JSON).")],
    /,
    *,
    exact: Exact = False,
    json: Json = False,
):
    """Prove a certificate again from its file alone. Exits with 0: it holds; 1: it does not; 2: the file is unreadable."""
    found = _certificate(certificate)
    parts = found.parts(exact)
    holds = bool(found) and not any(word.startswith("FAILED") for word in parts.values())
    if json:
        rate = found.rate if abs(found.rate) < float("inf") else None  # JSON has no infinity
        norm = None if found.norm is None else str(found.norm)
        data = {
            "file": str(certificate),
            "holds": holds,
            "exact": exact,
            "status": found.status,
            "rate": rate,
            "norm": norm,
            "parts": parts,
        }
        print(_dumps(data))
    else:
        print(f"{found}\n  check   {_checked(found, holds, exact)}")
        print("\n".join(f"    {name:<12} {word}" for name, word in parts.items()))
    return 0 if holds else 1


@app.command(usage="Usage: dynet check FILE... [OPTIONS]")
def check(*files: Files, set: Sets = (), data: Data = None):
    """Check scenario files without running them; a file of a graph or a function is read too."""
    from .scenario.many import data_folder, load

    wrong = 0
    for file in _some(files):
        try:
            with data_folder(data):
                model = load(file, set).build().model
        except DynetError as error:
            wrong = _complain(error)
        else:
            print(f"{file}: ok, {model}")
    return wrong


@app.command(usage="Usage: dynet show RESULT [OPTIONS]")
def show(result: Annotated[Path, Parameter(help="A folder, or a file that a run wrote.")], /, *, json: Json = False):
    """Show a result: the folder of a run, a trajectory (.nc), a certificate or a report (.json)."""
    if result.is_dir() or result.name == "report.json":
        from .scenario.report import read, render

        folder = result if result.is_dir() else result.parent
        report = read(folder)
        print(_dumps(report) if json else render(report, folder))
    elif not result.is_file():
        raise ArgumentError("result", str(result), "an existing file, or the folder of a run")
    elif result.suffix == ".json":
        found = _certificate(result)
        print(found.to_json() if json else found.explain())
    elif result.suffix == ".nc":
        from .trajectory import Trajectory

        _show_trajectory(Trajectory.load(result), json)
    else:
        raise ArgumentError("result", str(result), "the folder of a run, or a file that ends in .nc or .json")


@app.command
def new(kind: Annotated[str, Parameter(help="A word from: dynet models.")], /):
    """Print a commented scenario for a kind of model; it runs as it stands."""
    from .scenario.template import template

    print(template(kind), end="")


@app.command(usage="Usage: dynet models [KIND] [OPTIONS]")
def models(kind: Annotated[str | None, Parameter(help="Explain this one.")] = None, /, *, json: Json = False):
    """List the models, or explain one of them."""
    from .scenario.template import catalogue

    if kind is not None:
        return print(catalogue(kind))
    entries = catalogue()
    if json:
        return print(_dumps(entries))
    wide = max(len(entry["kind"]) for entry in entries)
    for entry in entries:
        print(f"{entry['kind']:<{wide}}  {entry['equation']}\n{'':<{wide}}  {', '.join(entry['parameters'])}")
    print(f"\nYour own: function = {'file.py:name'!r} in [model]. Explain one: dynet models {entries[0]['kind']}")
    print("Networks trained on images: tables [[network]] and [study] instead of [model] (see: dynet new study)")


@app.command
def info(*, json: Json = False):
    """Versions, the folder of compiled code, and what this machine offers."""
    import os

    from .engine.codegen import cache_folder
    from .engine.cuda import devices
    from .scenario.running import versions

    found = {**versions(), "processors": os.cpu_count(), "devices": "; ".join(["cpu", *devices()]),
             "compiled code": str(cache_folder())}  # fmt: skip
    if json:
        print(_dumps(found))
    else:
        print("\n".join(f"{key:<14} {value}" for key, value in found.items()))


@app.command(usage="Usage: dynet figures [FOLDER] [OPTIONS]")
def figures(
    folder: Annotated[Path, Parameter(show_default=True, help="Where the scenario files are.")] = Path(
        "scenarios/figures"
    ),
    /,
    *,
    out: Out = Path("runs"),
    quiet: Quiet = False,
):
    """Run every scenario of a folder and compare with the numbers that it expects."""
    files = sorted(folder.rglob("*.toml")) if folder.is_dir() else []
    if not files:
        raise ArgumentError("folder", str(folder), "a folder that holds scenario files (*.toml)")
    return run(*files, out=out, check=True, quiet=quiet)


def _certificate(path):
    """The certificate in a file."""
    from .certify import Certificate

    try:
        return Certificate.from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CertificateError(f"{path}: expected a certificate file: {error.strerror}") from None
    except (CertificateError, UnicodeDecodeError) as error:
        raise CertificateError(f"{path}: {error}") from None


def _some(files):
    if not files:
        raise ArgumentError("FILE", Shown("nothing"), "at least one scenario file, such as scenarios/quickstart.toml")
    return files


def _distinct(scenarios, files, out):
    """Two scenarios of one name would write to one folder."""
    seen = {}
    for scenario, file in zip(scenarios, files, strict=True):
        if scenario.name in seen:
            raise ArgumentError("FILE", str(file), f"a name of its own: {seen[scenario.name]} writes to "
                                f"{out / scenario.name}/ as well; set name in one of them")  # fmt: skip
        seen[scenario.name] = file


def _done(scenario, out):
    """Whether the folder of a scenario holds a passed report of just this scenario."""
    from .scenario.report import read
    from .scenario.running import digest

    try:
        report = read(out / scenario.name)
    except ArgumentError:
        return False
    complete = all((out / scenario.name / str(name)).is_file() for name in report.get("files", ()))
    same = report.get("digest") == digest(scenario.resolved(), scenario.inputs(scenario.build()))
    return bool(report.get("passed")) and complete and same


@contextlib.contextmanager
def _progress(name, quiet):
    """A progress bar on a terminal, nothing elsewhere; but a run that reports its progress can be interrupted."""
    if quiet or not sys.stderr.isatty():
        yield lambda stage, fraction: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=1.0)
        yield lambda stage, fraction: bar.update(task, description=f"{name}: {stage}", completed=fraction)


def _show_trajectory(run, as_json):
    if as_json:
        import numpy as np

        final = np.where(np.isfinite(run.final), run.final, None).tolist()  # JSON has no nan
        print(_dumps({"t": run.t.tolist(), "labels": run.labels, "final": final, "shape": run.x.shape,
                      "statuses": [s.word for s in run.statuses], "stats": run.stats}))  # fmt: skip
        return
    print(run)
    stats = ", ".join(
        f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in run.stats.items() if v is not None
    )
    print(f"  {stats}")
    first, last = (run.x[..., k, :].reshape(-1, run.n)[0] for k in (0, -1))
    wide = max(5, *(len(label) for label in run.labels[:20]))
    print(f"  {'state':<{wide}} {'first':>12} {'last':>12}" + ("" if run.batch is None else "   (of trajectory 0)"))
    for label, a, b in list(zip(run.labels, first, last, strict=True))[:20]:
        print(f"  {label:<{wide}} {a:>12.6g} {b:>12.6g}")
    if run.n > 20:
        print(f"  ... and {run.n - 20} more states")


def _checked(found, holds, exact):
    how = "exact rational arithmetic" if exact else "floating point with directed rounding"
    if holds:
        return f"passed, in {how}"
    return f"FAILED, in {how}" if found else "nothing to check: it claims no contraction"


def _dumps(value):
    return json.dumps(value, indent=1, default=str)


def _say(text):
    print(text, file=sys.stderr, flush=True)


def _complain(error):
    _say(f"dynet: {error}")
    return 2


if __name__ == "__main__":
    sys.exit(main())
