"""From a tableau to the source of one attempted step, its coefficients unrolled into constants.

The generated module holds one compiled function of the signature :data:`ATTEMPT`,

    attempt(rhs, t, h, y, slopes, z, p, reals, ints, work, error, at, rtol, atol)

On entry ``slopes[0]`` holds the derivative at (t, y). On return `z` holds the state at t + h, ``slopes[s]`` the stages, the
last of them the derivative at the new point, and `error` for each lane the sum over the states of the squared error
estimates, each divided by ``atol + rtol * max(|y|, |z|)``; it is not finite where `z` is not.

The stages that only the dense output needs come in a second function of the same signature, which continues `slopes` and
uses `z` as scratch. Each function has two forms: for several lanes each pass is a loop over lanes within a loop over
states, for a single lane it is one loop over the states, so that the innermost loop is long and has unit stride in both
cases. Both do the same operations in the same order, so that a trajectory has the same bits alone as in company.

Like a right-hand side, the function reaches its caller through a pointer. So the driver is compiled once for all methods,
and each method costs the compilation of its own arithmetic only.
"""

from __future__ import annotations

import functools

from numba import types

from . import codegen
from .block import RHS_TYPE

__all__ = ["ATTEMPT", "ATTEMPT_TYPE", "SHARE", "attempt_of", "attempt_source", "error_source", "finish_of"]

_vector, _matrix, _cube = types.float64[::1], types.float64[:, ::1], types.float64[:, :, ::1]

ATTEMPT = types.void(
    RHS_TYPE, _vector, _vector, _matrix, _cube, _matrix, _matrix, _vector, types.int64[::1], _matrix, _vector, _vector,
    types.float64, types.float64,
)  # fmt: skip
ATTEMPT_TYPE = types.FunctionType(ATTEMPT)

# a thread's share of an attempt: rhs, which thread, t, h, y, slopes, z, p, reals, ints, work (see dynet.engine.team)
SHARE = types.void(
    RHS_TYPE, types.int64, _vector, _vector, _matrix, _cube, _matrix, _matrix, _vector, types.int64[::1], _matrix
)

_HEAD = """
import numpy as np
from numba import cfunc
from dynet.engine.block import FASTMATH, flat
from dynet.engine.stages import ATTEMPT

@cfunc(ATTEMPT, cache=True, fastmath=FASTMATH, error_model="numpy")
def attempt(rhs, t, h, y, slopes, z, p, reals, ints, work, error, at, rtol, atol):
    n, lanes = y.shape
"""

_STAGE = """
    # stage {s}
    for i in range({rows}):
        z_, y_, {names} = {z}, {y}, {views}
        for q in range({columns}):
            z_[q] = y_[q] + h[{lane}] * ({sum})
    for q in range(lanes):
        at[q] = t[q] + {c!r} * h[q]
    rhs(at, z, p, reals, ints, work, slopes[{s}])
"""

# Zero times a number that is not finite is NaN, whatever the estimate says: a state that overflows is never accepted.
_ERROR = """
    # error
    for q in range(lanes):
        error[q] = 0.0
    for i in range({rows}):
        z_, y_, {names} = {z}, {y}, {views}
        for q in range({columns}):
            a, b = abs(y_[q]), abs(z_[q])
            m = a if a > b else b
            d = h[{lane}] * ({sum}) / (atol + rtol * m) + 0.0 * b
            error[{lane}] += d * d
"""

# Of two estimates of different order: at[q] is free now, and takes the sum of the second.
_ERRORS = """
    # error
    for q in range(lanes):
        error[q] = 0.0
        at[q] = 0.0
    for i in range({rows}):
        z_, y_, {names} = {z}, {y}, {views}
        for q in range({columns}):
            a, b = abs(y_[q]), abs(z_[q])
            m = 1.0 / (atol + rtol * (a if a > b else b))
            d = h[{lane}] * ({sum}) * m + 0.0 * b
            g = h[{lane}] * ({low}) * m
            error[{lane}] += d * d
            at[{lane}] += g * g
    for q in range(lanes):
        e, g = error[q], at[q]
        error[q] = e * e / (e + 0.01 * g) if e > 0.0 else e
"""

_FIXED = """
    # the only error of a fixed step is a state that is not finite, or has no finite slope to interpolate with
    for q in range(lanes):
        error[q] = 0.0
    for i in range({rows}):
        z_, {names} = {z}, {views}
        for q in range({columns}):
            error[{lane}] += 0.0 * z_[q] + 0.0 * ({sum})
"""


@functools.cache
def attempt_of(tableau, single):
    """The compiled ``attempt`` of a method for a single lane or for several."""
    if hasattr(tableau, "attempt"):  # an implicit method, which makes its own
        return tableau.attempt(single)
    form = "single" if single else "lanes"
    return codegen.module(attempt_source(tableau, single), tag=f"{tableau.name}_{form}").attempt


@functools.cache
def finish_of(tableau, single):
    """The compiled function that evaluates the extra stages of the dense output."""
    form = "single" if single else "lanes"
    return codegen.module(finish_source(tableau, single), tag=f"{tableau.name}_dense_{form}").attempt


def attempt_source(tableau, single):
    """Source of the module of a :class:`~dynet.engine.tableaus.Tableau`, in the form for a `single` lane or for several.

    >>> from .tableaus import TABLEAUS
    >>> print(attempt_source(TABLEAUS["rk4"], single=False).splitlines()[14].strip())
    z_[q] = y_[q] + h[q] * (0.5 * k0[q])
    """
    source = _HEAD
    for s in range(1, tableau.stages):
        source += _STAGE.format(s=s, c=float(tableau.c[s]), **_pass(tableau.a[s], single))
    return source + error_source(tableau, single)


def error_source(tableau, single):
    """The part of :func:`attempt_source` that follows the stages: the error of the step."""
    if tableau.error is None:
        return _FIXED.format(**_pass([0] * (tableau.stages - 1) + [1], single))
    if tableau.low is None:
        return _ERROR.format(**_pass(tableau.error, single))
    either = [float(a) or float(b) for a, b in zip(tableau.error, tableau.low, strict=True)]
    words = {"sum": _sum(tableau.error), "low": _sum(tableau.low)}
    return _ERRORS.format(**_pass(either, single) | words)


def finish_source(tableau, single):
    """Source of the module of the extra stages."""
    source = _HEAD
    for s, row in enumerate(tableau.extra, tableau.stages):
        source += _STAGE.format(s=s, c=float(sum(row)), **_pass(row, single))
    return source


def _sum(weights):
    return " + ".join(f"{float(w)!r} * k{j}[q]" for j, w in enumerate(weights) if w)


def _pass(weights, single):
    """The words that one pass over the block needs: its extents, its views, and the weighted sum of stages."""
    used = [(j, float(w)) for j, w in enumerate(weights) if w]
    words = {
        "names": ", ".join(f"k{j}" for j, _ in used),
        "sum": _sum(weights),
    }
    if not single:
        views = ", ".join(f"slopes[{j}, i]" for j, _ in used)
        return words | {"rows": "n", "columns": "lanes", "lane": "q", "y": "y[i]", "z": "z[i]", "views": views}
    views = ", ".join(f"flat(slopes[{j}])" for j, _ in used)
    one = {"rows": "1", "columns": "n", "lane": "0", "y": "flat(y)", "z": "flat(z)", "views": views}
    return words | one
