r"""The numbers of a run, by name, and what a scenario expects of them.

The fitted rate :math:`r` is minus the least-squares slope of :math:`\log d(t)`, where :math:`d(t)` is the largest distance
between consecutive trajectories in the certificate's norm, over the save times at which d is still ten times above what the
integrator's tolerances allow as error. A certificate with rate c proves :math:`d(t) \le e^{-ct} d(0)`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Expectation", "expectations", "fitted_rate", "numbers"]

_RTOL = 1e-6  # of an expected number for which the scenario states no tolerance


@dataclass(frozen=True)
class Expectation:
    """One line of ``[expect]``: the quantity, its value, what was wanted in words, and whether it holds."""

    name: str
    value: float
    wanted: str
    ok: bool


def expectations(expect, found):
    """Compare the numbers of a run with a scenario's ``[expect]`` table.

    Parameters
    ----------
    expect : dict
        Quantity -> number, ``{value, rtol, atol}`` or ``{min, max}``.
    found : dict
        Quantity -> number. A quantity that was not measured fails.

    Returns
    -------
    tuple of Expectation

    Examples
    --------
    >>> [check] = expectations({"rate": {"value": 0.5, "rtol": 1e-3}}, {"rate": 0.5001})
    >>> check.ok, check.wanted
    (True, '0.5 within 0.0005')
    """
    return tuple(_compare(name, wanted, found.get(name, float("nan"))) for name, wanted in expect.items())


def _compare(name, wanted, value):
    if isinstance(wanted, dict) and "value" not in wanted:
        low, high = wanted.get("min"), wanted.get("max")
        text = f"{low:.6g} to {high:.6g}" if None not in (low, high) else f"at least {low:.6g}" if high is None else (
            f"at most {high:.6g}")  # fmt: skip
        return Expectation(name, value, text, (low is None or value >= low) and (high is None or value <= high))
    if not isinstance(wanted, dict):
        wanted = {"value": wanted}
    target = wanted["value"]
    rtol, atol = wanted.get("rtol"), wanted.get("atol")
    if rtol is None and atol is None:
        rtol = _RTOL
    allowed = (rtol or 0.0) * abs(target) + (atol or 0.0)
    text = f"{target:.6g}" + (f" within {allowed:.2g}" if allowed else " exactly")
    if isinstance(target, bool):
        text = "yes" if target else "no"
    return Expectation(name, value, text, bool(abs(value - target) <= allowed))


def numbers(model, trajectory=None, certificate=None, equilibrium=None):
    """The quantities that a run measures; only those that have a meaning for it.

    Returns
    -------
    dict of str to float, int or bool
    """
    found = {"nodes": model.n}
    if certificate is not None:
        found["certified"] = bool(certificate) and certificate.kind in ("strong", "weak")
        if certificate.norm is not None:
            lower = float(certificate.bounds[0])
            found.update(rate=float(certificate.rate), osLip=0.0 - float(certificate.rate))
            if np.isfinite(lower):
                found["osLip_lower"] = lower
    if trajectory is not None:
        ends = np.atleast_2d(trajectory.x[..., -1, :])
        ends = ends[np.isfinite(ends).all(axis=1)]
        if len(ends):
            nodes = ends.reshape(len(ends), -1, getattr(model, "dim", 1))
            found |= {"final_min": float(ends.min()), "final_max": float(ends.max())}
            found["final_spread"] = float(np.ptp(nodes, axis=1).max())
        found["failed"] = sum(not status.ok for status in trajectory.statuses)
        found["steps"] = int(trajectory.stats["accepted"])
        found["rejected_steps"] = int(trajectory.stats["rejected"])
        if trajectory.batch is not None and trajectory.batch > 1:
            other = certificate is None or certificate.kind in ("semi", "k", "alpha")  # no distance of two states
            norm = None if other else certificate.norm
            rate = fitted_rate(trajectory, norm)
            if rate is not None:
                found["fitted_rate"] = rate
            last = trajectory.distance(norm)[:, -1]
            if np.isfinite(last).any():
                found["final_distance"] = float(np.nanmax(last))
    if equilibrium is not None:
        found["equilibrium_residual"] = float(np.max(equilibrium.residual))
        found["equilibrium_iterations"] = int(np.max(equilibrium.iterations))
        if np.isfinite(equilibrium.error):
            found["equilibrium_error"] = float(equilibrium.error)
    return found


def fitted_rate(trajectory, norm=None):
    """The rate at which the largest pair distance decays, 1/time; None where fewer than three save times can be used.

    Parameters
    ----------
    trajectory : Trajectory
        A batch of at least two.
    norm : Norm, optional
        Euclidean by default.

    Examples
    --------
    >>> import dynet as dn
    >>> @dn.vector_field(n=1)
    ... def decay(t, x, p, dx):
    ...     dx[0] = -2.0 * x[0]
    >>> run = dn.simulate(decay, [[0.0], [1.0]], t=1.0, rtol=1e-9)
    >>> round(fitted_rate(run), 6)
    2.0
    """
    distance = trajectory.distance(norm)
    usable = np.isfinite(distance).all(axis=1)
    if not usable.any():
        return None
    largest = distance[usable].max(axis=0)
    window = largest > 10.0 * _tolerated(trajectory, norm)
    window &= np.cumsum(~window) == 0  # up to the first time below
    if window.sum() < 3:
        return None
    return float(-np.polyfit(trajectory.t[window], np.log(largest[window]), 1)[0])


def _tolerated(trajectory, norm):
    """The length of the local error that the tolerances allow."""
    largest = np.max(np.abs(trajectory.x), axis=(0, 1), where=np.isfinite(trajectory.x), initial=0.0)
    error = trajectory.stats["atol"] + trajectory.stats["rtol"] * largest
    return float(np.linalg.norm(error) if norm is None else norm.length(error))
