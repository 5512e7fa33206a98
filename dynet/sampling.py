r"""Sample paths of stochastic differential equations: a model, and noise on each of its states."""

from __future__ import annotations

import os
import time

import numpy as np

from .arguments import check_positive, lane_data, save_times
from .engine import sparse, stochastic
from .errors import ArgumentError, Shown, Status
from .fields.base import VectorField, describe
from .fields.function import FunctionField
from .trajectory import Trajectory

__all__ = ["sample_paths"]

_PROBED = 3_000  # states up to which the noise is evaluated for each of them, to see on which it depends


def _amplitude(t, x, p, dx):
    for i in range(len(dx)):
        dx[i] = p.amplitude[i]


def sample_paths(
    model, x0, t, *, noise, dt, paths=None, seed=0, method="auto", u=None, params=None, save=None, threads=None
):
    r"""Sample paths of :math:`dX_i = f_i(t, X)\,dt + g_i(t, X)\,dW_i`, in the sense of Ito.

    Parameters
    ----------
    model : VectorField
        f.
    x0 : array_like, shape (n,) or (batch, n)
        Initial state(s).
    t : float, (t0, t1) or array_like, shape (k,)
        The end (from 0), the two ends, or three or more save times of which the first is the start; increasing.
    noise : float, array_like (n,) or VectorField
        g: an amplitude for all states, one for each, or a field with as many states, in units of x per root of time.
    dt : float
        The largest step; between two save times the steps are equal.
    paths : int, optional
        How many paths from one initial state.
    seed : int
        From 0 to 2**64 - 1. A path is a function of the seed, its position in the batch, and the steps.
    method : str
        ``"milstein"`` (strong order 1; each :math:`g_i` may depend on :math:`x_i` and t only), ``"euler_maruyama"``
        (strong order 1/2), or ``"auto"``: milstein where it is known to fit.
    u, params, save, threads
        As in :func:`dynet.simulate`.

    Returns
    -------
    Trajectory
        A path that leaves the finite numbers has a status that says when.

    Raises
    ------
    ArgumentError
        For arguments that cannot be used, before anything is compiled; for ``method="milstein"`` with noise that depends
        on other states.

    References
    ----------
    Kloeden, Platen, Numerical Solution of Stochastic Differential Equations, 1992.

    Examples
    --------
    >>> import numpy as np, dynet as dn
    >>> @dn.vector_field(n=1)
    ... def decay(t, x, p, dx):
    ...     dx[0] = -x[0]
    >>> run = dn.sample_paths(decay, [0.0], 5.0, noise=0.5, dt=0.01, paths=2000, save="last")
    >>> run.x.shape, bool(abs(run.final.var() - 0.125) < 0.02)
    ((2000, 1, 1), True)
    """
    if not isinstance(model, VectorField):
        raise ArgumentError("model", model, "a model: dn.models.*, or a function under @dn.vector_field")
    x0 = model.check_state(x0, "x0")
    if x0.ndim > 2 or x0.size == 0 or not np.isfinite(x0).all():
        raise ArgumentError("x0", describe(x0), f"finite, of shape ({model.n},) or (batch, {model.n})")
    t0, t1, saved = save_times(t, save)
    if saved.ndim == 2:
        raise ArgumentError("save", describe(saved), "one set of save times for all paths")
    if t1 < t0:
        raise ArgumentError("t", t, "an end after the start: noise has a direction of time")
    check_positive("dt", dt)
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**64:
        raise ArgumentError("seed", seed, "an integer from 0 to 2**64 - 1")
    if paths is not None:
        if isinstance(paths, bool) or not isinstance(paths, (int, np.integer)) or paths < 1:
            raise ArgumentError("paths", paths, "a positive integer")
        if x0.ndim == 2:
            raise ArgumentError("paths", paths, f"None, because x0 has {len(x0)} initial states")
        x0 = np.tile(x0, (paths, 1))
    if method not in ("auto", *stochastic.METHODS):
        raise ArgumentError("method", method, "the name of a method", choices=("auto", *stochastic.METHODS))
    amplitude = _noise(noise, model)
    p, batch, signal = lane_data(model, x0, params, u)
    y0 = np.array(np.broadcast_to(np.atleast_2d(x0), (batch or 1, model.n)))
    p = np.array(np.broadcast_to(np.atleast_2d(p), (len(y0), p.shape[-1])))
    times = np.concatenate([[t0], saved[saved > t0]])
    counts = np.maximum(1, np.ceil(np.diff(times) / dt * (1 - 1e-12)).astype(np.int64))
    if counts.sum() >= 2**40:
        raise ArgumentError("dt", dt, "a larger step: there would be more than 2**40")

    started = time.perf_counter()
    block, g, q = model.block(signal), amplitude.block(amplitude.signal()), amplitude.parameter_vector()
    rows, columns = np.zeros(model.n + 1, np.int64), np.empty(0, np.int64)  # of noise that depends on no state
    known = method == "euler_maruyama" or amplitude is not noise
    if not known:
        pattern = amplitude.jacobian_pattern()
        known = pattern is not None or model.n <= _PROBED
        if known:
            rows, columns = sparse.probe(g, q) if pattern is None else pattern
    crossed = np.flatnonzero(columns != np.repeat(np.arange(model.n), np.diff(rows)))
    if method == "milstein" and crossed.size:
        i = int(np.searchsorted(rows, crossed[0], side="right")) - 1
        raise ArgumentError(
            "noise", Shown(f"g_{i} depends on x_{int(columns[crossed[0]])}"),
            "noise on each state that depends on that state only; or method='euler_maruyama'",
        )  # fmt: skip
    if method == "auto":
        method = "euler_maruyama" if crossed.size or not known else "milstein"
    if threads is None:
        threads = (os.cpu_count() or 1) if y0.size * counts.sum() > 200_000 else 1
    solution = stochastic.integrate(block, g, y0, p, q, times, counts, method, seed=int(seed), threads=threads)
    x = solution.x if saved[0] > t0 else np.concatenate([y0[:, None], solution.x], axis=1)
    status = tuple(Status(int(s)) for s in solution.status)
    stats = {
        "method": method,
        "dt": dt,
        "seed": int(seed),
        "accepted": int(solution.accepted.sum()),
        "threads": threads,
        "solve_seconds": time.perf_counter() - started,
    }
    facts = {"labels": model.labels, "stats": stats}  # no model: a path is not smooth between the save times
    if batch is None:
        return Trajectory(saved, x[0], status=status[0], t_stop=float(solution.t_stop[0]), **facts)
    return Trajectory(saved, x, status=status, t_stop=solution.t_stop, **facts)


def _noise(noise, model):
    """The field g."""
    if isinstance(noise, VectorField):
        if noise.n != model.n:
            raise ArgumentError("noise", noise, f"a field with the {model.n} states of the model")
        return noise
    try:
        amplitude = np.asarray(noise, dtype=float)
    except (TypeError, ValueError):
        raise ArgumentError("noise", noise, f"a number, {model.n} numbers, or a field") from None
    if amplitude.shape not in ((), (model.n,)) or not np.isfinite(amplitude).all():
        raise ArgumentError("noise", describe(amplitude), f"a finite number, {model.n} of them, or a field")
    return FunctionField(_amplitude, model.n, params={"amplitude": np.broadcast_to(amplitude, (model.n,)).copy()})
