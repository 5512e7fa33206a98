"""What is pruned keeps its certificate, and changes no more than the bound says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet as dn
from dynet.errors import ArgumentError
from dynet.implicit import fit, load, prune
from dynet.implicit.regularize import change_bound, importance, size, sparsity


def network(seed, states=8):
    random = np.random.default_rng(seed)
    net = dn.ImplicitNetwork.random(3, states, 2, gamma=0.7, seed=random)
    eta = random.uniform(0.5, 2.0, states)
    return net.replace(A=net.A * eta[:, None] / eta, b=random.normal(size=states), weights=eta)


@settings(max_examples=25)
@given(seed=st.integers(0, 999), data=st.data())
def test_the_certificate_is_carried_over(seed, data):
    net = network(seed)
    U = np.random.default_rng(seed).uniform(size=(5, 3))
    units = data.draw(st.none() | st.integers(1, net.n))
    couplings = data.draw(st.integers(1, 30 if units is None else min(30, max(1, units * 4))))
    small = prune(net, U, units=units) if units else net
    small = prune(small, U, couplings=min(couplings, size(small)))
    assert small.mu <= net.mu + 1e-15 and small.well_posed
    assert small.lipschitz() <= net.lipschitz() * (1 + 1e-12)
    assert small.n == (units or net.n) and size(small) == min(couplings, size(small) or 1)


@settings(max_examples=25)
@given(seed=st.integers(0, 999), couplings=st.integers(1, 80))
def test_outputs_change_no_more_than_the_bound(seed, couplings):
    net = network(seed)
    U = np.random.default_rng(seed).uniform(-1.0, 1.0, (5, 3))
    small = prune(net, U, couplings=min(couplings, size(net)))
    assert (np.abs(net(U) - small(U)) <= change_bound(net, small, U) + 1e-9).all()
    # the scores of what went add up to a bound on the largest mean change
    gone = sum(importance(net, U)[k][(getattr(net, k) != 0) & (getattr(small, k) == 0)].sum() for k in "ABC")
    assert np.abs(net(U) - small(U)).mean(axis=0).max() <= gone + 1e-9


def test_scores_are_those_of_the_definition():
    net, U = network(3), np.random.default_rng(0).uniform(size=(4, 3))
    found, x = importance(net, U), np.abs(net.solve(U).x).mean(axis=0)
    majorant = np.abs(net.A)
    np.fill_diagonal(majorant, np.diag(net.A))
    gain = np.abs(net.C) @ np.linalg.inv(np.eye(net.n) - majorant)
    for i in range(net.n):
        for j in range(net.n):
            wanted = 0.0 if i == j else gain[:, i].max() * abs(net.A[i, j]) * x[j]
            assert found["A"][i, j] == pytest.approx(wanted, rel=1e-6, abs=1e-12)
    off = np.abs(net.A) - np.diag(np.abs(np.diag(net.A)))
    unit = [max(gain[k] @ off[:, j] + abs(net.C[k, j]) for k in range(2)) * x[j] for j in range(net.n)]
    assert np.allclose(found["units"], unit, rtol=1e-6)


def test_a_trained_network_keeps_its_accuracy_and_its_zeros():
    digits = load("digits")
    start = dn.ImplicitNetwork.random(64, 12, 10, gamma=0.0, seed=1)
    net = fit(start, digits.train, digits.train_labels, epochs=15, penalty=1e-3, batch=50).net
    [(_, whole), (half, pruned), (tenth, worse)] = sparsity(
        net, digits.test, digits.test_labels, [1.0, 0.5, 0.15], digits.train
    )
    assert pruned > whole - 0.05 and worse < whole and size(half) == round(0.5 * size(net))
    again = fit(tenth, digits.train, digits.train_labels, epochs=8, batch=50, sparse=True).net
    assert size(again) <= size(tenth) and ((again.B == 0) >= (tenth.B == 0)).all()
    right = (again(digits.test.astype(float)).argmax(axis=1) == digits.test_labels).mean()
    assert right > worse + 0.05


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "units=None: expected how many units stay, or couplings="),
        ({"units": 0}, "units=0: expected a whole number from 1 to 8"),
        ({"units": 9}, "units=9"),
        ({"couplings": 1000}, "couplings=1000"),
        ({"couplings": 2.5}, "couplings=2.5"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(ArgumentError, match=message):
        prune(network(0), np.ones((1, 3)), **options)
    with pytest.raises(ArgumentError, match="fractions=0.0"):
        sparsity(network(0), np.ones((1, 3)), [0], [0.0], np.ones((1, 3)))
    with pytest.raises(ArgumentError, match="a well-posed network whose slopes"):
        importance(dn.ImplicitNetwork([[2.0]], [[1.0]], [[1.0]]), [[1.0]])
