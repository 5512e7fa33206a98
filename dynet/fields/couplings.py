r"""Separable couplings: when the sum over the neighbours needs no evaluation per edge.

A coupling of finite rank, :math:`e(x_i, x_j) = \sum_r c_r\,\epsilon_r(p_{ij})\,a_r(x_i)\,b_r(x_j)`, sums over the neighbours as

.. math:: \sum_j w_{ij}\, e(x_i, x_j) = \sum_r c_r\,a_r(x_i) \sum_j w_{ij}\,\epsilon_r(p_{ij})\, b_r(x_j),

so each node evaluates its :math:`b_r` once, and each edge visit is a multiplication and an addition. Sums, products and
differences are of this kind, and so are sines and cosines of sums: :math:`\sin(x_j - x_i) = \sin x_j\cos x_i -
\cos x_j\sin x_i`. The functions here find that form in the syntax tree of a user's edge function, or find that it has none.
"""

from __future__ import annotations

import ast
import copy
from typing import NamedTuple

import numpy as np

from .. import math as fast

__all__ = ["Separated", "edge_values", "separate"]

MOST = 8  # sums over the neighbours; beyond it evaluating the edge function is no slower


class Separated(NamedTuple):
    """A coupling as a sum of products.

    Attributes
    ----------
    tables : list of ast expression
        The distinct functions b of the neighbour's state.
    scales : list of ast expression
        The distinct functions of edge parameters that multiply the weights.
    sums : list of (scale, table)
        What each node sums over its edges: indices into the two lists, -1 for the constant 1.
    channels : list of list of (factors, sum)
        For each coupling channel its terms: factors of the node's own state, and the index of the sum.
    """

    tables: list
    scales: list
    sums: list
    channels: list


class _Inseparable(Exception):
    pass


def separate(definition, roles, edge_names):
    """Find the separable form of an edge function.

    Parameters
    ----------
    definition : ast.FunctionDef
        With global names resolved.
    roles : dict
        The function's own names of "x", "y", "p" and "s".
    edge_names : set of str
        Parameters that differ from edge to edge.

    Returns
    -------
    Separated or None
    """
    try:
        finder = _Terms(roles, set(edge_names))
        written = finder.channels(definition.body)
        tables, scales, sums, channels = [], [], [], []
        for k in range(max(written) + 1):
            merged = []
            for scale, own, other in finder.terms(written[k]):
                at = (_place(scale, scales), _place(other, tables))
                if at not in sums:
                    sums.append(at)
                merged.append((own, sums.index(at)))
            channels.append(merged)
        return Separated(tables, scales, sums, channels) if len(sums) <= MOST else None
    except (_Inseparable, KeyError, ValueError):
        return None


def edge_values(expression, p, values):
    """An expression of edge parameters, evaluated for all edges at once."""
    names = {
        "np": np,
        "math": np,
        "fast": _Numpy,
        p: type("Parameters", (), {k: np.asarray(v) for k, v in values.items()}),
    }
    code = compile(ast.fix_missing_locations(ast.Expression(copy.deepcopy(expression))), "<edge parameters>", "eval")
    return eval(code, {"__builtins__": {"abs": np.abs}}, names)  # the user's own arithmetic, of names checked before


class _Numpy:
    sin, cos, exp, tanh = np.sin, np.cos, np.exp, np.tanh

    @staticmethod
    def logistic(x):
        return 1 / (1 + np.exp(-x))


def _place(factors, known):
    """The index of a product in a list of distinct ones, -1 for the empty product."""
    if not factors:
        return -1
    expression = factors[0]
    for factor in factors[1:]:
        expression = ast.BinOp(expression, ast.Mult(), factor)
    text = ast.dump(expression)
    for at, other in enumerate(known):
        if ast.dump(other) == text:
            return at
    known.append(expression)
    return len(known) - 1


class _Terms:
    """Expands expressions into terms ``(scale, own, other)``, three lists of factors."""

    def __init__(self, roles, edge_names):
        self.roles = {name: role for role, name in roles.items()}
        self.edge_names = edge_names

    def channels(self, body):
        """The expression of each channel, with local names replaced by what they stand for."""
        local, written = {}, {}
        for statement in body:
            if not isinstance(statement, (ast.Assign, ast.AugAssign)):
                raise _Inseparable
            if isinstance(statement, ast.AugAssign):
                target = statement.target
                value = ast.BinOp(self._read(target, local, written), statement.op, statement.value)
            elif len(statement.targets) == 1:
                target, value = statement.targets[0], statement.value
            else:
                raise _Inseparable
            value = _Inline(local).visit(copy.deepcopy(value))
            if isinstance(target, ast.Name):
                local[target.id] = value
            else:
                written[self._channel(target)] = value
        if sorted(written) != list(range(len(written))):
            raise _Inseparable
        return written

    def _channel(self, target):
        good = isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name)
        if not good or self.roles.get(target.value.id) != "s" or not isinstance(target.slice, ast.Constant):
            raise _Inseparable
        return target.slice.value

    def _read(self, target, local, written):
        return local[target.id] if isinstance(target, ast.Name) else written[self._channel(target)]

    def kinds(self, node):
        """Which of the node's own state (x), its neighbour's (y), edge parameters (e), shared ones (c) it depends on."""
        found = set()
        for part in ast.walk(node):
            if isinstance(part, ast.Name):
                role = self.roles.get(part.id)
                if role == "s":
                    raise _Inseparable
                if role in ("x", "y"):
                    found.add(role)
            if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
                if self.roles.get(part.value.id) == "p":
                    found.add("e" if part.attr in self.edge_names else "c")
        return found

    def terms(self, node):
        kinds = self.kinds(node)
        pure = kinds - {"c"}
        if pure == {"e"} and "c" not in kinds and self._plain(node):
            return [([node], [], [])]
        if pure == {"y"}:
            return [([], [], [node])]
        if pure <= {"x"}:
            return [([], [node], [])]
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return [_times(([], [ast.Constant(-1.0)], []), term) for term in self.terms(node.operand)]
        if isinstance(node, ast.BinOp):
            if isinstance(node.op, (ast.Add, ast.Sub)):
                right = node.right if isinstance(node.op, ast.Add) else ast.UnaryOp(ast.USub(), node.right)
                return self.terms(node.left) + self.terms(right)
            if isinstance(node.op, ast.Mult):
                return [_times(a, b) for a in self.terms(node.left) for b in self.terms(node.right)]
            if isinstance(node.op, ast.Div) and len(self.kinds(node.right) - {"c"}) <= 1:
                inverse = ast.BinOp(ast.Constant(1.0), ast.Div(), node.right)
                return [_times(a, b) for a in self.terms(node.left) for b in self.terms(inverse)]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and len(node.args) == 1:
            if isinstance(node.func.value, ast.Name) and node.func.value.id == "fast" and node.func.attr in _WAVES:
                return self._wave(node.func.attr, self._addends(node.args[0], 1))
        raise _Inseparable

    def _plain(self, node):
        """Whether only arithmetic and elementary functions occur, so that NumPy can evaluate it."""
        names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        return all(self.roles.get(name) == "p" or name in ("fast", "np", "math", "abs") for name in names)

    def _addends(self, node, sign):
        """A sum as a list of ``(kind, sign, expression)``, each of one kind."""
        pure = self.kinds(node) - {"c"}
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return self._addends(node.operand, -sign)
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)) and len(pure) != 1:
            second = sign if isinstance(node.op, ast.Add) else -sign
            return self._addends(node.left, sign) + self._addends(node.right, second)
        if len(pure) > 1 or (pure == {"e"} and "c" in self.kinds(node)):
            raise _Inseparable
        return [(next(iter(pure), "x"), sign, node)]

    def _wave(self, name, addends):
        """Sine or cosine of a sum, one kind after the other split off by the addition theorem."""
        kind = addends[0][0]
        own = [a for a in addends if a[0] == kind]
        rest = [a for a in addends if a[0] != kind]
        sign, argument = own[0][1], own[0][2]
        for _, other, more in own[1:]:
            argument = ast.BinOp(argument, ast.Add() if other == sign else ast.Sub(), more)

        def factor(word):
            call = ast.Call(ast.Attribute(ast.Name("fast", ast.Load()), word, ast.Load()), [argument], [])
            return (*self.terms(call)[0], sign if word == "sin" else 1)

        def signed(term, s):
            return _times(([], [ast.Constant(-1.0)], []), term) if s < 0 else term

        if not rest:
            *term, s = factor(name)
            return [signed(tuple(term), s)]
        *sine, s = factor("sin")
        *cosine, _ = factor("cos")
        if name == "sin":  # sin(u + r) = sin u cos r + cos u sin r
            first = [signed(_times(tuple(sine), r), s) for r in self._wave("cos", rest)]
            return first + [_times(tuple(cosine), r) for r in self._wave("sin", rest)]
        first = [_times(tuple(cosine), r) for r in self._wave("cos", rest)]
        return first + [signed(_times(tuple(sine), r), -s) for r in self._wave("sin", rest)]


_WAVES = ("sin", "cos")
assert set(_WAVES) <= set(fast.VECTORISED)


def _times(a, b):
    return tuple(u + v for u, v in zip(a, b, strict=True))


class _Inline(ast.NodeTransformer):
    def __init__(self, local):
        self.local = local

    def visit_Name(self, node):
        return copy.deepcopy(self.local[node.id]) if node.id in self.local else node
