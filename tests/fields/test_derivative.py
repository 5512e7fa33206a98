"""Enclosures of users' functions against exact rationals, the complex step, and points of the boxes."""

import itertools
import math
from fractions import Fraction
from math import tanh as hyperbolic_tangent

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf

import dynet as dn
from dynet import math as fast
from dynet.fields.derivative import enclose_function, fingerprint
from dynet.fields.dual import FUNCTIONS, Dual
from dynet.linalg.intervals import Interval, Refused

pytest.importorskip("flint", reason="enclosures of elementary functions need the extra 'exact'")
RATE = 0.75
TABLE = np.array([0.5, -0.25])


@dn.vector_field(n=3, params={"k": 0.8, "b": 1.0, "p": 10.0})
def goodwin(t, x, p, dx):
    dx[0] = p.k / (1.0 + x[2] ** p.p) - p.b * x[0]
    dx[1] = x[0] - p.b * x[1]
    dx[2] = x[1] - p.b * x[2]


def helper(z, a):
    return math.exp(-z * z) * a + RATE


@dn.vector_field(n=2, params={"w": np.array([[1.0, -2.0], [0.5, 0.25]]), "m": 2.0}, inputs=1)
def everything(t, x, u, p, dx):
    total = 0.0
    for i in range(2):
        total += p.w[i, 1] * math.sin(x[i]) + TABLE[i]
    dx[0] = helper(total, p.m) + np.tanh(x[0]) / (2.0 + np.cos(x[1])) + u[0] + np.sin(t)
    dx[1] = hyperbolic_tangent(x[1]) - abs(x[0]) + max(x[0], x[1], -1.0) + fast.logistic(x[1]) ** 2 - x[1] ** 3


@dn.vector_field(n=2)
def branching(t, x, p, dx):
    if x[0] > 1.0:
        dx[0] = -3.0 * x[0] + 2.0
    else:
        dx[0] = -x[0]
    dx[1] = -x[1]


def points(rng, lo, hi, count):
    yield from itertools.islice(itertools.product(*zip(lo, hi, strict=True)), 64)
    yield from rng.uniform(lo, hi, (count, len(lo)))


@pytest.mark.parametrize("field", [goodwin, everything])
def test_values_and_jacobians_at_points_of_a_box_lie_in_the_enclosure(field):
    rng = np.random.default_rng(3)
    lo = rng.uniform(0.1, 1.0, (20, field.n))
    hi = lo + rng.choice([0.0, 1e-12, 1e-3, 0.5, 2.0], (20, field.n))
    u = ([-0.5], [0.25]) if field.inputs else None
    found = enclose_function(field, lo, hi, t=(0.0, 1.0), u=u)
    assert not found.failed.any()
    for k in range(20):
        for x in points(rng, lo[k], hi[k], 10):
            value = field.rhs(0.3, x, u=[0.25] if field.inputs else None)
            J = field.jacobian(0.3, x, u=[0.25] if field.inputs else None)
            slack = 1e-9 * (1 + np.abs(J))
            assert np.all(found.lo[k] <= value + 1e-12) and np.all(value - 1e-12 <= found.hi[k])
            kink = field is everything and x[0] == x[1]  # a central difference is no generalised gradient there
            assert kink or np.all(found.jacobian_lo[k] <= J + slack) and np.all(J - slack <= found.jacobian_hi[k])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=8, max_size=8), st.tuples(*[st.integers(-8, 8)] * 4), st.data())
def test_polynomials_are_enclosed_exactly(coefficients, ends, data):
    c = [v / 4 for v in coefficients]

    @dn.vector_field(n=2, params={"c": c})
    def polynomial(t, x, p, dx):
        dx[0] = p.c[0] + p.c[1] * x[0] + p.c[2] * x[0] * x[1] + p.c[3] * x[1] ** 3
        dx[1] = (p.c[4] - x[0]) * (p.c[5] + x[1] ** 2) + p.c[6] * x[0] ** 2 - p.c[7]

    ends = [sorted(ends[:2]), sorted(ends[2:])]
    found = enclose_function(polynomial, [e[0] / 8 for e in ends], [e[1] / 8 for e in ends])
    x, y = (Fraction(data.draw(st.integers(*e)), 8) for e in ends)
    c = [Fraction(v) for v in c]
    values = [c[0] + c[1] * x + c[2] * x * y + c[3] * y**3, (c[4] - x) * (c[5] + y**2) + c[6] * x**2 - c[7]]
    jacobian = [[c[1] + c[2] * y, c[2] * x + 3 * c[3] * y**2],
                [-(c[5] + y**2) + 2 * c[6] * x, 2 * (c[4] - x) * y]]  # fmt: skip
    for i in range(2):
        assert Fraction(float(found.lo[0, i])) <= values[i] <= Fraction(float(found.hi[0, i]))
        for j in range(2):
            low, high = found.jacobian_lo[0, i, j], found.jacobian_hi[0, i, j]
            assert Fraction(float(low)) <= jacobian[i][j] <= Fraction(float(high))
            if ends[0][0] == ends[0][1] and ends[1][0] == ends[1][1]:
                assert Fraction(float(low)) == jacobian[i][j] == Fraction(float(high))


_PLAIN = {
    "erf": erf, "logistic": lambda x: 1 / (1 + np.exp(-x)), "reciprocal": lambda x: 1 / x, "log2": np.log2,
    "log10": np.log10, "exp2": lambda x: np.exp(x * np.log(2)), "negative": lambda x: -x, "positive": lambda x: x,
}  # fmt: skip
_UNARY = [
    "exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan",
    "arcsinh", "arccosh", "arctanh", "erf", "logistic", "square", "reciprocal", "log2", "log10", "exp2", "negative",
    "positive",
]  # fmt: skip


@pytest.mark.parametrize("name", _UNARY)
def test_the_derivative_of_each_function_is_enclosed(name):
    low, high = {"arccosh": (1.1, 3.0), "arcsin": (-0.9, 0.9), "arccos": (-0.9, 0.9), "arctanh": (-0.9, 0.9),
                 "log": (0.1, 3.0), "log2": (0.1, 3.0), "log10": (0.1, 3.0), "log1p": (-0.9, 3.0), "sqrt": (0.1, 3.0),
                 "reciprocal": (0.2, 3.0), "tan": (-1.5, 1.5)}.get(name, (-3.0, 3.0))  # fmt: skip
    rng = np.random.default_rng(5)
    lo = rng.uniform(low, high, 40)
    hi = np.minimum(lo + rng.choice([0.0, 1e-6, 0.1, 1.0], 40), high)
    with np.errstate(all="ignore"):
        found = FUNCTIONS[name](Dual(Interval(lo, hi), Interval(np.ones((1, 40)))))
    plain = _PLAIN.get(name, getattr(np, name, None))
    for s in (0.0, 0.3, 1.0):
        x = np.clip(lo + s * (hi - lo), lo, hi)
        z = plain(x + 1e-20j)
        assert np.all(found.v.lo <= z.real + 1e-13 * np.abs(z.real)) and np.all(
            z.real <= found.v.hi + 1e-13 * np.abs(z)
        )
        d = z.imag / 1e-20
        slack = 1e-11 * np.abs(d)
        assert np.all(found.d.lo[0] <= d + slack) and np.all(d - slack <= found.d.hi[0])
        point = hi == lo
        assert np.all((found.d.hi - found.d.lo)[0, point] <= 1e-13 * (1 + np.abs(d[point])))


def two(name, *boxes):
    """A function of two dual numbers, each with its own state."""
    seeds = (np.array([[1.0], [0.0]]), np.array([[0.0], [1.0]]))
    with np.errstate(all="ignore"):
        return FUNCTIONS[name](*(Dual(Interval([a], [b]), Interval(s)) for (a, b), s in zip(boxes, seeds, strict=True)))


def test_kinks_give_the_hull_of_both_sides():
    assert str(two("maximum", (0.0, 1.0), (2.0, 3.0)).d) == "[[[0.]\n [1.]], [[0.]\n [1.]]]"
    either = two("maximum", (0.0, 2.0), (1.0, 3.0))
    assert either.d.lo.tolist() == [[0.0], [0.0]] and either.d.hi.tolist() == [[1.0], [1.0]]
    assert two("minimum", (0.0, 1.0), (1.0, 3.0)).d.hi.tolist() == [[1.0], [1.0]]  # they may be equal
    x = Dual(Interval([-1.0], [2.0]), Interval([[1.0]]))
    assert (abs(x).d.lo, abs(x).d.hi) == (-1.0, 1.0) and (abs(x + 1.5).d.lo, abs(x + 1.5).d.hi) == (1.0, 1.0)
    assert (FUNCTIONS["maximum"](x, Dual(Interval(0.0))).d.lo, FUNCTIONS["clip"](x, x, x).d.hi) == (0.0, 1.0)


@pytest.mark.parametrize("name", ["hypot", "logaddexp", "power", "divide", "multiply", "subtract"])
def test_functions_of_two_numbers(name):
    rng = np.random.default_rng(6)
    for _ in range(20):
        a, b = rng.uniform(0.5, 2.0, 2)
        found = two(name, (a, a + 0.25), (b, b + 0.125))
        for s, r in itertools.product((0.0, 0.5, 1.0), repeat=2):
            at = np.array([a + s / 4, b + r / 8], dtype=complex)
            function = getattr(np, name) if name in ("power", "divide", "multiply", "subtract") else {
                "hypot": lambda x, y: np.sqrt(x * x + y * y), "logaddexp": lambda x, y: np.log(np.exp(x) + np.exp(y))
            }[name]  # fmt: skip
            assert found.v.lo[0] - 1e-13 <= function(*at).real <= found.v.hi[0] + 1e-13
            for i in range(2):
                d = function(*(at + 1e-20j * np.eye(2)[i])).imag / 1e-20
                assert found.d.lo[i, 0] - 1e-12 <= d <= found.d.hi[i, 0] + 1e-12


def test_steps_and_undecided_branches_are_refused_and_decided_ones_are_not():
    flat = FUNCTIONS["floor"](Dual(Interval([0.25], [0.75]), Interval([[1.0]])))
    assert flat.v.lo == flat.v.hi == 0.0 and flat.d is None
    with pytest.raises(Refused, match="jumps"):
        FUNCTIONS["sign"](Dual(Interval(-1.0, 1.0)))
    found = enclose_function(branching, [[0.0, 0.0], [1.5, 0.0], [0.5, 0.0]], [[1.0, 1.0], [2.0, 1.0], [1.5, 1.0]])
    assert found.failed.tolist() == [False, False, True]
    assert found.jacobian_hi[:2, 0, 0].tolist() == [-1.0, -3.0]
    assert np.all(np.isinf(found.jacobian_hi[2])) and "either way" in found.why
    assert "line" in found.why


def test_what_cannot_be_enclosed_fails_with_a_reason():
    @dn.vector_field(n=1)
    def singular(t, x, p, dx):
        dx[0] = -1.0 / x[0]

    @dn.vector_field(n=1)
    def unknown(t, x, p, dx):
        dx[0] = -(x[0] % 2.0)

    found = enclose_function(singular, [[-1.0], [1.0]], [[1.0], [2.0]])
    assert found.failed.tolist() == [True, False] and "zero" in found.why
    found = enclose_function(unknown, [0.0], [1.0])
    assert found.failed.all() and "cannot be evaluated on intervals" in found.why


def test_inputs_and_times_are_any_unless_they_are_bounded():
    loose = enclose_function(everything, [0.0, 0.0], [0.5, 0.5])
    assert loose.hi[0, 0] == math.inf and np.isfinite(loose.jacobian_hi).all()
    tight = enclose_function(everything, [0.0, 0.0], [0.5, 0.5], u=([0.0], [0.0]), t=(0.0, 0.0))
    assert np.isfinite(tight.hi).all()
    assert loose.jacobian_lo[0, 1].tolist() == tight.jacobian_lo[0, 1].tolist()


def test_products_of_parameters_are_enclosed():
    @dn.vector_field(n=1, params={"a": 0.1, "b": 0.1})
    def decay(t, x, p, dx):
        dx[0] = -(p.a * p.b) * x[0]

    found = enclose_function(decay, [1.0], [1.0])
    exact = -Fraction(0.1) * Fraction(0.1)
    low, high = found.jacobian_lo[0, 0, 0], found.jacobian_hi[0, 0, 0]
    assert Fraction(float(low)) <= exact <= Fraction(float(high)) and low < high


def test_constants_are_not_rounded_unseen():
    @dn.vector_field(n=1, params={"a": 0.3, "m": 2.0})
    def hidden(t, x, p, dx):
        dx[0] = -np.cbrt(p.a) * x[0]

    @dn.vector_field(n=1, params={"a": 0.3, "m": 2.0})
    def plain(t, x, p, dx):
        dx[0] = -float(p.a) * x[0]
        for _ in range(int(p.m)):
            dx[0] = dx[0] - x[0]

    assert enclose_function(hidden, [0.0], [1.0]).failed.all()
    assert enclose_function(plain, [0.0], [1.0]).jacobian_lo[0, 0, 0] <= -2.3


def test_the_fingerprint_tells_functions_and_parameters_apart():
    same, other = fingerprint(goodwin), fingerprint(goodwin.replace(k=0.9))
    assert same == fingerprint(goodwin.replace(k=0.8)) != other != fingerprint(everything)

    def scaled(t, x, u, p, dx):
        dx[0] = -u[0] * x[0]

    fields = [dn.vector_field(n=1, inputs=1, input=u)(scaled) for u in (None, 0.5, 0.75, dn.Sinusoid(0.5, 1.0))]
    assert len({fingerprint(field) for field in fields}) == 4
