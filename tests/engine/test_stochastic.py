"""Noise: the generator against published words, moments, orders of convergence, independence of company."""

import numpy as np
import pytest

from dynet.engine.stochastic import integrate, normals, philox
from dynet.errors import Status
from tests.engine.blocks import block

NO = np.empty(0)
GROWTH = (["out[0, lane] = 0.5 * y[0, lane]"], ["out[0, lane] = 0.8 * y[0, lane]"])  # geometric Brownian motion
BOUNDED = (  # X = tanh of a Wiener process, by Ito's formula
    ["out[0, lane] = -y[0, lane] * (1.0 - y[0, lane] ** 2)"],
    ["out[0, lane] = 1.0 - y[0, lane] ** 2"],
)


def paths(pair, batch, steps, method, *, end=1.0, x0=1.0, **options):
    drift, noise = (block(lines, 1) for lines in pair)
    y0 = np.full((batch, 1), x0)
    times, counts = np.array([0.0, end]), np.array([steps])
    return integrate(drift, noise, y0, np.empty((batch, 0)), NO, times, counts, method, **options)


def wiener(batch, steps, end=1.0, seed=0):
    """W(end) of the paths, from a run whose solution it is."""
    return paths(
        (["out[0, lane] = 0.0"], ["out[0, lane] = 1.0"]), batch, steps, "euler_maruyama", end=end, x0=0.0, seed=seed
    )


def test_philox_gives_the_words_that_its_authors_publish():
    u = np.uint64
    ones = u(0xFFFFFFFF)
    assert [hex(w) for w in philox(*[u(0)] * 6)] == ["0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"]
    assert [hex(w) for w in philox(*[ones] * 6)] == ["0x408f276d", "0x41c83b0e", "0xa20bc7c6", "0x6d5451fd"]
    pi = [u(w) for w in (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0)]
    assert [hex(w) for w in philox(*pi)] == ["0xd16cfe09", "0x94fdcceb", "0x5001e420", "0x24126ea1"]


def test_the_normal_numbers_are_normal_and_independent():
    z = np.array([normals(5, path, step, 0) for path in range(100) for step in range(200)])
    count = len(z)
    assert np.abs(z.mean(axis=0)).max() < 4 / np.sqrt(count)
    assert np.abs((z**2).mean(axis=0) - 1).max() < 4 * np.sqrt(2 / count)
    assert abs((z**4).mean() - 3) < 4 * np.sqrt(96 / (2 * count))
    assert abs((z[:, 0] * z[:, 1]).mean()) < 4 / np.sqrt(count)
    assert abs((z[1:, 0] * z[:-1, 0]).mean()) < 4 / np.sqrt(count)
    assert len(np.unique(z)) == z.size
    assert normals(5, 0, 0, 0) != normals(6, 0, 0, 0) and normals(5, 0, 0, 0) != normals(5, 0, 0, 1)


@pytest.mark.parametrize("method, order", [("euler_maruyama", 0.5), ("milstein", 1.0)])
@pytest.mark.parametrize("pair", [GROWTH, BOUNDED])
def test_strong_order(method, order, pair):
    finest, batch = 512, 4000
    w = paths((["out[0, lane] = 0.0"], ["out[0, lane] = 1.0"]), batch, finest, "euler_maruyama", x0=0.0, seed=3).x[
        :, 0, 0
    ]
    exact = np.exp((0.5 - 0.32) + 0.8 * w) if pair is GROWTH else np.tanh(w)
    errors = []
    for coarse in (16, 8, 4):
        found = paths(pair, batch, finest // coarse, method, x0=1.0 if pair is GROWTH else 0.0, seed=3, coarse=coarse)
        errors.append(np.abs(found.x[:, 0, 0] - exact).mean())
    slope = np.polyfit(np.log([16, 8, 4]), np.log(errors), 1)[0]
    assert abs(slope - order) < 0.15


@pytest.mark.parametrize("method", ["euler_maruyama", "milstein"])
def test_weak_order_one(method):
    """The mean of geometric Brownian motion: a method of weak order 1 multiplies it by 1 + a h at each step."""
    batch = 40_000
    errors = []
    for steps in (1, 2):
        found = paths(GROWTH, batch, steps, method, seed=11).x[:, 0, 0]
        spread = found.std() / np.sqrt(batch)
        assert abs(found.mean() - (1 + 0.5 / steps) ** steps) < 4 * spread
        errors.append(np.exp(0.5) - (1 + 0.5 / steps) ** steps)
        assert errors[-1] > 8 * spread  # the error that is measured is not that of the sample
    assert 1.6 < errors[0] / errors[1] < 2.4


def test_a_path_has_the_same_bits_alone_and_in_a_batch():
    drift = block(
        [
            "out[0, lane] = -y[0, lane] + fast.sin(y[1, lane])",
            "out[1, lane] = y[2, lane]",
            "out[2, lane] = -y[0, lane]",
        ],
        3,
    )
    noise = block([f"out[{i}, lane] = 0.3 + 0.1 * y[{i}, lane]" for i in range(3)], 3)
    y0 = np.random.default_rng(0).normal(size=(3000, 3))
    times, counts = np.array([0.0, 0.5, 1.0]), np.array([20, 30])
    together = integrate(drift, noise, y0, np.empty((3000, 0)), NO, times, counts, seed=7, threads=2)
    for i in (0, 1500, 2999):
        alone = integrate(drift, noise, y0[i : i + 1], np.empty((1, 0)), NO, times, counts, seed=7, first=i)
        assert np.array_equal(alone.x[0], together.x[i])
    assert not np.array_equal(
        together.x[0], integrate(drift, noise, y0[:1], np.empty((1, 0)), NO, times, counts, seed=8).x[0]
    )


def test_a_path_that_explodes_has_its_time_and_the_others_go_on():
    drift, noise = block(["out[0, lane] = y[0, lane] ** 3"], 1), block(["out[0, lane] = 0.0"], 1)
    y0 = np.array([[0.1], [50.0], [-0.2]])
    found = integrate(drift, noise, y0, np.empty((3, 0)), NO, np.array([0.0, 0.01, 1.0]), np.array([1, 99]))
    assert [Status(s).word for s in found.status] == ["ok", "nonfinite", "ok"]
    assert 0 < found.t_stop[1] < 1 and np.isnan(found.x[1, 1]).all() and np.isfinite(found.x[[0, 2]]).all()
