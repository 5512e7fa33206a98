"""A function of scalars, written for float64, as a function of the device in another precision.

Numba takes a literal 0.5 to be float64 and an integer beside a float32, too, so that one literal would move a whole
expression to the device's slow double precision. Here every float literal, and every integer that stands beside an operator
of arithmetic, becomes a number of the wanted type; indices stay what they are. ``dynet.math`` gives way to the device's own
functions.
"""

from __future__ import annotations

import ast

__all__ = ["retyped"]

HEAD = """
import math
import numpy as np
from numba import {real} as _r
from dynet.engine.cuda.device import inlined

@inlined
def _logistic(x):
    return _r(1) / (_r(1) + math.exp(-x))

@inlined
def _sincos(x):
    return math.sin(x), math.cos(x)
"""


class _Retype(ast.NodeTransformer):
    def visit_FunctionDef(self, node):
        node.decorator_list = [ast.Name("inlined", ast.Load())]
        node.body = [self.visit(line) for line in node.body]
        return node

    def visit_Subscript(self, node):
        return ast.Subscript(self.visit(node.value), node.slice, node.ctx)

    def visit_Call(self, node):
        keep = isinstance(node.func, ast.Name) and node.func.id in ("range", "int", "len")
        func = self.visit(node.func)
        arguments = node.args if keep else [self.visit(a) for a in node.args]
        return ast.Call(func, arguments, node.keywords)

    def visit_Constant(self, node):
        return _typed(node) if isinstance(node.value, float) else node

    def visit_Attribute(self, node):
        owner = node.value.id if isinstance(node.value, ast.Name) else ""
        if owner == "fast":  # of dynet.math; the device's own are as fast
            if node.attr in ("logistic", "sincos"):
                return ast.Name(f"_{node.attr}", node.ctx)
            return ast.Attribute(ast.Name("math", ast.Load()), node.attr, node.ctx)
        numbers = owner in ("np", "math")
        return _typed(node) if numbers and node.attr in ("nan", "inf", "pi", "e") else self.generic_visit(node)

    def visit_BinOp(self, node):
        left, right = self.visit(node.left), self.visit(node.right)
        if isinstance(node.op, (ast.Add, ast.Sub, ast.Mult, ast.Div)):
            left, right = _real(left), _real(right)
        elif isinstance(node.op, ast.Pow):
            left = _real(left)
        return ast.BinOp(left, node.op, right)

    def visit_Compare(self, node):
        return ast.Compare(self.visit(node.left), node.ops, [self.visit(c) for c in node.comparators])


def _real(node):
    return _typed(node) if isinstance(node, ast.Constant) and type(node.value) is int else node


def _typed(node):
    return ast.Call(ast.Name("_r", ast.Load()), [node], [])


def retyped(source, real):
    """`source`, functions as :mod:`dynet.fields.scalar` writes them, for the device and the type `real`.

    >>> text = retyped("def f(x):\\n    return 2 * x[1] + 0.5", "float32")
    >>> text.splitlines()[-1].strip()
    'return _r(2) * x[1] + _r(0.5)'
    """
    tree = ast.parse(source)
    tree.body = [_Retype().visit(line) if isinstance(line, ast.FunctionDef) else line for line in tree.body]
    ast.fix_missing_locations(tree)
    return HEAD.format(real=real) + ast.unparse(tree) + "\n"
