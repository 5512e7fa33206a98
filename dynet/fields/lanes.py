"""From a user's scalar function to a compiled block: the source is rewritten, once, into a loop over lanes.

The user writes ``def f(t, x, p, dx)`` with ``x[i]``, ``p.name`` and ``np.sin``. The engine wants one function over a
block ``y[n, W]`` of W trajectories whose loop over the lanes LLVM vectorises. The rewriting is small: ``x[i]`` becomes
``x[i, lane]``; ``p.name`` becomes a row of the parameter block; ``np.*`` and ``math.*`` become the vectorisable functions
of :mod:`dynet.math` where one exists; helper functions and numeric constants that the function refers to come along.
The result is plain source text, which the engine's code store compiles and keeps on disk.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import math
import textwrap
import types

import numpy as np

from .. import math as fast
from ..errors import ArgumentError, Shown

__all__ = ["DECORATOR", "Lanes", "block_source", "helper_source", "helpers_of", "parse", "source_in"]

HEAD = """
import math
import numpy as np
from numba import cfunc, njit
from dynet import math as fast
from dynet.engine.block import FASTMATH, RHS
from dynet.fields.waves import evaluate
"""

BLOCK = """
@cfunc(RHS, cache=True, fastmath=FASTMATH, error_model="numpy")
def rhs(t, y, p, reals, ints, work, out):
    if ints.size > 0:
        evaluate(t, p, reals, ints, work)
    for lane in range(y.shape[1]):
        _field(lane, t[lane], y, work, p, out)
"""

DECORATOR = '@njit(fastmath=FASTMATH, error_model="numpy", forceinline=True)\n'


def parse(function, name="function"):
    """The syntax tree of a plain ``def``, without its decorators."""
    if not isinstance(function, types.FunctionType):
        raise ArgumentError(name, function, "a plain Python function")
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError, IndentationError):
        tree = None
    if tree is None or not tree.body or not isinstance(tree.body[0], ast.FunctionDef):
        raise ArgumentError(
            name,
            Shown(getattr(function, "__qualname__", "function")),
            "a function written with def in a file, notebook cell or doctest (its source is needed)",
        )
    definition = tree.body[0]
    definition.decorator_list = []
    definition.returns = None
    for argument in definition.args.args:
        argument.annotation = None
    if (
        definition.body
        and isinstance(definition.body[0], ast.Expr)
        and isinstance(definition.body[0].value, ast.Constant)
    ):
        definition.body = definition.body[1:] or [ast.Pass()]
    return definition


def block_source(function, shapes, with_input):
    """Source of a module whose ``rhs`` evaluates `function` over a block.

    Parameters
    ----------
    function : function
        ``f(t, x, p, dx)``, or ``f(t, x, u, p, dx)`` when `with_input`.
    shapes : dict
        Parameter name -> shape (``()`` for a number), in the order of the parameter block.
    with_input : bool

    Raises
    ------
    ArgumentError
        When the function has the wrong arguments, or refers to something that cannot be compiled.
    """
    definition = parse(function)
    wanted = ["t", "x", "u", "p", "dx"] if with_input else ["t", "x", "p", "dx"]
    given = [a.arg for a in definition.args.args]
    if len(given) != len(wanted):
        raise ArgumentError(
            "function",
            Shown(f"{function.__name__}({', '.join(given)})"),
            f"a function of the arguments ({', '.join(wanted)})",
        )
    roles = dict(zip(wanted, given, strict=True))
    rewriter = Lanes(roles, shapes, function.__name__)
    helpers = {}
    definition = helpers_of(rewriter.visit(definition), function, helpers, known=set(given) | {"lane", "lane_p"})
    t, x, u, p, dx = (roles.get(role, "unused_input") for role in ("t", "x", "u", "p", "dx"))
    definition.name = "_field"
    definition.args.args = [ast.arg(a) for a in ("lane", t, x, u, "lane_p", dx)]
    ast.fix_missing_locations(definition)
    return HEAD + "".join(helpers.values()) + DECORATOR + ast.unparse(definition) + "\n" + BLOCK


def source_in(precision, source):
    """The source of a module in ``"float64"``, as it is, or translated to ``"float32"``."""
    if precision == "float64":
        return source
    from ..engine.single import translated

    return translated(source)


def helper_source(function, name):
    """Source of a scalar function compiled under `name`, with the helpers that it calls."""
    definition = parse(function)
    helpers = {}
    known = {a.arg for a in definition.args.args}
    definition = helpers_of(definition, function, helpers, known)
    definition.name = name
    ast.fix_missing_locations(definition)
    return "".join(helpers.values()) + DECORATOR + ast.unparse(definition) + "\n"


class Lanes(ast.NodeTransformer):
    """Give every access to a block its lane, and every parameter its row."""

    def __init__(self, roles, shapes, where):
        self.blocks = {roles["x"], roles["dx"]} | ({roles["u"]} if "u" in roles else set())
        self.p = roles["p"]
        self.where = where
        self.shapes = shapes
        self.first = {}
        at = 0
        for name, shape in shapes.items():
            self.first[name] = at
            at += math.prod(shape)

    def visit_Subscript(self, node):
        if isinstance(node.value, ast.Name) and node.value.id in self.blocks:
            index = self.visit(node.slice)
            if isinstance(index, ast.Tuple):
                raise ArgumentError(node.value.id, Shown(ast.unparse(node)), "one index: the state is a vector")
            return ast.Subscript(node.value, ast.Tuple([index, _name("lane")], ast.Load()), node.ctx)
        parameter = self._parameter(node.value)
        if parameter is not None:
            return self._row(parameter, node)
        return self.generic_visit(node)

    def visit_Attribute(self, node):
        parameter = self._parameter(node)
        if parameter is None:
            return self.generic_visit(node)
        first, size = self.first[parameter], math.prod(self.shapes[parameter])
        if self.shapes[parameter] == ():
            rows = ast.Constant(first)
        elif len(self.shapes[parameter]) == 1:
            rows = ast.Slice(ast.Constant(first), ast.Constant(first + size))
        else:
            raise ArgumentError(f"p.{parameter}", Shown(ast.unparse(node)), "an indexed use, p.name[i, j]")
        return ast.Subscript(_name("lane_p"), ast.Tuple([rows, _name("lane")], ast.Load()), ast.Load())

    def visit_Call(self, node):
        if isinstance(node.func, ast.Name) and node.func.id == "len" and len(node.args) == 1:
            return node  # the length of a block is its number of rows: already right
        return self.generic_visit(node)

    def visit_Name(self, node):
        if node.id in self.blocks:
            whole = ast.Tuple([ast.Slice(), _name("lane")], ast.Load())
            return ast.Subscript(node, whole, ast.Load())
        return node

    def _parameter(self, node):
        if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == self.p):
            return None
        if node.attr not in self.shapes:
            raise ArgumentError(
                f"{self.p}.{node.attr}",
                Shown(f"a use in {self.where}, line {node.lineno}"),
                "a declared parameter",
                choices=self.shapes,
                word=node.attr,
            )
        return node.attr

    def _row(self, parameter, node):
        shape = self.shapes[parameter]
        index = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if len(index) != len(shape) or any(isinstance(i, ast.Slice) for i in index):
            raise ArgumentError(f"p.{parameter}", Shown(ast.unparse(node)), f"{len(shape)} indices, no slices")
        row = ast.Constant(0)
        for i, extent in zip(index, shape, strict=True):
            row = ast.BinOp(ast.BinOp(row, ast.Mult(), ast.Constant(extent)), ast.Add(), self.visit(i))
        row = ast.BinOp(ast.Constant(self.first[parameter]), ast.Add(), row)
        return ast.Subscript(_name("lane_p"), ast.Tuple([row, _name("lane")], ast.Load()), node.ctx)


def _name(word):
    return ast.Name(word, ast.Load())


def helpers_of(definition, function, helpers, known):
    """Resolve every global name: fast mathematics, constants, helpers; anything else is an error that names it."""
    closure = inspect.getclosurevars(function)
    outside = {**function.__globals__, **closure.globals, **closure.nonlocals}
    local = known | {n.id for n in ast.walk(definition) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}

    class Resolve(ast.NodeTransformer):
        def visit_Attribute(self, node):
            if isinstance(node.value, ast.Name) and node.value.id not in local:
                owner = outside.get(node.value.id)
                if owner in (np, math, fast):
                    if node.attr in fast.VECTORISED:
                        return ast.Attribute(_name("fast"), node.attr, ast.Load())
                    return ast.Attribute(_name({np: "np", math: "math", fast: "fast"}[owner]), node.attr, ast.Load())
            return self.generic_visit(node)

        def visit_Name(self, node):
            if node.id in local or not isinstance(node.ctx, ast.Load):
                return node
            if node.id not in outside:
                if hasattr(builtins, node.id):
                    return node
                raise ArgumentError(
                    node.id,
                    Shown(f"a name in {function.__name__}, line {node.lineno}"),
                    "a defined name",
                    choices=sorted(local),
                    word=node.id,
                )
            return self._outside(node, outside[node.id])

        def _outside(self, node, value):
            word = getattr(value, "__name__", None)
            if isinstance(value, (bool, int, float, np.number)):
                return ast.Constant(value.item() if isinstance(value, np.number) else value)
            if word in fast.VECTORISED and value in (getattr(np, word, None), getattr(math, word, None)):
                return ast.Attribute(_name("fast"), word, ast.Load())
            if any(value is getattr(module, word or "", None) for module in (np, math, fast)):
                owner = next(m for m in (np, math, fast) if value is getattr(m, word, None))
                return ast.Attribute(_name({np: "np", math: "math", fast: "fast"}[owner]), word, ast.Load())
            if hasattr(value, "py_func"):
                value = value.py_func
            if isinstance(value, types.FunctionType):
                if node.id not in helpers:
                    helpers[node.id] = ""  # a recursive helper finds itself
                    helpers[node.id] = helper_source(value, node.id)
                return node
            if isinstance(value, (tuple, np.ndarray)) and np.size(value) <= 10_000:
                array = np.asarray(value)
                if array.dtype.kind in "biuf":
                    kind = np.float64 if array.dtype.kind == "f" else np.int64
                    text = f"{node.id} = np.array({array.astype(kind).tolist()!r}, dtype=np.{kind.__name__})\n"
                    helpers[node.id] = text.replace("inf", "np.inf").replace("nan", "np.nan")
                    return node
            raise ArgumentError(
                node.id,
                value,
                f"a number, an array or a function (it is used in {function.__name__}, "
                f"line {node.lineno}); pass anything else through params",
            )

    return Resolve().visit(definition)
