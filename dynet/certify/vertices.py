r"""Claims in l2 by the vertices of the slopes.

The log norm is convex in the matrix and a Jacobian is affine in the slopes, so that its largest value over the box of slopes
is at one of the :math:`2^m` vertices:

.. math:: \mu_{2,P}(J(d)) \le b \ \ \forall d \iff bP - \tfrac12(PJ_v + J_v^\top P) \succeq 0 \text{ at each vertex } v.

That is exact where a row-wise rule is not, and affordable for few units. Each matrix is shown positive definite by a Cholesky
factorisation that accounts for its own rounding (Rump), or by elimination in whole numbers.

References
----------
Rump, Verification of positive definiteness, BIT Numerical Mathematics 46, 2006.
Davydov, Jafarpour, Bullo, Non-Euclidean contraction theory for robust nonlinear stability, arXiv:2103.12263.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ..linalg.rigorous import gamma, is_positive_definite, is_positive_definite_exact
from .forms import norm_of, proves

__all__ = ["VertexClaim"]


@dataclass(frozen=True, eq=False)
class VertexClaim:
    """The log norm of every Jacobian is at most b in the l2 norm with a full matrix P, by its value at the vertices."""

    structure: object
    P: np.ndarray
    kind = "vertices"

    @staticmethod
    def applies(structure, most=512):
        """Whether the structure has vertices, and not too many."""
        return getattr(structure, "vertex_count", math.inf) <= most

    @property
    def proves(self):
        return proves(self.structure)

    @property
    def order(self):
        return getattr(self.structure, "order", None)

    def witness(self):
        return {"P": self.P}

    def norm(self):
        return norm_of(self.structure, 2.0, self.P)

    def least(self):
        """The largest log norm of a vertex in floating point, with a hair given away; inf where that is not provable."""
        try:
            L = np.linalg.cholesky(self.P)
        except np.linalg.LinAlgError:
            return math.inf
        top, size = -math.inf, 0.0
        for J, _ in self.structure.vertices():
            inner = np.linalg.solve(L, (L.T @ J).T).T
            top = max(top, float(np.linalg.eigvalsh((inner + inner.T) / 2)[-1]))
            size = max(size, float(np.abs(J).max()))
        values = np.linalg.eigvalsh(self.P)
        hair = max((abs(top) + size) * values[-1] / values[0] * len(self.P) * 1e-16, 1e-250)
        while hair <= max(1e-2 * (abs(top) + size), 1e-200):
            if self.holds(top + hair):
                return top + hair
            hair *= 8
        return math.inf

    def holds(self, b, exact=False):
        """Whether the matrix of each vertex is positive definite; a True is a proof."""
        P, n = self.P, self.structure.n
        symmetric = P.shape == (n, n) and np.isfinite(P).all() and np.array_equal(P, P.T)
        if not symmetric or not math.isfinite(b) or not self.applies(self.structure, 2**16):
            return False
        if exact:
            return self._holds_exactly(b)
        if not is_positive_definite(P):
            return False
        size, growth = np.abs(P), gamma(2 * n + 12)
        for J, error in self.structure.vertices():
            PJ = P @ J
            Q = b * P - (PJ + PJ.T) / 2
            # the rounding of this line is relative to the moduli; the error of J itself comes on top
            moduli = abs(b) * size + (size @ np.abs(J) + (size @ np.abs(J)).T) / 2
            spread = size @ error
            doubt = (growth * moduli + (spread + spread.T) / 2).sum(axis=1).max() * (1 + 1e-9) + 1e-290
            if not is_positive_definite((Q + Q.T) / 2, doubt):
                return False
        return True

    def _holds_exactly(self, b):
        P, b = [[Fraction(float(x)) for x in row] for row in self.P], Fraction(b)
        if not is_positive_definite_exact(P):
            return False
        span = range(len(P))
        for J in self.structure.exact_vertices():
            PJ = [[sum((P[i][k] * J[k][j] for k in span if J[k][j]), Fraction(0)) for j in span] for i in span]
            Q = [[b * P[i][j] - (PJ[i][j] + PJ[j][i]) / 2 for j in span] for i in span]
            scale = math.lcm(*(entry.denominator for row in Q for entry in row))
            if not is_positive_definite_exact([[scale * entry for entry in row] for row in Q]):
                return False
        return True

    def lipschitz(self):
        """The largest induced norm of a vertex (it is convex, too), in floating point with a margin; for steps only."""
        norm, spread = self.norm(), float(np.linalg.cond(self.P)) ** 0.5
        inner = getattr(norm, "inner", norm)
        if getattr(inner, "R", None) is not None:
            return math.inf
        return max(float(inner.induced(J)) + spread * float(np.abs(e).sum()) for J, e in self.structure.vertices()) * (
            1 + 1e-9
        )
