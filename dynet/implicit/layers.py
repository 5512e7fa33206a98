r"""Layers of feedforward networks: what they compute, and how far they can spread a difference.

An affine layer is :math:`x \mapsto \phi(W x + b)`: a block of an implicit network, with a slope for each unit. Pooling,
normalisation and dropout have no slopes; they stand *between* blocks. Every layer also bounds differences componentwise:
``spread(r)`` is an upper bound, in spite of rounding, on :math:`|f(x) - f(x')|` over all pairs with
:math:`|x - x'| \le r`:

============================ ==========================================================================================
layer                        bound
============================ ==========================================================================================
affine                       :math:`\max(|d_{\min}|, |d_{\max}|)\,|W| r`
max pooling                  the largest r of each window, since :math:`|\max a - \max b| \le \max|a - b|`
response normalisation       :math:`g_0 r_i + g_1\sum_{j\ne i} r_j` over the window of channel i, see below
dropout, as it predicts      :math:`(1 - \text{rate})\, r`
============================ ==========================================================================================

Response normalisation divides by :math:`S_i^\beta`, :math:`S_i = k + \alpha\sum_j a_j^2` over the channels near i. With
:math:`\alpha a_i^2 \le S_i - k` and :math:`2\alpha|a_i a_j| \le S_i - k`, its derivatives off the diagonal are at most
:math:`\beta(S-k)S^{-\beta-1}`, which is largest at :math:`S = k(\beta+1)/\beta`: so
:math:`g_1 = k^{-\beta}(\beta/(\beta+1))^{\beta+1}` and :math:`g_0 = \max(k^{-\beta}, 2 g_1)`, for all activities.

References
----------
Krizhevsky, Sutskever, Hinton, ImageNet classification with deep convolutional neural networks, NIPS 2012.
"""

from __future__ import annotations

import math

import numpy as np

from ..errors import ArgumentError, Shown
from ..fields import activation as activations
from ..fields.base import describe
from ..linalg.rigorous import UNIT

__all__ = ["Affine", "Dense", "Dropout", "ResponseNormalisation"]

_TILE = 16  # samples in one matrix product: the shape of a product must not depend on the batch, or its rounding would
_CHUNK = 2**22  # entries of a matrix that are widened to double precision at a time


class Layer:
    """What every layer is; shapes exclude the batch."""

    def output_shape(self, shape):
        """The shape of what comes out where `shape` goes in; an :class:`ArgumentError` where it does not fit."""
        return tuple(shape)

    def spread(self, r):
        """An upper bound on ``|f(x) - f(x')|`` for ``|x - x'| <= r``, both of shape (batch, *shape), in double precision."""
        raise NotImplementedError  # each layer has its own


class Affine(Layer):
    """A layer with weights, a bias and an activation: a block of an implicit network."""

    def _read(self, weight, bias, dims, activation):
        self.weight = _floats("weight", weight)
        if self.weight.ndim != dims or 0 in self.weight.shape:
            raise ArgumentError("weight", describe(self.weight), f"an array of {dims} dimensions, none of them empty")
        outputs = self.weight.shape[0]
        bias = np.zeros(outputs) if bias is None else _floats("bias", bias)
        if bias.shape != (outputs,):
            raise ArgumentError("bias", describe(bias), f"one number for each of the {outputs} outputs")
        self.bias = bias.astype(self.weight.dtype)
        self.activation = activations.get(activation)
        if self.activation.slopes is None:
            raise ArgumentError(
                "activation", self.activation.name, "an activation that declares its slopes=(dmin, dmax)"
            )

    @property
    def parameters(self):
        """How many numbers were, or could be, learned."""
        return self.weight.size + self.bias.size

    @property
    def slope(self):
        """The largest modulus of a slope of the activation."""
        return max(abs(s) for s in self.activation.slopes)

    def activate(self, z):
        """The activation at `z`, in the precision of `z`."""
        return self.activation.function(z, self.activation.parameter).astype(z.dtype, copy=False)

    def spread(self, r):
        out = self.majorant(r)
        return out if self.slope == 1.0 else np.nextafter(out * self.slope, np.inf)

    def activation_error(self, z, value):
        """Bound on the rounding error of :meth:`activate`: none where it only selects, otherwise as for Lur'e fields."""
        if self.activation.name in ("relu", "identity", "hard_tanh"):
            return 0.0
        return 32 * np.finfo(value.dtype).eps / 2 * (np.abs(z).astype(float) + np.abs(value)) + least_rounding(
            value.dtype
        )


class Dense(Affine):
    """Every output sees every input: ``phi(W x + b)``.

    Parameters
    ----------
    weight : array_like, shape (outputs, inputs)
        Kept in single precision if given so, otherwise in double.
    bias : array_like, shape (outputs,), optional
        Zero by default.
    activation : str or Activation

    Raises
    ------
    ArgumentError
        For shapes that do not fit, numbers that are not finite, an activation without slopes.

    Examples
    --------
    >>> layer = Dense([[1.0, -2.0]], [0.5])
    >>> layer.product(np.array([[3.0, 1.0]])), layer.parameters
    (array([[1.]]), 3)
    """

    def __init__(self, weight, bias=None, activation="relu"):
        self._read(weight, bias, 2, activation)
        self.terms = self.weight.shape[1]

    def output_shape(self, shape):
        if math.prod(shape) != self.terms:
            raise ArgumentError(
                "layers", self, f"a dense layer with {math.prod(shape)} inputs, to follow {tuple(shape)}"
            )
        return (self.weight.shape[0],)

    def product(self, x):
        """``W x``: (batch, ...) -> (batch, outputs); a sample's result does not depend on its neighbours."""
        return tiled_product(x.reshape(len(x), -1), self.weight.T)

    def shifted(self, z):
        """``z + b``."""
        return z + self.bias

    def transposed(self, y, shape):
        """``W^T y``: (batch, outputs) -> (batch, *shape)."""
        return tiled_product(y, self.weight).reshape(len(y), *shape)

    def majorant(self, r):
        """``|W| r``, rounded up, in double precision."""
        r = np.asarray(r, dtype=float).reshape(len(r), -1)
        out = np.empty((len(r), len(self.weight)))
        step = max(1, _CHUNK // self.terms)
        for start in range(0, len(self.weight), step):
            rows = np.abs(self.weight[start : start + step].astype(float))
            out[:, start : start + step] = r @ rows.T
        return rounded_up(out, self.terms)

    def __repr__(self):
        outputs, inputs = self.weight.shape
        return f"Dense({inputs} -> {outputs}, {self.activation.name})"


class ResponseNormalisation(Layer):
    r"""Each channel divided by a power of the activity of its neighbours, :math:`b_i = a_i/(k + \alpha\sum_j a_j^2)^\beta`.

    The sum runs over `size` channels around i, as many of them as there are, at one position; :math:`\alpha` multiplies
    the sum, as in the paper (some libraries divide it by `size` first). Not a slope layer: it stands between blocks.

    Parameters
    ----------
    size : int
        Channels in a window, odd.
    k, alpha, beta : float
        Between 1e-10 and 1e10; the last two may be 0.

    Raises
    ------
    ArgumentError
        For numbers outside these ranges.

    Examples
    --------
    >>> layer = ResponseNormalisation(size=3, k=1.0, alpha=1.0, beta=0.5)
    >>> layer.apply(np.array([[[[1.0]], [[2.0]], [[2.0]]]])).ravel().round(4)
    array([0.4082, 0.6325, 0.6667])
    """

    def __init__(self, size=5, k=2.0, alpha=1e-4, beta=0.75):
        if not isinstance(size, (int, np.integer)) or size < 1 or size % 2 == 0:
            raise ArgumentError("size", size, "an odd number of channels")
        for name, value in (("k", k), ("alpha", alpha), ("beta", beta)):
            zero = value == 0 and name != "k"
            if not (np.isscalar(value) and (zero or 1e-10 <= value <= 1e10)):  # beyond, single precision underflows
                raise ArgumentError(name, value, f"a number from 1e-10 to 1e10{'' if name == 'k' else ', or 0'}")
        self.size, self.k, self.alpha, self.beta = int(size), float(k), float(alpha), float(beta)

    def output_shape(self, shape):
        if len(shape) != 3:
            raise ArgumentError("layers", self, f"channels, rows and columns before it, not {tuple(shape)}")
        return tuple(shape)

    def apply(self, a):
        """The layer on activities (batch, channels, rows, columns)."""
        total = self._window_sum(a * a)
        total *= a.dtype.type(self.alpha)
        total += a.dtype.type(self.k)
        total[~np.isfinite(total)] = np.nan  # a square that overflows says nothing of the quotient
        return a * np.power(total, a.dtype.type(-self.beta))

    def spread(self, r):
        r = np.asarray(r, dtype=float)
        edge = (self.beta / (self.beta + 1)) ** (self.beta + 1) if self.beta else 0.0
        own, other = max(1.0, 2 * edge) * self.k**-self.beta, edge * self.k**-self.beta
        return ((own - other) * r + other * self._window_sum(r)) * (1 + 1e-13) + 1e-290

    def rounding(self, value):
        """Bound on the rounding error of :meth:`apply`."""
        return (self.size + 64) * np.finfo(value.dtype).eps * (1 + self.beta) * np.abs(value).astype(
            float
        ) + least_rounding(value.dtype)

    def _window_sum(self, a):
        total, channels = a.copy(), a.shape[1]
        for shift in range(1, min(self.size // 2, channels - 1) + 1):
            total[:, shift:] += a[:, :-shift]
            total[:, :-shift] += a[:, shift:]
        return total

    def __repr__(self):
        return f"ResponseNormalisation(size={self.size})"


class Dropout(Layer):
    """Units that are left out at random while a network learns; when it predicts, all are there and count less.

    Not a slope layer: it stands between blocks. ``apply(x)`` multiplies by ``1 - rate``, ``apply(x, rng)`` draws the units
    that stay.

    Parameters
    ----------
    rate : float
        Probability with which a unit is left out, at least 0 and below 1.

    Examples
    --------
    >>> Dropout(0.5).apply(np.array([[2.0, 4.0]]))
    array([[1., 2.]])
    """

    def __init__(self, rate=0.5):
        if not (np.isscalar(rate) and 0 <= rate < 1):
            raise ArgumentError("rate", rate, "a probability, at least 0 and below 1")
        self.rate = float(rate)

    def apply(self, x, rng=None):
        """The layer on activities (batch, ...)."""
        if rng is None:
            return x * x.dtype.type(1 - self.rate)
        return x * (rng.random(x.shape, dtype=np.float32) >= self.rate)

    def spread(self, r):
        return np.nextafter(np.asarray(r, dtype=float) * (1 - self.rate), np.inf)

    def rounding(self, value):
        """Bound on the rounding error of :meth:`apply`."""
        return 2 * np.finfo(value.dtype).eps * np.abs(value).astype(float) + least_rounding(value.dtype)

    def __repr__(self):
        return f"Dropout({self.rate:g})"


def tiled_product(x, matrix):
    """``x @ matrix`` in tiles of a fixed number of rows: the rounding of a row does not depend on how many there are."""
    out = np.empty((len(x), matrix.shape[1]), np.result_type(x, matrix))
    for start in range(0, len(x), _TILE):
        rows = x[start : start + _TILE]
        tile = np.zeros((_TILE, x.shape[1]), x.dtype)
        tile[: len(rows)] = rows
        out[start : start + _TILE] = (tile @ matrix)[: len(rows)]
    return out


def least_rounding(dtype):
    """What roundings of results too small for their relative error to say anything can come to."""
    return max(64 * float(np.finfo(dtype).smallest_subnormal), 1e-290)


def rounded_up(total, terms):
    """An upper bound on sums of `terms` products of nonnegative numbers, computed in any order in double precision."""
    return np.nextafter(total * (1 + 2 * (terms + 2) * UNIT) + 1e-290, np.inf)


def _floats(name, value):
    """`value` as a finite array in single or double precision."""
    try:
        array = np.asarray(value)
        array = array if array.dtype == np.float32 else array.astype(float)
    except (TypeError, ValueError):
        raise ArgumentError(name, value, "an array of numbers") from None
    if not np.isfinite(array).all():
        raise ArgumentError(name, Shown("an entry that is not finite"), "finite entries")
    return array
