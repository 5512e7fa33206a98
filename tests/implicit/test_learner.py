"""The loss is what its definition says, and its gradient is the derivative."""

import numpy as np
import pytest
from implicit.training_oracles import differences, loss

import dynet as dn
from dynet.errors import ArgumentError
from dynet.implicit.explicit import ExplicitLearner, ExplicitNetwork
from dynet.implicit.general import GeneralLearner
from dynet.implicit.learner import ImplicitLearner

LOSSES = {
    "clean": dict(eps=0.0, kappa=0.0, penalty=0.0),
    "interval": dict(eps=0.1, kappa=0.75, penalty=0.0),
    "interval alone": dict(eps=0.1, kappa=1.0, penalty=0.0),
    "penalty": dict(eps=0.0, kappa=0.0, penalty=0.03),
}


def samples(seed=0, batch=5, inputs=3, classes=3):
    random = np.random.default_rng(seed)
    return random.uniform(0.0, 1.0, (batch, inputs)), random.integers(0, classes, batch)


def network(seed=0, states=4, activation="relu"):
    random = np.random.default_rng(seed)
    net = dn.ImplicitNetwork.random(3, states, 3, gamma=0.3, seed=random, activation=activation)
    eta = random.uniform(0.5, 2.0, states)
    A = net.A * eta[:, None] / eta
    B, C = 3.0 * net.B, 3.0 * net.C
    return net.replace(A=A, B=B, C=C, b=random.normal(0.5, 0.5, states), d=random.normal(size=3), weights=eta)


def learners(net, kind=ImplicitLearner, **options):
    learner = kind(net, gamma=0.3, tol=1e-13, dtype=np.float64, **options)
    learner.params["s"] += np.linspace(0.0, 0.2, net.n)  # the largest row of the log norm is one row
    return learner


@pytest.mark.parametrize("name", LOSSES)
def test_the_loss_is_that_of_the_network_that_comes_out(name):
    U, labels = samples()
    learner = learners(network(), shift=0.2, scale=0.4)
    learner.params["w"] += np.array([0.1, -0.2, 0.0, 0.3])
    found = learner.step(U, labels, **LOSSES[name])
    wanted = loss(learner.network(), U, labels, **LOSSES[name])
    assert found.loss == pytest.approx(wanted, rel=1e-9)
    assert found.residual <= 1e-13


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("options", [{}, {"edge_dropout": 0.3, "dropout": 0.2}], ids=["", "dropout"])
def test_the_gradient_is_the_derivative(name, options):
    U, labels = samples(1)
    learner = learners(network(1, states=5), shift=0.2, scale=0.4, **options)

    def step():
        return learner.step(U, labels, rng=np.random.default_rng(4), **LOSSES[name])

    gradients = step().gradients
    for key, wanted in differences(lambda: step().loss, learner.params).items():
        if key == "T":
            np.fill_diagonal(wanted, 0.0)
        assert np.allclose(gradients[key], wanted, atol=2e-7 * max(1.0, np.abs(wanted).max())), key


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("activation", ["tanh", "leaky_relu", "relu"])
def test_other_activations(name, activation):
    U, labels = samples(2)
    learner = learners(network(2, activation=activation), GeneralLearner)
    step = learner.step(U, labels, **LOSSES[name])
    if activation != "leaky_relu":  # whose twin would need more iterations than its test is worth
        assert step.loss == pytest.approx(loss(learner.network(), U, labels, **LOSSES[name]), rel=1e-8)
    wanted = differences(lambda: learner.step(U, labels, **LOSSES[name]).loss, learner.params)
    for key in ("s", "w", "b", "C"):
        assert np.allclose(step.gradients[key], wanted[key], atol=2e-7 * max(1.0, np.abs(wanted[key]).max())), key
    if activation == "relu":  # the fast loops and the network's own passes agree
        other = learners(network(2)).step(U, labels, **LOSSES[name])
        for key, value in other.gradients.items():
            assert np.allclose(value, step.gradients[key], atol=1e-10), key


@pytest.mark.parametrize("name", LOSSES)
def test_the_explicit_network(name):
    U, labels = samples(3)
    learner = ExplicitLearner(ExplicitNetwork.random((3, 5, 4, 3), seed=2), shift=0.1, scale=0.7, dtype=np.float64)
    step = learner.step(U, labels, **LOSSES[name])
    if name == "penalty":
        plain = learner.step(U, labels).loss
        assert step.loss - plain == pytest.approx(0.03 * learner.network().lipschitz(), rel=1e-9)
    wanted = differences(lambda: learner.step(U, labels, **LOSSES[name]).loss, learner.params)
    for key, value in wanted.items():
        assert np.allclose(step.gradients[key], value, atol=2e-7 * max(1.0, np.abs(value).max())), key


@pytest.mark.parametrize("options", [{}, {"dropout": 0.4, "edge_dropout": 0.5}], ids=["whole", "shrunk"])
def test_what_comes_out_keeps_the_bound_on_its_log_norm(options):
    net = network(5, states=12)
    learner = learners(net, **options)
    random = np.random.default_rng(0)
    for p in learner.params.values():
        p += random.normal(size=p.shape)
    np.fill_diagonal(learner.params["T"], 0.0)
    assert learner.network().mu <= 0.3
    assert learners(net).network().mu <= 0.3
    same = learners(net).network()
    assert np.allclose(same.B, net.B) and np.allclose(same(np.ones((1, 3))), net(np.ones((1, 3))), atol=0.1)


def test_zeros_stay_where_they_should():
    net = network(6)
    A, B = net.A.copy(), net.B.copy()
    A[0, 1] = B[2, 1] = 0.0
    learner = learners(net.replace(A=A, B=B, weights=net.weights), sparse=True)
    gradients = learner.step(*samples(6), eps=0.1, kappa=0.5).gradients
    assert gradients["T"][0, 1] == gradients["B"][2, 1] == 0.0 and np.count_nonzero(gradients["B"]) > 5


def test_a_log_norm_above_the_bound_is_refused():
    with pytest.raises(ArgumentError, match="gamma=-3.0: expected at least the log norm of the network's A"):
        ImplicitLearner(network(), gamma=-3.0)
