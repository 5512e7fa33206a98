"""The table of methods."""

import importlib

from dynet.engine.methods import METHODS
from dynet.engine.tableaus import TABLEAUS


def test_every_method_has_a_runner_and_can_take_steps():
    for name, method in METHODS.items():
        assert method.name == name and (method.adaptive or method.fixed)
        assert callable(importlib.import_module(f"dynet.engine.{method.module}").run)


def test_the_table_agrees_with_the_tableaus():
    explicit = {name: method for name, method in METHODS.items() if method.kind == "explicit"}
    assert set(explicit) == set(TABLEAUS)
    for name, method in explicit.items():
        assert method.order == TABLEAUS[name].order and method.adaptive == (TABLEAUS[name].error is not None)
        assert method.fixed
