"""The compiled side of signals: one function for each kind, compiled when a signal of that kind is used for the first time.

Every right-hand side evaluates its input by calling the function whose address its data hold (:mod:`dynet.engine.pointers`).
The functions below are copied into modules of their own in the code store, so each is compiled once on a machine. They write
``out[i, lane]``, the value of channel i at time ``t[lane]``; ``ints`` starts with the address and the size.
"""

# ruff: noqa: F821 (the names in the source that is copied are bound in the generated module)

from __future__ import annotations

import functools

from numba import njit

from ..engine import codegen
from ..engine.block import FASTMATH
from ..engine.pointers import address, call_signal

__all__ = ["compiled", "evaluate"]


def constant(t, p, reals, ints, out):
    for i in range(ints[1]):
        for lane in range(t.size):
            out[i, lane] = reals[i]


def sinusoid(t, p, reals, ints, out):
    size = ints[1]
    for i in range(size):
        for lane in range(t.size):
            out[i, lane] = reals[1 + 2 * size + i] + reals[1 + i] * sin(reals[0] * t[lane] + reals[1 + size + i])


def square(t, p, reals, ints, out):
    size = ints[1]
    for i in range(size):
        for lane in range(t.size):
            turns = t[lane] * reals[0] + reals[2 + size + i]
            height = reals[2 + i] if turns - math.floor(turns) < reals[1] else -reals[2 + i]
            out[i, lane] = reals[2 + 2 * size + i] + height


def piecewise(t, p, reals, ints, out):
    m = ints[2]
    for lane in range(t.size):
        at, above = 0, m  # the number of times that are not after t; compiles faster than np.searchsorted
        while at < above:
            middle = (at + above) // 2
            if reals[middle] <= t[lane]:
                at = middle + 1
            else:
                above = middle
        for i in range(ints[1]):
            out[i, lane] = reals[m + i * (m + 1) + at]


def tabulated(t, p, reals, ints, out):
    m = ints[2]
    for lane in range(t.size):
        at, above = 0, m
        while at < above:
            middle = (at + above) // 2
            if reals[middle] <= t[lane]:
                at = middle + 1
            else:
                above = middle
        for i in range(ints[1]):
            row = m + i * m
            if at == 0:
                out[i, lane] = reals[row]
            elif at == m:
                out[i, lane] = reals[row + m - 1]
            else:
                w = (t[lane] - reals[at - 1]) / (reals[at] - reals[at - 1])
                out[i, lane] = reals[row + at - 1] * (1.0 - w) + reals[row + at] * w


def noise(t, p, reals, ints, out):
    size = ints[1]
    for lane in range(t.size):
        cell = math.floor(t[lane] * reals[0])
        w = t[lane] * reals[0] - cell
        for i in range(size):
            low, high = gauss(ints[2], ints[3] + i, np.int64(cell)), gauss(ints[2], ints[3] + i, np.int64(cell) + 1)
            out[i, lane] = reals[1 + size + i] + reals[1 + i] * (low * (1.0 - w) + high * w)


def per_lane(t, p, reals, ints, out):
    for i in range(ints[1]):
        for lane in range(t.size):
            out[i, lane] = p[ints[2] + i, lane]


_KINDS = {f.__name__: f for f in (constant, sinusoid, square, piecewise, tabulated, noise, per_lane)}
_HEAD = """
import math
import numpy as np
from numba import cfunc
from dynet.engine.block import FASTMATH
from dynet.engine.pointers import {signature}
from dynet.fields.noise import gauss
from dynet.math import sin
"""
_LAST = """
signal = cfunc({signature}, cache=True, fastmath=FASTMATH, error_model="numpy")({name})
"""


@functools.cache
def compiled(kind, precision="float64"):
    """The address of the compiled function of a kind of signal, for data of a precision."""
    head = _HEAD if kind == "noise" else _HEAD.replace("from dynet.fields.noise import gauss\n", "")
    signature = "SIGNAL" if precision == "float64" else "SIGNAL_SINGLE"
    head, last = head.format(signature=signature), _LAST.format(name=kind, signature=signature)
    return address(codegen.module(head, _KINDS[kind], last, tag="signal").signal)


@njit(fastmath=FASTMATH, error_model="numpy")
def evaluate(t, p, reals, ints, out):
    """Write a packed signal at the times of all lanes into ``out`` (compiled; called by every right-hand side).

    Parameters
    ----------
    t : ndarray, shape (W,)
    p : ndarray, shape (npar, W)
        Channel i of a :class:`~dynet.fields.signal.PerLane` input is ``p[first + i]``.
    reals, ints : ndarray
        The packed signal.
    out : ndarray, shape (size, W)
    """
    call_signal(ints[0], t, p, reals, ints, out)
