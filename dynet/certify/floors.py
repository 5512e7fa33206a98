r"""Floors: proofs that no other weights do better, each with a witness and a check that needs no solver.

============ ====================================================================== ==============================
floor        witness                                                                no norm of this kind is below b
============ ====================================================================== ==============================
``rows``     :math:`v \ge 0`, :math:`v \ne 0`, and for each i with :math:`v_i > 0`   any weights, l1 or l-infinity
             a majorant with :math:`(M_kv)_i \ge bv_i`
``spectrum`` slopes s, a symmetric P and x with :math:`x^\top Px > 0` and            any norm whatever
             :math:`A^\top P + PA \succ 0` for :math:`A = J(s) - bI`
``dual``     slopes :math:`s_k` and :math:`Z_k \succ 0` with                          any P, l2
             :math:`\sum_k A_kZ_k + Z_kA_k^\top \succ 0`
============ ====================================================================== ==============================

*rows*: the rows that v picks make a Metzler matrix M of slopes with :math:`Mv \ge bv` on the support of v, and so everywhere,
hence :math:`\alpha(M) \ge b`; a log norm with weights is at least the spectral abscissa. It needs a structure whose majorants
are attained.

*spectrum*: if :math:`Az = \lambda z` then :math:`2\,\mathrm{Re}\lambda\; z^*Pz = z^*(A^\top P + PA)z > 0`, so that no
eigenvalue of A is on the imaginary axis. If all were to its left,
:math:`P = -\int_0^\infty e^{A^\top t}(A^\top P + PA)e^{At}dt` would be negative definite, which x contradicts. So
:math:`\alpha(J(s)) > b`, and no log norm is below the spectral abscissa.

*dual*: if :math:`PA_k + A_k^\top P \preceq 0` for all k, then the trace of P times the sum is that of
:math:`\sum_k Z_k(PA_k + A_k^\top P)`, which is not positive, while a product of positive definite matrices has a positive one.

References
----------
Ostrowski, Schneider, Some theorems on the inertia of general matrices, J. Mathematical Analysis and Applications 4, 1962.
Davydov, Proskurnikov, Bullo, Non-Euclidean contractivity of recurrent neural networks, arXiv:2110.08298.
"""

from __future__ import annotations

import itertools
import math
import warnings
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ..linalg.rigorous import gamma, is_positive_definite, is_positive_definite_exact, quotient_down
from .claims import LARGEST_WEIGHT, LEAST_WEIGHT, is_sound
from .entries import exact_rows_of

__all__ = ["FLOORS", "DualFloor", "RowsFloor", "SpectrumFloor", "dual_floor", "spectrum_floor", "vertex_slopes"]

_SMALL = 2_000  # entries up to which the best bound is found in exact arithmetic
_VERTICES = 64  # of the slopes, that are looked at
_DENSE = 200  # states up to which eigenvalues are looked for


@dataclass(frozen=True, eq=False)
class RowsFloor:
    """No weights make the largest log norm in l-inf (p = inf) or l1 (p = 1) less than b; v is the witness."""

    structure: object
    p: float
    v: np.ndarray
    kind = "rows"

    def witness(self):
        return {"v": self.v}

    def greatest(self):
        """The bound that v proves; -inf where it proves none."""
        if not self._valid():
            return -math.inf
        if self.structure.entries <= _SMALL:
            return _float_down(min(self._exact_quotients()))
        return float(self._quotients().min())

    def holds(self, b, exact=False):
        """Whether the bound is proven; True is a proof."""
        if not self._valid() or not math.isfinite(b):
            return False
        if exact or self.structure.entries <= _SMALL:
            limit = Fraction(b)
            return all(q >= limit for q in self._exact_quotients())
        return bool(np.all(self._quotients() >= b))

    def _valid(self):
        s, v = self.structure, self.v
        if getattr(s, "form", "") != "lure" or not is_sound(s) or not s.exact or self.p not in (1, math.inf):
            return False
        fits = isinstance(v, np.ndarray) and v.dtype == np.float64 and v.shape == (s.n,)
        return bool(fits and v.any() and np.all((v == 0) | ((v >= LEAST_WEIGHT) & (v <= LARGEST_WEIGHT))))

    def _quotients(self):
        inside = self.v > 0
        found = np.maximum.reduce(
            [quotient_down(m.high, m.off, self.v)[inside] for m in self.structure.majorants(self.p)]
        )
        # each entry of a majorant was rounded up by three units at most
        slack = 2.0**-50 * (self.structure.size_product(self.p, self.v)[inside] / self.v[inside]) + 1e-180
        return np.nextafter(found - slack, -np.inf)

    def _exact_quotients(self):
        v = [Fraction(float(x)) for x in self.v]
        best = None
        for diagonal, off in self.structure.exact_rows(self.p):
            q = [d + sum(a * v[j] for j, a in row.items()) / v[i]
                 for i, (d, row) in enumerate(zip(diagonal, off, strict=True)) if v[i]]  # fmt: skip
            best = q if best is None else list(map(max, best, q))
        return best


@dataclass(frozen=True, eq=False)
class SpectrumFloor:
    """No norm makes the log norm for all slopes less than b: an eigenvalue at some slopes has a larger real part."""

    structure: object
    slopes: np.ndarray
    P: np.ndarray
    x: np.ndarray
    kind = "spectrum"

    def witness(self):
        return {"slopes": self.slopes, "P": self.P, "x": self.x}

    def holds(self, b, exact=False):
        """Whether the bound is proven; True is a proof."""
        s, n = self.structure, self.structure.n
        if getattr(s, "form", "") != "lure" or not is_sound(s) or not math.isfinite(b):
            return False
        arrays = ((self.slopes, s.lo.shape), (self.P, (n, n)), (self.x, (n,)))
        if not all(isinstance(a, np.ndarray) and a.dtype == np.float64 and a.shape == shape and np.isfinite(a).all()
                   for a, shape in arrays):  # fmt: skip
            return False
        if not (np.array_equal(self.P, self.P.T) and np.all((s.lo <= self.slopes) & (self.slopes <= s.hi))):
            return False
        return self._exactly(b) if exact else self._in_floats(b)

    def _in_floats(self, b):
        E, F, G = _dense(self.structure)
        with np.errstate(over="ignore", invalid="ignore"):
            P, x, p = self.P, self.x, np.abs(self.P)
            form, size = float(x @ P @ x), float(np.abs(x) @ p @ np.abs(x))
            if not form > gamma(2 * len(x) + 4) * size * (1 + 1e-9) + 1e-290:
                return False
            J = E + (F * self.slopes) @ G
            moduli = np.abs(E) + (np.abs(F) * np.abs(self.slopes)) @ np.abs(G)
            PJ = P @ J
            Q = (PJ + PJ.T) / 2 - b * P
            one = np.ones(len(x))
            sums = abs(b) * (p @ one) + (p @ (moduli @ one) + moduli.T @ (p @ one)) / 2
            error = gamma(len(x) + F.shape[1] + 12) * float(sums.max()) * (1 + 1e-9) + 1e-290
            return is_positive_definite((Q + Q.T) / 2, error)

    def _exactly(self, b):
        P = [[Fraction(float(v)) for v in row] for row in self.P]
        x, b, span = [Fraction(float(v)) for v in self.x], Fraction(b), range(len(self.x))
        if sum(x[i] * P[i][j] * x[j] for i in span for j in span) <= 0:
            return False
        J = _exact_matrix(self.structure, self.slopes)
        PJ = [[sum((P[i][k] * J[k][j] for k in span), Fraction(0)) for j in span] for i in span]
        return is_positive_definite_exact([[(PJ[i][j] + PJ[j][i]) / 2 - b * P[i][j] for j in span] for i in span])


@dataclass(frozen=True, eq=False)
class DualFloor:
    """No P makes the largest log norm in l2 less than b, by matrices Z at some slopes."""

    structure: object
    slopes: np.ndarray
    Z: np.ndarray
    kind = "dual"

    def witness(self):
        return {"slopes": self.slopes, "Z": self.Z}

    def holds(self, b, exact=False):
        """Whether the bound is proven; True is a proof."""
        s, n = self.structure, self.structure.n
        if getattr(s, "form", "") != "lure" or not is_sound(s) or not math.isfinite(b):
            return False
        count = len(self.slopes) if np.ndim(self.slopes) == 2 else 0
        arrays = ((self.slopes, (count, len(s.lo))), (self.Z, (count, n, n)))
        if not count or not all(isinstance(a, np.ndarray) and a.dtype == np.float64 and a.shape == shape
                                and np.isfinite(a).all() for a, shape in arrays):  # fmt: skip
            return False
        if not np.array_equal(self.Z, np.swapaxes(self.Z, 1, 2)):
            return False
        if not np.all((s.lo <= self.slopes) & (self.slopes <= s.hi)):
            return False
        return self._exactly(b) if exact else self._in_floats(b)

    def _in_floats(self, b):
        E, F, G = _dense(self.structure)
        n, count = self.structure.n, len(self.Z)
        total, sums, one = np.zeros((n, n)), np.zeros(n), np.ones(n)
        with np.errstate(over="ignore", invalid="ignore"):
            for d, Z in zip(self.slopes, self.Z, strict=True):
                if not is_positive_definite(Z):
                    return False
                JZ = (E + (F * d) @ G) @ Z - b * Z
                total = total + (JZ + JZ.T) / 2
                moduli, z = np.abs(E) + (np.abs(F) * np.abs(d)) @ np.abs(G) + abs(b) * np.eye(n), np.abs(Z)
                sums = sums + (moduli @ (z @ one) + z @ (moduli.T @ one)) / 2
            error = gamma(n + F.shape[1] + count + 14) * float(sums.max()) * (1 + 1e-9) + 1e-290
            return is_positive_definite((total + total.T) / 2, error)

    def _exactly(self, b):
        b, span = Fraction(b), range(self.structure.n)
        total = [[Fraction(0)] * len(span) for _ in span]
        for d, Z in zip(self.slopes, self.Z, strict=True):
            Z = [[Fraction(float(v)) for v in row] for row in Z]
            if not is_positive_definite_exact(Z):
                return False
            J = _exact_matrix(self.structure, d)
            for i in span:
                J[i][i] -= b
            JZ = [[sum((J[i][k] * Z[k][j] for k in span), Fraction(0)) for j in span] for i in span]
            for i in span:
                for j in span:
                    total[i][j] += (JZ[i][j] + JZ[j][i]) / 2
        return is_positive_definite_exact(total)


FLOORS = {"rows": RowsFloor, "spectrum": SpectrumFloor, "dual": DualFloor}


def dual_floor(structure, Z, lower):
    """The best bound that dual matrices at the vertices prove, at most `lower`: ``(b, floor)``, or None."""
    traces = np.trace(Z, axis1=1, axis2=2)
    if not np.isfinite(Z).all() or not traces.max() > 0:
        return None
    keep = traces > 1e-5 * traces.max()
    slopes, Z = vertex_slopes(structure)[keep], Z[keep]
    Z = (Z + np.swapaxes(Z, 1, 2)) / (2 * np.abs(Z).max())
    for small in (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2):
        for lift in (
            1e-3 * small,
            1e-2 * small,
            0.1 * small,
            small,
        ):  # both are needed: definite matrices, a definite sum
            floor = DualFloor(structure, slopes, Z + lift * np.eye(structure.n))
            b = lower - small * (1 + abs(lower))
            if floor.holds(b):
                return b, floor
    return None


def spectrum_floor(structure):
    """The best bound that an eigenvalue at some slopes gives, with its floor: ``(b, floor)``; None where none is proven.

    Examples
    --------
    >>> from dynet.certify.lure import LureStructure
    >>> swing = LureStructure(np.array([[0.0, 1.0], [-2.0, -1.0]]), np.array([[0.0], [1.0]]), np.array([[1.0, 0.0]]),
    ...                       np.array([0.0]), np.array([1.0]))
    >>> b, floor = spectrum_floor(swing)
    >>> print(round(b, 6), floor.holds(b, exact=True), floor.holds(b + 1e-6))
    -0.5 True False
    """
    from scipy.linalg import LinAlgError, LinAlgWarning, solve_continuous_lyapunov

    n = structure.n
    if getattr(structure, "form", "") != "lure" or n > _DENSE:
        return None
    best = max(_candidates(structure), key=lambda item: item[0])
    abscissa, slopes, J = best
    size = float(np.abs(J).sum(axis=1).max()) or 1.0
    for small in (1e-10, 1e-8, 1e-6, 1e-4):
        b = abscissa - small * size
        with warnings.catch_warnings():
            for kind in (LinAlgWarning, RuntimeWarning):  # of a matrix, or an equation, that is almost singular
                warnings.simplefilter("ignore", kind)
            try:
                P = solve_continuous_lyapunov((J - b * np.eye(n)).T, np.eye(n))
            except LinAlgError:
                continue
        P = (P + P.T) / 2
        if not np.isfinite(P).all():
            continue
        floor = SpectrumFloor(structure, slopes, P, np.linalg.eigh(P)[1][:, -1].copy())
        if floor.holds(b):
            return b, floor
    return None


def _candidates(structure):
    """Slopes with the spectral abscissa and the matrix there: the vertices where these are few, else some of them."""
    E, F, G = _dense(structure)
    lo, hi = structure.lo, structure.hi
    if structure.vertex_count <= _VERTICES:
        vertices = vertex_slopes(structure)
    else:
        random = np.random.default_rng(0)
        vertices = [lo, hi, *(np.where(random.random(len(lo)) < 0.5, lo, hi) for _ in range(14))]
    for d in vertices:
        J = E + (F * d) @ G
        yield float(np.linalg.eigvals(J).real.max()), d.astype(float), J


def vertex_slopes(structure):
    """The slopes at the vertices, in the order of ``structure.vertices()``, shape (vertices, m)."""
    ends = ({a, b} for a, b in zip(structure.lo.tolist(), structure.hi.tolist(), strict=True))
    found = list(itertools.product(*ends))
    return np.array(found, dtype=float).reshape(len(found), len(structure.lo))


def _exact_matrix(structure, slopes):
    """``E + F [slopes] G`` in Fractions, as a list of lists."""
    E, F, G = (exact_rows_of(m) for m in (structure.E, structure.F, structure.G))
    s, span = [Fraction(float(v)) for v in slopes], range(structure.n)
    J = [[row.get(j, Fraction(0)) for j in span] for row in E]
    for row, f in zip(J, F, strict=True):
        for k, a in f.items():
            for j, c in G[k].items():
                row[j] += a * s[k] * c
    return J


def _dense(structure):
    parts = (structure.E, structure.F, structure.G)
    dense = (m if isinstance(m, np.ndarray) else m.toarray() for m in parts)
    return tuple(np.diag(m) if m.ndim == 1 else m for m in dense)


def _float_down(value):
    """The largest float that is not above a Fraction."""
    try:
        near = float(value)
    except OverflowError:
        return -math.inf if value < 0 else float(np.finfo(float).max)
    return near if Fraction(near) <= value else math.nextafter(near, -math.inf)
