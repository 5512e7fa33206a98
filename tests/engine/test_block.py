"""The block: what the signature means, and that compiled code meets it."""

import numpy as np
from engine.blocks import LORENZ, block
from numba import njit, types

from dynet.engine.block import FASTMATH, RHS, RHS_TYPE, BlockRHS, bare, flat

_real, _row = types.float64[:, ::1], types.float64[::1]


@njit(types.void(RHS_TYPE, _row, _real, _real, _row, types.int64[::1], _real, _real))
def call(function, t, y, p, reals, ints, work, out):
    function(t, y, p, reals, ints, work, out)


def test_a_right_hand_side_reads_and_writes_one_column_per_lane():
    model = block(LORENZ, 3)
    assert isinstance(model, BlockRHS) and model.n == 3
    assert model.function._sig == RHS
    lanes = 5
    y = np.random.default_rng(0).normal(size=(3, lanes))
    p = np.tile([[10.0], [28.0], [8 / 3]], lanes)
    out = np.full((3, lanes), np.nan)
    call(model.function, np.zeros(lanes), y, p, model.reals, model.ints, np.zeros((0, lanes)), out)
    expected = [10 * (y[1] - y[0]), y[0] * (28 - y[2]) - y[1], y[0] * y[1] - 8 / 3 * y[2]]
    assert np.allclose(out, expected, rtol=1e-14, atol=1e-14)


def test_nan_and_infinity_keep_their_meaning():
    # Statuses rest on comparisons with NaN: flags under which a compiler may assume that there is none must stay away.
    assert not FASTMATH & {"nnan", "ninf", "fast", "reassoc"}
    odd = block(["out[0, lane] = 1.0 if y[0, lane] != y[0, lane] else y[0, lane] - y[0, lane]"], 1)
    out = np.zeros((1, 3))
    args = np.zeros((0, 3)), odd.reals, odd.ints, np.zeros((0, 3)), out
    call(odd.function, np.zeros(3), np.array([[np.nan, np.inf, 2.0]]), *args)
    assert out[0, 0] == 1.0 and np.isnan(out[0, 1]) and out[0, 2] == 0.0


@njit
def fill(array, value):
    bare(array)[0, 1] = value
    row = flat(array)
    row[-1] = row.size
    return flat(bare(array)[1:])[0]


def test_bare_and_flat_are_views():
    array = np.arange(12.0).reshape(3, 4)
    assert fill(array, 7.0) == 4.0
    assert array[0, 1] == 7.0 and array[2, 3] == 12.0
