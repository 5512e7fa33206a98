"""Interval arithmetic against exact rationals and against arbitrary precision."""

import math
import operator
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynet.errors import MissingExtraError
from dynet.linalg.balls import FUNCTIONS, enclose, enclose_power
from dynet.linalg.intervals import _DOMAIN, Interval, Mixed, Refused, elementary, hull, maximum, minimum

flint = pytest.importorskip("flint", reason="enclosures of elementary functions need the extra 'exact'")

floats = st.one_of(
    st.integers(-3, 3).map(float),
    st.floats(-1e3, 1e3, allow_subnormal=False),
    st.floats(-1e150, 1e150),
    st.floats(allow_nan=False, allow_infinity=False),
)


@st.composite
def intervals(draw, ends=floats):
    """An interval, and some floats in it."""
    lo, hi = sorted((draw(ends), draw(ends)))
    inside = [lo, hi] + [min(max(lo + s * (hi - lo), lo), hi) for s in draw(st.lists(st.floats(0, 1), max_size=3))]
    return Interval(lo, hi), [Fraction(x) for x in inside if math.isfinite(x)]


def holds(result, exact):
    """Whether an interval contains an exact number; infinite ends contain everything."""
    return (result.lo == -math.inf or Fraction(float(result.lo)) <= exact) and (
        result.hi == math.inf or exact <= Fraction(float(result.hi))
    )


@settings(max_examples=300, deadline=None)
@given(intervals(), intervals(), st.sampled_from("+-*/"))
def test_operations_contain_every_exact_result(first, second, sign):
    operation = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}[sign]
    (a, xs), (b, ys) = first, second
    with np.errstate(all="ignore"):
        if sign == "/" and b.lo <= 0 <= b.hi:
            with pytest.raises(Refused):
                operation(a, b)
            return
        result = operation(a, b)
        assert result.lo <= result.hi
        for x in xs:
            for y in ys:
                assert holds(result, operation(x, y))
                # a single number is another path
                assert holds(operation(a, float(y)), operation(x, y))
                assert holds(operation(float(x), b), operation(x, y))


@settings(max_examples=300, deadline=None)
@given(intervals(), st.integers(-5, 9))
def test_integer_powers_contain_every_exact_power(drawn, exponent):
    x, inside = drawn
    with np.errstate(all="ignore"):
        if exponent < 0 and x.lo <= 0 <= x.hi:
            with pytest.raises(Refused):
                x**exponent
            return
        try:
            result = x**exponent
        except Refused:  # the power is too small for the floats to tell it from zero
            assert exponent < 0 and min(abs(x.lo), abs(x.hi)) < 1e-20
            return
        for value in inside:
            assert holds(result, value**exponent)
        if exponent == 2:
            square = x * x
            assert (square.lo, square.hi) == (result.lo, result.hi) and square.lo >= 0


@given(st.integers(-40, 40), st.integers(-40, 40), st.integers(-40, 40), st.integers(-40, 40))
def test_small_integers_are_exact(a, b, c, d):
    x, y = Interval(min(a, b), max(a, b)), Interval(min(c, d), max(c, d))
    products = [a * c, a * d, b * c, b * d]
    assert (float((x * y).lo), float((x * y).hi)) == (min(products), max(products))
    assert (float((x - y).lo), float((x - y).hi)) == (min(a, b) - max(c, d), max(a, b) - min(c, d))
    if c * d > 0:
        halves = Interval(float(c)) / 4.0
        assert float(halves.lo) == float(halves.hi) == c / 4


_METHODS = {name: method for name, (method, _, _) in FUNCTIONS.items()}


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(FUNCTIONS)), intervals(st.one_of(st.floats(-30, 30), st.floats(-1e6, 1e6))), st.data())
def test_elementary_functions_contain_their_values(name, drawn, data):
    x, _ = drawn
    low, high = _DOMAIN.get(name, (-math.inf, math.inf))
    if x.lo < low or x.hi > high:
        with pytest.raises(Refused):
            elementary(name, x)
        return
    try:
        with np.errstate(all="ignore"):
            result = elementary(name, x)
    except Refused as error:
        assert name == "tan" and "zero" in str(error)
        return
    for s in data.draw(st.lists(st.floats(0, 1), min_size=1, max_size=6)) + [0.0, 1.0]:
        value = min(max(float(x.lo + s * (x.hi - x.lo)), float(x.lo)), float(x.hi))
        with flint.ctx.workprec(200):
            exact = getattr(flint.arb(value), _METHODS[name])()
            if exact.is_finite():
                assert not exact < flint.arb(float(result.lo)) and not exact > flint.arb(float(result.hi))


def test_waves_reach_their_crests_only_where_they_are():
    for name, crest in (("sin", math.pi / 2), ("cos", 2 * math.pi)):
        for shift, end in ((0.0, "hi"), (math.pi, "lo")):
            at = crest + shift
            assert abs(getattr(elementary(name, Interval(at - 0.1, at + 0.1)), end)) == 1.0
            assert abs(getattr(elementary(name, Interval(at - 1e-6, at + 1e-6)), end)) == 1.0
            assert abs(getattr(elementary(name, Interval(at + 0.1, at + 0.2)), end)) < 0.9951
    assert str(elementary("sin", Interval(-math.inf, math.inf))) == "[-1.0, 1.0]"
    assert str(elementary("cos", Interval(1e17, 1e17))) == "[-1.0, 1.0]"


def test_single_values_are_bounded_to_a_few_units_in_the_last_place():
    rng = np.random.default_rng(0)
    for name in FUNCTIONS:
        low, high = _DOMAIN.get(name, (-2.0, 2.0))
        x = rng.uniform(max(low, -2.0), min(high, 2.0), 50) if name != "arccosh" else rng.uniform(1, 2, 50)
        lower, upper = enclose(name, x)
        assert np.all(upper - lower <= 2 * np.spacing(np.abs(lower))), name


def test_infinite_ends_give_limits():
    whole = Interval(-math.inf, math.inf)
    assert str(elementary("tanh", whole)) == "[-1.0, 1.0]"
    assert str(elementary("exp", whole)) == "[0.0, inf]"
    turn = elementary("arctan", whole)
    assert Fraction(float(turn.hi)) > Fraction(math.pi / 2) - Fraction(1, 10**15) and turn.hi < 1.5708
    with np.errstate(all="ignore"):
        assert str(whole * 0.0) == "[0.0, 0.0]" and str(whole + 1.0) == "[-inf, inf]"
        assert str(5.0 / Interval(1.0, math.inf)) == "[0.0, 5.0]"
        assert str(Interval(5.0, math.inf) / Interval(1.0, math.inf)) == "[0.0, inf]"
        big = Interval(1e308, 1.5e308)
        total = big + big
        assert np.isfinite(total.lo) and total.hi == math.inf


def test_powers_that_are_no_integers():
    low, high = enclose_power(np.array([0.0, 2.0, 4.0]), 0.5)
    assert low[0] == high[0] == 0 and low[1] < math.sqrt(2) * (1 + 1e-15) and low[2] == high[2] == 2.0
    result = Interval(1.0, 4.0) ** 1.5
    assert result.lo <= 1.0 and 8.0 <= result.hi < 8.0 + 1e-14
    with pytest.raises(Refused, match="negative"):
        Interval(-1.0, 1.0) ** 0.5
    with np.errstate(all="ignore"):
        assert (2.0 ** Interval(0.0, 3.0)).hi == pytest.approx(8.0)
        assert (Interval(1.0, 2.0) ** Interval(1.0, 2.0)).hi == pytest.approx(4.0)
        odd = Interval(-2.0, 3.0) ** 101
    assert odd.lo <= -(2.0**101) and odd.hi >= 3.0**101 * (1 - 1e-15)


def test_comparisons_are_decided_mixed_or_refused():
    x = Interval([0.0, 2.0], [1.0, 3.0])
    assert x < 4.0 and not x > 4.0 and x >= 0.0 and 3.0 >= x and x != 5.0
    with pytest.raises(Mixed) as mixed:
        bool(x <= 1.0)
    assert mixed.value.mask.tolist() == [True, False]
    with pytest.raises(Refused) as refused:
        bool(x < 0.5)
    assert refused.value.mask.tolist() == [True, False]
    with pytest.raises(Refused):
        bool(Interval(0.0, 1.0) == 0.5)
    with pytest.raises(Refused):
        bool(Interval(0.0, 1.0) < 1.0)  # at 1 it fails
    assert Interval(0.0, 1.0) <= 1.0


def test_lattice_operations_and_numbers():
    a, b = Interval(0.0, 2.0), Interval(1.0, 3.0)
    assert [str(f(a, b)) for f in (hull, maximum, minimum)] == ["[0.0, 3.0]", "[1.0, 3.0]", "[0.0, 2.0]"]
    assert str(abs(Interval(-2.0, 1.0))) == "[0.0, 2.0]"
    assert int(Interval(3.0)) == 3 and range(5)[Interval(2.0)] == 2
    for wrong in (lambda: float(a), lambda: int(a), lambda: range(5)[Interval(0.5)], lambda: a + "x"):
        with pytest.raises(TypeError):
            wrong()
    for wrong in (math.nan, math.inf):
        with pytest.raises(Refused):
            a + wrong


def test_shapes_broadcast():
    rng = np.random.default_rng(2)
    lo, width = rng.normal(size=(3, 4)), rng.random(4)
    a, b, c = Interval(lo, lo + 1), Interval(-width, width), Interval(rng.normal(size=4))
    for operation in (operator.add, operator.sub, operator.mul):
        for left, right in ((a, b), (b, a), (a, c), (c, a), (a, Interval(2.0)), (Interval(2.0), b)):
            result = operation(left, right)
            for index in np.ndindex(np.broadcast_shapes(left.lo.shape, right.lo.shape)):
                at = [np.broadcast_to(end, result.lo.shape)[index] for end in (left.lo, left.hi, right.lo, right.hi)]
                single = operation(Interval(*at[:2]), Interval(*at[2:]))
                assert (single.lo, single.hi) == (result.lo[index], result.hi[index])


def test_without_the_library_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "flint", None)
    with pytest.raises(MissingExtraError, match=r"dynet-contraction\[exact\]"):
        elementary("exp", Interval(0.0, 1.0))
    assert str(Interval(1.0, 2.0) ** 3) == "[1.0, 8.0]"  # what needs no library works without it
