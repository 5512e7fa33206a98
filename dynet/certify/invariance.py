r"""Forward invariance: solutions that start in a region stay in it, proven.

*Box.* By Nagumo's theorem a box is invariant for a locally Lipschitz field if on each face the field does not point outward:
:math:`F_i \ge 0` where :math:`x_i` is at its lower end and :math:`F_i \le 0` where it is at its upper end. The field is
enclosed on each face. Where the sign of :math:`\partial F_i/\partial x_j` is the same on the whole face (for all of them if
the field is monotone: a Metzler Jacobian) the extremum over :math:`x_j` is at an end, and the face shrinks to its edge or
corner before it is evaluated. Faces that are not decided are halved, up to a budget.

*Ball.* If the field contracts with rate c on the closed ball of radius R around z, in the ball's own norm, and
:math:`\|F(z)\| \le cR` at all times, then the ball is invariant: :math:`D^+\|x - z\| \le -c\|x - z\| + \|F(z)\| \le 0` on
its boundary.

References
----------
Blanchini, Set invariance in control, Automatica 35, 1999.
Davydov, Jafarpour, Bullo, Non-Euclidean contraction theory for robust nonlinear stability, arXiv:2103.12263.
"""

from __future__ import annotations

import math

import numpy as np

from ..fields.enclosure import enclose
from ..fields.function import FunctionField
from ..linalg.rigorous import multiply_down
from .region import Ball, Box, WholeSpace

__all__ = ["invariance", "length_up"]

_BUDGET = 20_000  # boxes on which faces are evaluated


def invariance(model, region, claim=None, rate=0.0):
    """Why a region is forward invariant, in a few words; empty where that is not proven.

    Parameters
    ----------
    model : VectorField
        With its own input.
    region : Region
    claim, rate : Claim, float
        What is proven about the region; needed for a ball.

    Returns
    -------
    str

    Examples
    --------
    >>> import dynet as dn
    >>> net = dn.models.FiringRate([[0.0, 0.5], [0.5, 0.0]], activation="tanh")
    >>> invariance(net, Box([-1.0, -1.0], 1.0))
    'invariant: the field points inward on every face'
    >>> invariance(net, Box([0.5, 0.5], 1.0))
    ''
    """
    if isinstance(region, WholeSpace):
        return "invariant"
    if isinstance(region, Box):
        return "invariant: the field points inward on every face" if _box_is_invariant(model, region) else ""
    if isinstance(region, Ball) and claim is not None and rate > 0 and _same(claim.norm(), region.norm, model.n):
        speed = enclose(model, region.center, region.center)
        if not speed.failed[0]:
            length = length_up(region.norm, np.maximum(np.abs(speed.lo[0]), np.abs(speed.hi[0])))
            if length <= float(multiply_down(rate, region.radius)):
                return "invariant: the field at the centre is at most rate times radius"
    return ""


def length_up(norm, size):
    """An upper bound on the norm of every x with ``abs(x) <= size``, shapes (..., n) -> (...)."""
    weights = norm.weights
    if weights is None:
        weights = np.ones(np.shape(size)[-1])
    if norm.p == math.inf:
        return np.nextafter(size / weights, math.inf).max(axis=-1)
    many = 1 + 4 * (np.shape(size)[-1] + 8) * 2.0**-53
    if norm.p == 1:
        return np.nextafter((size * weights).sum(axis=-1) * many, math.inf) + 1e-300
    least = 1e-150 * math.sqrt(max(1.0, float(np.abs(weights).max())))  # squares underflow before they are weighted
    if weights.ndim == 1:
        return np.nextafter(np.sqrt((size * size * weights).sum(axis=-1)) * many, math.inf) + least
    square = ((size @ np.abs(weights)) * size).sum(axis=-1)
    return np.nextafter(np.sqrt(square) * many, math.inf) + least


def _same(first, second, n):
    """Whether two norms are one, with unit weights written out or not."""
    a, b = (np.ones(n) if norm.weights is None else norm.weights for norm in (first, second))
    return first.p == second.p and np.array_equal(a, b)


def _box_is_invariant(model, box):
    n = box.n
    faces = [(i, end) for end, corner in ((0, box.lo), (1, box.hi)) for i in range(n) if np.isfinite(corner[i])]
    if not faces:
        return True
    lo, hi = np.tile(box.lo, (len(faces), 1)), np.tile(box.hi, (len(faces), 1))
    index, upper = np.array([f[0] for f in faces]), np.array([f[1] for f in faces], bool)
    rows = np.arange(len(faces))
    lo[rows, index] = hi[rows, index] = np.where(upper, box.hi[index], box.lo[index])
    spent = 0
    while len(index):
        spent += len(index)
        good, lo, hi = _inward(model, lo, hi, index, upper)
        lo, hi, index, upper = lo[~good], hi[~good], index[~good], upper[~good]
        if not len(index):
            return True
        width = np.where(np.isfinite(hi - lo), hi - lo, 0.0)
        if spent + 2 * len(index) > _BUDGET or np.any(width.max(axis=1) <= 1e-9 * (1 + np.abs(lo).max(axis=1))):
            return False
        lo, hi = _halves(lo, hi, width.argmax(axis=1))
        index, upper = np.repeat(index, 2), np.repeat(upper, 2)
    return True


def _inward(model, lo, hi, index, upper):
    """Which parts of faces are decided, and the parts shrunk to where the extremum is."""
    rows = np.arange(len(index))
    found = enclose(model, lo, hi, jacobian=isinstance(model, FunctionField))
    if found.jacobian_lo is not None and not found.failed.all():
        low, high = found.jacobian_lo[rows, index], found.jacobian_hi[rows, index]
        rising, falling = low >= 0, (high <= 0) & (low < 0)
        # the least F_i on a lower face, the largest on an upper one; an infinite end stays as it is
        to_low = np.where(upper[:, None], falling, rising) & np.isfinite(lo) & ~found.failed[:, None]
        to_high = np.where(upper[:, None], rising & (high > 0), falling) & np.isfinite(hi) & ~found.failed[:, None]
        to_high &= ~to_low
        lo, hi = np.where(to_high, hi, lo), np.where(to_low, lo, hi)
        found = enclose(model, lo, hi)
    good = np.where(upper, found.hi[rows, index] <= 0, found.lo[rows, index] >= 0) & ~found.failed
    return good, lo, hi


def _halves(lo, hi, axis):
    """Both halves of each box along its own axis, interleaved."""
    rows = np.arange(len(lo))
    low, high = np.repeat(lo, 2, axis=0), np.repeat(hi, 2, axis=0)
    middle = lo[rows, axis] + (hi[rows, axis] - lo[rows, axis]) / 2
    high[2 * rows, axis] = low[2 * rows + 1, axis] = middle
    return low, high
