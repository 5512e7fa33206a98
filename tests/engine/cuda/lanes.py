"""A warp in NumPy: it executes what `dynet.engine.cuda.warp` emits, with all 32 lanes as one array per register.

The instructions have the meaning that the PTX manual gives them; the layouts of matrices in lanes are written here once more,
from the manual, and not taken from the package.
"""

import re

import numpy as np
from llvmlite import ir

LANE = np.arange(32)
G, T = LANE >> 2, LANE & 3


def truncated(bits):
    """The numbers that a tensor core sees in tf32 registers: the low 13 bits are ignored."""
    return (np.asarray(bits, np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)


def halves(words):
    """Two bfloat16 numbers in each 32-bit word, low half first, shape (32, 2)."""
    return np.stack(
        [(words << np.uint32(16)).view(np.float32), (words & np.uint32(0xFFFF0000)).view(np.float32)], axis=1
    )


def mma_tf32(a0, a1, a2, a3, b0, b1, *c):
    A, B = np.zeros((16, 8)), np.zeros((8, 8))
    for reg, row, column in ((a0, G, T), (a1, G + 8, T), (a2, G, T + 4), (a3, G + 8, T + 4)):
        A[row, column] = truncated(reg)
    for reg, row in ((b0, T), (b1, T + 4)):
        B[row, G] = truncated(reg)
    return accumulated(A @ B, c)


def mma_bf16(a0, a1, a2, a3, b0, b1, *c):
    A, B = np.zeros((16, 16)), np.zeros((16, 8))
    for reg, row, column in ((a0, G, 2 * T), (a1, G + 8, 2 * T), (a2, G, 2 * T + 8), (a3, G + 8, 2 * T + 8)):
        for e in range(2):
            A[row, column + e] = halves(reg)[:, e]
    for reg, row in ((b0, 2 * T), (b1, 2 * T + 8)):
        for e in range(2):
            B[row + e, G] = halves(reg)[:, e]
    return accumulated(A @ B, c)


def accumulated(product, c):
    D = [product[G + 8 * (i >> 1), 2 * T + (i & 1)] for i in range(4)]
    return [(np.asarray(u, float) + v).astype(np.float32) for u, v in zip(c, D, strict=True)]


def mma_f64(a, b, *c):
    A, B = np.zeros((8, 4)), np.zeros((4, 8))
    A[G, T], B[T, G] = a, b
    product = A @ B
    return [c[i] + product[G, 2 * T + i] for i in range(2)]


def rounded_bf16(x):
    bits = np.asarray(x, np.float32).view(np.uint32)
    return (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)


def fma32(a, x, y):
    return (np.asarray(a, float) * x + y).astype(np.float32)


LIBRARY = {"tanh": np.tanh, "exp": np.exp, "log1p": np.log1p, "expm1": np.expm1, "atan": np.arctan}
INSTRUCTIONS = {
    "mma.sync.aligned.m16n8k8": mma_tf32,
    "mma.sync.aligned.m16n8k16": mma_bf16,
    "mma.sync.aligned.m8n8k4": mma_f64,
    "cvt.rn.bf16x2.f32": lambda low, high: rounded_bf16(low) | (rounded_bf16(high) << np.uint32(16)),
    "tanh.approx.f32": lambda x: np.tanh(x).astype(np.float32),
    "ex2.approx.ftz.f32": lambda x: np.exp2(x.astype(float)).astype(np.float32),
    "rcp.approx.ftz.f32": lambda x: (1 / x.astype(float)).astype(np.float32),
    "fma.rn.f32": fma32,
    "fma.rn.f64": lambda a, x, y: a * x + y,
    "max.NaN.f32": np.maximum,
    "min.NaN.f32": np.minimum,
    "abs.f32": np.abs,
    "abs.f64": np.abs,
    "copysign.f32": np.copysign,
}


class Module:
    globals = {}


class Lanes:
    """Stands in for an IR builder. `shared` is the block's shared memory, an array of bytes."""

    def __init__(self, shared):
        self.shared, self.counts = shared, {}
        self.module = ir.Module()

    def value(self, x):
        if isinstance(x, ir.Constant):
            kinds = {"float": np.float32, "double": np.float64, "i32": np.uint32, "i1": np.bool_}
            return np.full(32, x.constant, kinds[str(x.type)])
        return x

    def call(self, function, arguments):
        given = [self.value(a) for a in arguments]
        if not isinstance(function, ir.InlineAsm):
            word = function.name.removeprefix("__nv_")
            single = function.type.pointee.return_type == ir.FloatType()
            return LIBRARY[word[:-1]](given[0]).astype(np.float32) if single else LIBRARY[word](given[0])
        text = function.asm
        name = text.partition(" ")[0]
        self.counts[name] = self.counts.get(name, 0) + 1
        if name.startswith("ld.volatile.shared"):
            return self.loaded(name, int(re.search(r"\+(\d+)\]", text).group(1)), given[0])
        for word, meaning in INSTRUCTIONS.items():
            if name == word or name.startswith(word + "."):
                return meaning(*given)
        raise NotImplementedError(text)

    def loaded(self, name, offset, base):
        count, kind = re.search(r"v(\d)\.(\w+)", name).groups()
        kind = {"f32": np.float32, "b32": np.uint32, "f64": np.float64}[kind]
        size = int(count) * kind().itemsize
        at = base.astype(int) + offset
        assert (at % size == 0).all(), "a vector load must be aligned"
        rows = np.stack([self.shared[place : place + size] for place in at])
        return list(rows.view(kind).T.copy())

    def extract_value(self, value, index):
        return value[index]

    def bitcast(self, value, t):
        return self.value(value).view({"i32": np.uint32, "float": np.float32}[str(t)])

    def fcmp_ordered(self, op, a, b):
        a, b = self.value(a), self.value(b)
        return {">": a > b, "<": a < b}[op]

    def fcmp_unordered(self, op, a, b):
        a, b = self.value(a), self.value(b)
        return np.isnan(a) | np.isnan(b) if op == "uno" else ~(a <= b)

    def select(self, which, a, b):
        return np.where(which, self.value(a), self.value(b))

    def fneg(self, a):
        return -self.value(a)


def _binary(function):
    return lambda self, a, b: function(self.value(a), self.value(b))


for _name, _function in {
    "fadd": np.add, "fsub": np.subtract, "fmul": np.multiply, "fdiv": np.divide, "and_": np.bitwise_and, "or_": np.bitwise_or,
}.items():  # fmt: skip
    setattr(Lanes, _name, _binary(_function))
