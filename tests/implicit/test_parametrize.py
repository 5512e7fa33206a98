"""Parametrisations: the log norm is at most gamma, exactly; the pull is the derivative of the build."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from implicit.oracles import exact_mu

from dynet.errors import ArgumentError
from dynet.implicit.parametrize import One, Projection, WeightedInf


def params(seed, n, dtype=float):
    random = np.random.default_rng(seed)
    scale = 10.0 ** random.uniform(-2, 2)
    return {
        "T": (scale * random.normal(size=(n, n))).astype(dtype),
        "s": random.normal(size=n).astype(dtype),
        "w": random.normal(size=n).astype(dtype),
    }


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 6),
    gamma=st.floats(-3, 0.999),
    dtype=st.sampled_from([float, np.float32]),
)
def test_the_log_norm_is_at_most_gamma_exactly(seed, n, gamma, dtype):
    A, weights = WeightedInf(gamma).build(params(seed, n, dtype))
    assert A.dtype == dtype and exact_mu(A, weights) <= Fraction(gamma)


def test_the_bound_is_attained():
    given_ = params(0, 5)
    given_["s"][:] = 0
    A, weights = WeightedInf(0.7).build(given_)
    assert float(exact_mu(A, weights)) > 0.7 - 1e-10


def test_the_pull_equals_finite_differences():
    family, start = WeightedInf(0.7), params(1, 5)
    random = np.random.default_rng(0)
    dA, dweights, step = random.normal(size=(5, 5)), random.normal(size=5), 1e-6

    def value(p):
        A, weights = family.build(p)
        return np.sum(dA * A) + np.sum(dweights * weights)

    found = family.pull(start, dA, dweights)
    for name, array in start.items():
        change = random.normal(size=array.shape)
        ends = [value({**start, name: array + sign * step * change}) for sign in (1, -1)]
        assert np.isclose((ends[0] - ends[1]) / (2 * step), np.sum(change * found[name]), rtol=1e-6), name


@pytest.mark.parametrize("gamma", [1.0, 2.0, np.nan, "big"])
def test_gamma_must_be_below_one(gamma):
    with pytest.raises(ArgumentError, match="gamma"):
        WeightedInf(gamma)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 6),
    gamma=st.floats(-3, 0.99),
    dtype=st.sampled_from([float, np.float32]),
)
def test_columns_and_projections_are_bounded_exactly(seed, n, gamma, dtype):
    start = params(seed, n, dtype)
    family = One(gamma)
    A, weights = family.build(start)
    assert exact_mu(A.T, family.column_weights(start)) <= Fraction(gamma)
    assert exact_mu(A, weights) < 1
    A, weights = Projection(gamma).build({"A": start["T"]})
    assert exact_mu(A, weights) <= Fraction(gamma) and A.dtype == dtype


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 6), gamma=st.floats(-3, 0.99))
def test_the_projection_is_the_nearest_matrix(seed, n, gamma):
    given_ = params(seed, n)["T"]
    A, _ = Projection(gamma).build({"A": given_})
    random = np.random.default_rng(seed)
    for _ in range(30):  # the variational inequality, for members of the convex set
        other, _ = Projection(gamma).build({"A": A + random.normal(size=(n, n)) * 10.0 ** random.uniform(-4, 1)})
        assert np.sum((given_ - A) * (other - A)) <= 1e-9 * (1 + np.abs(given_).max() ** 2) * n * n


@pytest.mark.parametrize("family", [One(0.6), Projection(0.2)])
def test_the_other_pulls_equal_finite_differences(family):
    start = {"A": params(3, 6)["T"]} if isinstance(family, Projection) else params(3, 6)
    random = np.random.default_rng(0)
    dA, step = random.normal(size=(6, 6)), 1e-7
    found = family.pull(start, dA)
    for name, array in start.items():
        change = random.normal(size=array.shape)
        ends = [np.sum(dA * family.build({**start, name: array + sign * step * change})[0]) for sign in (1, -1)]
        assert np.isclose((ends[0] - ends[1]) / (2 * step), np.sum(change * found[name]), rtol=1e-5, atol=1e-8), name
