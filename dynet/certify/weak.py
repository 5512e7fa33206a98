r"""Weak contraction: conservation laws and translation invariance, proven in exact arithmetic.

A positive vector :math:`\eta` with :math:`\eta^\top DF(x) = 0` for all x is a *conservation law*, since then
:math:`\eta^\top F` is constant; one with :math:`DF(x)\,\xi = 0` a *translation invariance*, since then
:math:`F(x + a\xi) = F(x)`. Either makes 0 an eigenvalue of every Jacobian, so the one-sided Lipschitz constant is at least 0
in every norm. If the field is also monotone (DF is Metzler), it is 0 in the l1 norm with weights :math:`\eta`, respectively
in the l-infinity norm with weights :math:`\xi`: the sums of columns (rows) of a Metzler matrix are its log norm.

For :math:`J(d) = E + F[d]G` with free slopes d, :math:`J(d)\xi = \lambda(d)\xi` holds for all d if and only if it holds
for one, and :math:`F_k (G\xi)_k` is a multiple of :math:`\xi` for each unit k whose slope is free. No floating-point number
can show that a sum is zero; here sums of products are formed from the products' exact errors and added by `math.fsum`, which
rounds correctly, so that zero means zero.

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
from .claims import RowsClaim
from .entries import exact_lower, lower_bounds, transposed

__all__ = ["MonotoneClaim", "approximate_eigenvalue", "eigenvalue", "find_law", "is_monotone", "keeps", "whole"]

_KNOWN = ("lure", "kept")  # forms of structures whose vectors are known exactly
_SVD = 400  # states up to which a vector is looked for among all
_LARGEST = 2**20  # largest entry of a vector of whole numbers that is tried


@dataclass(frozen=True, eq=False)
class MonotoneClaim:
    """The field is monotone and has a law, so that its one-sided Lipschitz constant is 0.

    With p = 1 a conservation law with the vector `eta`, in the l1 norm with these weights; with p = inf an invariance under
    translation along `eta`, in the l-infinity norm with these weights.
    """

    structure: object
    p: float
    eta: np.ndarray
    kind = "monotone"
    proves = "contraction"
    order = None

    def witness(self):
        return {"eta": self.eta}

    def norm(self):
        return Norm(self.p, self.eta)

    def least(self):
        """0.0 where the claim holds, otherwise inf."""
        return 0.0 if self.holds(0.0) else math.inf

    def holds(self, b, exact=False):
        """Whether osLip <= b; a True is a proof."""
        valid = self.eta.shape == (self.structure.n,) and np.all((self.eta >= 1e-100) & (self.eta <= 1e100))
        if not valid or self.p not in (1, math.inf) or not 0 <= b < math.inf or self.structure.form not in _KNOWN:
            return False
        return keeps(self.structure, self.law(), self.eta) and is_monotone(self.structure, exact)

    def law(self):
        """The name of the law."""
        return "conservation" if self.p == 1 else "translation"

    def lipschitz(self):
        """A proven bound on the induced norm of every Jacobian in the same norm."""
        return RowsClaim(self.structure, self.p, self.eta).lipschitz()


def keeps(structure, name, vector):
    """Whether a field has the law `name` with this vector, for all slopes; exact, and False where it cannot be shown."""
    if structure.form not in _KNOWN or name not in ("conservation", "translation") or vector.shape != (structure.n,):
        return False
    return eigenvalue(structure, vector, left=name == "conservation") == (0, 0)


def is_monotone(structure, exact=False):
    """Whether the Jacobian is Metzler for all slopes; True is a proof."""
    if not exact:
        low = lower_bounds(structure)
        if low is not None:
            return bool(np.all(_off_diagonal(low) >= 0))
    return all(value >= 0 for i, row in enumerate(exact_lower(structure)) for j, value in row.items() if j != i)


def eigenvalue(structure, vector, left=False):
    r"""The interval of :math:`\lambda(d)` in :math:`J(d)v = \lambda(d)v` over all slopes, or None where v is no eigenvector.

    Parameters
    ----------
    structure : LureStructure
    vector : ndarray, shape (n,)
        Nonzero first entry.
    left : bool
        For the transposed Jacobians.

    Returns
    -------
    tuple of Fraction, or None
        Exact.
    """
    if structure.form == "kept":
        return structure.eigenvalue(vector, left)
    if not vector[0] or not np.isfinite(vector).all() or approximate_eigenvalue(structure, vector, left, 1e-9) is None:
        return None  # far from an eigenvector: no need to be exact
    if left:
        structure = transposed(structure)
    v = [Fraction(float(x)) for x in vector]
    moved = [Fraction(x) for x in _product(structure.E, vector)]
    through = _product(structure.G, vector)  # what a shift along the vector does to the units
    low = high = Fraction(0)
    for k in (k for k, w in enumerate(through) if w):
        column = _column(structure.F, k)
        lo, hi = Fraction(float(structure.lo[k])), Fraction(float(structure.hi[k]))
        for i, f in column.items():
            moved[i] += lo * f * through[k]
        if lo == hi or not column:
            continue
        ratio = column.get(0, Fraction(0)) * through[k] / v[0]
        if any(column.get(i, 0) * through[k] != ratio * x for i, x in enumerate(v)):
            return None
        change = ratio * (hi - lo)
        low, high = low + min(change, 0), high + max(change, 0)
    start = moved[0] / v[0]
    if any(moved) if not start else any(m != start * x for m, x in zip(moved, v, strict=True)):
        return None
    return start + low, start + high


def find_law(structure, name):
    """A positive vector with which the field has the law, and whether it is proven: ``(vector, exact)``, or None.

    Not exact means that the law holds to within rounding: the numbers of the field, taken at their word, break it.
    """
    left = name == "conservation"
    n = structure.n
    ones = np.ones(n)
    if keeps(structure, name, ones):
        return ones, True
    rough = approximate_eigenvalue(structure, ones, left)
    if rough is not None and max(map(abs, rough)) <= 1e-12 * _size(structure):
        return ones, False
    if n > _SVD:
        return None
    rows = _conditions(transposed(structure) if left else structure)
    _, sizes, basis = np.linalg.svd(rows, full_matrices=True)
    rank = int(np.sum(sizes > 1e-12 * max(sizes.max(initial=0.0), 1e-300)))
    if rank == n:
        return None
    free = basis[rank:]
    vector = free.T @ (free @ ones)  # the vector nearest to ones
    if n - rank == 1:
        vector = free[0] * np.sign(free[0].sum() or 1.0)
    if not np.all(vector > 1e-9 * np.abs(vector).max()):
        return None
    for candidate in (whole(vector), vector / vector.max()):
        if candidate is not None and keeps(structure, name, candidate):
            return candidate, True
    return vector / vector.max(), False


def whole(vector):
    """A vector of whole numbers with nearly these proportions, or None."""
    fractions = [Fraction(float(v)).limit_denominator(10_000) for v in vector / vector.min()]
    scale = math.lcm(*(f.denominator for f in fractions))
    whole = [int(f * scale) for f in fractions]
    divisor = math.gcd(*whole)
    return None if max(whole) // divisor > _LARGEST else np.array([w // divisor for w in whole], dtype=float)


def _conditions(structure):
    """A matrix whose null space is that of all Jacobians: dense, for small systems."""
    E, F, G = (_dense(m) for m in (structure.E, structure.F, structure.G))
    free = (structure.lo < structure.hi) & np.any(F != 0, axis=0)
    return np.vstack([E + (F * structure.lo) @ G, G[free]])


def approximate_eigenvalue(structure, vector, left=False, tol=1e-12):
    """The interval of :func:`eigenvalue` in floating point, or None where the vector is none to within `tol`, relative."""
    s = transposed(structure) if left else structure
    w, size = _times(s.G, vector), _times(abs(s.G), np.abs(vector))
    w = np.where(np.abs(w) > tol * size, w, 0.0)
    moved = _times(s.E, vector) + _times(s.F, s.lo * w)
    size = _times(abs(s.E), np.abs(vector)) + _times(abs(s.F), np.abs(s.lo * w)) + np.abs(vector) * 1e-300
    low = high = float(np.mean(moved / vector))
    if np.any(np.abs(moved - low * vector) > tol * (size + abs(low) * np.abs(vector))):
        return None
    for k in np.flatnonzero((w != 0) & (s.lo < s.hi)):
        column = np.zeros(len(s.lo))
        column[k] = w[k] * (s.hi[k] - s.lo[k])
        change = _times(s.F, column) / vector
        if np.ptp(change) > tol * np.abs(change).max():
            return None
        low, high = low + min(change.mean(), 0.0), high + max(change.mean(), 0.0)
    return low, high


def _size(structure):
    E, F, G = (np.abs(m if isinstance(m, np.ndarray) else m.data).max(initial=0.0)
               for m in (structure.E, structure.F, structure.G))  # fmt: skip
    slope = max(np.abs(structure.lo).max(initial=0.0), np.abs(structure.hi).max(initial=0.0))
    return E + F * slope * G


def _times(M, v):
    return M * v if isinstance(M, np.ndarray) and M.ndim == 1 else M @ v


def _product(M, v):
    """``M v`` exactly: 0 where a row's sum of products vanishes, otherwise a Fraction."""
    if isinstance(M, np.ndarray) and M.ndim == 1:
        return [Fraction(float(m)) * Fraction(float(x)) if m else 0 for m, x in zip(M, v, strict=True)]
    if isinstance(M, np.ndarray):
        rows = ((row, v) for row in M)
    else:
        return _sparse_product(M, v)
    return [_dot(a, x) for a, x in rows]


def _sparse_product(M, v):
    """The same for a csr array; the rows of differences, whose two products cancel, are passed over all at once."""
    found = [0] * M.shape[0]
    length, start = np.diff(M.indptr), M.indptr[:-1]
    left = length > 0
    two = np.flatnonzero(length == 2)
    a, b = start[two], start[two] + 1
    same = v[M.indices[a]] == v[M.indices[b]]
    left[two[same & (M.data[a] == -M.data[b])]] = False
    for i in np.flatnonzero(left):
        part = slice(M.indptr[i], M.indptr[i + 1])
        found[i] = _dot(M.data[part], v[M.indices[part]])
    return found


def _dot(a, x):
    if not a.any():
        return 0
    if np.all(x == 1.0) and np.all(np.abs(a) < 1e300) and math.fsum(a) == 0.0:
        return 0
    return sum(Fraction(float(p)) * Fraction(float(q)) for p, q in zip(a, x, strict=True) if p)


def _column(F, k):
    """Column k of a matrix as a dict row -> Fraction."""
    if isinstance(F, np.ndarray) and F.ndim == 1:
        return {k: Fraction(float(F[k]))} if F[k] else {}
    column = F[:, k] if isinstance(F, np.ndarray) else F[:, [k]].toarray().ravel()
    return {int(i): Fraction(float(column[i])) for i in np.flatnonzero(column)}


def _dense(M):
    if not isinstance(M, np.ndarray):
        return M.toarray()
    return np.diag(M) if M.ndim == 1 else M


def _off_diagonal(M):
    if isinstance(M, np.ndarray):
        return M[~np.eye(len(M), dtype=bool)]
    entries = M.tocoo()
    return entries.data[entries.row != entries.col]
