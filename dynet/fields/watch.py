"""Functions that watch a trajectory: events, and quantities that are gathered instead of stored.

They are written like a field and compiled as one: ``g(t, x, p)`` returns a number, ``change(t, x, p, new)`` writes the
components of the state that an event replaces.
"""

from __future__ import annotations

import ast
import types

import numpy as np

from ..engine import codegen
from ..engine.explicit import Events, Summary
from ..errors import ArgumentError, Shown
from .lanes import HEAD, Lanes, helpers_of, parse

__all__ = ["Event", "WORDS", "compiled_events", "compiled_summary", "events_of", "quantities_of"]

WORDS = ("last", "min", "max", "mean", "integral")

_CALL = """
@cfunc(RHS, cache=True, fastmath=FASTMATH, error_model="numpy")
def rhs(t, y, p, reals, ints, work, out):
    for lane in range(y.shape[1]):
"""
_CHANGE = """
@cfunc(RHS, cache=True, fastmath=FASTMATH, error_model="numpy")
def rhs(t, y, p, reals, ints, work, out):
    event = int(work[0, 0])
    for i in range(y.shape[0]):
        out[i, 0] = y[i, 0]
"""


class Event:
    """Something that happens where a function of the state changes its sign.

    Parameters
    ----------
    function : function
        ``g(t, x, p)``, compiled as a field is; returns a number.
    terminal : bool or int
        Whether the trajectory ends there; a number ends it at that occurrence.
    direction : int
        1 for a change from negative to positive only, -1 for the other way, 0 for both.
    change : function, optional
        ``change(t, x, p, new)``: `new` is a copy of the state x to be written into; the trajectory goes on from it.
    name : str, optional
        The function's name by default.

    Examples
    --------
    >>> import dynet as dn
    >>> @dn.vector_field(n=2)
    ... def ball(t, x, p, dx):
    ...     dx[0] = x[1]
    ...     dx[1] = -9.81
    >>> def ground(t, x, p):
    ...     return x[0]
    >>> def bounce(t, x, p, new):
    ...     new[0] = 0.0
    ...     new[1] = -0.9 * x[1]
    >>> run = dn.simulate(ball, [10.0, 0.0], t=4.0, events=dn.Event(ground, direction=-1, change=bounce))
    >>> run.events["ground"].t.round(3)
    array([1.428, 3.998])
    """

    def __init__(self, function, *, terminal=False, direction=0, change=None, name=None):
        for word, value in (("function", function), ("change", change)):
            if value is not None and not isinstance(value, types.FunctionType):
                raise ArgumentError(word, value, "a plain Python function")
        if isinstance(terminal, float) or int(terminal) < 0:
            raise ArgumentError("terminal", terminal, "True, False, or the occurrence that ends the trajectory")
        if direction not in (-1, 0, 1):
            raise ArgumentError("direction", direction, "-1, 0 or 1")
        self.function, self.terminal, self.direction = function, int(terminal), int(direction)
        self.change, self.name = change, name or function.__name__

    def __repr__(self):
        return f"Event({self.name}, terminal={self.terminal}, direction={self.direction})"


def events_of(given):
    """A tuple of events with distinct names, from one or several functions or events."""
    if given is None:
        return ()
    several = given if isinstance(given, (list, tuple)) else (given,)
    events = []
    for number, one in enumerate(several):
        if isinstance(one, types.FunctionType):  # with attributes, as scipy has them
            one = Event(one, terminal=getattr(one, "terminal", False), direction=int(getattr(one, "direction", 0)))
        if not isinstance(one, Event):
            raise ArgumentError(f"events[{number}]", one, "a function g(t, x, p), or dn.Event(g, ...)")
        events.append(one)
    names = [event.name for event in events]
    for name in names:
        if names.count(name) > 1:
            raise ArgumentError("events", Shown(f"two events named {name!r}"), "events with names of their own")
    return tuple(events)


def compiled_events(model, events, t0, x0):
    """The engine's form of events, after one evaluation in plain Python."""
    for number, event in enumerate(events):
        _checked(model, event.function, f"events[{number}]", t0, x0)
    changes = [event.change for event in events]
    rules = np.array([[e.direction, e.terminal, e.change is not None] for e in events], dtype=np.int64).reshape(-1, 3)
    change = _changing(model, changes) if any(changes) else None
    return Events(_watching(model, [event.function for event in events]), rules, change)


def quantities_of(given, n, times):
    """The wanted summaries: a tuple of (name, word, what), `what` being None for the states, a function, or states."""
    if given is None:
        return ()
    entries = given.items() if isinstance(given, dict) else [(word, word) for word in _several(given)]
    wanted = []
    for name, entry in entries:
        word, what = entry if isinstance(entry, tuple) and len(entry) == 2 else (entry, None)
        if word not in WORDS:
            raise ArgumentError(f"summary[{name!r}]", word, "a summary", choices=WORDS)
        if what is not None and not isinstance(what, types.FunctionType):
            what = np.asarray(getattr(what, "x", what), dtype=float)
            what = np.broadcast_to(what, (times, n)) if what.shape == (n,) else what
            if what.shape != (times, n) or not np.isfinite(what).all():
                raise ArgumentError(
                    f"summary[{name!r}]",
                    Shown(f"states of shape {what.shape}"),
                    f"a function, or finite states, ({n},) or ({times}, {n})",
                )
        wanted.append((name, word, what))
    if not wanted:
        raise ArgumentError("summary", given, "at least one of", choices=WORDS)
    return tuple(wanted)


def compiled_summary(model, wanted, t0, x0, times):
    """The engine's form of the summaries, and where each finds its rows: (name, row, columns, divide by the span)."""
    functions, references, places = [], [], []
    for name, _, what in wanted:
        if isinstance(what, types.FunctionType):
            _checked(model, what, f"summary[{name!r}]", t0, x0)
            functions.append(what)
        elif what is not None:
            references.append(what)
    f = r = 0
    for name, word, what in wanted:
        if what is None:
            columns = slice(0, model.n)
        elif isinstance(what, types.FunctionType):
            columns, f = model.n + f, f + 1
        else:
            columns, r = model.n + len(functions) + r, r + 1
        places.append((name, {"last": 0, "min": 1, "max": 2}.get(word, 3), columns, word == "mean"))
    reference = np.array(references).reshape(len(references), times, model.n)
    gauge = _watching(model, functions) if functions else None
    return Summary(gauge, len(functions), reference), places


def _several(given):
    return [given] if isinstance(given, str) else list(given)


def _checked(model, function, name, t0, x0):
    """One evaluation in plain Python."""
    try:
        with np.errstate(all="ignore"):
            value = function(t0, np.array(x0), types.SimpleNamespace(**model.params))
        value = float(value)
    except Exception as error:
        raise ArgumentError(
            name, Shown(f"{function.__name__}: {error}"), "a function g(t, x, p) that returns a number"
        ) from None
    if not np.isfinite(value):
        raise ArgumentError(name, Shown(f"{function.__name__} returns {value}"), "a finite number at the initial state")


def _shapes(model):
    return {key: np.shape(model.params[key]) for key in model.parameter_slices()}


def _scalar_module(model, function, arguments, tag):
    """A module whose ``_field`` is `function` over the lanes of a block."""
    definition = parse(function)
    given = [a.arg for a in definition.args.args]
    if len(given) != len(arguments):
        raise ArgumentError(
            tag, Shown(f"{function.__name__}({', '.join(given)})"), f"a function of ({', '.join(arguments)})"
        )
    roles = dict(zip(arguments, given, strict=True))
    roles = {"t": roles["t"], "x": roles["x"], "p": roles["p"], "dx": roles.get("new", "unused_output")}
    helpers = {}
    rewriter = Lanes(roles, _shapes(model), function.__name__)
    definition = helpers_of(rewriter.visit(definition), function, helpers, known=set(given) | {"lane", "lane_p"})
    definition.name = "_field"
    definition.args.args = [ast.arg(a) for a in ("lane", roles["t"], roles["x"], "lane_p", roles["dx"])]
    ast.fix_missing_locations(definition)
    decorator = '@njit(fastmath=FASTMATH, error_model="numpy", forceinline=True)\n'
    return codegen.module(HEAD + "".join(helpers.values()) + decorator + ast.unparse(definition) + "\n", tag=tag)


def _watching(model, functions):
    """One compiled function that writes the values of all `functions`."""
    modules = [_scalar_module(model, function, ("t", "x", "p"), "watch") for function in functions]
    source = HEAD + "".join(f"from {m.__name__} import _field as g{k}\n" for k, m in enumerate(modules)) + _CALL
    source += "".join(f"        out[{k}, lane] = g{k}(lane, t[lane], y, p, out)\n" for k in range(len(modules)))
    return codegen.module(source, tag="watching").rhs


def _changing(model, changes):
    modules = {
        k: _scalar_module(model, c, ("t", "x", "p", "new"), "change") for k, c in enumerate(changes) if c is not None
    }
    source = HEAD + "".join(f"from {m.__name__} import _field as g{k}\n" for k, m in modules.items()) + _CHANGE
    source += "".join(f"    if event == {k}:\n        g{k}(0, t[0], y, p, out)\n" for k in modules)
    return codegen.module(source, tag="changing").rhs
