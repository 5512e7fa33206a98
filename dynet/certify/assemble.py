"""The search for a certificate of an interconnection: of each part, in norms that fit together, and of the gains."""

from __future__ import annotations

import math

import numpy as np

from ..errors import ArgumentError, Shown
from ..linalg.norms import Norm
from .certificate import Certificate
from .composite import InterconnectedClaim, gain_bound
from .interconnect import GainStructure, breaking_loop
from .region import Box, WholeSpace

__all__ = ["certify_interconnection", "gain_matrix"]


def certify_interconnection(model, norm, kind, region, tol, certificates=None):
    """The best certificate of an interconnection in a composite norm, or why there is none.

    Parameters
    ----------
    model : InterconnectionField
    norm : None, p or Norm without weights
        The p of the norms of all parts and of the outer norm; inf, 1 and 2 are tried when None.
    kind : str
    region : Region
        Whole space, or a box, which is cut into one for each part.
    tol : float or None
    certificates : dict of str to Certificate, optional
        Certificates of parts to use instead of searching.
    """
    if kind not in ("auto", "strong"):
        return _none(model, f"an interconnection is certified for strong contraction, not for kind {kind!r}")
    if norm is not None and (not isinstance(norm, Norm) or norm.weights is not None or norm.R is not None):
        raise ArgumentError("norm", norm, "p = 1, 2 or inf without weights: those of an interconnection are searched")
    orders = (math.inf, 1.0, 2.0) if norm is None else (norm.p,)
    certificates = check_certificates(model, certificates)
    best = None
    for p in orders:
        found = _of_order(model, p, region, tol, certificates)
        if best is None or (bool(found), found.rate) > (bool(best), best.rate):
            best = found
        if best.reason.startswith("the parts do not") and len(certificates) == len(model.leaves()):
            break
    return best


def gain_matrix(model, certificates=None, p=math.inf, region=None, tol=None):
    """The matrix of rates and gains, and the certificates of the parts that it rests on.

    Parameters
    ----------
    model : InterconnectionField
    certificates : dict of str to Certificate, optional
    p : float
        Of the norms in which the other parts are certified.
    region : WholeSpace or (lo, hi), optional
    tol : float, optional

    Returns
    -------
    gain : ndarray (r, r)
        Minus the rates on the diagonal (inf where a part has no bound), proven bounds on the gains elsewhere.
    found : list of Certificate
    """
    region = WholeSpace() if region is None else region
    certificates = check_certificates(model, certificates)
    leaves = model.leaves()
    found = [certificates.get(leaf.name) or _of_part(leaf, p, region, tol) for leaf in leaves]
    gain = np.zeros((len(leaves), len(leaves)))
    links, limits = model.couplings()
    ends = [*(leaf.first for leaf in leaves), model.n]
    owner = np.repeat(np.arange(len(leaves)), np.diff(ends))
    pairs = set()
    for matrix in (links, limits):
        entries = matrix.tocoo()
        pairs |= set(zip(owner[entries.row].tolist(), owner[entries.col].tolist(), strict=True))
    for i, one in enumerate(found):
        gain[i, i] = -one.rate
    for i, j in pairs:
        blocks = (m[ends[i] : ends[i + 1], ends[j] : ends[j + 1]] for m in (links, limits))
        norms = [one.norm if one.norm is not None else Norm(p) for one in (found[j], found[i])]
        gain[i, j] = gain_bound(*blocks, *norms)
    return gain, found


def check_certificates(model, certificates):
    """Certificates of parts by their full names, or an error that names the nearest one."""
    names = [leaf.name for leaf in model.leaves()]
    for name, one in (certificates or {}).items():
        if name not in names:
            raise ArgumentError("certificates", name, "the name of a part", choices=names, word=str(name))
        leaf = model.leaves()[names.index(name)]
        if not isinstance(one, Certificate) or not one.contracting or not isinstance(one.norm, Norm):
            raise ArgumentError(f"certificates[{name!r}]", Shown(str(one)[:60]), "a certificate of strong contraction")
        from .search import is_about

        if not is_about(one, leaf.model):
            raise ArgumentError(
                f"certificates[{name!r}]", Shown(f"one of {one.model}"), f"one of this very {leaf.model.name}"
            )
    return dict(certificates or {})


def _of_part(leaf, p, region, tol):
    from .search import certify

    if isinstance(region, WholeSpace):
        return certify(leaf.model, p, kind="strong", tol=tol)
    own = slice(leaf.first, leaf.first + leaf.model.n)
    return certify(leaf.model, p, kind="strong", region=Box(*(end[own] for end in region)), tol=tol)


def _of_order(model, p, region, tol, certificates):
    where = region if isinstance(region, WholeSpace) else region.box(model.n)
    gain, found = gain_matrix(model, certificates, p, where, tol)
    leaves = model.leaves()
    names = [leaf.name for leaf in leaves]
    place = _place(region, names, found)
    for name, one in zip(names, found, strict=True):
        if not one.contracting:
            return _none(model, f"part {name} is not shown to contract by itself: {one.reason}", place)
    if not np.isfinite(gain).all():
        i, j = np.argwhere(~np.isfinite(gain))[0]
        return _none(
            model, f"no rule bounds the gain of {names[j]} on {names[i]} between the norms of their certificates", place
        )
    outer = _outer(gain, p)
    claim = InterconnectedClaim((outer, *(one.claim for one in found)), *model.couplings())
    b = claim.least()
    facts = {"region": place, "model": model.name, "claim": claim, "source": model}
    if b < 0 and claim.holds(b):
        stated = " with the stated Lipschitz constants of functions" if claim.limits.nnz else ""
        reason = (
            f"the gain matrix is Hurwitz{stated}: the {len(names)} parts contract faster than they disturb each other"
        )
        return Certificate("certified", "strong", -b, claim.norm(), (-math.inf, b), reason, **facts)
    loop = breaking_loop(gain)
    reason = "the weights do not show it" if loop is None else loop.remedy(names)
    reason = f"the parts do not outweigh their links: the gain matrix is not Hurwitz: {reason}"
    return Certificate("unknown", "none", -b, claim.norm(), (-math.inf, b), reason, **facts)


def _outer(gain, p):
    """The claim about the matrix of gains with the best weights."""
    from .search import claims_for

    found = claims_for(GainStructure(gain), Norm(p), None)
    return min(((one.claim.least(), one.claim) for one in found), key=lambda item: item[0])[1]


def _place(region, names, found):
    places = {name: one.region for name, one in zip(names, found, strict=True) if one.region != "whole space"}
    if not places:
        return "whole space"
    words = "; ".join(f"{name} in {place.partition(' (')[0]}" for name, place in places.items())
    return f"{words} (local: links may lead out of it)"


def _none(model, reason, region="whole space"):
    return Certificate(
        "unknown", "none", -math.inf, None, (-math.inf, math.inf), reason, region, model.name, source=model
    )
