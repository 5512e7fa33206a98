r"""Bounds on the derivatives of a network's node and edge functions, and what those functions depend on: from their own code.

*Bounds.* Node and edge functions are evaluated on dual numbers over intervals (:mod:`dynet.fields.dual`), all nodes and all
edges at once, on a box of states, or on states whose components differ by at most an angle. What comes back takes the place
of declared slopes, with one interval for each node or edge, rounded outward.

*Differences.* A channel of the coupling that depends on one component of its two nodes, and only on the difference
:math:`y_k - x_k`, has :math:`\partial_x e = -\partial_y e` exactly, which no pair of bounds can show. Whether it does, and
whether it is odd, is decided by algebra on the function's own code (:mod:`dynet.fields.symbols`).

References
----------
Moore, Kearfott, Cloud, Introduction to Interval Analysis, SIAM, 2009.
"""

from __future__ import annotations

import math
import types
from typing import NamedTuple

import numpy as np

from ..errors import DynetError
from ..linalg.intervals import Interval, Mixed, Refused
from ..linalg.rigorous import multiply_down, multiply_up
from .derivative import translate
from .dual import Dual, lift
from .slopes import sums_between
from .symbols import Ring

__all__ = ["Channel", "NodeBounds", "edge_pieces", "enclose_network", "read_differences"]

_PIECES = 64  # pieces of a range of differences


class Channel(NamedTuple):
    """A channel of the coupling that depends on the difference of one component: its number, and whether it is odd."""

    component: int
    odd: bool


class NodeBounds(NamedTuple):
    """Bounds ``(low, high)`` on the parts of a network's Jacobian, and on the values of the node function.

    Attributes
    ----------
    slopes : dict
        ``node_x`` (d, d, N), ``node_s`` (d, c, N), ``edge_x`` and ``edge_y`` (c, d, E); pairs of arrays.
    values : (ndarray, ndarray), shape (d, N)
    """

    slopes: dict
    values: tuple


def enclose_network(field, lo, hi, apart=None):
    """Bounds on the derivatives of the node and edge functions on a box, for every time and input; None where there are none.

    Parameters
    ----------
    field : NetworkField
    lo, hi : ndarray, shape (n,)
        Ends of the box; they may be infinite.
    apart : float, optional
        No two components of the same kind differ by more; of no use where the coupling is not one through differences.

    Returns
    -------
    NodeBounds or None

    Examples
    --------
    >>> import dynet as dn
    >>> pair = dn.models.Kuramoto([[0.0, 1.0], [1.0, 0.0]])
    >>> whole = np.full(2, np.inf)
    >>> low, high = enclose_network(pair, -whole, whole, apart=1.0).slopes["edge_y"]
    >>> print(low.ravel().round(6), high.ravel())
    [0.540302 0.540302] [1. 1.]
    """
    d, nodes = field.dim, field.nodes
    lo, hi = (np.asarray(end, dtype=float).reshape(nodes, d).T for end in (lo, hi))
    rows, columns = field.edges
    if apart is None or read_differences(field) is None:  # elsewhere x = 0 would not stand for every x
        own, other = (lo[:, rows], hi[:, rows]), (lo[:, columns], hi[:, columns])
        found = _edges(field, own, other)
    else:
        found = _apart(field, apart)
    if found is None:
        return None
    value, edge = found
    weights = field._weights()
    s = tuple(np.array([sums_between(rows, *_weighted(weights, a, b), nodes)[side] for a, b in zip(*value, strict=True)])
              .reshape(field.channels, nodes) for side in (0, 1))  # fmt: skip
    found = _evaluated(field, field.node, (lo, hi), s, d, "node")
    if found is None:
        return None
    values, slopes = found
    parts = {"node_x": tuple(e[:, :d] for e in slopes), "node_s": tuple(e[:, d:] for e in slopes)}
    parts |= {"edge_x": tuple(e[:, :d] for e in edge), "edge_y": tuple(e[:, d:] for e in edge)}
    return NodeBounds(parts, values)


def _weighted(weights, low, high):
    """Bounds on numbers in intervals times weights; 0 for a weight of 0."""
    ends = [np.where(weights == 0, 0.0, f(weights, e)) for e in (low, high) for f in (multiply_down, multiply_up)]
    return np.minimum.reduce(ends), np.maximum.reduce(ends)


def _edges(field, own, other):
    return _evaluated(field, field.edge, own, other, field.channels, "edge")


def _apart(field, angle):
    """The edge function for differences up to an angle: the hull of many pieces; all at once where edges have no parameters."""
    count, d = len(field.edges[0]), field.dim
    if not field.edge_params:
        found = edge_pieces(field, np.linspace(-angle, angle, _PIECES + 1))
        if found is None:
            return None
        one = tuple((low.min(axis=-1, keepdims=True), high.max(axis=-1, keepdims=True)) for low, high in found)
        return tuple(tuple(np.repeat(end, count, axis=-1) for end in pair) for pair in one)
    cuts, found = np.linspace(-angle, angle, 9), None
    for low, high in zip(cuts[:-1], cuts[1:], strict=True):
        zero = np.zeros((d, count))
        piece = _edges(field, (zero, zero), (zero + low, zero + high))
        if piece is None:
            return None
        if found is not None:
            piece = tuple((np.minimum(a[0], b[0]), np.maximum(a[1], b[1])) for a, b in zip(found, piece, strict=True))
        found = piece
    return found


def edge_pieces(field, cuts):
    """The edge function without edge parameters for a difference in each piece between cuts: values, derivatives; or None.

    Returns
    -------
    (low, high), (low, high)
        Shapes (c, pieces), (c, 2 d, pieces).
    """
    zero = np.zeros((field.dim, len(cuts) - 1))
    return _edges(field, (zero, zero), (zero + cuts[:-1], zero + cuts[1:]))


def _evaluated(field, function, first, second, rows, what):
    """A node or edge function on intervals: bounds on its values (rows, k) and derivatives (rows, inputs, k), or None."""
    k, sizes = first[0].shape[1], (len(first[0]), len(second[0]))
    total = sum(sizes)
    seeds = np.eye(total)[:, :, None]
    arguments = []
    for size, start, (low, high) in ((sizes[0], 0, first), (sizes[1], sizes[0], second)):
        column = np.empty(size, dtype=object)
        for i in range(size):
            column[i] = Dual(Interval(low[i], high[i]), Interval(seeds[start + i]))
        arguments.append(column)
    kinds = {name: field._kinds[name] for name in field._kinds if what == "node" or field._kinds[name] != "node"}
    kinds = {name: kind for name, kind in kinds.items() if what == "edge" or kind != "edge"}
    values = {**field.params, **field.edge_params}
    p = types.SimpleNamespace(**{name: Dual(Interval(np.asarray(values[name], dtype=float))) for name in kinds})
    out = np.zeros(rows, dtype=object)
    whole = Dual(Interval(-math.inf, math.inf))
    inputs = np.empty(field.node_inputs, dtype=object)
    inputs[:] = [whole] * field.node_inputs
    try:
        with np.errstate(all="ignore"):
            twin = translate(getattr(function, "py_func", function), {})
            if what == "edge":
                twin(*arguments, p, out)
            else:
                twin(whole, *arguments, *((inputs,) if field.node_inputs else ()), p, out)
            results = [lift(value) for value in out]
    except (Mixed, Refused):
        return None
    except DynetError:
        raise
    except (TypeError, ValueError, AttributeError, ArithmeticError, IndexError):
        return None
    value = tuple(np.array([np.broadcast_to(end, k) for end in ends]).reshape(rows, k) + 0.0
                  for ends in ([r.v.lo for r in results], [r.v.hi for r in results]))  # fmt: skip
    zero = Interval(0.0)
    slopes = [zero if r.d is None else r.d for r in results]
    bounds = tuple(np.array([np.broadcast_to(end, (total, k)) for end in ends]).reshape(rows, total, k) + 0.0
                   for ends in ([s.lo for s in slopes], [s.hi for s in slopes]))  # fmt: skip
    if any(np.isnan(end).any() for end in (*value, *bounds)):
        return None
    return value, bounds


def read_differences(field):
    """For each channel of the coupling, on which difference it depends; None unless all of them are differences.

    Parameters
    ----------
    field : NetworkField

    Returns
    -------
    list of Channel, or None

    Examples
    --------
    >>> import dynet as dn
    >>> read_differences(dn.models.Kuramoto(3))
    [Channel(component=0, odd=True)]
    >>> read_differences(dn.models.SIS([[0.0, 1.0], [1.0, 0.0]])) is None
    True
    """
    ring, d = Ring(), field.dim
    x, y = ring.symbols("x", d), ring.symbols("y", d)
    try:
        function = translate(getattr(field.edge, "py_func", field.edge), {})
        shared = {k: ring.constant(v) for k, v in field.params.items() if field._kinds[k] == "shared"}
        p = types.SimpleNamespace(**shared, **{k: ring.atom(("p", k), False) for k in field.edge_params})

        def edge(a, b):
            out = np.zeros(field.channels, dtype=object)
            function(a, b, p, out)
            return [ring.lift(value) for value in out]

        shift = ring.symbols("a", d)
        here, moved, turned = edge(x, y), edge(x + shift, y + shift), edge(y, x)
    except (TypeError, ValueError, AttributeError, ArithmeticError, IndexError, RecursionError):
        return None
    found = []
    for value, other, back in zip(here, moved, turned, strict=True):
        if (value - other).terms:
            return None
        parts = [k for k in range(d) if _feels(value, edge, x, y, k, len(found))]
        if len(parts) != 1:
            return None
        found.append(Channel(parts[0], not (value + back).terms))
    return found


def _feels(value, edge, x, y, k, channel):
    """Whether a channel depends on component k: it changes when both nodes get symbols of their own there."""
    ring = value.ring
    own, other = x.copy(), y.copy()
    own[k], other[k] = ring.atom(("other x",), True), ring.atom(("other y",), True)
    return bool((edge(own, other)[channel] - value).terms)
