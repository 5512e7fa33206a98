r"""Signals: the inputs :math:`u(t)` of a field, one number per channel, encoded as data.

Four kinds cover most uses: :class:`Constant`, :class:`Sinusoid`, :class:`Piecewise` (constant pieces) and
:class:`Tabulated` (linear interpolation). A signal is packed into two flat arrays that one compiled function reads, so
that changing a signal, or replacing one kind by another, compiles nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from ..engine.block import FASTMATH
from ..errors import ArgumentError
from ..math import sin

__all__ = ["Signal", "Constant", "Sinusoid", "Piecewise", "Tabulated", "as_signal", "evaluate"]

NONE, CONSTANT, SINUSOID, PIECEWISE, TABULATED, PER_LANE = range(6)


class Signal:
    """An input of :attr:`size` channels; called with a time it returns an array of shape (size,)."""

    size: int
    period: float | None = None

    def pack(self):
        """The signal as ``(reals, ints)`` for :func:`evaluate`; ``ints`` starts with the kind and the size."""
        raise NotImplementedError  # each kind below packs itself

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

    def __post_init__(self):
        object.__setattr__(self, "value", _vector("value", self.value))

    @property
    def size(self):
        return self.value.size

    def __call__(self, t):
        return self.value.copy()

    def _spread(self, size):
        return Constant(np.full(size, self.value[0]))

    def pack(self):
        return self.value, np.array([CONSTANT, self.size])


@dataclass(frozen=True, eq=False)
class Sinusoid(Signal):
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

    def __call__(self, t):
        return self.offset + self.amplitude * np.sin(2 * np.pi * t / self.period + self.phase)

    def _spread(self, size):
        return Sinusoid(
            *(
                np.full(size, v[0]) if isinstance(v, np.ndarray) else v
                for v in (self.amplitude, self.period, self.phase, self.offset)
            )
        )

    def pack(self):
        table = np.concatenate([[2 * np.pi / self.period], self.amplitude, self.phase, self.offset])
        return table, np.array([SINUSOID, self.size])


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

    def pack(self):
        return np.concatenate([self.times, self.values.ravel()]), np.array([self._kind, self.size, self.times.size])


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
    _kind = PIECEWISE

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
    _kind = TABULATED

    def __post_init__(self):
        self._check(lambda m: m, "one value per time")

    def __call__(self, t):
        return np.array([np.interp(t, self.times, row) for row in self.values])


@dataclass(frozen=True)
class PerLane(Signal):
    """A constant input of its own for each trajectory, kept among the trajectory's parameters from row `first` on."""

    size: int
    first: int

    def pack(self):
        return np.empty(0), np.array([PER_LANE, self.size, self.first])


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


@njit(fastmath=FASTMATH, error_model="numpy")
def evaluate(t, p, reals, ints, out):
    """Write the signal at the times of all lanes into ``out`` (compiled; called by every right-hand side).

    Parameters
    ----------
    t : ndarray, shape (W,)
    p : ndarray, shape (npar, W)
        Channel i of a :class:`PerLane` input is ``p[first + i]``.
    reals, ints : ndarray
        The packed signal.
    out : ndarray, shape (size, W)
    """
    kind, size = ints[0], ints[1]
    lanes = t.size
    if kind == CONSTANT:
        for i in range(size):
            for lane in range(lanes):
                out[i, lane] = reals[i]
    elif kind == SINUSOID:
        for i in range(size):
            for lane in range(lanes):
                wave = sin(reals[0] * t[lane] + reals[1 + size + i])
                out[i, lane] = reals[1 + 2 * size + i] + reals[1 + i] * wave
    elif kind == PIECEWISE or kind == TABULATED:
        m = ints[2]
        for lane in range(lanes):
            at, above = 0, m  # the number of times that are not after t; compiles faster than np.searchsorted
            while at < above:
                middle = (at + above) // 2
                if reals[middle] <= t[lane]:
                    at = middle + 1
                else:
                    above = middle
            for i in range(size):
                if kind == PIECEWISE:
                    out[i, lane] = reals[m + i * (m + 1) + at]
                else:
                    row = m + i * m
                    if at == 0:
                        out[i, lane] = reals[row]
                    elif at == m:
                        out[i, lane] = reals[row + m - 1]
                    else:
                        w = (t[lane] - reals[at - 1]) / (reals[at] - reals[at - 1])
                        out[i, lane] = reals[row + at - 1] * (1.0 - w) + reals[row + at] * w
    elif kind == PER_LANE:
        for i in range(size):
            for lane in range(lanes):
                out[i, lane] = p[ints[2] + i, lane]
