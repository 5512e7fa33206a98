"""Figures: drawn from anything with the attributes of a Trajectory and a Certificate, checked through their artists."""

import itertools
import sys
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
from figures.studies import result
from hypothesis import given, settings
from hypothesis import strategies as st

from dynet.errors import ArgumentError
from dynet.figures import KINDS, STUDIES, canvas, draw, options, save
from dynet.figures.decay import _down
from dynet.figures.trajectories import representatives


class EuclideanNorm:
    p = 2
    weights = None

    def length(self, x):
        return np.linalg.norm(x, axis=-1)


def batch(rates=(1.0, 1.5, 2.0), end=4.0, k=41, n=3, **stats):
    """Trajectories exp(-rate t) x0, whose distances are known exactly when all rates are equal."""
    t = np.linspace(0.0, end, k)
    start = np.random.default_rng(3).normal(size=(len(rates), n))
    x = np.exp(-np.outer(rates, t))[:, :, None] * start[:, None, :]

    def distance(norm=None, to=None):
        return (norm or EuclideanNorm()).length(np.diff(x, axis=0))

    return SimpleNamespace(t=t, x=x, labels=("a", "b", "c", "d")[:n], distance=distance, stats=stats)


def claim(rate=0.5, status="certified"):
    return SimpleNamespace(rate=rate, norm=EuclideanNorm(), status=status)


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_decay_draws_every_pair_below_the_bound():
    figure = draw("decay", trajectory=batch(), certificate=claim())
    axes = figure.axes[0]
    assert axes.get_yscale() == "log"
    (bound,) = axes.get_lines()
    t, height = bound.get_data()
    np.testing.assert_allclose(height, np.exp(-0.5 * t), rtol=1e-12)
    (pairs,) = axes.collections
    assert len(pairs.get_segments()) == 2
    for segment in pairs.get_segments():
        np.testing.assert_array_less(segment[1:, 1], np.exp(-0.5 * segment[1:, 0]))
        assert segment[0, 1] == 1.0
    assert any("certified" in text and "0.5" in text for text in texts(figure))
    assert "2 simulated pairs" in texts(figure)


def test_decay_in_absolute_distances_starts_the_bound_at_the_largest():
    trajectory = batch()
    figure = draw("decay", trajectory=trajectory, certificate=claim(), relative=False)
    (bound,) = figure.axes[0].get_lines()
    assert bound.get_ydata()[0] == pytest.approx(trajectory.distance()[:, 0].max(), rel=1e-14)


@pytest.mark.parametrize(
    ("status", "lines", "words"),
    [
        ("certified", 1, "certified:"),
        ("estimated", 1, "not certified"),
        ("sampled", 1, "not certified"),
        ("refuted", 0, "no certified rate"),
        ("unknown", 0, "no certified rate"),
    ],
)
def test_decay_never_calls_an_uncertified_rate_certified(status, lines, words):
    figure = draw("decay", trajectory=batch(), certificate=claim(status=status))
    assert len(figure.axes[0].get_lines()) == lines
    assert any(words in text for text in texts(figure))


def test_decay_without_certificate_has_no_bound():
    figure = draw("decay", trajectory=batch())
    assert not figure.axes[0].get_lines()


def test_decay_marks_the_integration_tolerance():
    fast = batch(rates=(4.0, 4.0, 4.0), end=40.0, k=401, rtol=1e-4, atol=1e-7)
    figure = draw("decay", trajectory=fast, certificate=claim(3.5))
    assert "below integration tolerance" in texts(figure)
    axes = figure.axes[0]
    assert axes.get_ylim()[0] > 1e-7  # not down to exp(-160)
    assert axes.get_xlim()[1] < 10.0  # the empty part of the time axis is left out
    assert "below integration tolerance" not in texts(draw("decay", trajectory=batch(rtol=1e-6), certificate=claim()))


def test_decay_survives_failed_and_equal_trajectories():
    trajectory = batch(rates=(1.0, 1.0, 1.0, 1.0))
    trajectory.x[1, 20:] = np.nan  # blew up
    trajectory.x[3] = trajectory.x[2]  # the same initial state: no distance to draw
    figure = draw("decay", trajectory=trajectory, certificate=claim())
    (pairs,) = figure.axes[0].collections
    assert len(pairs.get_segments()) == 2
    assert np.isfinite(figure.axes[0].get_ylim()).all()


@pytest.mark.parametrize("rate", [-30.0, -0.2, 0.0, 1e-9, 3.0, 400.0])
def test_decay_at_extreme_rates(rate, tmp_path):
    figure = draw("decay", trajectory=batch(), certificate=claim(rate))
    save(figure, tmp_path / "extreme")
    box = figure.axes[0].get_window_extent()
    (label,) = [t for t in figure.axes[0].texts if "certified" in t.get_text()]
    extent = label.get_window_extent()
    assert extent.x0 > box.x0 - 2 and extent.x1 < box.x1 + 20  # the label of the bound stays on the page
    assert extent.y1 < figure.get_figheight() * figure.dpi + 2


@settings(max_examples=50, deadline=None)
@given(st.floats(1e-8, 1e8), st.sampled_from([1.0, -1.0]))
def test_the_label_never_promises_more_than_the_rate(size, sign):
    shown = float(f"{_down(sign * size):.3g}")
    assert shown <= sign * size + 1e-8 * size
    assert abs(shown - sign * size) <= 0.0101 * size


def test_trajectories_label_the_ends_of_lines():
    figure = draw("trajectories", trajectory=batch(n=4), time_unit="s", state_unit="mV", title="Title")
    axes = figure.axes[0]
    assert texts(figure) == ["a", "b", "c", "d"]
    assert axes.get_xlabel() == "time $t$ (s)" and axes.get_ylabel() == "state $x_i(t)$ (mV)"
    assert len(axes.get_lines()) == 4 * 3
    assert axes.get_title(loc="left") == "Title"


def test_trajectories_of_a_large_network_choose_representatives():
    t = np.linspace(0.0, 1.0, 30)
    x = np.sin(np.outer(t, np.arange(1.0, 301.0)))
    figure = draw("trajectories", trajectory=SimpleNamespace(t=t, x=x, labels=tuple(map(str, range(300)))))
    axes = figure.axes[0]
    assert len(axes.get_lines()) == 4
    assert len(axes.collections[0].get_segments()) == 200
    assert sum(text.startswith("node ") for text in texts(figure)) == 4 and "296 others" in texts(figure)


def test_trajectories_draw_the_nodes_asked_for():
    figure = draw("trajectories", trajectory=batch(n=4), nodes=["d", 0], initial_states=2)
    assert texts(figure) == ["d", "a", "2 others"]
    assert len(figure.axes[0].get_lines()) == 2 * 2


def test_representatives_agree_with_the_obvious_greedy_choice():
    courses = np.random.default_rng(0).normal(size=(12, 9))
    chosen = [int(np.argmax(courses.max(axis=0) - courses.min(axis=0)))]
    while len(chosen) < 5:
        rest = [i for i in range(9) if i not in chosen]
        chosen.append(max(rest, key=lambda i: min(np.abs(courses[:, i] - courses[:, j]).max() for j in chosen)))
    assert representatives(courses, 5) == chosen


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=5), st.floats(0.01, 0.3))
def test_spread_keeps_gap_and_order(wanted, gap):
    out = canvas.spread(wanted, gap, 0.0, 1.0)
    gap = min(gap, 1.0 / max(len(wanted) - 1, 1))
    assert out.min() >= -1e-12 and out.max() <= 1.0 + 1e-12
    order = np.argsort(wanted, kind="stable")
    assert (np.diff(out[order]) >= gap - 1e-12).all()


def test_spread_is_the_least_squares_choice():
    wanted, gap = [0.30, 0.34, 0.60], 0.1
    grid = np.arange(0.2, 0.8, 0.01)
    best = min(
        (p for p in itertools.product(grid, repeat=3) if p[1] - p[0] >= gap - 1e-9 and p[2] - p[1] >= gap - 1e-9),
        key=lambda p: sum((a - b) ** 2 for a, b in zip(p, wanted, strict=True)),
    )
    np.testing.assert_allclose(canvas.spread(wanted, gap, 0.0, 1.0), best, atol=0.01)


def subjects(kind):
    return {"study": result()} if kind in STUDIES else {"trajectory": batch(), "certificate": claim()}


@pytest.mark.parametrize("kind", KINDS)
def test_saving_is_deterministic_and_leaves_only_the_two_files(kind, tmp_path):
    for name in ("one", "two"):
        paths = save(draw(kind, **subjects(kind)), tmp_path / name / "figure")
        assert [p.name for p in paths] == ["figure.png", "figure.svg"]
        assert sorted(p.name for p in (tmp_path / name).iterdir()) == ["figure.png", "figure.svg"]
    for suffix in ("png", "svg"):
        assert (tmp_path / f"one/figure.{suffix}").read_bytes() == (tmp_path / f"two/figure.{suffix}").read_bytes()
    assert b"<dc:date>" not in (tmp_path / "one/figure.svg").read_bytes()


def test_a_failed_save_leaves_nothing_behind(tmp_path):
    figure = draw("decay", trajectory=batch())
    figure.axes[0].text(0.5, 0.5, r"$\nosuchsymbol$")
    with pytest.raises(ValueError, match="nosuchsymbol"):
        save(figure, tmp_path / "broken")
    assert list(tmp_path.iterdir()) == []


def test_global_settings_stay_as_they_are(tmp_path):
    before = dict(matplotlib.rcParams)
    loaded = "matplotlib.pyplot" in sys.modules
    save(draw("decay", trajectory=batch(), certificate=claim()), tmp_path / "x")
    assert dict(matplotlib.rcParams) == before
    assert ("matplotlib.pyplot" in sys.modules) == loaded


def test_the_users_settings_do_not_reach_the_figure(tmp_path):
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black", "text.usetex": False}):
        one = save(draw("decay", trajectory=batch(), certificate=claim()), tmp_path / "one")
    two = save(draw("decay", trajectory=batch(), certificate=claim()), tmp_path / "two")
    assert one[0].read_bytes() == two[0].read_bytes()


def test_width_is_one_column_by_default():
    for kind in KINDS:
        assert draw(kind, **subjects(kind)).get_figwidth() == 3.4
        assert options(kind)["width"] == 3.4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"kind": "decya"}, "did you mean 'decay'"),
        ({"kind": "decay"}, "trajectory"),
        ({"kind": "decay", "trajectory": batch(), "pair": 3}, "did you mean 'pairs'"),
        ({"kind": "decay", "trajectory": batch(), "pairs": 0}, "at least 1"),
        ({"kind": "decay", "trajectory": batch(), "floor": -1.0}, "positive distance"),
        ({"kind": "decay", "trajectory": SimpleNamespace(t=np.arange(3.0), x=np.zeros((3, 2)))}, "batch"),
        ({"kind": "decay", "trajectory": batch(k=1)}, "two or more times"),
        ({"kind": "trajectories", "trajectory": batch(k=1)}, "two or more times"),
        ({"kind": "trajectories", "trajectory": batch(), "nodes": ["e"]}, "nodes='e'"),
        ({"kind": "trajectories", "trajectory": batch(), "nodes": []}, "at least one node"),
        ({"kind": "trajectories", "trajectory": batch(), "nodes": 0}, "at least 1"),
        ({"kind": "trajectories", "trajectory": batch(), "initial_states": 0}, "at least 1"),
        ({"kind": "trajectories", "trajectory": batch(), "time_units": "s"}, "did you mean 'time_unit'"),
    ],
)
def test_wrong_input_names_the_argument(arguments, words):
    with pytest.raises(ArgumentError, match=words):
        draw(**arguments)


def test_equal_initial_states_are_refused():
    trajectory = batch()
    trajectory.x[:] = trajectory.x[0]
    with pytest.raises(ArgumentError, match="two different initial states"):
        draw("decay", trajectory=trajectory)


def _ring(n=12, dim=2, k=30):
    t = np.linspace(0.0, 5.0, k)
    nodes = np.sin(t[:, None] + np.arange(n) * 2 * np.pi / n)
    x = np.stack([nodes, 0.5 + 0 * nodes][:dim], axis=-1).reshape(k, -1)
    labels = [f"{i}.{word}" for i in range(n) for word in ("angle", "speed")[:dim]]
    return SimpleNamespace(t=t, x=x, labels=labels), SimpleNamespace(dim=dim)


def test_coherence_shows_the_order_parameter():
    trajectory, model = _ring()
    figure = draw("coherence", trajectory=trajectory, model=model)
    below, above = figure.axes
    right = np.abs(np.exp(1j * trajectory.x[:, ::2]).mean(axis=1))
    assert np.allclose(above.lines[0].get_ydata(), right) and len(below.lines) == 12
    assert "rad" in below.get_ylabel()
    with pytest.raises(ArgumentError, match="component"):
        draw("coherence", trajectory=trajectory, model=model, component=2)


def test_pattern_shows_one_component_of_all_nodes():
    trajectory, model = _ring()
    figure = draw("pattern", trajectory=trajectory, model=model)
    mesh = figure.axes[0].collections[0]
    assert np.array_equal(mesh.get_array().reshape(12, 30), trajectory.x[:, ::2].T)
    low, high = mesh.get_clim()
    assert low == -high, "both signs: white is zero"
    with pytest.raises(ArgumentError, match="which"):
        draw("pattern", trajectory=trajectory, model=model, which=3)


def test_components_are_means_over_the_nodes():
    trajectory, model = _ring()
    figure = draw("trajectories", trajectory=trajectory, model=model, components=True)
    lines = figure.axes[0].lines
    thick = [line for line in lines if line.get_linewidth() > 1]
    assert len(thick) == 2 and np.allclose(thick[1].get_ydata(), 0.5)
    assert np.allclose(thick[0].get_ydata(), trajectory.x[:, ::2].mean(axis=1))
    assert [text.get_text() for text in figure.axes[0].texts] == ["angle", "speed"]
