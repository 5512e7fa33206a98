r"""A whole adaptive step in one piece of generated code: right-hand side, stages, error, acceptance and next step size.

The block driver calls the right-hand side once per stage, and everything passes through memory between the calls. Here the
step of one model and one method is a single loop over sixteen lanes without a call in it, in which all stages stay in
registers. It is compiled once per model and method and kept on disk, which pays for a small system and much work. The
driver around it, compiled once for all, is the same queue with the same statuses as that of the block: it steps until some
lane needs attention, because it has reached a save time or its end, failed, or is due for a probe.

The numbers agree with the block's to rounding, not to the bit, because the compiler contracts other products.
"""
# ruff: noqa: F821 (the names in the source that is copied are bound in the generated module)

from __future__ import annotations

import functools

from numba import types

from . import codegen
from .control import ROWS

__all__ = ["Fused", "LANES"]

LANES = 16
WORTH = 1.5e8  # expected lane-steps from which compiling pays

_matrix, _vector, _cube = types.float64[:, ::1], types.float64[::1], types.float64[:, :, ::1]
STEP = types.int64(_matrix, _cube, _matrix, _vector, types.int64)
STEP_TYPE = types.FunctionType(STEP)

_HEAD = """
from numba import cfunc
from dynet.engine.block import bare, flat
from dynet.engine.control import MEMORY_FLOOR, ROUNDING, level_of, resize
from dynet.engine.fused import STEP

@cfunc(STEP, cache=True, fastmath=FASTMATH, error_model="numpy")
def step(block, slopes, p, numbers, most):
    # `block`: n rows of states, n of slopes, the rows of the lanes, n + 1 rows of the states and times before the step,
    # then for each lane the error that is accepted and the number of attempts after which it needs attention.
    # Takes steps until a lane needs attention, at most so many; returns twice how many, plus one if a lane needs attention.
    # The loop is here, because compilers keep the many constants of a step in memory, and must set them up in each call.
    s, k, p = flat(block), flat(slopes), flat(p)
    t0, t1, rtol, atol, dt, inverse_order = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]
    way = numbers[8]
    attention, turns = 0, 0
    while attention == 0 and turns < most:
        turns += 1
        for q in range({lanes}):
"""


class Fused:
    """The fused step of a field and a method, and its driver.

    Parameters
    ----------
    scalars : str
        Source of ``_field(t, x0, ..., p0, ...)``, a function of scalars that returns the derivatives.
    tableau : Tableau
    n, npar : int
    noting : bool
        Whether every step leaves its stages behind, for the dense output: pays where most steps of the lanes meet a save time.
    """

    lanes = LANES

    def __init__(self, scalars, tableau, n, npar, noting):
        self.source = step_source(scalars, tableau, n, npar, noting)
        self.noting = noting
        self.tag = f"fused_{tableau.name}"

    def step(self):
        """The compiled step."""
        return codegen.module(self.source, tag=self.tag).step

    def driver(self):
        """The compiled driver around it."""
        return driver()


def step_source(scalars, tableau, n, npar, noting):
    """Source of the module of a fused step."""
    lines = []

    def load(name, row, of="s"):
        lines.append(f"{name} = {of}[{row * LANES} + q]")

    def store(row, value, of="s"):
        lines.append(f"{of}[{row * LANES} + q] = {value}")

    rows = {name: 2 * n + number for number, name in enumerate(_NAMES)}
    for i in range(n):
        load(f"y_{i}", i)
        load(f"k_0_{i}", n + i)
    for i in range(npar):
        load(f"p_{i}", i, "p")
    for name in ("t", "h", "goal", "tries", "wins", "memory"):
        load(name, rows[name])
    load("limit", 3 * n + ROWS + 1)
    load("alarm", 3 * n + ROWS + 2)
    adaptive = tableau.error is not None
    lines.append("grown = t + h" if adaptive else "grown = t0 + way * (wins + 1.0) * dt")
    lines.append("reached = way * (t1 - grown) <= 1e-9 * abs(h)")
    lines.append("h = t1 - t if reached else h")
    lines.append("grown = t1 if reached else grown")
    parameters = "".join(f", p_{i}" for i in range(npar))
    last = tableau.stages - 1
    for s in range(1, tableau.stages):
        for i in range(n):
            lines.append(f"z_{s}_{i} = y_{i} + h * ({_sum(tableau.a[s], i)})")
        state = ", ".join(f"z_{s}_{i}" for i in range(n))
        slopes = ", ".join(f"k_{s}_{i}" for i in range(n))
        lines.append(f"({slopes},) = _field(t + {float(tableau.c[s])!r} * h, {state}{parameters})")
    lines.append("error = 0.0")
    if not adaptive:
        for i in range(n):
            lines.append(f"error += 0.0 * z_{last}_{i} + 0.0 * k_{last}_{i}")
    else:
        if tableau.low is not None:
            lines.append("other = 0.0")
        for i in range(n):
            lines.append(f"a_, b_ = abs(y_{i}), abs(z_{last}_{i})")
            lines.append("m_ = atol + rtol * (a_ if a_ > b_ else b_)")
            lines.append(f"d_ = h * ({_sum(tableau.error, i)}) / m_ + 0.0 * b_")
            lines.append("error += d_ * d_")
            if tableau.low is not None:
                lines.append(f"d_ = h * ({_sum(tableau.low, i)}) / m_")
                lines.append("other += d_ * d_")
        if tableau.low is not None:
            lines.append("error = error * error / (error + 0.01 * other) if error > 0.0 else error")
    lines.append("good = 1.0 if (error <= limit) & (error < np.inf) else 0.0")
    for s in range(tableau.stages if noting else 0):
        for i in range(n):
            store(s * n + i, f"k_{s}_{i}", "k")
    for i in range(n):
        store(2 * n + ROWS + i, f"y_{i}")
        store(i, f"z_{last}_{i} if good > 0.0 else y_{i}")
        store(n + i, f"k_{last}_{i} if good > 0.0 else k_0_{i}")
    lines.append("crossing = (good > 0.0) & (way * grown >= goal) & (goal > -np.inf)")
    lines.append("ended = grown if good > 0.0 else t")
    lines.append("tries = tries + 1.0")
    lines.append("used = h")
    if adaptive:
        lines.append(f"level = level_of(error * {1.0 / n!r})")
        lines.append("h = h * resize(level, memory, good, inverse_order)")
        lines.append("level = MEMORY_FLOOR if level < MEMORY_FLOOR else level")
        lines.append("memory = level if good > 0.0 else memory")
    lines.append("odd = (way * h <= ROUNDING * abs(ended) + 1e-300) | (reached & (good > 0.0)) | (tries > alarm)")
    if not adaptive:
        lines.append("odd = odd | (good == 0.0)")
    lines.append("attention += 1 if crossing | (odd & (goal > -np.inf)) else 0")
    store(3 * n + ROWS, "t")
    values = {"t": "ended", "wins": "wins + good"}
    for name in _NAMES:
        if name in ("error", "goal", "forced", "halt", "stiffened", "due"):  # the driver's alone
            continue
        store(rows[name], values.get(name, name if name != "at" else "used"))
    body = "".join(f"            {line}\n" for line in lines)
    return scalars + _HEAD.format(lanes=LANES) + body + "    return 2 * turns + (1 if attention > 0 else 0)\n"


_NAMES = (
    *(
        "t",
        "h",
        "grown",
        "error",
        "goal",
        "good",
        "tries",
        "wins",
        "forced",
        "memory",
        "at",
        "halt",
        "stiffened",
        "due",
    ),
)
assert len(_NAMES) == ROWS


def _sum(weights, i):
    return " + ".join(f"{float(w)!r} * k_{j}_{i}" for j, w in enumerate(weights) if w)


def drive(
    step, attempt, finish, rhs, gauge, reals, ints, y0, p0, numbers, save, dense, near, sizes, ledger, monitor, all_rows,
    states, slopes, p, work, marks, spot, spot_p, spot_out, spot_work, spot_t, x, sums, reference, status, t_stop, accepted,
    rejected, probes,
):  # fmt: skip
    reals, ints, p, work = bare(reals), bare(ints), bare(p), bare(work)
    all_rows, states, slopes, marks = bare(all_rows), bare(states), bare(slopes), bare(marks)
    spot, spot_p, spot_out, spot_work, spot_t = bare(spot), bare(spot_p), bare(spot_out), bare(spot_work), bare(spot_t)
    t0, t1, way, reach, total = numbers[N_T0], numbers[N_T1], numbers[N_WAY], numbers[N_REACH], numbers[N_TOTAL]
    rtol, atol = numbers[N_RTOL], numbers[N_ATOL]
    each = int(numbers[N_EACH])
    times = each if each > 0 else save.size
    lanes, max_steps, budget, noting, last = sizes[0], sizes[1], sizes[2], sizes[3] != 0, sizes[4]
    batch, n = y0.shape
    npar, degree = p0.shape[1], dense.shape[1]
    extra = dense.shape[0] > last + 1
    first, column = states[1], states[2]
    owner, saved = marks[OWNER], marks[SAVED]
    y, slope, rows = all_rows[:n], all_rows[n : 2 * n], all_rows[2 * n : 2 * n + ROWS]
    before, begin = all_rows[2 * n + ROWS : 3 * n + ROWS], all_rows[3 * n + ROWS]
    limit, alarm = all_rows[3 * n + ROWS + 1], all_rows[3 * n + ROWS + 2]
    t, goal, good, tries, due = rows[T], rows[GOAL], rows[GOOD], rows[TRIES], rows[DUE]
    grown, used, forced, stiffened = rows[GROWN], rows[AT], rows[FORCED], rows[STIFFENED]

    while ledger[DONE] < batch and budget > 0:
        if ledger[VACANT] > 0 and ledger[QUEUE] < batch:
            admit(rhs, reals, ints, y0, p0, numbers, save, y, slope, first, p, work, rows, marks, ledger)
        for lane in range(lanes):  # what the step needs to know of the rows that it does not read
            limit[lane] = np.inf if forced[lane] > 0.0 else float(n)
            alarm[lane] = -1.0 if forced[lane] > 0.0 else min(due[lane], max_steps - 1.0)
        result = step(all_rows, slopes, p, numbers, min(budget, LOOK - ledger[LOOKS] % LOOK))
        attention, turns = result % 2, result // 2
        budget -= turns
        ledger[LOOKS] += turns
        stop = monitor[1] != 0.0
        if attention > 0:
            crossing = 0
            for lane in range(lanes):
                if good[lane] > 0.0 and owner[lane] >= 0 and forced[lane] == 0.0 and way * grown[lane] > goal[lane]:
                    crossing += 1
            probing = 0
            for lane in range(lanes):
                probing += 1 if tries[lane] > due[lane] and good[lane] > 0.0 and owner[lane] >= 0 and reach > 0.0 else 0
            if not noting and (crossing > 0 or probing > 0):  # the stages once more
                rhs(begin, before, p, reals, ints, work, slopes[0])
                attempt(
                    rhs, begin, used, before, slopes, first, p, reals, ints, work, rows[ERROR], column[0], rtol, atol
                )
            if crossing > 0 and extra:
                finish(
                    rhs, begin, used, before, slopes, first, p, reals, ints, work, rows[ERROR], column[0], rtol, atol
                )
            for lane in range(lanes):
                if good[lane] > 0.0 and owner[lane] >= 0 and forced[lane] == 0.0:
                    while way * grown[lane] >= goal[lane]:
                        if goal[lane] == way * grown[lane]:
                            for i in range(n):
                                spot[i, 0] = y[i, lane]
                        elif goal[lane] == way * begin[lane]:
                            for i in range(n):
                                spot[i, 0] = before[i, lane]
                        else:
                            theta = (way * goal[lane] - begin[lane]) / used[lane]
                            for i in range(n):
                                spot[i, 0] = before[i, lane]
                            for s in range(dense.shape[0]):
                                weight = 0.0
                                for power in range(degree - 1, -1, -1):
                                    weight = (weight + dense[s, power]) * theta
                                for i in range(n):
                                    spot[i, 0] += used[lane] * weight * slopes[s, i, lane]
                        if sums.shape[0] > 0:
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
                if tries[lane] > due[lane] and good[lane] > 0.0 and owner[lane] >= 0:  # does stability limit the step?
                    due[lane] = tries[lane] - 1.0 + PROBE
                    stage = near.size
                    if reach > 0.0:
                        apart, turned = 0.0, 0.0
                        for i in range(n):
                            inner = 0.0
                            for s in range(stage):
                                inner += near[s] * slopes[s, i, lane]
                            apart += (y[i, lane] - before[i, lane] - used[lane] * inner) ** 2
                            turned += (slopes[last, i, lane] - slopes[stage, i, lane]) ** 2
                        found = apart > 0.0 and abs(used[lane]) * np.sqrt(turned / apart) > reach
                        probes[owner[lane], 0] += 1
                        probes[owner[lane], 1] += 1 if found else 0
                        stiffened[lane] = stiffened[lane] + 1.0 if found else 0.0
        if attention > 0 or stop:
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
    return 0 if ledger[DONE] == batch else 1


_DRIVER = """
import numpy as np
from numba import float64, int64, int8, njit
from dynet.engine.block import FASTMATH, RHS_TYPE, bare
from dynet.engine.control import (
    AT, DONE, DUE, ERROR, FORCED, GOAL, GOOD, GROWN, H, LOOK, LOOKS, N_ATOL, N_EACH, N_REACH, N_RTOL, N_T0, N_T1, N_TOLD,
    N_TOTAL, N_WAY, OWNER, PROBE, QUEUE, ROWS, SAVED, STIFFENED, T, TRIES, VACANT, admit, gather, settle,
)
from dynet.engine.fused import STEP_TYPE
from dynet.engine.stages import ATTEMPT_TYPE
"""

_TAIL = """
_v, _m, _c, _i, _im = float64[::1], float64[:, ::1], float64[:, :, ::1], int64[::1], int64[:, ::1]
drive = njit(
    int64(STEP_TYPE, ATTEMPT_TYPE, ATTEMPT_TYPE, RHS_TYPE, RHS_TYPE, _v, _i, _m, _m, _v, _v, _m, _v, _i, _i, _v, _m, _c,
          _c, _m, _m, _im, _m, _m, _m, _m, _v, _c, _c, _c, int8[::1], _v, _i,
          _i, _im),
    cache=True, nogil=True, fastmath=FASTMATH, error_model="numpy", no_cfunc_wrapper=True,
)(drive)
"""


@functools.cache
def driver():
    """The compiled driver around a fused step, one for all models and methods."""
    return codegen.module(_DRIVER, drive, _TAIL, tag="fused").drive
