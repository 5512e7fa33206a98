"""Expectations pass and fail as they say, and the fitted rate is the slope that it should be."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dynet as dn
from dynet.scenario.measure import expectations, fitted_rate


@pytest.mark.parametrize(
    ("wanted", "value", "ok", "text"),
    [
        (2.0, 2.000001, True, "2 within 2e-06"),
        (2.0, 2.00001, False, "2 within 2e-06"),
        (3, 3, True, "3 within 3e-06"),
        (0.0, 0.0, True, "0 exactly"),
        (0.0, 1e-300, False, "0 exactly"),
        (True, True, True, "yes"),
        (True, False, False, "yes"),
        (False, False, True, "no"),
        ({"value": 2.0, "rtol": 0.1}, 2.19, True, "2 within 0.2"),
        ({"value": -2.0, "rtol": 0.1}, -2.21, False, "-2 within 0.2"),
        ({"value": 2.0, "atol": 0.5}, 2.5, True, "2 within 0.5"),
        ({"value": 2.0, "atol": 0.5, "rtol": 0.5}, 3.6, False, "2 within 1.5"),
        ({"value": 2.0, "atol": 0.0}, 2.0, True, "2 exactly"),
        ({"min": 1.0}, 1.0, True, "at least 1"),
        ({"min": 1.0}, 0.999, False, "at least 1"),
        ({"max": 1.0}, 1.001, False, "at most 1"),
        ({"min": 1.0, "max": 2.0}, 1.5, True, "1 to 2"),
        ({"min": 1.0, "max": 2.0}, 2.5, False, "1 to 2"),
    ],
)
def test_expectations(wanted, value, ok, text):
    [found] = expectations({"rate": wanted}, {"rate": value})
    assert (found.ok, found.wanted) == (ok, text)


@given(st.sampled_from([1.0, {"value": 1.0, "atol": 1e300}, {"min": -1e300}, {"max": 1e300}, True, False]))
def test_what_was_not_measured_fails(wanted):
    for found in ({}, {"rate": math.nan}):
        [check] = expectations({"rate": wanted}, found)
        assert not check.ok and math.isnan(check.value)


@dn.vector_field(n=2, params={"k": 1.0})
def decay(t, x, p, dx):
    dx[0] = -p.k * x[0]
    dx[1] = -2.0 * p.k * x[1]


@pytest.mark.parametrize("k", [0.5, 3.0])
@pytest.mark.parametrize("norm", [None, dn.Norm("inf"), dn.Norm(1, [1.0, 2.0])])
def test_the_fitted_rate(k, norm):
    run = dn.simulate(decay.replace(k=k), [[0.0, 0.0], [1.0, 0.0]], t=4.0 / k, rtol=1e-10, atol=1e-12)
    assert fitted_rate(run, norm) == pytest.approx(k, rel=1e-5)


def test_the_fit_stops_where_tolerances_begin():
    run = dn.simulate(decay, [[0.0, 0.0], [1.0, 0.0]], t=100.0, rtol=1e-6, atol=1e-9)
    assert fitted_rate(run) == pytest.approx(1.0, rel=1e-2)


def test_no_rate_without_distances():
    assert fitted_rate(dn.simulate(decay, [[1.0, 0.0], [1.0, 0.0]], t=1.0)) is None
    assert fitted_rate(dn.simulate(decay, [[0.0, 0.0], [1.0, 0.0]], t=1.0, save=2)) is None


def test_what_comes_after_the_first_fall_below_the_tolerances_is_not_fitted():
    t = np.linspace(0.0, 5.0, 51)
    gap = np.where(t < 3.0, np.exp(-2.0 * t), np.where(t < 4.0, 1e-12, 1.0))  # close together, then apart again
    x = np.stack([np.zeros((51, 1)), gap[:, None]])
    stats = {"rtol": 1e-6, "atol": 1e-6}
    run = dn.Trajectory(t, x, status=(dn.Status.OK,) * 2, t_stop=np.full(2, 5.0), labels=["x"], stats=stats)
    assert fitted_rate(run) == pytest.approx(2.0)
