r"""What happens to a lane between two steps: the size of the next step, and whether the trajectory is at its end.

The step-size controller is proportional-integral: after an accepted step of error :math:`e_n` (in units of the tolerance)
with a method of order q,

.. math::  h_{n+1} = 0.9\, h_n\, e_n^{-0.85/q}\, e_{n-1}^{0.2/q},

so that the step neither runs into rejections nor oscillates where stability limits it; after a rejected one
:math:`h \leftarrow 0.9\, h\, e^{-1/q}`. Both factors stay within 0.2 and 10.

Every lane has a column of the block of rows named below. Counts and masks in it are floats, and each loop over the lanes
writes one array: so LLVM vectorises them. All comparisons of times are made after multiplication with the direction of
time, 1 or -1, which is exact: a trajectory backward in time has the bits of the mirrored one.

References
----------
Gustafsson, Control theoretic techniques for stepsize selection in explicit Runge-Kutta methods, ACM Transactions on
Mathematical Software 17, 1991.
Hairer, Norsett, Wanner, Solving Ordinary Differential Equations I, second edition, 1993, sections II.4 and IV.2 (of II).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ..errors import Status
from ..math import near_exp2, rough_log2
from .block import FASTMATH

__all__ = ["admit", "gather", "resize", "settle"]

OK, NONFINITE, MAX_STEPS, STEP_UNDERFLOW, INTERRUPTED = range(5)
assert [Status(k).word for k in range(5)] == ["ok", "nonfinite", "max_steps", "step_underflow", "interrupted"]
EVENT, STIFF = int(Status.EVENT), int(Status.STIFF)

# Rows of a lane: time, next step, end of the attempted step, squared error, next save time times the direction (inf after
# the last, -inf in a vacant lane), whether the step was accepted, attempts, accepted steps, steps at the rounding limit,
# logarithm of the last accepted error, scratch, a terminal event, probes in a row that found stiffness, the number of
# attempts after which to probe again.
T, H, GROWN, ERROR, GOAL, GOOD, TRIES, WINS, FORCED, MEMORY, AT, HALT, STIFFENED, DUE = range(14)
ROWS = 14
OWNER, SAVED, SKIP = range(3)  # rows of integers: the trajectory, its saved rows, the event that it is just leaving

# What a driver remembers when it pauses.
STARTED, QUEUE, DONE, VACANT, LOOKS, RECORDS, HITS = range(7)
LEDGER = 7

# Numbers of a run; N_EACH: how many save times every trajectory has of its own, one behind the other, 0 where all share them.
N_T0, N_T1, N_RTOL, N_ATOL, N_DT, N_INVERSE, N_TOTAL, N_ADAPTIVE, N_WAY, N_REACH, N_HALT, N_TOLD, N_LIMIT, N_EACH = (
    range(14)
)
NUMBERS = 14

FORCED_LIMIT = 60  # steps at the rounding limit after which a stuck lane is not exploding
ROUNDING = 4e-15  # a step of less than this part of t is lost in the rounding of t
LOOK = 256  # steps of all lanes between two reports of progress
PROBE = 1000  # attempts of a trajectory between two probes of stiffness
CERTAIN = 3  # such probes in a row

MOST, LEAST = 3.4739311883324127, -2.1699250014423126  # logarithms of 10 / 0.9 and of 0.2 / 0.9
MEMORY_FLOOR = -13.3  # a very small error must not shrink the step after it

# Inlined into the driver before it is compiled, because compiling them apart and together takes twice as long.
_inline = njit(fastmath=FASTMATH, error_model="numpy", inline="always")


@_inline
def resize(level, memory, taken, inverse_order):
    """The factor of the next step; `level` and `memory` are logarithms to base 2 of this error and the one before."""
    smooth = inverse_order * (0.2 * memory - 0.85 * level)
    exponent = smooth if taken > 0.0 else -inverse_order * level
    exponent = MOST if exponent > MOST else exponent
    exponent = LEAST if exponent < LEAST else exponent
    return 0.9 * near_exp2(exponent)


@_inline
def level_of(square):
    """The logarithm to base 2 of an error, from its square; large for what is not finite."""
    return 0.5 * rough_log2(square + 1e-30)


@_inline
def gather(who, row, own, sums, gauge, reference, reals, ints, spot, spot_p, spot_out, spot_work, spot_t):
    """Add the state in the column `spot` to the last, least and greatest value and the integral of every quantity.

    `row` counts the save times of the trajectory, which are `own`.
    """
    n = spot.shape[0]
    m, r = spot_out.shape[0], reference.shape[0]
    if m > 0:
        spot_t[0] = own[row]
        gauge(spot_t, spot, spot_p, reals, ints, spot_work, spot_out)
    half = 0.5 * abs(own[row] - own[row - 1]) if row > 0 else 0.0
    for q in range(n + m + r):
        if q < n:
            value = spot[q, 0]
        elif q < n + m:
            value = spot_out[q - n, 0]
        else:
            value = 0.0
            for i in range(n):
                value += (spot[i, 0] - reference[q - n - m, row, i]) ** 2
            value = np.sqrt(value)
        if row == 0:
            sums[who, 1, q], sums[who, 2, q], sums[who, 3, q] = value, value, 0.0
        else:
            sums[who, 1, q] = min(sums[who, 1, q], value)
            sums[who, 2, q] = max(sums[who, 2, q], value)
            sums[who, 3, q] += half * (sums[who, 0, q] + value)
        sums[who, 0, q] = value


@_inline
def admit(rhs, reals, ints, y0, p0, numbers, save, y, slope, first, p, work, rows, marks, ledger):
    """Fill the free lanes from the queue, several at once."""
    n, lanes = y.shape
    batch, npar = y0.shape[0], p0.shape[1]
    t0, way = numbers[N_T0], numbers[N_WAY]
    rtol, atol = numbers[N_RTOL], numbers[N_ATOL]
    owner, saved = marks[OWNER], marks[SAVED]
    t, h, goal, forced = rows[T], rows[H], rows[GOAL], rows[FORCED]
    for lane in range(lanes):
        if owner[lane] < 0 and ledger[QUEUE] < batch:
            who = ledger[QUEUE]
            owner[lane], saved[lane], marks[SKIP, lane] = who, 0, -1
            for i in range(n):
                y[i, lane] = y0[who, i]
            for i in range(npar):
                p[i, lane] = p0[who, i]
            t[lane] = t0
            rows[TRIES, lane], rows[WINS, lane], rows[MEMORY, lane] = 0.0, 0.0, MEMORY_FLOOR
            rows[HALT, lane], rows[STIFFENED, lane], rows[DUE, lane], forced[lane] = 0.0, 0.0, PROBE, -1.0
            ledger[QUEUE] += 1
            ledger[VACANT] -= 1
    rhs(t, y, p, reals, ints, work, first)
    for lane in range(lanes):
        if forced[lane] == -1.0:  # it has just been filled
            forced[lane] = 0.0
            size, speed = 0.0, 0.0
            for i in range(n):
                slope[i, lane] = first[i, lane]
                scale = atol + rtol * abs(y[i, lane])
                size += (y[i, lane] / scale) ** 2
                speed += (first[i, lane] / scale) ** 2
            step = numbers[N_DT]
            if numbers[N_ADAPTIVE] != 0.0:
                step = 0.01 * np.sqrt(size / speed) if size > 1e-10 and speed > 1e-10 else 1e-6
                step = min(step, way * (numbers[N_T1] - t0)) if speed < np.inf else 1e-6
                step = max(step, 4 * ROUNDING * abs(t0))
            h[lane] = way * step
            goal[lane] = way * save[int(numbers[N_EACH]) * owner[lane]] if save.size > 0 else np.inf


@_inline
def settle(numbers, max_steps, stop, rows, marks, ledger, status, t_stop, accepted, rejected):
    """End the trajectories that are at an end, for whatever reason, and free their lanes."""
    t1, way, adaptive = numbers[N_T1], numbers[N_WAY], numbers[N_ADAPTIVE] != 0.0
    owner, t, h = marks[OWNER], rows[T], rows[H]
    forced, good, tries = rows[FORCED], rows[GOOD], rows[TRIES]
    for lane in range(owner.size):
        if owner[lane] < 0:
            continue
        end = -1
        step = way * h[lane]
        if rows[HALT, lane] > 0.0:
            end = EVENT
        elif forced[lane] > 0:  # at the rounding limit: does the solution explode, or is it only stuck?
            if good[lane] == 0.0:
                end = NONFINITE
            elif forced[lane] > FORCED_LIMIT:
                end = STEP_UNDERFLOW
            forced[lane] += 1
            h[lane] = way * ROUNDING * max(abs(t[lane]), 1e-280)
        elif way * t[lane] >= way * t1:
            end = OK
        elif not adaptive and good[lane] == 0.0:
            end = NONFINITE
        elif adaptive and (step <= ROUNDING * abs(t[lane]) or step < 1e-300):
            t_stop[owner[lane]] = t[lane]
            forced[lane] = 1
            h[lane] = way * ROUNDING * max(abs(t[lane]), 1e-280)
        if end < 0 and tries[lane] >= max_steps:
            end = STIFF if rows[STIFFENED, lane] >= CERTAIN else MAX_STEPS
        if end < 0 and numbers[N_HALT] > 0.0 and rows[STIFFENED, lane] >= CERTAIN:
            end = STIFF
        if end < 0 and stop:
            end = INTERRUPTED
        if end >= 0:
            who = owner[lane]
            status[who] = end
            if forced[lane] == 0:
                t_stop[who] = t[lane]
            accepted[who] = rows[WINS, lane]
            rejected[who] = tries[lane] - rows[WINS, lane]
            owner[lane], rows[GOAL, lane], h[lane] = -1, -np.inf, 0.0
            forced[lane], tries[lane], t[lane], rows[HALT, lane] = 0.0, 0.0, numbers[N_T0], 0.0
            rows[STIFFENED, lane] = 0.0
            ledger[VACANT] += 1
            ledger[DONE] += 1
    if stop:
        for who in range(ledger[QUEUE], status.size):
            status[who] = INTERRUPTED
