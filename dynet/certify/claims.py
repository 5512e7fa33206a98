r"""Claims: inequalities about all Jacobians of a field, each with a witness and a check that needs no solver.

=============== ============================================================= ==========================
claim           inequality                                                    proves
=============== ============================================================= ==========================
``rows``        :math:`M_k\eta \le b\eta` for every majorant :math:`M_k`      osLip <= b in l-inf or l1
``diagonal``    :math:`(PM + M^\top P)v \le 2bPv` with v > 0                  osLip <= b in l2, P diagonal
``quadratic``   :math:`bP - \tfrac12(PE + E^\top P) - \tfrac14 N^\top H N` is positive definite      osLip <= b in l2, any P
=============== ============================================================= ==========================

*diagonal*: :math:`S = PM + M^\top P - 2bP` is symmetric and Metzler, and a symmetric Metzler matrix with :math:`Sv \le 0`
for a positive v is negative semidefinite. A diagonal P makes :math:`\mu(J) \le \mu(M)` for all J that M dominates.

*quadratic*: let :math:`J = E + [s]A` with :math:`0 \le s_i \le h_i`, :math:`p = Pv` and :math:`w = Av`. Then
:math:`v^\top P[s]Av = \sum_i s_i p_i w_i \le \sum_i h_i (p_i w_i)^+ \le \tfrac14\sum_i h_i (p_i + w_i)^2`, so that the claim
with :math:`N = P + A`, :math:`H = [h]` gives :math:`v^\top PJv \le b\,v^\top Pv`. For :math:`J = E + A[s]` the same argument
with :math:`p = v` and :math:`w = A^\top Pv` gives :math:`N = I + A^\top P`.

References
----------
Davydov, Jafarpour, Bullo, Non-Euclidean contraction theory for robust nonlinear stability, arXiv:2103.12263.
Centorrino, Gokhale, Davydov, Russo, Bullo, Euclidean contractivity of neural networks with symmetric weights,
arXiv:2302.13452 (the quadratic inequality, there with A symmetric and E = -I).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ..linalg.norms import Norm
from ..linalg.rigorous import (
    UNIT,
    add_up,
    gamma,
    is_positive_definite,
    is_positive_definite_exact,
    multiply_up,
    quotient_up,
    rows_with_entries,
)
from .lure import LureStructure

__all__ = ["CLAIMS", "DiagonalClaim", "QuadraticClaim", "RowsClaim"]

LARGEST = float(np.finfo(float).max)
_SMALL = 2_000  # entries up to which the least bound is found in exact arithmetic
LEAST_WEIGHT, LARGEST_WEIGHT = 1e-100, 1e100  # products of weights with anything of use neither vanish nor overflow
_DECIDE = 200_000  # entries up to which exact arithmetic decides where floats cannot


class _QuotientClaim:
    """What the two claims about row quotients share: the least bound, and the checks against a stated one."""

    def least(self):
        """A proven bound: the least float above the exact maximum for small systems, slightly above it for large ones."""
        if self._entries() <= _SMALL:
            return _float_up(max(self.exact_quotients()))
        return float(self.quotients().max())

    def holds(self, b, exact=False):
        """Whether the inequality holds with bound b; a True is a proof."""
        if not self._is_well_formed() or not math.isfinite(b):
            return False
        if not exact:
            quotients = self.quotients()
            if np.all(quotients <= b):
                return True
            near = 64 * UNIT * (np.abs(quotients).max() + 1) * self.structure.n
            hopeless = quotients.max() > b + near and self._entries() > _SMALL
            if hopeless or self._entries() > _DECIDE:
                return False
        limit = Fraction(b)
        return all(q <= limit for q in self.exact_quotients())

    def _entries(self):
        return sum(getattr(m, "nnz", np.size(m)) for m in (self.structure.E, self.structure.F, self.structure.G))

    def _is_well_formed(self):
        vectors = list(self.witness().values())
        return _is_sound(self.structure) and all(
            isinstance(v, np.ndarray)
            and v.dtype == np.float64
            and v.shape == (self.structure.n,)
            and np.all((v >= LEAST_WEIGHT) & (v <= LARGEST_WEIGHT))
            for v in vectors
        )


@dataclass(frozen=True, eq=False)
class RowsClaim(_QuotientClaim):
    """The log norm of every Jacobian is at most b in the l-inf (p = inf) or l1 (p = 1) norm with weights `eta`."""

    structure: LureStructure
    p: float
    eta: np.ndarray
    kind = "rows"

    def _is_well_formed(self):
        return self.p in (1, math.inf) and super()._is_well_formed()

    def witness(self):
        return {"eta": self.eta}

    def norm(self):
        return Norm(self.p, self.eta)

    def quotients(self):
        """Upper bounds on the rows' quotients, shape (n,)."""
        found = [quotient_up(m.high, m.off, self.eta) for m in self.structure.majorants(self.p)]
        return np.maximum.reduce(found)

    def exact_quotients(self):
        """The rows' quotients as Fractions."""
        eta = [Fraction(v) for v in self.eta]
        best = None
        for diagonal, off in self.structure.exact_rows(self.p):
            q = [d + sum(v * eta[j] for j, v in row.items()) / eta[i]
                 for i, (d, row) in enumerate(zip(diagonal, off, strict=True))]  # fmt: skip
            best = q if best is None else list(map(max, best, q))
        return best

    def lipschitz(self):
        """A proven bound on the induced norm of every Jacobian in the same norm."""
        found = [quotient_up(np.maximum(np.abs(m.high), np.abs(m.low)), m.off, self.eta)
                 for m in self.structure.majorants(self.p)]  # fmt: skip
        return float(np.maximum.reduce(found).max())


@dataclass(frozen=True, eq=False)
class DiagonalClaim(_QuotientClaim):
    """The log norm of every Jacobian is at most b in the l2 norm with ``P = diag(weights)``; v is the witness."""

    structure: LureStructure
    weights: np.ndarray
    v: np.ndarray
    kind = "diagonal"

    def witness(self):
        return {"weights": self.weights, "v": self.v}

    def norm(self):
        return Norm(2, self.weights)

    def quotients(self):
        majorant = self.structure.majorants(2)[0]
        off, back = majorant.off, majorant.transposed().off
        pv = multiply_up(self.weights, self.v)
        forward, backward = off @ self.v, back @ pv
        terms = (np.diff(off.indptr) + np.diff(back.indptr)) if hasattr(off, "indptr") else 2 * off.shape[1]
        # 1e-290 covers underflow, in `forward` before it is multiplied by a weight that may be large
        total = (self.weights * (forward + 1e-290) + backward) * (1 + 2 * (terms + 6) * UNIT) + 1e-290
        quotient = np.nextafter(np.nextafter(total / (2 * self.weights * self.v), np.inf) * (1 + 4 * UNIT), np.inf)
        present = rows_with_entries(off) | rows_with_entries(back)
        return add_up(majorant.high, np.where(present, quotient, 0.0))

    def exact_quotients(self):
        P, v = ([Fraction(x) for x in vector] for vector in (self.weights, self.v))
        diagonal, off = self.structure.exact_rows(2)[0]
        total = [Fraction(0)] * len(v)
        for i, row in enumerate(off):
            for j, value in row.items():
                total[i] += P[i] * value * v[j]
                total[j] += P[i] * value * v[i]
        return [d + s / (2 * p * x) for d, s, p, x in zip(diagonal, total, P, v, strict=True)]

    def lipschitz(self):
        """Schur's test: the geometric mean of the row quotient in v and the column quotient in ``weights * v``."""
        majorant = self.structure.majorants(2)[0]
        size = np.maximum(np.abs(majorant.high), np.abs(majorant.low))
        rows = quotient_up(size, majorant.off, self.v).max()
        columns = quotient_up(size, majorant.transposed().off, self.weights * self.v).max()
        return float(np.sqrt(rows * columns) * (1 + 1e-12))


@dataclass(frozen=True, eq=False)
class QuadraticClaim:
    """The log norm of every Jacobian is at most b in the l2 norm with a full matrix P; P is its own witness."""

    structure: LureStructure
    P: np.ndarray
    kind = "quadratic"

    @staticmethod
    def applies(structure):
        """Whether the structure is of the kind that the inequality is about: slopes shared, none of them negative."""
        return structure.shared in ("rows", "columns") and bool(np.all(structure.slopes()[0] >= 0))

    def witness(self):
        return {"P": self.P}

    def norm(self):
        return Norm(2, self.P)

    def _parts(self):
        """E, dense or a diagonal as a vector, and A, dense."""
        A = self.structure.G if self.structure.shared == "rows" else self.structure.F
        E, A = (m if isinstance(m, np.ndarray) else m.toarray() for m in (self.structure.E, A))
        return E, np.diag(A) if A.ndim == 1 else A

    def least(self):
        """The bound at which the matrix becomes singular, in floating point, with a hair given away."""
        E, A = self._parts()
        H, N = self.structure.slopes()[1], self._factor(A)
        PE = _times(self.P, E)
        L = np.linalg.cholesky(self.P)
        inner = np.linalg.solve(L, np.linalg.solve(L, (PE + PE.T) / 2 + (N.T * H) @ N / 4).T)
        values = np.linalg.eigvalsh((inner + inner.T) / 2)
        size = self._row_sums(0.0, *(np.abs(x) for x in (self.P, E, A)), H).max() / np.linalg.eigvalsh(self.P)[0]
        hair = size * 1e-15 if size > 0 else math.inf
        while hair < 1e-2 * size:
            hair *= 8
            if self.holds(float(values[-1] + hair)):
                return float(values[-1] + hair)
        return math.inf

    def _factor(self, A):
        return self.P + A if self.structure.shared == "rows" else np.eye(len(self.P)) + A.T @ self.P

    def holds(self, b, exact=False):
        """Whether the matrix of the claim is positive definite; a True is a proof."""
        P, n = self.P, self.structure.n
        symmetric = P.shape == (n, n) and P.dtype == np.float64 and np.isfinite(P).all() and np.array_equal(P, P.T)
        if not symmetric or not math.isfinite(b) or not _is_sound(self.structure) or not self.applies(self.structure):
            return False
        if exact:
            return is_positive_definite_exact([[Fraction(x) for x in row] for row in P]) and self._holds_exactly(b)
        E, A = self._parts()
        H, N = self.structure.slopes()[1], self._factor(A)
        PE = _times(P, E)
        half = np.sqrt(H)[:, None] * N  # a product with its own transpose takes half the time
        Q = b * P - (PE + PE.T) / 2 - half.T @ half / 4
        sizes = [np.abs(x) for x in (P, E, A)]
        error = gamma(4 * n + 20) * (self._row_sums(b, *sizes, H).max() * (1 + 1e-9))
        # each of at most n**2 + 4 n products that underflow in an entry of Q is off by 5e-324 times what multiplies it
        error += 1e-300 * n**4 * (1 + abs(b) + H.max()) * np.prod([1 + x.max() for x in sizes]) ** 2
        return is_positive_definite(P) and is_positive_definite((Q + Q.T) / 2, error)

    def _row_sums(self, b, P, E, A, H):
        """Row sums of the moduli of all terms of the matrix: what its rounding is relative to. Arguments are moduli."""
        one = np.ones(len(P))
        if self.structure.shared == "rows":
            product = (P + A).T @ (H * ((P + A) @ one))
        else:
            product = H * (one + A.T @ (P @ one))
            product = product + P @ (A @ product)
        linear = P @ E + E * (P @ one) if E.ndim == 1 else P @ (E @ one) + E.T @ (P @ one)
        return abs(b) * (P @ one) + linear / 2 + product / 4

    def _holds_exactly(self, b):
        # The upper slopes of `slopes` are rounded up, which only makes the claim stronger, so they may stand for the exact.
        E, A = self._parts()
        E, A = ([[Fraction(float(x)) for x in row] for row in m] for m in (np.diag(E) if E.ndim == 1 else E, A))
        P, H, b = (
            [[Fraction(x) for x in row] for row in self.P],
            [Fraction(h) for h in self.structure.slopes()[1]],
            Fraction(b),
        )
        span = range(len(P))
        if self.structure.shared == "rows":
            N = [[P[i][j] + A[i][j] for j in span] for i in span]
        else:
            N = [[int(i == j) + sum(A[k][i] * P[k][j] for k in span) for j in span] for i in span]
        PE = [[sum(P[i][k] * E[k][j] for k in span if E[k][j]) for j in span] for i in span]
        Q = [[b * P[i][j] - (PE[i][j] + PE[j][i]) / 2 - sum(N[k][i] * H[k] * N[k][j] for k in span) / 4 for j in span]
             for i in span]  # fmt: skip
        return is_positive_definite_exact(Q)

    def lipschitz(self):
        """``norm(E) + max(h) norm(A)`` in the same norm, with a margin for the rounding of the norms of matrices."""
        E, A = self._parts()
        norm = self.norm()
        slope = self.structure.slopes()[1].max()
        condition = np.linalg.cond(self.P)
        margin = 16 * len(self.P) * UNIT * condition  # relative error of the least singular value
        if not margin < 0.5:
            return math.inf
        linear = norm.induced(np.diag(E) if E.ndim == 1 else E)
        return float((linear + slope * np.linalg.norm(A, 2) * condition**0.5) * (1 + 1e-9 + 2 * margin))


CLAIMS = {claim.kind: claim for claim in (RowsClaim, DiagonalClaim, QuadraticClaim)}


def _is_sound(structure):
    try:
        structure.check()
    except (ValueError, AttributeError, TypeError):
        return False
    return True


def _times(P, E):
    """``P E`` for E dense, or a diagonal as a vector."""
    return P * E if E.ndim == 1 else P @ E


def _float_up(value):
    """The least float that is not below a Fraction."""
    try:
        near = float(value)
    except OverflowError:
        return math.inf if value > 0 else -LARGEST
    return near if Fraction(near) >= value else math.nextafter(near, math.inf)
