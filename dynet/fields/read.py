"""Reading graphs from files, and by name: what was found in them that a user should know is said, not guessed at.

The notes on a file (self-loops, repeated edges, missing weights) stand in ``graph.graph["notes"]``, go to the log ``dynet``, as
a warning where something was changed, and into the report of a scenario's run.
"""

from __future__ import annotations

import csv
import logging
from pathlib import Path

import numpy as np

from ..errors import ArgumentError

__all__ = ["DATASETS", "load_graph", "notes_on"]

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


def load_graph(source, *, weight="weight", directed=None, adjacency=None):
    """Read a graph from a file, or by the name of a data set that ships with networkx.

    Parameters
    ----------
    source : path or str
        A file in GraphML (``.graphml``), GML (``.gml``), an edge list (``.edgelist``, ``.edges``, ``.txt``, ``.csv``: two
        or three columns ``from to [weight]``, a comment after ``#``), an adjacency matrix (``.csv``: a square of numbers, with
        or without a first row and column of names), Matrix Market (``.mtx``) or ``scipy.sparse`` (``.npz``); or a name such as
        ``"karate_club"``. Entry (i, j) of a matrix is the effect of j on i, the edge j -> i.
    weight : str
        The attribute that an edge list's third column becomes.
    directed : bool, optional
        For edge lists: directed edges (default False). For other files the file says; a matrix is directed unless symmetric.
    adjacency : bool, optional
        Whether a ``.csv`` file is a matrix. By default it is one if it is square, and has names in its first row and column
        or more than three columns.

    Returns
    -------
    networkx.Graph or networkx.DiGraph
        Its attribute ``graph["notes"]`` says, where there is something to say, what was done with self-loops (they are kept,
        as diagonal entries), repeated edges (of an edge list the last one holds; parallel edges of a file are added) and
        missing weights (1 on every edge where no edge has one).

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
    said = []
    try:
        if ending == ".graphml":
            graph = nx.read_graphml(path)
        elif ending == ".gml":
            graph = nx.read_gml(path)
        elif ending in (".mtx", ".npz"):
            graph = _from_matrix(_matrix(path, ending), path)
        else:
            rows = _table(path) if ending == ".csv" and adjacency is not False else None
            if rows is None and adjacency:
                raise ArgumentError("graph", str(source), "a square table of numbers, as adjacency=True asks for")
            named = rows is not None and _has_names(rows)
            wide = rows is not None and (named or len(rows[0]) > 3 or adjacency)
            graph = _from_table(rows, path, named) if wide else _from_edges(path, weight, bool(directed), said)
            if (
                rows
                and not wide
                and adjacency is None
                and all(_number(cell) is not None for row in rows for cell in row)
            ):
                said.append("a square of numbers without names is read as a list of edges; adjacency makes it a matrix")
    except ArgumentError:
        raise
    except Exception as error:  # the readers raise many kinds: all of them mean that the file is not what its name says
        raise ArgumentError("graph", str(source), f"a readable {ending} file ({error})") from None
    said += notes_on(graph, weight)
    if said:
        graph.graph["notes"] = "; ".join(said)
        quiet = len(said) == 1 and said[0].startswith("no edge has")
        logging.getLogger("dynet").log(logging.INFO if quiet else logging.WARNING, "%s: %s", path, graph.graph["notes"])
    return graph


def notes_on(graph, weight="weight"):
    """What a user should know of a graph: a list of texts.

    >>> import networkx as nx
    >>> notes_on(nx.Graph([("a", "a"), ("a", "b")]))
    ["1 self-loop is kept, as a diagonal entry (at 'a')", "no edge has 'weight': each has the weight 1"]
    """
    import networkx as nx

    said = []
    loops = list(nx.nodes_with_selfloops(graph))
    if loops:
        count = f"{len(loops)} self-loops are kept, as diagonal entries"
        count = "1 self-loop is kept, as a diagonal entry" if len(loops) == 1 else count
        said.append(f"{count} (at {', '.join(repr(node) for node in loops[:3])}{', ...' if len(loops) > 3 else ''})")
    if graph.is_multigraph():
        extra = graph.number_of_edges() - len({(u, v) for u, v, _ in graph.edges(keys=True)})
        if extra:
            said.append(f"parallel edges are added up ({extra} more than there are pairs)")
    weights = [value for *_, value in graph.edges(data=weight)]
    if weights and all(value is None for value in weights):
        said.append(f"no edge has {weight!r}: each has the weight 1")
    return said


def _has_names(rows):
    """Whether the first row and column hold names: an empty corner, or the same words in both."""
    words = rows[0][1:] == [row[0] for row in rows[1:]] and any(_number(word) is None for word in rows[0])
    return not rows[0][0] or (words and len(rows) > 1)


def _number(text):
    try:
        return float(text)
    except ValueError:
        return None


def _table(path):
    """The rows of a CSV file that may be a matrix, or None: as many rows as columns, or one more of each with names."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = [[cell.strip() for cell in row] for row in csv.reader(file) if any(cell.strip() for cell in row)]
    rows = [row for row in rows if not row[0].startswith("#")]
    return rows if rows and all(len(row) == len(rows) for row in rows) else None


def _from_table(rows, path, named):
    names = None
    if named:
        names, rows = rows[0][1:], rows[1:]
        if [row[0] for row in rows] != names:
            odd = next(k for k, row in enumerate(rows) if row[0] != names[k])
            expected = (
                f"the same names in the first row and column: row {odd + 2} has {rows[odd][0]!r}, not {names[odd]!r}"
            )
            raise ArgumentError("graph", str(path), expected)
        rows = [row[1:] for row in rows]
    matrix = np.empty((len(rows), len(rows)))
    for i, row in enumerate(rows):
        for j, cell in enumerate(row):
            value = 0.0 if not cell else _number(cell)
            if value is None or not np.isfinite(value):
                raise ArgumentError("graph", str(path), f"finite numbers: row {i + 1}, column {j + 1} is {cell!r}")
            matrix[i, j] = value
    from scipy.sparse import csr_array

    return _from_matrix(csr_array(matrix), path, names)


def _matrix(path, ending):
    import scipy.io
    import scipy.sparse as sp

    return sp.csr_array(sp.load_npz(path) if ending == ".npz" else scipy.io.mmread(path))


def _from_matrix(matrix, path, names=None):
    import networkx as nx

    if matrix.shape[0] != matrix.shape[1]:
        raise ArgumentError("graph", str(path), f"a square matrix, not {matrix.shape}")
    symmetric = (abs(matrix - matrix.T)).nnz == 0
    kind = nx.Graph if symmetric else nx.DiGraph  # entry (i, j) is the effect of j on i: the edge j -> i
    graph = nx.from_scipy_sparse_array(matrix if symmetric else matrix.T, create_using=kind)
    return graph if names is None else nx.relabel_nodes(graph, dict(enumerate(names)))


def _from_edges(path, weight, directed, said):
    import networkx as nx

    graph, again = nx.DiGraph() if directed else nx.Graph(), []
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
            data[weight] = _number(fields[2])
            if data[weight] is None or not np.isfinite(data[weight]):
                raise ArgumentError("graph", str(path), f"a finite number as weight in line {number}: {line!r}")
        if graph.has_edge(fields[0], fields[1]):
            again.append(number)
        graph.add_edge(fields[0], fields[1], **data)
    if again:
        lines = ", ".join(map(str, again[:3])) + (", ..." if len(again) > 3 else "")
        said.append(f"{len(again)} repeated edge{'s' if len(again) > 1 else ''}: the last one holds (line {lines})")
    if graph.number_of_edges() == 0:
        raise ArgumentError("graph", str(path), "at least one edge")
    return graph
