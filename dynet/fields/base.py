"""The vector field: what every model is, whatever its form.

A field knows its size, its labels, its parameters and its equation; it evaluates itself in Python (:meth:`rhs`,
:meth:`jacobian`) and hands the engine a compiled right-hand side over blocks of trajectories (:meth:`block`).
"""

from __future__ import annotations

import html

import numpy as np

from ..errors import ArgumentError, Shown
from .facts import Facts
from .signal import as_signal

__all__ = ["VectorField", "describe"]


class VectorField:
    r"""The right-hand side of :math:`\dot x = f(t, x, u(t))`.

    Not made directly: models and :func:`dynet.vector_field` make them.

    Attributes
    ----------
    n : int
        Number of states.
    labels : tuple of str
        One name per state.
    params : dict
        Parameters by name.
    inputs : int
        Number of input channels; 0 for none.
    input : Signal or None
        The input :math:`u(t)` unless a solver is given another; None is zero.
    name, equation : str
        For printing.

    Examples
    --------
    >>> import dynet as dn
    >>> field = dn.models.Lorenz(rho=14.0)
    >>> field.n, field.labels, field.params["rho"]
    (3, ('x', 'y', 'z'), 14.0)
    >>> field.replace(rho=28.0).rhs(0.0, [0.0, 1.0, 0.0])
    array([10., -1.,  0.])
    """

    name = "field"
    equation = "x' = f(t, x)"

    def __init__(self, n, *, labels=None, params=None, inputs=0, input=None):
        if not isinstance(n, (int, np.integer)) or n < 1:
            raise ArgumentError("n", n, "the number of states, a positive integer")
        self.n = int(n)
        self.labels = check_labels(labels, self.n)
        self.params = dict(params or {})
        self.inputs = int(inputs)
        self.input = as_signal(input, self.inputs)

    def rhs(self, t, x, u=None):
        """The vector field at time `t` and state(s) `x`.

        Parameters
        ----------
        t : float
        x : array_like, shape (..., n)
        u : array_like, shape (inputs,) or (..., inputs), optional
            The input; the field's own at time `t` when None.

        Returns
        -------
        ndarray, shape (..., n)
        """
        raise NotImplementedError  # each form has its own

    def jacobian(self, t, x, u=None):
        """The matrix of derivatives ``d f_i / d x_j`` at one state, shape (n, n)."""
        raise NotImplementedError  # each form has its own

    def block(self, signal=None, precision="float64"):
        """The compiled right-hand side over blocks, as an engine ``BlockRHS``, with `signal` as its input."""
        raise NotImplementedError  # each form has its own

    def scalars(self):
        """Source of the right-hand side as a function of scalars, or None: see :mod:`dynet.fields.scalar`."""
        return None

    def form(self):
        """The structure of this field, for engines on other devices (:mod:`dynet.engine.forms`); None where there is none."""
        return None

    def jacobian_pattern(self):
        """Which entries of the Jacobian can be nonzero: ``(rows, columns)`` in compressed rows, None where not known."""
        return None

    def jacobian_code(self):
        """A compiled Jacobian ``(function, pattern, rows)``, or None: see :class:`dynet.fields.lure.LureField`."""
        return None

    def parameter_vector(self):
        """The parameters that may differ from trajectory to trajectory, flat, in the order the block reads them."""
        return np.empty(0)

    def parameter_slices(self):
        """Where each such parameter lies in :meth:`parameter_vector`: a dict name -> slice."""
        return {}

    @property
    def facts(self):
        """What is known of this field beyond its equation: see :class:`~dynet.fields.facts.Facts`."""
        return Facts()

    def rhs_error(self, t, x, u=None):
        """A bound on the rounding error of :meth:`rhs`, shape (..., n), or None where none is known."""
        return None

    def replace(self, **params):
        """The same field with other parameters; the original is unchanged."""
        raise NotImplementedError  # each form has its own

    def signal(self, u=None):
        """The input to use: `u` where it is given, otherwise the field's own; None for zero."""
        if u is None:
            return self.input
        if not self.inputs:
            raise ArgumentError("u", u, f"no input: {self.name} has none")
        return as_signal(u, self.inputs, "u")

    def input_at(self, t):
        """The field's own input at time `t`, shape (inputs,)."""
        return np.zeros(self.inputs) if self.input is None else self.input(t)

    def check_state(self, x, name="x"):
        """`x` as a float array of shape (..., n), or an error that says what is wrong with it."""
        try:
            array = np.asarray(x, dtype=float)
        except (TypeError, ValueError):
            raise ArgumentError(name, x, f"an array of numbers of shape (..., {self.n})") from None
        if array.ndim == 0 or array.shape[-1] != self.n:
            raise ArgumentError(name, describe(array), f"an array whose last axis has the {self.n} states of {self}")
        return array

    def __repr__(self):
        return f"{self.name}(n={self.n})"

    def __str__(self):
        return f"{self.name} with {self.n} states"

    def _repr_html_(self):
        rows = "".join(
            f"<tr><td>{html.escape(k)}</td><td>{html.escape(short(v))}</td></tr>" for k, v in self.params.items()
        )
        return f"<b>{html.escape(str(self))}</b><br><code>{html.escape(self.equation)}</code><table>{rows}</table>"


def check_labels(labels, n):
    """One distinct string per state; ``x0 .. x{n-1}`` when None."""
    if labels is None:
        return tuple(f"x{i}" for i in range(n))
    if isinstance(labels, (str, int, float)):
        raise ArgumentError("labels", labels, f"a list of {n} labels, one per state")
    labels = tuple(str(label) for label in labels)
    if len(labels) != n:
        raise ArgumentError("labels", Shown(f"{len(labels)} labels"), f"{n} labels, one per state")
    if len(set(labels)) != n:
        twice = next(label for label in labels if labels.count(label) > 1)
        raise ArgumentError("labels", Shown(f"two labels {twice!r}"), "distinct labels")
    return labels


def describe(array):
    """An array in words, for error messages."""
    array = np.asarray(array)
    return Shown(f"an array of shape {array.shape}") if array.ndim else Shown(repr(array[()]))


def short(value):
    """A parameter in a few characters, for tables."""
    if isinstance(value, np.ndarray) and value.size > 4:
        return f"array of shape {value.shape}"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)
