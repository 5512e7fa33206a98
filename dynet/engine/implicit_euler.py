r"""Implicit Euler steps: the discrete flow contracts as the continuous one does, in every norm, for every step.

A step solves :math:`x_+ = x + h f(t + h, x_+)`. If the one-sided Lipschitz constant of f is at most -c in some norm, the
map from x to x_+ contracts in that same norm by the factor

.. math:: \frac{1}{1 + h c}, \qquad h > 0,

because :math:`x_+ = (\mathrm{id} - h f)^{-1} x` is the resolvent of -f. No other method of this package has this property
for all norms and all steps. The price is order one. The equation is solved to rounding by Newton's method with a Jacobian
of differences at each iteration, and with halved corrections where a correction makes the residual larger.

References
----------
Desoer, Haneda, The measure of a matrix as a tool to analyze computer algorithms for circuit analysis, IEEE Trans. Circuit
Theory 19, 1972.
Davydov, Jafarpour, Bullo, Non-Euclidean contraction theory for robust nonlinear stability, arXiv:2103.12263.
"""

# ruff: noqa: F821 (the names in the source that is copied are bound in the generated module)

from __future__ import annotations

import functools

import numpy as np

from . import codegen, explicit
from .rosenbrock_source import ELIMINATION_LANES

__all__ = ["integrate", "run"]

ITERATIONS = 60
SOLVED = 2e-15  # residual at which the iteration stops, relative to the terms of the equation
ENOUGH = 1e-9  # residual with which a step is accepted when rounding stops the iteration


class _ImplicitEuler:
    """The method in the form in which the driver takes its methods."""

    name, order, stages, error = "implicit_euler", 1, 2, None

    @staticmethod
    def dense():
        return np.array([[0.0], [1.0]])  # a straight line

    @staticmethod
    @functools.cache
    def attempt(single):
        return codegen.module(_HEAD + ELIMINATION_LANES, _attempt, _TAIL, tag="implicit_euler").attempt


_METHOD = _ImplicitEuler()


def integrate(block, y0, p, t0, t1, save, *, dt, **options):
    """Integrate every row of `y0` from `t0` to `t1` with steps `dt`.

    Parameters
    ----------
    block : BlockRHS
    y0 : ndarray, shape (batch, n)
    p : ndarray, shape (batch, npar)
    t0, t1 : float
        Different.
    save : ndarray, shape (k,)
    dt : float
    options
        As in :func:`dynet.engine.explicit.integrate`.

    Returns
    -------
    Solution
        Status ``nonfinite`` also where the equation of a step could not be solved.
    """
    n = block.n
    wider = block._replace(work_rows=block.work_rows + n * n + 5 * n + 5)
    lanes = options.pop("lanes", None) or min(len(y0), max(8, min(64, 4000 // n**2)))
    return explicit.integrate(wider, y0, p, t0, t1, save, _METHOD, dt=dt, lanes=lanes, **options)


def run(task):
    """The runner of the table of methods."""
    options = {k: v for k, v in task.options.items() if k not in ("scalars", "executor")}
    return integrate(
        task.model.block(task.signal), task.y0, task.p, task.t0, task.t1, task.save, dt=task.dt, rtol=task.rtol,
        atol=task.atol, max_steps=task.max_steps, threads=task.threads, monitor=task.monitor, **options,
    )  # fmt: skip


def _attempt(rhs, t, h, y, slopes, z, p, reals, ints, work, error, at, rtol, atol):
    work = bare(work)
    N, lanes = y.shape
    used = (work.shape[0] - N * N - 5 * N - 5) * lanes
    W, value = window(work, used, N * N, lanes), window(work, used + N * N * lanes, N, lanes)
    used += (N * N + N) * lanes
    base, direction = window(work, used, N, lanes), window(work, used + N * lanes, N, lanes)
    residual, probe = window(work, used + 2 * N * lanes, N, lanes), window(work, used + 3 * N * lanes, N, lanes)
    rows = window(work, used + 4 * N * lanes, 5, lanes)
    least, part, new, shortest, length = rows[0], rows[1], rows[2], rows[3], rows[4]
    slope = slopes[1]
    for q in range(lanes):
        at[q] = t[q] + h[q]
        least[q], shortest[q], part[q], error[q] = np.inf, np.inf, 1.0, 1.0  # error: 1 while the lane is at work
    for i in range(N):
        for q in range(lanes):
            z[i, q], base[i, q], direction[i, q] = y[i, q], y[i, q], 0.0
    for _ in range(ITERATIONS):
        rhs(at, z, p, reals, ints, work, slope)
        for q in range(lanes):
            new[q], length[q] = 0.0, 0.0
        for i in range(N):
            for q in range(lanes):
                change = h[q] * slope[i, q]
                r = z[i, q] - y[i, q] - change
                size = abs(r) / (abs(z[i, q]) + abs(y[i, q]) + abs(change) + atol)
                value[i, q] = r
                new[q] = size if not size <= new[q] else new[q]  # NaN stays
                length[q] = abs(r) if not abs(r) <= length[q] else length[q]
        busy = 0
        for q in range(lanes):
            if error[q] == 1.0:
                if new[q] <= SOLVED:
                    error[q] = 0.0
                elif (
                    length[q] < shortest[q]
                ):  # Newton's direction shortens the residual: go on from here with a new one
                    least[q], shortest[q], part[q] = new[q], length[q], 1.0
                    busy += 1
                    for i in range(N):
                        base[i, q], residual[i, q] = z[i, q], value[i, q]
                elif part[q] < 1e-3:  # rounding
                    error[q] = 0.0 if least[q] <= ENOUGH else np.inf
                    for i in range(N):
                        z[i, q] = base[i, q]
                else:
                    part[q] *= 0.5
                    busy += 1
        if busy == 0:
            break
        for i in range(N):
            for q in range(lanes):
                probe[i, q] = z[i, q]
        for j in range(N):
            for q in range(lanes):
                probe[j, q] = z[j, q] + max(1.5e-8 * max(abs(z[j, q]), abs(h[q] * slope[j, q])), 1e-10)
            rhs(at, probe, p, reals, ints, work, value)
            for i in range(N):
                for q in range(lanes):
                    W[i * N + j, q] = (slope[i, q] - value[i, q]) * (h[q] / (probe[j, q] - z[j, q]))
            for q in range(lanes):
                probe[j, q] = z[j, q]
        for i in range(N):
            for q in range(lanes):
                W[i * N + i, q] += 1.0
        eliminate(W, N)
        for i in range(N):
            for q in range(lanes):
                value[i, q] = residual[i, q]
        solve(W, value)
        for q in range(lanes):
            if error[q] == 1.0:
                for i in range(N):
                    if part[q] == 1.0:
                        direction[i, q] = value[i, q]
                    z[i, q] = base[i, q] - part[q] * direction[i, q]
    for q in range(lanes):
        if error[q] == 1.0:  # out of iterations
            error[q] = 0.0 if least[q] <= ENOUGH else np.inf
            for i in range(N):
                z[i, q] = base[i, q]
    for i in range(N):
        for q in range(lanes):
            slope[i, q] = (z[i, q] - y[i, q]) / h[q] if h[q] != 0.0 else 0.0
            error[q] += 0.0 * z[i, q]


_HEAD = """
import numpy as np
from numba import cfunc, njit
from dynet.engine.block import bare, window
from dynet.engine.implicit_euler import ENOUGH, ITERATIONS, SOLVED
from dynet.engine.stages import ATTEMPT

EXACT = {"nsz"}
"""

_TAIL = """
attempt = cfunc(ATTEMPT, cache=True, fastmath=EXACT, error_model="numpy")(_attempt)
"""
