"""AlexNet: the sizes of the paper, a direct evaluation, ten crops, memory; the full size is slow."""

import subprocess
import sys

import numpy as np
import pytest

from dynet.errors import ArgumentError
from dynet.implicit.alexnet import alexnet, predict, prepare, ten_crops
from tests.implicit import direct

SIZES = [(96, 55, 55), (256, 27, 27), (384, 13, 13), (384, 13, 13), (256, 13, 13), (4096,), (4096,), (1000,)]
FULL = """
import resource, numpy as np
from dynet.implicit.alexnet import alexnet, predict, ten_crops
from tests.implicit import direct
net = alexnet(seed=1)
assert net.parameters == 60_965_224 and net.n == 659_272
assert [block.shape for block in net.blocks] == {sizes}
image = np.random.default_rng(0).random((1, 3, 256, 256), dtype=np.float32)
probabilities = predict(net, image)
rest = net.solve(ten_crops(image)[0, 4:5])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
last = rest.x[0, net.slices[-1]]
exact = direct.alexnet(net, ten_crops(image)[0, 4])
assert np.abs(last - exact).max() <= 1e-5 * np.abs(exact).max()
assert abs(probabilities.sum() - 1) < 1e-6
print(peak)
"""


def test_the_layers_have_the_sizes_of_the_paper_whatever_the_width():
    net = alexnet(width=1 / 32, classes=7)
    spatial = [block.shape[1:] for block in net.blocks]
    assert spatial == [shape[1:] for shape in SIZES]
    assert [block.entry[1:] for block in net.blocks[:6]] == [(224, 224), (27, 27), (13, 13), (13, 13), (13, 13), (6, 6)]
    assert [block.layer.groups for block in net.blocks[:5]] == [1, 2, 1, 2, 2]
    assert [float(block.layer.bias[0]) for block in net.blocks] == [0, 1, 0, 1, 1, 1, 1, 0]
    assert net.dtype == np.float32 and net.outputs == 7
    assert 0.009 < net.blocks[5].layer.weight.std() < 0.011


def test_a_small_one_is_equal_to_a_direct_evaluation():
    net = alexnet(seed=3, width=1 / 16, size=224, classes=20)
    image = np.random.default_rng(0).random((1, 3, 224, 224), dtype=np.float32)
    got, exact = net(image)[0], direct.alexnet(net, image[0])
    assert np.abs(got - exact).max() <= 1e-5 * np.abs(exact).max()
    assert np.array_equal(got, alexnet(seed=3, width=1 / 16, size=224, classes=20)(image)[0])
    assert not np.array_equal(got, alexnet(seed=4, width=1 / 16, size=224, classes=20)(image)[0])


def test_ten_crops_are_corners_centre_and_mirrors_and_their_predictions_are_averaged():
    image = np.arange(3 * 70 * 72, dtype=np.float32).reshape(1, 3, 70, 72) / 15000
    crops = ten_crops(image, 64)[0]
    assert np.array_equal(crops[0], image[0, :, :64, :64]) and np.array_equal(crops[3], image[0, :, 6:, 8:])
    assert np.array_equal(crops[4], image[0, :, 3:67, 4:68]) and np.array_equal(crops[5:], crops[:5, :, :, ::-1])
    net = alexnet(width=1 / 32, size=64, classes=5)
    logits = net(crops - np.float32(0.5)).astype(float)
    wanted = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).mean(axis=0)
    assert np.allclose(predict(net, np.repeat(image, 2, axis=0), mean=0.5), [wanted, wanted], rtol=1e-12)


def test_images_are_scaled_to_their_shorter_side_and_cut():
    ramp = np.broadcast_to(np.linspace(0.0, 1.0, 80), (3, 40, 80))
    small = prepare(ramp, 20)
    assert small.shape == (3, 20, 20) and np.all(np.diff(small[0, 0]) > 0)
    assert small.mean() == pytest.approx(0.5, abs=0.02)
    assert np.array_equal(prepare(ramp[:, :, :40], 40), ramp[:, :, :40].astype(np.float32))


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: alexnet(size=40), "size"),
        (lambda: alexnet(classes=0), "classes"),
        (lambda: alexnet(width=-1.0), "width"),
        (lambda: ten_crops(np.zeros((1, 3, 60, 70)), 64), "images"),
        (lambda: prepare(np.zeros((3, 0, 4))), "image"),
        (lambda: predict(alexnet(width=1 / 32, size=64), np.zeros((1, 1, 70, 70))), "images"),
    ],
)
def test_what_does_not_fit_is_named(call, word):
    with pytest.raises(ArgumentError, match=word):
        call()


@pytest.mark.slow
def test_at_full_size_it_equals_a_direct_evaluation_within_two_gigabytes():
    code = FULL.format(sizes=SIZES)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) * 1024 <= 2e9  # kilobytes
