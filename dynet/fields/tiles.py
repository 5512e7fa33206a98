r"""The product of a dense matrix with a block of states, in tiles that stay in the registers.

A tile is R rows by V vectors of L lanes of the result: for each column of the matrix, R numbers are broadcast and multiplied
with V vectors of the block, and everything between is kept in registers, as in the kernels of Goto and van de Geijn (Anatomy
of high-performance matrix multiplication, ACM Transactions on Mathematical Software 34, 2008). A library's product would be
as fast, but the order in which it sums depends on the number of columns; here each entry is summed over the columns in
order with one rounding a term, so that a trajectory has the same bits alone and in any company.
"""

from __future__ import annotations

import platform

from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from ..engine.block import FASTMATH

__all__ = ["FMA", "LANES", "VECTOR", "add_dense", "add_dense_single", "lanes_for"]

_FEATURES = binding.get_host_cpu_features()
_WIDE = bool(_FEATURES.get("avx512f"))
VECTOR = 8 if _WIDE else 4 if _FEATURES.get("avx") else 2  # doubles in a register
VECTORS, ROWS = (3, 8) if _WIDE else (3, 4)  # 24 of 32, or 12 of 16 registers hold sums
FMA = bool(_FEATURES.get("fma")) or platform.machine().lower() in ("arm64", "aarch64")
LANES = 4 * VECTORS * VECTOR  # trajectories that a block of some hundred states has best


def lanes_for(n, single=False):
    """The number of lanes with which a dozen blocks of n states still fit in the second-level cache."""
    tile = VECTORS * VECTOR
    return min(LANES, max(tile, int(14_000 / n) // tile * tile)) * (2 if single else 1)


def _tile(rows, vectors, width, single=False):
    """A compiled ``c[r, :] += sum_j a[j, r] b[j, :]`` for a tile of the given size."""
    bytes_ = 4 if single else 8

    @intrinsic
    def tile(context, a, a_at, a_by, b, b_at, b_by, c, c_at, c_by, count):
        def generate(context, builder, signature, arguments):
            arrays = [make_array(signature.args[k])(context, builder, arguments[k]).data for k in (0, 3, 6)]
            a_at, a_by, b_at, b_by, c_at, c_by, count = (arguments[k] for k in (1, 2, 4, 5, 7, 8, 9))
            double, integer = ir.FloatType() if single else ir.DoubleType(), ir.IntType(64)
            kind = ir.VectorType(double, width) if width > 1 else double
            name = f"llvm.fma.v{width}f{8 * bytes_}" if width > 1 else f"llvm.fma.f{8 * bytes_}"
            fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * 3), name)

            def place(array, at, plus=0):
                pointer = builder.gep(array, [builder.add(at, integer(plus))])
                return builder.bitcast(pointer, kind.as_pointer()) if width > 1 else pointer

            cells = [(r, v) for r in range(rows) for v in range(vectors)]
            row = [builder.add(c_at, builder.mul(c_by, integer(r))) for r in range(rows)]
            start = [builder.load(place(arrays[2], row[r], v * width), align=bytes_) for r, v in cells]
            before, loop = builder.block, builder.append_basic_block("tile")
            after = builder.append_basic_block("done")
            builder.cbranch(builder.icmp_signed(">", count, integer(0)), loop, after)
            builder.position_at_end(loop)
            k, a_now, b_now = (builder.phi(integer) for _ in range(3))
            sums = [builder.phi(kind) for _ in cells]
            near = [builder.load(place(arrays[1], b_now, v * width), align=bytes_) for v in range(vectors)]
            new = []
            for r in range(rows):
                number = builder.load(builder.gep(arrays[0], [builder.add(a_now, integer(r))]), align=bytes_)
                if width > 1:
                    zero, mask = (
                        ir.Constant(kind, ir.Undefined),
                        ir.Constant(ir.VectorType(ir.IntType(32), width), None),
                    )
                    one = builder.insert_element(zero, number, ir.IntType(32)(0))
                    number = builder.shuffle_vector(one, zero, mask)
                for v in range(vectors):
                    new.append(builder.call(fma, [number, near[v], sums[len(new)]]))
            steps = [builder.add(k, integer(1)), builder.add(a_now, a_by), builder.add(b_now, b_by)]
            for phi, first, then in zip(
                (k, a_now, b_now, *sums), (integer(0), a_at, b_at, *start), (*steps, *new), strict=True
            ):
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
                builder.store(total, place(arrays[2], row[r], v * width), align=bytes_)
            return context.get_dummy_value()

        whole = types.int64
        return types.none(a, whole, whole, b, whole, whole, c, whole, whole, whole), generate

    return tile


def _adder(single):
    """The product of whole matrices, tile by tile, in double or in single precision."""
    vector = VECTOR * (2 if single else 1)
    tile, strip, column = (_tile(ROWS, v, w, single) for v, w in ((VECTORS, vector), (1, vector), (1, 1)))
    row_tile, row_strip, row_column = (_tile(1, v, w, single) for v, w in ((VECTORS, vector), (1, vector), (1, 1)))

    @njit(fastmath=FASTMATH, error_model="numpy")
    def add_dense(a, b, c, rows, columns, lanes, first, last):
        """``c[i, :] += sum_j a[j, i] b[j, :]`` for rows first to last, all three arrays flat; lanes > 1."""
        done = 0
        while done < lanes:
            left = lanes - done
            i = first
            if left >= VECTORS * vector:
                wide = VECTORS * vector
                while i + ROWS <= last:
                    tile(a, i, rows, b, done, lanes, c, i * lanes + done, lanes, columns)
                    i += ROWS
                while i < last:
                    row_tile(a, i, rows, b, done, lanes, c, i * lanes + done, lanes, columns)
                    i += 1
            elif left >= vector:
                wide = vector
                while i + ROWS <= last:
                    strip(a, i, rows, b, done, lanes, c, i * lanes + done, lanes, columns)
                    i += ROWS
                while i < last:
                    row_strip(a, i, rows, b, done, lanes, c, i * lanes + done, lanes, columns)
                    i += 1
            else:
                wide = 1
                while i + ROWS <= last:
                    column(a, i, rows, b, done, lanes, c, i * lanes + done, lanes, columns)
                    i += ROWS
                while i < last:
                    row_column(a, i, rows, b, done, lanes, c, i * lanes + done, lanes, columns)
                    i += 1
            done += wide

    return add_dense


add_dense, add_dense_single = _adder(False), _adder(True)
