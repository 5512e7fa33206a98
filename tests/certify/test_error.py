"""Error bounds of trajectories: exact solutions and high-accuracy references lie inside, and not by much luck."""

import math

import numpy as np
import pytest

import dynet as dn
from dynet.certify.error import _growth, estimated, proven
from dynet.certify.region import Ball, Box, WholeSpace
from dynet.certify.search import is_about
from dynet.errors import ArgumentError
from dynet.linalg.series import working_precision

flint = pytest.importorskip("flint", reason="enclosures of elementary functions need the extra 'exact'")


@dn.vector_field(n=1)
def driven(t, x, p, dx):
    dx[0] = -2.0 * x[0] + np.tanh(x[0]) + np.sin(t)


@dn.vector_field(n=2, params={"a": 0.5})
def linear(t, x, p, dx):
    dx[0] = -2.0 * x[0] + p.a * x[1]
    dx[1] = p.a * x[0] - 2.0 * x[1]


def exact_linear(x0, t, a=0.5):
    """In 200 bits, as balls."""
    with flint.ctx.workprec(200):
        plus, minus = ((flint.arb(float(x0[0])) + s * flint.arb(float(x0[1]))) / 2 for s in (1, -1))
        slow, fast = (flint.arb(r) * flint.arb(float(t)) for r in (a - 2.0, -a - 2.0))
        return plus * slow.exp() + minus * fast.exp(), plus * slow.exp() - minus * fast.exp()


@pytest.mark.parametrize("rtol", [1e-3, 1e-6, 1e-9])
def test_the_exact_solution_is_within_the_bound_and_the_bound_is_tight(rtol):
    cert = dn.certify(linear, dn.Norm("inf", [1.0, 1.0]))
    x0 = [1.0, -0.3]
    run = dn.simulate(linear, x0, t=4.0, rtol=rtol, atol=1e-3 * rtol, save=21, certificate=cert)
    assert run.error_status == run.stats["error"] == "certified" and run.error_bound.shape == (21,)
    for k, t in enumerate(run.t):
        with flint.ctx.workprec(200):
            off = [abs(e - flint.arb(float(v))) for e, v in zip(exact_linear(x0, t), run.x[k], strict=True)]
            radius = flint.arb(float(run.error_bound[k]))
            assert all(o <= radius for o in off)
            # a proven curve next to the solution: the bound is the true error and little more
            assert radius <= max(float(o.upper()) for o in off) + 1e-3 * rtol + 1e-12


@pytest.mark.parametrize("activation", ["tanh", "softplus", "relu"])
def test_references_are_within_the_bound(activation):
    W = np.random.default_rng(0).normal(size=(4, 4)) / 5
    net = dn.models.FiringRate(W, activation=activation, input=dn.Sinusoid(1.0, period=3.0))
    cert = dn.certify(net, "inf")
    x0 = np.array([[1.0, -1.0, 0.5, 0.2], [0.0, 0.0, 0.0, 0.1]])
    run = dn.simulate(net, x0, t=1.5, rtol=1e-4, atol=1e-6, save=4, certificate=cert)
    reference = dn.simulate(net, x0, t=1.5, rtol=1e-12, atol=1e-14, save=4)
    assert run.error_status == "certified" and run.error_bound.shape == (2, 4)
    off = cert.norm.length(run.x - reference.x)
    # the reference is off by less than 1e-8, at kinks
    assert np.all(off <= run.error_bound + 1e-8) and np.all(run.error_bound <= off + 1e-5)


def test_constant_inputs_of_each_lane():
    net = dn.models.FiringRate([[0.2, 0.1], [0.0, 0.3]], activation="tanh", input=[0.0, 0.0])
    cert = dn.certify(net, "inf")
    u = np.array([[1.0, 0.0], [0.0, -1.0]])
    run = dn.simulate(net, [0.0, 0.0], t=1.0, u=u, save=3, rtol=1e-5, certificate=cert)
    for lane in range(2):
        alone = dn.simulate(net, [0.0, 0.0], t=1.0, u=u[lane], save=3, rtol=1e-5, certificate=cert)
        assert np.array_equal(alone.error_bound, run.error_bound[lane]) and alone.error_status == "certified"


def test_without_a_series_the_bound_is_an_estimate_and_says_so():
    net = dn.models.FiringRate([[0.2]], activation="tanh", input=dn.Piecewise([0.5], [0.0, 1.0]))
    cert = dn.certify(net, "inf")
    run = dn.simulate(net, [1.0], t=0.4, rtol=1e-6, certificate=cert)
    reference = dn.simulate(net, [1.0], t=0.4, rtol=1e-12, atol=1e-14)
    assert run.error_status == "estimated" and "no power series" in run.stats["error"]
    assert np.all(np.abs(run.x - reference.x)[:, 0] <= run.error_bound + 1e-12)
    last = dn.simulate(net, [1.0], t=0.4, save="last", certificate=cert)
    assert last.error_bound.shape == (1,) and last.error_bound[0] > 0


def test_too_much_work_is_not_begun():
    found = proven(driven, dn.Norm("inf"), 1.0, WholeSpace(), 0.0, [1.0], np.arange(9.0), np.zeros((9, 1)), work=10)
    assert not found.certified and "work" in found.why and np.isinf(found.radius).all()
    with pytest.raises(ArgumentError):
        dn.simulate(driven, [1.0], t=1.0, certificate="yes")


def test_a_tube_that_leaves_the_region_of_the_certificate_is_no_proof():
    @dn.vector_field(n=1)
    def cubic(t, x, p, dx):
        dx[0] = -x[0] - x[0] ** 3

    cert = dn.certify(cubic, region=([-1.0], [1.0]))
    inside = dn.simulate(cubic, [0.9], t=1.0, certificate=cert)
    assert inside.error_status == "certified" and inside.error_bound.max() < 1e-5
    outside = dn.simulate(cubic, [1.1], t=1.0, certificate=cert)
    assert outside.error_status == "estimated" and "region" in outside.stats["error"]
    norm = dn.Norm("inf")
    for region, good in ((Ball([0.0], 0.95, "inf"), True), (Ball([0.0], 0.85, "inf"), False), (Ball([0.0], 9.0, 1), False),
                         (Box([-0.5], [1.0]), True), (Box([0.6], [1.0]), False)):  # fmt: skip
        found = proven(cubic, norm, 1.0, region, 0.0, np.array([0.9]), inside.t, inside.x)
        assert found.certified == good


def test_weak_certificates_let_errors_add_up_but_not_grow():
    field = dn.models.Lure(E=[[-1.0, 1.0], [1.0, -1.0]], F=[0.0, 0.0], G=[1.0, 1.0])
    cert = dn.certify(field, "inf", kind="weak")
    assert cert.rate == 0.0
    run = dn.simulate(field, [1.0, 0.0], t=3.0, rtol=1e-6, certificate=cert, save=7)
    exact = 0.5 + 0.5 * np.exp(-2 * run.t)
    assert run.error_status == "certified"
    assert np.all(np.abs(run.x[:, 0] - exact) <= run.error_bound + 1e-15) and run.error_bound.max() < 1e-5


def test_growth_factors_are_rounded_up():
    with working_precision():
        for rate in (2.0, -0.5, 1e-9):
            grown, share = _growth(rate, 1.0, 1.25)
            assert grown >= math.exp(-rate * 0.25) * (1 - 1e-15)
            assert share == pytest.approx(-math.expm1(-rate * 0.25) / rate, rel=1e-12)
        assert _growth(0.0, 1.0, 1.25) == (1.0, 0.25)


def test_certificates_of_something_else_are_refused():
    cert = dn.certify(linear, "inf")
    assert is_about(cert, linear) and not is_about(cert, driven)
    net, other = dn.models.FiringRate([[0.5]]), dn.models.FiringRate([[0.4]])
    local = dn.certify(net, region=([1.0], [2.0]))
    for bad in (
        lambda: dn.simulate(linear.replace(a=0.4), [1.0, 0.0], t=1.0, certificate=cert),
        lambda: dn.simulate(linear, [1.0, 0.0], t=1.0, params={"a": 0.4}, certificate=cert),
        lambda: dn.simulate(other, [1.0], t=1.0, certificate=dn.certify(net)),
        lambda: dn.simulate(net, [1.0], t=1.0, u=[1.0], certificate=local),
        lambda: dn.simulate(dn.models.Lorenz(), [1.0] * 3, t=1.0, certificate=dn.certify(dn.models.Lorenz())),
        lambda: dn.equilibrium(net, certificate=local),
    ):
        with pytest.raises(ArgumentError, match="certificate"):
            bad()


def test_a_failed_trajectory_keeps_its_bound_as_far_as_it_went():
    cert = dn.certify(driven)
    run = dn.simulate(driven, [5.0], t=10.0, max_steps=5, certificate=cert)
    assert not run.status.ok
    good = np.isfinite(run.x[:, 0])
    assert 0 < good.sum() < 101 and np.isfinite(run.error_bound[good]).all() and np.isnan(run.error_bound[~good]).all()


def test_the_estimate_recovers_an_exponential():
    t = np.linspace(0.0, 1.0, 21)
    x = np.stack([np.exp(-1.5 * t), np.exp(-1.5 * t)], axis=1)
    found = estimated(linear, dn.Norm("inf"), 1.5, t, x + 1e-3 * (t[:, None] > 0), None, "why")
    assert found.why == "why" and not found.certified and found.radius[-1] >= 1e-3


def test_a_file_keeps_the_bound(tmp_path):
    cert = dn.certify(linear, "inf")
    for x0 in ([1.0, 0.0], [[1.0, 0.0], [0.0, 1.0]]):
        run = dn.simulate(linear, x0, t=1.0, save=3, certificate=cert)
        run.save(tmp_path / "run.nc")
        again = dn.Trajectory.load(tmp_path / "run.nc")
        assert np.array_equal(again.error_bound, run.error_bound) and again.error_status == "certified"
    dn.simulate(linear, x0, t=1.0, save=3).save(tmp_path / "run.nc")
    assert dn.Trajectory.load(tmp_path / "run.nc").error_bound is None
