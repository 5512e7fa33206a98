r"""Certificates of fields given by functions: an enclosure of the Jacobian on a region, and weights for it.

The user's function is evaluated on intervals (:mod:`dynet.fields.derivative`), the region is cut until the bound is tight or
the budget spent (:mod:`dynet.certify.cover`), and what is left is a family of interval matrices with one vector of weights.
The certificate carries these matrices: checking it proves the bound for every matrix between them, with no trust in the
search. That they enclose the Jacobian was proven by outward rounded arithmetic when they were made; the certificate
names the function, by a digest of its source and parameters, and :func:`confirm` proves it again from the function itself.

References
----------
Davydov, Jafarpour, Bullo, Non-Euclidean contraction theory for robust nonlinear stability, arXiv:2103.12263.
Johansson, Arb: efficient arbitrary-precision midpoint-radius interval arithmetic, IEEE Trans. Computers 66, 2017.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ..fields.derivative import enclose_function, fingerprint
from ..fields.enclosure import input_bounds
from ..fields.function import FunctionField
from ..fields.network import NetworkField
from ..linalg.metzler import perron
from .certificate import Certificate
from .claims import DiagonalClaim, RowsClaim
from .cover import cover, packed
from .interval import IntervalStructure
from .invariance import invariance
from .network import confirm_network
from .region import WholeSpace, read_region

__all__ = ["certify_function", "confirm", "described", "enclosing_structure"]

_BUDGET = 40_000  # evaluated boxes times states, for each p

_HULL = 256  # boxes evaluated where only their hull is used


def certify_function(model, norm, kind, region, tol):
    """The certificate of a :class:`~dynet.fields.function.FunctionField` on a region.

    Parameters
    ----------
    model : FunctionField
    norm : Norm or None
        With weights: as it stands; without: the best weights of its p; None: the best p.
    kind : str
        ``"auto"``, ``"strong"`` or ``"weak"``.
    region : Region
    tol : float or None
        Gap between the bounds at which the search stops, relative to one plus their size; 1e-4 by default.

    Returns
    -------
    Certificate

    Examples
    --------
    >>> import dynet as dn
    >>> @dn.vector_field(n=2)
    ... def cubic(t, x, p, dx):
    ...     dx[0] = -2.0 * x[0] + x[1] ** 2 / 2.0
    ...     dx[1] = -x[1] - x[1] ** 3
    >>> cert = dn.certify(cubic, norm="inf", region=([-1.0, -1.0], 1.0))
    >>> print(cert.status, cert.region, cert.rate > 0.99)
    certified box [-1.0, 1.0]^2 (invariant: the field points inward on every face) True
    """
    region.fits(model.n)
    tol = 1e-4 if tol is None else tol
    u, root = _inputs(model, region)
    if not np.isfinite(root.jacobian_lo).all() and isinstance(region, WholeSpace):
        why = root.why or "an entry of the Jacobian is unbounded"
        return _unknown(
            model, region, f"the Jacobian of the function has no bound on the whole space: {why}; name a region"
        )
    budget = max(1_000, _BUDGET // model.n)
    claims, why, first = [], "", None
    for p in (math.inf, 1.0, 2.0) if norm is None else (norm.p,):
        eta = None if norm is None or norm.weights is None else np.array(norm.weights)
        if p == 2:
            if eta is not None and eta.ndim == 2:
                return _unknown(model, region, "an enclosure of the Jacobian has no rule for a full matrix P: give "
                                "diagonal weights, or let p be searched")  # fmt: skip
            found = first or cover(model, region, math.inf, tol=tol, budget=budget, u=u)
        else:
            found = cover(model, region, p, eta=eta, tol=tol, budget=budget, u=u)
        first, why = first or found, why or found.why
        if not math.isfinite(found.upper):
            continue
        origin = _origin(model, region, u)
        if p == 2:
            claims.append((_two(found, eta, origin), -math.inf))
        else:  # points say what weights can reach only where the weights were free
            claims.append((_rows(found, p, origin), found.lower if eta is None else -math.inf))
    if not claims:
        why = why or "an entry of the Jacobian is unbounded"
        return _unknown(model, region, f"the Jacobian has no bound on {region}: {why}")
    # a bound in l2 that is better by less than the search resolves is not worth the loss of the lower bound
    handicap = {2.0: 1e-3}
    proven = [(claim.least(), claim, lower) for claim, lower in claims]
    b, claim, lower = min(proven, key=lambda item: item[0] + handicap.get(item[1].norm().p, 0.0) * (1 + abs(item[0])))
    return _certificate(model, region, claim, b, lower, kind)


def enclosing_structure(model, region, tol=1e-2):
    """Bounds on all Jacobians of a region, as one piece; None where an entry is unbounded."""
    u, root = _inputs(model, region.fits(model.n))
    if not (np.isfinite(root.jacobian_lo).all() and np.isfinite(root.jacobian_hi).all()):
        return None
    found = cover(model, region, math.inf, tol=tol, budget=_HULL, u=u)
    if not math.isfinite(found.upper):
        return None
    lo, hi = packed(found, math.inf)
    return IntervalStructure(lo[0], hi[0], origin=_origin(model, region, u))


def described(model, region, claim, rate):
    """The text of a region in a certificate: exact, and with what is known about its invariance."""
    if isinstance(region, WholeSpace):
        return str(region)
    how = invariance(model, region, claim, rate)
    return f"{region} ({how or 'local: not shown to be invariant'})"


def confirm(certificate, model, budget=200_000):
    """Prove the rate of a certificate again from the model itself, with the certificate's region and norm.

    Parameters
    ----------
    certificate : Certificate
        Of a function, in a weighted l1, l2 or l-infinity norm; or of a network.
    model : FunctionField or NetworkField
    budget : int
        How many boxes may be evaluated.

    Returns
    -------
    bool
        True is a proof that the field's one-sided Lipschitz constant on the region is at most ``-rate``, in real
        arithmetic up to the rounding of one sum, and that the certificate is about this function with these parameters.
    """
    if isinstance(model, FunctionField) and "(invariant" in certificate.region:
        region = read_region(certificate.region)
        if not invariance(model, region, certificate.claim, certificate.rate):
            return False
    claim = certificate.claim
    if isinstance(model, NetworkField):
        return bool(certificate) and certificate.check() and confirm_network(certificate, model)
    if getattr(getattr(claim, "structure", None), "form", "") == "kept":
        return _confirm_kept(certificate, model)
    if not isinstance(claim, RowsClaim | DiagonalClaim) or not isinstance(claim.structure, IntervalStructure):
        return False
    origin = claim.structure.origin
    if origin.get("digest") != fingerprint(model) or model.n != claim.structure.n or claim.norm() != certificate.norm:
        return False
    region = read_region(certificate.region)
    u = None if origin.get("input") == "any" else input_bounds(model)
    target = -certificate.rate
    if isinstance(claim, DiagonalClaim):
        found = cover(model, region, math.inf, tol=1e-4, budget=max(1_000, _BUDGET // model.n), u=u)
        lo, hi = packed(found, math.inf)
        return math.isfinite(found.upper) and replace(claim, structure=IntervalStructure(lo[0], hi[0])).holds(target)
    found = cover(model, region, claim.p, eta=claim.eta, tol=0.0, target=target - _slack(target), budget=budget, u=u)
    lo, hi = packed(found, found.upper)
    if claim.p == 1:
        lo, hi = np.swapaxes(lo, 1, 2), np.swapaxes(hi, 1, 2)
    fresh = IntervalStructure(lo, hi, pieces="columns" if claim.p == 1 else "rows")
    return bool(np.isfinite(lo).all() and np.isfinite(hi).all()) and RowsClaim(fresh, claim.p, claim.eta).holds(target)


def _confirm_kept(certificate, model):
    """Prove a claim about a vector that is kept again: the bounds, and the vector, from the function."""
    from .kept import kept

    claim, said = certificate.claim, certificate.claim.structure
    if (
        not isinstance(model, FunctionField)
        or said.origin.get("digest") != fingerprint(model)
        or not certificate.check()
    ):
        return False
    fresh = enclosing_structure(model, read_region(certificate.region))
    found = None if fresh is None else kept(model, fresh, said.vector, said.left)
    return found is not None and replace(claim, structure=found).holds(-certificate.rate)


def _slack(target):
    return -1e-13 * (1 + abs(target))


def _inputs(model, region):
    """Bounds on the input under which the Jacobian has bounds: none if it does without, else those of its own input."""
    lo, hi = region.box(model.n)
    root = enclose_function(model, lo, hi)
    if model.inputs and not np.isfinite(root.jacobian_lo).all():
        own = input_bounds(model)
        return own, enclose_function(model, lo, hi, u=own)
    return None, root


def _origin(model, region, u):
    return {
        "bounds": "interval arithmetic on the function with outward rounding; carried as data",
        "function": model.name,
        "digest": fingerprint(model),
        "region": str(region),
        "input": "any" if u is None else "its own",
    }


def _rows(found, p, origin):
    lo, hi = packed(found, found.upper)
    if p == 1:
        lo, hi = np.ascontiguousarray(np.swapaxes(lo, 1, 2)), np.ascontiguousarray(np.swapaxes(hi, 1, 2))
    structure = IntervalStructure(lo, hi, pieces="columns" if p == 1 else "rows", origin=origin)
    return RowsClaim(structure, p, found.eta)


def _two(found, weights, origin):
    """The diagonal P of the two Perron vectors, for the entrywise hull of all pieces."""
    lo, hi = packed(found, math.inf)
    structure = IntervalStructure(lo[0], hi[0], origin=origin)
    M = structure.majorants(2)[0].matrix()
    right = perron(M).vector
    if weights is None:
        weights = perron(np.ascontiguousarray(M.T)).vector / right
        weights = weights / weights.max()
    else:
        right = perron((M + (M.T * weights) / weights[:, None]) / 2).vector
    return DiagonalClaim(structure, weights, right)


def _certificate(model, region, claim, b, lower, kind):
    rate = -b if b else 0.0
    holds = math.isfinite(b) and claim.holds(b)
    lower = min(lower, b)
    how = "the largest log norm of the pieces of an enclosure of the Jacobian"
    place = described(model, region, claim, rate if holds else 0.0)
    facts = {"region": place, "model": model.name, "claim": claim}
    if holds and (rate > 0 or (rate == 0 and kind != "strong")):
        what = "strong" if rate > 0 else "weak"
        return Certificate("certified", what, rate, claim.norm(), (lower, b), how, **facts)
    if lower > 0:
        more = "; no weights of this p do better: a point of each row shows it"
    elif lower > -math.inf:
        more = f"; weights of this p may reach {lower:.6g}: smaller boxes (tol) or a smaller region may show it"
    else:
        more = ""
    row = int(np.argmax(claim.quotients()))
    reason = f"{how} is {b:.6g}, not negative; row {row} ({model.labels[row]}) is the worst{more}"
    return Certificate("unknown", "none", rate, claim.norm(), (lower, b), reason, **facts)


def _unknown(model, region, reason):
    return Certificate("unknown", "none", -math.inf, None, (-math.inf, math.inf), reason, region=str(region),
                       model=model.name)  # fmt: skip
