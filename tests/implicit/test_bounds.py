"""Bounds on outputs are never exceeded, and are as sharp as the theory says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from implicit.oracles import embedding, picard

import dynet as dn
from dynet.errors import ArgumentError
from dynet.implicit import bounds

SHEET = dict(A=[[-1.0, 0.5], [-0.75, 0.25]], B=[[1.0], [2.0]], C=[[1.0, -1.0]], b=[0.5, -0.25], weights=[1.0, 3.0])


def network(seed, activation="relu", states=8, gamma=0.8):
    random = np.random.default_rng(seed)
    net = dn.ImplicitNetwork.random(3, states, 4, gamma=gamma, seed=random, activation=activation)
    return net.replace(b=random.normal(size=states), d=random.normal(size=4), weights=net.weights)


def test_worked_numbers():
    net = dn.ImplicitNetwork(**SHEET)
    assert abs(net.mu - 0.5) < 1e-12 and abs(net.lipschitz() - 8.0) < 1e-9
    assert abs(net.gain()[0, 0] - 5.777777777777778) < 1e-9
    x = net.solve([[0.0], [1.0], [-1.0]]).x
    assert np.allclose(x, [[0.25, 0.0], [16 / 15, 19 / 15], [0.0, 0.0]], atol=1e-9)
    slopes = [  # the true worst slope of the output over all patterns of active units
        abs(np.array(SHEET["C"]) @ np.linalg.solve(np.eye(2) - D @ np.array(SHEET["A"]), D @ np.array(SHEET["B"])))[
            0, 0
        ]
        for D in (np.diag(d) for d in ([1.0, 0.0], [0.0, 1.0], [1.0, 1.0]))
    ]
    assert abs(max(slopes) - 8 / 3) < 1e-12


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6), activation=st.sampled_from(["relu", "tanh", "leaky_relu"]), size=st.floats(0.0, 1.0),
    gamma=st.floats(-2.0, 0.98),
)  # fmt: skip
def test_bounds_contain_every_output(seed, activation, size, gamma):
    net = network(seed, activation, gamma=gamma)
    random = np.random.default_rng(seed)
    u = random.normal(size=3)
    low, high = net.bounds(u - size, u + size)
    U = u + size * np.concatenate([random.uniform(-1, 1, (30, 3)), random.choice([-1.0, 1.0], (20, 3))])
    Y = picard(net, U, 1000) @ net.C.T + net.d
    Y = np.asarray(net(U), float) if activation != "relu" else Y
    room = 1e-9
    assert (Y >= low - room).all() and (Y <= high + room).all()
    nominal = net(u)
    assert (np.abs(Y - nominal) <= net.gain() @ np.full(3, size) + room).all()
    assert (np.abs(Y - nominal).max(axis=1) <= net.lipschitz() * size + room).all()
    assert np.abs(U - u).sum(1).max() * net.lipschitz(1) + room >= np.abs(Y - nominal).sum(1).max()
    assert (np.linalg.norm(Y - nominal, axis=1) <= net.lipschitz(2) * np.linalg.norm(U - u, axis=1) + room).all()
    for kind in bounds.KINDS:
        label = int(nominal.argmax())
        margin = bounds.margins(net, u[None], np.array([label]), size, kind)[0]
        others = np.delete(Y, label, axis=1)
        assert (Y[:, label] - others.max(axis=1) >= margin - room).all()


def test_bounds_equal_the_embedding_and_a_box_of_one_point_the_state():
    net = network(3)
    lo = np.random.default_rng(0).normal(size=(4, 3))
    found = bounds.interval(net, lo, lo + 0.3)
    low, high = embedding(net, lo, lo + 0.3)
    assert np.allclose(found.x_lo, low, atol=1e-8) and np.allclose(found.x_hi, high, atol=1e-8)
    assert (found.x_lo <= low + 1e-12).all() and (found.x_hi >= high - 1e-12).all()
    point = bounds.interval(net, lo, lo)
    assert np.abs(point.hi - point.lo).max() < 1e-8


def test_the_embedding_has_the_log_norm_of_the_network():
    net = network(2)
    upper = np.where((net.A > 0) | np.eye(net.n, dtype=bool), net.A, 0)
    both = np.block([[upper, net.A - upper], [net.A - upper, upper]])
    doubled = dn.Norm("inf", np.tile(net.weights, 2))
    assert np.isclose(doubled.log(both), dn.Norm("inf", net.weights).log(net.A), rtol=1e-14)


def test_margins_do_not_depend_on_the_batch_and_grow_as_eps_shrinks():
    net = network(4, states=20)
    U = np.random.default_rng(0).uniform(size=(9, 3))
    labels = net(U).argmax(axis=1)
    for kind in bounds.KINDS:
        small, large = (bounds.margins(net, U, labels, eps, kind, clip=(0, 1)) for eps in (0.01, 0.1))
        assert (small > large).all()
        assert bounds.margins(net, U[3:4], labels[3:4], 0.1, kind, clip=(0, 1))[0] == large[3]
    assert (net.certify(U, labels, 0.0) == (np.sort(net(U))[:, -1] > np.sort(net(U))[:, -2])).all()


def test_general_slopes_have_sound_gains():
    net = network(6, "silu", gamma=0.3)
    weak = net.replace(A=0.2 * net.A)
    assert weak.well_posed
    random = np.random.default_rng(0)
    u, v = random.normal(size=(2, 50, 3))
    assert (np.abs(weak(u) - weak(v)) <= np.abs(u - v) @ weak.gain().T + 1e-9).all()
    with pytest.raises(ArgumentError, match="gain"):
        weak.bounds(u[0], u[0])


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda net: net.bounds([1.0, 1.0, 1.0], [0.0, 2.0, 2.0]), "hi"),
        (lambda net: net.certify(np.zeros((1, 3)), np.array([4]), 0.1), "labels"),
        (lambda net: net.certify(np.zeros((1, 3)), np.array([0]), -0.1), "eps"),
        (lambda net: net.certify(np.zeros((1, 3)), np.array([0]), 0.1, kind="intervall"), "kind"),
        (lambda net: net.certify(np.full((1, 3), 2.0), np.array([0]), 0.1, clip=(0, 1)), "clip"),
        (lambda net: net.lipschitz(3), "p"),
    ],
)
def test_wrong_arguments_are_named(call, name):
    with pytest.raises(ArgumentError) as error:
        call(network(0))
    assert error.value.name == name


@pytest.mark.parametrize("size", [1e-85, 1e-170])
def test_lipschitz_bounds_do_not_underflow(size):
    net = dn.ImplicitNetwork([[-1.0]], [[size]], [[1e-85]])
    turning = dn.ImplicitNetwork([[0.5, 3.0], [-3.0, 0.0]], [[size], [0.0]], [[1.0, 0.0]])  # by the Euclidean norm
    assert all(net.lipschitz(p) >= size * 1e-85 / 2 and net.lipschitz(p) > 0 for p in (1, 2, np.inf))
    assert turning.quadratic is not None and turning.lipschitz(2) >= size / 5  # 0.21 times the size, both units active
