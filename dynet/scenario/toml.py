"""Scenario files as text: read with the standard library, written by a few lines, keys found by line for messages."""

from __future__ import annotations

import json
import math
import re
import tomllib

from ..errors import ScenarioError, nearest

__all__ = ["dumps", "line_of", "parse_value", "read"]


def read(path):
    """The tables of a scenario file, and its text.

    Parameters
    ----------
    path : pathlib.Path

    Returns
    -------
    (dict, str)

    Raises
    ------
    ScenarioError
        For a missing or unreadable file (the message suggests a neighbour), or malformed TOML, with line and column.
    """
    if path.is_dir():
        raise ScenarioError(f"{path}: expected a scenario file, and this is a folder")
    if not path.is_file():
        near = nearest(path.name, [p.name for p in path.parent.glob("*.toml")]) if path.parent.is_dir() else None
        also = f"; did you mean {str(path.with_name(near))!r}?" if near else ""
        raise ScenarioError(f"{path}: expected a scenario file, and there is none{also}")
    try:
        text = path.read_bytes().decode("utf-8")
        return tomllib.loads(text), text
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{path}: not well-formed TOML: {_quote(str(error), path)}") from None
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{path}: not UTF-8 text: byte {error.start} is {error.object[error.start]:#04x}") from None
    except OSError as error:
        raise ScenarioError(f"{path}: not readable: {error.strerror}") from None


def _quote(message, path):
    """The parser's message with the line that it means."""
    found = re.search(r"at line (\d+)", message)
    if not found:
        return message
    lines = path.read_text(encoding="utf-8").splitlines()
    number = int(found.group(1))
    return f"{message}: {lines[number - 1].strip()!r}" if 0 < number <= len(lines) else message


def line_of(text, path):
    """The line of a scenario's text on which a key stands, or None; `path` is like ``("figure", 0, "kind")``.

    >>> line_of("[model]\\nkind = 'lorenz'", ("model", "kind"))
    2
    """
    names = [str(key) for key in path if not isinstance(key, int)]
    index = path[1] if len(path) > 1 and isinstance(path[1], int) else 0
    table, seen, best = "", -1, None
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[\[?\s*([\w.\"'-]+)\s*\]?\]", line)
        if header:
            table = header.group(1)
            seen += names[:1] == [table] or names[:1] == table.split(".")[:1] != [table]
            if names == table.split(".") and seen == index:
                return number
        key = re.match(r"\s*[\"']?([\w-]+)[\"']?\s*[=.]", line)
        if key:
            here = [key.group(1)] if not table else [*table.split("."), key.group(1)]
            if names[: len(here)] == here and (not table or seen == index or table != names[0]):
                best = best or number
    return best


def parse_value(text):
    """The value that a text stands for as TOML: ``0.2``, ``[1, 2]``, ``true``; anything else is a string.

    >>> parse_value("0.2"), parse_value("tanh")
    (0.2, 'tanh')
    """
    try:
        value = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return value["value"] if len(value) == 1 else text


def dumps(tables):
    """A dict of plain values as TOML that :mod:`tomllib` reads back to the same dict.

    >>> print(dumps({"title": "a", "model": {"kind": "lorenz", "rho": 28.0}, "figure": [{"kind": "decay"}]}))
    title = "a"
    <BLANKLINE>
    [model]
    kind = "lorenz"
    rho = 28.0
    <BLANKLINE>
    [[figure]]
    kind = "decay"
    <BLANKLINE>
    """
    blocks = [[f"{_key(k)} = {_value(v)}" for k, v in tables.items() if not _is_table(v)]]
    for name, value in tables.items():
        if _is_table(value):
            header = f"[[{_key(name)}]]" if isinstance(value, list) else f"[{_key(name)}]"
            for table in value if isinstance(value, list) else [value]:
                blocks.append([header, *(f"{_key(k)} = {_value(v)}" for k, v in table.items())])
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _is_table(value):
    return isinstance(value, dict) or (isinstance(value, list) and value and all(isinstance(v, dict) for v in value))


def _key(name):
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _string(name)


def _string(text):
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + " }" if value else "{}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_value, value)) + "]"
    return _string(value)
