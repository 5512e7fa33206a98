r"""Interval propagation: all states for all inputs of a box, from one fixed point of twice the size.

Split A into its Metzler part (diagonal and positive entries) and the negative rest, and let each bound be fed by what
is worst for it: for nondecreasing :math:`\Phi` the pair :math:`(\underline x, \overline x)` of the embedding bounds
every state. With centre c and radius r of the pair and :math:`\lceil A\rceil` for A with moduli off the diagonal, the
arguments of the units are

.. math:: \underline z = Ac - \lceil A\rceil r + Bu_c - |B|u_r + b, \qquad \overline z = Ac + \lceil A\rceil r + Bu_c +
|B|u_r + b,

two products instead of four. The embedding has the rows of A, hence the rate and the sweep's factor of the network
itself. Its adjoint has the same form: with :math:`s = \underline\nu + \overline\nu` and :math:`t = \overline\nu -
\underline\nu`,

.. math:: \partial A = s c^\top + \sigma\circ(t r^\top), \quad \partial B = s u_c^\top + \mathrm{sign}(B)\circ(t
u_r^\top),
   \quad \partial b = s,

where :math:`\sigma` is the sign of an entry off the diagonal and 1 on it.

References
----------
Jafarpour, Abate, Davydov, Bullo, Coogan, Robustness certificates for implicit neural networks: a mixed monotone
contractive approach, arXiv:2112.05310.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..engine import pairs, panels, sweeps
from ..errors import ArgumentError
from . import units
from .adjoint import Gradients
from .passes import _base

__all__ = ["PairState", "Worst", "adjoint", "embed", "gradients", "pull", "worst_logits"]


class PairState(NamedTuple):
    """What the embedding found.

    Attributes
    ----------
    centre, radius : ndarray, shape (batch, inputs)
        Of the boxes of inputs.
    low, high, slope_low, slope_high : ndarray, shape (batch, n)
        Bounds on the states, and the slopes at their arguments.
    residual : ndarray, shape (batch,)
    iterations, flags : ndarray of int64, shape (batch,)
    """

    centre: np.ndarray
    radius: np.ndarray
    low: np.ndarray
    high: np.ndarray
    slope_low: np.ndarray
    slope_high: np.ndarray
    residual: np.ndarray
    iterations: np.ndarray
    flags: np.ndarray


class Worst(NamedTuple):
    """Bounds on relative outputs: `logits[i, j]` is at least ``y_j - y_t`` for the label t of sample i and all its inputs."""

    logits: np.ndarray
    pair: PairState
    labels: np.ndarray


def check_monotone(activation):
    """Raise ArgumentError for an activation that decreases somewhere."""
    if activation.slopes[0] < 0:
        raise ArgumentError(
            "activation", activation.name, "one that never decreases; for others the componentwise gain gives bounds"
        )


def embed(passes, centre, radius, tol=1e-6, *, start=None, most=1000):
    """The embedding's fixed points for a batch of boxes.

    Parameters
    ----------
    passes : Passes
    centre, radius : ndarray, shape (batch, inputs)
        Contiguous, of the passes' type.
    tol : float
        Wanted residual in the weighted maximum norm.
    start : tuple of two ndarrays (batch, n), optional
    most : int

    Returns
    -------
    PairState
    """
    batch = len(centre)
    inject = np.empty((2, batch, passes.wide), passes.dtype)
    panels.affine(centre, passes.panel("B"), passes.b, out=inject[0])
    panels.affine(radius, passes.panel("|B|"), out=inject[1])
    found = pairs.run(
        passes._update, passes.panel("A"), passes.panel("|A|"), passes._data, inject,
        None if start is None else tuple(map(passes.pad, start)),
        goals=np.full(batch, tol, passes.dtype), most=most,
    )  # fmt: skip
    n = passes.n
    slopes = (passes.slopes(z)[:, :n] for z in (found.z_low, found.z_high))
    return PairState(centre, radius, found.low[:, :n], found.high[:, :n], *slopes, found.residual, found.iterations,
                     found.flags)  # fmt: skip


def adjoint(passes, pair, d_low, d_high, tol=1e-6, *, most=1000):
    """The adjoint of the embedding for gradients (batch, n) of both bounds: two arrays of that shape."""
    dual = units.data(passes.activation, passes.diagonal, passes.weights, passes.dtype.name, transposed=True)
    half = passes.dtype.type(0.5)
    inject = np.stack([passes.pad(half * (d_low + d_high)), passes.pad(half * (d_high - d_low))])
    size = np.maximum((np.abs(d_low) * passes.weights).max(axis=1), (np.abs(d_high) * passes.weights).max(axis=1))
    found = pairs.run(
        sweeps.adjoint_kernel(passes.dtype.name), passes.panel("A'"), passes.panel("|A'|"), dual, inject,
        extra=(_base(pair.slope_low, passes), _base(pair.slope_high, passes)),
        goals=(size * tol).astype(passes.dtype), most=most,
    )  # fmt: skip
    return found.low[:, : passes.n], found.high[:, : passes.n]


def gradients(passes, pair, nu_low, nu_high):
    """The gradients of A (dense), B and b from the adjoint."""
    half = passes.dtype.type(0.5)
    total, spread = nu_low + nu_high, nu_high - nu_low
    c, r = half * (pair.low + pair.high), half * (pair.high - pair.low)
    total_, spread_ = np.ascontiguousarray(total.T), np.ascontiguousarray(spread.T)
    A, B = (M.toarray() if hasattr(M, "toarray") else M for M in (passes.A, passes.B))
    sign = np.sign(A)
    sign.flat[:: passes.n + 1] = 1
    dA = total_ @ c + sign * (spread_ @ r)
    dB = total_ @ pair.centre + np.sign(B) * (spread_ @ pair.radius)
    return dA, dB, total_.sum(axis=1)


def worst_logits(passes, C, d, lo, hi, labels, tol=1e-6, *, most=1000):
    """Bounds on all outputs relative to that of the label, over boxes of inputs, with the output layer folded in.

    Parameters
    ----------
    passes : Passes
    C, d : ndarray, shape (q, n) and (q,)
    lo, hi : ndarray, shape (batch, inputs)
    labels : ndarray of int, shape (batch,)
    tol, most
        As for :func:`embed`.

    Returns
    -------
    Worst
        Computed in floating point and to the tolerance: for training. :func:`dynet.implicit.bounds.margins` proves.
    """
    half = passes.dtype.type(0.5)
    pair = embed(passes, half * (lo + hi), half * (hi - lo), tol, most=most)
    c, r = half * (pair.low + pair.high), half * (pair.high - pair.low)
    y = c @ C.T + d
    logits = y - y[np.arange(len(y)), labels][:, None]
    for label in range(len(C)):
        chosen = np.flatnonzero(labels == label)
        if chosen.size:
            logits[chosen] += r[chosen] @ np.abs(C - C[label]).T
    return Worst(logits, pair, labels)


def pull(passes, C, worst, dlogits, tol=1e-6, *, most=1000):
    """The gradients of all parts of the network from those of :func:`worst_logits`: a :class:`.adjoint.Gradients`."""
    pair, labels = worst.pair, worst.labels
    half = passes.dtype.type(0.5)
    c, r = half * (pair.low + pair.high), half * (pair.high - pair.low)
    rest = -dlogits.sum(axis=1)
    dy = dlogits.copy()
    np.add.at(dy, (np.arange(len(dy)), labels), rest)
    dc, dr = dy @ C, np.empty_like(c)
    dC = dy.T @ c
    for label in range(len(C)):
        chosen = np.flatnonzero(labels == label)
        if chosen.size:
            apart = C - C[label]
            dr[chosen] = dlogits[chosen] @ np.abs(apart)
            part = np.sign(apart) * (dlogits[chosen].T @ r[chosen])
            dC += part
            dC[label] -= part.sum(axis=0)
    low, high = adjoint(passes, pair, half * (dc - dr), half * (dc + dr), tol, most=most)
    dA, dB, db = gradients(passes, pair, low, high)
    return Gradients(dA, dB, dC, db, dy.sum(axis=0), None, pair.iterations, pair.residual, True)
