"""The block: the one shape in which the engine and a right-hand side meet.

A compiled right-hand side maps a block ``y[n, W]``, W trajectories side by side, to their derivatives. One indirect call
then serves W trajectories, and the innermost loop runs over them with unit stride. Because the signature is explicit, a
driver is compiled once for all models and found again on disk by the next process.
"""

from __future__ import annotations

import functools
import warnings
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.errors import NumbaExperimentalFeatureWarning
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

__all__ = ["BlockRHS", "FASTMATH", "RHS", "RHS_TYPE", "bare", "call", "flat", "pack_small", "small", "window"]

# Numba calls functions as arguments experimental, on every such call; everything here rests on them and is tested.
warnings.filterwarnings("ignore", category=NumbaExperimentalFeatureWarning)

_matrix, _vector = types.float64[:, ::1], types.float64[::1]

# t (W,), y (n, W), p (npar, W), reals, ints: data shared by all lanes, work (rows, W): scratch, out (n, W)
RHS = types.void(_vector, _matrix, _matrix, _vector, types.int64[::1], _matrix, _matrix)
RHS_TYPE = types.FunctionType(RHS)

# Contraction to fused multiply-add and reciprocal division are welcome; NaN and infinity must keep their meaning, because
# the statuses rest on them, and sums keep their order, because a trajectory must not depend on its neighbours.
FASTMATH = {"contract", "nsz", "arcp"}


@intrinsic
def bare(context, array):
    """The same array without a count of its references, in compiled code that runs while its caller keeps the array.

    Every view and every call on an array updates that count with atomic instructions, dozens of them in one step of a
    small system: more time than its arithmetic.
    """

    def generate(context, builder, signature, arguments):
        made = make_array(signature.return_type)(context, builder, arguments[0])
        made.meminfo = cgutils.get_null_value(made.meminfo.type)
        made.parent = cgutils.get_null_value(made.parent.type)
        return made._getvalue()

    return array(array), generate


@intrinsic
def flat(context, array):
    """A contiguous array as a vector without a count of its references; ``reshape`` costs more than a short loop."""

    def generate(context, builder, signature, arguments):
        given = make_array(signature.args[0])(context, builder, arguments[0])
        made = make_array(signature.return_type)(context, builder)
        populate_array(
            made, data=given.data, shape=[given.nitems], strides=[given.itemsize], itemsize=given.itemsize, meminfo=None
        )
        return made._getvalue()

    return types.Array(array.dtype, 1, "C")(array), generate


@intrinsic
def small(context, array, index):
    """Entry `index` of an int64 array that holds unsigned 32-bit numbers, two in one entry (see :func:`pack_small`)."""

    def generate(context, builder, signature, arguments):
        data = make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.gep(builder.bitcast(data, ir.IntType(32).as_pointer()), [arguments[1]])
        return builder.zext(builder.load(place, align=4), ir.IntType(64))

    return types.uint64(array, types.uint64), generate


def pack_small(numbers):
    """Integers below 2**32 as an int64 array of half the length: half the traffic for the indices of a large graph."""
    numbers = np.ascontiguousarray(numbers, np.uint32)
    return np.append(numbers, np.zeros(numbers.size % 2, np.uint32)).view(np.int64)


@intrinsic
def window(context, array, first, rows, columns):
    """Part of a contiguous array as a matrix without a count of its references: `rows` times `columns` from `first`."""

    def generate(context, builder, signature, arguments):
        given = make_array(signature.args[0])(context, builder, arguments[0])
        made = make_array(signature.return_type)(context, builder)
        width = builder.mul(arguments[3], given.itemsize)
        populate_array(
            made,
            data=builder.gep(given.data, [arguments[1]]),
            shape=[arguments[2], arguments[3]],
            strides=[width, given.itemsize],
            itemsize=given.itemsize,
            meminfo=None,
        )
        return made._getvalue()

    return types.Array(array.dtype, 2, "C")(array, types.intp, types.intp, types.intp), generate


class BlockRHS(NamedTuple):
    """A compiled right-hand side with the data it reads.

    Attributes
    ----------
    function : numba CFunc
        Of signature :data:`RHS`.
    n : int
        Number of states.
    work_rows : int
        Rows of scratch that the function needs.
    reals : ndarray of float64
    ints : ndarray of int64
        Constant data shared by all trajectories.
    split : int
        States per part, for a function that can be asked for a part of its work; 0 where it cannot. Such a function takes,
        after the times of the lanes in `t`, five numbers: phase, first part, end of the parts, thread, turn. Phase 1 writes
        into `work` what the others need to know of these parts, phase 2 gathers it for this thread, phase 3 writes the
        derivatives of these parts, using the states of these parts only. Two turns have separate tables, so that phase 1
        of the next evaluation may begin before everyone has finished phase 3 of this one.
    private_rows : int
        Rows of `work`, the last ones, that each further thread needs again.
    group : int
        Phase 1 is asked for whole groups of so many parts.
    lanes : int or None
        The number of lanes that suits the function best.
    """

    function: object
    n: int
    work_rows: int
    reals: np.ndarray
    ints: np.ndarray
    split: int = 0
    private_rows: int = 0
    group: int = 1
    lanes: int | None = None


def call(block, t, y, p):
    """Evaluate a compiled right-hand side once from Python: y of shape (n, W), p of shape (npar, W) -> (n, W)."""
    y, p = np.ascontiguousarray(y, float), np.ascontiguousarray(p, float)
    out, work = np.empty_like(y), np.zeros((block.work_rows, y.shape[1]))
    _caller()(block.function, np.full(y.shape[1], float(t)), y, p, block.reals, block.ints, work, out)
    return out


@functools.cache
def _caller():
    # a CFunc called from Python runs its interpreted body: only a compiled caller reaches the machine code
    def caller(rhs, t, y, p, reals, ints, work, out):
        rhs(t, y, p, reals, ints, work, out)

    signature = types.void(RHS_TYPE, _vector, _matrix, _matrix, _vector, types.int64[::1], _matrix, _matrix)
    return njit(signature, cache=True)(caller)
