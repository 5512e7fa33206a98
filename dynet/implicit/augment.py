r"""Augmentation: random crops and mirrors of a larger image, and colours jittered along their principal components.

Each batch is made from larger images while the batch before it is trained on, in one thread of its own. What a batch
looks like depends on its seed alone, not on when the thread ran.

With :math:`\lambda_k, p_k` the eigenvalues and eigenvectors of the covariance of the colours of all pixels of the
training set, :math:`\sum_k a_k \lambda_k p_k` is added to every pixel of an image, :math:`a_k \sim N(0, 0.1^2)` drawn
once for each image.

References
----------
A. Krizhevsky, I. Sutskever, G. E. Hinton, ImageNet classification with deep convolutional neural networks, NIPS 2012,
section 4.1.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from ..errors import ArgumentError, Shown

__all__ = ["Augment", "ahead", "pad"]


@dataclass(frozen=True)
class Augment:
    """How larger images become the inputs of a network.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the images that are given, and their colours where there are several: (32, 32) or (256, 256,
        3).
    crop : tuple of int
        Rows and columns of what a network gets.
    mirror : bool
        Whether half of the crops are mirrored, left to right.
    jitter : float
        Deviation of the factors of the principal components; 0 leaves colours alone.
    components : ndarray, shape (colours, colours), optional
        Rows are :math:`\\lambda_k p_k`; :meth:`of` finds them.

    Raises
    ------
    ArgumentError
        For a crop that is larger than the image, or jitter without components.

    Examples
    --------
    >>> import numpy as np
    >>> from dynet.implicit import Augment
    >>> shift = Augment((3, 3), (2, 2), mirror=False)
    >>> shift(np.arange(9.0)[None], np.random.default_rng(0)).shape, shift.center(np.arange(9.0)[None])
    ((1, 4), array([[0., 1., 3., 4.]]))
    """

    shape: tuple
    crop: tuple
    mirror: bool = True
    jitter: float = 0.0
    components: np.ndarray | None = field(default=None, compare=False)

    def __post_init__(self):
        sizes = (*self.shape, *self.crop)
        if len(self.shape) not in (2, 3) or any(not isinstance(k, (int, np.integer)) or k < 1 for k in sizes):
            raise ArgumentError("shape", self.shape, "(rows, columns) or (rows, columns, colours), whole numbers")
        if len(self.crop) != 2 or any(part > whole for part, whole in zip(self.crop, self.shape, strict=False)):
            raise ArgumentError("crop", self.crop, f"(rows, columns), at most those of the image, {self.shape[:2]}")
        if not 0.0 <= self.jitter < np.inf:
            raise ArgumentError("jitter", self.jitter, "a number of at least 0")
        if self.jitter and self.components is None:
            raise ArgumentError(
                "components", None, "the principal components, for jitter: make it by Augment.of(images, ...)"
            )

    @classmethod
    def of(cls, images, shape, crop, mirror=True, jitter=0.1):
        """An augmentation with the principal components of the colours of `images`, shape (samples, pixels)."""
        colours = shape[2] if len(shape) == 3 else 1
        pixels = np.asarray(images, dtype=float).reshape(-1, colours)
        values, vectors = np.linalg.eigh(np.cov(pixels.T).reshape(colours, colours))
        return cls(shape, crop, mirror, jitter, values[:, None] * vectors.T)

    @property
    def pixels(self):
        """How many numbers an image that is given has."""
        return int(np.prod(self.shape))

    @property
    def inputs(self):
        """How many numbers a network gets."""
        return int(np.prod((*self.crop, *self.shape[2:])))

    def __call__(self, images, rng):
        """Random crops (samples, inputs) of images (samples, pixels), drawn from a generator of NumPy."""
        whole, count = self._images(images), len(images)
        spare = [size - part + 1 for size, part in zip(self.shape[:2], self.crop, strict=True)]
        top, left = (rng.integers(0, room, count) for room in spare)
        out = self._cut(whole, top, left)
        if self.mirror:
            turned = rng.random(count) < 0.5
            out[turned] = out[turned][:, :, ::-1]
        if self.jitter:
            factors = rng.normal(0.0, self.jitter, (count, len(self.components)))
            out += (factors @ self.components).astype(out.dtype).reshape(count, 1, 1, -1)
        return out.reshape(count, -1)

    def center(self, images):
        """The crops from the middle, not mirrored."""
        top, left = (np.full(len(images), (s - c) // 2) for s, c in zip(self.shape[:2], self.crop, strict=True))
        return self._cut(self._images(images), top, left).reshape(len(images), -1)

    def _images(self, images):
        images = np.asarray(images)
        if images.ndim != 2 or images.shape[1] != self.pixels:
            raise ArgumentError("images", Shown(f"an array of shape {images.shape}"), f"shape (samples, {self.pixels})")
        return images.reshape(len(images), *self.shape[:2], -1)

    def _cut(self, images, top, left):
        windows = np.lib.stride_tricks.sliding_window_view(images, self.crop, axis=(1, 2))
        cut = windows[np.arange(len(images)), top, left]  # (samples, colours, rows, columns)
        return np.ascontiguousarray(np.moveaxis(cut, 1, -1))


def pad(images, shape, by):
    """Images with a border of zeros, to crop from: shifted digits are still digits.

    Parameters
    ----------
    images : array_like, shape (samples, pixels)
    shape : tuple of int
        Rows and columns.
    by : int
        Width of the border.

    Examples
    --------
    >>> pad([[5.0]], (1, 1), 1)
    array([[0., 0., 0., 0., 5., 0., 0., 0., 0.]])
    """
    images = np.asarray(images).reshape(-1, *shape)
    return np.pad(images, ((0, 0), (by, by), (by, by))).reshape(len(images), -1)


def ahead(augment, images, chosen, seeds):
    """Batches of augmented images, each made in another thread while the one before it is used.

    Parameters
    ----------
    augment : Augment
    images : ndarray, shape (samples, pixels)
    chosen : sequence of ndarray of int
        The rows of each batch.
    seeds : sequence of seeds
        One for each batch.

    Yields
    ------
    ndarray, shape (batch, inputs)
    """

    def make(k):
        return augment(images[chosen[k]], np.random.default_rng(seeds[k]))

    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(make, 0) if len(chosen) else None
        for k in range(len(chosen)):
            batch = following.result()
            following = pool.submit(make, k + 1) if k + 1 < len(chosen) else None
            yield batch
