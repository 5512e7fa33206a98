r"""Lyapunov exponents: the mean rates at which small balls around a trajectory stretch along their axes.

An orthonormal frame of k small displacements is carried along by the flow for a short time and made orthonormal again by a
QR factorisation; the logarithms of the diagonal of R add up to the exponents (Benettin and others, below). Displacements
are differences of pairs of trajectories, one on each side, that take the same steps as the trajectory between them: the
error is of second order in their size, and no Jacobian is needed. All pairs are lanes of one block.

References
----------
Benettin, Galgani, Giorgilli, Strelcyn, Lyapunov characteristic exponents for smooth dynamical systems, Meccanica 15, 1980.
Kaplan, Yorke, Chaotic behavior of multidimensional difference equations, Lecture Notes in Mathematics 730, 1979.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arguments import check_positive, lane_data
from .engine import explicit
from .engine.methods import METHODS
from .errors import ArgumentError, Status
from .fields.base import VectorField, describe

__all__ = ["LyapunovSpectrum", "lyapunov_exponents"]

_SIZE = 1e-5  # of a displacement, relative to the state: its square and rounding over it are both small


@dataclass(frozen=True, eq=False)
class LyapunovSpectrum:
    """The result of :func:`lyapunov_exponents`.

    Attributes
    ----------
    exponents : ndarray, shape (k,)
        In 1/time, in the order of the frame: the largest first, once it has turned to its directions; NaN if not even one
        interval was finished.
    spread : ndarray, shape (k,)
        Standard error of each, from the scatter of ten parts of the run.
    times : ndarray, shape (m,)
        Ends of the intervals, counted from the start of the averaging.
    running : ndarray, shape (m, k)
        The exponents from the data up to each of them.
    x : ndarray, shape (n,)
        The state at the end, from which the run can be continued.
    status : Status

    Examples
    --------
    >>> import dynet as dn
    >>> spectrum = dn.lyapunov_exponents(dn.models.FiringRate([[0.0]]), [0.5], 20.0, dt=0.01)
    >>> spectrum.status.ok, bool(abs(spectrum.exponents[0] + 1.0) < 1e-3)
    (True, True)
    """

    exponents: np.ndarray
    spread: np.ndarray
    times: np.ndarray
    running: np.ndarray
    x: np.ndarray
    status: Status

    @property
    def dimension(self):
        """The Kaplan-Yorke dimension of the attractor; NaN where too few exponents are known to tell."""
        sums = np.cumsum(self.exponents)
        below = np.flatnonzero(sums < 0)
        if self.exponents.size and self.exponents[0] < 0:
            return 0.0
        if not below.size:
            return float(self.x.size) if self.exponents.size == self.x.size else np.nan
        j = below[0]
        return float(j + sums[j - 1] / abs(self.exponents[j]))

    def __str__(self):
        values = ", ".join(f"{a:.5g} +- {b:.1g}" for a, b in zip(self.exponents, self.spread, strict=True))
        return f"LyapunovSpectrum: {values}\n  Kaplan-Yorke dimension {self.dimension:.4g}, status {self.status}"


def lyapunov_exponents(
    model, x0, t, *, dt, count=None, interval=None, transient=0.0, method="rk4", t0=0.0, u=None, params=None
):
    r"""The Lyapunov exponents of the trajectory from `x0`.

    Parameters
    ----------
    model : VectorField
    x0 : array_like, shape (n,)
    t : float
        Time over which is averaged, after the transient.
    dt : float
        Step of the method, in the unit of t.
    count : int, optional
        How many exponents, the largest; all n by default.
    interval : float, optional
        Time between two QR factorisations; ten steps by default. A fast contracting direction must not shrink to rounding
        within it.
    transient : float
        Time before the averaging starts, in which the frame turns to its directions.
    method : str
        A method that takes fixed steps.
    t0 : float
        Time at the start.
    u, params
        As in :func:`dynet.simulate`, for one trajectory.

    Returns
    -------
    LyapunovSpectrum

    Raises
    ------
    ArgumentError
        For arguments that cannot be used, before anything is compiled.

    References
    ----------
    Benettin, Galgani, Giorgilli, Strelcyn, Meccanica 15, 1980.

    Examples
    --------
    >>> import dynet as dn
    >>> spectrum = dn.lyapunov_exponents(dn.models.Lorenz(), [1.0, 1.0, 20.0], 50.0, dt=0.01, transient=5.0)
    >>> bool(0.7 < spectrum.exponents[0] < 1.1), round(float(spectrum.exponents.sum()), 2)
    (True, -13.67)
    """
    if not isinstance(model, VectorField):
        raise ArgumentError("model", model, "a model: dn.models.*, or a function under @dn.vector_field")
    x0 = model.check_state(x0, "x0")
    if x0.ndim != 1 or not np.isfinite(x0).all():
        raise ArgumentError("x0", describe(x0), f"one finite state of shape ({model.n},)")
    n = model.n
    check_positive("t", t)
    check_positive("dt", dt)
    if interval is None:
        interval = 10 * dt
    check_positive("interval", interval)
    for name, value in (("transient", transient), ("t0", t0)):
        if not (np.isscalar(value) and np.isreal(value) and np.isfinite(value)) or (name == "transient" and value < 0):
            raise ArgumentError(name, value, "a finite number" + (", not negative" if name == "transient" else ""))
    count = n if count is None else count
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or not 1 <= count <= n:
        raise ArgumentError("count", count, f"an integer from 1 to {n}")
    fixed = [name for name, known in METHODS.items() if known.kind == "explicit" and known.fixed]
    if method not in fixed:
        raise ArgumentError("method", method, "a method that takes fixed steps", choices=fixed)
    p, batch, signal = lane_data(model, x0, params, u)
    if batch is not None:
        raise ArgumentError("params", f"a batch of {batch}", "parameters and input of one trajectory")

    block = model.block(signal)
    lanes = 2 * count + 1
    p = np.tile(p, (lanes, 1))
    # a frame in general position: one that lies in an invariant subspace would never leave it
    frame = np.linalg.qr(np.random.default_rng(0).normal(size=(n, n)))[0][:, :count]
    x, now = x0.copy(), float(t0)
    logs, times, status = [], [], Status.OK
    intervals = max(1, round(float(t) / interval))
    waiting = int(np.ceil(transient / interval))
    for k in range(waiting + intervals):
        last = k + 1 == waiting + intervals
        length = transient + t - (now - t0) if last else interval
        size = _SIZE * max(1.0, float(np.abs(x).max()))
        y = np.concatenate([x[None], x + size * frame.T, x - size * frame.T])
        found = explicit.integrate(block, y, p, now, now + length, np.array([now + length]), method, dt=float(dt))
        failed = np.flatnonzero(found.status)
        if failed.size:
            status = Status(int(found.status[failed[0]]))
            break
        y = found.x[:, 0]
        x, now = y[0], now + length
        frame, R = np.linalg.qr((y[1 : count + 1] - y[count + 1 :]).T / (2 * size))
        if k >= waiting:
            logs.append(np.log(np.abs(np.diag(R)) + 1e-300))
            times.append(length + (times[-1] if times else 0.0))
    if not logs:
        nothing = np.full(count, np.nan)
        return LyapunovSpectrum(nothing, nothing, np.empty(0), np.empty((0, count)), x, status)
    times, logs = np.array(times), np.array(logs)
    running = np.cumsum(logs, axis=0) / times[:, None]
    parts = [part for part in np.array_split(np.arange(len(logs)), 10) if part.size]
    spans = np.diff(times, prepend=0.0)
    rates = np.array([logs[part].sum(axis=0) / spans[part].sum() for part in parts])
    spread = rates.std(axis=0, ddof=1) / np.sqrt(len(parts)) if len(parts) > 1 else np.full(count, np.nan)
    return LyapunovSpectrum(running[-1].copy(), spread, times, running, x, status)
