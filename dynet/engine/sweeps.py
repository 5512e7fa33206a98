r"""Diagonal-absorbing sweeps: every unit's own term is solved exactly, the others are taken from the sweep before.

For :math:`x = \Phi(Ax + v)` one sweep is :math:`x_i \leftarrow \psi_i\big(v_i + \sum_{j\ne i} a_{ij}x_j\big)`, where
:math:`y = \psi_i(s)` solves :math:`y = \varphi(a_{ii}y + s)`. The sum is one product of the batch with a packed matrix;
the rest, one pass over the units, comes in through a pointer, and tells the true residual :math:`\max_i |x_i -
\varphi(a_{ii}x_i + s_i)|\,w_i` of the state that went *into* the sweep. A sample whose residual is small enough keeps
that state and takes no further part: it stops by itself, and has the same bits alone or in any batch.

The transposed system :math:`\nu = D(A^\top\nu + g)` with a diagonal D for each sample is linear and takes the same
loop.
"""

# ruff: noqa: F821 (the names in the source that is copied are bound in the generated module)

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

from . import codegen

__all__ = [
    "GOOD",
    "MOST",
    "NONFINITE",
    "ROUNDED",
    "Swept",
    "adjoint_kernel",
    "from_bits",
    "kernel",
    "run",
    "to_bits",
]

GOOD, NONFINITE, MOST, ROUNDED = range(4)  # how the sweeps of a sample ended
_BLOCK = 2**15  # entries of the state that are worked on together: three such arrays stay in the second-level cache
_LEAST = 252  # samples that are worked on together at least: so often is each panel of a large matrix used


@intrinsic
def part(context, array, first, count):
    """Part of a vector as a vector without a count of its references, whose index is known not to be negative."""

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


@intrinsic
def to_bits(context, number):
    """The bits of a float as an integer.

    Those of numbers that are not negative are ordered as the numbers are, and those of NaN lie above all: a maximum of
    bits needs no rule for NaN, so it can be taken in the lanes of a vector.
    """

    def generate(context, builder, signature, arguments):
        size = 32 if signature.args[0] == types.float32 else 64
        return builder.bitcast(arguments[0], ir.IntType(size))

    return (types.int32 if number == types.float32 else types.int64)(number), generate


@intrinsic
def from_bits(context, bits):
    """The float with these bits."""

    def generate(context, builder, signature, arguments):
        single = signature.args[0] == types.int32
        return builder.bitcast(arguments[0], ir.FloatType() if single else ir.DoubleType())

    return (types.float32 if bits == types.int32 else types.float64)(bits), generate


HEAD = """
import numpy as np
from numba import cfunc, njit, types
from dynet.engine.block import FASTMATH
from dynet.engine.sweeps import from_bits, part, to_bits

REAL, BITS = np.{real}, np.{bits}
GOOD, NONFINITE, MOST, ROUNDED = range(4)
_row, _whole, _index = types.{real}[::1], types.int64, types.int64[::1]
PRODUCT = types.void(_row, _whole, _index, _whole, _whole, _row, _index, _whole, _row, _whole)
UPDATE = types.{real}(_row, _whole, _row, _row, _row, _whole, _row)
"""

_DRIVER = """
_pointers = types.FunctionType(PRODUCT), types.FunctionType(UPDATE)
sweeps = njit(types.void(*_pointers, _row, _index, _whole, _whole, _row, _row, _row, _row, _row, _row, types.{real},
                         _whole, types.boolean, types.boolean, _whole, _row, _index, _index, _index, _row),
              cache=True, nogil=True, error_model="numpy")(_sweeps)
look = njit(types.void(*_pointers, _row, _index, _whole, _whole, _row, _row, _row, _row, _row, _index, _row, _row),
            cache=True, nogil=True, error_model="numpy")(_look)
"""

UPDATE_TAIL = """
update = cfunc(UPDATE, cache=True, fastmath=FASTMATH, error_model="numpy")(_update)
"""


def _sweeps(
    product, update, packed, cut, n, wide, data, inject, x, s, extra, goals, grain, most, zero, take, block, residual,
    iterations, flags, index, fresh,
):  # fmt: skip
    """Sweep every sample until its residual is at most its goal; `s` becomes the units' arguments a_ii x_i + s_i."""
    batch = goals.size
    for first in range(0, batch, block):
        left = min(block, batch - first)
        for q in range(left):
            index[q] = first + q
        sweep = 0
        while left > 0:
            for q in range(left):
                source, target = part(inject, index[q] * wide, wide), part(s, index[q] * wide, wide)
                for i in range(wide):
                    target[i] = source[i]
            if sweep > 0 or not zero:
                product(x, wide, index, 0, left, packed, cut, n, s, wide)
            keep = 0
            for q in range(left):
                r = index[q]
                at = r * wide
                size = update(data, n, x, s, extra, at, fresh)
                if sweep == 0 or size < residual[r]:
                    flags[r] = 0
                else:  # no smaller than the one before: rounding, or a slow start
                    flags[r] += 1
                residual[r] = size
                iterations[r] = sweep
                if size <= goals[r]:
                    flags[r] = GOOD
                    if take:  # the next state, which is as good as new
                        target = part(x, at, n)
                        for i in range(n):
                            target[i] = fresh[i]
                    continue
                if not (size < np.inf):
                    flags[r] = NONFINITE
                    continue
                if flags[r] > 2:
                    large, weight = REAL(0), part(data, 2 * wide, n)
                    state, source = part(x, at, n), part(inject, at, n)
                    for i in range(n):
                        large = max(large, weight[i] * (abs(state[i]) + abs(source[i])))
                    if size <= grain * large:
                        flags[r] = ROUNDED
                        continue
                if sweep >= most:
                    flags[r] = MOST
                    continue
                target = part(x, at, n)
                for i in range(n):
                    target[i] = fresh[i]
                index[keep] = r
                keep += 1
            left = keep
            sweep += 1


def _look(product, update, packed, cut, n, wide, data, inject, x, s, residual, index, fresh, out):
    """One sweep of every sample, without taking it: the units' arguments, the residuals, and where it would lead."""
    batch = residual.size
    for r in range(batch):
        index[r] = r
    for i in range(batch * wide):
        s[i] = inject[i]
    product(x, wide, index, 0, batch, packed, cut, n, s, wide)
    for r in range(batch):
        residual[r] = update(data, n, x, s, s, r * wide, fresh)
        target = part(out, r * wide, n)
        for i in range(n):
            target[i] = fresh[i]


def _linear_update(data, n, x, s, extra, at, fresh):
    """The transposed system: `extra` holds the slopes d, `data` the diagonal a and the weights."""
    wide = data.size // 3
    diagonal, weight = part(data, 0, n), part(data, 2 * wide, n)
    state, total, slope = part(x, at, n), part(s, at, n), part(extra, at, n)
    new, most = part(fresh, 0, n), BITS(0)
    for i in range(n):  # three loops: compilers give up on loops over so many arrays that may overlap
        new[i] = total[i] * slope[i] / (REAL(1) - slope[i] * diagonal[i])
    for i in range(n):
        total[i] += diagonal[i] * state[i]
    for i in range(n):
        most = max(most, to_bits(abs(slope[i] * total[i] - state[i]) * weight[i]))
    return from_bits(most)


class Swept(NamedTuple):
    """What sweeps leave behind.

    Attributes
    ----------
    x, z : ndarray, shape (batch, width)
        States, and the units' arguments at them, padded.
    residual : ndarray, shape (batch,)
        Of `x`, as computed.
    iterations : ndarray of int64, shape (batch,)
    flags : ndarray of int64, shape (batch,)
        GOOD, NONFINITE, MOST (the limit was reached) or ROUNDED (the goal lies below the rounding of the sums).
    """

    x: np.ndarray
    z: np.ndarray
    residual: np.ndarray
    iterations: np.ndarray
    flags: np.ndarray


@functools.cache
def _driver(real):
    head = HEAD.format(real=real, bits="int64" if real == "float64" else "int32")
    return codegen.module(head, _sweeps, _look, _DRIVER.format(real=real), tag="sweeps")


@functools.cache
def kernel(real, *pieces):
    """The compiled pass over the units, from the source of a function ``_update`` and of what it calls."""
    head = HEAD.format(real=real, bits="int64" if real == "float64" else "int32")
    return codegen.module(head, *pieces, UPDATE_TAIL, tag="units").update


@functools.cache
def adjoint_kernel(real):
    """The compiled pass of the transposed system."""
    head = HEAD.format(real=real, bits="int64" if real == "float64" else "int32")
    tail = UPDATE_TAIL.replace("_update", "_linear_update")
    return codegen.module(head, _linear_update, tail, tag="units").update


def run(update, panel, data, inject, x=None, *, extra=None, goals, grain=0.0, most=1000, take=False):
    """Sweep a batch.

    Parameters
    ----------
    update : numba CFunc
        From :func:`kernel`.
    panel : panels.Panel
        The matrix without its diagonal.
    data : ndarray, shape (3 * width + parameters,)
        Diagonal, what the units need, weights of the residual, each padded.
    inject : ndarray, shape (batch, width)
        v, padded.
    x : ndarray, shape (batch, width), optional
        Where to start, overwritten; zero when None.
    extra : ndarray, shape (batch, width), optional
        What the units need for each sample.
    goals : ndarray, shape (batch,)
    grain : float
        Residuals below this share of the size of states and injections are not waited for.
    most : int
        Sweeps at most.
    take : bool
        Take the last sweep, too: the state is then better than the residual that was measured before it.

    Returns
    -------
    Swept
    """
    real = panel.numbers.dtype
    product, count = panel.product
    batch, wide = inject.shape
    zero = x is None
    x = np.zeros_like(inject) if zero else x
    s = np.empty_like(inject)
    extra = s if extra is None else extra
    residual, counts = np.empty(batch, real), np.empty((3, batch), np.int64)
    block = max(_LEAST, _BLOCK // wide)
    block = -(-batch // -(-batch // block) // 6) * 6 if batch else block  # of equal size, in whole tiles
    _driver(real.name).sweeps(
        product, update, panel.numbers, panel.cut, count, wide, data, inject.ravel(),
        x.ravel(), s.ravel(), extra.ravel(), goals, real.type(grain), most, zero, take, block, residual, counts[0], counts[1],
        counts[2], np.empty(wide, real),
    )  # fmt: skip
    return Swept(x, s, residual, counts[0], counts[1])


def look(update, panel, data, inject, x):
    """What one sweep of a batch would do; arguments as for :func:`run`.

    Returns
    -------
    z, next : ndarray, shape (batch, width)
        The units' arguments at `x`, and the states after the sweep.
    residual : ndarray, shape (batch,)
        Of `x`.
    """
    real, (product, count), (batch, wide) = panel.numbers.dtype, panel.product, inject.shape
    s, out, residual = np.empty_like(inject), np.zeros_like(inject), np.empty(batch, real)
    _driver(real.name).look(
        product, update, panel.numbers, panel.cut, count, wide, data, inject.ravel(), x.ravel(), s.ravel(), residual,
        np.empty(batch, np.int64), np.empty(wide, real), out.ravel(),
    )  # fmt: skip
    return s, out, residual
