"""What forward steps gain from the form of a Jacobian: symmetry with respect to P, and the steepest diagonal entry."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from .entries import exact_rows_of

__all__ = ["is_gradient", "steepest"]

_LARGEST = 60  # states up to which symmetry is tested


def steepest(claim):
    """A bound on the moduli of the negative diagonal entries of all Jacobians; None where there is no row-wise bound.

    It is for the norm's own coordinates, in which diagonal weights leave the diagonal alone.
    """
    if not hasattr(claim, "eta"):
        return None
    low = np.minimum.reduce([m.low for m in claim.structure.majorants(claim.p)])
    return float(max(0.0, -low.min()))


def is_gradient(structure, P):
    """Whether ``P J`` is symmetric for every Jacobian, exactly: the field is then a gradient in the metric P.

    P is a matrix, a vector for a diagonal one, or None for the identity.
    """
    n = structure.n
    if structure.form != "lure" or n > _LARGEST:
        return False
    if P is None or P.ndim == 1:
        weights = np.ones(n) if P is None else P
        P = [{i: Fraction(float(w))} for i, w in enumerate(weights)]
    else:
        P = exact_rows_of(P)
    E, F, G = (exact_rows_of(m) for m in (structure.E, structure.F, structure.G))
    PE, PF = _times(P, E), _times(P, F)
    total = PE
    for k, (lo, hi) in enumerate(zip(structure.lo, structure.hi, strict=True)):
        column = {i: row[k] for i, row in enumerate(PF) if row.get(k)}
        unit = [{j: a * g for j, g in G[k].items()} if (a := column.get(i)) else {} for i in range(n)]
        if lo < hi and not _symmetric(unit):
            return False
        slope = Fraction(float(lo))
        if slope:
            total = [_sum(row, {j: slope * v for j, v in more.items()}) for row, more in zip(total, unit, strict=True)]
    return _symmetric(total)


def _times(A, B):
    found = []
    for row in A:
        total = {}
        for k, a in row.items():
            for j, b in B[k].items():
                total[j] = total.get(j, 0) + a * b
        found.append(total)
    return found


def _sum(a, b):
    return {j: a.get(j, 0) + b.get(j, 0) for j in a.keys() | b.keys()}


def _symmetric(rows):
    return all(v == rows[j].get(i, 0) for i, row in enumerate(rows) for j, v in row.items())
