r"""Numerical differentiation formulas of orders 1 to 5: stiff systems of many states.

With the backward differences :math:`\nabla^j y_{n+1}` of the past states at equal steps h, a step of order k solves

.. math::
   \sum_{j=1}^k \frac1j \nabla^j y_{n+1}
     - h f(t_{n+1}, y_{n+1}) - \kappa_k \gamma_k (y_{n+1} - y^{(0)}_{n+1}) = 0,
   \qquad \gamma_k = \sum_{j=1}^k \frac1j,

by a simplified Newton iteration from the extrapolation :math:`y^{(0)}`. Its matrix :math:`I - c J`, with
:math:`c = h / ((1 - \kappa_k)\gamma_k)`, is kept over many steps: it is eliminated again when c has changed by a third or
when Newton's method slows down, and only then, if that does not help, is the Jacobian evaluated again. A new step size
means new differences by interpolation. Jacobians are coloured differences, eliminated on a fixed pattern (see
:mod:`dynet.engine.sparse`).

For systems whose Jacobian is too large or too full to be eliminated, the linear systems may be solved by GMRES
instead, with products J v made of differences (Brown, Hindmarsh, below).

References
----------
Shampine, Reichelt, The MATLAB ODE suite, SIAM J. Sci. Comput. 18, 1997 (the formulas, kappa, change of step).
Hairer, Wanner, Solving Ordinary Differential Equations II, second edition, 1996, section IV.8 (stopping Newton's method).
Brown, Hindmarsh, Matrix-free methods for stiff systems of ODE's, SIAM J. Numer. Anal. 23, 1986.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from . import sparse
from .bdf_driver import KRYLOV, driver
from .methods import Solution

__all__ = ["integrate", "run"]


def integrate(
    block, y0, p, t0, t1, save, *, pattern=None, linear="lu", rtol=1e-6, atol=1e-9, max_steps=10_000_000, threads=1,
    monitor=None,
):  # fmt: skip
    """Integrate every row of `y0` from `t0` to `t1`.

    Parameters
    ----------
    block : BlockRHS
    y0 : ndarray, shape (batch, n)
    p : ndarray, shape (batch, npar)
    t0, t1 : float
        Different; backward in time when ``t1 < t0``.
    save : ndarray, shape (k,)
        Times within them, in the direction of time.
    pattern : (rows, columns), optional
        Of the Jacobian, in compressed rows; probed when None.
    linear : str
        ``"lu"`` or ``"krylov"``.
    rtol, atol : float
    max_steps : int
        Attempted steps of one trajectory.
    threads : int
        The batch is cut into as many pieces.
    monitor : ndarray, shape (2,), optional
        The driver writes the fraction done into ``monitor[0]`` and stops when ``monitor[1]`` is not zero.

    Returns
    -------
    Solution
    """
    y0, p, save, reals = (np.require(a, float, "CW") for a in (y0, p, save, block.reals))
    ints = np.require(block.ints, np.int64, "CW")
    batch, n = y0.shape
    assert n == block.n and n > 0 and p.shape[0] == batch and p.ndim == 2 and save.ndim == 1, "shapes"
    assert t0 != t1 and linear in ("lu", "krylov"), "a span of time, a known solver"
    if linear == "krylov":
        pattern = np.zeros(n + 1, np.int64), np.empty(0, np.int64)
    elif pattern is None:
        pattern = sparse.probe(block, p[0])
    structure = sparse.analyse(*pattern)
    wide = max(1, structure.colours)
    solution = Solution(
        np.full((batch, save.size, n), np.nan), np.zeros(batch, np.int8), np.full(batch, float(t0)),
        np.zeros(batch, np.int64), np.zeros(batch, np.int64),
    )  # fmt: skip
    monitor = np.zeros(2) if monitor is None else monitor
    numbers = np.array([t0, t1, rtol, atol, float(batch), max_steps, float(linear == "krylov")])

    def piece(part):
        room = (2 * n + p.shape[1] + block.work_rows + 1) * wide + (KRYLOV + 17) * n + structure.places.size
        room += (
            structure.columns.size + block.work_rows + (KRYLOV + 5) * (KRYLOV + 2) + 18 * 6 + 6 * 64 + 1 + p.shape[1]
        )
        driver()(
            block.function, reals, ints, y0[part], p[part], numbers, save, *structure, np.zeros(room), monitor,
            np.array([block.work_rows, wide]), *(field[part] for field in solution[:5]),
        )  # fmt: skip

    threads = max(1, min(threads, batch))
    ends = np.linspace(0, batch, threads + 1).astype(int)
    pieces = [slice(int(a), int(b)) for a, b in zip(ends[:-1], ends[1:], strict=True)]
    if threads == 1:
        piece(pieces[0])
    else:
        with ThreadPoolExecutor(threads) as pool:
            try:
                list(pool.map(piece, pieces))
            except BaseException:  # Ctrl-C in this thread: the others stop at their next step
                monitor[1] = 1.0
                raise
    if monitor[1] == 0.0:
        monitor[0] = 1.0
    return solution


def run(task):
    """The runner of the table of methods; knows the options ``pattern`` and ``linear``."""
    return integrate(
        task.model.block(task.signal), task.y0, task.p, task.t0, task.t1, task.save, rtol=task.rtol, atol=task.atol,
        max_steps=task.max_steps, threads=task.threads, monitor=task.monitor, **task.options,
    )  # fmt: skip
