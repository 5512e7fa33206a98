r"""Lur'e fields: a linear part and one layer of scalar nonlinearities,

.. math:: \dot x = E x + F\,\Phi(G x + B u(t) + g) + D u(t) + h,

with :math:`\Phi` acting on each unit and slopes in :math:`[d_{\min}, d_{\max}]`. Hopfield networks (:math:`G = I`),
firing-rate networks (:math:`F = I`), Persidskii systems and implicit networks are of this form, and its structure is what
makes their contraction rates computable exactly.

References
----------
Davydov, Proskurnikov, Bullo, Non-Euclidean contractivity of recurrent neural networks, arXiv:2110.08298.
"""

from __future__ import annotations

import inspect

import numpy as np

from ..engine import codegen
from ..engine.block import BlockRHS
from ..engine.forms import LureForm
from ..errors import ArgumentError, Shown
from . import activation as activations
from . import kernels, lanes, tiles
from .base import VectorField, describe
from .lure_jacobian import SLOPES, add_row, full_pattern, lure_jacobian
from .patterns import lure_pattern
from .signal import Constant

__all__ = ["LureField", "as_matrix", "diagonal_of", "product"]

_UNIT = 2.0**-53


class LureField(VectorField):
    r"""A vector field :math:`\dot x = E x + F\Phi(G x + B u + g) + D u + h` with n states, m units and k inputs.

    Parameters
    ----------
    E : array_like (n, n)
    F : array_like (n, m)
    G : array_like (m, n)
        Each matrix is dense, scipy sparse, or one-dimensional for a diagonal matrix.
    B : array_like (m, k), optional
        How the input enters the units.
    D : array_like (n, k), optional
        How the input enters the states.
    g : float or array_like (m,)
    h : float or array_like (n,)
    activation : str or Activation
    input : float, array_like or Signal, optional
        The input u(t); zero when None.
    labels : sequence of str, optional

    Raises
    ------
    ArgumentError
        For shapes that do not fit, entries that are not finite, an unknown activation.

    Examples
    --------
    >>> field = LureField(E=[-1.0, -1.0], F=[1.0, 1.0], G=[[0.0, 0.5], [0.5, 0.0]], activation="tanh")
    >>> field.n, field.units
    (2, 2)
    >>> field.rhs(0.0, [0.0, 0.0])
    array([0., 0.])
    """

    name = "Lure"
    equation = "x' = E x + F phi(G x + B u + g) + D u + h"

    def __init__(
        self, E, F, G, *, B=None, D=None, g=0.0, h=0.0, activation="tanh", input=None, labels=None, params=None
    ):
        self.E, self.F, self.G = as_matrix("E", E), as_matrix("F", F), as_matrix("G", G)
        n = self.E.shape[0]
        self.units = self.G.shape[0]
        _check_shape("E", self.E, n, n)
        _check_shape("G", self.G, self.units, n)
        _check_shape("F", self.F, n, self.units)
        self.B = None if B is None else as_matrix("B", B)
        self.D = None if D is None else as_matrix("D", D)
        inputs = max((m.shape[-1] for m in (self.B, self.D) if m is not None), default=0)
        if self.B is not None:
            _check_shape("B", self.B, self.units, inputs)
        if self.D is not None:
            _check_shape("D", self.D, n, inputs)
        super().__init__(n, labels=labels, params=params, inputs=inputs, input=input)
        self.g = _check_vector("g", g, self.units)
        self.h = _check_vector("h", h, n)
        self.activation = activations.get(activation)

    @property
    def slopes(self):
        """Bounds ``(lo, hi)`` on the slope of each unit, arrays of shape (m,), rounded outward."""
        if self.activation.slopes is None:
            raise ArgumentError(
                "activation",
                self.activation.name,
                "an activation that declares slopes=(dmin, dmax): a certificate needs them",
            )
        return tuple(np.full(self.units, s) for s in self.activation.slopes)

    def rhs(self, t, x, u=None):
        x = self.check_state(x)
        _, _, phi, u = self._units(t, x, u)
        out = product(self.E, x) + product(self.F, phi) + self.h
        return out if self.D is None else out + product(self.D, u)

    def jacobian(self, t, x, u=None):
        """Dense, or sparse where E, F and G are sparse or diagonal and one of them is sparse."""
        x = self.check_state(x)
        slope = self.activation.slope(self._units(t, x, u)[0])
        parts = (self.E, self.F, self.G)
        if any(not isinstance(m, np.ndarray) for m in parts) and all(
            not isinstance(m, np.ndarray) or m.ndim == 1 for m in parts
        ):
            from scipy.sparse import csr_array, diags_array

            E, F, G = (diags_array(m) if isinstance(m, np.ndarray) else m for m in parts)
            return csr_array(E + F @ diags_array(slope) @ G)
        E, F, G = (_dense(m) for m in parts)
        return E + (F * slope) @ G

    def jacobian_pattern(self):
        return lure_pattern(self.E, self.F, self.G)

    def _single_block(self, signal):
        head = f"from dynet.engine.block import FASTMATH, RHS, flat\n{lanes.HEAD}"
        head += "from dynet.fields.tiles import FMA, add_dense_single as add_dense\nfrom dynet.fields.kernels import _block\n"
        head += "ZERO, DIAGONAL, DENSE, SPARSE = range(4)\n"
        if self.activation.code is None:
            head += _activation_source(self.activation)
        else:
            head += inspect.getsource(getattr(kernels, self.activation.code).py_func).replace(
                "@_scalar\n", lanes.DECORATOR
            )
            head += f"\nphi = {self.activation.code}\n"
        text = "\n".join(inspect.getsource(f) for f in (kernels.add_product.py_func, kernels.lure_rhs))
        module = codegen.module(lanes.source_in("float32", head + text + _LURE_CFUNC), tag="lure_f4")
        block, ints = self.block(signal), self._pack(signal, "float32")[1]
        lanes_ = block.lanes and tiles.lanes_for(max(self.n, self.units), True)
        return block._replace(function=module.rhs, ints=ints, lanes=lanes_)

    def jacobian_code(self):
        """The compiled Jacobian.

        Returns
        -------
        function : numba CFunc
            Of the signature of a right-hand side; see :func:`dynet.fields.lure_jacobian.lure_jacobian`.
        pattern : (rows, columns)
            In compressed rows.
        rows : int
            Of scratch, beyond those of the right-hand side.
        """
        expression = SLOPES.get(self.activation.code)
        head = f"from dynet.engine.block import FASTMATH, RHS, flat\nfrom dynet.fields.kernels import *\n{lanes.HEAD}"
        head += "from dynet.fields.kernels import DENSE, DIAGONAL, SPARSE, add_product\n"
        if (
            expression is None
        ):  # an activation that nobody differentiated: by a central difference, its own and no other's
            head += _activation_source(self.activation) if self.activation.code is None else (
                f"from dynet.fields.kernels import {self.activation.code} as phi\n"
            )  # fmt: skip
            expression = (
                "(phi(z + 6e-6 * (1.0 + abs(z)), a) - phi(z - 6e-6 * (1.0 + abs(z)), a)) / (1.2e-5 * (1.0 + abs(z)))"
            )
        head += f"\n{lanes.DECORATOR}def slope(z, a):\n    return {expression}\n\n{lanes.DECORATOR}"
        module = codegen.module(head, add_row, lure_jacobian, _JACOBIAN_CFUNC, tag="lure_jacobian")
        return module.jacobian, self.jacobian_pattern() or full_pattern(self.n), self.n

    def rhs_error(self, t, x, u=None):
        """A bound on the rounding error of :meth:`rhs` (a priori, any order of summation), shape (..., n).

        The built-in activations are taken to be accurate to sixteen units in the last place of their argument and value.
        """
        x = self.check_state(x)
        z, size, phi, u = self._units(t, x, u)
        slope = max(abs(s) for s in self.activation.slopes) if self.activation.slopes else np.inf
        growth = _gamma(max(_row_length(m) for m in (self.E, self.F, self.G, self.B, self.D) if m is not None) + 4)
        dphi = slope * growth * size + 32 * _UNIT * (np.abs(phi) + np.abs(z)) + 1e-300
        total = product(_absolute(self.E), np.abs(x)) + np.abs(self.h) + product(_absolute(self.F), np.abs(phi))
        if self.D is not None:
            total = total + product(_absolute(self.D), np.abs(u))
        return 1.001 * (growth * total + product(_absolute(self.F), dphi)) + 1e-300

    def block(self, signal=None, precision="float64"):
        if precision != "float64":
            return self._single_block(signal)
        pieces = [f"from dynet.engine.block import FASTMATH, RHS\nfrom dynet.fields.kernels import *\n{lanes.HEAD}"]
        if self.activation.code is not None:
            pieces.append(f"from dynet.fields.kernels import {self.activation.code} as phi\n")
        else:
            pieces.append(_activation_source(self.activation))
        module = codegen.module(*pieces, kernels.lure_rhs, _LURE_CFUNC, tag="lure")
        reals, ints = self._pack(signal)
        dense = any(isinstance(m, np.ndarray) and m.ndim == 2 and min(m.shape) > 8 for m in (self.E, self.F, self.G))
        lanes_ = tiles.lanes_for(max(self.n, self.units)) if dense and tiles.FMA else None
        return BlockRHS(module.rhs, self.n, self.units + max(self.inputs, 1), reals, ints, lanes=lanes_)

    def form(self):
        named = self.activation.code is not None
        matrices = (None if m is None else m if isinstance(m, np.ndarray) else m.toarray() for m in self._matrices())
        return LureForm(
            *matrices, self.g, self.h, self.activation.code if named else "", self.activation.parameter
        )  # fmt: skip

    def _matrices(self):
        return self.E, self.F, self.G, self.B, self.D

    def replace(self, **params):
        known = ("E", "F", "G", "B", "D", "g", "h", "activation", "input", "labels")
        current = {name: getattr(self, name) for name in known}
        for name in params:
            if name not in known:
                raise ArgumentError(name, params[name], "a parameter of LureField", choices=known, word=name)
        return LureField(**{**current, **params})

    def _units(self, t, x, u):
        """What goes into the units, the size of the terms it is a sum of, what comes out, and the input."""
        z = product(self.G, x) + self.g
        size = product(_absolute(self.G), np.abs(x)) + np.abs(self.g)
        u = self.input_at(t) if u is None else np.asarray(u, dtype=float)
        if self.B is not None:
            z = z + product(self.B, u)
            size = size + product(_absolute(self.B), np.abs(u))
        return z, size, self.activation(z), u

    def _pack(self, signal, precision="float64"):
        """Everything the compiled right-hand side reads, in two flat arrays; see ``kernels.lure_rhs``."""
        reals, ints = [], [np.zeros(kernels.HEADER, np.int64)]
        counts = [0, kernels.HEADER]
        header = ints[0]
        g, h = self.g, self.h
        fixed = signal is None or (isinstance(signal, Constant) and _plain(self.B) and _plain(self.D))
        if fixed and signal is not None:  # an input that never changes, added as it stands, is a part of g or h
            g, h = (v if m is None else v + signal.value for v, m in ((g, self.B), (h, self.D)))
        inputs = 0 if fixed else self.inputs
        header[:3] = self.n, self.units, inputs

        def append(some_reals, some_ints):
            at = tuple(counts)
            reals.append(np.asarray(some_reals, dtype=float))
            ints.append(np.asarray(some_ints, dtype=np.int64))
            counts[0] += reals[-1].size
            counts[1] += ints[-1].size
            return at

        for slot, matrix in enumerate((self.E, self.F, self.G, self.B, self.D)):
            kind, some_reals, some_ints = kernels.pack_matrix(matrix)
            header[3 + 3 * slot : 6 + 3 * slot] = kind, *append(some_reals, some_ints)
        for slot, vector in enumerate((g, h, [self.activation.parameter])):
            header[18 + slot] = append(vector, [])[0]
        header[21:23] = append(*signal.pack(precision)) if inputs else (0, -1)
        return np.concatenate(reals), np.concatenate(ints)


_LURE_CFUNC = """
rhs = cfunc(RHS, cache=True, fastmath=FASTMATH, error_model="numpy")(lure_rhs)
"""


_JACOBIAN_CFUNC = """
jacobian = cfunc(RHS, cache=True, fastmath=FASTMATH, error_model="numpy")(lure_jacobian)
"""


def _activation_source(activation):
    """A user's own activation as the compiled scalar ``phi(z, a)``."""
    count = activation.function.__code__.co_argcount if hasattr(activation.function, "__code__") else 2
    source = lanes.helper_source(activation.function, "_user")
    arguments = "z" if count == 1 else "z, a"
    return source + f"\n{lanes.DECORATOR}def phi(z, a):\n    return _user({arguments})\n"


def as_matrix(name, value):
    """`value` as a float diagonal (1-D), a dense array (2-D) or a CSR array, with finite entries."""
    if hasattr(value, "tocsr"):
        from scipy.sparse import csr_array

        matrix = csr_array(value).astype(float)
        matrix.sum_duplicates()
        finite = np.isfinite(matrix.data).all()
    else:
        try:
            matrix = np.array(value, dtype=float)
        except (TypeError, ValueError):
            raise ArgumentError(name, value, "a matrix of numbers: a NumPy array or a scipy sparse array") from None
        if matrix.ndim not in (1, 2):
            raise ArgumentError(name, describe(matrix), "a matrix, or a vector for a diagonal matrix")
        finite = np.isfinite(matrix).all()
    if not finite:
        raise ArgumentError(name, Shown("an entry that is not finite"), "finite entries")
    return matrix


def product(matrix, x):
    """``matrix @ x`` along the last axis of `x`, for each of the three kinds of matrix."""
    if not isinstance(matrix, np.ndarray):
        return (matrix @ x.reshape(-1, x.shape[-1]).T).T.reshape(*x.shape[:-1], matrix.shape[0])
    # one product a state, not one for the batch: a state's result must not depend on its neighbours
    return matrix * x if matrix.ndim == 1 else np.matvec(matrix, x)


def diagonal_of(matrix):
    """The vector of a diagonal matrix in any of its three kinds, or None when it is not diagonal."""
    if isinstance(matrix, np.ndarray) and matrix.ndim == 1:
        return matrix
    if matrix.shape[0] != matrix.shape[1]:
        return None
    diagonal = np.asarray(matrix.diagonal(), dtype=float)
    off = np.count_nonzero(matrix) if isinstance(matrix, np.ndarray) else np.count_nonzero(matrix.data)
    return diagonal if off == np.count_nonzero(diagonal) else None


def _plain(matrix):
    """Whether a matrix is missing, or the identity."""
    return matrix is None or (isinstance(matrix, np.ndarray) and matrix.ndim == 1 and (matrix == 1.0).all())


def _absolute(matrix):
    return abs(matrix)


def _dense(matrix):
    if not isinstance(matrix, np.ndarray):
        return matrix.toarray()
    return np.diag(matrix) if matrix.ndim == 1 else matrix


def _row_length(matrix):
    """The largest number of terms in a row's sum."""
    if not isinstance(matrix, np.ndarray):
        return int(np.diff(matrix.indptr).max(initial=0))
    return 1 if matrix.ndim == 1 else matrix.shape[1]


def _gamma(k):
    return k * _UNIT / (1 - k * _UNIT)


def _check_shape(name, matrix, rows, columns):
    shape = matrix.shape * 2 if matrix.ndim == 1 else matrix.shape
    if shape != (rows, columns):
        raise ArgumentError(name, Shown(f"a matrix of shape {shape}"), f"shape ({rows}, {columns})")


def _check_vector(name, value, size):
    vector = np.asarray(value, dtype=float)
    if vector.shape not in ((), (1,), (size,)) or not np.isfinite(vector).all():
        raise ArgumentError(name, describe(vector), f"a finite number or {size} of them")
    return np.broadcast_to(vector, size).copy()
