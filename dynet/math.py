r"""Elementary functions that LLVM can vectorise.

Numba calls the C library for ``sin``, ``exp`` and ``tanh``, one number at a time, and a call stops the vectorisation of the
loop around it. The functions here are straight-line polynomials: no branch, no call, no table. They are substituted for
``np.*`` and ``math.*`` in users' right-hand sides.

========== ==================================================== =========================================
function   error                                                range
========== ==================================================== =========================================
sin, cos   3e-16 absolute                                       abs(x) <= 1e12 (1e6 without fused multiply-add); NaN beyond
exp        4e-16 relative                                       all x; 0 below -708, inf above 709.78
tanh       6e-16 relative                                       all x
logistic   8e-16 relative                                       x >= -708; below it less than 4e-308
========== ==================================================== =========================================

NaN gives NaN; sin and cos of an infinity give NaN. Arguments are reduced as by Cody and Waite (Software Manual for the
Elementary Functions, 1980); the sine and cosine polynomials have the minimax coefficients of Sun's fdlibm, the others
are Taylor polynomials on so short an interval that they are exact to rounding.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

__all__ = [
    "VECTORISED",
    "cos",
    "exp",
    "logistic",
    "near_exp2",
    "rough_exp2",
    "rough_log2",
    "rough_power",
    "sin",
    "sincos",
    "tanh",
]

_FASTMATH = {"contract", "nsz", "arcp"}
_MAGIC = 6755399441055744.0  # 1.5 * 2**52: adding it rounds to the nearest integer, which then lies in the low bits

_inline = njit(fastmath=_FASTMATH, error_model="numpy", forceinline=True)


@intrinsic
def _bits(context, x):
    """The bits of a float64 as an int64."""

    def generate(_, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), generate


@intrinsic
def _float(context, x):
    """The float64 with these bits."""

    def generate(_, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), generate


@_inline
def sincos(x):
    """Sine and cosine of x, radians.

    >>> s, c = sincos(1.0)
    >>> bool(abs(s - np.sin(1.0)) < 2e-16 and abs(c - np.cos(1.0)) < 2e-16)
    True
    """
    q = x * 0.6366197723675814 + _MAGIC  # 2 / pi
    quadrant = _bits(q)
    q -= _MAGIC
    r = x - q * 1.5707963267341256  # pi / 2 in three parts, the first two of 33 bits
    r = r - q * 6.077100506303966e-11
    r = r - q * 2.0222662487959506e-21
    z = r * r
    s = r + r * z * (
        -1.66666666666666324348e-01
        + z
        * (
            8.33333333332248946124e-03
            + z
            * (
                -1.98412698298579493134e-04
                + z * (2.75573137070700676789e-06 + z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10))
            )
        )
    )
    c = (
        1.0
        - 0.5 * z
        + z
        * z
        * (
            4.16666666666666019037e-02
            + z
            * (
                -1.38888888888741095749e-03
                + z
                * (
                    2.48015872894767294178e-05
                    + z
                    * (-2.75573143513906633035e-07 + z * (2.08757232129817482790e-09 + z * -1.13596475577881948265e-11))
                )
            )
        )
    )
    odd = (quadrant & 1) != 0
    sine, cosine = (c if odd else s), (s if odd else c)
    sine = _float(_bits(sine) ^ ((quadrant & 2) << 62))
    cosine = _float(_bits(cosine) ^ (((quadrant + 1) & 2) << 62))
    lost = abs(x) > 1e12
    return (np.nan if lost else sine), (np.nan if lost else cosine)


@_inline
def sin(x):
    """Sine of x, radians."""
    s, _ = sincos(x)
    return s


@_inline
def cos(x):
    """Cosine of x, radians."""
    _, c = sincos(x)
    return c


@_inline
def _expm1_reduced(x):
    """``(exp(r) - 1, n)`` with ``x = n log 2 + r`` and r within half of log 2."""
    q = x * 1.4426950408889634 + _MAGIC
    n = _bits(q)
    q -= _MAGIC
    r = x - q * 0.6931471803691238  # log 2 in two parts
    r = r - q * 1.9082149292705877e-10
    tail = 1.0 / 6227020800.0
    tail = 1.0 / 479001600.0 + r * tail
    tail = 1.0 / 39916800.0 + r * tail
    tail = 1.0 / 3628800.0 + r * tail
    tail = 1.0 / 362880.0 + r * tail
    tail = 1.0 / 40320.0 + r * tail
    tail = 1.0 / 5040.0 + r * tail
    tail = 1.0 / 720.0 + r * tail
    tail = 1.0 / 120.0 + r * tail
    tail = 1.0 / 24.0 + r * tail
    tail = 1.0 / 6.0 + r * tail
    tail = 0.5 + r * tail
    return r + r * r * tail, n


@_inline
def exp(x):
    """The exponential of x.

    >>> bool(abs(exp(1.0) - np.e) < 1e-15), exp(-1e9), exp(1e9)
    (True, 0.0, inf)
    """
    y = -708.0 if x < -708.0 else x
    y = 709.782712893384 if y > 709.782712893384 else y
    p, n = _expm1_reduced(y)
    value = _float(_bits(1.0 + p) + (n << 52))
    value = np.inf if x > 709.782712893384 else value
    value = 0.0 if x < -708.0 else value
    return x if x != x else value


@_inline
def tanh(x):
    """The hyperbolic tangent of x.

    >>> tanh(1e-20), tanh(50.0)
    (1e-20, 1.0)
    """
    a = abs(x)
    a = 20.0 if a > 20.0 else a
    p, n = _expm1_reduced(2.0 * a)
    power = _float((n + 1023) << 52)
    grown = power * p + (power - 1.0)  # exp(2a) - 1 without cancellation, because n >= 0
    value = grown / (grown + 2.0)
    value = -value if x < 0.0 else value
    return x if x != x else value


@_inline
def logistic(x):
    """The logistic function ``1 / (1 + exp(-x))``.

    >>> logistic(0.0), logistic(-1e6)
    (0.5, 0.0)
    """
    return 1.0 / (1.0 + exp(-x))


@_inline
def rough_log2(x):
    """The logarithm to base 2 of x > 0 within 0.003: enough for a step-size controller, and vectorisable."""
    i = _bits(x)
    e = ((i >> 52) & 0x7FF) - 1023
    m = _float((i & 0xFFFFFFFFFFFFF) | 0x3FF0000000000000)
    return e + (-2.153620718 + m * (3.047884161 + m * (-1.051875031 + m * 0.158248664)))


@_inline
def near_exp2(z):
    """``2**z`` within a part in 17,000, for z within -1000 and 1000, vectorisable."""
    q = z + _MAGIC
    n = _bits(q)
    r = z - (q - _MAGIC)
    p = 1.0 + r * (0.693147 + r * (0.240227 + r * (0.0555041 + r * 0.00961813)))
    return _float(_bits(p) + (n << 52))


@_inline
def rough_exp2(z):
    """``2**z`` within a part in 17,000, for z within -60 and 60 and clipped there; vectorisable."""
    z = -60.0 if z < -60.0 else z
    z = 60.0 if z > 60.0 else z
    return near_exp2(z)


@_inline
def rough_power(x, a):
    """``x**a`` for x > 0 within a third of a percent."""
    return rough_exp2(a * rough_log2(x))


VECTORISED = {f.__name__: f for f in (sin, cos, exp, tanh, logistic, sincos)}
