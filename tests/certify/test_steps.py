"""The forward step: no Jacobian of the family contracts more slowly than the factor that is promised."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import dynet as dn
from dynet.certify.steps import best_forward_step
from dynet.errors import ArgumentError
from dynet.linalg import Norm
from tests.certify import oracles
from tests.oracles import slope_corners


@settings(max_examples=80)
@given(oracles.fields(kinds=["FiringRate", "Hopfield", "LinearMinusMonotone", "unit"], largest=4), st.data())
def test_the_factor_is_never_exceeded(model, data):
    certificate = dn.certify(model, data.draw(st.sampled_from([None, 1, 2, "inf"])))
    assume(certificate and certificate.rate > 1e-9)
    alpha, factor = certificate.step()
    assert 0 < alpha and 0 <= factor <= 1
    E, F, G, lo, hi = oracles.parts(model)
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    inside = [random.uniform(lo, hi) for _ in range(20)]
    for d in [*inside, *slope_corners(lo, hi)]:
        moved = np.eye(model.n) + alpha * (E + (F * np.array(d)) @ G)
        assert certificate.norm.induced(moved) <= factor + 1e-13


@pytest.mark.parametrize(
    ("p", "lip", "alpha", "factor"),
    [
        ("inf", 10.0, 2 / 11, 9 / 11),
        (1, 10.0, 2 / 11, 9 / 11),
        (2, 10.0, 0.01, 0.994987),
        ("inf", 2.0, 2 / 3, 1 / 3),
        (2, 2.0, 0.25, 0.866025),
    ],
)
def test_worked_numbers(p, lip, alpha, factor):
    found = best_forward_step(1.0, lip, Norm(p))
    assert found == pytest.approx((alpha, factor), abs=1e-6)


@settings(max_examples=200)
@given(st.floats(1e-300, 1e300), st.floats(1.0, 1e300), st.sampled_from([1, 2, "inf"]))
def test_the_factor_is_rounded_up_at_every_scale(rate, ratio, p):
    lip = rate * ratio
    assume(math.isfinite(lip))
    alpha, factor = best_forward_step(rate, lip, Norm(p))
    assert 0 <= alpha < math.inf and 0 <= factor <= 1
    if factor < 1:
        a, c, ell = (Fraction(v) for v in (alpha, rate, max(lip, rate)))
        if p == 2:
            assert Fraction(factor) ** 2 >= 1 - 2 * a * c + a * a * ell * ell
        else:
            assert Fraction(factor) >= max(1 - a * c, a * ell - 1)


@pytest.mark.parametrize(("rate", "lip"), [(0.0, 1.0), (-1.0, 1.0), (math.nan, 1.0), (1.0, math.inf), (1.0, math.nan)])
def test_without_contraction_there_is_no_step(rate, lip):
    with pytest.raises(ArgumentError, match="rate="):
        best_forward_step(rate, lip, Norm("inf"))
    with pytest.raises(ArgumentError, match="rate="):
        dn.certify(dn.models.Lorenz()).step()
