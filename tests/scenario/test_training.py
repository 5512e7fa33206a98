"""Scenarios that train networks: their folder, their numbers, and what is refused."""

import csv
import json
import os
import pathlib

import numpy as np
import pytest
from implicit.test_data import mnist
from scenario_files import refused, write

import dynet as dn
from dynet.cli import main

STUDY_FILE = pathlib.Path(__file__).parents[2] / "scenarios/implicit_study.toml"

STUDY = """\
title = "Two networks"
data = "digits"

[[network]]
name = "plain"
states = 6
epochs = 3

[[network]]
name = "layers"
kind = "explicit"
states = 6
epochs = 1

[study]
eps = [0.0, 0.05]
attacks = ["pgd"]
certificates = ["interval", "gain"]
samples = 30
steps = 3
kept = [0.5]

[[figure]]
kind = "networks"

[expect]
"plain.accuracy" = { min = 0.1 }
"plain.contradictions" = 0
"layers.pgd@0.05" = { min = 0.0, max = 1.0 }
"""


def change(old, new):
    assert old in STUDY, old
    return STUDY.replace(old, new, 1)


def test_a_run(tmp_path, capsys):
    file = write(tmp_path, STUDY, "two.toml")
    assert main(["check", str(file)]) == 0
    assert "two.toml: ok, 2 networks to train on digits (1300 images)" in capsys.readouterr().out
    assert main(["run", str(file), "--out", str(tmp_path), "--check"]) == 0
    said = capsys.readouterr()
    folder = tmp_path / "two"
    assert said.out.strip() == str(folder) and "percent at eps" in said.err and "plain.contradictions" in said.err
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert names == sorted([
        "figures/networks.png", "figures/networks.svg", "inputs/digits.sha256", "networks/layers.npz", "networks/plain.npz",
        "report.json", "scenario.toml", "study.csv", "training/layers.csv", "training/plain.csv",
    ])  # fmt: skip
    report = json.loads((folder / "report.json").read_text())
    assert report["passed"] and sorted(report["files"]) == names
    net = dn.ImplicitNetwork.load(folder / "networks/plain.npz")
    digits = dn.implicit.load("digits")
    right = float(np.mean(net(digits.test.astype(float)).argmax(axis=1) == digits.test_labels))
    assert report["numbers"]["plain.accuracy"] == pytest.approx(right)
    with open(folder / "study.csv") as table:
        rows = list(csv.DictReader(table))
    assert len(rows) == 2 * 3 * 2 + 1
    assert main(["show", str(folder)]) == 0 and "percent at eps" in capsys.readouterr().out
    # the resolved scenario gives the same numbers, and says what every default was
    again = dn.Scenario.load(folder / "scenario.toml")
    assert "lr = 0.005" in (folder / "scenario.toml").read_text()
    numbers = again.run(out=None).numbers
    same = {k: v for k, v in report["numbers"].items() if "seconds" not in k}
    assert {k: v for k, v in numbers.items() if "seconds" not in k} == pytest.approx(same)
    assert main(["run", str(file), "--out", str(tmp_path), "--resume"]) == 0
    assert "done before" in capsys.readouterr().err


CASES = {
    "no data": (change('data = "digits"\n', ""), "study.toml: data is missing: the name of a data set (digits, mnist)"),
    "data": (change('"digits"', '"digit"'), "study.toml:2: data='digit': expected the name of a data set", "'digits'"),
    "model": (STUDY + '[model]\nkind = "lorenz"\n', "model has no use: the tables [[network]] say what is trained"),
    "no name": (change('name = "plain"\n', ""), "network[0].name=None: expected a name"),
    "same name": (change('"layers"', '"plain"'), "network[1].name='plain': expected a name that no other network has"),
    "key": (change("epochs = 3", "epoch = 3"), "network[0].epoch=3: expected a key of [[network]]", "'epochs'"),
    "kind": (change('"explicit"', '"explcit"'), "network[1].kind='explcit'", "did you mean 'explicit'?"),
    "states": (change("states = 6", "states = 0"), "network[0].states=0: expected a whole number of at least 1"),
    "gamma": (change("states = 6", "gamma = 1.0"), "network[0].gamma=1.0: expected a number below 1"),
    "no gamma": (change('kind = "explicit"', 'kind = "explicit"\ngamma = 0.5'), "network[1].gamma=0.5: expected no gamma"),
    "value": (change("epochs = 3", "epochs = 3\nlr = -1.0"), "network[0].lr=-1.0: expected a number of at least 0"),
    "text": (change("epochs = 3", 'epochs = "three"'), "network[0].epochs='three': expected a whole number"),
    "schedule": (change("epochs = 3", 'schedule = "cosin"'), "network[0].schedule='cosin'", "'cosine'"),
    "dropout": (change("epochs = 1", "dropout = 0.1"), "network[1].dropout=0.1: expected 0 for an explicit network"),
    "attack": (change('["pgd"]', '["pdg"]'), "study.attacks='pdg': expected names of attacks", "did you mean 'pgd'?"),
    "certificate": (change('"gain"', '"gains"'), "study.certificates='gains'", "did you mean 'gain'?"),
    "eps": (change("0.05", "-0.05"), "study.eps=-0.05: expected numbers from 0 to 1"),
    "kept": (change("[0.5]", "[0.0]"), "study.kept=0.0: expected numbers above 0, up to 1"),
    "steps": (change("steps = 3", "steps = 0"), "study.steps=0: expected a whole number of at least 1"),
    "nothing": (change('["pgd"]', "[]").replace('["interval", "gain"]', "[]"), "study has nothing to do"),
    "figure": (change('kind = "networks"', 'kind = "decay"'), "figure[0].kind='decay': expected a figure of networks"),
    "figure of whom": (change('kind = "networks"', 'kind = "attacks"\nnetwork = "plan"'), "figure[0].network='plan'",
                       "did you mean 'plain'?"),  # fmt: skip
    "no kept": (change("kept = [0.5]\n", "").replace('"networks"', '"sparsity"'), "expected study.kept"),
    "quantity": (change("plain.accuracy", "plain.acuracy"), "expect.plain.acuracy={'min': 0.1}: expected network.quantity",
                 "did you mean 'plain.accuracy'?"),  # fmt: skip
    "of the second": (change("plain.accuracy", "layers.acuracy"), "did you mean 'layers.accuracy'?"),
    "of whom": (change("plain.accuracy", "plan.accuracy"), "expected network.quantity, of a network", "'plain'?"),
    "study alone": ('[model]\nkind = "lorenz"\n[simulate]\nt = 1.0\n[study]\n', "study has no use: there is no [[network]]"),
    "figure without": ('[model]\nkind = "lorenz"\n[simulate]\nt = 1.0\n[[figure]]\nkind = "attacks"\n',
                       "expected tables [[network]], which it draws"),  # fmt: skip
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_refused(case, capsys, tmp_path):
    text, *words = CASES[case]
    said = refused(capsys, tmp_path, write(tmp_path, text, "study.toml"))
    assert all(word in said for word in words), said


def test_a_data_set_that_is_not_here(capsys, tmp_path, monkeypatch):
    monkeypatch.delenv("DYNET_DATA", raising=False)
    said = refused(capsys, tmp_path, write(tmp_path, STUDY), "--set", "data=mnist")
    assert "data= 'mnist' cannot be read" in said.replace("data =", "data=") and "DYNET_DATA" in said


def test_the_folder_of_the_data(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("DYNET_DATA", "elsewhere")
    file, folder = write(tmp_path, STUDY.replace("states = 6", "states = 3")), mnist(tmp_path / "images")
    assert main(["check", str(file), "--set", "data=mnist", "--data", str(folder)]) == 0
    assert "2 networks to train on mnist (6 images)" in capsys.readouterr().out
    assert os.environ["DYNET_DATA"] == "elsewhere"
    options = ["--set", "data=mnist", "--data", str(folder), "--out", str(tmp_path / "runs")]
    assert main(["run", str(file), *options]) == 0
    resolved = (tmp_path / "runs/small/scenario.toml").read_text()
    assert 'data = "mnist"' in resolved and "decay = 0.1" in resolved
    assert len((tmp_path / "runs/small/inputs/mnist.sha256").read_text()) == 65


def test_certify_has_nothing_to_certify(capsys, tmp_path):
    assert main(["certify", str(write(tmp_path, STUDY))]) == 2
    assert "dynet run trains, attacks and certifies it" in capsys.readouterr().err


def test_the_template_is_a_scenario(capsys, tmp_path):
    assert main(["new", "study"]) == 0
    assert main(["check", str(write(tmp_path, capsys.readouterr().out))]) == 0
    assert main(["models"]) == 0
    assert "dynet new study" in capsys.readouterr().out


@pytest.mark.slow
def test_the_study_of_the_digits(tmp_path):
    report = dn.Scenario.load(STUDY_FILE).run(out=tmp_path)
    assert report.ok, str(report)
