r"""Bounds on a Jacobian together with a vector that it keeps: what a function's algebra adds to its enclosure.

The claims here are about all matrices J between two bounds that have :math:`J\xi = \lambda\xi` (or :math:`\xi^\top J =
\lambda\xi^\top`) with one positive vector and :math:`\lambda` in an interval. That the Jacobians of the field are such
matrices is proven when the certificate is made, by :mod:`dynet.fields.symbols` on the function's own code, and again by
:func:`dynet.certify.confirm`; in the file it is carried as data, like the bounds.

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

from ..fields.symbols import left_eigenvalue, right_eigenvalue
from ..linalg.norms import Norm
from .certificate import Certificate, Law
from .interval import IntervalStructure
from .semi import RangeClaim
from .weak import MonotoneClaim, whole

__all__ = ["KeptStructure", "kept", "semi_of_function", "weak_of_function"]

_SOURCE = "by algebra on the function's own code"


@dataclass(frozen=True, eq=False)
class KeptStructure:
    """All matrices between two bounds that keep a vector.

    Attributes
    ----------
    base : IntervalStructure
        One pair of matrices.
    left : bool
        Whether the vector is a left eigenvector.
    vector : ndarray, shape (n,)
        Positive.
    ends : ndarray, shape (2,)
        Bounds on its eigenvalue.
    """

    base: IntervalStructure
    left: bool
    vector: np.ndarray
    ends: np.ndarray

    form = "kept"
    exact = False

    @property
    def n(self):
        return self.base.n

    @property
    def entries(self):
        return self.base.entries

    @property
    def origin(self):
        return self.base.origin

    def check(self):
        """Raise ValueError unless the bounds are one pair, the vector is positive and the interval is one."""
        if getattr(self.base, "form", "") != "interval" or self.base.lo.ndim != 2:
            raise ValueError("the bounds are not one pair of matrices")
        self.base.check()
        if not isinstance(self.left, bool):
            raise ValueError("left is a truth value")
        for name, shape in (("vector", (self.n,)), ("ends", (2,))):
            array = getattr(self, name)
            if not isinstance(array, np.ndarray) or array.dtype != np.float64 or array.shape != shape:
                raise ValueError(f"{name} is not an array of {shape} floats")
        if not np.all((self.vector >= 1e-100) & (self.vector <= 1e100)):
            raise ValueError("the vector is not positive")
        if not (np.isfinite(self.ends).all() and self.ends[0] <= self.ends[1]):
            raise ValueError("the eigenvalue has no interval")

    def hull(self):
        """Bounds on the entries, two matrices."""
        return self.base.hull()

    def majorants(self, p):
        return self.base.majorants(p)

    def exact_rows(self, p):
        return self.base.exact_rows(p)

    def eigenvalue(self, vector, left):
        """The exact interval of the eigenvalue of this vector, or None for another vector."""
        if left != self.left or not np.array_equal(vector, self.vector):
            return None
        return Fraction(float(self.ends[0])), Fraction(float(self.ends[1]))

    def transposed(self):
        """The structure of the transposed matrices."""
        lo, hi = (m.T if isinstance(m, np.ndarray) else m.T.tocsr() for m in (self.base.lo, self.base.hi))
        return KeptStructure(IntervalStructure(lo, hi), not self.left, self.vector, self.ends)


def kept(model, structure, vector, left):
    """The structure of a function's bounds with a vector that algebra shows to be kept; None where it does not."""
    rate = (left_eigenvalue if left else right_eigenvalue)(model, vector)
    if rate is None or structure.form != "interval" or structure.lo.ndim != 2:
        return None
    near = float(rate)
    ends = near, near
    if Fraction(near) != rate:
        ends = math.nextafter(near, -math.inf), math.nextafter(near, math.inf)
    found = KeptStructure(structure, left, np.array(vector, dtype=float), np.array(ends))
    try:
        found.check()
    except ValueError:
        return None
    return found


def weak_of_function(model, region, structure, p=None):
    """Weak contraction of a monotone function with a law, proven or seen at points only; None where neither is."""
    low = structure.hull()[0]
    if not np.all(low[~np.eye(model.n, dtype=bool)] >= 0):
        return None
    for name, q in (("translation", math.inf), ("conservation", 1.0)):
        if p not in (None, q):
            continue
        for vector in (np.ones(model.n), _seen(model, region, q)):
            if vector is None:
                continue
            found = kept(model, structure, vector, left=q == 1)
            claim = None if found is None else MonotoneClaim(found, q, found.vector)
            if claim is not None and claim.holds(0.0):
                law = Law(name, found.vector)
                return Certificate("certified", "weak", 0.0, claim.norm(), (0.0, 0.0), f"monotone, and it {law}, {_SOURCE}",
                                   model=model.name, claim=claim, law=law, source=model)  # fmt: skip
        if vector is not None and np.all(vector > 0):
            law = Law(name, vector)
            reason = (f"monotone, by bounds on the Jacobian; that the field {law} is seen at points and not proven: algebra on "
                      "its code does not show it. Write it as a Lur'e or network field, or with numbers that cancel "
                      "exactly")  # fmt: skip
            return Certificate("estimated", "weak", 0.0, Norm(q, vector), (-math.inf, 0.0), reason, model=model.name,
                               law=law, source=model)  # fmt: skip
    return None


def semi_of_function(model, structure, weights=None, p=None):
    """The best range claim about a function, or None where algebra shows no kernel; weights of a seminorm as they stand."""
    claims = []
    for q in (math.inf, 1.0):
        if p not in (None, q):
            continue
        found = kept(model, structure, np.ones(model.n) if weights is None else np.array(weights), left=q == 1)
        if found is not None:
            claims.append(RangeClaim(found, q, found.vector))
    return min(claims, key=lambda claim: claim.least(), default=None)


def _seen(model, region, p):
    """A positive vector that Jacobians at points annihilate (from the left for p = 1), in whole numbers where it can be."""
    lo, hi = (np.clip(end, -10.0, 10.0) for end in region.box(model.n))
    points = np.random.default_rng(0).uniform(lo, hi, (8, model.n))
    points = [x for x in points if region.contains(x)]
    if not points:
        return None
    jacobians = [model.jacobian(0.0, x) for x in points]
    rows = np.vstack([J if p > 1 else J.T for J in jacobians])
    if not np.isfinite(rows).all():
        return None
    _, sizes, basis = np.linalg.svd(rows)
    vector = basis[-1] * np.sign(basis[-1].sum() or 1.0)
    if not (sizes[-1] <= 1e-10 * sizes[0] and np.all(vector > 1e-6 * np.abs(vector).max())):
        return None
    plain = whole(vector)
    close = plain is not None and np.allclose(plain / plain.max(), vector / vector.max(), rtol=1e-8)
    return plain if close else vector / vector.max()
