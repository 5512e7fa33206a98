"""A study's numbers are those of its networks."""

import numpy as np
import pytest

from dynet.implicit import load, robustness_curves
from dynet.implicit.study import QUANTITIES, RECIPES, Settings, study

DIGITS = load("digits")
NETWORKS = {
    "plain": {"kind": "implicit", "states": 10, "epochs": 12, "batch": 50},
    "moved": {"kind": "implicit", "states": 10, "epochs": 2, "batch": 50, "shift": 1, "gamma": 0.5},
    "layers": {"kind": "explicit", "states": 10, "epochs": 2, "batch": 50},
}


@pytest.fixture(scope="module")
def found():
    said = []
    settings = Settings(eps=(0.0, 0.05), attacks=("fgsm", "pgd"), steps=5, samples=100, kept=(1.0, 0.3))
    result = study(NETWORKS, DIGITS, settings, said.append)
    assert said == sorted(said) and said[-1] == 1.0
    return result


def test_numbers(found):
    for name, net in found.networks.items():
        numbers = {k.partition(".")[2]: v for k, v in found.numbers.items() if k.startswith(f"{name}.")}
        right = (net(DIGITS.test.astype(float)).argmax(axis=1) == DIGITS.test_labels).mean()
        assert numbers["accuracy"] == pytest.approx(right) and numbers["lipschitz"] == net.lipschitz()
        assert numbers["contradictions"] == 0
        curves = robustness_curves(
            net, DIGITS.test[:100], DIGITS.test_labels[:100], [0.0, 0.05], attacks=["fgsm", "pgd"], steps=5,
            certificates=["interval", "gain", "lipschitz"],
        )  # fmt: skip
        for kind, values in curves.items():
            assert np.array_equal(values, found.curves[name][kind])
            assert numbers[f"{kind}@0.05"] == values[1]
        if name != "layers":
            assert numbers["evaluation_residual"] <= 1e-8 and numbers["residual"] <= 1e-4
            assert numbers["accuracy@kept1"] == numbers["accuracy"] and numbers["mu_rise"] <= 0.0
            assert numbers["parameters"] == 10 * (10 + 64 + 10) + 20
    assert found.numbers["plain.accuracy"] > 0.7
    assert {key.partition(".")[2] for key in found.numbers if "@" not in key} == set(QUANTITIES)


def test_the_table_and_its_rows(found):
    rows = list(found.rows())
    assert ("plain", "pgd", 0.05, found.curves["plain"]["pgd"][1]) in rows
    assert len(rows) == 3 * 5 * 2 + 2 * 2
    assert "pgd" in str(found) and f"{100 * found.curves['layers']['gain'][0]:.1f}" in str(found)


def test_a_contradiction_would_be_counted(found):
    from dynet.implicit import study as module

    stay = {"fgsm": np.array([[1, 1, 0], [1, 0, 0]], bool), "pgd": np.array([[1, 1, 0], [1, 1, 0]], bool)}
    stay |= {k: np.array([[1, 1, 0], [1, 1, 1]], bool) for k in ("interval", "gain", "lipschitz")}
    copy = module.Result(found.networks, found.histories, found.curves, {}, {}, found.settings, found.options)
    module._measure(copy, "plain", DIGITS, stay)
    assert copy.numbers["plain.contradictions"] == 2


def test_recipes_are_for_every_data_set():
    from dynet.implicit.data import NAMES

    assert set(RECIPES) == set(NAMES)
