r"""The pass over the units in a sweep: the scalar equation :math:`y = \varphi(a y + s)` solved for each unit.

For slopes in :math:`[d_{\min}, d_{\max}]` the function :math:`y - \varphi(ay + s)` grows at least as fast as
:math:`m = 1 - \max(d_{\min}a, d_{\max}a)`, which is positive for every unit of a well-posed network: the equation has one
solution, and the residual at any y brackets it. Piecewise linear activations are solved in closed form, the others by
Newton's method, kept inside the bracket.
"""

# ruff: noqa: F821 (the names in the source that is copied are bound in the generated module)

from __future__ import annotations

import functools

import numpy as np

from ..engine import panels, sweeps
from ..fields import lanes
from ..fields.lure import _activation_source

__all__ = ["closed", "data", "pieces", "update"]

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
    wide, p = data.size // 3, data[data.size - 1]
    diagonal, near, weight = part(data, 0, n), part(data, wide, n), part(data, 2 * wide, n)
    state, total, new, most = part(x, at, n), part(s, at, n), part(fresh, 0, n), BITS(0)
    for i in range(n):  # three loops: compilers give up on loops over so many arrays that may overlap
        new[i] = solve(diagonal[i], total[i], near[i], state[i], p)
    for i in range(n):
        total[i] += diagonal[i] * state[i]
    for i in range(n):
        most = max(most, to_bits(abs(value(total[i], p) - state[i]) * weight[i]))
    return from_bits(most)


def closed(activation):
    """Whether the scalar equation has a closed form."""
    return activation.code in _CLOSED


def pieces(activation, real):
    """The source of ``value(z, p)`` and ``solve(a, s, near, y, p)`` for an activation."""
    code = activation.code
    if code in _CLOSED:
        return [_HEAD.format(value=_VALUE[code], closed=_CLOSED[code])]
    if code is not None:
        phi = f"from dynet.fields.kernels import {code} as phi\n"
    else:
        phi = lanes.HEAD + _activation_source(activation)
    if code in _SLOPE:
        slope, after = f"slope = REAL(1) - a * REAL({_SLOPE[code].replace('y', 'v')})", "pass"
    else:  # by a secant
        slope, after = "slope = max(slope, REAL(1e-3))", "slope = (g - before) / step"
    tiny = "TINY = REAL(4e-16)\n" if real == "float64" else "TINY = REAL(2e-7)\n"
    return [tiny + _CURVED.format(phi=phi, slope=slope, after=after)]


@functools.lru_cache(maxsize=64)
def update(activation, real):
    """The compiled pass over the units for an activation, in ``"float64"`` or ``"float32"``."""
    return sweeps.kernel(real, *pieces(activation, real), _update)


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
