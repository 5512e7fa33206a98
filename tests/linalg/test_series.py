"""Power series against known coefficients, and against the functions themselves in high precision."""

import math

import numpy as np
import pytest
from scipy.special import erf

from dynet.linalg.intervals import Refused
from dynet.linalg.series import FUNCTIONS, ORDER, Series, ball, upper, working_precision

flint = pytest.importorskip("flint", reason="power series need the extra 'exact'")


def middles(series):
    return [float(c.mid()) for c in series.coefficients()]


PLAIN = {
    "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "sqrt": np.sqrt, "sin": np.sin, "cos": np.cos,
    "tan": np.tan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "arctan": np.arctan, "arcsin": np.arcsin, "erf": erf,
    "logistic": lambda x: 1 / (1 + np.exp(-x)), "absolute": abs, "square": np.square, "reciprocal": lambda x: 1 / x,
    "log2": np.log2, "log10": np.log10,
}  # fmt: skip


@pytest.mark.parametrize("name", PLAIN)
def test_a_series_sums_to_its_function(name):
    with working_precision():
        for centre, slope in ((0.4, 0.25), (0.7, -0.2)):
            c = middles(FUNCTIONS[name](Series([centre, slope])))
            for s in (-0.2, 0.1, 0.15):
                value = sum(v * s**j for j, v in enumerate(c))
                assert value == pytest.approx(float(PLAIN[name](centre + slope * s)), rel=2e-7)


def test_the_last_coefficient_over_a_ball_bounds_the_remainder():
    h = 0.25
    for name in ("exp", "tanh", "logistic", "sin", "arctan"):
        with working_precision():
            near = FUNCTIONS[name](Series([0.3, 1.0])).coefficients()
            far = FUNCTIONS[name](Series([ball(0.3, 0.3 + h), 1.0])).coefficients()
            head = sum(float(near[j].mid()) * h**j for j in range(ORDER - 1))
            assert abs(float(PLAIN[name](0.3 + h)) - head) <= upper(far[-1]) * h ** (ORDER - 1) + 1e-14


def test_arithmetic():
    with working_precision():
        s = Series([0.0, 1.0])
        assert middles(1.0 / (1.0 - s)) == [1.0] * ORDER
        assert middles((1.0 + s) ** 3)[:5] == [1.0, 3.0, 3.0, 1.0, 0.0]
        assert middles((1.0 + s) ** -1)[:3] == [1.0, -1.0, 1.0] and middles((1.0 + s) ** 0)[0] == 1.0
        assert middles((4.0 + s) ** 0.5)[:2] == pytest.approx([2.0, 0.25])
        assert middles(2.0**s)[1] == pytest.approx(math.log(2))
        assert middles(np.float64(2.0) * s - 1)[:2] == [-1.0, 2.0] and middles(2.0 - s)[:2] == [2.0, -1.0]
        assert middles(np.sqrt(np.array([4.0 + s], dtype=object))[0])[0] == 2.0
        assert [middles(v)[0] for v in (s + 1) * np.array([2.0, 4.0])] == [2.0, 4.0]


def test_kinks_and_comparisons_are_decided_by_the_first_coefficient():
    with working_precision():
        a, b = Series([1.0, 5.0]), Series([2.0, -5.0])
        assert a < b and b > a and a <= b and b >= a and a != b and a == Series([1.0, 9.0])
        assert middles(abs(Series([-1.0, 1.0])))[:2] == [1.0, -1.0]
        assert FUNCTIONS["maximum"](a, b) is b and FUNCTIONS["minimum"](a, b) is a
        assert FUNCTIONS["clip"](Series([5.0]), a, b) is b
        wide = Series([ball(-1.0, 1.0), 1.0])
        for undecided in (lambda: abs(wide), lambda: wide > 0.0, lambda: wide == 0.0, lambda: 1.0 / wide,
                          lambda: FUNCTIONS["log"](wide), lambda: FUNCTIONS["sqrt"](wide)):  # fmt: skip
            with pytest.raises(Refused):
                undecided()
        assert int(Series([3.0])) == 3 and range(9)[Series([2.0])] == 2
        for wrong in (lambda: float(a), lambda: range(3)[Series([0.5])]):
            with pytest.raises(TypeError):
                wrong()


def test_a_series_that_was_cut_is_refused():
    cut = Series._of(flint.arb_series([1.0, 1.0], prec=3))
    with pytest.raises(Refused, match="lost"):
        cut.coefficients()


def test_moduli_are_bounded_from_above():
    with working_precision():
        third = flint.arb(1) / 3
        assert flint.arb(upper(third)) >= third and upper(third) <= 1 / 3 + 1e-16
        assert upper(flint.arb("nan")) == math.inf and upper(ball(-2.0, 1.0)) >= 2.0
