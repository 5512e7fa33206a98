"""Activations on the device, as text: one expression each, in a precision `_r` that the generated module defines.

They are the functions of :mod:`dynet.fields.kernels`. The tensor-core kernels have their own, in :mod:`.ptx`.
"""

from __future__ import annotations

__all__ = ["EXPRESSIONS", "source"]

EXPRESSIONS = {
    "identity": "z",
    "relu": "z if z > _r(0) or z != z else _r(0)",
    "leaky_relu": "z if z > _r(0) else a * z",
    "hard_tanh": "_r(1) if z > _r(1) else (_r(-1) if z < _r(-1) else z)",
    "tanh": "_r(math.tanh(z))",
    "logistic": "_r(1) / (_r(1) + _r(math.exp(-z)))",
    "softplus": "(z if z > _r(0) or z != z else _r(0)) + _r(math.log1p(_r(math.exp(-abs(z)))))",
    "elu": "z if z > _r(0) else _r(math.expm1(z))",
    "softsign": "z / (_r(1) + abs(z))",
    "arctan": "_r(math.atan(z))",
    "sin": "_r(math.sin(z))",
    "gelu": "_r(0.5) * z * (_r(1) + _r(math.erf(z * _r(0.7071067811865476))))",
    "silu": "z / (_r(1) + _r(math.exp(-z)))",
}


def source(activation, real):
    """Text that defines ``_r`` and the device function ``phi(z, a)``."""
    return f"""
import math
from numba import cuda, {real} as _r
from dynet.engine.cuda.device import inlined, kernel

@inlined
def phi(z, a):
    return {EXPRESSIONS[activation]}
"""
