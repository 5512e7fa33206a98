"""Trajectories: the states at the save times, with the labels, the statuses and what the solver did.

A batch that loses a trajectory keeps the others; the rows that a failed trajectory did not reach are NaN.
"""

from __future__ import annotations

import html
import itertools
import json
import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .errors import ArgumentError, Shown, Status

__all__ = ["Occurrences", "Trajectory", "happened"]


class Occurrences(NamedTuple):
    """When an event happened, and where.

    Attributes
    ----------
    t : ndarray, shape (k,)
    x : ndarray, shape (k, n)
        The states there, before any change.
    """

    t: np.ndarray
    x: np.ndarray


def happened(events, hits, batch, single):
    """A dict from the name of each event to its :class:`Occurrences`, one for each trajectory of a batch."""
    which, t, x = hits
    found = {}
    for number, event in enumerate(events):
        rows = which[:, 1] == number
        cuts = np.searchsorted(which[rows, 0], np.arange(batch + 1))
        each = [Occurrences(t[rows][a:b], x[rows][a:b]) for a, b in zip(cuts[:-1], cuts[1:], strict=True)]
        found[event.name] = each[0] if single else each
    return found


class Trajectory:
    """The result of :func:`dynet.simulate`.

    Attributes
    ----------
    t : ndarray, shape (k,) or (batch, k)
        Save times; of two dimensions where each trajectory has its own.
    x : ndarray, shape (k, n) or (batch, k, n)
        States; NaN after a trajectory failed.
    status : Status, or tuple of Status for a batch
    t_stop : float or ndarray, shape (batch,)
        The time that each trajectory reached.
    labels : tuple of str
        One name per state.
    stats : dict
        Method, tolerances, accepted and rejected steps, wall time in seconds.
    model : VectorField or None
        What was simulated; None for a trajectory read from a file.
    events : dict
        Name of each event -> its :class:`Occurrences`, or a list of them for a batch. Not written to files.
    summary : dict
        Name of each summary -> array; its first axis is the batch. Not written to files.
    steps : Interpolant or None
        The solver's own dense output, where it was asked for. Not written to files.
    error_bound : ndarray, shape (k,) or (batch, k), or None
        With ``certificate=``: how far each saved state may be from the true solution, in the certificate's norm.
    error_status : str or None
        ``"certified"`` (the bound is proven) or ``"estimated"`` (the defect was sampled; ``stats["error"]`` says why).

    Examples
    --------
    >>> import dynet as dn
    >>> run = dn.simulate(dn.models.Lorenz(), [1.0, 1.0, 1.0], t=[0.0, 0.5, 1.0])
    >>> run.x.shape, run.status.ok
    ((3, 3), True)
    """

    def __init__(
        self, t, x, *, status, t_stop, labels, stats=None, model=None, steps=None, events=None, summary=None,
        error_bound=None, error_status=None,
    ):  # fmt: skip
        self.t, self.x = np.asarray(t, dtype=float), np.asarray(x)
        self.x = self.x if self.x.dtype == np.float32 else self.x.astype(float, copy=False)
        self.status, self.t_stop, self.labels = status, t_stop, tuple(labels)
        self.stats, self.model = dict(stats or {}), model
        self.steps, self.events, self.summary = steps, dict(events or {}), dict(summary or {})
        self.error_bound, self.error_status = error_bound, error_status

    @property
    def batch(self):
        """Number of trajectories, None for a single one."""
        return self.x.shape[0] if self.x.ndim == 3 else None

    @property
    def n(self):
        """Number of states."""
        return self.x.shape[-1]

    @property
    def statuses(self):
        """The statuses as a tuple, also for a single trajectory."""
        return (self.status,) if self.batch is None else self.status

    @property
    def ok(self):
        """Whether every trajectory reached the end."""
        return all(status.ok for status in self.statuses)

    @property
    def final(self):
        """The states at the last save time, shape (n,) or (batch, n)."""
        return self.x[..., -1, :]

    def at(self, t):
        """States at other times, interpolated between save times.

        The solver's own dense output where ``dense=True`` was given to :func:`dynet.simulate`. Otherwise cubic Hermite
        interpolation when the model is at hand, with an error of the fourth power of the save interval; linear if not.

        Parameters
        ----------
        t : float or array_like, shape (m,)
            Within the save times, those of every trajectory where they differ; with dense output, within the span of the
            run.

        Returns
        -------
        ndarray, shape (n,), (m, n), (batch, n) or (batch, m, n)

        Raises
        ------
        ArgumentError
            For a time outside the save times.
        """
        times = np.atleast_1d(np.asarray(t, dtype=float))
        ends = np.sort(self.t[..., [0, -1]].reshape(-1, 2), axis=1)
        low, high = (ends[:, 0].max(), ends[:, 1].min()) if self.steps is None else sorted(self.steps.ends)
        if times.ndim != 1 or not np.all((times >= low) & (times <= high)):
            raise ArgumentError("t", t, f"times between {low:g} and {high:g}")
        if self.steps is not None:
            out = self.steps(times)
            out = out[0] if self.batch is None else out
        elif self.t.ndim == 2:
            out = np.array([self._between(own, x, times) for own, x in zip(self.t, self.x, strict=True)])
        else:
            out = self._between(self.t, self.x, times)
        return out if np.ndim(t) else out[..., 0, :]

    def _between(self, saved, x, times):
        """States at `times` from those at the times `saved`, shapes (m,), (..., k, n), (k,) -> (..., m, n)."""
        if saved.size == 1:
            return x[..., np.zeros(times.size, int), :]
        way = 1.0 if saved[-1] >= saved[0] else -1.0
        right = np.clip(np.searchsorted(way * saved, way * times, side="left"), 1, saved.size - 1)
        h = (saved[right] - saved[right - 1])[:, None]
        s = (times - saved[right - 1])[:, None] / h
        a, b = x[..., right - 1, :], x[..., right, :]
        slope = b - a
        out = a + s * slope
        if self.model is not None:
            da, db = (
                np.stack([self.model.rhs(saved[r], x[..., r, :]) for r in rows], axis=-2) * h
                for rows in (right - 1, right)
            )
            out = out + s * (1 - s) * ((1 - s) * (da - slope) - s * (db - slope))
        exact = times == saved[right]  # keep saved rows bit for bit
        return np.where(exact[:, None], b, out)

    def distance(self, norm=None, to=None):
        """Distances over time: between the trajectories of a batch, or to something else.

        Parameters
        ----------
        norm : Norm, CompositeNorm or 1, 2, inf, optional
            Euclidean by default.
        to : Trajectory or array_like, shape (n,), (k, n) or (batch, k, n), optional
            What to measure from. By default each trajectory from the one before it.

        Returns
        -------
        ndarray, shape (batch - 1, k), or (k,) or (batch, k) with `to`

        Examples
        --------
        >>> import numpy as np, dynet as dn
        >>> @dn.vector_field(n=1)
        ... def decay(t, x, p, dx):
        ...     dx[0] = -x[0]
        >>> run = dn.simulate(decay, [[0.0], [1.0]], t=1.0, save=2)
        >>> bool(np.allclose(run.distance(), [[1.0, np.exp(-1)]]))
        True
        """
        from .linalg.norms import Norm

        norm = norm if hasattr(norm, "length") else Norm(2 if norm is None else norm)
        if to is None:
            if self.batch is None or self.batch < 2:
                raise ArgumentError("to", to, "a state or a trajectory, because there is a single trajectory here")
            if self.t.ndim == 2:
                raise ArgumentError(
                    "to", to, "a state or a trajectory, because the trajectories have different save times"
                )
            return norm.length(self.x[1:] - self.x[:-1])
        other = to.x if isinstance(to, Trajectory) else np.asarray(to, dtype=float)
        if other.shape[-1:] != (self.n,):
            raise ArgumentError("to", Shown(f"shape {other.shape}"), f"a last axis of {self.n} states")
        if isinstance(to, Trajectory) and (to.t.shape != self.t.shape or np.any(to.t != self.t)):
            raise ArgumentError("to", Shown("a trajectory with other save times"), "the same save times")
        return norm.length(self.x - other)

    def to_xarray(self):
        """The states as an :class:`xarray.DataArray` with named axes (trajectory, time, state).

        Where each trajectory has its own save times, the axes are (trajectory, position, state) and ``time`` is a coordinate
        of the first two.
        """
        import xarray

        axes = (("time", "state"), ("trajectory", "time", "state"))[self.x.ndim - 2]
        coords = {"time": self.t, "state": list(self.labels)}
        if self.t.ndim == 2:  # times of their own: a coordinate of the positions, which number the axis
            axes, coords["time"] = ("trajectory", "position", "state"), (("trajectory", "position"), self.t)
        data = xarray.DataArray(self.x, dims=axes, coords=coords, name="x")
        data.attrs.update({k: v for k, v in self.stats.items() if isinstance(v, (str, int, float))})
        return data

    def save(self, path):
        """Write netCDF-4 (HDF5): ``x``, ``time``, ``state``, ``status``, ``t_stop``; written whole or not at all.

        Parameters
        ----------
        path : path
            Ends in ``.nc`` by convention.
        """
        import h5netcdf

        path = Path(path)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        x = self.x[None] if self.batch is None else self.x
        if x.shape[1:] != (self.t.shape[-1], len(self.labels)):
            raise ArgumentError(
                "x", Shown(f"shape {x.shape}"), f"{self.t.shape[-1]} times and {len(self.labels)} labels, as given"
            )
        try:
            with h5netcdf.File(temporary, "w") as file:
                row = (
                    "time" if self.t.ndim == 1 else "position"
                )  # the name of an axis is that of a vector or of nothing
                file.dimensions = {"trajectory": x.shape[0], row: x.shape[1], "state": x.shape[2]}
                file.create_variable("time", (row,) if self.t.ndim == 1 else ("trajectory", row), data=self.t)
                names = file.create_variable("state", ("state",), dtype=_text())
                names[...] = np.array(self.labels, dtype=object)
                file.create_variable("x", ("trajectory", row, "state"), data=x)
                file.create_variable("status", ("trajectory",), data=np.array(self.statuses, dtype=np.int8))
                file.create_variable("t_stop", ("trajectory",), data=np.atleast_1d(self.t_stop))
                file.attrs["stats"] = json.dumps(self.stats, default=str)
                file.attrs["single"] = int(self.batch is None)
                if self.error_bound is not None:
                    bound = self.error_bound if self.batch is not None else self.error_bound[None]
                    file.create_variable("error_bound", ("trajectory", row), data=bound)
                    file.attrs["error_status"] = self.error_status
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    @classmethod
    def load(cls, path):
        """Read what :meth:`save` wrote.

        Raises
        ------
        ArgumentError
            For a missing file, or one that holds no trajectory.
        """
        import h5netcdf

        path = Path(path)
        if not path.is_file():
            raise ArgumentError("path", str(path), "an existing file")
        try:
            with h5netcdf.File(path, "r") as file:
                x, t, t_stop = (file[name][...] for name in ("x", "time", "t_stop"))
                status = tuple(Status(int(s)) for s in file["status"][...])
                labels = [s.decode() if isinstance(s, bytes) else str(s) for s in file["state"][...]]
                stats, single = json.loads(file.attrs["stats"]), bool(file.attrs["single"])
                bound = {}
                if "error_bound" in file.variables:
                    radius = file["error_bound"][...]
                    bound = {
                        "error_bound": radius[0] if single else radius,
                        "error_status": str(file.attrs["error_status"]),
                    }
        except (OSError, KeyError, ValueError) as error:
            raise ArgumentError("path", str(path), f"a trajectory written by Trajectory.save ({error})") from None
        if single:
            return cls(t, x[0], status=status[0], t_stop=float(t_stop[0]), labels=labels, stats=stats, **bound)
        return cls(t, x, status=status, t_stop=t_stop, labels=labels, stats=stats, **bound)

    def plot(self, ax=None, states=None, **options):
        """Draw states over time; returns the matplotlib axes.

        Parameters
        ----------
        ax : matplotlib axes, optional
        states : sequence of int or str, optional
            Indices or labels; the first six by default.
        options
            Passed to ``ax.plot``.
        """
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.figure().add_subplot()
        chosen = range(min(6, self.n)) if states is None else [self.index(s) for s in states]
        for color, i in zip(itertools.cycle(f"C{k}" for k in range(10)), chosen, strict=False):
            lines = self.x[..., i] if self.batch is not None else self.x[None, :, i]
            for number, line in enumerate(lines):
                t = self.t if self.t.ndim == 1 else self.t[number]
                ax.plot(t, line, **{"color": color, "label": None if number else self.labels[i], **options})
        ax.set_xlabel("time")
        ax.set_ylabel("state")
        ax.legend()
        return ax

    def index(self, state):
        """The position of a state given by its label or its position."""
        if isinstance(state, (int, np.integer)) and -self.n <= state < self.n:
            return int(state)
        if str(state) in self.labels:
            return self.labels.index(str(state))
        raise ArgumentError("state", state, f"a label, or a position below {self.n}", choices=self.labels[:20])

    def __repr__(self):
        shape = "" if self.batch is None else f"{self.batch} trajectories, "
        each = "each " if self.t.ndim == 2 else ""
        first, last = self.t.flat[0], self.t.flat[-1]
        if each:
            first, last = (self.t.min(), self.t.max()) if last >= first else (self.t.max(), self.t.min())
        return (
            f"Trajectory({shape}{self.t.shape[-1]} times {each}from {first:g} to {last:g}, {self.n} states, "
            f"{self._status_words()})"
        )

    def __str__(self):
        lines = [repr(self)]
        for number, status in enumerate(self.statuses):
            if not status.ok:
                lines.append(
                    f"  trajectory {number} stopped at t = {np.atleast_1d(self.t_stop)[number]:g}: {status.remedy}"
                )
                if len(lines) > 5:
                    lines.append("  ...")
                    break
        return "\n".join(lines)

    def _status_words(self):
        counts = Counter(status.word for status in self.statuses)
        return ", ".join(word if self.batch is None else f"{count} {word}" for word, count in counts.items())

    def _repr_html_(self):
        return f"<pre>{html.escape(str(self))}</pre>"


def _text():
    import h5py

    return h5py.string_dtype()
