"""Right-hand sides for the tests of the engine, written as lane loops without the fields above it."""

import numpy as np

from dynet.engine import codegen
from dynet.engine.block import BlockRHS

HEAD = """
import numpy as np
from numba import cfunc
from dynet import math as fast
from dynet.engine.block import FASTMATH, RHS

@cfunc(RHS, cache=True, fastmath=FASTMATH, error_model="numpy")
def rhs(t, y, p, reals, ints, work, out):
    for lane in range(y.shape[1]):
"""

LORENZ = [
    "out[0, lane] = p[0, lane] * (y[1, lane] - y[0, lane])",
    "out[1, lane] = y[0, lane] * (p[1, lane] - y[2, lane]) - y[1, lane]",
    "out[2, lane] = y[0, lane] * y[1, lane] - p[2, lane] * y[2, lane]",
]
DECAY = ["out[0, lane] = -y[0, lane]"]
SQUARE = ["out[0, lane] = y[0, lane] * y[0, lane]"]  # y / (1 - y t): explodes at t = 1 / y(0)
#: Everything that could make a lane depend on its neighbours: divisions, elementary functions, time, a parameter.
MIXED = [
    "a = y[0, lane] / (1.0 + p[0, lane] * y[1, lane] ** 2)",
    "b = y[2, lane] / (1.0 + p[0, lane] * y[1, lane] ** 2)",
    "out[0, lane] = fast.sin(y[1, lane] + t[lane]) - a / 3.7",
    "out[1, lane] = fast.tanh(y[2, lane] * p[1, lane]) - y[1, lane] / 1.3 + b",
    "out[2, lane] = fast.exp(-y[0, lane] * y[0, lane]) * a - 0.5 * y[2, lane]",
]


def block(lines, n, reals=()):
    """A :class:`BlockRHS` whose lane loop holds `lines`."""
    source = HEAD + "".join(f"        {line}\n" for line in lines)
    return BlockRHS(codegen.module(source, tag="test").rhs, n, 0, np.array(reals, float), np.empty(0, np.int64))
