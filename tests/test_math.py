"""The elementary functions: their errors against arbitrary precision, special values, and that loops vectorise."""

import math
import re

import flint
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numba import njit

from dynet import math as fast

EXACT = {
    "sin": flint.arb.sin,
    "cos": flint.arb.cos,
    "exp": flint.arb.exp,
    "tanh": flint.arb.tanh,
    "logistic": lambda x: 1 / (1 + (-x).exp()),
}
# name: bound, absolute or relative, range: the table in dynet/math.py
PROMISED = {
    "sin": (3e-16, "absolute", -1e12, 1e12),
    "cos": (3e-16, "absolute", -1e12, 1e12),
    "exp": (4e-16, "relative", -708.0, 709.782712893384),
    "tanh": (6e-16, "relative", -np.inf, np.inf),
    "logistic": (8e-16, "relative", -708.0, np.inf),
}
EACH = pytest.mark.parametrize("name", EXACT)


def loop_of(name):
    f = getattr(fast, name)

    @njit
    def loop(x, out):
        for i in range(x.size):
            out[i] = f(x[i])

    return loop


LOOPS = {name: loop_of(name) for name in EXACT}


def evaluate(name, x):
    """In a compiled loop, as in a right-hand side."""
    x = np.ascontiguousarray(x, dtype=float)
    out = np.empty_like(x)
    LOOPS[name](x, out)
    return out


def error(name, x, y, kind):
    with flint.ctx.workprec(160):
        exact = EXACT[name](flint.arb(x))
        gap = abs(flint.arb(y) - exact)
        return float((gap / abs(exact) if kind == "relative" and exact != 0 else gap).upper())


def worst(name, x, kind):
    return max(error(name, float(a), float(b), kind) for a, b in zip(x, evaluate(name, x), strict=True))


@EACH
def test_the_error_is_within_its_bound_over_the_whole_range(name):
    bound, kind, low, high = PROMISED[name]
    rng = np.random.default_rng(1)
    scales = 10.0 ** rng.uniform(-20, min(12.0, math.log10(high)), 4000) * rng.choice([-1, 1], 4000)
    x = [rng.uniform(max(low, -cut), min(high, cut), 3000) for cut in (0.5, 1.5, 40.0, 1e12)]
    x = np.concatenate([scales, *x])
    if name in ("sin", "cos"):  # near the zeros, near the changes of quadrant, where the reduction cancels most
        turns = rng.integers(-600_000_000_000, 600_000_000_000, 3000) * (math.pi / 2)
        x = np.concatenate([x, turns, np.arange(-400, 400) * (math.pi / 4)])
    x = x[(x >= low) & (x <= high)]
    assert worst(name, x, kind) < bound


def test_small_arguments_keep_their_relative_accuracy():
    x = np.concatenate([10.0 ** np.linspace(-300, 0, 3000), [5e-324, 2.2e-308]])
    assert worst("sin", x, "relative") < 4e-16
    assert worst("tanh", np.r_[x, -x], "relative") < 6e-16


@EACH
@given(x=st.floats(allow_nan=False))
@example(x=709.782712893384)
@example(x=-708.0)
@example(x=5e-324)
def test_any_number_alone(name, x):
    bound, kind, low, high = PROMISED[name]
    (y,) = evaluate(name, [x])
    assert y == getattr(fast, name)(x) or y != y  # from Python and from a loop
    if low <= x <= high:
        assert error(name, x, float(y), kind) < bound if math.isfinite(x) else y == EXACT[name](flint.arb(x))
    elif name in ("sin", "cos"):
        assert math.isnan(y)
    elif name == "exp":
        assert y == (np.inf if x > 0 else 0.0)
    else:
        assert 0.0 <= y <= 4e-308


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("sin", {0.0: 0.0, np.inf: np.nan, -np.inf: np.nan, 1e300: np.nan, 1.1e12: np.nan}),
        ("cos", {0.0: 1.0, np.inf: np.nan, -np.inf: np.nan, 1e300: np.nan, 5e-324: 1.0}),
        ("exp", {0.0: 1.0, np.inf: np.inf, -np.inf: 0.0, 709.79: np.inf, -709.0: 0.0, 5e-324: 1.0, -1e-300: 1.0}),
        ("tanh", {0.0: 0.0, np.inf: 1.0, -np.inf: -1.0, 1e308: 1.0, -19.1: -1.0, 5e-324: 5e-324, -2e-310: -2e-310}),
        ("logistic", {0.0: 0.5, np.inf: 1.0, -np.inf: 0.0, 40.0: 1.0, -1e300: 0.0}),
    ],
)
def test_special_values(name, values):
    found = evaluate(name, [*values, np.nan])
    assert np.array_equal(found, [*values.values(), np.nan], equal_nan=True)


def test_symmetries_and_bounds_hold_to_the_last_bit():
    x = np.concatenate([np.linspace(0, 30, 5001), 10.0 ** np.linspace(-300, 11, 5000)])
    assert np.array_equal(evaluate("sin", -x), -evaluate("sin", x))
    assert np.array_equal(evaluate("cos", -x), evaluate("cos", x))
    assert np.array_equal(evaluate("tanh", -x), -evaluate("tanh", x))
    for name in ("sin", "cos", "tanh"):
        assert np.all(np.abs(evaluate(name, x)) <= 1.0)
    assert np.all(evaluate("logistic", x) <= 1.0)


def test_sincos_is_sin_and_cos():
    for x in (-3e5, -1.0, 0.0, 0.5, 2.0, 7e9):
        assert fast.sincos(x) == (fast.sin(x), fast.cos(x))


@EACH
def test_loops_vectorise(name):
    (code,) = LOOPS[name].inspect_llvm().values()
    assert re.search(r"fmul [a-z ]*<\d+ x double>", code)
    assert not re.search(r"call [^\n]*@(llvm\.)?(sin|cos|exp|tanh)", code)


def test_the_power_of_the_step_size_controller():
    x = 10.0 ** np.random.default_rng(2).uniform(-30, 30, 4000)
    for a in (-0.1, -0.125, -0.25, 0.2):
        found = np.array([fast.rough_power(v, a) for v in x])
        assert np.max(np.abs(found / x**a - 1)) < 1 / 300
    # beyond its range it saturates, and never returns what is not finite: the controller then clips the step's factor
    for x in (0.0, 5e-324, 1e308, np.inf, np.nan):
        assert 0 < fast.rough_power(x, -0.1) < 2e18


def test_its_two_halves():
    x = 10.0 ** np.random.default_rng(3).uniform(-30, 30, 4000)
    assert max(abs(fast.rough_log2(v) - np.log2(v)) for v in x) < 3e-3
    z = np.linspace(-60, 60, 4001)
    assert np.max(np.abs(np.array([fast.rough_exp2(v) for v in z]) / 2**z - 1)) < 1 / 17_000
    assert fast.rough_exp2(-1e9) == fast.rough_exp2(-60.0) and fast.rough_exp2(np.inf) == fast.rough_exp2(60.0)


def test_the_table_of_replacements():
    assert set(fast.VECTORISED) == {"sin", "cos", "exp", "tanh", "logistic", "sincos"}
    assert all(getattr(fast, name) is f for name, f in fast.VECTORISED.items())
