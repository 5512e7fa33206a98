r"""Explicit Runge-Kutta integration of many trajectories at once.

The driver holds W trajectories in the lanes of a block. Each lane has its own time, its own step and its own status; a step
is accepted or rejected lane by lane with selects, not branches; a lane that has finished takes the next trajectory from the
queue, so nobody waits for the slowest. A lane's arithmetic does not depend on its neighbours: a trajectory has the same
bits alone, in any batch, on any number of threads.

The loop below is the source of every method's driver. It is copied, together with the stage arithmetic unrolled from the
method's tableau, into a module of its own and compiled there once (see :mod:`dynet.engine.codegen`).

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
from . import codegen, tableaus

__all__ = ["Solution", "integrate"]

OK, NONFINITE, MAX_STEPS, STEP_UNDERFLOW, INTERRUPTED = range(5)
assert [Status(k).word for k in range(5)] == ["ok", "nonfinite", "max_steps", "step_underflow", "interrupted"]

FORCED = 60  # steps at the rounding limit after which a stuck lane is not exploding
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
    batch, n = y0.shape
    save = np.ascontiguousarray(save, dtype=float)
    if lanes is None:
        lanes = min(batch, max(8, min(128, 1 << int(np.log2(max(1.0, 1500 / n))))))
    solution = Solution(
        np.full((batch, save.size, n), np.nan), np.zeros(batch, np.int8), np.full(batch, float(t0)),
        np.zeros(batch, np.int64), np.zeros(batch, np.int64),
    )  # fmt: skip
    monitor = np.zeros(2) if monitor is None else monitor
    drive = _driver(method)
    numbers = np.array([t0, t1, rtol, atol, dt or 0.0, 1.0 / tableau.order, batch, float(tableau.error is not None)])

    def run(piece):
        wide = min(lanes, piece.stop - piece.start)
        scratch = (np.zeros((3, n, wide)), np.zeros((tableau.stages, n, wide)), np.zeros((p.shape[1], wide)),
                   np.zeros((block.work_rows, wide)), np.zeros((10, wide)), np.zeros((2, wide), np.int64))  # fmt: skip
        drive(block.function, block.reals, block.ints, y0[piece], p[piece], numbers, save, tableau.dense(),
              np.array([wide, max_steps]), monitor, *scratch, *(field[piece] for field in solution))  # fmt: skip

    threads = max(1, min(threads, batch // 8))
    ends = np.linspace(0, batch, threads + 1).astype(int)
    pieces = [slice(int(a), int(b)) for a, b in zip(ends[:-1], ends[1:], strict=True)]
    if threads == 1:
        run(pieces[0])
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(run, pieces))
    return solution


def attempt(rhs, t, h, y, slopes, z, p, reals, ints, work, error, at, rtol, atol):
    """One step of every lane: the new states into `z`, the stages into `slopes`, the sum of squared errors into `error`.

    A stand-in: each method's module has its own, unrolled from the tableau by :func:`_stage_source`.
    """
    raise NotImplementedError


def drive(
    rhs, reals, ints, y0, p0, numbers, save, dense, sizes, monitor, states, slopes, p, work, rows, marks,
    x, status, t_stop, accepted, rejected,
):  # fmt: skip
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
                    if save[0] <= t0:
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

        for i in range(n):
            for lane in range(lanes):
                new, old, taken = z[i, lane], y[i, lane], good[lane]
                y[i, lane] = new if taken > 0.0 else old
            for lane in range(lanes):
                new, old, taken = slopes[last, i, lane], slopes[0, i, lane], good[lane]
                slopes[0, i, lane] = new if taken > 0.0 else old
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
            odd = (step <= 4e-15 * abs(time)) | (step <= 1e-300) | (time >= t1) | (tried >= limit_steps) | (stuck > 0.0)
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
                    h[lane] = 4e-15 * max(abs(t[lane]), 1e-280)
                elif t[lane] >= t1:
                    end = OK
                elif not adaptive and good[lane] == 0.0:
                    end = NONFINITE
                elif adaptive and (h[lane] <= 4e-15 * abs(t[lane]) or h[lane] < 1e-300):
                    t_stop[owner[lane]] = t[lane]
                    forced[lane] = 1
                    h[lane] = 4e-15 * max(abs(t[lane]), 1e-280)
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
from numba import boolean, float64, int64, int8, njit, types, void
from dynet.engine.block import FASTMATH, RHS_TYPE
from dynet.engine.explicit import FORCED, INTERRUPTED, LOOK, MAX_STEPS, NONFINITE, OK, STEP_UNDERFLOW
from dynet.math import rough_power
"""

_TAIL = """
_vector, _matrix, _cube, _counts = float64[::1], float64[:, ::1], float64[:, :, ::1], int64[::1]
drive = njit(
    void(RHS_TYPE, _vector, _counts, _matrix, _matrix, _vector, _vector, _matrix, _counts, _vector,
         _cube, _cube, _matrix, _matrix, _matrix, int64[:, ::1], _cube, int8[::1], _vector, _counts, _counts),
    cache=True, nogil=True, fastmath=FASTMATH, error_model="numpy",
)(drive)
"""


@functools.cache
def _driver(method):
    """The compiled driver of a method."""
    return codegen.module(_HEAD, _stage_source(tableaus.TABLEAUS[method]), drive, _TAIL, tag=method).drive


def _stage_source(tableau):
    """The source of ``attempt`` for a tableau, its coefficients unrolled into constants.

    Written twice: a loop over lanes within a loop over states, and, for a single lane, one loop over the states, so that
    the innermost loop is long and has unit stride in both cases. The arithmetic is the same, term by term.
    """

    def terms(weights, stage):
        return " + ".join(f"{float(w)!r} * {stage.format(j=j)}" for j, w in enumerate(weights) if w)

    rows, flat = "slopes[{j}, i, q]", "f{j}[q]"
    lines = ['@njit(fastmath=FASTMATH, error_model="numpy")',
             "def attempt(rhs, t, h, y, slopes, z, p, reals, ints, work, error, at, rtol, atol):",
             "    n, lanes = y.shape"]  # fmt: skip

    def loops(used, body_lanes, body_flat):
        """Both forms of one pass over the block; `used` are the stages that it reads."""
        views = "".join(f", slopes[{j}].reshape(n)" for j in used)
        names = "".join(f", f{j}" for j in used)
        return (["    if lanes > 1:", "        for i in range(n):", "            for q in range(lanes):"]
                + [f"                {b}" for b in body_lanes]
                + ["    else:", f"        y1, z1, hs{names} = y.reshape(n), z.reshape(n), h[0]{views}",
                   "        for q in range(n):"]
                + [f"            {b}" for b in body_flat])  # fmt: skip

    for s in range(1, tableau.stages):
        used = [j for j, w in enumerate(tableau.a[s]) if w]
        lines += loops(used, [f"z[i, q] = y[i, q] + h[q] * ({terms(tableau.a[s], rows)})"],
                       [f"z1[q] = y1[q] + hs * ({terms(tableau.a[s], flat)})"])  # fmt: skip
        lines += ["    for q in range(lanes):", f"        at[q] = t[q] + {float(tableau.c[s])!r} * h[q]",
                  f"    rhs(at, z, p, reals, ints, work, slopes[{s}])"]  # fmt: skip
    lines += ["    for q in range(lanes):", "        error[q] = 0.0"]
    if tableau.error is None:  # zero times a number that is not finite is NaN: the only error a fixed step can have
        lines += loops([], ["error[q] += 0.0 * z[i, q]"], ["error[0] += 0.0 * z1[q]"])
    else:
        used = [j for j, w in enumerate(tableau.error) if w]
        body = ["a, b = abs({y}), abs({z})", "m = a if a > b else b",
                "d = {h} * ({terms}) / (atol + rtol * m)", "{e} += d * d"]  # fmt: skip
        lanes_, single = (
            [b.format(h=h, y=y, z=z, e=e, terms=terms(tableau.error, stage)) for b in body]
            for h, y, z, e, stage in (
                ("h[q]", "y[i, q]", "z[i, q]", "error[q]", rows),
                ("hs", "y1[q]", "z1[q]", "error[0]", flat),
            )
        )
        lines += loops(used, lanes_, single)
    return "\n".join(lines) + "\n"
