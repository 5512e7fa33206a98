r"""Dual numbers over intervals: a value and its derivatives, each enclosed, carried through ordinary Python arithmetic.

A dual number is :math:`v + \sum_j d_j\varepsilon_j` with :math:`\varepsilon_i\varepsilon_j = 0`; here v and the
:math:`d_j` are intervals, one for each box of a batch. Evaluating a function on the dual number of every state encloses its
values and its Jacobian on all boxes at once. Functions with a kink (abs, max, min) give the hull of the derivatives on both
sides, which encloses the generalised Jacobian of a locally Lipschitz function. Functions with a jump, and comparisons, are
refused where they are not the same on a whole box.

References
----------
Griewank, Walther, Evaluating Derivatives, SIAM, 2008 (forward mode).
Clarke, Optimization and Nonsmooth Analysis, SIAM, 1990 (the generalised Jacobian).
"""

from __future__ import annotations

import math

import numpy as np

from ..linalg import intervals
from ..linalg.intervals import Interval, Refused, as_interval, elementary, hull

__all__ = ["FUNCTIONS", "Dual", "lift"]


class Dual:
    """An enclosed value with enclosed derivatives.

    Attributes
    ----------
    v : Interval, shape () or (k,)
        The value on each of k boxes.
    d : Interval, shape (n, k), or None
        The derivatives with respect to n states; None for a constant.

    Examples
    --------
    >>> x = Dual(Interval([1.0], [2.0]), Interval([[1.0]]))
    >>> y = 1 / x + x * x
    >>> print(y.v, y.d)
    [[1.5], [5.]] [[[1.]], [[3.75]]]
    """

    __slots__ = ("v", "d")
    __array_ufunc__ = None
    __hash__ = None

    def __init__(self, v, d=None):
        self.v, self.d = v, d

    def _with(self, other, operation):
        """The result for a number; elementwise for an array; not ours otherwise."""
        if isinstance(other, np.ndarray) and other.ndim:
            out = np.empty(other.shape, dtype=object)
            for index in np.ndindex(other.shape):
                out[index] = operation(self, lift(other[index]))
            return out
        return operation(self, lift(other))

    def __add__(self, other):
        return self._with(other, _add)

    def __sub__(self, other):
        return self._with(other, lambda a, b: _add(a, -b))

    def __rsub__(self, other):
        return self._with(other, lambda a, b: _add(b, -a))

    def __mul__(self, other):
        return self._with(other, _multiply)

    def __truediv__(self, other):
        return self._with(other, _divide)

    def __rtruediv__(self, other):
        return self._with(other, lambda a, b: _divide(b, a))

    def __pow__(self, other):
        return self._with(other, _power)

    def __rpow__(self, other):
        return self._with(other, lambda a, b: _power(b, a))

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self):
        return Dual(-self.v, None if self.d is None else -self.d)

    def __pos__(self):
        return self

    def __abs__(self):
        return _absolute(self)

    def __lt__(self, other):
        return self.v < lift(other).v

    def __le__(self, other):
        return self.v <= lift(other).v

    def __gt__(self, other):
        return self.v > lift(other).v

    def __ge__(self, other):
        return self.v >= lift(other).v

    def __eq__(self, other):
        return self.v == lift(other).v

    def __ne__(self, other):
        return self.v != lift(other).v

    def __bool__(self):
        return bool(self.v)

    def __float__(self):
        # a function that is not known would round a constant unseen
        raise TypeError("a function that is not known to interval arithmetic takes it as a plain number")

    def __int__(self):
        return int(self._constant())

    def __index__(self):
        return self._constant().__index__()

    def _constant(self):
        if self.d is not None:
            raise TypeError("a number that depends on the state is used as a fixed one")
        return self.v

    def __getattr__(self, name):
        # numpy asks the elements of an object array for their own sin, exp, ...
        if name in FUNCTIONS:
            return lambda *others: FUNCTIONS[name](self, *map(lift, others))
        raise AttributeError(name)

    def __repr__(self):
        return f"Dual({self.v})"


def lift(value):
    """A number as a dual number without derivatives; a dual number as it is."""
    return value if isinstance(value, Dual) else Dual(as_interval(value))


def _add(a, b):
    d = a.d if b.d is None else b.d if a.d is None else a.d + b.d
    return Dual(a.v + b.v, d)


def _scale(a, factor):
    return Dual(a.v * factor, None if a.d is None else a.d * factor)


def _multiply(a, b):
    if a is b:
        return _chain(a, lambda x: x**2, lambda x, _: x * 2.0)
    left = None if a.d is None else a.d * b.v
    right = None if b.d is None else b.d * a.v
    return Dual(a.v * b.v, left if right is None else right if left is None else left + right)


def _divide(a, b):
    value = a.v / b.v
    left = None if a.d is None else a.d / b.v
    # the quotient q, with q' = a'/b - q b'/b; a constant over b is monotone in b, so its square is tighter than q / b
    right = None if b.d is None else b.d * (-(a.v / b.v**2) if a.d is None else -(value / b.v))
    return Dual(value, left if right is None else right if left is None else left + right)


def _power(a, b):
    if b.d is None and b.v.is_point and b.v.lo.ndim == 0:
        c = float(b.v.lo)
        return _chain(a, lambda x: x**c, lambda x, _: x ** (c - 1) * c if c else Interval(0.0))
    return FUNCTIONS["exp"](_multiply(b, FUNCTIONS["log"](a)))


def _chain(x, function, slope):
    value = function(x.v)
    return Dual(value, None if x.d is None else x.d * slope(x.v, value))


def _pick(a, b, first, second):
    """Derivatives where the first or the second operand is taken; their hull where it may be either."""
    if a.d is None and b.d is None:
        return None
    zero = Interval(0.0)
    da, db = (zero if x.d is None else x.d for x in (a, b))
    both = hull(da, db)
    lo = np.where(first, da.lo, np.where(second, db.lo, both.lo))
    return Interval(lo, np.where(first, da.hi, np.where(second, db.hi, both.hi)))


def _maximum(a, b):
    return Dual(intervals.maximum(a.v, b.v), _pick(a, b, a.v.lo > b.v.hi, b.v.lo > a.v.hi))


def _minimum(a, b):
    return Dual(intervals.minimum(a.v, b.v), _pick(a, b, a.v.hi < b.v.lo, b.v.hi < a.v.lo))


def _absolute(x):
    return Dual(abs(x.v), _pick(x, -x, x.v.lo > 0, x.v.hi < 0))


def _step(function):
    """A function that is constant between jumps."""

    def apply(x):
        low, high = function(x.v.lo), function(x.v.hi)
        if np.any(low != high):
            raise Refused(low != high, "a function that jumps")
        return Dual(Interval(low))

    return apply


def _logistic(x):
    half = FUNCTIONS["tanh"](_scale(x, Interval(0.5)))
    return Dual((half.v + 1.0) * 0.5, None if x.d is None else x.d * ((1.0 - half.v**2) * 0.25))


def _softplus_of_difference(a, b):
    """``log(exp(a) + exp(b))``, whose derivative is a mean of both."""
    difference = a - b
    value = intervals.maximum(a.v, b.v) + elementary("log1p", elementary("exp", -abs(difference.v)))
    share = _logistic(Dual(difference.v)).v
    left = None if a.d is None else a.d * share
    right = None if b.d is None else b.d * (1.0 - share)
    return Dual(value, left if right is None else right if left is None else left + right)


_ROOT = Interval(math.nextafter(2 / math.sqrt(math.pi), 0), math.nextafter(2 / math.sqrt(math.pi), 2))
_SLOPES = {
    "exp": lambda x, y: y,
    "expm1": lambda x, y: elementary("exp", x),
    "log": lambda x, y: x.reciprocal(),
    "log1p": lambda x, y: (x + 1.0).reciprocal(),
    "sqrt": lambda x, y: (y * 2.0).reciprocal(),
    "sin": lambda x, y: elementary("cos", x),
    "cos": lambda x, y: -elementary("sin", x),
    "tan": lambda x, y: y**2 + 1.0,
    "sinh": lambda x, y: elementary("cosh", x),
    "cosh": lambda x, y: elementary("sinh", x),
    "tanh": lambda x, y: 1.0 - y**2,
    "arcsin": lambda x, y: elementary("sqrt", 1.0 - x**2).reciprocal(),
    "arccos": lambda x, y: -elementary("sqrt", 1.0 - x**2).reciprocal(),
    "arctan": lambda x, y: (x**2 + 1.0).reciprocal(),
    "arcsinh": lambda x, y: elementary("sqrt", x**2 + 1.0).reciprocal(),
    "arccosh": lambda x, y: elementary("sqrt", x**2 - 1.0).reciprocal(),
    "arctanh": lambda x, y: (1.0 - x**2).reciprocal(),
    "erf": lambda x, y: elementary("exp", -(x**2)) * _ROOT,
}


def _elementary(name):
    return lambda x: _chain(x, lambda v: elementary(name, v), _SLOPES[name])


def _log(base):
    return lambda x: FUNCTIONS["log"](x) / FUNCTIONS["log"](lift(base))


#: What a right-hand side may call: numpy's name -> function of dual numbers.
FUNCTIONS = {name: _elementary(name) for name in _SLOPES} | {
    "absolute": _absolute, "fabs": _absolute, "abs": _absolute, "negative": lambda x: -x, "positive": lambda x: x,
    "add": _add, "subtract": lambda a, b: a - b, "multiply": _multiply, "divide": _divide, "true_divide": _divide,
    "power": _power, "float_power": _power, "pow": _power, "square": lambda x: _multiply(x, x),
    "reciprocal": lambda x: 1.0 / x,
    "maximum": _maximum, "fmax": _maximum, "minimum": _minimum, "fmin": _minimum,
    "clip": lambda x, low, high: _minimum(_maximum(x, low), high),
    "hypot": lambda a, b: FUNCTIONS["sqrt"](_multiply(a, a) + _multiply(b, b)),
    "logaddexp": _softplus_of_difference, "logistic": _logistic, "log2": _log(2.0), "log10": _log(10.0),
    "exp2": lambda x: FUNCTIONS["exp"](_multiply(x, FUNCTIONS["log"](lift(2.0)))),
    "sincos": lambda x: (FUNCTIONS["sin"](x), FUNCTIONS["cos"](x)),
    "sign": _step(np.sign), "floor": _step(np.floor), "ceil": _step(np.ceil), "rint": _step(np.rint),
    "trunc": _step(np.trunc),
    "where": lambda chosen, a, b: a if chosen else b,
    "float64": lambda x: x, "float": lambda x: x,
}  # fmt: skip
