"""What a warp does, in NumPy: packing, layouts, rounding and the emitted instructions, against products in float64."""

import types

import numpy as np
import pytest
from engine.cuda.lanes import LANE, G, Lanes, T
from numpy.testing import assert_allclose

from dynet.engine.cuda import fragments, plan, tensor
from dynet.engine.cuda.fragments import ERRORS, MODES, Sizes
from dynet.engine.cuda.warp import ACTIVATIONS, Warp
from dynet.fields import activation as activations

LIMIT = 227 * 1024


def held(x, size):
    """States, shape (rows, n), as the lanes hold them: a list of arrays of 32."""
    wide = np.zeros((size.rows, size.padded), np.float64 if size.each == 2 else np.float32)
    wide[:, : x.shape[1]] = x
    return [wide[G + 8 * (c >> 1), 8 * j + 2 * T + (c & 1)] for j in range(size.tiles) for c in range(size.each)]


def gathered(registers, size, n):
    """The inverse of :func:`held`; entries beyond n must not matter."""
    wide = np.zeros((size.rows, size.padded))
    for number, register in enumerate(registers):
        j, c = divmod(number, size.each)
        wide[G + 8 * (c >> 1), 8 * j + 2 * T + (c & 1)] = register
    return wide[:, :n]


class Block:
    """Shared memory of one block as the tensor kernel fills it, with one warp, and what it hands to the right-hand side."""

    def __init__(self, lure, precision, drive, side, factor=None):
        n, mode = lure.n, MODES[precision]
        vectors, own = not lure.plain or side.any(), drive.ndim == 2
        self.where = tensor.layout(n, mode, 4 if vectors else 0, (2 if factor is not None else 1) if own else 0, LIMIT)
        self.size = size = self.where.size
        self.warp = Warp(n, mode, lure.place, "factor" if factor is not None else lure.activation, vectors, own)
        real = np.float64 if mode == "dmma" else np.float32
        words = np.full(self.where.bytes // size.item, np.nan, real)
        words[: size.words] = fragments.weights(lure.M, mode)
        if vectors:
            block = words[size.words : size.words + 4 * size.padded].reshape(4, size.padded)
            block[:] = 0
            block[:, :n] = lure.e, lure.f, lure.g, side
        self.fill(words, self.where.first, np.atleast_2d(drive)[:, None].astype(real), own)
        at = 32 * size.entries
        if factor is not None:
            self.fill(words, self.where.first + at, factor[:, None].astype(real), own)
        self.bytes = words.view(np.uint8)
        self.addresses = [LANE * 16, (size.words + 2 * T) * size.item,
                          self.where.first * size.item + (LANE * 16 if own else 2 * T * size.item),
                          (self.where.first + at) * size.item + LANE * 16]  # fmt: skip
        self.scalars = [np.full(32, lure.e[0], real), np.full(32, lure.parameter, real)]

    def fill(self, words, mine, drive, own):
        """The kernel's own function, lane by lane."""
        scope = {"cuda": types.SimpleNamespace(syncwarp=lambda: None), "OWN": own, "ROWS": self.size.rows, "min": min,
                 "NP": self.size.padded, "N": drive.shape[2], "EACH": 32 * self.size.entries, "TILES": self.size.tiles,
                 "FRAGMENT": 32 * self.size.entries, "int64": int, "_r": float}  # fmt: skip
        fill = types.FunctionType(tensor._fill.__code__, scope)
        for lane in range(32):
            fill(words, mine, drive, 0, 0, lane)

    def rate(self, x):
        lanes = Lanes(self.bytes)
        out = self.warp.rhs(lanes, held(x, self.size), *(a.astype(np.uint32) for a in self.addresses), *self.scalars)
        return gathered(out, self.size, x.shape[1]), lanes.counts


def lure_plan(place, n, rng, activation="tanh", vectors=False):
    one = np.ones(n)
    e, f, g = (rng.uniform(0.5, 1.5, (3, n)) * [[-1], [1], [1]]) if vectors else (-one, one, one)
    return plan.Plan(place, rng.standard_normal((n, n)) / np.sqrt(n), e, f, g, activation, 0.01)


def exact(lure, x, drive, side):
    """The derivative in float64, from the equation."""
    phi = activations.get(lure.activation)
    if lure.place == plan.INSIDE:
        return lure.e * x + lure.f * phi(x @ lure.M.T + drive) + side
    if lure.place == plan.OUTSIDE:
        return lure.e * x + phi(lure.g * x + side) @ lure.M.T + drive
    return x @ lure.M.T + lure.f * phi(lure.g * x + side) + drive


@pytest.mark.parametrize("precision", MODES)
@pytest.mark.parametrize("place", [plan.INSIDE, plan.OUTSIDE, plan.LINEAR])
@pytest.mark.parametrize(("n", "vectors", "own"), [(5, True, True), (33, False, False), (100, False, True)])
def test_the_emitted_right_hand_side_is_the_equation(precision, place, n, vectors, own):
    rng = np.random.default_rng(n + place)
    lure = lure_plan(place, n, rng, vectors=vectors)
    size = Sizes(n, MODES[precision])
    x = rng.standard_normal((size.rows, n)).astype(np.float32).astype(float)
    drive = rng.standard_normal((size.rows, n) if own else n).astype(np.float32).astype(float)
    side = rng.standard_normal(n).astype(np.float32) * vectors
    found, counts = Block(lure, precision, drive, side).rate(x)
    wanted = exact(lure, x, drive, side)
    error = np.linalg.norm(found - wanted) / np.linalg.norm(wanted)
    assert error <= ERRORS[precision]
    if precision != "float64":
        assert error > 1e-9, "the short types must have been used"
    products = sum(count for name, count in counts.items() if name.startswith("mma"))
    k = {"float32": 3 * size.tiles, "tf32": size.tiles, "bf16": size.pairs, "float64": 2 * size.tiles}[precision]
    assert products == k * size.tiles


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("activation", sorted(set(ACTIVATIONS) - {"gelu"}))
def test_activations_of_a_warp(precision, activation):
    rng = np.random.default_rng(1)
    lure = plan.Plan(plan.INSIDE, np.zeros((8, 8)), -np.ones(8), np.ones(8), np.ones(8), activation, 0.01)
    size = Sizes(8, MODES[precision])
    z = np.concatenate([rng.uniform(-9, 9, 32), [0.0, 1e-5, -1e-3, 0.59, -0.61, 30.0, -30.0, 0.3] * 12])[
        : size.rows * 8
    ]
    z = z.reshape(size.rows, 8).astype(np.float32).astype(float)
    found, _ = Block(lure, precision, z, np.zeros(8)).rate(np.zeros_like(z))
    wanted = activations.get(activation)(z)
    tolerance = 1e-14 if precision == "float64" else 1.5e-6 if activation in ("logistic", "silu") else 4e-7
    assert_allclose(found, wanted, rtol=tolerance, atol=1e-20 if activation == "tanh" else 1e-12)


@pytest.mark.parametrize("activation", ["relu", "hard_tanh", "tanh"])
def test_a_state_that_is_not_a_number_stays_one(activation):
    lure = plan.Plan(plan.INSIDE, np.eye(8), -np.ones(8), np.ones(8), np.ones(8), activation, 0.0)
    x = np.zeros((16, 8))
    x[3, 2] = np.nan
    found, _ = Block(lure, "float32", np.zeros((16, 8)), np.zeros(8)).rate(x)
    assert np.isnan(found[3]).any() and np.isfinite(np.delete(found, 3, axis=0)).all()


@pytest.mark.parametrize("precision", MODES)
def test_factors_of_an_adjoint(precision):
    rng = np.random.default_rng(2)
    lure = lure_plan(plan.INSIDE, 20, rng)
    rows = Sizes(20, MODES[precision]).rows
    x, drive, factor = rng.standard_normal((3, rows, 20)).astype(np.float32).astype(float)
    found, _ = Block(lure, precision, drive, np.zeros(20), factor).rate(x)
    assert_allclose(found, factor * (x @ lure.M.T + drive) - x, atol=12 * ERRORS[precision])


@pytest.mark.parametrize("kind", ["inf", "1", "2"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_norms_of_rows(kind, precision):
    rng = np.random.default_rng(3)
    size = Sizes(21, MODES[precision])
    d, w = rng.standard_normal((size.rows, 21)), np.append(rng.uniform(0.5, 2, 21), np.zeros(size.padded - 21))
    real = np.float64 if precision == "float64" else np.float32
    lanes = Lanes(w.astype(real).view(np.uint8))
    warp = Warp(21, MODES[precision], plan.INSIDE, "tanh", False, False, kind)
    shares = warp.norm(lanes, held(d, size), (2 * T * size.item).astype(np.uint32))
    for row, share in enumerate(shares):
        quads = share.reshape(8, 4)
        whole = quads.max(axis=1) if kind == "inf" else quads.sum(axis=1)
        terms = np.abs(d[8 * row : 8 * row + 8] * w[:21])
        wanted = {"inf": terms.max(axis=1), "1": terms.sum(axis=1), "2": (terms**2).sum(axis=1)}[kind]
        assert_allclose(whole, wanted, rtol=1e-6 if precision == "float32" else 1e-14)


def test_many_steps_stay_at_float32_grade():
    """Euler steps of the emulated warp against float64: 3e-7 of the state's norm a step, and no growth beyond it."""
    rng = np.random.default_rng(4)
    lure = lure_plan(plan.INSIDE, 24, rng)
    x = y = rng.standard_normal((16, 24)).astype(np.float32).astype(float)
    block = Block(lure, "float32", np.zeros((16, 24)), np.zeros(24))
    for _ in range(20):
        x = (x + np.float32(0.1) * block.rate(x)[0].astype(np.float32)).astype(np.float32)
        y = y + 0.1 * exact(lure, y, 0.0, 0.0)
    assert np.linalg.norm(x - y) <= 3e-7 * np.linalg.norm(y) * 20


def test_rounding_to_short_types():
    x = np.array([1.0 + 2.0**-11, 1.0 + 2.0**-12, -3.0, 1e-30], np.float32)
    assert_allclose(fragments.to_tf32(x), [1.0 + 2.0**-10, 1.0, -3.0, 1e-30], rtol=2.0**-11)
    assert fragments.to_tf32(x)[0] == 1.0 + 2.0**-10 and fragments.to_tf32(x)[1] == 1.0
    high, low = fragments.split(np.float32([np.pi]))
    assert abs(float(high[0]) + float(fragments.truncated(low)[0]) - np.float32(np.pi)) <= 2.0**-21
    assert (fragments.to_bf16(np.float32([1.0, 1.00390625, 1.01171875])) == [0x3F80, 0x3F80, 0x3F82]).all()


@pytest.mark.parametrize("precision", MODES)
@pytest.mark.parametrize("n", [1, 8, 100, 128])
def test_a_block_fits_its_shared_memory(precision, n):
    for own in (0, 1, 2):
        where = tensor.layout(n, MODES[precision], 6, own, LIMIT)
        assert 1 <= where.warps <= 8 and where.bytes <= LIMIT and where.first % 2 == 0
