"""States in single precision: all forms of fields against double precision, the same bits alone, refusals."""

import networkx as nx
import numpy as np
import pytest

import dynet as dn
from dynet.errors import ArgumentError
from dynet.fields.activation import Activation

RNG = np.random.default_rng(5)


@dn.vector_field(n=2, params={"rate": 1.0}, inputs=1)
def driven(t, x, u, p, dx):
    dx[0] = -p.rate * x[0] + u[0] + 0.5 * np.tanh(x[1]) * np.exp(-(x[0] ** 2))
    dx[1] = x[0] + np.sin(3.0 * t) - (x[1] / 3.0 if x[1] > 0.0 else 2 * x[1])


def own(z):
    return z / (1.0 + z * z)


FIELDS = {
    "function": (driven, {"u": dn.Sinusoid(1.0, 2.0)}),
    "dense": (dn.models.FiringRate(RNG.normal(0, 0.3, (20, 20)), input=RNG.normal(size=20)), {}),
    "hopfield": (dn.models.Hopfield(RNG.normal(0, 0.3, (9, 9)), activation="logistic"), {}),
    "sparse": (dn.models.FiringRate(nx.random_regular_graph(3, 30, seed=1), weight=0.3, activation="softplus"), {}),
    "user": (
        dn.models.FiringRate(RNG.normal(0, 0.3, (3, 3)), activation=Activation("own", own)),
        {},
    ),
    "network": (dn.models.Kuramoto(nx.random_regular_graph(4, 20, seed=1), np.linspace(-1, 1, 20), weight=0.3), {}),
    "all to all": (dn.models.Kuramoto(12, np.linspace(-1, 1, 12), weight=0.1), {}),
}


@pytest.mark.parametrize("name", FIELDS)
def test_it_agrees_with_double_precision_and_a_trajectory_has_the_same_bits_alone(name):
    model, options = FIELDS[name]
    x0 = np.random.default_rng(0).normal(size=(40, model.n))
    for method in ({"rtol": 1e-5, "atol": 1e-6}, {"dt": 0.02}):
        single = dn.simulate(model, x0, 2.0, save=5, precision="float32", **method, **options)
        double = dn.simulate(model, x0, 2.0, save=5, **method, **options)
        assert single.x.dtype == np.float32 and single.ok and single.stats["precision"] == "float32"
        assert 0 < np.abs(single.x - double.x).max() < (1e-3 if "rtol" in method else 1e-4)
        alone = dn.simulate(model, x0[7], 2.0, save=5, precision="float32", **method, **options)
        assert np.array_equal(alone.x, single.x[7])
    threaded = dn.simulate(model, x0, 2.0, save=5, precision="float32", threads=2, **method, **options)
    assert np.array_equal(threaded.x, single.x)


@pytest.mark.parametrize("method", ["vern7", "dop853", "bs32"])
def test_methods_with_further_stages_and_save_times_of_their_own(method):
    x0 = np.random.default_rng(0).normal(size=(20, 3)) + [0.0, 0.0, 20.0]
    save = np.sort(np.random.default_rng(1).uniform(0, 0.5, (20, 4)), axis=1)
    single, double = (
        dn.simulate(dn.models.Lorenz(), x0, 0.5, save=save, method=method, rtol=1e-5, precision=p)
        for p in ("float32", None)
    )
    assert np.abs(single.x - double.x).max() < 5e-3 and np.array_equal(single.t, save)


def test_failures_are_statuses_and_files_keep_the_type(tmp_path):
    @dn.vector_field(n=1)
    def explosion(t, x, p, dx):
        dx[0] = x[0] * x[0]

    run = dn.simulate(explosion, [[-1.0], [2.0]], 3.0, save=7, precision="float32", rtol=1e-4)
    assert [s.word for s in run.status] == ["ok", "nonfinite"] and abs(run.t_stop[1] - 0.5) < 1e-4
    run.save(tmp_path / "run.nc")
    copy = dn.Trajectory.load(tmp_path / "run.nc")
    assert copy.x.dtype == np.float32 and np.array_equal(copy.x, run.x, equal_nan=True)
    few = dn.simulate(explosion, [-1.0], 3.0, max_steps=3, precision="float32")
    assert few.status.word == "max_steps"


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"precision": "float16"}, "float32"),
        ({"precision": "float32", "rtol": 1e-9}, "rtol=1e-09: expected a number of at least 1e-06 with precision"),
        ({"precision": "float32", "method": "bdf"}, "precision"),
        ({"precision": "float32", "dense": True}, "dense"),
        ({"precision": "float32", "events": own}, "events"),
        ({"precision": "float32", "summary": "max"}, "summary"),
        ({"precision": "float32", "executor": "fused"}, "executor"),
        ({"precision": "float32", "callback": print}, "callback"),
        ({"precision": "float32", "checkpoint": "x.npz"}, "checkpoint"),
    ],
)
def test_what_it_cannot_do_is_refused(options, word):
    with pytest.raises(ArgumentError, match=word):
        dn.simulate(dn.models.Lorenz(), [1.0, 1.0, 20.0], 1.0, **options)


def test_a_certificate_bounds_no_errors_of_single_precision():
    net = FIELDS["dense"][0].replace(weight=0.1)
    with pytest.raises(ArgumentError, match="certificate"):
        dn.simulate(net, np.zeros(20), 1.0, precision="float32", certificate=dn.certify(net))
