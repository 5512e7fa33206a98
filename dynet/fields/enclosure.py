r"""Enclosures of a field on boxes, whatever its form.

A function is evaluated on intervals (:mod:`dynet.fields.derivative`). Of a Lur'e field
:math:`E x + F\Phi(Gx + Bu + g) + Du + h` the three products are bounded by splitting each matrix into its positive and its
negative part, with the rounding of the sums added; a monotone activation is evaluated at the two ends.

References
----------
Higham, Accuracy and Stability of Numerical Algorithms, second edition, 2002, chapter 3.
"""

from __future__ import annotations

import math

import numpy as np

from ..linalg import intervals
from ..linalg.intervals import Interval, elementary
from ..linalg.rigorous import add_down, add_up, gamma
from . import activation as activations
from .derivative import Enclosure, enclose_function
from .dual import FUNCTIONS, Dual
from .function import FunctionField
from .lure import LureField
from .noise import LARGEST, Noise
from .signal import Constant, Piecewise, Sinusoid, Square, Tabulated

__all__ = ["enclose", "input_bounds", "unit_bounds"]

_EXACT = 32  # states up to which each term of a product is rounded on its own, and only where it must be


def enclose(field, lo, hi, *, t=(-math.inf, math.inf), u=None, jacobian=False):
    """Bounds on a field over boxes.

    Parameters
    ----------
    field : VectorField
    lo, hi : array_like, shape (n,) or (k, n)
    t : (t0, t1)
        Times for which the bounds are to hold.
    u : pair of array_like, optional
        Bounds on the input; those of the field's own input when None.
    jacobian : bool
        Whether to bound the Jacobian, too (functions only).

    Returns
    -------
    Enclosure
        With everything failed, and a reason, for a form that has no enclosure.

    Examples
    --------
    >>> import dynet as dn
    >>> net = dn.models.FiringRate([[0.0, 0.5], [0.5, 0.0]], activation="relu")
    >>> box = enclose(net, [-1.0, 0.0], [1.0, 2.0])
    >>> print(box.lo, box.hi)
    [[-1. -2.]] [[2.  0.5]]
    """
    u = input_bounds(field) if u is None else u
    if isinstance(field, FunctionField):
        return enclose_function(field, lo, hi, t=t, u=u, jacobian=jacobian)
    lo, hi = np.broadcast_arrays(*(np.atleast_2d(np.asarray(end, dtype=float)) for end in (lo, hi)))
    k, n = lo.shape
    nothing = Enclosure(np.full((k, n), -math.inf), np.full((k, n), math.inf), None, None, np.ones(k, bool), "")
    if not isinstance(field, LureField):
        return nothing._replace(why=f"{field.name} has no enclosure: it is neither a function nor a Lur'e field")
    with np.errstate(all="ignore"):
        phi = _activation_bounds(field.activation, unit_bounds(field, lo, hi, u))
        if phi is None:
            return nothing._replace(why=f"the activation {field.activation.name!r} is not known to interval arithmetic")
        out = _product(field.E, Interval(lo, hi)) + _product(field.F, phi) + field.h
        if field.D is not None:
            out = out + _product(field.D, Interval(*map(np.atleast_2d, u)))
    return nothing._replace(lo=out.lo, hi=out.hi, failed=np.zeros(k, bool))


def unit_bounds(field, lo, hi, u=None):
    """Bounds on what goes into the units of a Lur'e field over boxes: an Interval of shape (k, m)."""
    u = input_bounds(field) if u is None else u
    with np.errstate(all="ignore"):
        z = _product(field.G, Interval(np.atleast_2d(lo), np.atleast_2d(hi))) + field.g
        return z if field.B is None else z + _product(field.B, Interval(*map(np.atleast_2d, u)))


def input_bounds(field):
    """Bounds on each channel of the field's own input for all times, a pair of shape (inputs,); infinite if unknown."""
    signal = field.input
    if signal is None:
        return np.zeros(field.inputs), np.zeros(field.inputs)
    if isinstance(signal, Constant):
        return signal.value, signal.value
    if isinstance(signal, (Sinusoid, Square, Noise)):
        size = np.abs(signal.amplitude) * (1 + 4 * np.finfo(float).eps)  # its sine may be rounded above 1
        size = size * LARGEST if isinstance(signal, Noise) else size
        return add_down(signal.offset, -size), add_up(signal.offset, size)
    if isinstance(signal, (Piecewise, Tabulated)):
        values = signal.values
        return values.min(axis=1), values.max(axis=1)
    whole = np.full(field.inputs, math.inf)
    return -whole, whole


def _product(matrix, x):
    """``matrix @ x`` for a matrix of any kind and intervals of shape (k, n)."""
    if isinstance(matrix, np.ndarray) and matrix.ndim == 1:
        return x * Interval(matrix)
    dense = isinstance(matrix, np.ndarray)
    if dense and matrix.shape[1] <= _EXACT:
        products = Interval(x.lo[:, None, :], x.hi[:, None, :]) * Interval(matrix)
        total = Interval(products.lo[..., 0], products.hi[..., 0])
        for j in range(1, matrix.shape[1]):
            total = total + Interval(products.lo[..., j], products.hi[..., j])
        return total
    zero = np.zeros_like(matrix) if dense else None
    up = np.maximum(matrix, zero) if dense else matrix.maximum(0)
    down = np.minimum(matrix, zero) if dense else matrix.minimum(0)
    terms = matrix.shape[1] if dense else int(np.diff(matrix.indptr).max(initial=0))
    lo, hi = (np.where(np.isinf(end), 0.0, end) for end in (x.lo, x.hi))
    size = np.maximum(np.abs(lo), np.abs(hi)) @ abs(matrix).T
    error = gamma(2 * terms + 4) * size * (1 + 1e-9) + np.where(size > 0, 1e-300, 0.0)
    low, high = lo @ up.T + hi @ down.T, hi @ up.T + lo @ down.T
    open_low = (np.isinf(x.lo) @ up.T) - (np.isinf(x.hi) @ down.T) > 0
    open_high = (np.isinf(x.hi) @ up.T) - (np.isinf(x.lo) @ down.T) > 0
    return Interval(np.where(open_low, -np.inf, np.where(error > 0, np.nextafter(low - error, -np.inf), low)),
                    np.where(open_high, np.inf, np.where(error > 0, np.nextafter(high + error, np.inf), high)))  # fmt: skip


def _elu(z):
    return intervals.maximum(z, Interval(0.0)) + elementary("expm1", intervals.minimum(z, Interval(0.0)))


_INCREASING = {
    "identity": lambda z, a: z,
    "relu": lambda z, a: intervals.maximum(z, Interval(0.0)),
    "leaky_relu": lambda z, a: (intervals.maximum if a <= 1 else intervals.minimum)(z, z * a),
    "hard_tanh": lambda z, a: intervals.minimum(intervals.maximum(z, Interval(-1.0)), Interval(1.0)),
    "tanh": lambda z, a: elementary("tanh", z),
    "logistic": lambda z, a: FUNCTIONS["logistic"](Dual(z)).v,
    "softplus": lambda z, a: FUNCTIONS["logaddexp"](Dual(z), Dual(Interval(0.0))).v,
    "elu": lambda z, a: _elu(z),
    "softsign": lambda z, a: z / (abs(z) + 1.0),
    "arctan": lambda z, a: elementary("arctan", z),
}
_OTHER = {
    "sin": lambda z, a: elementary("sin", z),
    "gelu": lambda z, a: z * (elementary("erf", z / elementary("sqrt", Interval(2.0))) + 1.0) * 0.5,
    "silu": lambda z, a: z * FUNCTIONS["logistic"](Dual(z)).v,
}


def _activation_bounds(activation, z):
    """The activation on intervals, or None for one that only its user knows."""
    name = activation.name.partition("(")[0]
    if name not in activations.names() or activations.get(name).function is not activation.function:
        return None
    a = activation.parameter
    if name in _OTHER:
        return _OTHER[name](z, a)
    if name == "leaky_relu" and a < 0:
        return intervals.maximum(z, z * a)  # not monotone, and the larger of the two all the same
    low, high = (_INCREASING[name](_finite(end), a) for end in (z.lo, z.hi))
    return Interval(low.lo, high.hi)


def _finite(end):
    """Points, with infinite ones as the interval from the largest float on."""
    big = np.finfo(float).max
    return Interval(np.where(end == np.inf, big, end), np.where(end == -np.inf, -big, end))
