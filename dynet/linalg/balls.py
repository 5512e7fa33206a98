r"""Elementary functions that are bounded from both sides, by ball arithmetic.

A ball is a midpoint with a radius that accounts for every rounding on the way; the Arb library computes elementary
functions of balls to any precision. Here each function is evaluated at single floats, in 80 bits, and its ball is rounded
outward to two floats. What a function does on an interval follows from its values at the ends where it is monotone; see
:mod:`dynet.linalg.intervals`. This is the only module that knows the library, which comes with the extra ``exact``.

References
----------
Johansson, Arb: efficient arbitrary-precision midpoint-radius interval arithmetic, IEEE Trans. Computers 66, 2017.
"""

from __future__ import annotations

import math

import numpy as np

from ..errors import MissingExtraError

__all__ = ["FUNCTIONS", "enclose", "enclose_power", "load"]

_BITS = 80
#: numpy name -> (method of a ball, limits at minus and plus infinity; None where the function is not defined there)
FUNCTIONS = {
    "exp": ("exp", 0.0, math.inf),
    "expm1": ("expm1", -1.0, math.inf),
    "log": ("log", None, math.inf),
    "log1p": ("log1p", None, math.inf),
    "sqrt": ("sqrt", None, math.inf),
    "sinh": ("sinh", -math.inf, math.inf),
    "cosh": ("cosh", math.inf, math.inf),
    "tanh": ("tanh", -1.0, 1.0),
    "sin": ("sin", None, None),
    "cos": ("cos", None, None),
    "tan": ("tan", None, None),
    "arcsin": ("asin", None, None),
    "arccos": ("acos", None, None),
    "arctan": ("atan", None, None),  # its limits are no floats: the ball knows them
    "arcsinh": ("asinh", -math.inf, math.inf),
    "arccosh": ("acosh", None, math.inf),
    "arctanh": ("atanh", None, None),
    "erf": ("erf", -1.0, 1.0),
}


def load():
    """The library, or an error that names the extra."""
    try:
        import flint
    except ImportError:
        raise MissingExtraError(
            "an enclosure of an elementary function (a proof by ball arithmetic)", "exact"
        ) from None
    return flint


def enclose(name, x):
    """Floats below and above the values of an elementary function at floats.

    Parameters
    ----------
    name : str
        A key of :data:`FUNCTIONS`.
    x : ndarray
        No NaN; infinite entries give the limit.

    Returns
    -------
    low, high : ndarray, the shape of x
        Not more than a few units in the last place apart, and equal where the value is a float that the library finds
        exactly. ``-inf`` and ``inf`` where the function is not defined, or too large.

    Raises
    ------
    MissingExtraError
        When python-flint is not installed.

    Examples
    --------
    >>> low, high = enclose("exp", np.array([0.0, 1.0]))
    >>> print(low[0], high[0], low[1] <= np.e <= high[1], (high - low)[1] < 1e-15)
    1.0 1.0 True True
    """
    method, *limits = FUNCTIONS[name]

    def ball(value):
        return getattr(flint.arb(value), method)()

    flint = load()
    return _pointwise(flint, ball, np.asarray(x, dtype=float), dict(zip((-math.inf, math.inf), limits, strict=True)))


def enclose_power(x, exponent):
    """Floats below and above ``x ** exponent`` for x >= 0 and one positive exponent; see :func:`enclose`."""
    flint = load()
    power = flint.arb(float(exponent))

    def ball(value):
        return flint.arb(0) if value == 0 else flint.arb(value) ** power

    return _pointwise(flint, ball, np.asarray(x, dtype=float), {math.inf: math.inf})


def _pointwise(flint, ball, x, limits):
    """Each distinct entry once: the boxes of a subdivision share most of their ends."""
    values, where = np.unique(x, return_inverse=True)
    low, high = np.empty(values.size), np.empty(values.size)
    with flint.ctx.workprec(_BITS):
        for i, value in enumerate(values.tolist()):
            limit = limits.get(value)
            low[i], high[i] = (limit, limit) if limit is not None else _outward(flint, ball(value))
    return low[where].reshape(x.shape), high[where].reshape(x.shape)


def _outward(flint, ball):
    """The ball as two floats, rounded outward whatever the conversion does."""
    if not ball.is_finite():
        return -math.inf, math.inf
    lower, upper = ball.lower(), ball.upper()
    low, high = float(lower), float(upper)
    while math.isfinite(low) and not flint.arb(low) <= lower:
        low = math.nextafter(low, -math.inf)
    while math.isfinite(high) and not flint.arb(high) >= upper:
        high = math.nextafter(high, math.inf)
    # a bound beyond the floats
    return (math.nextafter(low, -math.inf) if low == math.inf else low,
            math.nextafter(high, math.inf) if high == -math.inf else high)  # fmt: skip
