r"""The sweep in Gauss-Seidel order: every unit sees the states of the units before it that this sweep has just found.

In the norm :math:`\max_i|x_i|/\eta_i` it contracts with the factor of the sweep at worst: by induction over the units,
the error of unit i is at most :math:`\theta_i = s_i r_i < 1` times the largest error among old and new states of the
others. Where the network has an order in which no unit depends on a later one (layers), one sweep in that order gives
the state.
"""

# ruff: noqa: F821 (the names in the source that is copied are bound in the generated module)

from __future__ import annotations

import functools

import numpy as np

from ..engine import codegen, sweeps
from . import units

__all__ = ["order", "run"]

_TAIL = """
seidel = njit(types.void(_row, _index, _index, _index, _whole, _whole, _row, _row, _row, _row, types.{real}, _whole,
_row, _index, _index, _row), cache=True, nogil=True, error_model="numpy")(_seidel)
"""


def _seidel(
    numbers, starts, columns, places, n, wide, data, inject, x, goals, grain, most, residual, iterations, flags, s
):
    p = data[data.size - 1]
    for r in range(goals.size):
        state, source = part(x, r * wide, n), part(inject, r * wide, n)
        best, stalled, sweep = REAL(np.inf), 0, 0
        while True:
            size, large = REAL(0), REAL(0)
            for i in range(n):  # the residual of the state as it stands
                total = source[i]
                for k in range(starts[i], starts[i + 1]):
                    total += numbers[k] * state[columns[k]]
                miss = abs(value(total + data[i] * state[i], p) - state[i]) * data[2 * wide + i]
                size = miss if not (miss <= size) else size
                large = max(large, (abs(state[i]) + abs(source[i])) * data[2 * wide + i])
            stalled = 0 if size < best else stalled + 1
            best = min(best, size)
            residual[r], iterations[r] = size, sweep
            if size <= goals[r]:
                flags[r] = GOOD
                break
            if not (size < np.inf):
                flags[r] = NONFINITE
                break
            if stalled > 2 and size <= grain * large:
                flags[r] = ROUNDED
                break
            if sweep >= most:
                flags[r] = MOST
                break
            for q in range(n):
                i = places[q]
                total = source[i]
                for k in range(starts[i], starts[i + 1]):
                    total += numbers[k] * state[columns[k]]
                state[i] = solve(data[i], total, data[wide + i], state[i], p)
            sweep += 1


@functools.lru_cache(maxsize=64)
def _compiled(activation, real):
    head = sweeps.HEAD.format(real=real, bits="int64")
    return codegen.module(head, *units.pieces(activation, real), _seidel, _TAIL.format(real=real), tag="seidel").seidel


def order(net):
    """An order of the units in which each depends on earlier ones only, shape (n,); None where there is none.

    >>> import dynet as dn
    >>> order(dn.ImplicitNetwork([[0.0, 2.0], [0.0, 0.0]], [[1.0], [1.0]], [[1.0, 0.0]]))
    array([1, 0])
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    entries = coo_array(net.exact("A"))
    keep = (entries.data != 0) & (entries.row != entries.col)
    row, column = entries.row[keep], entries.col[keep]
    if row.size > net.n * (net.n - 1) // 2:
        return None
    links = coo_array((np.ones(row.size), (row, column)), shape=entries.shape).tocsr()
    if connected_components(links, connection="strong")[0] < net.n:
        return None
    waiting, into = np.diff(links.indptr).copy(), links.T.tocsr()
    ready, found = list(np.flatnonzero(waiting == 0)), []
    while ready:
        unit = ready.pop()
        found.append(unit)
        after = into.indices[into.indptr[unit] : into.indptr[unit + 1]]
        waiting[after] -= 1
        ready.extend(after[waiting[after] == 0])
    return np.array(found)


def run(net, inject, x, goals, most, grain, places=None):
    """Sweeps in an order of the units: ``x``, residuals, iterations and flags as :func:`.solvers.iterate` returns them."""
    passes = net._passes("float64")
    if "rows of A" not in net._made:
        from scipy.sparse import coo_array

        entries = coo_array(net.exact("A"))
        keep = (entries.data != 0) & (entries.row != entries.col)
        matrix = coo_array((entries.data[keep], (entries.row[keep], entries.col[keep])), shape=entries.shape).tocsr()
        matrix.sort_indices()
        net._made["rows of A"] = matrix.data, *(v.astype(np.int64) for v in (matrix.indptr, matrix.indices))
    places = np.arange(net.n) if places is None else places
    batch = len(x)
    residual, counts = np.empty(batch), np.empty((2, batch), np.int64)
    _compiled(net.activation, "float64")(
        *net._made["rows of A"], places.astype(np.int64), net.n, passes.wide, passes._data, inject.ravel(), x.ravel(),
        goals, grain, most, residual, counts[0], counts[1], np.empty(1),
    )  # fmt: skip
    return x[:, : net.n], residual, counts[0], counts[1]
