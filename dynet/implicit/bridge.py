r"""What the bridges to other libraries share: an implicit layer as a pair of functions of arrays, forward and backward.

Forward: the states :math:`x = \Phi(Ax + Bu + b)` of a batch. Backward: from :math:`\partial L/\partial x` the adjoint
:math:`\nu = D(A^\top\nu + \partial L/\partial x)`, and with it all gradients. Nothing of another library is
known here: arrays in, arrays out, in single or double precision.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..engine import sweeps
from ..errors import ArgumentError, Shown, Status
from ..fields import activation as activations
from ..fields.base import describe
from . import wellposed
from .adjoint import arguments, gradients
from .network import ImplicitNetwork
from .passes import Passes, State

__all__ = ["Layer", "Solved", "TOLERANCE", "layer"]

TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
_MOST = 100_000
_LOOSE = 100.0  # times its tolerance, what an adjoint may miss where rounding keeps it from more


class Layer(NamedTuple):
    """A well-posed layer, ready for passes.

    Attributes
    ----------
    passes : Passes
    rate : float
        By which the residual is divided for the distance from the fixed point.
    tol : float
        Wanted weighted distance, and wanted relative error of the adjoint.
    grain : float
        Share of the states' size below which rounding hides the residual.
    """

    passes: Passes
    rate: float
    tol: float
    grain: float

    def forward(self, U):
        """The states of a batch (batch, inputs); rows of NaN where none was found."""
        found = self.passes.forward(U, self.tol * self.rate, most=_MOST, grain=self.grain)
        x = np.array(found.x)
        bad = (found.flags != sweeps.GOOD) & (found.flags != sweeps.ROUNDED)
        x[bad] = np.nan
        return x, found

    def again(self, U, x):
        """What :meth:`forward` found, from the states that it returned."""
        z = arguments(self.passes, U, x)
        return State(U, x, z, self.passes.slopes(z), None, None, None)

    def backward(self, found, dx):
        """The gradients of U, A, B and b from that of the states; NaN where the adjoint is far from its tolerance."""
        most = _MOST if self.passes.dtype == np.float64 else _MOST // 10  # rounding may keep it from its goal
        size = (np.abs(dx) * self.passes.weights).max(axis=1, initial=0.0)
        goal = size * (self.tol * self.rate)
        dx = np.where((goal < np.finfo(self.passes.dtype).tiny)[:, None], dx.dtype.type(0), dx)  # no float is so small
        nu, adjoint = self.passes.adjoint(found, dx, self.tol * self.rate, most=most)
        nu = np.where((adjoint.residual <= _LOOSE * goal)[:, None], nu, np.asarray(np.nan, nu.dtype))
        dA, dB, db = self.passes.gradients(found, nu)
        return nu @ self.passes.B, dA, dB, db


class Solved(NamedTuple):
    """A layer that is well-posed in the Euclidean norm only: the core's other solvers, in double precision."""

    net: ImplicitNetwork
    tol: float
    dtype: np.dtype

    def forward(self, U):
        """As :meth:`Layer.forward`."""
        found = self.net.solve(U, self.tol)
        x = np.where([[s in (Status.OK, Status.PRECISION)] for s in found.status], found.x, np.nan)
        return x.astype(self.dtype), (U, found.x)

    def again(self, U, x):
        """As :meth:`Layer.again`."""
        return U, x.astype(float)

    def backward(self, found, dx):
        """As :meth:`Layer.backward`."""
        slopes = gradients(self.net, *found, dx, tol=self.tol)
        return tuple(getattr(slopes, name).astype(self.dtype) for name in "UABb")


def layer(A, B, b, weights=None, activation="relu", tol=None):
    """A layer from its arrays, all of one precision.

    Parameters
    ----------
    A : ndarray, shape (n, n)
    B : ndarray, shape (n, m)
    b : ndarray, shape (n,)
    weights : ndarray, shape (n,), optional
        Of the norm in which the layer is well-posed; the best ones when None.
    activation : str or Activation
    tol : float, optional
        1e-10 in double and 1e-5 in single precision when None.

    Returns
    -------
    Layer
        Or :class:`Solved`, which has the same methods, where the proof is one in the Euclidean norm.

    Raises
    ------
    ArgumentError
        For shapes or precisions that do not fit, or a matrix that is not known to be well-posed with this activation.

    Examples
    --------
    >>> found = layer(np.array([[-1.0, 0.5], [0.5, -1.0]]), np.eye(2), np.zeros(2))
    >>> x, state = found.forward(np.array([[3.0, 0.0]]))
    >>> x.round(9)
    array([[1.6, 0.4]])
    >>> found.backward(state, np.array([[1.0, 1.0]]))[0].round(9)
    array([[0.66666667, 0.66666667]])
    """
    kinds = {np.asarray(v).dtype for v in (A, B, b)}
    if len(kinds) != 1 or kinds.copy().pop() not in (np.float32, np.float64):
        raise ArgumentError(
            "A", Shown(f"arrays of {sorted(map(str, kinds))}"), "float32 or float64, the same for all arrays"
        )
    n = len(A)
    for name, array, wanted in (("A", A, (n, n)), ("B", B, (n, *np.shape(B)[1:2])), ("b", b, (n,))):
        if np.shape(array) != wanted or not np.isfinite(array).all():
            raise ArgumentError(name, describe(array), f"finite numbers of shape {wanted}")
    activation = activations.get(activation)
    if activation.slopes is None:
        raise ArgumentError("activation", activation.name, "an activation that declares its slopes=(dmin, dmax)")
    kind = np.asarray(A).dtype.name
    tol = TOLERANCE[kind] if tol is None else tol
    if not (np.isscalar(tol) and np.isfinite(tol) and tol > 0):
        raise ArgumentError("tol", tol, "a positive number")
    exact = np.asarray(A, float)
    weights = wellposed.best_weights(exact, activation.slopes) if weights is None else np.asarray(weights, float)
    if weights.shape != (n,) or not (weights > 0).all():
        raise ArgumentError("weights", describe(weights), f"{n} positive numbers")
    rows = wellposed.rows(exact, weights, activation.slopes)
    if not rows.rate > 0:
        net = ImplicitNetwork(exact, np.asarray(B, float), np.eye(n), np.asarray(b, float), activation=activation)
        if net.well_posed:
            return Solved(net, tol, np.asarray(A).dtype)
        raise ArgumentError(
            "A", Shown(f"a matrix with a log norm of {rows.mu:.6g}"), "a well-posed one: make it with a parametrisation"
        )
    size = float((np.abs(exact.diagonal()) + rows.off).max())
    grain = 2 * np.finfo(kind).eps * (n + 8) * max(1.0, size)
    return Layer(Passes(A, B, b, weights, activation, kind), rows.rate, tol, grain)
