"""Every slope that can be observed lies in the interval that is declared, globally and locally."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynet.errors import ArgumentError
from dynet.fields import activation
from dynet.fields.activation import Activation

NAMES = [*activation.names(), "leaky_relu(0.3)", "leaky_relu(-0.2)"]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(a=st.floats(-30, 30), b=st.floats(-30, 30))
def test_difference_quotients_lie_in_the_declared_slopes(name, a, b):
    phi = activation.get(name)
    if abs(a - b) < 1e-3:
        return
    quotient = (phi(a) - phi(b)) / (a - b)
    rounding = 1e-12
    lo, hi = phi.slopes
    assert lo - rounding <= quotient <= hi + rounding
    least, most = phi.local_slopes(min(a, b), max(a, b))
    assert least - rounding <= quotient <= most + rounding
    assert lo <= least <= most <= hi


@pytest.mark.parametrize("name", NAMES)
def test_declared_slopes_are_tight(name):
    phi = activation.get(name)
    grid = np.concatenate([np.linspace(-1e3, 1e3, 6001), np.linspace(-2.41, 2.41, 20001)])
    slopes = phi.slope(grid)
    lo, hi = phi.slopes
    assert slopes.min() <= lo + 1e-5 and slopes.max() >= hi - 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_local_slopes_equal_the_extremes_of_a_fine_grid(name):
    phi = activation.get(name)
    random = np.random.default_rng(0)
    for _ in range(50):
        lo, hi = np.sort(random.uniform(-6, 6, 2))
        slopes = phi.slope(np.linspace(lo, hi, 4001))
        least, most = phi.local_slopes(lo, hi)
        assert least <= slopes.min() and most >= slopes.max()
        if name != "sin":  # its slope interval is not tightened locally
            kink = 1.0 if name.startswith(("relu", "leaky", "hard")) else 8e-3  # a cusp between two grid points
            assert least >= slopes.min() - kink and most <= slopes.max() + kink


def test_the_slope_intervals_of_gelu_and_silu_are_rounded_outward():
    from flint import arb, ctx

    ctx.prec = 200
    turn = arb(2).sqrt()
    top = (1 + (turn / arb(2).sqrt()).erf()) / 2 + turn * (-(turn**2) / 2).exp() / (2 * arb.pi()).sqrt()
    lo, hi = activation.get("gelu").slopes
    assert arb(hi) > top and arb(lo) < 1 - top and hi - float(top.mid()) < 1e-15
    z = arb("2.39935728051546766783273969728")
    s = 1 / (1 + (-z).exp())
    top = s * (1 + z * (1 - s))
    lo, hi = activation.get("silu").slopes
    assert arb(hi) > top and arb(lo) < 1 - top and hi - float(top.mid()) < 1e-15


@pytest.mark.parametrize("name", NAMES)
def test_derivative_agrees_with_a_difference_quotient(name):
    phi = activation.get(name)
    z = np.array([-3.1, -0.7, 0.2, 0.9, 2.3])
    assert np.allclose(phi.slope(z), (phi(z + 1e-6) - phi(z - 1e-6)) / 2e-6, atol=1e-8)
    bare = Activation("bare", phi.function, parameter=phi.parameter)
    assert np.allclose(bare.slope(z), phi.slope(z), atol=1e-8)


def test_a_wrong_name_gets_the_nearest_word():
    with pytest.raises(ArgumentError, match="did you mean 'tanh'"):
        activation.get("tahn")


@pytest.mark.parametrize("bad", ["relu(2)", "leaky_relu(x)", "leaky_relu(nan)", 3])
def test_a_wrong_parameter_or_type_is_refused(bad):
    with pytest.raises(ArgumentError, match="activation"):
        activation.get(bad)


@pytest.mark.parametrize("slopes", [(1.0, 0.0), (0.0, np.inf), (0.0,), "ab"])
def test_wrong_slopes_are_refused(slopes):
    with pytest.raises(ArgumentError, match="slopes"):
        Activation("mine", np.tanh, slopes=slopes)


def test_local_slopes_need_declared_slopes_and_a_real_interval():
    with pytest.raises(ArgumentError, match="declares"):
        Activation("mine", lambda z, a: z**3).local_slopes(0.0, 1.0)
    with pytest.raises(ArgumentError, match="nowhere above"):
        activation.get("tanh").local_slopes(1.0, 0.0)
