"""The scenario as a value: what it takes, `replace`, and that its resolved text is the same run."""

import json
import tomllib

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
from scenario_files import SMALL, blow_up, on_graph, write

import dynet as dn
from dynet.errors import ArgumentError, ScenarioError

TABLES = {
    "model": {"kind": "hopfield", "coupling": [[0.0, 0.5], [0.5, 0.0]]},
    "simulate": {"t": 1.0, "batch": 3, "save": 4},
    "certify": {},
}


def test_file_and_script_are_one(tmp_path):
    file = dn.Scenario.load(write(tmp_path))
    script = dn.Scenario(**tomllib.loads(SMALL), name="small")
    assert file.tables == script.replace("name", None).tables
    assert file.resolved().to_toml() == script.resolved().to_toml()
    first, second = file.run(out=None), script.run(out=None)
    assert first.digest == second.digest
    assert (first.trajectory.x == second.trajectory.x).all()


def test_names():
    assert dn.Scenario(**TABLES).name == "scenario"
    assert dn.Scenario(title="Two rates: in  time", **TABLES).name == "two-rates-in-time"
    assert dn.Scenario(title="Two", name="pair", **TABLES).name == "pair"
    assert "pair" in repr(dn.Scenario(name="pair", **TABLES))


def test_the_resolved_scenario_states_every_seed():
    graph = {"generator": "watts_strogatz_graph", "args": {"n": 9, "k": 4, "p": 0.5}}
    resolved = dn.Scenario(seed=4, graph=graph, model={"kind": "hopfield"}, simulate={"t": 1.0}).resolved().tables
    assert resolved.seed == resolved.simulate.seed == resolved.graph.args["seed"] == 4


def test_numpy_values_become_plain():
    scenario = dn.Scenario(
        model={"kind": "hopfield", "coupling": np.eye(2), "weight": np.float64(0.5), "leak": np.ones(2)},
        simulate={"t": np.float64(1.0), "batch": np.int64(2)},
    )
    read = tomllib.loads(scenario.to_toml())
    assert read["model"]["leak"] == [1.0, 1.0] and type(read["simulate"]["batch"]) is int


def test_replace_leaves_the_original():
    scenario = dn.Scenario(**TABLES)
    other = scenario.replace("model.weight", 0.2).replace("simulate.seed", 5).replace("seed", 2)
    assert other.tables.model["weight"] == 0.2 and other.tables.simulate.seed == 5 and other.tables.seed == 2
    assert "weight" not in scenario.tables.model and scenario.tables.seed == 0
    assert (
        other.replace("model.weight", None).replace("simulate.seed", None).replace("seed", None).tables
        == scenario.tables
    )


def test_replace_makes_tables_and_reaches_into_lists():
    figures = [{"kind": "decay"}, {"kind": "trajectories"}]
    scenario = dn.Scenario(**TABLES, figure=figures).replace("equilibrium.tol", 1e-6).replace("figure.0.pairs", 3)
    assert scenario.tables.equilibrium.tol == 1e-6
    assert scenario.tables.figure == [{"kind": "decay", "pairs": 3}, {"kind": "trajectories"}]
    assert dn.Scenario(**TABLES).replace("equilibrium", {"tol": 1e-3}).tables.equilibrium.tol == 1e-3
    graph = nx.path_graph(3)
    assert (
        dn.Scenario(graph=graph, model={"kind": "hopfield"}, certify={})
        .replace("graph", nx.path_graph(5))
        .build()
        .model.n
        == 5
    )


@pytest.mark.parametrize("key", ["figure.3.kind", "title.x", "model.weight.x", "figure.x"])
def test_replace_refuses_what_is_no_path(key):
    scenario = dn.Scenario(**TABLES, title="a").replace("model.weight", 1.0).replace("figure", [{"kind": "decay"}])
    with pytest.raises(ArgumentError, match="expected a path of keys such as 'model.weight'"):
        scenario.replace(key, 1)


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [("model.wieght", 1.0, "did you mean 'weight'"), ("simulat.t", 1.0, "did you mean 'simulate'"),
     ("simulate.t", -1.0, "simulate.t=-1.0"), ("model.activation", "tahn", "did you mean 'tanh'")],
)  # fmt: skip
def test_replace_checks_as_a_file_is_checked(key, value, text):
    with pytest.raises(ScenarioError, match=text):
        dn.Scenario(**TABLES).replace(key, value).build()


@pytest.mark.parametrize("value", [{1, 2}, object(), 1j])
def test_values_that_no_file_can_hold(value):
    with pytest.raises(ArgumentError, match="model.weight=.*expected a value that a scenario file can hold"):
        dn.Scenario(model={"kind": "hopfield", "weight": value}, certify={})


def test_messages_name_the_scenario_that_has_no_file():
    with pytest.raises(ScenarioError, match="^scenario: simulate.bacth=3: expected a key of"):
        dn.Scenario(model={"kind": "lorenz"}, simulate={"t": 1.0, "bacth": 3})


def graph_of(kind):
    graph = nx.gnp_random_graph(80, 0.1, seed=1, directed=kind == "directed")
    return nx.relabel_nodes(graph, {node: f"n{node}" for node in reversed(range(80))})


SOURCES = {
    "file": lambda folder: dn.Scenario.load(write(folder)),
    "generator": lambda folder: dn.Scenario.load(
        write(folder, on_graph('generator = "watts_strogatz_graph"\nargs = { n = 9, k = 4, p = 0.5 }'))
    ),
    "function": lambda folder: dn.Scenario.load(blow_up(folder)),
    "undirected graph": lambda folder: dn.Scenario(
        graph=graph_of("undirected"), model={"kind": "hopfield", "weight": 0.01}, simulate={"t": 1.0}
    ),
    "directed graph": lambda folder: dn.Scenario(
        graph=graph_of("directed"), model={"kind": "hopfield", "weight": 0.01}, simulate={"t": 1.0}
    ),
    "sparse matrix": lambda folder: dn.Scenario(
        model={"kind": "hopfield", "coupling": 0.1 * sp.eye_array(4, k=1, format="csr")}, simulate={"t": 1.0}
    ),
    "large matrix": lambda folder: dn.Scenario(
        model={"kind": "hopfield", "coupling": np.random.default_rng(0).normal(size=(70, 70)) / 70}, simulate={"t": 1.0}
    ),
}  # fmt: skip


@pytest.mark.parametrize("source", SOURCES)
def test_the_resolved_scenario_is_the_same_run(source, tmp_path):
    first = SOURCES[source](tmp_path).run(out=tmp_path / "runs")
    again = dn.Scenario.load(first.folder / "scenario.toml")
    second = again.run(out=tmp_path / "again")
    assert again.resolved().to_toml() == (first.folder / "scenario.toml").read_text()
    assert second.digest == first.digest and second.scenario.name == first.scenario.name
    assert np.array_equal(first.trajectory.x, second.trajectory.x, equal_nan=True)
    assert first.trajectory.labels == second.trajectory.labels
    assert second.certificate == first.certificate
    one, two = (json.loads((r.folder / "report.json").read_text())["numbers"] for r in (first, second))
    assert {k: v for k, v in one.items() if k != "seconds"} == {k: v for k, v in two.items() if k != "seconds"}
    assert one["steps"] > 0


def test_the_digest_follows_what_decides_the_numbers(tmp_path):
    def digest():
        return dn.Scenario.load(tmp_path / "net.toml").run(out=None).digest

    (tmp_path / "net.edgelist").write_text("a b 0.5\n")
    write(tmp_path, on_graph('file = "net.edgelist"'), "net.toml")
    first = digest()
    assert digest() == first
    (tmp_path / "net.edgelist").write_text("a b 0.25\n")
    second = digest()
    write(tmp_path, on_graph('file = "net.edgelist"').replace("seed = 3", "seed = 4"), "net.toml")
    assert len({first, second, digest()}) == 3


def test_check_raises_after_the_files_are_written(tmp_path):
    scenario = dn.Scenario(**TABLES, expect={"rate": {"value": 9.0}, "nodes": 2}, name="wrong")
    with pytest.raises(ScenarioError, match="expect does not hold: rate is 0.5, wanted 9 within 9e-06"):
        scenario.run(out=tmp_path, check=True)
    assert json.loads((tmp_path / "wrong" / "report.json").read_text())["passed"] is False
    assert scenario.run(out=None).ok is False


def test_progress_hears_of_every_stage():
    heard = []
    dn.Scenario(**TABLES).run(out=None, progress=lambda stage, fraction: heard.append((stage, fraction)))
    stages = list(dict.fromkeys(stage for stage, _ in heard))
    assert stages == ["build", "certify", "simulate", "figures"]
    assert all(0.0 <= fraction <= 1.0 for _, fraction in heard)
