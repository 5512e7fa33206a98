"""What a scenario names but does not hold: graphs, matrices and functions, from files, generators and data sets.

Files are found relative to the folder of the scenario. A name may also stand for an object that a script gave.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path

import numpy as np

from ..errors import ArgumentError, DynetError, nearest
from .tables import keywords, resolve

__all__ = ["case", "coupling", "function", "graph"]


def _file(key, name, base, objects, files, where):
    """The path of a file that the scenario names, checked to exist; or the object that stands for it."""
    if name in objects:
        return objects[name]
    path = resolve(base, name)
    if not path.is_file():
        others = [
            p.name for p in path.parent.glob("*") if (p.suffix == ".py") == (path.suffix == ".py") and p.is_file()
        ]
        near = nearest(path.name, [name for name in others if not name.endswith(".toml")])
        also = f"; did you mean {str(Path(name).with_name(near))!r}?" if near else ""
        where.say(key, f"= {name!r}: there is no file {path}{also}")
    files[".".join(key)] = path
    return path


def case(name, where, base, objects, files):
    """The path of the case file of a model of a power grid."""
    return _file(("model", "case"), name, base, objects, files, where)


def graph(tables, where, base, objects, files):
    """The graph, and the key path that it came from."""
    table = tables.graph
    if table is None:
        return None, None
    if table.generator is not None:
        return _generate(table, tables.seed, where), ("graph", "generator")
    from ..fields.read import DATASETS, load_graph

    if table.name is not None:
        if table.name.removesuffix("_graph") not in DATASETS:
            where.fail(("graph", "name"), table.name, "a data set that ships with networkx", choices=DATASETS)
        return load_graph(table.name), ("graph", "name")
    source = _file(("graph", "file"), table.file, base, objects, files, where)
    if not isinstance(source, Path):
        return source, ("graph",)
    try:
        weight = tables.model.get("edge_weight", "weight")
        graph = load_graph(source, weight=str(weight), directed=table.directed, adjacency=table.adjacency)
        return graph, ("graph", "file")
    except ArgumentError as error:
        text = str(error).removeprefix(f"graph={str(source)!r}: ")
        where.say(("graph", "file"), f"= {table.file!r}: {text}")


def _generate(table, seed, where):
    import networkx as nx

    known = [
        name for name, f in vars(nx).items() if callable(f) and getattr(f, "__module__", "").startswith("networkx.gen")
    ]
    if table.generator not in known:
        near = nearest(table.generator, known)
        text = "a graph generator of networkx, such as 'watts_strogatz_graph'" + (
            f"; did you mean {near!r}?" if near else ""
        )
        where.fail(("graph", "generator"), table.generator, text)
    generator, args = getattr(nx, table.generator), dict(table.args or {})
    accepted = [name for name in keywords(generator) if name not in ("create_using", "backend", "backend_kwargs")]
    for name, value in args.items():
        if name not in accepted:
            where.fail(("graph", "args", name), value, f"an argument of {table.generator}", choices=accepted, word=name)
    missing = [k for k in accepted if keywords(generator)[k].default is inspect.Parameter.empty and k not in args]
    if missing:
        where.say(("graph", "args"), f"lacks {' and '.join(missing)}, which {table.generator} needs")
    if "seed" in accepted:
        args.setdefault("seed", seed)
    try:
        made = generator(**args)
    except Exception as error:  # generators raise many kinds, and all of them mean that the arguments do not fit
        where.say(("graph", "args"), f"do not fit {table.generator}: {error}")
    if not hasattr(made, "adj"):
        where.fail(("graph", "generator"), table.generator, f"a generator of one graph, not of a {type(made).__name__}")
    return made


def coupling(tables, where, base, objects, files, graph):
    """The coupling matrix or the graph of a model that needs one."""
    given = tables.model.get("coupling")
    if (given is None) == (graph is None):
        kind = tables.model["kind"]
        if given is None:
            where.say(("graph",), f"is missing: {kind} needs a graph, or a matrix as model.coupling")
        where.say(("model", "coupling"), "is one too many: there is a table [graph]")
    if graph is not None:
        return graph
    if not isinstance(given, str):
        rows = given if isinstance(given, list) else None
        if not rows or any(not isinstance(row, list) or len(row) != len(rows[0]) for row in rows):
            where.fail(("model", "coupling"), given, "a square matrix [[a11, a12, ...], ...], or the name of a file")
        return given
    path = _file(("model", "coupling"), given, base, objects, files, where)
    if not isinstance(path, Path):
        return path
    readers = {".npy": _npy, ".npz": _npz, ".mtx": _mtx, ".csv": _csv}
    if path.suffix not in readers:
        where.fail(("model", "coupling"), given, f"a file that ends in {', '.join(readers)}")
    try:
        return readers[path.suffix](path)
    except Exception as error:  # the readers raise many kinds: all mean that the file is not what its name says
        where.fail(("model", "coupling"), given, f"a readable {path.suffix} file ({error})")


def _npy(path):
    return np.load(path, allow_pickle=False)


def _csv(path):
    return np.loadtxt(path, delimiter=",", ndmin=2)


def _npz(path):
    import scipy.sparse as sp

    return sp.csr_array(sp.load_npz(path))


def _mtx(path):
    import scipy.io
    import scipy.sparse as sp

    return sp.csr_array(scipy.io.mmread(path))


def function(tables, given, where, base, objects, files):
    """The user's own field: ``file.py:name``, with other values for its parameters."""
    from ..fields.function import FunctionField

    word = tables.model["function"]
    file, colon, name = word.rpartition(":") if isinstance(word, str) else ("", "", "")
    if not (colon and file.endswith(".py") and name.isidentifier()):
        where.fail(("model", "function"), word, "'file.py:name', a function under @dn.vector_field in a Python file")
    path = _file(("model", "function"), file, base, objects, files, where)
    spec = importlib.util.spec_from_file_location(f"_dynet_scenario_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent.resolve()))  # so that the file may import its neighbours
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the user's file raises
        line = error.lineno if isinstance(error, SyntaxError) else _line(error, path)
        kind = "" if isinstance(error, DynetError) else f"{type(error).__name__}: "
        where.say(("model", "function"), f"= {word!r}: {path}:{line}: {kind}{error}")
    finally:
        sys.path.remove(str(path.parent.resolve()))
    field = getattr(module, name, None)
    if not isinstance(field, FunctionField):
        fields = [k for k, v in vars(module).items() if isinstance(v, FunctionField)]
        where.fail(
            ("model", "function"), word, f"a function under @dn.vector_field in {file}", choices=fields, word=name
        )
    for key, value in given.items():
        if key not in field.params:
            where.fail(("model", key), value, f"a parameter of {name}", choices=field.params, word=key)
    try:
        return field.replace(**given) if given else field
    except ArgumentError as error:
        where.wrap(("model",), error)


def _line(error, path):
    trace, line = error.__traceback__, 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
