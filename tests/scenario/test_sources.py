"""Graphs, matrices and functions that a scenario names: read as they should be, or refused with the key that named them."""

import networkx as nx
import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp
from scenario_files import COUPLING, change, on_graph, refused, write

import dynet as dn
from dynet.errors import ScenarioError

WEIGHTS = np.array([[0.0, 0.5, 0.0], [0.25, 0.0, 0.125], [0.0, 2.0, 0.0]])


def model(folder, text):
    return dn.Scenario.load(write(folder, text)).build().model


def coupling(model):
    """The weights of a Hopfield model, dense."""
    F = model.F
    return F.toarray() if hasattr(F, "toarray") else np.asarray(F)


@pytest.fixture
def digraph():
    graph = nx.DiGraph()
    graph.add_nodes_from("abc")
    graph.add_weighted_edges_from([("b", "a", 0.5), ("a", "b", 0.25), ("c", "b", 0.125), ("b", "c", 2.0)])
    return graph


def test_graphml(tmp_path, digraph):
    nx.write_graphml(digraph, tmp_path / "net.graphml")
    found = model(tmp_path, on_graph('file = "net.graphml"'))
    assert found.labels == ("a", "b", "c")
    assert (coupling(found) == WEIGHTS).all()


def test_another_edge_attribute(tmp_path):
    nx.write_graphml(nx.Graph([("a", "b", {"strength": 3.0})]), tmp_path / "net.graphml")
    text = change('kind = "hopfield"', 'kind = "hopfield"\nedge_weight = "strength"', on_graph('file = "net.graphml"'))
    assert coupling(model(tmp_path, text)).tolist() == [[0.0, 3.0], [3.0, 0.0]]


@pytest.mark.parametrize("name", ["net.edgelist", "net.csv", "net.txt"])
def test_edge_lists(tmp_path, name):
    comma = "," if name.endswith("csv") else " "
    rows = [("a", "b", 0.25), ("b", "a", 0.5), ("c", "b", 0.125), ("b", "c", 2.0)]
    (tmp_path / name).write_text("".join(comma.join(map(str, row)) + "\n" for row in rows))
    found = model(tmp_path, on_graph(f'file = "{name}"\ndirected = true'))
    assert found.labels == ("a", "b", "c")
    assert (coupling(found) == WEIGHTS).all()
    (tmp_path / name).write_text(comma.join(["a", "b", "0.25"]))
    assert coupling(model(tmp_path, on_graph(f'file = "{name}"'))).tolist() == [[0.0, 0.25], [0.25, 0.0]]


def test_a_table_is_a_matrix_where_the_scenario_says_so(tmp_path):
    (tmp_path / "three.csv").write_text("0,0.2,0\n0.1,0,0.3\n0,0.3,0\n")
    found = model(tmp_path, on_graph('file = "three.csv"\nadjacency = true'))
    assert coupling(found).tolist() == [[0.0, 0.2, 0.0], [0.1, 0.0, 0.3], [0.0, 0.3, 0.0]]


@pytest.mark.parametrize("name", ["A.npz", "A.mtx"])
def test_a_matrix_as_a_graph(tmp_path, name):
    sp.save_npz(tmp_path / "A.npz", sp.csr_array(WEIGHTS))
    scipy.io.mmwrite(tmp_path / "A.mtx", sp.coo_array(WEIGHTS))
    assert (coupling(model(tmp_path, on_graph(f'file = "{name}"'))) == WEIGHTS).all()


@pytest.mark.parametrize("name", ["A.npy", "A.npz", "A.mtx", "A.csv"])
def test_a_matrix_as_coupling(tmp_path, name):
    np.save(tmp_path / "A.npy", WEIGHTS)
    sp.save_npz(tmp_path / "A.npz", sp.csr_array(WEIGHTS))
    scipy.io.mmwrite(tmp_path / "A.mtx", sp.coo_array(WEIGHTS))
    np.savetxt(tmp_path / "A.csv", WEIGHTS, delimiter=",")
    assert (coupling(model(tmp_path, change(COUPLING, f'coupling = "{name}"\n'))) == WEIGHTS).all()


def test_data_set_and_generator(tmp_path):
    assert model(tmp_path, on_graph('name = "karate_club"')).n == 34
    text = on_graph('generator = "watts_strogatz_graph"\nargs = { n = 12, k = 4, p = 0.5 }')
    first, again, other = (
        coupling(model(tmp_path, t)) for t in (text, text, change("seed = 3", "seed = 4", text))
    )  # the scenario's seed is the generator's, unless its arguments have one
    assert first.shape == (12, 12) and (first == again).all() and (first != other).any()


FIELD = """\
import dynet as dn
from helper import rate

@dn.vector_field(n=2, params={"k": rate}, inputs=1)
def pair(t, x, u, p, dx):
    dx[0] = -p.k * x[0] + u[0]
    dx[1] = x[0] - x[1]
"""


def test_function(tmp_path):
    (tmp_path / "field.py").write_text(FIELD)
    (tmp_path / "helper.py").write_text("rate = 2.0\n")
    text = (
        '[model]\nfunction = "field.py:pair"\nk = 3.0\n[input]\nkind = "constant"\nvalue = 1.0\n[simulate]\nt = 1.0\n'
    )
    built = dn.Scenario.load(write(tmp_path, text)).build()
    assert built.model.params == {"k": 3.0} and built.u(0.0).tolist() == [1.0]


def _function(word="field.py:pair", keys=""):
    return f'[model]\nfunction = "{word}"\n{keys}\n[simulate]\nt = 1.0\n'


REFUSED = {
    "generator": (on_graph('generator = "watts_strogatz_grph"'), "graph.generator='watts_strogatz_grph': expected a graph "
                  "generator of networkx", "did you mean 'watts_strogatz_graph'?"),
    "argument": (on_graph('generator = "path_graph"\nargs = { m = 3 }'), "graph.args.m=3: expected an argument of "
                 "path_graph (n)"),
    "missing argument": (on_graph('generator = "path_graph"'), "graph.args lacks n, which path_graph needs"),
    "impossible arguments": (on_graph('generator = "watts_strogatz_graph"\nargs = { n = 5, k = 20, p = 0.1 }'),
                             "graph.args do not fit watts_strogatz_graph: k>n"),
    "data set": (on_graph('name = "karate_klub"'), "graph.name='karate_klub': expected a data set that ships with "
                 "networkx (", "did you mean 'karate_club'?"),
    "no graph file": (on_graph('file = "nett.graphml"'), "graph.file = 'nett.graphml': there is no file ",
                      "did you mean 'net.graphml'?"),
    "ending": (on_graph('file = "field.py"'), "graph.file = 'field.py': expected a file (.graphml, "),
    "missing weights": (on_graph('file = "holes.graphml"'), "graph.file = 'holes.graphml': a graph whose edge 'b'-'c'"
                        " has no 'weight': expected 'weight' on every edge or on none (1 of 2 lack it)"),
    "no numbers": (on_graph('file = "words.graphml"'), "edge 'a'-'b' with weight='heavy': expected a finite number"),
    "not GraphML": (on_graph('file = "broken.graphml"'), "graph.file = 'broken.graphml': expected a readable .graphml"),
    "not an edge list": (on_graph('file = "broken.edgelist"'), "graph.file = 'broken.edgelist': expected lines 'from to "
                         "[weight]'; line 2 is 'a b 3 4 5'"),
    "graph and matrix": (change("[model]", '[graph]\nname = "karate_club"\n\n[model]'), "model.coupling is one too many: "
                         "there is a table [graph]"),
    "no matrix file": (change(COUPLING, 'coupling = "B.npy"\n'), "model.coupling = 'B.npy': there is no file ",
                       "did you mean 'A.npy'?"),
    "rectangular file": (change(COUPLING, 'coupling = "A.npy"\n'), "model.coupling=an array of shape (2, 3): expected a "
                         "square matrix"),
    "not a matrix file": (change(COUPLING, 'coupling = "broken.npz"\n'), "model.coupling='broken.npz': expected a readable"
                          " .npz file"),
    "ending of a matrix": (change(COUPLING, 'coupling = "field.py"\n'), "model.coupling='field.py': expected a file that "
                           "ends in .npy, .npz"),
    "number for a matrix": (change(COUPLING, "coupling = 3.0\n"), "model.coupling=3.0: expected a square matrix [["),
    "function without a file": (_function("pair"), "model.function='pair': expected 'file.py:name'"),
    "no file of a function": (_function("feld.py:pair"), "model.function = 'feld.py': there is no file ",
                              "did you mean 'field.py'?"),
    "no such function": (_function("field.py:pear"), "model.function='field.py:pear': expected a function under "
                         "@dn.vector_field in field.py (pair); did you mean 'pair'?"),
    "parameter": (_function(keys="kk = 1.0"), "model.kk=1.0: expected a parameter of pair (k); did you mean 'k'?"),
    "shape of a parameter": (_function(keys="k = [1.0, 2.0]"), "model.k=an array of shape (2,): expected the shape ()"),
    "syntax": (_function("syntax.py:f"), "model.function = 'syntax.py:f': syntax.py:1: SyntaxError: "),
    "raises": (_function("raises.py:f"), "model.function = 'raises.py:f': raises.py:2: ZeroDivisionError: "),
    "out of range": (_function("range.py:f"), "small.toml:2: model.function = 'range.py:f': range.py:3: f=", "below n=1"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case, capsys, tmp_path):
    np.save(tmp_path / "A.npy", WEIGHTS[:2])
    (tmp_path / "broken.npz").write_text("nothing")
    nx.write_graphml(nx.Graph([("a", "b")]), tmp_path / "net.graphml")
    nx.write_graphml(nx.Graph([("a", "b", {"weight": 1.0}), ("b", "c")]), tmp_path / "holes.graphml")
    nx.write_graphml(nx.Graph([("a", "b", {"weight": "heavy"})]), tmp_path / "words.graphml")
    (tmp_path / "broken.graphml").write_text("<graphml>")
    (tmp_path / "broken.edgelist").write_text("a b 1.0\na b 3 4 5\n")
    (tmp_path / "field.py").write_text(FIELD)
    (tmp_path / "helper.py").write_text("rate = 2.0\n")
    (tmp_path / "syntax.py").write_text("def f(:\n")
    (tmp_path / "raises.py").write_text("\n1 / 0\n")
    (tmp_path / "range.py").write_text(
        "import dynet as dn\n\n@dn.vector_field(n=1)\ndef f(t, x, p, dx):\n    dx[0] = x[3]\n"
    )
    text, *parts = REFUSED[case]
    said = refused(capsys, tmp_path, text)
    for part in parts:
        assert part in said, said


def test_a_script_may_give_graphs_and_matrices(digraph):
    built = dn.Scenario(graph=digraph, model={"kind": "hopfield"}, certify={}).build()
    assert (coupling(built.model) == WEIGHTS).all() and built.model.labels == ("a", "b", "c")
    for matrix in (WEIGHTS, sp.csr_array(WEIGHTS), WEIGHTS.tolist()):
        assert (
            coupling(dn.Scenario(model={"kind": "hopfield", "coupling": matrix}, certify={}).build().model) == WEIGHTS
        ).all()
    with pytest.raises(ScenarioError, match="edge 'a'-'b'.* has no 'weight'.*1 of 2 lack it"):
        graph = nx.Graph([("a", "b"), ("b", "c", {"weight": 1.0})])
        dn.Scenario(graph=graph, model={"kind": "hopfield"}, certify={}).build()
