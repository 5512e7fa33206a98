"""The text of the block that :mod:`dynet.fields.nodes` fills in: tables, sums over nodes, sums over edges.

Names that end with an underscore are flat arrays and numbers of the template; the words in braces are filled in. ``U_`` makes
an index unsigned, because Numba's code for negative indices stops the vectorisation of the loop around it.
"""

# ruff: noqa: E501  (lines of a template have the length that its words give them)

HEAD = """
import math
import numpy as np
from numba import cfunc, njit
from numpy import uint64 as U_
from dynet import math as fast
from dynet.engine.block import FASTMATH, RHS, flat, small
from dynet.fields.waves import evaluate
"""

HALVE = """
@njit(fastmath=FASTMATH, error_model="numpy")
def _halve(s_, at, count, lanes):
    half = 1
    while half < count:
        half *= 2
    while half > 1:
        half //= 2
        for r in range((count - half) * lanes):
            s_[U_(at + r)] += s_[U_(at + half * lanes + r)]
        count = min(count, half)
"""

BLOCK = """
@cfunc(RHS, cache=True, fastmath=FASTMATH, error_model="numpy")
def rhs(t, y, p, reals, ints, work, out):
    x_, p_, w_, out_, e_, g_ = flat(y), flat(p), flat(work), flat(out), flat(reals), flat(ints)
    lanes = y.shape[1]
    nodes = g_[0]
    phase, first, last, me, turn = 0, 0, nodes, 0, 0
    if t.size > lanes:
        phase, first, last, me, turn = int(t[lanes]), int(t[lanes + 1]), int(t[lanes + 2]), int(t[lanes + 3]), int(t[lanes + 4])
    groups = (nodes + {GROUP} - 1) // {GROUP}
    u_rows = g_[1]
    table = turn * nodes * {M} * lanes
    partial = (2 * nodes * {M} + turn * groups * {MG}) * lanes
    uo = (2 * nodes * {M} + 2 * groups * {MG}) * lanes
    private = uo + (u_rows + me * {private}) * lanes
    ptr, idx, uniform, weight = g_[4], g_[5], g_[6] != 0, g_[7]
    w0 = e_[0]
{offsets}
{driven}
    if phase <= 1:
        if lanes == 1:
            for i in range(first, last):
                _table(i, x_, i * {d}, 1, p_, 0, 1, w_, table + i * {M}, 1{args})
        else:
            for i in range(first, last):
                for q in range(lanes):
                    _table(i, x_, i * {d} * lanes + q, lanes, p_, q, lanes, w_, table + i * {M} * lanes + q, lanes{args})
{partials}
    if phase == 1:
        return
{totals}
    if phase == 2:
        return
{sums}
"""

DRIVEN = """
    if phase == 0:
        if g_[3] < 0:
            for q in range(u_rows * lanes):
                w_[U_(uo + q)] = 0.0
        else:
            evaluate(t[:lanes], p, reals[g_[2]:], ints[g_[3]:], work[uo // lanes : uo // lanes + u_rows])
"""

PARTIALS = """
        for c in range(first // {GROUP}, (last + {GROUP} - 1) // {GROUP}):
            for r in range(8 * {M} * lanes):
                w_[U_(private + r)] = 0.0
            for i in range(c * {GROUP}, min(last, (c + 1) * {GROUP}), 8):
                start, span = table + i * {M} * lanes, min(8, last - i) * {M} * lanes
                for r in range(span):
                    w_[U_(private + r)] += w_[U_(start + r)]
            step = {M} * lanes
            for r in range(step):
                low = (w_[U_(private + r)] + w_[U_(private + step + r)]) + (w_[U_(private + 2 * step + r)] + w_[U_(private + 3 * step + r)])
                high = (w_[U_(private + 4 * step + r)] + w_[U_(private + 5 * step + r)]) + (w_[U_(private + 6 * step + r)] + w_[U_(private + 7 * step + r)])
                w_[U_(partial + c * step + r)] = low + high
"""

TOTALS = """
    for r in range({M} * lanes):
        w_[U_(private + r)] = 0.0
    for c in range(groups):
        for r in range({M} * lanes):
            w_[U_(private + r)] += w_[U_(partial + c * {M} * lanes + r)]
"""

# One trajectory: the sums of PANEL nodes, then the node function for all of them; several: node by node.
SUMS = """
    acc = private + {M8} * lanes
    table_u, idx_u, weight_u = U_(table), U_(idx), U_(weight)
    if lanes == 1:
        for i0 in range(first, last, {PANEL}):
            i1 = min(last, i0 + {PANEL})
            for i in range(i0, i1):
                {zeros}
                q0, q1 = small(g_, U_(ptr + i)), small(g_, U_(ptr + i + 1))
                if uniform:
                    for q in range(q0, q1):
                        j = table_u + small(g_, idx_u + q)
                        {plain}
                    {scaled}
                else:
                    for q in range(q0, q1):
                        j = table_u + small(g_, idx_u + q)
                        {weighted}
                {store}
            for i in range(i0, i1):
                a = {loads}
                s = _mix(i, x_, i * {d}, 1, p_, 0, 1, w_, table + i * {M}, 1, a{args})
                _node(t[0], i, x_, i * {d}, 1, s, w_, uo + i * {inputs}, 1, p_, 0, 1, out_, i * {d}, 1{args})
    else:
        for i in range(first, last):
            for r in range({R} * lanes):
                w_[U_(acc + r)] = 0.0
            for q in range(int(small(g_, U_(ptr + i))), int(small(g_, U_(ptr + i + 1)))):
                j = table + int(small(g_, U_(idx + q))) * lanes
                if uniform:
                    for r in range(lanes):
                        {plain_lanes}
                else:
                    for r in range(lanes):
                        {weighted_lanes}
            if uniform:
                for r in range({R} * lanes):
                    w_[U_(acc + r)] *= w0
            for q in range(lanes):
                a = {loads_lanes}
                s = _mix(i, x_, i * {d} * lanes + q, lanes, p_, q, lanes, w_, table + i * {M} * lanes + q, lanes, a{args})
                _node(t[q], i, x_, i * {d} * lanes + q, lanes, s, w_, uo + i * {inputs} * lanes + q, lanes, p_, q, lanes, out_, i * {d} * lanes + q, lanes{args})
"""

ALL = """
    if lanes == 1:
        for i in range(first, last):
            a = {all_single}
            s = _mix(i, x_, i * {d}, 1, p_, 0, 1, w_, table + i * {M}, 1, a{args})
            _node(t[0], i, x_, i * {d}, 1, s, w_, uo + i * {inputs}, 1, p_, 0, 1, out_, i * {d}, 1{args})
    else:
        for i in range(first, last):
            for q in range(lanes):
                a = {all_lanes}
                s = _mix(i, x_, i * {d} * lanes + q, lanes, p_, q, lanes, w_, table + i * {M} * lanes + q, lanes, a{args})
                _node(t[q], i, x_, i * {d} * lanes + q, lanes, s, w_, uo + i * {inputs} * lanes + q, lanes, p_, q, lanes, out_, i * {d} * lanes + q, lanes{args})
"""

PAIRS = """
    z = private
    sums = z + {d} * {RUN} * lanes
    v = sums + {c} * lanes
    for i in range(first, last):
        for r in range({c} * lanes):
            w_[U_(sums + r)] = 0.0
        start, stop = {bounds}
        while start < stop:
            count = min({RUN}, stop - start)
            if lanes == 1:
                {gather}
                for r in range((count + 7) // 8 * 8):  # a whole number of vectors
                    _edge(start + r, x_, i * {d}, 1, w_, {yo}, {ys}, p_, 0, 1, e_, w_, v + r, {RUN}{args})
            else:
                for r in range(count):
                    for q in range(lanes):
                        _edge(start + r, x_, i * {d} * lanes + q, lanes, w_, {yo_lanes}, lanes, p_, q, lanes, e_, w_, v + r * lanes + q, {RUN} * lanes{args})
            for k in range({c}):
                at = v + k * {RUN} * lanes
                {adjust}
                _halve(w_, at, count, lanes)
                for q in range(lanes):
                    w_[U_(sums + k * lanes + q)] += w_[U_(at + q)]
            start += count
        if uniform:
            for r in range({c} * lanes):
                w_[U_(sums + r)] *= w0
        for q in range(lanes):
            s = {loads_pairs}
            _node(t[q], i, x_, i * {d} * lanes + q, lanes, s, w_, uo + i * {inputs} * lanes + q, lanes, p_, q, lanes, out_, i * {d} * lanes + q, lanes{args})
"""

GATHER = """for r in range(count):
                    for k in range({d}):
                        w_[U_(z + k * {RUN} + r)] = w_[U_(table + int(small(g_, U_(idx + start + r))) + k)]"""

WEIGH = """if not uniform:
                    for r in range(count):
                        for q in range(lanes):
                            w_[U_(at + r * lanes + q)] *= e_[U_(weight + start + r)]"""

SKIP_SELF = """if start <= i < start + count:
                    for q in range(lanes):
                        w_[U_(at + (i - start) * lanes + q)] = 0.0"""
