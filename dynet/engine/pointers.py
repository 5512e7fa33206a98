"""Compiled functions as numbers: an address among the data, called from compiled code.

A right-hand side that calls others, or evaluates an input, reads from its data which function to call. So one compiled
piece serves all compositions, and a model compiles nothing for kinds of input that it does not have. An address means
nothing in another process: :func:`portable` puts a name in its place where data are compared or stored.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numba import types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

from .block import RHS, RHS_TYPE

__all__ = ["SIGNAL", "SIGNAL_SINGLE", "address", "call_rhs", "call_signal", "portable", "stretch"]

# t (W,), p (npar, W), reals, ints, out (size, W)
SIGNAL = types.void(RHS.args[0], RHS.args[1], RHS.args[0], RHS.args[4], RHS.args[1])
# in single precision times are double all the same
SIGNAL_SINGLE = types.void(
    RHS.args[0], types.float32[:, ::1], types.float32[::1], RHS.args[4], types.float32[:, ::1]
)  # fmt: skip

_names = {}  # address -> what lies there, by a name that is the same in every process


def address(function):
    """The address of a numba CFunc, which must not be let go of while it may be called."""
    _names[function.address] = f"{function._pyfunc.__module__}.{function._pyfunc.__name__}"
    return function.address


def portable(ints):
    """The same integers with names (digests of them) in place of addresses.

    Examples
    --------
    >>> portable(np.array([3, 4]))
    array([3, 4])
    """
    ints = np.array(ints, np.int64)
    for at in np.flatnonzero(np.isin(ints, np.array(list(_names), np.int64))):
        name = _names[int(ints[at])]
        ints[at] = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little", signed=True)
    return ints


@intrinsic
def call_rhs(context, where, t, y, p, reals, ints, work, out):
    """Call the right-hand side of signature :data:`~dynet.engine.block.RHS` at an address."""

    def generate(context, builder, signature, values):
        builder.call(builder.inttoptr(values[0], _pointer(context, RHS_TYPE)), values[1:])
        return context.get_dummy_value()

    return types.none(types.int64, *RHS.args), generate


@intrinsic
def call_signal(context, where, t, p, reals, ints, out):
    """Call the signal at an address, of signature :data:`SIGNAL`, or :data:`SIGNAL_SINGLE` where parameters are single."""
    kind = SIGNAL_SINGLE if p.dtype == types.float32 else SIGNAL

    def generate(context, builder, signature, values):
        builder.call(builder.inttoptr(values[0], _pointer(context, types.FunctionType(kind))), values[1:])
        return context.get_dummy_value()

    return types.none(types.int64, *kind.args), generate


def _pointer(context, kind):
    return context.data_model_manager[kind.ftype].get_value_type()


@intrinsic
def stretch(context, array, first, count):
    """Part of a contiguous array as a vector without a count of its references: `count` numbers from `first`."""

    def generate(context, builder, signature, arguments):
        given = make_array(signature.args[0])(context, builder, arguments[0])
        made = make_array(signature.return_type)(context, builder)
        populate_array(
            made,
            data=builder.gep(given.data, [arguments[1]]),
            shape=[arguments[2]],
            strides=[given.itemsize],
            itemsize=given.itemsize,
            meminfo=None,
        )
        return made._getvalue()

    return types.Array(array.dtype, 1, "C")(array, types.intp, types.intp), generate
