r"""Sweeps of pairs of states, of which one feeds on the difference of two products and the other on their sum.

With centre c and radius r of a pair the sums are :math:`v_c + Ac \mp (v_r + |A|r)`, without the diagonals: bounds on the
states of a network for all inputs of a box, and the adjoint of that.
"""

# ruff: noqa: F821 (the names in the source that is copied are bound in the generated module)

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from . import codegen
from .sweeps import HEAD

__all__ = ["SweptPairs", "run"]

_BLOCK = 2**14  # entries of each state of the pairs that are worked on together

_DRIVER = """
_pointers = types.FunctionType(PRODUCT), types.FunctionType(UPDATE)
pairs = njit(types.void(*_pointers, _row, _row, _index, _index, _whole, _whole, _row, _row, *(_row,) * 6, _row, _whole,
                        types.boolean, _whole, _row, _index, _index, _index, *(_row,) * 4), cache=True, nogil=True,
             error_model="numpy")(_pairs)
"""


def _pairs(
    product, update, packed, packed_size, cut, cut_size, n, wide, data, inject, low, high, s_low, s_high, extra_low,
    extra_high, goals, most, zero, block, residual, iterations, flags, index, middle, radius, fresh, fresh_high,
):  # fmt: skip
    """Sweep pairs of states: for centre c and radius r, `low` gets what A c - |A| r feeds, `high` A c + |A| r."""
    batch = goals.size
    half = REAL(0.5)
    for first in range(0, batch, block):
        left = min(block, batch - first)
        for q in range(left):
            index[q] = first + q
        sweep = 0
        while left > 0:
            for q in range(left):
                at = index[q] * wide
                one, two = part(inject, at, wide), part(inject, batch * wide + at, wide)
                below, above, mean, half_width = (
                    part(low, at, wide), part(high, at, wide), part(middle, at, wide), part(radius, at, wide)
                )  # fmt: skip
                sum_low, sum_high = part(s_low, at, wide), part(s_high, at, wide)
                for i in range(wide):
                    sum_low[i], sum_high[i] = one[i], two[i]
                    mean[i] = half * (below[i] + above[i])
                    half_width[i] = half * (above[i] - below[i])
            if sweep > 0 or not zero:
                product(middle, wide, index, 0, left, packed, cut, n, s_low, wide)
                product(radius, wide, index, 0, left, packed_size, cut_size, n, s_high, wide)
            keep = 0
            for q in range(left):
                r = index[q]
                at = r * wide
                sum_low, sum_high = part(s_low, at, wide), part(s_high, at, wide)
                for i in range(wide):
                    centre, spread = sum_low[i], sum_high[i]
                    sum_low[i] = centre - spread
                    sum_high[i] = centre + spread
                size = update(data, n, low, s_low, extra_low, at, fresh)
                other = update(data, n, high, s_high, extra_high, at, fresh_high)
                size = from_bits(max(to_bits(size), to_bits(other)))  # NaN is the largest
                if sweep == 0 or size < residual[r]:
                    flags[r] = 0
                else:
                    flags[r] += 1
                residual[r] = size
                iterations[r] = sweep
                if size <= goals[r]:
                    flags[r] = GOOD
                    continue
                if not (size < np.inf):
                    flags[r] = NONFINITE
                    continue
                if sweep >= most or flags[r] > 20:
                    flags[r] = MOST
                    continue
                below, above = part(low, at, n), part(high, at, n)
                for i in range(n):
                    below[i], above[i] = fresh[i], fresh_high[i]
                index[keep] = r
                keep += 1
            left = keep
            sweep += 1


@functools.cache
def _driver(real):
    head = HEAD.format(real=real, bits="int64" if real == "float64" else "int32")
    return codegen.module(head, _pairs, _DRIVER.format(real=real), tag="pairs")


class SweptPairs(NamedTuple):
    """As :class:`.sweeps.Swept`, for pairs of states."""

    low: np.ndarray
    high: np.ndarray
    z_low: np.ndarray
    z_high: np.ndarray
    residual: np.ndarray
    iterations: np.ndarray
    flags: np.ndarray


def run(update, panel, size_panel, data, inject, pair=None, *, extra=None, goals, most=1000):
    """Sweep a batch of pairs of states, of which the lower is fed by ``A c - |A| r`` and the upper by ``A c + |A| r``.

    Parameters
    ----------
    update, panel, data, goals, most
        As for :func:`.sweeps.run`.
    size_panel : panels.Panel
        The moduli of the matrix.
    inject : ndarray, shape (2, batch, width)
        What is added to the products with the centre and with the radius.
    pair : tuple of two ndarrays, shape (batch, width), optional
        Where to start; zero when None.
    extra : tuple of two ndarrays, shape (batch, width), optional

    Returns
    -------
    SweptPairs
    """
    real = panel.numbers.dtype
    product, count = panel.product
    batch, wide = inject.shape[1:]
    low, high = (np.zeros((batch, wide), real) for _ in range(2)) if pair is None else pair
    s_low, s_high, middle, radius = (np.empty((batch, wide), real) for _ in range(4))
    extra = (s_low, s_high) if extra is None else extra
    residual, counts = np.empty(batch, real), np.empty((3, batch), np.int64)
    block = max(24, _BLOCK // wide // 6 * 6)
    _driver(real.name).pairs(
        product, update, panel.numbers, size_panel.numbers, panel.cut, size_panel.cut, count, wide, data,
        inject.ravel(), low.ravel(), high.ravel(), s_low.ravel(), s_high.ravel(), extra[0].ravel(), extra[1].ravel(),
        goals, most, pair is None, block, residual, counts[0], counts[1], counts[2], middle.ravel(), radius.ravel(),
        np.empty(wide, real), np.empty(wide, real),
    )  # fmt: skip
    return SweptPairs(low, high, s_low, s_high, residual, counts[0], counts[1])
