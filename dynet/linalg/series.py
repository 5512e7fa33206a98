r"""Power series with enclosed coefficients: a function of one variable s near 0, carried through Python arithmetic.

A number here is :math:`\sum_{j<m} c_j s^j + O(s^m)` with balls :math:`c_j`. Evaluated on the Taylor coefficients of a
curve, a right-hand side returns those of its values along the curve; where the coefficients enclose the curve's at every
point of an interval, so does the last one returned, and that bounds the remainder of Taylor's formula.

Functions with a kink, and comparisons, are decided by the constant coefficient, or refused where it does not decide.

References
----------
Johansson, Arb: efficient arbitrary-precision midpoint-radius interval arithmetic, IEEE Trans. Computers 66, 2017.
"""

from __future__ import annotations

import math

import numpy as np

from .balls import load
from .intervals import Refused

__all__ = ["ORDER", "Series", "ball", "upper", "working_precision"]

ORDER = 9  # coefficients of a series: s^0 .. s^8
_BITS = 80


def working_precision():
    """A context in which balls have 80 bits."""
    return load().ctx.workprec(_BITS)


def ball(lo, hi=None):
    """The ball around an interval, or a float exactly."""
    arb = load().arb
    if hi is None or lo == hi:
        return arb(float(lo))
    return arb(float(lo)).union(arb(float(hi)))


def upper(value):
    """A float that is at least the modulus of everything in a ball; inf where it is unbounded."""
    if not value.is_finite():
        return math.inf
    high = value.abs_upper()
    found = float(high)
    while math.isfinite(found) and not load().arb(found) >= high:
        found = math.nextafter(found, math.inf)
    return found


class Series:
    """A power series of :data:`ORDER` coefficients.

    Parameters
    ----------
    coefficients : list of balls or floats

    Examples
    --------
    >>> s = Series([0.0, 1.0])
    >>> [float(c.mid()) for c in (1.0 / (1.0 - s)).coefficients()[:4]]
    [1.0, 1.0, 1.0, 1.0]
    """

    __slots__ = ("s",)
    __array_ufunc__ = None
    __hash__ = None

    def __init__(self, coefficients):
        flint = load()
        self.s = flint.arb_series(coefficients, prec=ORDER)

    @classmethod
    def _of(cls, s):
        self = object.__new__(cls)
        self.s = s
        return self

    @classmethod
    def lift(cls, value):
        """A number as a constant series."""
        if isinstance(value, Series):
            return value
        interval = getattr(value, "v", value)  # a constant dual number
        if hasattr(interval, "lo"):
            if getattr(value, "d", None) is not None:
                raise TypeError("a number that depends on the state in another arithmetic")
            return cls([ball(float(interval.lo), float(interval.hi))])
        return cls([float(value)])

    @property
    def functions(self):
        """The functions of a series by numpy's names."""
        return FUNCTIONS

    def coefficients(self):
        """The ORDER coefficients as balls."""
        if self.s.prec < ORDER:
            raise Refused(np.True_, "a series that lost its last coefficients")
        found = list(self.s.coeffs())[:ORDER]
        return found + [load().arb(0)] * (ORDER - len(found))

    def _with(self, other, operation):
        if isinstance(other, np.ndarray) and other.ndim:
            out = np.empty(other.shape, dtype=object)
            for index in np.ndindex(other.shape):
                out[index] = self._with(other[index], operation)
            return out
        return Series._of(operation(self.s, Series.lift(other).s))

    def __add__(self, other):
        return self._with(other, lambda a, b: a + b)

    def __sub__(self, other):
        return self._with(other, lambda a, b: a - b)

    def __rsub__(self, other):
        return self._with(other, lambda a, b: b - a)

    def __mul__(self, other):
        return self._with(other, lambda a, b: a * b)

    def __truediv__(self, other):
        return self._with(other, _quotient)

    def __rtruediv__(self, other):
        return self._with(other, lambda a, b: _quotient(b, a))

    def __pow__(self, other):
        return _power(self, Series.lift(other))

    def __rpow__(self, other):
        return _power(Series.lift(other), self)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self):
        return Series._of(-self.s)

    def __pos__(self):
        return self

    def __abs__(self):
        return self if self > 0.0 else -self

    def _first(self):
        return self.coefficients()[0]

    def __lt__(self, other):
        a, b = self._first(), Series.lift(other)._first()
        if a < b:
            return True
        if a >= b:
            return False
        raise Refused(np.True_, "a comparison that may turn out either way")

    def __gt__(self, other):
        return Series.lift(other) < self

    def __le__(self, other):
        return not self > other

    def __ge__(self, other):
        return not self < other

    def __eq__(self, other):
        a, b = self._first(), Series.lift(other)._first()
        if a.is_exact() and b.is_exact() and a == b:
            return True
        if a.overlaps(b):
            raise Refused(np.True_, "a comparison that may turn out either way")
        return False

    def __ne__(self, other):
        return not self == other

    def __bool__(self):
        return self != 0.0

    def __float__(self):
        raise TypeError("a function that is not known to power series takes it as a plain number")

    def _fixed(self):
        """The number that this is, where it is one."""
        first, *rest = self.coefficients()
        if not first.is_exact() or any(not c.is_zero() for c in rest):
            raise TypeError("a number that varies is used as a fixed one")
        return float(first)

    def __int__(self):
        return int(self._fixed())

    def __index__(self):
        value = self._fixed()
        if not value.is_integer():
            raise TypeError(f"{value!r} is used as an integer")
        return int(value)

    def __getattr__(self, name):
        if name in FUNCTIONS:
            return lambda *others: FUNCTIONS[name](self, *map(Series.lift, others))
        raise AttributeError(name)

    def __repr__(self):
        return f"Series({self.s})"


def _quotient(a, b):
    if b[0].contains(0):
        raise Refused(np.True_, "a division by an interval that contains zero")
    return a / b


def _power(a, b):
    rest = b.coefficients()
    if rest[0].is_exact() and all(c.is_zero() for c in rest[1:]):
        exponent = float(rest[0])
        if exponent.is_integer() and abs(exponent) <= 64:
            whole = a.s ** int(abs(exponent)) if exponent else Series([1.0]).s
            return Series._of(whole if exponent >= 0 else _quotient(Series([1.0]).s, whole))
    return Series._of((b.s * _log(a.s)).exp())


def _log(s):
    if not s[0] > 0:
        raise Refused(np.True_, "a logarithm outside its domain")
    return s.log()


def _sqrt(s):
    if not s[0] > 0:
        raise Refused(np.True_, "a square root outside its domain")
    return s.sqrt()


def _tanh(s):
    # on the side where the exponential is small
    if s[0] > 0:
        return -_tanh(-s)
    grown = (s + s).exp()
    return (grown - 1) / (grown + 1)


def _unary(function):
    return lambda x: Series._of(function(x.s))


def _larger(a, b):
    return a if a > b else b


def _smaller(a, b):
    return a if a < b else b


FUNCTIONS = {
    "exp": _unary(lambda s: s.exp()), "expm1": _unary(lambda s: s.exp() - 1), "log": _unary(_log),
    "log1p": _unary(lambda s: _log(s + 1)), "sqrt": _unary(_sqrt), "sin": _unary(lambda s: s.sin()),
    "cos": _unary(lambda s: s.cos()), "tan": _unary(lambda s: _quotient(s.sin(), s.cos())),
    "sinh": _unary(lambda s: (s.exp() - (-s).exp()) / 2), "cosh": _unary(lambda s: (s.exp() + (-s).exp()) / 2),
    "tanh": _unary(_tanh), "arctan": _unary(lambda s: s.atan()), "arcsin": _unary(lambda s: s.asin()),
    "erf": _unary(lambda s: s.erf()), "logistic": _unary(lambda s: (_tanh(s / 2) + 1) / 2),
    "absolute": abs, "fabs": abs, "abs": abs, "negative": lambda x: -x, "positive": lambda x: x,
    "add": lambda a, b: a + b, "subtract": lambda a, b: a - b, "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b, "true_divide": lambda a, b: a / b, "power": _power, "float_power": _power, "pow": _power,
    "square": lambda x: x * x, "reciprocal": lambda x: 1.0 / x,
    "maximum": _larger, "fmax": _larger, "minimum": _smaller, "fmin": _smaller,
    "clip": lambda x, low, high: _smaller(_larger(x, low), high),
    "hypot": lambda a, b: Series._of(_sqrt((a * a + b * b).s)),
    "logaddexp": lambda a, b: Series._of(((a - b).s.exp() + 1).log() + b.s),
    "sincos": lambda x: (Series._of(x.s.sin()), Series._of(x.s.cos())),
    "log2": lambda x: FUNCTIONS["log"](x) / FUNCTIONS["log"](Series([2.0])),
    "log10": lambda x: FUNCTIONS["log"](x) / FUNCTIONS["log"](Series([10.0])),
    "where": lambda chosen, a, b: a if chosen else b, "float64": lambda x: x, "float": lambda x: x,
}  # fmt: skip
