"""The scenario as a value: read from a file or made in Python, changed by :meth:`Scenario.replace`, run to a report."""

from __future__ import annotations

import copy
import functools
import inspect
import io
import operator
import re
from pathlib import Path

import msgspec
import numpy as np

from ..errors import ArgumentError
from . import toml
from .tables import Where, tables

__all__ = ["Scenario"]

_GRAPH, _COUPLING = "inputs/graph.graphml", "inputs/coupling.npz"
_INLINE = 64  # rows of the largest matrix that is written into a scenario file itself


class Scenario:
    """What to compute, as data: a model on a graph, and what to do with it.

    Parameters
    ----------
    **tables
        The tables and keys of a scenario file: ``title``, ``reference``, ``seed``, ``name``, ``graph``, ``model``,
        ``input``, ``simulate``, ``certify``, ``equilibrium``, ``figure`` (a list) and ``expect``; or ``data``,
        ``network`` (a list) and ``study``. Here `graph` may also be a networkx graph, and ``model["coupling"]`` an
        array or a scipy sparse array.

    Attributes
    ----------
    name : str
        The folder that a run writes: the file's name without its ending, or what the scenario says.
    tables : Tables
        Every table, checked, with its defaults.

    Raises
    ------
    ScenarioError
        For an unknown key, a wrong type or value: with the key path, what was expected and the nearest valid word.

    Examples
    --------
    >>> import dynet as dn
    >>> scenario = dn.Scenario(
    ...     graph={"name": "karate_club"}, model={"kind": "hopfield", "weight": 0.01}, certify={"norm": "inf"}
    ... )
    >>> report = scenario.replace("model.leak", 2.0).run(out=None)
    >>> report.numbers["certified"], round(report.numbers["rate"], 4)
    (True, 1.7831)
    """

    def __init__(self, **tables):
        self._set(*_plain_tables(tables), base=Path(), file=None, text="")

    def _set(self, plain, objects, base, file, text):
        self._plain, self._objects, self.base = plain, objects, Path(base)
        self.where = Where(file, text, plain)
        self.tables = tables(plain, self.where)
        stem = (
            Path(str(file)).stem if file is not None else re.sub(r"[^\w-]+", "-", self.tables.title).strip("-").lower()
        )
        self.name = self.tables.name or stem or "scenario"
        self._built = None
        return self

    @classmethod
    def load(cls, path):
        """Read a scenario file.

        Parameters
        ----------
        path : path
            A TOML file; the files that it names are relative to its folder.

        Raises
        ------
        ScenarioError
            For a missing or malformed file, or one that is not a scenario: with the line, the key path, the value, what
            was expected and the nearest valid word.
        """
        path = Path(path)
        plain, text = toml.read(path)
        return object.__new__(cls)._set(plain, {}, path.parent, path, text)

    def replace(self, key, value):
        """The same scenario with another value; the original is unchanged.

        Parameters
        ----------
        key : str
            A key path such as ``"model.weight"``, ``"seed"`` or ``"figure.0.pairs"``.
        value : object
            A plain value, or a graph or matrix where the constructor takes one. None removes the key.
        """
        plain, objects = copy.deepcopy(self._plain), dict(self._objects)
        *path, last = [int(part) if part.isdigit() else part for part in str(key).split(".")]
        inside = plain
        for part in path:
            if isinstance(inside, dict) and part not in inside and isinstance(part, str):
                inside[part] = {}
            try:
                inside = inside[part]
            except (KeyError, IndexError, TypeError):
                inside = None
            if not isinstance(inside, (dict, list)):
                raise ArgumentError("key", key, "a path of keys such as 'model.weight'")
        new, more = _plain_tables(value if not path and isinstance(value, dict) else value, (*path, last))
        objects.update(more)
        try:
            if new is None and isinstance(inside, dict):
                inside.pop(last, None)
            else:
                inside[last] = new
        except (IndexError, TypeError):
            raise ArgumentError("key", key, "a path of keys such as 'model.weight'") from None
        file = self.where.file
        fresh = object.__new__(type(self))._set(plain, objects, self.base, file, "")
        fresh.name = fresh.tables.name or self.name
        return fresh

    def build(self):
        """Build and check everything that the scenario describes, without running it.

        Returns
        -------
        Built
            With the attributes `model`, `u`, `x0`, `norm`.

        Raises
        ------
        ScenarioError
        """
        if self._built is None:
            from .construct import build

            self._built = build(self.tables, self.where, self.base, self._objects)
        return self._built

    def run(self, out="runs", check=False, progress=None):
        """Run the scenario and write its folder.

        Parameters
        ----------
        out : path or None
            The folder ``<out>/<name>/`` gets ``report.json``, ``scenario.toml`` as resolved, ``trajectory.nc``,
            ``certificate.json`` and ``figures/``, as far as the scenario makes them. None writes nothing.
        check : bool
            Raise when an expectation fails (after the files are written).
        progress : callable, optional
            Called with the name of the stage and the fraction of it that is done.

        Returns
        -------
        Report

        Raises
        ------
        ScenarioError
            For what cannot be built or run (nothing is written then), or for a failed expectation with ``check=True``.
        """
        from .running import run

        report = run(self, out, progress)
        if check and not report.ok:
            failed = "; ".join(f"{e.name} is {e.value:.6g}, wanted {e.wanted}" for e in report.expectations if not e.ok)
            self.where.say(("expect",), f"does not hold: {failed}")
        return report

    def resolved(self):
        """The scenario with every default, seed and path filled in, as a run writes it."""
        plain = msgspec.to_builtins(self.tables) | {"name": self.name}  # in the order of the tables, whoever wrote them
        plain = {k: v for k, v in plain.items() if v not in (None, "", [], {})}
        if self.tables.network:
            plain["network"] = [{"name": name, **found} for name, found in self.build().options().items()]
        for name in ("graph", "simulate", "certify", "equilibrium", "study"):
            if name in plain:
                if name == "simulate" and plain[name]["seed"] is None:
                    plain[name]["seed"] = self.tables.seed
                plain[name] = {k: v for k, v in plain[name].items() if v is not None}
        if "generator" in plain.get("graph", {}):
            import networkx as nx

            if "seed" in inspect.signature(getattr(nx, plain["graph"]["generator"])).parameters:
                plain["graph"]["args"] = {"seed": self.tables.seed, **plain["graph"].get("args", {})}
        for key, path in self.build().files.items():
            *tables, name = key.split(".")
            table = functools.reduce(operator.getitem, tables, plain)
            suffix = f":{table[name].rpartition(':')[2]}" if name == "function" else ""
            table[name] = f"inputs/{path.name}{suffix}"
        return object.__new__(Scenario)._set(plain, self._objects, self.base, self.where.file, "")

    def inputs(self, built):
        """The contents of the files that the resolved scenario reads: name -> bytes."""
        found = {f"inputs/{path.name}": path.read_bytes() for path in built.files.values()}
        if self.tables.network:
            return {f"inputs/{built.images.name}.sha256": f"{built.images.digest}\n".encode()}
        if self._uses("graph", "file", _GRAPH):
            found[_GRAPH] = _graphml(self._objects[_GRAPH], self.tables.model.get("edge_weight", "weight"))
        if self._uses("model", "coupling", _COUPLING):
            import scipy.sparse as sp

            stream = io.BytesIO()
            sp.save_npz(stream, sp.csr_array(self._objects[_COUPLING]))
            found[_COUPLING] = stream.getvalue()
        return found

    def _uses(self, table, key, name):
        return name in self._objects and (self._plain.get(table) or {}).get(key) == name

    def to_toml(self):
        """The scenario as the text of a scenario file."""
        return toml.dumps(self._plain)

    def __repr__(self):
        if self.tables.network:
            return f"Scenario({self.name!r}, {len(self.tables.network)} networks on {self.tables.data!r})"
        words = self.tables.model.get("kind") or self.tables.model.get("function")
        return f"Scenario({self.name!r}, model {words!r})"


def _plain_tables(value, path=()):
    """Values of Python as values of TOML, and the graphs and matrices that have no such form, by the name of their file."""
    if path == ("graph",) and hasattr(value, "adj"):
        return {"file": _GRAPH}, {_GRAPH: value}
    if path == ("model", "coupling"):
        if hasattr(value, "adj"):
            raise ArgumentError("model.coupling", value, "a matrix; a graph goes to graph=")
        if hasattr(value, "tocsr") or np.ndim(value) == 2 and len(value) > _INLINE:
            return _COUPLING, {_COUPLING: value}
    if isinstance(value, dict):
        plain, objects = {}, {}
        for key, part in value.items():
            new, more = _plain_tables(part, (*path, key))
            objects.update(more)
            if new is not None:
                plain[str(key)] = new
        return plain, objects
    if isinstance(value, np.ndarray):
        return value.tolist(), {}
    if isinstance(value, np.generic):
        return value.item(), {}
    if isinstance(value, (list, tuple)):
        parts = [_plain_tables(part, (*path, index))[0] for index, part in enumerate(value)]
        return parts, {}
    if isinstance(value, Path):
        return str(value), {}
    if value is None or isinstance(value, (str, bool, int, float)):
        return value, {}
    raise ArgumentError(".".join(map(str, path)) or "value", value, "a value that a scenario file can hold, "
                        "a networkx graph as graph=, or a matrix as model.coupling")  # fmt: skip


def _graphml(graph, weight):
    """A graph as GraphML with the order of its nodes, their names and the weights, and nothing else."""
    import networkx as nx

    bare = graph.__class__() if type(graph).__module__.startswith("networkx") else nx.DiGraph(directed=True)
    bare.add_nodes_from(str(node) for node in graph)
    for u, v, value in graph.edges(data=weight):
        bare.add_edge(str(u), str(v), **({} if value is None else {weight: float(value)}))
    stream = io.BytesIO()
    nx.write_graphml_xml(bare, stream)
    return stream.getvalue()
