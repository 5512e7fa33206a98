r"""Figure ``decay``: distances between simulated trajectories under the bound that the certificate promises.

If a field contracts with rate :math:`c` in a norm, every two of its trajectories satisfy

.. math:: \|x(t) - y(t)\| \le e^{-ct} \|x(0) - y(0)\| \qquad (t \ge 0),

so on a logarithmic axis all relative distances lie below one straight line of slope :math:`-c`. An integrator with
tolerances ``rtol`` and ``atol`` keeps that law only down to its own errors; the figure marks that floor instead of
letting it look like a violation.

References
----------
F. Bullo, *Contraction Theory for Dynamical Systems*, Kindle Direct Publishing, 2024, chapter 3.
"""

import math

import numpy as np

from ..errors import ArgumentError
from . import canvas

__all__ = ["decay"]

_PAIRS, _BOUND = "#0072B2", "#D55E00"


def decay(
    *,
    trajectory,
    certificate=None,
    model=None,
    pairs=64,
    relative=True,
    norm=None,
    floor=None,
    time_unit=None,
    title=None,
    width=3.4,
    height=2.4,
):
    """Draw the distances between simulated pairs, and the certified bound above them.

    Parameters
    ----------
    trajectory : Trajectory
        A batch ``x (batch, k, n)``; consecutive trajectories are the pairs.
    certificate : Certificate, optional
        Its norm measures the distances and its rate gives the bound. Without it only the distances are drawn.
    model : optional
        Not used; every figure accepts it.
    pairs : int
        At most this many pairs are drawn, evenly spaced; the label counts all of them.
    relative : bool
        Divide each distance by its initial value (one bound for all pairs). Otherwise the bound starts at the largest
        initial distance.
    norm : Norm, optional
        Measures the distances when there is no certificate; the Euclidean norm without both.
    floor : float, optional
        Absolute distance below which the integrator's errors dominate; taken from the trajectory's tolerances
        without it.
    time_unit : str, optional
        Unit for the time axis; "model units" without it.
    title : str, optional
        One line above the axes.
    width, height : float
        Size in inches.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ArgumentError
        `trajectory` is not a batch of at least two, no two initial states differ, or an option is out of range.
    """
    from matplotlib.collections import LineCollection

    x = np.asarray(trajectory.x)
    if x.ndim != 3 or x.shape[0] < 2:
        raise ArgumentError("trajectory", trajectory, "a batch of at least two trajectories (simulate with a batch)")
    if x.shape[1] < 2:
        raise ArgumentError("trajectory", trajectory, "a trajectory saved at two or more times")
    if not isinstance(pairs, int) or pairs < 1:
        raise ArgumentError("pairs", pairs, "a whole number of at least 1")
    if floor is not None and not (math.isfinite(floor) and floor > 0.0):
        raise ArgumentError("floor", floor, "a positive distance")
    if getattr(certificate, "kind", None) in ("semi", "k", "alpha"):
        certificate = None  # what it measures is not the distance of two states
    if certificate is not None:
        norm = certificate.norm
    t, distance = np.asarray(trajectory.t, dtype=float), np.asarray(trajectory.distance(norm), dtype=float)
    apart = distance[:, 0] > 0.0  # equal initial states have no logarithm
    if not apart.any():
        raise ArgumentError("trajectory", trajectory, "at least two different initial states")
    distance = distance[apart]
    start = distance[:, 0].copy()
    noise = _floor(trajectory, norm) if floor is None else float(floor)
    if relative:
        distance, noise = distance / start[:, None], noise / start.min()
    top = 1.0 if relative else float(start.max())
    rate = _rate(certificate)

    with canvas.style():
        figure, axes = canvas.new(width, height, title)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(canvas.power_of_ten)
        end = _last_time(t, distance, noise)
        visible = distance[:, t <= end]
        positive = visible[np.isfinite(visible) & (visible > 0.0)]
        touches = positive.min() < noise
        low = noise / 6.0 if touches else float(positive.min()) / 2.0
        high = max(
            top, float(positive.max()), top * math.exp(min(max(0.0, -rate * (end - t[0])), 60.0)) if rate else top
        )
        axes.set_xlim(t[0], end)
        axes.set_ylim(low, high * (high / low) ** 0.06)

        count = len(distance)
        drawn = np.unique(np.linspace(0, count - 1, min(pairs, count)).round().astype(int))
        segments = [np.column_stack([t, np.where(row > 0.0, row, np.nan)]) for row in distance[drawn]]
        alpha = float(np.clip(6.0 / len(drawn), 0.25, 0.9))
        axes.add_collection(LineCollection(segments, colors=_PAIRS, linewidths=0.7, alpha=alpha, zorder=2))
        if touches:
            axes.axhspan(low, noise, color="#FFFFFF", alpha=0.75, linewidth=0.0, zorder=3)
            axes.axhspan(low, noise, color="#EDEDED", alpha=0.6, linewidth=0.0, zorder=3)
            axes.text(
                0.985, (low * noise) ** 0.5, "below integration tolerance", transform=axes.get_yaxis_transform(),
                ha="right", va="center", fontsize=6.5, color="#666666", zorder=4,
            )  # fmt: skip
        if rate is not None:
            bound = top * np.exp(-rate * (t - t[0]))
            axes.plot(t, bound, color=_BOUND, linewidth=2.2, zorder=5)
        axes.set_xlabel(canvas.time_label(time_unit))
        if rate is not None and relative:
            axes.set_ylabel("distance / initial distance")  # the label of the bound names the norm
        else:
            axes.set_ylabel(f"{'relative ' if relative else ''}distance, {_norm_name(norm)}")
        noun = "pair" if count == 1 else "pairs"
        axes.text(
            0.03, 0.05 if not touches else 0.05 + _fraction(noise, axes), f"{count} simulated {noun}",
            transform=axes.transAxes, color=_PAIRS, fontsize=7.5, zorder=4,
        )  # fmt: skip
        if rate is not None:
            _label_bound(figure, axes, t[0], rate, top, _claim(certificate, rate, norm))
        elif certificate is not None:
            axes.text(0.98, 0.97, f"no certified rate ({certificate.status})", transform=axes.transAxes, ha="right",
                      va="top", color=_BOUND, fontsize=7.5)  # fmt: skip
        return figure


def _rate(certificate):
    """The rate that the bound is drawn with, or None where the certificate promises nothing."""
    if certificate is None or str(certificate.status) in ("refuted", "unknown"):
        return None
    rate = getattr(certificate, "rate", None)
    return None if rate is None or not math.isfinite(rate) else float(rate)


def _floor(trajectory, norm):
    """The length of a local error that the integrator is allowed to make: |atol + rtol max_t |x_i|| over the nodes."""
    stats = getattr(trajectory, "stats", None) or {}
    rtol, atol = float(stats.get("rtol", 1e-6)), float(stats.get("atol", 1e-9))
    x = np.asarray(trajectory.x)
    largest = np.max(np.abs(x), axis=(0, 1), where=np.isfinite(x), initial=0.0)
    error = atol + rtol * largest
    return float(np.linalg.norm(error) if norm is None else norm.length(error))


def _last_time(t, distance, noise):
    """The end of the time axis: a little after the last pair reached the floor, when that leaves much of it empty."""
    above = np.where(np.isnan(distance), 0.0, distance) > noise
    last = t[np.flatnonzero(above.any(axis=0))[-1]] if above.any() else t[-1]
    end = t[0] + 1.25 * (last - t[0])
    return float(end if end < t[0] + 0.7 * (t[-1] - t[0]) else t[-1])


def _fraction(y, axes):
    low, high = axes.get_ylim()
    return math.log(y / low) / math.log(high / low)


def _norm_name(norm):
    if norm is None:
        return r"$\ell_2$ norm"
    if not hasattr(norm, "p"):
        return "composite norm"
    p = r"\infty" if math.isinf(norm.p) else f"{norm.p:g}"
    return rf"{'' if norm.weights is None else 'weighted '}$\ell_{{{p}}}$ norm"


def _claim(certificate, rate, norm):
    word = {"certified": "certified", "estimated": "estimated, not certified", "sampled": "sampled, not certified"}
    text = word.get(str(certificate.status), str(certificate.status))
    shown = _down(rate)
    law = "1 (no growth)" if shown == 0.0 else rf"$e^{{{-shown:.3g}\,t}}$"
    return f"{text}: {law}, {_norm_name(norm)}"


def _down(rate):
    """The rate in three digits, rounded down: a label must not promise more than the certificate.

    A millionth of the last digit is forgiven, so that 0.9 less its last rounding still reads 0.9.
    """
    if rate == 0.0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(rate))) - 2)
    return math.floor(rate / unit + 1e-6) * unit


def _label_bound(figure, axes, t0, rate, top, text):
    """Write along the bound, just above it; level and beside it where the line is too short or too steep for that."""
    canvas.arrange(figure)
    left, right = axes.get_xlim()
    low, high = axes.get_ylim()
    if rate > 0.0:
        right = min(right, t0 + math.log(top / low) / rate)

    def point(time):
        return axes.transData.transform((time, top * math.exp(-rate * (time - t0))))

    a, b = point(left), point(right)
    angle = math.degrees(math.atan2(b[1] - a[1], b[0] - a[0]))
    label = axes.text(0, 0, text, color=_BOUND, fontsize=8, zorder=6, rotation_mode="anchor")
    width = label.get_window_extent().width
    gap = figure.dpi / 72.0 * 4.0
    invert = axes.transData.inverted().transform
    if abs(angle) < 55.0 and width < 0.95 * math.hypot(*(b - a)):
        middle = 0.5 * (a + b)
        normal = np.array([-math.sin(math.radians(angle)), math.cos(math.radians(angle))])
        label.set(position=invert(middle + gap * normal), rotation=angle, ha="center", va="bottom")
        return
    box = axes.get_window_extent()
    y = box.y1 - 0.12 * box.height
    share = (y - a[1]) / (b[1] - a[1]) if b[1] != a[1] else 0.0
    x = a[0] + share * (b[0] - a[0]) + 2.0 * gap
    label.set(position=invert((min(x, box.x1 - width), y)), ha="left", va="center")
