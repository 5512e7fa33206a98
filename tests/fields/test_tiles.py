"""Products in tiles: the sum of every entry is taken in one order, whatever the number of columns."""

import numpy as np
import pytest

import dynet as dn
from dynet.fields import tiles
from tests.blocks import run_block


@pytest.mark.skipif(not tiles.FMA, reason="the processor has no fused multiply-add")
@pytest.mark.parametrize(
    ("rows", "columns", "lanes"), [(1, 1, 2), (37, 29, 53), (16, 40, 24), (9, 0, 10), (8, 100, 97)]
)
def test_it_is_the_product(rows, columns, lanes):
    rng = np.random.default_rng(0)
    A, B, C = rng.normal(size=(rows, columns)), rng.normal(size=(columns, lanes)), rng.normal(size=(rows, lanes))
    out = C.ravel().copy()
    tiles.add_dense(A.T.ravel().copy(), B.ravel(), out, rows, columns, lanes, 0, rows)
    assert np.allclose(out.reshape(rows, lanes), C + A @ B, rtol=1e-13, atol=1e-13)
    some = C.ravel().copy()
    first, last = rows // 3, rows - rows // 4
    tiles.add_dense(A.T.ravel().copy(), B.ravel(), some, rows, columns, lanes, first, last)
    wanted = np.where((np.arange(rows) >= first) & (np.arange(rows) < last), out.reshape(rows, lanes).T, C.T).T
    assert np.array_equal(some.reshape(rows, lanes), wanted)


@pytest.mark.parametrize("kind", [dn.models.Hopfield, dn.models.FiringRate, dn.models.LinearMinusMonotone])
def test_a_trajectory_has_the_same_bits_in_any_company(kind):
    rng = np.random.default_rng(1)
    model = kind(rng.normal(0, 0.2, (37, 37)), input=rng.normal(size=37))
    x = rng.normal(size=(130, 37))
    alone = np.vstack([run_block(model, 0.0, row[None], model.input) for row in x[:5]])
    for width in (2, 5, 8, 29, 96, 130):
        together = run_block(model, 0.0, x[:width], model.input)
        assert np.array_equal(together[: min(5, width)], alone[: min(5, width)])
    assert np.allclose(together, model.rhs(0.0, x), rtol=1e-12, atol=1e-12)
    runs = [dn.simulate(model, x[:size], 1.0, save=3) for size in (3, 130)]
    assert np.array_equal(runs[1].x[:3], runs[0].x)
    assert np.array_equal(dn.simulate(model, x[0], 1.0, save=3).x, runs[0].x[0])


def test_wide_systems_get_fewer_lanes():
    assert tiles.lanes_for(10) == tiles.LANES >= tiles.lanes_for(200) >= tiles.lanes_for(5000)
    assert tiles.lanes_for(5000) % tiles.VECTOR == 0
