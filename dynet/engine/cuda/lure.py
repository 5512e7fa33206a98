r"""Lur'e fields on the device: checks, choice of the kernel, one launch, and the solution on the host.

========= ======================================================= ==========================================
kernel    when                                                    a launch is
========= ======================================================= ==========================================
tensor    n at most 128, a side drive that never changes          the whole run; products on tensor cores
portable  the matrix fits the shared memory; in the simulator     the whole run; float32 and float64
tiled     any other n                                             one stage: a product and a fused update
========= ======================================================= ==========================================
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...errors import ArgumentError, Shown, Status
from ..methods import Solution
from . import plan as plans
from .device import Buffers, guarded, launch, once, properties, simulated

__all__ = ["Call", "prepare"]

REAL = {"float32": "float32", "tf32": "float32", "bf16": "float32", "float64": "float64"}


class Call(NamedTuple):
    """One integration, ready for a kernel; arrays on the host in float64."""

    plan: plans.Plan
    method: str
    precision: str
    x0: np.ndarray
    main: np.ndarray
    side: np.ndarray
    dt: float
    last: float
    steps: int
    marks: np.ndarray
    halves: np.ndarray
    reference: np.ndarray
    gathering: bool

    @property
    def quantities(self):
        """1 and the number of reference trajectories where summaries are gathered, otherwise 0."""
        return 1 + len(self.reference) if self.gathering else 0

    @property
    def real(self):
        """The type of the arrays on the device."""
        return REAL[self.precision]


def prepare(task, form, precision):
    """Check a task; return the function that runs it."""
    if task.method not in plans.METHODS or task.dt is None:
        raise ArgumentError("method", task.method, "a method of fixed step, with dt=, for a Lur'e field on device='cuda'",
                            choices=plans.METHODS)  # fmt: skip
    plan = plans.plan(form)
    steps, last, times, marks = plans.schedule(task.t0, task.t1, task.dt, task.save)
    if steps > task.max_steps:
        raise ArgumentError("max_steps", task.max_steps, f"at least {steps}, the number of steps of dt={task.dt:g}")
    inputs, signal = None, task.signal
    if hasattr(signal, "first"):  # an input of its own for each trajectory, among its parameters
        inputs, signal = task.p[:, signal.first : signal.first + signal.size], None
    main, side = plans.drives(form, plan.place, signal, inputs, times)
    summary = task.options.get("summary")
    reference = np.zeros((0, 0, plan.n)) if summary is None else summary.reference
    if summary is not None and summary.count:
        raise ArgumentError("summary", Shown("a function"), "states, or distances from states, on device='cuda'")
    halves = np.append(0.0, 0.5 * np.abs(np.diff(task.save)))
    step = np.copysign(task.dt, task.t1 - task.t0)
    call = Call(plan, task.method, precision, task.y0, main, side, step, last, steps, marks, halves, reference,
                summary is not None)  # fmt: skip
    return lambda: _run(task, call)


def _run(task, call):
    x, sums, failed, executor = integrate(call)
    batch = len(call.x0)
    solution = Solution(
        x, np.zeros(batch, np.int8), np.full(batch, float(task.t1)), np.full(batch, call.steps), np.zeros(batch, np.int64),
        summary=sums, executor=executor,
    )  # fmt: skip
    return finished(solution, task, failed)


def finished(solution, task, failed):
    """Statuses and stopping times of trajectories that left the finite numbers; their later states are NaN."""
    rows = np.flatnonzero(failed)
    solution.status[rows] = Status.NONFINITE
    for row in rows:
        bad = ~np.isfinite(solution.x[row]).all(axis=1)
        first = int(np.argmax(bad)) if bad.any() else len(bad)
        solution.x[row, first:] = np.nan
        solution.t_stop[row] = task.save[first - 1] if first else task.t0
    return solution


def integrate(call, timer=None):
    """States (batch, k, n) or None-sized, sums, which rows failed, and the name of the kernel.

    `timer`, where it is given, is called with the function that launches the kernel, instead of that function.
    """
    for choice in (_tensor, _portable, _tiled):
        found = choice(call, timer)
        if found is not None:
            return found
    raise AssertionError("the tiled kernel takes everything")


def advice(call, bytes_each):
    """How to use less memory, in words."""
    free = properties.free_bytes()
    rows = len(call.x0) // 2 if free is None else int(0.8 * free / max(1, bytes_each))
    return (f"split the batch, such as [dn.simulate(model, x0[i:i + {max(1, rows)}], ...) for i in range(0, len(x0), "
            f"{max(1, rows)})], or save fewer times")  # fmt: skip


def room(call, extra=0):
    """Bytes on the device, and the words that say how to use fewer."""
    size = 8 if call.real == "float64" else 4
    batch, n = call.x0.shape
    k = 5 + 4 * len(call.reference) if call.gathering else len(call.marks)
    each = size * n * (1 + k + extra) + 4
    each += size * sum(d.shape[1] * n for d in (call.main, call.side) if d.shape[0] > 1)
    return batch * each + size * (n * n + sum(d.size for d in (call.main, call.side))), advice(call, each)


class Arrays:
    """What every kernel gets, on the device, in the order of its arguments."""

    def __init__(self, call, matrix, extra=0, poison=False):
        real, (batch, n) = call.real, call.x0.shape
        needed, words = room(call, extra)
        self.buffers = put = Buffers(needed, words)
        self.words = words
        self.matrix = put.put(matrix, real)
        self.vectors = put.put(np.array([call.plan.e, call.plan.f, call.plan.g]), real)
        self.main, self.side, self.x0 = put.put(call.main, real), put.put(call.side, real), put.put(call.x0, real)
        self.marks, self.halves = put.put(call.marks, np.int32), put.put(call.halves, real)
        self.reference = put.put(call.reference, real)
        k = 1 if call.gathering else len(call.marks)  # summaries on tensor cores go through one snapshot
        self.out = put.empty((batch, k, n), real, np.nan if poison else None)  # to see what was not written
        q = n + len(call.reference)
        self.sums = put.empty((batch if call.gathering else 1, 4, q), real)
        self.status = put.empty((batch,), np.int32, fill=0)

    def result(self, call, name):
        """Copies on the host."""
        batch, n = call.x0.shape
        failed = self.status.copy_to_host().astype(bool)
        x = np.empty((batch, 0, n)) if call.gathering else self.out.copy_to_host().astype(float)
        sums = self.sums.copy_to_host().astype(float) if call.gathering else None
        return x, sums, failed, name


def _portable(call, timer):
    from . import portable

    if call.real != call.precision:
        only_tensor(call)
    if not portable.fits(call.plan.n, call.real):
        return None
    solve, blocks, threads, shared = portable.integrator(call.plan, call.method, call.real)
    return _launch(call, call.plan.M, solve, blocks(len(call.x0)), threads, shared, "cuda portable", timer)


def _launch(call, matrix, solve, blocks, threads, shared, name, timer):
    real = np.dtype(call.real).type
    with guarded(room(call)[1]):
        arrays = Arrays(call, matrix, poison=timer is not None)
        try:
            given = (
                arrays.matrix, arrays.vectors, arrays.main, arrays.side, arrays.x0, real(call.plan.parameter),
                real(call.dt), real(call.last), np.int32(call.steps), arrays.marks, arrays.halves, arrays.reference,
                arrays.out, arrays.sums, arrays.status, np.int32(call.quantities),
            )  # fmt: skip
            once(lambda: launch(solve, blocks, threads, shared)(*given), timer)
            return arrays.result(call, name)
        finally:
            arrays.buffers.close()


def only_tensor(call):
    """Say why tf32 and bf16 cannot be had here."""
    why = "in the simulator" if simulated() else f"for n={call.plan.n} and {call.plan.activation}, with this input"
    raise ArgumentError("precision", call.precision, f"'float32' or 'float64' {why}: see docs/cuda.md")


def _tensor(call, timer):
    from . import fragments, tensor

    if simulated() or not tensor.fits(call):
        return None
    solve, blocks, threads, shared = tensor.integrator(call)
    packed = fragments.weights(call.plan.M, fragments.MODES[call.precision])
    return _launch(call, packed, solve, blocks, threads, shared, f"cuda tensor ({call.precision})", timer)


def _tiled(call, timer):
    from . import tiled

    return tiled.integrate(call, timer)
