r"""Many trajectories of a small system: a thread integrates one, with its own step and status, its state in registers.

The kernel is text, generated from a tableau and from the user's function of scalars, which becomes a device function. Constants
of the method stand in it as numbers; parameters, tolerances and save times are data. The step-size controller is the one of
:mod:`dynet.engine.control`. Times are float64 in every precision, because they are sums of many steps. In memory the
trajectory is the last axis, so that neighbouring threads read neighbouring numbers.

Errors of float32 limit the tolerance: a relative one below 1e-5 leads to steps that rounding rejects.
"""

from __future__ import annotations

import numpy as np

from ...errors import ArgumentError, Shown
from ..control import FORCED_LIMIT, N_ATOL, N_DT, N_RTOL, N_T0, N_T1, NUMBERS
from ..methods import Solution
from ..tableaus import TABLEAUS
from . import gather
from .device import Buffers, guarded, launch, module, once, properties, simulated
from .retype import retyped

__all__ = ["LARGEST", "METHODS", "integrate", "kernel_source", "prepare"]

LARGEST = 24  # states: with more, stages no longer fit the registers of a thread
METHODS = ("dopri5", "tsit5", "bs32", "heun", "rk4", "euler")
LEAST_RTOL = {"float32": 1e-6, "float64": 1e-13}
REGISTERS = 32  # parameters that are kept in registers

_KERNEL = """
from numba import cuda
from dynet.engine.cuda.device import kernel

@inlined
def _f(t, x, p, i, dx):
    {results} = _field(t, {states}{parameters})

def solve(y0, p, save, halves, numbers, max_steps, reference, gathering, out, sums, t_stop, accepted, rejected, status):
    i = cuda.grid(1)
    if i >= y0.shape[1]:
        return
    t0, t1, rtol, atol, dt = numbers[{N_T0}], numbers[{N_T1}], _r(numbers[{N_RTOL}]), _r(numbers[{N_ATOL}]), numbers[{N_DT}]
    way = 1.0 if t1 > t0 else -1.0
    pi = i if p.shape[1] > 1 else 0
    y = cuda.local.array({n}, _r)
    z = cuda.local.array({n}, _r)
    q = cuda.local.array({q}, _r)
{arrays}
    for j in range({q}):
        q[j] = p[j, pi] if j < p.shape[0] else _r(0)
    for j in range({n}):
        y[j] = y0[j, i]
    t = t0
    saved = 0
    taken = 0
    tries = 0
    forced = 0
    end = -1
    memory = _r({floor})
    _f(_r(t), y, {given}, k0)
    if {adaptive}:
        size = _r(0)
        speed = _r(0)
        for j in range({n}):
            scale = atol + rtol * abs(y[j])
            size += (y[j] / scale) * (y[j] / scale)
            speed += (k0[j] / scale) * (k0[j] / scale)
        step = 1e-6
        if size > _r(1e-10) and speed > _r(1e-10):
            step = 0.01 * math.sqrt(float(size / speed))
        if not step < way * (t1 - t0):
            step = way * (t1 - t0)
        h = way * step
    else:
        h = way * dt
    while end < 0:
        goal = t + h
        if not {adaptive}:
            goal = t0 + way * (taken + 1.0) * dt
        final = way * (t1 - goal) <= 1e-9 * abs(h)
        if {adaptive}:
            final = way * goal >= way * t1
        if final:
            h = t1 - t
            goal = t1
        if saved < save.size and save[saved] == t0 and tries == 0:
            {save_y}
            saved += 1
        hr = _r(h)
{stages}
        e = _r(0)
        good = True
        for j in range({n}):
{error}
            if not abs(z[j]) < _r(math.inf):
                good = False
        level = _r(0)
        if {adaptive}:
            e = e / _r({n})
            level = _r(0.5) * _r(math.log(e + _r(1e-30))) * _r(1.4426950408889634)
            if not e <= _r(1) and forced == 0:
                good = False
        tries += 1
        if good:
            while forced == 0 and saved < save.size and way * save[saved] <= way * goal:
                if save[saved] == goal:
                    {save_z}
                else:
                    theta = _r((save[saved] - t) / h)
{weights}
                    for j in range({n}):
                        w = y[j] + hr * ({combination})
                        {save_w}
                    {distances_w}
                saved += 1
            if forced == 0:
                t = goal
            taken += 1
            for j in range({n}):
                y[j] = z[j]
                k0[j] = k{last}[j]
            if final and forced == 0:
                end = {OK}
        elif not {adaptive}:
            end = {NONFINITE}
        if {adaptive} and forced > 0:  # at the rounding limit: does the solution explode, or is it only stuck?
            if not good:
                end = {NONFINITE}
            elif forced > {FORCED}:
                end = {STEP_UNDERFLOW}
            forced += 1
        elif {adaptive}:
            power = -level * _r({inverse})
            if good:
                power = _r({inverse}) * (_r(0.2) * memory - _r(0.85) * level)
                memory = max(level, _r({floor}))
            if not power < _r({most}):
                power = _r({most}) if power > _r(0) else _r({least})
            power = max(power, _r({least}))
            h *= float(_r(0.9) * _r(math.exp(power * _r(0.6931471805599453))))
            if end < 0 and not abs(h) > {rounding} * abs(t):
                forced = 1
                h = way * {rounding} * max(abs(t), 1e-280)
        if end < 0 and tries >= max_steps:
            end = {MAX_STEPS}
    t_stop[i] = t
    accepted[i] = taken
    rejected[i] = tries - taken
    status[i] = end

solve = kernel(solve)
"""


def kernel_source(form, tableau, real, adaptive, gathering, references):
    """The text of a module with a kernel ``solve``; whether summaries are gathered, and of how many distances, is in it."""
    n, a, last = form.n, tableau.a, tableau.stages - 1
    q = form.parameters if 0 < form.parameters <= REGISTERS else 1
    given = "q, 0" if form.parameters <= REGISTERS else "p, pi"
    row = "p[{}]" if form.parameters <= REGISTERS else "p[{}, i]"

    def total(weights, names):
        return " + ".join(f"_r({float(w)!r}) * {name}" for w, name in zip(weights, names, strict=False) if w) or "_r(0)"

    slopes = [f"k{s}[j]" for s in range(tableau.stages)]
    stages = []
    for s in range(1, last + 1):
        target = "z"
        stages += [f"for j in range({n}):", f"    {target}[j] = y[j] + hr * ({total(a[s], slopes)})",
                   f"_f(_r(t + {float(tableau.c[s])!r} * h), z, {given}, k{s})"]  # fmt: skip
    error = []
    if adaptive:
        error = [f"d = hr * ({total(tableau.error, slopes)})",
                 "d = d / (atol + rtol * max(abs(y[j]), abs(z[j])))", "e += d * d"]  # fmt: skip
    dense = tableau.dense()
    weights = []
    for s, row_of in enumerate(dense):
        text = "_r(0)"
        for coefficient in row_of[::-1]:
            text = f"({text} + _r({float(coefficient)!r})) * theta"
        weights.append(f"b{s} = {text}")
    combination = " + ".join(f"b{s} * k{s}[j]" for s in range(len(dense)))

    def keep(value, loop):
        entry = f"_gather(sums, i, j, {value}, saved, halves[saved])" if gathering else f"out[saved, j, i] = {value}"
        if not loop:
            return entry
        text = f"for j in range({n}): {entry}"
        if references:
            text += f"\n{{indent}}_distances(sums, i, {value.partition('[')[0]}, reference, saved, halves[saved])"
        return text

    def block(lines, indent):
        return "\n".join(" " * indent + line for line in lines)

    if references:  # the interpolated state is needed as a whole
        interpolated = "z2[j] = w"
        after = f"for j in range({n}): {keep('z2[j]', False)}\n{' ' * 20}"
        after += "_distances(sums, i, z2, reference, saved, halves[saved])"
    else:
        interpolated, after = keep("w", False), "pass"
    arrays = [f"k{s} = cuda.local.array({n}, _r)" for s in range(tableau.stages)]
    arrays += [f"z2 = cuda.local.array({n}, _r)"] if references else []
    source = _KERNEL.format(
        results=", ".join(f"dx[{j}]" for j in range(n)) + ("," if n == 1 else ""),
        states=", ".join(f"x[{j}]" for j in range(n)),
        parameters="".join(", " + row.format(j) for j in range(form.parameters)),
        n=n, q=q, given=given, last=last, adaptive=adaptive, arrays=block(arrays, 4), stages=block(stages, 8),
        error=block(error, 12), weights=block(weights, 20), combination=combination,
        save_y=keep("y[j]", True).format(indent=" " * 12), save_z=keep("z[j]", True).format(indent=" " * 20),
        save_w=interpolated, distances_w=after, inverse=1.0 / tableau.order, floor=-13.3, most=3.4739311883324127,
        least=-2.1699250014423126, rounding=4e-15 if real == "float64" else 2e-7, OK=0, NONFINITE=1, MAX_STEPS=2,
        STEP_UNDERFLOW=3, FORCED=FORCED_LIMIT, N_T0=N_T0, N_T1=N_T1, N_RTOL=N_RTOL, N_ATOL=N_ATOL, N_DT=N_DT,
    )  # fmt: skip
    gauge = gather.SOURCE.replace("sums[row, ", "sums[q, ").replace(", q]", ", row]") if gathering else ""
    distances = _DISTANCES if references else ""
    return retyped(form.source, real), gauge, distances, source


_DISTANCES = """
@inlined
def _distances(sums, i, x, reference, saved, half):
    for r in range(reference.shape[0]):
        square = _r(0)
        for j in range(reference.shape[2]):
            square += (x[j] - reference[r, saved, j]) * (x[j] - reference[r, saved, j])
        _gather(sums, i, reference.shape[2] + r, _r(math.sqrt(square)), saved, half)
"""


def prepare(task, form, precision):
    """Check a task; return the function that runs it."""
    if task.method not in METHODS:
        raise ArgumentError("method", task.method, "a method for functions on device='cuda'", choices=METHODS)
    if form.n > LARGEST:
        raise ArgumentError(
            "model", task.model, f"a function of at most {LARGEST} states on device='cuda', or device='cpu'"
        )
    if task.dt is None and task.rtol < LEAST_RTOL[precision]:
        raise ArgumentError("rtol", task.rtol, f"at least {LEAST_RTOL[precision]:g} with precision={precision!r}")
    summary = task.options.get("summary")
    if summary is not None and summary.count:
        raise ArgumentError("summary", Shown("a function"), "states, or distances from states, on device='cuda'")
    return lambda: integrate(task, form, precision)


def integrate(task, form, precision, timer=None):
    """Run a checked task; `timer` as in :func:`dynet.engine.cuda.lure.integrate`."""
    tableau = TABLEAUS[task.method]
    adaptive = task.dt is None
    summary = task.options.get("summary")
    reference = np.zeros((0, 0, form.n)) if summary is None else summary.reference
    built = module(
        *kernel_source(form, tableau, precision, adaptive, summary is not None, len(reference)), tag="ensemble"
    )
    (batch, n), k = task.y0.shape, len(task.save)
    real, size = np.dtype(precision), np.dtype(precision).itemsize
    quantities = n + len(reference)
    each = size * (n * (1 + (0 if summary else k)) + task.p.shape[1] + (4 * quantities if summary else 0)) + 32
    free = properties.free_bytes()
    rows = batch // 2 if free is None else int(0.8 * free / each)
    advice = f"split the batch into parts of at most {max(1, rows)} trajectories, or save fewer times"
    same = bool((task.p == task.p[:1]).all())
    numbers = np.zeros(NUMBERS)
    numbers[[N_T0, N_T1, N_RTOL, N_ATOL, N_DT]] = task.t0, task.t1, task.rtol, task.atol, task.dt or 0.0
    halves = np.append(0.0, 0.5 * np.abs(np.diff(task.save)))
    with guarded(advice):
        room = Buffers(batch * each, advice)
        try:
            y0, p = room.put(task.y0.T, real), room.put(task.p[:1].T if same else task.p.T, real)
            out = room.empty((1, 1, 1) if summary else (k, n, batch), real, np.nan)
            sums = room.empty((quantities, 4, batch) if summary else (1, 1, 1), real, np.nan)
            t_stop, accepted = room.empty((batch,), np.float64), room.empty((batch,), np.int64)
            rejected, status = room.empty((batch,), np.int64), room.empty((batch,), np.int32)
            threads = 4 if simulated() else 128
            given = (
                y0, p, room.put(task.save), room.put(halves, real), room.put(numbers), np.int64(task.max_steps),
                room.put(reference, real), np.int32(summary is not None), out, sums, t_stop, accepted, rejected, status,
            )  # fmt: skip
            once(lambda: launch(built.solve, -(-batch // threads), threads)(*given), timer)
            states = (
                np.zeros((batch, 0, n)) if summary else out.copy_to_host().transpose(2, 0, 1).astype(float, order="C")
            )
            gathered = sums.copy_to_host().transpose(2, 1, 0).astype(float, order="C") if summary else None
            solution = Solution(
                states, status.copy_to_host().astype(np.int8), t_stop.copy_to_host(), accepted.copy_to_host(),
                rejected.copy_to_host(), summary=gathered, executor=f"cuda thread ({precision})",
            )  # fmt: skip
        finally:
            room.close()
    return solution
