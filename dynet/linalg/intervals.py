r"""Interval arithmetic over arrays, with outward rounding: each entry stands for every real number between two floats.

An operation returns an interval that contains the result for all reals in its operands; ends are rounded outward only
where they are inexact, so that signs and zeros survive. Elementary functions are bounded at the ends of their monotone
pieces by ball arithmetic (:mod:`dynet.linalg.balls`). Ends may be infinite, and then :math:`0\cdot\infty = 0`, since an
infinite end stands for arbitrarily large reals only.

What has no answer that holds for the whole interval raises: :class:`Refused` with the entries for which it does not (a
division by an interval around zero, a comparison that may turn out either way), :class:`Mixed` where a comparison is
decided for every entry but not in the same way. The caller splits the entries and tries again.

References
----------
Moore, Kearfott, Cloud, Introduction to Interval Analysis, SIAM, 2009.
"""

from __future__ import annotations

import math

import numpy as np

from .balls import FUNCTIONS, enclose, enclose_power
from .rigorous import add_down, add_up, multiply_both, multiply_down, multiply_up

__all__ = ["Interval", "Mixed", "Refused", "elementary", "hull", "maximum", "minimum"]

_MAX = np.finfo(float).max
_DOMAIN = {"log": (0.0, math.inf), "log1p": (-1.0, math.inf), "sqrt": (0.0, math.inf), "arcsin": (-1.0, 1.0),
           "arccos": (-1.0, 1.0), "arccosh": (1.0, math.inf), "arctanh": (-1.0, 1.0)}  # fmt: skip
_RANGE = {"exp": (0.0, math.inf), "expm1": (-1.0, math.inf), "sqrt": (0.0, math.inf), "cosh": (1.0, math.inf),
          "tanh": (-1.0, 1.0), "erf": (-1.0, 1.0), "sin": (-1.0, 1.0), "cos": (-1.0, 1.0)}  # fmt: skip


class Refused(ArithmeticError):
    """No enclosure exists for the entries where :attr:`mask` is true, for the reason that the message gives."""

    def __init__(self, mask, why):
        super().__init__(why)
        self.mask = mask


class Mixed(ArithmeticError):
    """A comparison holds where :attr:`mask` is true and fails elsewhere."""

    def __init__(self, mask):
        super().__init__("a comparison that does not turn out the same way everywhere")
        self.mask = mask


class Interval:
    """An array of intervals ``[lo, hi]``; combine inside ``np.errstate(all="ignore")``.

    Parameters
    ----------
    lo, hi : array_like
        No NaN, lo <= hi; `hi` is `lo` when left out.

    Examples
    --------
    >>> x = Interval(0.0, 1.0)
    >>> print((1 - x) * x, x**2, (x - 0.5) ** 2)
    [0.0, 1.0] [0.0, 1.0] [0.0, 0.25]
    """

    __slots__ = ("lo", "hi")
    __array_ufunc__ = None

    def __init__(self, lo, hi=None):
        self.lo = np.asarray(lo, dtype=float)
        self.hi = self.lo if hi is None else np.asarray(hi, dtype=float)

    @property
    def is_point(self):
        """Whether this was made of single numbers: the two ends are one array."""
        return self.hi is self.lo

    def __add__(self, other):
        other = as_interval(other)
        # an end that overflows inward becomes the largest float
        return Interval(np.minimum(add_down(self.lo, other.lo), _MAX), np.maximum(add_up(self.hi, other.hi), -_MAX))

    def __neg__(self):
        if self.is_point:
            return Interval(-self.lo)
        return Interval(-self.hi, -self.lo)

    def __sub__(self, other):
        return self + -as_interval(other)

    def __mul__(self, other):
        if other is self:
            return _power(self, 2)
        other = as_interval(other)
        if self.is_point and not other.is_point:
            return other * self
        if other.is_point and other.lo.ndim == 0:
            c = float(other.lo)
            if c == 0:
                return Interval(np.zeros(self.lo.shape))
            down, up = multiply_both(np.stack([self.lo, self.hi] if c > 0 else [self.hi, self.lo]), c)
            return Interval(down[0], up[1])
        if other.is_point:
            x, y = np.stack([self.lo, self.hi]), other.lo
        else:
            x = np.stack([self.lo, self.lo, self.hi, self.hi])
            y = np.stack(np.broadcast_arrays(other.lo, other.hi, other.lo, other.hi))
        if x.ndim != y.ndim + 1 or not other.is_point:
            x, y = _aligned(x, y, other.is_point)
        zero = (x == 0) | (y == 0)
        down, up = multiply_both(x, y)
        return Interval(np.where(zero, 0.0, down).min(axis=0), np.where(zero, 0.0, up).max(axis=0))

    def __truediv__(self, other):
        return _divide(self, as_interval(other))

    def reciprocal(self):
        """``1 / x``; refuses entries that contain zero."""
        return _divide(Interval(1.0), self)

    def __pow__(self, other):
        if isinstance(other, Interval):
            if not (other.is_point and other.lo.ndim == 0):
                return elementary("exp", other * elementary("log", self))
            other = float(other.lo)
        return _power(self, float(other))

    def __abs__(self):
        inside = (self.lo <= 0) & (self.hi >= 0)
        ends = np.abs(self.lo), np.abs(self.hi)
        return Interval(np.where(inside, 0.0, np.minimum(*ends)), np.maximum(*ends))

    __radd__, __rmul__ = __add__, __mul__

    def __pos__(self):
        return self

    def __rsub__(self, other):
        return as_interval(other) + -self

    def __rtruediv__(self, other):
        return as_interval(other) / self

    def __rpow__(self, other):
        return as_interval(other) ** self

    def __lt__(self, other):
        other = as_interval(other)
        return _decide(self.hi < other.lo, self.lo >= other.hi)

    def __le__(self, other):
        other = as_interval(other)
        return _decide(self.hi <= other.lo, self.lo > other.hi)

    def __gt__(self, other):
        return as_interval(other) < self

    def __ge__(self, other):
        return as_interval(other) <= self

    def __eq__(self, other):
        other = as_interval(other)
        same = (self.lo == self.hi) & (other.lo == other.hi) & (self.lo == other.lo)
        return _decide(same, (self.hi < other.lo) | (self.lo > other.hi))

    def __ne__(self, other):
        return not self == other

    __hash__ = None

    def __bool__(self):
        return self != 0.0

    def __float__(self):
        if self.lo.ndim or self.lo != self.hi:
            raise TypeError("an interval is used as a single number")
        return float(self.lo)

    def __int__(self):
        return int(float(self))

    def __index__(self):
        value = float(self)
        if not value.is_integer():
            raise TypeError(f"{value!r} is used as an integer")
        return int(value)

    def __str__(self):
        return f"[{self.lo}, {self.hi}]"

    __repr__ = __str__


def as_interval(value):
    """A number, an array of numbers, or an interval, as an interval."""
    if isinstance(value, Interval):
        return value
    value = np.asarray(value)
    if value.dtype.kind not in "biuf":
        raise TypeError(f"{value.dtype} numbers in interval arithmetic")
    if not np.isfinite(value).all():
        raise Refused(~np.isfinite(value), "a number that is not finite")
    return Interval(value)


def hull(a, b):
    """The least interval that contains both."""
    return Interval(np.minimum(a.lo, b.lo), np.maximum(a.hi, b.hi))


def maximum(a, b):
    """The larger of the two, elementwise."""
    return Interval(np.maximum(a.lo, b.lo), np.maximum(a.hi, b.hi))


def minimum(a, b):
    """The smaller of the two, elementwise."""
    return Interval(np.minimum(a.lo, b.lo), np.minimum(a.hi, b.hi))


def elementary(name, x):
    """An elementary function of an interval, by its numpy name.

    >>> y = elementary("sin", Interval(0.0, 3.0))
    >>> print(y.lo, y.hi)
    0.0 1.0
    """
    low, high = _DOMAIN.get(name, (-math.inf, math.inf))
    outside = (x.lo < low) | (x.hi > high)
    if outside.any():
        raise Refused(outside, f"{name} outside its domain")
    if name in ("sin", "cos"):
        return _wave(name, x)
    if name == "tan":
        _wave("cos", x).reciprocal()  # refuses an interval with a pole; between two poles tan increases
    if name == "cosh":
        x = abs(x)
    if name == "arccos":
        x = Interval(x.hi, x.lo)
    first = enclose(name, x.lo)
    second = first if x.is_point else enclose(name, x.hi)
    least, most = _RANGE.get(name, (-math.inf, math.inf))
    return Interval(np.maximum(first[0], least), np.minimum(second[1], most))


def _wave(name, x):
    """sin or cos: the values at the ends, and the crests and troughs in between, counted generously."""
    with np.errstate(all="ignore"):
        huge = ~((np.abs(x.lo) < 1e15) & (np.abs(x.hi) < 1e15))
        lo, hi = (np.where(huge, 0.0, end) for end in (x.lo, x.hi))
        ends = enclose(name, lo), enclose(name, hi)
        low, high = np.minimum(ends[0][0], ends[1][0]), np.maximum(ends[0][1], ends[1][1])
        for phase, crest in ((0.25, True), (0.75, False)) if name == "sin" else ((0.0, True), (0.5, False)):
            first, last = lo / (2 * math.pi) - phase, hi / (2 * math.pi) - phase
            first, last = first - 1e-14 * (1 + np.abs(first)), last + 1e-14 * (1 + np.abs(last))
            inside = huge | (np.ceil(first) <= np.floor(last))
            low, high = np.where(inside & (not crest), -1.0, low), np.where(inside & crest, 1.0, high)
    return Interval(np.maximum(low, -1.0), np.minimum(high, 1.0))


def _power(x, exponent):
    if not math.isfinite(exponent):
        raise Refused(np.ones(x.lo.shape, bool), f"the power {exponent}")
    if exponent < 0:
        return _power(x, -exponent).reciprocal()
    if exponent == 0:
        return Interval(np.ones(x.lo.shape))
    if float(exponent).is_integer():
        if exponent == 1:
            return x
        size = abs(x)
        if exponent <= 64:
            low, high = _repeated(size.lo, int(exponent), multiply_down), _repeated(size.hi, int(exponent), multiply_up)
        else:
            low, high = enclose_power(size.lo, exponent)[0], enclose_power(size.hi, exponent)[1]
        if exponent % 2 == 0:
            return Interval(np.maximum(low, 0.0), high)
        return Interval(_odd_power(x.lo, exponent, 0), _odd_power(x.hi, exponent, 1))
    negative = x.lo < 0
    if negative.any():
        raise Refused(negative, f"the power {exponent:g} of a negative number")
    return Interval(np.maximum(enclose_power(x.lo, exponent)[0], 0.0), enclose_power(x.hi, exponent)[1])


def _odd_power(x, exponent, end):
    """A bound on an odd power from below (end = 0) or above (1), for numbers of either sign."""

    def bound(size, end):
        if exponent > 64:
            return enclose_power(size, exponent)[end]
        return _repeated(size, int(exponent), (multiply_down, multiply_up)[end])

    return np.where(x >= 0, bound(np.maximum(x, 0.0), end), -bound(np.maximum(-x, 0.0), 1 - end))


def _repeated(x, exponent, multiply):
    """The power of nonnegative numbers by repeated squaring, all of it rounded one way."""
    result = None
    while exponent:
        if exponent & 1:
            result = x if result is None else np.maximum(multiply(result, x), 0.0)
        exponent >>= 1
        x = np.maximum(multiply(x, x), 0.0) if exponent else x
    return result


def _divide(a, b):
    """For a divisor without zero the quotients of the ends decide; they are kept where they are exact."""
    around = (b.lo <= 0) & (b.hi >= 0)
    if around.any():
        raise Refused(around, "a division by an interval that contains zero")
    ends = np.broadcast_arrays(a.lo, a.hi, b.lo, b.hi)
    x, y = (np.stack([ends[i] for i in which]) for which in ((0, 0, 1, 1), (2, 3, 2, 3)))
    quotient = np.where(np.isinf(y), 0.0, x / y)
    low, high = multiply_both(quotient, y)
    exact = ((low == x) & (high == x)) | (x == 0) | np.isinf(y)
    down = np.where(exact, quotient, np.nextafter(quotient, -np.inf))
    up = np.where(exact, quotient, np.nextafter(quotient, np.inf))
    return Interval(down.min(axis=0), up.max(axis=0))


def _aligned(x, y, point):
    """Stacked ends of two shapes, with axes put in between so that they broadcast as the shapes do."""
    a, b = x.shape[1:], y.shape if point else y.shape[1:]
    size = max(len(a), len(b))
    x = x.reshape(x.shape[:1] + (1,) * (size - len(a)) + a)
    y = y.reshape((1,) * (size - len(b)) + b) if point else y.reshape(y.shape[:1] + (1,) * (size - len(b)) + b)
    return x, y


def _decide(true, false):
    """One truth value for all entries, or the exception that says why there is none."""
    if np.all(true):
        return True
    if np.all(false):
        return False
    open_ = ~(true | false)
    if np.any(open_):
        raise Refused(open_, "a comparison that may turn out either way: write it with max, min or abs")
    raise Mixed(true)


assert set(_DOMAIN) | set(_RANGE) <= set(FUNCTIONS)
