"""Networks on the device: a thread for one node of one trajectory, which gathers over the edges of its row.

A launch is one stage of a step of fixed size for all nodes of all trajectories, since every node must have its new state
before any neighbour reads it. In memory the trajectory is the last axis: neighbouring threads work on neighbouring
trajectories of one node, follow the same edges and read neighbouring numbers. The update of the Runge-Kutta step is part
of the same launch, as in :mod:`.tiled`.
"""

from __future__ import annotations

import numpy as np

from ...errors import ArgumentError, Shown
from ..methods import Solution
from . import gather
from .device import Buffers, guarded, launch, module, properties, simulated
from .lure import finished
from .plan import METHODS, schedule
from .retype import HEAD, retyped
from .tiled import STAGES

__all__ = ["kernel_source", "prepare"]

_KERNEL = """
from numba import cuda
from dynet.engine.cuda.device import kernel

def stage(indptr, indices, weights, values, p, x, y, total, ahead_y, t, weight, ahead, opening):
    w = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    i = cuda.blockIdx.y * cuda.blockDim.y + cuda.threadIdx.y
    if w >= x.shape[1] or i >= {nodes}:
        return
    pw = w if p.shape[1] > 1 else 0
{own}
{zero}
    for e in range(indptr[i], indptr[i + 1]):
        j = indices[e]
        {results_edge} = _edge({own_names}{other}{edge_parameters})
{add}
    {results_node} = _node(t, {own_names}{sums}{node_parameters})
{update}

def save(x, saved, half, out, sums, status, gathering, closing):
    w = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    i = cuda.blockIdx.y * cuda.blockDim.y + cuda.threadIdx.y
    if w >= x.shape[1] or i >= x.shape[0]:
        return
    if gathering > 0:
        _gather(sums, i, w, x[i, w], saved, half)
    elif saved >= 0:
        out[saved, i, w] = x[i, w]
    if closing and not abs(x[i, w]) < _r(math.inf):
        status[w] = 1

stage = kernel(stage)
save = kernel(save)
"""


def kernel_source(form, real):
    """The text of a module with the kernels ``stage`` and ``save``."""
    d, c = form.dim, form.channels

    def place(kind, first):
        return {"shared": f"p[{first}, pw]", "node": f"p[{first} + i, pw]", "edge": f"values[{first}, e]"}[kind]

    def lines(texts, indent):
        return "\n".join(" " * indent + text for text in texts)

    update = []
    for k in range(d):
        update += [f"base{k} = x[i * {d} + {k}, w]",
                   f"total[i * {d} + {k}, w] = (base{k} if opening else total[i * {d} + {k}, w]) + weight * f{k}",
                   f"ahead_y[i * {d} + {k}, w] = base{k} + ahead * f{k}"]  # fmt: skip
    kernel = _KERNEL.format(
        nodes=form.nodes, own=lines([f"x{k} = y[i * {d} + {k}, w]" for k in range(d)], 4),
        zero=lines([f"s{k} = _r(0)" for k in range(c)], 4),
        results_edge=", ".join(f"g{k}" for k in range(c)) + ("," if c == 1 else ""),
        results_node=", ".join(f"f{k}" for k in range(d)) + ("," if d == 1 else ""),
        own_names=", ".join(f"x{k}" for k in range(d)), other="".join(f", y[j * {d} + {k}, w]" for k in range(d)),
        edge_parameters="".join(", " + place(*at) for at in form.edge_parameters),
        node_parameters="".join(", " + place(*at) for at in form.node_parameters),
        sums="".join(f", s{k}" for k in range(c)), add=lines([f"s{k} += weights[e] * g{k}" for k in range(c)], 8),
        update=lines(update, 4),
    )  # fmt: skip
    head = len(HEAD.format(real=real))
    summaries = gather.SOURCE.replace("sums[row, 1, q]", "sums[1, row, q]").replace(
        "sums[row, 2, q]", "sums[2, row, q]"
    )
    summaries = summaries.replace("sums[row, 3, q]", "sums[3, row, q]").replace("sums[row, 0, q]", "sums[0, row, q]")
    return retyped(form.edge, real) + retyped(form.node, real)[head:], summaries, kernel


def prepare(task, form, precision):
    """Check a task; return the function that runs it."""
    if task.method not in METHODS or task.dt is None:
        raise ArgumentError("method", task.method, "a method of fixed step, with dt=, for a network on device='cuda'",
                            choices=METHODS)  # fmt: skip
    steps, last, times, marks = schedule(task.t0, task.t1, task.dt, task.save)
    if steps > task.max_steps:
        raise ArgumentError("max_steps", task.max_steps, f"at least {steps}, the number of steps of dt={task.dt:g}")
    summary = task.options.get("summary")
    if summary is not None and (summary.count or len(summary.reference)):
        raise ArgumentError("summary", Shown("a function or a distance"), "last, min, max, mean or integral of the states "
                            "of a network on device='cuda'")  # fmt: skip
    return lambda: _run(task, form, precision, steps, last, times, list(marks))


def _run(task, form, precision, steps, last, times, marks):
    built = module(*kernel_source(form, precision), tag="network")
    (batch, n), k, gathering = task.y0.shape, len(task.save), task.options.get("summary") is not None
    real, size = np.dtype(precision), np.dtype(precision).itemsize
    same = bool((task.p == task.p[:1]).all())
    each = size * (n * (4 + (4 if gathering else k)) + (0 if same else task.p.shape[1])) + 8
    free = properties.free_bytes()
    advice = f"split the batch into parts of at most {max(1, batch // 2 if free is None else int(0.8 * free / each))}"
    halves = np.append(0.0, 0.5 * np.abs(np.diff(task.save)))
    with guarded(advice):
        room = Buffers(batch * each + 12 * len(form.indices), advice)
        try:
            x, p = room.put(task.y0.T, real), room.put(task.p[:1].T if same else task.p.T, real)
            total, y, z = (room.empty((n, batch), real) for _ in range(3))
            graph = (room.put(form.indptr), room.put(form.indices), room.put(form.weights, real),
                     room.put(form.edge_values.T, real), p)  # fmt: skip
            out = room.empty((1, 1, 1) if gathering else (k, n, batch), real)
            sums = room.empty((4, n, batch) if gathering else (1, 1, 1), real)
            status = room.empty((batch,), np.int32, fill=0)
            across, down = (2, 2) if simulated() else (32, 4) if batch >= 32 else (1, 128)
            nodes, states = ((-(-batch // across), -(-rows // down)) for rows in (form.nodes, n))
            step = np.copysign(task.dt, task.t1 - task.t0)
            for number in range(steps + 1):
                closing = number == steps
                if number in marks or closing:
                    saved = marks.index(number) if number in marks else -1
                    launch(built.save, states, (across, down))(
                        x, np.int32(saved), real.type(halves[saved]), out, sums, status,
                        np.int32(gathering and saved >= 0), np.int32(closing),
                    )  # fmt: skip
                if closing:
                    break
                h, now, after = last if number == steps - 1 else step, x, y
                for part, (weight, ahead, half) in enumerate(STAGES[task.method]):
                    launch(built.stage, nodes, (across, down))(
                        *graph, x, now, total, after, real.type(times[2 * number + half]), real.type(h * weight),
                        real.type(h * ahead), np.int32(part == 0),
                    )  # fmt: skip
                    now, after = after, (z if after is y else y)
                x, total = total, x
            found = (
                np.zeros((batch, 0, n)) if gathering else out.copy_to_host().transpose(2, 0, 1).astype(float, order="C")
            )
            gathered = sums.copy_to_host().transpose(2, 0, 1).astype(float, order="C") if gathering else None
            failed = status.copy_to_host().astype(bool)
        finally:
            room.close()
    solution = Solution(
        found, np.zeros(batch, np.int8), np.full(batch, float(task.t1)), np.full(batch, steps), np.zeros(batch, np.int64),
        summary=gathered, executor=f"cuda nodes ({precision})",
    )  # fmt: skip
    return finished(solution, task, failed)
