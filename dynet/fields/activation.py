r"""Activations: scalar functions applied to each unit, with proven bounds on their slopes.

A contraction certificate of a recurrent network needs nothing of its activation :math:`\phi` but an interval
:math:`[d_{\min}, d_{\max}]` that contains every slope :math:`(\phi(a)-\phi(b))/(a-b)`. The interval of each built-in
activation is stated here, rounded outward, so that a certificate built on it is sound in floating point.

References
----------
Davydov, Proskurnikov, Bullo, Non-Euclidean contractivity of recurrent neural networks, arXiv:2110.08298.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..errors import ArgumentError

__all__ = ["Activation", "get", "names"]

_SQRT2 = math.sqrt(2.0)
_SILU_TURN = 2.3993572805154676  # the positive root of z tanh(z/2) = 2
_TAIL = 1e-14  # widening of a computed slope interval: far above the rounding of the derivatives below


@dataclass(frozen=True)
class Activation:
    r"""A scalar function with bounds on its slopes.

    Parameters
    ----------
    name : str
        How it is called in models, scenario files and certificates.
    function : callable
        ``function(z, a)`` on arrays, elementwise; `a` is :attr:`parameter`.
    derivative : callable, optional
        ``derivative(z, a)`` on arrays. At a kink, one of the two one-sided slopes.
    slopes : tuple of float, optional
        ``(dmin, dmax)`` that contain every slope, rounded outward. Without them the model can be simulated but not
        certified.
    parameter : float
        The one number that some activations take (the leak of ``leaky_relu``).
    turns : tuple of float, optional
        Where the derivative has a local extremum or jumps; between two turns it is monotone. Unknown when None, and the
        slopes on an interval are then bounded by :attr:`slopes`.
    code : str, optional
        The name of the compiled scalar twin in :mod:`dynet.fields.kernels`. Without one, the function's own source
        is compiled.

    Examples
    --------
    >>> tanh = get("tanh")
    >>> tanh.slopes
    (0.0, 1.0)
    >>> lo, hi = tanh.local_slopes(1.0, 2.0)
    >>> bool(lo < 0.071 and 0.41 < hi < 0.42)
    True
    """

    name: str
    function: Callable = field(repr=False, compare=False)
    derivative: Callable | None = field(default=None, repr=False, compare=False)
    slopes: tuple[float, float] | None = None
    parameter: float = 0.0
    turns: tuple[float, ...] | None = field(default=None, repr=False)
    code: str | None = field(default=None, repr=False)

    def __post_init__(self):
        if not callable(self.function):
            raise ArgumentError("function", self.function, "a function of one number or array")
        if self.slopes is not None:
            try:
                lo, hi = (float(s) for s in self.slopes)
            except (TypeError, ValueError):
                raise ArgumentError("slopes", self.slopes, "two numbers (dmin, dmax)") from None
            if not (math.isfinite(lo) and math.isfinite(hi) and lo <= hi):
                raise ArgumentError("slopes", self.slopes, "two finite numbers with dmin <= dmax")
            object.__setattr__(self, "slopes", (lo, hi))

    def __call__(self, z):
        """The value at `z`, an array of any shape."""
        return self.function(np.asarray(z, dtype=float), self.parameter)

    def slope(self, z):
        """The derivative at `z`, an array of any shape; a central difference where none was given."""
        z = np.asarray(z, dtype=float)
        if self.derivative is not None:
            return self.derivative(z, self.parameter)
        step = 6e-6 * np.maximum(1.0, np.abs(z))
        return (self(z + step) - self(z - step)) / (2 * step)

    def local_slopes(self, lo, hi):
        """An interval that contains every slope between two points of ``[lo, hi]``.

        Parameters
        ----------
        lo, hi : array_like
            Ends of the interval, same shape; infinite ends are allowed.

        Returns
        -------
        low, high : ndarray
            Rounded outward, and never wider than :attr:`slopes`.

        Raises
        ------
        ArgumentError
            When an interval is empty or the activation declares no slopes.
        """
        if self.slopes is None:
            raise ArgumentError("activation", self.name, "an activation that declares its slopes=(dmin, dmax)")
        lo, hi = np.broadcast_arrays(np.asarray(lo, dtype=float), np.asarray(hi, dtype=float))
        if np.any(~(lo <= hi)):
            raise ArgumentError("lo", lo, "an array that is nowhere above hi")
        low, high = (np.full(lo.shape, s) for s in self.slopes)
        if self.derivative is None or self.turns is None:
            return low, high
        with np.errstate(invalid="ignore", over="ignore"):
            ends = [np.nan_to_num(self.derivative(np.clip(z, -1e300, 1e300), self.parameter)) for z in (lo, hi)]
        least, most = np.minimum(*ends), np.maximum(*ends)
        for turn in self.turns:
            inside = (lo <= turn) & (turn <= hi)
            around = self.derivative(np.nextafter(turn, [-np.inf, np.inf, turn]), self.parameter)
            least = np.where(inside, np.minimum(least, around.min()), least)
            most = np.where(inside, np.maximum(most, around.max()), most)
        return np.maximum(low, least - _TAIL), np.minimum(high, most + _TAIL)


def _logistic(z, a):
    return 0.5 * (1.0 + np.tanh(0.5 * z))


def _erf(z):
    from scipy.special import erf

    return erf(z)


def _gelu_slope(z, a):
    return 0.5 * (1.0 + _erf(z / _SQRT2)) + z * np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


def _silu_slope(z, a):
    s = _logistic(z, a)
    return s * (1.0 + z * (1.0 - s))


_GELU = (-0.1289041451851548, 1.1289041451851549)  # slopes at -sqrt 2 and sqrt 2, rounded outward
_SILU = (-0.09983932012886693, 1.099839320128867)  # slopes at the two turns, rounded outward

_TABLE = {
    a.name: a
    for a in [
        Activation("identity", lambda z, a: z, lambda z, a: np.ones_like(z), (1.0, 1.0), turns=(), code="identity"),
        Activation(
            "relu",
            lambda z, a: np.maximum(z, 0.0),
            lambda z, a: np.where(z > 0, 1.0, 0.0),
            (0.0, 1.0),
            turns=(0.0,),
            code="relu",
        ),
        Activation(
            "leaky_relu",
            lambda z, a: np.where(z > 0, z, a * z),
            lambda z, a: np.where(z > 0, 1.0, a),
            (0.01, 1.0),
            parameter=0.01,
            turns=(0.0,),
            code="leaky_relu",
        ),
        Activation(
            "hard_tanh",
            lambda z, a: np.clip(z, -1.0, 1.0),
            lambda z, a: np.where(np.abs(z) <= 1, 1.0, 0.0),
            (0.0, 1.0),
            turns=(-1.0, 1.0),
            code="hard_tanh",
        ),
        Activation(
            "tanh", lambda z, a: np.tanh(z), lambda z, a: 1.0 - np.tanh(z) ** 2, (0.0, 1.0), turns=(0.0,), code="tanh"
        ),
        Activation(
            "logistic",
            _logistic,
            lambda z, a: 0.25 * (1.0 - np.tanh(0.5 * z) ** 2),
            (0.0, 0.25),
            turns=(0.0,),
            code="logistic",
        ),
        Activation("softplus", lambda z, a: np.logaddexp(0.0, z), _logistic, (0.0, 1.0), turns=(), code="softplus"),
        Activation(
            "elu",
            lambda z, a: np.where(z > 0, z, np.expm1(np.minimum(z, 0.0))),
            lambda z, a: np.exp(np.minimum(z, 0.0)),
            (0.0, 1.0),
            turns=(),
            code="elu",
        ),
        Activation(
            "softsign",
            lambda z, a: z / (1.0 + np.abs(z)),
            lambda z, a: (1.0 + np.abs(z)) ** -2.0,
            (0.0, 1.0),
            turns=(0.0,),
            code="softsign",
        ),
        Activation(
            "arctan",
            lambda z, a: np.arctan(z),
            lambda z, a: 1.0 / (1.0 + z * z),
            (0.0, 1.0),
            turns=(0.0,),
            code="arctan",
        ),
        Activation("sin", lambda z, a: np.sin(z), lambda z, a: np.cos(z), (-1.0, 1.0), code="sin"),
        Activation(
            "gelu",
            lambda z, a: 0.5 * z * (1.0 + _erf(z / _SQRT2)),
            _gelu_slope,
            _GELU,
            turns=(-_SQRT2, _SQRT2),
            code="gelu",
        ),
        Activation(
            "silu", lambda z, a: z * _logistic(z, a), _silu_slope, _SILU, turns=(-_SILU_TURN, _SILU_TURN), code="silu"
        ),
    ]
}


def names():
    """The names of the built-in activations, sorted.

    >>> "tanh" in names()
    True
    """
    return sorted(_TABLE)


def get(activation):
    """The activation with this name, or the activation itself; ``"leaky_relu(0.1)"`` sets the parameter.

    Parameters
    ----------
    activation : str or Activation

    Raises
    ------
    ArgumentError
        For an unknown name, or a parameter that the activation does not take.

    Examples
    --------
    >>> get("leaky_relu(0.2)").slopes
    (0.2, 1.0)
    """
    if isinstance(activation, Activation):
        return activation
    if not isinstance(activation, str):
        raise ArgumentError("activation", activation, "a name or a dynet.Activation", choices=names())
    name, _, rest = activation.partition("(")
    if name not in _TABLE:
        raise ArgumentError("activation", activation, "the name of an activation", choices=names())
    base = _TABLE[name]
    if not rest:
        return base
    try:
        parameter = float(rest.removesuffix(")"))
    except ValueError:
        parameter = math.nan
    if name != "leaky_relu" or not math.isfinite(parameter):
        raise ArgumentError("activation", activation, "a name, or 'leaky_relu(a)' with a number a")
    slopes = (min(parameter, 1.0), max(parameter, 1.0))
    return Activation(
        f"leaky_relu({parameter!r})", base.function, base.derivative, slopes, parameter, base.turns, base.code
    )
