"""Falsification: what is refuted is false in exact arithmetic, and what is true is never refuted."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet as dn
from dynet.certify.falsify import falsify, log_norm_down, point_jacobians
from dynet.errors import ArgumentError

pytest.importorskip("flint", reason="enclosures of elementary functions need the extra 'exact'")


def exact_log_norm(J, p, eta):
    n = len(J)
    J, eta = [[Fraction(float(v)) for v in row] for row in J], [Fraction(float(v)) for v in eta]
    if p == 1:
        return max(J[j][j] + sum(eta[i] * abs(J[i][j]) / eta[j] for i in range(n) if i != j) for j in range(n))
    return max(J[i][i] + sum(abs(J[i][j]) * eta[j] / eta[i] for j in range(n) if j != i) for i in range(n))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(-5, 5), min_size=9, max_size=9),
    st.tuples(*[st.floats(0.1, 9)] * 3),
    st.sampled_from((1, math.inf)),
)
def test_the_lower_bound_is_below_the_exact_log_norm_and_close(entries, eta, p):
    J = np.array(entries).reshape(3, 3)
    bound = log_norm_down(J, J, dn.Norm(p, eta))
    exact = exact_log_norm(J, p, eta)
    assert Fraction(bound) <= exact and float(exact) - bound <= 1e-12 * (1 + abs(J).max() * 1000)
    wide = log_norm_down(J - 0.25, J + 0.25, dn.Norm(p, eta))
    rng = np.random.default_rng(0)
    for _ in range(5):
        assert Fraction(wide) <= exact_log_norm(J + rng.uniform(-0.25, 0.25, (3, 3)), p, eta)


@pytest.mark.parametrize(
    "weights", [None, [1.0, 4.0, 0.25], np.array([[2.0, 0.5, 0.0], [0.5, 1.0, -0.25], [0.0, -0.25, 4.0]])]
)
def test_the_lower_bound_in_l2(weights):
    rng = np.random.default_rng(1)
    for _ in range(20):
        J = rng.normal(size=(3, 3))
        bound, value = log_norm_down(J, J, dn.Norm(2, weights)), dn.Norm(2, weights).log(J)
        assert value - 1e-9 <= bound <= value + 1e-12


def test_point_jacobians_of_both_forms():
    rng = np.random.default_rng(2)
    for activation in ("tanh", "gelu", "softplus"):
        net = dn.models.Lure(
            E=rng.normal(size=(3, 3)), F=rng.normal(size=(3, 2)), G=rng.normal(size=(2, 3)), activation=activation
        )
        x = rng.normal(size=(4, 3))
        lo, hi = point_jacobians(net, x)
        J = np.array([net.jacobian(0.0, state) for state in x])
        assert np.all(lo <= J + 1e-13) and np.all(J - 1e-13 <= hi) and np.all(hi - lo < 1e-12)


@pytest.mark.parametrize("p", [1, 2, "inf"])
def test_a_certified_rate_is_never_refuted_and_a_larger_one_is(p):
    rng = np.random.default_rng(3)
    W = rng.normal(size=(6, 6)) / 6
    net = dn.models.FiringRate(W, activation="tanh")
    cert = dn.certify(net, p)
    assert cert
    found = falsify(net, cert, points=1000)
    assert not found and found.status == "sampled" and found.value <= -cert.rate
    worst = falsify(net, norm=cert.norm, rate=1.5, points=1000)
    assert worst and worst.status == "refuted" and worst.value > -1.5
    # the witness speaks for itself
    assert cert.norm.log(net.jacobian(0.0, worst.x)) == pytest.approx(worst.value, abs=1e-9)


def test_the_search_finds_a_narrow_violation_in_a_region():
    @dn.vector_field(n=2)
    def bump(t, x, p, dx):
        dx[0] = -x[0] + 1.5 * np.tanh(x[0] - 3.0) * np.exp(-((x[1] - 1.0) ** 2) * 20.0)
        dx[1] = -x[1]

    found = falsify(bump, norm=dn.Norm("inf", [1.0, 1e-6]), region=([0.0, 0.0], [6.0, 2.0]))
    assert found and found.x == pytest.approx([3.0, 1.0], abs=0.3) and "refuted" in str(found)
    outside = falsify(bump, norm=dn.Norm("inf", [1.0, 1e-6]), region=([4.5, 0.0], [6.0, 2.0]))
    assert not outside and "nothing is proven" in str(outside)


def test_the_kink_itself_refutes_nothing():
    @dn.vector_field(n=1)
    def kinked(t, x, p, dx):
        dx[0] = -2.0 * x[0] + abs(x[0])

    assert not falsify(kinked, rate=1.0, region=([-1.0], [1.0]))
    assert falsify(kinked, rate=1.1, region=([-1.0], [1.0]))
    assert not falsify(kinked, rate=3.0, region=([-1.0], [-0.5]), points=50)


def test_wrong_arguments():
    net = dn.models.FiringRate([[0.5]])
    cert = dn.certify(net)
    for bad in (
        lambda: falsify("net"),
        lambda: falsify(net, cert, rate=1.0),
        lambda: falsify(net, norm=3),
        lambda: falsify(net, norm=dn.Norm(1, [1.0, 1.0])),
        lambda: falsify(net, points=0),
        lambda: falsify(net, rate=math.nan),
        lambda: falsify(net, region=dn.Simplex(1)),
        lambda: falsify(net, region=([1.0], [1.0])),
    ):
        with pytest.raises(ArgumentError):
            bad()
