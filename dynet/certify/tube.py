r"""Verified tubes: boxes that contain every solution from a box of initial states, for every input within bounds.

The embedding of :math:`\dot x = F(t, x, u)` moves the two corners of a box,

.. math:: \dot{\underline x}_i \le \min\{F_i : x_i = \underline x_i,\ x \in [\underline x, \overline x]\}, \qquad
          \dot{\overline x}_i \ge \max\{F_i : x_i = \overline x_i,\ x \in [\underline x, \overline x]\},

and by Müller's theorem the box then contains every solution that starts in it. Here the corners move along straight lines
in each step; the slope of each is a bound on F over everything that its face touches during the step, in outward rounded
arithmetic. Where the sign of :math:`\partial F_i/\partial x_j` is known on the face, it shrinks to the corner that decides.
The guess of the face that this needs is made first and confirmed afterwards: a slope counts only for a face that the
slopes themselves do not leave.

With a contracting embedding the width stays bounded: for the Metzler matrix M of bounds on the Jacobian and
:math:`\mu_{\infty,[\eta]^{-1}}(M) \le -c`,

.. math:: \|\overline x - \underline x\| \le e^{-ct}\|\overline x_0 - \underline x_0\|
          + (1 - e^{-ct})/c\ \sup\||\partial F/\partial u|(\overline u - \underline u)\|.

References
----------
Müller, Über das Fundamentaltheorem in der Theorie der gewöhnlichen Differentialgleichungen, Math. Z. 26, 1927.
Coogan, Mixed monotonicity for reachability and safety in dynamical systems, IEEE CDC, 2020.
"""

from __future__ import annotations

import html
import math
from dataclasses import dataclass

import numpy as np

from ..errors import ArgumentError, Status
from ..fields.base import VectorField
from ..fields.enclosure import enclose, input_bounds
from ..fields.function import FunctionField
from ..linalg.rigorous import add_down, add_up, multiply_down, multiply_up
from .region import Box, as_region

__all__ = ["Tube", "tube"]

_KEPT = 60  # uses of the signs of a Jacobian before they are found anew
_TRIES = 8  # guesses of the faces of one step before it is halved


@dataclass(frozen=True, eq=False)
class Tube:
    """The result of :func:`tube`.

    Attributes
    ----------
    t : ndarray, shape (k,)
    lo, hi : ndarray, shape (k, n)
        Corners of a box that contains every solution at that time; infinite after the tube was lost.
    status : Status
        ``OK``, or what ended the proof.
    labels : tuple of str
    """

    t: np.ndarray
    lo: np.ndarray
    hi: np.ndarray
    status: Status
    labels: tuple

    @property
    def width(self):
        """``hi - lo``, rounded up, shape (k, n)."""
        with np.errstate(invalid="ignore"):
            return np.where(np.isfinite(self.hi) & np.isfinite(self.lo), add_up(self.hi, -self.lo), math.inf)

    def contains(self, x):
        """Whether states of shape (..., k, n) lie in the boxes of their times, shape (..., k)."""
        x = np.asarray(x, dtype=float)
        return np.all((self.lo <= x) & (x <= self.hi), axis=-1)

    def plot(self, ax=None, states=None):
        """Draw the boxes as bands over time; returns the matplotlib axes."""
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.figure().add_subplot()
        for number, i in enumerate(range(min(6, self.lo.shape[1])) if states is None else states):
            ax.fill_between(
                self.t, self.lo[:, i], self.hi[:, i], color=f"C{number % 10}", alpha=0.4, label=self.labels[i]
            )
        ax.set_xlabel("time")
        ax.set_ylabel("state")
        ax.legend()
        return ax

    def __str__(self):
        good = int(np.isfinite(self.hi).all(axis=1).sum())
        width = self.width[max(good - 1, 0)].max()
        return (
            f"Tube of {self.lo.shape[1]} states over {self.t[0]:g} to {self.t[max(good - 1, 0)]:g}: "
            f"{self.status.word}, width {width:.4g} at the end"
        )

    def _repr_html_(self):
        return f"<pre>{html.escape(str(self))}</pre>"


def tube(model, box, t, *, u=None, steps=200, save=101):
    """Boxes that contain every solution that starts in a box, for the times of a grid.

    Parameters
    ----------
    model : VectorField
        A function or a Lur'e field.
    box : Box or (lo, hi)
        Initial states.
    t : float or (t0, t1)
        The end (from 0), or both ends.
    u : pair of array_like, shape (inputs,), optional
        Bounds on the input, which may vary between them in any way; those of the model's own input when None.
    steps : int
        Steps of the proof; each widens the tube a little, by an amount that falls with their number.
    save : int
        How many times, evenly spaced, are kept.

    Returns
    -------
    Tube

    Raises
    ------
    ArgumentError
        For a box that is not finite or does not fit, times that do not increase.
    MissingExtraError
        For elementary functions without the extra ``exact``.

    Examples
    --------
    >>> import dynet as dn
    >>> @dn.vector_field(n=2)
    ... def coupled(t, x, p, dx):
    ...     dx[0] = -2.0 * x[0] + x[1]
    ...     dx[1] = x[0] - 2.0 * x[1]
    >>> found = tube(coupled, ([-1.0, -1.0], 1.0), 2.0)
    >>> run = dn.simulate(coupled, [[1.0, 1.0], [-1.0, 1.0]], found.t)
    >>> bool(found.contains(run.x).all()), bool(found.width[-1].max() < 0.4)
    (True, True)
    """
    if not isinstance(model, VectorField):
        raise ArgumentError("model", model, "a model: dn.models.*, or a function under @dn.vector_field")
    box = as_region(box)
    if not isinstance(box, Box) or not (np.isfinite(box.lo).all() and np.isfinite(box.hi).all()):
        raise ArgumentError("box", box, "a finite box of initial states: a Box, or a pair (lo, hi)")
    box.fits(model.n)
    ends = np.atleast_1d(np.asarray(t, dtype=float))
    ends = np.array([0.0, ends[0]]) if ends.size == 1 else ends
    if ends.shape != (2,) or not np.isfinite(ends).all() or not ends[0] < ends[1]:
        raise ArgumentError("t", t, "the end, or (t0, t1) with t0 < t1")
    for name, value, least in (("steps", steps, 1), ("save", save, 2)):
        if not isinstance(value, (int, np.integer)) or value < least:
            raise ArgumentError(name, value, f"an integer of at least {least}")
    inputs = input_bounds(model) if u is None else _check_inputs(model, u)
    times = np.linspace(*ends, int(save))
    lo, hi = np.full((2, len(times), model.n), math.inf)
    lo[:] = -math.inf
    lo[0], hi[0] = box.lo, box.hi
    low, high = box.lo.copy(), box.hi.copy()
    h0 = (ends[1] - ends[0]) / steps
    status = Status.OK
    signs = _Signs(model, (ends[0], ends[1]), inputs)
    for k in range(1, len(times)):
        now = times[k - 1]
        pieces = max(1, math.ceil((times[k] - now) / h0 - 1e-9))
        stops = list(np.linspace(now, times[k], pieces + 1)[1:][::-1])
        while stops:
            moved = _step(model, now, stops[-1], low, high, inputs, signs)
            if moved is not None:
                low, high = moved
                now = stops.pop()
            elif stops[-1] - now < 1e-6 * h0 or len(stops) > pieces + 40:
                status = Status.NONFINITE
                break
            else:
                stops.append(now + (stops[-1] - now) / 2)
        if not status.ok:
            break
        lo[k], hi[k] = low, high
    return Tube(times, lo, hi, status, model.labels)


def _step(model, t, stop, low, high, inputs, signs):
    """The corners at the end of a step, or None where no slopes were confirmed."""
    h = float(add_up(stop, -t))
    slow, fast = _slopes(model, (t, stop), low, high, low, high, inputs, signs)
    shorter = max(0.0, float(add_down(stop, -t)))
    for attempt in range(_TRIES):
        if not (np.isfinite(slow).all() and np.isfinite(fast).all()):
            return None
        # the slopes may be anything within this slack, for which the faces below have room
        slack = 0.05 * (1 + attempt) * (np.abs(slow) + np.abs(fast)) + 1e-12 * (1 + np.abs(low) + np.abs(high)) / h
        bottom = _reach(low, slow - slack, slow + slack, h)
        top = _reach(high, fast - slack, fast + slack, h)
        least, most = _slopes(model, (t, stop), bottom[0], top[1], bottom[1], top[0], inputs, signs)
        if np.all(least >= slow - slack) and np.all(most <= fast + slack):
            slow, fast = np.minimum(least, slow + slack), np.maximum(most, fast - slack)
            low = add_down(low, np.where(slow < 0, multiply_down(slow, h), multiply_down(slow, shorter)))
            high = add_up(high, np.where(fast > 0, multiply_up(fast, h), multiply_up(fast, shorter)))
            return (low, high) if np.all(low <= high) else None
        slow, fast = least, most
    return None


def _reach(start, least, most, h):
    """Where a face may be during a step, for slopes between two bounds."""
    return (
        add_down(start, np.minimum(multiply_down(least, h), 0.0)),
        add_up(start, np.maximum(multiply_up(most, h), 0.0)),
    )


def _slopes(model, times, low, high, low_end, high_end, inputs, signs):
    """Bounds on F_i over the lower faces (from below) and the upper faces (from above) of boxes during a step.

    During the step face i is at ``low .. low_end`` below and at ``high_end .. high`` above; the other states are anywhere
    in ``low .. high``.
    """
    n = model.n
    lo, hi = np.tile(low, (2 * n, 1)), np.tile(high, (2 * n, 1))
    face = np.arange(n)
    hi[face, face], lo[n + face, face] = low_end, high_end
    upper = (np.arange(2 * n) >= n)[:, None]
    known = signs.on(low, high)
    if known is not None:
        rising, falling = (np.tile(known[k], (2, 1)) for k in (0, 1))
        to_low, to_high = np.where(upper, falling, rising), np.where(upper, rising, falling)
        lo, hi = np.where(to_high, hi, lo), np.where(to_low, lo, hi)
    found = enclose(model, lo, hi, t=times, u=inputs)
    return np.where(found.failed[:n], -math.inf, found.lo[face, face]), np.where(
        found.failed[n:], math.inf, found.hi[n + face, face]
    )


class _Signs:
    """Which entries of the Jacobian off the diagonal have one sign, on boxes: found on a larger box and used for a while."""

    def __init__(self, model, times, inputs):
        self.model, self.times, self.inputs = model, times, inputs
        self.low, self.high, self.found, self.age = None, None, None, 0

    def on(self, low, high):
        """Where entries are nonnegative, and where nonpositive (and not both), shape (n, n) each; None if not known."""
        if not isinstance(self.model, FunctionField):
            return None
        covered = self.low is not None and np.all(self.low <= low) and np.all(high <= self.high)
        if not covered or self.age >= _KEPT:
            margin = 0.1 * (high - low) + 1e-9
            self.low, self.high, self.age = low - margin, high + margin, 0
            box = enclose(self.model, self.low, self.high, t=self.times, u=self.inputs, jacobian=True)
            least, most = box.jacobian_lo[0], box.jacobian_hi[0]
            off = ~np.eye(len(low), dtype=bool)  # along its own state the face moves: both ends stay
            rising = (least >= 0) & off
            self.found = None if box.failed[0] else (rising, (most <= 0) & off & ~rising)
        self.age += 1
        return self.found


def _check_inputs(model, u):
    try:
        lo, hi = (np.broadcast_to(np.asarray(end, dtype=float), (model.inputs,)) for end in u)
    except (TypeError, ValueError):
        raise ArgumentError("u", u, f"a pair of bounds on {model.inputs} inputs") from None
    if not np.all(lo <= hi):
        raise ArgumentError("u", u, "a lower bound that is nowhere above the upper bound")
    return lo, hi
