r"""Integration of many trajectories at once: the Python side of the drivers.

The batch is cut into pieces, one for each thread. A piece owns the arrays in which the compiled loop keeps all that it
knows, so the loop can return between two steps, to have its notes collected or to be asked whether it should go on, and be
called again.
"""

from __future__ import annotations

import functools
import math
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from . import codegen, control, fused, stages, tableaus, team
from .drive import driver
from .events import PARTS
from .methods import Solution
from .pointers import portable

__all__ = ["Events", "Summary", "integrate", "run"]

FOREVER = 1 << 62
BETWEEN = 16384  # steps of all lanes between two looks at the clock
TASTE = 1000  # steps of one trajectory from which the work is estimated
NOTES = 4096  # dense steps and events that are noted before they are collected


class Summary(NamedTuple):
    """What is gathered at the save times instead of the states.

    Attributes
    ----------
    gauge : numba CFunc or None
        Of the signature of a right-hand side; writes `count` quantities.
    count : int
    reference : ndarray, shape (r, k, n)
        States at the save times from which distances are taken.
    """

    gauge: object
    count: int
    reference: np.ndarray


class Events(NamedTuple):
    """What is looked for within the steps.

    Attributes
    ----------
    watch : numba CFunc
        Of the signature of a right-hand side; writes one value per event.
    rules : ndarray of int64, shape (events, 3)
        Direction, the occurrence that ends the trajectory (0 for none), whether the state changes.
    change : numba CFunc or None
        Writes the new state; ``work[0, 0]`` is the number of the event.
    """

    watch: object
    rules: np.ndarray
    change: object


def run(task):
    """The runner of the table of methods."""
    options = dict(task.options)
    executor, scalars = options.pop("executor", None), options.pop("scalars", None)
    block, count = task.model.block(task.signal), len(task.y0)
    if scalars is not None and executor is None:
        executor = "fused" if _expected(block, task) > fused.WORTH and scalars() else "block"
    if executor == "fused":
        tableau = tableaus.TABLEAUS[task.method]
        noting = task.save.shape[-1] > 2
        options["fused"] = fused.Fused(
            scalars(), tableau if task.dt is None else tableau.fixed, block.n, task.p.shape[1], noting
        )
    solution = integrate(
        block, task.y0, task.p, task.t0, task.t1, task.save, task.method, rtol=task.rtol, atol=task.atol, dt=task.dt,
        max_steps=task.max_steps, threads=task.threads if count > 1 or block.split else 1, monitor=task.monitor, **options,
    )  # fmt: skip
    return solution._replace(executor="fused" if executor == "fused" else "block")


def _expected(block, task):
    """Steps of all trajectories together, as far as the beginning of the first one tells."""
    if task.dt is not None:
        return len(task.y0) * abs(task.t1 - task.t0) / task.dt
    if len(task.y0) < 4 * fused.LANES:
        return 0
    start = integrate(
        block, task.y0[:1], task.p[:1], task.t0, task.t1, np.empty(0), task.method, rtol=task.rtol, atol=task.atol,
        max_steps=min(task.max_steps, TASTE), lanes=fused.LANES,
    )  # fmt: skip
    share = abs(start.t_stop[0] - task.t0) / abs(task.t1 - task.t0)
    return len(task.y0) * (start.accepted[0] + start.rejected[0]) / max(share, 1e-12)


def integrate(
    block, y0, p, t0, t1, save, method="dopri5", *, rtol=1e-6, atol=1e-9, dt=None, max_steps=10_000_000, lanes=None,
    threads=1, monitor=None, summary=None, events=None, dense=False, halt_if_stiff=False, fused=None, checkpoint=None,
    callback=None,
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
        Times within them, in the direction of time, for all trajectories or for each.
    method : str or object
        A key of :data:`dynet.engine.tableaus.TABLEAUS`, or a method that makes its own ``attempt``.
    rtol, atol : float
    dt : float, optional
        The step of a fixed-step method; the last step is shortened to end at `t1`.
    max_steps : int
        Attempted steps of one trajectory.
    lanes : int, optional
        Trajectories side by side; by default as many as keep the working set in the near caches.
    threads : int
        The batch is cut into as many pieces.
    monitor : ndarray, shape (2,), optional
        The driver writes the fraction done into ``monitor[0]`` and stops when ``monitor[1]`` is not zero.
    summary : Summary, optional
        Gather, and keep no states.
    events : Events, optional
    dense : bool
        Note every step, for interpolation.
    halt_if_stiff : bool
        End a trajectory that is found to be stiff.
    fused : object, optional
        A step over lanes made for this right-hand side and method, see :mod:`dynet.engine.fused`.
    checkpoint : Checkpoint, optional
        Start from it if it is there, and store the run in it from time to time; not together with `dense` or `events`.
    callback : callable, optional
        ``callback(who, t, x)`` after every step of the lanes; the run stops when it returns True.

    Returns
    -------
    Solution
    """
    tableau = tableaus.TABLEAUS.get(method, method) if isinstance(method, str) else method
    if dt is not None and getattr(tableau, "fixed", None) is not None:
        tableau = tableau.fixed
    y0, p, save, reals = (np.require(a, float, "CW") for a in (y0, p, save, block.reals))
    batch, n = y0.shape
    shared = block.split and isinstance(tableau, tableaus.Tableau)
    crew = max(1, threads // batch) if shared else 0  # threads that work on one trajectory together
    ints = team.team_ints(block, crew) if shared else np.require(block.ints, np.int64, "CW")
    adaptive = tableau.error is not None
    assert n == block.n and n > 0 and p.shape[0] == batch and p.ndim == 2 and save.ndim in (1, 2), "shapes"
    assert t0 != t1 and (adaptive or dt > 0), "a span of time, a positive step"
    if shared:
        lanes = 1  # its states alone fill the caches
    elif lanes is None and block.lanes:
        lanes = 1 if batch == 1 else min(block.lanes, -(-batch // 8) * 8)  # whole vectors, some lanes may stay vacant
    elif lanes is None:
        lanes = min(batch, max(8, min(128, 1 << int(np.log2(max(1.0, 1500 / n))))))
    if fused is not None:
        lanes = fused.lanes
    k = save.shape[-1] if summary is None else 0
    quantities = 0 if summary is None else n + summary.count + len(summary.reference)
    solution = Solution(
        np.full((batch, k, n), np.nan), np.zeros(batch, np.int8), np.full(batch, float(t0)),
        np.zeros(batch, np.int64), np.zeros(batch, np.int64),
        summary=np.full((batch if quantities else 0, 4, quantities), np.nan),
        probes=np.zeros((batch, 2), np.int64),
        counts=np.zeros((batch, len(events.rules) if events else 0), np.int64),
    )  # fmt: skip
    if k:
        solution.x[:, 0] = np.where((save[..., 0] == t0)[..., None], y0, np.nan)
    monitor = np.zeros(2) if monitor is None else monitor
    numbers = np.zeros(control.NUMBERS)
    way = 1.0 if t1 > t0 else -1.0
    near, reach = _probe(tableau)
    numbers[:] = (
        t0,
        t1,
        rtol,
        atol,
        dt or 0.0,
        1.0 / tableau.order,
        batch,
        adaptive,
        way,
        reach,
        halt_if_stiff,
        0.0,
        max_steps,
        save.shape[1] if save.ndim == 2 else 0,
    )
    threads = max(1, min(threads, batch if shared else batch // 8)) if checkpoint is None and callback is None else 1
    ends = [batch * i // threads for i in range(threads + 1)]
    common = (block, tableau, reals, ints, crew, numbers, save, near, summary, events, dense, fused, max_steps)
    whole = fused is not None or (block.lanes and not shared)  # as many lanes as the function likes
    pieces = [
        _Piece(common, slice(a, b), min(lanes, b - a) if not whole else lanes, y0, p, solution, monitor)
        for a, b in zip(ends[:-1], ends[1:], strict=True)
    ]
    budget = 1 if callback is not None else FOREVER if checkpoint is None else BETWEEN
    stored = {}
    if checkpoint is not None:
        (piece,) = pieces  # one thread: a checkpoint is of one state
        stored = piece.knowledge() | {name: a for name, a in solution._asdict().items() if isinstance(a, np.ndarray)}
        facts = (numbers, y0, p, save, reals, portable(block.ints), tableau.name, block.function._pyfunc.__module__)
        checkpoint.begin(stored, facts)

    def work(piece):
        with team.team(*piece.team):
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
        monitor[0] = 1.0  # pieces on several threads add up to one only nearly
    notes = [piece.notes() for piece in pieces]
    return solution._replace(
        steps=joined([note[0] for note in notes]) if dense else None,
        hits=joined([note[1] for note in notes]) if events else None,
    )


@functools.cache
def _probe(tableau):
    """The row of a of a stage at the end of the step, other than the last, and how far the method is stable."""
    reach = getattr(tableau, "reach", 0.0) if tableau.error is not None else 0.0
    for s in range(tableau.stages - 2, 0, -1):
        if reach and abs(float(tableau.c[s]) - 1.0) < 1e-12:
            return np.array([float(a) for a in tableau.a[s]]), 0.9 * reach
    return np.empty(0), 0.0


@functools.cache
def _polynomials(tableau):
    return np.ascontiguousarray(tableau.dense())


def joined(parts):
    """Notes of all pieces, each a tuple of arrays, joined and sorted by trajectory and order of noting."""
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    who = columns[0] if columns[0].ndim == 1 else columns[0][:, 0]
    order = np.argsort(who, kind="stable")
    return tuple(column[order] for column in columns)


def _aligned(shape):
    """Zeros that start at a cache line: vector loads across two lines cost up to a quarter of the speed."""
    size = math.prod(shape)
    room = np.zeros(size + 8)
    first = -room.__array_interface__["data"][0] % 64 // 8
    return room[first : first + size].reshape(shape)


class _Piece:
    """A part of the batch, and the arrays in which the driver keeps its knowledge of it."""

    def __init__(self, common, part, lanes, y0, p, solution, monitor):
        block, tableau, reals, ints, crew, numbers, save, near, summary, events, dense, fused, max_steps = common
        ints = np.array(ints)  # with a meeting place of this piece alone
        self.part, self.monitor = part, monitor
        self.numbers = numbers = numbers.copy()
        n, npar, last = block.n, p.shape[1], tableau.stages - 1
        polynomials = _polynomials(tableau)
        self.sizes = np.array([lanes, max_steps, FOREVER, dense, last])
        self.ledger = np.zeros(control.LEDGER, np.int64)
        self.ledger[control.VACANT] = lanes
        self.states, self.slopes = _aligned((3, n, lanes)), _aligned((len(polynomials), n, lanes))
        rows = block.work_rows + max(0, crew - 1) * block.private_rows
        self.p, self.work = _aligned((npar, lanes)), _aligned((rows, lanes))
        self.marks = np.full((3, lanes), -1)
        # States, slopes and rows of the lanes, and what they were before the step: all that a fused step reads and writes.
        self.block = _aligned((3 * n + control.ROWS + 3, lanes))
        self.rows = self.block[2 * n : 2 * n + control.ROWS]
        self.rows[control.T], self.rows[control.GOAL] = numbers[control.N_T0], -np.inf
        count = summary.count if summary else 0
        spot = (np.zeros((n, 1)), np.zeros((npar, 1)), np.zeros((count, 1)), np.zeros((max(1, block.work_rows), 1)))
        m, room = len(events.rules) if events else 0, NOTES + 4 * lanes
        self.steps = np.zeros(room * dense, np.int64), np.zeros((room * dense, 3)), None
        self.steps = (*self.steps[:2], np.zeros((room * dense, polynomials.shape[1] + 1, n)))
        rules = np.ascontiguousarray(events.rules) if events else np.zeros((0, 3), np.int64)
        room = NOTES + PARTS * lanes * m if events else 0
        self.hits = np.zeros((room, 2), np.int64), np.zeros(room), np.zeros((room, n))
        rhs, single = block.function, lanes == 1
        attempt = team.attempt_of(tableau) if crew else stages.attempt_of(tableau, single)
        finish = stages.finish_of(tableau, single) if len(polynomials) > tableau.stages else None
        finish = finish or attempt  # never called
        gauge = summary.gauge if count else rhs
        reference = summary.reference if summary else np.zeros((0, 0, 0))
        batch = (solution.status, solution.t_stop, solution.accepted, solution.rejected, solution.probes)
        own = save if save.ndim == 1 else save[part].ravel()
        given = (reals, ints, y0[part], p[part], numbers, own, polynomials, near, self.sizes, self.ledger, monitor)
        kept = (
            *spot,
            np.zeros(1),
            solution.x[part],
            solution.summary[part],
            reference,
            *(field[part] for field in batch),
        )
        if fused:
            own = (self.block, self.states, self.slopes, self.p, self.work, self.marks)
            self.sizes[3] = fused.noting
            self.arguments = (fused.step(), attempt, finish, rhs, gauge, *given, *own, *kept)
            self.drive = fused.driver()
        else:
            own = (self.states, self.slopes, self.p, self.work, self.rows, self.marks)
            watch, change = (events.watch, events.change or rhs) if events else (rhs, rhs)
            room = (np.zeros((PARTS + 1, m, lanes)), np.zeros((m, 1)), np.zeros(m), np.zeros((n, 1)))
            looks = (*self.steps, rules, *room, solution.counts[part], *self.hits)
            self.arguments = (attempt, finish, rhs, gauge, watch, change, *given, *own, *kept, *looks)
            self.drive = driver(bool(events or summary or dense))
        place = self.rows[control.T], self.rows[control.H], self.states[0], self.slopes, self.states[1]
        self.team = tableau, max(1, crew), rhs, ints, *place, self.p, reals, ints, self.work
        self.collected = [], []

    def advance(self, budget):
        """Let the driver go on for so many steps of all lanes; 0 when all trajectories are at their end, 1 when not yet."""
        self.sizes[2] = budget
        result = codegen.direct(self.drive, self.arguments)
        for notes, field, kept in ((self.steps, control.RECORDS, 0), (self.hits, control.HITS, 1)):
            if self.ledger[field]:
                who = [column[: self.ledger[field]].copy() for column in notes]
                who[0][..., *([0] if who[0].ndim == 2 else [])] += self.part.start
                self.collected[kept].append(who)
                self.ledger[field] = 0
        return result

    def knowledge(self):
        """The arrays in which the driver keeps what it knows between two steps."""
        names = ("states", "slopes", "p", "block", "marks", "ledger", "numbers")
        return {f"piece_{name}": getattr(self, name) for name in names}

    def now(self):
        """Time and state of the trajectories that are under way, by trajectory."""
        owner = self.marks[control.OWNER]
        lanes = np.flatnonzero(owner >= 0)
        lanes = lanes[np.argsort(owner[lanes])]
        return owner[lanes] + self.part.start, self.rows[control.T, lanes].copy(), self.states[0][:, lanes].T.copy()

    def notes(self):
        """The dense steps and the events."""
        empty = [column[:0] for column in self.steps], [column[:0] for column in self.hits]
        return [
            tuple(np.concatenate(column) for column in zip(none, *parts, strict=True))
            for none, parts in zip(empty, self.collected, strict=True)
        ]
