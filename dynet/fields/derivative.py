r"""Enclosures of a field and its Jacobian on boxes: the user's own Python function, evaluated on intervals.

The function that simulates a field is called once more, with dual numbers over intervals (:mod:`dynet.fields.dual`) in place
of the states. Parameters and the numbers in the text count as exactly the floats that they are. What comes back holds for
all states of a box and for every time, in real arithmetic: no step of it is sampled or estimated.

A batch of boxes is evaluated at once. Where a comparison comes out differently on two boxes the batch is split; a box on
which it may come out either way (or on which the function divides by zero, or leaves a domain) is reported as failed with
the reason: smaller boxes may succeed.

References
----------
Moore, Kearfott, Cloud, Introduction to Interval Analysis, SIAM, 2009.
"""

from __future__ import annotations

import builtins
import hashlib
import inspect
import math
import types
from typing import NamedTuple

import numpy as np

from .. import math as fast
from ..errors import DynetError
from ..linalg.intervals import Interval, Mixed, Refused
from ..linalg.series import Series
from .dual import FUNCTIONS, Dual, lift
from .symbols import Expression

__all__ = ["Enclosure", "enclose_function", "fingerprint", "parameters", "translate"]


class Enclosure(NamedTuple):
    """Bounds on a field over k boxes.

    Attributes
    ----------
    lo, hi : ndarray, shape (k, n)
        Bounds on the components of the field; infinite where the evaluation failed.
    jacobian_lo, jacobian_hi : ndarray, shape (k, n, n), or None
        Bounds on the entries of the Jacobian.
    failed : ndarray of bool, shape (k,)
    why : str
        The reason of one of the failures; empty when there is none.
    """

    lo: np.ndarray
    hi: np.ndarray
    jacobian_lo: np.ndarray | None
    jacobian_hi: np.ndarray | None
    failed: np.ndarray
    why: str


def enclose_function(field, lo, hi, *, t=(-math.inf, math.inf), u=None, jacobian=True):
    """Bounds on a :class:`~dynet.fields.function.FunctionField`, and on its Jacobian, over boxes.

    Parameters
    ----------
    field : FunctionField
    lo, hi : array_like, shape (n,) or (k, n)
        The boxes; ends may be infinite.
    t : (t0, t1) or pair of ndarrays of shape (k,)
        Times for which the bounds are to hold.
    u : pair of array_like, shape (inputs,) or (k, inputs), optional
        Bounds on the input; any input at all when None.
    jacobian : bool

    Returns
    -------
    Enclosure

    Examples
    --------
    >>> import dynet as dn
    >>> @dn.vector_field(n=2)
    ... def shear(t, x, p, dx):
    ...     dx[0] = -x[0] ** 3 + np.tanh(x[1])
    ...     dx[1] = -x[1]
    >>> box = enclose_function(shear, [-1.0, 0.0], [2.0, 0.0])
    >>> print(box.jacobian_lo[0], box.jacobian_hi[0])
    [[-12.   1.]
     [  0.  -1.]] [[ 0.  1.]
     [ 0. -1.]]
    """
    lo, hi = np.broadcast_arrays(*(np.atleast_2d(np.asarray(end, dtype=float)) for end in (lo, hi)))
    k, n = lo.shape
    ends = [np.broadcast_to(np.asarray(end, dtype=float), k) for end in t]
    whole = np.full(field.inputs, math.inf)
    inputs = [np.broadcast_to(np.asarray(end, dtype=float), (k, field.inputs)) for end in (u or (-whole, whole))]
    function, p = translate(field.function, {}), parameters(field, lift)
    found = Enclosure(np.full((k, n), -math.inf), np.full((k, n), math.inf),
                      np.full((k, n, n), -math.inf) if jacobian else None,
                      np.full((k, n, n), math.inf) if jacobian else None, np.zeros(k, bool), "")  # fmt: skip
    why = []

    def evaluate(rows):
        if not rows.size:
            return
        seeds = np.zeros((n, n, 1))
        seeds[np.arange(n), np.arange(n)] = 1.0
        x = np.empty(n, dtype=object)
        for i in range(n):
            x[i] = Dual(Interval(lo[rows, i], hi[rows, i]), Interval(seeds[i]) if jacobian else None)
        channels = np.empty(field.inputs, dtype=object)
        for i in range(field.inputs):
            channels[i] = Dual(Interval(*(end[rows, i] for end in inputs)))
        time = Dual(Interval(*(end[rows] for end in ends)))
        dx = np.zeros(n, dtype=object)
        try:
            function(time, x, *((channels,) if field.inputs else ()), p, dx)
            results = [lift(value) for value in dx]
        except Mixed as error:
            mask = _per_box(error.mask, rows.size)
            evaluate(rows[mask])
            evaluate(rows[~mask])
            return
        except Refused as error:
            mask = _per_box(error.mask, rows.size)
            found.failed[rows[mask]] = True
            why.append(f"{error}{_line(error, field.function)}")
            evaluate(rows[~mask])
            return
        except DynetError:
            raise
        except (TypeError, ValueError, AttributeError, ArithmeticError, IndexError) as error:
            found.failed[rows] = True
            why.append(f"it cannot be evaluated on intervals: {error}{_line(error, field.function)}")
            return
        for i, result in enumerate(results):
            found.lo[rows, i], found.hi[rows, i] = result.v.lo, result.v.hi
            if jacobian:
                d = Interval(0.0) if result.d is None else result.d
                for end, target in ((d.lo, found.jacobian_lo), (d.hi, found.jacobian_hi)):
                    target[rows, i] = 0.0 + (np.broadcast_to(end, (n, rows.size)).T if end.ndim else end)  # no -0.0

    with np.errstate(all="ignore"):
        evaluate(np.arange(k))
    return found._replace(why=why[0] if why else "")


def fingerprint(field):
    """SHA-256 of what an enclosure depends on: the source of the function and of its helpers, parameters, and own input.

    Returns
    -------
    str
        Sixty-four hexadecimal digits.
    """
    text = hashlib.sha256(field._source.encode())
    for name, value in field.params.items():
        text.update(f"{name}={np.shape(value)}".encode() + np.ascontiguousarray(value, dtype=float).tobytes())
    if field.input is not None:
        text.update(field.input.kind.encode())
        for part in field.input.numbers():
            text.update(np.ascontiguousarray(part, dtype=float).tobytes())
    return text.hexdigest()


def parameters(field, up):
    """The parameters as constants of another arithmetic, so that products of parameters are enclosed, too."""

    def constant(value):
        if np.ndim(value) == 0:
            return up(float(value))
        out = np.empty(np.shape(value), dtype=object)
        for index in np.ndindex(out.shape):
            out[index] = up(value[index])
        return out

    return types.SimpleNamespace(**{name: constant(value) for name, value in field.params.items()})


def _per_box(mask, count):
    """The boxes that a mask of values, or of derivatives with the states in front, speaks about."""
    mask = np.asarray(mask)
    if mask.ndim == 2:
        mask = mask.any(axis=0)
    return np.broadcast_to(mask, count)


def _line(error, function):
    """Where in the user's function an error happened."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == function.__code__.co_filename:
            line = trace.tb_lineno
        trace = trace.tb_next
    return "" if line is None else f" (line {line})"


def _function(name):
    """A function of :data:`~dynet.fields.dual.FUNCTIONS` on numbers, dual numbers and arrays of them."""

    def apply(*arguments):
        arrays = [a for a in arguments if isinstance(a, np.ndarray) and a.ndim]
        if not arrays:
            kind = next((a for a in arguments if isinstance(a, (Series, Expression))), None)
            table, up = (FUNCTIONS, lift) if kind is None else (kind.functions, kind.lift)
            if name not in table:
                raise TypeError(f"{name} is not known to power series or algebra")
            return table[name](*(a if isinstance(a, (bool, np.bool_)) else up(a) for a in arguments))
        out = np.empty(np.broadcast_shapes(*(a.shape for a in arrays)), dtype=object)
        for index in np.ndindex(out.shape):
            out[index] = apply(*(np.broadcast_to(a, out.shape)[index] if isinstance(a, np.ndarray) else a
                                 for a in arguments))  # fmt: skip
        return out

    return apply


_NAMES = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh", "acosh": "arccosh",
          "atanh": "arctanh"}  # fmt: skip
_APPLIED = {name: _function(name) for name in FUNCTIONS} | {new: _function(old) for new, old in _NAMES.items()}


class _Module:
    """numpy, math or dynet.math with the functions that know dual numbers in front."""

    def __init__(self, module):
        self._module = module

    def __getattr__(self, name):
        return _APPLIED.get(name) or getattr(self._module, name)


def _largest(*values):
    return _fold("maximum", values)


def _smallest(*values):
    return _fold("minimum", values)


def _fold(name, values):
    values = list(values[0]) if len(values) == 1 else list(values)
    if not any(isinstance(v, (Dual, Series, Expression)) for v in values):
        return {"maximum": max, "minimum": min}[name](values)
    best = values[0]
    for value in values[1:]:
        best = _APPLIED[name](best, value)
    return best


def _number(value=0.0):
    return value if isinstance(value, (Dual, Series, Expression)) else float(value)


_BUILTINS = {"max": _largest, "min": _smallest, "float": _number}
_MODULES = {id(module): _Module(module) for module in (np, math, fast)}
_SCALARS = {id(getattr(module, name)): name for module in (math, fast) for name in dir(module) if name in _APPLIED}
_SCALARS |= {id(getattr(np, name)): name for name in FUNCTIONS if isinstance(getattr(np, name, None), np.ufunc)}
_SCALARS |= {id(f): name for f, name in ((np.where, "where"), (np.clip, "clip"), (np.float64, "float64"))}


def translate(function, known):
    """The function, its helpers and what they refer to, with mathematics that knows dual numbers."""
    if id(function) in known:
        return known[id(function)]
    names = set(_names(function.__code__))
    scope = {"__builtins__": builtins, "__name__": function.__module__}
    cells = tuple(types.CellType() for _ in function.__closure__ or ())
    twin = types.FunctionType(function.__code__, scope, function.__name__, function.__defaults__, cells)
    twin.__kwdefaults__ = function.__kwdefaults__
    known[id(function)] = twin
    for name in names:
        if name in function.__globals__:
            scope[name] = _value(function.__globals__[name], known)
        elif name in _BUILTINS:
            scope[name] = _BUILTINS[name]
    for cell, old in zip(cells, function.__closure__ or (), strict=True):
        cell.cell_contents = _value(old.cell_contents, known)
    return twin


def _value(value, known):
    if id(value) in _MODULES:
        return _MODULES[id(value)]
    if id(value) in _SCALARS:
        return _APPLIED[_SCALARS[id(value)]]
    if hasattr(value, "py_func"):  # compiled by numba
        value = value.py_func
    if inspect.isfunction(value) and not (value.__module__ or "").startswith(("numpy", "scipy")):
        return translate(value, known)
    return value


def _names(code):
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)
