"""Training learns, reproduces, resumes with the same bits, and says what went wrong."""

import numpy as np
import pytest

import dynet as dn
from dynet.errors import ArgumentError
from dynet.implicit import Augment, ExplicitNetwork, fit, load
from dynet.implicit.augment import pad
from dynet.implicit.history import COLUMNS

DIGITS = load("digits")
U, LABELS = DIGITS.train[:300], DIGITS.train_labels[:300]
TEST = DIGITS.test[:200], DIGITS.test_labels[:200]
TIMES = ("seconds", "processor_seconds")


def start(seed=0, states=12):
    return dn.ImplicitNetwork.random(64, states, 10, gamma=0.0, seed=seed)


def train(net=None, data=U, labels=LABELS, **options):
    options = {"epochs": 4, "batch": 50, "seed": 3} | options
    return fit(start() if net is None else net, data, labels, **options)


def same(a, b):
    """Equal bits of two histories, but for the times."""
    columns = [k for k, name in enumerate(COLUMNS) if name not in TIMES]
    equal = np.array_equal(a.log[:, columns], b.log[:, columns], equal_nan=True)
    return equal and all((getattr(a.net, k) == getattr(b.net, k)).all() for k in "ABCbd")


def test_it_learns_and_keeps_what_it_promises():
    net = start()
    history = train(net, DIGITS.train, DIGITS.train_labels, epochs=15, validation=TEST)
    assert history.status == "finished" and history.log.shape == (15, len(COLUMNS))
    assert history["accuracy"][-1] > 0.95 and history["validation"][-1] > 0.8
    assert history["loss"][-1] < history["loss"][0] / 5
    assert history["residual"].max() <= 1e-4 and history.net.mu <= 0.0
    assert history["lipschitz"][-1] == history.net.lipschitz()
    y = history.net(TEST[0].astype(float))
    assert (y.argmax(axis=1) == TEST[1]).mean() == history["validation"][-1]
    assert (net.A == start().A).all()


def test_the_worst_case_is_phased_in_and_pays():
    options = dict(epochs=24, batch=50)
    plain = train(data=DIGITS.train, labels=DIGITS.train_labels, **options)
    robust = train(data=DIGITS.train, labels=DIGITS.train_labels, eps=0.05, kappa=0.5, clean=0.25, ramp=0.25, **options)
    assert (robust["eps"][:6] == 0.0).all() and (np.diff(robust["eps"][5:12]) > 0).all()
    assert (robust["eps"][12:] == 0.05).all() and (robust["kappa"][12:] == 0.5).all()
    assert robust["residual"].max() <= 1e-4
    proven = [dn.implicit.certified(h.net, *TEST, 0.05) for h in (plain, robust)]
    assert proven[1] > proven[0] + 0.2


def test_the_penalty_lowers_the_lipschitz_bound():
    plain, smooth = (train(epochs=10, penalty=penalty) for penalty in (0.0, 1e-2))
    assert smooth.net.lipschitz() < 0.5 * plain.net.lipschitz()


OPTIONS = {
    "plain": {},
    "interval": dict(eps=0.05),
    "dropout": dict(dropout=0.1, edge_dropout=0.1),
    "validation": dict(validation=TEST, patience=3),
    "augment": dict(augment=Augment((10, 10), (8, 8), mirror=False)),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_the_same_seed_gives_the_same_bits_also_after_an_interrupt(name, tmp_path):
    options = dict(OPTIONS[name])
    if "augment" in options:
        options["data"] = pad(U, (8, 8), 1)
    whole = train(**options)

    def stop(done):
        if done >= 0.5:
            raise KeyboardInterrupt

    file = tmp_path / "training.npz"
    with pytest.raises(KeyboardInterrupt):
        train(checkpoint=file, progress=stop, **options)
    said = []
    resumed = train(checkpoint=file, progress=said.append, **options)
    assert same(whole, resumed) and len(said) == 2  # the two epochs that were left
    assert same(whole, train(checkpoint=file, **options))  # and none at all
    assert not same(whole, train(seed=4, **{k: v for k, v in options.items()}))
    assert [path.name for path in tmp_path.iterdir()] == ["training.npz"]


def test_an_explicit_network_is_trained_by_the_same_code(tmp_path):
    net = ExplicitNetwork.random((64, 12, 12, 10))
    history = train(net, epochs=15, eps=0.03, checkpoint=tmp_path / "file")
    assert history["accuracy"][-1] > 0.7 and history["residual"].max() == 0.0
    assert train(net, epochs=15, eps=0.03, checkpoint=tmp_path / "file").net.digest == history.net.digest


@pytest.mark.slow  # in single precision the passes compile anew; test_learner.py has their derivatives
def test_other_activations():
    net = dn.ImplicitNetwork.random(64, 8, 10, gamma=0.5, seed=1, activation="tanh")
    history = train(net, epochs=6, batch=50)
    assert history["accuracy"][-1] > 0.5 and history["residual"].max() <= 1e-4 and history.net.mu <= 0.5


def test_early_stopping_returns_the_best():
    history = train(epochs=30, validation=TEST, patience=2, lr=0.02)
    assert history.status == "stopped early" and len(history.log) < 30
    best = history["validation"].argmax()
    assert len(history.log) == best + 3
    assert (history.net(TEST[0].astype(float)).argmax(axis=1) == TEST[1]).mean() == history["validation"][best]


@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_diverging_run_returns_its_last_good_network(checkpoint, tmp_path):
    explode = dict(schedule=lambda done: 1.0 if done < 0.5 else 1e30, epochs=4)
    if checkpoint:
        explode["checkpoint"] = tmp_path / "file"
    history = train(**explode)
    good = train(schedule=lambda done: 1.0, epochs=4)
    assert history.status == "diverged" and not history.ok and len(history.log) == 2
    assert "in epoch 3; the network is that of epoch 2" in history.reason and "smaller lr" in history.reason
    assert ("which" in history.reason) == checkpoint
    assert np.isfinite(history.net.A).all() and history.net.mu <= 0.0
    times = [list(COLUMNS).index(name) for name in TIMES]
    assert np.array_equal(*(np.delete(h.log[:2], times, axis=1) for h in (history, good)), equal_nan=True)


def test_a_run_that_diverges_at_once_returns_what_it_was_given():
    net = start()
    history = train(net, schedule=lambda done: 1e30)
    assert history.status == "diverged" and history.net is net and history.log.shape == (0, len(COLUMNS))
    assert "the network is the one given" in history.reason and "epoch 1" in str(history)


def test_checkpoints_of_something_else_are_refused(tmp_path):
    file = tmp_path / "file"
    train(checkpoint=file, epochs=1)
    with pytest.raises(ArgumentError, match="this network, and this one is of another"):
        train(start(seed=1), checkpoint=file, epochs=1)
    with pytest.raises(ArgumentError, match="this network, and this one is of another"):
        train(ExplicitNetwork.random((64, 12, 10)), checkpoint=file, epochs=1)
    for other in (dict(lr=0.1), dict(epochs=2), dict(seed=9), dict(labels=LABELS[::-1].copy()), dict(data=1.0 - U)):
        with pytest.raises(ArgumentError, match="a checkpoint of the same training"):
            train(checkpoint=file, **{"epochs": 1, **other})
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(ArgumentError, match="a readable checkpoint, or a new file"):
        train(checkpoint=file, epochs=1)
    with pytest.raises(ArgumentError, match="a file in a folder that exists"):
        train(checkpoint=tmp_path / "no" / "file", epochs=1)


def test_the_log_is_a_table(tmp_path):
    history = train(epochs=2)
    history.save(tmp_path / "log.csv")
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert lines[0].split(",") == list(COLUMNS) and len(lines) == 3
    assert "residual" in str(history) and history._repr_html_().startswith("<pre>")
    with pytest.raises(ArgumentError, match="did you mean 'accuracy'"):
        history["acuracy"]


BAD = {
    "shape": (dict(data=U[:, :60]), r"U=an array of shape \(300, 60\): expected shape \(samples, 64\)"),
    "nan": (dict(data=np.where(U > 0.9, np.nan, U)), "U=NaN or infinity among the numbers"),
    "words": (dict(data=[["a"]]), "an array of numbers"),
    "too few labels": (dict(labels=LABELS[:7]), "expected 300 whole numbers, one for each image"),
    "real labels": (dict(labels=LABELS / 2.0), "an array of float64"),
    "label": (dict(labels=LABELS + 1), "labels=10: expected whole numbers from 0 to 9"),
    "negative label": (dict(labels=LABELS - 1), "labels=-1"),
    "eps": (dict(eps=-0.1), "eps=-0.1: expected a number of at least 0"),
    "kappa": (dict(kappa=1.5), "kappa=1.5: expected a number from 0.0 to 1.0"),
    "no kappa": (dict(eps=0.1, kappa=0.0), "kappa=0.0: expected above 0 where eps is"),
    "epochs": (dict(epochs=1.5), "epochs=1.5: expected a whole number"),
    "batch": (dict(batch=0), "batch=0"),
    "lr": (dict(lr=float("nan")), "lr=nan"),
    "gamma": (dict(gamma=1.0), "gamma=1.0: expected a number below 1"),
    "low gamma": (dict(gamma=-2.0), "gamma=-2.0: expected at least the log norm"),
    "schedule": (dict(schedule="linaer"), "did you mean 'linear'"),
    "pixels": (
        dict(eps=0.1, data=2.0 * U),
        "pixels=.0.0, 1.0.: expected a range that holds all pixels, .* from 0 to 2",
    ),
    "device": (dict(device="cuda"), "device='cuda'"),
    "patience": (dict(patience=3), "a validation set to be patient with"),
    "no patience": (dict(patience=0, validation=TEST), "patience=0"),
    "validation": (dict(validation=(U[:, :3], LABELS)), "validation=an array of shape"),
    "validation alone": (dict(validation=3), "validation=3: expected images and their labels"),
    "net": (dict(net=dn.models.Lorenz()), "expected an ImplicitNetwork or an ExplicitNetwork"),
    "augment": (dict(augment=Augment((8, 8), (4, 4))), "crops of 64 numbers, the inputs of the network"),
    "ill-posed": (dict(net=dn.ImplicitNetwork([[2.0]], np.ones((1, 64)), np.ones((10, 1)))), "a well-posed network"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    options, message = BAD[name]
    with pytest.raises(ArgumentError, match=message):
        train(**options)
