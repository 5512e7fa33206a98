"""Exact identities of user functions: laws that hold are found, laws that hold to within rounding only are not."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dynet as dn
from dynet.fields.symbols import FUNCTIONS, Ring, left_eigenvalue, right_eigenvalue


@dn.vector_field(n=3, params={"b": 0.1, "g": 0.3})
def sir(t, x, p, dx):
    new = p.b * x[0] * x[1]
    dx[0] = -new
    dx[1] = new - p.g * x[1]
    dx[2] = p.g * x[1]


@dn.vector_field(n=3, params={"v": 1.1, "cap": [0.3, 0.7, 0.9]})
def cells(t, x, p, dx):
    flows = [0.2 + t, min(p.v * x[0], max(p.cap[1] - x[1], 0.0)), abs(x[1] - x[2]), math.tanh(x[2]) / (1 + x[2] ** 2)]
    for i in range(3):
        dx[i] = flows[i] - flows[i + 1]
    dx[2] = dx[2] + flows[3]


@dn.vector_field(n=2)
def rounded(t, x, p, dx):
    dx[0] = -0.3 * x[0] + 0.3 * x[1]
    dx[1] = (0.1 + 0.2) * x[0] - (0.1 + 0.2) * x[1]


@dn.vector_field(n=2)
def leaky(t, x, p, dx):
    dx[0] = -0.5 * x[0] + math.sin(x[1] - x[0]) ** 3
    dx[1] = -0.5 * x[1] + math.atan(x[0] - x[1])


@dn.vector_field(n=2)
def branching(t, x, p, dx):
    dx[0] = -x[0] if x[0] > 0 else x[0]
    dx[1] = x[1] - x[0]


def test_laws():
    assert left_eigenvalue(sir, np.ones(3)) == 0 and left_eigenvalue(sir, np.array([1.0, 1.0, 2.0])) is None
    assert left_eigenvalue(cells, np.ones(3)) == 0 and right_eigenvalue(cells, np.ones(3)) is None
    assert right_eigenvalue(leaky, np.ones(2)) == -1 / 2 and left_eigenvalue(leaky, np.ones(2)) is None
    assert right_eigenvalue(rounded, np.ones(2)) == 0
    assert left_eigenvalue(rounded, np.ones(2)) is None  # 0.1 + 0.2 is not 0.3
    assert left_eigenvalue(branching, np.ones(2)) is None and right_eigenvalue(branching, np.ones(2)) is None


@pytest.mark.parametrize(
    "vector", [np.ones(2), np.array([np.nan, 1.0, 1.0]), np.array([0.0, 1.0, 1.0]), np.array([np.inf] * 3)]
)
def test_vectors_of_no_use(vector):
    assert left_eigenvalue(sir, vector) is None and right_eigenvalue(sir, vector) is None


@given(st.integers(0, 2**32 - 1))
def test_what_is_equal_here_is_equal_in_numbers(seed):
    """Random expressions written in two orders: algebra calls them equal, and so do numbers; a change is seen by both."""
    random = np.random.default_rng(seed)
    ring = Ring()
    symbols = ring.symbols("x", 2)
    numbers = random.uniform(0.2, 0.9, 2)
    names = ["sin", "cos", "tanh", "exp", "absolute", "sqrt"]

    def build(x, functions, order):
        draw = np.random.default_rng(seed)
        value = x[0] * 2 - x[1]
        for _ in range(4):
            name, which = names[draw.integers(len(names))], x[draw.integers(2)]
            inner = functions(
                name, which * which + 1 if name == "sqrt" else which - x[0] if name == "absolute" else which
            )
            value = value + inner * which if order else which * inner + value
        return functions("maximum", value, x[0]) - (x[0] if order else 0)

    symbolic = lambda name, *a: FUNCTIONS[name](*a)  # noqa: E731
    plain = lambda name, *a: getattr(np, name)(*a)  # noqa: E731
    difference = build(symbols, symbolic, True) - build(symbols, symbolic, False) + symbols[0]
    assert not difference.terms
    assert build(numbers, plain, True) - build(numbers, plain, False) + numbers[0] == pytest.approx(0, abs=1e-12)


def test_oddness_reciprocals_and_positive_parts():
    x, y = Ring().symbols("x", 2)
    for name in ("sin", "tanh", "arctan", "erf"):
        assert not (FUNCTIONS[name](x - y) + FUNCTIONS[name](y - x)).terms
    assert not (FUNCTIONS["cos"](x - y) - FUNCTIONS["cos"](y - x)).terms
    assert not (1 / (2 * x - 2 * y) - 0.5 / (x - y)).terms and (1 / (x + y) - 1 / (x - y)).terms
    assert not (FUNCTIONS["minimum"](x, y) + FUNCTIONS["maximum"](x, y) - x - y).terms
    assert not (abs(x - y) - abs(y - x)).terms and (abs(x - y) - (x - y)).terms
    with pytest.raises(TypeError):
        bool(x > y)
