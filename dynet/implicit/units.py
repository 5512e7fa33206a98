r"""The pass over the units in a sweep: the scalar equation :math:`y = \varphi(a y + s)` solved for each unit.

For slopes in :math:`[d_{\min}, d_{\max}]` the function :math:`y - \varphi(ay + s)` grows at least as fast as
:math:`m = 1 - \max(d_{\min}a, d_{\max}a)`, which is positive for every unit of a well-posed network: the equation has one
solution, and the residual at any y brackets it. Piecewise linear activations are solved in closed form, the others by
Newton's method, kept inside the bracket.
"""

from __future__ import annotations

import functools

import numpy as np

from ..engine import panels, sweeps
from ..fields import lanes
from ..fields.lure import _activation_source

__all__ = ["data", "update"]

#: psi(a, s, inverse of m, parameter) in closed form; for ReLU `near` is 1 / (1 - a).
_CLOSED = {
    "relu": "max(s, REAL(0)) * near",
    "identity": "s / (REAL(1) - a)",
    "leaky_relu": "s / (REAL(1) - a) if s > REAL(0) else p * s / (REAL(1) - p * a)",
    "hard_tanh": "min(max(s / (REAL(1) - a), REAL(-1)), REAL(1))",
}
_VALUE = {
    "relu": "max(z, REAL(0))",
    "identity": "z",
    "leaky_relu": "z if z > REAL(0) else p * z",
    "hard_tanh": "min(max(z, REAL(-1)), REAL(1))",
}
#: The slope from the argument z and the value y.
_SLOPE = {
    "tanh": "1.0 - y * y",
    "logistic": "y * (1.0 - y)",
    "softplus": "1.0 - math.exp(-y)",
    "elu": "1.0 if z > 0.0 else y + 1.0",
    "softsign": "(1.0 - abs(y)) * (1.0 - abs(y))",
    "arctan": "1.0 / (1.0 + z * z)",
    "sin": "math.cos(z)",
}

_HEAD = """
@njit(inline="always")
def value(z, p):
    return {value}

@njit(inline="always")
def solve(a, s, near, y, p):
    return {closed}
"""

_CURVED = """
import math
{phi}
@njit(error_model="numpy")
def value(z, p):
    return REAL(phi(z, p))

@njit(error_model="numpy")
def solve(a, s, near, y, p):
    z = a * y + s
    v = value(z, p)
    g = y - v
    low = y - g * near if g > REAL(0) else y
    high = y if g > REAL(0) else y - g * near
    slope = REAL(1) / near
    for _ in range(100):
        if g == REAL(0) or not (low < high):
            break
        {slope}
        new = y - g / slope
        if not (low < new < high):
            new = REAL(0.5) * (low + high)
            if not (low < new < high):
                break
        step, before = new - y, g
        y = new
        z = a * y + s
        v = value(z, p)
        g = y - v
        if g > REAL(0):
            high = y
        else:
            low = y
        if abs(step) <= TINY * abs(y):
            break
        {after}
    return y
"""


def _update(data, n, x, s, extra, at, fresh):
    wide = data.size // 3
    p = data[3 * wide]
    most = BITS(0)  # noqa: F821 (bound in the generated module)
    for i in range(n):
        a, now, off = data[i], x[at + i], s[at + i]
        z = off + a * now
        s[at + i] = z
        fresh[i] = solve(a, off, data[wide + i], now, p)  # noqa: F821
        most = max(most, to_bits(abs(value(z, p) - now) * data[2 * wide + i]))  # noqa: F821
    return from_bits(most)  # noqa: F821


@functools.lru_cache(maxsize=64)
def update(activation, real):
    """The compiled pass over the units for an activation, in ``"float64"`` or ``"float32"``."""
    code = activation.code
    if code in _CLOSED:
        return sweeps.kernel(real, _HEAD.format(value=_VALUE[code], closed=_CLOSED[code]), _update)
    if code is not None:
        phi = f"from dynet.fields.kernels import {code} as phi\n"
    else:
        phi = lanes.HEAD + _activation_source(activation)
    if code in _SLOPE:
        slope, after = f"slope = REAL(1) - a * REAL({_SLOPE[code].replace('y', 'v')})", "pass"
    else:  # by a secant
        slope, after = "slope = max(slope, REAL(1e-3))", "slope = (g - before) / step"
    tiny = "TINY = REAL(4e-16)\n" if real == "float64" else "TINY = REAL(2e-7)\n"
    return sweeps.kernel(real, tiny + _CURVED.format(phi=phi, slope=slope, after=after), _update)


def data(activation, diagonal, weights, real, *, transposed=False):
    """What the pass over the units reads: diagonal, 1/m (1/(1 - a) for ReLU), weights of the residual, parameter.

    Parameters
    ----------
    activation : Activation
    diagonal, weights : ndarray, shape (n,)
    real : str
    transposed : bool
        For the transposed system, whose residual is measured in the dual norm.

    Returns
    -------
    ndarray, shape (3 * width + 1,)
    """
    n, wide = len(diagonal), panels.width(len(diagonal), real)
    out = np.zeros(3 * wide + 1, real)
    low, high = activation.slopes
    out[:n] = diagonal
    with np.errstate(divide="ignore"):
        steep = diagonal if activation.code == "relu" else np.maximum(low * diagonal, high * diagonal)
        out[wide : wide + n] = 1 / (1 - steep)
        out[2 * wide : 2 * wide + n] = weights if transposed else 1 / weights
    out[-1] = activation.parameter
    return out
