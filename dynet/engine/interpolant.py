r"""Dense output: the solver's own polynomials, kept step by step.

In a step from t of size h the state at :math:`t + \theta h` is :math:`c_0 + c_1 \theta + c_2 \theta^2 + \dots`, with an error
of the order of the method's dense output.
"""

from __future__ import annotations

import numpy as np

__all__ = ["Interpolant"]


class Interpolant:
    """The noted steps of a batch.

    Parameters
    ----------
    who : ndarray of int64, shape (m,)
        The trajectory of each step, sorted.
    places : ndarray, shape (m, 3)
        Start, step, and the end of what was used of it.
    coefficients : ndarray, shape (m, degree + 1, n)
    batch : int
    ends : tuple of float
        The span of the run.
    """

    def __init__(self, who, places, coefficients, batch, ends):
        self.places, self.coefficients, self.ends = places, coefficients, ends
        self.first = np.searchsorted(who, np.arange(batch + 1))

    def __call__(self, times):
        """States at `times` (m,), shape (batch, m, n); NaN where a trajectory was not."""
        times = np.asarray(times, dtype=float)
        out = np.full((self.first.size - 1, times.size, self.coefficients.shape[2]), np.nan)
        for row, (a, b) in enumerate(zip(self.first[:-1], self.first[1:], strict=True)):
            if a == b:
                continue
            start, step, end = self.places[a:b].T
            way = np.sign(step[0])
            index = np.searchsorted(way * start, way * times, side="right") - 1
            index = np.clip(index, 0, b - a - 1)
            theta = ((times - start[index]) / step[index])[:, None]
            value = np.zeros((times.size, out.shape[2]))
            for power in range(self.coefficients.shape[1] - 1, -1, -1):
                value = value * theta + self.coefficients[a:b][index, power]
            inside = (way * times >= way * start[0]) & (way * times <= way * end[-1])
            out[row][inside] = value[inside]
        return out
