"""A Lur'e field of any size: a tiled product with a fused update, one launch for each stage of a step.

A block computes a tile of derivatives, its threads a few each; the operand and the matrix pass through shared memory in
strips. What a Runge-Kutta step does with a derivative is done where it is computed: the sum over the stages and the next
stage's state are written, and nothing is read twice. The state of a stage is read by other blocks while the next one is
written, so it has two places.
"""

# The functions below are text for generated modules, which define the names that are undefined here.
# ruff: noqa: F821

from __future__ import annotations

import numpy as np

from ...errors import ArgumentError
from . import gather
from .device import guarded, launch, module, simulated
from .lure import Arrays, only_tensor, room
from .phi import source
from .plan import METHODS

__all__ = ["integrate", "kernels"]

#: Stage -> (weight in the sum, how far ahead the next stage's state lies, where its drive is in half steps).
STAGES = {
    "euler": ((1.0, 1.0, 0),),
    "heun": ((0.5, 1.0, 0), (0.5, 1.0, 2)),
    "rk4": ((1 / 6, 0.5, 0), (1 / 3, 0.5, 1), (1 / 3, 1.0, 1), (1 / 6, 1.0, 2)),
}


def kernels(place, activation, real):
    """``(stage, save, rows and columns of a tile, threads a side)``."""
    side, each, strip = (2, 2, 4) if simulated() else (16, 4, 16)
    head = (
        f"PLACE, SIDE, EACH, STRIP, TILE, WIDE = {place}, {side}, {each}, {strip}, {side * each}, {side * each + 1}\n"
    )
    built = module(source(activation, real), gather.SOURCE, head, _stage, _save,
                   "stage = kernel(_stage)\nsave = kernel(_save)\n", tag="tiled")  # fmt: skip
    return built.stage, built.save, side * each, side


def _stage(M, vectors, main, side, x, y, total, ahead_y, a, weight, ahead, at, opening):
    left = cuda.shared.array((STRIP, WIDE), _r)
    right = cuda.shared.array((STRIP, WIDE), _r)
    batch, n = x.shape
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    row0, column0 = cuda.blockIdx.y * TILE, cuda.blockIdx.x * TILE
    acc = cuda.local.array((EACH, EACH), _r)
    m_at = at if main.shape[1] > 1 else 0
    s_at = at if side.shape[1] > 1 else 0
    for i in range(EACH):
        for j in range(EACH):
            acc[i, j] = _r(0)
    for k0 in range(0, n, STRIP):
        for q in range(ty * SIDE + tx, STRIP * TILE, SIDE * SIDE):
            r, k = q // STRIP, k0 + q % STRIP
            value = _r(0)
            if row0 + r < batch and k < n:
                value = y[row0 + r, k]
                if PLACE == 1:
                    value = phi(vectors[2, k] * value + side[row0 + r if side.shape[0] > 1 else 0, s_at, k], a)
            left[q % STRIP, r] = value
            right[q % STRIP, r] = M[column0 + r, k] if column0 + r < n and k < n else _r(0)
        cuda.syncthreads()
        for k in range(STRIP):
            for i in range(EACH):
                for j in range(EACH):
                    acc[i, j] += left[k, ty * EACH + i] * right[k, tx * EACH + j]
        cuda.syncthreads()
    for i in range(EACH):
        row = row0 + ty * EACH + i
        for j in range(EACH):
            c = column0 + tx * EACH + j
            if row < batch and c < n:
                value = acc[i, j] + main[row if main.shape[0] > 1 else 0, m_at, c]
                beside = side[row if side.shape[0] > 1 else 0, s_at, c]
                if PLACE == 0:
                    value = vectors[0, c] * y[row, c] + vectors[1, c] * phi(value, a) + beside
                elif PLACE == 1:
                    value += vectors[0, c] * y[row, c]
                else:
                    value += vectors[1, c] * phi(vectors[2, c] * y[row, c] + beside, a)
                total[row, c] = (x[row, c] if opening else total[row, c]) + weight * value
                ahead_y[row, c] = x[row, c] + ahead * value


def _save(x, saved, halves, reference, out, sums, status, gathering, closing):
    batch, n = x.shape
    row = cuda.grid(1)
    if row < batch:
        for c in range(n):
            if gathering > 0:
                _gather(sums, row, c, x[row, c], saved, halves[saved])
            else:
                out[row, saved, c] = x[row, c]
        for q in range(gathering - 1):
            square = _r(0)
            for c in range(n):
                off = x[row, c] - reference[q, saved, c]
                square += off * off
            _gather(sums, row, n + q, _r(math.sqrt(square)), saved, halves[saved])
        if closing:
            for c in range(n):
                if not abs(x[row, c]) < _r(math.inf):
                    status[row] = 1


def integrate(call, timer=None):
    """See :func:`dynet.engine.cuda.lure.integrate`."""
    if call.real != call.precision:
        only_tensor(call)
    stage, save, tile, side = kernels(call.plan.place, call.plan.activation, call.real)
    batch, n = call.x0.shape
    grid, real = (-(-n // tile), -(-batch // tile)), np.dtype(call.real).type
    per_block = 8 if simulated() else 64
    lines = -(-batch // per_block)
    with guarded(room(call, extra=3)[1]):
        arrays = Arrays(call, call.plan.M, extra=3)
        try:
            if timer is not None:
                raise ArgumentError("timer", timer, "None: a run by tiles is many launches")
            x, y = arrays.x0, arrays.buffers.empty((batch, n), real)
            z, total = arrays.buffers.empty((batch, n), real), arrays.buffers.empty((batch, n), real)
            given = (arrays.matrix, arrays.vectors, arrays.main, arrays.side)
            marks = list(call.marks)
            kept = (arrays.halves, arrays.reference, arrays.out, arrays.sums, arrays.status, np.int32(call.quantities))
            for step in range(call.steps + 1):
                closing = step == call.steps
                if step in marks:
                    launch(save, lines, per_block)(x, np.int32(marks.index(step)), *kept, np.int32(closing))
                if closing:
                    break
                size = call.last if step == call.steps - 1 else call.dt
                now, after = x, y
                for number, (weight, ahead, half) in enumerate(STAGES[call.method]):
                    launch(stage, grid, (side, side))(
                        *given, x, now, total, after, real(call.plan.parameter), real(size * weight), real(size * ahead),
                        np.int32(2 * step + half), np.int32(number == 0),
                    )  # fmt: skip
                    now, after = after, (z if after is y else y)
                x, total = total, x
            return arrays.result(call, "cuda tiled")
        finally:
            arrays.buffers.close()


assert {name: len(rows) for name, rows in STAGES.items()} == METHODS
