"""sample_paths: stationary moments, multiplicative noise, what it refuses."""

import numpy as np
import pytest

import dynet as dn
from dynet.errors import ArgumentError


@dn.vector_field(n=2, params={"rate": np.array([1.0, 2.0])})
def relax(t, x, p, dx):
    dx[0] = -p.rate[0] * x[0]
    dx[1] = -p.rate[1] * x[1]


@dn.vector_field(n=2, params={"s": 0.3})
def own(t, x, p, dx):
    dx[0] = p.s * x[0]
    dx[1] = p.s * x[1]


@dn.vector_field(n=2)
def crossed(t, x, p, dx):
    dx[0] = x[1]
    dx[1] = 1.0


def test_stationary_variance_of_each_state():
    run = dn.sample_paths(relax, [0.0, 0.0], 8.0, noise=[1.0, 0.5], dt=0.02, paths=4000, save=3)
    assert run.x.shape == (4000, 3, 2) and run.ok and run.stats["method"] == "milstein"
    want = np.array([1.0, 0.25]) / (2 * np.array([1.0, 2.0]))
    assert np.allclose(run.final.var(axis=0), want, rtol=0.12)
    assert abs(np.corrcoef(run.final.T)[0, 1]) < 0.07
    assert np.array_equal(run.x[:, 0], np.zeros((4000, 2)))


def test_the_same_seed_gives_the_same_paths_and_parameters_follow_the_batch():
    one = dn.sample_paths(relax, [1.0, 1.0], 1.0, noise=own, dt=0.1, seed=4)
    two = dn.sample_paths(relax, np.ones((3, 2)), 1.0, noise=own, dt=0.1, seed=4)
    assert one.x.shape == (101, 2) and np.array_equal(one.x, two.x[0]) and not np.array_equal(two.x[0], two.x[1])
    fast = dn.sample_paths(
        relax, [1.0, 1.0], 1.0, noise=0.0, dt=1e-3, params={"rate": [[1.0, 1.0], [3.0, 3.0]]}, save="last"
    )
    assert np.allclose(fast.final[:, 0], np.exp([-1.0, -3.0]), rtol=5e-3)


def test_noise_from_other_states_takes_the_method_that_allows_it():
    assert dn.sample_paths(relax, [1.0, 1.0], 1.0, noise=crossed, dt=0.1).stats["method"] == "euler_maruyama"
    with pytest.raises(ArgumentError, match="g_0 depends on x_1"):
        dn.sample_paths(relax, [1.0, 1.0], 1.0, noise=crossed, dt=0.1, method="milstein")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"dt": 0.0}, "dt"),
        ({"dt": "a"}, "dt"),
        ({"noise": [1.0, 2.0, 3.0]}, "noise"),
        ({"noise": np.nan}, "noise"),
        ({"noise": "white"}, "noise"),
        ({"noise": dn.models.Lorenz()}, "2 states"),
        ({"seed": -1}, "seed"),
        ({"seed": 0.5}, "seed"),
        ({"paths": 0}, "paths"),
        ({"paths": 3, "x0": np.ones((2, 2))}, "2 initial states"),
        ({"method": "millstein"}, "milstein"),
        ({"x0": [1.0, np.inf]}, "x0"),
        ({"t": [1.0, 0.0]}, "t"),
        ({"model": 3}, "model"),
    ],
)
def test_refuses(change, message):
    arguments = {"model": relax, "x0": [1.0, 1.0], "t": 1.0, "noise": 0.1, "dt": 0.1} | change
    model, x0, t = (arguments.pop(name) for name in ("model", "x0", "t"))
    with pytest.raises(ArgumentError, match=message):
        dn.sample_paths(model, x0, t, **arguments)
