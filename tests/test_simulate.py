"""simulate: what it computes against scipy and closed forms, what it keeps when a trajectory fails, what it refuses."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import dynet as dn
from dynet.errors import ArgumentError, Status


@dn.vector_field(n=1, params={"a": 1.0})
def explosion(t, x, p, dx):
    dx[0] = p.a * x[0] * x[0]


@dn.vector_field(n=2, params={"rate": 1.0}, inputs=1)
def driven(t, x, u, p, dx):
    dx[0] = -p.rate * x[0] + u[0]
    dx[1] = x[0] - x[1]


NETWORK = dn.models.FiringRate(np.array([[0.2, -0.5, 0.1], [0.4, 0.0, 0.3], [-0.2, 0.6, -0.4]]), input=[1.0, 0.0, -0.5])


def test_agrees_with_scipy_at_tight_tolerance():
    x0 = np.array([[1.0, -1.0, 2.0], [0.0, 0.5, -3.0]])
    run = dn.simulate(NETWORK, x0, t=np.linspace(0, 6, 13), rtol=1e-10, atol=1e-12)
    for start, got in zip(x0, run.x, strict=True):
        reference = solve_ivp(NETWORK.rhs, (0, 6), start, method="DOP853", rtol=1e-12, atol=1e-13, t_eval=run.t).y.T
        assert np.allclose(got, reference, atol=1e-9)
    assert run.ok and run.labels == ("x0", "x1", "x2")


def test_rk4_agrees_and_its_step_is_used():
    exact = dn.simulate(NETWORK, [1.0, 2.0, 3.0], 4.0, save="last", rtol=1e-12, atol=1e-13).final
    errors = [
        np.abs(dn.simulate(NETWORK, [1.0, 2.0, 3.0], 4.0, save="last", method="rk4", dt=dt).final - exact).max()
        for dt in (0.1, 0.05)
    ]
    assert 12 < errors[0] / errors[1] < 20


def test_single_and_batched_results_have_the_same_bits():
    x0 = np.random.default_rng(0).normal(size=(9, 3))
    batch = dn.simulate(NETWORK, x0, 5.0, save=7)
    for i in (0, 4, 8):
        assert np.array_equal(dn.simulate(NETWORK, x0[i], 5.0, save=7).x, batch.x[i])


def test_threads_change_nothing():
    x0 = np.random.default_rng(0).normal(size=(40, 3))
    one, two = (dn.simulate(NETWORK, x0, 5.0, save=7, threads=k) for k in (1, 2))
    assert np.array_equal(one.x, two.x)


def test_a_blow_up_has_its_time_and_leaves_the_batch_untouched():
    x0 = np.array([[-1.0], [2.0], [0.1], [-3.0]])
    times = np.linspace(0, 3, 8)
    run = dn.simulate(explosion, x0, t=times)
    assert [s.word for s in run.status] == ["ok", "nonfinite", "ok", "ok"]
    assert abs(run.t_stop[1] - 0.5) < 1e-6
    assert np.isfinite(run.x[1, :2]).all() and np.isnan(run.x[1, 2:]).all()
    alone = dn.simulate(explosion, x0[[0, 2, 3]], t=times)
    assert np.array_equal(run.x[[0, 2, 3]], alone.x)
    assert "trajectory 1 stopped at t = 0.5" in str(run)


def test_too_many_steps_is_a_status():
    run = dn.simulate(NETWORK, [1.0, 2.0, 3.0], 50.0, max_steps=5)
    assert run.status is Status.MAX_STEPS and run.t_stop < 50 and "max_steps" in run.status.remedy


def test_parameters_and_inputs_of_their_own():
    rates = np.array([0.5, 1.0, 2.0])
    inputs = np.array([[0.0], [1.0], [2.0]])
    run = dn.simulate(driven, [0.0, 0.0], 1.5, params={"rate": rates}, u=inputs, save="last", rtol=1e-10, atol=1e-12)
    expected = inputs[:, 0] / rates * (1 - np.exp(-rates * 1.5))
    assert np.allclose(run.final[:, 0], expected, atol=1e-9)
    one = dn.simulate(driven, [0.0, 0.0], 1.5, params={"rate": 2.0}, u=2.0, save="last", rtol=1e-10, atol=1e-12)
    assert np.array_equal(one.final, run.final[2])


def test_a_sinusoidal_input_gives_the_known_response():
    run = dn.simulate(
        driven, [0.0, 0.0], [0.0, 40.0], u=dn.Sinusoid(1.0, 2 * np.pi), save="last", rtol=1e-10, atol=1e-12
    )
    t = 40.0
    assert abs(run.final[0] - (np.sin(t) - np.cos(t)) / 2) < 1e-8


def test_a_sweep_compiles_nothing_after_its_first_point():
    from dynet.engine import codegen

    rates = np.linspace(0.5, 2.0, 1000)
    dn.simulate(driven, [0.0, 0.0], 1.0)
    dn.simulate(driven, [0.0, 0.0], 1.0, params={"rate": rates[:40]})  # of a batch, a second form of the method
    before = len(codegen.loaded())
    for rate in rates:
        dn.simulate(driven.replace(rate=rate), [0.0, 0.0], 0.1, save="last")
    for rate in rates[::50]:
        dn.simulate(driven, [0.0, 0.0], 1.0, u=dn.Sinusoid(rate, 1.0))
        dn.simulate(driven, [0.0, 0.0], 1.0, params={"rate": rates[:40] + rate})
    assert len(codegen.loaded()) == before


def test_progress_is_reported_and_ends_in_a_whole():
    seen = []
    run = dn.simulate(dn.models.Lorenz(), np.ones((64, 3)), 40.0, save="last", progress=seen.append)
    assert run.ok and seen and all(0 <= s <= 1 for s in seen)


BAD = [
    (dict(x0=[1.0, 2.0]), "x0"),
    (dict(x0=[1.0, np.nan, 2.0]), r"x0\[1\]=nan"),
    (dict(x0=[[[1.0, 2.0, 3.0]]]), "x0"),
    (dict(x0="abc"), "x0"),
    (dict(t=0.0), "t="),
    (dict(t=[0.0, 2.0, 1.0]), "increasing"),
    (dict(t=np.inf), "finite"),
    (dict(rtol=0.0), "rtol"),
    (dict(rtol=1e-17), "rtol"),
    (dict(atol=-1.0), "atol"),
    (dict(method="rk5"), "did you mean 'rk4'"),
    (dict(method="rk4"), "dt=None"),
    (dict(dt=0.0), "dt"),
    (dict(save=1), "save"),
    (dict(save="lst"), "did you mean 'last'"),
    (dict(save=[0.5, 9.0]), "save"),
    (dict(params={"weight": 1.0}), "replace"),
    (dict(u=[1.0, 2.0]), "u="),
    (dict(u=np.ones((4, 2))), "u="),
    (dict(x0=np.ones((2, 3)), u=np.ones((4, 3))), "batch"),
    (dict(max_steps=0), "max_steps"),
    (dict(model="lorenz"), "model"),
]


@pytest.mark.parametrize(("change", "word"), BAD)
def test_bad_arguments_are_named_before_anything_compiles(change, word, monkeypatch):
    def forbidden(*args, **kwargs):
        raise AssertionError("compiled before the arguments were checked")

    monkeypatch.setattr(dn.models.FiringRate, "block", forbidden)
    arguments = {"model": NETWORK, "x0": [1.0, 2.0, 3.0], "t": 1.0, **change}
    with pytest.raises(ArgumentError, match=word):
        dn.simulate(arguments.pop("model"), arguments.pop("x0"), arguments.pop("t"), **arguments)


def test_an_input_for_a_model_without_one_is_refused():
    with pytest.raises(ArgumentError, match="no input"):
        dn.simulate(dn.models.Lorenz(), [1.0, 1.0, 1.0], 1.0, u=1.0)
