r"""Numerical differentiation formulas of orders 1 to 5: stiff systems of many states.

With the backward differences :math:`\nabla^j y_{n+1}` of the past states at equal steps h, a step of order k solves

.. math::
   \sum_{j=1}^k \frac1j \nabla^j y_{n+1}
     - h f(t_{n+1}, y_{n+1}) - \kappa_k \gamma_k (y_{n+1} - y^{(0)}_{n+1}) = 0,
   \qquad \gamma_k = \sum_{j=1}^k \frac1j,

by a simplified Newton iteration from the extrapolation :math:`y^{(0)}`. Its matrix :math:`I - c J`, with
:math:`c = h / ((1 - \kappa_k)\gamma_k)`, is kept over many steps: it is eliminated again when c has changed by a third or
when Newton's method slows down, and only then, if that does not help, is the Jacobian evaluated again. A new step size
means new differences by interpolation. Jacobians are coloured differences, or the model's own where it has a compiled one,
eliminated on a fixed pattern (see :mod:`dynet.engine.sparse`).

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

from . import control, sparse
from .bdf_driver import K_BEGUN, K_T, K_WHO, KEPT, KRYLOV, driver
from .events import PARTS
from .explicit import BETWEEN, FOREVER, NOTES, joined
from .methods import Solution

__all__ = ["integrate", "run"]

PROBED = 3_000  # states up to which an unknown pattern is found by evaluating the field for each of them
FULL, SPARSE = 1_000, 50_000  # states up to which a full and a sparse Jacobian are eliminated


def integrate(
    block, y0, p, t0, t1, save, *, pattern=None, jacobian=None, linear="lu", rtol=1e-6, atol=1e-9, max_steps=10_000_000,
    threads=1, monitor=None, events=None, summary=None, dense=False, callback=None, checkpoint=None,
):  # fmt: skip
    """Integrate every row of `y0` from `t0` to `t1`.

    Parameters
    ----------
    block : BlockRHS
    y0 : ndarray, shape (batch, n)
    p : ndarray, shape (batch, npar)
    t0, t1 : float
        Different; backward in time when ``t1 < t0``.
    save : ndarray, shape (k,) or (batch, k)
        Times within them, in the direction of time.
    pattern : (rows, columns), optional
        Of the Jacobian, in compressed rows; probed when None.
    jacobian : numba CFunc, optional
        Writes the entries of the Jacobian on the pattern, which `block.ints` ends with; by differences when None.
    linear : str
        ``"lu"`` or ``"krylov"``.
    rtol, atol : float
    max_steps : int
        Attempted steps of one trajectory.
    threads : int
        The batch is cut into as many pieces.
    monitor : ndarray, shape (2,), optional
        The driver writes the fraction done into ``monitor[0]`` and stops when ``monitor[1]`` is not zero.
    events, summary, dense, callback, checkpoint
        As in :func:`dynet.engine.explicit.integrate`.

    Returns
    -------
    Solution
    """
    y0, p, save, reals = (np.require(a, float, "CW") for a in (y0, p, save, block.reals))
    ints = np.require(block.ints, np.int64, "CW")
    batch, n = y0.shape
    assert n == block.n and n > 0 and p.shape[0] == batch and p.ndim == 2 and save.ndim in (1, 2), "shapes"
    assert t0 != t1 and linear in ("lu", "krylov"), "a span of time, a known solver"
    if linear == "krylov":
        pattern = np.zeros(n + 1, np.int64), np.empty(0, np.int64)
    elif pattern is None:
        pattern = sparse.probe(block, p[0])
    structure = sparse.analyse(*pattern)
    k = 0 if summary is not None else save.shape[-1]
    quantities = 0 if summary is None else n + summary.count + len(summary.reference)
    solution = Solution(
        np.full((batch, k, n), np.nan), np.zeros(batch, np.int8), np.full(batch, float(t0)),
        np.zeros(batch, np.int64), np.zeros(batch, np.int64),
        summary=np.full((batch if quantities else 0, 4, quantities), np.nan),
        counts=np.zeros((batch, len(events.rules) if events else 0), np.int64), jacobians=np.zeros(batch, np.int64),
    )  # fmt: skip
    monitor = np.zeros(2) if monitor is None else monitor
    each = save.shape[1] if save.ndim == 2 else 0
    numbers = np.array([t0, t1, rtol, atol, batch, max_steps, linear == "krylov", jacobian is not None, each], float)
    threads = max(1, min(threads, batch)) if callback is None and checkpoint is None else 1
    ends = np.linspace(0, batch, threads + 1).astype(int)
    common = block, reals, ints, numbers, save, structure, jacobian, events, summary, dense
    pieces = [
        _Piece(common, slice(int(a), int(b)), y0, p, solution, monitor)
        for a, b in zip(ends[:-1], ends[1:], strict=True)
    ]
    budget, stored = 1 if callback is not None else FOREVER if checkpoint is None else max(1, BETWEEN // n), {}
    if checkpoint is not None:
        stored = pieces[0].knowledge() | {f: a for f, a in solution._asdict().items() if isinstance(a, np.ndarray)}
        checkpoint.begin(stored, (numbers, y0, p, save, reals, ints, "bdf", block.function._pyfunc.__module__))

    def work(piece):
        while piece.advance(budget) == 1:
            if callback is not None and callback(*piece.now()):
                monitor[1] = 1.0
            if checkpoint is not None:
                checkpoint.offer(stored)

    if threads == 1:
        work(pieces[0])
    else:
        with ThreadPoolExecutor(threads) as pool:
            try:
                list(pool.map(work, pieces))
            except BaseException:  # Ctrl-C in this thread: the others stop at their next step
                monitor[1] = 1.0
                raise
    if checkpoint is not None and monitor[1] == 0.0:
        checkpoint.end()
    if monitor[1] == 0.0:
        monitor[0] = 1.0
    how = "products with it, by differences" if linear == "krylov" else f"differences, {structure.colours} at once"
    return solution._replace(
        steps=joined([piece.notes(0) for piece in pieces]) if dense else None,
        hits=joined([piece.notes(1) for piece in pieces]) if events else None,
        jacobian="the model's own" if jacobian is not None else how,
    )


class _Piece:
    """A part of the batch, and the arrays in which the loop keeps its knowledge of it."""

    def __init__(self, common, part, y0, p, solution, monitor):
        block, reals, ints, numbers, save, structure, jacobian, events, summary, dense = common
        self.part, n, npar, rhs = part, block.n, p.shape[1], block.function
        inner, wide = max(1, block.work_rows), max(1, structure.colours if jacobian is None else 1)
        room = (2 * n + npar + inner + 1) * wide + (KRYLOV + 17) * n + structure.places.size + structure.columns.size
        room += inner + (KRYLOV + 5) * (KRYLOV + 2) + 18 * 6 + 6 * 64 + 1 + 2 * npar
        self.room, self.keep, self.ledger = np.zeros(room), np.zeros(KEPT), np.zeros(control.LEDGER, np.int64)
        self.sizes = np.array([inner, wide, FOREVER, dense])
        self.rows, self.marks = np.zeros((control.ROWS, 1)), np.full((3, 1), -1)
        m, count = len(events.rules) if events else 0, summary.count if summary else 0
        size = NOTES if dense else 0
        self.steps = np.zeros(size, np.int64), np.zeros((size, 3)), np.zeros((size, 6, n))
        size = NOTES + PARTS * m if events else 0
        self.hits = np.zeros((size, 2), np.int64), np.zeros(size), np.zeros((size, n))
        watched = dense or m or summary is not None
        watch, change = (events.watch, events.change or rhs) if events else (rhs, rhs)
        room = (
            np.zeros((4, n, 1)),
            np.zeros((5, n, 1)),
            np.eye(5),
            np.zeros((PARTS + 1, m, 1)),
            np.zeros((m, 1)),
            np.zeros(m),
        )
        self.arguments = (
            rhs, jacobian or rhs, summary.gauge if count else rhs, watch, change, reals, ints, y0[part], p[part], numbers,
            save if save.ndim == 1 else save[part].ravel(), *structure, self.room, self.keep, self.ledger, monitor,
            self.sizes, solution.x[part], solution.summary[part], summary.reference if summary else np.zeros((0, 0, 0)),
            *(field[part] for field in (*solution[1:5], solution.jacobians)), *self.steps,
            np.ascontiguousarray(events.rules) if events else np.zeros((0, 3), np.int64), self.rows, self.marks, *room,
            solution.counts[part], np.zeros((count, 1)), *self.hits,
        )  # fmt: skip
        self.drive = driver(bool(watched))
        self.collected = [], []

    def advance(self, budget):
        """Let the loop go on for so many attempts; 0 when all trajectories are at their end, 1 when not yet."""
        self.sizes[2] = budget
        result = self.drive(*self.arguments)
        for kept, notes, field in ((0, self.steps, control.RECORDS), (1, self.hits, control.HITS)):
            some = [column[: self.ledger[field]].copy() for column in notes]
            (some[0] if kept == 0 else some[0][:, 0])[:] += self.part.start
            self.collected[kept].append(some)
            self.ledger[field] = 0
        return result

    def knowledge(self):
        """The arrays in which the loop keeps what it knows between two steps."""
        return {f"piece_{name}": getattr(self, name) for name in ("room", "keep", "rows", "marks")}

    def now(self):
        """Time and state of the trajectory that is under way."""
        under_way = self.keep[K_BEGUN] == 2
        n, who = self.arguments[7].shape[1], int(self.keep[K_WHO]) + self.part.start
        return (
            np.array([who])[: int(under_way)], self.keep[K_T : K_T + 1].copy()[: int(under_way)],
            self.room[:n].copy()[None][: int(under_way)],
        )  # fmt: skip

    def notes(self, kind):
        """The dense steps (0) or the events (1)."""
        return tuple(np.concatenate(column) for column in zip(*self.collected[kind], strict=True))


def run(task):
    """The runner of the table of methods."""
    model, options = task.model, {k: v for k, v in task.options.items() if k not in ("scalars", "executor")}
    block, n, pattern, jacobian = model.block(task.signal), model.n, None, None
    if task.method == "bdf":
        code = model.jacobian_code() if n <= SPARSE else None
        if code is not None:
            jacobian, pattern, rows = code
            where = [block.ints, pattern[0], pattern[1], [len(block.ints)]]
            block = block._replace(ints=np.concatenate(where).astype(np.int64), work_rows=block.work_rows + rows)
        else:
            pattern = model.jacobian_pattern()
            if pattern is None and n <= PROBED:
                pattern = sparse.probe(block, task.p[0])
    eliminable = pattern is not None and (n <= FULL or (n <= SPARSE and pattern[1].size <= 40 * n))
    return integrate(
        block, task.y0, task.p, task.t0, task.t1, task.save, pattern=pattern if eliminable else None,
        jacobian=jacobian if eliminable else None, linear="lu" if eliminable else "krylov", rtol=task.rtol, atol=task.atol,
        max_steps=task.max_steps, threads=task.threads, monitor=task.monitor, **options,
    )  # fmt: skip
