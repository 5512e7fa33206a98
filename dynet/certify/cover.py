r"""Covers: a region cut into boxes until the bound on the log norm is tight enough, one cover for each row of the Jacobian.

For l-infinity the bound :math:`\max_i \sup_x (\lceil DF(x)\rceil\eta)_i/\eta_i` looks at one row at a time, and a row
often depends on few states; so each row has boxes of its own (for l1 each column). In each round the weights are improved
for the boxes at hand (policy iteration: for each row the worst box, then the Perron vector), and the boxes whose quotient is
close to the largest are halved, along the state that helps most. Rows at single points of the region bound from below what
any weights can reach, and tell when to stop.

Nothing here is believed: what is used of a cover are its enclosures, which hold by themselves, and the weights.

References
----------
Moore, Kearfott, Cloud, Introduction to Interval Analysis, SIAM, 2009 (branch and bound).
Davydov, Proskurnikov, Bullo, Non-Euclidean contractivity of recurrent neural networks, arXiv:2110.08298 (the policies).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..fields.derivative import enclose_function
from ..linalg.metzler import perron

__all__ = ["Cover", "cover", "packed"]

_WORST = 64  # boxes that are halved in one round
_AXES = 4  # states along which a box is halved on trial
_SAMPLES = 128  # points that are evaluated in one round for the lower bound


class Cover(NamedTuple):
    """Enclosures of rows (or columns) of the Jacobian, the weights found for them, and bounds.

    Attributes
    ----------
    row : ndarray of int, shape (k,)
        Which row (column) each piece is about; the pieces of a row cover the region.
    low, high : ndarray, shape (k, n)
        Bounds on its entries.
    eta : ndarray, shape (n,)
    upper, lower : float
        In floating point: the largest quotient of a piece, and what no weights can improve on (proven by points, up to
        rounding).
    why : str
        What went wrong where a piece has no bound.
    evaluations : int
    """

    row: np.ndarray
    low: np.ndarray
    high: np.ndarray
    eta: np.ndarray
    upper: float
    lower: float
    why: str
    evaluations: int


def cover(model, region, p, *, eta=None, tol=1e-3, target=-math.inf, budget=20_000, u=None):
    """Cover a region for the rows (p = inf) or columns (p = 1) of a function's Jacobian.

    Parameters
    ----------
    model : FunctionField
    region : Region
    p : 1 or inf
    eta : ndarray, shape (n,), optional
        Weights to keep; searched when None.
    tol : float
        Gap between the bounds, relative to one plus their size, at which to stop.
    target : float
        Stop as soon as the upper bound is at most this.
    budget : int
        How many boxes may be evaluated.
    u : pair of ndarray, optional
        Bounds on the input; any input when None.

    Returns
    -------
    Cover
    """
    n = model.n
    lo, hi = region.box(n)
    why = ""
    spent = 0

    def rows_of(lo, hi, row):
        nonlocal why, spent
        found = enclose_function(model, lo, hi, u=u)
        spent += len(lo)
        why = why or found.why
        pick = np.arange(len(row))
        if p == 1:
            return found.jacobian_lo[pick, :, row], found.jacobian_hi[pick, :, row]
        return found.jacobian_lo[pick, row], found.jacobian_hi[pick, row]

    row = np.arange(n)
    lo, hi = np.tile(lo, (n, 1)), np.tile(hi, (n, 1))
    low, high = rows_of(lo, hi, row)
    strength = _strength(lo, hi, low, high, rows_of)
    free = eta is None
    points = _Points(region, n, rows_of)
    eta = np.ones(n) if free else eta
    before, stalled = math.inf, 0
    while True:
        off, diagonal = _moduli(row, low, high)
        if free:
            eta = _weights(row, off, diagonal, eta)
        quotient = _quotients(row, off, diagonal, eta)
        upper = quotient.max()
        with np.errstate(invalid="ignore"):
            points.search(eta, row, quotient, lo + (hi - lo) / 2)
        lower = points.bound(eta, free)
        # a cover in many dimensions may need more boxes than there is time for: stop where the bound no longer moves
        stalled = stalled + 1 if upper < math.inf and before - upper < 0.01 * (upper - lower) else 0
        before = min(before, upper)
        done = upper <= target or upper - lower <= tol * (1 + abs(upper)) or lower > 0
        if done or spent >= budget or (stalled >= 8 and math.isfinite(upper)):
            break
        worst = np.argsort(-quotient)[: _WORST if math.isfinite(upper) else 4 * _WORST]
        worst = worst[quotient[worst] >= upper - 0.5 * (upper - lower)] if math.isfinite(upper) else worst
        width = np.where(np.isfinite(hi[worst] - lo[worst]), hi[worst] - lo[worst], 0.0)
        scale = 1e-12 * (1 + np.abs(np.where(np.isfinite(lo[worst]), lo[worst], 0.0)))
        promise = np.where(width > scale, strength[row[worst]] * width, 0.0)
        worst, width, promise = (a[promise.max(axis=1) > 0] for a in (worst, width, promise))
        if not worst.size:
            break
        axes = np.argsort(-promise, axis=1)[:, :_AXES]
        fresh = _halve(lo[worst], hi[worst], row[worst], axes, np.take_along_axis(promise, axes, 1), eta, rows_of)
        stay = np.ones(len(row), bool)
        stay[worst] = False
        new = region.meets(fresh[0], fresh[1])
        parts = ((lo, fresh[0]), (hi, fresh[1]), (row, fresh[2]), (low, fresh[3]), (high, fresh[4]))
        lo, hi, row, low, high = (np.concatenate([old[stay], more[new]]) for old, more in parts)
    return Cover(row, low, high, eta, float(upper), float(lower), why, spent)


def packed(found, b):
    """The pieces of a cover as two arrays (k, n, n) in which piece i of each row stands in matrix i.

    Pieces of a row are joined as long as the row's quotient stays below b; rows with fewer pieces repeat their first.
    """
    n = len(found.eta)
    off, diagonal = _moduli(found.row, found.low, found.high)
    quotient = _quotients(found.row, off, diagonal, found.eta)
    stacks = []
    for i in range(n):
        mine = np.flatnonzero(found.row == i)
        mine = mine[np.argsort(-quotient[mine])]
        joined = []
        for k in mine:
            low, high = found.low[k], found.high[k]
            for at, (a, c) in enumerate(joined):
                both = np.minimum(a, low), np.maximum(c, high)
                if _quotients(np.array([i]), *_moduli(np.array([i]), *(m[None] for m in both)), found.eta)[0] <= b:
                    joined[at] = both
                    break
            else:
                joined.append((low, high))
        stacks.append(joined)
    count = max(len(joined) for joined in stacks)
    lo, hi = np.empty((count, n, n)), np.empty((count, n, n))
    for i, joined in enumerate(stacks):
        for k in range(count):
            lo[k, i], hi[k, i] = joined[k] if k < len(joined) else joined[0]
    return lo, hi


class _Points:
    """Rows at single points of the region: random ones first, then in the neighbourhood of the worst known."""

    def __init__(self, region, n, rows_of):
        self.region, self.n, self.rows_of = region, n, rows_of
        self.random = np.random.default_rng(0)
        self.x, self.row, self.off, self.diagonal = np.empty((0, n)), np.empty(0, int), np.empty((0, n)), np.empty(0)
        self.reach = 1.0
        lo, hi = region.box(n)
        self.lo = np.where(np.isfinite(lo), lo, np.where(np.isfinite(hi), hi - 10.0, -10.0))
        self.hi = np.where(np.isfinite(hi), hi, np.where(np.isfinite(lo), lo + 10.0, 10.0))

    def search(self, eta, row, quotient, middle):
        """Evaluate some more points: the middles of the worst pieces, and near the worst points of rows with a gap."""
        shape = (_SAMPLES // 2, self.n)
        x, which = self.random.uniform(self.lo, self.hi, shape), np.arange(shape[0]) % self.n
        if len(self.row):
            known = _quotients(self.row, self.off, self.diagonal, eta)
            best = np.full(self.n, -1)
            best[self.row[np.argsort(known)]] = np.argsort(known)
            top, bound = np.where(best >= 0, known[best], -np.inf), np.full(self.n, -np.inf)
            np.maximum.at(bound, row, np.where(np.isfinite(quotient), quotient, np.inf))
            gap = np.minimum(np.maximum(bound - top, 0.0), 1e6)
            if gap.sum() == 0:
                return
            which = self.random.choice(self.n, shape[0], p=gap / gap.sum())
            some = self.random.random(shape) < min(1.0, 2.0 / self.n)
            step = some * self.reach * (self.hi - self.lo) * self.random.normal(size=shape) / 2
            x = np.where(best[which, None] >= 0, np.clip(self.x[best[which]] + step, self.lo, self.hi), x)
            self.reach = max(0.6 * self.reach, 1e-6)
        worst = np.argsort(-quotient)[: _SAMPLES // 2]
        worst = worst[np.isfinite(middle[worst]).all(axis=1)]
        x, which = np.concatenate([x, middle[worst]]), np.concatenate([which, row[worst]])
        inside = self.region.contains(x)
        if inside.any():
            self.add(x[inside], which[inside], *self.rows_of(x[inside], x[inside], which[inside]))

    def add(self, x, row, low, high):
        good = np.isfinite(low).all(axis=1) & np.isfinite(high).all(axis=1)
        x, row, low, high = x[good], row[good], low[good], high[good]
        off = np.where((low <= 0) & (high >= 0), 0.0, np.minimum(np.abs(low), np.abs(high)))
        pick = np.arange(len(row))
        diagonal = low[pick, row]
        off[pick, row] = 0.0
        self.x, self.row = np.concatenate([self.x, x]), np.concatenate([self.row, row])
        self.off, self.diagonal = np.concatenate([self.off, off]), np.concatenate([self.diagonal, diagonal])

    def bound(self, eta, free):
        """What no weights can improve on (free), or these weights do not."""
        if not len(self.row):
            return -math.inf
        quotient = _quotients(self.row, self.off, self.diagonal, eta)
        if not free:
            return quotient.max() - 1e-14 * (1 + np.abs(quotient).max())
        matrix, seen = _worst_rows(self.row, self.off, self.diagonal, quotient, self.n)
        # rows without a point are left out: a principal submatrix of a Metzler matrix has no larger abscissa
        return _perron(matrix[np.ix_(seen, seen)])[1]


def _moduli(row, low, high):
    off = np.maximum(np.abs(low), np.abs(high))
    pick = np.arange(len(row))
    off[pick, row] = 0.0
    return off, high[pick, row]


def _quotients(row, off, diagonal, eta):
    return diagonal + (off @ eta) / eta[row]


def _worst_rows(row, off, diagonal, quotient, n):
    """For each row the piece with the largest quotient, as a Metzler matrix; and which rows have a piece."""
    order = np.argsort(quotient)
    last = np.full(n, -1)
    last[row[order]] = order  # the last assignment wins: the largest
    seen = np.flatnonzero(last >= 0)
    matrix = np.zeros((n, n))
    matrix[seen] = off[last[seen]]
    matrix[seen, seen] = diagonal[last[seen]]
    return matrix, seen


def _weights(row, off, diagonal, eta):
    """Weights for which the largest quotient is least, by policy iteration; the start where a piece has no bound."""
    finite = np.isfinite(off).all(axis=1) & np.isfinite(diagonal)
    if not finite.any():
        return eta
    row, off, diagonal = row[finite], off[finite], diagonal[finite]
    best = (math.inf, eta)
    for _ in range(12):
        quotient = _quotients(row, off, diagonal, eta)
        gained = best[0] - quotient.max()
        if gained > 0:
            best = (quotient.max(), eta)
        if gained <= 1e-9 * (1 + abs(best[0])):
            break
        eta = _perron(_worst_rows(row, off, diagonal, quotient, len(eta))[0])[0]
    return best[1]


def _perron(M):
    """The Perron vector of a small Metzler matrix and a lower bound on its abscissa; faster than a power iteration."""
    values, vectors = np.linalg.eig(M)
    v = np.abs(vectors[:, np.argmax(values.real)].real)
    if not v.min() > 1e-9 * v.max():  # reducible, or nearly so
        found = perron(M)
        return found.vector, found.lower
    quotient = (M @ v) / v
    return v / v.max(), quotient.min() - 1e-14 * (1 + np.abs(M).max()) * len(M)


def _strength(lo, hi, low, high, rows_of):
    """How much the bounds of each row depend on each state: what a slab across it changes. 0 for states without effect."""
    n = len(lo)
    strength = np.zeros((n, n))
    axes = np.flatnonzero(np.isfinite(hi[0] - lo[0]) & (hi[0] > lo[0]))
    if not axes.size:
        return strength
    row, axis = np.tile(np.arange(n), axes.size), np.repeat(axes, n)
    less, more = lo[row], hi[row]
    pairs = np.arange(len(row))
    width = more[pairs, axis] - less[pairs, axis]
    less[pairs, axis], more[pairs, axis] = less[pairs, axis] + 0.35 * width, less[pairs, axis] + 0.4 * width
    slab = rows_of(less, more, row)
    with np.errstate(all="ignore"):
        change = np.nan_to_num(np.abs(slab[0] - low[row]) + np.abs(slab[1] - high[row]), posinf=1e6).sum(axis=1)
    bounded = (np.isfinite(low) & np.isfinite(high)).all(axis=1)[row]
    strength[row, axis] = np.where(bounded, change, np.maximum(change, 1e-3)) / width
    return strength


def _halve(lo, hi, row, axes, promise, eta, rows_of):
    """Both halves of each box, along the state after whose halving the worse half is best."""
    box, column = np.nonzero(promise > 0)
    axis, promise = axes[box, column], promise[box, column]
    less, more, rows = (np.repeat(a[box], 2, axis=0) for a in (lo, hi, row))
    pairs = np.arange(len(box))
    middle = lo[box, axis] + (hi[box, axis] - lo[box, axis]) / 2
    more[2 * pairs, axis] = less[2 * pairs + 1, axis] = middle
    low, high = rows_of(less, more, rows)
    quotient = _quotients(rows, *_moduli(rows, low, high), eta).reshape(-1, 2)
    quotient = np.where(np.isfinite(quotient), quotient, np.inf)
    # the smaller worse half; then the smaller other half; then the state that matters most
    order = np.lexsort((-promise, quotient.min(axis=1), quotient.max(axis=1), box))
    best = order[np.unique(box[order], return_index=True)[1]]
    chosen = np.stack([2 * best, 2 * best + 1], axis=1).ravel()
    return less[chosen], more[chosen], rows[chosen], low[chosen], high[chosen]
