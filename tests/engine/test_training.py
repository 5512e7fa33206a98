"""The loops of a training step: each against one line of its definition, and NaN is never small."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynet.engine.training import kernels, worst_gap


@given(st.lists(st.floats(0.0, 2.0**99, width=32), min_size=1, max_size=20), st.booleans())
def test_the_largest_is_the_largest(values, single):
    gap = np.array([values], dtype=np.float32 if single else float)
    assert worst_gap(gap) == gap.max()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nothing_is_larger_than_what_is_not_finite(dtype, bad):
    gap = np.ones((3, 4), dtype)
    gap[1, 2] = bad
    assert not np.isfinite(worst_gap(gap))


def test_sweeps_end_at_the_fixed_point_and_measure_the_distance_to_it():
    random = np.random.default_rng(0)
    off, a = random.uniform(-0.1, 0.1, (4, 4)), np.array([-1.0, -0.5, 0.2, -3.0])
    np.fill_diagonal(off, 0.0)
    c, x, gap, v = random.normal(size=(3, 4)), np.zeros((3, 4)), np.zeros((3, 4)), np.zeros((3, 4))
    for _ in range(60):
        old = x.copy()
        v[...] = x @ off.T
        kernels().sweep(v, c, x, a, gap)
        assert np.allclose(gap, np.abs(old - np.maximum(old @ off.T + a * old + c, 0.0)))
    assert gap.max() < 1e-15 and (x > 0.0).any() and (x == 0.0).any()


def test_an_interval_of_no_width_is_a_state():
    random = np.random.default_rng(1)
    v, c, a = random.normal(size=(3, 4)), random.normal(size=(3, 4)), np.array([-1.0, 0.5, -2.0, 0.0])
    x, lo, hi, m, r, gap = (np.zeros((3, 4)) for _ in range(6))
    kernels().sweep(v, c, x, a, gap)
    kernels().interval(v, np.zeros_like(v), c, np.zeros_like(c), lo, hi, m, r, a, gap)
    assert np.allclose(lo, x) and np.allclose(hi, x) and np.allclose(m, x) and not r.any()
