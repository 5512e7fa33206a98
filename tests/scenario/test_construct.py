"""What is well written and does not fit: models, inputs, initial states, norms, methods."""

import numpy as np
import pytest
from scenario_files import COUPLING, SMALL, change, drop, refused, write

import dynet as dn
from dynet.errors import ArgumentError, ScenarioError

LORENZ = '[model]\nkind = "lorenz"\n\n[simulate]\nt = 1.0\n'

CASES = {
    "model": (change('"hopfield"', '"hopfeild"'), "small.toml:5: model.kind='hopfeild': expected a kind of model (",
              "did you mean 'hopfield'?"),
    "activation": (change('"tanh"', '"tahn"'), "small.toml:7: model.activation='tahn': expected the name of an activation"
                   " (", "did you mean 'tanh'?"),
    "parameter": (change('activation = "tanh"', "wieght = 2.0"), "small.toml:7: model.wieght=2.0: expected a parameter of"
                  " hopfield (weight, leak, ", "did you mean 'weight'?"),
    "text for a number": (change('activation = "tanh"', 'leak = "fast"'), "small.toml:7: model.leak='fast': expected a "
                          "number"),
    "true for a number": (change('activation = "tanh"', "weight = true"), "model.weight=True: expected a number"),
    "ragged": (change("[0.0, 0.3, 0.0]]", "[0.0, 0.3]]"), "small.toml:6: model.coupling=[", "expected a square matrix"),
    "not square": (change(", [0.0, 0.3, 0.0]]", "]"), "small.toml:6: model.coupling=an array of shape (2, 3): expected a "
                   "square matrix"),
    "not finite": (change("[0.3, 0.0, 0.3]", "[0.3, inf, 0.3]"), "small.toml:6: model.coupling[1][1]=inf: expected a "
                   "finite number"),
    "text in a matrix": (change("[0.3, 0.0, 0.3]", '[0.3, "x", 0.3]'), "model.coupling=", "expected a matrix of numbers"),
    "leak": (change('activation = "tanh"', "leak = [1.0, 2.0]"), "model.leak=an array of shape (2,): expected a finite "
             "number, or one for each of the 3 nodes"),
    "labels": (change('["a", "b", "c"]', '["a", "b"]'), "small.toml:8: model.labels=2 labels: expected 3 labels"),
    "labels that agree": (change('["a", "b", "c"]', '["a", "b", "b"]'), "model.labels=two labels 'b': expected distinct"),
    "one text as labels": (change('["a", "b", "c"]', '"abc"'), "model.labels='abc': expected a list of 3 labels"),
    "no coupling": (change(COUPLING, ""), "small.toml: graph is missing: hopfield needs a graph, or a matrix as "
                    "model.coupling"),
    "graph without use": (LORENZ + '\n[graph]\nname = "karate_club"\n', "small.toml:7: graph has no use: lorenz has no"),
    "input without use": (LORENZ + '\n[input]\nkind = "constant"\nvalue = 1.0\n', "input has no use: lorenz has no input"),
    "text for rho": (change("\n\n", '\nrho = "x"\n\n', LORENZ), "small.toml:3: model.rho='x': expected a number"),
    "list for rho": (change("\n\n", "\nrho = [1.0, 2.0]\n\n", LORENZ), "model.rho=[1.0, 2.0]: expected a number"),
    "kind of input": (change('"constant"', '"konstant"'), "small.toml:11: input.kind='konstant': expected a kind of input "
                      "(constant, ", "did you mean 'constant'?"),
    "no kind of input": (change('kind = "constant"\n', ""), "small.toml:10: input.kind is missing"),
    "key of an input": (change("value =", "valeu ="), "small.toml:12: input.valeu={'a': 1.0}: expected a key of input "
                        "'constant' (value)", "did you mean 'value'?"),
    "missing value": (change("value = { a = 1.0 }", ""), "small.toml:10: input.value is missing: input 'constant' needs"),
    "channels": (change("{ a = 1.0 }", "[1.0, 2.0]"), "small.toml:10: input does not fit: expected a signal of 1 or 3"),
    "label of an input": (change("{ a = 1.0 }", "{ d = 1.0 }"), "small.toml:12: input.value.d=1.0: expected the label of "
                          "one of the 3 states (a, b, c)"),
    "input in words": (change("{ a = 1.0 }", '{ a = "one" }'), "input.value.a='one': expected a number"),
    "inputs twice": (change('activation = "tanh"', "input = 1.0"), "small.toml:7: model.input=1.0: expected no input here"),
    "states": (change("save = 5", "x0 = [1.0, 2.0]"), "small.toml:17: simulate.x0=an array of shape (2,): expected 3 "
               "numbers, one per state of Hopfield"),
    "label of a state": (change("save = 5", "x0 = { d = 2.0 }"), "simulate.x0.d=2.0: expected the label of one of the 3"),
    "rows of states": (change("save = 5", "x0 = [[1.0, 2.0, 3.0], [1.0]]"), "simulate.x0 has rows of different lengths"),
    "batch and rows": (change("save = 5", "x0 = [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]"), "small.toml:16: simulate.batch=3: "
                       "expected 2, as many as the rows of x0"),
    "method": (change("save = 5", 'method = "dopri4"'), "small.toml:17: simulate.method='dopri4': expected the name of a "
               "method (", "did you mean 'dopri5'?"),
    "fixed step": (change("save = 5", 'method = "rk4"'), "small.toml:14: simulate.dt is missing: expected a step"),
    "times": (change("t = 2.0", "t = [3.0, 3.0]"), "small.toml:15: simulate.t=[3.0, 3.0]: expected"),
    "norm": (change('norm = "inf"', "norm = 3"), "certify.norm=3.0: expected the p of a norm (1, 2, inf)"),
    "name of a norm": (change('norm = "inf"', 'norm = "infinity"'), "small.toml:20: certify.norm='infinity': expected",
                       "did you mean 'inf'?"),
    "weights": (change('norm = "inf"', 'norm = "inf"\nweights = [1.0, 2.0]'), "small.toml:21: certify.weights=2 weights: "
                "expected 3, one for each state of Hopfield"),
    "sign of a weight": (change('norm = "inf"', 'norm = "inf"\nweights = [1.0, -2.0, 1.0]'), "certify.weights[1]=-2.0"),
    "weights alone": (change('norm = "inf"', "weights = [1.0, 2.0, 1.0]"), "small.toml:19: certify.norm is missing"),
    "order": (change('norm = "inf"', "order = 2"), "small.toml:20: certify.order=2.0: expected no order"),
    "order out of range": (change('norm = "inf"', 'kind = "k"\norder = 4'), "certify.order=4.0: expected a whole "
                           "number from 1 to 3"),
    "order in parts": (change('norm = "inf"', 'kind = "k"\norder = 1.5'), "certify.order=1.5: expected a whole number"),
    "region": (change('norm = "inf"', "region = { boxx = [0.0, 1.0] }"), "small.toml:20: certify.region.boxx=[0.0, 1.0]: "
               "expected a kind of region (box, ", "did you mean 'box'?"),
    "two regions": (change('norm = "inf"', "region = { box = [0.0, 1.0], phases = 1.0 }"), "certify.region=2 kinds of region"),
    "empty box": (change('norm = "inf"', "region = { box = [1.0, 0.0] }"), "certify.region.box is no region", "not empty"),
    "corners": (change('norm = "inf"', "region = { box = [[0.0, 0.0], 1.0] }"), "certify.region.box is no region"),
    "radius": (change('norm = "inf"', "region = { ball = { center = 0.0, radius = -1.0 } }"), "certify.region.ball is no "
               "region"),
    "centre": (change('norm = "inf"', "region = { ball = { radius = 1.0 } }"), "certify.region.ball.center is missing"),
    "phases": (change('norm = "inf"', 'region = { phases = "wide" }'), "certify.region.phases='wide': expected a number"),
    "kind of contraction": (change('norm = "inf"', 'kind = "stong"'), "small.toml:20: certify.kind='stong': expected the "
                            "kind of contraction (", "did you mean 'strong'?"),
    "method of the equilibrium": (change("tol = 1e-9", 'method = "forwad"'), "small.toml:23: equilibrium.method='forwad'",
                                  "did you mean 'forward'?"),
    "equilibrium in time": (change('kind = "constant"\nvalue = { a = 1.0 }', 'kind = "sinusoidal"\namplitude = 1.0\n'
                                   "period = 2.0"), "equilibrium has no meaning: the input varies in time"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_refused(case, capsys, tmp_path):
    text, *parts = CASES[case]
    said = refused(capsys, tmp_path, text)
    for part in parts:
        assert part in said, said


def scenario(**changes):
    tables = {"model": {"kind": "hopfield", "coupling": [[0.0, 0.5], [0.5, 0.0]], "labels": ["a", "b"]}}
    return dn.Scenario(**{**tables, **changes})


def test_labels_in_input_and_initial_state():
    built = scenario(
        input={"kind": "constant", "value": {"b": 2.0}}, simulate={"t": 1.0, "x0": {"a": 3.0}}, model={
            "kind": "firing_rate", "coupling": [[0.0, 0.5], [0.5, 0.0]], "labels": ["a", "b"]}
    ).build()  # fmt: skip
    assert built.model.input(0.0).tolist() == [0.0, 2.0]
    assert built.x0.tolist() == [3.0, 0.0]


def test_labels_of_a_graph():
    built = dn.Scenario(
        graph={"name": "les_miserables"}, model={"kind": "hopfield", "weight": 0.01},
        input={"kind": "constant", "value": {"Javert": -1.0}}, simulate={"t": 1.0, "x0": {"Valjean": 2.0}},
    ).build()  # fmt: skip
    model = built.model
    assert model.input(0.0)[model.labels.index("Javert")] == -1.0 and abs(model.input(0.0)).sum() == 1.0
    assert built.x0[model.labels.index("Valjean")] == 2.0 and abs(built.x0).sum() == 2.0
    with pytest.raises(ScenarioError, match="did you mean 'Valjean'"):
        dn.Scenario(
            graph={"name": "les_miserables"}, model={"kind": "hopfield"}, simulate={"t": 1.0, "x0": {"Valjan": 2.0}}
        ).build()


@pytest.mark.parametrize(
    ("simulate", "shape"),
    [({}, (2,)), ({"batch": 5}, (5, 2)), ({"x0": 1.0}, (2,)), ({"x0": [1.0, 2.0], "batch": 3}, (3, 2)),
     ({"x0": [[1.0, 2.0]]}, (1, 2)), ({"x0": [[1.0, 2.0], [3.0, 4.0]], "spread": 0.1}, (2, 2))],
)  # fmt: skip
def test_shapes_of_initial_states(simulate, shape):
    assert scenario(simulate={"t": 1.0, **simulate}).build().x0.shape == shape


def test_initial_states_follow_the_seed():
    def x0(**simulate):
        return scenario(seed=1, simulate={"t": 1.0, "batch": 4, **simulate}).build().x0

    assert (x0() == x0(seed=1)).all() and (x0() != x0(seed=2)).all()
    expected = 3.0 + 0.5 * np.random.default_rng(1).standard_normal((4, 2))
    assert (x0(x0=3.0, spread=0.5) == expected).all()


def test_a_given_state_stays_as_it_is():
    assert scenario(simulate={"t": 1.0, "x0": [1.0, 2.0]}).build().x0.tolist() == [1.0, 2.0]


def test_a_function_is_no_value_of_a_scenario():
    odd = dn.Activation("odd", lambda z, a: z)
    with pytest.raises(
        ArgumentError, match=r"model.activation=Activation.*expected a value that a scenario file can hold"
    ):
        scenario(model={"kind": "hopfield", "coupling": [[0.0]], "activation": odd}, certify={})


def test_the_small_scenario_is_not_refused():
    assert SMALL.count("[") > 5 and drop("input", text=SMALL) != SMALL


PARTS = """\
[model]
kind = "interconnection"
[model.parts.pump]
kind = "hopfield"
coupling = [[-0.5]]
input = 1.0
[model.parts.ring]
kind = "kuramoto"
graph = { generator = "cycle_graph", args = { n = 3 } }
[model.parts.net]
kind = "firing_rate"
coupling = [[0.0, 0.4], [-0.4, 0.0]]
input = { kind = "noise", amplitude = 0.5, step = 0.1, seed = 2 }
[[model.links]]
from = "pump"
to = "ring"
matrix = [[1.0], [0.0], [0.5]]
[[model.links]]
from = "net"
to = "pump"
matrix = [[0.5, 0.25]]
[simulate]
t = 1.0
"""


def test_interconnections_are_built_from_their_tables(tmp_path):
    scenario = dn.Scenario.load(write(tmp_path, PARTS))
    model = scenario.build().model
    assert model.labels == ("pump.x0", "ring.0", "ring.1", "ring.2", "net.x0", "net.x1")
    assert model.links["net", "pump"].tolist() == [[0.5, 0.25]] and model.parts["net"].input.size == 2
    again = dn.Scenario.load(write(tmp_path, scenario.resolved().to_toml(), "again.toml")).build().model
    x = np.arange(6.0)
    assert np.array_equal(again.rhs(0.3, x), model.rhs(0.3, x))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('from = "net"', 'from = "nett"', "did you mean 'net'"),
        ("matrix = [[0.5, 0.25]]", "matrix = [[0.5]]", r"shape \(1, 2\)"),
        ("matrix = [[0.5, 0.25]]", "matrx = [[0.5]]", "did you mean 'matrix'"),
        ('kind = "kuramoto"', 'kind = "kuramotto"', "model.parts.ring.kind.*did you mean 'kuramoto'"),
        ("cycle_graph", "cycle_grap", "model.parts.ring.graph.generator"),
        ("step = 0.1", "steps = 0.1", "did you mean 'step'"),
        ('kind = "interconnection"', 'kind = "interconnection"\nlink = 3', "did you mean 'links'"),
        ('to = "ring"\nmatrix', "matrix", "to is missing"),
    ],
)
def test_wrong_parts_and_links_are_named(tmp_path, old, new, message):
    with pytest.raises(ScenarioError, match=message):
        dn.Scenario.load(write(tmp_path, change(old, new, PARTS))).build()
