"""The schema of a scenario: which tables and keys there are, of what type, and what each of them means.

The tables below are msgspec structs; the description of a key is its documentation, the comment that ``dynet new`` prints
and the text of the error for a wrong value, all in one. The keys of ``[model]`` are the keywords of the model's class, those
of an input the keywords of the signal's class and those of ``[[figure]]`` the options of the figure: a new model, signal or
figure is known here without a second list.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from ..errors import Shown, nearest

__all__ = ["Certify", "Equilibrium", "Expect", "Graph", "Simulate", "TABLES", "describe_keys", "problem", "read_table"]

_Positive = Annotated[float, Meta(gt=0)]
_Count = Annotated[int, Meta(ge=1)]


class Graph(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where the network comes from: one of `generator`, `name` and `file`."""

    generator: Annotated[str | None, Meta(description="the name of a networkx graph generator")] = None
    args: Annotated[dict[str, Any] | None, Meta(description="a table of the generator's arguments")] = None
    name: Annotated[str | None, Meta(description="the name of a graph that ships with networkx")] = None
    file: Annotated[str | None, Meta(description="a graph file, relative to the scenario's folder")] = None
    directed: Annotated[bool | None, Meta(description="true or false: whether an edge list is directed")] = None


class Simulate(Struct, frozen=True, forbid_unknown_fields=True):
    """Trajectories from `batch` initial states, drawn evenly from the box ``x0 - spread`` to ``x0 + spread``."""

    t: Annotated[float | list[float], Meta(description="the end time, or [start, end]")]
    batch: Annotated[_Count | None, Meta(description="how many trajectories, at least 1")] = None
    seed: Annotated[
        Annotated[int, Meta(ge=0)] | None, Meta(description="a whole number that fixes the random initial states")
    ] = None
    x0: Annotated[
        float | list[float | list[float]],
        Meta(description="the centre of the initial states: a number, one number per state, or one row per trajectory"),
    ] = 0.0
    spread: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(description="half the width of the box of initial states, at least 0 (default 1, or 0 where x0 has rows)"),
    ] = None
    method: Annotated[str, Meta(description="the name of a method, or 'auto'")] = "auto"
    rtol: Annotated[_Positive, Meta(description="relative tolerance of one step, a positive number")] = 1e-6
    atol: Annotated[_Positive, Meta(description="absolute tolerance of one step, a positive number")] = 1e-9
    dt: Annotated[_Positive | None, Meta(description="the step of a fixed-step method, a positive number")] = None
    save: Annotated[
        Annotated[int, Meta(ge=2)] | Literal["last"] | list[float],
        Meta(description="how many save times (at least 2), 'last', or the times themselves"),
    ] = 101
    max_steps: Annotated[_Count, Meta(description="the most steps a trajectory may take, at least 1")] = 10_000_000


class Certify(Struct, frozen=True, forbid_unknown_fields=True):
    """Prove that the model contracts."""

    kind: Annotated[str, Meta(description="'strong', 'weak', or 'auto' for the strongest that holds")] = "auto"
    norm: Annotated[
        float | str | None, Meta(description="1, 2 or 'inf' (all three are tried, and the best rate kept, without it)")
    ] = None
    weights: Annotated[
        list[float | list[float]] | None,
        Meta(description="the norm's weights, one per state, or a matrix for norm = 2 (searched without it)"),
    ] = None


class Equilibrium(Struct, frozen=True, forbid_unknown_fields=True):
    """The equilibrium, with a bound on its error."""

    tol: Annotated[_Positive, Meta(description="the wanted bound on the error, a positive number")] = 1e-10
    method: Annotated[str, Meta(description="'forward', 'newton' or 'auto'")] = "auto"
    max_iterations: Annotated[_Count, Meta(description="the most iterations, at least 1")] = 1_000_000


class Expect(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a number must be: `value` within ``atol + rtol * |value|``, and between `min` and `max`."""

    value: Annotated[float | None, Meta(description="the number to reproduce")] = None
    rtol: Annotated[
        Annotated[float, Meta(ge=0)], Meta(description="the relative tolerance of value, at least 0")
    ] = 1e-6
    atol: Annotated[Annotated[float, Meta(ge=0)], Meta(description="the absolute tolerance of value, at least 0")] = 0.0
    min: Annotated[float | None, Meta(description="the least number allowed")] = None
    max: Annotated[float | None, Meta(description="the greatest number allowed")] = None


#: The tables and plain keys of a scenario, with one line each.
TABLES = {
    "title": "one line on what the scenario shows",
    "reference": "the paper that it follows",
    "seed": "a whole number: the seed of everything random that has no seed of its own",
    "graph": "the network: generator and args, name, or file",
    "model": "the equation: kind and the keywords of that model, or function = 'file.py:name'",
    "input": "the input u(t), the same as model.input",
    "simulate": "trajectories from many initial states",
    "certify": "a proof of contraction, with its rate and norm",
    "equilibrium": "the equilibrium with a bound on its error",
    "figure": "figures, each under [[figure]]: kind and the options of that kind",
    "expect": "numbers that the run must reproduce",
}


def read_table(struct, where, table):
    """A table as its struct.

    Parameters
    ----------
    struct : type
    where : str
        The key path of the table, for errors.
    table : object
        What the file holds there.

    Returns
    -------
    Struct

    Raises
    ------
    KeyError, with the text of the problem
        For an unknown key, a wrong type, a missing key. The caller knows the file and makes it a ScenarioError.

    Examples
    --------
    >>> read_table(Certify, "certify", {"norm": 2}).norm
    2.0
    """
    if not isinstance(table, dict):
        raise problem(where, table, "a table of keys")
    keys = describe_keys(struct)
    for key in table:
        if key not in keys:
            raise problem(f"{where}.{key}", table[key], "a key of this table", keys, word=key)
    try:
        return msgspec.convert(table, struct)
    except msgspec.ValidationError as error:
        missing = re.search(r"missing required field `(\w+)`", str(error))
        if missing:
            key = missing.group(1)
            raise problem(f"{where}.{key}", Shown("(missing)"), keys[key]) from None
        found = re.search(r"`\$\.(\w+)", str(error))
        key = found.group(1) if found else next(iter(keys))
        raise problem(f"{where}.{key}", table.get(key), keys[key]) from None


def describe_keys(struct):
    """The keys of a struct with their descriptions.

    >>> describe_keys(Equilibrium)["tol"]
    'the wanted bound on the error, a positive number'
    """
    found = {}
    for field in msgspec.inspect.type_info(struct).fields:
        extra = getattr(field.type, "extra_json_schema", None) or {}
        found[field.encode_name] = extra.get("description", "")
    return found


class Problem(Exception):
    """Something wrong at a key path; becomes a ScenarioError once the file is known."""


def problem(path, value, expected, choices=None, word=None):
    """The error for a value at a key path, to be raised.

    >>> print(problem("simulate.bach", 3, "a key of this table", ["batch", "seed"], word="bach"))
    simulate.bach=3: expected a key of this table (batch, seed); did you mean 'batch'?
    """
    shown = str(value) if isinstance(value, Shown) else _short(value)
    text = f"{path}{' ' if isinstance(value, Shown) else '='}{shown}: expected {expected}"
    if choices:
        near = nearest(value if word is None else word, choices)
        text += f" ({', '.join(map(str, choices))})" + (f"; did you mean {near!r}?" if near else "")
    return Problem(text)


def _short(value):
    text = repr(value)
    return text if len(text) <= 60 else text[:45] + " ... " + text[-8:]
