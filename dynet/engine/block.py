"""The block: the one shape in which the engine and a right-hand side meet.

A compiled right-hand side maps a block ``y[n, W]``, W trajectories side by side, to their derivatives. One indirect call
then serves W trajectories, and the innermost loop runs over them with unit stride. Because the signature is explicit, a
driver is compiled once for all models and found again on disk by the next process.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from numba import types
from numba.core import cgutils
from numba.core.errors import NumbaExperimentalFeatureWarning
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

__all__ = ["BlockRHS", "FASTMATH", "RHS", "RHS_TYPE", "bare", "flat", "window"]

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
    """

    function: object
    n: int
    work_rows: int
    reals: np.ndarray
    ints: np.ndarray
