r"""The forward step :math:`x \leftarrow x + \alpha F(x)`, repeated over a block of states.

For a field that is strongly contracting with rate c and Lipschitz constant l in one norm, the map is a contraction for
the steps that :func:`dynet.certify` prescribes, so the loop below needs no line search and no safeguard; who calls it
decides, from the residual and the rate, when the error is small enough.
"""

from __future__ import annotations

import numpy as np

from . import codegen

__all__ = ["advance"]

_HEAD = """
from numba import njit, types
from dynet.engine.block import FASTMATH, RHS_TYPE

_real, _row = types.float64[:, ::1], types.float64[::1]
_signature = types.void(RHS_TYPE, _row, _real, _real, _row, types.int64[::1], _real, _real, types.float64, types.int64)
"""

_TAIL = """
steps = njit(_signature, cache=True, nogil=True, fastmath=FASTMATH, error_model="numpy")(_steps)
"""


def _steps(rhs, t, y, p, reals, ints, work, slope, alpha, count):
    n, lanes = y.shape
    for _ in range(count):
        rhs(t, y, p, reals, ints, work, slope)
        for i in range(n):
            state, rate = y[i], slope[i]
            for lane in range(lanes):
                state[lane] += alpha * rate[lane]


def advance(block, x, p, alpha, count, t=0.0):
    """Take `count` forward steps from each row of `x`.

    Parameters
    ----------
    block : BlockRHS
    x : ndarray, shape (batch, n)
    p : ndarray, shape (batch, npar)
    alpha : float
        The step, in the unit of t.
    count : int
    t : float
        The time at which the field is held.

    Returns
    -------
    ndarray, shape (batch, n)
    """
    steps = codegen.module(_HEAD, _steps, _TAIL, tag="fixed_point").steps
    y, lanes = np.ascontiguousarray(x.T), x.shape[0]
    work, slope = np.zeros((block.work_rows, lanes)), np.empty((block.n, lanes))
    steps(
        block.function,
        np.full(lanes, float(t)),
        y,
        np.ascontiguousarray(p.T),
        block.reals,
        block.ints,
        work,
        slope,
        float(alpha),
        int(count),
    )
    return np.ascontiguousarray(y.T)
