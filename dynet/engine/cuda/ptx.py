"""Every inline instruction of dynet, and nothing else that a change of Numba could break.

:mod:`.arithmetic` and :mod:`.warp` put them together, :mod:`.intrinsics` hands the result to Numba. Only llvmlite is
needed to emit them, so that their order can be tested anywhere. Weights, vectors and drives are read from shared memory by
volatile loads, because LLVM would otherwise lift them out of the loop over the steps and spill them.

References
----------
NVIDIA, Parallel Thread Execution ISA: mma, ld.shared, cvt, ex2, rcp, tanh.
"""

from __future__ import annotations

from llvmlite import ir

__all__ = [
    "ABS", "D", "EX2", "F", "FMA", "I32", "I64", "MAX", "MIN", "MMA_BF16", "MMA_F64", "MMA_TF32", "PACK", "RCP", "SIGN",
    "STORE", "TANH", "TO_SHARED", "words",
]  # fmt: skip

F, D, I32, I64 = ir.FloatType(), ir.DoubleType(), ir.IntType(32), ir.IntType(64)


def _asm(result, arguments, text, constraints, volatile=False):
    return ir.InlineAsm(ir.FunctionType(result, arguments), text, constraints, side_effect=volatile)


def _four(t):
    return ir.LiteralStructType([t] * 4)


MMA_TF32 = _asm(_four(F), [I32] * 6 + [F] * 4,
    "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {$0,$1,$2,$3}, {$4,$5,$6,$7}, {$8,$9}, {$10,$11,$12,$13};",
    "=f,=f,=f,=f,r,r,r,r,r,r,f,f,f,f")  # fmt: skip
MMA_BF16 = _asm(_four(F), [I32] * 6 + [F] * 4,
    "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {$0,$1,$2,$3}, {$4,$5,$6,$7}, {$8,$9}, {$10,$11,$12,$13};",
    "=f,=f,=f,=f,r,r,r,r,r,r,f,f,f,f")  # fmt: skip
MMA_F64 = _asm(ir.LiteralStructType([D, D]), [D] * 4,
    "mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {$0,$1}, {$2}, {$3}, {$4,$5};", "=d,=d,d,d,d,d")  # fmt: skip
PACK = _asm(I32, [F, F], "cvt.rn.bf16x2.f32 $0, $2, $1;", "=r,f,f")
TANH = _asm(F, [F], "tanh.approx.f32 $0, $1;", "=f,f")
EX2 = _asm(F, [F], "ex2.approx.ftz.f32 $0, $1;", "=f,f")
RCP = _asm(F, [F], "rcp.approx.ftz.f32 $0, $1;", "=f,f")
FMA = {F: _asm(F, [F] * 3, "fma.rn.f32 $0, $1, $2, $3;", "=f,f,f,f"),
       D: _asm(D, [D] * 3, "fma.rn.f64 $0, $1, $2, $3;", "=d,d,d,d")}  # fmt: skip
MAX = _asm(F, [F, F], "max.NaN.f32 $0, $1, $2;", "=f,f,f")
MIN = _asm(F, [F, F], "min.NaN.f32 $0, $1, $2;", "=f,f,f")
ABS = {F: _asm(F, [F], "abs.f32 $0, $1;", "=f,f"), D: _asm(D, [D], "abs.f64 $0, $1;", "=d,d")}
SIGN = _asm(F, [F, F], "copysign.f32 $0, $2, $1;", "=f,f,f")  # the size of the first, the sign of the second
_PUT = "{{.reg .pred p; setp.ne.s32 p, $2, 0; @p st.global.{} [$0], $1;}}"
STORE = {F: _asm(ir.VoidType(), [I64, F, I32], _PUT.format("f32"), "l,f,r", True),
         D: _asm(ir.VoidType(), [I64, D, I32], _PUT.format("f64"), "l,d,r", True)}  # fmt: skip
TO_SHARED = _asm(I32, [I64], "{.reg .u64 t; cvta.to.shared.u64 t, $1; cvt.u32.u64 $0, t;}", "=r,l")


def words(builder, kind, base, offset):
    """Volatile load of 16 bytes (8 for ``"f2"``) from shared memory, at a constant distance: words, floats or doubles."""
    t, c, width, suffix = {"r4": (I32, "r", 4, "b32"), "f4": (F, "f", 4, "f32"), "f2": (F, "f", 2, "f32"),
                           "d2": (D, "d", 2, "f64")}[kind]  # fmt: skip
    places = ",".join(f"${i}" for i in range(width))
    text = f"ld.volatile.shared.v{width}.{suffix} {{{places}}}, [${width}+{offset}];"
    load = _asm(ir.LiteralStructType([t] * width), [I32], text, ",".join([f"={c}"] * width + ["r"]), True)
    loaded = builder.call(load, [base])
    return [builder.extract_value(loaded, i) for i in range(width)]
