r"""Products of samples with a matrix, in panels, with the same bits for a sample alone or in any company.

Samples are the rows of an array, units its columns: ``out[r, :] += x[r, :] @ M`` for some rows r. A tile is R samples by V
vectors of units; for each term of the sum, R numbers are broadcast and multiplied with V vectors of the matrix, and the sums
stay in the registers. The matrix is stored panel by panel (a panel is V vectors wide), so that a tile reads it in order.
Every entry is summed over the terms in order with one rounding a term, whatever the tile, so neither the size of the batch nor
which samples are still being worked on can change a bit; a library's product promises neither.

References
----------
Goto, van de Geijn, Anatomy of high-performance matrix multiplication, ACM Transactions on Mathematical Software 34, 2008.
"""

# ruff: noqa: F821 (the names in the source that is copied are bound in the generated module)

from __future__ import annotations

import functools
import platform
from typing import NamedTuple

import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from . import codegen

__all__ = ["Panel", "affine", "compiled", "layout", "pack", "tile", "width"]

_FEATURES = binding.get_host_cpu_features()
_WIDE = bool(_FEATURES.get("avx512f"))
BYTES = 64 if _WIDE else 32 if _FEATURES.get("avx") else 16  # of a register
ROWS, VECTORS = (6, 4) if _WIDE else (4, 3)  # 24 of 32, or 12 of 16 registers hold sums
FMA = bool(_FEATURES.get("fma")) or platform.machine().lower() in ("arm64", "aarch64")


def tile(rows, vectors):
    """A compiled ``out[index[at + r], plus:] += sum_k x[index[at + r], k] pack[k, :]`` for a tile of the given size."""

    @intrinsic
    def multiply(context, x, x_by, index, at, packed, p_at, out, o_by, plus, count):
        def generate(context, builder, signature, arguments):
            arrays = [make_array(signature.args[k])(context, builder, arguments[k]).data for k in (0, 2, 4, 6)]
            x_by, at, p_at, o_by, plus, count = (arguments[k] for k in (1, 3, 5, 7, 8, 9))
            single = signature.args[0].dtype == types.float32
            real, size = (ir.FloatType(), 4) if single else (ir.DoubleType(), 8)
            integer, lanes = ir.IntType(64), BYTES // size
            kind = ir.VectorType(real, lanes)
            name = f"llvm.fma.v{lanes}f{8 * size}"
            fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * 3), name)

            def place(pointer, offset):
                return builder.bitcast(builder.gep(pointer, [offset]), kind.as_pointer())

            sample = [builder.load(builder.gep(arrays[1], [builder.add(at, integer(r))])) for r in range(rows)]
            source = [builder.gep(arrays[0], [builder.mul(s, x_by)]) for s in sample]
            target = [builder.gep(arrays[3], [builder.add(builder.mul(s, o_by), plus)]) for s in sample]
            cells = [(r, v) for r in range(rows) for v in range(vectors)]
            start = [builder.load(place(target[r], integer(v * lanes)), align=size) for r, v in cells]
            before, loop = builder.block, builder.append_basic_block("panel")
            after = builder.append_basic_block("done")
            builder.cbranch(builder.icmp_signed(">", count, integer(0)), loop, after)
            builder.position_at_end(loop)
            k, p_now = builder.phi(integer), builder.phi(integer)
            sums = [builder.phi(kind) for _ in cells]
            near = [
                builder.load(place(arrays[2], builder.add(p_now, integer(v * lanes))), align=size)
                for v in range(vectors)
            ]
            new = []
            blank, mask = ir.Constant(kind, ir.Undefined), ir.Constant(ir.VectorType(ir.IntType(32), lanes), None)
            for r in range(rows):
                one = builder.insert_element(
                    blank, builder.load(builder.gep(source[r], [k]), align=size), ir.IntType(32)(0)
                )
                number = builder.shuffle_vector(one, blank, mask)
                for v in range(vectors):
                    if FMA:
                        new.append(builder.call(fma, [number, near[v], sums[len(new)]]))
                    else:
                        new.append(builder.fadd(builder.fmul(number, near[v]), sums[len(new)]))
            steps = [builder.add(k, integer(1)), builder.add(p_now, integer(vectors * lanes))]
            for phi, first, then in zip((k, p_now, *sums), (integer(0), p_at, *start), (*steps, *new), strict=True):
                phi.add_incoming(first, before)
                phi.add_incoming(then, loop)
            builder.cbranch(builder.icmp_signed("<", steps[0], count), loop, after)
            builder.position_at_end(after)
            totals = []
            for first, then in zip(start, new, strict=True):
                totals.append(builder.phi(kind))
                totals[-1].add_incoming(first, before)
                totals[-1].add_incoming(then, loop)
            for (r, v), total in zip(cells, totals, strict=True):
                builder.store(total, place(target[r], integer(v * lanes)), align=size)
            return context.get_dummy_value()

        whole = types.int64
        return types.none(x, whole, index, whole, packed, whole, out, whole, whole, whole), generate

    return multiply


def width(units, dtype):
    """The number of columns, with the padding, of an array of `units` units: whole registers."""
    lanes = BYTES // np.dtype(dtype).itemsize
    return -(-units // lanes) * lanes


def layout(units, dtype):
    """How the columns of a matrix with `units` units are cut into panels: ``[panels, lanes, vectors of each panel...]``.

    >>> lanes = BYTES // 8
    >>> cut = layout(100, float)
    >>> int(cut[2:].sum()) * lanes == width(100, float), int(cut[2:].max()) <= VECTORS
    (True, True)
    """
    lanes = BYTES // np.dtype(dtype).itemsize
    vectors = -(-units // lanes)
    panels = -(-vectors // VECTORS)
    share, more = divmod(vectors, panels)
    return np.array([panels, lanes] + [share + 1] * more + [share] * (panels - more), dtype=np.int64)


_HEAD = """
import numpy as np
from numba import cfunc, njit, types
from dynet.engine import panels
from dynet.engine.block import flat

REAL = np.{real}
_row, _whole, _index = types.{real}[::1], types.int64, types.int64[::1]
_matrix, _vector = (types.Array(types.{real}, d, "C", readonly=True) for d in (2, 1))
ROWS = panels.ROWS
TILE_4, TILE_3, TILE_2, TILE_1 = (panels.tile(ROWS, v) for v in (4, 3, 2, 1))
LINE_4, LINE_3, LINE_2, LINE_1 = (panels.tile(1, v) for v in (4, 3, 2, 1))
PRODUCT = types.void(_row, _whole, _index, _whole, _whole, _row, _index, _whole, _row, _whole)
"""

_TAIL = """
product = cfunc(PRODUCT, cache=True, nogil=True, error_model="numpy")(_product)
fill = njit(types.void(_matrix, types.boolean, types.boolean, types.boolean, _index, _row), cache=True, nogil=True,
            error_model="numpy")(_fill)
sparse = cfunc(PRODUCT, cache=True, nogil=True, error_model="numpy")(_sparse)
affine = njit(types.void(types.FunctionType(PRODUCT), _matrix, _vector, _row, _index, _whole, _index, _whole,
                         types.{real}[:, ::1]), cache=True, nogil=True, error_model="numpy")(_affine)
"""


def _product(x, x_by, index, first, last, packed, cut, count, out, o_by):
    p_at, plus = 0, 0
    for panel in range(cut[0]):
        vectors, at = cut[2 + panel], first
        if vectors == 4:
            while at + ROWS <= last:
                TILE_4(x, x_by, index, at, packed, p_at, out, o_by, plus, count)
                at += ROWS
            while at < last:
                LINE_4(x, x_by, index, at, packed, p_at, out, o_by, plus, count)
                at += 1
        elif vectors == 3:
            while at + ROWS <= last:
                TILE_3(x, x_by, index, at, packed, p_at, out, o_by, plus, count)
                at += ROWS
            while at < last:
                LINE_3(x, x_by, index, at, packed, p_at, out, o_by, plus, count)
                at += 1
        elif vectors == 2:
            while at + ROWS <= last:
                TILE_2(x, x_by, index, at, packed, p_at, out, o_by, plus, count)
                at += ROWS
            while at < last:
                LINE_2(x, x_by, index, at, packed, p_at, out, o_by, plus, count)
                at += 1
        else:
            while at + ROWS <= last:
                TILE_1(x, x_by, index, at, packed, p_at, out, o_by, plus, count)
                at += ROWS
            while at < last:
                LINE_1(x, x_by, index, at, packed, p_at, out, o_by, plus, count)
                at += 1
        p_at += count * vectors * cut[1]
        plus += vectors * cut[1]


def _sparse(x, x_by, index, first, last, packed, cut, count, out, o_by):
    """The same for a matrix in compressed rows: `cut` has where each of the `count` rows starts, and the columns."""
    for q in range(first, last):
        source, target = index[q] * x_by, index[q] * o_by
        for i in range(count):
            total = out[target + i]
            for k in range(cut[i], cut[i + 1]):
                total += packed[k] * x[source + cut[count + 1 + k]]
            out[target + i] = total


def _fill(matrix, turned, hollow, positive, cut, packed):
    """Pack a matrix (terms, units), or one (units, terms) where `turned`; without diagonal, or in modulus."""
    units = matrix.shape[0] if turned else matrix.shape[1]
    count = matrix.shape[1] if turned else matrix.shape[0]
    at, plus, zero = 0, 0, REAL(0)
    for panel in range(cut[0]):
        wide = cut[2 + panel] * cut[1]
        inside = min(wide, units - plus)
        if turned:
            for i in range(inside):
                for k in range(count):
                    packed[at + k * wide + i] = matrix[plus + i, k]
        else:
            for k in range(count):
                for i in range(inside):
                    packed[at + k * wide + i] = matrix[k, plus + i]
        for k in range(count):
            for i in range(inside, wide):
                packed[at + k * wide + i] = zero
            if hollow and plus <= k < plus + inside:
                packed[at + k * wide + k - plus] = zero
        if positive:
            for q in range(at, at + count * wide):
                packed[q] = abs(packed[q])
        at += count * wide
        plus += wide


def _affine(product, x, b, packed, cut, terms, index, block, out):
    """``out[r, :units] = b + x[r] M`` for all samples r, in blocks; the padding becomes zero."""
    batch, wide = out.shape
    count, units = x.shape[1], b.size
    for first in range(0, batch, block):
        last = min(first + block, batch)
        for r in range(first, last):
            for i in range(units):
                out[r, i] = b[i]
            for i in range(units, wide):
                out[r, i] = REAL(0)
        product(flat(x), count, index, first, last, packed, cut, terms, flat(out), wide)


class Panel(NamedTuple):
    """A packed matrix.

    Attributes
    ----------
    numbers : ndarray, shape (terms * width,)
    cut : ndarray of int64
        See :func:`layout`; for a sparse matrix, where the rows start, and the columns.
    terms, units : int
    sparse : bool
    """

    numbers: np.ndarray
    cut: np.ndarray
    terms: int
    units: int
    sparse: bool = False

    @property
    def product(self):
        """The compiled product, and the count that it takes: terms of a sum, or rows of a sparse matrix."""
        module = compiled(self.numbers.dtype.name)
        return (module.sparse, self.units) if self.sparse else (module.product, self.terms)


@functools.cache
def compiled(real):
    """The module with ``product``, ``fill`` and ``affine`` for ``"float64"`` or ``"float32"``."""
    return codegen.module(
        _HEAD.format(real=real), _product, _sparse, _fill, _affine, _TAIL.format(real=real), tag="panels"
    )


def pack(matrix, *, turned=False, hollow=False, positive=False, into=None):
    """Pack a matrix for products with samples.

    Parameters
    ----------
    matrix : ndarray or scipy sparse array, shape (terms, units), or (units, terms) where `turned`
        Of float64 or float32, contiguous.
    turned : bool
        ``x @ matrix.T`` is meant.
    hollow : bool
        Leave out the diagonal.
    positive : bool
        Take the modulus of each entry.
    into : Panel, optional
        One of the same shape, whose memory is used again.

    Returns
    -------
    Panel
    """
    if hasattr(matrix, "tocsr"):
        return _pack_sparse(matrix if turned else matrix.T, hollow, positive)
    units, terms = matrix.shape if turned else matrix.shape[::-1]
    if into is None:
        cut = layout(units, matrix.dtype)
        into = Panel(np.empty(terms * width(units, matrix.dtype), matrix.dtype), cut, terms, units)
    compiled(matrix.dtype.name).fill(matrix, turned, hollow, positive, into.cut, into.numbers)
    return into


def _pack_sparse(matrix, hollow, positive):
    rows = matrix.tocoo()
    keep = (rows.data != 0) & ((rows.row != rows.col) if hollow else True)
    order = np.lexsort((rows.col[keep], rows.row[keep]))
    row, column, data = (part[keep][order] for part in (rows.row, rows.col, rows.data))
    starts = np.searchsorted(row, np.arange(matrix.shape[0] + 1))
    cut = np.concatenate([starts, column]).astype(np.int64)
    return Panel(np.abs(data) if positive else data, cut, matrix.shape[1], matrix.shape[0], True)


def affine(x, panel, b=None, out=None):
    """``b + x @ M`` for a packed matrix M, row by row with the same bits in any batch.

    Parameters
    ----------
    x : ndarray, shape (batch, terms)
        Contiguous, of the panel's type.
    panel : Panel
    b : ndarray, shape (units,), optional
    out : ndarray, shape (batch, width), optional

    Returns
    -------
    ndarray, shape (batch, width)
        Padded with zeros; the result is ``[:, :units]``.

    Examples
    --------
    >>> M = np.arange(6.0).reshape(2, 3)
    >>> affine(np.ones((1, 2)), pack(M), np.ones(3))[:, :3]
    array([[4., 6., 8.]])
    """
    module = compiled(panel.numbers.dtype.name)
    b = np.zeros(panel.units, panel.numbers.dtype) if b is None else b
    if out is None:
        out = np.empty((len(x), width(panel.units, x.dtype)), x.dtype)
    block = max(ROWS, min(2**17 // max(panel.terms, panel.units), 4096) // ROWS * ROWS)
    product, count = panel.product
    module.affine(product, x, b, panel.numbers, panel.cut, count, np.arange(len(x)), block, out)
    return out
