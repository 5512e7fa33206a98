"""Graphs and matrices as couplings: everything a user may have, as one matrix with labels; files: :mod:`dynet.fields.read`.

``A[i, j]`` is the effect of node j on node i. An undirected edge acts both ways; a directed edge ``u -> v`` lets u act on
v, so the coupling matrix is the transpose of the usual adjacency matrix.
"""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError, Shown
from .lure import as_matrix

__all__ = ["coupling_matrix"]


def coupling_matrix(source, *, weight="weight", name="coupling"):
    """A graph or matrix as a square coupling matrix with one label per node.

    Parameters
    ----------
    source : networkx graph, ndarray or scipy sparse array
        Order of nodes: the graph's own.
    weight : str
        The edge attribute that holds the weight. A graph none of whose edges has it gets the weight 1 everywhere.
    name : str
        The argument's name, for error messages.

    Returns
    -------
    matrix : ndarray (n, n) or scipy.sparse.csr_array
        Sparse when the source is sparse, or a graph of more than 64 nodes with less than a tenth of the entries.
    labels : tuple of str or None

    Raises
    ------
    ArgumentError
        For a matrix that is not square or not finite, a graph with some weights missing or not numbers.

    Examples
    --------
    >>> import networkx as nx
    >>> matrix, labels = coupling_matrix(nx.DiGraph([("a", "b")]))
    >>> matrix
    array([[0., 0.],
           [1., 0.]])
    >>> labels
    ('a', 'b')
    """
    if not hasattr(source, "adj"):
        matrix = as_matrix(name, source)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise ArgumentError(name, Shown(f"an array of shape {matrix.shape}"), "a square matrix (n, n) or a graph")
        return matrix, None
    if source.number_of_nodes() == 0:
        raise ArgumentError(name, Shown("a graph without nodes"), "at least one node")
    _check_weights(source, weight, name)
    import networkx as nx

    matrix = as_matrix(name, nx.to_scipy_sparse_array(source, weight=weight, dtype=float, format="csr").T.tocsr())
    n = matrix.shape[0]
    if n <= 64 or matrix.nnz > 0.1 * n * n:
        matrix = matrix.toarray()
    return matrix, tuple(str(node) for node in source)


def _check_weights(graph, weight, name):
    edges = list(graph.edges(data=weight))
    missing = [edge for edge in edges if edge[2] is None]
    if missing and len(missing) < len(edges):
        u, v, _ = missing[0]
        others = sorted({key for *_, data in graph.edges(data=True) for key in data} - {weight})
        raise ArgumentError(
            name,
            Shown(f"a graph whose edge {u!r}-{v!r} has no {weight!r}"),
            f"{weight!r} on every edge or on none ({len(missing)} of {len(edges)} lack it)",
            choices=others or None,
            word=weight,
        )
    for u, v, value in edges:
        if value is None:
            continue
        try:
            finite = np.isfinite(float(value))
        except (TypeError, ValueError):
            finite = False
        if not finite:
            raise ArgumentError(name, Shown(f"edge {u!r}-{v!r} with {weight}={value!r}"), "a finite number")
