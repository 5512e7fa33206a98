"""A Lur'e field on tensor cores: a warp on 16 trajectories (8 in float64), all steps in one launch, no barrier inside.

The weights lie in shared memory in the order in which the lanes read them (:mod:`.fragments`), the states stay in registers,
and the result of a product is the operand of the next without a shuffle. Each warp has a place in shared memory for the main
drive of its trajectories. Blocks stay for the whole batch: as many as the device holds at once.
"""

# The functions below are text for generated modules, which define the names that are undefined here.
# ruff: noqa: F821

from __future__ import annotations

from . import gather
from .arithmetic import ACTIVATIONS
from .device import module, properties
from .fragments import LARGEST, MODES, Sizes
from .plan import METHODS

__all__ = ["HEAD", "burner", "fits", "integrator", "layout"]


class layout:  # noqa: N801
    """Places in shared memory, in words of the state's type; and how many warps share a block.

    Parameters
    ----------
    n, mode
        As for :class:`.fragments.Sizes`.
    vectors : int
        How many vectors lie behind the weights.
    own : int
        Fragments that each warp has for drives or factors of its own samples; a shared drive takes a vector instead.
    limit : int
        Bytes of shared memory that a block may have.
    """

    def __init__(self, n, mode, vectors, own, limit):
        size = Sizes(n, mode)
        self.size, self.vectors = size, size.words
        self.first = size.words + vectors * size.padded
        self.each = own * 32 * size.entries or size.padded
        room = limit // size.item - self.first
        self.warps = min(8, room // self.each)
        self.bytes = (self.first + self.warps * self.each) * size.item


HEAD = """
import math
from numba import cuda, int32, int64, uint32, {real} as _r
from dynet.engine.cuda.device import inlined, kernel
from dynet.engine.cuda.intrinsics import intrinsics
from dynet.engine.cuda.warp import Warp
_warp = intrinsics(Warp({n}, {mode!r}, {place}, {activation!r}, {vectors}, {own}, {norm!r}))
rhs, axpy, axpy_rows, load, store = _warp.rhs, _warp.axpy, _warp.axpy_rows, _warp.load, _warp.store
finite, norm, address = _warp.finite, _warp.norm, _warp.address
N, NP, TILES, ROWS, ITEM, WORDS = {n}, {padded}, {tiles}, {rows}, {item}, {words}
FIRST, EACH, VECTORS, OWN, FRAGMENT = {first}, {each}, {vectors}, {own}, {fragment}
"""


def head(n, precision, place, activation, vectors, own, norm, where):
    """The text of HEAD for these choices; `where`: a :class:`layout`."""
    mode, size = MODES[precision], where.size
    real = "float64" if mode == "dmma" else "float32"
    return HEAD.format(real=real, n=n, mode=mode, place=place, activation=activation, vectors=bool(vectors), own=bool(own),
                       norm=norm, padded=size.padded, tiles=size.tiles, rows=size.rows, item=size.item, words=size.words,
                       first=where.first, each=where.each, fragment=32 * size.entries)  # fmt: skip


def fits(call):
    """Whether the tensor cores can run this."""
    plan = call.plan
    return (plan.n <= LARGEST and plan.activation in ACTIVATIONS and call.side.shape[:2] == (1, 1)
            and properties.capability() >= (8, 0) and _layout(call).warps > 0)  # fmt: skip


def plain(call):
    """Whether no vectors are needed."""
    return call.plan.plain and not call.side.any()


def _layout(call):
    own = int(call.main.shape[0] > 1)
    return layout(call.plan.n, MODES[call.precision], 0 if plain(call) else 4, own, properties.shared_bytes())


def integrator(call):
    """``(kernel, blocks, threads, bytes of shared memory)``; as many blocks as there are processors, or fewer."""
    where, plan = _layout(call), call.plan
    text = head(
        plan.n, call.precision, plan.place, plan.activation, not plain(call), call.main.shape[0] > 1, "inf", where
    )
    steps = {"euler": _euler, "heun": _heun, "rk4": _rk4}[call.method]
    text += f"STAGES = {METHODS[call.method]}\n"
    built = module(text, gather.SOURCE, "@inlined", _fill, "@inlined", _named(steps), _integrate,
                   "solve = kernel(_integrate)\n", tag="tensor")  # fmt: skip
    tiles = -(-len(call.x0) // where.size.rows)
    blocks = min(properties.processors(), -(-tiles // where.warps))
    return built.solve, blocks, 32 * where.warps, where.bytes


def burner(precision):
    """``(kernel, floating-point operations of a warp in one turn)``: ``kernel(x0, turns)`` measures the instruction alone."""
    mode = MODES[precision]
    where = layout(64, mode, 0, 0, 227 * 1024)
    text = head(64, precision, 0, "identity", 0, 0, "inf", where) + "burn = _warp.burn\n"
    built = module(text, _burning, "burning = kernel(_burning)\n", tag="burner")
    depth, rows = {"tf32": (8, 16), "bf16": (16, 16), "dmma": (4, 8)}[mode]
    return built.burning, 2 * rows * 8 * depth * where.size.tiles


def _burning(x0, turns):
    row = int64((cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x) >> 5) * ROWS + ((cuda.threadIdx.x & 31) >> 2)
    column = int64((cuda.threadIdx.x & 3) * 2)
    x = load(x0, row, column)
    for _ in range(turns):
        x = burn(x)
    store(x0, int64(0), row, column, x)


def _named(function):
    """Its source under the name by which the kernel calls it."""
    import inspect

    return inspect.getsource(function).replace(f"def {function.__name__}(", "def _step(", 1)


def _fill(s, mine, main, first, at, lane):
    """Put the main drive of a warp's samples (or the one that they share) where its lanes read it."""
    cuda.syncwarp()
    batch = main.shape[0]
    if OWN:
        for i in range(lane, ROWS * NP, 32):
            r, c = i // NP, i % NP
            row = min(int64(first + r), int64(batch - 1))
            value = main[row, at, c] if c < N else _r(0)
            entry = 2 * (r >> 3) + (c & 1)
            s[mine + ((c >> 3) * 32 + (r & 7) * 4 + ((c & 7) >> 1)) * (FRAGMENT // (32 * TILES)) + entry] = value
    else:
        for c in range(lane, NP, 32):
            s[mine + c] = main[0, at, c] if c < N else _r(0)
    cuda.syncwarp()


def _euler(x, size, s, mine, main, first, step, lane, weights, vectors, drive, e, a):
    if main.shape[1] > 1:
        _fill(s, mine, main, first, 2 * step, lane)
    return axpy(size, rhs(x, weights, vectors, drive, drive, e, a), x)


def _heun(x, size, s, mine, main, first, step, lane, weights, vectors, drive, e, a):
    if main.shape[1] > 1:
        _fill(s, mine, main, first, 2 * step, lane)
    slope = rhs(x, weights, vectors, drive, drive, e, a)
    total = axpy(size * _r(0.5), slope, x)
    y = axpy(size, slope, x)
    if main.shape[1] > 1:
        _fill(s, mine, main, first, 2 * step + 2, lane)
    return axpy(size * _r(0.5), rhs(y, weights, vectors, drive, drive, e, a), total)


def _rk4(x, size, s, mine, main, first, step, lane, weights, vectors, drive, e, a):
    y = x
    total = x
    for stage in range(4):
        if main.shape[1] > 1:
            _fill(s, mine, main, first, 2 * step + (stage + 1) // 2, lane)
        slope = rhs(y, weights, vectors, drive, drive, e, a)
        total = axpy(size * (_r(1 / 3) if (stage == 1 or stage == 2) else _r(1 / 6)), slope, total)
        y = axpy(size if stage == 2 else size * _r(0.5), slope, x)
    return total


def _integrate(W, vectors, main, side, x0, a, h, last, steps, marks, halves, reference, out, sums, status, gathering):
    s = cuda.shared.array(0, _r)
    tid = cuda.threadIdx.x
    for i in range(tid, WORDS, cuda.blockDim.x):
        s[i] = W[i]
    if VECTORS:
        for i in range(tid, 4 * NP, cuda.blockDim.x):
            which, c = i // NP, i % NP
            value = _r(0)
            if c < N:
                value = side[0, 0, c] if which == 3 else vectors[which, c]
            s[WORDS + i] = value
    cuda.syncthreads()
    lane = tid & 31
    column = int64((lane & 3) * 2)
    mine = FIRST + (tid >> 5) * EACH
    base = address(s)
    weights = base + uint32(lane * 16)
    at_vectors = base + uint32((WORDS + (lane & 3) * 2) * ITEM)
    drive = base + uint32(mine * ITEM) + uint32(lane * 16 if OWN else (lane & 3) * 2 * ITEM)
    e = vectors[0, 0]
    batch = x0.shape[0]
    tiles = (batch + ROWS - 1) // ROWS
    everyone = (cuda.gridDim.x * cuda.blockDim.x) >> 5
    for tile in range((cuda.blockIdx.x * cuda.blockDim.x + tid) >> 5, tiles, everyone):
        first = int64(tile) * ROWS
        row = first + (lane >> 2)
        x = load(x0, row, column)
        if main.shape[1] == 1:
            _fill(s, mine, main, first, 0, lane)
        saved = 0
        for step in range(steps + 1):
            if saved < marks.size and marks[saved] == step:
                store(out, int64(0 if gathering > 0 else saved), row, column, x)
                if gathering > 0:
                    cuda.syncwarp()
                    for i in range(lane, ROWS * N, 32):
                        r = first + i // N
                        if r < batch:
                            _gather(sums, r, i % N, out[r, 0, i % N], saved, halves[saved])
                    for i in range(lane, ROWS * (gathering - 1), 32):
                        r = first + i % ROWS
                        if r < batch:
                            square = _r(0)
                            for k in range(N):
                                off = out[r, 0, k] - reference[i // ROWS, saved, k]
                                square += off * off
                            _gather(sums, r, N + i // ROWS, math.sqrt(square), saved, halves[saved])
                    cuda.syncwarp()
                saved += 1
            if step < steps:
                size = last if step == steps - 1 else h
                x = _step(x, size, s, mine, main, first, step, lane, weights, at_vectors, drive, e, a)
        good = finite(x)
        for i in range(len(good)):
            if good[i] == 0 and row + 8 * i < batch:
                status[row + 8 * i] = 1
