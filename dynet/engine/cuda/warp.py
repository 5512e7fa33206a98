"""What a warp does to the states of 16 trajectories (8 in float64) that it holds in registers.

The states are a tuple of numbers per lane, in the layout of :mod:`.fragments`. The whole right-hand side is one intrinsic
that emits its instructions at once: spelled out in Python it would take Numba minutes to compile.
"""

from __future__ import annotations

from llvmlite import ir

from .arithmetic import ACTIVATIONS, Numbers
from .fragments import Sizes
from .plan import INSIDE, LINEAR, OUTSIDE
from .ptx import ABS, I32, I64, MMA_BF16, MMA_F64, MMA_TF32, PACK, STORE, D, F, words

__all__ = ["ACTIVATIONS", "Warp"]


class Warp:
    """What is emitted for states of n components in one mode.

    Parameters
    ----------
    n : int
    mode : str
        A value of :data:`.fragments.MODES`.
    place : int
        Which matrix is full, see :mod:`.plan`.
    activation : str
        One of :data:`ACTIVATIONS`, or ``"factor"``: a number of its own for each unit of each sample, for adjoints.
    vectors : bool
        Whether e, f, g and the side drive are read from shared memory; otherwise e is one number, f and g are ones.
    own_drive : bool
        Whether each sample has a main drive of its own.
    """

    def __init__(self, n, mode, place, activation, vectors, own_drive, norm="inf"):
        self.n, self.mode, self.size = n, mode, Sizes(n, mode)
        self.place, self.activation, self.vectors, self.own_drive = place, activation, vectors, own_drive
        self.double = mode == "dmma"
        self.t, self.kind = (D if self.double else F), norm
        self.rows = 1 if self.double else 2

    def row_of(self, entry):
        """Which of the rows that a lane holds an entry belongs to."""
        return 0 if self.double else (entry % 4) >> 1

    def _vector(self, b, base, which, tile):
        """The entries of a vector that belong to this lane's entries of a tile."""
        offset = (which * self.size.padded + 8 * tile) * self.size.item
        u, v = words(b, "d2" if self.double else "f2", base, offset)
        return [u, v] if self.double else [u, v, u, v]

    def rhs(self, b, x, weights, vectors, drive, factor, e, a):
        num = Numbers(b, self.t, self.mode in ("tf32", "bf16"))
        each, tiles = self.size.each, self.size.tiles
        side = f = g = None
        out, operand = [], x
        if self.place == OUTSIDE:
            operand = []
            for j in range(tiles):
                mine = x[each * j : each * (j + 1)]
                if self.vectors:
                    g, side = self._vector(b, vectors, 2, j), self._vector(b, vectors, 3, j)
                    mine = [num.fma(g[c], v, side[c]) for c, v in enumerate(mine)]
                operand += [getattr(num, self.activation)(v, a) for v in mine]
        pieces = self._operand(b, operand)
        for j in range(tiles):
            total = self._product(b, num, pieces, j, weights, drive)
            mine = x[each * j : each * (j + 1)]
            es = [e] * each
            if self.vectors:
                es, f, g, side = (self._vector(b, vectors, k, j) for k in range(4))
            if self.place == OUTSIDE:
                out += [num.fma(es[c], mine[c], total[c]) for c in range(each)]
            elif self.place == INSIDE:
                if self.activation == "factor":
                    scales = words(b, "d2" if self.double else "f4", factor, 512 * j)
                    value = [b.fmul(s, v) for s, v in zip(scales, total, strict=True)]
                else:
                    value = [getattr(num, self.activation)(v, a) for v in total]
                if self.vectors:
                    value = [num.fma(f[c], value[c], side[c]) for c in range(each)]
                out += [num.fma(es[c], mine[c], value[c]) for c in range(each)]
            else:
                assert self.place == LINEAR
                inner = mine if not self.vectors else [num.fma(g[c], mine[c], side[c]) for c in range(each)]
                value = [getattr(num, self.activation)(v, a) for v in inner]
                out += [
                    num.fma(f[c], value[c], total[c]) if self.vectors else b.fadd(total[c], value[c])
                    for c in range(each)
                ]
        return out

    def _operand(self, b, x):
        """The states as the instruction wants them: one or two dicts from (tile, entry) to a register."""
        tiles, zero = self.size.tiles, ir.Constant(I32, 0)
        if self.double:
            return ({(j, c): x[2 * j + c] for j in range(tiles) for c in range(2)},)
        if self.mode == "bf16":
            return ({
                (j, r): b.call(PACK, [x[4 * j + 2 * r], x[4 * j + 2 * r + 1]]) if j < tiles else zero
                for j in range(2 * self.size.pairs) for r in range(2)
            },)  # fmt: skip
        places = [(j, c) for j in range(tiles) for c in range(4)]
        bits = {(j, c): b.bitcast(x[4 * j + c], I32) for j, c in places}  # the unit ignores the low 13 bits
        if self.mode == "tf32":
            return (bits,)
        high = {place: b.and_(bits[place], ir.Constant(I32, 0xFFFFE000)) for place in places}
        rest = {
            (j, c): b.bitcast(b.fsub(x[4 * j + c], b.bitcast(high[j, c], F)), I32) for j, c in places
        }  # fmt: skip
        return high, rest

    def _product(self, b, num, pieces, nt, weights, drive):
        """The drive plus the product for one tile of eight columns, in two chains of accumulators."""
        double, pairs, quads = self.double, self.size.pairs, self.size.quads
        if self.own_drive:
            start = words(b, "d2" if double else "f4", drive, 512 * nt)
        else:
            start = self._vector(b, drive, 0, nt)
        chains = [start, [num(0.0)] * self.size.each]

        def multiply(which, instruction, a, w):
            result = b.call(instruction, [*a, *w, *chains[which]])
            chains[which] = [b.extract_value(result, i) for i in range(self.size.each)]

        if double:
            for j in range(self.size.tiles):
                w = words(b, "d2", weights, (nt * self.size.tiles + j) * 512)
                for c in range(2):
                    multiply(c, MMA_F64, [pieces[0][j, c]], [w[c]])
        elif self.mode == "bf16":
            for quad in range(quads):
                w = words(b, "r4", weights, (nt * quads + quad) * 512)
                for half in range(2):
                    pair = 2 * quad + half
                    if pair < pairs:
                        a = [pieces[0][2 * pair + q, r] for q in range(2) for r in range(2)]
                        multiply(half, MMA_BF16, a, w[2 * half : 2 * half + 2])
        else:
            for pair in range(pairs):
                offset = (nt * pairs + pair) * 512
                w = words(b, "r4", weights, offset)
                low = self.mode == "tf32x3"
                w_low = words(b, "r4", weights, offset + 512 * self.size.tiles * pairs) if low else None
                for q in range(2):
                    k = 2 * pair + q
                    if k >= self.size.tiles:
                        continue
                    a, bs = [[part[k, c] for c in (0, 2, 1, 3)] for part in pieces], slice(2 * q, 2 * q + 2)
                    if low:  # small terms first, and in the chain of the small ones
                        multiply(1, MMA_TF32, a[1], w[bs])
                        multiply(1, MMA_TF32, a[0], w_low[bs])
                        multiply(0, MMA_TF32, a[0], w[bs])
                    else:
                        multiply(q, MMA_TF32, a[0], w[bs])
        return [b.fadd(u, v) for u, v in zip(*chains, strict=True)]

    def burn(self, b, x):
        """One product into each tile of the state, all operands in registers: what the instruction can do at best."""
        each = self.size.each
        if self.double:
            instruction, operands = MMA_F64, [x[0], x[1]]
        else:
            instruction = MMA_BF16 if self.mode == "bf16" else MMA_TF32
            operands = [b.bitcast(v, I32) for v in (*x[:4], x[0], x[1])]
        out = []
        for j in range(self.size.tiles):
            result = b.call(instruction, [*operands, *x[each * j : each * (j + 1)]])
            out += [b.extract_value(result, i) for i in range(each)]
        return out

    def norm(self, b, d, weights):
        num = Numbers(b, self.t, False)
        found = [num(0.0)] * self.rows
        for j in range(self.size.tiles):
            scale = self._vector(b, weights, 0, j)
            for c in range(self.size.each):
                row = self.row_of(c)
                v = b.fmul(scale[c], d[self.size.each * j + c])
                if self.kind == "2":
                    found[row] = num.fma(v, v, found[row])
                    continue
                v = b.call(ABS[self.t], [v])
                if self.kind == "1":
                    found[row] = b.fadd(found[row], v)
                else:  # a NaN must win
                    larger = b.fcmp_unordered(">", v, found[row])
                    found[row] = b.select(larger, v, found[row])
        return found

    def entries(self, context, b, signature, given, visit, *more):
        """Call `visit` for each entry of a lane; rows past the end and columns past n are marked."""
        array = context.make_array(signature.args[0])(context, b, given[0])
        dims = signature.args[0].ndim
        shape = [b.extract_value(array.shape, k) for k in range(dims)]
        found, const = [], lambda v: ir.Constant(I64, v)
        for j in range(self.size.tiles):
            for c in range(self.size.each):
                row = b.add(given[1], const(8 * self.row_of(c)))
                column = b.add(given[2], const(8 * j + (c & 1)))
                inside = b.icmp_signed("<", column, const(self.n)) if 8 * j + 8 > self.n else None
                found.append(visit(b, array.data, shape, row, column, inside, len(found), *more))
        return found

    def load_one(self, b, data, shape, row, column, inside, _):
        last = b.sub(shape[0], ir.Constant(I64, 1))
        row = b.select(b.icmp_signed("<", row, shape[0]), row, last)
        if inside is not None:
            column = b.select(inside, column, ir.Constant(I64, 0))
        value = b.load(b.gep(data, [b.add(b.mul(row, shape[1]), column)]))
        return value if inside is None else b.select(inside, value, ir.Constant(self.t, 0.0))

    def store_one(self, b, data, shape, row, column, inside, number, slot, values):
        good = b.icmp_signed("<", row, shape[0])
        if inside is not None:
            good = b.and_(good, inside)
        if len(shape) == 3:
            row = b.add(b.mul(row, shape[1]), slot)
        place = b.ptrtoint(b.gep(data, [b.add(b.mul(row, shape[-1]), column)]), I64)
        b.call(STORE[self.t], [place, values[number], b.zext(good, I32)])
