"""Graphs and matrices as couplings; files in, labels kept, missing weights named."""

import networkx as nx
import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp

from dynet.errors import ArgumentError
from dynet.fields.graph import coupling_matrix
from dynet.fields.read import DATASETS, load_graph


def test_a_directed_edge_lets_its_tail_act_on_its_head():
    graph = nx.DiGraph()
    graph.add_edge("tail", "head", weight=3.0)
    matrix, labels = coupling_matrix(graph)
    assert labels == ("tail", "head")
    assert matrix.tolist() == [[0.0, 0.0], [3.0, 0.0]]


def test_large_sparse_graphs_stay_sparse_and_small_ones_become_dense():
    ring = nx.cycle_graph(200)
    sparse, _ = coupling_matrix(ring)
    dense, _ = coupling_matrix(nx.cycle_graph(20))
    assert sp.issparse(sparse) and isinstance(dense, np.ndarray)
    assert np.array_equal(sparse.toarray(), nx.to_numpy_array(ring))


def test_matrices_pass_through():
    array = np.array([[0.0, 1.0], [2.0, 0.0]])
    for source in (array, array.tolist(), sp.csr_array(array), sp.coo_matrix(array)):
        matrix, labels = coupling_matrix(source)
        assert labels is None
        assert np.array_equal(matrix if isinstance(matrix, np.ndarray) else matrix.toarray(), array)


def test_an_edge_without_weight_among_weighted_ones_is_named():
    graph = nx.Graph()
    graph.add_edge("a", "b", weight=1.0)
    graph.add_edge("b", "c", wieght=2.0)
    with pytest.raises(ArgumentError, match=r"'b'-'c' has no 'weight'.*1 of 2 lack it.*did you mean 'wieght'"):
        coupling_matrix(graph)


@pytest.mark.parametrize("value", ["heavy", np.nan, np.inf])
def test_a_weight_that_is_no_number_is_named(value):
    graph = nx.Graph()
    graph.add_edge(0, 1, weight=value)
    with pytest.raises(ArgumentError, match="edge 0-1"):
        coupling_matrix(graph)


@pytest.mark.parametrize("bad", [np.ones((2, 3)), [[1.0, np.nan], [0.0, 1.0]], np.ones(3), "abc", nx.Graph()])
def test_what_is_no_coupling_is_refused(bad):
    with pytest.raises(ArgumentError, match="coupling"):
        coupling_matrix(bad)


@pytest.mark.parametrize("name", DATASETS)
def test_data_sets_load_by_name(name):
    assert load_graph(name).number_of_edges() > 0


def _example():
    graph = nx.DiGraph()
    graph.add_edge("a", "b", weight=2.0)
    graph.add_edge("b", "c", weight=-0.5)
    graph.add_edge("a", "c", weight=1.0)
    return graph


def test_files_of_every_kind_give_the_same_coupling(tmp_path):
    graph = _example()
    matrix, _ = coupling_matrix(graph)
    nx.write_graphml(graph, tmp_path / "g.graphml")
    nx.write_gml(graph, tmp_path / "g.gml")
    (tmp_path / "g.edgelist").write_text("# a comment\na b 2.0\nb c -0.5\na c 1.0\n")
    (tmp_path / "g.csv").write_text("source,target,weight\na,b,2.0\nb,c,-0.5\na,c,1.0\n")
    scipy.io.mmwrite(tmp_path / "g.mtx", sp.coo_array(matrix))
    sp.save_npz(tmp_path / "g.npz", sp.csr_array(matrix))
    rows = "\n".join(f"{name}," + ",".join(map(str, row)) for name, row in zip("abc", matrix, strict=True))
    (tmp_path / "named.csv").write_text(f",a,b,c\n{rows}\n")
    for name in ("g.graphml", "g.gml", "g.edgelist", "g.csv", "g.mtx", "g.npz", "named.csv"):
        got, _ = coupling_matrix(load_graph(tmp_path / name, directed=True))
        assert np.array_equal(got, matrix), name


def test_a_missing_file_is_named_with_its_neighbour(tmp_path):
    (tmp_path / "network.graphml").write_text("")
    with pytest.raises(ArgumentError, match=r"netwrok.*existing file.*did you mean 'network.graphml'"):
        load_graph(tmp_path / "netwrok.graphml")


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("g.edgelist", "a b 1.0\na b c d\n", "line 2"),
        ("g.edgelist", "a b heavy\n", "a finite number as weight in line 1"),
        ("g.edgelist", "\n", "at least one edge"),
        ("g.graphml", "not xml", "readable"),
        ("g.mtx", "%%MatrixMarket nonsense", "readable"),
    ],
)
def test_malformed_files_say_where(tmp_path, name, text, word):
    (tmp_path / name).write_text(text)
    with pytest.raises(ArgumentError, match=word):
        load_graph(tmp_path / name)


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(ArgumentError, match="did you mean 'karate_club'"):
        load_graph("karate_clubb")


def test_an_adjacency_matrix_is_told_from_a_list_of_edges(tmp_path):
    bare = np.array([[0.0, 2.0, 0.0, 1.0], [2.0, 0.0, 0.0, 0.0], [0.0, 0.0, 3.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    np.savetxt(tmp_path / "bare.csv", bare, delimiter=",")
    graph = load_graph(tmp_path / "bare.csv")
    assert np.array_equal(coupling_matrix(graph)[0], bare) and not graph.is_directed()
    (tmp_path / "three.csv").write_text("1,2,3\n2,3,1\n3,1,2\n")
    assert load_graph(tmp_path / "three.csv").number_of_nodes() == 3, "three edges with weights"
    assert load_graph(tmp_path / "three.csv").edges["1", "2"]["weight"] == 3.0
    assert "is read as a list of edges" in load_graph(tmp_path / "three.csv").graph["notes"]
    assert "notes" not in load_graph(tmp_path / "three.csv", adjacency=False).graph
    square = load_graph(tmp_path / "three.csv", adjacency=True)
    assert coupling_matrix(square)[0].tolist() == [[1, 2, 3], [2, 3, 1], [3, 1, 2]]
    (tmp_path / "odd.csv").write_text(",a,b\na,0,1\nc,1,0\n")
    with pytest.raises(ArgumentError, match="row 3 has 'c', not 'b'"):
        load_graph(tmp_path / "odd.csv")
    (tmp_path / "bad.csv").write_text("0,1,0,0\n0,0,x,0\n0,0,0,0\n0,0,0,0\n")
    with pytest.raises(ArgumentError, match="row 2, column 3 is 'x'"):
        load_graph(tmp_path / "bad.csv")
    (tmp_path / "nan.csv").write_text("a,b,nan\n")
    with pytest.raises(ArgumentError, match="a finite number as weight in line 1"):
        load_graph(tmp_path / "nan.csv")


def test_what_was_done_with_a_file_is_said(tmp_path, caplog):
    (tmp_path / "g.edgelist").write_text("a b\nb c\nb a\nc c\n")
    graph = load_graph(tmp_path / "g.edgelist")
    notes = graph.graph["notes"]
    assert "1 repeated edge: the last one holds (line 3)" in notes and "1 self-loop is kept" in notes and "'c'" in notes
    assert "no edge has 'weight'" in notes and notes in caplog.text and "WARNING" in caplog.text
    assert coupling_matrix(graph)[0][2, 2] == 1.0
    many = nx.MultiGraph([("a", "b", {"weight": 1.0}), ("a", "b", {"weight": 2.0}), ("b", "c", {"weight": 1.0})])
    nx.write_graphml(many, tmp_path / "many.graphml")
    found = load_graph(tmp_path / "many.graphml")
    assert "parallel edges are added up (1 more" in found.graph["notes"] and coupling_matrix(found)[0][0, 1] == 3.0
    nx.write_graphml(_example(), tmp_path / "plain.graphml")
    assert "notes" not in load_graph(tmp_path / "plain.graphml").graph
