r"""One attempted step of a large system, by a team of threads that share its states.

A right-hand side that can be split (see :class:`~dynet.engine.block.BlockRHS`) lets the stages of a step interleave: as
soon as a part has its derivative, the same thread forms its state in the next stage and publishes what the others need to
know of it, while all this lies in the nearest cache. The threads wait for each other once a stage.

The arithmetic of each state, and the order of each sum, are those of :mod:`dynet.engine.stages`: a trajectory has the same
bits on any number of threads. The module made here offers ``attempt`` with the signature that the driver expects, and
``assist``, in which the other threads wait for steps to share. They meet in the last :data:`TEAM` entries of `ints`.
"""

from __future__ import annotations

import contextlib
import functools
import platform
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from . import codegen, stages

__all__ = ["TEAM", "attempt_of", "team_source", "team", "team_ints"]

TEAM = 64  # entries of `ints`; those that several threads write lie in cache lines of their own
THREADS, SPLIT, GROUP, EPOCH, ARRIVED, TURN, QUIT = 0, 1, 2, 16, 24, 32, 40
SPINS = 2000  # looks at a flag before the thread offers its processor to others

_yield = types.ExternalFunction("SwitchToThread" if sys.platform == "win32" else "sched_yield", types.int32())


@intrinsic
def fetch_add(context, array, index, value):
    """``array[index] += value`` as one indivisible operation; returns what was there."""

    def generate(context, builder, signature, arguments):
        data = make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.gep(data, [arguments[1]])
        return builder.atomic_rmw("add", place, arguments[2], "seq_cst")

    return types.int64(array, types.int64, types.int64), generate


@intrinsic
def look(context, array, index):
    """``array[index]`` as it is now, not as it was when the loop began."""

    def generate(context, builder, signature, arguments):
        data = make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.load_atomic(builder.gep(data, [arguments[1]]), "acquire", 8)

    return types.int64(array, types.int64), generate


@intrinsic
def pause(context):
    """Tells the processor that this thread only waits."""

    def generate(context, builder, signature, arguments):
        if _X86:
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.none(), generate


_X86 = platform.machine().lower() in ("x86_64", "amd64")


@njit
def wait_for_change(team, index, old):
    """Returns when ``team[index]`` is no longer `old`."""
    spins = 0
    while look(team, index) == old:
        spins += 1
        pause()
        if spins > SPINS:
            _yield()


@njit
def barrier(team):
    """Returns when all threads of the team have called it."""
    threads = team[THREADS]
    if threads > 1:
        turn = look(team, TURN)
        if fetch_add(team, ARRIVED, 1) == threads - 1:
            fetch_add(team, ARRIVED, -threads)
            fetch_add(team, TURN, 1)
        else:
            wait_for_change(team, TURN, turn)


_HEAD = """
import numpy as np
from numba import cfunc, njit
from dynet.engine.block import FASTMATH, bare, flat
from dynet.engine.team import EPOCH, GROUP, QUIT, SPLIT, TEAM, THREADS, barrier, fetch_add, look, wait_for_change
from dynet.engine.stages import ATTEMPT, SHARE

@njit(fastmath=FASTMATH, error_model="numpy", nogil=True)
def share(rhs, me, t, h, y, slopes, z, p, reals, ints, work):
    n, lanes = y.shape
    team = ints[ints.size - TEAM :]
    threads, split, group = team[THREADS], team[SPLIT], team[GROUP]
    parts = n // split
    groups = (parts + group - 1) // group
    first, last = me * groups // threads, (me + 1) * groups // threads
    at = np.empty(lanes + 5)
    at[lanes + 3] = me
    y_, z_ = flat(y), flat(z)
"""

_FIRST = """
    for q in range(lanes):
        at[q] = t[q] + {c!r} * h[q]
    at[lanes + 4] = {turn}
    {views}
    for c in range(first, last):
        lo, hi = c * group, min(parts, (c + 1) * group)
{update}
        at[lanes], at[lanes + 1], at[lanes + 2] = 1.0, lo, hi
        rhs(at, z, p, reals, ints, work, slopes[1])
"""

_STAGE = """
    # stage {s}
    barrier(team)
    for q in range(lanes):
        at[q] = t[q] + {c!r} * h[q]
    at[lanes], at[lanes + 4] = 2.0, {turn}
    rhs(at, z, p, reals, ints, work, slopes[{s}])
    {views}
    for c in range(first, last):
        lo, hi = c * group, min(parts, (c + 1) * group)
        at[lanes], at[lanes + 1], at[lanes + 2] = 3.0, lo, hi
        rhs(at, z, p, reals, ints, work, slopes[{s}])
"""

_NEXT = """
{update}
        for q in range(lanes):
            at[q] = t[q] + {c!r} * h[q]
        at[lanes], at[lanes + 4] = 1.0, {turn}
        rhs(at, z, p, reals, ints, work, slopes[{s}])
        for q in range(lanes):
            at[q] = t[q] + {c_old!r} * h[q]
        at[lanes + 4] = {turn_old}
"""

_UPDATE_SINGLE = """
        for q in range(lo * split, hi * split):
            z_[np.uint64(q)] = y_[np.uint64(q)] + h[0] * ({sum})
"""

_ATTEMPT = """
@njit(SHARE, cache=True, fastmath=FASTMATH, error_model="numpy", nogil=True)
def assist(rhs, me, t, h, y, slopes, z, p, reals, ints, work):
    ints = bare(ints)
    team = ints[ints.size - TEAM :]
    seen = 0
    while True:
        wait_for_change(team, EPOCH, seen)
        seen += 1
        if look(team, QUIT) != 0:
            return
        share(rhs, me, t, h, y, slopes, z, p, reals, ints, work)
        barrier(team)

@cfunc(ATTEMPT, cache=True, fastmath=FASTMATH, error_model="numpy")
def attempt(rhs, t, h, y, slopes, z, p, reals, ints, work, error, at, rtol, atol):
    n, lanes = y.shape
    team = ints[ints.size - TEAM :]
    if team[THREADS] > 1:
        fetch_add(team, EPOCH, 1)
    share(rhs, 0, t, h, y, slopes, z, p, reals, ints, work)
    barrier(team)
"""


def team_source(tableau):
    """Source of the module of a method: ``attempt`` and ``assist`` for a single lane."""
    source = _HEAD
    count = tableau.stages
    for s in range(1, count):
        words, turn = _words(tableau.a[s]), s % 2
        if s == 1:
            source += _FIRST.format(c=float(tableau.c[1]), turn=turn, update=words["update"], views=words["views"])
        follows = _words(tableau.a[s + 1]) if s + 1 < count else {"views": "pass"}
        source += _STAGE.format(s=s, c=float(tableau.c[s]), turn=turn, views=follows["views"])
        if s + 1 < count:
            c, c_old = float(tableau.c[s + 1]), float(tableau.c[s])
            source += _NEXT.format(s=s + 1, c=c, c_old=c_old, turn=1 - turn, turn_old=turn, update=follows["update"])
    return source + _ATTEMPT + stages.error_source(tableau, single=True)


def _words(weights):
    used = [(j, float(w)) for j, w in enumerate(weights) if w]
    views = "; ".join(f"k{j} = flat(slopes[{j}])" for j, _ in used)
    update = _UPDATE_SINGLE.format(sum=" + ".join(f"{w!r} * k{j}[np.uint64(q)]" for j, w in used)).strip("\n")
    return {"views": views, "update": update}


@functools.cache
def _module(tableau):
    return codegen.module(team_source(tableau), tag=f"{tableau.name}_team")


def attempt_of(tableau):
    """The compiled ``attempt`` of a method for a single trajectory whose states several threads share."""
    return _module(tableau).attempt


def team_ints(block, threads):
    """The block's integers, followed by the place where a team of threads meets."""
    meeting = np.zeros(TEAM, np.int64)
    meeting[[THREADS, SPLIT, GROUP]] = threads, block.split, block.group
    return np.concatenate([block.ints, np.zeros(-block.ints.size % 8, np.int64), meeting])


@contextlib.contextmanager
def team(tableau, threads, function, ints, *arguments):
    """Keeps the other threads of a team ready while the caller, its first member, drives the steps."""
    if threads == 1:
        yield
        return
    assist = _module(tableau).assist
    meeting = ints[-TEAM:]
    with ThreadPoolExecutor(threads - 1) as pool:
        waiting = [pool.submit(assist, function, me, *arguments) for me in range(1, threads)]
        try:
            yield
        finally:
            meeting[QUIT] = 1
            meeting[EPOCH] += 1
    for done in waiting:
        done.result()
