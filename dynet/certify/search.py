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

import numpy as np

from ..errors import ArgumentError
from ..fields.base import VectorField
from ..fields.lure import LureField, diagonal_of
from ..linalg.metzler import perron, row_choice_perron
from ..linalg.norms import Norm
from .certificate import Certificate
from .claims import LARGEST_WEIGHT, LEAST_WEIGHT, DiagonalClaim, QuadraticClaim, RowsClaim
from .lure import LureStructure

__all__ = ["certify"]

KINDS = ("auto", "strong", "weak")
_DENSE = 2_000  # largest n for which a full matrix P is considered


def certify(model, norm=None, *, kind="auto", region=None, tol=None):
    r"""Prove that a field contracts: with what rate, in which norm.

    Parameters
    ----------
    model : VectorField
    norm : Norm, 1, 2 or inf, optional
        A :class:`~dynet.Norm` with weights is evaluated as it stands; a number p (or word) asks for the best weights of that
        p; None tries 1, 2 and inf and returns the best rate.
    kind : str
        ``"strong"`` (rate > 0), ``"weak"`` (distances never grow), or ``"auto"``: the strongest that holds.
    region : None
        The whole space; no other region is supported yet.
    tol : float, optional
        Relative gap at which the search for weights stops.

    Returns
    -------
    Certificate
        Its truth value says whether the field is proven to be (weakly) contracting; its reason says why, or why not.

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
    """
    if not isinstance(model, VectorField):
        raise ArgumentError("model", model, "a model: dn.models.*, or a function under @dn.vector_field")
    if kind not in KINDS:
        raise ArgumentError("kind", kind, "the kind of contraction", choices=KINDS)
    if region is not None:
        raise ArgumentError("region", region, "None, the whole space: other regions are not supported yet")
    if norm is not None and not isinstance(norm, Norm):
        norm = Norm(norm)
    if norm is not None and norm.p not in (1, 2, math.inf):
        raise ArgumentError("norm", norm, "p = 1, 2 or inf", choices=("1", "2", "inf"))
    if norm is not None and norm.n not in (None, model.n):
        raise ArgumentError("norm", norm, f"{model.n} weights, one for each state of {model}")
    if norm is not None and norm.weights is not None and norm.weights.ndim == 1:
        for i in np.flatnonzero((norm.weights < LEAST_WEIGHT) | (norm.weights > LARGEST_WEIGHT))[:1]:
            expected = f"weights between {LEAST_WEIGHT:g} and {LARGEST_WEIGHT:g}: scale them, the rate stays the same"
            raise ArgumentError(f"norm.weights[{i}]", float(norm.weights[i]), expected)
    if tol is not None and (isinstance(tol, (bool, str)) or not (np.isscalar(tol) and 0 < tol < 1)):
        raise ArgumentError("tol", tol, "None, or a relative gap between 0 and 1")
    if not isinstance(model, LureField):
        return _unknown(model, "a certificate needs the structure of the field: this one is given by a function, whose "
                        "Jacobian is known at points only")  # fmt: skip
    structure = structure_of(model)
    if norm is not None and norm.weights is not None:
        claims = [_given(structure, norm)]
        claims = [c for c in claims if c is not None]
        found = [(c, -math.inf) for c in claims]
    else:
        orders = (math.inf, 1.0, 2.0) if norm is None else (norm.p,)
        found = [pair for p in orders for pair in _search(structure, p, tol)]
    if not found:
        return _unknown(model, "no rule bounds the log norm in this norm: give diagonal weights, or let p be searched")
    proven = [(claim.least(), claim, lower) for claim, lower in found]
    b, claim, lower = min(proven, key=lambda item: item[0])
    return _certificate(model, structure, claim, b, lower, kind)


def structure_of(model):
    """The numbers of a Lur'e field that certificates are about; a matrix that is diagonal is known as one."""
    parts = [(m, diagonal_of(m)) for m in (model.E, model.F, model.G)]
    return LureStructure(*(m if d is None else d for m, d in parts), *model.slopes)


def is_about(certificate, model):
    """Whether the claim of a certificate covers a model: the same matrices, and no slope outside its intervals."""
    if certificate.claim is None or not isinstance(model, LureField):
        return False
    said, meant = certificate.claim.structure, structure_of(model)
    if said.lo.shape != meant.lo.shape or not np.all((said.lo <= meant.lo) & (meant.hi <= said.hi)):
        return False
    pairs = [(getattr(said, name), getattr(meant, name)) for name in ("E", "F", "G")]
    return all(_equal(a, b) for a, b in pairs)


def _equal(a, b):
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return np.array_equal(a, b)
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray) or a.shape != b.shape:
        return False
    return (a != b).nnz == 0


def _search(structure, p, tol):
    """The claims worth proving for a p, each with a lower bound on what any weights of that p reach."""
    if p != 2:
        rows = [(m.high, m.off) for m in structure.majorants(p)]
        found = row_choice_perron(rows, tol)
        if not structure.exact:
            return [(RowsClaim(structure, p, found.vector), -math.inf)]
        # the entries of `rows` were rounded up: what the witness proves of them it proves of the exact ones, less this
        inside = found.witness > 0
        rounding = (structure.size_product(p, found.witness)[inside] / found.witness[inside]).max()
        return [(RowsClaim(structure, p, found.vector), found.lower - 2.0**-50 * rounding)]
    M = structure.majorants(2)[0].matrix()
    right, left = perron(M, tol), perron(M.T if isinstance(M, np.ndarray) else M.T.tocsr(), tol)
    weights = left.vector / right.vector
    weights = np.maximum(weights / weights.max(), 10 * LEAST_WEIGHT)
    claims = [(DiagonalClaim(structure, weights, right.vector), -math.inf)]
    P = _symmetric_weights(structure)
    if P is not None:
        claims.append((QuadraticClaim(structure, P), -math.inf))
    return claims


def _given(structure, norm):
    """The claim that evaluates a norm whose weights are given."""
    if norm.p != 2:
        return RowsClaim(structure, norm.p, np.array(norm.weights))
    if norm.weights.ndim == 2:
        return QuadraticClaim(structure, np.array(norm.weights)) if QuadraticClaim.applies(structure) else None
    M = structure.majorants(2)[0].matrix()
    weights = np.array(norm.weights)
    if isinstance(M, np.ndarray):
        back = (M.T * weights) / weights[:, None]
    else:
        from scipy.sparse import diags_array

        back = diags_array(1 / weights) @ M.T @ diags_array(weights)
    middle = (M + back) / 2
    v = perron(middle if isinstance(middle, np.ndarray) else middle.tocsr()).vector
    return DiagonalClaim(structure, weights, v)


def _symmetric_weights(structure):
    r"""The optimal P for symmetric weights and one leak: theta of the eigenvalues, or its inverse.

    For :math:`\dot x = -cx + \Phi(Ax)` with slopes in [0, h] and symmetric A scale time and A so that c = h = 1; with the
    largest eigenvalue a < 1 of A the rate is 1 - a for :math:`P = \theta(A)`,
    :math:`\theta(z) = 2a(1 + \sqrt{1 - z/a}) - z` when a > 0, and 1 for P = -A when a < 0. For the Hopfield field P is the
    inverse.
    """
    if structure.n > _DENSE or not QuadraticClaim.applies(structure):
        return None
    A = structure.G if structure.shared == "rows" else structure.F
    E, A = (m if isinstance(m, np.ndarray) else m.toarray() for m in (structure.E, A))
    leak = -(E if E.ndim == 1 else np.diagonal(E))
    h = structure.slopes()[1]
    plain = A.ndim == 2 and np.array_equal(A, A.T) and np.ptp(leak) == 0 and np.ptp(h) == 0 and leak[0] > 0 and h[0] > 0
    if not plain or (E.ndim == 2 and np.count_nonzero(E - np.diag(np.diagonal(E)))):
        return None
    ratio = h[0] / leak[0]
    values, vectors = np.linalg.eigh(A * ratio)
    a = values[-1]
    if a >= 1:
        return None
    if a > 1e-12:
        theta = 2 * a * (1 + np.sqrt(np.maximum(0.0, 1 - values / a))) - values
    elif a < -1e-12:
        theta = -values
    else:
        theta = -values + 1e-6 * (1 + np.abs(values).max())
    theta = theta / ratio
    if structure.shared == "columns":
        theta = 1 / theta
    P = (vectors * theta) @ vectors.T
    return (P + P.T) / 2


def _certificate(model, structure, claim, b, lower, kind):
    rate = -b if b else 0.0
    holds = math.isfinite(b) and claim.holds(b)
    strong, weak = holds and rate > 0, holds and rate == 0
    least = (
        "; no other diagonal weights of this p do better"
        if lower > -math.inf and lower > b - 1e-6 * (1 + abs(b))
        else ""
    )
    if claim.kind == "quadratic":
        how = "a quadratic inequality that holds for all slopes at once"
    elif claim.kind == "diagonal":
        how = "the log norm of a Metzler matrix that dominates all Jacobians"
    elif structure.exact and claim.p == 1 and structure.shared == "rows" and not _is_invertible_diagonal(structure.G):
        how = "an upper bound, the largest log norm over all slopes: states attain it where the coupling is invertible"
    elif structure.exact:
        how = "the largest log norm over all slopes, attained by some of them"
    else:
        how = "the log norm of an entrywise bound on all Jacobians"
    if strong or (weak and kind != "strong"):
        what = "strong" if strong else "weak"
        return Certificate("certified", what, rate, claim.norm(), (lower, b), how, model=model.name, claim=claim)
    if strong is False and kind == "strong" and weak:
        reason = f"only weakly contracting: {how} is 0{least}"
    else:
        reason = f"{how} is {b:.6g}, not negative{least}"
    return Certificate("unknown", "none", rate, claim.norm(), (lower, b), reason, model=model.name, claim=claim)


def _is_invertible_diagonal(matrix):
    return isinstance(matrix, np.ndarray) and matrix.ndim == 1 and bool(np.all(matrix != 0))


def _unknown(model, reason):
    return Certificate("unknown", "none", -math.inf, None, (-math.inf, math.inf), reason, model=model.name)
