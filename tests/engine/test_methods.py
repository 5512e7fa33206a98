"""The table of methods, and every explicit method against its naive twin and its order."""

import importlib

import numpy as np
import pytest
from engine import oracles
from engine.blocks import MIXED, block
from engine.test_explicit import VAN_DER_POL, plain, reference, run, same

from dynet.engine.control import OK
from dynet.engine.methods import METHODS
from dynet.engine.tableaus import TABLEAUS
from dynet.math import rough_exp2, rough_log2

ADAPTIVE = pytest.mark.parametrize("name", [name for name, tableau in TABLEAUS.items() if tableau.error is not None])
EACH = pytest.mark.parametrize("name", list(TABLEAUS))
DENSE = {"dopri5": 4, "tsit5": 4, "vern7": 6, "dop853": 7}


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


@ADAPTIVE
@pytest.mark.parametrize("ends", [(0.5, 2.5), (2.5, 0.5)])
def test_it_takes_the_steps_of_the_naive_twin_forward_and_backward(name, ends):
    model, p, y0 = block(MIXED, 3), [0.4, 1.7], [0.7, 1.0, 1.3]
    save = np.linspace(*ends, 21)
    tolerance = {"heun": 1e-4, "bs32": 1e-5}.get(name, 1e-7)
    x, accepted, rejected = oracles.adaptive(
        TABLEAUS[name], plain(model, p), y0, *ends, save, tolerance, tolerance / 10, rough_log2, rough_exp2
    )
    found = run(model, y0, ends[1], save, p, t0=ends[0], method=name, rtol=tolerance, atol=tolerance / 10)
    assert found.status[0] == OK and found.t_stop[0] == ends[1]
    assert (found.accepted[0], found.rejected[0]) == (accepted, rejected) and accepted > 4
    assert np.max(np.abs(found.x[0] - x)) < 1e-10


@EACH
def test_a_fixed_step_shows_the_order_at_the_ends_and_between(name):
    model, y0, save = block(VAN_DER_POL, 2), [0.5, 1.0], np.linspace(0.0, 2.0, 101)
    exact = reference(model, y0, 2.0, save, [1.5])
    order, counts = TABLEAUS[name].order, {"vern7": (14, 20), "dop853": (10, 14)}.get(name, (80, 160))
    dense = min(order, DENSE.get(name, 3)) if order > 1 else 1
    errors = []
    for steps in counts:
        found = run(model, y0, 2.0, save, [1.5], method=name, dt=2.0 / steps)
        assert found.accepted[0] == steps and found.rejected[0] == 0
        errors.append([np.abs(found.x[0] - exact)[-1].max(), np.abs(found.x[0] - exact).max()])
    orders = np.log(np.divide(*errors)) / np.log(counts[1] / counts[0])
    assert order - 0.6 < orders[0] < order + 2.2, orders
    assert dense + 0.5 < orders[1] + 1, orders  # the error between steps is of one order more than the polynomial


@ADAPTIVE
def test_the_error_follows_the_tolerance(name):
    model, y0, save = block(VAN_DER_POL, 2), [0.5, 1.0], np.linspace(0.0, 4.0, 301)
    exact = reference(model, y0, 4.0, save, [1.5])
    tolerances = [1e-3, 1e-5] if name == "heun" else [1e-4, 1e-6, 1e-8]
    for tolerance in tolerances:
        found = run(model, y0, 4.0, save, [1.5], method=name, rtol=tolerance, atol=tolerance)
        assert np.abs(found.x[0] - exact).max() < 100 * tolerance


@EACH
def test_backward_undoes_forward_and_mirrors_it_bit_for_bit(name):
    options = {"dt": 0.01} if TABLEAUS[name].error is None else {"rtol": 1e-9, "atol": 1e-11}
    if name == "heun":
        options = {"rtol": 1e-5, "atol": 1e-6}
    model, mirror = block(VAN_DER_POL, 2), block([line.replace("= ", "= -(") + ")" for line in VAN_DER_POL], 2)
    save = np.array([0.0, 0.3, 1.0, 2.0])
    there = run(model, [0.5, 1.0], 2.0, save, [1.5], method=name, **options)
    back = run(model, there.x[0, -1], 0.0, save[::-1], [1.5], t0=2.0, method=name, **options)
    assert back.status[0] == OK and back.t_stop[0] == 0.0
    assert np.allclose(back.x[0, ::-1], there.x[0], atol=0.2 if name == "euler" else 1e-3 if name == "heun" else 1e-6)
    negative = run(mirror, [0.5, 1.0], -2.0, -save, [1.5], method=name, **options)
    assert same([there.x, there.accepted, there.rejected], [negative.x, negative.accepted, negative.rejected])
