"""Crops lie inside, mirrors mirror, colours move along their components, and a thread changes nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynet.errors import ArgumentError
from dynet.implicit.augment import Augment, ahead, pad


def crops(image, rows, columns):
    """Every crop of an image (rows, columns, colours), and each of them mirrored."""
    for top in range(image.shape[0] - rows + 1):
        for left in range(image.shape[1] - columns + 1):
            cut = image[top : top + rows, left : left + columns]
            yield cut.ravel()
            yield cut[:, ::-1].ravel()


@settings(max_examples=20)
@given(
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)), colours=st.sampled_from([None, 3]), data=st.data(),
    seed=st.integers(0, 99), mirror=st.booleans(),
)  # fmt: skip
def test_a_crop_is_a_crop(size, colours, data, seed, mirror):
    crop = (data.draw(st.integers(1, size[0])), data.draw(st.integers(1, size[1])))
    shape = size if colours is None else (*size, colours)
    images = np.arange(4 * np.prod(shape), dtype=np.float32).reshape(4, -1)
    augment = Augment(shape, crop, mirror=mirror)
    found = augment(images, np.random.default_rng(seed))
    for image, row in zip(images.reshape(4, *size, -1), found, strict=True):
        known = list(crops(image, *crop))
        assert any((row == one).all() for one in (known if mirror else known[::2]))
    assert found.shape == (4, augment.inputs) and augment.center(images).shape == found.shape


def test_every_crop_and_both_sides_are_drawn():
    augment = Augment((3, 3), (2, 2))
    image = np.arange(9.0)[None]
    found = {tuple(augment(image, np.random.default_rng(k))[0]) for k in range(200)}
    assert found == {tuple(c) for c in crops(image.reshape(3, 3, 1), 2, 2)}


def test_colours_move_along_their_principal_components():
    random = np.random.default_rng(0)
    colours = random.normal(size=(5000, 3)) * [3.0, 1.0, 0.2] @ np.linalg.qr(random.normal(size=(3, 3)))[0]
    augment = Augment.of(colours.reshape(50, -1), (10, 10, 3), (10, 10), mirror=False, jitter=0.1)
    images = np.zeros((2000, 300))
    moved = augment(images, random).reshape(2000, 100, 3)
    assert (np.ptp(moved, axis=1) < 1e-12).all()  # one shift for all pixels of an image
    values, vectors = np.linalg.eigh(np.cov(colours.T))
    along = moved[:, 0] @ vectors
    assert np.allclose(along.std(axis=0), 0.1 * values, rtol=0.1)


def test_the_thread_changes_nothing():
    augment, images = Augment((6, 6), (4, 4)), np.random.default_rng(1).random((20, 36))
    chosen, seeds = [np.arange(5), np.arange(5, 10), np.array([1])], [[0, 0], [0, 1], [0, 2]]
    found = list(ahead(augment, images, chosen, seeds))
    for batch, rows, seed in zip(found, chosen, seeds, strict=True):
        assert (batch == augment(images[rows], np.random.default_rng(seed))).all()
    assert list(ahead(augment, images, [], [])) == []


def test_what_goes_wrong_in_the_thread_is_heard():
    with pytest.raises(ArgumentError, match="images=an array of shape .2, 3.: expected shape .samples, 36."):
        list(ahead(Augment((6, 6), (4, 4)), np.zeros((4, 3)), [np.arange(2)], [0]))


def test_padding():
    images = pad(np.ones((2, 6)), (2, 3), 1)
    assert images.shape == (2, 20) and images.sum() == 12 and (Augment((4, 5), (2, 3)).center(images) == 1).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((3,), (2, 2)), "shape=.3,.: expected .rows, columns."),
        (((3, 3), (4, 2)), "crop=.4, 2.: expected .rows, columns., at most those of the image"),
        (((3, 3), (2, 2), True, -1.0), "jitter=-1.0"),
        (((3, 3), (2, 2), True, 0.1), "components=None: expected the principal components"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        Augment(*arguments)
