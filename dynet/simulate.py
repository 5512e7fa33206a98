"""Simulation: one function from a model, initial states and times to a trajectory.

The method is an argument, as are the tolerances and the input. Everything is checked before anything is compiled.
"""

from __future__ import annotations

import os
import threading
import time

import numpy as np

from .engine import methods
from .errors import ArgumentError, Shown, Status
from .fields.base import VectorField, describe
from .fields.signal import PerLane
from .trajectory import Trajectory

__all__ = ["simulate", "METHODS"]

METHODS = tuple(methods.METHODS)
_LEAST_RTOL = 1e-13  # ten times the rounding of a step's sums: below it an error estimate is noise


def simulate(
    model,
    x0,
    t,
    *,
    u=None,
    params=None,
    method="auto",
    rtol=1e-6,
    atol=1e-9,
    dt=None,
    save=None,
    max_steps=10_000_000,
    threads=None,
    progress=None,
):
    r"""Integrate :math:`\dot x = f(t, x, u(t), p)` from one or many initial states.

    Parameters
    ----------
    model : VectorField
    x0 : array_like, shape (n,) or (batch, n)
        Initial state(s). With `params` or `u` of a batch, one state may serve all.
    t : float, (t0, t1) or array_like, shape (k,)
        The end (from 0), the two ends, or three or more save times of which the first is the start.
    u : float, array_like (inputs,), array_like (batch, inputs) or Signal, optional
        The input; the model's own by default. Two dimensions give each trajectory a constant input of its own.
    params : dict, optional
        Parameter name -> number, or array whose leading axis is the batch. Compiles nothing.
    method : str
        ``"auto"`` (dopri5, or rk4 where `dt` is given), ``"dopri5"`` (Dormand-Prince 5(4), adaptive step) or ``"rk4"``
        (classical, fixed step `dt`).
    rtol, atol : float
        Relative and absolute tolerance of one adaptive step, in the units of x.
    dt : float, optional
        Step of a fixed-step method, in the unit of t.
    save : int, "last" or array_like, optional
        How many evenly spaced save times (101 by default), the last only, or the times themselves.
    max_steps : int
        Attempted steps per trajectory before it gets the status ``max_steps``.
    threads : int, optional
        Threads over which a batch is spread; by default one for small work and all cores for large.
    progress : callable, optional
        Called a few times a second with the fraction that is done.

    Returns
    -------
    Trajectory
        A trajectory that fails has a status that says when and what to try; it leaves the rest of its batch untouched.

    Raises
    ------
    ArgumentError
        For arguments that cannot be used, before anything is compiled.

    References
    ----------
    Hairer, Norsett, Wanner, Solving Ordinary Differential Equations I, 1993.

    Examples
    --------
    >>> import numpy as np, dynet as dn
    >>> net = dn.models.FiringRate(np.array([[0.0, 0.5], [0.5, 0.0]]), input=[1.0, 0.0])
    >>> run = dn.simulate(net, np.zeros((3, 2)), t=5.0, save=11)
    >>> run
    Trajectory(3 trajectories, 11 times from 0 to 5, 2 states, 3 ok)
    """
    if not isinstance(model, VectorField):
        raise ArgumentError("model", model, "a model: dn.models.*, or a function under @dn.vector_field")
    x0 = model.check_state(x0, "x0")
    if x0.ndim > 2 or x0.size == 0:
        raise ArgumentError("x0", describe(x0), f"shape ({model.n},) or (batch, {model.n})")
    if not np.isfinite(x0).all():
        row = np.argwhere(~np.isfinite(x0))[0]
        raise ArgumentError(f"x0[{', '.join(map(str, row))}]", float(x0[tuple(row)]), "finite initial states")
    t0, t1, times = _times(t, save)
    name = _method(method, dt)
    _positive("rtol", rtol, least=_LEAST_RTOL)
    _positive("atol", atol)
    if dt is not None:
        _positive("dt", dt)
    if not isinstance(max_steps, (int, np.integer)) or max_steps < 1:
        raise ArgumentError("max_steps", max_steps, "a positive integer")

    p, batch, signal = _lane_data(model, x0, params, u)
    single = batch is None
    y0 = np.array(np.broadcast_to(np.atleast_2d(x0), (batch or 1, model.n)), order="C")
    p = np.array(np.broadcast_to(np.atleast_2d(p), (y0.shape[0], p.shape[-1])), order="C")
    if threads is None:
        threads = (os.cpu_count() or 1) if y0.size * (t1 - t0 > 0) > 20_000 else 1

    started = time.perf_counter()
    model.block(signal)  # compiled, and kept in the code store
    compiled = time.perf_counter()
    monitor = np.zeros(2)
    task = methods.Task(
        model, signal, name, y0, p, t0, t1, times, float(rtol), float(atol), dt, int(max_steps), threads, monitor, {}
    )  # fmt: skip
    solution = methods.run(task) if progress is None else _watched(lambda: methods.run(task), monitor, progress)
    finished = time.perf_counter()

    status = tuple(Status(int(s)) for s in solution.status)
    stats = {
        "method": name,
        "rtol": rtol,
        "atol": atol,
        "dt": dt,
        "accepted": int(solution.accepted.sum()),
        "rejected": int(solution.rejected.sum()),
        "threads": threads,
        "model_seconds": compiled - started,
        "solve_seconds": finished - compiled,
    }
    if single:
        return Trajectory(
            times,
            solution.x[0],
            status=status[0],
            t_stop=float(solution.t_stop[0]),
            labels=model.labels,
            stats=stats,
            model=model,
        )
    return Trajectory(
        times, solution.x, status=status, t_stop=solution.t_stop, labels=model.labels, stats=stats, model=model
    )


def _times(t, save):
    """Start, end and save times."""
    try:
        given = np.atleast_1d(np.asarray(t, dtype=float))
    except (TypeError, ValueError):
        raise ArgumentError("t", t, "the end, (t0, t1), or save times") from None
    if given.ndim != 1 or given.size == 0 or not np.isfinite(given).all():
        raise ArgumentError("t", t, "finite times: the end, (t0, t1), or save times")
    if given.size == 1:
        given = np.array([0.0, given[0]])
    if np.any(np.diff(given) <= 0):
        raise ArgumentError("t", t, "increasing times" if given.size > 2 else "an end after the start")
    t0, t1 = float(given[0]), float(given[-1])
    if save is None:
        times = given if given.size > 2 else np.linspace(t0, t1, 101)
    elif isinstance(save, str):
        if save != "last":
            raise ArgumentError("save", save, "a number of times, 'last', or the times", choices=["last"])
        times = np.array([t1])
    elif isinstance(save, (int, np.integer)) and not isinstance(save, bool):
        if save < 2:
            raise ArgumentError("save", save, "at least 2 save times, or 'last'")
        times = np.linspace(t0, t1, int(save))
    else:
        times = np.asarray(save, dtype=float)
        if times.ndim != 1 or times.size == 0 or np.any(np.diff(times) <= 0) or times[0] < t0 or times[-1] > t1:
            raise ArgumentError("save", save, f"increasing times between {t0:g} and {t1:g}")
    return t0, t1, np.ascontiguousarray(times)


def _method(method, dt):
    if method == "auto":
        return "dopri5" if dt is None else "rk4"
    if method not in METHODS:
        raise ArgumentError("method", method, "the name of a method", choices=("auto", *METHODS))
    known = methods.METHODS[method]
    if dt is not None and not known.fixed:
        raise ArgumentError("dt", dt, f"None: {method} chooses its own steps; set rtol and atol, or method='rk4'")
    if dt is None and not known.adaptive:
        raise ArgumentError("dt", dt, f"a step: {method} has a fixed step")
    return method


def _positive(name, value, least=0.0):
    try:
        good = np.isfinite(value) and value > 0 and value >= least
    except TypeError:
        good = False
    if not good:
        raise ArgumentError(name, value, f"a number of at least {least:g}" if least else "a positive number")


def _lane_data(model, x0, params, u):
    """The parameter block (npar,) or (batch, npar), the batch (None for a single trajectory), and the signal."""
    sizes = {"x0": x0.shape[0]} if x0.ndim == 2 else {}
    slices = model.parameter_slices()
    base = model.parameter_vector()
    overrides = {}
    for key, value in (params or {}).items():
        if key not in slices:
            where = "" if slices else f"; change one with model.replace({key}=...)"
            raise ArgumentError(
                f"params[{key!r}]",
                value,
                f"a parameter of {model.name} that may differ from trajectory to trajectory{where}",
                choices=slices or None,
                word=key,
            )
        shape = np.shape(model.params[key])
        array = np.asarray(value, dtype=float)
        if array.shape != shape and array.shape[1:] != shape or not np.isfinite(array).all():
            raise ArgumentError(f"params[{key!r}]", describe(array), f"finite, of shape {shape} or (batch, *{shape})")
        if array.shape != shape:
            sizes[f"params[{key!r}]"] = array.shape[0]
        overrides[key] = array
    lanes_u = None
    if u is not None and not hasattr(u, "pack") and np.ndim(u) == 2:
        lanes_u = np.asarray(u, dtype=float)
        if not model.inputs or lanes_u.shape[1] != model.inputs or not np.isfinite(lanes_u).all():
            raise ArgumentError("u", describe(lanes_u), f"finite, of shape (batch, {model.inputs})")
        sizes["u"] = lanes_u.shape[0]
    if len(set(sizes.values())) > 1:
        raise ArgumentError(
            "x0", Shown(", ".join(f"{k} with a batch of {v}" for k, v in sizes.items())), "one batch size"
        )
    batch = next(iter(sizes.values()), None)
    if batch is None:
        for key, array in overrides.items():
            base[slices[key]] = array.ravel()
        return base, None, model.signal(u)
    p = np.tile(base, (batch, 1))
    for key, array in overrides.items():
        p[:, slices[key]] = array.reshape(-1, p[:, slices[key]].shape[1])
    if lanes_u is None:
        return p, batch, model.signal(u)
    return np.hstack([p, lanes_u]), batch, PerLane(model.inputs, p.shape[1])


def _watched(work, monitor, progress):
    """Run in a thread while this one reports progress; Ctrl-C asks the solver to stop and keeps what it has."""
    result = {}

    def run():
        try:
            result["value"] = work()
        except BaseException as error:
            result["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(0.2)
            progress(min(1.0, float(monitor[0])))
    except KeyboardInterrupt:
        monitor[1] = 1.0
        thread.join()
        raise
    if "error" in result:
        raise result["error"]
    progress(float(monitor[0]))
    return result["value"]
