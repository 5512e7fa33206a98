"""Wrong keys, types and ranges, each refused in one line that names file, line, key, value, and what was expected."""

import pytest
from scenario_files import SMALL, change, drop, refused

FIGURE = SMALL + '\n[[figure]]\nkind = "decay"\n'

CASES = {
    "unknown key": (
        change("batch = 3", "bacth = 3"),
        "small.toml:16: simulate.bacth=3: expected a key of [simulate] (t, batch, seed, ",
        "did you mean 'batch'?",
    ),
    "unknown table": (change("[simulate]", "[simulat]"), "small.toml:14: simulat={", "did you mean 'simulate'?"),
    "unknown word at the top": (change("seed = 3", "sead = 3"), "small.toml:2: sead=3: expected a table or key of a "
                                "scenario (title, ", "did you mean 'seed'?"),  # fmt: skip
    "text for a number": (change("batch = 3", 'batch = "three"'), "small.toml:16: simulate.batch='three': expected a "
                          "whole number"),  # fmt: skip
    "half for a whole": (change("batch = 3", "batch = 2.5"), "small.toml:16: simulate.batch=2.5: expected a whole"),
    "number for a table": ("simulate = 3\n" + drop("simulate"), "small.toml:1: simulate=3: expected a table"),
    "range": (change("batch = 3", "batch = 0"), "simulate.batch=0: expected a whole number of at least 1"),
    "negative tolerance": (change("tol = 1e-9", "tol = -1.0"), "small.toml:23: equilibrium.tol=-1.0: expected a number "
                           "above 0"),  # fmt: skip
    "negative seed": (change("seed = 3", "seed = -1"), "small.toml:2: seed=-1: expected a whole number of at least 0"),
    "nan": (change("t = 2.0", "t = nan"), "small.toml:15: simulate.t=nan: expected a finite number"),
    "missing key": (change("t = 2.0\n", ""), "small.toml:14: simulate.t is missing: [simulate] needs it"),
    "missing table": (drop("model"), "small.toml: model is missing: every scenario needs it"),
    "malformed": (change("t = 2.0", "t = = 2"), "small.toml: not well-formed TOML:", "line 15", "'t = = 2'"),
    "twice": (change("t = 2.0", "t = 2.0\nt = 3.0"), "not well-formed TOML: Cannot overwrite a value (at line 16"),
    "kind of figure": (FIGURE.replace('"decay"', '"dekay"'), "small.toml:30: figure[0].kind='dekay': expected a kind of "
                       "figure (coherence, decay, pattern, trajectories", "did you mean 'decay'?"),  # fmt: skip
    "option of a figure": (FIGURE + "pears = 3\n", "small.toml:31: figure[0].pears=3: expected an option of figure "
                           "'decay' (pairs, ", "did you mean 'pairs'?"),  # fmt: skip
    "figure without a kind": (FIGURE.replace('kind = "decay"', "pairs = 3"), "small.toml:29: figure[0].kind is missing"),
    "one bracket": (FIGURE.replace("[[figure]]", "[figure]"), "small.toml:29: figure={'kind': 'decay'}: expected a list "
                    "of tables: write [[figure]] with two brackets"),  # fmt: skip
    "figure of one": (FIGURE.replace("batch = 3\n", ""), "figure[0].kind='decay': expected simulate.batch of at least 2"),
    "figure of nothing": (drop("simulate", text=FIGURE), "figure[0]={'kind': 'decay'}: expected a table [simulate]"),
    "quantity": (change("certified = true", "certifeid = true"), "small.toml:26: expect.certifeid=True: expected a "
                 "quantity that a run measures (nodes, ", "did you mean 'certified'?"),  # fmt: skip
    "key of a quantity": (change("{ min = 0.1 }", "{ value = 1, rtoll = 2 }"), "small.toml:27: expect.rate.rtoll=2: "
                          "expected a key of [expect.rate]", "did you mean 'rtol'?"),  # fmt: skip
    "text as a quantity": (change("{ min = 0.1 }", '"big"'), "expect.rate='big': expected a number, { value, rtol, atol }"
                           " or { min, max }"),  # fmt: skip
    "empty range": (change("{ min = 0.1 }", "{ min = 2.0, max = 1.0 }"), "expect.rate={", "expected min below max"),
    "range and value": (change("{ min = 0.1 }", "{ min = 2.0, value = 1.0 }"), "expect.rate.value=1.0"),
    "unmeasured": (drop("certify"), "expect.certified=True: expected a table [certify], which measures it"),
    "nothing to do": ('[model]\nkind = "lorenz"\n', "small.toml: there is nothing to do: add one of the tables "),
    "no kind": (change('kind = "hopfield"\n', ""), "small.toml:4: model has neither kind nor function: expected kind ="),
    "two kinds": (change("[model]", '[model]\nfunction = "a.py:f"'), "small.toml:4: model has both kind and function"),
    "name": (change("seed = 3", 'name = "../x"'), "small.toml:2: name='../x': expected a plain folder name"),
    "word to save": (change("save = 5", 'save = "lst"'), "simulate.save='lst': expected", "did you mean 'last'?"),
    "source of a graph": (SMALL + "\n[graph]\n", "small.toml:29: graph has no source: expected one of generator, name"),
    "two sources": (SMALL + '\n[graph]\nname = "a"\nfile = "b"\n', "graph has name and file: expected one of"),
    "arguments of a name": (SMALL + '\n[graph]\nname = "a"\nargs = { n = 1 }\n', "graph.args={'n': 1}: expected no args"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_refused(case, capsys, tmp_path):
    text, *parts = CASES[case]
    said = refused(capsys, tmp_path, text)
    for part in parts:
        assert part in said, said
