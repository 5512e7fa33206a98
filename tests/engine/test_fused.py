"""The fused step: the same numbers to rounding as the block, the same statuses and steps."""

import numpy as np
import pytest

import dynet as dn
from dynet.engine import fused, tableaus
from dynet.engine.explicit import integrate
from dynet.fields.scalar import scalar_source


@dn.vector_field(n=3, params={"a": np.array([0.4, 1.7]), "rate": 1.0})
def mixed(t, x, p, dx):
    share = x[0] / (1.0 + p.a[0] * x[1] ** 2)
    for i in range(len(x)):
        dx[i] = -p.rate * x[i] / (1.3 + i) + np.sin(x[(i + 1) % len(x)] + t)
    if share > 0.2:
        dx[2] = dx[2] + p.a[1] * (share - 0.2) ** 5  # smooth, so that steps do not hang on a rounding


@dn.vector_field(n=1)
def square(t, x, p, dx):
    dx[0] = x[0] * x[0]


def both(field, name, y0, t1, save, p=None, t0=0.0, **options):
    tableau = tableaus.TABLEAUS[name] if options.get("dt") is None else tableaus.TABLEAUS[name].fixed
    p = np.tile(field.parameter_vector(), (len(y0), 1)) if p is None else p
    step = fused.Fused(field.scalars(), tableau, field.n, p.shape[1], noting=len(save) > 2)
    arguments = field.block(), y0, p, t0, t1, np.array(save, float), name
    return integrate(*arguments, **options), integrate(*arguments, fused=step, **options)


@pytest.mark.parametrize("save", [(3.0,), (0.0, 0.7, 1.1, 3.0)])
@pytest.mark.parametrize("name", ["dopri5", "dop853", "rk4"])
def test_it_agrees_with_the_block(name, save):
    y0 = np.random.default_rng(0).uniform(-2, 2, (50, 3))
    p = np.column_stack([np.linspace(0, 1, 50), np.linspace(0.1, 2, 50), np.linspace(0.5, 3, 50)])
    options = {"dt": 0.02} if name == "rk4" else {"rtol": 1e-7, "atol": 1e-9}
    block, whole = both(mixed, name, y0, 3.0, save, p, **options)
    assert np.array_equal(block.status, whole.status) and np.array_equal(block.t_stop, whole.t_stop)
    assert np.abs(block.accepted - whole.accepted).max() <= 1 and np.abs(block.rejected - whole.rejected).max() <= 1
    assert np.allclose(block.x, whole.x, rtol=1e-8, atol=1e-9)
    assert np.median(np.abs(block.x - whole.x)) < 1e-13


def test_backward_in_time():
    y0 = np.random.default_rng(1).uniform(-1, 1, (20, 3))
    block, whole = both(mixed, "dopri5", y0, -1.0, [0.0, -0.3, -1.0], rtol=1e-8)
    assert np.all(whole.status == 0) and np.allclose(block.x, whole.x, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("save", [(3.0,), (0.1, 0.2, 3.0)])
def test_failures_have_the_same_status_and_leave_the_others_alone(save):
    y0 = np.where(np.arange(40) % 3 == 1, 2.0, -1.0)[:, None] * np.linspace(1, 1.2, 40)[:, None]
    block, whole = both(square, "dopri5", y0, 3.0, save)
    assert np.array_equal(block.status, whole.status) and set(whole.status) == {0, 1}
    assert np.allclose(block.t_stop, whole.t_stop, rtol=1e-9)
    assert np.array_equal(np.isnan(block.x), np.isnan(whole.x))
    few = both(square, "dopri5", y0, 3.0, save, max_steps=10)
    assert np.array_equal(few[0].status, few[1].status) and 2 in few[1].status
    assert np.array_equal(few[0].accepted, few[1].accepted)


def test_a_trajectory_has_the_same_bits_alone():
    y0 = np.random.default_rng(2).uniform(-2, 2, (37, 3))
    whole = both(mixed, "dopri5", y0, 2.0, [0.5, 1.0, 2.0])[1]
    for row in (0, 17, 36):
        alone = both(mixed, "dopri5", y0[[row]], 2.0, [0.5, 1.0, 2.0])[1]
        assert np.array_equal(alone.x[0], whole.x[row]) and alone.accepted[0] == whole.accepted[row]


def test_the_executor_can_be_forced_and_is_chosen():
    x0 = np.random.default_rng(0).normal(size=(100, 3)) + [0.0, 0.0, 20.0]
    runs = [dn.simulate(dn.models.Lorenz(), x0, 1.0, save="last", executor=e) for e in ("block", "fused", None)]
    assert [run.stats["executor"] for run in runs] == ["block", "fused", "block"]
    assert np.allclose(runs[0].x, runs[1].x, rtol=1e-9) and np.array_equal(runs[0].x, runs[2].x)


def test_much_work_is_worth_a_fused_step(monkeypatch):
    monkeypatch.setattr(fused, "WORTH", 1e4)
    x0 = np.random.default_rng(0).normal(size=(200, 3)) + [0.0, 0.0, 20.0]
    assert dn.simulate(dn.models.Lorenz(), x0, 2.0, save="last").stats["executor"] == "fused"
    assert dn.simulate(dn.models.Lorenz(), x0[:20], 2.0, save="last").stats["executor"] == "block"


def test_what_has_no_scalar_form_is_refused():
    net = dn.models.FiringRate(np.array([[0.0, 0.5], [0.5, 0.0]]))
    with pytest.raises(dn.errors.ArgumentError, match="no such form"):
        dn.simulate(net, [0.0, 0.0], 1.0, executor="fused")

    def dynamic(t, x, p, dx):
        k = int(x[0]) % 2
        dx[k] = 1.0
        dx[1 - k] = 0.0

    def whole(t, x, p, dx):
        dx[0] = np.sum(x)
        dx[1] = 0.0

    assert scalar_source(dynamic, 2, {}) is None and scalar_source(whole, 2, {}) is None
    assert scalar_source(whole, 40, {}) is None
