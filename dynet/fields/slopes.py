r"""From declared slopes of node and edge functions to bounds on every Jacobian of a network.

For :math:`\dot x_i = f(x_i, s_i)`, :math:`s_i = \sum_j w_{ij}e(x_i, x_j)` the blocks of the Jacobian are

.. math:: J_{ii} = \partial_x f + \partial_s f \sum_j w_{ij}\,\partial_x e, \qquad J_{ij} = w_{ij}\,\partial_s f\,\partial_y e,

so that intervals for the four derivatives give an interval for each entry, on the pattern of the graph. All arithmetic is
rounded outward: no Jacobian at a state where the slopes hold has an entry outside. What the bounds forget is that entries
share derivatives; where a diagonal entry is minus a sum of others that vary (phases of oscillators), they are loose.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array

from ..errors import ArgumentError, Shown
from ..linalg.rigorous import add_down, add_up, gamma, multiply_down, multiply_up

__all__ = ["jacobian_bounds", "sums_between"]


def jacobian_bounds(field, slopes=None):
    """Lower and upper bounds on the entries of every Jacobian of a network field.

    Parameters
    ----------
    field : NetworkField
    slopes : dict, optional
        Bounds as :class:`~dynet.fields.network.NetworkField` takes them, or with a last axis of one for
        each node (edge); by default those in ``field.facts``, which may hold in the invariant box only.

    Returns
    -------
    lo, hi : scipy.sparse.csr_array (n, n)
        On one pattern; entries outside it are zero.

    Raises
    ------
    ArgumentError
        Where no slopes are declared.

    Examples
    --------
    >>> import dynet as dn
    >>> lo, hi = jacobian_bounds(dn.models.SIS([[0.0, 1.0], [1.0, 0.0]], infection=0.5, recovery=1.0))
    >>> bool((abs(hi.toarray() - [[-1.0, 0.5], [0.5, -1.0]]) < 1e-12).all())
    True
    """
    slopes = field.facts.slopes if slopes is None else slopes
    if slopes is not None and np.ndim(slopes["node_x"][0]) != 3:
        slopes = field._check_slopes(slopes)
    if slopes is None:
        raise ArgumentError(
            "slopes", Shown("none are declared"), f"a network with slopes: {field.name}(..., slopes=...)"
        )
    rows, columns = field.edges
    weights = field._weights()
    with np.errstate(invalid="ignore"):  # an unbounded slope stays unbounded
        return _bounds(field, slopes, rows, columns, weights)


def _bounds(field, slopes, rows, columns, weights):
    d, n = field.dim, field.nodes
    if slopes["node_x"][0].ndim == 2:
        outgoing = _product(slopes["node_s"], slopes["edge_y"])
        incoming = _product(slopes["node_s"], slopes["edge_x"])
        # each edge has a derivative of its own: positive and negative weights must not cancel
        own = slopes["node_x"][0][:, :, None], slopes["node_x"][1][:, :, None]
        for part in (np.maximum(weights, 0.0), np.minimum(weights, 0.0)):
            more = _scaled(incoming, _sums(rows, part, n))
            own = add_down(own[0], more[0]), add_up(own[1], more[1])
        between = _scaled(outgoing, (weights, weights))
    else:
        own, between = _one_by_one(slopes, rows, weights, n)
    loops = np.flatnonzero(rows == columns)
    if loops.size:  # at most one for each node
        at = rows[loops]
        own[0][:, :, at] = add_down(own[0][:, :, at], between[0][:, :, loops])
        own[1][:, :, at] = add_up(own[1][:, :, at], between[1][:, :, loops])
    keep = np.flatnonzero(rows != columns)
    each, i, j = np.arange(n), rows[keep], columns[keep]
    where = ([], [])
    values = ([], [])
    for a in range(d):
        for b in range(d):
            where[0].extend([each * d + a, i * d + a])
            where[1].extend([each * d + b, j * d + b])
            for side in (0, 1):
                values[side].extend([own[side][a, b], between[side][a, b][keep]])
    where = tuple(np.concatenate(w) for w in where)
    return tuple(coo_array((np.concatenate(v), where), shape=(field.n, field.n)).tocsr() for v in values)


def _one_by_one(slopes, rows, weights, n):
    """The diagonal blocks (d, d, N) and those of the edges (d, d, E), from an interval for each node and each edge."""
    from_edge = tuple(end[:, :, rows] for end in slopes["node_s"])
    incoming, outgoing = (
        _times(_product(from_edge, slopes[name]), (weights, weights)) for name in ("edge_x", "edge_y")
    )
    low, high = slopes["node_x"]
    d = len(low)
    more = np.array([[sums_between(rows, incoming[0][a, b], incoming[1][a, b], n) for b in range(d)] for a in range(d)])
    return (add_down(low, more[:, :, 0]), add_up(high, more[:, :, 1])), outgoing


def sums_between(rows, low, high, n):
    """Bounds on the sums, for each node, of numbers that lie between bounds, one for each edge."""
    ends = []
    for side, end in ((0, low), (1, high)):
        finite = np.isfinite(end)
        total = _sums(rows[finite], end[finite], n)[side]
        total[rows[~finite]] = -np.inf if side == 0 else np.inf
        ends.append(total)
    return tuple(ends)


def _sums(rows, weights, n):
    """Bounds on the sum of the weights into each node."""
    total = np.bincount(rows, weights=weights, minlength=n).astype(float)
    size = np.bincount(rows, weights=np.abs(weights), minlength=n)
    count = np.bincount(rows, minlength=n)
    slack = gamma(2 * count.max(initial=0) + 4) * size * (1 + 1e-9)
    slack[count <= 1] = 0.0  # a sum of one number is that number
    whole = (np.bincount(rows, weights=weights % 1 != 0, minlength=n) == 0) & (size < 2.0**52)
    slack[whole] = 0.0  # nor do sums of integers round
    return np.where(slack > 0, np.nextafter(total - slack, -np.inf), total), np.where(
        slack > 0, np.nextafter(total + slack, np.inf), total
    )


def _product(A, B):
    """Bounds on the product of two matrices that lie between bounds: shapes (a, c), (c, b) -> (a, b)."""
    low, high = _times(tuple(m[:, :, None] for m in A), tuple(m[None] for m in B))
    down, up = low[:, 0], high[:, 0]
    for k in range(1, low.shape[1]):
        down, up = add_down(down, low[:, k]), add_up(up, high[:, k])
    return down, up


def _scaled(matrix, numbers):
    """Bounds on a matrix times each of many numbers: (a, b) and (N,) -> (a, b, N)."""
    return _times(tuple(m[:, :, None] for m in matrix), tuple(v[None, None] for v in numbers))


def _times(x, y):
    ends = [(a, b) for a in x for b in y]
    low = [np.where((a == 0) | (b == 0), 0.0, multiply_down(a, b)) for a, b in ends]  # also where the other is infinite
    high = [np.where((a == 0) | (b == 0), 0.0, multiply_up(a, b)) for a, b in ends]
    return np.minimum.reduce(low), np.maximum.reduce(high)
