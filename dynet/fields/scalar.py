"""From a user's function to one of scalars: ``f(t, x0, x1, ..., p0, p1, ...)`` returns the derivatives as a tuple.

In this form a compiler can keep a whole Runge-Kutta step in registers. It exists where every index is known beforehand:
``x[i]``, ``dx[i]`` and ``p.name[i]`` with numbers, or with the variable of a loop over ``range`` of numbers, which is
unrolled. For other functions :func:`scalar_source` returns None, and the block form serves them.
"""

from __future__ import annotations

import ast
import copy
import math

from .lanes import DECORATOR, helpers_of, parse

__all__ = ["scalar_source", "scalar_text"]

LARGEST = 16  # states: beyond it an unrolled step compiles for seconds and does not fit the registers
LONGEST = 64  # turns of a loop

_HEAD = """
import math
import numpy as np
from numba import njit
from dynet import math as fast
from dynet.engine.block import FASTMATH
"""


class _NotScalar(Exception):
    """The function has no scalar form."""


def scalar_source(function, n, shapes):
    """Source of a module with ``_field(t, x0, ..., p0, ...)``, or None.

    Parameters
    ----------
    function : function
        ``f(t, x, p, dx)``.
    n : int
        Number of states.
    shapes : dict
        Parameter name -> shape, in the order of the parameter block.

    Examples
    --------
    >>> import numpy as np
    >>> scalar_source(np.array, 3, {}) is None
    True
    """
    if n > LARGEST or not hasattr(function, "__code__"):
        return None
    text = scalar_text(function, "_field", {"x": n}, ("dx", n), shapes, ("t", "x", "p", "dx"))
    return None if text is None else _HEAD + text


def scalar_text(function, name, vectors, output, shapes, wanted):
    """Source of a function of scalars that returns a tuple, with its helpers and without imports; None where there is none.

    Parameters
    ----------
    function : function
    name : str
        What it is called in the text.
    vectors : dict
        Role of an argument that is a vector -> its length, in the order in which their components become arguments.
    output : (str, int)
        Role and length of the argument that is written to.
    shapes : dict
        Name of a parameter -> shape, in the order of the parameter block.
    wanted : tuple of str
        The roles of the arguments in their order: ``"p"`` is the parameters, what is no vector stays as it is.
    """
    if not hasattr(function, "__code__"):
        return None
    definition = parse(function)
    names = [a.arg for a in definition.args.args]
    if len(names) != len(wanted) or any(
        isinstance(node, (ast.Return, ast.Lambda, ast.Try)) for node in ast.walk(definition)
    ):
        return None
    given = dict(zip(wanted, names, strict=True))
    lengths = {given[role]: size for role, size in (*vectors.items(), output)}
    prefixes = {given[role]: f"_{role}_" for role in (*vectors, output[0])}
    try:
        definition.body = _unrolled(definition.body, lengths)
        definition = _Scalars(lengths, prefixes, given["p"], shapes).visit(definition)
    except _NotScalar:
        return None
    size = sum(math.prod(shape) for shape in shapes.values())
    plain = [given[role] for role in wanted if role not in vectors and role not in ("p", output[0])]
    parts = [f"_{role}_{i}" for role, extent in vectors.items() for i in range(extent)]
    arguments = [*plain, *parts, *(f"_p_{i}" for i in range(size))]
    results = [f"_{output[0]}_{i}" for i in range(output[1])]
    helpers = {}
    definition = helpers_of(definition, function, helpers, {*arguments, *results})
    definition.name = name
    definition.args.args = [ast.arg(a) for a in arguments]
    start = ast.parse("\n".join(f"{r} = np.nan" for r in results)).body
    end = ast.parse(f"def f():\n return ({', '.join(results)},)").body[0].body
    definition.body = [*start, *definition.body, *end]
    ast.fix_missing_locations(definition)
    return "".join(helpers.values()) + DECORATOR + ast.unparse(definition) + "\n"


def _constant(node):
    """The integer that an expression of constants stands for, or None."""
    if any(
        not isinstance(part, (ast.Constant, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop))
        for part in ast.walk(node)
    ):
        return None
    try:
        value = eval(compile(ast.fix_missing_locations(ast.Expression(copy.deepcopy(node))), "index", "eval"), {})
    except (ArithmeticError, TypeError, ValueError):
        return None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


class _Put(ast.NodeTransformer):
    """Put a number in the place of a name, and the lengths of the vectors in that of len(x)."""

    def __init__(self, name, value, lengths):
        self.name, self.value, self.lengths = name, value, lengths

    def visit_Name(self, node):
        if node.id == self.name:
            if not isinstance(node.ctx, ast.Load):
                raise _NotScalar
            return ast.Constant(self.value)
        return node

    def visit_Call(self, node):
        node = self.generic_visit(node)
        called = isinstance(node.func, ast.Name) and node.func.id == "len" and len(node.args) == 1
        if called and isinstance(node.args[0], ast.Name) and node.args[0].id in self.lengths:
            return ast.Constant(self.lengths[node.args[0].id])
        return node


def _unrolled(body, lengths):
    """Statements with their loops over constant ranges written out."""
    lines = []
    for line in body:
        line = _Put(None, None, lengths).visit(line)
        if isinstance(line, ast.For):
            lines += _turns(line, lengths)
            continue
        for field in ("body", "orelse"):
            if getattr(line, field, None):
                setattr(line, field, _unrolled(getattr(line, field), lengths))
        lines.append(line)
    return lines


def _turns(loop, lengths):
    call = loop.iter
    known = (
        isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "range" and not call.keywords
    )
    bounds = [_constant(a) for a in call.args] if known else [None]
    odd = any(isinstance(node, (ast.Break, ast.Continue)) for node in ast.walk(loop))
    if None in bounds or odd or loop.orelse or not isinstance(loop.target, ast.Name) or len(range(*bounds)) > LONGEST:
        raise _NotScalar
    lines = []
    for turn in range(*bounds):
        lines += _unrolled(
            [_Put(loop.target.id, turn, lengths).visit(copy.deepcopy(line)) for line in loop.body], lengths
        )
    return lines


class _Scalars(ast.NodeTransformer):
    """Every component a variable of its own; what is left of the arrays has no scalar form."""

    def __init__(self, lengths, prefixes, p, shapes):
        self.lengths, self.prefixes, self.p, self.shapes = lengths, prefixes, p, shapes

    def visit_Subscript(self, node):
        if isinstance(node.value, ast.Name) and node.value.id in self.lengths:
            name = node.value.id
            return ast.Name(f"{self.prefixes[name]}{self._index(node.slice, self.lengths[name])}", node.ctx)
        if isinstance(node.value, ast.Attribute) and self._is_p(node.value.value):
            return self._parameter(node.value.attr, node.slice)
        return self.generic_visit(node)

    def visit_Attribute(self, node):
        return self._parameter(node.attr, None) if self._is_p(node.value) else self.generic_visit(node)

    def visit_Name(self, node):
        if node.id in self.lengths or node.id == self.p:
            raise _NotScalar
        return node

    def _is_p(self, node):
        return isinstance(node, ast.Name) and node.id == self.p

    def _index(self, node, extent):
        value = _constant(node)
        if value is None or not -extent <= value < extent:
            raise _NotScalar
        return value % extent

    def _parameter(self, name, index):
        if name not in self.shapes:
            raise _NotScalar
        shape, at = self.shapes[name], 0
        indices = [] if index is None else index.elts if isinstance(index, ast.Tuple) else [index]
        if len(indices) != len(shape):
            raise _NotScalar
        for i, extent in zip(indices, shape, strict=True):
            at = at * extent + self._index(i, extent)
        first = sum(math.prod(s) for s in list(self.shapes.values())[: list(self.shapes).index(name)])
        return ast.Name(f"_p_{first + at}", ast.Load())
