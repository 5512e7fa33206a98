"""Full MNIST: what training must reach, and that nothing found contradicts what was proven.

Skipped where the data is not there: set DYNET_DATA to the folder that holds its four files.
"""

import numpy as np
import pytest

import dynet as dn
from dynet.errors import ArgumentError
from dynet.implicit import certified, fit, load
from dynet.implicit.robustness import _margin, attack, margins

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def mnist():
    try:
        return load("mnist")
    except ArgumentError as error:
        pytest.skip(f"MNIST is not here: {error}")


def start(mnist, seed):
    return dn.ImplicitNetwork.random(mnist.train.shape[1], 100, 10, gamma=0.0, seed=seed)


def test_thirteen_epochs(mnist):
    history = fit(
        start(mnist, 0),
        mnist.train,
        mnist.train_labels,
        epochs=13,
        decay=0.1,
        validation=(mnist.test, mnist.test_labels),
    )
    assert history["validation"][-1] >= 1.0 - 0.019
    assert history["residual"].max() <= 1e-4 and history.net.mu <= 0.0
    found = history.net.solve(mnist.test.astype(float), 1e-8)
    assert found.residual.max() <= 1e-8 and found.error.max() <= 1e-8
    assert np.median(history["processor_seconds"]) <= 2.5  # 1 second where nothing else runs


def test_no_attack_contradicts_a_certificate(mnist):
    history = fit(
        start(mnist, 0), mnist.train, mnist.train_labels, epochs=6, eps=0.1, kappa=0.5, clean=0.0, ramp=0.5
    )  # fmt: skip
    net, eps = history.net, 0.1
    U, labels = mnist.test.astype(float), mnist.test_labels
    assert certified(net, U, labels, eps) > 0.7
    proven = np.flatnonzero(margins(net, U, labels, eps) > 0.0)
    near = attack(net, U[proven], labels[proven], eps, "pgd", steps=20, restarts=10)
    assert (_margin(net, near, labels[proven]) > 0.0).all()
