"""Convolutions and the layers without slopes, against loops; their bounds, against matrices and samples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynet.errors import ArgumentError
from dynet.implicit.convolution import Convolution, MaxPool, log_norm
from dynet.implicit.layers import Dense, Dropout, ResponseNormalisation
from tests.implicit import direct


@st.composite
def convolutions(draw):
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    groups = draw(st.sampled_from([1, 2, 3]))
    height, width = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    weight = rng.normal(size=(2 * groups, draw(st.integers(1, 2)), height, width))
    padding = tuple((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in range(2))
    stride = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    layer = Convolution(weight, rng.normal(size=2 * groups), stride=stride, padding=padding, groups=groups)
    shape = (weight.shape[1] * groups, draw(st.integers(height, 6)), draw(st.integers(width, 6)))
    return layer, rng.normal(size=(2, *shape))


@given(convolutions())
def test_a_convolution_is_what_loops_say(case):
    layer, x = case
    got = layer.shifted(layer.product(x))
    wanted = [direct.convolve(v, layer.weight, layer.bias, layer.stride, layer.padding, layer.groups) for v in x]
    assert np.allclose(got, wanted, rtol=1e-12, atol=1e-12)
    assert got.shape[1:] == layer.output_shape(x.shape[1:])
    by_taps = direct.convolve_by_taps(x[0], layer.weight, layer.bias, layer.stride, layer.padding, layer.groups)
    assert np.allclose(by_taps, wanted[0], rtol=1e-12, atol=1e-12)


@given(convolutions())
def test_its_transpose_and_its_majorant_are_those_of_its_matrix(case):
    layer, x = case
    matrix = direct.matrix_of(layer, x.shape[1:])
    y = np.random.default_rng(0).normal(size=(2, *layer.output_shape(x.shape[1:])))
    assert np.allclose(layer.transposed(y, x.shape[1:]).reshape(2, -1), y.reshape(2, -1) @ matrix, atol=1e-12)
    bound = layer.majorant(np.abs(x)).reshape(2, -1)
    exact = np.array(  # in extended precision, whose error is far below the last place that is compared
        [[np.sum(np.abs(row).astype(np.longdouble) * np.abs(v.ravel())) for row in matrix] for v in x]
    )
    assert (bound >= exact).all()
    assert np.allclose(bound, exact.astype(float), rtol=1e-12)


@pytest.mark.parametrize("kind", ["random", "ones"])
def test_the_log_norm_of_a_convolution_is_that_of_its_matrix(kind):
    # Three channels, 5 x 5, on a 6 x 6 image: taking max|K| times the channels for the row sum claims mu <= 0 here.
    rng = np.random.default_rng(3)
    kernel = rng.normal(size=(3, 3, 5, 5)) if kind == "random" else np.ones((3, 3, 5, 5))
    kernel /= np.abs(kernel).max()
    claimed = np.abs(kernel).max(axis=(2, 3)).sum(axis=1)
    kernel[range(3), range(3), 2, 2] -= claimed
    layer = Convolution(kernel, padding=2)
    matrix = direct.matrix_of(layer, (3, 6, 6))
    off = np.abs(matrix).sum(axis=1) - np.abs(np.diag(matrix))
    exact = (np.diag(matrix) + off).max()
    assert exact > 5.0  # far from the claim
    assert exact <= log_norm(layer, (3, 6, 6)) <= exact * (1 + 1e-12)


def test_the_log_norm_of_a_kernel_without_a_centre():
    layer = Convolution(np.ones((2, 1, 1, 2)), padding=((0, 0), (1, 0)), groups=2)  # its own tap is the second
    assert log_norm(layer, (2, 3, 4)) == pytest.approx(2.0)
    shifted = Convolution(-np.ones((1, 1, 1, 2)), padding=((0, 0), (0, 1)))
    matrix = direct.matrix_of(shifted, (1, 1, 4))
    assert log_norm(shifted, (1, 1, 4)) == pytest.approx(0.0)
    assert np.diag(matrix)[0] == -1.0
    with pytest.raises(ArgumentError, match="stride 1"):
        log_norm(Convolution(np.ones((1, 1, 2, 2))), (1, 3, 3))


def test_pooling_and_normalisation_are_what_loops_say():
    x = np.random.default_rng(0).normal(size=(2, 7, 8, 9))
    assert np.array_equal(MaxPool(3, 2).apply(x), [direct.pool(v, 3, 2) for v in x])
    layer = ResponseNormalisation(size=5, k=2.0, alpha=0.3, beta=0.75)
    assert np.allclose(layer.apply(x), [direct.normalise(v, 5, 2.0, 0.3, 0.75) for v in x], rtol=1e-13)
    narrow = ResponseNormalisation(size=9, k=1.0, alpha=0.3, beta=1.5)  # a window wider than the channels
    assert np.allclose(narrow.apply(x[:, :3]), [direct.normalise(v, 9, 1.0, 0.3, 1.5) for v in x[:, :3]], rtol=1e-13)


some = st.one_of(st.just(0.0), st.floats(1e-10, 2.0))


@given(st.integers(0, 10**6), st.floats(0.1, 3.0), some, some, st.floats(0.01, 30.0))
def test_normalisation_spreads_no_further_than_its_bound(seed, k, alpha, beta, size):
    rng = np.random.default_rng(seed)
    layer = ResponseNormalisation(size=3, k=k, alpha=alpha, beta=beta)
    a = size * rng.normal(size=(50, 4, 1, 1))
    move = rng.normal(size=a.shape) * 10.0 ** rng.uniform(-4, 1, size=(50, 1, 1, 1))
    spread = np.abs(layer.apply(a + move) - layer.apply(a))
    assert (spread <= layer.spread(np.abs(move)) + 1e-12 * (1 + size)).all()


def test_the_bound_on_normalisation_is_attained():
    layer = ResponseNormalisation(size=3, k=2.0, alpha=0.5, beta=0.75)
    at = np.sqrt((2.0 * 1.75 / 0.75 - 2.0) / 0.5 / 2)  # where S = k (beta + 1) / beta, shared by two channels
    a, step = np.array([at, at]).reshape(1, 2, 1, 1), np.array([0.0, 1e-6]).reshape(1, 2, 1, 1)
    slope = np.abs(layer.apply(a + step) - layer.apply(a - step)).ravel()[0] / 2e-6
    assert slope == pytest.approx(layer.spread(step).ravel()[0] / 1e-6, rel=1e-6)


def test_dropout_counts_less_or_leaves_out():
    x = np.ones((4, 1000), np.float32)
    assert np.array_equal(Dropout(0.25).apply(x), 0.75 * x)
    drawn = Dropout(0.25).apply(x, np.random.default_rng(0))
    assert set(np.unique(drawn)) == {0.0, 1.0} and abs(drawn.mean() - 0.75) < 0.03
    assert drawn.dtype == np.float32


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: Convolution(np.ones((2, 2, 3))), "weight"),
        (lambda: Convolution(np.ones((2, 2, 3, 0))), "weight"),
        (lambda: Convolution(np.ones((2, 1, 3, 3)), bias=[1.0]), "bias"),
        (lambda: Convolution(np.ones((2, 1, 3, 3)), stride=0), "stride"),
        (lambda: Convolution(np.ones((2, 1, 3, 3)), padding=-1), "padding"),
        (lambda: Convolution(np.ones((2, 1, 3, 3)), padding=((1, 2), 3)), "padding"),
        (lambda: Convolution(np.ones((2, 1, 3, 3)), groups=3), "groups"),
        (lambda: Convolution(np.full((2, 1, 3, 3), np.nan)), "weight"),
        (lambda: Convolution(np.ones((2, 1, 3, 3)), activation="rleu"), "relu"),
        (lambda: Convolution(np.ones((2, 1, 3, 3))).output_shape((2, 5, 5)), "channels"),
        (lambda: Convolution(np.ones((2, 1, 3, 3))).output_shape((1, 2, 5)), "window"),
        (lambda: MaxPool(0), "size"),
        (lambda: MaxPool(3).output_shape((5,)), "channels"),
        (lambda: ResponseNormalisation(size=4), "size"),
        (lambda: ResponseNormalisation(k=0.0), "k"),
        (lambda: ResponseNormalisation(alpha=1e-50), "alpha"),
        (lambda: ResponseNormalisation(beta=-1.0), "beta"),
        (lambda: Dropout(1.0), "rate"),
        (lambda: Dense(np.ones((2, 3))).output_shape((4,)), "inputs"),
        (lambda: Dense("abc"), "weight"),
    ],
)
def test_what_does_not_fit_is_named(make, word):
    with pytest.raises(ArgumentError, match=word):
        make()
