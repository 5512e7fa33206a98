r"""Fields given by a function: :math:`\dot x = f(t, x, u, p)`, written in plain Python and compiled by Numba.

The same function serves twice: rewritten over lanes it runs in the engine at the machine's speed; evaluated as it stands,
on numbers of other kinds, it gives derivatives (the complex step of Squire and Trapp, SIAM Review 40, 1998, exact to
rounding for analytic functions).
"""

from __future__ import annotations

import functools
import types

import numpy as np

from .. import math as fast
from ..engine import codegen
from ..engine.block import BlockRHS
from ..engine.forms import FunctionForm
from ..errors import ArgumentError, MissingExtraError, Shown
from . import lanes
from .base import VectorField, describe
from .scalar import scalar_source, scalar_text

__all__ = ["FunctionField", "vector_field"]


class FunctionField(VectorField):
    """A vector field given by a Python function.

    Parameters
    ----------
    function : function
        ``f(t, x, p, dx)`` that writes every component of ``dx``, or ``f(t, x, u, p, dx)`` when `inputs` > 0.
        It may use loops, conditionals, ``np.*`` and ``math.*`` functions of numbers, other such functions, and
        parameters as ``p.name`` (``p.name[i]``, ``p.name[i, j]`` for arrays).
    n : int
        Number of states.
    params : dict, optional
        Parameter name -> number or array. Parameters are data: changing one compiles nothing.
    labels : sequence of str, optional
    inputs : int
        Number of input channels.
    input : float, array_like or Signal, optional
        The input; zero when None.
    name, equation : str, optional
        For printing.

    Raises
    ------
    ArgumentError
        For a function with the wrong arguments, one that leaves a component of ``dx`` unwritten or writes outside it, an
        undeclared parameter, or a name that cannot be compiled. Found by one evaluation in plain Python, before any
        compile.
    """

    def __init__(self, function, n, *, params=None, labels=None, inputs=0, input=None, name=None, equation=None):
        super().__init__(n, labels=labels, params=_check_params(params), inputs=inputs, input=input)
        self.function = function
        self.name = name or function.__name__
        self.equation = equation or "x' = " + ("f(t, x, u, p)" if self.inputs else "f(t, x, p)")
        shapes = {key: np.shape(value) for key, value in self.params.items()}
        self._source = lanes.block_source(function, shapes, self.inputs > 0)
        self._plain = _on_numpy(function)
        self._dry_run()

    def rhs(self, t, x, u=None):
        x = self.check_state(x)
        out = np.empty(x.shape, dtype=float)
        for index in np.ndindex(x.shape[:-1]):
            out[index] = self._evaluate(t, x[index], u if u is None or np.ndim(u) < 2 else u[index])
        return out

    def jacobian(self, t, x, u=None):
        x = self.check_state(x)
        step = 6e-6 * np.maximum(1.0, np.abs(x))
        columns = [
            (self._evaluate(t, x + e, u) - self._evaluate(t, x - e, u)) / (2 * h)
            for h, e in zip(step, np.diag(step), strict=True)
        ]
        difference = np.array(columns).T
        try:
            tiny = 1e-30
            exact = np.array([self._evaluate(t, x + 1j * e, u).imag / tiny for e in tiny * np.eye(self.n)]).T
        except (TypeError, ValueError, AttributeError):
            return difference  # a comparison, or a function without a complex version
        # abs() and real parts lose the imaginary part silently: the difference quotient tells
        scale = np.max(np.abs(difference), initial=1.0)
        return exact if np.allclose(exact, difference, rtol=1e-4, atol=1e-6 * scale) else difference

    def rhs_error(self, t, x, u=None):
        """How far :meth:`rhs` may be from the exact value in real arithmetic, by interval arithmetic; None without it."""
        from .derivative import enclose_function

        x = self.check_state(x)
        flat = x.reshape(-1, self.n)
        u = None if not self.inputs else np.broadcast_to(
            self.input_at(t) if u is None else u, (*x.shape[:-1], self.inputs)
        ).reshape(-1, self.inputs)  # fmt: skip
        try:
            found = enclose_function(self, flat, flat, t=(t, t), u=u if u is None else (u, u), jacobian=False)
        except MissingExtraError:
            return None
        value = self.rhs(t, x, u if u is None else u.reshape(*x.shape[:-1], self.inputs))
        with np.errstate(invalid="ignore"):
            off = np.maximum(found.hi.reshape(x.shape) - value, value - found.lo.reshape(x.shape))
        return None if found.failed.any() else np.nextafter(off, np.inf)

    def block(self, signal=None, precision="float64"):
        module = codegen.module(lanes.source_in(precision, self._source), tag="field")
        if self.inputs and signal is None:
            from .signal import Constant

            signal = Constant(np.zeros(self.inputs))
        reals, ints = signal.pack(precision) if self.inputs else (np.empty(0), np.empty(0, np.int64))
        return BlockRHS(module.rhs, self.n, max(self.inputs, 1), reals, ints)

    def scalars(self):
        """Source of this field as a function of scalars, for a step that is compiled as a whole; None where there is none."""
        return None if self.inputs else self._scalars

    @functools.cached_property
    def _scalars(self):  # kept, as reading the function again takes longer than a short run
        return scalar_source(self.function, self.n, {key: np.shape(value) for key, value in self.params.items()})

    def form(self):
        shapes = {key: np.shape(value) for key, value in self.params.items()}
        if self.inputs or self.n > 64:
            return None
        text = scalar_text(self.function, "_field", {"x": self.n}, ("dx", self.n), shapes, ("t", "x", "p", "dx"))
        return None if text is None else FunctionForm(text, self.n, self.parameter_vector().size)

    def parameter_vector(self):
        parts = [np.ravel(np.asarray(v, dtype=float)) for v in self.params.values()]
        return np.concatenate(parts) if parts else np.empty(0)

    def parameter_slices(self):
        slices, at = {}, 0
        for key, value in self.params.items():
            slices[key] = slice(at, at + np.size(value))
            at += np.size(value)
        return slices

    def replace(self, **params):
        """The same field with other parameter values (shapes must stay)."""
        changed = dict(self.params)
        for key, value in _check_params(params).items():
            if key not in changed:
                raise ArgumentError(key, value, f"a parameter of {self.name}", choices=changed, word=key)
            if np.shape(value) != np.shape(changed[key]):
                raise ArgumentError(key, describe(value), f"the shape {np.shape(changed[key])} that it had")
            changed[key] = value
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin.params = changed
        return twin

    def _evaluate(self, t, x, u=None):
        out = np.zeros(self.n, dtype=np.result_type(x, float))
        self._call(t, x, out, u)
        return out

    def _call(self, t, x, out, u=None):
        p = types.SimpleNamespace(**self.params)
        inputs = (self.input_at(t) if u is None else np.asarray(u, dtype=float),) if self.inputs else ()
        with np.errstate(all="ignore"):
            self._plain(t, x, *inputs, p, out)

    def _dry_run(self):
        """One evaluation in plain Python that watches what is written."""
        unwritten = object()
        out = np.full(self.n, unwritten, dtype=object)
        try:
            self._call(0.0, np.linspace(0.3, 0.7, self.n), out)
        except IndexError as error:
            raise ArgumentError(
                self.name, Shown(f"{error} (line {_line(error)})"), f"indices of x and dx below n={self.n}"
            ) from None
        except (TypeError, AttributeError, NameError) as error:
            raise ArgumentError(
                self.name,
                Shown(f"{error} (line {_line(error)})"),
                "a function that writes numbers into dx with dx[i] = ...",
            ) from None
        except ArithmeticError:
            return  # the probing state may lie outside the domain of the equation: nothing is known
        missing = [i for i in range(self.n) if out[i] is unwritten]
        if missing:
            raise ArgumentError(
                self.name,
                Shown(f"dx[{missing[0]}] is never written"),
                f"a function that writes all {self.n} components of dx",
            )
        for i, value in enumerate(out):
            if isinstance(value, str) or np.ndim(value) != 0 or np.iscomplexobj(value):
                raise ArgumentError(self.name, Shown(f"dx[{i}] = {value!r}"), "one real number per component")


def vector_field(n, params=None, labels=None, inputs=0, input=None):
    r"""Make a vector field of a plain Python function (a decorator).

    Parameters
    ----------
    n : int
        Number of states.
    params : dict, optional
        Parameter name -> number or array.
    labels : sequence of str, optional
        One name per state.
    inputs : int
        Number of input channels; the function then takes ``(t, x, u, p, dx)``.
    input : float, array_like or Signal, optional
        The input used unless a solver is given another; zero when None.

    Returns
    -------
    callable
        From the function to a :class:`FunctionField`.

    Raises
    ------
    ArgumentError
        See :class:`FunctionField`.

    Examples
    --------
    >>> import dynet as dn
    >>> @dn.vector_field(n=2, params={"a": 1.1, "b": 0.4})
    ... def prey_and_predator(t, x, p, dx):
    ...     dx[0] = p.a * x[0] - p.b * x[0] * x[1]
    ...     dx[1] = p.b * x[0] * x[1] - x[1]
    >>> prey_and_predator.rhs(0.0, [1.0, 1.0])
    array([ 0.7, -0.6])
    """
    if callable(n):
        raise ArgumentError("n", Shown("a function"), "the number of states: write @dn.vector_field(n=...)")

    def decorate(function):
        return FunctionField(function, n, params=params, labels=labels, inputs=inputs, input=input)

    return decorate


def _check_params(params):
    checked = {}
    for key, value in (params or {}).items():
        array = np.asarray(value)
        if not str(key).isidentifier():
            raise ArgumentError("params", key, "names that can be written as p.name")
        if array.dtype.kind not in "biuf" or not np.all(np.isfinite(array)):
            raise ArgumentError(f"params[{key!r}]", value, "a finite number or an array of them")
        checked[key] = float(array) if array.ndim == 0 else array.astype(float)
    return checked


#: The compiled functions take real numbers only.
_COMPLEX = {
    "sin": np.sin,
    "cos": np.cos,
    "sincos": lambda z: (np.sin(z), np.cos(z)),
    "exp": np.exp,
    "tanh": np.tanh,
    "logistic": lambda z: 1.0 / (1.0 + np.exp(-z)),
}


def _on_numpy(function, known=None):
    """The function, and its helpers, with ``math`` replaced by numpy, so that they take complex numbers."""
    import math

    known = {} if known is None else known
    if function in known:
        return known[function]
    scope = dict(function.__globals__)
    twin = types.FunctionType(function.__code__, scope, function.__name__, function.__defaults__, function.__closure__)
    known[function] = twin
    for name in function.__code__.co_names:
        value = scope.get(name)
        if value is math:
            scope[name] = np
        elif value is fast:
            scope[name] = types.SimpleNamespace(**{**vars(fast), **_COMPLEX})
        elif getattr(value, "__module__", "") == fast.__name__:
            scope[name] = _COMPLEX.get(value.__name__, value)
        elif getattr(value, "__module__", "") == "math":
            scope[name] = getattr(np, value.__name__, value)
        elif isinstance(value, types.FunctionType) and not value.__module__.startswith(("numpy", "scipy")):
            scope[name] = _on_numpy(value, known)
    return twin


def _line(error):
    """The line of the user's function in which the error happened: the last frame of its traceback."""
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_lineno
