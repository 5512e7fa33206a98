"""From a scenario's tables to the objects that they describe: graph, model, input, initial states, norm.

Everything that can be wrong is found here, before anything is computed or written. Names of models, signals and graph
generators are the library's own; files are read relative to the scenario's folder.
"""

from __future__ import annotations

import dataclasses
import math
import re

import numpy as np

from ..errors import ArgumentError, Shown, nearest
from . import parts, sources
from .regions import region_of
from .tables import keywords

__all__ = ["Built", "build", "SIGNALS"]

SIGNALS = {
    "constant": "Constant",
    "sinusoidal": "Sinusoid",
    "square": "Square",
    "piecewise": "Piecewise",
    "tabulated": "Tabulated",
    "noise": "Noise",
}


@dataclasses.dataclass(frozen=True)
class Built:
    """What a scenario describes, ready to run.

    Attributes
    ----------
    model : VectorField
    u : Signal or None
        The input for the solvers, where it is not already the model's own.
    x0 : ndarray, shape (n,) or (batch, n), or None
    norm : Norm, float or None
        For :func:`dynet.certify`.
    files : dict of str to Path
        Key path (as ``graph.file``) -> the file that was read for it.
    certify : dict
        The other arguments of :func:`dynet.certify`: kind, tol, order, region.
    notes : str
        What was found in the graph's file that one should know.
    """

    model: object
    u: object | None
    x0: np.ndarray | None
    norm: object | None
    files: dict
    certify: dict = dataclasses.field(default_factory=dict)
    notes: str = ""


def build(tables, where, base, objects):
    """Build what `tables` describe.

    Parameters
    ----------
    tables : Tables
    where : Where
    base : Path
        The folder that relative paths start from.
    objects : dict
        Graphs and matrices that a script gave instead of files, by the name that stands for them.

    Raises
    ------
    ScenarioError
    """
    if tables.network:
        from .training import build as training

        return training(tables, where)
    files = {}
    coupling, origin = sources.graph(tables, where, base, objects, files)
    model, u = _model(tables, where, base, objects, files, coupling, origin)
    _solvers(tables, where, model, u)
    norm, options = _norm(tables, where, model), _certify(tables, where, model)
    notes = getattr(coupling, "graph", {}).get("notes", "")
    return Built(model, u, _initial(tables, where, model), norm, files, options, notes)


def _model(tables, where, base, objects, files, graph, origin):
    given = {k: v for k, v in tables.model.items() if k not in ("kind", "function")}
    if "function" in tables.model:
        if graph is not None:
            where.say(("graph",), "has no use: the function of [model] takes no graph")
        model = sources.function(tables, given, where, base, objects, files)
        u = None
        if tables.input is not None:
            u = _signal(tables.input, where, model.labels if model.inputs == model.n else None)
            _fits(where, u, model)
        return model, u
    from ..models import KINDS

    kind = tables.model["kind"]
    if kind == "interconnection":
        return parts.interconnection(tables, where, base, objects, files, _model), None
    if kind not in KINDS:
        where.fail(("model", "kind"), kind, "a kind of model", choices=(*KINDS, "interconnection"))
    accepted = keywords(KINDS[kind])
    for name, value in given.items():
        if name not in accepted:
            words = [k for k in accepted if k != "coupling"]
            where.fail(("model", name), value, f"a parameter of {kind}", choices=words, word=name)
        if name == "case":  # a file, which a run takes along as it does a graph's
            if not isinstance(value, str):
                where.fail(("model", name), value, "the name of a case file")
            given[name] = sources.case(value, where, base, objects, files)
        _number_like(where, name, value, accepted[name].default, lists=name in _arrays(KINDS[kind]))
    labels = None
    if "coupling" in accepted:
        given["coupling"] = sources.coupling(tables, where, base, objects, files, graph)
        labels = None if graph is None else [str(node) for node in graph]
    elif graph is not None:
        where.say(("graph",), f"has no use: {kind} has no coupling")
    for name, parameter in accepted.items():
        if parameter.default is parameter.empty and name not in given:
            where.say(("model", name), f"is missing: {kind} needs it")
    if tables.input is not None:
        if "input" not in accepted:
            where.say(("input",), f"has no use: {kind} has no input")
        if "input" in given:
            where.fail(("model", "input"), given["input"], "no input here, as there is a table [input]")
        given["input"] = _signal(tables.input, where, given.get("labels", labels))
    try:
        return KINDS[kind](**given), None
    except ArgumentError as error:
        name = str(error.name)
        if name.startswith("coupling") and origin is not None:
            source = f"= {where.at(origin)!r}: " if len(origin) > 1 else "= "
            where.say(origin, f"{source}{str(error).removeprefix('coupling=')}")
        if name == "input" and tables.input is not None:
            where.say(("input",), f"does not fit: expected {error.expected}")
        where.wrap(("model",), error)
    except (TypeError, ValueError) as error:
        where.say(("model",), f"cannot be built: {error}")


def _arrays(model):
    """The parameters of a model that may be arrays: its docstring says so."""
    entries = re.findall(r"^\s*([\w, ]+) : .*array_like", model.__doc__ or "", re.MULTILINE)
    return {name.strip() for entry in entries for name in entry.split(",")}


def _number_like(where, name, value, default, lists):
    """Where a parameter's default is a number, a value holds numbers only: the message then names the key."""
    if isinstance(default, (int, float)) and not isinstance(default, bool):
        flat = value if isinstance(value, list) and lists else [value]
        if any(isinstance(v, bool) or not isinstance(v, (int, float)) for v in flat):
            where.fail(("model", name), value, "numbers" if flat is value else "a number")


def _signal(table, where, labels):
    from ..fields import noise, signal

    values = dict(table)
    kind = values.pop("kind", None)
    if kind is None:
        where.say(("input", "kind"), f"is missing: a kind of input ({', '.join(SIGNALS)})")
    if kind not in SIGNALS:
        where.fail(("input", "kind"), kind, "a kind of input", choices=SIGNALS)
    made = getattr(noise if kind == "noise" else signal, SIGNALS[kind])
    accepted = keywords(made)
    for name, value in values.items():
        if name not in accepted:
            where.fail(("input", name), value, f"a key of input {kind!r}", choices=accepted, word=name)
        if isinstance(value, dict):
            values[name] = _by_label(value, labels, where, ("input", name))
    for name, parameter in accepted.items():
        if parameter.default in (parameter.empty, None) and name not in values:
            where.say(("input", name), f"is missing: input {kind!r} needs it")
    try:
        return made(**values)
    except ArgumentError as error:
        where.wrap(("input",), error)
    except (TypeError, ValueError) as error:
        where.say(("input",), f"cannot be built: {error}")


def _fits(where, u, model):
    if not model.inputs:
        where.say(("input",), f"has no use: {model.name} has no input")
    try:
        u.spread(model.inputs)
    except ArgumentError as error:
        where.say(("input",), f"does not fit {model.name}: expected {error.expected}")


def _by_label(value, labels, where, path):
    """A table ``{ label = number }`` as one number per state, 0 for the others."""
    if labels is None:
        where.fail(path, value, "a number or a list of numbers: there are no labels here")
    labels = [str(label) for label in labels]
    out = np.zeros(len(labels))
    for label, number in value.items():
        if label not in labels:
            few = labels if len(labels) <= 12 else None
            near = "" if few or not nearest(label, labels) else f"; did you mean {nearest(label, labels)!r}?"
            where.fail((*path, label), number, f"the label of one of the {len(labels)} states{near}", choices=few)
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            where.fail((*path, label), number, "a number")
        out[labels.index(label)] = number
    return out.tolist()


def _initial(tables, where, model):
    """The initial states: a centre, or a normal cloud of them around it."""
    simulate = tables.simulate
    if simulate is None:
        return None
    path, given = ("simulate", "x0"), simulate.x0
    if isinstance(given, dict):
        given = _by_label(given, model.labels, where, path)
    if given is None:
        center = np.zeros(model.n)
    elif isinstance(given, float):
        center = np.full(model.n, given)
    else:
        try:
            center = np.asarray(given, dtype=float)
        except ValueError:
            where.say(path, "has rows of different lengths")
        if center.ndim not in (1, 2) or center.shape[-1] != model.n or not center.size:
            where.fail(
                path, Shown(f"an array of shape {center.shape}"), f"{model.n} numbers, one per state of {model.name}"
            )
    if center.ndim == 2 and simulate.batch not in (None, len(center)):
        where.fail(("simulate", "batch"), simulate.batch, f"{len(center)}, as many as the rows of x0, or no batch")
    batch = simulate.batch
    random = simulate.spread is not None or given is None or (batch is not None and center.ndim == 1)
    if not random:
        return center
    seed = tables.seed if simulate.seed is None else simulate.seed
    shape = center.shape if center.ndim == 2 or batch is None else (batch, model.n)
    spread = 1.0 if simulate.spread is None else simulate.spread
    return center + spread * np.random.default_rng(seed).standard_normal(shape)


def _norm(tables, where, model):
    certify = tables.certify
    if certify is None or (certify.norm is None and certify.weights is None):
        return None
    if certify.norm is None:
        where.say(("certify", "norm"), "is missing: weights belong to a norm (1, 2 or inf)")
    from ..linalg.norms import Norm

    p = certify.norm
    if not (isinstance(p, float) and p in (1.0, 2.0, math.inf)) and p not in ("1", "2", "inf"):
        where.fail(("certify", "norm"), p, "the p of a norm", choices=("1", "2", "inf"))
    try:
        norm = Norm(p, None if certify.weights is None else np.asarray(certify.weights, dtype=float))
    except ArgumentError as error:
        where.wrap(("certify",), error)
    except ValueError as error:
        where.say(("certify", "weights"), f"cannot be used: {error}")
    if norm.n not in (None, model.n):
        where.fail(("certify", "weights"), Shown(f"{norm.n} weights"), f"{model.n}, one for each state of {model.name}")
    return norm if norm.weights is not None else norm.p


def _certify(tables, where, model):
    """The arguments of the search for a certificate beside the norm."""
    table = tables.certify
    if table is None:
        return {}
    if table.order is not None:
        if table.kind not in ("k", "alpha"):
            where.fail(("certify", "order"), table.order, 'no order: only kind = "k" and kind = "alpha" have one')
        if not 1 <= table.order <= model.n or (table.kind == "k" and table.order != int(table.order)):
            whole = "whole " if table.kind == "k" else ""
            where.fail(("certify", "order"), table.order, f"a {whole}number from 1 to {model.n}, the number of states")
    return {"kind": table.kind, "tol": table.tol, "order": table.order, "region": region_of(table.region, where, model)}


def _solvers(tables, where, model, u):
    """What the solvers would refuse, found before anything runs."""
    from ..arguments import chosen_method, save_times
    from ..certify.search import KINDS
    from ..equilibrium import METHODS
    from ..fields.signal import Constant

    if tables.simulate is not None:
        try:
            save_times(tables.simulate.t, tables.simulate.save)
            chosen_method(tables.simulate.method, tables.simulate.dt, tables.simulate.rtol)
        except ArgumentError as error:
            where.wrap(("simulate",), error)
    if tables.certify is not None and tables.certify.kind not in KINDS:
        where.fail(("certify", "kind"), tables.certify.kind, "the kind of contraction", choices=KINDS)
    if tables.equilibrium is not None:
        if tables.equilibrium.method not in METHODS:
            where.fail(("equilibrium", "method"), tables.equilibrium.method, "the name of a method", choices=METHODS)
        signal = u if u is not None else model.input
        if signal is not None and not isinstance(signal, Constant):
            where.say(("equilibrium",), "has no meaning: the input varies in time (expected a constant [input])")
