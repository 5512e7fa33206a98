r"""Networks coupled through differences, as Lur'e structures that keep what bounds on entries lose: rows sum to zero.

Where each channel of the coupling is a function of one difference, :math:`e(x_i, x_j) = g(y_k - x_k)`, the Jacobian is
:math:`E + F[s]G` with a unit for each edge: its row of G takes the difference, its column of F (entries 1) puts it where it
acts, and its slope, :math:`w_{ij}\,\partial_s f\,g'`, lies in an interval that is rounded outward. A shift of all nodes alike
goes through no unit, exactly. Where g is odd and two nodes draw each other with equal weights, the two edges share a unit whose
column of F is 1 and -1: then sums are conserved, exactly, too. Derivatives of the node function that vary are units of their
own.

*Invariance of the phase-cohesive set.* With secant slopes, :math:`g(z) = \sigma(z)z`, the field is
:math:`F(x) = F(c\mathbf 1) + A(x)(x - c\mathbf 1)` with a matrix A of the same form. If the range seminorm has
:math:`\mu(A) \le -r` for all secant slopes of the set of angle :math:`\gamma`, and
:math:`\max_i F_i(c\mathbf 1) - \min_i F_i(c\mathbf 1) \le r\gamma`, then half the range of x does not grow at the
boundary of the set, which is therefore invariant. For sines on :math:`\gamma < \pi` the secant slope is at least
:math:`\sin(\gamma)/\gamma`.

References
----------
Jafarpour, Cisneros-Velarde, Bullo, Weak and semi-contraction for network systems and diffusively coupled oscillators,
IEEE Transactions on Automatic Control 67(3), 2022.
Doerfler, Bullo, Synchronization and transient stability in power networks and nonuniform Kuramoto oscillators, SIAM Journal
on Control and Optimization 50, 2012.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from scipy.sparse import coo_array

from ..fields.enclosed_network import edge_pieces, enclose_network, read_differences
from ..linalg.rigorous import multiply_down, multiply_up
from .lure import LureStructure
from .semi import RangeClaim

__all__ = ["difference_structure", "is_cohesive"]

_LARGEST = 2_000_000  # edges
_PIECES = 256


def difference_structure(model, slopes):
    """The structure of a network that is coupled through differences, from bounds on its derivatives; None for another one.

    Parameters
    ----------
    model : NetworkField
    slopes : dict
        As :func:`~dynet.fields.enclosed_network.enclose_network` gives them, or as they are declared.

    Returns
    -------
    LureStructure or None

    Examples
    --------
    >>> import dynet as dn
    >>> pair = dn.models.Kuramoto([[0.0, 1.0], [1.0, 0.0]])
    >>> structure = difference_structure(pair, pair.facts.slopes)
    >>> print(structure.F.toarray().ravel(), structure.G.toarray().ravel(), structure.lo, structure.hi)
    [ 1. -1.] [-1.  1.] [-1.] [1.]
    """
    rows, columns = model.edges
    if len(rows) > _LARGEST:
        return None
    channels = read_differences(model)
    if channels is None:
        return None
    d, n = model.dim, model.n
    bounds = {key: tuple(_spread(end, model, key) for end in pair) for key, pair in slopes.items()}
    low, high = bounds["node_x"]
    fixed = low == high
    E = _blocks(np.where(fixed, low, 0.0), n, d)
    entries, lo, hi = [], [], []  # of F, then of G: (rows, units, values), (units, columns, values)
    count = 0
    for a in range(d):
        for b in range(d):
            nodes = np.flatnonzero(~fixed[a, b])
            unit, one = count + np.arange(len(nodes)), np.ones(len(nodes))
            entries.append(((nodes * d + a, unit, one), (unit, nodes * d + b, one)))
            lo.append(low[a, b, nodes])
            hi.append(high[a, b, nodes])
            count += len(nodes)
    weights = model._weights()
    keep = np.flatnonzero(rows != columns)  # what a node says to itself by a difference is nothing
    i, j, w = rows[keep], columns[keep], weights[keep]
    for c, channel in enumerate(channels):
        steep = tuple(end[c, channel.component, keep] for end in bounds["edge_y"])
        for a in range(d):
            gain = tuple(end[a, c] for end in bounds["node_s"])
            if not (gain[0].any() or gain[1].any()):
                continue
            least, most = _product((w, w), _product(tuple(end[i] for end in gain), steep))
            used, twin = np.arange(len(i)), np.full(len(i), -1)
            if channel.odd and d == 1 and not model.edge_params:
                used, twin = _paired(i, j, w, gain, (least, most), n)
            unit, one, both = count + np.arange(len(used)), np.ones(len(used)), twin[used] >= 0
            f = (np.concatenate([i[used] * d + a, j[used][both] * d + a]), np.concatenate([unit, unit[both]]),
                 np.concatenate([one, -one[both]]))  # fmt: skip
            k = channel.component
            g = (np.tile(unit, 2), np.concatenate([j[used], i[used]]) * d + k, np.concatenate([one, -one]))
            entries.append((f, g))
            lo.append(least[used])
            hi.append(most[used])
            count += len(used)
    lo, hi = np.concatenate(lo), np.concatenate(hi)
    if not (np.isfinite(lo).all() and np.isfinite(hi).all() and np.isfinite(E if E.ndim == 1 else E.data).all()):
        return None
    F, G = (_matrix([pair[side] for pair in entries], shape) for side, shape in ((0, (n, count)), (1, (count, n))))
    return LureStructure(E, F, G, lo + 0.0, hi + 0.0)


def _paired(i, j, w, gain, ends, n):
    """Which edges get a unit, and for each of them its twin in the other direction, -1 where it has none that is equal."""
    key, back = i.astype(np.int64) * n + j, j.astype(np.int64) * n + i
    order = np.argsort(key)
    at = np.minimum(np.searchsorted(key[order], back), len(key) - 1) if len(key) else np.zeros(0, int)
    mate = order[at] if len(key) else at
    same = (key[mate] == back) & (w[mate] == w) & (ends[0][mate] == ends[0]) & (ends[1][mate] == ends[1])
    # the two slopes are one number only where what multiplies g' is the same number
    same &= (gain[0][i] == gain[1][i]) & (gain[0][j] == gain[1][j]) & (gain[0][i] == gain[0][j])
    twin = np.where(same, mate, -1)
    return np.flatnonzero(~same | (i < j)), twin


def _product(x, y):
    ends = [(a, b) for a in x for b in y]
    low = [np.where((a == 0) | (b == 0), 0.0, multiply_down(a, b)) for a, b in ends]
    high = [np.where((a == 0) | (b == 0), 0.0, multiply_up(a, b)) for a, b in ends]
    return np.minimum.reduce(low), np.maximum.reduce(high)


def _spread(end, model, key):
    """Bounds for all nodes or edges as one for each."""
    if end.ndim == 3:
        return end
    count = model.nodes if key.startswith("node") else len(model.edges[0])
    return np.broadcast_to(end[:, :, None], (*end.shape, count))


def _blocks(values, n, d):
    """A matrix of diagonal blocks (d, d, N): a vector where it is diagonal."""
    if d == 1:
        return values[0, 0].copy() + 0.0
    each = np.arange(n // d) * d
    entries = [(each + a, each + b, values[a, b]) for a in range(d) for b in range(d)]
    return _matrix(entries, (n, n))


def _matrix(entries, shape):
    row, column, value = (np.concatenate([np.asarray(e[k]) for e in entries]) for k in range(3))
    keep = value != 0
    matrix = coo_array((value[keep].astype(float), (row[keep], column[keep])), shape=shape).tocsr()
    matrix.sum_duplicates()
    matrix.sort_indices()
    return matrix


def is_cohesive(model, angle):
    """Whether the states no two of which differ by more than `angle` are a forward invariant set; True is a proof.

    Parameters
    ----------
    model : NetworkField
        One state at each node, coupled through differences, without edge parameters.
    angle : float

    Returns
    -------
    bool

    Examples
    --------
    >>> import dynet as dn
    >>> trio = dn.models.Kuramoto(3, frequency=[0.0, 0.5, 1.0])
    >>> is_cohesive(trio, 1.0), is_cohesive(trio, 0.1)
    (True, False)
    """
    if model.dim != 1 or not 0 < angle < math.inf or model.edge_params or model.n < 2 or not len(model.edges[0]):
        return False
    whole = np.full(model.n, math.inf)
    still = enclose_network(model, -whole, whole, apart=0.0)  # F(c 1) for every c, time and input
    secant = _secants(model, angle)
    if still is None or secant is None or not np.isfinite(still.values).all():
        return False
    r = -RangeClaim(secant, math.inf, np.ones(model.n)).least()
    if not 0 <= r < math.inf:
        return False
    width = Fraction(float(still.values[1].max())) - Fraction(float(still.values[0].min()))
    return width <= Fraction(r) * Fraction(angle)


def _secants(model, angle):
    """The structure with intervals for the quotients ``(g(z) - g(0))/z`` on the set, or None."""
    whole = np.full(model.n, math.inf)
    bounds = enclose_network(model, -whole, whole, apart=angle)
    if bounds is None or len(bounds.slopes["edge_y"][0]) != 1:
        return None
    constant = all(np.array_equal(*bounds.slopes[key]) for key in ("node_x", "node_s"))
    if not constant or bounds.slopes["node_x"][0].any():
        return None
    low = bounds.slopes["edge_y"][0].min()
    least = min(_quotient(model, angle, sign) for sign in (1, -1))
    if not math.isfinite(least):
        return None
    low = np.maximum(np.full_like(bounds.slopes["edge_y"][0], least), low)
    return difference_structure(model, {**bounds.slopes, "edge_y": (low, bounds.slopes["edge_y"][1])})


def _quotient(model, angle, sign):
    """A lower bound on ``(g(z) - g(0))/z`` for z of one sign up to the angle: the mean of a lower bound on the slope."""
    cuts = np.linspace(0.0, angle, _PIECES + 1)
    pieces = edge_pieces(model, cuts if sign > 0 else -cuts[::-1])
    if pieces is None or not np.isfinite(pieces[1][0]).all():
        return -math.inf
    slopes = pieces[1][0][0, model.dim, ::sign]
    total, least = Fraction(0), None
    for slope, a, b in zip(slopes, cuts[:-1], cuts[1:], strict=True):
        total += Fraction(float(slope)) * (Fraction(float(b)) - Fraction(float(a)))
        # the bound on g is linear between cuts, so its quotient is least at one of them
        quotient = total / Fraction(float(b))
        least = quotient if least is None else min(least, quotient)
    return math.nextafter(float(least), -math.inf)
