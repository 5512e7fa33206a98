"""IDX files are read whole or refused."""

import gzip
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynet.errors import ArgumentError
from dynet.implicit import data

KINDS = {8: "u1", 9: "i1", 11: "i2", 12: "i4", 13: "f4", 14: "f8"}


def idx(array, kind=8):
    head = bytes([0, 0, kind, array.ndim]) + b"".join(struct.pack(">I", size) for size in array.shape)
    return head + array.astype(f">{KINDS[kind]}").tobytes()


@settings(max_examples=25)
@given(
    kind=st.sampled_from(sorted(KINDS)), shape=st.lists(st.integers(0, 4), min_size=1, max_size=3), zipped=st.booleans(),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_what_was_written_is_read(tmp_path_factory, kind, shape, zipped, seed):
    array = np.random.default_rng(seed).integers(0, 100, shape).astype(KINDS[kind])
    file = tmp_path_factory.mktemp("idx") / "some"
    file.write_bytes(gzip.compress(idx(array, kind)) if zipped else idx(array, kind))
    found = data.read_idx(file)
    assert found.dtype == KINDS[kind] and found.shape == array.shape and (found == array).all()


WHOLE = idx(np.arange(12).reshape(3, 4))
WRONG = {
    "empty": (b"", "an IDX file, whose magic number is .*: nothing"),
    "text": (b"P5 28 28 255", "whose magic number is .*: 0x50352032"),
    "type": (bytes([0, 0, 10, 1]) + WHOLE[4:], "magic number is .*: 0x00000a01"),
    "no axes": (bytes([0, 0, 8, 0, 7]), "magic number is .*: 0x00000800"),
    "cut": (WHOLE[:-1], "an IDX file of 24 bytes, and this one is cut short at 23"),
    "cut header": (WHOLE[:10], "cut short at 10"),
    "long": (WHOLE + b"x", "an IDX file of 24 bytes, and this one has 25"),
    "cut gzip": (gzip.compress(WHOLE)[:-9], "a whole gzip file, and this one is cut short"),
    "damaged gzip": (gzip.compress(WHOLE)[:-9] + b"x" * 9, "a gzip file that is not damaged"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_not_whole_is_refused(tmp_path, name):
    content, message = WRONG[name]
    (tmp_path / "some").write_bytes(content)
    with pytest.raises(ArgumentError, match=message):
        data.read_idx(tmp_path / "some")


def test_a_missing_file():
    with pytest.raises(ArgumentError, match="an IDX file that can be read .No such file"):
        data.read_idx("nowhere")


def test_the_digits():
    digits = data.load("digits")
    assert digits.train.dtype == np.float32 and digits.train.min() == 0.0 and digits.train.max() == 1.0
    assert np.bincount(digits.train_labels).min() > 100 and np.bincount(digits.test_labels).min() > 40
    means = np.stack([digits.train[digits.train_labels == k].mean(axis=0) for k in range(10)])
    nearest = ((digits.test[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == digits.test_labels).mean() > 0.8  # images and labels belong together
    assert "CC BY 4.0" in digits.source


def mnist(folder, **changes):
    """Four files like those of MNIST, with a few images."""
    random = np.random.default_rng(0)
    arrays = {
        "train-images-idx3-ubyte": random.integers(0, 256, (6, 4, 5)), "train-labels-idx1-ubyte": np.arange(6),
        "t10k-images-idx3-ubyte": random.integers(0, 256, (3, 4, 5)), "t10k-labels-idx1-ubyte": np.arange(3),
    } | changes  # fmt: skip
    folder.mkdir(exist_ok=True)
    for k, (name, array) in enumerate(arrays.items()):
        if array is not None:
            plain = folder / name
            plain.write_bytes(idx(array)) if k % 2 else plain.with_name(f"{name}.gz").write_bytes(
                gzip.compress(idx(array))
            )
    return folder


@pytest.mark.parametrize("inner", ["", "mnist"])
def test_a_folder_like_that_of_mnist(tmp_path, monkeypatch, inner):
    mnist(tmp_path / inner if inner else tmp_path)
    found = data.load("mnist", dir=tmp_path)
    assert found.train.shape == (6, 20) and found.shape == (4, 5) and found.test_labels.tolist() == [0, 1, 2]
    monkeypatch.setenv("DYNET_DATA", str(tmp_path))
    again = data.load("mnist")
    assert (again.train == found.train).all() and again.digest == found.digest


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"t10k-labels-idx1-ubyte": None}, "a folder with t10k-labels-idx1-ubyte or"),
        ({"train-labels-idx1-ubyte": np.arange(5)}, "images of|as many labels, all bytes"),
        ({"train-labels-idx1-ubyte": np.full(6, 10)}, "labels from 0 to 9"),
        ({"t10k-images-idx3-ubyte": np.zeros((3, 5, 5))}, "images of one size"),
    ],
)
def test_files_that_do_not_fit_each_other(tmp_path, changes, message):
    with pytest.raises(ArgumentError, match=message):
        data.load("mnist", dir=mnist(tmp_path / "some", **changes))


def test_where_nothing_is(tmp_path, monkeypatch):
    monkeypatch.delenv("DYNET_DATA", raising=False)
    with pytest.raises(
        ArgumentError, match="dir=None: expected the folder of MNIST's four files, .* variable DYNET_DATA"
    ):
        data.load("mnist")
    with pytest.raises(ArgumentError, match="a folder that holds train-images-idx3-ubyte"):
        data.load("mnist", dir=tmp_path)
    with pytest.raises(ArgumentError, match="did you mean 'mnist'"):
        data.load("minst")
