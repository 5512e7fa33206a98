r"""Sparse Jacobians: which entries can be nonzero, how few evaluations give them all, and elimination on a fixed pattern.

Three facts of a pattern are computed once and used for every matrix :math:`I - c J`:

- a *colouring* of its columns such that no row meets a colour twice (Curtis, Powell, Reid, below): perturbing all states
  of one colour together gives their columns with one evaluation, and all colours are the lanes of one call;
- an *order* of elimination with little fill-in (minimum degree, by SuperLU);
- the *pattern of the factors* in that order, without pivots. Each elimination then is arithmetic alone. A pivot that is
  small shows as a Newton iteration that does not converge, and a smaller step has a matrix with a larger diagonal.

References
----------
Curtis, Powell, Reid, On the estimation of sparse Jacobian matrices, J. Inst. Math. Appl. 13, 1974.
Davis, Direct Methods for Sparse Linear Systems, 2006, chapters 3 and 6 (elimination row by row).
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from . import codegen
from .block import BlockRHS

__all__ = ["Structure", "analyse", "evaluate", "probe"]

_CHUNK = 64  # states evaluated together when a pattern is probed


class Structure(NamedTuple):
    """What is known of a pattern.

    Attributes
    ----------
    rows, columns : ndarray of int64, shapes (n + 1,), (nnz,)
        The pattern in compressed rows.
    colour : ndarray of int64, shape (n,)
        Of each column; columns of one colour share no row.
    order : ndarray of int64, shape (n,)
        Which state is eliminated first, second, ...
    starts, diagonal, places : ndarray of int64, shapes (n + 1,), (n,), (fill,)
        The pattern of both factors in compressed rows, in the new order, and where each diagonal lies in it.
    slots : ndarray of int64, shape (nnz,)
        Where each entry of the pattern lies in the factors.
    """

    rows: np.ndarray
    columns: np.ndarray
    colour: np.ndarray
    order: np.ndarray
    starts: np.ndarray
    diagonal: np.ndarray
    places: np.ndarray
    slots: np.ndarray

    @property
    def colours(self):
        """Number of colours: evaluations of the right-hand side for one Jacobian."""
        return int(self.colour.max(initial=-1)) + 1


def evaluate(block, t, y, p):
    """The compiled right-hand side at states `y` of shape (batch, n), parameters `p` of shape (batch, npar)."""
    batch = len(y)
    out = np.empty((block.n, batch))
    _compiled().call(
        block.function, np.full(batch, float(t)), np.ascontiguousarray(y.T), np.ascontiguousarray(p.T), block.reals,
        block.ints, np.zeros((block.work_rows, batch)), out,
    )  # fmt: skip
    return out.T


def probe(block, p):
    """The pattern of the Jacobian of a compiled right-hand side, found by evaluating it.

    A state that is made NaN makes the components NaN that depend on it. What a comparison hides from NaN, differences at
    two states show; what both miss, Newton's method does without.

    Parameters
    ----------
    block : BlockRHS
    p : ndarray, shape (npar,)

    Returns
    -------
    rows, columns : ndarray of int64
        The pattern in compressed rows.
    """
    facts = (np.ascontiguousarray(a).tobytes() for a in (block.reals, block.ints, np.asarray(p, float)))
    return _probe(block.function, block.n, block.work_rows, *facts)


@functools.lru_cache(maxsize=16)
def _probe(function, n, work_rows, reals, ints, p):
    reals, p = (np.frombuffer(a, float).copy() for a in (reals, p))
    block = BlockRHS(function, n, work_rows, reals, np.frombuffer(ints, np.int64).copy())
    seen = np.zeros((n, n), dtype=bool)
    for state in np.random.default_rng(7).uniform(0.2, 0.8, (2, n)):
        base = evaluate(block, 0.0, state[None], p[None])[0]
        for first in range(0, n, _CHUNK):
            some = np.arange(first, min(n, first + _CHUNK))
            for change in (np.nan, state[some] + 1e-3):
                y = np.tile(state, (some.size, 1))
                y[np.arange(some.size), some] = change
                value = evaluate(block, 0.0, y, np.tile(p, (some.size, 1)))
                differs = ~(value == base) & np.isfinite(base)
                seen[:, some] |= differs.T
    rows, columns = np.nonzero(seen)
    return np.searchsorted(rows, np.arange(n + 1)), columns.astype(np.int64)


def analyse(rows, columns):
    """The :class:`Structure` of a pattern in compressed rows.

    Examples
    --------
    >>> ring = analyse(np.arange(0, 18, 3), np.sort((np.arange(5)[:, None] + [-1, 0, 1]) % 5).ravel())
    >>> ring.colours, ring.places.size  # entries of both factors, the diagonal counted once
    (5, 19)
    """
    rows, columns = np.ascontiguousarray(rows, np.int64), np.ascontiguousarray(columns, np.int64)
    return _analyse(rows.tobytes(), columns.tobytes())


@functools.lru_cache(maxsize=32)
def _analyse(rows, columns):
    from scipy.sparse import csc_array
    from scipy.sparse.linalg import splu

    rows, columns = np.frombuffer(rows, np.int64).copy(), np.frombuffer(columns, np.int64).copy()
    n, code = rows.size - 1, _compiled()
    owner = np.repeat(np.arange(n), np.diff(rows))
    colour = code.colour(rows, columns, *_transposed(owner, columns, n))
    pattern = csc_array((np.ones(columns.size), (owner, columns)), shape=(n, n))
    both = pattern + pattern.T
    both.data[:] = 1e-3 / n  # its diagonal dominates: SuperLU takes the pivots from there
    factors = splu(
        csc_array(both + csc_array((np.ones(n), (np.arange(n), np.arange(n))), shape=(n, n))),
        permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True},
    )  # fmt: skip
    best = None
    for order in (np.argsort(factors.perm_c), factors.perm_c.astype(np.int64)):
        found = _filled(order.astype(np.int64), owner, columns, n)
        if best is None or found[-1].size < best[-1].size:
            best = (order.astype(np.int64), *found)
    order, starts, diagonal, places = best
    position = np.empty(n, np.int64)
    position[order] = np.arange(n)
    keys = np.repeat(np.arange(n), np.diff(starts)) * n + places  # increasing
    slots = np.searchsorted(keys, position[owner] * n + position[columns])
    return Structure(rows, columns, colour, order, starts, diagonal, places, slots)


def _transposed(owner, columns, n):
    """The pattern by columns."""
    turned = np.argsort(columns, kind="stable")
    return np.searchsorted(columns[turned], np.arange(n + 1)), owner[turned]


def _filled(order, owner, columns, n):
    """Starts, diagonal and places of the factors in an order of elimination."""
    position = np.empty(n, np.int64)
    position[order] = np.arange(n)
    i, j = np.append(position[owner], np.arange(n)), np.append(position[columns], np.arange(n))
    keys = np.unique(i * n + j)
    starts, columns = np.searchsorted(keys, np.arange(n + 1) * n), keys % n
    return _compiled().fill(starts, columns)


def colour(rows, columns, starts, owners):
    """Greedy: each column takes the first colour that no column of a common row has."""
    n = starts.size - 1
    colours = np.full(n, -1)
    taken = np.full(n, -1)
    for j in range(n):
        for q in range(starts[j], starts[j + 1]):
            i = owners[q]
            for r in range(rows[i], rows[i + 1]):
                if colours[columns[r]] >= 0:
                    taken[colours[columns[r]]] = j
        c = 0
        while taken[c] == j:
            c += 1
        colours[j] = c
    return colours


def fill(starts, columns):
    """Row by row: a row's pattern gains that of the upper factor of each earlier row that it meets, in order."""
    n = starts.size - 1
    first, diagonal = np.zeros(n + 1, np.int64), np.zeros(n, np.int64)
    room = np.empty(4 * columns.size + 16, np.int64)
    mark = np.full(n, -1)
    size = 0
    for i in range(n):
        count = 0
        for q in range(starts[i], starts[i + 1]):
            mark[columns[q]] = i
        for k in range(n):  # ascending; entries ahead may be marked on the way
            if mark[k] != i:
                continue
            if size + count == room.size:
                wider = np.empty(2 * room.size, np.int64)
                for q in range(room.size):
                    wider[q] = room[q]
                room = wider
            room[size + count] = k
            count += 1
            if k < i:
                for q in range(diagonal[k] + 1, first[k + 1]):
                    mark[room[q]] = i
            elif k == i:
                diagonal[i] = size + count - 1
        size += count
        first[i + 1] = size
    places = np.empty(size, np.int64)
    for q in range(size):
        places[q] = room[q]
    return first, diagonal, places


_HEAD = """
import numpy as np
from numba import int64, njit, types, void
from dynet.engine.block import RHS_TYPE

_real, _row, _index = types.float64[:, ::1], types.float64[::1], int64[::1]

@njit(void(RHS_TYPE, _row, _real, _real, _row, _index, _real, _real), cache=True, nogil=True)
def call(rhs, t, y, p, reals, ints, work, out):
    rhs(t, y, p, reals, ints, work, out)
"""

_TAIL = """
colour = njit(_index(_index, _index, _index, _index), cache=True)(colour)
fill = njit(types.UniTuple(_index, 3)(_index, _index), cache=True)(fill)
"""


@functools.cache
def _compiled():
    return codegen.module(_HEAD, colour, fill, _TAIL, tag="sparse")
