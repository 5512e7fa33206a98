r"""Single precision: the same drivers, methods and right-hand sides with states of 32 bits.

Nothing is written twice. The source of a generated module is translated: each number with a point in it becomes one of
single precision, elementary functions become those of :mod:`dynet.engine.single_math`, and the signatures those below, in
which states, slopes, parameters and data are single, but times, steps, errors and tolerances stay double. So a long run
loses no time steps to rounding; its states carry the rounding of :math:`6\cdot 10^{-8}` of each operation.
"""

from __future__ import annotations

import ast
import functools
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import types

from . import codegen, control, drive, stages, tableaus
from .explicit import FOREVER, _probe
from .methods import Solution

__all__ = ["ATTEMPT", "RHS", "integrate", "run", "translated"]

_v, _m, _c, _i = types.float64[::1], types.float32[:, ::1], types.float32[:, :, ::1], types.int64[::1]
RHS = types.void(_v, _m, _m, types.float32[::1], _i, _m, _m)
RHS_TYPE = types.FunctionType(RHS)
ATTEMPT = types.void(
    RHS_TYPE, _v, _v, _m, _c, _m, _m, types.float32[::1], _i, _m, _v, _v, types.float64, types.float64
)  # fmt: skip
ATTEMPT_TYPE = types.FunctionType(ATTEMPT)


class _Single(ast.NodeTransformer):
    """Numbers with a point become single; decorators, default values and indices stay."""

    def visit_FunctionDef(self, node):
        node.body = [self.visit(statement) for statement in node.body]
        return node

    def visit_Assign(self, node):
        if ast.unparse(node.targets[0]).startswith("at["):
            return node  # a time
        return self.generic_visit(node)

    def visit_Subscript(self, node):
        if ast.unparse(node) in ("h[q]", "h[0]"):
            return ast.Call(ast.Name("f4", ast.Load()), [node], [])
        return self.generic_visit(node)

    def visit_Constant(self, node):
        return ast.Call(ast.Name("f4", ast.Load()), [node], []) if isinstance(node.value, float) else node


def translated(source):
    """The source of a generated module, in single precision.

    >>> print(translated("def f(x):\\n    return 0.5 * x[1]"))
    from dynet.engine.single_math import f4
    def f(x):
        return f4(0.5) * x[1]
    """
    tree = ast.parse(source)
    tree.body = [_Single().visit(node) if isinstance(node, ast.FunctionDef) else node for node in tree.body]
    text = ast.unparse(ast.fix_missing_locations(tree))
    for name, room in (("RHS", "block"), ("ATTEMPT", "stages")):  # signatures

        def instead(found, name=name, room=room):
            words = found.group(1).split(", ")
            if name not in words:
                return found.group(0)
            others = ", ".join(word for word in words if word != name)
            line = f"from dynet.engine.single import {name}"
            return f"from dynet.engine.{room} import {others}\n{line}" if others else line

        text = re.sub(rf"from dynet\.engine\.{room} import (.*)", instead, text)
    text = text.replace("from dynet import math as fast", "from dynet.engine import single_math as fast")
    return "from dynet.engine.single_math import f4\n" + text


@functools.cache
def _attempt(tableau, single, finish=False):
    source = stages.finish_source(tableau, single) if finish else stages.attempt_source(tableau, single)
    form = "single" if single else "lanes"
    return codegen.module(translated(source), tag=f"{tableau.name}_{'dense_' if finish else ''}{form}_f4").attempt


_TAIL = """
_v, _i, _im, _d = float64[::1], int64[::1], int64[:, ::1], float64[:, ::1]
_s, _m, _c = float32[::1], float32[:, ::1], float32[:, :, ::1]
drive = njit(
    int64(ATTEMPT_TYPE, ATTEMPT_TYPE, RHS_TYPE, RHS_TYPE, RHS_TYPE, RHS_TYPE, _s, _i, _m, _m, _v, _v, _d, _v, _i, _i, _v,
          _c, _c, _m, _m, _d, _im, _m, _m, _m, _m, _v, _c, _c, _c, int8[::1], _v,
          _i, _i, _im, _i, _d, _c, _im, _c, _m, _v, _m, _im, _im, _v, _m),
    cache=True, nogil=True, fastmath=FASTMATH, error_model="numpy", no_cfunc_wrapper=True,
)(drive)
"""


@functools.cache
def _driver():
    head = drive._HEAD.format(rich=False)
    for old, new in (
        ("import float64, int64", "import float32, float64, int64"),
        ("FASTMATH, RHS_TYPE,", "FASTMATH,"),
        ("from dynet.engine.stages import ATTEMPT_TYPE", "from dynet.engine.single import ATTEMPT_TYPE, RHS_TYPE"),
    ):
        assert old in head
        head = head.replace(old, new)
    return codegen.module(head, drive.drive, _TAIL, tag="drive_f4").drive


def run(task):
    """The runner of every explicit method in single precision."""
    return integrate(
        task.model.block(task.signal, precision="float32"), task.y0, task.p, task.t0, task.t1, task.save, task.method,
        rtol=task.rtol, atol=task.atol, dt=task.dt, max_steps=task.max_steps, threads=task.threads, monitor=task.monitor,
    )  # fmt: skip


def integrate(
    block, y0, p, t0, t1, save, method, *, rtol=1e-4, atol=1e-6, dt=None, max_steps=10_000_000, lanes=None, threads=1,
    monitor=None,
):  # fmt: skip
    """Integrate every row of `y0` from `t0` to `t1` with states in single precision.

    Parameters
    ----------
    block : BlockRHS
        Of the signature :data:`RHS`.
    y0, p, t0, t1, save, method, rtol, atol, dt, max_steps, lanes, threads, monitor
        As in :func:`dynet.engine.explicit.integrate`.

    Returns
    -------
    Solution
        With `x` in single precision.
    """
    tableau = tableaus.TABLEAUS[method]
    if dt is not None:
        tableau = tableau.fixed
    y0, p, reals = (np.require(a, np.float32, "CW") for a in (y0, p, block.reals))
    save, ints = np.require(save, float, "CW"), np.require(block.ints, np.int64, "CW")
    batch, n = y0.shape
    k = save.shape[-1]
    if lanes is None and block.lanes:
        lanes = 1 if batch == 1 else min(block.lanes, -(-batch // 16) * 16)
    elif lanes is None:
        lanes = min(batch, max(16, min(256, 1 << int(np.log2(max(1.0, 3000 / n))))))
    solution = Solution(
        np.full((batch, k, n), np.nan, np.float32), np.zeros(batch, np.int8), np.full(batch, float(t0)),
        np.zeros(batch, np.int64), np.zeros(batch, np.int64), probes=np.zeros((batch, 2), np.int64),
    )  # fmt: skip
    if k:
        solution.x[:, 0] = np.where((save[..., 0] == t0)[..., None], y0, np.float32(np.nan))
    monitor = np.zeros(2) if monitor is None else monitor
    near, reach = _probe(tableau)
    numbers = np.zeros(control.NUMBERS)
    numbers[[control.N_T0, control.N_T1, control.N_RTOL, control.N_ATOL, control.N_DT]] = t0, t1, rtol, atol, dt or 0.0
    numbers[[control.N_INVERSE, control.N_TOTAL]] = 1.0 / tableau.order, batch
    numbers[[control.N_ADAPTIVE, control.N_WAY, control.N_REACH]] = tableau.error is not None, np.sign(t1 - t0), reach
    numbers[[control.N_LIMIT, control.N_EACH]] = max_steps, save.shape[1] if save.ndim == 2 else 0
    threads = max(1, min(threads, batch // 8))
    ends = np.linspace(0, batch, threads + 1).astype(int)

    def piece(part):
        width = lanes if block.lanes else min(lanes, part.stop - part.start)
        _piece(
            block, tableau, reals, ints, numbers.copy(), save, near, max_steps, part, width, y0, p, solution, monitor
        )

    parts = [slice(int(a), int(b)) for a, b in zip(ends[:-1], ends[1:], strict=True)]
    if threads == 1:
        piece(parts[0])
    else:
        with ThreadPoolExecutor(threads) as pool:
            try:
                list(pool.map(piece, parts))
            except BaseException:  # Ctrl-C in this thread: the others stop at their next step
                monitor[1] = 1.0
                raise
    if monitor[1] == 0.0:
        monitor[0] = 1.0
    return solution


def _piece(block, tableau, reals, ints, numbers, save, near, max_steps, part, lanes, y0, p, solution, monitor):
    """A part of the batch, from its start to its end."""
    n, npar, last, single = block.n, p.shape[1], tableau.stages - 1, lanes == 1
    polynomials = np.ascontiguousarray(tableau.dense())
    ledger = np.zeros(control.LEDGER, np.int64)
    ledger[control.VACANT] = lanes
    rows = np.zeros((control.ROWS, lanes))
    rows[control.T], rows[control.GOAL] = numbers[control.N_T0], -np.inf
    attempt, rhs = _attempt(tableau, single), block.function
    finish = _attempt(tableau, single, True) if len(polynomials) > tableau.stages else attempt  # or never called

    def room(*shape):
        size = int(np.prod(shape))
        data = np.zeros(size + 16, np.float32)
        first = -data.ctypes.data % 64 // 4
        return data[first : first + size].reshape(shape)

    nothing, ints_2 = np.zeros((0, 0), np.float32), np.zeros((0, 0), np.int64)
    cube = np.zeros((0, 0, 0), np.float32)
    arguments = (
        attempt, finish, rhs, rhs, rhs, rhs, reals, ints, y0[part], p[part], numbers,
        save if save.ndim == 1 else save[part].ravel(), polynomials, near, np.array([lanes, max_steps, FOREVER, 0, last]),
        ledger, monitor, room(3, n, lanes), room(len(polynomials), n, lanes), room(npar, lanes),
        room(block.work_rows, lanes), rows, np.full((3, lanes), -1), room(n, 1), room(npar, 1), nothing,
        room(max(1, block.work_rows), 1), np.zeros(1), solution.x[part], cube, cube, solution.status[part],
        solution.t_stop[part], solution.accepted[part], solution.rejected[part], solution.probes[part],
        np.zeros(0, np.int64), np.zeros((0, 3)), cube, np.zeros((0, 3), np.int64), cube, nothing, np.zeros(0), nothing,
        ints_2, ints_2, np.zeros(0), nothing,
    )  # fmt: skip
    while _driver()(*arguments) == 1:
        pass
