"""The search for certificates beyond contraction: semi-contraction, k- and alpha-contraction.

As in :mod:`dynet.certify.search`, nothing that is found here is believed before its claim has proven it.
"""

from __future__ import annotations

import math

import numpy as np

from ..errors import ArgumentError, Shown
from ..linalg.metzler import perron
from ..linalg.norms import Norm
from ..linalg.ranges import RangeSeminorm
from .certificate import Certificate, Law
from .claims import DiagonalClaim, RowsClaim
from .compound import AlphaClaim, CompoundStructure, check_order, pattern
from .kept import semi_of_function
from .semi import RangeClaim, ReducedStructure, WeightedRange
from .vertices import VertexClaim
from .weak import approximate_eigenvalue, eigenvalue, find_law

__all__ = ["alpha", "function_semi", "k_contraction", "semi"]

_QUICK = 200_000  # entries of a compound that is tried unasked
_FEW = 300  # states up to which compounds are tried unasked
_ROUNDED = ("to within rounding only: with its numbers taken at their word the field moves the kernel. Write couplings through "
            "differences (F and G of a graph's edges) to make it exact")  # fmt: skip


def semi(model, structure, norm=None):
    """The best certificate of semi-contraction, or one that says why there is none."""
    if isinstance(norm, Norm) and norm.R is not None:
        return _reduced(model, structure, norm)
    if isinstance(norm, RangeSeminorm):
        norm = WeightedRange(math.inf if norm.on_differences else 1, np.ones(model.n))
    if structure.form != "lure" or model.n < 2:
        return _none(model, "a kernel that every Jacobian keeps is proven for Lur'e fields of two or more states only")
    if isinstance(norm, WeightedRange):
        vectors = [(norm.p, norm.weights)]
    else:
        orders = (math.inf, 1.0) if norm is None else (math.inf,) if norm.p == 2 else (norm.p,)
        vectors = [(p, v) for p in orders for v in [_kernel(structure, p)] if v is not None]
    if isinstance(norm, Norm) and norm.p == 2:
        return _euclidean(model, structure, vectors)
    found = []
    for p, vector in vectors:
        claim = RangeClaim(structure, p, vector)
        b = claim.least()
        if b < math.inf:
            found.append((b, "certified", claim))
            continue
        rough = approximate_eigenvalue(structure, vector, left=p == 1)
        spread = claim.spread()
        if rough is not None and spread is not None:
            found.append((rough[1] - spread, "estimated", claim))
    if not found:
        return _none(model, "no positive vector is an eigenvector (or left eigenvector) of every Jacobian: there is no kernel "
                     "that all of them keep")  # fmt: skip
    b, status, claim = min(found, key=lambda item: (item[1] != "certified", item[0]))
    seen = "differences across states" if claim.p > 1 else "differences with the same weighted sum"
    if b >= 0:
        return _none(model, f"{seen} do not shrink: their log seminorm is {b:.4g}", claim, b)
    if status == "estimated":
        return Certificate("estimated", "semi", -b, claim.norm(), (-math.inf, b), f"{seen} shrink, {_ROUNDED}",
                           model=model.name, claim=claim, source=model)  # fmt: skip
    law = Law("conservation" if claim.p == 1 else "translation", claim.xi)
    law = law if eigenvalue(structure, claim.xi, claim.p == 1) == (0, 0) else None
    return _certificate(
        model, "semi", claim, b, f"{seen} shrink: what any two states have in common is enough", law=law
    )


def function_semi(model, structure, norm=None):
    """The certificate of semi-contraction of a function, from bounds on its Jacobian and the algebra of its code."""
    if isinstance(norm, Norm) and (norm.R is not None or norm.p == 2):
        return _none(model, "of a function only the range of the states, and its dual, are known as seminorms")
    if isinstance(norm, RangeSeminorm):
        norm = WeightedRange(math.inf if norm.on_differences else 1, np.ones(model.n))
    weights = norm.weights if isinstance(norm, WeightedRange) else None
    claim = semi_of_function(model, structure, weights, None if norm is None else norm.p) if model.n > 1 else None
    if claim is None:
        return _none(model, "algebra on the function's code shows no kernel that every Jacobian keeps: neither a shift of all "
                     "states nor their sum is known to it; bounds on the Jacobian cannot show that a sum is zero")  # fmt: skip
    b = claim.least()
    seen = "differences across states" if claim.p > 1 else "differences with the same weighted sum"
    if not b < 0:
        return _none(model, f"{seen} do not shrink: their log seminorm is {b:.4g}", claim, b)
    law = Law("conservation" if claim.p == 1 else "translation", claim.xi)
    law = law if eigenvalue(claim.structure, claim.xi, claim.p == 1) == (0, 0) else None
    return _certificate(
        model, "semi", claim, b, f"{seen} shrink; the kernel is kept, by algebra on the function's code", law=law
    )


def _kernel(structure, p):
    """A positive vector that all Jacobians (transposed ones for p = 1) keep: ones, or one that they annihilate."""
    ones = np.ones(structure.n)
    if eigenvalue(structure, ones, left=p == 1) is not None:
        return ones
    rough = approximate_eigenvalue(structure, ones, left=p == 1)
    law = find_law(structure, "conservation" if p == 1 else "translation")
    if law is not None and (law[1] or rough is None):
        return law[0]
    return ones if rough is not None else None


def _euclidean(model, structure, vectors):
    """The Euclidean distance to the kernel, by the vertices of the slopes."""
    for _, xi in vectors:
        n = model.n
        R = np.hstack([np.eye(n - 1), -(xi[:-1] / xi[-1])[:, None]])
        inverse = np.linalg.inv(R @ R.T)
        return _reduced(model, structure, Norm(2, (inverse + inverse.T) / 2, R))
    return _none(model, "no positive vector is an eigenvector of every Jacobian")


def _reduced(model, structure, norm):
    """A seminorm that is given by its matrix R."""
    reduced = ReducedStructure(structure, np.array(norm.R))
    try:
        reduced.check()
    except ValueError as error:
        return _none(model, f"{error}; checked exactly")
    claims = []
    if norm.p == 2 and np.ndim(norm.weights) != 1:
        P = np.eye(reduced.n) if norm.weights is None else np.array(norm.weights)
        if VertexClaim.applies(reduced):
            claims.append(VertexClaim(reduced, P))
    if norm.weights is None or np.ndim(norm.weights) == 1:
        if norm.weights is not None:
            weights = np.array(norm.weights)
            fixed = DiagonalClaim(reduced, weights, _ones_vector(reduced, weights)) if norm.p == 2 else None
            claims.append(RowsClaim(reduced, norm.p, weights) if norm.p != 2 else fixed)
        elif norm.p != 2:
            claims.append(RowsClaim(reduced, norm.p, perron(reduced.majorants(norm.p)[0].matrix()).vector))
    if not claims:
        return _none(model, "no rule bounds the log norm in this seminorm: there are too many vertices of slopes")
    b, claim = min(((c.least(), c) for c in claims), key=lambda item: item[0])
    if b < 0:
        return _certificate(
            model, "semi", claim, b, "the log norm of the reduced Jacobians; the kernel is kept, exactly"
        )
    return _none(model, f"the log seminorm is {b:.4g}, not negative", claim, b)


def _ones_vector(structure, weights):
    M = structure.majorants(2)[0].matrix()
    return perron((M + (M.T * weights) / weights[:, None]) / 2).vector


def k_contraction(model, structure, norm=None, order=None, quick=False):
    """The certificate of the least k that contracts, or of the k that is asked for; or why there is none."""
    n = model.n
    orders = range(2, n + 1) if order is None else [check_order(order, n, whole=True)]
    if quick and n > _FEW:
        return _none(model, "compounds of so many states are tried only when they are asked for")
    if quick:
        orders = [2] if n > 1 else []  # what higher orders say of a field is less than one expects of an answer unasked
    last = None
    for k in orders:
        compound = CompoundStructure(structure, k)
        if quick and compound.entries > _QUICK:
            last = last if last is not None else _none(model, f"the compound of order {k} is too large to try unasked")
            continue
        try:
            compound.check()
        except ValueError as error:
            return _none(model, str(error))
        b, claim = _best(compound, norm)
        if b < 0:
            reason = "the log norm of the compound, bounded from the entries of the Jacobian"
            if claim.kind == "vertices":
                reason = "the log norm of the compound at the vertices of the slopes, where it is largest"
            return _certificate(model, "k", claim, b, reason, order=float(k))
        last = _none(
            model,
            f"volumes of dimension {k} are not shown to shrink: the log norm of the compound is {b:.4g}",
            claim,
            b,
        )
    return last if last is not None else _none(model, "a field of one state has no volumes of dimension 2")


def alpha(model, structure, norm=None, order=None):
    """The certificate of a real order, or of (slightly more than) the least order that can be shown."""
    n = model.n
    if order is not None:
        order = check_order(order, n, whole=False)
        if order == int(order):
            return k_contraction(model, structure, norm, int(order))
    orders = (1.0, math.inf, 2.0) if norm is None else (norm.p,)
    best = None
    for p in orders:
        here = Norm(p) if norm is None else norm
        found = _alpha_of(model, structure, here, order)
        if found is not None and (best is None or (found.order, found.bounds[1]) < (best.order, best.bounds[1])):
            best = found
    if best is None:
        what = "no order" if order is None else f"order {order:.6g}"
        return _none(model, f"{what} is shown to contract in these norms")
    return best


def _alpha_of(model, structure, norm, order):
    ks = range(1, model.n) if order is None else [math.floor(order)]
    low = None
    for k in ks:
        structures = [CompoundStructure(structure, j) for j in (k, k + 1)]
        if max(s.entries for s in structures) > _QUICK * 10:
            return None
        low = _best(structures[0], norm) if low is None else low
        high = _best(structures[1], norm)
        if math.isfinite(low[0]) and math.isfinite(high[0]):
            at = order
            if at is None and low[0] >= 0 > high[0]:
                at = min(k + low[0] / (low[0] - high[0]) * (1 + 1e-9) + 1e-9, k + 1 - 1e-9)
            elif at is None and low[0] < 0:
                return _certificate(model, "k", low[1], low[0], "volumes of a whole dimension shrink", order=float(k))
            if at is not None:
                claim = AlphaClaim((low[1], high[1]), at, np.array([low[0], high[0]]))
                b = claim.least()
                if b < 0:
                    reason = "the mean of the log norms of two compounds"
                    return _certificate(model, "alpha", claim, b, reason, order=at)
        low = high
    return None


def _best(compound, norm):
    """The least bound on the log norm of a compound, and its claim."""
    base, p = compound.base, None if norm is None else norm.p
    if norm is not None and norm.weights is not None:
        return _given(compound, norm)
    claims = []
    for q in (1.0, math.inf):
        if p in (None, q):
            M = np.maximum.reduce([np.asarray(_dense(m.matrix())) for m in compound.majorants(q)]) if compound.n <= 300 else \
                _largest(compound.majorants(q))  # fmt: skip
            claims.append(RowsClaim(compound, q, perron(M).vector))
            claims.append(RowsClaim(compound, q, np.ones(compound.n)))
    if p in (None, 2.0):
        if VertexClaim.applies(compound):
            claims.append(VertexClaim(compound, np.eye(compound.n)))
        if len(base.majorants(2)) == 1:
            M = compound.majorants(2)[0].matrix()
            turned = M.T if isinstance(M, np.ndarray) else M.T.tocsr()
            right, left = perron(M).vector, perron(turned).vector
            weights = left / right
            claims.append(DiagonalClaim(compound, weights / weights.max(), right))
    return min(((c.least(), c) for c in claims), key=lambda item: item[0])


def _given(compound, norm):
    """With weights: of the compound's sets; or of the states, of which a set has the product."""
    w = np.array(norm.weights)
    if w.ndim == 1 and len(w) == compound.base.n and compound.k > 1:
        w = np.prod(w[pattern(compound.base.n, compound.k)[0]], axis=1)
    if len(w) != compound.n:
        raise ArgumentError(
            "norm", Shown(f"{len(w)} weights"), f"{compound.base.n} weights of states or {compound.n} of sets"
        )
    if norm.p != 2:
        claim = RowsClaim(compound, norm.p, w)
    elif w.ndim == 2:
        claim = VertexClaim(compound, w)
        if not VertexClaim.applies(compound):
            return math.inf, claim
    else:
        claim = DiagonalClaim(compound, w, _ones_vector(compound, w))
    return claim.least(), claim


def _largest(majorants):
    M = majorants[0].matrix()
    for other in majorants[1:]:
        N = other.matrix()
        M = np.maximum(M, N) if isinstance(M, np.ndarray) else M.maximum(N)
    return M


def _dense(M):
    return M if isinstance(M, np.ndarray) else M.toarray()


def _certificate(model, kind, claim, b, reason, order=None, law=None):
    if not (b < 0 and claim.holds(b)):
        return _none(model, f"{reason}: {b:.4g}, not negative", claim, b)
    return Certificate("certified", kind, -b, claim.norm(), (-math.inf, b), reason, model=model.name, claim=claim,
                       order=order, law=law, source=model)  # fmt: skip


def _none(model, reason, claim=None, b=math.inf):
    norm = None if claim is None or not math.isfinite(b) else claim.norm()
    order = None if claim is None else claim.order
    return Certificate("unknown", "none", -b, norm, (-math.inf, b), reason, model=model.name,
                       claim=None if norm is None else claim, order=order, source=model)  # fmt: skip
