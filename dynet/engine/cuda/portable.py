"""A Lur'e field in plain Numba: a block of threads on a tile of trajectories, all steps in one launch.

The matrix and the operand of its product lie in shared memory; each thread holds a small tile of states, of the sum over
the stages and of the stage's state in registers. This kernel runs in float32 and float64, on any device and in the
simulator; where the tensor cores can be used, :mod:`.tensor` takes its place.
"""

# The functions below are text for generated modules, which define the names that are undefined here.
# ruff: noqa: F821

from __future__ import annotations

from . import gather
from .device import module, properties, simulated
from .phi import source
from .plan import METHODS

__all__ = ["fits", "integrator"]


def _shape(n):
    """Trajectories of a block, and rows and columns of a thread's tile."""
    return (4, 2, 4) if simulated() else (64, 4, 8)


def _bytes(n, real):
    tile, _, columns = _shape(n)
    padded = -(-n // columns) * columns
    return (n * padded + n * (tile + 4)) * (8 if real == "float64" else 4)


def fits(n, real):
    """Whether the matrix and a tile of states fit the shared memory of one block, and their threads one block."""
    tile, rows, columns = _shape(n)
    return _bytes(n, real) <= properties.shared_bytes() and -(-n // columns) * (tile // rows) <= 1024


def integrator(plan, method, real):
    """``(kernel, blocks, threads, bytes of shared memory)`` for a :class:`~.plan.Plan`; `blocks` is a function of the batch."""
    tile, rows, columns = _shape(plan.n)
    padded = -(-plan.n // columns) * columns
    head = f"""
N, NP, TT, RT, RN, LD = {plan.n}, {padded}, {tile}, {rows}, {columns}, {tile + 4}
CN, THREADS, PLACE, STAGES = {padded // columns}, {padded // columns * (tile // rows)}, {plan.place}, {METHODS[method]}
"""
    built = module(source(plan.activation, real), gather.SOURCE, head, "@inlined", _rate, _solve, "solve = kernel(_solve)\n",
                   tag="portable")  # fmt: skip
    return built.solve, (lambda batch: -(-batch // tile)), padded // columns * (tile // rows), _bytes(plan.n, real)


def _rate(total, y, e, f, g, side, a):
    """The derivative of one state from the product; the main drive is in `total`."""
    if PLACE == 0:
        return e * y + f * phi(total, a) + side
    if PLACE == 1:
        return total + e * y
    return total + f * phi(g * y + side, a)


def _solve(M, vectors, main, side, x0, a, h, last, steps, marks, halves, reference, out, sums, status, gathering):
    s = cuda.shared.array(0, _r)
    tid = cuda.threadIdx.x
    batch = x0.shape[0]
    first = cuda.blockIdx.x * TT
    for i in range(tid, N * NP, THREADS):
        k = i // NP
        c = i - k * NP
        s[i] = M[c, k] if c < N else _r(0)
    z0 = N * NP
    c0, q0 = (tid % CN) * RN, (tid // CN) * RT
    x = cuda.local.array((RT, RN), _r)
    y = cuda.local.array((RT, RN), _r)
    total = cuda.local.array((RT, RN), _r)
    acc = cuda.local.array((RT, RN), _r)
    column = cuda.local.array(RN, _r)
    operand = cuda.local.array(RT, _r)
    for i in range(RT):
        for j in range(RN):
            row = min(first + q0 + i, batch - 1)
            x[i, j] = x0[row, c0 + j] if c0 + j < N else _r(0)
    saved = 0
    for step in range(steps + 1):
        if saved < marks.size and marks[saved] == step:
            if gathering > 1:  # distances need whole states
                cuda.syncthreads()
                for i in range(RT):
                    for j in range(RN):
                        if c0 + j < N:
                            s[z0 + (c0 + j) * LD + q0 + i] = x[i, j]
                cuda.syncthreads()
                for i in range(tid, TT * (gathering - 1), THREADS):
                    r = i % TT
                    q = i // TT
                    if first + r < batch:
                        square = _r(0)
                        for k in range(N):
                            off = s[z0 + k * LD + r] - reference[q, saved, k]
                            square += off * off
                        _gather(sums, first + r, N + q, _r(math.sqrt(square)), saved, halves[saved])
                cuda.syncthreads()
            for i in range(RT):
                row = first + q0 + i
                for j in range(RN):
                    if row < batch and c0 + j < N:
                        if gathering > 0:
                            _gather(sums, row, c0 + j, x[i, j], saved, halves[saved])
                        else:
                            out[row, saved, c0 + j] = x[i, j]
            saved += 1
        if step == steps:
            break
        size = last if step == steps - 1 else h
        for i in range(RT):
            for j in range(RN):
                y[i, j] = x[i, j]
                total[i, j] = x[i, j]
        for stage in range(STAGES):
            at = 2 * step
            if STAGES == 2:
                at += 2 * stage
            elif STAGES == 4:
                at += (stage + 1) // 2
            m_at = at if main.shape[1] > 1 else 0
            s_at = at if side.shape[1] > 1 else 0
            cuda.syncthreads()
            for i in range(RT):
                row = min(first + q0 + i, batch - 1)
                s_row = row if side.shape[0] > 1 else 0
                for j in range(RN):
                    if c0 + j < N:
                        value = y[i, j]
                        if PLACE == 1:
                            value = phi(vectors[2, c0 + j] * value + side[s_row, s_at, c0 + j], a)
                        s[z0 + (c0 + j) * LD + q0 + i] = value
            cuda.syncthreads()
            for i in range(RT):
                row = min(first + q0 + i, batch - 1)
                m_row = row if main.shape[0] > 1 else 0
                for j in range(RN):
                    acc[i, j] = main[m_row, m_at, c0 + j] if c0 + j < N else _r(0)
            for k in range(N):
                for j in range(RN):
                    column[j] = s[k * NP + c0 + j]
                for i in range(RT):
                    operand[i] = s[z0 + k * LD + q0 + i]
                for i in range(RT):
                    for j in range(RN):
                        acc[i, j] += operand[i] * column[j]
            weight = size
            ahead = size
            if STAGES == 2:
                weight = size * _r(0.5)
            elif STAGES == 4:
                weight = size * (_r(1.0 / 6.0) if stage == 0 or stage == 3 else _r(1.0 / 3.0))
                ahead = size if stage == 2 else size * _r(0.5)
            for i in range(RT):
                row = min(first + q0 + i, batch - 1)
                s_row = row if side.shape[0] > 1 else 0
                for j in range(RN):
                    if c0 + j < N:
                        e, f, g = vectors[0, c0 + j], vectors[1, c0 + j], vectors[2, c0 + j]
                        rate = _rate(acc[i, j], y[i, j], e, f, g, side[s_row, s_at, c0 + j], a)
                        total[i, j] += weight * rate
                        y[i, j] = x[i, j] + ahead * rate
        for i in range(RT):
            for j in range(RN):
                x[i, j] = total[i, j]
    for i in range(RT):
        row = first + q0 + i
        for j in range(RN):
            if row < batch and c0 + j < N and not abs(x[i, j]) < _r(math.inf):
                status[row] = 1
