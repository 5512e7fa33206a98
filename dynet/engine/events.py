r"""Events: where within a step a function :math:`g(t, x)` of the states changes its sign.

After every step g is evaluated at five places of the step, the inner ones on the dense output, so that a pair of crossings
within one step is seen unless both lie in the same quarter. Each change of sign is narrowed down on the dense output, by
the Illinois variant of the secant rule, to the rounding of the step; the time that is reported lies just after the
crossing. A terminal event ends the trajectory there; an event with a change of state replaces the state there, and the
integration goes on from it.

References
----------
Shampine, Thompson, Event location for ordinary differential equations, Computers and Mathematics with Applications 39, 2000.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .block import FASTMATH
from .control import AT, FORCED, GOOD, GROWN, HALT, HITS, OWNER, SKIP, H, T

__all__ = ["find", "renew"]

PARTS = 4
# A rule is a row of integers: direction (-1, 0, 1), occurrence that ends the trajectory (0 for none), changes the state (0, 1).
DIRECTION, ENDS, CHANGES = range(3)

_plain = njit(fastmath=FASTMATH, error_model="numpy")


@_plain
def place(theta, lane, h, y, slopes, dense, spot):
    """The state at the part theta of a lane's step."""
    n = y.shape[0]
    for i in range(n):
        spot[i, 0] = y[i, lane]
    for s in range(dense.shape[0]):
        weight = 0.0
        for power in range(dense.shape[1] - 1, -1, -1):
            weight = (weight + dense[s, power]) * theta
        for i in range(n):
            spot[i, 0] += h * weight * slopes[s, i, lane]


@_plain
def crosses(left, right, direction):
    up = (left < 0.0) & (right >= 0.0)
    down = (left > 0.0) & (right <= 0.0)
    return (up & (direction >= 0)) | (down & (direction <= 0))


@_plain
def find(
    watch, change, reals, ints, dense, rules, y, z, first, slopes, p, work, rows, marks, spot, spot_p,
    spot_work, spot_t, gauges, gauge_one, roots, fresh, counts, ledger, hit_i, hit_t, hit_x,
):  # fmt: skip
    """Find the events of the last step in all lanes; where one ends or changes a trajectory, `z` and its time are cut there.

    `gauges` has the shape (PARTS + 1, events, lanes), `gauge_one` (events, 1), `roots` (events,), `fresh` (n, 1).
    """
    n, lanes = y.shape
    events, npar = rules.shape[0], p.shape[0]
    t, h, grown, at = rows[T], rows[H], rows[GROWN], rows[AT]
    owner, good, forced = marks[OWNER], rows[GOOD], rows[FORCED]
    watch(t, y, p, reals, ints, work, gauges[0])
    watch(grown, z, p, reals, ints, work, gauges[PARTS])
    for part in range(1, PARTS):
        theta = part / PARTS
        for lane in range(lanes):
            at[lane] = t[lane] + theta * h[lane]
        for i in range(n):
            for lane in range(lanes):
                first[i, lane] = y[i, lane]
        for s in range(dense.shape[0]):
            weight = 0.0
            for power in range(dense.shape[1] - 1, -1, -1):
                weight = (weight + dense[s, power]) * theta
            for i in range(n):
                for lane in range(lanes):
                    first[i, lane] += h[lane] * weight * slopes[s, i, lane]
        watch(at, first, p, reals, ints, work, gauges[part])
    changed = 0
    for lane in range(lanes):
        if good[lane] == 0.0 or owner[lane] < 0 or forced[lane] > 0.0:
            continue
        if marks[SKIP, lane] >= 0:  # the last step ended on this event: it starts from zero, whatever its rounding
            gauges[0, marks[SKIP, lane], lane] = 0.0
            marks[SKIP, lane] = -1
        who, begin, step = owner[lane], t[lane], h[lane]
        for i in range(npar):
            spot_p[i, 0] = p[i, lane]
        over = False
        for part in range(PARTS):
            if over:
                break
            for e in range(events):
                roots[e] = np.inf
                left, right = gauges[part, e, lane], gauges[part + 1, e, lane]
                if crosses(left, right, rules[e, DIRECTION]):
                    a, b, fa, fb = part / PARTS, (part + 1) / PARTS, left, right
                    side = 0
                    for _ in range(100):
                        if fb == 0.0 or b - a <= 4e-16 * abs(b) + 1e-15 * abs(begin / step):
                            break
                        middle = b - fb * (b - a) / (fb - fa)
                        if not (middle > a and middle < b):
                            middle = 0.5 * (a + b)
                        place(middle, lane, step, y, slopes, dense, spot)
                        spot_t[0] = begin + middle * step
                        watch(spot_t, spot, spot_p, reals, ints, spot_work, gauge_one)
                        value = gauge_one[e, 0]
                        if (value > 0.0) == (right > 0.0) or value == 0.0:
                            b, fb = middle, value
                            fa = 0.5 * fa if side == 1 else fa
                            side = 1
                        else:
                            a, fa = middle, value
                            fb = 0.5 * fb if side == -1 else fb
                            side = -1
                    roots[e] = b
            while True:
                e = -1
                for candidate in range(events):
                    if roots[candidate] < np.inf and (e < 0 or roots[candidate] < roots[e]):
                        e = candidate
                if e < 0:
                    break
                theta = roots[e]
                roots[e] = np.inf
                when = begin + theta * step if theta < 1.0 else grown[lane]
                if theta < 1.0:
                    place(theta, lane, step, y, slopes, dense, spot)
                else:
                    for i in range(n):
                        spot[i, 0] = z[i, lane]
                k = ledger[HITS]
                hit_i[k, 0], hit_i[k, 1], hit_t[k] = who, e, when
                for i in range(n):
                    hit_x[k, i] = spot[i, 0]
                ledger[HITS] += 1
                counts[who, e] += 1
                ends = rules[e, ENDS] > 0 and counts[who, e] >= rules[e, ENDS]
                if ends or rules[e, CHANGES] > 0:
                    grown[lane] = when
                    for i in range(n):
                        z[i, lane] = spot[i, 0]
                    if ends:
                        rows[HALT, lane] = 1.0
                    marks[SKIP, lane] = e
                    changed += 1 if rules[e, CHANGES] > 0 else 0
                    over = True
                    break
    if changed == 0:
        return 0
    for lane in range(lanes):
        if marks[SKIP, lane] >= 0 and rules[marks[SKIP, lane], CHANGES] > 0 and good[lane] > 0.0 and owner[lane] >= 0:
            for i in range(n):
                spot[i, 0] = z[i, lane]
            for i in range(npar):
                spot_p[i, 0] = p[i, lane]
            spot_t[0] = grown[lane]
            spot_work[0, 0] = float(marks[SKIP, lane])
            change(spot_t, spot, spot_p, reals, ints, spot_work, fresh)
            for i in range(n):
                z[i, lane] = fresh[i, 0]
    return changed


@_plain
def renew(rhs, reals, ints, rules, z, first, slopes, last, p, work, rows, marks):
    """The slopes of the lanes whose state has just been replaced; later than `find`, because saving needs the old ones."""
    rhs(rows[GROWN], z, p, reals, ints, work, first)
    for lane in range(z.shape[1]):
        e = marks[SKIP, lane]
        if e >= 0 and rules[e, CHANGES] > 0 and rows[GOOD, lane] > 0.0 and marks[OWNER, lane] >= 0:
            for i in range(z.shape[0]):
                slopes[last, i, lane] = first[i, lane]
