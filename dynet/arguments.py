"""The arguments of :func:`dynet.simulate` and its relatives, checked, and in the form in which the engine takes them."""

from __future__ import annotations

import numpy as np

from .engine import methods
from .errors import ArgumentError, Shown
from .fields.base import describe
from .fields.signal import PerLane

__all__ = ["LEAST_RTOL", "METHODS", "check_positive", "chosen_method", "lane_data", "save_times"]

METHODS = tuple(methods.METHODS)
LEAST_RTOL = 1e-13  # ten times the rounding of a step's sums: below it an error estimate is noise
LEAST_RTOL_SINGLE = 1e-6  # in single precision: the rounding of a step is a tenth of this


def save_times(t, save):
    """Start, end and save times, (k,) or, where each trajectory has its own, (batch, k)."""
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
        try:
            times = np.asarray(save, dtype=float)
        except (TypeError, ValueError):
            raise ArgumentError("save", save, "times, (k,) or (batch, k)") from None
        good = times.ndim in (1, 2) and times.size and np.isfinite(times).all() and np.all(way * np.diff(times) > 0)
        if not good or np.any(way * times[..., 0] < way * t0) or np.any(way * times[..., -1] > way * t1):
            shown = save if np.ndim(save) < 3 and np.size(save) < 20 else describe(np.asarray(save))
            raise ArgumentError("save", shown, f"times in order between {t0:g} and {t1:g}, (k,) or (batch, k)")
    return t0, t1, np.ascontiguousarray(times)


def chosen_method(method, dt, rtol):
    """The method and why it was chosen."""
    if method == "auto":
        if dt is not None:
            return "rk4", "a fixed step was asked for"
        tight = isinstance(rtol, (int, float)) and rtol < 1e-8
        return ("vern7", "a tight tolerance") if tight else ("dopri5", "the default of moderate tolerances")
    if method not in METHODS:
        raise ArgumentError("method", method, "the name of a method", choices=("auto", *METHODS))
    known = methods.METHODS[method]
    if dt is not None and not known.fixed:
        raise ArgumentError("dt", dt, f"None: {method} chooses its own steps; set rtol and atol, or method='rk4'")
    if dt is None and not known.adaptive:
        raise ArgumentError("dt", dt, f"a step: {method} has a fixed step")
    return method, "asked for"


def check_precision(precision, method, rtol, wishes):
    """Refuse a precision that does not exist, and what single precision cannot do; `wishes` by their names."""
    if precision not in (None, "float64", "float32"):
        raise ArgumentError("precision", precision, "a precision", choices=("float64", "float32"))
    if precision != "float32":
        return
    if methods.METHODS[method].kind != "explicit":
        able = [m.name for m in methods.METHODS.values() if m.kind == "explicit"]
        raise ArgumentError("precision", precision, f"None with method={method!r}; these know it", choices=able)
    for word, value in wishes.items():
        if value is not None and value is not False:
            raise ArgumentError(word, Shown("given"), "None with precision='float32', which keeps save times only")
    check_positive("rtol", rtol, least=LEAST_RTOL_SINGLE, where=" with precision='float32'")


def check_positive(name, value, least=0.0, where=""):
    try:
        good = np.isfinite(value) and value > 0 and value >= least
    except TypeError:
        good = False
    if not good:
        raise ArgumentError(name, value, (f"a number of at least {least:g}" if least else "a positive number") + where)


def lane_data(model, x0, params, u, times=None):
    """The parameter block (npar,) or (batch, npar), the batch (None for a single trajectory), and the signal."""
    sizes = {"x0": x0.shape[0]} if x0.ndim == 2 else {}
    if np.ndim(times) == 2:
        sizes["save"] = len(times)
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
