r"""In which order a warp holds a matrix: packing of weights, rounding to short types, and sizes. NumPy alone.

An ``mma.sync`` instruction multiplies a 16 by 8 (or 16, or for float64 8 by 4) piece A of the states by a piece B of the
weights; each of the 32 lanes holds a few entries of A, B and the result C. With g = lane // 4 and t = lane % 4 a lane holds

* of C, rows g (and g + 8), columns 2t and 2t + 1;
* of A, rows g (and g + 8), columns t (and t + 4);
* of B, rows t (and t + 4), column g.

The order of the columns of A is ours to choose if the rows of B follow: with k = t standing for column 2t and k = t + 4 for
column 2t + 1, the entries of A that a lane needs are those of C that it holds. So a state goes from the result of one
product into the next without leaving its lane. :func:`weights` puts B in the order in which the lanes read it, 16 bytes each.

References
----------
NVIDIA, Parallel Thread Execution ISA, sections on mma.m16n8k8 (tf32), mma.m16n8k16 (bf16), mma.m8n8k4 (f64).
"""

from __future__ import annotations

import numpy as np

__all__ = ["ERRORS", "LARGEST", "MODES", "Sizes", "split", "to_bf16", "to_tf32", "weights"]

MODES = {"float32": "tf32x3", "tf32": "tf32", "bf16": "bf16", "float64": "dmma"}
LARGEST = 128  # states: above it the weights do not fit the shared memory, or the state the registers

#: Error of a product relative to the sum of the moduli of its terms, and what is promised of a run (see docs/cuda.md).
ERRORS = {"float32": 3e-7, "tf32": 1e-3, "bf16": 8e-3, "float64": 1e-15}


class Sizes:
    """Counts of a warp's tiles for n states; `rows` trajectories a warp, `entries` of a state a lane, words of weights."""

    def __init__(self, n, mode):
        self.tiles = (n + 7) // 8
        self.padded = 8 * self.tiles
        self.pairs = (self.tiles + 1) // 2
        self.quads = (self.pairs + 1) // 2
        self.rows = 8 if mode == "dmma" else 16
        self.each = 2 if mode == "dmma" else 4
        self.entries = self.each * self.tiles
        self.item = 8 if mode == "dmma" else 4
        self.words = {
            "tf32": self.tiles * self.pairs * 128,
            "tf32x3": 2 * self.tiles * self.pairs * 128,
            "bf16": self.tiles * self.quads * 128,
            "dmma": self.tiles * self.tiles * 64,
        }[mode]


def to_tf32(x):
    """float32 rounded to 10 bits after the leading one, to nearest, halves away from zero (what ``cvt.rna`` does)."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((bits + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.float32)


def truncated(x):
    """float32 without its low 13 bits: how a tensor core reads an operand that was not rounded."""
    return (np.ascontiguousarray(x, np.float32).view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)


def to_bf16(x):
    """The upper halves of float32 rounded to 7 bits after the leading one, to nearest even, as uint16."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + ((bits >> 16) & np.uint32(1))) >> 16).astype(np.uint16)


def split(x):
    """A float32 array as the sum of a tf32 number and a rest that is read with 11 bits of its own."""
    high = to_tf32(x)
    return high, (np.asarray(x, np.float32) - high).astype(np.float32)


def weights(M, mode):
    """M, shape (n, n), in the order in which the lanes read it: float32 words (float64 for ``"dmma"``), one-dimensional."""
    size = Sizes(len(M), mode)
    lane = np.arange(32)
    g, t = lane >> 2, lane & 3
    padded = np.zeros((size.padded, 64 * size.quads), np.float64 if mode == "dmma" else np.float32)
    padded[: len(M), : len(M)] = M
    if mode == "dmma":
        out = np.zeros((size.tiles, size.tiles, 32, 2))
        for nt in range(size.tiles):
            for j in range(size.tiles):
                for c in range(2):
                    out[nt, j, lane, c] = padded[8 * nt + g, 8 * j + 2 * t + c]
        return out.ravel()
    if mode == "bf16":
        short = to_bf16(padded)
        out = np.zeros((size.tiles, size.quads, 32, 4, 2), np.uint16)
        for nt in range(size.tiles):
            for quad in range(size.quads):
                for word in range(4):  # of a pair of tiles: first, second; two pairs
                    k = 32 * quad + 8 * word + 2 * t
                    for e in range(2):
                        out[nt, quad, lane, word, e] = short[8 * nt + g, k + e]
        return out.ravel().view(np.float32)
    parts = [to_tf32(padded)] if mode == "tf32" else split(padded)
    return np.concatenate([_fragments(part, size, lane, g, t) for part in parts])


def _fragments(padded, size, lane, g, t):
    out = np.zeros((size.tiles, size.pairs, 32, 4), np.float32)
    for nt in range(size.tiles):
        for pair in range(size.pairs):
            for word in range(4):
                out[nt, pair, lane, word] = padded[8 * nt + g, 16 * pair + 8 * (word // 2) + 2 * t + word % 2]
    return out.ravel()
