r"""Anderson's method: of the last images of a map, the combination whose combined step is shortest.

For a map g with :math:`f(x) = g(x) - x` the next state is :math:`g_k - \sum_i \gamma_i (g_k - g_{k-i})` with the
:math:`\gamma` that make :math:`f_k - \sum_i\gamma_i(f_k - f_{k-i})` shortest. A combination after which the residual
has doubled did harm: what is remembered is forgotten, and plain steps of the map, which contracts, begin anew. Samples
of a batch keep memories of their own.

References
----------
Walker, Ni, Anderson acceleration for fixed-point iterations, SIAM Journal on Numerical Analysis 49, 2011.
"""

from __future__ import annotations

import numpy as np

__all__ = ["Anderson", "solve_each"]


def solve_each(matrices, right):
    """Solutions of many small systems, (k, n, n) and (k, n, 1) -> (k, n, 1); NaN for a singular one, and for no other."""
    try:
        return np.linalg.solve(matrices, right)
    except np.linalg.LinAlgError:
        if len(matrices) == 1:
            return np.full(right.shape, np.nan)
        return np.concatenate([solve_each(matrices[k : k + 1], right[k : k + 1]) for k in range(len(matrices))])


class Anderson:
    """The memory of Anderson's method for a batch.

    Parameters
    ----------
    batch, n : int
    depth : int
        Differences that are combined.

    Examples
    --------
    >>> memory, x, rows = Anderson(1, 2), np.zeros((1, 2)), np.array([0])
    >>> M = np.array([[0.9, 0.1], [-0.3, 0.8]])
    >>> for _ in range(4):
    ...     g = x @ M.T + 1.0
    ...     x = memory.step(rows, x, g, np.abs(g - x).max(axis=1))
    >>> bool(np.allclose(x, np.linalg.solve(np.eye(2) - M, [1.0, 1.0])))
    True
    """

    def __init__(self, batch, n, depth=5):
        self.depth = depth
        self.states, self.steps = (np.zeros((batch, depth + 1, n)) for _ in range(2))
        self.count, self.before = np.zeros(batch, int), np.full(batch, np.inf)

    def step(self, rows, x, mapped, residual):
        """The next states of the samples `rows`, from their states, the images of these, and their residuals."""
        mapped = mapped.copy()
        restart = residual > 2 * self.before[rows]  # the combination did harm: forget, and sweep
        self.count[rows] = np.where(restart, 0, self.count[rows])
        self.before[rows] = residual
        slot = self.count[rows] % (self.depth + 1)
        self.states[rows, slot], self.steps[rows, slot] = mapped, mapped - x
        self.count[rows] += 1
        for depth in range(1, self.depth + 1):  # samples that remember as much are solved together
            some = np.flatnonzero(np.minimum(self.count[rows] - 1, self.depth) == depth)
            if some.size:
                mapped[some] = self._combine(rows[some], depth, slot[some], mapped[some])
        return mapped

    def _combine(self, rows, depth, slot, mapped):
        others = (slot[:, None] - np.arange(1, depth + 1)) % (self.depth + 1)
        f = self.steps[rows, slot]
        df = f[:, None] - self.steps[rows[:, None], others]
        dg = mapped[:, None] - self.states[rows[:, None], others]
        gram = df @ df.transpose(0, 2, 1)
        trace = np.trace(gram, axis1=1, axis2=2)[:, None, None]
        gram += (1e-14 * trace + 1e-300) * np.eye(depth)
        right = np.matvec(df, f)[..., None]
        gamma = solve_each(gram, right)[..., 0]
        new = mapped - np.matvec(dg.transpose(0, 2, 1), gamma)
        return np.where(np.isfinite(new).all(axis=1)[:, None], new, mapped)
