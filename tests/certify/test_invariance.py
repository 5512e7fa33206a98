"""Forward invariance against exact values on the faces, and against simulation."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet as dn
from dynet.certify.claims import RowsClaim
from dynet.certify.invariance import invariance, length_up
from dynet.certify.region import Ball, Box, Orthant, Simplex, WholeSpace

pytest.importorskip("flint", reason="enclosures of elementary functions need the extra 'exact'")


@dn.vector_field(n=3, params={"beta": 0.5, "gamma": 1.0, "A": [[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]})
def sis(t, x, p, dx):
    for i in range(3):
        s = 0.0
        for j in range(3):
            s += p.A[i, j] * x[j]
        dx[i] = p.beta * (1.0 - x[i]) * s - p.gamma * x[i]


@dn.vector_field(n=2, params={"w": 1.0})
def spiral(t, x, p, dx):
    dx[0] = -x[0] + p.w * x[1]
    dx[1] = -p.w * x[0] - x[1]


def test_epidemics_stay_between_nobody_and_everybody():
    for beta in (0.5, 1.5):
        field = sis.replace(beta=beta)
        assert "every face" in invariance(field, Box([0.0] * 3, 1.0))
        assert "every face" in invariance(field, Orthant(3))
        assert invariance(field, Box([0.1] * 3, 1.0)) == ("" if beta == 0.5 else invariance(field, Box([0.1] * 3, 1.0)))
    # every face of a box around 0 below the endemic state but outside the healthy one flows through
    assert invariance(sis, Box([0.2] * 3, 1.0)) == ""


def test_a_spiral_leaves_long_boxes_only():
    assert invariance(spiral, Box([-1.0, -1.0], 1.0))  # touches the corners: exactly 0 there
    assert not invariance(spiral.replace(w=1.0 + 1e-12), Box([-1.0, -1.0], 1.0))
    assert not invariance(spiral, Box([-2.0, -1.0], [1.0, 1.0]))
    assert invariance(spiral, WholeSpace()) == "invariant"
    assert invariance(spiral, Simplex(2)) == ""


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-4, 4), min_size=10, max_size=10), st.tuples(*[st.integers(-4, 4)] * 4))
def test_no_face_with_an_outward_point_is_ever_passed(coefficients, ends):
    c = [v / 2 for v in coefficients]

    @dn.vector_field(n=2, params={"c": c})
    def quadratic(t, x, p, dx):
        dx[0] = p.c[0] + p.c[1] * x[0] + p.c[2] * x[1] + p.c[3] * x[0] * x[1] + p.c[4] * x[1] ** 2
        dx[1] = p.c[5] + p.c[6] * x[0] + p.c[7] * x[1] + p.c[8] * x[0] * x[1] + p.c[9] * x[0] ** 2

    lo, hi = (min(ends[0], ends[1]), min(ends[2], ends[3])), (max(ends[0], ends[1]) + 1, max(ends[2], ends[3]) + 1)
    inward = True
    exact = [Fraction(v) for v in c]
    for s in range(17):
        for i, end in itertools.product((0, 1), (0, 1)):
            x = [Fraction(0)] * 2
            x[i] = Fraction((lo, hi)[end][i])
            j = 1 - i
            x[j] = lo[j] + Fraction(s, 16) * (hi[j] - lo[j])
            a, b = x
            value = (exact[0] + exact[1] * a + exact[2] * b + exact[3] * a * b + exact[4] * b**2,
                     exact[5] + exact[6] * a + exact[7] * b + exact[8] * a * b + exact[9] * a**2)[i]  # fmt: skip
            inward &= value >= 0 if end == 0 else value <= 0
    if invariance(quadratic, Box(lo, hi)):
        assert inward


def test_a_box_that_is_passed_keeps_its_trajectories():
    rng = np.random.default_rng(4)
    found = 0
    for _ in range(30):
        W = rng.normal(size=(3, 3))
        net = dn.models.FiringRate(W, activation="tanh", input=rng.normal(size=3))
        lo, hi = -rng.uniform(0.5, 1.2, 3), rng.uniform(0.5, 1.2, 3)
        if invariance(net, Box(lo, hi)):
            found += 1
            x0 = rng.uniform(lo, hi, (20, 3))
            x0[np.arange(20), rng.integers(3, size=20)] = np.where(rng.random(20) < 0.5, -9, 9)
            run = dn.simulate(net, np.clip(x0, lo, hi), t=3.0, rtol=1e-9, atol=1e-12, save=20)
            assert np.all(run.x >= lo - 1e-8) and np.all(run.x <= hi + 1e-8)
    assert found >= 3


def test_balls_need_a_rate_in_their_own_norm_and_a_slow_centre():
    net = dn.models.FiringRate([[0.0, 0.5], [0.5, 0.0]], activation="tanh", input=[0.1, 0.1])
    cert = dn.certify(net, dn.Norm("inf", [1.0, 1.0]))
    assert cert.rate == 0.5
    assert "centre" in invariance(net, Ball([0.0, 0.0], 0.2, "inf"), cert.claim, cert.rate)
    assert invariance(net, Ball([0.0, 0.0], 0.19, "inf"), cert.claim, cert.rate) == ""
    assert invariance(net, Ball([0.0, 0.0], 1.0, 2), cert.claim, cert.rate) == ""
    assert invariance(net, Ball([0.0, 0.0], 1.0, "inf")) == ""
    assert isinstance(cert.claim, RowsClaim)


@pytest.mark.parametrize("norm", [dn.Norm(1, [1.0, 3.0]), dn.Norm("inf", [0.1, 3.0]), dn.Norm(2), dn.Norm(2, [2.0, 3.0]),
                                  dn.Norm(2, [[2.0, -0.5], [-0.5, 1.0]])], ids=str)  # fmt: skip
def test_lengths_are_bounded_from_above(norm):
    rng = np.random.default_rng(0)
    size = rng.random((200, 2))
    for sign in itertools.product((-1, 1), repeat=2):
        assert np.all(length_up(norm, size) >= norm.length(size * sign) * (1 - 1e-15))
    assert np.all(length_up(norm, size) <= 2 * norm.length(size))


def test_lengths_of_tiny_vectors_are_not_lost():
    for weights in (np.full(2, 1e100), 1e100 * np.eye(2)):
        assert length_up(dn.Norm(2, weights), np.array([1e-170, 0.0])) >= 1e-120
