r"""Bounds on the error of a computed trajectory, from a certificate.

Let y be any curve with defect :math:`\delta = \dot y - F(t, y)` and let the field's one-sided Lipschitz constant be at
most :math:`-c`. The true solution x then obeys

.. math:: \|x(t) - y(t)\| \le e^{-ct}\|x_0 - y_0\| + \int_0^t e^{-c(t-s)}\|\delta(s)\|\,ds,

so that errors do not pile up where c > 0. *Proven*: y is made of Taylor polynomials of degree 8 with float coefficients; the
defect of a piece is bounded by the difference of its coefficients from those of F along it, and by Taylor's remainder,
all in ball arithmetic. The error of the states that the solver returned is then at most their distance from y plus the
bound above. *Estimated*, where that is not possible (a field or an input without a series, a kink in the way, too much
work): y is the cubic Hermite interpolant of the returned states, and its defect is sampled.

References
----------
Davydov, Jafarpour, Bullo, Non-Euclidean contraction theory for robust nonlinear stability, arXiv:2103.12263.
Moore, Kearfott, Cloud, Introduction to Interval Analysis, SIAM, 2009, chapter 9.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..errors import MissingExtraError
from ..fields.enclosure import enclose
from ..fields.taylor import input_series, series_rhs, terms
from ..linalg.balls import load
from ..linalg.intervals import Refused
from ..linalg.series import ORDER, Series, upper, working_precision
from .invariance import length_up
from .region import Ball, WholeSpace

__all__ = ["ErrorBound", "estimated", "proven"]

_WORK = 600_000  # operations on series, times steps, that one trajectory may take


class ErrorBound(NamedTuple):
    """Bounds on the distance of the returned states from the true ones.

    Attributes
    ----------
    radius : ndarray, shape (k,)
        In the certificate's norm.
    certified : bool
    why : str
        Why it is not certified; empty where it is.
    """

    radius: np.ndarray
    certified: bool
    why: str


def proven(model, norm, rate, region, t0, x0, times, x, signal=None, *, tol=1e-9, work=_WORK):
    """A proven bound for one trajectory, or an ErrorBound of infinities that says why there is none.

    Parameters
    ----------
    model : VectorField
    norm : Norm
    rate : float
        The one-sided Lipschitz constant is at most ``-rate`` on the region.
    region : Region
        Convex; the tube must lie in it.
    t0, x0 : float, ndarray (n,)
        The exact initial condition.
    times, x : ndarray, shapes (k,) and (k, n)
    signal : Signal, optional
    tol : float
        Wanted defect, relative to one plus the size of the field: steps are as long as it allows.
    work : int
        Operations, times steps, that may be spent.

    Returns
    -------
    ErrorBound
    """
    nothing = ErrorBound(np.full(len(times), math.inf), False, "")
    try:
        rhs = series_rhs(model, signal)
        if rhs is None:
            return nothing._replace(why="the field or its input has no power series")
        with working_precision():
            return _march(model, rhs, signal, norm, rate, region, t0, x0, times, x, max(tol, 1e-13), work)
    except MissingExtraError as error:
        return nothing._replace(why=str(error))
    except (Refused, TypeError, ArithmeticError, AttributeError, ValueError) as error:
        return nothing._replace(why=f"the field has no power series along the trajectory: {error}")


def _march(model, rhs, signal, norm, rate, region, t0, x0, times, x, tol, work):
    n = model.n
    extents = Ball(np.zeros(n), 1.0, norm).box(n)[1]
    t, y, rho = float(t0), np.array(x0, dtype=float), 0.0
    radius = np.full(len(times), math.inf)
    limit = work // terms(model)
    if limit < len(times):
        return ErrorBound(radius, False, "the proof needs more work than it may take")
    step = math.inf
    steps = 0
    for k, stop in enumerate(times):
        while t < stop:
            if steps > limit:
                return ErrorBound(radius, False, f"the proof needs more than {limit} steps")
            coefficients, along = _taylor(rhs, t, y)
            step = min(stop, _next(t, 3 * step, coefficients, tol))
            crossing = min(stop, t + 0.3 * math.sqrt(tol))
            while True:
                steps += 1
                found = _defect(rhs, t, step, coefficients, along)
                if found is not None and found[0].max() <= 1e3 * tol * (1 + np.abs(coefficients[1]).max()):
                    break
                step = t + (step - t) / 2
                if step <= crossing:  # a kink: what the field does within so short a step matters little
                    step = crossing
                    found = _plain_defect(model, signal, t, step, coefficients)
                    break
            if found is None:
                return ErrorBound(radius, False, f"the defect has no bound near t = {t:.6g}")
            defect, low, high, end, jump = found
            grown, share = _growth(rate, t, step)
            swollen = _up(rho * max(1.0, grown) + length_up(norm, defect) * share)
            reach = np.nextafter(swollen * extents * (1 + 1e-15), math.inf)
            if not _inside(region, norm, low - reach, high + reach, y, low, high, swollen):
                return ErrorBound(radius, False, f"the tube leaves the region at t = {t:.6g}")
            rho = _up(_up(rho * grown) + _up(length_up(norm, defect) * share) + length_up(norm, jump))
            last, t, y = step - t, step, end
            step = last
        off = np.where(x[k] == y, 0.0, np.nextafter(np.abs(x[k] - y), math.inf))
        radius[k] = _up(length_up(norm, off) + rho) if off.any() or rho else 0.0
    return ErrorBound(radius, True, "")


def _taylor(rhs, t, y):
    """Float Taylor coefficients of the solution at (t, y), shape (ORDER, n), and the enclosed ones of F along them."""
    c = np.zeros((ORDER, len(y)))
    c[0] = y
    time = Series([t, 1.0])
    for j in range(ORDER - 1):
        found = rhs(time, [Series(c[: j + 1, i].tolist()) for i in range(len(y))])
        c[j + 1] = [float(f.coefficients()[j].mid()) / (j + 1) for f in found]
    if not np.isfinite(c).all():
        raise ArithmeticError("a Taylor coefficient is not finite")
    return c, [f.coefficients() for f in found]


def _next(t, step, c, tol):
    """Where the next step should end, by the size of the last two coefficients; `step` at most three times the last."""
    size = 1 + np.abs(c[1]).max()
    wanted = step if math.isfinite(step) else math.inf
    for j in (ORDER - 2, ORDER - 1):
        last = np.abs(c[j]).max() * j
        if last > 0:
            wanted = min(wanted, 0.8 * (tol * size / last) ** (1 / (j - 1)))
    return t + max(wanted, 1e-12 * (1 + abs(t)))


def _defect(rhs, t, stop, c, along):
    """Bounds on the modulus of the defect over a step, on the curve, and the rounded end; None where there are none."""
    arb = load().arb
    h = arb(stop) - arb(t)
    n = c.shape[1]
    whole = arb(0).union(h)
    wide, ends = [], []
    for i in range(n):
        exact = [arb(float(v)) for v in c[:, i]]
        wide.append([_derivative(exact, j, whole) for j in range(ORDER)])
        ends.append(_derivative(exact, 0, h))
    try:
        remainder = rhs(Series([arb(t).union(arb(stop)), 1.0]), [Series(row) for row in wide])
    except Refused:
        return None
    size = upper(h)
    defect, low, high, end, jump = (np.empty(n) for _ in range(5))
    for i in range(n):
        total = upper(remainder[i].coefficients()[-1]) * size ** (ORDER - 1) * (1 + 1e-14)
        for j in range(ORDER - 1):
            total += upper(arb(float(c[j + 1, i])) * (j + 1) - along[i][j]) * size**j * (1 + 1e-14)
        defect[i] = total * (1 + 1e-14) + 1e-300
        low[i], high[i] = _ends(wide[i][0])
        end[i] = float(ends[i].mid())
        jump[i] = upper(ends[i] - arb(float(end[i])))
    if not (np.isfinite(defect).all() and np.isfinite(end).all()):
        return None
    return defect, low, high, end, jump


def _plain_defect(model, signal, t, stop, c):
    """The same for a short step over a kink: bounds on the slope of the curve less bounds on the field around it."""
    arb = load().arb
    h = arb(stop) - arb(t)
    whole, n = arb(0).union(h), c.shape[1]
    low, high, end, jump = (np.empty(n) for _ in range(4))
    for i in range(n):
        exact = [arb(float(v)) for v in c[:2, i]]  # a straight line
        low[i], high[i] = _ends(_derivative(exact, 0, whole))
        final = _derivative(exact, 0, h)
        end[i] = float(final.mid())
        jump[i] = upper(final - arb(float(end[i])))
    inputs = [_ends(s.coefficients()[0]) for s in input_series(signal, model.inputs, Series([arb(t).union(arb(stop))]))]
    found = enclose(model, low, high, t=(t, stop), u=np.array(inputs).reshape(-1, 2).T)
    if found.failed[0]:
        return None
    defect = np.nextafter(np.maximum(found.hi[0] - c[1], c[1] - found.lo[0]), math.inf) * (1 + 1e-14)
    return (defect, low, high, end, jump) if np.isfinite(defect).all() else None


def _derivative(c, j, x):
    """The j-th Taylor coefficient at x of the polynomial with coefficients c (balls)."""
    total = load().arb(0)
    for i in range(len(c) - 1, j - 1, -1):
        total = total * x + c[i] * math.comb(i, j)
    return total


def _ends(value):
    """Floats around a ball."""
    middle = float(value.mid())
    off = upper(value - load().arb(middle))
    return np.nextafter(middle - off, -math.inf), np.nextafter(middle + off, math.inf)


def _growth(rate, t, stop):
    """Upper bounds on ``exp(-c h)`` and on ``(1 - exp(-c h)) / c``."""
    arb = load().arb
    h, c = arb(stop) - arb(t), arb(float(rate))
    if rate == 0:
        return 1.0, upper(h)
    return upper((-c * h).exp()), upper((-c * h).expm1() / -c)


def _inside(region, norm, low, high, y, curve_low, curve_high, rho):
    """Whether a box that contains a piece of the tube lies in the region."""
    if isinstance(region, WholeSpace):
        return True
    if isinstance(region, Ball):
        weights = [np.ones(len(y)) if w is None else w for w in (region.norm.weights, norm.weights)]
        if region.norm.p != norm.p or not np.array_equal(*weights):
            return False
        far = np.maximum(np.abs(curve_low - region.center), np.abs(curve_high - region.center))
        return _up(length_up(norm, np.nextafter(far, math.inf)) + rho) <= region.radius
    if type(region).__name__ != "Box":
        return False
    return bool(np.all(region.lo <= low) and np.all(high <= region.hi))


def _up(value):
    return float(np.nextafter(value * (1 + 4e-16), math.inf))


def estimated(model, norm, rate, times, x, signal, why):
    """The same bound with a sampled defect of the cubic Hermite interpolant; not a proof.

    Returns
    -------
    ErrorBound
    """
    u = [None if signal is None else signal(t) for t in times]
    slopes = np.array([model.rhs(t, state, v) for t, state, v in zip(times, x, u, strict=True)])
    radius = np.zeros(len(times))
    for k in range(1, len(times)):
        h = times[k] - times[k - 1]
        a, b, da, db = x[k - 1], x[k], slopes[k - 1] * h, slopes[k] * h
        worst = 0.0
        for s in (0.1, 0.3, 0.5, 0.7, 0.9):
            state = a + s * (b - a) + s * (1 - s) * ((1 - s) * (da - (b - a)) - s * (db - (b - a)))
            speed = (6 * s * (1 - s) * (b - a) + (1 - s) * (1 - 3 * s) * da + s * (3 * s - 2) * db) / h
            t = times[k - 1] + s * h
            worst = max(worst, float(norm.length(speed - model.rhs(t, state, None if signal is None else signal(t)))))
        share = h if rate == 0 else -math.expm1(-rate * h) / rate
        radius[k] = math.exp(-rate * h) * radius[k - 1] + 1.1 * worst * share
    return ErrorBound(radius, False, why)
