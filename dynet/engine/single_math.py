r"""Elementary functions in single precision: what :mod:`dynet.math` is in double, at twice the numbers in a register.

========== ======================= ======================================
function   error                   range
========== ======================= ======================================
exp        2e-7 relative           all x; 0 below -87, inf above 88.72
tanh       3e-7 relative           all x
logistic   4e-7 relative           x >= -87; below it less than 2e-38
sin, cos   6e-8 absolute           as in double, which they are made in
========== ======================= ======================================

NaN gives NaN. The arguments are reduced as by Cody and Waite (Software Manual for the Elementary Functions, 1980), the
polynomials are those of Taylor.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from .. import math as double

__all__ = ["VECTORISED", "cos", "exp", "f4", "logistic", "sin", "sincos", "tanh"]

f4 = np.float32
_FASTMATH = {"contract", "nsz", "arcp"}
_inline = njit(fastmath=_FASTMATH, error_model="numpy", forceinline=True)

_MAGIC = f4(12582912.0)  # 1.5 * 2**23: adding it rounds to the nearest integer, which then lies in the low bits
_INVERSE, _HIGH, _LOW = f4(1.4426950408889634), f4(0.693359375), f4(-2.12194440e-4)  # 1 / log 2, log 2 in two parts
_C2, _C3, _C4, _C5, _C6, _C7 = (f4(1.0 / k) for k in (2, 6, 24, 120, 720, 5040))
_ZERO, _HALF, _ONE, _TWO, _MOST = f4(0.0), f4(0.5), f4(1.0), f4(2.0), f4(10.0)
_FIRST, _LAST, _INFINITE = f4(-87.0), f4(88.72283), f4(np.inf)


@intrinsic
def _times_power(context, value, q):
    """``value * 2**n`` where n lies in the low bits of `q`."""

    def generate(_, builder, signature, arguments):
        integer = ir.IntType(32)
        bits, n = (builder.bitcast(a, integer) for a in arguments)
        return builder.bitcast(builder.add(bits, builder.shl(n, integer(23))), ir.FloatType())

    return types.float32(types.float32, types.float32), generate


@_inline
def _expm1_reduced(x):
    """``(exp(r) - 1, q)`` with ``x = n log 2 + r``, r within half of log 2, and n in the low bits of q."""
    q = x * _INVERSE + _MAGIC
    n = q - _MAGIC
    r = x - n * _HIGH
    r = r - n * _LOW
    tail = _C6 + r * _C7
    tail = _C5 + r * tail
    tail = _C4 + r * tail
    tail = _C3 + r * tail
    tail = _C2 + r * tail
    return r + r * r * tail, q


@_inline
def exp(x):
    """The exponential of x.

    >>> bool(abs(exp(np.float32(1.0)) - np.e) < 5e-7), float(exp(np.float32(-1e9))), float(exp(np.float32(1e9)))
    (True, 0.0, inf)
    """
    x = f4(x)
    y = _FIRST if x < _FIRST else x
    y = _LAST if y > _LAST else y
    half = _HALF * y  # the square of the root: 2**128 has no bits of its own
    p, q = _expm1_reduced(half)
    root = _times_power(_ONE + p, q)
    value = root * root
    value = _INFINITE if x > _LAST else value
    value = _ZERO if x < _FIRST else value
    return x if x != x else value


@_inline
def tanh(x):
    """The hyperbolic tangent of x.

    >>> float(tanh(np.float32(50.0)))
    1.0
    """
    x = f4(x)
    a = abs(x)
    a = _MOST if a > _MOST else a
    p, q = _expm1_reduced(_TWO * a)
    power = _times_power(_ONE, q)
    grown = power * p + (power - _ONE)  # exp(2a) - 1 without cancellation, because n >= 0
    value = grown / (grown + _TWO)
    value = -value if x < _ZERO else value
    return x if x != x else value


@_inline
def logistic(x):
    """The logistic function ``1 / (1 + exp(-x))``.

    >>> float(logistic(np.float32(0.0)))
    0.5
    """
    return _ONE / (_ONE + exp(-f4(x)))


@_inline
def sincos(x):
    """Sine and cosine of x, radians."""
    s, c = double.sincos(x)
    return f4(s), f4(c)


@_inline
def sin(x):
    """Sine of x, radians."""
    return f4(double.sin(x))


@_inline
def cos(x):
    """Cosine of x, radians."""
    return f4(double.cos(x))


VECTORISED = {f.__name__: f for f in (sin, cos, exp, tanh, logistic, sincos)}
