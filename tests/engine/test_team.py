"""A large network: several threads share one trajectory, and get the bits that one thread gets."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.sparse import csr_array

import dynet as dn
from dynet.engine import explicit
from dynet.fields import network
from dynet.fields.network import NetworkField


def node(t, x, s, p, dx):
    dx[0] = p.omega + s[0] + 0.1 * math.sin(t)


def edge(x, y, p, s):
    s[0] = 0.5 * math.sin(y[0] - x[0])


def ring(n):
    each = np.arange(n)
    rows, columns = np.concatenate([each, each]), np.concatenate([(each + 1) % n, (each * 7 + 3) % n])
    keep = rows != columns
    return csr_array((np.ones(keep.sum()), (rows[keep], columns[keep])), shape=(n, n))


@pytest.fixture
def large(monkeypatch):
    monkeypatch.setattr(network, "LARGE", 100)


@pytest.mark.parametrize("graph", [3000, ring(2100)], ids=["complete", "sparse"])
@pytest.mark.parametrize("options", [dict(dt=0.1), dict(rtol=1e-6)], ids=["fixed", "adaptive"])
def test_the_number_of_threads_does_not_matter(large, graph, options):
    rng = np.random.default_rng(0)
    n = graph if isinstance(graph, int) else graph.shape[0]
    omega, x0 = rng.normal(size=n), rng.normal(size=(3, n))
    field = NetworkField(graph, node, edge, params={"omega": omega}, weight=1 / n if isinstance(graph, int) else 1 / 3)
    assert field.block().split == 1
    runs = [dn.simulate(field, x0[0], 1.0, threads=k, save=5, **options) for k in (1, 2)]
    assert all(np.array_equal(runs[0].x, run.x) for run in runs[1:])
    batch = dn.simulate(field, x0, 1.0, threads=2, save=5, **options)
    assert np.array_equal(batch.x[0], runs[0].x)
    truth = solve_ivp(lambda t, x: field.rhs(t, x), (0, 1), x0[0], rtol=1e-9, atol=1e-11).y[:, -1]
    assert np.abs(runs[0].x[-1] - truth).max() < 1e-5


def test_one_large_trajectory_gets_a_team(large, monkeypatch):
    crews, made = [], explicit.team.team_ints
    monkeypatch.setattr(explicit.team, "team_ints", lambda block, crew: crews.append(crew) or made(block, crew))
    field = NetworkField(ring(2100), node, edge, params={"omega": np.zeros(2100)})
    dn.simulate(field, np.zeros(2100), 0.1, dt=0.1, save="last", threads=2)
    assert crews == [2]


def test_it_agrees_with_the_driver_of_small_systems(monkeypatch):
    rng = np.random.default_rng(0)
    field = NetworkField(ring(2500), node, edge, params={"omega": rng.normal(size=2500)})
    x0 = rng.normal(size=2500)
    small = dn.simulate(field, x0, 1.0, dt=0.05, save=3)
    monkeypatch.setattr(network, "LARGE", 100)
    shared = dn.simulate(field, x0, 1.0, dt=0.05, save=3, threads=2)
    assert field.block().split == 1
    assert np.allclose(small.x, shared.x, rtol=1e-14, atol=1e-14)


def test_a_failure_ends_the_team(large):
    def explode(t, x, s, p, dx):
        dx[0] = x[0] ** 2 + s[0]

    field = NetworkField(ring(300), explode, edge)
    run = dn.simulate(field, np.full(300, 1.0), 5.0, threads=2, save=6)
    assert run.status.word != "ok" and 0.9 < run.t_stop < 1.1


def test_an_interrupted_team_stops(large):
    field = NetworkField(ring(300), node, edge, params={"omega": 1.0})
    monitor = np.array([0.0, 1.0])
    found = explicit.integrate(
        field.block(), np.zeros((1, 300)), np.ones((1, 1)), 0.0, 100.0, np.array([100.0]), threads=2, monitor=monitor
    )
    assert dn.Status(int(found.status[0])) is dn.Status.INTERRUPTED
