"""Scenarios of interconnections: ``[model] kind = "interconnection"`` with its parts and links.

Each ``[model.parts.NAME]`` is a model as a scenario's own ``[model]`` is, with a ``graph`` and an ``input`` of its own
where it needs them; each ``[[model.links]]`` has ``from``, ``to`` and ``matrix``: rows, a number between parts of one
state, or a list of numbers for a diagonal matrix.
"""

from __future__ import annotations

import msgspec
import numpy as np

from ..errors import ArgumentError
from . import sources
from .tables import Graph, Where

__all__ = ["interconnection"]

_KEYS = ("parts", "links")
_LINK = ("from", "to", "matrix")


class _Inside(Where):
    """Where a part stands: messages about its tables name the path from the root."""

    def __init__(self, where, name):
        super().__init__(where.file, where.text, where.plain)
        self._outer, self._prefix = where, ("model", "parts", name)

    def _path(self, path):
        return (*self._prefix, *path[1:]) if path[:1] == ("model",) else (*self._prefix, *path)

    def fail(self, path, value, expected, **how):
        self._outer.fail(self._path(path), value, expected, **how)

    def say(self, path, text):
        self._outer.say(self._path(path), text)

    def wrap(self, path, error):
        self._outer.wrap(self._path(path), error)

    def at(self, path):
        return self._outer.at(self._path(path))


def interconnection(tables, where, base, objects, files, build_model):
    """The interconnection that ``[model]`` describes.

    Parameters
    ----------
    tables, where, base, objects, files
        As for :func:`dynet.scenario.construct.build`.
    build_model : callable
        Makes the model of a part from tables, in which it is the only one.
    """
    given = {k: v for k, v in tables.model.items() if k != "kind"}
    for name, value in given.items():
        if name not in _KEYS:
            where.fail(("model", name), value, "a key of an interconnection", choices=_KEYS, word=name)
    parts, links = given.get("parts"), given.get("links", [])
    if not isinstance(parts, dict) or not parts:
        where.say(("model", "parts"), "is missing: an interconnection needs tables [model.parts.NAME]")
    for key in ("graph", "input"):
        if getattr(tables, key) is not None:
            where.say(
                (key,), f"has no use: an interconnection has none; give it to a part, as [model.parts.NAME.{key}]"
            )
    models = {}
    for name, table in parts.items():
        models[name] = _part(name, table, tables, where, base, objects, files, build_model)
    if not isinstance(links, list) or not all(isinstance(link, dict) for link in links):
        where.fail(("model", "links"), links, "a list of tables: write [[model.links]] with two brackets")
    joined = {}
    for index, link in enumerate(links):
        path = ("model", "links", index)
        for key in link:
            if key not in _LINK:
                where.fail((*path, key), link[key], "a key of a link", choices=_LINK, word=key)
        for key in _LINK:
            if key not in link:
                where.say((*path, key), "is missing: every link needs from, to and matrix")
        for key in ("from", "to"):
            if link[key] not in models:
                where.fail((*path, key), link[key], "the name of a part", choices=models, word=str(link[key]))
        ends = link["from"], link["to"]
        if ends in joined:
            where.say(path, f"is a second link from {ends[0]!r} to {ends[1]!r}: add their matrices")
        try:
            joined[ends] = np.asarray(link["matrix"], dtype=float)
        except (TypeError, ValueError):
            where.fail((*path, "matrix"), link["matrix"], "rows of numbers of one length")
    from ..interconnect import interconnect

    try:
        return interconnect(models, joined)
    except ArgumentError as error:
        for index, link in enumerate(links):
            if str(error.name).startswith(f"links[{(link['from'], link['to'])!r}]"):
                where.say(("model", "links", index), f"does not fit: {str(error).partition(']=')[2] or error}")
        where.wrap(("model",), error)


def _part(name, table, tables, where, base, objects, files, build_model):
    inside, own = _Inside(where, name), {}
    if not isinstance(table, dict):
        where.fail(("model", "parts", name), table, "a table of a model, with kind or function")
    if len({"kind", "function"} & set(table)) != 1:
        where.say(("model", "parts", name), "needs a kind (see: dynet models), or a function = 'file.py:name'")
    own_tables = [k for k in ("graph", "input") if isinstance(table.get(k), dict)]
    inner = {k: v for k, v in table.items() if k not in own_tables}
    graph, signal = (table[k] if k in own_tables else None for k in ("graph", "input"))
    if graph is not None:
        try:
            graph = msgspec.convert(graph, Graph)
        except msgspec.ValidationError as error:
            inside.say(("graph",), f"cannot be read: {error}")
    alone = msgspec.structs.replace(tables, model=inner, graph=graph, input=signal)
    if graph is not None and sum(x is not None for x in (graph.generator, graph.name, graph.file)) != 1:
        inside.say(("graph",), "needs one of generator, name, file")
    coupling, origin = sources.graph(alone, inside, base, objects, own)
    model, u = build_model(alone, inside, base, objects, own, coupling, origin)
    if u is not None:
        inside.say(("input",), "has no use: the input of a function of a part is its own")
    for key, path in own.items():
        key = key.removeprefix("model.")
        files[f"model.parts.{name}.{key}"] = path
    return model
