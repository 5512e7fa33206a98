"""Slow, obvious twins of the layers: loops over positions, in double precision or in rationals."""

import math
from fractions import Fraction

import numpy as np


def convolve(x, weight, bias, stride, padding, groups):
    """One image (channels, rows, columns), position by position."""
    x = np.pad(x, ((0, 0), *padding))
    outputs, inner, height, width = weight.shape
    high = (x.shape[1] - height) // stride[0] + 1
    wide = (x.shape[2] - width) // stride[1] + 1
    out = np.empty((outputs, high, wide))
    for o in range(outputs):
        first = o // (outputs // groups) * inner
        for r in range(high):
            for c in range(wide):
                top, left = r * stride[0], c * stride[1]
                window = x[first : first + inner, top : top + height, left : left + width]
                out[o, r, c] = np.sum(weight[o] * window) + bias[o]
    return out


def convolve_by_taps(x, weight, bias, stride, padding, groups):
    """The same for larger images: one sum over channels for each tap of the kernel."""
    x = np.pad(x.astype(float), ((0, 0), *padding))
    outputs, inner, height, width = weight.shape
    high = (x.shape[1] - height) // stride[0] + 1
    wide = (x.shape[2] - width) // stride[1] + 1
    out = np.zeros((outputs, high, wide))
    each = outputs // groups
    for g in range(groups):
        for a in range(height):
            for b in range(width):
                part = x[
                    g * inner : (g + 1) * inner,
                    a : a + stride[0] * high : stride[0],
                    b : b + stride[1] * wide : stride[1],
                ]
                kernel = weight[g * each : (g + 1) * each, :, a, b].astype(float)
                out[g * each : (g + 1) * each] += np.tensordot(kernel, part[:, :high, :wide], axes=1)
    return out + bias[:, None, None]


def pool(x, size, stride):
    """One image, window by window."""
    high, wide = (x.shape[1] - size) // stride + 1, (x.shape[2] - size) // stride + 1
    out = np.empty((len(x), high, wide))
    for r in range(high):
        for c in range(wide):
            out[:, r, c] = x[:, r * stride : r * stride + size, c * stride : c * stride + size].max(axis=(1, 2))
    return out


def normalise(a, size, k, alpha, beta):
    """Local response normalisation of one image, channel by channel."""
    out = np.empty_like(a)
    for i in range(len(a)):
        near = a[max(0, i - size // 2) : i + size // 2 + 1]
        out[i] = a[i] / (k + alpha * np.sum(near**2, axis=0)) ** beta
    return out


def alexnet(net, image):
    """The eight layers of AlexNet on one image, in double precision, from the weights of `net`."""
    layers = [block.layer for block in net.blocks]
    x = image.astype(float)
    for k, layer in enumerate(layers[:5]):
        x = convolve_by_taps(x, layer.weight, layer.bias, layer.stride, layer.padding, layer.groups)
        x = np.maximum(x, 0)
        if k in (0, 1):
            x = normalise(x, 5, 2.0, 1e-4, 0.75)
        if k in (0, 1, 4):
            x = pool(x, 3, 2)
    x = x.ravel()
    for layer in layers[5:]:
        x = np.array([row.astype(float) @ x for row in layer.weight]) + layer.bias
        if layer is not layers[-1]:
            x = 0.5 * np.maximum(x, 0)
    return x


def matrix_of(layer, shape):
    """The matrix of a layer, column by column."""
    columns = np.eye(math.prod(shape)).reshape(-1, *shape)
    return layer.product(columns).reshape(len(columns), -1).T


def rational_gain(matrices):
    """The product of moduli of matrices in rational arithmetic, rows of Fractions."""
    total = None
    for matrix in matrices:
        rows = [[abs(Fraction(float(v))) for v in row] for row in matrix]
        if total is not None:
            rows = [
                [sum(a * b for a, b in zip(row, column, strict=True)) for column in zip(*total, strict=True)]
                for row in rows
            ]
        total = rows
    return total
