r"""Certificates of fields on networks: bounds on every Jacobian from the slopes that the model declares.

A network whose node and edge functions have known slopes has a Jacobian between two sparse matrices
(:mod:`dynet.fields.slopes`), and a certificate is about all matrices between them. The slopes are the model's word, as they
are for an activation; where they hold on a box only, the claim is about that box. That the box is invariant is the model's
word, too, and the certificate says so.

References
----------
Davydov, Jafarpour, Bullo, Non-Euclidean contraction theory for robust nonlinear stability, arXiv:2103.12263.
"""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError, Shown
from ..fields.slopes import jacobian_bounds
from .interval import IntervalStructure
from .region import Box, WholeSpace

__all__ = ["network_region", "network_structure"]


def network_structure(model):
    """The bounds on the Jacobian of a :class:`~dynet.fields.network.NetworkField`, or None where slopes are not declared.

    Parameters
    ----------
    model : NetworkField

    Returns
    -------
    IntervalStructure or None
        None also where a bound is infinite.

    Examples
    --------
    >>> import dynet as dn
    >>> epidemic = dn.models.SIS([[0.0, 1.0], [1.0, 0.0]], infection=0.5, recovery=1.0)
    >>> network_structure(epidemic).hull()[1].toarray()
    array([[-1. ,  0.5],
           [ 0.5, -1. ]])
    >>> print(dn.certify(epidemic).region)
    box [0.0, 1.0]^2 (invariant by the model's word)
    """
    if model.facts.slopes is None:
        return None
    lo, hi = jacobian_bounds(model)
    for matrix in (lo, hi):
        matrix.sum_duplicates()
        matrix.sort_indices()
    if not (np.isfinite(lo.data).all() and np.isfinite(hi.data).all()):
        return None
    words = {"bounds": "declared slopes of node and edge functions, rounded outward; carried as data", "input": "any"}
    return IntervalStructure(lo, hi, origin={**words, "function": model.name})


def network_region(model, region):
    """The region of a claim that rests on declared slopes, in words.

    Raises
    ------
    ArgumentError
        For a region that leaves the box in which the slopes hold.
    """
    if model.facts.invariant is None:
        whole = isinstance(region, WholeSpace)
        return str(region) if whole else f"{region} (local: not shown to be invariant)"
    box = Box(*model.facts.invariant)
    if isinstance(region, WholeSpace):
        return f"{box} (invariant by the model's word)"
    lo, hi = region.box(model.n)
    if not (np.all(box.lo <= lo) and np.all(hi <= box.hi)):
        raise ArgumentError(
            "region", Shown(str(region)), f"a region in the {box}, where the slopes of {model.name} hold"
        )
    return f"{region} (local: not shown to be invariant)"
