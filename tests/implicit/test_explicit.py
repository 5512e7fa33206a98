"""Explicit networks: bounds that hold, margins that are sharp where they can be, files."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynet.errors import ArgumentError
from dynet.implicit.explicit import ExplicitNetwork


def bounds(net, lo, hi):
    """Interval arithmetic with the signs of the entries, as it is written in textbooks."""
    for k, (W, b) in enumerate(zip(net.matrices, net.offsets, strict=True)):
        positive, negative = np.maximum(W, 0.0), np.minimum(W, 0.0)
        lo, hi = lo @ positive.T + hi @ negative.T + b, hi @ positive.T + lo @ negative.T + b
        if k < len(net.matrices) - 1:
            lo, hi = np.maximum(lo, 0.0), np.maximum(hi, 0.0)
    return lo, hi


@settings(max_examples=30)
@given(seed=st.integers(0, 999), size=st.sampled_from([0.0, 1e-9, 0.1, 1.0]), scale=st.sampled_from([1e-3, 1.0, 1e4]))
def test_bounds_contain_every_output_and_are_as_sharp_as_the_twin(seed, size, scale):
    random = np.random.default_rng(seed)
    net = ExplicitNetwork.random((3, 6, 5, 4), seed)
    net = ExplicitNetwork([scale * net.matrices[0], *net.matrices[1:]], net.offsets)
    lo = random.normal(size=(5, 3))
    hi = lo + size * random.uniform(size=lo.shape)
    low, high = net.bounds(lo, hi)
    for share in (0.0, 1.0, *random.uniform(size=(20, *lo.shape))):
        y = net(lo + share * (hi - lo))
        assert (low <= y).all() and (y <= high).all()
    wanted = bounds(net, lo, hi)
    assert np.allclose(low, wanted[0], rtol=1e-9, atol=1e-9 * scale) and np.allclose(
        high, wanted[1], rtol=1e-9, atol=1e-9 * scale
    )


@settings(max_examples=30)
@given(seed=st.integers(0, 999), eps=st.floats(0.0, 0.5))
def test_gain_and_lipschitz_bound_every_difference(seed, eps):
    random = np.random.default_rng(seed)
    net = ExplicitNetwork.random((3, 6, 4), seed)
    U = random.normal(size=(20, 3))
    V = U + eps * random.uniform(-1.0, 1.0, U.shape)
    moved = np.abs(net(U) - net(V))
    assert (moved <= np.abs(U - V) @ net.gain().T + 1e-12).all()
    assert (moved.max(axis=1) <= net.lipschitz() * np.abs(U - V).max(axis=1) + 1e-12).all()
    labels = net(U).argmax(axis=1)
    for kind in ("interval", "gain", "lipschitz"):
        bound = net.margins(U, labels, eps, kind)
        y = net(V)
        own = y[np.arange(20), labels].copy()
        y[np.arange(20), labels] = -np.inf
        assert (own - y.max(axis=1) >= bound).all(), kind
    least = [net.margins(U, labels, eps, kind) for kind in ("interval", "gain", "lipschitz")]
    assert (least[1] >= least[2] - 1e-9).all()


def test_margins_of_one_layer_are_exact():
    net = ExplicitNetwork([np.array([[1.0, -2.0], [0.5, 1.0]])], [np.array([0.25, 0.0])])
    found = net.margins([[1.0, 0.5]], [0], 0.125)
    # y = (0.25, 1), and y_0 - y_1 = 0.5 u_0 - 3 u_1 + 0.25
    assert found[0] == pytest.approx(-0.75 - 0.125 * 3.5, abs=1e-12)
    cut = net.margins([[1.0, 0.5]], [0], 0.125, pixels=(0.0, 1.0))
    assert cut[0] == pytest.approx(-0.75 - 0.125 * 3.5, abs=1e-12)  # u_0 falls, u_1 rises: neither at its end
    assert net.margins([[1.0, 1.0]], [1], 0.5, pixels=(0.0, 1.0))[0] == pytest.approx(2.25 - 0.5 * 3.0, abs=1e-12)


def test_files(tmp_path):
    net = ExplicitNetwork.random((3, 4, 2), seed=1)
    net.save(tmp_path / "net.npz")
    assert ExplicitNetwork.load(tmp_path / "net.npz").digest == net.digest
    assert net.digest != ExplicitNetwork.random((3, 4, 2), seed=2).digest
    assert net.parameters == 3 * 4 + 4 + 4 * 2 + 2 and (net.inputs, net.outputs) == (3, 2)
    (tmp_path / "net.npz").write_bytes(b"PK")
    with pytest.raises(ArgumentError, match="a whole file of format 'dynet-explicit-network'"):
        ExplicitNetwork.load(tmp_path / "net.npz")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], []), "offsets=0 of them: expected one for each of 0 matrices"),
        (([np.ones((2, 3)), np.ones((1, 3))], [np.ones(2), np.ones(1)]), "those of layer 2 do not"),
        (([np.ones((2, 3))], [np.ones(3)]), "those of layer 1 do not"),
        (([np.full((2, 3), np.nan)], [np.ones(2)]), r"matrices\[0\]=NaN or infinity"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        ExplicitNetwork(*arguments)
    for sizes in ((3,), (3, 0, 2), (3, 1.5)):
        with pytest.raises(ArgumentError, match="sizes="):
            ExplicitNetwork.random(sizes)
    with pytest.raises(ArgumentError, match="did you mean 'interval'"):
        ExplicitNetwork.random((2, 2)).margins([[0.0, 0.0]], [0], 0.1, "intervall")
    with pytest.raises(ArgumentError, match="p=2"):
        ExplicitNetwork.random((2, 2)).lipschitz(2)
