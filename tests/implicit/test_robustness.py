"""Attacks stay where they may, find what is there to find, and never contradict a certificate."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from implicit.oracles import dense_gradients, picard

import dynet as dn
from dynet.errors import ArgumentError
from dynet.implicit import ExplicitNetwork, attack, certified, robustness_curves
from dynet.implicit.robustness import ATTACKS, _ascent, _margin, accuracy, margins, outcomes


def network(seed, kind="implicit"):
    random = np.random.default_rng(seed)
    if kind == "explicit":
        return ExplicitNetwork.random((4, 6, 5, 3), seed)
    net = dn.ImplicitNetwork.random(4, 6, 3, gamma=0.5, seed=random)
    return net.replace(b=random.normal(size=6), weights=net.weights)


def samples(net, seed, count=8):
    """Images, labelled as the network sees them."""
    U = np.random.default_rng(seed).uniform(0.0, 1.0, (count, 4))
    return U, net(U).argmax(axis=1)


@settings(max_examples=20)
@given(kind=st.sampled_from(["implicit", "explicit"]), attack_kind=st.sampled_from(ATTACKS), seed=st.integers(0, 999),
       eps=st.floats(0.0, 0.6))  # fmt: skip
def test_attacks_stay_in_their_box(kind, attack_kind, seed, eps):
    net = network(seed % 7, kind)
    U, labels = samples(net, seed)
    V = attack(net, U, labels, eps, attack_kind, steps=3, restarts=2, seed=seed)
    assert V.shape == U.shape and V.min() >= 0.0 and V.max() <= 1.0
    assert np.abs(V - U).max() <= eps + 1e-15
    if attack_kind in ("pgd", "uniform"):
        assert (_margin(net, V, labels) <= _margin(net, U, labels)).all()
    assert (V == attack(net, U, labels, eps, attack_kind, steps=3, restarts=2, seed=seed)).all()


@settings(max_examples=20)
@given(kind=st.sampled_from(["implicit", "explicit"]), seed=st.integers(0, 999), eps=st.floats(0.0, 0.4),
       certificate=st.sampled_from(["interval", "gain", "lipschitz"]))  # fmt: skip
def test_certificates_are_never_contradicted(kind, seed, eps, certificate):
    net = network(seed % 7, kind)
    U, labels = samples(net, seed, count=20)
    # the states behind an output are found to 1e-8: what is measured may be that much below what is true, and proven
    bound = margins(net, U, labels, eps, certificate) - 1e-7
    for k, name in enumerate(ATTACKS):
        V = attack(net, U, labels, eps, name, steps=10, restarts=3, seed=seed + k)
        assert (_margin(net, V, labels) >= bound).all()
    corners = np.random.default_rng(seed).choice([-1.0, 1.0], (50, *U.shape))
    for corner in corners:
        assert (_margin(net, np.clip(U + eps * corner, 0.0, 1.0), labels) >= bound).all()


def test_the_gradient_is_that_of_the_loss():
    net = network(3)
    U, labels = samples(net, 3)
    y = np.asarray(picard(net, U) @ net.C.T + net.d, float)
    slope = np.exp(y - y.max(axis=1, keepdims=True))
    slope[np.arange(8), labels] = 0.0
    slope /= slope.sum(axis=1, keepdims=True)
    slope[np.arange(8), labels] = -1.0
    wanted = dense_gradients(net, U, np.asarray(picard(net, U), float), slope)["U"]
    assert np.allclose(_ascent(net, U, labels), wanted, atol=1e-4)
    explicit = network(3, "explicit")
    U, labels = samples(explicit, 3)

    def value(V):
        y = explicit(V)
        y = y - y[np.arange(8), labels][:, None]
        y[np.arange(8), labels] = -np.inf
        return np.log(np.exp(y).sum(axis=1))

    step, found = 1e-6, _ascent(explicit, U, labels)
    for i in range(4):
        move = step * np.eye(4)[i]
        assert np.allclose(found[:, i], (value(U + move) - value(U - move)) / (2 * step), atol=1e-6)


def test_where_everything_is_known():
    net = dn.ImplicitNetwork([[-1.0]], [[8.0, -8.0]], [[1.0], [0.0]], 0.0, [0.0, 1.0])  # x = relu(8 (u_0 - u_1)) / 2
    U, labels = np.array([[0.9, 0.5], [0.6, 0.3]]), np.array([0, 0])
    assert accuracy(net, U, labels) == 1.0
    for kind in ("fgsm", "pgd"):  # the outputs are 4 (0.4 - 0.08) and 4 (0.3 - 0.08) against 1
        assert np.allclose(_margin(net, attack(net, U, labels, 0.04, kind), labels), [0.28, -0.12])
    curves = robustness_curves(net, U, labels, [0.0, 0.02, 0.04, 0.2], attacks=["pgd"], certificates=["interval"])
    assert curves["pgd"].tolist() == [1.0, 1.0, 0.5, 0.0] and curves["interval"].tolist() == [1.0, 1.0, 0.5, 0.0]


def test_inversion_goes_toward_the_inverse_and_no_further():
    net = network(0)
    U, labels = np.array([[0.0, 1.0, 0.48, 0.3]]), np.array([0])
    assert np.allclose(attack(net, U, labels, 0.1, "inversion"), [[0.1, 0.9, 0.52, 0.4]])
    assert np.allclose(attack(net, U, labels, 1.0, "inversion"), 1.0 - U)


def test_what_is_wrong_already_counts_as_wrong():
    net = network(1)
    U, labels = samples(net, 1, count=10)
    wrong = labels.copy()
    wrong[:4] = (wrong[:4] + 1) % 3
    found = outcomes(net, U, wrong, [0.0], attacks=["pgd", "inversion"], certificates=["gain"])
    for stay in found.values():
        assert not stay[0, :4].any() and stay[0, 4:].all()
    assert accuracy(net, U, wrong) == 0.6 and certified(net, U, wrong, 0.0) == 0.6


def test_nothing_left_to_attack():
    net = network(1)
    U, labels = samples(net, 1)
    found = robustness_curves(net, U, (labels + 1) % 3, [0.1], attacks=["pgd"])
    assert found["pgd"].tolist() == found["interval"].tolist() == [0.0]


BAD = {
    "kind": (dict(kind="pdg"), "kind='pdg'.*did you mean 'pgd'"),
    "eps": (dict(eps=-0.1), "eps=-0.1: expected a number of at least 0"),
    "nan eps": (dict(eps=float("nan")), "eps=nan"),
    "steps": (dict(steps=0), "steps=0"),
    "restarts": (dict(restarts=1.5), "restarts=1.5"),
    "pixels": (
        dict(U=np.full((1, 4), 1.5)),
        "pixels=.0.0, 1.0.: expected a range that holds all pixels: they go from 1.5",
    ),
    "label": (dict(labels=[3]), "labels=3: expected whole numbers from 0 to 2"),
    "shape": (dict(U=np.ones((1, 3))), "U=an array of shape .1, 3."),
    "nan": (dict(U=np.full((1, 4), np.nan)), "U=NaN"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    options, message = BAD[name]
    arguments = {"U": np.full((1, 4), 0.5), "labels": [0], "eps": 0.1} | options
    with pytest.raises(ArgumentError, match=message):
        attack(network(0), **arguments)
    if set(options) & {"eps", "U", "labels"}:
        arguments.pop("kind", None)
        with pytest.raises(ArgumentError, match=message):
            certified(network(0), **arguments)


def test_only_implicit_and_explicit_networks_are_attacked():
    with pytest.raises(ArgumentError, match="expected an ImplicitNetwork or an ExplicitNetwork"):
        attack(dn.models.Lorenz(), np.full((1, 4), 0.5), [0], 0.1)
