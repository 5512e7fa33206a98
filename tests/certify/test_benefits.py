"""What a certificate buys: the worked numbers, and bounds that no simulation exceeds."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet as dn
from dynet.certify.bounds import box, gain, length, lim, one_sided_lim
from dynet.certify.gradient import is_gradient
from dynet.certify.steps import factor, forward_steps
from dynet.errors import ArgumentError
from dynet.linalg import Norm

A = np.array([[-1.0, 0.5], [-0.75, 0.25]])


def rule(steps, name):
    return next(step for step in steps if step.rule == name)


def test_worked_steps_for_a_condition_of_ten():
    euclidean, rows = forward_steps(1.0, 10.0, 2.0, gradient=True), forward_steps(1.0, 10.0, 1.0, diagonal=10.0)
    assert rule(euclidean, "euclidean")[1:3] == pytest.approx((0.01, 0.994987), abs=5e-7)
    assert rule(euclidean, "exponential")[1:] == pytest.approx((0.0094455, 0.995204, 0.018605), abs=5e-7)
    assert rule(euclidean, "general").limit == pytest.approx(0.0090909, abs=5e-8)
    assert rule(euclidean, "gradient")[1:3] == rule(rows, "rows")[1:3] == pytest.approx((2 / 11, 9 / 11), abs=1e-12)
    assert rule(rows, "diagonal")[1:3] == pytest.approx((0.1, 0.9), abs=1e-12)
    assert [step.rule for step in rows][:2] == ["rows", "diagonal"]


def test_worked_steps_for_a_condition_of_two():
    steps = forward_steps(1.0, 2.0, 2.0)
    assert rule(steps, "euclidean")[1:3] == pytest.approx((0.25, 0.866025), abs=5e-7)
    assert rule(steps, "exponential")[1:] == pytest.approx((0.175203, 0.908524, 0.335355), abs=5e-7)
    assert rule(forward_steps(1.0, 2.0, math.inf), "rows")[1:3] == pytest.approx((2 / 3, 1 / 3), abs=1e-12)


def test_asymptotics_of_the_two_general_rules():
    for kappa in (1e2, 1e3, 1e4):
        steps = forward_steps(1.0, kappa, 2.0)
        assert 1 - rule(steps, "exponential").factor == pytest.approx(1 / (2 * kappa**2), rel=2 / kappa, abs=1e-15)
        assert 1 - rule(steps, "general").factor == pytest.approx(
            1 / (4 * kappa**2) - 1 / (8 * kappa**3), rel=0.05, abs=1e-15
        )
        alpha = 1 / (2 * kappa**2) - 3 / (8 * kappa**3)
        assert rule(steps, "general").alpha == pytest.approx(alpha, rel=10 / kappa**2)


@settings(max_examples=100)
@given(st.floats(0.01, 10.0), st.floats(1.0, 1e3), st.sampled_from([1.0, 2.0, math.inf]))
def test_best_steps_are_best_and_limits_are_limits(c, kappa, p):
    for step in forward_steps(c, c * kappa, p, diagonal=c * kappa, gradient=True):

        def at(a, step=step):
            return factor(step.rule, a, c, c * kappa)

        assert (
            step.factor
            <= min(at(step.alpha * (1 + s)) for s in (-1e-3, 1e-3) if step.rule != "diagonal" or s < 0) + 1e-12
        )
        if step.rule != "diagonal":
            assert at(step.limit * 0.999) < 1 + 1e-12 and at(step.limit * 1.001) > 1 - 1e-12


@settings(max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 4),
    st.sampled_from(["FiringRate", "Hopfield"]),
    st.sampled_from([1, "inf"]),
)
def test_the_rows_rule_is_the_exact_optimum(seed, n, kind, p):
    """Golden section over the convex, piecewise linear factor of the row data finds no better step."""
    random = np.random.default_rng(seed)
    cert = dn.certify(getattr(dn.models, kind)(random.normal(0, 0.3, (n, n))), p)
    if not cert.contracting:
        return
    rows = [(a, m.off @ cert.claim.eta / cert.claim.eta) for m in cert.claim.structure.majorants(cert.claim.p)
            for a in (m.low, m.high)]  # fmt: skip

    def worst(alpha):
        return max(float((np.abs(1 + alpha * a) + alpha * r).max()) for a, r in rows)

    low, high, ratio = 0.0, 4.0 / cert.rate, (math.sqrt(5) - 1) / 2
    for _ in range(120):
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, b) if worst(a) < worst(b) else (a, high)
    alpha, found = cert.step("rows")
    assert found == pytest.approx(worst(alpha), abs=1e-9) and found <= worst((low + high) / 2) + 1e-9


def test_iterations_bring_the_error_down():
    model = dn.models.FiringRate([[0.0, 0.5], [-0.5, 0.0]], activation="relu", input=[1.0, 0.0])
    cert = dn.certify(model, "inf")
    alpha, _ = cert.step()
    x, target = np.array([3.0, -2.0]), dn.equilibrium(model, tol=1e-13).x
    start = cert.norm.length(x - target)
    for _ in range(cert.iterations(1e-6, start)):
        x = x + alpha * model.rhs(0.0, x)
    assert cert.norm.length(x - target) <= 1e-6 * (1 + 1e-6)
    assert cert.iterations(1.0, 0.5) == 0 and cert.iterations(1e-6, rule="general") > cert.iterations(1e-6)
    for bad in (
        dict(tol=0.0),
        dict(tol=1e-3, distance=-1.0),
        dict(tol=1e-3, rule="euclidean"),
        dict(tol=1e-3, rule="rowz"),
    ):
        with pytest.raises(ArgumentError):
            cert.iterations(**bad)


def test_entrainment_worked():
    """x' = -2 x + tanh x + sin t."""
    model = dn.models.Lure(
        E=[-2.0], F=[1.0], G=[1.0], D=[[1.0]], activation="tanh", input=dn.Sinusoid(1.0, period=2 * math.pi)
    )
    cert = dn.certify(model)
    assert cert.rate == pytest.approx(1.0, abs=1e-12)
    run = dn.simulate(model, [[5.0], [-5.0]], np.array([0.0, 5.0]), rtol=1e-10, atol=1e-12)
    apart = abs(float(run.x[0, -1, 0] - run.x[1, -1, 0]))
    assert apart == pytest.approx(0.017969, abs=1e-6) and apart <= cert.distance(5.0, 10.0)
    assert cert.distance(5.0, 10.0) == pytest.approx(0.067379, abs=5e-7)
    x = -0.4514557
    run = dn.simulate(model, [x], np.array([0.0, 2 * math.pi]), rtol=1e-11, atol=1e-13)
    moved = abs(float(run.x[-1, 0]) - x)
    assert moved < 1e-6
    shrink, distance = cert.entrainment(2 * math.pi, moved)
    assert shrink == pytest.approx(math.exp(-2 * math.pi)) and moved <= distance <= 1.01 * moved + 1e-12
    with pytest.raises(ArgumentError, match="period"):
        cert.entrainment(0.0)


def test_lim_in_both_forms():
    assert lim(0.5, 2.0, 0.1) == pytest.approx(0.4) and one_sided_lim(0.5, 2.0, 0.1) == pytest.approx(0.4)
    assert one_sided_lim(-3.0, 2.0, 0.1, 0.2) == pytest.approx(0.1)
    with pytest.raises(ArgumentError, match="one_sided_lim"):
        lim(1.0, 1.0, 1.0)
    with pytest.raises(ArgumentError, match="osLip"):
        one_sided_lim(1.0, 1.0, 1.0)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.sampled_from([1, 2, "inf"]), st.sampled_from([1, 2, math.inf]))
def test_gains_shifts_and_enclosures_are_never_exceeded(seed, n, p, inputs):
    random = np.random.default_rng(seed)
    B, D = random.normal(size=(n, 2)), random.normal(size=(n, 2))
    model = dn.models.Lure(
        E=-np.ones(n) * 2, F=np.ones(n), G=random.normal(0, 0.4, (n, n)), B=B, D=D, activation="tanh"
    )
    cert = dn.certify(model, p, kind="strong")
    if not cert.contracting:
        return
    u, v, extra = random.normal(size=2), random.normal(size=2), random.normal(size=n)
    x = dn.equilibrium(model, u=u, certificate=cert).x
    y = dn.equilibrium(model, u=v, certificate=cert).x
    change = Norm(inputs).length(u - v)
    assert cert.norm.length(x - y) <= cert.lipschitz(inputs=inputs) * change * (1 + 1e-9) + 1e-9
    assert cert.norm.length(x - y) <= cert.shift(wrt=model, change=change, inputs=inputs) * (1 + 1e-9) + 1e-9
    z = dn.equilibrium(model.replace(h=extra), u=v).x
    assert cert.norm.length(z - x) <= cert.shift(extra, model, change, inputs) * (1 + 1e-9) + 1e-9
    guess = x + 0.1 * random.normal(size=n)
    ball = cert.enclosure(guess, u=u)
    assert ball.certified and cert.norm.length(x - guess) <= ball.radius * (1 + 1e-9)
    assert np.all(ball.lo <= x) and np.all(x <= ball.hi)


def test_two_trajectories_with_different_inputs_stay_within_the_bound():
    def run(frequency):
        drive = dn.Sinusoid(0.5, period=2 * math.pi / frequency)
        model = dn.models.FiringRate(A, activation="tanh", input=drive)
        return model, dn.simulate(
            model, [1.0, -1.0] if frequency == 1.0 else [0.0, 0.5], np.linspace(0, 8, 41), rtol=1e-9
        )

    (model, first), (_, second) = run(1.0), run(1.7)
    cert = dn.certify(model, "inf")
    apart = cert.norm.length(first.x - second.x)
    bound = cert.distance(first.t, apart[0], model, change=1.0, inputs="inf")
    assert np.all(apart <= bound) and bound[-1] < 6


def test_tracking_of_a_moving_equilibrium():
    """x' = -3 x + tanh x + sin t: the equilibrium of the frozen field is chased with a lag."""
    model = dn.models.Lure(
        E=[-3.0], F=[1.0], G=[1.0], D=[[1.0]], activation="tanh", input=dn.Sinusoid(1.0, period=2 * math.pi)
    )
    cert = dn.certify(model)
    assert cert.rate == pytest.approx(2.0) and cert.tracking(1.0) == pytest.approx(0.25) == cert.tracking(1.0, [[1.0]])
    run = dn.simulate(model, [0.0], np.linspace(0, 20, 201), rtol=1e-9)
    frozen = np.array([dn.equilibrium(model, u=[math.sin(t)], certificate=cert).x[0] for t in run.t])
    lag = np.abs(run.x[:, 0] - frozen)
    assert np.all(lag <= [cert.tracking(1.0, t=t) + 1e-8 for t in run.t]) and lag.max() > 0.05


def test_both_lyapunov_functions_decay():
    model = dn.models.FiringRate(A, activation="tanh", input=[0.3, -0.2])
    cert = dn.certify(model, "inf")
    run = dn.simulate(model, [2.0, -1.0], np.linspace(0, 6, 25), rtol=1e-10, atol=1e-13)
    for values in cert.lyapunov(run.x):
        assert np.all(values <= values[0] * np.exp(-2 * cert.rate * run.t) * (1 + 1e-6))
    again = dn.Certificate.from_json(cert.to_json())
    with pytest.raises(ArgumentError, match="model"):
        again.lyapunov([0.0, 0.0])
    assert again.lyapunov([0.0, 0.0], model=model)[1] == cert.lyapunov([0.0, 0.0])[1]


def test_gains_by_hand():
    assert gain(Norm("inf", [1.0, 3.0]), None, [[1.0], [2.0]]) == pytest.approx(1.0)
    assert gain(Norm(1, [1.0, 3.0]), None, [[1.0], [-2.0]]) == pytest.approx(7.0)
    assert gain(Norm(2, [[4.0, 0.0], [0.0, 1.0]]), None, [[1.0], [0.0]]) == pytest.approx(2.0)
    assert gain(Norm("inf"), None, 0.5) == 0.5
    for bad in (-1.0, math.nan, [[math.inf], [0.0]], [[1.0], [2.0], [3.0]]):
        with pytest.raises(ArgumentError, match="wrt"):
            gain(Norm("inf", [1.0, 3.0]), None, bad)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_boxes_hold_their_balls(seed, n):
    random = np.random.default_rng(seed)
    M = random.normal(size=(n, n))
    for norm in (Norm("inf", np.exp(random.normal(size=n))), Norm(1, np.exp(random.normal(size=n))),
                 Norm(2, np.exp(random.normal(size=n))), Norm(2, (lambda P: (P + P.T) / 2)(M @ M.T + np.eye(n)))):  # fmt: skip
        x = random.normal(size=(200, n))
        x = x / norm.length(x)[:, None]
        half = box(norm, 1.0)
        assert np.all(np.abs(x) <= half) and np.all(length(norm, x) >= norm.length(x))
        assert np.all(length(norm, x, 0.1) >= norm.length(x + 0.1 * random.choice([-1, 1], x.shape)))


def test_gradient_systems_are_recognised_exactly():
    S = np.array([[-3.0, 1.0], [1.0, -2.0]])
    W = np.array([[1.0, 2.0], [0.0, 1.0]])
    gradient = dn.models.Lure(E=S, F=-W.T, G=W, activation="tanh")
    cert = dn.certify(gradient, Norm(2, np.eye(2)))
    assert is_gradient(cert.claim.structure, np.eye(2)) and "gradient" in [s.rule for s in cert.steps()]
    assert not is_gradient(cert.claim.structure, np.array([2.0, 1.0]))
    other = dn.certify(dn.models.Lure(E=S, F=-W, G=W, activation="tanh"), 2)
    assert not is_gradient(other.claim.structure, np.eye(2))


def test_without_strong_contraction_nothing_is_sold():
    weak = dn.certify(dn.models.Persidskii([[-2.0, 1.0], [1.0, -2.0]]))
    assert weak.kind == "weak"
    for call in (weak.step, weak.steps, lambda: weak.iterations(1e-3), lambda: weak.lipschitz(1.0), lambda: weak.shift(1.0),
                 lambda: weak.tracking(1.0, 1.0), lambda: weak.entrainment(1.0), lambda: weak.enclosure([0.0, 0.0]),
                 lambda: weak.lyapunov([0.0, 0.0]), lambda: weak.distance(1.0, 1.0)):  # fmt: skip
        with pytest.raises(ArgumentError, match="rate"):
            call()


def test_an_enclosure_is_of_the_model_that_is_certified():
    model = dn.models.FiringRate(A, activation="tanh", input=[0.3, -0.2])
    cert = dn.certify(model, "inf")
    assert cert.enclosure([0.0, 0.0]).certified
    with pytest.raises(ArgumentError, match="model"):
        cert.enclosure([0.0, 0.0], model=dn.models.FiringRate(2 * A, activation="tanh"))
    local = dn.certify(model, "inf", region=([-1.0, -1.0], 1.0))
    assert not local.enclosure([0.0, 0.0]).certified
