"""Tubes: they contain trajectories, and their width obeys the theorem."""

import math

import numpy as np
import pytest

import dynet as dn
from dynet.certify.interval import IntervalStructure
from dynet.certify.tube import tube
from dynet.errors import ArgumentError
from dynet.fields.derivative import enclose_function
from dynet.linalg.metzler import perron

pytest.importorskip("flint", reason="enclosures of elementary functions need the extra 'exact'")


@dn.vector_field(n=2, params={"a": 1.0}, inputs=1)
def coupled(t, x, u, p, dx):
    dx[0] = -3.0 * x[0] + p.a * np.sin(x[1]) + u[0]
    dx[1] = -np.tanh(x[0]) - 2.0 * x[1]


@dn.vector_field(n=2)
def rotation(t, x, p, dx):
    dx[0] = -x[0] + x[1]
    dx[1] = -x[0] - x[1]


@pytest.mark.parametrize("steps", [1, 7, 60])
def test_trajectories_from_the_box_stay_in_the_tube(steps):
    rng = np.random.default_rng(0)
    lo, hi = np.array([-1.0, 0.0]), np.array([0.5, 1.0])
    found = tube(coupled, (lo, hi), (0.5, 2.0), u=([-0.3], [0.4]), steps=steps, save=16)
    assert found.status.ok
    x0 = np.concatenate([rng.uniform(lo, hi, (20, 2)), [lo, hi, [lo[0], hi[1]], [hi[0], lo[1]]]])
    for u in (-0.3, 0.4, dn.Piecewise([0.8, 1.1, 1.7], [0.4, -0.3, 0.4, -0.3])):
        run = dn.simulate(coupled, x0, found.t, u=u, rtol=1e-10, atol=1e-12)
        assert np.all(run.x >= found.lo - 1e-9) and np.all(run.x <= found.hi + 1e-9)
    assert not found.contains(np.full((16, 2), 5.0)).any()


def test_the_width_obeys_its_bound_and_approaches_it():
    lo, hi = np.array([-1.0, -1.0]), np.array([1.0, 1.0])
    box = enclose_function(coupled, [-2.0, -2.0], [2.0, 2.0])
    M = IntervalStructure(box.jacobian_lo[0], box.jacobian_hi[0]).majorants(math.inf)[0].matrix()
    right = perron(M)
    norm, c = dn.Norm("inf", right.vector), -right.upper
    assert c > 0
    push = norm.length(np.array([0.2, 0.0]))
    widths = []
    for steps in (50, 400):
        found = tube(coupled, (lo, hi), 3.0, u=([-0.1], [0.1]), steps=steps, save=31)
        decay = np.exp(-c * found.t)
        bound = decay * norm.length(hi - lo) + (1 - decay) / c * push
        widths.append(norm.length(found.width) - bound)
    assert widths[0].max() <= 0.1 and widths[1].max() <= 0.015  # what the steps of the proof cost falls with them
    assert widths[1][0] <= 1e-12


def test_a_rotation_widens_its_boxes_as_the_embedding_does():
    found = tube(rotation, ([-1.0, -1.0], 1.0), 1.0, steps=400, save=3)
    # the embedding is w' = -w + w in the half widths: they stay
    assert found.hi[-1] == pytest.approx([1.0, 1.0], abs=0.02) and np.all(found.hi[-1] >= 1.0)


def test_linear_fields_against_the_exact_embedding():
    @dn.vector_field(n=2)
    def linear(t, x, p, dx):
        dx[0] = -2.0 * x[0] + x[1]
        dx[1] = x[0] - 2.0 * x[1]

    coarse, fine = (tube(linear, ([-1.0, -1.0], 1.0), 2.0, steps=s, save=3).hi[-1] for s in (100, 200))
    exact = math.exp(-2.0)
    assert np.all(coarse > fine) and np.all(fine > exact)
    assert (coarse - exact) == pytest.approx(2 * (fine - exact), rel=0.1)  # first order


def test_lure_fields_and_their_own_inputs():
    net = dn.models.FiringRate(
        np.array([[0.0, -0.5], [0.5, 0.2]]), activation="tanh", input=dn.Sinusoid(1.0, period=2.0)
    )
    found = tube(net, ([-0.1, -0.1], 0.1), 2.0, save=9)
    run = dn.simulate(net, np.array([[0.0, 0.0], [0.1, -0.1]]), found.t, rtol=1e-10, atol=1e-12)
    assert found.contains(run.x).all() and found.status.ok


def test_a_tube_that_is_lost_says_so():
    @dn.vector_field(n=1)
    def explosion(t, x, p, dx):
        dx[0] = x[0] ** 2

    found = tube(explosion, ([0.9], [1.0]), 2.0, save=11)
    assert not found.status.ok and np.isfinite(found.hi[4]).all() and found.hi[-1] == math.inf
    assert found.hi[4] >= 1 / (1 - found.t[4]) and "nonfinite" in str(found)


def test_a_figure_and_words():
    import matplotlib.pyplot as plt

    found = tube(rotation, ([-1.0, -1.0], 1.0), 0.5, steps=10, save=3)
    assert len(found.plot().collections) == 2 and "width" in str(found)
    plt.close("all")


@pytest.mark.parametrize(
    "arguments",
    [
        {"model": "x"},
        {"box": ([0.0, 0.0], np.inf)},
        {"box": ([0.0], [1.0])},
        {"box": dn.Ball([0.0, 0.0], 1.0)},
        {"t": (1.0, 0.0)},
        {"t": np.nan},
        {"steps": 0},
        {"save": 1},
        {"u": ([1.0], [0.0])},
        {"u": 3.0},
    ],
)
def test_wrong_arguments(arguments):
    with pytest.raises(ArgumentError):
        tube(**{"model": coupled, "box": ([0.0, 0.0], 1.0), "t": 1.0, **arguments})


@pytest.mark.parametrize("steps", [1, 40])
@pytest.mark.parametrize("rate", [1.0, 10.0, -10.0])
def test_exponentials_of_either_sign_are_contained(steps, rate):
    @dn.vector_field(n=2, params={"c": rate})
    def growth(t, x, p, dx):
        dx[0] = p.c * x[0]
        dx[1] = p.c * x[1] - x[0]

    for sign in (-1.0, 1.0):
        found = tube(growth, ([sign, 0.0], [sign, 0.0]), 0.5, steps=steps, save=2)
        exact = np.array([sign, -sign * 0.5]) * np.exp(rate * 0.5)
        assert found.status.ok and found.contains(np.array([[sign, 0.0], exact])).all()
        if steps == 40 and rate == 1.0:
            assert found.width[-1].max() <= 0.1


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_slopes_count_only_for_faces_that_they_do_not_leave(sign):
    @dn.vector_field(n=1)
    def growth(t, x, p, dx):
        dx[0] = 10.0 * x[0]

    found = tube(growth, ([sign], [sign]), 0.5, steps=1, save=2)
    assert found.contains(np.array([[sign], [sign * math.exp(5.0)]])).all()
