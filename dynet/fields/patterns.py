"""Patterns of Jacobians that the structure of a field tells, in compressed rows."""

from __future__ import annotations

import numpy as np

__all__ = ["lure_pattern", "network_pattern"]


def lure_pattern(E, F, G):
    """Of ``E + F diag(slopes) G``; None where a dense factor fills it.

    >>> from scipy.sparse import csr_array
    >>> lure_pattern(np.ones(2), np.ones(2), csr_array([[0.0, 3.0], [0.0, 0.0]]))
    (array([0, 2, 3]), array([0, 1, 1]))
    """
    from scipy.sparse import csr_array, diags_array

    factors = []
    for M in (E, F, G):
        if isinstance(M, np.ndarray) and M.ndim == 1:
            M = diags_array(M)
        elif isinstance(M, np.ndarray) and np.count_nonzero(M) > 0.25 * M.size:
            return None
        M = csr_array(M)
        factors.append(csr_array((np.ones(M.nnz), M.indices, M.indptr), shape=M.shape))
    whole = csr_array(factors[0] + factors[1] @ factors[2])
    whole.sort_indices()
    return whole.indptr.astype(np.int64), whole.indices.astype(np.int64)


def network_pattern(rows, columns, nodes, dim):
    """Of a field on a graph whose node states have `dim` components: node i sees itself and the nodes that act on it.

    >>> network_pattern([0], [1], 2, 1)
    (array([0, 2, 3]), array([0, 1, 1]))
    """
    own = np.arange(nodes)
    pairs = np.unique(np.append(rows, own).astype(np.int64) * nodes + np.append(columns, own))
    i, j = np.divmod(pairs, nodes)
    shape = (i.size, dim, dim)
    i = np.broadcast_to((i * dim)[:, None, None] + np.arange(dim)[None, :, None], shape).ravel()
    j = np.broadcast_to((j * dim)[:, None, None] + np.arange(dim)[None, None, :], shape).ravel()
    order = np.lexsort((j, i))
    i, j = i[order], j[order]
    return np.searchsorted(i, np.arange(nodes * dim + 1)), j
