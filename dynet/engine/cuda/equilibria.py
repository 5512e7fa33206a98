r"""Where a Lur'e field vanishes, for many inputs at once: the forward step :math:`x \leftarrow x + \alpha F(x)` on the device.

A certificate of contraction prescribes :math:`\alpha` and the norm, and its rate c turns the residual into an error,
:math:`\|x - x^*\| \le \|F(x)\| / c`. An implicit layer :math:`x = \phi(A x + u)` is the field :math:`-x + \phi(A x + u)`; its
adjoint, :math:`v = D (A^\top v + w)` with a diagonal D for each sample, has the same shape with a factor of its own in the
place of the activation. For piecewise linear activations that are positively homogeneous the diagonal of A is absorbed
exactly, :math:`x_i \leftarrow \phi(\sum_{j \ne i} a_{ij} x_j + u_i) / (1 - a_{ii})`: a field with another matrix, the step 1,
and far fewer iterations.

Each sample has its own residual, count and status, and stops on its own; a warp leaves when its samples have stopped. The host
is not asked before all are done. A residual that no longer halves, although the certificate says that it must, is at the
rounding of the precision: status ``precision``.
"""

# The functions below are text for generated modules, which define the names that are undefined here.
# ruff: noqa: F821

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...errors import ArgumentError, Shown
from .device import Buffers, guarded, launch, module, once, properties, simulated
from .fragments import LARGEST, MODES, weights
from .phi import source
from .plan import INSIDE
from .tensor import ACTIVATIONS, _fill, head, layout

__all__ = ["ABSORBABLE", "Settled", "absorbed", "patience_of", "solve"]

ABSORBABLE = ("identity", "relu")
REAL = {"float32": "float32", "tf32": "float32", "bf16": "float32", "float64": "float64"}
KINDS = {1: "1", 2: "2", np.inf: "inf"}


class Settled(NamedTuple):
    """One row for each sample; `residual` in the norm that was asked for, `status` as in :class:`dynet.errors.Status`."""

    x: np.ndarray
    residual: np.ndarray
    iterations: np.ndarray
    status: np.ndarray
    executor: str


def absorbed(plan):
    """The plan of an implicit layer with the diagonal of its matrix absorbed, or None where that is not exact."""
    diagonal = np.diagonal(plan.M)
    if (
        plan.place != INSIDE
        or plan.activation not in ABSORBABLE
        or not plan.plain
        or plan.e[0] != -1
        or diagonal.max() >= 1
    ):
        return None
    return plan._replace(M=plan.M - np.diag(diagonal), f=1.0 / (1.0 - diagonal))


def patience_of(factor):
    """Iterations after which a residual that contracts by `factor` each time must have halved, with a margin."""
    return int(min(1e9, 16 + 4 * np.log(2.0) / -np.log(min(max(factor, 1e-12), 1 - 1e-12))))


#: Unit roundoff of a product in each precision.
UNITS = {"float32": 2.0**-22, "tf32": 2.0**-11, "bf16": 2.0**-8, "float64": 2.0**-53}


def rounding(plan, main, x, scale, kind, precision):
    """How much of a residual rounding may hide, an estimate for each row of `x`, in the norm that `scale` and `kind` make."""
    weighted = scale[:, None] * np.abs(plan.M) / scale
    lengths = {1: lambda v: np.abs(v).sum(axis=-1), 2: lambda v: np.sqrt((v * v).sum(axis=-1)),
               np.inf: lambda v: np.abs(v).max(axis=-1)}  # fmt: skip
    gain = {1: weighted.sum(axis=0).max(), 2: np.sqrt((weighted**2).sum()), np.inf: weighted.sum(axis=1).max()}[kind]
    size = lengths[kind](scale * x) * (gain + np.abs(plan.e).max()) + lengths[kind](scale * main)
    return UNITS[precision] * size


def solve(plan, main, side, x0, *, alpha, scale, kind, tol, limit, patience, precision="float32", factor=None,
          resident=False, timer=None):  # fmt: skip
    """Iterate each row of `x0` until the length of its derivative is at most `tol`.

    Parameters
    ----------
    plan : Plan
        With `factor` its activation is not used.
    main : ndarray, shape (batch or 1, n)
    side : ndarray, shape (n,)
    x0 : ndarray, shape (batch, n)
    alpha : float
        The step.
    scale : ndarray, shape (n,)
        Lengths of the unit vectors.
    kind : float
        1, 2 or inf: how scaled entries make a length.
    tol : float
    limit, patience : int
    precision : str
    factor : ndarray, shape (batch, n), optional
    resident : bool
        Leave the results on the device, as arrays with ``__cuda_array_interface__``; `main`, `x0` and `factor` may lie there,
        too, contiguous and in the precision of the states, and are then not copied.
    timer : callable, optional
        Called with the function that launches the kernel.

    Returns
    -------
    Settled
    """
    if not hasattr(main, "__cuda_array_interface__"):
        main = np.broadcast_to(main, (len(x0), plan.n)) if factor is not None else np.asarray(main, float)
    given = (plan, main, np.asarray(side, float), x0, float(alpha), np.asarray(scale, float), KINDS[kind],
             float(tol) ** (2 if kind == 2 else 1), int(limit), int(patience), precision, factor, resident, timer)  # fmt: skip
    found = None if simulated() else _tensor(*given)
    found = found or _portable(*given)
    return found._replace(residual=np.sqrt(found.residual)) if kind == 2 and not resident else found


def _tensor(plan, main, side, x0, alpha, scale, kind, tol, limit, patience, precision, factor, *more):
    n, activation = plan.n, "factor" if factor is not None else plan.activation
    if n > LARGEST or activation not in (*ACTIVATIONS, "factor") or properties.capability() < (8, 0):
        return None
    vectors = not plan.plain or bool(side.any())
    own = 2 if factor is not None else int(len(main) > 1)
    where = layout(n, MODES[precision], 5 if vectors else 1, own, properties.shared_bytes())
    if where.warps < 1:
        return None
    built = module(*settle_source(n, precision, plan.place, activation, vectors, own, kind, where), tag="settle")
    tiles = -(-len(x0) // where.size.rows)
    blocks = min(properties.processors(), -(-tiles // where.warps))
    packed = weights(plan.M, MODES[precision])
    return _launch(built.settle, blocks, 32 * where.warps, where.bytes, packed, plan, main, side, x0, alpha, scale, tol, limit,
                   patience, precision, factor, *more, f"cuda tensor ({precision})")  # fmt: skip


def settle_source(n, precision, place, activation, vectors, own, kind, where):
    """The pieces of a module with a kernel ``settle`` for tensor cores."""
    rows = range(1 if MODES[precision] == "dmma" else 2)
    begin = "\n".join(f"        c{r}, n{r}, e{r}, b{r}, m{r}, w{r} = alpha, 0, tol, _r(math.inf), 0, 5" for r in rows)
    each = "\n".join(_EACH.replace("#", str(r)) for r in rows)
    done = " and ".join(f"c{r} == _r(0)" for r in rows)
    end = "\n".join(_END.replace("#", str(r)).replace("@", str(8 * r)) for r in rows)
    steps = ", ".join(f"c{r}" for r in rows) + ("," if len(rows) == 1 else "")
    text = _SETTLE.format(begin=begin, each=each, done=done, end=end, steps=steps, larger=int(kind == "inf"))
    return (
        head(n, precision, place, activation, vectors, own, kind, where),
        f"FACTOR = {own == 2}\n@inlined",
        _fill,
        text,
    )


_EACH = """            v = _quad(lengths[#])
            if c# != _r(0):
                e#, n# = v, turn
                if v <= tol:
                    c#, w# = _r(0), 0
                elif not v < _r(math.inf):
                    c#, w# = _r(0), 1
                elif v < _r(0.25) * b#:
                    b#, m# = v, turn
                elif turn - m# > patience:
                    c#, w# = _r(0), 6"""

_END = """            if row + @ < batch:
                residual[row + @], iterations[row + @], status[row + @] = e#, n#, w#"""

_SETTLE = """
@inlined
def _quad(v):
    for step in (1, 2):
        other = cuda.shfl_xor_sync(0xFFFFFFFF, v, step)
        if {larger}:
            v = v if other <= v else other
        else:
            v = v + other
    return v

def settle(W, vectors, main, side, factor, x0, scale, alpha, a, tol, limit, patience, out, residual, iterations, status):
    s = cuda.shared.array(0, _r)
    tid = cuda.threadIdx.x
    for i in range(tid, WORDS, cuda.blockDim.x):
        s[i] = W[i]
    for i in range(tid, NP * (5 if VECTORS else 1), cuda.blockDim.x):
        which, c = i // NP, i % NP
        value = _r(0)
        if c < N:
            if VECTORS and which < 4:
                value = side[c] if which == 3 else vectors[which, c]
            else:
                value = scale[c]
        s[WORDS + i] = value
    cuda.syncthreads()
    lane = tid & 31
    column = int64((lane & 3) * 2)
    mine = FIRST + (tid >> 5) * EACH
    base = address(s)
    weights = base + uint32(lane * 16)
    at_vectors = base + uint32((WORDS + (lane & 3) * 2) * ITEM)
    at_scale = at_vectors + uint32((4 * NP if VECTORS else 0) * ITEM)
    drive = base + uint32(mine * ITEM) + uint32(lane * 16 if OWN else (lane & 3) * 2 * ITEM)
    at_factor = drive + uint32(FRAGMENT * ITEM)
    e = vectors[0, 0]
    batch = x0.shape[0]
    tiles = (batch + ROWS - 1) // ROWS
    everyone = (cuda.gridDim.x * cuda.blockDim.x) >> 5
    for tile in range((cuda.blockIdx.x * cuda.blockDim.x + tid) >> 5, tiles, everyone):
        first = int64(tile) * ROWS
        row = first + (lane >> 2)
        x = load(x0, row, column)
        _fill(s, mine, main, first, 0, lane)
        if FACTOR:
            _fill(s, mine + FRAGMENT, factor, first, 0, lane)
{begin}
        for turn in range(limit + 1):
            d = rhs(x, weights, at_vectors, drive, at_factor, e, a)
            lengths = norm(d, at_scale)
{each}
            if cuda.all_sync(0xFFFFFFFF, {done}) or turn == limit:
                break
            x = axpy_rows(({steps}), d, x)
        store(out, int64(0), row, column, x)
        if lane & 3 == 0:
{end}

settle = kernel(settle)
"""


def _portable(plan, main, side, x0, alpha, scale, kind, tol, limit, patience, precision, factor, *more):
    real = REAL[precision]
    if real != precision:
        raise ArgumentError("precision", precision, Shown("'float32' or 'float64' here: see docs/cuda.md"))
    threads = 4 if simulated() else 128
    shared = (3 * plan.n + threads) * np.dtype(real).itemsize
    if shared > properties.shared_bytes():
        raise ArgumentError("model", Shown(f"{plan.n} states"), "fewer states on device='cuda', or device='cpu'")
    text = f"N, PLACE, THREADS, KIND, FACTOR = {plan.n}, {plan.place}, {threads}, {kind!r}, {factor is not None}\n"
    built = module(source(plan.activation, real), text, _settle, "settle = kernel(_settle)\n", tag="settle_portable")
    return _launch(built.settle, len(x0), threads, shared, plan.M.T, plan, main, side, x0, alpha, scale, tol, limit, patience,
                   precision, factor, *more, f"cuda portable ({precision})")  # fmt: skip


def _settle(
    M, vectors, main, side, factor, x0, scale, alpha, a, tol, limit, patience, out, residual, iterations, status
):
    s = cuda.shared.array(0, _r)
    tid, row = cuda.threadIdx.x, cuda.blockIdx.x
    m_row = row if main.shape[0] > 1 else 0
    for i in range(tid, N, THREADS):
        s[i] = x0[row, i]
    word, best, mark = 5, _r(math.inf), 0
    length, turn = _r(0), 0
    while True:
        cuda.syncthreads()
        for i in range(tid, N, THREADS):
            s[N + i] = phi(vectors[2, i] * s[i] + side[i], a) if PLACE == 1 else s[i]
        cuda.syncthreads()
        part = _r(0)
        for i in range(tid, N, THREADS):
            value = main[m_row, 0, i]
            for k in range(N):
                value += M[k, i] * s[N + k]
            if FACTOR:
                value = factor[row, 0, i] * value - s[i]
            elif PLACE == 0:
                value = vectors[0, i] * s[i] + vectors[1, i] * phi(value, a) + side[i]
            elif PLACE == 1:
                value += vectors[0, i] * s[i]
            else:
                value += vectors[1, i] * phi(vectors[2, i] * s[i] + side[i], a)
            s[2 * N + i] = value
            value = abs(scale[i] * value)
            if KIND == "inf":
                part = part if value <= part else value
            elif KIND == "1":
                part += value
            else:
                part += value * value
        s[3 * N + tid] = part
        cuda.syncthreads()
        length = _r(0)
        for k in range(THREADS):  # everyone takes the same sum, and the same decision
            part = s[3 * N + k]
            if KIND == "inf":
                length = length if part <= length else part
            else:
                length += part
        if length <= tol:
            word = 0
            break
        if not length < _r(math.inf):
            word = 1
            break
        if length < _r(0.25) * best:
            best, mark = length, turn
        elif turn - mark > patience:
            word = 6
            break
        if turn == limit:
            break
        turn += 1
        for i in range(tid, N, THREADS):
            s[i] += alpha * s[2 * N + i]
    for i in range(tid, N, THREADS):
        out[row, i] = s[i]
    if tid == 0:
        residual[row], iterations[row], status[row] = length, turn, word


def _launch(
    kernel, blocks, threads, shared, matrix, plan, main, side, x0, alpha, scale, tol, limit, patience, precision, factor,
    resident, timer, name,
):  # fmt: skip
    batch, n = x0.shape
    real = np.dtype(REAL[precision])
    each = real.itemsize * n * (2 + (len(main) > 1) + (factor is not None)) + 24
    free = properties.free_bytes()
    rows = batch // 2 if free is None else int(0.8 * free / each)
    advice = f"split the batch into parts of at most {max(1, rows)} samples"
    with guarded(advice):
        room = Buffers(batch * each + matrix.size * real.itemsize, advice)
        try:
            out, residual = room.empty((batch, n), real, np.nan), room.empty((batch,), real, np.nan)
            iterations, status = room.empty((batch,), np.int32), room.empty((batch,), np.int32)
            own, scaled = (
                put.reshape((put.shape[0], 1, n))
                for put in (room.put(main, real), room.put(np.zeros((1, n)) if factor is None else factor, real))
            )
            given = (
                room.put(matrix, real), room.put([plan.e, plan.f, plan.g], real), own, room.put(side, real), scaled,
                room.put(x0, real), room.put(scale, real), real.type(alpha), real.type(plan.parameter), real.type(tol),
                np.int32(limit), np.int32(patience), out, residual, iterations, status,
            )  # fmt: skip
            once(lambda: launch(kernel, blocks, threads, shared)(*given), timer)
            if resident:
                return Settled(out, residual, iterations, status, name)
            return Settled(out.copy_to_host().astype(float), residual.copy_to_host().astype(float),
                           iterations.copy_to_host().astype(np.int64), status.copy_to_host().astype(np.int8), name)  # fmt: skip
        finally:
            room.close()
