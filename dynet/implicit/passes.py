r"""Forward and adjoint passes on batches, without checks and certificates: what training repeats a hundred thousand times.

A :class:`Passes` holds the packed matrices of one network and nothing else; what a pass finds is returned, and handed to the
next. With :math:`z = Ax + Bu + b` and :math:`D = [\Phi'(z)]` the adjoint of a loss :math:`L(x)` solves
:math:`\nu = D(A^\top\nu + \partial L/\partial x)`, and

.. math:: \partial b = \nu, \quad \partial A = \nu x^\top, \quad \partial B = \nu u^\top, \quad \partial u = B^\top\nu.

The slopes D are taken at z, never guessed from x: of a state that is only close to the solution, an inactive unit may be
positive still.

References
----------
Jafarpour, Davydov, Proskurnikov, Bullo, Robust implicit networks via non-Euclidean contractions, arXiv:2106.03194.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..engine import panels, sweeps
from . import units

__all__ = ["Passes", "State"]


class State(NamedTuple):
    """What a forward pass found.

    Attributes
    ----------
    U : ndarray, shape (batch, inputs)
    x, z, slope : ndarray, shape (batch, n)
        Fixed points, the units' arguments, and the slopes there; views of padded arrays.
    residual : ndarray, shape (batch,)
        Weighted, of `x`.
    iterations, flags : ndarray of int64, shape (batch,)
    """

    U: np.ndarray
    x: np.ndarray
    z: np.ndarray
    slope: np.ndarray
    residual: np.ndarray
    iterations: np.ndarray
    flags: np.ndarray


class Passes:
    """The packed matrices of a network, and the passes over batches.

    Parameters
    ----------
    A : ndarray (n, n) or scipy sparse array
    B : ndarray, shape (n, m)
    b, weights : ndarray, shape (n,)
    activation : Activation
    dtype : str
        ``"float64"`` or ``"float32"``: of the arithmetic, and of what the passes take and return.

    Examples
    --------
    >>> import dynet as dn
    >>> net = dn.ImplicitNetwork([[-1.0, 0.5], [-0.75, 0.25]], [[1.0], [2.0]], [[1.0, -1.0]], [0.5, -0.25], [0.0])
    >>> passes = net.passes()
    >>> state = passes.forward(np.array([[0.0], [1.0]]), tol=1e-12)
    >>> state.x.round(7)
    array([[0.25     , 0.       ],
           [1.0666667, 1.2666667]])
    >>> nu, _ = passes.adjoint(state, np.array([[1.0, 0.0], [1.0, 0.0]]), tol=1e-12)
    >>> dA, dB, db = passes.gradients(state, nu)
    """

    def __init__(self, A, B, b, weights, activation, dtype="float64"):
        self.activation, self.dtype = activation, np.dtype(dtype)
        self.n = A.shape[0]
        self.wide = panels.width(self.n, self.dtype)
        self._update = units.update(activation, self.dtype.name)
        self._packed = {}
        self.load(A, B, b, weights)

    def load(self, A, B, b, weights):
        """Take other matrices of the same shapes, in the memory of the ones before."""
        kind = self.dtype
        self.A, self.B = (M.astype(kind) if hasattr(M, "tocsr") else np.ascontiguousarray(M, kind) for M in (A, B))
        self.b = np.ascontiguousarray(b, kind)
        self.diagonal = np.asarray(self.A.diagonal(), kind)
        self.weights = weights
        self._data = units.data(self.activation, self.diagonal, weights, kind.name)
        self._dual = None
        self._memory, self._packed = {**getattr(self, "_memory", {}), **self._packed}, {}

    def panel(self, name):
        """A packed matrix: ``"A"`` and ``"B"`` for products with samples, ``"A'"`` transposed, ``"|A|"`` in modulus, ..."""
        if name not in self._packed:
            matrix = self.A if "A" in name else self.B
            self._packed[name] = panels.pack(
                matrix, turned="'" not in name, hollow="A" in name, positive="|" in name, into=self._memory.get(name)
            )
        return self._packed[name]

    def inject(self, U):
        """What the inputs add to the units' arguments, ``B u + b``: shape (batch, width)."""
        return panels.affine(U, self.panel("B"), self.b)

    def pad(self, values):
        """An array (batch, n) with the padding that the kernels need."""
        out = np.zeros((len(values), self.wide), self.dtype)
        out[:, : self.n] = values
        return out

    def forward(self, U, tol=1e-6, *, x0=None, most=1000, grain=0.0, inject=None):
        """The fixed points for a batch of inputs.

        Parameters
        ----------
        U : ndarray, shape (batch, m)
            Contiguous, of the passes' type.
        tol : float
            Wanted residual, in the weighted maximum norm.
        x0 : ndarray, shape (batch, n), optional
        most : int
            Sweeps at most.
        grain : float
            Residuals below this share of the size of states and injections are not waited for.
        inject : ndarray, shape (batch, width), optional
            What :meth:`inject` returned for `U`.

        Returns
        -------
        State
        """
        inject = self.inject(U) if inject is None else inject
        found = sweeps.run(
            self._update, self.panel("A"), self._data, inject, None if x0 is None else self.pad(x0),
            goals=np.full(len(U), tol, self.dtype), most=most, grain=grain,
        )  # fmt: skip
        return State(U, found.x[:, : self.n], found.z[:, : self.n], self.slopes(found.z)[:, : self.n],
                     found.residual, found.iterations, found.flags)  # fmt: skip

    def slopes(self, z):
        """Slopes of the units at their arguments, in the type of the passes."""
        if self.activation.name == "relu":
            return (z > 0).astype(self.dtype)
        return np.asarray(self.activation.slope(z), self.dtype)

    def adjoint(self, state, dx, tol=1e-6, *, most=1000):
        r"""Solve :math:`\nu = D(A^\top\nu + g)` for each sample by the transposed sweep.

        Parameters
        ----------
        state : State
        dx : ndarray, shape (batch, n)
            g, the gradient with respect to the fixed points.
        tol : float
            Wanted residual relative to the largest entry of g, both in the dual weights.

        Returns
        -------
        nu : ndarray, shape (batch, n)
        found : Swept
        """
        if self._dual is None:
            self._dual = units.data(self.activation, self.diagonal, self.weights, self.dtype.name, transposed=True)
        inject = self.pad(dx)
        goals = (np.abs(dx) * self.weights).max(axis=1).astype(self.dtype) * self.dtype.type(tol)
        found = sweeps.run(
            sweeps.adjoint_kernel(self.dtype.name), self.panel("A'"), self._dual, inject,
            extra=_base(state.slope, self), goals=goals, most=most,
        )  # fmt: skip
        return found.x[:, : self.n], found

    def gradients(self, state, nu):
        """The gradients of A (dense), B and b, summed over the batch."""
        turned = np.ascontiguousarray(nu.T)
        return turned @ state.x, turned @ state.U, turned.sum(axis=1)


def _base(view, passes):
    """The padded array that a view was cut from, or a padded copy."""
    base = view.base
    if base is not None and base.shape == (len(view), passes.wide) and base.flags.c_contiguous:
        return base
    return passes.pad(view)
