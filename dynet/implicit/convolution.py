r"""Convolution and max pooling, as maps that are never written as matrices, with bounds that hold.

A convolution with kernel K, stride s and padding p takes an image of I channels to one of O channels,

.. math:: (W x)_{o,r,c} = \sum_{i,a,b} K_{o,i,a,b}\; x_{i,\,s r + a - p,\,s c + b - p},

where terms outside the image are zero, and i runs over the channels of o's group. Its matrix has a row for each output
position, and the absolute sum of that row is the sum of :math:`|K_{o,\cdot,\cdot,\cdot}|` over the taps that fall inside the
image. So :math:`\|W\|_\infty` and, for a square convolution, :math:`\mu_\infty(W)` cost one convolution of
:math:`|K|` with a constant image. (The largest :math:`|K|` times the number of channels, which has been used in place of
the row sum, is no bound: a kernel of 25 taps may exceed it 25 times.)

References
----------
Krizhevsky, Sutskever, Hinton, ImageNet classification with deep convolutional neural networks, NIPS 2012.
Jafarpour, Davydov, Proskurnikov, Bullo, Robust implicit networks via non-Euclidean contractions, arXiv:2106.03194.
"""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError, Shown
from ..linalg.rigorous import add_up
from .layers import Affine, Layer, rounded_up

__all__ = ["Convolution", "MaxPool", "log_norm"]


class Convolution(Affine):
    """A convolution layer ``phi(K * x + b)``.

    Parameters
    ----------
    weight : array_like, shape (outputs, inputs / groups, height, width)
        The kernel, kept in single precision if given so, otherwise in double. It is not flipped.
    bias : array_like, shape (outputs,), optional
        One for each output channel; zero by default.
    stride : int or (int, int)
        Steps between positions, down and across.
    padding : int, (int, int) or ((int, int), (int, int))
        Zeros around the image: everywhere; down and across; or (top, bottom) and (left, right).
    groups : int
        Channels are cut into so many groups, and each output sees those of its own group only.
    activation : str or Activation

    Raises
    ------
    ArgumentError
        For shapes that do not fit, a stride below 1, negative padding, groups that do not divide the outputs.

    Examples
    --------
    >>> layer = Convolution(np.ones((1, 1, 3, 3)), padding=1)
    >>> layer.product(np.ones((1, 1, 3, 3)))[0, 0]
    array([[4., 6., 4.],
           [6., 9., 6.],
           [4., 6., 4.]])
    """

    def __init__(self, weight, bias=None, stride=1, padding=0, groups=1, activation="relu"):
        self._read(weight, bias, 4, activation)
        self.stride = _pair("stride", stride, 1)
        self.padding = _padding(padding)
        outputs = self.weight.shape[0]
        if not isinstance(groups, (int, np.integer)) or groups < 1 or outputs % groups:
            raise ArgumentError("groups", groups, f"a positive number that divides the {outputs} outputs")
        self.groups = int(groups)
        self.terms = self.weight[0].size

    def output_shape(self, shape):
        channels = self.weight.shape[1] * self.groups
        if len(shape) != 3 or shape[0] != channels:
            raise ArgumentError("layers", self, f"an image of {channels} channels before it, not {tuple(shape)}")
        sizes = [length + sum(pads) for length, pads in zip(shape[1:], self.padding, strict=True)]
        return (self.weight.shape[0], *_positions(self, sizes, self.weight.shape[2:], self.stride))

    def product(self, x):
        """``K * x``: (batch, channels, rows, columns) -> (batch, outputs, rows, columns).

        One matrix product for each sample and group, so that a sample's result does not depend on its neighbours.
        """
        return self._apply(self.weight, x)

    def shifted(self, z):
        """``z + b``."""
        return z + self.bias[:, None, None]

    def transposed(self, y, shape):
        """The transposed map: (batch, outputs, rows, columns) -> (batch, *shape)."""
        (top, bottom), (left, right) = self.padding
        (down, across), (height, width) = self.stride, self.weight.shape[2:]
        channels, rows, columns = shape
        out = np.zeros((len(y), channels, rows + top + bottom, columns + left + right), np.result_type(y, self.weight))
        high, wide = y.shape[2:]
        kernels = self.weight.reshape(self.groups, -1, self.terms)
        for image, target in zip(y, out, strict=True):
            parts = np.matmul(kernels.transpose(0, 2, 1), image.reshape(self.groups, -1, high * wide))
            parts = parts.reshape(channels, height, width, high, wide)
            for a in range(height):
                for b in range(width):
                    target[:, a : a + down * high : down, b : b + across * wide : across] += parts[:, a, b]
        return out[:, :, top : top + rows, left : left + columns]

    def majorant(self, r):
        """``|K| * r``, rounded up, in double precision."""
        return rounded_up(self._apply(np.abs(self.weight).astype(float), np.asarray(r, dtype=float)), self.terms)

    def _apply(self, kernel, x):
        high, wide = self.output_shape(x.shape[1:])[1:]
        out = np.empty((len(x), len(kernel), high, wide), np.result_type(kernel, x))
        kernels = kernel.reshape(self.groups, -1, self.terms)
        for image, target in zip(x, out, strict=True):
            columns = _patches(image, self.weight.shape[2:], self.stride, self.padding)
            product = np.matmul(kernels, columns.reshape(self.groups, self.terms, -1))
            target[:] = product.reshape(target.shape)
        return out

    def __repr__(self):
        outputs, inputs, height, width = self.weight.shape
        groups = f", {self.groups} groups" if self.groups > 1 else ""
        return f"Convolution({inputs * self.groups} -> {outputs}, {height}x{width}{groups}, {self.activation.name})"


class MaxPool(Layer):
    """The largest value of each window of an image, channel by channel. Not a slope layer: it stands between blocks.

    Parameters
    ----------
    size, stride : int or (int, int)
        Windows overlap where the stride is smaller than the size. Windows that would leave the image are left out.

    Examples
    --------
    >>> MaxPool(2, 1).apply(np.arange(9.0).reshape(1, 1, 3, 3))[0, 0]
    array([[4., 5.],
           [7., 8.]])
    """

    def __init__(self, size=3, stride=2):
        self.size, self.stride = _pair("size", size, 1), _pair("stride", stride, 1)

    def output_shape(self, shape):
        if len(shape) != 3:
            raise ArgumentError("layers", self, f"channels, rows and columns before it, not {tuple(shape)}")
        return (shape[0], *_positions(self, shape[1:], self.size, self.stride))

    def apply(self, x):
        """The layer on images (batch, channels, rows, columns)."""
        high, wide = self.output_shape(x.shape[1:])[1:]
        out = None
        for a in range(self.size[0]):
            for b in range(self.size[1]):
                part = x[:, :, a : a + self.stride[0] * high : self.stride[0]]
                part = part[:, :, :high, b : b + self.stride[1] * wide : self.stride[1]][..., :wide]
                out = part.copy() if out is None else np.maximum(out, part, out=out)
        return out

    def spread(self, r):
        return self.apply(np.asarray(r, dtype=float))

    def rounding(self, value):
        """Nothing is rounded."""
        return 0.0

    def __repr__(self):
        return f"MaxPool({self.size[0]}x{self.size[1]}, stride {self.stride[0]}x{self.stride[1]})"


def log_norm(layer, shape):
    r"""The logarithmic norm :math:`\mu_\infty` of a convolution that maps images of a shape to themselves, rounded up.

    Parameters
    ----------
    layer : Convolution
        Its stride is 1.
    shape : (int, int, int)
        Channels, rows, columns.

    Returns
    -------
    float
        The largest :math:`w_{kk} + \sum_{l\ne k}|w_{kl}|` over the rows of its matrix, which is not formed.

    Raises
    ------
    ArgumentError
        For a layer whose output has another shape.

    Examples
    --------
    >>> log_norm(Convolution(np.ones((1, 1, 3, 3)), padding=1), (1, 5, 5)) >= 9.0
    True
    """
    if layer.stride != (1, 1) or layer.output_shape(shape) != tuple(shape):
        raise ArgumentError("layer", layer, f"a convolution of stride 1 that maps images {tuple(shape)} to such images")
    off, diagonal = np.abs(layer.weight).astype(float), np.zeros(len(layer.weight))
    (top, _), (left, _) = layer.padding
    if top < off.shape[2] and left < off.shape[3]:
        channel = np.arange(len(off))
        own = channel % off.shape[1]  # the channel's place in its group
        diagonal = layer.weight[channel, own, top, left].astype(float)
        off[channel, own, top, left] = 0.0
    sums = rounded_up(layer._apply(off, np.ones((1, *shape))), layer.terms)[0]
    return float(add_up(np.broadcast_to(diagonal[:, None, None], sums.shape), sums).max())


def _patches(image, kernel, stride, padding):
    """Every window of an image as a column: (channels, rows, columns) -> (channels height width, positions)."""
    if any(p for pads in padding for p in pads):
        image = np.pad(image, ((0, 0), *padding))
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel, axis=(1, 2))[:, :: stride[0], :: stride[1]]
    channels, high, wide = windows.shape[:3]
    return windows.transpose(0, 3, 4, 1, 2).reshape(channels * kernel[0] * kernel[1], high * wide)


def _positions(layer, sizes, kernel, stride):
    """How many windows fit, down and across."""
    if any(size < k for size, k in zip(sizes, kernel, strict=True)):
        raise ArgumentError(
            "layers", layer, f"a window inside the {sizes[0]}x{sizes[1]} image before it, padding included"
        )
    return tuple((size - k) // s + 1 for size, k, s in zip(sizes, kernel, stride, strict=True))


def _pair(name, value, least):
    pair = (value, value) if isinstance(value, (int, np.integer)) else value
    good = isinstance(pair, (tuple, list)) and len(pair) == 2
    if not good or not all(isinstance(v, (int, np.integer)) and v >= least for v in pair):
        raise ArgumentError(name, value, f"an integer of at least {least}, or two")
    return tuple(int(v) for v in pair)


def _padding(value):
    if isinstance(value, (tuple, list)) and len(value) == 2 and all(isinstance(v, (tuple, list)) for v in value):
        return tuple(_pair("padding", tuple(v), 0) for v in value)
    try:
        return tuple((p, p) for p in _pair("padding", value, 0))
    except ArgumentError:
        raise ArgumentError(
            "padding", Shown(repr(value)), "an integer, two, or ((top, bottom), (left, right))"
        ) from None
