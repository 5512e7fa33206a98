"""The times of a run, from what a user may write for them: an end, two ends, or the save times themselves."""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError

__all__ = ["save_times"]


def save_times(t, save):
    """Start, end and save times, from the arguments of :func:`dynet.simulate`.

    >>> save_times(1.0, 3)
    (0.0, 1.0, array([0. , 0.5, 1. ]))
    """
    try:
        given = np.atleast_1d(np.asarray(t, dtype=float))
    except (TypeError, ValueError):
        raise ArgumentError("t", t, "the end, (t0, t1), or save times") from None
    if given.ndim != 1 or given.size == 0 or not np.isfinite(given).all():
        raise ArgumentError("t", t, "finite times: the end, (t0, t1), or save times")
    if given.size == 1:
        given = np.array([0.0, given[0]])
    way = 1.0 if given[-1] > given[0] else -1.0
    if np.any(way * np.diff(given) <= 0):
        raise ArgumentError(
            "t", t, "increasing or decreasing times" if given.size > 2 else "an end other than the start"
        )
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
        inside = times.ndim == 1 and times.size and way * times[0] >= way * t0 and way * times[-1] <= way * t1
        if not inside or not np.all(way * np.diff(times) > 0):
            raise ArgumentError("save", save, f"times in order between {t0:g} and {t1:g}")
    return t0, t1, np.ascontiguousarray(times)
