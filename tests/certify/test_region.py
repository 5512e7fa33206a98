"""Regions: emptiness, containing boxes, and text that reads back exactly."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet as dn
from dynet.certify.region import Ball, Box, Orthant, PhaseCohesive, Simplex, WholeSpace, as_region, read_region
from dynet.errors import ArgumentError, CertificateError

P = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, -0.25], [0.0, -0.25, 4.0]])
BALLS = [
    Ball([0.1, -2.0, 3.0], 0.7, norm)
    for norm in (
        1,
        2,
        math.inf,
        dn.Norm(1, [1.0, 2.0, 3.0]),
        dn.Norm("inf", [0.1, 1.0, 3.0]),
        dn.Norm(2, [1.0, 4.0, 9.0]),
        dn.Norm(2, P),
    )  # fmt: skip
]
ALL = [WholeSpace(), Box([0.1, 0.2, -1.0], [1.0, 2.0, 3.0]), Box(np.full(3, -0.1), 0.3), Orthant(3), Simplex(3, 0.7),
       PhaseCohesive(3, 1.1), Box([0.1, -math.inf, 0.0], [math.inf, 1.0, 0.0]), *BALLS]  # fmt: skip


@pytest.mark.parametrize("region", ALL, ids=lambda region: str(region)[:30])
def test_text_reads_back_exactly(region):
    for text in (str(region), f"{region} (local: not shown to be invariant)"):
        again = read_region(text)
        assert type(again) is type(region) and str(again) == str(region)
        for a, b in zip(again.box(3), region.box(3), strict=True):
            assert np.array_equal(a, b)


@pytest.mark.parametrize("text", ["", "box", "box [1, 0]^2", "box [[1.0]]", "cube [0, 1]^2", "ball {}", "simplex [1]"])
def test_other_text_is_refused(text):
    with pytest.raises((CertificateError, ArgumentError)):
        read_region(text)


@pytest.mark.parametrize("ball", BALLS, ids=str)
def test_a_ball_lies_in_its_box_and_touches_it(ball):
    rng = np.random.default_rng(0)
    lo, hi = ball.box(3)
    x = rng.normal(size=(20_000, 3))
    x = ball.center + ball.radius * x / ball.norm.length(x)[:, None]
    assert np.all((lo <= x) & (x <= hi))
    assert np.all(x.max(axis=0) > hi - 0.1 * (hi - lo)) and np.all(x.min(axis=0) < lo + 0.1 * (hi - lo))
    assert ball.contains(ball.center) and not ball.contains(ball.center + 10)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(range(len(BALLS) + 2)), st.integers(0, 10**6))
def test_boxes_that_do_not_meet_a_region_hold_none_of_its_points(which, seed):
    region = [*BALLS, Simplex(3, 0.7), PhaseCohesive(3, 0.4)][which]
    rng = np.random.default_rng(seed)
    lo = rng.uniform(-1.5, 1.5, (40, 3)) + (region.center if which < len(BALLS) else 0.0)
    hi = lo + rng.uniform(0.0, 1.0, (40, 3))
    meets = region.meets(lo, hi)
    for k in range(40):
        x = rng.uniform(lo[k], hi[k], (50, 3))
        if which == len(BALLS):
            x = x / np.abs(x).sum(axis=1, keepdims=True) * 0.7
            x = x[np.all((lo[k] <= x) & (x <= hi[k]), axis=1)]
        assert meets[k] or not region.contains(x).any()


def test_boxes_far_away_are_dropped():
    for region in (*BALLS[:-1], Simplex(3), PhaseCohesive(3, 0.4)):
        at = np.array([[50.0, -50.0, 0.0]])
        assert not region.meets(at, at + 0.1)[0]
        assert region.meets(-at - 1e3, at + 1e3)[0]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Box([1.0], [0.0]),
        lambda: Box([math.nan], [0.0]),
        lambda: Box([math.inf], [math.inf]),
        lambda: Box([[0.0]], [[1.0]]),
        lambda: Box("a", "b"),
        lambda: Box([], []),
        lambda: Box([0.0, 0.0], [1.0, 1.0, 1.0]),
        lambda: Ball([0.0], -1.0),
        lambda: Ball([math.inf], 1.0),
        lambda: Ball([0.0], 1.0, 3),
        lambda: Ball([0.0], 1.0, dn.Norm(1, [1.0, 1.0])),
        lambda: Simplex(0),
        lambda: Simplex(2, -1.0),
        lambda: PhaseCohesive(2, -0.1),
        lambda: as_region("box"),
        lambda: as_region([Box([0.0], [1.0]), Box([2.0], [3.0]), Box([2.0], [3.0])]),
        lambda: Box([0.0, 0.0], 1.0).fits(3),
    ],
)
def test_regions_that_are_none_are_refused(make):
    with pytest.raises(ArgumentError):
        make()
