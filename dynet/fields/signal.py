r"""Signals: the inputs :math:`u(t)` of a field, one number per channel, encoded as data.

Six kinds cover most uses: :class:`Constant`, :class:`Sinusoid`, :class:`Square`, :class:`Piecewise` (constant pieces),
:class:`Tabulated` (linear interpolation) and :class:`~dynet.fields.noise.Noise`. A signal is packed into two flat arrays,
the second of which starts with the address of the compiled function that reads them (:mod:`dynet.fields.waves`). So changing
a signal, or replacing one kind by another, compiles nothing in the model, and a model pays for the kinds in use only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..errors import ArgumentError
from . import waves

__all__ = ["Constant", "Joined", "PerLane", "Piecewise", "Signal", "Sinusoid", "Square", "Tabulated", "as_signal"]


class Signal:
    """An input of :attr:`size` channels; called with a time it returns an array of shape (size,)."""

    size: int
    period: float | None = None
    kind: str

    def numbers(self):
        """All that the signal is, as ``(reals, ints)``; ``ints`` starts with the size."""
        raise NotImplementedError  # each kind has its own

    def pack(self, precision="float64"):
        """The signal as ``(reals, ints)`` for :func:`dynet.fields.waves.evaluate`: :meth:`numbers` after an address."""
        reals, ints = self.numbers()
        return reals, np.concatenate([[waves.compiled(self.kind, precision)], ints]).astype(np.int64)

    def channels(self, first, last):
        """The signal of the channels from `first` up to `last`, not included."""
        raise NotImplementedError  # each kind has its own

    def spread(self, size):
        """The same signal on `size` channels, when it has one channel; itself when it has `size`."""
        if self.size == size:
            return self
        if self.size != 1:
            raise ArgumentError("input", self, f"a signal of 1 or {size} channels, not {self.size}")
        return self._spread(size)


def _vector(name, value):
    try:
        array = np.atleast_1d(np.asarray(value, dtype=float))
    except (TypeError, ValueError):
        raise ArgumentError(name, value, "a number or an array of numbers") from None
    if array.ndim != 1 or not np.all(np.isfinite(array)):
        raise ArgumentError(name, value, "a finite number, or one finite number per channel")
    return array


@dataclass(frozen=True, eq=False)
class Constant(Signal):
    """A constant input.

    Parameters
    ----------
    value : float or array_like, shape (size,)

    Examples
    --------
    >>> Constant([1.0, 2.0])(t=3.0)
    array([1., 2.])
    """

    value: float | np.ndarray
    kind = "constant"

    def __post_init__(self):
        object.__setattr__(self, "value", _vector("value", self.value))

    @property
    def size(self):
        return self.value.size

    def __call__(self, t):
        return self.value.copy()

    def _spread(self, size):
        return Constant(np.full(size, self.value[0]))

    def channels(self, first, last):
        return Constant(self.value[first:last])

    def numbers(self):
        return self.value, np.array([self.size])


class _Wave(Signal):
    """What the periodic kinds share: a period, and an amplitude, a phase and an offset for each channel."""

    def __post_init__(self):
        parts = {name: _vector(name, getattr(self, name)) for name in ("amplitude", "phase", "offset")}
        size = max(part.size for part in parts.values())
        for name, part in parts.items():
            if part.size not in (1, size):
                raise ArgumentError(name, getattr(self, name), f"1 or {size} numbers, as another part has")
            object.__setattr__(self, name, np.broadcast_to(part, size).copy())
        if isinstance(self.period, str) or np.ndim(self.period) or not (np.isfinite(self.period) and self.period > 0):
            raise ArgumentError("period", self.period, "a positive number")

    @property
    def size(self):
        return self.amplitude.size

    def _spread(self, size):
        return self._with(lambda part: np.full(size, part[0]))

    def channels(self, first, last):
        return self._with(lambda part: part[first:last])

    def _with(self, change):
        return replace(self, **{name: change(getattr(self, name)) for name in ("amplitude", "phase", "offset")})


@dataclass(frozen=True, eq=False)
class Sinusoid(_Wave):
    r"""``offset + amplitude * sin(2 pi t / period + phase)``.

    Parameters
    ----------
    amplitude, phase, offset : float or array_like, shape (size,)
        Phase in radians.
    period : float
        In the unit of t, positive.

    Examples
    --------
    >>> wave = Sinusoid(amplitude=2.0, period=4.0)
    >>> wave(1.0)
    array([2.])
    """

    amplitude: float | np.ndarray
    period: float
    phase: float | np.ndarray = 0.0
    offset: float | np.ndarray = 0.0
    kind = "sinusoid"

    def __call__(self, t):
        return self.offset + self.amplitude * np.sin(2 * np.pi * t / self.period + self.phase)

    def numbers(self):
        table = np.concatenate([[2 * np.pi / self.period], self.amplitude, self.phase, self.offset])
        return table, np.array([self.size])


@dataclass(frozen=True, eq=False)
class Square(_Wave):
    """``offset + amplitude`` for the first part `duty` of each period, ``offset - amplitude`` for the rest.

    A solver does not know where the wave jumps: steps that meet a jump are made again, smaller. With a fixed step let the
    period be a multiple of it.

    Parameters
    ----------
    amplitude, phase, offset : float or array_like, shape (size,)
        Phase in radians: at t = 0 the wave is ``phase / 2 pi`` of a period on its way.
    period : float
        In the unit of t, positive.
    duty : float
        Between 0 and 1.

    Examples
    --------
    >>> wave = Square(amplitude=2.0, period=4.0, offset=1.0)
    >>> wave(0.0), wave(1.9), wave(2.0)
    (array([3.]), array([3.]), array([-1.]))
    """

    amplitude: float | np.ndarray
    period: float
    phase: float | np.ndarray = 0.0
    offset: float | np.ndarray = 0.0
    duty: float = 0.5
    kind = "square"

    def __post_init__(self):
        super().__post_init__()
        if isinstance(self.duty, str) or np.ndim(self.duty) or not 0 < self.duty < 1:
            raise ArgumentError("duty", self.duty, "a number between 0 and 1")

    def __call__(self, t):
        turns = t * (1.0 / self.period) + self.phase / (2 * np.pi)
        return self.offset + np.where(turns - np.floor(turns) < self.duty, self.amplitude, -self.amplitude)

    def numbers(self):
        start = self.phase / (2 * np.pi)
        return np.concatenate([[1.0 / self.period, self.duty], self.amplitude, start, self.offset]), np.array(
            [self.size]
        )


class _Table(Signal):
    """What the two kinds that hold a table share: increasing times, one row of values per channel."""

    def _check(self, columns, what):
        times = _vector("times", self.times)
        values = np.atleast_2d(np.asarray(self.values, dtype=float))
        if times.size < 1 or np.any(np.diff(times) <= 0):
            raise ArgumentError("times", self.times, "strictly increasing times")
        if values.ndim != 2 or values.shape[1] != columns(times.size) or not np.all(np.isfinite(values)):
            raise ArgumentError("values", self.values, f"finite values of shape (size, {columns(times.size)}): {what}")
        object.__setattr__(self, "times", times)
        object.__setattr__(self, "values", values)

    @property
    def size(self):
        return self.values.shape[0]

    def _spread(self, size):
        return type(self)(self.times, np.repeat(self.values, size, axis=0))

    def channels(self, first, last):
        return type(self)(self.times, self.values[first:last])

    def numbers(self):
        return np.concatenate([self.times, self.values.ravel()]), np.array([self.size, self.times.size])


@dataclass(frozen=True, eq=False)
class Piecewise(_Table):
    """Constant pieces: ``values[:, j]`` from ``times[j - 1]`` (included) to ``times[j]``.

    Parameters
    ----------
    times : array_like, shape (m,)
        Where the value changes, increasing.
    values : array_like, shape (m + 1,) or (size, m + 1)

    Examples
    --------
    >>> step = Piecewise([1.0], [0.0, 5.0])
    >>> step(0.9), step(1.0)
    (array([0.]), array([5.]))
    """

    times: np.ndarray
    values: np.ndarray
    kind = "piecewise"

    def __post_init__(self):
        self._check(lambda m: m + 1, "one piece more than there are times")

    def __call__(self, t):
        return self.values[:, np.searchsorted(self.times, t, side="right")].copy()


@dataclass(frozen=True, eq=False)
class Tabulated(_Table):
    """Linear interpolation of a table; the first and last values hold outside it.

    Parameters
    ----------
    times : array_like, shape (m,)
        Increasing.
    values : array_like, shape (m,) or (size, m)

    Examples
    --------
    >>> ramp = Tabulated([0.0, 2.0], [0.0, 10.0])
    >>> ramp(1.0), ramp(9.0)
    (array([5.]), array([10.]))
    """

    times: np.ndarray
    values: np.ndarray
    kind = "tabulated"

    def __post_init__(self):
        self._check(lambda m: m, "one value per time")

    def __call__(self, t):
        return np.array([np.interp(t, self.times, row) for row in self.values])


@dataclass(frozen=True)
class PerLane(Signal):
    """A constant input of its own for each trajectory, kept among the trajectory's parameters from row `first` on."""

    size: int
    first: int
    kind = "per_lane"

    def channels(self, first, last):
        return PerLane(last - first, self.first + first)

    def numbers(self):
        return np.empty(0), np.array([self.size, self.first])


@dataclass(frozen=True)
class Joined(Signal):
    """Signals side by side, as the parts of an interconnection have them; each of them is packed on its own.

    Examples
    --------
    >>> both = Joined((Constant([1.0, 2.0]), Sinusoid(1.0, period=4.0)))
    >>> both(1.0), both.channels(2, 3)(1.0)
    (array([1., 2., 1.]), array([1.]))
    """

    parts: tuple

    @property
    def size(self):
        return sum(part.size for part in self.parts)

    def __call__(self, t):
        return np.concatenate([part(t) for part in self.parts])

    def channels(self, first, last):
        at = 0
        for part in self.parts:
            if first == at and last == at + part.size:
                return part
            at += part.size
        raise ArgumentError("channels", (first, last), "the channels of one of the signals")


def as_signal(value, size, name="input"):
    """`value` (None, a number, an array or a signal) as a signal of `size` channels, or None for no input.

    >>> as_signal(2.0, 3)(0.0)
    array([2., 2., 2.])
    """
    if value is None:
        return None
    signal = value if isinstance(value, Signal) else Constant(_vector(name, value))
    try:
        return signal.spread(size)
    except ArgumentError as error:
        raise ArgumentError(name, value, error.expected) from None
