"""Feedforward networks as implicit networks: exact sweeps, one block-triangular matrix, sound gains."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dynet as dn
from dynet.errors import ArgumentError
from dynet.implicit.convolution import Convolution, MaxPool
from dynet.implicit.feedforward import FeedforwardNetwork
from dynet.implicit.layers import Dense, Dropout, ResponseNormalisation
from tests.implicit import direct


def image_network(dtype=np.float64, between=True, activation="relu", seed=0):
    """Two convolutions and two dense layers on images of 2 x 8 x 7."""
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return (0.4 * rng.normal(size=shape)).astype(dtype)

    layers = [Convolution(normal(4, 1, 3, 3), normal(4), padding=1, groups=2, activation=activation)]
    layers += [ResponseNormalisation(3, 1.0, 0.1, 0.75), MaxPool(3, 2)] if between else []
    shape = (4, 3, 3) if between else (4, 8, 7)
    layers.append(
        Convolution(normal(3, 4, 2, 2), normal(3), stride=(1, 2), padding=((0, 1), (0, 0)), activation=activation)
    )
    flat = int(np.prod(layers[-1].output_shape(shape)))
    layers += [Dropout(0.5)] if between else []
    layers += [
        Dense(normal(6, flat), normal(6), activation=activation),
        Dense(normal(4, 6), normal(4), activation="identity"),
    ]
    return FeedforwardNetwork(layers, (2, 8, 7))


def images(count, seed=1):
    return np.random.default_rng(seed).normal(size=(count, 2, 8, 7))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("between", [False, True])
def test_as_many_sweeps_as_layers_end_in_the_layer_by_layer_result_from_anywhere(dtype, between):
    net = image_network(dtype, between)
    U = images(5)
    x = 100 * np.random.default_rng(2).normal(size=(5, net.n))
    for turn in range(4):
        assert not np.array_equal(x[:, net.slices[-1]], net(U)), turn
        x = net.sweep(U, x)
    rest = net.solve(U)
    assert x.dtype == rest.x.dtype == dtype
    assert np.array_equal(x, rest.x) and np.array_equal(x[:, net.slices[-1]], net(U))
    assert np.array_equal(net.sweep(U, x), x)  # the residual is zero
    assert (rest.iterations == 4).all() and all(s.ok for s in rest.status)


def test_the_operator_is_the_matrix_of_the_layers_and_the_fixed_point_equation_holds():
    net = image_network(between=False, activation="tanh")
    U = images(3)
    x = net.solve(U).x
    z = (net.A @ x.T + net.B @ U.reshape(3, -1).T).T + net.b
    hidden = slice(0, net.slices[-1].start)
    assert np.allclose(np.tanh(z[:, hidden]), x[:, hidden], atol=1e-13)
    assert np.allclose(z[:, net.slices[-1]], x[:, net.slices[-1]], atol=1e-13)
    dense = net.A @ np.eye(net.A.shape[1])
    assert dense.shape == (net.n, net.n)
    assert np.array_equal(np.triu(dense), np.zeros_like(dense))
    assert np.allclose(net.A.T @ np.eye(net.n), dense.T, atol=1e-14)
    assert np.allclose(abs(net.A) @ np.eye(net.n), np.abs(dense), atol=1e-14)
    power = np.linalg.matrix_power(np.abs(dense), 4)
    assert not power.any() and np.linalg.matrix_power(np.abs(dense), 3).any()
    B = net.B @ np.eye(net.inputs)
    gain = (np.linalg.inv(np.eye(net.n) - np.abs(dense)) @ np.abs(B))[net.slices[-1]]
    assert np.allclose(net.gain(), gain, rtol=1e-9)
    assert isinstance(net.A @ x[0], np.ndarray) and (net.A @ x[0]).shape == (net.n,)


def test_one_layer_has_a_matrix_of_zeros():
    net = FeedforwardNetwork([Dense([[1.0, 2.0]], [1.0])], 2)
    assert np.array_equal(net.A @ np.eye(1), [[0.0]]) and net([[1.0, 1.0]]) == 4.0


@given(st.integers(0, 10**6))
def test_the_gain_is_not_below_the_product_of_moduli_in_rationals(seed):
    rng = np.random.default_rng(seed)
    sizes = [3, 4, 2, 3]
    weights = [rng.normal(size=(b, a)).astype(np.float32) for a, b in zip(sizes, sizes[1:], strict=False)]
    gain = FeedforwardNetwork([Dense(W) for W in weights], 3).gain()
    exact = direct.rational_gain(weights)
    for row, wanted in zip(gain, exact, strict=True):
        for value, least in zip(row, wanted, strict=True):
            assert least <= Fraction(float(value)) <= least * Fraction(10**9 + 1, 10**9) + Fraction(1, 10**280)


@pytest.mark.parametrize("between", [False, True])
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_no_pair_of_inputs_is_moved_further_than_the_gain(between, activation):
    net = image_network(between=between, activation=activation)
    rng = np.random.default_rng(5)
    U = images(200)
    move = rng.normal(size=U.shape) * 10.0 ** rng.uniform(-3, 1, size=(200, 1, 1, 1))
    moved = np.abs(net(U + move) - net(U))
    assert (moved <= np.abs(move).reshape(200, -1) @ net.gain().T + 1e-12).all()
    assert (moved <= net.spread(np.abs(move).reshape(200, -1)) + 1e-12).all()
    assert np.allclose(net.spread(0.1), net.spread(np.full(net.inputs, 0.1)), rtol=0)


@pytest.mark.parametrize(("activation", "between"), [("relu", False), ("relu", True), ("tanh", True)])
def test_the_error_bounds_what_single_precision_does(activation, between):
    net, twin = (image_network(t, between, activation) for t in (np.float32, np.float64))
    for layer, single in zip(twin.layers, net.layers, strict=True):
        if hasattr(layer, "weight"):
            single.bias[:] = 0.0  # what remains to be rounded are the products
            layer.weight, layer.bias = single.weight.astype(float), single.bias.astype(float)
    U = 3 * images(20).astype(np.float32)
    rest = net.solve(U)
    off = np.abs(rest.x - twin.solve(U).x).max(axis=1)
    assert rest.certified and (off > 0).all() and (off <= rest.error).all()
    assert (rest.error < 1e-2).all()
    assert (twin.solve(U).error < 1e-10).all()


def test_a_sample_has_the_same_bits_alone_and_in_any_batch():
    for dtype in (np.float32, np.float64):
        net = image_network(dtype)
        wide = FeedforwardNetwork([Dense(np.random.default_rng(0).normal(size=(67, 112)).astype(dtype))], 112)
        U = images(37)
        for one in (net, wide):
            whole = one(U.reshape(37, -1))
            assert np.array_equal(whole[::-1], one(U.reshape(37, -1)[::-1]))
            for k in (0, 5, 16, 36):
                assert np.array_equal(one(U.reshape(37, -1)[k : k + 1])[0], whole[k])


def test_the_sweep_contracts_in_the_norm_of_the_weights():
    net = image_network()
    eta = np.concatenate(
        [np.full(part.stop - part.start, w) for part, w in zip(net.slices, net.weights(0.3), strict=True)]
    )
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 50, net.n)) * 3
    before = (np.abs(x - y) / eta).max(axis=1)
    after = (np.abs(net.sweep(images(50), x) - net.sweep(images(50), y)) / eta).max(axis=1)
    assert (after <= 0.3 * before * (1 + 1e-12)).all()
    assert (after > 0).any()


@pytest.mark.parametrize("last", ["identity", "tanh"])
def test_no_attack_breaks_what_is_certified_and_margins_are_tight_for_a_linear_network(last):
    rng = np.random.default_rng(1)
    net = FeedforwardNetwork([Dense(rng.normal(size=(8, 5))), Dense(rng.normal(size=(3, 8)), activation=last)], 5)
    U = rng.normal(size=(60, 5))
    labels = net(U).argmax(axis=1)
    eps = 0.02
    sure = net.certify(U, labels, eps)
    assert sure.any() and not sure.all()
    assert np.array_equal(sure, net.margins(U, labels, eps) > 0)
    for _ in range(300):
        attacked = U + eps * np.sign(rng.normal(size=U.shape))
        assert (net(attacked).argmax(axis=1) == labels)[sure].all()
    assert not net.certify(U, (labels + 1) % 3, eps).any()
    linear = FeedforwardNetwork([Dense(np.eye(3), activation="identity"), Dense(np.eye(3), activation="identity")], 3)
    assert linear.margins([[3.0, 1.0, 0.0]], [0], 0.5) == pytest.approx(1.0)  # 2 - 2 eps: the difference is folded in


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_core_solves_the_same_network(activation):
    net = image_network(between=False, activation=activation)
    twin = net.implicit()
    U = images(6)
    assert twin.well_posed and twin.n == net.slices[-1].start
    rest = twin.solve(U.reshape(6, -1), 1e-9)
    assert all(s.ok for s in rest.status) and np.allclose(rest.x, net.solve(U).x[:, : twin.n], atol=1e-8)
    assert np.allclose(twin(U.reshape(6, -1)), net(U), atol=1e-8)
    assert np.allclose(twin.gain(), net.gain(), rtol=1e-6)
    for other in (image_network(), FeedforwardNetwork([Dense(np.eye(2)), Dense(np.eye(2))], 2)):
        with pytest.raises(ArgumentError, match="net"):
            other.implicit()


def test_dropout_is_drawn_where_a_generator_is_given():
    net = image_network()
    U = images(3)
    drawn = net(U, np.random.default_rng(0))
    assert np.array_equal(drawn, net(U, np.random.default_rng(0))) and not np.array_equal(drawn, net(U))


def test_what_overflows_has_a_status():
    net = FeedforwardNetwork([Dense(np.array([[1e30]], np.float32)), Dense(np.array([[1e30]], np.float32))], 1)
    with np.errstate(over="ignore", invalid="ignore"):
        rest = net.solve([[1.0], [0.0]])
    assert rest.status == (dn.Status.NONFINITE, dn.Status.OK) and not rest.certified


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: FeedforwardNetwork([], 2), "layers"),
        (lambda: FeedforwardNetwork([MaxPool(2)], (1, 4, 4)), "ends in"),
        (lambda: FeedforwardNetwork([Dense(np.ones((1, 2))), "relu"], 2), "relu"),
        (lambda: FeedforwardNetwork([Dense(np.ones((1, 3)))], 2), "inputs"),
        (lambda: FeedforwardNetwork([Dense(np.ones((1, 3)))], (0,)), "shape"),
        (lambda: FeedforwardNetwork([Dense(np.ones((1, 3)))], (1, 3)), "shape"),
        (lambda: image_network()(np.ones((2, 5))), "U"),
        (lambda: image_network()(np.full((2, 112), np.nan)), "finite"),
        (lambda: image_network()("abc"), "U"),
        (lambda: image_network().spread(-1.0), "radius"),
        (lambda: image_network().spread([1.0, 2.0]), "radius"),
        (lambda: image_network().weights(0.0), "factor"),
        (lambda: image_network().sweep(images(2), np.ones((2, 3))), "x="),
        (lambda: image_network().certify(images(2), [0, 1], -0.1), "eps"),
        (lambda: image_network().certify(images(2), [0, 4], 0.1), "labels"),
        (lambda: image_network().certify(images(2), [0.0, 1.0], 0.1), "labels"),
        (lambda: image_network().certify(images(2), [0], 0.1), "labels"),
    ],
)
def test_what_does_not_fit_is_named(make, word):
    with pytest.raises(ArgumentError, match=word):
        make()


@pytest.mark.filterwarnings("ignore:overflow encountered", "ignore:invalid value encountered")
def test_an_overflow_on_the_way_certifies_nothing():
    weight = np.array([[2e38, 2e38, -2e38, -2e38, -2e38], [0, 0, 0, 0, 0]], np.float32)
    net = FeedforwardNetwork([Dense(weight, activation="identity")], 5)
    assert net.margins(np.ones((1, 5)), [0], 0.0)[0] <= -2e38  # the true value, where partial sums are infinite
    squares = FeedforwardNetwork([ResponseNormalisation(), Dense(np.ones((1, 1)), activation="identity")], (1, 1, 1))
    found = squares.solve([[1e160]])
    assert not found.certified and not found.status[0].ok  # 1e-77, and not the 0 that an infinite sum of squares gives


def test_errors_cover_results_below_the_normal_numbers():
    for layer in (Dropout(0.5), ResponseNormalisation(1)):
        net = FeedforwardNetwork([layer, Dense(np.ones((1, 1), np.float32), activation="identity")], (1, 1, 1))
        u = np.array([[3 * np.finfo(np.float32).smallest_subnormal]], np.float32)
        found = net.solve(u)
        true = float(u[0, 0]) * (0.5 if isinstance(layer, Dropout) else 2.0**-0.75)
        assert 0 < abs(found.x[0, 0].astype(float) - true) <= found.error[0]
