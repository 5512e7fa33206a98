"""Signals: the compiled evaluation agrees with the plain one, and bad tables are refused."""

import numpy as np
import pytest

from dynet.errors import ArgumentError
from dynet.fields.noise import LARGEST, Noise
from dynet.fields.signal import Constant, Joined, PerLane, Piecewise, Sinusoid, Square, Tabulated, as_signal
from dynet.fields.waves import evaluate

SIGNALS = [
    Constant([1.0, -2.0]),
    Sinusoid([1.0, 2.0], period=3.0, phase=[0.1, 0.2], offset=0.5),
    Piecewise([1.0, 2.0], [[0.0, 1.0, 2.0], [5.0, 4.0, 3.0]]),
    Tabulated([0.0, 1.0, 2.5], [[0.0, 1.0, 2.0], [5.0, 4.0, -3.0]]),
    Square([1.0, -2.0], period=2.3, phase=[0.0, 1.0], offset=[0.5, 0.0], duty=0.3),
    Noise([1.0, 2.0], step=0.4, seed=5, offset=[0.0, 3.0]),
]


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda s: type(s).__name__)
def test_compiled_evaluation_agrees_with_python(signal):
    t = np.array([-1.0, 0.0, 0.3, 1.0, 1.7, 2.0, 2.5, 9.0])
    out = np.full((2, t.size), np.nan)
    evaluate(t, np.empty((0, t.size)), *signal.pack(), out)
    assert np.allclose(out, np.array([signal(s) for s in t]).T, rtol=0, atol=1e-14)


@pytest.mark.parametrize("signal", [*SIGNALS, PerLane(2, 3)], ids=lambda s: type(s).__name__)
def test_channels_are_cut_out(signal):
    second = signal.channels(1, 2)
    if isinstance(signal, PerLane):
        assert second == PerLane(1, 4)
        return
    assert second.size == 1 and all(second(t)[0] == signal(t)[1] for t in (-0.7, 0.0, 1.3))
    joined = Joined((signal, second))
    assert joined.channels(2, 3) is second and np.array_equal(joined(0.3), np.append(signal(0.3), second(0.3)))


def test_noise_is_normal_continuous_and_its_own():
    noise = Noise(np.ones(2), step=0.5, seed=1)
    values = np.array([noise(0.5 * k) for k in range(-2000, 2000)])
    assert abs(values.mean()) < 0.05 and np.allclose(values.std(axis=0), 1.0, atol=0.05)
    assert abs(np.corrcoef(values.T)[0, 1]) < 0.06 and abs(np.corrcoef(values[1:, 0], values[:-1, 0])[0, 1]) < 0.06
    assert np.allclose(noise(0.75), (noise(0.5) + noise(1.0)) / 2) and np.abs(values).max() < LARGEST
    assert not np.allclose(noise(0.5), Noise(np.ones(2), 0.5, seed=2)(0.5))
    wide = as_signal(Noise(1.0, 0.5, seed=1), 2)
    assert np.array_equal(wide(0.3), noise(0.3)) and wide(0.3)[0] != wide(0.3)[1], "each channel has its own noise"


def test_an_input_of_its_own_for_each_lane():
    p = np.arange(12.0).reshape(4, 3)
    out = np.empty((2, 3))
    evaluate(np.zeros(3), p, *PerLane(2, 1).pack(), out)
    assert np.array_equal(out, p[1:3])


@pytest.mark.parametrize(
    "signal",
    [Constant(2.0), Sinusoid(1.0, 2.0), Square(1.0, 2.0), Piecewise([1.0], [0.0, 3.0]), Tabulated([0, 1], [0, 3])],
)
def test_one_channel_spreads_over_many(signal):
    wide = as_signal(signal, 3)
    assert wide.size == 3
    assert np.array_equal(wide(0.4), np.repeat(signal(0.4), 3))


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: Constant([1.0, np.nan]), "value"),
        (lambda: Constant("abc"), "value"),
        (lambda: Sinusoid(1.0, period=0.0), "period"),
        (lambda: Sinusoid([1.0, 2.0], 1.0, phase=[1.0, 2.0, 3.0]), "amplitude"),
        (lambda: Square(1.0, 1.0, duty=1.0), "duty"),
        (lambda: Noise(1.0, step=0.0), "step"),
        (lambda: Noise(1.0, 1.0, seed=-1), "seed"),
        (lambda: Noise([1.0, 2.0], 1.0, offset=[1.0, 2.0, 3.0]), "amplitude"),
        (lambda: Piecewise([1.0, 1.0], [0.0, 1.0, 2.0]), "times"),
        (lambda: Piecewise([1.0], [0.0]), "values"),
        (lambda: Tabulated([0.0, 1.0], [0.0, np.inf]), "values"),
        (lambda: as_signal([1.0, 2.0], 3, "u"), "u"),
    ],
)
def test_bad_signals_name_the_argument(make, word):
    with pytest.raises(ArgumentError, match=word):
        make()
