r"""The network of Krizhevsky, Sutskever and Hinton (2012), at full size, as an implicit network with eight blocks.

========  ==================================  ================  =============  =========================================
block     layer                               units             parameters     before the next block
========  ==================================  ================  =============  =========================================
1         11x11x3, stride 4                   96 x 55 x 55      34 944         response normalisation, max pooling
2         5x5x48, two groups                  256 x 27 x 27     307 456        response normalisation, max pooling
3         3x3x256                             384 x 13 x 13     885 120
4         3x3x192, two groups                 384 x 13 x 13     663 936
5         3x3x192, two groups                 256 x 13 x 13     442 624        max pooling
6         dense                               4096              37 752 832     dropout
7         dense                               4096              16 781 312     dropout
8         dense, linear                       1000              4 097 000      (softmax outside)
========  ==================================  ================  =============  =========================================

Together 60,965,224 parameters, and 659,272 states for an image of 3 x 224 x 224. Pooling windows of 3 x 3 overlap at stride
2. Two zeros are put around the image, so that windows of 11 at stride 4 have 55 positions, as the paper says.
Weights start as the paper's did: normal with deviation 0.01; biases 1 in blocks 2, 4, 5, 6 and 7, 0 in the others.

References
----------
Krizhevsky, Sutskever, Hinton, ImageNet classification with deep convolutional neural networks, NIPS 2012.
"""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError
from ..fields.base import describe
from .convolution import Convolution, MaxPool
from .feedforward import FeedforwardNetwork
from .layers import Dense, Dropout, ResponseNormalisation

__all__ = ["alexnet", "predict", "prepare", "ten_crops"]

#: Outputs, kernel, stride, padding, groups, bias, normalised?, pooled? of the five convolutions.
_CONVOLUTIONS = (
    (96, 11, 4, 2, 1, 0.0, True, True),
    (256, 5, 1, 2, 2, 1.0, True, True),
    (384, 3, 1, 1, 1, 0.0, False, False),
    (384, 3, 1, 1, 2, 1.0, False, False),
    (256, 3, 1, 1, 2, 1.0, False, True),
)
_DENSE = 4096


def alexnet(seed=0, *, classes=1000, width=1.0, size=224):
    """AlexNet with random weights in single precision, drawn as in the paper.

    Parameters
    ----------
    seed : int
    classes : int
    width : float
        Multiplies the number of units in each layer (rounded to even numbers), for smaller networks of the same form.
    size : int
        Rows and columns of an image, at least 63.

    Returns
    -------
    FeedforwardNetwork

    Raises
    ------
    ArgumentError
        For numbers that are not positive, or an image smaller than what the layers need.

    Examples
    --------
    >>> net = alexnet(width=1 / 16, size=64, classes=10)
    >>> net.shape, net.outputs, len(net.blocks)
    ((3, 64, 64), 10, 8)
    """
    for name, value in (("classes", classes), ("size", size)):
        if not isinstance(value, (int, np.integer)) or value < 1:
            raise ArgumentError(name, value, "a positive integer")
    if size < 63:
        raise ArgumentError("size", size, "an image of at least 63 rows and columns")
    if not (np.isscalar(width) and np.isfinite(width) and width > 0):
        raise ArgumentError("width", width, "a positive number")
    rng = np.random.default_rng(seed)

    def units(count):
        return max(2, 2 * round(count * width / 2))

    def normal(*shape):
        weight = rng.standard_normal(shape, dtype=np.float32)
        weight *= np.float32(0.01)
        return weight

    layers, shape = [], (3, int(size), int(size))
    for count, kernel, stride, padding, groups, bias, normalised, pooled in _CONVOLUTIONS:
        outputs = units(count)
        weight = normal(outputs, shape[0] // groups, kernel, kernel)
        layer = Convolution(weight, np.full(outputs, bias), stride=stride, padding=padding, groups=groups)
        after = [layer, *([ResponseNormalisation()] if normalised else []), *([MaxPool(3, 2)] if pooled else [])]
        for part in after:
            shape = part.output_shape(shape)
        layers += after
    inputs = int(np.prod(shape))
    for _ in range(2):
        layers += [Dense(normal(units(_DENSE), inputs), np.ones(units(_DENSE))), Dropout(0.5)]
        inputs = units(_DENSE)
    layers.append(Dense(normal(int(classes), inputs), activation="identity"))
    return FeedforwardNetwork(layers, (3, int(size), int(size)))


def prepare(image, size=256):
    """An image scaled until its shorter side is `size`, and cut to the square in its middle.

    Parameters
    ----------
    image : array_like, shape (channels, rows, columns)
    size : int

    Returns
    -------
    ndarray, shape (channels, size, size), single precision

    Examples
    --------
    >>> prepare(np.ones((3, 300, 400))).shape
    (3, 256, 256)
    """
    from scipy.ndimage import zoom

    image = np.asarray(image, dtype=np.float32)
    if image.ndim != 3 or 0 in image.shape or not np.isfinite(image).all():
        raise ArgumentError("image", describe(image), "finite numbers of shape (channels, rows, columns)")
    if not isinstance(size, (int, np.integer)) or size < 1:
        raise ArgumentError("size", size, "a positive integer")
    shorter = min(image.shape[1:])
    if shorter != size:  # linear interpolation; a little larger, so that rounding of the new shape leaves enough
        factors = [(max(size, round(length * size / shorter))) / length for length in image.shape[1:]]
        image = zoom(image, (1.0, *factors), order=1, grid_mode=True, mode="nearest")
    top, left = ((length - size) // 2 for length in image.shape[1:])
    return image[:, top : top + size, left : left + size]


def ten_crops(images, size=224):
    """The four corners and the centre of each image, and their mirror images.

    Parameters
    ----------
    images : array_like, shape (batch, channels, rows, columns)
        No side shorter than `size`.
    size : int

    Returns
    -------
    ndarray, shape (batch, 10, channels, size, size)
        Top left, top right, bottom left, bottom right, centre, then their mirror images in the same order.

    Examples
    --------
    >>> ten_crops(np.zeros((2, 3, 256, 256), np.float32)).shape
    (2, 10, 3, 224, 224)
    """
    images = np.asarray(images)
    if images.ndim != 4 or min(images.shape[2:]) < size:
        raise ArgumentError("images", describe(images), f"shape (batch, channels, rows, columns), no side below {size}")
    down, right = images.shape[2] - size, images.shape[3] - size
    corners = [(0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)]
    crops = [images[:, :, a : a + size, b : b + size] for a, b in corners]
    return np.stack([*crops, *(crop[..., ::-1] for crop in crops)], axis=1)


def predict(net, images, mean=None):
    """Class probabilities, averaged over the ten crops of each image.

    Parameters
    ----------
    net : FeedforwardNetwork
        Of images; its outputs are the logarithms of unnormalised probabilities.
    images : array_like, shape (batch, channels, rows, columns)
        Larger than the network's images, or as large.
    mean : array_like, optional
        Taken off the images first, such as the mean image of a training set; broadcast against one image.

    Returns
    -------
    ndarray, shape (batch, classes)

    Examples
    --------
    >>> net = alexnet(width=1 / 16, size=64, classes=10)
    >>> image = np.random.default_rng(0).random((1, 3, 70, 70))
    >>> p = predict(net, image)
    >>> p.shape, bool(abs(p.sum() - 1) < 1e-6), bool(np.allclose(p, predict(net, image[..., ::-1])))
    ((1, 10), True, True)
    """
    if len(net.shape) != 3 or net.shape[1] != net.shape[2]:
        raise ArgumentError("net", net, "a network of square images")
    images = np.asarray(images, dtype=net.dtype)
    if images.ndim != 4 or images.shape[1] != net.shape[0]:
        raise ArgumentError("images", describe(images), f"shape (batch, {net.shape[0]}, rows, columns)")
    if mean is not None:
        images = images - np.asarray(mean, dtype=net.dtype)
    out = np.empty((len(images), net.outputs))
    for k, image in enumerate(images):  # image by image: memory does not grow with the batch
        logits = net(ten_crops(image[None], net.shape[1])[0]).astype(float)
        logits -= logits.max(axis=1, keepdims=True)
        weights = np.exp(logits)
        out[k] = (weights / weights.sum(axis=1, keepdims=True)).mean(axis=0)
    return out
