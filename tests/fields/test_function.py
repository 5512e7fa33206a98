"""Users' functions: the compiled block agrees with plain Python, and mistakes are found before any compile."""

import math
from math import sqrt

import numpy as np
import pytest

import dynet as dn
from dynet.errors import ArgumentError
from tests.blocks import run_block

GAIN = 0.7
TABLE = np.array([0.1, 0.2, 0.3])


def helper(z):
    return GAIN * math.tanh(z) + sqrt(1.0 + z * z)


def test_functions_constants_helpers_loops_and_parameters_compile():
    @dn.vector_field(
        n=3, params={"k": 2.0, "w": [1.0, 2.0, 3.0], "m": [[1.0, 2.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]}
    )
    def field(t, x, p, dx):
        """A docstring."""
        total = 0.0
        for i in range(len(x)):
            total += TABLE[i] * np.sin(x[i])
        if x[0] > 1.0:
            total = -total
        for i in range(3):
            dx[i] = p.k * total + helper(x[i]) + p.w[i] * math.exp(-x[i]) + t
        for i in range(3):
            for j in range(3):
                dx[i] += p.m[i, j] * x[j]
        dx[2] -= abs(x[2]) ** 1.5

    x = np.array([[0.1, -0.2, 0.3], [1.5, 0.4, -0.6], [0.0, 2.0, 1.0], [3.0, 0.1, 0.2]])
    assert np.allclose(run_block(field, 0.5, x), field.rhs(0.5, x), rtol=1e-13, atol=1e-13)


def test_inputs_reach_the_function():
    @dn.vector_field(n=2, params={"a": 1.0}, inputs=2, input=dn.Sinusoid([1.0, 2.0], period=3.0))
    def driven(t, x, u, p, dx):
        dx[0] = -p.a * x[0] + u[0]
        dx[1] = -x[1] + u[1]

    x = np.array([[0.1, -0.2], [1.5, 0.4]])
    assert np.allclose(run_block(driven, 0.7, x, driven.input), driven.rhs(0.7, x), rtol=1e-14)


def test_parameters_differ_from_lane_to_lane():
    @dn.vector_field(n=1, params={"a": 1.0, "b": 2.0})
    def field(t, x, p, dx):
        dx[0] = p.a * x[0] + p.b

    p = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert run_block(field, 0.0, [[1.0], [1.0]], p=p).ravel().tolist() == [3.0, 7.0]


def test_an_early_return_leaves_only_its_own_lane():
    @dn.vector_field(n=1)
    def field(t, x, p, dx):
        dx[0] = 1.0
        if x[0] > 0:
            return
        dx[0] = -1.0

    assert run_block(field, 0.0, [[1.0], [-1.0], [2.0]]).ravel().tolist() == [1.0, -1.0, 1.0]


def test_changing_a_parameter_compiles_nothing():
    field = dn.models.Lorenz()
    assert field.block().function is field.replace(rho=99.0).block().function
    assert field.replace(rho=99.0).params["rho"] == 99.0 and field.params["rho"] == 28.0


def test_jacobian_is_exact_to_rounding():
    x = np.array([1.0, 2.0, 3.0])
    expected = [[-10.0, 10.0, 0.0], [25.0, -1.0, -1.0], [2.0, 1.0, -8 / 3]]
    assert np.allclose(dn.models.Lorenz().jacobian(0.0, x), expected, rtol=1e-15, atol=1e-15)


def test_jacobian_survives_functions_without_a_complex_version():
    @dn.vector_field(n=2)
    def rough(t, x, p, dx):
        dx[0] = abs(x[0]) * 3.0
        dx[1] = x[1] ** 2 if x[1] > 0 else 0.0

    assert np.allclose(rough.jacobian(0.0, [2.0, 1.0]), [[3.0, 0.0], [0.0, 2.0]], atol=1e-6)


def _bad(kind):
    if kind == "missing":

        @dn.vector_field(n=2)
        def f(t, x, p, dx):
            dx[0] = x[1]
    elif kind == "beyond":

        @dn.vector_field(n=2)
        def f(t, x, p, dx):
            dx[0] = x[2]
            dx[1] = 0.0
    elif kind == "parameter":

        @dn.vector_field(n=1, params={"gain": 1.0})
        def f(t, x, p, dx):
            dx[0] = p.gian * x[0]
    elif kind == "arguments":

        @dn.vector_field(n=1)
        def f(t, x, dx):
            dx[0] = x[0]
    elif kind == "global":

        @dn.vector_field(n=1)
        def f(t, x, p, dx):
            dx[0] = undefined_name * x[0]  # noqa: F821
    elif kind == "string":

        @dn.vector_field(n=1)
        def f(t, x, p, dx):
            dx[0] = "a"
    elif kind == "array":

        @dn.vector_field(n=1)
        def f(t, x, p, dx):
            dx[0] = np.array([x[0], 1.0])
    elif kind == "complex":

        @dn.vector_field(n=1)
        def f(t, x, p, dx):
            dx[0] = 1j * x[0]
    elif kind == "write":

        @dn.vector_field(n=1)
        def f(t, x, p, dx):
            dx[0] = x[0]
            dx[1] = 0.0
    elif kind == "object":
        thing = {"a": 1.0}

        @dn.vector_field(n=1)
        def f(t, x, p, dx):
            dx[0] = thing["a"] * x[0]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", r"dx\[1\] is never written"),
        ("beyond", r"\(line \d+\): expected indices of x and dx below n=2"),
        ("parameter", "did you mean 'gain'"),
        ("arguments", r"a function of the arguments \(t, x, p, dx\)"),
        ("global", "undefined_name"),
        ("string", "one real number per component"),
        ("array", "one real number per component"),
        ("complex", r"dx\[0\] = 0.3j: expected one real number per component"),
        ("write", r"\(line \d+\): expected indices of x and dx below n=1"),
        ("object", "thing"),
    ],
)
def test_mistakes_are_found_before_compiling(kind, message):
    with pytest.raises(ArgumentError, match=message):
        _bad(kind)


@pytest.mark.parametrize("params", [{"a": np.nan}, {"a": "x"}, {"1a": 1.0}])
def test_bad_parameters_are_refused(params):
    with pytest.raises(ArgumentError, match="params"):

        @dn.vector_field(n=1, params=params)
        def f(t, x, p, dx):
            dx[0] = x[0]


def test_the_decorator_without_n_says_so():
    with pytest.raises(ArgumentError, match="n="):

        @dn.vector_field
        def f(t, x, p, dx):
            dx[0] = x[0]


def test_replace_refuses_unknown_names_and_shapes():
    with pytest.raises(ArgumentError, match="did you mean 'rho'"):
        dn.models.Lorenz().replace(roh=1.0)
    with pytest.raises(ArgumentError, match="shape"):
        dn.models.Lorenz().replace(rho=[1.0, 2.0])
