r"""Right-hand sides on power series: what Taylor steps and verified remainders evaluate.

The field's own function, or the formula of a Lur'e field, is evaluated on :class:`~dynet.linalg.series.Series`; its input
becomes a series of time.

References
----------
Moore, Kearfott, Cloud, Introduction to Interval Analysis, SIAM, 2009, chapter 9 (Taylor methods).
"""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError
from ..linalg.balls import load
from ..linalg.series import FUNCTIONS, ORDER, Series
from . import activation as activations
from .derivative import parameters, translate
from .function import FunctionField
from .lure import LureField
from .signal import Constant, Sinusoid

__all__ = ["input_series", "series_rhs", "terms"]


def series_rhs(field, signal=None):
    """The field as a function ``(t, x) -> list`` of series, or None where it has none.

    Parameters
    ----------
    field : VectorField
    signal : Signal, optional
        Its input; zero when None.

    Examples
    --------
    >>> import dynet as dn
    >>> rhs = series_rhs(dn.models.FiringRate([[0.5]], activation="tanh"))
    >>> round(float(rhs(Series([0.0]), [Series([1.0])])[0].coefficients()[0].mid()), 9)
    -0.537882843
    """
    if signal is not None and not isinstance(signal, (Constant, Sinusoid)):
        return None  # its derivatives jump
    if isinstance(field, FunctionField):
        return _function_rhs(field, signal)
    if isinstance(field, LureField) and _phi(field.activation) is not None:
        return _lure_rhs(field, signal)
    return None


def terms(field):
    """About how many operations an evaluation takes."""
    return 20 * field.n + (field.n * field.units // 5 if isinstance(field, LureField) else 0)


def _function_rhs(field, signal):
    function, p = translate(field.function, {}), parameters(field, Series.lift)

    def rhs(t, x):
        dx = np.zeros(field.n, dtype=object)
        state = np.empty(field.n, dtype=object)
        state[:] = x
        inputs = (np.array(input_series(signal, field.inputs, t), dtype=object),) if field.inputs else ()
        function(t, state, *inputs, p, dx)
        return [Series.lift(value) for value in dx]

    return rhs


def _lure_rhs(field, signal):
    arb_mat = load().arb_mat
    E, F, G, B, D = (None if m is None else arb_mat(_dense(m).tolist()) for m in
                     (field.E, field.F, field.G, field.B, field.D))  # fmt: skip
    g, h = ([[v, *[0.0] * (ORDER - 1)] for v in vector.tolist()] for vector in (field.g, field.h))
    g, h = arb_mat(g), arb_mat(h)
    phi = _phi(field.activation)
    last = [None, None]  # the input of the last time, which many evaluations share

    def rhs(t, x):
        if last[0] is not t and field.inputs:
            last[:] = t, arb_mat([s.coefficients() for s in input_series(signal, field.inputs, t)])
        x, u = arb_mat([s.coefficients() for s in x]), last[1]
        z = G * x + g if B is None else G * x + B * u + g
        out = E * x + F * arb_mat([phi(Series(row)).coefficients() for row in z.tolist()]) + h
        out = out if D is None else out + D * u
        return [Series(row) for row in out.tolist()]

    return rhs


def _dense(matrix):
    if not isinstance(matrix, np.ndarray):
        return matrix.toarray()
    return np.diag(matrix) if matrix.ndim == 1 else matrix


def input_series(signal, count, t):
    """The input's channels along a series of time."""
    if signal is None:
        return [Series([0.0])] * count
    if isinstance(signal, Constant):
        return [Series([v]) for v in signal.value.tolist()]
    angle = t * Series([load().arb.pi() * 2]) / float(signal.period)
    waves = zip(*(v.tolist() for v in (signal.offset, signal.amplitude, signal.phase)), strict=True)
    return [FUNCTIONS["sin"](angle + phase) * size + offset for offset, size, phase in waves]


def _phi(activation):
    name = activation.name.partition("(")[0]
    try:
        known = activations.get(name).function is activation.function
    except ArgumentError:
        known = False
    return _ACTIVATIONS[name](activation.parameter) if known else None


def _same_side(slope_below, slope_above):
    """A function of two linear pieces that meet at 0."""
    return lambda z: z * (slope_above if z > 0.0 else slope_below)


def _elu(z):
    return z if z > 0.0 else FUNCTIONS["expm1"](z)


def _hard(z):
    if z > 1.0:
        return Series([1.0])
    return z if z > -1.0 else Series([-1.0])


def _gelu(z):
    return z * (FUNCTIONS["erf"](z / FUNCTIONS["sqrt"](Series([2.0]))) + 1.0) * 0.5


_ACTIVATIONS = {
    "identity": lambda a: lambda z: z,
    "relu": lambda a: _same_side(0.0, 1.0),
    "leaky_relu": lambda a: _same_side(a, 1.0),
    "hard_tanh": lambda a: _hard,
    "tanh": lambda a: FUNCTIONS["tanh"],
    "logistic": lambda a: FUNCTIONS["logistic"],
    "softplus": lambda a: lambda z: FUNCTIONS["logaddexp"](z, Series([0.0])),
    "elu": lambda a: _elu,
    "softsign": lambda a: lambda z: z / (abs(z) + 1.0),
    "arctan": lambda a: FUNCTIONS["arctan"],
    "sin": lambda a: FUNCTIONS["sin"],
    "gelu": lambda a: _gelu,
    "silu": lambda a: lambda z: z * FUNCTIONS["logistic"](z),
}
assert set(_ACTIVATIONS) == set(activations.names())
