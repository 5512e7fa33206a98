r"""Iterating maps: what :func:`dynet.simulate` does with a model of discrete time, :math:`x(k + 1) = F(x(k))`.

Time counts steps. There is nothing to integrate: no method, no tolerance, no step; the trajectory is exact but for rounding.
"""

from __future__ import annotations

import time

import numpy as np

from .errors import ArgumentError, Shown, Status
from .trajectory import Trajectory

__all__ = ["iterate"]


def iterate(model, x0, t, save=None, **given):
    """Iterate a map from one or many initial states.

    Parameters
    ----------
    model : DiscreteMap
    x0 : array_like, shape (n,) or (batch, n)
    t : int, (k0, k1) or array_like
        The number of steps (from 0), the first and last of them, or three or more steps to save, of which the first is the
        start.
    save : "last" or array_like of int, optional
        The steps to save; all of them by default.
    **given
        Other arguments of :func:`dynet.simulate`: they have no meaning for a map, and must be None.

    Returns
    -------
    Trajectory

    Raises
    ------
    ArgumentError

    Examples
    --------
    >>> import dynet as dn
    >>> opinions = dn.models.FriedkinJohnsen([[0.5, 0.5], [0.2, 0.8]], susceptibility=0.5, start=[0.0, 1.0])
    >>> run = iterate(opinions, [0.0, 1.0], 3)
    >>> run.t, run.x[1]
    (array([0., 1., 2., 3.]), array([0.25, 0.9 ]))
    """
    for name, value in given.items():
        if value is not None:
            raise ArgumentError(
                name, value, f"nothing: {model.name} is a map, which is iterated; only save= has a meaning"
            )
    x = np.asarray(model._check(x0), dtype=float)
    if x.ndim > 2 or x.size == 0:
        raise ArgumentError("x0", Shown(f"an array of shape {x.shape}"), f"shape ({model.n},) or (batch, {model.n})")
    first, last, steps = _steps(t, save)
    started = time.perf_counter()
    y = np.array(np.atleast_2d(x))
    saved = np.full((len(y), len(steps), model.n), np.nan)
    stop, alive = np.full(len(y), float(last)), np.ones(len(y), bool)
    for k in range(first, last + 1):
        if k > first and alive.any():
            with np.errstate(all="ignore"):
                y[alive] = model.step(y[alive])
            lost = alive & ~np.isfinite(y).all(axis=1)
            stop[lost], alive = k, alive & ~lost
        at = np.searchsorted(steps, k)
        if at < len(steps) and steps[at] == k:
            saved[alive, at] = y[alive]
    status = tuple(Status.OK if one else Status.NONFINITE for one in alive)
    done = len(y) * (last - first)
    stats = {"method": "map", "why": "a map is iterated", "executor": "numpy", "rtol": 0.0, "atol": 0.0, "dt": 1.0,
             "accepted": done, "rejected": 0, "solve_seconds": time.perf_counter() - started}  # fmt: skip
    single = x.ndim == 1
    return Trajectory(steps.astype(float), saved[0] if single else saved, status=status[0] if single else status,
                      t_stop=float(stop[0]) if single else stop, labels=model.labels, stats=stats, model=model)  # fmt: skip


def _steps(t, save):
    """First and last step, and those to save."""
    times = np.atleast_1d(_whole("t", t))
    if times.size == 1:
        times = np.array([0, times[0]])
    if times.ndim != 1 or np.any(np.diff(times) <= 0):
        raise ArgumentError("t", t, "increasing numbers of steps: the end, (first, last), or the steps to save")
    first, last = int(times[0]), int(times[-1])
    if save is None:
        return first, last, times if times.size > 2 else np.arange(first, last + 1)
    if isinstance(save, str):
        if save != "last":
            raise ArgumentError("save", save, "'last', or the steps to save", choices=["last"])
        return first, last, np.array([last])
    if np.ndim(save) == 0:
        count = int(_whole("save", save))
        if count < 2:
            raise ArgumentError("save", save, "at least 2 steps to save, or 'last'")
        return first, last, np.unique(np.linspace(first, last, count).round().astype(int))
    steps = _whole("save", save)
    if steps.ndim != 1 or not steps.size or np.any(np.diff(steps) <= 0) or steps[0] < first or steps[-1] > last:
        raise ArgumentError("save", save, f"increasing steps between {first} and {last}")
    return first, last, steps


def _whole(name, value):
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise ArgumentError(name, value, "whole numbers of steps") from None
    if not np.isfinite(array).all() or np.any(array != np.round(array)):
        raise ArgumentError(name, value, "whole numbers of steps: this model is a map")
    return array.astype(int)
