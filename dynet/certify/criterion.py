r"""Claims in l2 by the circle criterion: one inequality with multipliers for all slopes at once.

.. math::
    \begin{bmatrix} 2bP - PE_0 - E_0^\top P & -(PF + G^\top[h\lambda]) \\ \cdot & 2[\lambda] \end{bmatrix} \succ 0,
    \quad P \succ 0, \quad \lambda > 0,

with :math:`E_0 = E + F[lo]G` and :math:`h = hi - lo`, proves :math:`\mu_{2,P}(E + F[s]G) \le b` for all slopes; see
:mod:`dynet.linalg.circle`, where the proof stands and where P and the multipliers are found.

References
----------
Boyd, El Ghaoui, Feron, Balakrishnan, Linear Matrix Inequalities in System and Control Theory, SIAM, 1994, chapter 8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..linalg.circle import slope_bound_holds
from ..linalg.norms import Norm
from ..linalg.rigorous import UNIT
from .claims import is_sound

__all__ = ["CriterionClaim"]


@dataclass(frozen=True, eq=False)
class CriterionClaim:
    """The log norm of every Jacobian is at most b in the l2 norm with a full matrix P, with multipliers for the slopes."""

    structure: object
    P: np.ndarray
    multipliers: np.ndarray
    kind = "criterion"
    proves = "contraction"
    order = None

    def witness(self):
        return {"P": self.P, "multipliers": self.multipliers}

    def norm(self):
        return Norm(2, self.P)

    def least(self):
        """The bound at which the matrix becomes singular, in floating point, with a hair given away."""
        s = self.structure
        E, F, G = self._matrices()
        E = E + (F * s.lo) @ G
        side = self.P @ (F * (s.hi > s.lo)) + G.T * ((s.hi - s.lo) * self.multipliers)
        PE = self.P @ E
        try:
            L = np.linalg.cholesky(self.P)
        except np.linalg.LinAlgError:
            return math.inf
        inner = (PE + PE.T) / 2 + (side / (4 * self.multipliers)) @ side.T
        inner = np.linalg.solve(L, np.linalg.solve(L, inner).T)
        top = float(np.linalg.eigvalsh((inner + inner.T) / 2)[-1])
        size = max(abs(top), float(np.abs(E).max(initial=0.0)), 1e-200)
        hair = 1e-15 * size
        while hair <= 1e-2 * size:
            if self.holds(top + hair):
                return top + hair
            hair *= 8
        return math.inf

    def holds(self, b, exact=False):
        """Whether the matrix of the claim is positive definite; a True is a proof."""
        s = self.structure
        arrays = (self.P, self.multipliers)
        typed = all(isinstance(a, np.ndarray) and a.dtype == np.float64 for a in arrays)
        if getattr(s, "form", "") != "lure" or not typed or not math.isfinite(b) or not is_sound(s):
            return False
        return slope_bound_holds(self.P, self.multipliers, self._matrices(), (s.lo, s.hi), b, exact)

    def _matrices(self):
        parts = (self.structure.E, self.structure.F, self.structure.G)
        dense = (m if isinstance(m, np.ndarray) else m.toarray() for m in parts)
        return tuple(np.diag(m) if m.ndim == 1 else m for m in dense)

    def lipschitz(self):
        """``norm(E) + max|s| |F| |G|`` in the same norm, with a margin for the rounding of the norms of matrices."""
        E, F, G = self._matrices()
        condition = float(np.linalg.cond(self.P))
        margin = 16 * len(self.P) * UNIT * condition
        if not margin < 0.5:
            return math.inf
        slope = float(np.maximum(np.abs(self.structure.lo), np.abs(self.structure.hi)).max(initial=0.0))
        units = np.linalg.norm(F, 2) * slope * np.linalg.norm(G, 2) * condition**0.5 if slope else 0.0
        return float((self.norm().induced(E) + units) * (1 + 1e-9 + 2 * margin))
