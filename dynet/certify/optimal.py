r"""Weights for each norm, and the claims that they may prove: the part of the search that knows about matrices.

Weighted l1 and l-infinity: a (nonlinear) Perron problem for the majorants. l2: the diagonal P of the two Perron vectors; for
symmetric weights the P that is optimal in closed form; where p = 2 is asked for and the slopes have few vertices, the
identity and that diagonal by all vertices. Full matrices by linear matrix inequalities: for all vertices, or by the circle
criterion.

References
----------
Davydov, Proskurnikov, Bullo, Non-Euclidean contractivity of recurrent neural networks, arXiv:2110.08298.
Centorrino, Gokhale, Davydov, Russo, Bullo, Euclidean contractivity of neural networks with symmetric weights,
arXiv:2302.13452.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..linalg.circle import slope_quadratic_norm
from ..linalg.lmi import common_quadratic_norm
from ..linalg.metzler import perron, row_choice_perron
from .claims import LEAST_WEIGHT, DiagonalClaim, QuadraticClaim, RowsClaim
from .criterion import CriterionClaim
from .floors import RowsFloor, dual_floor, spectrum_floor
from .vertices import VertexClaim

__all__ = ["Found", "claims_for", "full_matrices"]

_DENSE = 2_000  # largest n for which a full matrix P is considered
_VERTICES = 64  # vertices of slopes up to which they are visited unasked
_WORK = 6_000  # vertices times squared states up to which one inequality for each vertex is solved
_RESOLVED = 300  # states up to which weights of reducible matrices are refined
_SMALL = 60  # states up to which they are


class Found(NamedTuple):
    """A claim worth proving.

    Attributes
    ----------
    claim : object
    lower : float
        What no diagonal weights of the same p can improve on; -inf where that is not known.
    where : ndarray of int or None
        The states that keep the bound where it is: a strongly connected part.
    floor : object or None
        The proof of `lower`; see :mod:`dynet.certify.floors`.
    """

    claim: object
    lower: float
    where: np.ndarray | None
    floor: object | None = None


def claims_for(structure, norm=None, tol=None):
    """Claims of contraction for a norm with weights, for the best weights of its p, or for the best of all three p.

    Returns
    -------
    list of Found
        Empty where no rule bounds the log norm in that norm.
    """
    if norm is not None and norm.weights is not None:
        claim = _given(structure, norm)
        return [] if claim is None else [Found(claim, -math.inf, None)]
    found = [one for p in ((math.inf, 1.0, 2.0) if norm is None else (norm.p,)) for one in _search(structure, p, tol)]
    if norm is not None and norm.p == 2:
        if VertexClaim.applies(structure, _VERTICES) and structure.n <= _SMALL:
            weights = found[0].claim.weights
            found += [
                Found(VertexClaim(structure, P), -math.inf, None) for P in (np.eye(structure.n), np.diag(weights))
            ]
        below = spectrum_floor(structure)
        if below is not None:
            found = [one._replace(lower=below[0], floor=below[1]) for one in found]
    return found


def full_matrices(structure, best, most, floor=None):
    """Claims with a full matrix P that linear matrix inequalities find, where they may improve on a bound.

    Parameters
    ----------
    structure : structure
    best : float
        The bound that is known.
    most : int
        States and units together up to which the inequalities are solved.
    floor : (float, object), optional
        What no norm improves on; found when None.

    Returns
    -------
    list of Found
    """
    n = structure.n
    if getattr(structure, "form", "") != "lure" or n > most:
        return []
    below = spectrum_floor(structure) if floor is None else floor
    lower, proof = (-math.inf, None) if below is None or below[1] is None else below
    gap = 1e-6 * (1 + abs(best))
    if best - lower <= gap:
        return []
    if VertexClaim.applies(structure, _VERTICES) and structure.vertex_count * n**2 <= _WORK:
        answer = common_quadratic_norm([J for J, _ in structure.vertices()])
        better = None if answer.dual is None else dual_floor(structure, answer.dual, answer.lower)
        if better is not None and better[0] > lower:
            lower, proof = better
        return [Found(VertexClaim(structure, answer.P), lower, None, proof)]
    if n + len(structure.lo) > most:
        return []
    answer = slope_quadratic_norm(*_dense_parts(structure), structure.lo, structure.hi, tol=1e-4)
    if not math.isfinite(answer.upper):
        return []
    return [Found(CriterionClaim(structure, answer.P, answer.multipliers), lower, None, proof)]


def _dense_parts(structure):
    parts = (structure.E, structure.F, structure.G)
    dense = (m if isinstance(m, np.ndarray) else m.toarray() for m in parts)
    return tuple(np.diag(m) if m.ndim == 1 else m for m in dense)


def _search(structure, p, tol):
    """The claims worth proving for a p, each with a lower bound on what any weights of that p reach."""
    if p != 2:
        rows = [(m.high, m.off) for m in structure.majorants(p)]
        found = row_choice_perron(rows, tol)
        inside = found.witness > 0
        vectors = [found.vector] if found.attained else [found.vector, *_resolvents(structure, p)]
        lower, floor = (found.lower if structure.exact else -math.inf), None
        if structure.exact and hasattr(structure, "size_product"):
            floor = RowsFloor(structure, p, found.witness)
            lower = floor.greatest()
        return [Found(RowsClaim(structure, p, eta), lower, np.flatnonzero(inside), floor) for eta in vectors]
    M = structure.majorants(2)[0].matrix()
    right, left = perron(M, tol), perron(M.T if isinstance(M, np.ndarray) else M.T.tocsr(), tol)
    weights = left.vector / right.vector
    weights = np.maximum(weights / weights.max(), 10 * LEAST_WEIGHT)
    claims = [Found(DiagonalClaim(structure, weights, right.vector), -math.inf, None)]
    P = _symmetric_weights(structure)
    if P is not None:
        claims.append(Found(QuadraticClaim(structure, P), -math.inf, None))
    return claims


def _resolvents(structure, p):
    r"""Weights for reducible matrices, whose infimum is not attained: :math:`((\alpha + \varepsilon)I - M)^{-1}1`."""
    if structure.n > _RESOLVED:
        return []
    M = np.maximum.reduce([m if isinstance(m, np.ndarray) else m.toarray() for m in
                           (majorant.matrix() for majorant in structure.majorants(p))])  # fmt: skip
    scale = float(np.abs(M).max()) or 1.0
    abscissa = float(np.linalg.eigvals(M).real.max())
    found = []
    for small in (1e-10, 1e-7, 1e-4):
        try:
            eta = np.linalg.solve((abscissa + small * scale) * np.eye(structure.n) - M, np.ones(structure.n))
        except np.linalg.LinAlgError:
            continue
        if np.isfinite(eta).all() and np.all(eta > 0):
            found.append(eta / eta.max())
    return found


def _given(structure, norm):
    """The claim that evaluates a norm whose weights are given."""
    if norm.p != 2:
        return RowsClaim(structure, norm.p, np.array(norm.weights))
    if norm.weights.ndim == 2:
        P = np.array(norm.weights)
        if VertexClaim.applies(structure, _VERTICES) or not QuadraticClaim.applies(structure):
            return VertexClaim(structure, P) if VertexClaim.applies(structure) else None
        return QuadraticClaim(structure, P)
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
