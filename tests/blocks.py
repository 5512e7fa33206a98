"""Evaluating a compiled right-hand side from a test."""

import numpy as np
from numba import njit, types

from dynet.engine.block import RHS_TYPE, BlockRHS

_real, _row = types.float64[:, ::1], types.float64[::1]


@njit(types.void(RHS_TYPE, _row, _real, _real, _row, types.int64[::1], _real, _real))
def _call(f, t, y, p, reals, ints, work, out):
    """A CFunc called from Python runs its interpreted body; only a compiled caller reaches the machine code."""
    f(t, y, p, reals, ints, work, out)


def run_block(field, t, x, signal=None, p=None):
    """The compiled right-hand side of `field` at states `x` of shape (W, n), one lane each."""
    block = field.block(signal)
    assert isinstance(block, BlockRHS)
    x = np.asarray(x, dtype=float)
    p = np.tile(field.parameter_vector(), (len(x), 1)) if p is None else p
    work, out = np.zeros((block.work_rows, len(x))), np.full((block.n, len(x)), np.nan)
    y, p = np.ascontiguousarray(x.T), np.ascontiguousarray(p.T)
    _call(block.function, np.full(len(x), float(t)), y, p, block.reals, block.ints, work, out)
    return out.T
