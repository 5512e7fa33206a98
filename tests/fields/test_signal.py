"""Signals: the compiled evaluation agrees with the plain one, and bad tables are refused."""

import numpy as np
import pytest

from dynet.errors import ArgumentError
from dynet.fields.signal import Constant, PerLane, Piecewise, Sinusoid, Tabulated, as_signal, evaluate

SIGNALS = [
    Constant([1.0, -2.0]),
    Sinusoid([1.0, 2.0], period=3.0, phase=[0.1, 0.2], offset=0.5),
    Piecewise([1.0, 2.0], [[0.0, 1.0, 2.0], [5.0, 4.0, 3.0]]),
    Tabulated([0.0, 1.0, 2.5], [[0.0, 1.0, 2.0], [5.0, 4.0, -3.0]]),
]


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda s: type(s).__name__)
def test_compiled_evaluation_agrees_with_python(signal):
    t = np.array([-1.0, 0.0, 0.3, 1.0, 1.7, 2.0, 2.5, 9.0])
    out = np.full((2, t.size), np.nan)
    evaluate(t, np.empty((0, t.size)), *signal.pack(), out)
    assert np.allclose(out, np.array([signal(s) for s in t]).T, rtol=0, atol=1e-14)


def test_an_input_of_its_own_for_each_lane():
    p = np.arange(12.0).reshape(4, 3)
    out = np.empty((2, 3))
    evaluate(np.zeros(3), p, *PerLane(2, 1).pack(), out)
    assert np.array_equal(out, p[1:3])


@pytest.mark.parametrize(
    "signal", [Constant(2.0), Sinusoid(1.0, 2.0), Piecewise([1.0], [0.0, 3.0]), Tabulated([0, 1], [0, 3])]
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
        (lambda: Piecewise([1.0, 1.0], [0.0, 1.0, 2.0]), "times"),
        (lambda: Piecewise([1.0], [0.0]), "values"),
        (lambda: Tabulated([0.0, 1.0], [0.0, np.inf]), "values"),
        (lambda: as_signal([1.0, 2.0], 3, "u"), "u"),
    ],
)
def test_bad_signals_name_the_argument(make, word):
    with pytest.raises(ArgumentError, match=word):
        make()
