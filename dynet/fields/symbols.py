r"""Exact identities of a user's own function: its Python code run on polynomials with rational coefficients.

Bounds cannot show that a sum is zero; algebra can. The function that simulates a field is called once more with symbols in
place of the states. A value is a polynomial (exponents may be negative) in *atoms*: the states, time, inputs, and applied
functions such as :math:`\sin(p)`, each known by the polynomial that it is applied to. Numbers count as exactly the floats that
they are, so that terms cancel if and only if they do in real arithmetic. Odd and even functions have the sign of their
argument taken out, maxima are written by the positive part of a difference, :math:`\max(a, b) = b + (a - b)^+`; beyond that
nothing is simplified: what is equal here is equal, and what is not may be equal all the same.

With a symbol a, :math:`F(x + a\xi) - F(x) = \lambda a\xi` says :math:`DF\,\xi = \lambda\xi` (a translation invariance for
:math:`\lambda = 0`), and :math:`\eta^\top F - \lambda\eta^\top x` free of x says :math:`\eta^\top DF = \lambda\eta^\top` (a
conservation law), wherever the function is defined.

References
----------
Griewank, Walther, Evaluating Derivatives, SIAM, 2008 (overloading; here on symbols).
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

__all__ = ["FUNCTIONS", "Expression", "Ring", "left_eigenvalue", "right_eigenvalue", "run"]

_MOST = 4_000  # terms of a polynomial
_LARGEST = 64  # exponent
_ODD = ("sin", "tan", "sinh", "tanh", "arcsin", "arctan", "arcsinh", "arctanh", "erf")
_EVEN = ("cos", "cosh")
_PLAIN = ("exp", "expm1", "log", "log1p", "sqrt", "arccos", "arccosh", "logistic", "log2", "log10", "exp2")
_AT_ZERO = {"exp": 1, "cos": 1, "cosh": 1, "exp2": 1, "logistic": Fraction(1, 2), "expm1": 0, "log1p": 0, "sqrt": 0}


class Ring:
    """The atoms of one computation: a number for each, and which of them depend on a state."""

    def __init__(self):
        self.numbers, self.states = {}, set()

    def atom(self, key, state):
        """The polynomial of one atom; the same number for the same key."""
        number = self.numbers.setdefault(key, len(self.numbers))
        if state:
            self.states.add(number)
        return Expression(self, {((number, 1),): Fraction(1)})

    def constant(self, value):
        """A number, exactly."""
        value = Fraction(float(value)) if not isinstance(value, (int, Fraction)) else Fraction(value)
        return Expression(self, {(): value} if value else {})

    def lift(self, value):
        """A number as a constant; an expression as it is."""
        if isinstance(value, Expression):
            return value
        if isinstance(value, (complex, np.complexfloating)) or np.ndim(value):
            raise TypeError("not a real number")
        return self.constant(int(value) if isinstance(value, (bool, np.bool_)) else value)

    def symbols(self, name, count, state=True):
        """Atoms of their own, as an object array."""
        out = np.empty(count, dtype=object)
        for i in range(count):
            out[i] = self.atom((name, i), state)
        return out


class Expression:
    """A polynomial in atoms with rational coefficients.

    Attributes
    ----------
    ring : Ring
    terms : dict
        Monomial (pairs of atom and exponent, sorted) -> coefficient that is not 0.

    Examples
    --------
    >>> x, y = Ring().symbols("x", 2)
    >>> ((x + y) * (x - y) - x * x + y**2).terms, (FUNCTIONS["sin"](x - y) + FUNCTIONS["sin"](y - x)).terms
    ({}, {})
    """

    __slots__ = ("ring", "terms")
    __array_ufunc__ = None
    __hash__ = None

    def __init__(self, ring, terms):
        if len(terms) > _MOST:
            raise TypeError("an expression of too many terms")
        self.ring, self.terms = ring, terms

    functions = property(lambda self: FUNCTIONS)
    lift = property(lambda self: self.ring.lift)

    def _with(self, other, operation):
        if isinstance(other, np.ndarray) and other.ndim:
            out = np.empty(other.shape, dtype=object)
            for index in np.ndindex(other.shape):
                out[index] = self._with(other[index], operation)
            return out
        return operation(self, self.ring.lift(other))

    def __add__(self, other):
        return self._with(other, _add)

    def __sub__(self, other):
        return self._with(other, lambda a, b: _add(a, -b))

    def __rsub__(self, other):
        return self._with(other, lambda a, b: _add(b, -a))

    def __mul__(self, other):
        return self._with(other, _multiply)

    def __truediv__(self, other):
        return self._with(other, lambda a, b: _multiply(a, _reciprocal(b)))

    def __rtruediv__(self, other):
        return self._with(other, lambda a, b: _multiply(b, _reciprocal(a)))

    def __pow__(self, other):
        return self._with(other, _power)

    def __rpow__(self, other):
        return self._with(other, lambda a, b: _power(b, a))

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self):
        return Expression(self.ring, {m: -c for m, c in self.terms.items()})

    def __pos__(self):
        return self

    def __abs__(self):
        return 2 * _positive(self) - self

    def _difference(self, other):
        found = (self - other).number()
        if found is None:
            raise TypeError("a comparison that depends on the state")
        return found

    def __lt__(self, other):
        return self._difference(other) < 0

    def __le__(self, other):
        return self._difference(other) <= 0

    def __gt__(self, other):
        return self._difference(other) > 0

    def __ge__(self, other):
        return self._difference(other) >= 0

    def __eq__(self, other):
        return self._difference(other) == 0

    def __ne__(self, other):
        return self._difference(other) != 0

    def __bool__(self):
        return self != 0

    def __float__(self):
        raise TypeError("a function that is not known to algebra takes a symbol as a plain number")

    def __getattr__(self, name):
        if name in FUNCTIONS:
            return lambda *others: FUNCTIONS[name](self, *map(self.ring.lift, others))
        raise AttributeError(name)

    def number(self):
        """The value of a constant as a Fraction, None for anything else."""
        if not self.terms:
            return Fraction(0)
        return self.terms.get(()) if len(self.terms) == 1 else None

    def key(self):
        """What makes it the same as another one, for a dict."""
        return frozenset(self.terms.items())

    def depends(self):
        """Whether a state occurs in it."""
        return any(atom in self.ring.states for monomial in self.terms for atom, _ in monomial)


def _add(a, b):
    terms = dict(a.terms)
    for monomial, c in b.terms.items():
        total = terms.get(monomial, 0) + c
        if total:
            terms[monomial] = total
        else:
            terms.pop(monomial, None)
    return Expression(a.ring, terms)


def _multiply(a, b):
    if len(a.terms) * len(b.terms) > 16 * _MOST:
        raise TypeError("a product of too many terms")
    terms = {}
    for m, c in a.terms.items():
        for w, d in b.terms.items():
            monomial = _joined(m, w)
            total = terms.get(monomial, 0) + c * d
            if total:
                terms[monomial] = total
            else:
                terms.pop(monomial, None)
    return Expression(a.ring, terms)


def _joined(m, w):
    if not m or not w:
        return m or w
    powers = dict(m)
    for atom, exponent in w:
        powers[atom] = powers.get(atom, 0) + exponent
    if any(abs(e) > _LARGEST for e in powers.values()):
        raise TypeError("a power too high to write out")
    return tuple(sorted((atom, e) for atom, e in powers.items() if e))


def _leading(a):
    """The coefficient of the first monomial in a fixed order."""
    return a.terms[min(a.terms)]


def _reciprocal(a):
    if not a.terms:
        raise TypeError("a division by zero")
    if len(a.terms) == 1:
        ((monomial, c),) = a.terms.items()
        return Expression(a.ring, {tuple((atom, -e) for atom, e in monomial): 1 / c})
    c = _leading(a)
    unit = Expression(a.ring, {m: v / c for m, v in a.terms.items()})
    return a.ring.atom(("reciprocal", unit.key()), unit.depends()) * (1 / c)


def _power(a, b):
    exponent = b.number()
    if exponent is not None and exponent.denominator == 1 and abs(exponent) <= _LARGEST:
        base, result = a if exponent >= 0 else _reciprocal(a), a.ring.constant(1)
        for _ in range(abs(int(exponent))):
            result = result * base
        return result
    return a.ring.atom(("power", a.key(), b.key()), a.depends() or b.depends())


def _applied(name, *arguments):
    ring = arguments[0].ring
    return ring.atom((name, *(a.key() for a in arguments)), any(a.depends() for a in arguments))


def _plain(name):
    def apply(x):
        if not x.terms and name in _AT_ZERO:
            return x.ring.constant(_AT_ZERO[name])
        return _applied(name, x)

    return apply


def _odd(name):
    def apply(x):
        if not x.terms:
            return x
        return _applied(name, x) if _leading(x) > 0 else -_applied(name, -x)

    return apply


def _even(name):
    plain = _plain(name)
    return lambda x: plain(-x if x.terms and _leading(x) < 0 else x)


def _positive(x):
    """The positive part; of a number, of a positive multiple, and by ``x+ = x + (-x)+`` of one sign."""
    value = x.number()
    if value is not None:
        return x.ring.constant(max(value, Fraction(0)))
    c = _leading(x)
    unit = Expression(x.ring, {m: v / c for m, v in x.terms.items()})
    part = _applied("positive", unit)
    return part * c if c > 0 else x + part * (-c)


def _refused(name):
    def apply(*arguments):
        raise TypeError(f"{name} is not known to algebra")

    return apply


def _hypot(a, b):
    return FUNCTIONS["sqrt"](a * a + b * b)


#: What a right-hand side may call: numpy's name -> function of expressions.
FUNCTIONS = {name: _plain(name) for name in _PLAIN} | {name: _odd(name) for name in _ODD}
FUNCTIONS |= {name: _even(name) for name in _EVEN} | {
    "absolute": abs, "fabs": abs, "abs": abs, "negative": lambda x: -x, "positive": lambda x: x,
    "add": _add, "subtract": lambda a, b: a - b, "multiply": _multiply, "divide": lambda a, b: a / b,
    "true_divide": lambda a, b: a / b, "power": _power, "float_power": _power, "pow": _power,
    "square": lambda x: x * x, "reciprocal": _reciprocal,
    "maximum": lambda a, b: b + _positive(a - b), "fmax": lambda a, b: b + _positive(a - b),
    "minimum": lambda a, b: a - _positive(a - b), "fmin": lambda a, b: a - _positive(a - b),
    "clip": lambda x, low, high: FUNCTIONS["minimum"](FUNCTIONS["maximum"](x, low), high),
    "hypot": _hypot, "logaddexp": lambda a, b: b + _applied("softplus", a - b),
    "sincos": lambda x: (FUNCTIONS["sin"](x), FUNCTIONS["cos"](x)),
    "where": lambda chosen, a, b: a if chosen else b, "float64": lambda x: x, "float": lambda x: x,
}  # fmt: skip
FUNCTIONS |= {name: _refused(name) for name in ("sign", "floor", "ceil", "rint", "trunc")}


def run(field, ring, x):
    """The components of a function field at symbols, a list of expressions, or None where algebra does not know it.

    Parameters
    ----------
    field : FunctionField
    ring : Ring
    x : sequence of Expression, length n
    """
    from .derivative import parameters, translate

    time, inputs = ring.atom(("t",), False), ring.symbols("u", field.inputs, state=False)
    dx = np.zeros(field.n, dtype=object)
    try:
        states = np.empty(field.n, dtype=object)
        states[:] = x
        function, p = translate(field.function, {}), parameters(field, ring.constant)
        function(time, states, *((inputs,) if field.inputs else ()), p, dx)
        return [ring.lift(value) for value in dx]
    except (TypeError, ValueError, AttributeError, ArithmeticError, IndexError, RecursionError):
        return None


def right_eigenvalue(field, vector):
    r"""The number :math:`\lambda` with :math:`DF(x)\,\xi = \lambda\xi` at every x, proven, as a Fraction; None if none is.

    Examples
    --------
    >>> import dynet as dn
    >>> @dn.vector_field(n=2)
    ... def pair(t, x, p, dx):
    ...     dx[0] = math.sin(x[1] - x[0]) + 0.1
    ...     dx[1] = math.sin(x[0] - x[1]) - x[0] + x[1]
    >>> print(right_eigenvalue(pair, np.ones(2)), left_eigenvalue(pair, np.ones(2)))
    0 None
    """
    if not _usable(field, vector):
        return None
    ring = Ring()
    x, a = ring.symbols("x", field.n), ring.atom(("shift",), True)
    xi = [Fraction(float(v)) for v in vector]
    before, after = run(field, ring, x), run(field, ring, [v + a * c for v, c in zip(x, xi, strict=True)])
    if before is None or after is None:
        return None
    first = (after[0] - before[0]).terms
    rate = Fraction(0) if not first else first.get(next(iter(a.terms)), Fraction(0)) / xi[0]
    for f, g, c in zip(before, after, xi, strict=True):
        if (g - f - a * (rate * c)).terms:
            return None
    return rate


def left_eigenvalue(field, vector):
    r"""The number :math:`\lambda` with :math:`\eta^\top DF(x) = \lambda\eta^\top` at every x, proven; None if none is."""
    if not _usable(field, vector):
        return None
    ring = Ring()
    x = ring.symbols("x", field.n)
    values = run(field, ring, x)
    if values is None:
        return None
    eta = [Fraction(float(v)) for v in vector]
    try:
        total = sum((f * c for f, c in zip(values, eta, strict=True)), ring.constant(0))
        rate = total.terms.get(next(iter(x[0].terms)), Fraction(0)) / eta[0]
        for v, c in zip(x, eta, strict=True):
            total = total - v * (rate * c)
    except TypeError:  # too many terms
        return None
    return None if total.depends() else rate


def _usable(field, vector):
    finite = np.shape(vector) == (field.n,) and np.isfinite(vector).all() and vector[0] != 0
    return bool(finite and field.n * max(field.n, 8) <= _MOST and all(math.isfinite(v) for p in field.params.values()
                                                                       for v in np.ravel(p)))  # fmt: skip
