"""Single precision: its elementary functions against double ones, the translation of sources, dense products."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from dynet.engine import single_math, stages
from dynet.engine.single import translated
from dynet.engine.tableaus import TABLEAUS
from dynet.fields import tiles

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(FLOATS)
def test_exp_tanh_and_logistic_have_the_errors_that_they_state(x):
    x, wide = np.float32(x), float(np.float32(x))
    with np.errstate(over="ignore", under="ignore"):
        for f, exact, bound in (
            (single_math.exp, np.exp(wide), 2e-7),
            (single_math.tanh, np.tanh(wide), 3e-7),
            (single_math.logistic, 1 / (1 + np.exp(-wide)), 4e-7),
        ):
            got = float(f(x))
            if exact < 2e-38 * (f is not single_math.tanh):
                assert got < 2.1e-38
            elif exact > 3.40e38:
                assert got > 3.39e38
            else:
                assert abs(got - exact) <= bound * abs(exact) + 1e-44
    assert abs(float(single_math.sin(x)) - np.sin(wide)) < 1e-7 or abs(wide) > 1e12


def test_what_is_no_number_stays_none():
    for f in single_math.VECTORISED.values():
        assert np.isnan(f(np.float32(np.nan))).all()
    assert single_math.tanh(np.float32(np.inf)) == 1.0 and single_math.exp(np.float32(-np.inf)) == 0.0


def test_a_translated_source_has_single_numbers_and_double_times():
    text = translated(stages.attempt_source(TABLEAUS["rk4"], single=False))
    assert "from dynet.engine.single import ATTEMPT" in text and "import FASTMATH, flat" in text
    assert "z_[q] = y_[q] + f4(h[q]) * (f4(0.5) * k0[q])" in text
    assert "at[q] = t[q] + 0.5 * h[q]" in text and "error_model='numpy'" in text


@pytest.mark.parametrize("lanes", [2, 19, 48, 100])
def test_the_product_is_that_of_numpy_lane_by_lane(lanes):
    if not tiles.FMA:
        pytest.skip("this processor has no fused multiplication and addition")
    rng = np.random.default_rng(0)
    a, b, c = (rng.normal(size=shape).astype(np.float32) for shape in ((7, 11), (7, lanes), (11, lanes)))

    @njit
    def run(a, b, c):
        tiles.add_dense_single(a, b, c, 11, 7, lanes, 0, 11)

    found = c.ravel().copy()
    run(a.ravel(), b.ravel(), found)
    assert np.allclose(found.reshape(11, lanes), c + a.T @ b, rtol=1e-5, atol=1e-5)
