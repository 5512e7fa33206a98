"""Plain kernels against the engine of the host: they run once, in the simulator, in a process of their own."""

import json
import pathlib
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def results():
    program = pathlib.Path(__file__).with_name("simulated.py")
    command = [sys.executable, "-W", "ignore::RuntimeWarning", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("case", ["firing_rate_rk4", "hopfield_heun", "persidskii_euler", "linear_euler"])
def test_lure_fields_in_double_precision(results, case):
    found = results[case]
    assert found["apart"] <= 1e-14 and found["executor"] == "cuda portable" and found["ok"] and found["steps"]


def test_lure_fields_in_single_precision(results):
    assert 1e-10 < results["single_precision"]["apart"] <= 3e-7 * 3  # three steps


def test_inputs_of_their_own_and_summaries_backward_in_time(results):
    assert results["own_inputs_and_summaries"]["apart"] <= 1e-13


def test_a_trajectory_that_explodes_leaves_the_others_alone(results):
    found = results["a_trajectory_that_explodes"]
    assert found["status"] == ["ok", "nonfinite"] and found["t_stop"] == [20.0, 5.0] and found["nan"] == [0, 1]


def test_large_fields_by_tiles(results):
    assert results["tiled"]["apart"] <= 1e-14 and results["tiled"]["executor"] == "cuda tiled"


def test_every_activation(results):
    assert results["every_activation_and_the_engine_of_the_host"]["apart"] <= 1e-15


def test_ensembles(results):
    assert results["ensemble_fixed"]["apart"] <= 1e-13 and "thread" in results["ensemble_fixed"]["executor"]
    assert results["ensemble_adaptive"]["apart"] <= 1e-6
    host, device = results["ensemble_adaptive"]["steps"]
    assert abs(host - device) <= 2
    assert results["ensemble_single_precision"]["apart"] <= 1e-4
    assert results["ensemble_summaries"]["apart"] <= 1e-13


def test_statuses_of_an_ensemble(results):
    found = results["ensemble_statuses"]
    assert (
        found["status"] == ["nonfinite", "ok"] and found["few"] == ["max_steps", "ok"] and abs(found["at"] - 1.0) < 1e-4
    )


def test_networks(results):
    assert results["network_of_my_own"]["apart"] <= 1e-14
    assert results["kuramoto"]["apart"] <= 1e-6 and results["kuramoto"]["executor"] == "cuda nodes (float32)"


def test_equilibria(results):
    found = results["equilibrium"]
    for p in ("1", "2", "inf"):
        assert found[p]["within"] and found[p]["ok"] and found[p]["error"] <= 1e-10
        assert not found[p]["certified"], "a result of a device is never a certificate"
    assert found["hard"] == "precision" and found["few"] == "max_iterations"


def test_layers_and_their_adjoints(results):
    found = results["layers_and_adjoints"]
    assert max(found["residual"], found["apart"], found["adjoint"]) <= 1e-12 and found["fewer"]


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_implicit_networks(results, activation):
    found = results["implicit_networks"][activation]
    assert found["within"] and found["ok"] and not found["certified"] and found["apart"] <= 2e-4


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no dt", "method='dopri5': expected a method of fixed step, with dt="),
        ("method", "method='vern7': expected a method of fixed step"),
        ("precision", "did you mean 'float64'?"),
        ("tensor", "tensor cores serve Lur'e fields alone"),
        ("tf32 here", "'float32' or 'float64' in the simulator"),
        ("activation", "a built-in activation on device='cuda', or device='cpu'"),
        ("full", "full matrices E and F and G"),
        ("save", "save times at the end of a step on device='cuda', such as 0.6"),
        ("dense", "dense=given: expected None on device='cuda', or device='cpu'"),
        ("steps", "max_steps=10: expected at least 1000"),
        ("rtol", "rtol=1e-09: expected at least 1e-06 with precision='float32'"),
        ("not contracting", "forward steps need a contracting field"),
        ("not lure", "is not a Lur'e field"),
    ],
)
def test_wrong_input(results, name, words):
    assert words in results["wrong_input"][name]
