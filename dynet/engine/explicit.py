r"""Explicit Runge-Kutta integration of many trajectories at once.

The driver holds W trajectories in the lanes of a block. Each lane has its own time, its own step and its own status; a step
is accepted or rejected lane by lane with selects, not branches; a lane that has finished takes the next trajectory from the
queue, so nobody waits for the slowest. A lane's arithmetic does not depend on its neighbours: a trajectory has the same
bits alone, in any batch, on any number of threads.

The loop below, :func:`drive`, serves all methods: the arithmetic of a step comes in through a pointer, generated from the
method's tableau by :mod:`dynet.engine.stages`. It is copied into a module of its own, compiled there once, and found again
by the next process (see :mod:`dynet.engine.codegen`).

References
----------
Hairer, Norsett, Wanner, Solving Ordinary Differential Equations I, second edition, 1993, section II.4.
"""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from ..errors import Status
from ..math import rough_power
from . import codegen, fused, tableaus
from .block import bare, flat
from .stages import attempt_of

__all__ = ["Solution", "integrate"]

OK, NONFINITE, MAX_STEPS, STEP_UNDERFLOW, INTERRUPTED = range(5)
assert [Status(k).word for k in range(5)] == ["ok", "nonfinite", "max_steps", "step_underflow", "interrupted"]

FORCED = 60  # steps at the rounding limit after which a stuck lane is not exploding
ROUNDING = 4e-15  # a step of less than this part of t is lost in the rounding of t
LOOK = 64  # attempts between two reports of progress


class Solution(NamedTuple):
    """What :func:`integrate` returns, one row per trajectory.

    Attributes
    ----------
    x : ndarray, shape (batch, k, n)
        States at the save times; NaN after `t_stop`.
    status : ndarray of int8, shape (batch,)
    t_stop : ndarray, shape (batch,)
        The time that was reached.
    accepted, rejected : ndarray of int64, shape (batch,)
        Steps.
    """

    x: np.ndarray
    status: np.ndarray
    t_stop: np.ndarray
    accepted: np.ndarray
    rejected: np.ndarray


def integrate(
    block, y0, p, t0, t1, save, method="dopri5", *, rtol=1e-6, atol=1e-9, dt=None, max_steps=10_000_000, lanes=None,
    threads=1, monitor=None,
):  # fmt: skip
    """Integrate every row of `y0` from `t0` to `t1`.

    Parameters
    ----------
    block : BlockRHS
    y0 : ndarray, shape (batch, n)
    p : ndarray, shape (batch, npar)
    t0, t1 : float
        ``t0 < t1``.
    save : ndarray, shape (k,)
        Increasing times within ``[t0, t1]``.
    method : str
        A key of :data:`dynet.engine.tableaus.TABLEAUS`.
    rtol, atol : float
    dt : float, optional
        The step of a fixed-step method; the last step is shortened to end at `t1`.
    max_steps : int
        Attempted steps of one trajectory.
    lanes : int, optional
        Trajectories side by side; by default as many as keep the working set in the near caches.
    threads : int
        The batch is cut into as many pieces.
    monitor : ndarray, shape (2,), optional
        The driver writes the fraction done into ``monitor[0]`` and stops when ``monitor[1]`` is not zero.

    Returns
    -------
    Solution
    """
    tableau = tableaus.TABLEAUS[method]
    y0, p, save, reals = (np.require(a, float, "CW") for a in (y0, p, save, block.reals))
    batch, n = y0.shape
    crew = max(1, threads // batch) if block.split else 1
    ints = fused.team_ints(block, crew) if block.split else np.require(block.ints, np.int64, "CW")
    assert n == block.n and n > 0 and p.shape[0] == batch and p.ndim == 2 and save.ndim == 1, "shapes"
    assert t0 < t1 and (tableau.error is not None or dt > 0), "a positive span of time, a positive step"
    if block.split:
        lanes = 1  # all threads work on one trajectory: its states alone fill the caches
    elif lanes is None and block.lanes:
        lanes = 1 if batch == 1 else min(block.lanes, -(-batch // 8) * 8)  # whole vectors, some lanes may stay vacant
    elif lanes is None:
        lanes = min(batch, max(8, min(128, 1 << int(np.log2(max(1.0, 1500 / n))))))
    solution = Solution(
        np.full((batch, save.size, n), np.nan), np.zeros(batch, np.int8), np.full(batch, float(t0)),
        np.zeros(batch, np.int64), np.zeros(batch, np.int64),
    )  # fmt: skip
    monitor = np.zeros(2) if monitor is None else monitor
    driver = _driver()
    numbers = np.array([t0, t1, rtol, atol, dt or 0.0, 1.0 / tableau.order, batch, float(tableau.error is not None)])

    def run(piece):
        wide = lanes if block.lanes else min(lanes, piece.stop - piece.start)
        work_rows = block.work_rows + (crew - 1) * block.private_rows
        shapes = (3, n, wide), (tableau.stages, n, wide), (p.shape[1], wide), (work_rows, wide), (10, wide)
        scratch = (*(_aligned(shape) for shape in shapes), np.zeros((2, wide), np.int64))
        states, slopes, lane_p, work, rows, _ = scratch
        attempt = fused.attempt_of(tableau) if block.split else attempt_of(tableau, wide == 1)
        mine = np.array(ints) if block.split else ints  # the meeting place of this team alone
        shared = rows[0], rows[1], states[0], slopes, states[1], lane_p, reals, mine, work
        with fused.team(tableau, crew, block.function, mine, *shared):
            driver(
                attempt, block.function, reals, mine, y0[piece], p[piece], numbers, save, tableau.dense(),
                np.array([wide, max_steps]), monitor, *scratch, *(field[piece] for field in solution),
            )  # fmt: skip

    threads = max(1, min(threads, batch if block.split else batch // 8))
    ends = np.linspace(0, batch, threads + 1).astype(int)
    pieces = [slice(int(a), int(b)) for a, b in zip(ends[:-1], ends[1:], strict=True)]
    if threads == 1:
        run(pieces[0])
    else:
        with ThreadPoolExecutor(threads) as pool:
            try:
                list(pool.map(run, pieces))
            except BaseException:  # Ctrl-C in this thread: the others stop at their next step
                monitor[1] = 1.0
                raise
    if monitor[1] == 0.0:
        monitor[0] = 1.0  # pieces on several threads add up to one only nearly
    return solution


def _aligned(shape):
    """Zeros that start at a cache line: vector loads across two lines cost up to a quarter of the speed."""
    size = int(np.prod(shape))
    room = np.zeros(size + 8)
    first = -room.ctypes.data % 64 // 8
    return room[first : first + size].reshape(shape)


def drive(
    attempt, rhs, reals, ints, y0, p0, numbers, save, dense, sizes, monitor, states, slopes, p, work, rows, marks,
    x, status, t_stop, accepted, rejected,
):  # fmt: skip
    reals, ints, p, work = bare(reals), bare(ints), bare(p), bare(work)
    states, slopes, rows, marks = bare(states), bare(slopes), bare(rows), bare(marks)
    t0, t1, rtol, atol, dt, inverse_order = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]
    total, adaptive = numbers[6], numbers[7] != 0.0
    lanes, max_steps = sizes[0], sizes[1]
    batch, n = y0.shape
    npar, stages, degree = p0.shape[1], dense.shape[0], dense.shape[1]
    last, inverse_n, limit_steps, fixed = stages - 1, 1.0 / n, float(max_steps), not adaptive
    y, z, first = states[0], states[1], states[2]
    # Counts and masks are floats, and each loop over the lanes writes one array: so LLVM vectorises them.
    t, h, at, error, goal, grown, good = rows[0], rows[1], rows[2], rows[3], rows[4], rows[5], rows[6]
    tries, wins, forced = rows[7], rows[8], rows[9]
    owner, saved = marks[0], marks[1]
    for lane in range(lanes):
        owner[lane] = -1
        t[lane] = t0
        goal[lane] = -np.inf  # the next save time; inf after the last, -inf in a vacant lane
    queue, done, told, looks = 0, 0, 0.0, 0
    vacant = lanes

    while done < batch:
        if 16 * vacant >= lanes and queue < batch:  # fill the free lanes from the queue, several at once
            for lane in range(lanes):
                if owner[lane] < 0 and queue < batch:
                    owner[lane] = queue
                    for i in range(n):
                        y[i, lane] = y0[queue, i]
                    for i in range(npar):
                        p[i, lane] = p0[queue, i]
                    t[lane] = t0
                    saved[lane], tries[lane], wins[lane], forced[lane] = 0, 0.0, 0.0, -1.0
                    queue += 1
                    vacant -= 1
            rhs(t, y, p, reals, ints, work, first)
            for lane in range(lanes):
                if forced[lane] == -1:  # it has just been filled
                    forced[lane] = 0
                    size, speed = 0.0, 0.0
                    for i in range(n):
                        slopes[0, i, lane] = first[i, lane]
                        scale = atol + rtol * abs(y[i, lane])
                        size += (y[i, lane] / scale) ** 2
                        speed += (first[i, lane] / scale) ** 2
                    h[lane] = dt
                    if adaptive:
                        h[lane] = 0.01 * np.sqrt(size / speed) if size > 1e-10 and speed > 1e-10 else 1e-6
                        h[lane] = min(h[lane], t1 - t0) if speed < np.inf else 1e-6
                        h[lane] = max(h[lane], 4 * ROUNDING * abs(t0))
                    if save.size > 0 and save[0] <= t0:
                        for i in range(n):
                            x[owner[lane], 0, i] = y[i, lane]
                        saved[lane] = 1
                    goal[lane] = save[saved[lane]] if saved[lane] < save.size else np.inf

        if adaptive:  # where this attempt ends
            for lane in range(lanes):
                grown[lane] = t[lane] + h[lane]
        else:
            for lane in range(lanes):
                grown[lane] = t0 + (wins[lane] + 1.0) * dt
        for lane in range(lanes):
            step, rest, end = h[lane], t1 - t[lane], grown[lane]
            h[lane] = rest if end >= t1 - 1e-9 * step else step
        for lane in range(lanes):
            step, end = h[lane], grown[lane]
            grown[lane] = t1 if end >= t1 - 1e-9 * step else end
        attempt(rhs, t, h, y, slopes, z, p, reals, ints, work, error, at, rtol, atol)

        for lane in range(lanes):
            size, stuck = error[lane], forced[lane]
            limit = np.inf if stuck > 0.0 else float(n)
            good[lane] = 1.0 if size <= limit and size < np.inf else 0.0
        crossing = 0
        for lane in range(lanes):
            taken, end, wanted = good[lane], grown[lane], goal[lane]
            crossing += 1 if (taken > 0.0) & (end >= wanted) & (wanted > -np.inf) else 0
        if crossing > 0:
            for lane in range(lanes):
                if good[lane] > 0.0 and owner[lane] >= 0 and forced[lane] == 0.0:
                    while grown[lane] >= goal[lane]:
                        who, row = owner[lane], saved[lane]
                        if goal[lane] == grown[lane]:
                            for i in range(n):
                                x[who, row, i] = z[i, lane]
                        else:
                            theta = (goal[lane] - t[lane]) / h[lane]
                            for i in range(n):
                                x[who, row, i] = y[i, lane]
                            for s in range(stages):
                                weight = 0.0
                                for power in range(degree - 1, -1, -1):
                                    weight = (weight + dense[s, power]) * theta
                                for i in range(n):
                                    x[who, row, i] += h[lane] * weight * slopes[s, i, lane]
                        saved[lane] += 1
                        goal[lane] = save[saved[lane]] if saved[lane] < save.size else np.inf

        if lanes > 1:
            for i in range(n):
                for lane in range(lanes):
                    new, old, taken = z[i, lane], y[i, lane], good[lane]
                    y[i, lane] = new if taken > 0.0 else old
                for lane in range(lanes):
                    new, old, taken = slopes[last, i, lane], slopes[0, i, lane], good[lane]
                    slopes[0, i, lane] = new if taken > 0.0 else old
        elif good[0] > 0.0:  # loops, because assigning slices makes Numba compile its messages about shapes: 1.5 s
            old, new = flat(y), flat(z)
            for i in range(n):
                old[i] = new[i]
            old, new = flat(slopes[0]), flat(slopes[last])
            for i in range(n):
                old[i] = new[i]
        for lane in range(lanes):
            new, old, taken = grown[lane], t[lane], good[lane]
            t[lane] = new if taken > 0.0 else old
        for lane in range(lanes):
            tries[lane] += 1.0
        for lane in range(lanes):
            wins[lane] += good[lane]
        if adaptive:
            for lane in range(lanes):
                factor = 0.9 * rough_power(error[lane] * inverse_n + 1e-30, -0.5 * inverse_order)
                factor = factor if factor == factor else 0.2
                factor = 10.0 if factor > 10.0 else factor
                factor = 0.2 if factor < 0.2 else factor
                h[lane] *= factor
        trouble = 0
        for lane in range(lanes):
            step, time, tried, stuck, taken, busy = h[lane], t[lane], tries[lane], forced[lane], good[lane], goal[lane]
            odd = (
                (step <= ROUNDING * abs(time))
                | (step <= 1e-300)
                | (time >= t1)
                | (tried >= limit_steps)
                | (stuck > 0.0)
            )
            trouble += 1 if (odd | ((taken == 0.0) & fixed)) & (busy > -np.inf) else 0
        looks += 1
        stop = monitor[1] != 0.0

        if trouble > 0 or stop:
            for lane in range(lanes):
                if owner[lane] < 0:
                    continue
                end = -1
                if forced[lane] > 0:  # at the rounding limit: does the solution explode, or is it only stuck?
                    if good[lane] == 0.0:
                        end = NONFINITE
                    elif forced[lane] > FORCED:
                        end = STEP_UNDERFLOW
                    forced[lane] += 1
                    h[lane] = ROUNDING * max(abs(t[lane]), 1e-280)
                elif t[lane] >= t1:
                    end = OK
                elif not adaptive and good[lane] == 0.0:
                    end = NONFINITE
                elif adaptive and (h[lane] <= ROUNDING * abs(t[lane]) or h[lane] < 1e-300):
                    t_stop[owner[lane]] = t[lane]
                    forced[lane] = 1
                    h[lane] = ROUNDING * max(abs(t[lane]), 1e-280)
                if end < 0 and tries[lane] >= max_steps:
                    end = MAX_STEPS
                if end < 0 and stop:
                    end = INTERRUPTED
                if end >= 0:
                    who = owner[lane]
                    status[who] = end
                    if forced[lane] == 0:
                        t_stop[who] = t[lane]
                    accepted[who] = wins[lane]
                    rejected[who] = tries[lane] - wins[lane]
                    owner[lane], goal[lane], h[lane] = -1, -np.inf, 0.0
                    forced[lane], tries[lane], t[lane] = 0, 0, t0
                    vacant += 1
                    done += 1
            if stop:
                for who in range(queue, batch):
                    status[who] = INTERRUPTED
                break
        if looks % LOOK == 0 or done == batch:
            share = float(done)
            for lane in range(lanes):
                if owner[lane] >= 0:
                    share += (t[lane] - t0) / (t1 - t0)
            monitor[0] += (share - told) / total
            told = share


_HEAD = """
import numpy as np
from numba import float64, int64, int8, njit, void
from dynet.engine.block import FASTMATH, RHS_TYPE, bare, flat
from dynet.engine.explicit import FORCED, INTERRUPTED, LOOK, MAX_STEPS, NONFINITE, OK, ROUNDING, STEP_UNDERFLOW
from dynet.engine.stages import ATTEMPT_TYPE
from dynet.math import rough_power
"""

_TAIL = """
_vector, _matrix, _cube, _counts = float64[::1], float64[:, ::1], float64[:, :, ::1], int64[::1]
drive = njit(
    void(ATTEMPT_TYPE, RHS_TYPE, _vector, _counts, _matrix, _matrix, _vector, _vector, _matrix, _counts, _vector,
         _cube, _cube, _matrix, _matrix, _matrix, int64[:, ::1], _cube, int8[::1], _vector, _counts, _counts),
    cache=True, nogil=True, fastmath=FASTMATH, error_model="numpy",
)(drive)
"""


@functools.cache
def _driver():
    """The compiled driver, one for all methods."""
    return codegen.module(_HEAD, drive, _TAIL, tag="explicit").drive
