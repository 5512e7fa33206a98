"""The loop of the numerical differentiation formulas (see :mod:`dynet.engine.bdf`): one trajectory after the other."""

# ruff: noqa: F821 (the names in the source that is copied are bound in the generated module)

from __future__ import annotations

import functools

from . import codegen

__all__ = ["driver"]

KAPPA = (0.0, -0.1850, -1 / 9, -0.0823, -0.0415, 0.0)
AGE = 20  # steps after which a Jacobian is evaluated again when the matrix must be eliminated anyway
KRYLOV = 12  # directions of GMRES
NEWTON = 0.05  # where Newton's iteration stops, in units of the tolerance


def drive(
    rhs, reals, ints, y0, p0, numbers, save, rows, columns, colours, order_of, starts, diagonal, places, slots, room,
    monitor, sizes, x, status, t_stop, accepted, rejected,
):  # fmt: skip
    reals, ints, room = bare(reals), bare(ints), bare(room)
    t0, t1, rtol, atol = numbers[0], numbers[1], numbers[2], numbers[3]
    total, max_steps, krylov = numbers[4], numbers[5], numbers[6] != 0.0
    batch, n = y0.shape
    npar, inner, wide = p0.shape[1], sizes[0], sizes[1]
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
    J = flat(window(room, used, 1, columns.size))
    used += columns.size
    V = window(room, used, KRYLOV + 1, n)
    used += (KRYLOV + 1) * n
    H = window(room, used, KRYLOV + 5, KRYLOV + 2)
    used += (KRYLOV + 5) * (KRYLOV + 2)
    U, piece = window(room, used, 18, 6), window(room, used + 18 * 6, 6, 64)
    used += 18 * 6 + 6 * 64
    state, slope = window(room, used, n, 1), window(room, used + n, n, 1)
    used += 2 * n
    vectors = window(room, used, 6, n)
    y, f = flat(state), flat(slope)
    start, psi, d, dy, scale, row = vectors[0], vectors[1], vectors[2], vectors[3], vectors[4], vectors[5]
    floor = min(atol, 1e-6)
    gamma, told, done, looks = 0.0, 0.0, 0.0, 0
    way = 1.0 if t1 > t0 else -1.0
    at = flat(window(room, used + 6 * n, 1, 1))
    p = window(room, used + 6 * n + 1, npar, 1)
    for who in range(batch):
        if monitor[1] != 0.0:
            status[who] = INTERRUPTED
            continue
        for i in range(npar):
            p[i, 0] = p0[who, i]
            for lane in range(wide):
                parameters[i, lane] = p0[who, i]
        t, saved, end = t0, 0, -1
        for i in range(n):
            y[i] = y0[who, i]
            scale[i] = atol + rtol * abs(y[i])
        while saved < save.size and save[saved] == t0:
            for i in range(n):
                x[who, saved, i] = y[i]
            saved += 1
        at[0] = t
        rhs(at, state, p, reals, ints, single, slope)
        size, speed = weighted(y, scale), weighted(f, scale)
        h = 0.01 * size / speed if size > 1e-5 and speed > 1e-5 else 1e-6
        h = min(min(h, 1.0 / speed), abs(t1 - t0)) if 0.0 < speed < np.inf else min(h, abs(t1 - t0))
        h = way * max(h, 4 * ROUNDING * abs(t0))
        for i in range(n):
            D[0, i], D[1, i] = y[i], h * f[i]
            for j in range(2, 8):
                D[j, i] = 0.0
        order, equal, wins, tries = 1, 0, 0, 0
        fresh, made = False, 0.0  # whether the Jacobian is of this step; the c of the factors, 0 for none
        known, contraction, born, slow = False, 1.0, 0, False
        while end < 0:
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
                break
            if tries >= max_steps:
                end = MAX_STEPS
                break
            if monitor[1] != 0.0:
                end = INTERRUPTED
                break
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
                        rhs(at, state, p, reals, ints, single, slope)
                        jacobian(
                            rhs,
                            new,
                            h,
                            y,
                            f,
                            parameters,
                            reals,
                            ints,
                            rows,
                            columns,
                            colours,
                            times,
                            many,
                            work,
                            values,
                            floor,
                            J,
                        )
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
                        many_column = flat(many)
                        if not gmres(
                            rhs,
                            at,
                            c,
                            y,
                            f,
                            many_column,
                            p,
                            reals,
                            ints,
                            single,
                            values,
                            dy,
                            row,
                            V,
                            H,
                            scale,
                            0.1 * NEWTON,
                        ):
                            break
                        for i in range(n):
                            dy[i] = row[i]
                            row[i] = 0.0
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
                    change = weighted(dy, scale)
                    if not change < np.inf:
                        break
                    if iterations > 1:
                        contraction = max(0.3 * contraction, change / old)
                        if contraction >= 1.0 and iterations > 2 or change > 2.0 * old:
                            break
                    for i in range(n):
                        d[i] += dy[i]
                        y[i] = start[i] + d[i]
                    if change * min(1.0, 1.5 * contraction) <= NEWTON or change == 0.0:
                        solved = True
                        break
                    old = change
                if solved or fresh or krylov:
                    break
                known, made = False, 0.0  # try again with the Jacobian of this step
            factor = 0.5
            if solved:
                for i in range(n):
                    scale[i] = atol + rtol * max(abs(y[i]), abs(D[0, i]))
                error = weighted(d, scale) * (KAPPA[order] * gamma + 1.0 / (order + 1))
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
            newest, before = D[order + 2], D[order + 1]
            for i in range(n):
                newest[i] = d[i] - before[i]
                before[i] = d[i]
            for j in range(order, -1, -1):
                newest, before = D[j], D[j + 1]
                for i in range(n):
                    newest[i] += before[i]
            while saved < save.size and way * save[saved] <= way * new:
                for i in range(n):
                    x[who, saved, i] = D[0, i]
                weight = 1.0
                for j in range(order):
                    weight *= (save[saved] - (new - h * j)) / (h * (j + 1))
                    for i in range(n):
                        x[who, saved, i] += weight * D[j + 1, i]
                saved += 1
            t = new
            looks += 1
            if looks % LOOK == 0:
                share = done + (t - t0) / (t1 - t0)
                monitor[0] += (share - told) / total
                told = share
            if way * t >= way * t1:
                end = OK
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
                        size = weighted(dy, scale) * (KAPPA[k] * harmonic + 1.0 / (k + 1))
                        gain = (size + 1e-30) ** (-1.0 / (k + 1))
                        if gain > wish:
                            best, wish = change_of, gain
                factor = min(10.0, safety * wish)
                if factor >= 1.2 or factor < 0.9 or (best != 0 and factor >= 1.0):
                    order += best
                    rescale(D, order, factor, U, piece)
                    h *= factor
                    equal = 0
        status[who] = end
        t_stop[who] = t
        accepted[who] = wins
        rejected[who] = tries - wins
        done += 1.0
        monitor[0] += (done - told) / total
        told = done


_HEAD = """
import numpy as np
from numba import float64, int64, int8, njit, types, void
from dynet.engine.bdf_driver import AGE, KAPPA, KRYLOV, NEWTON
from dynet.engine.control import INTERRUPTED, LOOK, MAX_STEPS, NONFINITE, OK, ROUNDING, STEP_UNDERFLOW
from dynet.engine.block import FASTMATH, RHS_TYPE, bare, flat, window
from dynet.engine.differences import eliminate, gmres, jacobian, rescale, substitute, weighted
"""

_TAIL = """
_vector, _matrix, _index = float64[::1], float64[:, ::1], int64[::1]
drive = njit(
    void(RHS_TYPE, _vector, _index, _matrix, _matrix, _vector, _vector, _index, _index, _index, _index, _index, _index,
         _index, _index, _vector, _vector, _index, float64[:, :, ::1], int8[::1], _vector, _index, _index),
    cache=True, nogil=True, fastmath=FASTMATH, error_model="numpy",
)(drive)
"""


@functools.cache
def driver():
    """The compiled loop."""
    return codegen.module(_HEAD, drive, _TAIL, tag="bdf").drive
