"""A block-triangular matrix that is held as the layers of a network and never written down.

Its products are those of the layers: a dense layer multiplies, a convolution convolves, and the transposed matrix runs the
transposed layers. A network of tens of millions of weights, shared over hundreds of thousands of units, takes the memory of
its weights.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse.linalg import LinearOperator

__all__ = ["BlockTriangular"]


class BlockTriangular(LinearOperator):
    """A matrix with one block per layer, held as the layers: rows of `rows`, columns of `columns`.

    ``A @ x``, ``A.T @ y`` and ``abs(A)`` work as for any :class:`scipy.sparse.linalg.LinearOperator`; nothing is densified.

    Parameters
    ----------
    shape : (int, int)
    parts : list of (int, int, Affine, tuple, tuple)
        First row and first column of a block, its layer, and the shapes of what enters and leaves it.
    absolute : bool
        Whether the entries are the moduli of the layers' weights.

    Examples
    --------
    >>> from dynet.implicit.feedforward import FeedforwardNetwork
    >>> from dynet.implicit.layers import Dense
    >>> net = FeedforwardNetwork([Dense([[1.0, -2.0]]), Dense([[3.0], [-4.0]])], shape=2)
    >>> net.A @ np.array([1.0, 0.0, 0.0]), abs(net.A).T @ np.array([0.0, 1.0, 1.0])
    (array([ 0.,  3., -4.]), array([7., 0., 0.]))
    """

    def __init__(self, shape, parts, absolute=False):
        super().__init__(np.result_type(np.float32, *(part[2].weight for part in parts)), shape)
        self.parts, self.absolute = tuple(parts), absolute

    def __abs__(self):
        return BlockTriangular(self.shape, self.parts, absolute=True)

    def _layer(self, layer):
        if not self.absolute:
            return layer
        twin = object.__new__(type(layer))
        twin.__dict__.update(layer.__dict__, weight=np.abs(layer.weight))
        return twin

    def _matmat(self, X):
        out = np.zeros((self.shape[0], X.shape[1]), np.result_type(self.dtype, X))
        for row, column, layer, entry, leaving in self.parts:
            part = X[column : column + math.prod(entry)].T.reshape(-1, *entry)
            out[row : row + math.prod(leaving)] = self._layer(layer).product(part).reshape(len(part), -1).T
        return out

    def _rmatmat(self, Y):
        out = np.zeros((self.shape[1], Y.shape[1]), np.result_type(self.dtype, Y))
        for row, column, layer, entry, leaving in self.parts:
            part = Y[row : row + math.prod(leaving)].T.reshape(-1, *leaving)
            back = self._layer(layer).transposed(part, entry)
            out[column : column + math.prod(entry)] = back.reshape(len(part), -1).T
        return out

    def _matvec(self, x):
        return self._matmat(np.reshape(x, (-1, 1))).reshape(-1)

    def _rmatvec(self, y):
        return self._rmatmat(np.reshape(y, (-1, 1))).reshape(-1)
