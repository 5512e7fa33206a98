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
from ..fields.enclosed_network import enclose_network
from ..fields.slopes import jacobian_bounds
from .differences import difference_structure, is_cohesive
from .interval import IntervalStructure
from .region import Box, PhaseCohesive, WholeSpace, read_region

__all__ = ["confirm_network", "network_region", "network_structure"]

DECLARED = "declared slopes of node and edge functions, rounded outward; carried as data"
PROVEN = "interval arithmetic on the node and edge functions with outward rounding; carried as data"


def network_structure(model, region=None):
    """The bounds on the Jacobian of a :class:`~dynet.fields.network.NetworkField`, or None where there are none.

    Parameters
    ----------
    model : NetworkField
    region : Region, optional
        The whole space when None: then the declared slopes, on the box in which they hold.

    Returns
    -------
    IntervalStructure, LureStructure or None
        A Lur'e structure, whose rows keep their sums, for a network coupled through differences.

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
    found = _slopes(model, WholeSpace() if region is None else region)
    if found is None:
        return None
    slopes, words = found
    through = difference_structure(model, slopes)
    if through is not None:
        return through
    lo, hi = jacobian_bounds(model, slopes)
    for matrix in (lo, hi):
        matrix.sum_duplicates()
        matrix.sort_indices()
    structure = IntervalStructure(lo, hi, origin={"bounds": words, "input": "any", "function": model.name})
    try:
        structure.check()
    except ValueError:
        return None  # a bound is infinite where it may not be
    return structure


def _slopes(model, region):
    """Bounds on the derivatives of node and edge functions on a region, and whose word they are; or None."""
    declared = model.facts.slopes
    if isinstance(region, WholeSpace):
        if declared is not None:
            return declared, DECLARED
        lo, hi = region.box(model.n)
        if model.facts.invariant is not None:
            lo, hi = Box(*model.facts.invariant).box(model.n)
        found = enclose_network(model, lo, hi)
    else:
        found = enclose_network(model, *region.box(model.n), apart=getattr(region, "angle", None))
    if found is not None:
        return found.slopes, PROVEN
    return None if declared is None else (declared, DECLARED)


def network_region(model, region, structure=None):
    """The region of a claim about a network, in words.

    Raises
    ------
    ArgumentError
        For a region that leaves the box in which the slopes hold.
    """
    if isinstance(region, PhaseCohesive) and structure is not None and getattr(structure, "form", "") == "lure":
        if is_cohesive(model, region.angle):
            return f"{region} (invariant: differences at the boundary do not grow)"
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


def confirm_network(certificate, model):
    """Whether the numbers of a network's certificate bound its Jacobian on its region, from the network's own functions.

    The node and edge functions are evaluated on intervals again: declared slopes are proven, not believed.
    """
    said = getattr(certificate.claim, "structure", None)
    region = read_region(certificate.region)
    if isinstance(region, WholeSpace) and model.facts.invariant is not None:
        return False
    angle = getattr(region, "angle", None)
    if angle is not None and "(invariant" in certificate.region and not is_cohesive(model, angle):
        return False
    found = enclose_network(model, *region.box(model.n), apart=angle)
    if found is None or said is None:
        return False
    if said.form == "lure":
        meant = difference_structure(model, found.slopes)
        same = meant is not None and all(_equal(getattr(said, name), getattr(meant, name)) for name in ("E", "F", "G"))
        return bool(same and np.all((said.lo <= meant.lo) & (meant.hi <= said.hi)))
    if said.form != "interval" or not hasattr(said.lo, "tocsr"):
        return False
    lo, hi = jacobian_bounds(model, found.slopes)
    for matrix in (lo, hi):
        matrix.sum_duplicates()
        matrix.sort_indices()
    same = lo.shape == said.lo.shape and np.array_equal(lo.indptr, said.lo.indptr)
    if not same or not np.array_equal(lo.indices, said.lo.indices):
        return False
    return bool(np.all(said.lo.data <= lo.data) and np.all(hi.data <= said.hi.data))


def _equal(a, b):
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and np.array_equal(a, b)
    return a.shape == b.shape and (a != b).nnz == 0
