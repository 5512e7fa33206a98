"""Summaries on the device: what :func:`dynet.engine.control.gather` does on the host, for one quantity of one trajectory."""

# ruff: noqa: F821

from __future__ import annotations

__all__ = ["SOURCE"]

#: ``_gather(sums, row, q, value, saved, half)``: last, least, greatest value, integral; `half` is half of the save interval.
SOURCE = """
@inlined
def _gather(sums, row, q, value, saved, half):
    if saved == 0:
        sums[row, 1, q] = value
        sums[row, 2, q] = value
        sums[row, 3, q] = _r(0)
    else:
        sums[row, 1, q] = min(sums[row, 1, q], value)
        sums[row, 2, q] = max(sums[row, 2, q], value)
        sums[row, 3, q] += half * (sums[row, 0, q] + value)
    sums[row, 0, q] = value
"""
