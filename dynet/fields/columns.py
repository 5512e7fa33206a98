"""Users' node and edge functions in plain Python: watched once, then on all nodes or edges at a time.

A function written for numbers also takes arrays whose last axis is the node or the edge, unless it branches; then it is
called once for each.
"""

from __future__ import annotations

import types

import numpy as np

from ..errors import ArgumentError, Shown
from .function import _line

__all__ = ["Seen", "Written", "derivative", "evaluate", "watched"]


def watched(name, function, *arguments):
    """Call a function whose last argument is its output; what it wrote, or an error with the line in it."""
    written = Written()
    try:
        with np.errstate(all="ignore"):
            function(*arguments, written)
    except ArithmeticError:
        pass  # the probing state may lie outside the domain of the equation
    except (IndexError, TypeError, AttributeError, NameError, KeyError) as error:
        wanted = "edge(x, y, p, s)" if name == "edge" else "node(t, x, s, p, dx)"
        raise ArgumentError(
            name,
            Shown(f"{function.__name__}: {error} (line {_line(error)})"),
            f"a function {wanted} that writes numbers into components that exist",
        ) from None
    return written


class Written(dict):
    """Stands in for an output array, and remembers what was written."""

    def __setitem__(self, key, value):
        if not isinstance(key, (int, np.integer)) or key < 0 or isinstance(value, str) or np.ndim(value):
            raise TypeError(f"[{key!r}] = {value!r} is not one number in one component")
        super().__setitem__(int(key), value)


class Seen(types.SimpleNamespace):
    """The parameters that a function sees, with an error that names the nearest one."""

    def __init__(self, where, values):
        super().__init__(**values)
        self.__dict__["where_"] = where

    def __getattr__(self, name):
        known = [k for k in self.__dict__ if k != "where_"]
        what = Shown(f"a use in the {self.where_} function")
        expected = f"a parameter that the {self.where_} function sees"
        raise ArgumentError(f"p.{name}", what, expected, choices=known, word=name)


def evaluate(function, rows, arrays, params, more=()):
    """A user's function on columns of arrays: all at once where it can, one by one where it branches."""
    count = arrays[0].shape[1]
    out = np.zeros((rows, count), dtype=np.result_type(*arrays, float))
    p = types.SimpleNamespace(**params)
    with np.errstate(all="ignore"):
        try:
            function(*arrays, p, out, *more)
            return out
        except (ValueError, TypeError):
            pass  # a condition on an array
        for q in range(count):
            p = types.SimpleNamespace(**{k: v[q] if np.ndim(v) else v for k, v in params.items()})
            function(*(a[:, q] for a in arrays), p, out[:, q], *(a[:, q] for a in more))
    return out


def derivative(function, X):
    """The derivatives of a function of columns with respect to each row of them: shape (rows out, rows in, count)."""
    columns = []
    for k in range(len(X)):
        step = np.zeros_like(X)
        step[k] = 6e-6 * np.maximum(1.0, np.abs(X[k]))
        difference = (function(X + step) - function(X - step)) / (2 * step[k])
        try:
            tiny = np.zeros_like(X)
            tiny[k] = 1e-30
            exact = function(X + 1j * tiny).imag / 1e-30
        except (TypeError, ValueError, AttributeError):
            exact = difference
        # abs() and real parts lose the imaginary part silently: the difference quotient tells
        scale = np.max(np.abs(difference), initial=1.0)
        columns.append(exact if np.allclose(exact, difference, rtol=1e-4, atol=1e-6 * scale) else difference)
    return np.array(columns).swapaxes(0, 1)
