r"""From a user's node and edge functions to a compiled block: tables over the nodes, then sums over the edges.

The generated right-hand side makes two passes. The first writes, for each node, a row of the *table*: what its neighbours
need to know of it. The second goes over the nodes, sums rows of the table along the edges of each, and calls the node
function. Where the coupling is separable (see :mod:`dynet.fields.couplings`) the table holds the functions of the
neighbour's state that occur, and an edge visit is a fused multiply-add; otherwise it holds the state, and the edge function
is evaluated for many edges at once, which LLVM vectorises. For a complete graph of equal weights a separable coupling needs
only the sums over all nodes: the cost of a step is then proportional to the number of nodes.

With many trajectories the innermost loops run over them; with a single one they run over nodes or edges. Each sum is taken
in one order, whatever the number of trajectories and threads.

A call may ask for a part of the work: see :class:`~dynet.engine.block.BlockRHS`.
"""

from __future__ import annotations

import ast
import copy

from ..errors import ArgumentError, Shown
from . import couplings, lanes
from . import node_templates as templates

__all__ = ["GROUP", "HEADER", "PANEL", "RUN", "block_source", "private_rows"]

HEADER = 16  # ints before the offsets of the parameters
PANEL = 256  # nodes of a single trajectory that are summed before the node function is called for them
RUN = 512  # edges that are evaluated together
GROUP = 1024  # nodes over which a sum over all nodes is taken before the groups are added


def private_rows(separated, complete, dim, channels):
    """Rows of scratch that each thread needs for itself."""
    if separated is None:
        return (dim + channels) * RUN + channels
    return 8 * len(separated.tables) + (0 if complete else len(separated.sums) * PANEL)


def block_source(node, edge, kinds, dim, channels, inputs, complete):
    """Source of a module whose ``rhs`` evaluates a network over a block.

    Parameters
    ----------
    node, edge : function
        ``node(t, x, s, p, dx)`` (``node(t, x, s, u, p, dx)`` with inputs) and ``edge(x, y, p, s)``.
    kinds : dict
        Parameter name -> "shared", "node" or "edge", in the order of their offsets.
    dim, channels, inputs : int
        Components of a node's state, of its coupling s, of its input.
    complete : bool
        Whether every node acts on every other with one weight.

    Returns
    -------
    source : str
    separated : Separated or None
    """
    offsets = [f"at_{name}" for name in kinds]
    args = "".join(f", {name}" for name in offsets)
    helpers = {}
    wanted = ["t", "x", "s", "u", "p", "dx"] if inputs else ["t", "x", "s", "p", "dx"]
    node_roles, node_body = _read(node, "node", wanted, helpers)
    edge_roles, edge_body = _read(edge, "edge", ["x", "y", "p", "s"], helpers)
    blocks = {node_roles["x"]: ("x_", dim), node_roles["dx"]: ("dx_", dim)}
    if inputs:
        blocks[node_roles["u"]] = ("u_", inputs)
    flat = _Flat(blocks, node_roles["p"], kinds, "node")
    node_body.name = "_node"
    heads = [node_roles["t"], "i_", "x_", "x_at", "x_by", node_roles["s"], "u_", "u_at", "u_by", "p_", "p_at", "p_by"]
    node_body.args.args = [ast.arg(a) for a in (*heads, "dx_", "dx_at", "dx_by", *offsets)]
    pieces = [_source(flat.visit(node_body))]

    separated = couplings.separate(edge_body, edge_roles, {k for k, v in kinds.items() if v == "edge"})
    if separated is not None and complete and any(scale >= 0 for scale, _ in separated.sums):
        separated = None
    if separated is not None and not separated.tables:
        separated.tables.append(ast.Constant(1.0))
    blocks = {edge_roles["x"]: ("x_", dim), edge_roles["y"]: ("y_", dim), edge_roles["s"]: ("s_", channels)}
    flat = _Flat(blocks, edge_roles["p"], kinds, "edge")
    if separated is None:
        edge_body.name = "_edge"
        heads = ["q_", "x_", "x_at", "x_by", "y_", "y_at", "y_by", "p_", "p_at", "p_by", "e_", "s_", "s_at", "s_by"]
        edge_body.args.args = [ast.arg(a) for a in (*heads, *offsets)]
        table = [f"y_[U_(y_at + {k} * y_by)]" for k in range(dim)]
        pieces += [_source(flat.visit(edge_body)), templates.HALVE]
    else:
        own = {ast.dump(_Rename({edge_roles["y"]: edge_roles["x"]}).visit(copy.deepcopy(b))): m
               for m, b in enumerate(separated.tables)}  # fmt: skip
        table = [ast.unparse(flat.visit(copy.deepcopy(b))) for b in separated.tables]
        sums = [_mixture(terms, own, flat) for terms in separated.channels]
        head = f"def _mix(i_, x_, x_at, x_by, p_, p_at, p_by, w_, t_at, t_by, a_{args}):\n"
        pieces.append(lanes.DECORATOR + head + f"    return ({', '.join(sums)},)\n")
    head = f"def _table(i_, y_, y_at, y_by, p_, p_at, p_by, w_, t_at, t_by{args}):\n"
    rows = "".join(f"    w_[U_(t_at + {m} * t_by)] = {text}\n" for m, text in enumerate(table))
    pieces.append(lanes.DECORATOR + head + rows)

    words = _words(separated, complete, dim, channels, inputs, args)
    words |= {"offsets": "\n".join(f"    {name} = g_[{HEADER + k}]" for k, name in enumerate(offsets))}
    body = templates.PAIRS if separated is None else templates.ALL if complete else templates.SUMS
    mean_field = separated is not None and complete
    words["partials"] = templates.PARTIALS.format(**words) if mean_field else ""
    words["totals"] = templates.TOTALS.format(**words) if mean_field else ""
    words["driven"] = templates.DRIVEN if inputs else ""
    words["sums"] = body.format(**words)
    return templates.HEAD + "".join(helpers.values()) + "".join(pieces) + templates.BLOCK.format(**words), separated


def _words(separated, complete, dim, channels, inputs, args):
    """What the templates are filled with."""
    words = dict(d=dim, c=channels, inputs=inputs, args=args, GROUP=GROUP, PANEL=PANEL, RUN=RUN,
                 private=private_rows(separated, complete, dim, channels))  # fmt: skip
    if separated is None:
        words |= {"M": dim, "MG": 0}
        words["bounds"] = "0, nodes" if complete else "int(small(g_, U_(ptr + i))), int(small(g_, U_(ptr + i + 1)))"
        words["gather"] = "pass" if complete else templates.GATHER.format(**words)
        words["yo"], words["ys"] = (f"table + (start + r) * {dim}", 1) if complete else ("z + r", RUN)
        rows = f"(start + r) * {dim}" if complete else "int(small(g_, U_(idx + start + r)))"
        words["yo_lanes"] = f"table + {rows} * lanes + q"
        words["adjust"] = templates.SKIP_SELF if complete else templates.WEIGH
        words["loads_pairs"] = _tuple(f"w_[U_(sums + {k} * lanes + q)]" for k in range(channels))
        return words
    sums, M = separated.sums, len(separated.tables)
    words |= {"M": M, "MG": M if complete else 0, "M8": 8 * M, "R": len(sums)}
    edges = [(r, e, b) for r, (e, b) in enumerate(sums) if b >= 0]
    flat_ones = [(r, e) for r, (e, b) in enumerate(sums) if b < 0]
    row_sum = {r: f"e_[U_(g_[8] + {e + 1} * nodes + i)]" for r, e in flat_ones}
    words["zeros"] = "; ".join(f"a{r} = 0.0" for r, *_ in edges) or "pass"
    words["plain"] = "; ".join(f"a{r} += w_[U_(j + U_({b}))]" for r, _, b in edges) or "pass"
    words["scaled"] = "; ".join(f"a{r} *= w0" for r, *_ in edges) or "pass"
    loads = "; ".join(
        f"w{e + 1} = e_[U_(weight_u + U_({e + 1} * g_[10]) + q)]" for e in sorted({e for _, e, _ in edges})
    )
    adds = "; ".join(f"a{r} += w{e + 1} * w_[U_(j + U_({b}))]" for r, e, b in edges)
    words["weighted"] = f"{loads}; {adds}" if edges else "pass"
    words["store"] = "; ".join(f"w_[U_(acc + {r * PANEL} + i - i0)] = a{r}" for r, *_ in edges) or "pass"
    words["loads"] = _tuple(row_sum.get(r, f"w_[U_(acc + {r * PANEL} + i - i0)]") for r in range(len(sums)))
    words["plain_lanes"] = (
        "; ".join(f"w_[U_(acc + {r} * lanes + r)] += w_[U_(j + {b} * lanes + r)]" for r, _, b in edges) or "pass"
    )
    weigh = "e_[U_(weight + {e} * g_[10] + q)]"
    into = "w_[U_(acc + {r} * lanes + r)] += {weigh} * w_[U_(j + {b} * lanes + r)]"
    adds = (into.format(r=r, b=b, weigh=weigh.format(e=e + 1)) for r, e, b in edges)
    words["weighted_lanes"] = "; ".join(adds) or "pass"
    words["loads_lanes"] = _tuple(row_sum.get(r, f"w_[U_(acc + {r} * lanes + q)]") for r in range(len(sums)))
    all_of = "w0 * (w_[U_(private + {b})] - w_[U_(table + i * {M} + {b})])"
    words["all_single"] = _tuple(all_of.format(b=b, M=M) if b >= 0 else "w0 * (nodes - 1)" for _, b in sums)
    all_of = "w0 * (w_[U_(private + {b} * lanes + q)] - w_[U_(table + (i * {M} + {b}) * lanes + q)])"
    words["all_lanes"] = _tuple(all_of.format(b=b, M=M) if b >= 0 else "w0 * (nodes - 1)" for _, b in sums)
    return words


def _tuple(parts):
    return f"({', '.join(parts)},)"


def _mixture(terms, own, flat):
    """The text of one coupling channel: its terms, with what the table already holds read from there."""
    texts = []
    for factors, total in terms:
        parts = [f"w_[U_(t_at + {own[ast.dump(f)]} * t_by)]" if ast.dump(f) in own and not isinstance(f, ast.Constant)
                 else f"({ast.unparse(ast.fix_missing_locations(flat.visit(copy.deepcopy(f))))})" for f in factors]  # fmt: skip
        texts.append(" * ".join([*parts, f"a_[{total}]"]))
    return " + ".join(texts)


def _source(definition):
    ast.fix_missing_locations(definition)
    return lanes.DECORATOR + ast.unparse(definition) + "\n"


def _read(function, name, wanted, helpers):
    """The syntax tree of a node or edge function with global names resolved, and its own names for its arguments."""
    definition = lanes.parse(function, name)
    given = [a.arg for a in definition.args.args]
    if len(given) != len(wanted):
        raise ArgumentError(
            name,
            Shown(f"{function.__name__}({', '.join(given)})"),
            f"a function of the arguments ({', '.join(wanted)})",
        )
    found = {}
    definition = lanes.helpers_of(definition, function, found, known=set(given))
    for word, text in found.items():
        if helpers.setdefault(word, text) != text:
            raise ArgumentError(name, Shown(f"two helpers called {word}"), "different names for different helpers")
    return dict(zip(wanted, given, strict=True)), definition


class _Rename(ast.NodeTransformer):
    def __init__(self, names):
        self.names = names

    def visit_Name(self, node):
        return ast.Name(self.names.get(node.id, node.id), node.ctx)


class _Flat(ast.NodeTransformer):
    """``x[k]`` becomes ``x_[x_at + k * x_by]``, and ``p.name`` the place where that parameter lies."""

    def __init__(self, blocks, p, kinds, where):
        self.blocks, self.p, self.kinds, self.where = blocks, p, kinds, where

    def visit_Subscript(self, node):
        if isinstance(node.value, ast.Name) and node.value.id in self.blocks:
            name = self.blocks[node.value.id][0]
            if isinstance(node.slice, (ast.Tuple, ast.Slice)):
                raise ArgumentError(node.value.id, Shown(ast.unparse(node)), "one index: a node's state is a vector")
            return _at(name, f"{name}at", self.visit(node.slice), f"{name}by", node.ctx)
        return self.generic_visit(node)

    def visit_Call(self, node):
        if isinstance(node.func, ast.Name) and node.func.id == "len" and len(node.args) == 1:
            if isinstance(node.args[0], ast.Name) and node.args[0].id in self.blocks:
                return ast.Constant(self.blocks[node.args[0].id][1])
        return self.generic_visit(node)

    def visit_Name(self, node):
        if node.id in self.blocks:
            raise ArgumentError(node.id, Shown(f"a use without an index in {self.where}"), f"{node.id}[k]")
        return node

    def visit_Attribute(self, node):
        if not (isinstance(node.value, ast.Name) and node.value.id == self.p):
            return self.generic_visit(node)
        name, kind = node.attr, self.kinds.get(node.attr)
        if kind is None or kind not in ("shared", self.where):
            usable = [k for k, v in self.kinds.items() if v in ("shared", self.where)]
            what = f"a use in the {self.where} function"
            raise ArgumentError(
                f"p.{name}", Shown(what), f"a parameter that the {self.where} function sees", choices=usable, word=name
            )
        place = ast.Name(f"at_{name}", ast.Load())
        if kind == "edge":
            return ast.Subscript(
                ast.Name("e_", ast.Load()), _unsigned(_add(place, ast.Name("q_", ast.Load()))), ast.Load()
            )
        row = place if kind == "shared" else _add(place, ast.Name("i_", ast.Load()))
        return _at("p_", "p_at", row, "p_by", ast.Load())


def _add(a, b):
    return ast.BinOp(a, ast.Add(), b)


def _at(array, first, row, step, ctx):
    index = _add(ast.Name(first, ast.Load()), ast.BinOp(row, ast.Mult(), ast.Name(step, ast.Load())))
    return ast.Subscript(ast.Name(array, ast.Load()), _unsigned(index), ctx)


def _unsigned(index):
    """An index that is not negative: Numba's code for negative ones stops the vectorisation of the loop around it."""
    return ast.Call(ast.Name("U_", ast.Load()), [index], [])
