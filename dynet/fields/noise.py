r"""Noise as an input: a continuous random signal that a seed determines, the same in every run and on every machine.

At the multiples of `step` each channel takes an independent normal value; between them it is interpolated linearly. The
value of channel i at the k-th multiple is a function of (seed, i, k) alone, by a hash and the transformation of Box and
Muller, so that nothing is stored and any time may be asked for in any order, by any solver with steps of any size. It is
an ordinary input: solvers of ordinary differential equations keep their orders between the kinks. For white noise, which is
no function of time, see :func:`dynet.sample_paths`.

References
----------
Steele, Lea, Flood, Fast splittable pseudorandom number generators, OOPSLA 2014 (the hash).
Box, Muller, A note on the generation of random normal deviates, Annals of Mathematical Statistics 29, 1958.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numba import njit

from ..errors import ArgumentError
from .signal import Signal, _vector

__all__ = ["LARGEST", "Noise", "gauss"]

LARGEST = 8.6  # no value is farther from the mean, in standard deviations: sqrt(2 * 53 * log 2) is 8.572


@njit
def _mixed(z):
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit
def gauss(seed, channel, cell):
    """The normal number of a channel at a multiple of the step (compiled)."""
    z = _mixed(np.uint64(seed) + np.uint64(0x9E3779B97F4A7C15))
    z = _mixed(z ^ (np.uint64(channel) * np.uint64(0xD1B54A32D192ED03)))
    z = _mixed(z ^ (np.uint64(cell) * np.uint64(0x9E3779B97F4A7C15)))
    first = (np.float64(z >> np.uint64(11)) + 1.0) * 2.0**-53  # in (0, 1]
    second = np.float64(_mixed(z + np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(11)) * 2.0**-53
    return math.sqrt(-2.0 * math.log(first)) * math.cos(2.0 * math.pi * second)


def _plain_gauss(seed, channel, cell):
    """The same for an array of channels, in NumPy: Python need not wait for a compiler."""
    golden = np.uint64(0x9E3779B97F4A7C15)
    with np.errstate(over="ignore"):
        z = _mixed.py_func(np.uint64(seed) + golden)
        z = _mixed.py_func(z ^ (channel.astype(np.uint64) * np.uint64(0xD1B54A32D192ED03)))
        z = _mixed.py_func(z ^ (np.uint64(cell % 2**64) * golden))
        first = ((z >> np.uint64(11)).astype(float) + 1.0) * 2.0**-53
        second = (_mixed.py_func(z + golden) >> np.uint64(11)).astype(float) * 2.0**-53
    return np.sqrt(-2.0 * np.log(first)) * np.cos(2.0 * np.pi * second)


@dataclass(frozen=True, eq=False)
class Noise(Signal):
    """A seeded random input: normal values at the multiples of a step, interpolated linearly, independent for each channel.

    Parameters
    ----------
    amplitude : float or array_like, shape (size,)
        Standard deviation at the multiples of the step.
    step : float
        Time between two independent values, in the unit of t.
    seed : int
        Not negative; the same seed gives the same noise.
    offset : float or array_like, shape (size,)
        The mean.

    Raises
    ------
    ArgumentError
        For amplitudes of the wrong shape, a step that is not positive, a seed that is no whole number.

    Examples
    --------
    >>> rain = Noise(amplitude=[1.0, 0.5], step=0.1, seed=3)
    >>> bool((rain(0.25) == Noise([1.0, 0.5], 0.1, 3)(0.25)).all()), rain.size
    (True, 2)
    """

    amplitude: float | np.ndarray
    step: float
    seed: int = 0
    offset: float | np.ndarray = 0.0
    _first: int = 0
    kind = "noise"

    def __post_init__(self):
        parts = {name: _vector(name, getattr(self, name)) for name in ("amplitude", "offset")}
        size = max(part.size for part in parts.values())
        for name, part in parts.items():
            if part.size not in (1, size):
                raise ArgumentError(name, getattr(self, name), f"1 or {size} numbers, as another part has")
            object.__setattr__(self, name, np.broadcast_to(part, size).copy())
        if isinstance(self.step, str) or np.ndim(self.step) or not (np.isfinite(self.step) and self.step > 0):
            raise ArgumentError("step", self.step, "a positive number")
        whole = isinstance(self.seed, (int, np.integer)) and not isinstance(self.seed, bool)
        if not whole or not 0 <= self.seed < 2**62:
            raise ArgumentError("seed", self.seed, "a whole number, not negative")

    @property
    def size(self):
        return self.amplitude.size

    def __call__(self, t):
        turns = t * (1.0 / self.step)
        cell = math.floor(turns)
        w = turns - cell
        channels = self._first + np.arange(self.size)
        low, high = (_plain_gauss(self.seed, channels, k) for k in (cell, cell + 1))
        return self.offset + self.amplitude * (low * (1.0 - w) + high * w)

    def _spread(self, size):
        return replace(self, amplitude=np.full(size, self.amplitude[0]), offset=np.full(size, self.offset[0]))

    def channels(self, first, last):
        return replace(self, amplitude=self.amplitude[first:last], offset=self.offset[first:last],
                       _first=self._first + first)  # fmt: skip

    def numbers(self):
        return np.concatenate([[1.0 / self.step], self.amplitude, self.offset]), np.array(
            [self.size, self.seed, self._first]
        )
