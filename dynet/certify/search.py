r"""The search for a certificate: optimal weights for each norm, then a proof that they work.

Everything here may be floating point and iterative, because nothing here is believed: the rate that is reported is the one
that the claim's own check proves for the weights that were found.

References
----------
Davydov, Proskurnikov, Bullo, Non-Euclidean contractivity of recurrent neural networks, arXiv:2110.08298.
Centorrino, Gokhale, Davydov, Russo, Bullo, Euclidean contractivity of neural networks with symmetric weights,
arXiv:2302.13452.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ..errors import ArgumentError
from ..fields.base import VectorField
from ..fields.derivative import fingerprint
from ..fields.function import FunctionField
from ..fields.interconnection import InterconnectionField
from ..fields.lure import LureField, diagonal_of
from ..fields.network import NetworkField
from ..linalg.norms import Norm
from ..linalg.ranges import RangeSeminorm
from . import explain, kinds
from .certificate import Certificate, Law
from .claims import LARGEST_WEIGHT, LEAST_WEIGHT
from .function import certify_function, confirm, described, enclosing_structure
from .kept import weak_of_function
from .local import local_slopes
from .lure import LureStructure
from .network import network_region, network_structure
from .optimal import claims_for, full_matrices
from .region import WholeSpace, as_region, read_region
from .semi import WeightedRange
from .weak import MonotoneClaim, find_law, is_monotone, keeps

__all__ = ["certify"]

_ASKED, _UNASKED = 30, 16  # states (and units) up to which matrix inequalities are solved for p = 2, and for any p
KINDS = ("auto", "strong", "weak", "semi", "k", "alpha")


def certify(model, norm=None, *, kind="auto", region=None, tol=None, order=None):
    r"""Prove that a field contracts: with what rate, in which norm.

    Parameters
    ----------
    model : VectorField
    norm : Norm, 1, 2 or inf, optional
        A :class:`~dynet.Norm` with weights is evaluated as it stands; a number p (or word) asks for the best weights of that
        p; None tries 1, 2 and inf and returns the best rate. Full matrices P for p = 2 are searched by linear matrix
        inequalities where 2 is asked for, or where no other weights contract; for small Lur'e fields.
    kind : str
        ``"strong"`` (rate > 0), ``"weak"`` (distances never grow), ``"semi"`` (differences shrink: a seminorm), ``"k"``
        (k-dimensional volumes shrink), ``"alpha"`` (volumes of a real dimension do), or ``"auto"``: the strongest of the
        first four that holds. A norm that is a seminorm (:class:`~dynet.Norm` with R,
        :class:`~dynet.linalg.RangeSeminorm`) asks for ``"semi"``.
    region : Region or (lo, hi), optional
        The convex set on which the claim is made; the whole space when None. The certificate says whether the region is
        proven to be forward invariant; otherwise the claim is local, about solutions for as long as they stay in it.
    tol : float, optional
        Relative gap at which the search for weights stops; for a function, at which its region is not cut any finer.
    order : int or float, optional
        The k of ``kind="k"``, the alpha of ``kind="alpha"``; the least that holds when None.

    Returns
    -------
    Certificate
        Its truth value says whether its kind of contraction is proven; its reason says why, or why not, and which states
        are to blame.

    Raises
    ------
    ArgumentError
        For a norm whose weights do not fit, an unknown kind, an activation without declared slopes.

    Examples
    --------
    >>> import dynet as dn
    >>> net = dn.models.FiringRate([[-1.0, 0.5], [-0.75, 0.25]])
    >>> print(dn.certify(net))
    Certificate: FiringRate is strongly contracting
      rate    0.5
      norm    l_inf with weights 0.333 to 1
      osLip   <= -0.5 (no other diagonal weights do better)
      region  whole space
      status  certified
      why     the largest log norm over all slopes, attained by some of them
    >>> thomas = dn.models.Lure(E=-0.6 * np.eye(3), F=np.eye(3), G=np.roll(np.eye(3), 1, axis=1), activation="sin")
    >>> cert = dn.certify(thomas, 2, kind="k", order=2)
    >>> cert.verdict(), round(cert.rate, 9)
    ('2-contracting', 0.2)
    """
    if hasattr(model, "step"):
        reason = "a vector field: this is a map, whose contraction factor is its own (factor, tangent_factor)"
        raise ArgumentError("model", model, reason)
    if not isinstance(model, VectorField):
        raise ArgumentError("model", model, "a model: dn.models.*, or a function under @dn.vector_field")
    if kind not in KINDS:
        raise ArgumentError("kind", kind, "the kind of contraction", choices=KINDS)
    region = as_region(region).fits(model.n)
    norm = _check_norm(norm, model, kind)
    if tol is not None and (isinstance(tol, (bool, str)) or not (np.isscalar(tol) and 0 < tol < 1)):
        raise ArgumentError("tol", tol, "None, or a relative gap between 0 and 1")
    if order is not None and kind not in ("k", "alpha"):
        raise ArgumentError("order", order, f"None for kind={kind!r}: only the kinds k and alpha have an order")
    if isinstance(model, InterconnectionField):
        from .assemble import certify_interconnection

        return certify_interconnection(model, norm, kind, region, tol)
    if isinstance(model, FunctionField):
        return replace(_of_function(model, norm, kind, region, tol, order), source=model)
    if isinstance(model, NetworkField):
        return _of_network(model, norm, kind, region, tol, order)
    if not isinstance(model, LureField):
        return _unknown(model, "a certificate needs the structure of the field, and this form has none that is known")
    structure = structure_of(model, region)
    answer = _answer(model, structure, norm, kind, tol, order)
    return replace(answer, region=described(model, region, answer.claim, answer.rate if answer.contracting else 0.0))


def _check_norm(norm, model, kind):
    """The norm as an object, or an error; with the weights of the states, unless volumes are to be measured."""
    if norm is None:
        return None
    if isinstance(norm, RangeSeminorm | WeightedRange):
        if kind not in ("semi", "auto"):
            raise ArgumentError("norm", norm, f"a norm for kind={kind!r}: this is a seminorm")
        if norm.n not in (None, model.n):
            raise ArgumentError("norm", norm, f"{model.n} weights, one for each state of {model}")
        return norm
    norm = norm if isinstance(norm, Norm) else Norm(norm)
    if norm.p not in (1, 2, math.inf):
        raise ArgumentError("norm", norm, "p = 1, 2 or inf", choices=("1", "2", "inf"))
    if norm.R is not None and kind not in ("semi", "auto"):
        raise ArgumentError("norm", norm, f"a norm for kind={kind!r}: this is a seminorm")
    if norm.n not in (None, model.n) and kind not in ("k", "alpha"):
        raise ArgumentError("norm", norm, f"{model.n} weights, one for each state of {model}")
    if norm.weights is not None and norm.weights.ndim == 1:
        for i in np.flatnonzero((norm.weights < LEAST_WEIGHT) | (norm.weights > LARGEST_WEIGHT))[:1]:
            expected = f"weights between {LEAST_WEIGHT:g} and {LARGEST_WEIGHT:g}: scale them, the rate stays the same"
            raise ArgumentError(f"norm.weights[{i}]", float(norm.weights[i]), expected)
    return norm


def _of_function(model, norm, kind, region, tol, order):
    """The certificate of a field given by a function."""
    if kind in ("auto", "strong", "weak") and not _is_seminorm(norm):
        more = kind != "strong" and model.n > 1 and (norm is None or norm.weights is None)
        structure = enclosing_structure(model, region) if more else None
        p = None if norm is None else norm.p
        weak = None if structure is None else weak_of_function(model, region, structure, p)
        place = described(model, region, None, 0.0) if structure is not None else ""
        # with a law there is no strong contraction to be found, however finely the region is cut
        found = certify_function(model, norm, kind, region, tol) if weak is None else replace(weak, region=place)
        if found or structure is None or kind != "auto":
            return found
        for other in (
            kinds.function_semi(model, structure, norm),
            kinds.k_contraction(model, structure, norm, quick=True),
        ):
            if other:
                return replace(other, region=place, reason=f"{other.reason}. No contraction: {found.reason}")
        return found
    structure = enclosing_structure(model, region)
    if structure is None:
        return _unknown(model, f"the Jacobian has no bound on {region}", str(region))
    if kind in ("k", "alpha"):
        found = (kinds.k_contraction if kind == "k" else kinds.alpha)(model, structure, norm, order)
    else:
        found = kinds.function_semi(model, structure, norm)
    return replace(found, region=described(model, region, None, 0.0))


def _of_network(model, norm, kind, region, tol, order):
    """The certificate of a network, from slopes of its node and edge functions that are declared or follow from the region."""
    where, structure = network_region(model, region), network_structure(model, region)
    if structure is None:
        what = (
            "declares no slopes of its node and edge functions"
            if model.facts.slopes is None
            else "has unbounded slopes"
        )
        more = "" if not isinstance(region, WholeSpace) else "; or name a region on which they are bounded"
        return _unknown(model, f"this network {what}: models.Network takes slopes={more}", where)
    found = _answer(model, structure, norm, kind, tol, order)
    return replace(found, region=network_region(model, region, structure) if found else where)


def _answer(model, structure, norm, kind, tol, order):
    """The certificate of the kind that is asked for, or why there is none; on the region that the structure is about."""
    if kind == "k":
        return kinds.k_contraction(model, structure, norm, order)
    if kind == "alpha":
        return kinds.alpha(model, structure, norm, order)
    if kind == "semi" or _is_seminorm(norm):
        return kinds.semi(model, structure, norm)
    found = _contraction(model, structure, norm, kind, tol)
    if found or kind != "auto" or (norm is not None and norm.weights is not None):
        return found
    others = [kinds.semi(model, structure, norm), kinds.k_contraction(model, structure, norm, quick=True)]
    for other in others:
        if other:
            return replace(other, reason=f"{other.reason}. No contraction: {found.reason}")
    return replace(found, reason=". ".join(dict.fromkeys(c.reason for c in (found, *others))))


def _is_seminorm(norm):
    return norm is not None and (not isinstance(norm, Norm) or norm.R is not None)


def structure_of(model, region=None):
    """The numbers of a Lur'e field that certificates are about; a matrix that is diagonal is known as one."""
    parts = [(m, diagonal_of(m)) for m in (model.E, model.F, model.G)]
    return LureStructure(*(m if d is None else d for m, d in parts), *local_slopes(model, as_region(region)))


def is_about(certificate, model):
    """Whether the claim of a certificate covers a model: the same matrices (the same function), and no slope of its region
    outside the certificate's intervals; False where that cannot be told.

    >>> import dynet as dn
    >>> net = dn.models.FiringRate([[0.5]])
    >>> is_about(dn.certify(net), net), is_about(dn.certify(net), dn.models.FiringRate([[0.4]]))
    (True, False)
    """
    said = getattr(certificate.claim, "structure", None)
    if isinstance(model, InterconnectionField):
        return _is_about_parts(certificate, model)
    if isinstance(model, FunctionField):
        same = getattr(said, "origin", {}).get("digest") == fingerprint(model)
        # a file's word for it is not enough that its bounds are this function's
        return same and (certificate.source is not None or confirm(certificate, model))
    if isinstance(model, NetworkField):
        whole = certificate.region == network_region(model, WholeSpace())
        meant = network_structure(model, None if whole else read_region(certificate.region))
        if meant is None or getattr(said, "form", "") != meant.form:
            return False
        names = ("E", "F", "G", "lo", "hi") if meant.form == "lure" else ("lo", "hi")
        return all(_equal(getattr(said, name), getattr(meant, name)) for name in names)
    if not isinstance(model, LureField) or getattr(said, "form", "") != "lure":
        return False
    meant = structure_of(model, read_region(certificate.region))
    if said.lo.shape != meant.lo.shape or not np.all((said.lo <= meant.lo) & (meant.hi <= said.hi)):
        return False
    return all(_equal(getattr(said, name), getattr(meant, name)) for name in ("E", "F", "G"))


def _is_about_parts(certificate, model):
    """The same for an interconnection on the whole space: its links, and the claims about its parts."""
    claim, leaves = certificate.claim, model.leaves()
    if getattr(claim, "kind", "") != "interconnection" or certificate.region != "whole space":
        return False
    same = all(_equal(a, b) for a, b in zip((claim.links, claim.limits), model.couplings(), strict=True))
    parts, gain = claim.parts[1:], claim.structure.gain
    return same and len(parts) == len(leaves) and all(
        is_about(replace(certificate, claim=part, norm=part.norm(), rate=-float(gain[i, i])), leaf.model)
        for i, (part, leaf) in enumerate(zip(parts, leaves, strict=True))
    )  # fmt: skip


def any_input(certificate):
    """Whether a claim covers every input of its field, not only the field's own."""
    if getattr(certificate.claim, "kind", "") == "interconnection":
        return all(any_input(replace(certificate, claim=part)) for part in certificate.claim.parts[1:])
    origin = getattr(getattr(certificate.claim, "structure", None), "origin", None)
    if origin is not None:
        return origin.get("input", "any") == "any"
    return certificate.region == "whole space"


def _equal(a, b):
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return np.array_equal(a, b)
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray) or a.shape != b.shape:
        return False
    return (a != b).nnz == 0


def _contraction(model, structure, norm, kind, tol):
    """Strong contraction, else weak contraction, or why neither is shown."""
    found = claims_for(structure, norm, tol)
    if not found:
        return _unknown(model, "no rule bounds the log norm in this norm: give diagonal weights, or let p be searched")
    proven = [(one.claim.least(), *one) for one in found]
    b, claim, lower, where, floor = min(proven, key=lambda item: item[0])
    searched = norm is None or (norm.weights is None and norm.p == 2)
    if searched and (norm is not None or b >= 0):
        floors = None if norm is None else (lower, floor)
        more = full_matrices(structure, b, _UNASKED if norm is None else _ASKED, floors)
        proven = [(one.claim.least(), *one) for one in more]
        b, claim, lower, where, floor = min([(b, claim, lower, where, floor), *proven], key=lambda item: item[0])
    b = float(b)
    lower = min(lower, b)
    holds = math.isfinite(b) and claim.holds(b)
    how = _how(structure, claim)
    tight = lower > -math.inf and lower > b - 1e-6 * (1 + abs(b))
    facts = {"model": model.name, "source": model, "floor": floor}
    if holds and b < 0:
        return Certificate("certified", "strong", -b, claim.norm(), (lower, b), how, claim=claim, **facts)
    least = f"; {explain.no_better(floor)}" if tight else ""
    if kind != "strong":
        weak = _weak(model, structure, norm)
        if weak is not None:
            return weak
        if holds and b == 0:
            return Certificate("certified", "weak", 0.0, claim.norm(), (lower, b), how, claim=claim, **facts)
    if holds and b == 0:
        reason = f"only weakly contracting: {how} is 0{least}"
    else:
        reason = f"{how} is {b:.6g}, not negative{least}{_blame(model, claim, b, where)}"
    laws = _laws(structure) if abs(b) <= 1e-9 or kind == "strong" or not tight else []
    if laws:
        doubt = "" if laws[0][1] else " (to within rounding)"
        reason += f"; the field {laws[0][0]}{doubt}, so that no norm has a positive rate"
    return Certificate("unknown", "none", -b if b else 0.0, claim.norm(), (lower, b), reason, claim=claim, **facts)


def _weak(model, structure, norm):
    """Weak contraction by monotonicity and a law, or None."""
    if structure.form != "lure":
        return None
    for name, p in (("translation", math.inf), ("conservation", 1.0)):
        if norm is not None and (norm.p != p or np.ndim(norm.weights) == 2):
            continue
        if not is_monotone(structure):
            return None
        if norm is None or norm.weights is None:
            law = find_law(structure, name)
            vector, exact = (None, False) if law is None else law
        else:
            vector = np.array(norm.weights)
            exact = keeps(structure, name, vector)
        if vector is None:
            continue
        claim = MonotoneClaim(structure, p, vector)
        law = Law(name, vector)
        facts = {"model": model.name, "claim": claim, "law": law, "source": model}
        if exact and claim.holds(0.0):
            return Certificate("certified", "weak", 0.0, claim.norm(), (0.0, 0.0), f"monotone, and it {law}", **facts)
        if norm is None or norm.weights is None:
            reason = (f"monotone, and it {law} to within rounding: with its numbers taken at their word it does not. Write "
                      "couplings through differences (F and G of a graph's edges) to make it exact")  # fmt: skip
            return Certificate("estimated", "weak", 0.0, claim.norm(), (-math.inf, 0.0), reason, **facts)
    return None


def _laws(structure):
    """What the field conserves or is invariant under: pairs (law, whether it is exact)."""
    if structure.form != "lure":
        return []
    found = [(name, find_law(structure, name)) for name in ("translation", "conservation")]
    return [(Law(name, law[0]), law[1]) for name, law in found if law is not None]


def _blame(model, claim, b, where):
    """Which states keep the bound where it is, and how much they lack."""
    if b == 0 or not math.isfinite(b) or not hasattr(claim, "quotients"):
        return ""
    if where is None:
        row = int(np.argmax(claim.quotients()))
        return f"; row {model.labels[row]} is the worst and lacks {b:.4g}"
    if len(where) == model.n and model.n > 1:
        return f"; all {model.n} states take part: each diagonal entry of the Jacobian is too large by {b:.4g}"
    names = ", ".join(model.labels[i] for i in where[:6]) + (", ..." if len(where) > 6 else "")
    noun = "state" if len(where) == 1 else f"subsystem of {len(where)} states"
    return f"; the {noun} {names} alone keeps it there: each of its diagonal entries is too large by {b:.4g}"


def _how(structure, claim):
    if claim.kind == "quadratic":
        return "a quadratic inequality that holds for all slopes at once"
    if claim.kind == "vertices":
        return "the largest log norm at the vertices of the slopes"
    if claim.kind == "criterion":
        return "the circle criterion, a quadratic inequality with multipliers for all slopes at once"
    if claim.kind == "diagonal":
        return "the log norm of a Metzler matrix that dominates all Jacobians"
    if structure.exact and claim.p == 1 and structure.shared == "rows" and not _is_invertible_diagonal(structure.G):
        return "an upper bound, the largest log norm over all slopes: states attain it where the coupling is invertible"
    if structure.exact:
        return "the largest log norm over all slopes, attained by some of them"
    return "the log norm of an entrywise bound on all Jacobians"


def _is_invertible_diagonal(matrix):
    return isinstance(matrix, np.ndarray) and matrix.ndim == 1 and bool(np.all(matrix != 0))


def _unknown(model, reason, region="whole space"):
    return Certificate(
        "unknown", "none", -math.inf, None, (-math.inf, math.inf), reason, region, model.name, source=model
    )
