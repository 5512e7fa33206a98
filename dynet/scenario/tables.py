"""The scenario's tables: which keys there are, of which type, and one clear message for everything else.

The tables are msgspec structs that forbid unknown fields. What a model, an input signal or a figure takes is not listed
here: it is read off the signature of the class or function itself, so that a new one is a new scenario kind.
"""

from __future__ import annotations

import inspect
import math
import re
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, convert

from ..errors import ArgumentError, ScenarioError
from .toml import line_of

__all__ = ["QUANTITIES", "Tables", "Where", "keywords", "tables"]

Positive = Annotated[float, Meta(gt=0.0)]
Count = Annotated[int, Meta(ge=1)]
Seed = Annotated[int, Meta(ge=0)]

#: What a run measures: quantity -> (the tables it needs, what it is).
QUANTITIES = {
    "nodes": ((), "number of states"),
    "certified": (("certify",), "whether the certificate proves contraction"),
    "rate": (("certify",), "certified contraction rate, 1/time"),
    "osLip": (("certify",), "certified bound on the one-sided Lipschitz constant, 1/time"),
    "osLip_lower": (("certify",), "no weights of the same p give a smaller osLip than this, 1/time"),
    "fitted_rate": (("simulate",), "least-squares rate of the largest pair distance, 1/time"),
    "final_distance": (("simulate",), "largest pair distance at the last time"),
    "final_min": (("simulate",), "least state at the last time"),
    "final_max": (("simulate",), "largest state at the last time"),
    "final_spread": (("simulate",), "largest difference of two nodes (of one component) at the last time"),
    "failed": (("simulate",), "trajectories that did not reach the end"),
    "steps": (("simulate",), "accepted steps of all trajectories"),
    "rejected_steps": (("simulate",), "rejected steps of all trajectories"),
    "equilibrium_error": (("equilibrium",), "bound on the distance to the true equilibrium"),
    "equilibrium_residual": (("equilibrium",), "length of the vector field at the equilibrium found"),
    "equilibrium_iterations": (("equilibrium",), "iterations to the equilibrium"),
    "seconds": ((), "wall time of the run, s"),
}


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=False):
    pass


class Graph(_Table, frozen=True):
    generator: str | None = None
    args: dict[str, Any] | None = None
    name: str | None = None
    file: str | None = None
    directed: bool | None = None
    adjacency: bool | None = None


class Simulate(_Table, frozen=True):
    t: float | list[float]
    batch: Count | None = None
    seed: Seed | None = None
    x0: float | list[float | list[float]] | dict[str, float] | None = None
    spread: Positive | None = None
    method: str = "auto"
    rtol: Positive = 1e-6
    atol: Positive = 1e-9
    dt: Positive | None = None
    save: int | str | list[float] | None = None
    max_steps: Count = 10_000_000
    device: str = "cpu"
    precision: str | None = None


class Certify(_Table, frozen=True):
    kind: str = "auto"
    norm: float | str | None = None
    weights: list[float | list[float]] | None = None
    tol: Positive | None = None
    order: Positive | None = None
    region: dict[str, Any] | None = None


class Equilibrium(_Table, frozen=True):
    tol: Positive = 1e-10
    method: str = "auto"


class Study(_Table, frozen=True):
    eps: list[float] = msgspec.field(default_factory=lambda: [0.0, 0.02, 0.05, 0.1, 0.2])
    attacks: list[str] = msgspec.field(default_factory=lambda: ["uniform", "inversion", "fgsm", "pgd"])
    certificates: list[str] = msgspec.field(default_factory=lambda: ["interval", "gain", "lipschitz"])
    steps: Count = 20
    restarts: Count = 1
    samples: Count | None = None
    kept: list[float] = []


class Tolerance(_Table, frozen=True):
    value: float
    rtol: Annotated[float, Meta(ge=0.0)] | None = None
    atol: Annotated[float, Meta(ge=0.0)] | None = None


class Range(_Table, frozen=True):
    min: float | None = None
    max: float | None = None


class Tables(_Table, frozen=True, kw_only=True):
    title: str = ""
    name: str | None = None
    reference: str | None = None
    seed: Seed = 0
    data: str | None = None
    graph: Graph | None = None
    model: dict[str, Any] | None = None
    input: dict[str, Any] | None = None
    simulate: Simulate | None = None
    certify: Certify | None = None
    equilibrium: Equilibrium | None = None
    network: list[dict[str, Any]] = []
    study: Study | None = None
    figure: list[dict[str, Any]] = []
    expect: dict[str, Any] = {}


class Where:
    """Where a scenario comes from, for messages: its file (or none), its text and its plain tables."""

    def __init__(self, file=None, text="", plain=None):
        self.file, self.text, self.plain = file, text, plain

    def fail(self, path, value, expected, **how):
        """Raise the one kind of error that a wrong scenario gives."""
        raise ScenarioError(f"{self._place(path)}: {ArgumentError(_dotted(path), value, expected, **how)}") from None

    def say(self, path, text):
        """Raise with a text of its own, such as that the key is missing."""
        raise ScenarioError(f"{self._place(path)}: {_dotted(path)} {text}".replace(":  ", ": ")) from None

    def wrap(self, path, error):
        """Raise a library's complaint about an argument as a complaint about the key that it came from."""
        if isinstance(error, ArgumentError) and error.value is None:
            self.say((*path, error.name), f"is missing: expected {error.expected}")
        text = re.sub(r"^params\['(\w+)'\]", r"\1", str(error))
        name = re.sub(r"^params\['(\w+)'\]", r"\1", str(getattr(error, "name", "")))
        if isinstance(error, ArgumentError) and text.startswith(f"{name}="):
            first = re.split(r"[\[.]", name)[0]
            own = not path or first != str(path[-1])
            path = (*path, first) if own else path
            text = f"{_dotted(path[:-1])}{'.' if path[:-1] else ''}{text}"
        else:
            text = f"{_dotted(path)}: {text}"
        raise ScenarioError(f"{self._place(path)}: {text}") from None

    def at(self, path):
        """The value that the scenario gives at a path, or None."""
        value = self.plain
        for key in path:
            try:
                value = value[key]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def _place(self, path):
        if self.file is None:
            return "scenario"
        line = line_of(self.text, path) or line_of(self.text, path[:-1])  # a missing key has the line of its table
        return f"{self.file}:{line}" if line else str(self.file)


def _dotted(path):
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).lstrip(".")


def tables(plain, where):
    """Plain dicts as :class:`Tables`, with every key, type and range checked.

    Raises
    ------
    ScenarioError
        Names the file and line, the key path, the value, what was expected, and the nearest valid word.
    """
    _finite(plain, (), where)
    checked = _convert(plain, Tables, (), where)
    if checked.network and checked.study is None:
        checked = msgspec.structs.replace(checked, study=Study())
    for index, figure in enumerate(checked.figure):
        _figure(figure, ("figure", index), where)
    _expect(checked, where)
    _together(checked, where)
    return checked


def _convert(value, kind, path, where):
    try:
        return convert(value, kind)
    except msgspec.ValidationError as error:
        text, _, at = str(error).partition(" - at `")
    inner = [int(k) if k.isdigit() else k for k in re.findall(r"[^$.\[\]`]+", at)]
    path = (*path, *inner)
    unknown = re.search(r"unknown field `(.*)`", text)
    missing = re.search(r"missing required field `(.*)`", text)
    if unknown:
        name = unknown.group(1)
        keys = [f.name for f in msgspec.structs.fields(_struct_at(kind, inner))]
        table = f"a key of [{_dotted(path)}]" if path else "a table or key of a scenario"
        where.fail((*path, name), where.at((*path, name)), table, choices=keys, word=name)
    if missing:
        where.say((*path, missing.group(1)), f"is missing: {_table(path)} needs it")
    if inner == ["figure"] and isinstance(value.get("figure"), dict):
        where.fail(("figure",), value["figure"], "a list of tables: write [[figure]] with two brackets")
    where.fail(path, where.at(path), _words(text))


def _struct_at(kind, inner):
    for key in inner:
        field = next((f for f in msgspec.structs.fields(kind) if f.name == key), None)
        options = [t for t in getattr(field.type, "__args__", [field.type]) if isinstance(t, type)]
        kind = next(t for t in options if issubclass(t, msgspec.Struct))
    return kind


_TYPES = {
    "float": "a number",
    "int": "a whole number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
}


def _words(text):
    """msgspec's complaint in plain words."""
    found = re.match(r"Expected `([^`]*)`(?:, got `[^`]*`)?(.*)", text)
    if not found:
        return text[:1].lower() + text[1:]
    kinds = [_TYPES.get(k, k) for k in found.group(1).split(" | ") if k != "null"]
    limit = found.group(2).replace(" >= ", " of at least ").replace(" > 0.0", " above 0").replace(" > ", " above ")
    return " or ".join(kinds) + limit


def _table(path):
    return f"[{_dotted(path)}]" if path else "every scenario"


def _finite(value, path, where):
    """Every number of a scenario is finite, but for the p of a norm."""
    if isinstance(value, dict):
        for key, part in value.items():
            _finite(part, (*path, key), where)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            _finite(part, (*path, index), where)
    elif isinstance(value, float) and not math.isfinite(value) and path != ("certify", "norm"):
        where.fail(path, value, "a finite number")


def _figure(figure, path, where):
    from .. import figures

    kind = figure.get("kind")
    if kind is None:
        where.say((*path, "kind"), f"is missing: a kind of figure ({', '.join(figures.KINDS)})")
    if kind not in figures.KINDS:
        where.fail((*path, "kind"), kind, "a kind of figure", choices=figures.KINDS)
    for name, value in figure.items():
        if name != "kind" and name not in (known := figures.options(kind)):
            where.fail((*path, name), value, f"an option of figure {kind!r}", choices=known, word=name)


def _expect(checked, where):
    for name, wanted in checked.expect.items():
        path = ("expect", name)
        if name not in QUANTITIES and not checked.network:  # of networks they have other names: see training.check
            where.fail(path, wanted, "a quantity that a run measures", choices=QUANTITIES, word=name)
        needs = [table for table in QUANTITIES.get(name, ((),))[0] if getattr(checked, table) is None]
        if needs:
            where.fail(path, wanted, f"a table [{needs[0]}], which measures it")
        if isinstance(wanted, dict):
            keys = ("value", "rtol", "atol", "min", "max")
            for key in set(wanted) - set(keys):
                where.fail((*path, key), wanted[key], f"a key of [expect.{name}]", choices=keys, word=key)
            kind = Range if {"min", "max"} & set(wanted) else Tolerance
            limits = _convert(wanted, kind, path, where)
            if kind is Range and None not in (limits.min, limits.max) and limits.min > limits.max:
                where.fail(path, wanted, "min below max")
        elif not isinstance(wanted, (int, float)):
            where.fail(path, wanted, "a number, { value, rtol, atol } or { min, max }")


def _together(checked, where):
    """What one table asks of another."""
    if checked.name is not None and not re.fullmatch(r"[\w][\w .-]*", checked.name):
        where.fail(("name",), checked.name, "a plain folder name: letters, digits, '-', '_', '.'")
    if checked.network:
        from . import training

        return training.check(checked, where)
    for name in ("data", "study"):
        if getattr(checked, name) is not None:
            where.say((name,), "has no use: there is no [[network]]")
    if checked.model is None:
        where.say(("model",), "is missing: every scenario needs it, or else [[network]]")
    if checked.simulate is None and checked.certify is None and checked.equilibrium is None:
        where.say((), "there is nothing to do: add one of the tables [simulate], [certify], [equilibrium]")
    from ..figures import STUDIES

    simulate = checked.simulate
    if simulate is not None and isinstance(simulate.save, str) and simulate.save != "last":
        where.fail(
            ("simulate", "save"), simulate.save, "a number of times, a list of times, or 'last'", choices=["last"]
        )
    for index, figure in enumerate(checked.figure):
        if simulate is None or figure["kind"] in STUDIES:
            table = (
                "tables [[network]], which" if figure["kind"] in STUDIES else "a table [simulate], whose trajectories"
            )
            where.fail(("figure", index), figure, f"{table} it draws")
        several = (simulate.batch or 1) > 1 or _depth(simulate.x0) == 2
        if figure["kind"] == "decay" and not several:
            where.fail(("figure", index, "kind"), "decay", "simulate.batch of at least 2: it draws distances of pairs")
    graph = checked.graph
    if graph is not None:
        given = [k for k in ("generator", "name", "file") if getattr(graph, k) is not None]
        if len(given) != 1:
            where.say(("graph",), f"has {' and '.join(given) or 'no source'}: expected one of generator, name, file")
        for key, owner in (("args", "generator"), ("directed", "file"), ("adjacency", "file")):
            if getattr(graph, key) is not None and given != [owner]:
                where.fail(("graph", key), getattr(graph, key), f"no {key}: it belongs to graph.{owner}")
    words = {"kind", "function"} & set(checked.model)
    if len(words) != 1:
        given = "both kind and function" if words else "neither kind nor function"
        where.say(("model",), f"has {given}: expected kind = '...' (see: dynet models), or function = 'file.py:name'")


def _depth(value):
    return 1 + _depth(value[0]) if isinstance(value, list) and value else 0


def keywords(kind):
    """The keyword arguments of a class or function: name -> parameter, in order."""
    return {
        name: parameter
        for name, parameter in inspect.signature(kind).parameters.items()
        if name != "self" and not name.startswith("_") and parameter.kind is not parameter.VAR_KEYWORD
    }


def resolve(base, file):
    """A path of a scenario file, relative to the folder of that file."""
    return Path(base, Path(file).expanduser())
