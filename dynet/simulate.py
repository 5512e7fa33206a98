"""Simulation: one function from a model, initial states and times to a trajectory.

The method is an argument, as are the tolerances and the input. Everything is checked before anything is compiled.
"""

from __future__ import annotations

import os
import time

import numpy as np

from .arguments import LEAST_RTOL, METHODS, check_positive, check_precision, chosen_method, lane_data, save_times
from .engine import cuda, methods
from .engine.checkpoint import Checkpoint
from .engine.interpolant import Interpolant
from .engine.progress import watched
from .errors import ArgumentError, Shown, Status
from .fields import watch
from .fields.base import VectorField, describe
from .maps import iterate
from .models.opinion import DiscreteMap
from .trajectory import Trajectory, happened

__all__ = ["simulate", "METHODS"]


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
    dense=False,
    events=None,
    summary=None,
    callback=None,
    checkpoint=None,
    executor=None,
    threads=None,
    progress=None,
    certificate=None,
    device="cpu",
    precision=None,
):
    r"""Integrate :math:`\dot x = f(t, x, u(t), p)` from one or many initial states; a map is iterated, t counts its steps.

    Parameters
    ----------
    model : VectorField
    x0 : array_like, shape (n,) or (batch, n)
        Initial state(s). With `params` or `u` of a batch, one state may serve all.
    t : float, (t0, t1) or array_like, shape (k,)
        The end (from 0), the two ends, or three or more save times of which the first is the start; backward in time where
        they decrease.
    u : float, array_like (inputs,), array_like (batch, inputs) or Signal, optional
        The input; the model's own by default. Two dimensions give each trajectory a constant input of its own.
    params : dict, optional
        Parameter name -> number, or array whose leading axis is the batch. Compiles nothing.
    method : str
        Explicit Runge-Kutta methods with a step of their own for every trajectory: ``"dopri5"``, ``"tsit5"`` (order 5),
        ``"vern7"``, ``"dop853"`` (7 and 8, for tight tolerances), ``"bs32"``, ``"heun"`` (3 and 2, for loose ones). With
        `dt` these take fixed steps, as do ``"rk4"`` and ``"euler"``. For stiff models ``"rodas5p"`` (Rosenbrock, few
        states), ``"bdf"`` (orders 1 to 5, many states) and ``"bdf_krylov"`` (without a matrix); ``"implicit_euler"`` with
        `dt`, which contracts in every norm in which the model does. ``"auto"`` chooses: rk4 where `dt` is given, dopri5,
        or vern7 below rtol 1e-8; a trajectory that is found to be stiff is given to a stiff method. ``.stats["why"]`` says
        what was chosen.
    rtol, atol : float
        Relative and absolute tolerance of one adaptive step, in the units of x.
    dt : float, optional
        Step of a fixed-step method, in the unit of t.
    save : int, "last" or array_like, shape (k,) or (batch, k), optional
        How many evenly spaced save times (101 by default), the last only, or the times themselves, for all trajectories or
        for each of them.
    max_steps : int
        Attempted steps per trajectory before it gets the status ``max_steps``.
    dense : bool
        Keep the solver's own polynomials of every step, for :meth:`Trajectory.at`.
    events : Event, function, or list of these, optional
        ``g(t, x, p)`` whose changes of sign are found between the steps; see :class:`dynet.Event`. ``.events`` has them.
    summary : sequence of str, or dict, optional
        Gather ``"last"``, ``"min"``, ``"max"``, ``"mean"`` or ``"integral"`` (over the time) of the states at the save times
        instead of storing them. A dict name -> ``(word, what)`` gathers the value of a function ``g(t, x, p)``, or the
        Euclidean distance from a reference trajectory, shape (n,) or (k, n). ``.summary`` has the arrays.
    callback : callable, optional
        ``callback(t, x)`` after every step (for a batch ``callback(which, t, x)``, of those under way); the run stops when it
        returns True.
    checkpoint : path, optional
        Store the run there every minute. Where the file exists the run goes on from it, with the same bits.
    executor : str, optional
        ``"block"``; or ``"fused"``, which compiles whole steps of this model, and is chosen where that pays.
    threads : int, optional
        Threads over which a batch is spread; by default one for small work and all cores for large.
    progress : callable or True, optional
        Called a few times a second with the fraction that is done, a float with an attribute ``left``: the seconds that
        the rest will take. True prints it.
    certificate : Certificate, optional
        What :func:`dynet.certify` said of this model. The trajectory then has an ``error_bound``: how far each saved state
        may be from the true solution, in the certificate's norm; see :class:`Trajectory`.
    device : str
        ``"cpu"``, or ``"cuda"`` for a GPU (the extra ``cuda``): Lur'e fields with a fixed step, functions of at most 24 states
        with or without one, networks with a fixed step. A result of a GPU is never certified.
    precision : str, optional
        ``"float64"``, the default of the host, or ``"float32"``: there for the explicit methods with save times, with states of
        half the size and, for large dense networks, nearly twice the speed; times stay in double precision. On ``"cuda"``
        ``"float32"`` is the default, and Lur'e fields of at most 128 states have ``"tf32"`` and ``"bf16"``, whose products keep
        11 and 8 bits.

    Returns
    -------
    Trajectory
        A trajectory that fails has a status that says when and what to try; it leaves the rest of its batch untouched.

    Raises
    ------
    ArgumentError
        For arguments that cannot be used, before anything is compiled.
    DeviceError
        Where ``device="cuda"`` lacks its software, a device, or memory; the message says what to do.

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
    if isinstance(model, DiscreteMap):
        asked = dict(u=u, params=params, dt=dt, dense=dense or None, events=events, summary=summary, callback=callback)
        more = dict(checkpoint=checkpoint, executor=executor, certificate=certificate, precision=precision)
        more["device"] = None if device == "cpu" else device
        return iterate(model, x0, t, save, method=None if method == "auto" else method, **asked, **more)
    if not isinstance(model, VectorField):
        raise ArgumentError("model", model, "a model: dn.models.*, or a function under @dn.vector_field")
    x0 = model.check_state(x0, "x0")
    if x0.ndim > 2 or x0.size == 0:
        raise ArgumentError("x0", describe(x0), f"shape ({model.n},) or (batch, {model.n})")
    if not np.isfinite(x0).all():
        row = np.argwhere(~np.isfinite(x0))[0]
        raise ArgumentError(f"x0[{', '.join(map(str, row))}]", float(x0[tuple(row)]), "finite initial states")
    t0, t1, times = save_times(t, save)
    name, why = chosen_method(method, dt, rtol)
    if device == "cpu":
        check_precision(precision, name, rtol, {
            "dense": dense, "events": events, "summary": summary, "callback": callback, "checkpoint": checkpoint,
            "executor": executor if executor != "block" else None, "certificate": certificate,
        })  # fmt: skip
    check_positive("rtol", rtol, least=LEAST_RTOL)
    check_positive("atol", atol)
    if dt is not None:
        check_positive("dt", dt)
    if not isinstance(max_steps, (int, np.integer)) or isinstance(max_steps, bool) or max_steps < 1:
        raise ArgumentError("max_steps", max_steps, "a positive integer")
    if certificate is not None:
        from .certify import bounding  # a fifth of a second, for those who need it

        bounding.check_certificate(certificate, model, params, u)
        if summary is not None or t1 < t0:
            raise ArgumentError(
                "certificate", Shown("given"), "None: error bounds are of states that are saved, forward in time"
            )
    p, batch, signal = lane_data(model, x0, params, u, times)
    single = batch is None
    y0 = np.array(np.broadcast_to(np.atleast_2d(x0), (batch or 1, model.n)), order="C")
    p = np.array(np.broadcast_to(np.atleast_2d(p), (y0.shape[0], p.shape[-1])), order="C")
    on_cuda = cuda.wanted(
        device, None if device == "cpu" else precision, dense=dense, events=events, callback=callback,
        checkpoint=checkpoint, executor=executor, certificate=certificate,
    )  # fmt: skip
    if on_cuda and dt is not None and save is None and np.size(t) < 3:
        times = cuda.step_ends(t0, t1, dt)
    if on_cuda and times.ndim == 2:
        raise ArgumentError("save", describe(times), "save times for all trajectories: device='cuda' has no others")
    options = _options(model, name, executor, dense, events, summary, callback, checkpoint, single)
    wanted = watch.quantities_of(summary, model.n, times.shape[-1]) if summary is not None else ()
    happenings = watch.events_of(events)
    if threads is None:
        threads = (os.cpu_count() or 1) if y0.size > 20_000 else 1

    started, places = time.perf_counter(), ()
    if happenings:
        options["events"] = watch.compiled_events(model, happenings, t0, y0[0])
    if wanted:
        options["summary"], places = watch.compiled_summary(model, wanted, t0, y0[0], times.shape[-1])
    if not on_cuda:
        precision = precision or "float64"
        model.block(signal, precision=precision)  # compiled, and kept in the code store
    compiled = time.perf_counter()
    monitor = np.zeros(2)
    task = methods.Task(
        model, signal, name, y0, p, t0, t1, times, float(rtol), float(atol), dt, int(max_steps), threads, monitor, options,
        precision,
    )  # fmt: skip
    work = (lambda: methods.run(task)) if method != "auto" else (lambda: _run_auto(task))
    if on_cuda:
        launch = cuda.prepare(task, precision)  # everything is checked; now it runs
        work = launch if method != "auto" else (lambda: (launch(), None))
    solution = work() if progress is None else watched(work, monitor, progress)
    finished = time.perf_counter()
    solution, change = solution if method == "auto" else (solution, None)

    words = {int(s): Status(int(s)) for s in np.unique(solution.status)}
    status = tuple(map(words.__getitem__, solution.status.tolist()))
    stats = {
        "method": name if change is None else change[0],
        "why": why if change is None else change[1],
        "executor": solution.executor,
        "precision": precision,
        "rtol": rtol,
        "atol": atol,
        "dt": dt,
        "accepted": int(solution.accepted.sum()),
        "rejected": int(solution.rejected.sum()),
        "least_steps": int(solution.accepted.min()),
        "most_steps": int(solution.accepted.max()),
        "mean_step": float(np.abs(solution.t_stop - t0).sum() / max(1, solution.accepted.sum())),
        "stiff": _share(solution.probes),
        "jacobian": solution.jacobian,
        "threads": threads,
        "model_seconds": compiled - started,
        "solve_seconds": finished - compiled,
    }
    x = solution.x
    if wanted:
        span, times, x = _span(times, t0, t1), times[..., -1:], solution.summary[:, None, 0, : model.n]
    found = {place[0]: _gathered(solution.summary, place, span) for place in places}
    steps = Interpolant(*solution.steps, y0.shape[0], (t0, t1)) if dense else None
    bound = {}
    if certificate is not None:
        radius, word, why = bounding.error_bounds(certificate, model, t0, y0, times, solution.x, signal, p, rtol)
        stats["error"] = word if not why else f"{word}: {why}"
        bound = {"error_bound": radius[0] if single else radius, "error_status": word}
    return Trajectory(
        times,
        x[0] if single else x,
        status=status[0] if single else status,
        t_stop=float(solution.t_stop[0]) if single else solution.t_stop,
        labels=model.labels,
        stats=stats,
        model=model,
        steps=steps,
        events=happened(happenings, solution.hits, y0.shape[0], single) if happenings else {},
        summary={key: value[0] if single else value for key, value in found.items()},
        **bound,
    )


def _share(probes):
    """Of the steps that were probed, the share in which stability was the limit."""
    return None if probes is None or not probes[:, 0].any() else float(probes[:, 1].sum() / probes[:, 0].sum())


def _gathered(sums, place, span):
    _, row, columns, divide = place
    value = sums[:, row, columns]
    return (value.T / span).T if divide else value


def _span(times, t0, t1):
    """Between the first and the last save time, for each trajectory or for all."""
    span = np.abs(times[..., -1] - times[..., 0])
    return np.where(span > 0, span, abs(t1 - t0))


def _options(model, name, executor, dense, events, summary, callback, checkpoint, single):
    """What the runner is told beyond the equation and the tolerances."""
    options = {}
    known = methods.METHODS[name]
    if executor not in (None, "block", "fused"):
        raise ArgumentError("executor", executor, "an executor", choices=("block", "fused"))
    noting = {"dense": dense, "events": events, "callback": callback}
    if dense:
        options["dense"] = True
    if callback is not None:
        if not callable(callback):
            raise ArgumentError("callback", callback, "a function callback(t, x)")
        options["callback"] = (
            (lambda who, t, x: callback(float(t[0]), x[0]) if len(t) else None) if single else callback
        )
    if checkpoint is not None:
        if dense or events or callback:
            raise ArgumentError("checkpoint", str(checkpoint), "None, together with dense, events or callback")
        options["checkpoint"] = Checkpoint(checkpoint)
    watching = any(bool(value) for value in noting.values()) or checkpoint is not None
    if known.kind == "explicit" and executor != "block" and not watching:
        options["scalars"] = model.scalars  # asked for where it pays: it takes longer than a short run
    if executor == "fused" and ("scalars" not in options or not model.scalars()):
        reason = "dense, events, callback or checkpoint are given" if watching else f"{model} has no such form"
        raise ArgumentError("executor", executor, f"'block' or None, because {reason}")
    if executor is not None:
        options["executor"] = executor
    return options


def _run_auto(task):
    """Run, and give what is stiff to a stiff method: the solution, and (method, why) where it is not the one planned."""
    watching = set(task.options) - {"scalars", "executor"}
    if task.dt is not None or "checkpoint" in watching or task.precision != "float64":
        return methods.run(task), None
    solution = methods.run(task._replace(options={**task.options, "halt_if_stiff": True}))
    rows = np.flatnonzero(solution.status == Status.STIFF)
    if rows.size == 0:
        return solution, None
    options = {k: v for k, v in task.options.items() if k not in ("scalars", "executor")}
    name = methods.stiff_method(task.y0.shape[1])
    if options.get("dense") or options.get("events"):
        rows = np.arange(len(task.y0))
    save = task.save if task.save.ndim == 1 else task.save[rows]
    again = methods.run(task._replace(method=name, y0=task.y0[rows], p=task.p[rows], save=save, options=options))
    why = f"{name} for {rows.size} of {len(task.y0)} trajectories, found to be stiff by {task.method}"
    if rows.size == len(task.y0):
        return again, (name, why)
    for old, new in zip(solution, again, strict=True):
        if isinstance(old, np.ndarray) and new is not None and len(old) == len(task.y0):
            old[rows] = new
    return solution._replace(jacobian=again.jacobian), (f"{task.method}, {name}", why)
