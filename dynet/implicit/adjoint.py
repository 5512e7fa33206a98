r"""Gradients through the equilibrium.

By the implicit function theorem a loss with :math:`\partial L/\partial y` has, with :math:`D = [\Phi'(z)]` and
:math:`g = C^\top \partial L/\partial y`,

.. math:: \nu = D(A^\top\nu + g), \quad \partial A = \nu x^\top,\ \partial B = \nu u^\top,\ \partial b = \nu,\ \partial
u = B^\top\nu.

The transposed sweep contracts in the dual norm with the factor of the sweep, since
:math:`\mu_{1,[\eta]}(A^\top D) = \mu_{\infty,[\eta]^{-1}}(DA)`. Shortcuts that do not solve this system are available
under their names, and what they return says that it is not exact:

- ``"one-step"``: :math:`\nu = Dg`, as if the last application of the layer were the whole network;
- ``"phantom"``: the first terms of a damped Neumann series, as if a few damped iterations were.

References
----------
Jafarpour, Davydov, Proskurnikov, Bullo, Robust implicit networks via non-Euclidean contractions, arXiv:2106.03194.
Geng, Zhang, Bai, Wang, Lin, On training implicit models, arXiv:2111.05177 (phantom gradients).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..engine import panels, sweeps
from ..errors import ArgumentError, Shown
from ..fields.base import describe
from .passes import State

__all__ = ["KINDS", "Gradients", "gradients"]

KINDS = ("exact", "phantom", "one-step")
PHANTOM = (5, 0.5)  # terms and damping of the phantom gradient


class Gradients(NamedTuple):
    """Gradients of a loss, summed over the batch where a parameter is meant.

    Attributes
    ----------
    A, B, C : ndarray
        Dense, of the shapes of the network's matrices.
    b, d : ndarray
    U : ndarray, shape (batch, inputs)
    iterations : ndarray of int64, shape (batch,)
        Sweeps of the adjoint.
    residual : ndarray, shape (batch,)
        Of the adjoint equation, relative to the largest entry of g, both in the dual weights; NaN for a shortcut.
    exact : bool
        Whether the adjoint equation was solved to the tolerance for every sample.

    Examples
    --------
    >>> Gradients._fields[:3]
    ('A', 'B', 'C')
    """

    A: np.ndarray
    B: np.ndarray
    C: np.ndarray
    b: np.ndarray
    d: np.ndarray
    U: np.ndarray
    iterations: np.ndarray
    residual: np.ndarray
    exact: bool


def gradients(net, U, x, dY, *, tol=1e-10, kind="exact", max_iterations=100_000):
    """The gradients of a loss with respect to the parts of a network.

    Parameters
    ----------
    net : ImplicitNetwork
    U : array_like, shape (batch, inputs)
    x : array_like, shape (batch, n)
        The states, from :meth:`ImplicitNetwork.solve`.
    dY : array_like, shape (batch, outputs)
        The gradient with respect to the outputs.
    tol : float
        Wanted residual of the adjoint equation, relative to its right-hand side.
    kind : str
        ``"exact"``, ``"phantom"`` or ``"one-step"``.
    max_iterations : int

    Returns
    -------
    Gradients

    Raises
    ------
    ArgumentError
        For shapes that do not fit, an unknown kind, or a network that is not known to be well-posed.

    Examples
    --------
    >>> import dynet as dn
    >>> net = dn.ImplicitNetwork([[-1.0, 0.5], [0.5, -1.0]], [[1.0], [0.0]], [[1.0, 1.0]])
    >>> found = gradients(net, [[3.0]], net.solve([[3.0]]).x, [[1.0]])
    >>> found.U.round(9), found.exact
    (array([[0.66666667]]), True)
    >>> gradients(net, [[3.0]], [[1.6, 0.4]], [[1.0]], kind="one-step").exact
    False
    """
    if kind not in KINDS:
        raise ArgumentError("kind", kind, "a kind of gradient", choices=KINDS)
    if not net.well_posed:
        raise ArgumentError("net", Shown(repr(net)), "a network that is well-posed: others have no gradient")
    U, _ = net.check_inputs(U)
    U = np.ascontiguousarray(U, float)
    x, dY = (_batch(name, value, (len(U), size)) for name, value, size in (("x", x, net.n), ("dY", dY, net.outputs)))
    passes = net._passes("float64")
    z = arguments(passes, U, x)
    state = State(U, x, z, passes.slopes(z), None, None, None)
    if ("C'", "float64") not in net._made:
        net._made["C'", "float64"] = panels.pack(net.exact("C"))
    g = panels.affine(dY, net._made["C'", "float64"])[:, : net.n]
    if kind == "exact":
        nu, found = passes.adjoint(state, g, tol, most=max_iterations)
        size = (np.abs(g) * net.weights).max(axis=1)
        residual = np.divide(found.residual, size, out=np.zeros(len(U)), where=size > 0)
        iterations, exact = found.iterations, bool((found.flags == sweeps.GOOD).all())
    else:
        steps, damping = PHANTOM if kind == "phantom" else (1, 1.0)
        nu = _series(passes, state, g, steps, damping)
        residual, iterations, exact = np.full(len(U), np.nan), np.full(len(U), steps), False
    dA, dB, db = passes.gradients(state, nu)
    if ("B'", "float64") not in net._made:
        net._made["B'", "float64"] = panels.pack(net.exact("B"))
    dU = panels.affine(np.ascontiguousarray(nu), net._made["B'", "float64"])[:, : net.inputs]
    return Gradients(dA, dB, dY.T @ x, db, dY.sum(axis=0), dU, iterations, residual, exact)


def arguments(passes, U, x):
    """The units' arguments ``A x + B u + b``, shape (batch, n)."""
    inject = passes.inject(U)[:, : passes.n]
    return inject + panels.affine(passes.pad(x), passes.panel("A"))[:, : passes.n] + passes.diagonal * x


def _series(passes, state, g, steps, damping):
    """The first terms of the damped Neumann series of the adjoint."""
    total, term = np.zeros_like(g), g
    for step in range(steps):
        total = total + damping * term
        if step + 1 < steps:
            nu = state.slope * term
            back = panels.affine(passes.pad(nu), passes.panel("A'"))[:, : passes.n] + passes.diagonal * nu
            term = damping * back + (1 - damping) * term
    return state.slope * total


def _batch(name, value, shape):
    try:
        array = np.ascontiguousarray(value, dtype=float)
    except (TypeError, ValueError):
        raise ArgumentError(name, value, f"numbers of shape {shape}") from None
    if array.shape != shape or not np.isfinite(array).all():
        raise ArgumentError(name, describe(array), f"finite numbers of shape {shape}")
    return array
