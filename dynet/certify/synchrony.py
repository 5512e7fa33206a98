r"""Synchronisation as a claim that can be checked: the system, the graph and the norm are all in it.

For :math:`\dot x_i = f(x_i) + \sum_j w_{ij}\Gamma(x_j - x_i)` with :math:`Df = E + F[s]G` for slopes s in intervals:

*ergodic* (:math:`\Gamma = I`, any norm, any graph): :math:`\mu(Df) \le c` for all slopes, by a claim about one system, and
:math:`c - \delta(W) \le b` with the ergodic coefficient :math:`\delta` bounded from below;

*spectral* (:math:`\ell_{2,P}`, undirected): :math:`L - \ell I + (\ell + t)\mathbf 1\mathbf 1^\top/m \succ 0`, so that the
second eigenvalue of the Laplacian is above :math:`\ell`; :math:`P\Gamma + \Gamma^\top P \succeq 0`, in rational arithmetic,
so that a larger eigenvalue does no harm; and :math:`\mu_{2,P}(E + F[s]G - \ell\Gamma) \le b`, where :math:`-\ell\Gamma`
enters as units of fixed slope :math:`\ell`, so that no number is rounded on the way.

References
----------
Jafarpour, Cisneros-Velarde, Bullo, Weak and semi-contraction for network systems and diffusively coupled oscillators,
IEEE Transactions on Automatic Control 67(3), 2022.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ..linalg.norms import Norm
from ..linalg.ranges import ergodic_coefficient
from ..linalg.rigorous import gamma, is_positive_definite, is_positive_definite_exact, is_positive_semidefinite_exact
from .claims import RowsClaim, is_sound
from .lure import LureStructure
from .vertices import VertexClaim

__all__ = ["Disagreement", "ErgodicClaim", "SpectralClaim", "SynchronyStructure", "exceeds"]

_EXACT = 60  # systems up to which the graph is looked at in rational arithmetic


class Disagreement:
    """How far identical systems are apart: the largest distance of two, or the root of the squared distances to their mean.

    Examples
    --------
    >>> print(Disagreement(2, "inf", np.ones(1)).length([1.0, 4.0]), Disagreement(2, 2, np.eye(1)).length([1.0, 3.0]).round(6))
    3.0 1.414214
    """

    __slots__ = ("nodes", "inner", "euclidean")

    def __init__(self, nodes, p, weights, euclidean=None):
        object.__setattr__(self, "nodes", int(nodes))
        object.__setattr__(self, "inner", Norm(p, weights))
        object.__setattr__(self, "euclidean", self.inner.p == 2 if euclidean is None else bool(euclidean))

    def __setattr__(self, name, value):
        raise AttributeError("a seminorm cannot be changed; make another one")

    p = property(lambda self: self.inner.p)
    weights = property(lambda self: self.inner.weights)
    n = property(lambda self: None if self.inner.n is None else self.inner.n * self.nodes)

    def length(self, x):
        """The disagreement of states of all systems, one after the other, shape (..., n) -> (...)."""
        x = np.asarray(x, dtype=float)
        x = x.reshape(*x.shape[:-1], self.nodes, -1)
        if self.euclidean:
            return np.sqrt((self.inner.length(x - x.mean(axis=-2, keepdims=True)) ** 2).sum(axis=-1))
        return self.inner.length(x[..., :, None, :] - x[..., None, :, :]).max(axis=(-1, -2))

    def pack(self):
        """What a file says of it beside p and weights."""
        return {"of": "disagreement", "nodes": self.nodes, "euclidean": self.euclidean}

    def __eq__(self, other):
        same = isinstance(other, Disagreement) and (self.nodes, self.euclidean) == (other.nodes, other.euclidean)
        return same and self.inner == other.inner

    def __hash__(self):
        return hash((self.nodes, self.inner))

    def __repr__(self):
        how = "distance to consensus" if self.euclidean else "largest distance"
        return f"{how} of {self.nodes} systems in {self.inner}"


@dataclass(frozen=True, eq=False)
class SynchronyStructure:
    """Identical systems on a graph.

    Attributes
    ----------
    base : LureStructure
        One system, n states.
    W : ndarray, shape (m, m)
        Weights, not negative; the diagonal has no effect.
    inner : ndarray, shape (n, n)
    """

    base: LureStructure
    W: np.ndarray
    inner: np.ndarray

    form = "synchrony"
    exact = False
    proves = "semi"

    @property
    def n(self):
        return self.base.n * len(self.W)

    @property
    def entries(self):
        return self.base.entries + self.W.size + self.inner.size

    def check(self):
        """Raise ValueError unless the shapes fit and all numbers are finite, the weights not negative."""
        if getattr(self.base, "form", "") != "lure":
            raise ValueError("one system is no Lur'e field")
        self.base.check()
        for name, count in (("W", len(self.W)), ("inner", self.base.n)):
            array = getattr(self, name)
            if not isinstance(array, np.ndarray) or array.dtype != np.float64 or array.shape != (count, count):
                raise ValueError(f"{name} is not a square matrix of floats")
            if not np.isfinite(array).all():
                raise ValueError(f"{name} is not finite")
        if len(self.W) < 2 or np.any(self.W < 0):
            raise ValueError("the graph has no two nodes, or a negative weight")

    def drawn(self, strength):
        """One system, drawn by the inner coupling with a strength."""
        n = self.base.n
        E, F, G = (m if isinstance(m, np.ndarray) else m.toarray() for m in (self.base.E, self.base.F, self.base.G))
        F, G = (np.diag(m) if m.ndim == 1 else m for m in (F, G))
        fixed = np.full(n, float(strength))
        ends = (np.concatenate([end, fixed]) for end in (self.base.lo, self.base.hi))
        return LureStructure(E, np.hstack([F, -self.inner]), np.vstack([G, np.eye(n)]), *ends)


class _Synchrony:
    """What both claims share."""

    proves = "semi"
    order = None

    def lipschitz(self):
        """Not bounded here: a forward step of a seminorm is not offered."""
        return math.inf

    def _number(self, name):
        value = getattr(self, name)
        good = (
            isinstance(value, np.ndarray)
            and value.shape == (1,)
            and value.dtype == np.float64
            and np.isfinite(value[0])
        )
        return float(value[0]) if good else None


@dataclass(frozen=True, eq=False)
class ErgodicClaim(_Synchrony):
    """The largest distance of two systems decays: the graph's coefficient exceeds the ``osLip`` of one system in the norm."""

    structure: SynchronyStructure
    p: float
    weights: np.ndarray
    osLip: np.ndarray
    kind = "ergodic"

    def witness(self):
        return {"weights": self.weights, "osLip": self.osLip}

    def norm(self):
        return Disagreement(len(self.structure.W), self.p, self.weights, euclidean=False)

    def least(self):
        """The difference, rounded up."""
        c = self._number("osLip")
        return math.inf if c is None else math.nextafter(c - _coefficient(self.structure.W), math.inf)

    def holds(self, b, exact=False):
        """Whether the distance decays with rate -b; a True is a proof."""
        s, c = self.structure, self._number("osLip")
        if not is_sound(s) or c is None or not math.isfinite(b) or not np.array_equal(s.inner, np.eye(s.base.n)):
            return False
        if self.p not in (1, 2, math.inf) or (exact and len(s.W) > _EXACT):
            return False
        one = VertexClaim(s.base, self.weights) if self.p == 2 else RowsClaim(s.base, self.p, self.weights)
        if not one.holds(c, exact):
            return False
        delta = _exact_coefficient(s.W) if exact else Fraction(_coefficient(s.W))
        return Fraction(c) - delta <= Fraction(b)


@dataclass(frozen=True, eq=False)
class SpectralClaim(_Synchrony):
    """The distance to consensus in l2 with a matrix P decays: a graph whose second eigenvalue exceeds ``connectivity``."""

    structure: SynchronyStructure
    P: np.ndarray
    connectivity: np.ndarray
    kind = "spectral"

    def witness(self):
        return {"P": self.P, "connectivity": self.connectivity}

    def norm(self):
        return Disagreement(len(self.structure.W), 2.0, self.P)

    def least(self):
        """The largest log norm of a vertex of one system, drawn by the graph, with a hair given away."""
        strength = self._number("connectivity")
        return math.inf if strength is None else VertexClaim(self.structure.drawn(strength), self.P).least()

    def holds(self, b, exact=False):
        """Whether the distance decays with rate -b; a True is a proof."""
        s, strength = self.structure, self._number("connectivity")
        if not is_sound(s) or strength is None or strength < 0 or not math.isfinite(b):
            return False
        n = s.base.n
        if not isinstance(self.P, np.ndarray) or self.P.shape != (n, n) or not np.isfinite(self.P).all():
            return False
        if (exact and len(s.W) > _EXACT) or not exceeds(s.W, strength, exact):
            return False
        P, inner = ([[Fraction(float(v)) for v in row] for row in m] for m in (self.P, s.inner))
        PG = [[sum((P[i][k] * inner[k][j] for k in range(n)), Fraction(0)) for j in range(n)] for i in range(n)]
        monotone = [[PG[i][j] + PG[j][i] for j in range(n)] for i in range(n)]
        return is_positive_semidefinite_exact(monotone) and VertexClaim(s.drawn(strength), self.P).holds(b, exact)


def exceeds(W, bound, exact=False):
    """Whether the second eigenvalue of the Laplacian of symmetric weights is at least a bound; True is a proof."""
    if not 0 <= bound < math.inf or not np.array_equal(W, W.T) or len(W) < 2:
        return False
    if bound == 0:
        return True  # weights are not negative
    n = len(W)
    if exact:
        W, s = [[Fraction(float(v)) for v in row] for row in W], Fraction(bound)
        Q = [
            [n * ((sum(W[i]) - W[i][i] if i == j else -W[i][j]) - s * (i == j)) + s + 1 for j in range(n)]
            for i in range(n)
        ]
        return is_positive_definite_exact(Q)
    off = np.where(np.eye(n, dtype=bool), 0.0, W)
    degree = off.sum(axis=1)
    size = float(degree.max(initial=0.0))
    Q = np.diag(degree) - off - bound * np.eye(n) + (bound + size) / n
    doubt = gamma(2 * n + 8) * 4 * (size + 1e-290) + gamma(8) * 4 * (bound + size)
    return is_positive_definite((Q + Q.T) / 2, doubt)


def _coefficient(W):
    """The ergodic coefficient, rounded down: a sum of numbers of one sign, and a minimum."""
    return ergodic_coefficient(W) * (1 - gamma(2 * len(W) + 8))


def _exact_coefficient(W):
    W = [[Fraction(float(v)) for v in row] for row in W]
    span = range(len(W))
    return min(W[i][j] + W[j][i] + sum((min(W[i][k], W[j][k]) for k in span if k not in (i, j)), Fraction(0))
               for i in span for j in range(i))  # fmt: skip
