"""The region of a scenario's certificate: one key that says which kind of set, and its numbers.

=============================================  ==========================================================================
``region = { ... }``                           set
=============================================  ==========================================================================
``box = [lo, hi]``                             all states between lo and hi, numbers for all states or lists of one each
``ball = { center, radius, norm = 2 }``        the states within a distance of a centre
``orthant = true``                             no state is negative
``simplex = total``                            no state is negative, and they add up to the total
``phases = angle``                             no two states are further apart than the angle (radians)
=============================================  ==========================================================================
"""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError, Shown

__all__ = ["WORDS", "region_of"]

WORDS = ("box", "ball", "orthant", "simplex", "phases")


def region_of(table, where, model):
    """The region that a table describes, None where there is no table.

    Parameters
    ----------
    table : dict or None
    where : Where
    model : VectorField

    Raises
    ------
    ScenarioError
        For another word, more than one, numbers that make no convex set with the model's number of states, or none at all.
    """
    if table is None:
        return None
    from ..certify.region import Box, PhaseCohesive, Simplex

    path, n = ("certify", "region"), model.n
    for word in table:
        if word not in WORDS:
            where.fail((*path, word), table[word], "a kind of region", choices=WORDS, word=word)
    if len(table) != 1:
        where.fail(path, Shown(f"{len(table)} kinds of region"), f"one of {', '.join(WORDS)}")
    ((word, value),) = table.items()
    path = (*path, word)
    try:
        if word == "box":
            if not isinstance(value, list) or len(value) != 2:
                where.fail(path, value, "two corners: [lo, hi], each a number or a list of one for each state")
            return Box(*(_vector(end, n) for end in value)).fits(n)
        if word == "ball":
            return _ball(value, where, path, n)
        if word == "orthant":
            if value is not True:
                where.fail(path, value, "true")
            return Box(np.zeros(n), np.inf)
        if isinstance(value, bool) or not isinstance(value, int | float):
            where.fail(path, value, "a number")
        return (Simplex if word == "simplex" else PhaseCohesive)(n, float(value))
    except ArgumentError as error:
        where.say(path, f"is no region: {error}")
    except (TypeError, ValueError):
        where.fail(path, value, "numbers")


def _ball(value, where, path, n):
    from ..certify.region import Ball

    if not isinstance(value, dict):
        where.fail(path, value, "a table { center, radius, norm = 2 }")
    keys = ("center", "radius", "norm")
    for key in value:
        if key not in keys:
            where.fail((*path, key), value[key], "a key of a ball", choices=keys, word=key)
    for key in keys[:2]:
        if key not in value:
            where.say((*path, key), "is missing: a ball needs it")
    if isinstance(value["radius"], bool) or not isinstance(value["radius"], int | float):
        where.fail((*path, "radius"), value["radius"], "a number that is not negative")
    return Ball(_vector(value["center"], n), value["radius"], value.get("norm", 2)).fits(n)


def _vector(value, n):
    """A number for all states, or one for each."""
    flat = value if isinstance(value, list) else [value]
    if any(isinstance(v, bool | str | list | dict) for v in flat):
        raise TypeError
    array = np.asarray(value, dtype=float)
    return np.full(n, array) if array.ndim == 0 else array
