r"""Images with labels: the IDX format, handwritten digits that ship with the package, and MNIST from a folder.

An IDX file is a magic number of four bytes (two zeros, the type of the entries, the number of axes), one big-endian
32-bit length for each axis, and the entries in C order. It may be compressed by gzip. A file whose length is not the
one that its header announces is refused: half a data set would train half a network without a word.

The digits in the package are the test set of "Optical Recognition of Handwritten Digits": 1,797 images of 8 by 8 pixels
(E. Alpaydin, C. Kaynak, UCI Machine Learning Repository, 1998, https://doi.org/10.24432/C50P49, licence CC BY 4.0).
MNIST does not ship with the package; its four files are found by ``dir=`` or the environment variable ``DYNET_DATA``.

References
----------
Y. LeCun, C. Cortes, C. J. C. Burges, The MNIST database of handwritten digits (the IDX format and the data).
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import zlib
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import numpy as np

from ..errors import ArgumentError, Shown

__all__ = ["Images", "NAMES", "load", "read_idx"]

NAMES = ("digits", "mnist")
_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_DIGITS_TRAIN = 1300  # the first images train, the other 497 test; the two halves share few writers
_MNIST = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


@dataclass(frozen=True, eq=False)
class Images:
    """A data set of images, as :func:`load` returns it.

    Attributes
    ----------
    name : str
    train, test : ndarray of float32, shape (samples, pixels)
        One row for each image, its pixels in C order, between 0 and 1.
    train_labels, test_labels : ndarray of int64, shape (samples,)
        Between 0 and ``classes - 1``.
    shape : tuple of int
        Rows and columns of an image.
    classes : int
    source : str
        Where the images come from and under which licence.
    digest : str
        SHA-256 of the files, in hexadecimal.

    Examples
    --------
    >>> from dynet.implicit import load
    >>> digits = load("digits")
    >>> digits.train.shape, digits.test.shape, digits.shape, digits.classes
    ((1300, 64), (497, 64), (8, 8), 10)
    """

    name: str
    train: np.ndarray = field(repr=False)
    train_labels: np.ndarray = field(repr=False)
    test: np.ndarray = field(repr=False)
    test_labels: np.ndarray = field(repr=False)
    shape: tuple
    classes: int
    source: str = field(repr=False)
    digest: str = field(repr=False)


def read_idx(path):
    """The array in an IDX file.

    Parameters
    ----------
    path : path
        A file in the IDX format, plain or compressed by gzip (its first bytes decide, not its name).

    Returns
    -------
    ndarray
        In the byte order of this machine.

    Raises
    ------
    ArgumentError
        For a file that cannot be read, has a wrong magic number, is cut short or is longer than its header says.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from dynet.implicit import read_idx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "two")
    ...     _ = file.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9]))
    ...     read_idx(file)
    array([7, 9], dtype=uint8)
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ArgumentError("path", str(path), f"an IDX file that can be read ({error.strerror})") from None
    return _idx(content, str(path))


def _idx(content, name):
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except EOFError:
            raise ArgumentError("path", name, "a whole gzip file, and this one is cut short") from None
        except (OSError, zlib.error) as error:
            raise ArgumentError("path", name, f"a gzip file that is not damaged ({error})") from None
    magic = content[:4]
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES or not magic[3]:
        found = f"0x{magic.hex()}" if magic else "nothing"
        raise ArgumentError(
            "path", name, f"an IDX file, whose magic number is 0x0000, a type (08 to 0e) and a number of axes: {found}"
        )
    start = 4 + 4 * magic[3]
    shape = np.frombuffer(content[4:start][: (len(content[4:start]) // 4) * 4], ">u4").tolist()
    kind = np.dtype(_TYPES[magic[2]])
    wanted = start + math.prod(shape) * kind.itemsize
    if len(shape) < magic[3] or len(content) < wanted:
        raise ArgumentError("path", name, f"an IDX file of {wanted} bytes, and this one is cut short at {len(content)}")
    if len(content) > wanted:
        raise ArgumentError("path", name, f"an IDX file of {wanted} bytes, and this one has {len(content)}")
    return np.frombuffer(content, kind, offset=start).reshape(shape).astype(kind.newbyteorder("="))


def load(name, dir=None):
    """A data set: the training images and labels, and those for testing.

    Parameters
    ----------
    name : str
        ``"digits"`` (8 by 8 pixels, in the package) or ``"mnist"`` (28 by 28, from a folder).
    dir : path, optional
        The folder that holds the four files of MNIST, or a folder ``mnist`` with them; by default what the environment
        variable ``DYNET_DATA`` says. Each file may be plain or end in ``.gz``.

    Returns
    -------
    Images

    Raises
    ------
    ArgumentError
        For an unknown name, a folder that is missing, or files that are damaged or do not fit each other.

    Examples
    --------
    >>> from dynet.implicit import load
    >>> load("digits").test_labels[:4]
    array([3, 4, 5, 6])
    """
    if name == "digits":
        return _digits()
    if name == "mnist":
        return _mnist(_folder(dir))
    raise ArgumentError("name", name, "the name of a data set", choices=NAMES)


def _digits():
    folder = resources.files("dynet.implicit")
    contents = [(folder / f"digits-{kind}-ubyte.gz").read_bytes() for kind in ("images-idx3", "labels-idx1")]
    images, labels = (_idx(content, "digits") for content in contents)
    pixels, labels, cut = _pixels(images, 16), labels.astype(np.int64), _DIGITS_TRAIN
    source = "Optical Recognition of Handwritten Digits, UCI (E. Alpaydin, C. Kaynak, 1998), CC BY 4.0"
    return Images("digits", pixels[:cut], labels[:cut], pixels[cut:], labels[cut:], (8, 8), 10, source, _sha(contents))


def _folder(dir):
    given = os.environ.get("DYNET_DATA") if dir is None else dir
    if not given:
        raise ArgumentError(
            "dir", None, "the folder of MNIST's four files, here or in the environment variable DYNET_DATA"
        )
    for folder in (Path(given), Path(given, "mnist")):
        if any(folder.glob(f"{_MNIST[0]}*")):
            return folder
    raise ArgumentError("dir", str(given), f"a folder that holds {_MNIST[0]}[.gz], or has a folder mnist that does")


def _mnist(folder):
    contents = []
    for stem in _MNIST:
        found = [path for path in (folder / stem, folder / f"{stem}.gz") if path.is_file()]
        if not found:
            raise ArgumentError("dir", str(folder), f"a folder with {stem} or {stem}.gz")
        contents.append((found[0], found[0].read_bytes()))
    arrays = [_idx(content, str(path)) for path, content in contents]
    for (path, _), images, labels in ((contents[k], arrays[k], arrays[k + 1]) for k in (0, 2)):
        if images.ndim != 3 or images.dtype != np.uint8 or labels.shape != images.shape[:1] or labels.dtype != np.uint8:
            shapes = Shown(f"{path} of shape {images.shape} and labels of shape {labels.shape}")
            raise ArgumentError("dir", shapes, "images (samples, rows, columns) and as many labels, all bytes")
    if arrays[0].shape[1:] != arrays[2].shape[1:]:
        raise ArgumentError("dir", str(folder), "training and test images of one size")
    labels = [arrays[k].astype(np.int64) for k in (1, 3)]
    if max(int(array.max(initial=0)) for array in labels) > 9:
        raise ArgumentError("dir", str(folder), "labels from 0 to 9")
    source = "The MNIST database of handwritten digits (Y. LeCun, C. Cortes, C. J. C. Burges)"
    return Images(
        "mnist", _pixels(arrays[0], 255), labels[0], _pixels(arrays[2], 255), labels[1], arrays[0].shape[1:], 10, source,
        _sha([content for _, content in contents]),
    )  # fmt: skip


def _pixels(images, largest):
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(largest)


def _sha(contents):
    digest = hashlib.sha256()
    for content in contents:
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()
