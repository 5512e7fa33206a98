r"""A Lur'e field as the device runs it: one full matrix M, vectors, and two drives.

Of the matrices E, F, G of :math:`\dot x = E x + F\phi(G x + c) + d` at most one is full in the models that matter, and
the place of that matrix decides what is multiplied:

======== =============================== ======================================= ====================
place    model                           equation, with vectors e, f, g          operand of M
======== =============================== ======================================= ====================
inside   firing rate, implicit network   :math:`e x + f\phi(M x + c) + d`          x
outside  Hopfield, Persidskii            :math:`e x + M\phi(g x + c) + d`          :math:`\phi(g x + c)`
linear   Ax minus a monotone function    :math:`M x + f\phi(g x + c) + d`          x
======== =============================== ======================================= ====================

The drive that is added to the product is the *main* one (c inside, d otherwise), the other the *side* one. A drive is an array
of shape (samples or 1, times or 1, n); its times are the starts, middles and ends of the steps, computed in float64 on the
host, so that any signal is exact there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...errors import ArgumentError, Shown

__all__ = ["ACTIVATIONS", "INSIDE", "LINEAR", "METHODS", "OUTSIDE", "Plan", "drives", "plan", "schedule"]

INSIDE, OUTSIDE, LINEAR = range(3)
METHODS = {"euler": 1, "heun": 2, "rk4": 4}  # and their stages
ACTIVATIONS = (
    "identity", "relu", "leaky_relu", "hard_tanh", "tanh", "logistic", "softplus", "elu", "softsign", "arctan", "sin", "gelu",
    "silu",
)  # fmt: skip


class Plan(NamedTuple):
    """What a kernel needs to know of the field; `e`, `f`, `g` of shape (n,)."""

    place: int
    M: np.ndarray
    e: np.ndarray
    f: np.ndarray
    g: np.ndarray
    activation: str
    parameter: float

    @property
    def n(self):
        """Number of states."""
        return len(self.M)

    @property
    def plain(self):
        """Whether e is one number and f and g are ones: kernels then read no vectors."""
        return bool((self.e == self.e[0]).all() and (self.f == 1).all() and (self.g == 1).all())


def plan(form):
    """The plan of a :class:`~dynet.engine.forms.LureForm`.

    Raises
    ------
    ArgumentError
        For an activation of the user's own, or more than one full matrix.
    """
    if form.activation not in ACTIVATIONS:
        raise ArgumentError("activation", Shown("a function of your own"), "a built-in activation on device='cuda', or "
                            "device='cpu'", choices=ACTIVATIONS)  # fmt: skip
    E, F, G = (_diagonal(m) for m in (form.E, form.F, form.G))
    full = [name for name, m in zip("EFG", (E, F, G), strict=True) if m.ndim == 2]
    if len(full) > 1:
        raise ArgumentError("model", Shown(f"a Lur'e field with full matrices {' and '.join(full)}"), "one in which at most "
                            "one of E, F, G is not diagonal, or device='cpu'")  # fmt: skip
    one = np.ones(len(form.h))
    if full == ["E"]:
        return Plan(LINEAR, E, 0 * one, F, G, form.activation, form.parameter)
    if full == ["G"]:
        return Plan(INSIDE, G, E, F, one, form.activation, form.parameter)
    M = F if full else np.diag(F)
    return Plan(OUTSIDE, M, E, one, G, form.activation, form.parameter)


def _diagonal(matrix):
    """The vector of a matrix that is diagonal, or the matrix."""
    if matrix.ndim == 1 or matrix.shape[0] != matrix.shape[1]:
        return matrix
    d = np.diagonal(matrix)
    return d.copy() if np.count_nonzero(matrix) == np.count_nonzero(d) else matrix


def drives(form, place, signal, inputs, times):
    """The main and the side drive, float64 arrays of shape (samples or 1, times or 1, n).

    Parameters
    ----------
    form : LureForm
    place : int
    signal : callable or None
        The input at a time, shape (k,).
    inputs : ndarray, shape (batch, k), or None
        A constant input of its own for each sample, instead of `signal`.
    times : ndarray, shape (m,)
    """
    if inputs is not None:
        u = inputs[:, None, :]
    elif signal is not None:
        u = np.array([signal(t) for t in times])[None]
        if (u == u[:, :1]).all():
            u = u[:, :1]
    else:
        u = None
    c, d = (base + _through(matrix, u) for base, matrix in ((form.g, form.B), (form.h, form.D)))
    return (c, d) if place == INSIDE else (d, c)


def _through(matrix, u):
    if matrix is None or u is None:
        return np.zeros((1, 1, 1))
    return matrix * u if matrix.ndim == 1 else u @ matrix.T


def schedule(t0, t1, dt, save):
    """The steps of a fixed-step method: their starts, middles and ends, the last step's size, and where to save.

    Returns
    -------
    steps : int
    last : float
        The size of the last step, with its sign; the others are dt long.
    times : ndarray, shape (2 * steps + 1,)
    marks : ndarray of int32, shape (k,)
        How many steps lie before each save time.

    Raises
    ------
    ArgumentError
        For a save time within a step: the device interpolates nothing.
    """
    way = 1.0 if t1 > t0 else -1.0
    span = abs(t1 - t0)
    steps = max(1, int(np.ceil(span / dt - 1e-9)))
    ends = t0 + way * dt * np.arange(steps + 1)
    ends[-1] = t1
    times = np.empty(2 * steps + 1)
    times[::2], times[1::2] = ends, 0.5 * (ends[1:] + ends[:-1])
    marks = np.rint((save - t0) * way / dt).astype(np.int64)
    marks[save == t1] = steps
    marks = np.minimum(marks, steps)
    off = np.abs(ends[marks] - save) > 1e-6 * dt
    if off.any():
        raise ArgumentError("save", float(save[off][0]), "save times at the end of a step on device='cuda', such as "
                            f"{ends[marks[off][0]]:g}; choose dt so that it divides the save interval")  # fmt: skip
    return steps, float(ends[-1] - ends[-2]), times, marks.astype(np.int32)
