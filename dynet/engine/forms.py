"""What a field tells an engine that cannot run the block form: its structure, as plain arrays and source text.

A compiled block serves the processors of the host. Another device needs to know more: that a field is one matrix and one
layer of scalar nonlinearities, or which scalar function computes the derivatives of one trajectory, or of one node and one
edge. A field answers ``field.form(signal)`` with one of the tuples below; a device engine looks at the type and nothing else.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["FunctionForm", "LureForm", "NetworkForm"]


class LureForm(NamedTuple):
    r"""The equation :math:`\dot x = E x + F\,\phi(G x + B u + g) + D u + h`.

    Attributes
    ----------
    E, F, G : ndarray
        Dense, (n, n), (n, m), (m, n); or one-dimensional for a diagonal matrix.
    B, D : ndarray or None
        Of the input, dense or diagonal.
    g, h : ndarray
        Shapes (m,) and (n,).
    activation : str
        A name that the device knows; empty for a function of the user's.
    parameter : float
        The activation's.
    """

    E: np.ndarray
    F: np.ndarray
    G: np.ndarray
    B: np.ndarray | None
    D: np.ndarray | None
    g: np.ndarray
    h: np.ndarray
    activation: str
    parameter: float


class FunctionForm(NamedTuple):
    """Derivatives of one trajectory as a function of scalars.

    Attributes
    ----------
    source : str
        Text that defines ``_field(t, x0, x1, ..., p0, p1, ...)``, which returns a tuple.
    n, parameters : int
        How many states and parameters it takes.
    """

    source: str
    n: int
    parameters: int


class NetworkForm(NamedTuple):
    """Derivatives of one node and the coupling of one edge, as functions of scalars, and the graph.

    Attributes
    ----------
    node : str
        Text that defines ``_node(t, x..., s..., p...)``, which returns a tuple of `dim` numbers.
    edge : str
        Text that defines ``_edge(x..., y..., p...)``, which returns a tuple of `channels` numbers.
    node_parameters, edge_parameters : tuple
        What their parameters are, in order: ``(kind, first)`` with kind ``"shared"`` or ``"node"`` and the first row of the
        parameter block; or ``("edge", k)``, column k of `edge_values`.
    nodes, dim, channels : int
    indptr, indices : ndarray of int32
        The graph in compressed rows.
    weights : ndarray, shape (edges,)
    edge_values : ndarray, shape (edges, k)
    """

    node: str
    edge: str
    node_parameters: tuple
    edge_parameters: tuple
    nodes: int
    dim: int
    channels: int
    indptr: np.ndarray
    indices: np.ndarray
    weights: np.ndarray
    edge_values: np.ndarray
