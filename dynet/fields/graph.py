"""Graphs and matrices as couplings: everything a user may have, as one matrix with labels.

``A[i, j]`` is the effect of node j on node i. An undirected edge acts both ways; a directed edge ``u -> v`` lets u act on
v, so the coupling matrix is the transpose of the usual adjacency matrix.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import ArgumentError, Shown
from .lure import as_matrix

__all__ = ["coupling_matrix", "load_graph", "DATASETS"]

# networkx data sets that need no argument and no download
DATASETS = (
    "karate_club",
    "les_miserables",
    "florentine_families",
    "davis_southern_women",
    "petersen",
    "krackhardt_kite",
)
_READERS = (".graphml", ".gml", ".edgelist", ".edges", ".txt", ".csv", ".mtx", ".npz")


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


def load_graph(source, *, weight="weight", directed=None):
    """Read a graph from a file, or by the name of a data set that ships with networkx.

    Parameters
    ----------
    source : path or str
        A file in GraphML (``.graphml``), GML (``.gml``), an edge list (``.edgelist``, ``.edges``, ``.txt``, ``.csv``: two
        or three columns ``from to [weight]``, a comment after ``#``), Matrix Market (``.mtx``) or ``scipy.sparse`` (``.npz``);
        or a name such as ``"karate_club"``.
    weight : str
        The attribute that an edge list's third column becomes.
    directed : bool, optional
        For edge lists: directed edges (default False). For other files the file says; a matrix is directed unless symmetric.

    Returns
    -------
    networkx.Graph or networkx.DiGraph

    Raises
    ------
    ArgumentError
        For a missing file, an unknown name or ending, a malformed line.

    Examples
    --------
    >>> load_graph("karate_club").number_of_nodes()
    34
    """
    import networkx as nx

    path = Path(source)
    if path.suffix.lower() not in _READERS:
        word = str(source).removesuffix("_graph")
        if word in DATASETS:
            return getattr(nx, word + "_graph")()
        raise ArgumentError(
            "graph", str(source), f"a file ({', '.join(_READERS)}) or the name of a data set", choices=DATASETS
        )
    if not path.is_file():
        near = [p.name for p in path.parent.glob("*") if p.suffix in _READERS] if path.parent.is_dir() else []
        raise ArgumentError("graph", str(source), "an existing file", choices=near or None, word=path.name)
    ending = path.suffix.lower()
    try:
        if ending == ".graphml":
            return nx.read_graphml(path)
        if ending == ".gml":
            return nx.read_gml(path)
        if ending in (".mtx", ".npz"):
            return _from_matrix(path, ending)
    except ArgumentError:
        raise
    except Exception as error:  # the readers raise many kinds: all of them mean that the file is not what its name says
        raise ArgumentError("graph", str(source), f"a readable {ending} file ({error})") from None
    return _from_edges(path, weight, bool(directed))


def _from_matrix(path, ending):
    import networkx as nx
    import scipy.io
    import scipy.sparse as sp

    matrix = sp.csr_array(sp.load_npz(path) if ending == ".npz" else scipy.io.mmread(path))
    if matrix.shape[0] != matrix.shape[1]:
        raise ArgumentError("graph", str(path), f"a square matrix, not {matrix.shape}")
    symmetric = (abs(matrix - matrix.T)).nnz == 0
    graph = nx.Graph if symmetric else nx.DiGraph  # entry (i, j) is the effect of j on i: the edge j -> i
    return nx.from_scipy_sparse_array(matrix if symmetric else matrix.T, create_using=graph)


def _from_edges(path, weight, directed):
    import networkx as nx

    graph = nx.DiGraph() if directed else nx.Graph()
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        fields = line.split("#")[0].replace(",", " ").replace(";", " ").split()
        if not fields:
            continue
        if number == 1 and len(fields) in (2, 3) and fields[0].lower() in ("source", "from"):
            continue  # a header
        if len(fields) not in (2, 3):
            raise ArgumentError("graph", str(path), f"lines 'from to [weight]'; line {number} is {line!r}")
        data = {}
        if len(fields) == 3:
            try:
                data[weight] = float(fields[2])
            except ValueError:
                raise ArgumentError("graph", str(path), f"a number as weight in line {number}: {line!r}") from None
        graph.add_edge(fields[0], fields[1], **data)
    if graph.number_of_edges() == 0:
        raise ArgumentError("graph", str(path), "at least one edge")
    return graph
