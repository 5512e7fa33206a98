r"""The loop of the numerical differentiation formulas (see :mod:`dynet.engine.bdf`): one trajectory after the other.

Between the ends of a step of size h that ends at :math:`t_{n+1}` the solution is the polynomial of the formulas,

.. math:: P(t_{n+1} + (\theta - 1) h) = \sum_{j=0}^k \nabla^j y_{n+1} \prod_{m=0}^{j-1} \frac{\theta - 1 + m}{m + 1},

which meets the states at the ends of the last k steps: it is as accurate as the steps, and it is all that save times, events
and dense output need.

All that the loop knows lies in arrays, so that it can stop between two steps and go on with the same bits. A second copy
of it, with `RICH` true, also looks for events, notes steps and gathers summaries.
"""

# ruff: noqa: F821 (the names in the source that is copied are bound in the generated module)

from __future__ import annotations

import functools

from . import codegen

__all__ = ["KEPT", "driver"]

KAPPA = (0.0, -0.1850, -1 / 9, -0.0823, -0.0415, 0.0)
STRICT = 3.0  # by which a local error is overestimated: those of these formulas add up over many steps
AGE = 20  # steps after which a Jacobian is evaluated again when the matrix must be eliminated anyway
KRYLOV = 12  # directions of GMRES
NEWTON = 0.15  # where Newton's iteration stops, in units of the tolerance

# What the loop keeps between two steps, beside the scratch.
(
    K_WHO, K_T, K_H, K_SAVED, K_ORDER, K_EQUAL, K_WINS, K_TRIES, K_FRESH, K_MADE, K_KNOWN, K_CONTRACTION, K_BORN, K_SLOW,
    K_TOLD, K_DONE, K_LOOKS, K_BEGUN, K_JACOBIANS,
) = range(19)  # fmt: skip
KEPT = 19


def drive(
    rhs, jac, gauge, watch, change, reals, ints, y0, p0, numbers, save, rows, columns, colours, order_of, starts, diagonal,
    places, slots, room, keep, ledger, monitor, sizes, x, sums, reference, status, t_stop, accepted, rejected, formed,
    record_i, record_t, record_c, rules, lane_rows, marks, states, slopes, powers, gauges, gauge_one, roots, counts,
    spot_out, hit_i, hit_t, hit_x,
):  # fmt: skip
    reals, ints, room, save = bare(reals), bare(ints), bare(room), bare(save)
    t0, t1, rtol, atol = numbers[0], numbers[1], numbers[2], numbers[3]
    total, max_steps, krylov, analytic, each = (
        numbers[4],
        numbers[5],
        numbers[6] != 0.0,
        numbers[7] != 0.0,
        int(numbers[8]),
    )
    batch, n = y0.shape
    npar, inner, wide, budget, recording = p0.shape[1], sizes[0], sizes[1], sizes[2], sizes[3] != 0
    times_each = each if each > 0 else save.size
    # the scratch: matrices and vectors, one behind the other
    used = 0
    D = window(room, used, 8, n)  # backward differences
    used += 8 * n
    many = window(room, used, n, wide)  # the lanes of one Jacobian
    used += n * wide
    values = window(room, used, n, wide)
    used += n * wide
    parameters = window(room, used, npar, wide)
    used += npar * wide
    work = window(room, used, inner, wide)
    used += inner * wide
    times = flat(window(room, used, 1, wide))
    used += wide
    single = window(room, used, inner, 1)
    used += inner
    factors = flat(window(room, used, 1, places.size))
    used += places.size
    entries = window(room, used, columns.size, 1)
    J = flat(entries)
    used += columns.size
    V = window(room, used, KRYLOV + 1, n)
    used += (KRYLOV + 1) * n
    H_ = window(room, used, KRYLOV + 5, KRYLOV + 2)
    used += (KRYLOV + 5) * (KRYLOV + 2)
    U, piece = window(room, used, 18, 6), window(room, used + 18 * 6, 6, 64)
    used += 18 * 6 + 6 * 64
    state, slope = window(room, used, n, 1), window(room, used + n, n, 1)
    used += 2 * n
    vectors = window(room, used, 6, n)
    y, f = flat(state), flat(slope)
    start, psi, d, dy, scale, row = vectors[0], vectors[1], vectors[2], vectors[3], vectors[4], vectors[5]
    floor = min(atol, 1e-6)
    way = 1.0 if t1 > t0 else -1.0
    at = flat(window(room, used + 6 * n, 1, 1))
    p = window(room, used + 6 * n + 1, npar, 1)
    spot_p = window(room, used + 6 * n + 1 + npar, npar, 1)
    spot, before, after, first_ = states[0], states[1], states[2], states[3]
    who, saved, order, equal = int(keep[K_WHO]), int(keep[K_SAVED]), int(keep[K_ORDER]), int(keep[K_EQUAL])
    t, h, wins, tries, looks = keep[K_T], keep[K_H], int(keep[K_WINS]), int(keep[K_TRIES]), int(keep[K_LOOKS])
    fresh, made, known = keep[K_FRESH] != 0.0, keep[K_MADE], keep[K_KNOWN] != 0.0
    contraction, born, slow = keep[K_CONTRACTION], int(keep[K_BORN]), keep[K_SLOW] != 0.0
    told, done, begun, jacobians = keep[K_TOLD], keep[K_DONE], int(keep[K_BEGUN]), keep[K_JACOBIANS]
    gamma, safety = 0.0, 1.0
    while who < batch:
        own = save[each * who :]
        if begun < 2:  # 0: a trajectory to begin with, 1: one whose state has been replaced
            if begun == 0:
                if monitor[1] != 0.0:
                    status[who] = INTERRUPTED
                    who += 1
                    continue
                for i in range(npar):
                    p[i, 0] = p0[who, i]
                    for lane in range(wide):
                        parameters[i, lane] = p0[who, i]
                for i in range(n):
                    y[i] = y0[who, i]
                t, saved, wins, tries, born, slow = t0, 0, 0, 0, 0, False
                marks[OWNER, 0], marks[SKIP, 0], lane_rows[HALT, 0] = who, -1, 0.0
            for i in range(n):
                scale[i] = atol + rtol * abs(y[i])
                spot[i, 0] = y[i]
            while saved < times_each and own[saved] == t0 and begun == 0:
                if RICH and sums.shape[0] > 0:
                    gather(who, saved, own, sums, gauge, reference, reals, ints, spot, p, spot_out, single, at)
                for i in range(n if sums.shape[0] == 0 else 0):
                    x[who, saved, i] = y[i]
                saved += 1
            at[0] = t
            rhs(at, state, p, reals, ints, single, slope)
            size, speed = weighted(y, scale), weighted(f, scale)
            h = 0.01 * size / speed if size > 1e-5 and speed > 1e-5 else 1e-6
            h = min(min(h, 1.0 / speed), abs(t1 - t)) if 0.0 < speed < np.inf else min(h, abs(t1 - t))
            h = way * max(h, 4 * ROUNDING * abs(t))
            for i in range(n):
                D[0, i], D[1, i] = y[i], h * f[i]
                for j in range(2, 8):
                    D[j, i] = 0.0
            order, equal = 1, 0
            fresh, made = False, 0.0  # whether the Jacobian is of this step; the c of the factors, 0 for none
            known, contraction, begun = False, 1.0, 2
        full = False
        if RICH:
            full = ledger[HITS] + rules.shape[0] * PARTS > hit_i.shape[0]
            full = full or (recording and ledger[RECORDS] == record_i.size)
        if budget <= 0 or full:
            keep[K_WHO], keep[K_T], keep[K_H], keep[K_SAVED], keep[K_ORDER] = who, t, h, saved, order
            keep[K_EQUAL], keep[K_WINS], keep[K_TRIES], keep[K_FRESH], keep[K_MADE] = equal, wins, tries, fresh, made
            keep[K_KNOWN], keep[K_CONTRACTION], keep[K_BORN], keep[K_SLOW] = known, contraction, born, slow
            keep[K_TOLD], keep[K_DONE], keep[K_LOOKS] = told, done, looks
            keep[K_BEGUN], keep[K_JACOBIANS] = begun, jacobians
            return 1
        budget -= 1
        end, changed = -1, 0
        if way * (t1 - t - h) <= 1e-9 * abs(h) and t + h != t1:
            rescale(D, order, (t1 - t) / h, U, piece)
            h = t1 - t
            equal = 0
        elif abs(h) < ROUNDING * abs(t) or abs(h) < 1e-300:
            # does the state change by much within the rounding of t? then it explodes
            end = STEP_UNDERFLOW
            for i in range(n):
                if not abs(D[1, i]) <= 1e-3 * abs(y[i]) + 1e3 * atol:
                    end = NONFINITE
        if end < 0 and tries >= max_steps:
            end = MAX_STEPS
        if end < 0 and monitor[1] != 0.0:
            end = INTERRUPTED
        if end < 0:
            tries += 1
            new = t1 if way * (t1 - t - h) <= 1e-9 * abs(h) else t + h
            gamma = 0.0
            for j in range(1, order + 1):
                gamma += 1.0 / j
            alpha = (1.0 - KAPPA[order]) * gamma
            c = h / alpha
            first = D[0]
            for i in range(n):
                start[i], psi[i] = first[i], 0.0
            harmonic = 0.0
            for j in range(1, order + 1):
                harmonic += 1.0 / j
                weight, differences = harmonic / alpha, D[j]
                for i in range(n):
                    start[i] += differences[i]
                    psi[i] += weight * differences[i]
            for i in range(n):
                scale[i] = atol + rtol * abs(start[i])
            at[0] = new
            solved, iterations = False, 0
            while True:
                if not krylov:
                    ratio = c / made if made > 0.0 else 0.0
                    if not 0.7 < ratio < 1.4 and wins - born > (5 if slow else AGE):
                        known = False
                    if not known:
                        for i in range(n):
                            y[i] = start[i]
                        jacobians += 1.0
                        if analytic:
                            jac(at, state, p, reals, ints, single, entries)
                        else:
                            rhs(at, state, p, reals, ints, single, slope)
                            jacobian(
                                rhs, new, h, y, f, parameters, reals, ints, rows, columns, colours, times, many, work,
                                values, floor, J,
                            )  # fmt: skip
                        known, fresh, ratio, born = True, True, 0.0, wins
                    if not 0.7 < ratio < 1.4:
                        for q in range(places.size):
                            factors[q] = 0.0
                        for q in range(columns.size):
                            factors[slots[q]] = -c * J[q]
                        for i in range(n):
                            factors[diagonal[i]] += 1.0
                        eliminate(starts, diagonal, places, factors, row)
                        made, contraction = c, 1.0
                correction = 1.0 if krylov else 2.0 / (1.0 + c / made)
                for i in range(n):
                    y[i], d[i] = start[i], 0.0
                old, solved, iterations = 0.0, False, 0
                while iterations < 4:
                    rhs(at, state, p, reals, ints, single, slope)
                    if krylov:
                        for i in range(n):
                            dy[i] = c * f[i] - psi[i] - d[i]
                        m_, e_ = flat(many), 0.1 * NEWTON
                        if not gmres(rhs, at, c, y, f, m_, p, reals, ints, single, values, dy, row, V, H_, scale, e_):
                            break
                    else:
                        for i in range(n):
                            k = order_of[i]
                            dy[i] = c * f[k] - psi[k] - d[k]
                        substitute(starts, diagonal, places, factors, dy)
                        for i in range(n):
                            row[order_of[i]] = correction * dy[i]
                    for i in range(n):
                        dy[i] = row[i]
                        row[i] = 0.0
                    iterations += 1
                    change_ = weighted(dy, scale)
                    if not change_ < np.inf:
                        break
                    if iterations > 1:
                        contraction = max(0.3 * contraction, change_ / old)
                        if contraction >= 1.0 and iterations > 2 or change_ > 2.0 * old:
                            break
                    for i in range(n):
                        d[i] += dy[i]
                        y[i] = start[i] + d[i]
                    if change_ * min(1.0, 1.5 * contraction) <= NEWTON or change_ == 0.0:
                        solved = True
                        break
                    old = change_
                if solved or fresh or krylov:
                    break
                known, made = False, 0.0  # try again with the Jacobian of this step
            factor = 0.5
            if solved:
                for i in range(n):
                    scale[i] = atol + rtol * max(abs(y[i]), abs(D[0, i]))
                error = STRICT * weighted(d, scale) * (KAPPA[order] * gamma + 1.0 / (order + 1))
                safety = 0.9 * 9.0 / (8.0 + iterations)
                if not error <= 1.0:
                    factor = max(0.2, safety * error ** (-1.0 / (order + 1))) if error < np.inf else 0.2
                    solved = False
            if not solved:
                rescale(D, order, factor, U, piece)
                h *= factor
                equal = 0
                if fresh and factor == 0.5:
                    known = False
                for i in range(n):
                    y[i] = D[0, i]
                continue
            wins += 1
            equal += 1
            slow = iterations > 2
            fresh = False
            newest, previous = D[order + 2], D[order + 1]
            for i in range(n):
                newest[i] = d[i] - previous[i]
                previous[i] = d[i]
            for j in range(order, -1, -1):
                newest, previous = D[j], D[j + 1]
                for i in range(n):
                    newest[i] += previous[i]
            cut = new
            if RICH and (recording or rules.shape[0] > 0):
                between(D, order, h, before, after, slopes)
                lane_rows[T, 0], lane_rows[H, 0], lane_rows[GROWN, 0] = t, h, new
                lane_rows[GOOD, 0], lane_rows[FORCED, 0] = 1.0, 0.0
                if rules.shape[0] > 0:
                    changed = find(
                        watch, change, reals, ints, powers, rules, before, after, first_, slopes, p, single, lane_rows, marks,
                        spot, spot_p, single, at, gauges, gauge_one, roots, state, counts, ledger, hit_i, hit_t, hit_x,
                    )  # fmt: skip
                    cut = lane_rows[GROWN, 0]
                if recording:
                    k = ledger[RECORDS]
                    record_i[k], record_t[k, 0], record_t[k, 1], record_t[k, 2] = who, t, h, cut
                    for i in range(n):
                        record_c[k, 0, i] = before[i, 0]
                        for power in range(5):
                            record_c[k, power + 1, i] = h * slopes[power, i, 0]
                    ledger[RECORDS] += 1
            while saved < times_each and way * own[saved] <= way * cut:
                when = own[saved]
                for i in range(n):
                    spot[i, 0] = D[0, i]
                weight = 1.0
                for j in range(order):
                    weight *= (when - (new - h * j)) / (h * (j + 1))
                    for i in range(n):
                        spot[i, 0] += weight * D[j + 1, i]
                if RICH and changed > 0 and when == cut:
                    for i in range(n):
                        spot[i, 0] = after[i, 0]
                if RICH and sums.shape[0] > 0:
                    gather(who, saved, own, sums, gauge, reference, reals, ints, spot, p, spot_out, single, at)
                for i in range(n if sums.shape[0] == 0 else 0):
                    x[who, saved, i] = spot[i, 0]
                saved += 1
            t = cut
            looks += 1
            if looks % LOOK == 0:
                share = done + (t - t0) / (t1 - t0)
                monitor[0] += (share - told) / total
                told = share
            if RICH and lane_rows[HALT, 0] > 0.0:
                end = EVENT
            elif way * t >= way * t1:
                end = OK
            elif changed > 0:
                for i in range(n):
                    y[i] = after[i, 0]
                begun = 1
            elif equal > order:
                best, wish, gain = 0, 0.0, 0.0
                for change_of in range(-1, 2):
                    k = order + change_of
                    if 1 <= k <= 5:
                        harmonic = 0.0
                        for j in range(1, k + 1):
                            harmonic += 1.0 / j
                        for i in range(n):
                            dy[i] = D[k + 1, i]
                        size = STRICT * weighted(dy, scale) * (KAPPA[k] * harmonic + 1.0 / (k + 1))
                        gain = (size + 1e-30) ** (-1.0 / (k + 1))
                        if gain > wish:
                            best, wish = change_of, gain
                factor = min(10.0, safety * wish)
                if factor >= 1.2 or factor < 0.9 or (best != 0 and factor >= 1.0):
                    order += best
                    rescale(D, order, factor, U, piece)
                    h *= factor
                    equal = 0
        if end >= 0:
            status[who], t_stop[who], accepted[who], rejected[who] = end, t, wins, tries - wins
            formed[who] = int(jacobians)
            jacobians = 0.0
            done += 1.0
            monitor[0] += (done - told) / total
            told = done
            who += 1
            begun = 0
    keep[K_WHO], keep[K_BEGUN] = who, begun
    return 0


_HEAD = """
import numpy as np
from numba import float64, int64, int8, njit
from dynet.engine.bdf_driver import (
    AGE, K_BEGUN, K_BORN, K_CONTRACTION, K_DONE, K_EQUAL, K_FRESH, K_H, K_JACOBIANS, K_KNOWN, K_LOOKS, K_MADE,
    K_ORDER, K_SAVED, K_SLOW, K_T, K_TOLD, K_TRIES, K_WHO, K_WINS, KAPPA, KRYLOV, NEWTON, STRICT,
)
from dynet.engine.block import FASTMATH, RHS_TYPE, bare, flat, window
from dynet.engine.control import (
    EVENT, FORCED, GOOD, GROWN, H, HALT, HITS, INTERRUPTED, LOOK, MAX_STEPS, NONFINITE, OK, OWNER, RECORDS, ROUNDING, SKIP,
    STEP_UNDERFLOW, T, gather,
)
from dynet.engine.differences import between, eliminate, gmres, jacobian, rescale, substitute, weighted
from dynet.engine.events import PARTS, find

RICH = {rich}
"""

_TAIL = """
_v, _m, _c, _i, _im = float64[::1], float64[:, ::1], float64[:, :, ::1], int64[::1], int64[:, ::1]
drive = njit(
    int64(RHS_TYPE, RHS_TYPE, RHS_TYPE, RHS_TYPE, RHS_TYPE, _v, _i, _m, _m, _v, _v, _i, _i, _i, _i, _i, _i,
          _i, _i, _v, _v, _i, _v, _i, _c, _c, _c, int8[::1], _v, _i, _i, _i,
          _i, _m, _c, _im, _m, _im, _c, _c, _m, _c, _m, _v, _im, _m,
          _im, _v, _m),
    cache=True, nogil=True, fastmath=FASTMATH, error_model="numpy", no_cfunc_wrapper=True,
)(drive)
"""


@functools.cache
def driver(rich=False):
    """The compiled loop, or the one that also looks for events, notes steps and gathers summaries."""
    return codegen.module(_HEAD.format(rich=rich), drive, _TAIL, tag="bdf").drive
