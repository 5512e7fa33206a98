"""Stiff methods through simulate: accuracy against scipy, networks with known patterns, refusals."""

import networkx as nx
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import dynet as dn
from dynet.engine.methods import stiff_method
from dynet.errors import ArgumentError


@dn.vector_field(n=2, params={"mu": 1000.0})
def van_der_pol(t, x, p, dx):
    dx[0] = x[1]
    dx[1] = p.mu * ((1.0 - x[0] * x[0]) * x[1]) - x[0]


@dn.vector_field(n=8)
def hires(t, y, p, d):
    d[0] = -1.71 * y[0] + 0.43 * y[1] + 8.32 * y[2] + 0.0007
    d[1] = 1.71 * y[0] - 8.75 * y[1]
    d[2] = -10.03 * y[2] + 0.43 * y[3] + 0.035 * y[4]
    d[3] = 8.32 * y[1] + 1.71 * y[2] - 1.12 * y[3]
    d[4] = -1.745 * y[4] + 0.43 * y[5] + 0.43 * y[6]
    q = 280.0 * y[5] * y[7]
    d[5] = -q + 0.69 * y[3] + 1.71 * y[4] - 0.43 * y[5] + 0.69 * y[6]
    d[6] = q - 1.81 * y[6]
    d[7] = -q + 1.81 * y[6]


@dn.vector_field(n=3)
def orego(t, y, p, d):
    d[0] = 77.27 * (y[1] + y[0] * (1.0 - 8.375e-6 * y[0] - y[1]))
    d[1] = (y[2] - (1.0 + y[0]) * y[1]) / 77.27
    d[2] = 0.161 * (y[0] - y[2])


#: The classical problems: the model, its start, its end, the state there (rodas5p with rtol 1e-12; Radau agrees to 1e-8).
CLASSICAL = {
    "hires": (
        hires,
        [1.0, 0, 0, 0, 0, 0, 0, 0.0057],
        321.8122,
        [0.0007371312573325, 0.0001442485726316, 5.888729740967e-05, 0.001175651343283, 0.002386356198831,
         0.006238968252741, 0.002849998395186, 0.002850001604814],
    ),
    "orego": (orego, [1.0, 2.0, 3.0], 360.0, [1.000814870319, 1228.17852155, 132.0554942846]),
    "van_der_pol": (van_der_pol, [2.0, 0.0], 2000.0, [1.706167732171, -0.0008928097010245]),
}  # fmt: skip


@pytest.mark.parametrize("method", ["rodas5p", "bdf"])
@pytest.mark.parametrize("name", CLASSICAL)
def test_classical_problems_within_thirty_tolerances(name, method):
    model, start, end, reference = CLASSICAL[name]
    for rtol in (1e-4, 1e-6, 1e-8) if method == "rodas5p" else (1e-4, 1e-6):
        run = dn.simulate(model, start, end, save="last", method=method, rtol=rtol, atol=1e-3 * rtol)
        scaled = np.abs(run.final - reference) / (1e-3 * rtol + rtol * np.abs(reference))
        assert run.ok and scaled.max() < 30, (rtol, scaled.max())
        assert run.stats["accepted"] < 6000


@pytest.mark.slow
def test_the_references_of_the_classical_problems():
    for model, start, end, reference in CLASSICAL.values():
        found = solve_ivp(model.rhs, (0, end), start, "Radau", rtol=1e-10, atol=1e-14).y[:, -1]
        assert np.allclose(found, reference, rtol=1e-7)


def test_a_network_with_a_sparse_coupling_gives_its_pattern():
    graph = nx.random_regular_graph(3, 120, seed=1)
    net = dn.models.FiringRate(graph, weight=20.0, leak=100.0, activation="tanh", input=3.0)
    rows, columns = net.jacobian_pattern()
    assert columns.size == 120 * 4 and rows[-1] == columns.size
    start = np.random.default_rng(0).normal(size=(2, 120))
    exact = dn.simulate(net, start, 2.0, save=5, rtol=1e-10, atol=1e-12).x
    for method in ("bdf", "bdf_krylov"):
        run = dn.simulate(net, start, 2.0, save=5, method=method, rtol=1e-6, atol=1e-8)
        assert run.ok and np.abs(run.x - exact).max() < 3e-5


def test_the_size_decides_which_stiff_method():
    assert [stiff_method(3), stiff_method(48), stiff_method(1000)] == ["rodas5p", "rodas5p", "bdf"]


def test_implicit_euler_through_simulate():
    run = dn.simulate(van_der_pol, [2.0, 0.0], 10.0, method="implicit_euler", dt=0.1, save="last")
    exact = dn.simulate(van_der_pol, [2.0, 0.0], 10.0, method="rodas5p", save="last")
    assert run.ok and np.allclose(run.final, exact.final, atol=1e-4)


@pytest.mark.parametrize("method", ["rodas5p", "bdf", "bdf_krylov"])
def test_a_step_is_refused_and_a_missing_one_too(method):
    with pytest.raises(ArgumentError, match="dt="):
        dn.simulate(van_der_pol, [2.0, 0.0], 1.0, method=method, dt=0.1)
    with pytest.raises(ArgumentError, match="dt="):
        dn.simulate(van_der_pol, [2.0, 0.0], 1.0, method="implicit_euler")
    with pytest.raises(ArgumentError, match="rodas5p"):
        dn.simulate(van_der_pol, [2.0, 0.0], 1.0, method="rodas5")


def test_auto_finds_out_and_gives_the_trajectory_to_a_stiff_method():
    run = dn.simulate(van_der_pol, [2.0, 0.0], 2000.0, save="last")
    assert run.ok and "rodas5p" in run.stats["method"] and "stiff" in run.stats["why"]
    assert np.allclose(run.final, CLASSICAL["van_der_pol"][3], rtol=1e-4)
    mixed = dn.simulate(van_der_pol, [[2.0, 0.0], [2.0, 0.0]], 50.0, params={"mu": [0.5, 1000.0]}, save="last")
    alone = dn.simulate(van_der_pol, [2.0, 0.0], 50.0, params={"mu": 1000.0}, save="last")
    assert mixed.ok and np.array_equal(mixed.x[1], alone.x)
    assert "dopri5" in mixed.stats["method"] and "rodas5p" in mixed.stats["method"]
