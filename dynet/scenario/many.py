"""Several scenarios: one after another, on several processes of this machine, or on a dask cluster.

A worker gets the name of a file and the changes to it, never an object, and returns plain values. Outcomes come in the order
of the files, each as soon as it and those before it are there; a scenario that fails takes no other down.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import multiprocessing
import os
import signal

from ..errors import ArgumentError, DynetError, MissingExtraError
from .scenario import Scenario
from .toml import parse_value

__all__ = ["data_folder", "load", "outcomes"]


def load(file, changes=()):
    """A scenario file with the changes of ``--set``, such as ``model.weight=0.2``."""
    scenario = Scenario.load(file)
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals or not key.strip():
            raise ArgumentError("--set", change, "key=value, such as model.weight=0.2")
        scenario = scenario.replace(key.strip(), parse_value(value.strip()))
    return scenario


def outcomes(todo, out, changes=(), workers=1, dask=None, progress=None):
    """Run scenarios and yield what became of each.

    Parameters
    ----------
    todo : list of (Scenario, Path)
    out : Path
        See :meth:`dynet.Scenario.run`.
    changes : sequence of str
        What :func:`load` took besides the file.
    workers : int
        Processes of this machine.
    dask : str, optional
        The address of a dask scheduler whose workers see the same files; instead of `workers`.
    progress : callable, optional
        A scenario's name -> a context manager that gives its progress function. Not used by workers.

    Yields
    ------
    dict
        ``text``, ``data`` and ``folder`` of a report; or ``error``, a text.
    """
    if dask is None and (workers == 1 or len(todo) < 2):
        for scenario, _ in todo:
            with contextlib.nullcontext() if progress is None else progress(scenario.name) as report:
                outcome = _run(scenario, out, report)
            yield outcome
        return
    with _local(min(workers, len(todo))) if dask is None else _cluster(dask) as pool:
        # a worker of a cluster may stand in another folder
        tasks = [(file, out) if dask is None else (file.resolve(), out.resolve()) for _, file in todo]
        with _deaf() if dask is None else contextlib.nullcontext():
            futures = [pool.submit(_work, file, to, tuple(changes)) for file, to in tasks]
        try:
            for future, (scenario, _) in zip(futures, todo, strict=True):
                try:
                    yield future.result()
                except concurrent.futures.BrokenExecutor:
                    yield {"error": f"{scenario.name}: its process was ended from outside; was the memory enough?"}
        except BaseException:  # such as an interrupt: what has not begun does not begin, what runs here ends
            for future in futures:
                future.cancel()
            for child in multiprocessing.active_children():
                child.terminate()
            raise


@contextlib.contextmanager
def data_folder(folder):
    """The folder of data sets, also for the processes that are started meanwhile."""
    before = os.environ.get("DYNET_DATA")
    if folder is not None:
        os.environ["DYNET_DATA"] = str(folder)
    try:
        yield
    finally:
        if folder is not None:
            os.environ.pop("DYNET_DATA")
            if before is not None:
                os.environ["DYNET_DATA"] = before


def _work(file, out, changes):
    return _run(load(file, changes), out, None)


def _run(scenario, out, progress):
    try:
        report = scenario.run(out, progress=progress)
    except DynetError as error:
        return {"error": str(error)}
    return {"text": str(report), "data": report.to_dict(), "folder": str(report.folder)}


def _local(workers):
    spawn = multiprocessing.get_context("spawn")  # a forked child would share the threads of the compiled code
    return concurrent.futures.ProcessPoolExecutor(workers, mp_context=spawn)


@contextlib.contextmanager
def _deaf():
    """Processes that are started here ignore Ctrl-C; the one who started them answers, and ends them."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _cluster(address):
    try:
        from dask.distributed import Client
    except ImportError:
        raise MissingExtraError("--dask", "dask") from None
    try:
        return Client(address, timeout=10)
    except (OSError, ValueError) as error:
        text = " ".join(str(error).split())
        raise ArgumentError("--dask", address, f"the address of a running dask scheduler ({text})") from None
