r"""Bounds on the outputs of an implicit network, in order of what they cost and what they are worth.

With :math:`s_i` the largest slope of unit i solved for itself (:math:`1/(1 - a_{ii})` for slopes in [0, 1]) and
:math:`S = [s]`, two states differ by at most

.. math:: |x_u - x_v| \le (I - S|A_{\rm off}|)^{-1} S|B|\,|u - v|, \qquad
   \|x_u - x_v\| \le \max_i \frac{(|B|\mathbf 1)_i/\eta_i}{1 - \mu_i}\,\|u - v\|_\infty,

the *componentwise gain*, which for slopes in [0, 1] is :math:`(I - \lceil A\rceil)^{-1}|B|`, and the *Lipschitz* bound
in the weighted norm, with the log norm of row i and without its positive part. *Interval* bounds use where a sample
lies (:mod:`dynet.implicit.intervals`). All three are proven: they are computed in floating point and rounded to the
safe side, by the residual of the linear system, by the certified error of the states, and by the number of terms of
each sum.

The *margin* of a sample with label t over a box of inputs is :math:`\min_{j\ne t}\min_u (y_t - y_j)`, bounded with the
rows :math:`C_t - C_j` of the output layer folded in: the class cannot change while it is positive.

References
----------
Jafarpour, Davydov, Proskurnikov, Bullo, Robust implicit networks via non-Euclidean contractions, arXiv:2106.03194.
Jafarpour, Abate, Davydov, Bullo, Coogan, Robustness certificates for implicit neural networks: a mixed monotone
contractive approach, arXiv:2112.05310.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..engine import panels
from ..errors import ArgumentError, Shown, Status
from ..fields.base import describe
from ..linalg.rigorous import UNIT, add_down, add_up, is_positive_definite, multiply_up
from . import intervals, wellposed
from .solve import hidden_rounding, solve, statuses

__all__ = ["KINDS", "Bounds", "gain", "interval", "lipschitz", "margins", "state_gain"]

KINDS = ("interval", "gain", "lipschitz")
_UP = 1 + 1e-12  # covers a handful of roundings


class Bounds(NamedTuple):
    """Bounds on outputs and states for all inputs of each box.

    Attributes
    ----------
    lo, hi : ndarray, shape (batch, outputs) or (outputs,)
        Proven; infinite where the network is not known to be well-posed or the embedding could not be solved.
    x_lo, x_hi : ndarray, shape (batch, n) or (n,)
    error : ndarray, shape (batch,) or float
        How far the embedding's states may be from its fixed point; included in the bounds.
    status : Status, or a tuple of them
    """

    lo: np.ndarray
    hi: np.ndarray
    x_lo: np.ndarray
    x_hi: np.ndarray
    error: np.ndarray
    status: object


def state_gain(net, B=None):
    """Upper bounds on how much each state moves with each input, shape (n, inputs); with another matrix in place of B.

    Infinite where the network is not known to be well-posed.
    """
    rows = net.rows
    B = _dense(abs(net.exact("B"))) if B is None else B
    if not (net.boxed and rows.factor < 1):
        return np.full(B.shape, np.inf)
    off = wellposed.modulus(net.exact("A"))
    right = rows.reach[:, None] * B
    if isinstance(off, np.ndarray):
        X = np.linalg.solve(np.eye(net.n) - rows.reach[:, None] * off, right)
    else:
        from scipy.sparse import diags_array, eye_array
        from scipy.sparse.linalg import splu

        X = splu((eye_array(net.n) - diags_array(rows.reach) @ off).tocsc()).solve(right)
    X = np.maximum(X, 0.0)
    terms = net.n + 8
    back = (off @ X) * rows.reach[:, None]
    miss = np.abs(right + back - X) + 2 * terms * UNIT * (right + back + X) + 1e-290 * (1 + rows.reach[:, None])
    share = (miss / net.weights[:, None]).max(axis=0) / add_down(1.0, -rows.factor) * _UP
    return (X + net.weights[:, None] * share) * _UP


def gain(net):
    r"""Upper bounds on how much each output moves with each input: ``|y_u - y_v| <= gain |u - v|``, shape (q, m).

    Examples
    --------
    >>> import dynet as dn
    >>> net = dn.ImplicitNetwork([[-1.0, 0.5], [-0.75, 0.25]], [[1.0], [2.0]], [[1.0, -1.0]])
    >>> gain(net).round(6)
    array([[5.777778]])
    """
    C = _dense(abs(net.exact("C")))
    X = state_gain(net)
    if not np.isfinite(X).all():
        return np.full((net.outputs, net.inputs), np.inf)
    return (C @ X) * (1 + 4 * (net.n + 4) * UNIT) + 1e-290


def lipschitz(net, p=np.inf):
    r"""An upper bound on the Lipschitz constant from inputs to outputs in the p-norm.

    For p = inf it is :math:`\|C[\eta]\|_\infty \max_i \beta_i/(1-\mu_i)`, with :math:`\beta_i` and :math:`\mu_i` of row
    i in the weighted norm, which a training penalty can use; for p = 1 and 2 the norm of the :func:`gain`. Infinite
    where the network is not known to be well-posed.

    Examples
    --------
    >>> import dynet as dn
    >>> net = dn.ImplicitNetwork([[-1.0, 0.5], [-0.75, 0.25]], [[1.0], [2.0]], [[1.0, -1.0]], weights=[1.0, 3.0])
    >>> print(round(lipschitz(net), 9))
    8.0
    """
    if p in ("inf", np.inf):
        C = _dense(abs(net.exact("C")))
        rows = wellposed.row_sums(C, net.weights)
        return float(rows.max(initial=0.0) * state_lipschitz(net) * _UP) + 1e-290
    if p not in (1, 2, "1", "2"):
        raise ArgumentError("p", p, "the order of a norm", choices=(1, 2, np.inf))
    if not net.boxed and net.quadratic is not None and int(p) == 2:
        sizes = [_spectral(_dense(net.exact(name))) for name in "BC"]
        return float(sizes[0] * sizes[1] / net.rate * _UP) + (1e-290 if min(sizes) > 0 else 0.0)
    G = gain(net)
    if not np.isfinite(G).all() or not G.size:
        return float(np.inf if G.size else 0.0)
    largest = float(G.max())  # squares of what remains neither overflow nor vanish all together
    G = G / largest
    columns, rows = G.sum(axis=0).max(), G.sum(axis=1).max()
    growth = 1 + 4 * (max(G.shape) + 4) * UNIT
    if int(p) == 1:
        return float(columns * growth * largest * _UP)
    bound = np.sqrt(columns * rows) * growth
    v = np.ones(G.shape[1])
    for _ in range(100):  # the quotients of any positive vector bound the spectral radius of G'G
        w = G.T @ (G @ v)
        with np.errstate(divide="ignore", invalid="ignore"):
            bound = min(bound, np.sqrt(np.nanmax(np.where(v > 0, w / v, np.inf)) * growth * growth) * _UP)
        if not w.max() > 0:
            break
        v = np.maximum(w / w.max(), 1e-12)
    return float(bound * largest * _UP)


def _spectral(M):
    """An upper bound on the spectral norm of a matrix."""
    M = np.abs(M) if M.size == 0 else M
    rough = np.sqrt(np.abs(M).sum(axis=0).max(initial=0.0)) * np.sqrt(np.abs(M).sum(axis=1).max(initial=0.0))
    growth = 1 + 8 * (max(M.shape) + 8) * UNIT
    sharp = rough if 0 in M.shape else np.linalg.norm(M, 2) * (1 + 1e-9)
    gram = M @ M.T if M.shape[0] <= M.shape[1] else M.T @ M
    error = 4 * (max(M.shape) + 8) * UNIT * float(np.square(M).sum())
    if is_positive_definite(sharp**2 * np.eye(len(gram)) - (gram + gram.T) / 2, error):
        return sharp * growth
    return rough * growth


def state_lipschitz(net):
    """A bound on the weighted distance of two states over the largest difference of their inputs."""
    if not net.boxed:
        return np.inf
    into = wellposed.row_sums(abs(net.exact("B")), np.ones(net.inputs)) / net.weights * _UP
    diagonal = np.asarray(net.exact("A").diagonal(), float)
    worst = 0.0
    for slope in net.activation.slopes:
        own = add_up(multiply_up(slope, diagonal), multiply_up(abs(slope), net.rows.off))
        worst = max(worst, float((abs(slope) * into / add_down(1.0, -own)).max()))
    return worst * _UP


def interval(net, lo, hi, tol=1e-10, *, max_iterations=100_000):
    """Proven bounds on outputs and states for all inputs between two.

    Parameters
    ----------
    net : ImplicitNetwork
        Its activation never decreases.
    lo, hi : array_like, shape (inputs,) or (batch, inputs)
    tol : float
        Wanted distance from the embedding's fixed point, in ``net.norm``; the bounds hold whatever it is.
    max_iterations : int

    Returns
    -------
    Bounds

    Raises
    ------
    ArgumentError
        For bounds that do not fit or cross, or an activation that decreases.

    Examples
    --------
    >>> import dynet as dn
    >>> net = dn.ImplicitNetwork([[-1.0, 0.5], [-0.75, 0.25]], [[1.0], [2.0]], [[1.0, -1.0]], [0.5, -0.25])
    >>> found = interval(net, [0.0], [1.0])
    >>> bool(found.lo <= net([0.3]) <= found.hi)
    True
    """
    intervals.check_monotone(net.activation)
    lo, single = net.check_inputs(lo, "lo")
    hi, _ = net.check_inputs(hi, "hi")
    if lo.shape != hi.shape or np.any(lo > hi):
        raise ArgumentError("hi", describe(hi), "of the shape of lo, and nowhere below it")
    lo, hi = lo.astype(float), hi.astype(float)
    centre = lo / 2 + hi / 2
    radius = np.maximum(add_up(hi, -centre), add_up(centre, -lo))
    x, r, error, status = _embedded(net, centre, radius, tol, max_iterations)
    y, spread = _output_box(net, x, r)
    found = Bounds(y - spread, y + spread, x - r, x + r, error, status)
    return Bounds(*(v[0] for v in found)) if single else found


def _embedded(net, centre, radius, tol, most=100_000):
    """Centre and radius of boxes of states, proven; the embedding's error; statuses."""
    passes, batch = net._passes("float64"), len(centre)
    if not net.boxed:
        nothing = np.zeros((batch, net.n))
        return nothing, nothing + np.inf, np.full(batch, np.nan), (Status.ILL_POSED,) * batch
    pair = intervals.embed(passes, centre, radius, 0.9 * tol * net.rate, most=most)
    x, r = (pair.low + pair.high) / 2, (pair.high - pair.low) / 2
    with np.errstate(over="ignore", invalid="ignore"):
        size = (np.abs(pair.low / net.weights) + np.abs(pair.high / net.weights)).max(axis=1)
        hidden = 2 * hidden_rounding(net, np.abs(centre) + radius, size + pair.residual)
        error = (pair.residual * (1 + 16 * UNIT) + hidden) / net.rate * _UP
        room = 8 * UNIT * (np.abs(pair.low) + np.abs(pair.high)) + net.weights * error[:, None] * _UP
        r = np.where(np.isfinite(room).all(axis=1)[:, None], np.maximum(r, 0.0) + room, np.inf)
    return x, r, error, statuses(net, pair.flags, error, tol)


def _output_box(net, x, r):
    """Centres and radii of outputs for boxes of states, rounding included."""
    C, size = _panel(net, "C"), _panel(net, "|C|")
    finite = np.isfinite(r).all(axis=1)[:, None]
    x, r = np.where(finite, x, 0.0), np.where(finite, r, 0.0)
    q = net.outputs
    y = panels.affine(x, C, net.exact("d"))[:, :q]
    total = panels.affine(np.abs(x) + r, size, np.abs(net.exact("d")))[:, :q]
    spread = panels.affine(r, size)[:, :q] * _UP + 4 * (net.n + 4) * UNIT * total + 1e-290
    return y, np.where(finite, spread, np.inf)


def _panel(net, name):
    if ("output", name) not in net._made:
        net._made["output", name] = panels.pack(net.exact("C"), turned=True, positive=name != "C")
    return net._made["output", name]


def margins(net, U, labels, eps, kind="interval", *, clip=None, tol=1e-8):
    r"""Proven lower bounds on how far the output of the label stays above all others while an input moves.

    Parameters
    ----------
    net : ImplicitNetwork
    U : array_like, shape (batch, inputs)
    labels : array_like of int, shape (batch,)
    eps : float
        How far each entry of an input may move.
    kind : str
        ``"interval"``, ``"gain"`` or ``"lipschitz"``, from sharp to loose as a rule.
    clip : tuple of float, optional
        ``(least, most)`` that inputs keep to: the box is cut there.
    tol : float
        Wanted certified error of the states.

    Returns
    -------
    ndarray, shape (batch,)
        The class is certified where it is positive; ``-inf`` where nothing is known.

    Raises
    ------
    ArgumentError
        For labels out of range, a negative eps, an unknown kind, inputs outside of `clip`.

    Examples
    --------
    >>> import dynet as dn
    >>> net = dn.ImplicitNetwork.random(2, 6, 3, seed=1)
    >>> U = [[1.0, -1.0]]
    >>> label = net(U).argmax(axis=1)
    >>> bool(margins(net, U, label, 0.0)[0] > 0 > margins(net, U, label, 10.0)[0])
    True
    """
    if kind not in KINDS:
        raise ArgumentError("kind", kind, "a kind of bound", choices=KINDS)
    U, _ = net.check_inputs(U)
    U = U.astype(float)
    labels = check_labels(labels, len(U), net.outputs)
    if not (np.isscalar(eps) and np.isfinite(eps) and eps >= 0):
        raise ArgumentError("eps", eps, "a number of at least 0")
    lo, hi = add_down(U, -float(eps)), add_up(U, float(eps))
    if clip is not None:
        least, most = (float(c) for c in clip)
        if not (U.min(initial=most) >= least and U.max(initial=least) <= most):
            raise ArgumentError("clip", clip, "two numbers between which all inputs lie")
        lo, hi = np.maximum(lo, least), np.minimum(hi, most)
    if kind == "interval":
        intervals.check_monotone(net.activation)
        centre = lo / 2 + hi / 2
        radius = np.maximum(add_up(hi, -centre), add_up(centre, -lo))
        x, r, _, _ = _embedded(net, centre, radius, tol)
    else:
        radius = np.maximum(add_up(hi, -U), add_up(U, -lo))
        found = solve(net, U, tol)
        x, r = found.x, net.weights * found.error[:, None] * _UP
        with np.errstate(invalid="ignore"):
            if not net.boxed:
                r = np.full_like(x, np.inf)
            elif kind == "gain":
                r = r + _moved(net, radius)
            else:
                r = r + net.weights * (state_lipschitz(net) * radius.max(axis=1, initial=0.0))[:, None] * _UP
        r = np.where(np.isfinite(r), r, np.inf)
    return _margins(net, x, r, labels)


def _moved(net, radius):
    """How far states may move for inputs that move by `radius`, by the componentwise gain."""
    if "gain" not in net._made:
        net._made["gain"] = panels.pack(np.ascontiguousarray(state_gain(net)), turned=True)
    return panels.affine(radius, net._made["gain"])[:, : net.n] * (1 + 4 * (net.inputs + 4) * UNIT) + 1e-290


def _margins(net, x, r, labels):
    """The least of y_t - y_j over the other classes, for states within `r` of `x`."""
    finite = np.isfinite(r).all(axis=1)
    x, r = np.where(finite[:, None], x, 0.0), np.where(finite[:, None], r, 0.0)
    q, C, d = net.outputs, _dense(net.exact("C")), net.exact("d")
    y = panels.affine(x, _panel(net, "C"), d)[:, :q]
    total = panels.affine(np.abs(x) + r, _panel(net, "|C|"), np.abs(d))[:, :q]
    each = np.arange(len(x))
    rounding = 8 * (net.n + 8) * UNIT * (total + total[each, labels][:, None]) + 1e-290
    below = y[each, labels][:, None] - y - rounding
    for label in np.unique(labels):
        chosen = np.flatnonzero(labels == label)
        apart = panels.pack(np.ascontiguousarray(np.abs(C - C[label])), turned=True)
        below[chosen] -= panels.affine(r[chosen], apart)[:, :q] * (1 + 8 * (net.n + 8) * UNIT)
    below[each, labels] = np.inf
    return np.where(finite, below.min(axis=1), -np.inf)


def check_labels(labels, batch, classes, name="labels"):
    """Labels as integers, shape (batch,), each below `classes`."""
    array = np.asarray(labels)
    if array.dtype.kind not in "iu" or array.shape != (batch,):
        raise ArgumentError(name, describe(array), f"integers of shape ({batch},)")
    if array.size and (array.min() < 0 or array.max() >= classes):
        raise ArgumentError(name, Shown(f"{array.min()}..{array.max()}"), f"classes from 0 to {classes - 1}")
    return array.astype(np.int64)


def _dense(matrix):
    return matrix if isinstance(matrix, np.ndarray) else matrix.toarray()
