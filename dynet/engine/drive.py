r"""The driver: many trajectories side by side in the lanes of a block, for any method of one step.

Each lane has its own time, its own step and its own status; a step is accepted or rejected lane by lane with selects, not
branches; a lane that has finished takes the next trajectory from the queue, so nobody waits for the slowest. A lane's
arithmetic does not depend on its neighbours: a trajectory has the same bits alone, in any batch, on any number of threads.

The loop serves all methods: the arithmetic of a step comes in through a pointer (see :mod:`dynet.engine.stages`), as do the
right-hand side and the functions that watch the states. It is copied into a module of its own, compiled there once, and
found again by the next process (see :mod:`dynet.engine.codegen`); a second copy, with `RICH` true, also looks for events
within each step, notes steps for dense output, and gathers summaries. All that it knows lies in arrays, so it can stop
between two steps, be stored, and go on with the same bits.

References
----------
Hairer, Norsett, Wanner, Solving Ordinary Differential Equations I, second edition, 1993, section II.4.
"""

# ruff: noqa: F821 (the names in the source that is copied are bound in the generated module)

from __future__ import annotations

import functools

from . import ahead, codegen

__all__ = ["driver"]


def drive(
    attempt, finish, rhs, gauge, watch, change, reals, ints, y0, p0, numbers, save, dense, near, sizes, ledger, monitor,
    states, slopes, p, work, rows, marks, spot, spot_p, spot_out, spot_work, spot_t, x, sums, reference, status, t_stop,
    accepted, rejected, probes, record_i, record_t, record_c, rules, gauges, gauge_one, roots,
    fresh, counts, hit_i, hit_t, hit_x,
):  # fmt: skip
    reals, ints, p, work = bare(reals), bare(ints), bare(p), bare(work)
    states, slopes, rows, marks = bare(states), bare(slopes), bare(rows), bare(marks)
    spot, spot_p, spot_out, spot_work, spot_t = bare(spot), bare(spot_p), bare(spot_out), bare(spot_work), bare(spot_t)
    t0, t1, rtol, atol, dt, inverse_order = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]
    total, adaptive, way, reach = numbers[N_TOTAL], numbers[N_ADAPTIVE] != 0.0, numbers[N_WAY], numbers[N_REACH]
    each = int(numbers[N_EACH])
    times = each if each > 0 else save.size
    lanes, max_steps, budget, recording, last = sizes[0], sizes[1], sizes[2], sizes[3] != 0, sizes[4]
    batch, n = y0.shape
    npar, degree = p0.shape[1], dense.shape[1]
    inverse_n, limit_steps, fixed, extra = 1.0 / n, float(max_steps), not adaptive, dense.shape[0] > last + 1
    y, z, first = states[0], states[1], states[2]
    t, h, grown, error, goal, good = rows[T], rows[H], rows[GROWN], rows[ERROR], rows[GOAL], rows[GOOD]
    tries, wins, forced, memory, at = rows[TRIES], rows[WINS], rows[FORCED], rows[MEMORY], rows[AT]
    stiffened, due = rows[STIFFENED], rows[DUE]
    owner, saved = marks[OWNER], marks[SAVED]

    while ledger[DONE] < batch and budget > 0:
        budget -= 1
        if 16 * ledger[VACANT] >= lanes and ledger[QUEUE] < batch:
            admit(rhs, reals, ints, y0, p0, numbers, save, y, slopes[0], first, p, work, rows, marks, ledger)

        if adaptive:  # where this attempt ends
            for lane in range(lanes):
                grown[lane] = t[lane] + h[lane]
        else:
            for lane in range(lanes):
                grown[lane] = t0 + way * (wins[lane] + 1.0) * dt
        for lane in range(lanes):
            step, rest, end = h[lane], t1 - t[lane], grown[lane]
            h[lane] = rest if way * (t1 - end) <= 1e-9 * abs(step) else step
        for lane in range(lanes):
            step, end = h[lane], grown[lane]
            grown[lane] = t1 if way * (t1 - end) <= 1e-9 * abs(step) else end
        attempt(rhs, t, h, y, slopes, z, p, reals, ints, work, error, at, rtol, atol)

        for lane in range(lanes):
            size, stuck = error[lane], forced[lane]
            limit = np.inf if stuck > 0.0 else float(n)
            good[lane] = 1.0 if size <= limit and size < np.inf else 0.0
        crossing = 0
        for lane in range(lanes):
            taken, end, wanted = good[lane], grown[lane], goal[lane]
            crossing += 1 if (taken > 0.0) & (way * end >= wanted) & (wanted > -np.inf) else 0
        if extra and (crossing > 0 or RICH):
            finish(rhs, t, h, y, slopes, first, p, reals, ints, work, error, at, rtol, atol)
        changed = 0
        if RICH and rules.shape[0] > 0:
            changed = find(
                watch, change, reals, ints, dense, rules, y, z, first, slopes, p, work, rows, marks,
                spot, spot_p, spot_work, spot_t, gauges, gauge_one, roots, fresh, counts, ledger, hit_i, hit_t, hit_x,
            )  # fmt: skip
        if RICH and recording:
            for lane in range(lanes):
                if good[lane] > 0.0 and owner[lane] >= 0 and forced[lane] == 0.0:
                    k = ledger[RECORDS]
                    record_i[k], record_t[k, 0], record_t[k, 1], record_t[k, 2] = (
                        owner[lane],
                        t[lane],
                        h[lane],
                        grown[lane],
                    )
                    for i in range(n):
                        record_c[k, 0, i] = y[i, lane]
                        for power in range(degree):
                            value = 0.0
                            for s in range(dense.shape[0]):
                                value += dense[s, power] * slopes[s, i, lane]
                            record_c[k, power + 1, i] = h[lane] * value
                    ledger[RECORDS] += 1
        if crossing > 0:
            for lane in range(lanes):
                if good[lane] > 0.0 and owner[lane] >= 0 and forced[lane] == 0.0:
                    while way * grown[lane] >= goal[lane]:
                        if goal[lane] == way * grown[lane]:
                            for i in range(n):
                                spot[i, 0] = z[i, lane]
                        elif goal[lane] == way * t[lane]:
                            for i in range(n):
                                spot[i, 0] = y[i, lane]
                        else:
                            theta = (way * goal[lane] - t[lane]) / h[lane]
                            for i in range(n):
                                spot[i, 0] = y[i, lane]
                            for s in range(dense.shape[0]):
                                weight = 0.0
                                for power in range(degree - 1, -1, -1):
                                    weight = (weight + dense[s, power]) * theta
                                for i in range(n):
                                    spot[i, 0] += h[lane] * weight * slopes[s, i, lane]
                        if RICH and sums.shape[0] > 0:
                            for i in range(npar):
                                spot_p[i, 0] = p[i, lane]
                            gather(
                                owner[lane], saved[lane], save[each * owner[lane] :], sums, gauge, reference, reals, ints,
                                spot, spot_p, spot_out, spot_work, spot_t,
                            )  # fmt: skip
                        else:
                            for i in range(n):
                                x[owner[lane], saved[lane], i] = spot[i, 0]
                        saved[lane] += 1
                        goal[lane] = way * save[each * owner[lane] + saved[lane]] if saved[lane] < times else np.inf

        if RICH and changed > 0:
            renew(rhs, reals, ints, rules, z, first, slopes, last, p, work, rows, marks)

        ledger[LOOKS] += 1
        probing = 0
        if reach > 0.0:  # is it stability that limits the step?
            for lane in range(lanes):
                tried, wanted, taken = tries[lane], due[lane], good[lane]
                probing += 1 if (tried >= wanted) & (taken > 0.0) else 0
        if probing > 0:
            stage = near.size
            for lane in range(lanes):
                if tries[lane] >= due[lane] and good[lane] > 0.0 and owner[lane] >= 0:
                    due[lane] = tries[lane] + PROBE
                    apart, turned = 0.0, 0.0
                    for i in range(n):
                        inner = 0.0
                        for s in range(stage):
                            inner += near[s] * slopes[s, i, lane]
                        apart += (z[i, lane] - y[i, lane] - h[lane] * inner) ** 2
                        turned += (slopes[last, i, lane] - slopes[stage, i, lane]) ** 2
                    found = apart > 0.0 and abs(h[lane]) * np.sqrt(turned / apart) > reach
                    probes[owner[lane], 0] += 1
                    probes[owner[lane], 1] += 1 if found else 0
                    stiffened[lane] = stiffened[lane] + 1.0 if found else 0.0

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
                at[lane] = level_of(error[lane] * inverse_n)
            for lane in range(lanes):
                h[lane] *= resize(at[lane], memory[lane], good[lane], inverse_order)
            for lane in range(lanes):
                level, old, taken = at[lane], memory[lane], good[lane]
                level = MEMORY_FLOOR if level < MEMORY_FLOOR else level
                memory[lane] = level if taken > 0.0 else old
        trouble = 0
        for lane in range(lanes):
            step, time, tried, stuck, taken, busy = h[lane], t[lane], tries[lane], forced[lane], good[lane], goal[lane]
            odd = (
                (way * step <= ROUNDING * abs(time))
                | (way * step <= 1e-300)
                | (way * time >= way * t1)
                | (tried >= limit_steps)
                | (stuck > 0.0)
            )
            trouble += 1 if (odd | ((taken == 0.0) & fixed)) & (busy > -np.inf) else 0
        stop = monitor[1] != 0.0
        if probing > 0 or (RICH and rules.shape[0] > 0):
            trouble += 1
        if trouble > 0 or stop:
            settle(numbers, max_steps, stop, rows, marks, ledger, status, t_stop, accepted, rejected)
            if stop:
                return 2
        if ledger[LOOKS] % LOOK == 0 or ledger[DONE] == batch:
            share = float(ledger[DONE])
            for lane in range(lanes):
                if owner[lane] >= 0:
                    share += (t[lane] - t0) / (t1 - t0)
            monitor[0] += share / total - numbers[N_TOLD]
            numbers[N_TOLD] = share / total
        if RICH:
            full = ledger[HITS] + lanes * rules.shape[0] * PARTS > hit_i.shape[0]
            if full or (recording and ledger[RECORDS] + lanes > record_i.size):
                break
    return 0 if ledger[DONE] == batch else 1


_HEAD = """
import numpy as np
from numba import float64, int64, int8, njit
from dynet.engine.block import FASTMATH, RHS_TYPE, bare, flat
from dynet.engine.control import (
    AT, DONE, DUE, ERROR, FORCED, GOAL, GOOD, GROWN, H, HITS, LOOK, LOOKS, MEMORY, MEMORY_FLOOR, N_ADAPTIVE, N_EACH,
    N_REACH, N_TOLD, N_TOTAL, N_WAY,
    OWNER, PROBE,
    QUEUE, RECORDS, ROUNDING, SAVED, STIFFENED, T, TRIES, VACANT, WINS, admit, gather, level_of, resize, settle,
)
from dynet.engine.events import PARTS, find, renew
from dynet.engine.stages import ATTEMPT_TYPE

RICH = {rich}
"""

_TAIL = """
_v, _m, _c, _i, _im = float64[::1], float64[:, ::1], float64[:, :, ::1], int64[::1], int64[:, ::1]
drive = njit(
    int64(ATTEMPT_TYPE, ATTEMPT_TYPE, RHS_TYPE, RHS_TYPE, RHS_TYPE, RHS_TYPE, _v, _i, _m, _m, _v, _v, _m, _v, _i, _i, _v,
          _c, _c, _m, _m, _m, _im, _m, _m, _m, _m, _v, _c, _c, _c, int8[::1], _v,
          _i, _i, _im, _i, _m, _c, _im, _c, _m, _v, _m, _im, _im, _v, _m),
    cache=True, nogil=True, fastmath=FASTMATH, error_model="numpy", no_cfunc_wrapper=True,
)(drive)
"""


@functools.cache
def driver(rich=False):
    """The compiled driver, one for all methods, or the one that also looks for events, notes steps and gathers sums."""
    for process in ahead.helpers:  # it may be on its way already
        process.wait()
    return codegen.module(_HEAD.format(rich=rich), drive, _TAIL, tag="drive").drive
