"""Swing equations from MATPOWER cases: the steady flow of the literature, its balance by hand, files that are no cases."""

from pathlib import Path

import numpy as np
import pytest

import dynet as dn
from dynet.errors import ArgumentError
from dynet.models.matpower import read_case, steady_flow

pytest.importorskip("matpowercaseframes")
CASES = "scenarios/data/case9.m", "scenarios/data/case118.m"


@pytest.fixture(scope="module", params=CASES)
def grid(request):
    return dn.models.PowerGrid(request.param)


def test_the_flow_is_that_of_the_literature():
    base, bus, gen, branch = read_case(CASES[0])
    V, _ = steady_flow(CASES[0], base, bus, gen, branch)
    assert np.abs(V)[3:] == pytest.approx([0.9870, 0.9755, 1.0034, 0.9856, 0.9962, 0.9576], abs=5e-5)
    degrees = [0.0, 9.6687, 4.7711, -2.4066, -4.0173, 1.9256, 0.6215, 3.7991, -4.3499]
    assert np.rad2deg(np.angle(V)) == pytest.approx(degrees, abs=5e-5)


def test_powers_balance_bus_by_bus():
    base, bus, gen, branch = read_case(CASES[1])
    V, _ = steady_flow(CASES[1], base, bus, gen, branch)
    place = {int(number): k for k, number in enumerate(bus[:, 0])}
    out = V * 0
    for f, t, r, x, b, *_, ratio, shift, status in branch[:, :11]:  # line by line, by the pi model
        assert status == 1
        f, t, tap = place[int(f)], place[int(t)], (ratio or 1.0) * np.exp(1j * np.deg2rad(shift))
        series, inner = 1 / (r + 1j * x), V[f] / tap
        out[f] += inner * np.conj(series * (inner - V[t]) + 0.5j * b * inner)
        out[t] += V[t] * np.conj(series * (V[t] - inner) + 0.5j * b * V[t])
    out += np.abs(V) ** 2 * (bus[:, 4] - 1j * bus[:, 5]) / base
    fed = np.zeros(len(bus))
    np.add.at(fed, [place[int(k)] for k in gen[:, 0]], gen[:, 1] / base)
    inner = bus[:, 1] != 3
    assert np.allclose(out.real[inner], (fed - bus[:, 2] / base)[inner], atol=1e-9)
    loads = bus[:, 1] == 1
    assert np.allclose(out.imag[loads], -bus[loads, 3] / base, atol=1e-9)


def test_the_grid_rests_at_its_flow_and_returns_to_it(grid):
    assert np.abs(grid.rhs(0.0, grid.steady)).max() < 1e-11
    assert np.linalg.eigvals(np.asarray(grid.jacobian(0.0, grid.steady) @ np.eye(grid.n))).real.max() < 1e-9
    start = grid.steady + 0.05 * np.tile([1.0, 0.0], grid.nodes) * np.random.default_rng(0).normal(size=grid.n)
    run = dn.simulate(grid.replace(damping=30.0), start, 20.0, save="last")
    angles = run.x[-1, ::2] - grid.angles
    assert np.ptp(angles) < 0.02 and run.status.ok


def test_parameters_are_on_the_rating_of_each_machine(grid):
    twice = grid.replace(inertia=8.0)
    assert np.allclose(twice.params["inertia"], 2 * grid.params["inertia"]) and np.array_equal(
        twice.steady, grid.steady
    )
    assert not grid.overdamped and grid.replace(damping=1e6).overdamped
    assert len(grid.labels) == len(set(grid.labels)) == grid.n


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "1 2 3", "a MATPOWER case file"),
        ("a.m", "x = 3;\n", "a MATPOWER case file"),
        ("a.m", "hello\n", "a MATPOWER case file"),
        ("case9.m", None, "did you mean 'case9.m'"),
        ("b.m", ("\t1\t3\t0\t0\t0\t0\t1\t1\t0", "\t1\t2\t0\t0\t0\t0\t1\t1\t0"), "exactly one bus of type 3"),
        ("b.m", ("\t2\t163\t0", "\t22\t163\t0"), "a generator at bus 22"),
        ("b.m", ("\t163\t0", "\t99163\t0"), "steady flow"),
    ],
)
def test_wrong_files_are_named(tmp_path, name, text, message):
    path = tmp_path / name
    if text is None:
        (tmp_path / "case9.m").write_text("")
        path = tmp_path / "case99.m"
    elif isinstance(text, tuple):
        whole = Path(CASES[0]).read_text()
        assert text[0] in whole
        path.write_text(whole.replace(*text, 1))
    else:
        path.write_text(text)
    with pytest.raises(ArgumentError, match=message) as error:
        dn.models.PowerGrid(path)
    assert "AttributeError" not in str(error.value), "the parser's own words tell a user nothing"


def test_wrong_numbers_are_named():
    for change in ({"inertia": 0.0}, {"damping": [1.0, 2.0]}, {"frequency": -50.0}):
        with pytest.raises(ArgumentError, match=next(iter(change))):
            dn.models.PowerGrid(CASES[0], **change)
