"""The words of a certificate file: which class stands behind the form of a structure and the kind of a claim.

A *structure* holds the numbers of a field that a claim is about: a frozen dataclass whose fields are arrays, words, numbers
or other structures, with ``form`` (its word here), ``n``, ``check()`` (raises ValueError where the numbers do not fit
together), ``majorants(p)``, ``exact_rows(p)`` and ``exact`` (whether the majorants are attained). It may have

- ``proves``: what a bound on its matrices says of the field; ``"contraction"`` where it is silent;
- ``norm(p, weights)``: the norm that the bound is about; the weighted norm of the states where it is silent;
- ``vertices()`` and ``exact_vertices()``: the matrices whose convex hull holds every Jacobian.

A *claim* is a frozen dataclass with a structure and a witness; see :mod:`dynet.certify.claims`. A new structure or claim is
added to the tables here and nowhere else.
"""

from __future__ import annotations

import dataclasses
import importlib

from ..linalg.norms import Norm

__all__ = ["CLAIMS", "FORMS", "NORMS", "find", "norm_of", "proves", "renewed"]

FORMS = {
    "lure": ("lure", "LureStructure"),
    "interval": ("interval", "IntervalStructure"),
    "kept": ("kept", "KeptStructure"),
    "synchrony": ("synchrony", "SynchronyStructure"),
    "gain": ("interconnect", "GainStructure"),
    "compound": ("compound", "CompoundStructure"),
    "reduced": ("semi", "ReducedStructure"),
}
CLAIMS = {
    "rows": ("claims", "RowsClaim"),
    "diagonal": ("claims", "DiagonalClaim"),
    "quadratic": ("claims", "QuadraticClaim"),
    "vertices": ("vertices", "VertexClaim"),
    "criterion": ("criterion", "CriterionClaim"),
    "monotone": ("weak", "MonotoneClaim"),
    "range": ("semi", "RangeClaim"),
    "ergodic": ("synchrony", "ErgodicClaim"),
    "spectral": ("synchrony", "SpectralClaim"),
    "alpha": ("compound", "AlphaClaim"),
    "interconnection": ("composite", "InterconnectedClaim"),
}
NORMS = {"range": ("semi", "WeightedRange"), "compound": ("compound", "CompoundNorm"),
         "disagreement": ("synchrony", "Disagreement")}  # fmt: skip


def find(table, word):
    """The class that a table gives to a word.

    Raises
    ------
    ValueError
        For a word that is not in the table.

    Examples
    --------
    >>> find(FORMS, "lure").__name__
    'LureStructure'
    """
    if word not in table:
        raise ValueError(f"{word!r} is not one of {', '.join(table)}")
    module, name = table[word]
    return getattr(importlib.import_module(f".{module}", __package__), name)


def proves(structure):
    """What a bound on the log norm of a structure's matrices says of the field."""
    return getattr(structure, "proves", "contraction")


def norm_of(structure, p, weights):
    """The norm that a claim with these weights is about."""
    make = getattr(structure, "norm", None)
    return Norm(p, weights) if make is None else make(p, weights)


def renewed(thing):
    """A copy of a claim or structure, and of those inside it, without anything that was computed and kept."""
    if isinstance(thing, tuple):
        return tuple(renewed(part) for part in thing)
    if not dataclasses.is_dataclass(thing):
        return thing
    return dataclasses.replace(thing, **{f.name: renewed(getattr(thing, f.name)) for f in dataclasses.fields(thing)})
