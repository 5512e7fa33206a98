r"""Arithmetic on one type while instructions are emitted, and the activations that a warp can apply to its registers.

In float32 the hyperbolic tangent is :math:`1 - 2/(1 + e^{2|z|})` away from zero and an odd polynomial of degree 11 near it,
which keeps the relative error below 3e-7; ``tanh.approx``, with an error of 5e-4, serves only the short precisions.
"""

from __future__ import annotations

from llvmlite import ir

from .ptx import ABS, EX2, FMA, MAX, MIN, RCP, SIGN, TANH, D, F

__all__ = ["ACTIVATIONS", "TANH_NEAR", "Numbers"]

#: Coefficients of z^3, z^5, ... on [0, 0.6], by interpolation at Chebyshev points.
TANH_NEAR = (-0.3333333134651184, 0.1333291381597519, -0.05387381464242935, 0.02111046016216278, -0.006268506404012442)


class Numbers:
    """Arithmetic on numbers of one type, and the activations in it."""

    def __init__(self, builder, t, approximate):
        self.b, self.t, self.approximate = builder, t, approximate

    def __call__(self, value):
        return ir.Constant(self.t, value)

    def fma(self, a, x, y):
        return self.b.call(FMA[self.t], [a, x, y])

    def above(self, v, value):
        return self.b.fcmp_ordered(">", v, self(value))

    def library(self, name, *arguments):
        """A function of the device's mathematical library, which NVVM inlines."""
        name = f"__nv_{name}" + ("f" if self.t == F else "")
        module = self.b.module
        found = module.globals.get(name)
        if found is None:
            found = ir.Function(module, ir.FunctionType(self.t, [self.t] * len(arguments)), name)
        return self.b.call(found, arguments)

    def reciprocal(self, v):
        return self.b.call(RCP, [v]) if self.t == F else self.b.fdiv(self(1.0), v)

    def exp(self, v):
        if self.t == D:
            return self.library("exp", v)
        return self.b.call(EX2, [self.b.fmul(v, self(1.4426950408889634))])

    def identity(self, v, a):
        return v

    def relu(self, v, a):
        if self.t == F:
            return self.b.call(MAX, [v, self(0.0)])
        keep = self.b.or_(self.above(v, 0.0), self.b.fcmp_unordered("uno", v, v))
        return self.b.select(keep, v, self(0.0))

    def leaky_relu(self, v, a):
        return self.b.select(self.above(v, 0.0), v, self.b.fmul(a, v))

    def hard_tanh(self, v, a):
        if self.t == F:
            return self.b.call(MAX, [self.b.call(MIN, [v, self(1.0)]), self(-1.0)])
        v = self.b.select(self.above(v, 1.0), self(1.0), v)
        return self.b.select(self.b.fcmp_ordered("<", v, self(-1.0)), self(-1.0), v)

    def tanh(self, v, a):
        if self.t == D:
            return self.library("tanh", v)
        if self.approximate:
            return self.b.call(TANH, [v])
        size = self.b.call(ABS[F], [v])
        e = self.b.call(EX2, [self.b.fmul(size, self(2.8853900817779268))])
        far = self.fma(self.b.call(RCP, [self.b.fadd(e, self(1.0))]), self(-2.0), self(1.0))
        far = self.b.call(SIGN, [far, v])
        s = self.b.fmul(v, v)
        p = self(TANH_NEAR[-1])
        for coefficient in TANH_NEAR[-2::-1]:
            p = self.fma(p, s, self(coefficient))
        near = self.fma(self.b.fmul(v, s), p, v)
        return self.b.select(self.b.fcmp_ordered("<", size, self(0.6)), near, far)

    def logistic(self, v, a):
        if self.approximate:
            half = self.b.call(TANH, [self.b.fmul(v, self(0.5))])
            return self.fma(half, self(0.5), self(0.5))
        return self.reciprocal(self.b.fadd(self.exp(self.b.fneg(v)), self(1.0)))

    def silu(self, v, a):
        return self.b.fmul(v, self.logistic(v, a))

    def softsign(self, v, a):
        return self.b.fmul(v, self.reciprocal(self.b.fadd(self.b.call(ABS[self.t], [v]), self(1.0))))

    def softplus(self, v, a):
        size = self.b.call(ABS[self.t], [v])
        tail = self.library("log1p", self.library("exp", self.b.fneg(size)))
        return self.b.fadd(self.relu(v, a), tail)

    def elu(self, v, a):
        return self.b.select(self.above(v, 0.0), v, self.library("expm1", v))

    def arctan(self, v, a):
        return self.library("atan", v)

    def gelu(self, v, a):
        tail = self.library("erf", self.b.fmul(v, self(0.7071067811865476)))
        return self.b.fmul(self.b.fmul(v, self(0.5)), self.b.fadd(tail, self(1.0)))


#: Those that a warp can apply; ``sin`` is not among them, because its reduction of large arguments needs local memory.
ACTIVATIONS = tuple(name for name in vars(Numbers) if name in (
    "identity", "relu", "leaky_relu", "hard_tanh", "tanh", "logistic", "silu", "softsign", "softplus", "elu", "arctan", "gelu",
))  # fmt: skip
