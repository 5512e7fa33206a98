r"""The loops of a training step that matrix products leave over, for samples in the rows of arrays.

A layer of rectifiers :math:`x = \max(0, (A + [a])x + c)` with its diagonal a < 1 apart is swept by

.. math:: x_i \leftarrow \max(0, v_i + c_i) / (1 - a_i), \qquad v = A x,

which solves each unit's own term exactly. The product v is a library's; everything after it is one pass here, which
also gives the true residual :math:`|x_i - \max(0, v_i + a_i x_i + c_i)|` of the state that the sweep started from. The
same for the adjoint, and for the two ends of an interval of states, which are carried as middle and radius: then a
sweep of the mixed-monotone embedding costs two products of the layer's size, not four.

The largest residual is found by comparing the bits of floats as whole numbers: for numbers that are not negative the
order is the same, it takes a vector unit, and a NaN is larger than everything instead of invisible.
"""

from __future__ import annotations

import functools

import numpy as np

from . import codegen

__all__ = ["kernels", "worst_gap"]

_HEAD = """
from math import sqrt
import numpy as np
from numba import njit

how = dict(cache=True, nogil=True, fastmath={"contract", "nsz", "arcp"}, error_model="numpy")
"""


def largest(values):
    """The largest of the bits of an array of integers."""
    found = values[0, 0]
    for s in range(values.shape[0]):
        row = values[s]
        for i in range(row.size):
            found = max(found, row[i])
    return found


def sweep(v, c, x, a, gap):
    """``x = max(0, v + c) / (1 - a)``, and in `gap` the residual of the old x."""
    zero, one = v.dtype.type(0), v.dtype.type(1)
    for s in range(x.shape[0]):
        vs, cs, xs, gs = v[s], c[s], x[s], gap[s]
        for i in range(a.size):
            total, old = vs[i] + cs[i], xs[i]
            there = total + a[i] * old
            gs[i] = abs(old - (there if there > zero else zero))
            xs[i] = (total if total > zero else zero) / (one - a[i])


def adjoint(v, g, x, a, w, gap):
    """``w = [x > 0] (g + v) / (1 - a)``, and in `gap` the change of w."""
    zero, one = v.dtype.type(0), v.dtype.type(1)
    for s in range(x.shape[0]):
        vs, gs, xs, ws, ds = v[s], g[s], x[s], w[s], gap[s]
        for i in range(a.size):
            new = (gs[i] + vs[i]) / (one - a[i]) if xs[i] > zero else zero
            ds[i] = abs(new - ws[i])
            ws[i] = new


def interval(vm, vr, cm, cr, lo, hi, middle, radius, a, gap):
    """A sweep of both ends of intervals; `vm`, `vr` are A times the middle and |A| times the radius."""
    zero, half, one = vm.dtype.type(0), vm.dtype.type(0.5), vm.dtype.type(1)
    for s in range(lo.shape[0]):
        m, r, p, q, ls, hs, gs = vm[s], vr[s], cm[s], cr[s], lo[s], hi[s], gap[s]
        ms, rs = middle[s], radius[s]
        for i in range(a.size):
            center, wide = m[i] + p[i], r[i] + q[i]
            below, above = center - wide, center + wide
            low_there, high_there = below + a[i] * ls[i], above + a[i] * hs[i]
            low_gap = abs(ls[i] - (low_there if low_there > zero else zero))
            high_gap = abs(hs[i] - (high_there if high_there > zero else zero))
            gs[i] = low_gap + high_gap
            low = (below if below > zero else zero) / (one - a[i])
            high = (above if above > zero else zero) / (one - a[i])
            ls[i], hs[i] = low, high
            ms[i], rs[i] = half * (low + high), half * (high - low)


def interval_adjoint(vm, vr, gm, gr, lo, hi, a, wl, wh, pm, pr, gap):
    """The adjoint of :func:`interval`: `gm`, `gr` belong to middle and radius, `wl`, `wh` to the two ends."""
    zero, half, one = vm.dtype.type(0), vm.dtype.type(0.5), vm.dtype.type(1)
    for s in range(lo.shape[0]):
        m, r, p, q, ls, hs, gs = vm[s], vr[s], gm[s], gr[s], lo[s], hi[s], gap[s]
        lows, highs, ms, rs = wl[s], wh[s], pm[s], pr[s]
        for i in range(a.size):
            dm, dr = m[i] + p[i], r[i] + q[i]
            low = half * (dm - dr) / (one - a[i]) if ls[i] > zero else zero
            high = half * (dm + dr) / (one - a[i]) if hs[i] > zero else zero
            gs[i] = abs(low - lows[i]) + abs(high - highs[i])
            lows[i], highs[i] = low, high
            ms[i], rs[i] = low + high, high - low


def worst(c, d, labels, middle, radius, y):
    """Relative worst-case outputs: ``y[s, j]`` is the largest y_j - y_t over the interval of sample s, t its label."""
    for s in range(labels.size):
        t, ms, rs = labels[s], middle[s], radius[s]
        for j in range(c.shape[0]):
            total = d[j] - d[t]
            for i in range(c.shape[1]):
                w = c[j, i] - c[t, i]
                total += w * ms[i] + abs(w) * rs[i]
            y[s, j] = total


def worst_adjoint(c, labels, middle, radius, g, gm, gr, gc, gd):
    """The adjoint of :func:`worst`; `gm`, `gr` are set, `gc`, `gd` added to."""
    zero = c.dtype.type(0)
    for s in range(labels.size):
        t, ms, rs, ps, qs = labels[s], middle[s], radius[s], gm[s], gr[s]
        for i in range(c.shape[1]):
            ps[i], qs[i] = zero, zero
        for j in range(c.shape[0]):
            if j != t:
                e = g[s, j]
                gd[j] += e
                gd[t] -= e
                for i in range(c.shape[1]):
                    w = c[j, i] - c[t, i]
                    sign = c.dtype.type(w > zero) - c.dtype.type(w < zero)
                    ps[i] += e * w
                    qs[i] += e * abs(w)
                    change = e * (ms[i] + sign * rs[i])
                    gc[j, i] += change
                    gc[t, i] -= change


def adam(p, g, m, v, rate, beta1, beta2, scale1, scale2, small, shrink):
    """One step of Adam on flat arrays; `scale` undoes the bias of the moments, `shrink` is the decay of the weights."""
    one = p.dtype.type(1)
    for i in range(p.size):
        m[i] = beta1 * m[i] + (one - beta1) * g[i]
        v[i] = beta2 * v[i] + (one - beta2) * g[i] * g[i]
        p[i] = shrink * p[i] - rate * (m[i] * scale1) / (np.sqrt(v[i] * scale2) + small)


def follow(q, p, share):
    """Move the average q by a share of the way to p."""
    for i in range(p.size):
        q[i] += share * (p[i] - q[i])


_LOOPS = (largest, sweep, adjoint, interval, interval_adjoint, worst, worst_adjoint, adam, follow)
_TAIL = "\n".join(f"{loop.__name__} = njit(**how)({loop.__name__})" for loop in _LOOPS)


@functools.cache
def kernels():
    """The compiled loops of this module, as a module; each compiles at its first use in single or double precision.

    Examples
    --------
    >>> import numpy as np
    >>> x, gap = np.zeros((1, 1)), np.zeros((1, 1))
    >>> kernels().sweep(np.zeros((1, 1)), np.array([[2.0]]), x, np.array([-1.0]), gap)
    >>> x, gap
    (array([[1.]]), array([[2.]]))
    """
    return codegen.module(_HEAD, *_LOOPS, _TAIL, tag="training")


def worst_gap(gap):
    """The largest entry of an array of numbers that are not negative; NaN where there is one."""
    whole = np.int32 if gap.dtype == np.float32 else np.int64
    return float(whole(kernels().largest(gap.view(whole))).view(gap.dtype))
