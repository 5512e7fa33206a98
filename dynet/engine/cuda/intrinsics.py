"""The names with which kernels on tensor cores are written: what :mod:`.warp` emits, as intrinsics of Numba."""

from __future__ import annotations

import types as plain

from llvmlite import ir

from .ptx import ABS, FMA, I32, I64, TO_SHARED

__all__ = ["intrinsics"]


def intrinsics(warp):
    """A namespace of intrinsics for a :class:`~.warp.Warp`.

    ``address(array)``
        Where an array lies in shared memory, a uint32.
    ``rhs(x, weights, vectors, drive, factor, e, a)``
        The derivative; addresses in shared memory are uint32.
    ``axpy(a, x, y)``, ``axpy_rows(a, x, y)``
        a x + y with one number, or with one for each row that a lane holds.
    ``load(array, row, column)``, ``store(array, slot, row, column, x)``
        Between a lane and an array of shape (batch, n), or (batch, k, n) at place `slot`.
    ``finite(x)``
        1 for each row that a lane holds whose entries are finite.
    ``burn(x)``
        Products of registers, to measure them.
    ``norm(d, weights)``
        This lane's share of the weighted length of each row.
    """
    from numba.cuda import cgutils, types  # here, because only numba-cuda has them
    from numba.cuda.extending import intrinsic

    @intrinsic
    def address(typingctx, array):
        def generate(context, b, signature, arguments):
            data = context.make_array(signature.args[0])(context, b, arguments[0]).data
            return b.call(TO_SHARED, [b.ptrtoint(data, I64)])

        return types.uint32(array), generate

    number = types.float64 if warp.double else types.float32
    count, rows = warp.size.entries, warp.rows
    state, per_row, flags = (
        types.UniTuple(number, count), types.UniTuple(number, rows), types.UniTuple(types.int32, rows)
    )  # fmt: skip
    u32, i64 = types.uint32, types.int64

    def parts(b, value, size=count):
        return [b.extract_value(value, i) for i in range(size)]

    @intrinsic
    def rhs(typingctx, x, weights, vectors, drive, factor, e, a):
        def generate(context, b, signature, given):
            return cgutils.pack_array(b, warp.rhs(b, parts(b, given[0]), *given[1:]))

        return state(state, u32, u32, u32, u32, number, number), generate

    @intrinsic
    def axpy(typingctx, a, x, y):
        def generate(context, b, signature, given):
            pairs = zip(parts(b, given[1]), parts(b, given[2]), strict=True)
            return cgutils.pack_array(b, [b.call(FMA[warp.t], [given[0], u, v]) for u, v in pairs])

        return state(number, state, state), generate

    @intrinsic
    def axpy_rows(typingctx, a, x, y):
        def generate(context, b, signature, given):
            each = parts(b, given[0], rows)
            pairs = zip(parts(b, given[1]), parts(b, given[2]), strict=True)
            return cgutils.pack_array(
                b, [b.call(FMA[warp.t], [each[warp.row_of(i)], u, v]) for i, (u, v) in enumerate(pairs)]
            )

        return state(per_row, state, state), generate

    @intrinsic
    def load(typingctx, array, row, column):
        def generate(context, b, signature, given):
            return cgutils.pack_array(b, warp.entries(context, b, signature, given, warp.load_one))

        return state(array, i64, i64), generate

    @intrinsic
    def store(typingctx, array, slot, row, column, x):
        def generate(context, b, signature, given):
            values = parts(b, given[4])
            warp.entries(context, b, signature, (given[0], given[2], given[3]), warp.store_one, given[1], values)
            return context.get_dummy_value()

        return types.void(array, i64, i64, i64, state), generate

    @intrinsic
    def finite(typingctx, x):
        def generate(context, b, signature, given):
            found = [ir.Constant(ir.IntType(1), 1)] * rows
            for i, v in enumerate(parts(b, given[0])):
                good = b.fcmp_ordered("<", b.call(ABS[warp.t], [v]), ir.Constant(warp.t, float("inf")))
                found[warp.row_of(i)] = b.and_(found[warp.row_of(i)], good)
            return cgutils.pack_array(b, [b.zext(f, I32) for f in found])

        return flags(state), generate

    @intrinsic
    def burn(typingctx, x):
        def generate(context, b, signature, given):
            return cgutils.pack_array(b, warp.burn(b, parts(b, given[0])))

        return state(state), generate

    @intrinsic
    def norm(typingctx, d, weights):
        def generate(context, b, signature, given):
            return cgutils.pack_array(b, warp.norm(b, parts(b, given[0]), given[1]))

        return per_row(state, u32), generate

    return plain.SimpleNamespace(
        address=address,
        burn=burn,
        rhs=rhs, axpy=axpy, axpy_rows=axpy_rows, load=load, store=store, finite=finite, norm=norm
    )  # fmt: skip
