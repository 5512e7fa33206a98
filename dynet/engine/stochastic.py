r"""Stochastic differential equations with diagonal noise, many paths at once.

Each state has a Wiener process of its own (Ito's sense),

.. math:: dX_i = f_i(t, X)\,dt + g_i(t, X)\,dW_i .

With :math:`\Delta W_i = \sqrt h\, \xi_i` a step of Euler and Maruyama is :math:`x + h f + g \Delta W`, of strong order 1/2.
Where :math:`g_i` depends on :math:`x_i` only, the method of Milstein, with a difference in the place of the derivative,

.. math::
   x_+ = x + h f + g \Delta W + \frac{g(t, x + h f + \sqrt h\, g) - g(t, x)}{2\sqrt h}\,(\Delta W^2 - h),

is of strong order 1. Both are of weak order 1.

The normal numbers are a function of the seed, the path, the step and the state, by the counter-based generator Philox: a
path has the same bits alone and in any batch, on any number of threads, and two paths are independent.

References
----------
Kloeden, Platen, Numerical Solution of Stochastic Differential Equations, 1992, sections 10.2, 10.3 and 11.1.
Salmon, Moraes, Dror, Shaw, Parallel random numbers: as easy as 1, 2, 3, Supercomputing, 2011.
"""

# ruff: noqa: F821 (the names in the source that is copied are bound in the generated module)

from __future__ import annotations

import functools
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit

from .. import math as fast
from . import codegen
from .block import FASTMATH
from .control import INTERRUPTED, NONFINITE
from .methods import Solution

__all__ = ["METHODS", "integrate", "normals", "philox"]

METHODS = ("euler_maruyama", "milstein")


@njit(inline="always")
def philox(c0, c1, c2, c3, k0, k1):
    """Four random words of 32 bits (Philox4x32-10) from a counter of four and a key of two words, all uint64."""
    low = np.uint64(0xFFFFFFFF)
    half = np.uint64(32)
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (b >> half) ^ c1 ^ k0, b & low, (a >> half) ^ c3 ^ k1, a & low
        k0 = (k0 + np.uint64(0x9E3779B9)) & low
        k1 = (k1 + np.uint64(0xBB67AE85)) & low
    return c0, c1, c2, c3


@njit(fastmath=FASTMATH, error_model="numpy")
def normals(seed, path, step, pair):
    """Two independent standard normal numbers, a function of four integers (Box, Muller)."""
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    step, path, seed = np.uint64(step), np.uint64(path), np.uint64(seed)
    # the key is the seed; the counter has 40 bits for the step, 24 for the pair of states, 64 for the path
    middle = ((step >> half) & np.uint64(0xFF)) | (np.uint64(pair) << np.uint64(8))
    a, b, c, d = philox(step & low, middle & low, path & low, path >> half, seed & low, seed >> half)
    u = (float((a << np.uint64(21)) | (b >> np.uint64(11))) + 0.5) * 2.0**-53  # within (0, 1)
    v = float((c << np.uint64(21)) | (d >> np.uint64(11))) * 2.0**-53
    radius = math.sqrt(-2.0 * math.log(u))
    sine, cosine = fast.sincos(2.0 * math.pi * v)
    return radius * cosine, radius * sine


def integrate(
    block, noise, y0, p, q, times, counts, method="milstein", *, seed=0, first=0, coarse=1, threads=1, monitor=None
):
    """Paths from every row of `y0`.

    Parameters
    ----------
    block, noise : BlockRHS
        f and g.
    y0 : ndarray, shape (batch, n)
    p : ndarray, shape (batch, npar)
    q : ndarray, shape (m,)
        Parameters of g.
    times : ndarray, shape (k + 1,)
        The start, then the save times.
    counts : ndarray of int64, shape (k,)
        Equal steps from each of them to the next.
    method : str
        One of :data:`METHODS`.
    seed : int
    first : int
        Number of the first path.
    coarse : int
        Every increment is the sum of so many, those that a run with so many times the steps would use.
    threads : int
    monitor : ndarray, shape (2,), optional

    Returns
    -------
    Solution
        Its x has the k save times.
    """
    batch, n = y0.shape
    solution = Solution(
        np.full((batch, len(counts), n), np.nan), np.zeros(batch, np.int8), np.full(batch, times[0]),
        np.zeros(batch, np.int64), np.zeros(batch, np.int64),
    )  # fmt: skip
    monitor = np.zeros(2) if monitor is None else monitor
    lanes = max(8, min(64, 4096 // n))
    compiled = _driver()
    facts = np.array([seed, coarse, method == "milstein"], np.uint64)
    y0, p, q = (np.ascontiguousarray(a, float) for a in (y0, p, q))
    times, counts = np.ascontiguousarray(times, float), np.ascontiguousarray(counts, np.int64)

    def run(begin):
        part = slice(begin, min(begin + lanes, batch))
        wide = part.stop - part.start
        compiled(
            block.function, noise.function, block.reals, block.ints, noise.reals, noise.ints, y0[part],
            np.ascontiguousarray(p[part].T), np.repeat(q[:, None], wide, axis=1), times, counts, facts,
            np.uint64(first + begin), np.zeros((max(block.work_rows, noise.work_rows), wide)), np.zeros((6, n, wide)),
            monitor, *(field[part] for field in solution[:4]),
        )  # fmt: skip
        monitor[0] += wide / batch

    begins = range(0, batch, lanes)
    if threads == 1 or batch <= lanes:
        for begin in begins:
            run(begin)
    else:
        with ThreadPoolExecutor(threads) as pool:
            try:
                list(pool.map(run, begins))
            except BaseException:
                monitor[1] = 1.0
                raise
    return solution


def drive(
    rhs, noise, reals, ints, noise_reals, noise_ints, y0, p, q, times, counts, facts, first, work, rows, monitor,
    x, status, t_stop, steps,
):  # fmt: skip
    wide, n = y0.shape
    coarse, milstein = int64(facts[1]), facts[2] != 0
    y, f, g, z, other, w = rows[0], rows[1], rows[2], rows[3], rows[4], rows[5]
    t = np.empty(wide)
    for lane in range(wide):
        for i in range(n):
            y[i, lane] = y0[lane, i]
    step = uint64(0)
    for k in range(counts.size):
        h = (times[k + 1] - times[k]) / counts[k]
        root, fine = np.sqrt(h), np.sqrt(h / coarse)
        for s in range(counts[k]):
            if monitor[1] != 0.0:
                for lane in range(wide):
                    if status[lane] == 0:
                        status[lane], t_stop[lane] = INTERRUPTED, times[k] + s * h
                return
            for lane in range(wide):
                t[lane] = times[k] + s * h
            rhs(t, y, p, reals, ints, work, f)
            noise(t, y, q, noise_reals, noise_ints, work, g)
            for i in range(0, n, 2):
                for lane in range(wide):
                    a, b = 0.0, 0.0
                    for c in range(coarse):
                        u, v = normals(facts[0], first + uint64(lane), step + uint64(c), i // 2)
                        a += u
                        b += v
                    w[i, lane] = fine * a
                    if i + 1 < n:
                        w[i + 1, lane] = fine * b
            step += uint64(coarse)
            if milstein:
                for i in range(n):
                    for lane in range(wide):
                        z[i, lane] = y[i, lane] + h * f[i, lane] + root * g[i, lane]
                noise(t, z, q, noise_reals, noise_ints, work, other)
            for i in range(n):
                for lane in range(wide):
                    d = w[i, lane]
                    change = h * f[i, lane] + g[i, lane] * d
                    if milstein:
                        change += (other[i, lane] - g[i, lane]) * (d * d - h) / (2.0 * root)
                    y[i, lane] += change
            for lane in range(wide):
                bad = 0.0
                for i in range(n):
                    bad += 0.0 * y[i, lane]
                if bad == 0.0 and status[lane] == 0:
                    steps[lane] += 1
                elif status[lane] == 0:
                    status[lane], t_stop[lane] = NONFINITE, t[lane]
        for lane in range(wide):
            if status[lane] == 0:
                t_stop[lane] = times[k + 1]
                for i in range(n):
                    x[lane, k, i] = y[i, lane]


_HEAD = """
import numpy as np
from numba import float64, int8, int64, njit, uint64, void
from dynet.engine.block import FASTMATH, RHS_TYPE
from dynet.engine.stochastic import INTERRUPTED, NONFINITE, normals
"""

_TAIL = """
_v, _m, _c, _i = float64[::1], float64[:, ::1], float64[:, :, ::1], int64[::1]
drive = njit(
    void(RHS_TYPE, RHS_TYPE, _v, _i, _v, _i, _m, _m, _m, _v, _i, uint64[::1], uint64, _m, _c, _v, _c, int8[::1], _v, _i),
    cache=True, nogil=True, fastmath=FASTMATH, error_model="numpy", no_cfunc_wrapper=True,
)(drive)
"""


@functools.cache
def _driver():
    return codegen.module(_HEAD, drive, _TAIL, tag="stochastic").drive
