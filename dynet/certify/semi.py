r"""Semi-contraction: trajectories approach each other up to what a kernel cannot see.

*Range.* If :math:`J\xi = \lambda\xi` with a positive vector for every Jacobian, differences across components die out in the
seminorm :math:`(\max_i x_i/\xi_i - \min_i x_i/\xi_i)/2` at the rate

.. math:: -\lambda + \min_{i<j}\big[a_{ij} + a_{ji} + \sum_{k \ne i,j}\min(a_{ik}, a_{jk})\big], \qquad
          a_{ij} = J_{ij}\,\xi_j/\xi_i.

This is Dobrushin's formula with the diagonal removed by the sum of its row, :math:`a_{ii} = \lambda - \sum_{k\ne i} a_{ik}`; it
holds for entries of any sign, and it grows with each entry, so that lower bounds on the entries off the diagonal bound it
for a whole family. The transpose gives the dual: the weighted l1 distance of two trajectories with the same conserved sum.

*Reduction.* For a seminorm :math:`|Rx|` whose kernel every Jacobian keeps, :math:`RJ = J_RR` with :math:`J_R = RJS` for any S
with :math:`RS = I`, and the log seminorm of J is the log norm of :math:`J_R`. Both the invariance and :math:`J_R` are
computed in rational arithmetic here; only the bounds on its entries are rounded, outward.

References
----------
Jafarpour, Cisneros-Velarde, Bullo, Weak and semi-contraction for network systems and diffusively coupled oscillators,
IEEE Transactions on Automatic Control 67(3), 2022.
De Pasquale, Smith, Bullo, Valcher, Dual seminorms, ergodic coefficients and semicontraction theory, arXiv:2201.03103.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from ..errors import ArgumentError
from ..linalg.norms import Norm
from ..linalg.ranges import RangeSeminorm, ergodic_coefficient
from ..linalg.rigorous import gamma, multiply_down
from .entries import exact_lower, exact_rows_of, lower_bounds, transposed
from .lure import Majorant
from .weak import eigenvalue

__all__ = ["RangeClaim", "ReducedStructure", "WeightedRange"]

_BLOCK = 2**15  # numbers that are compared at a time
_DENSE = 1_500  # states up to which all pairs of rows are compared
_EXACT = 200  # states up to which they are compared in rational arithmetic unasked


class WeightedRange:
    """Half the range of ``x / weights`` (p = inf), or the weighted l1 norm of x on vectors of weighted sum 0 (p = 1).

    Examples
    --------
    >>> print(WeightedRange(math.inf, np.array([1.0, 2.0])).length([1.0, -2.0]))
    1.0
    """

    __slots__ = ("p", "weights")

    def __init__(self, p, weights):
        if p not in (1, math.inf):
            raise ArgumentError("p", p, "inf for the range, 1 for its dual", choices=("1", "inf"))
        weights = np.array(Norm(p, weights).weights)
        weights.flags.writeable = False
        object.__setattr__(self, "p", float(p))
        object.__setattr__(self, "weights", weights)

    def __setattr__(self, name, value):
        raise AttributeError("a seminorm cannot be changed; make another one")

    @property
    def n(self):
        return len(self.weights)

    def length(self, x):
        """The seminorm of x, shape (..., n) -> (...); for p = 1 of vectors whose weighted sum is 0 to rounding."""
        x = np.asarray(x, dtype=float)
        return RangeSeminorm().length(x / self.weights) if self.p > 1 else RangeSeminorm(False).length(x * self.weights)

    def log(self, A):
        """The log seminorm of a matrix that keeps the kernel (for p = 1, whose transpose does)."""
        A, w = np.asarray(A, dtype=float), self.weights
        return RangeSeminorm().log(A * w / w[:, None]) if self.p > 1 else RangeSeminorm(False).log(w[:, None] * A / w)

    def pack(self):
        """What a file says of it beside p and weights."""
        return {"of": "range"}

    def __eq__(self, other):
        same = isinstance(other, WeightedRange) and self.p == other.p
        return same and np.array_equal(self.weights, other.weights)

    def __hash__(self):
        return hash((self.p, self.weights.tobytes()))

    def __repr__(self):
        plain = np.all(self.weights == 1)
        if self.p > 1:
            return "half the range of the states" + ("" if plain else " divided by weights")
        return "l_1 on differences of zero " + ("sum" if plain else "weighted sum")


@dataclass(frozen=True, eq=False)
class RangeClaim:
    """Every Jacobian has the eigenvector `xi` (left, for p = 1), and the log seminorm is at most b."""

    structure: object
    p: float
    xi: np.ndarray
    kind = "range"
    proves = "semi"
    order = None

    def witness(self):
        return {"xi": self.xi}

    def norm(self):
        return WeightedRange(self.p, self.xi)

    @cached_property
    def _eigenvalue(self):
        """The exact interval of the eigenvalue, or None where the kernel is not kept."""
        return eigenvalue(self.structure, self.xi, left=self.p == 1)

    def least(self):
        """A proven bound; inf where the kernel is not kept."""
        if not self._valid():
            return math.inf
        spread = self._spread_down
        if spread is None and self.structure.n > _EXACT:
            return math.inf
        if spread is None or self.structure.n <= 40:
            return _float_up(self._eigenvalue[1] - self._spread_exact())
        return _float_up(self._eigenvalue[1] - Fraction(spread))

    def holds(self, b, exact=False):
        """Whether the log seminorm of every Jacobian is at most b; a True is a proof."""
        if not self._valid() or not math.isfinite(b):
            return False
        if not exact:
            spread = self._spread_down
            if spread is not None and self._eigenvalue[1] - Fraction(spread) <= Fraction(b):
                return True
            if self.structure.n > 60:
                return False
        return self._eigenvalue[1] - self._spread_exact() <= Fraction(b)

    def spread(self):
        """The least sum over pairs of rows, bounded from below, whether or not the kernel is kept; None for large systems."""
        return self._spread_down

    def lipschitz(self):
        """Not bounded here: a forward step of a seminorm is not offered."""
        return math.inf

    def _valid(self):
        n = self.structure.n
        fits = self.xi.shape == (n,) and n >= 2 and np.all((self.xi >= 1e-100) & (self.xi <= 1e100))
        return bool(
            fits
            and self.p in (1, math.inf)
            and self.structure.form in ("lure", "kept")
            and self._eigenvalue is not None
        )

    def _oriented(self):
        return transposed(self.structure) if self.p == 1 else self.structure

    @cached_property
    def _spread_down(self):
        """A lower bound on the least sum over pairs of rows, or None where numbers or the size forbid it."""
        low = lower_bounds(self._oriented())
        if low is None or (self.structure.n > _DENSE and isinstance(low, np.ndarray)):
            return None
        if self.structure.n > _DENSE:
            return self._sparse_spread(low)
        low = low if isinstance(low, np.ndarray) else low.toarray()
        n = len(low)
        if not np.all(self.xi == 1.0):
            low = multiply_down(low, self.xi)  # then the quotient, down
            low = np.nextafter(low / self.xi[:, None], -np.inf)
        off = np.where(np.eye(n, dtype=bool), 0.0, low)
        return _least_pair(off)

    def _sparse_spread(self, low):
        """For large networks of nonnegative couplings: sums of numbers of one sign, each at most slightly rounded."""
        entries = low.tocoo()
        keep = entries.row != entries.col
        if not np.all(self.xi == 1.0) or np.any(entries.data[keep] < 0):
            return None
        off = type(low)((entries.data[keep], (entries.row[keep], entries.col[keep])), shape=low.shape)
        return ergodic_coefficient(off) * (1 - gamma(2 * int(np.diff(off.indptr).max(initial=0)) + 8))

    def _spread_exact(self):
        """The same without rounding."""
        xi = [Fraction(float(v)) for v in self.xi]
        rows = [{j: v * xi[j] / xi[i] for j, v in row.items() if j != i and v}
                for i, row in enumerate(exact_lower(self._oriented()))]  # fmt: skip
        best = None
        for i, j in itertools.combinations(range(len(rows)), 2):
            a, b = rows[i], rows[j]
            total = a.get(j, 0) + b.get(i, 0)
            for k in (a.keys() | b.keys()) - {i, j}:
                total += min(a.get(k, 0), b.get(k, 0))
            best = total if best is None else min(best, total)
        return Fraction(best)


@dataclass(frozen=True, eq=False)
class ReducedStructure:
    """The Jacobians of a Lur'e field in the coordinates R x, whose kernel they keep.

    Attributes
    ----------
    base : LureStructure
    R : ndarray, shape (r, n)
        Linearly independent rows.
    """

    base: object
    R: np.ndarray
    form = "reduced"
    proves = "semi"
    exact = False

    @property
    def n(self):
        return self.R.shape[0]

    @property
    def entries(self):
        return self.R.size

    def norm(self, p, weights):
        """The seminorm that a bound with these weights is about."""
        return Norm(p, weights, self.R)

    def check(self):
        """Raise ValueError unless R has full rank and every Jacobian keeps its kernel: exact."""
        self.base.check()
        if self.base.form != "lure":
            raise ValueError("only the slopes' structure can be reduced")
        if self.R.ndim != 2 or self.R.shape[1] != self.base.n or not np.isfinite(self.R).all():
            raise ValueError(f"R has shape {self.R.shape}, not (r, {self.base.n})")
        if self.entry_bounds is None:
            raise ValueError("the kernel of R is not kept by every Jacobian, or its rows are dependent")

    @cached_property
    def entry_bounds(self):
        """Exact bounds ``(low, high)`` on the entries of ``R J S``, or None where :meth:`check` fails."""
        R = [[Fraction(float(v)) for v in row] for row in self.R]
        S, kernel = _right_inverse(R)
        if S is None:
            return None
        E, F, G = (exact_rows_of(m) for m in (self.base.E, self.base.F, self.base.G))
        lo, hi = ([Fraction(float(v)) for v in limit] for limit in (self.base.lo, self.base.hi))
        RF = _sparse_times(R, F, len(lo))
        GS, GK = (_apply(G, columns) for columns in (S, kernel))
        RE = _sparse_times(R, E, len(E))
        for c, column in enumerate(kernel):
            for r, row in enumerate(RE):
                fixed = sum(a * x for a, x in zip(row, column, strict=True) if a)
                if fixed + sum(RF[r][k] * lo[k] * GK[c][k] for k in range(len(lo)) if RF[r][k]) != 0:
                    return None
            for k in range(len(lo)):
                if lo[k] < hi[k] and GK[c][k] and any(row[k] for row in RF):
                    return None
        low, high = [], []
        for row, f in zip(RE, RF, strict=True):
            fixed = [sum(a * x for a, x in zip(row, column, strict=True) if a) for column in S]
            products = [[a * g for a, g in zip(f, through, strict=True)] for through in GS]
            low.append([x + sum(min(q * d, q * e) for q, d, e in zip(qs, lo, hi, strict=True) if q)
                        for x, qs in zip(fixed, products, strict=True)])  # fmt: skip
            high.append([x + sum(max(q * d, q * e) for q, d, e in zip(qs, lo, hi, strict=True) if q)
                         for x, qs in zip(fixed, products, strict=True)])  # fmt: skip
        return low, high

    @property
    def vertex_count(self):
        """How many vertices the box of slopes has; inf where rational arithmetic would take too long."""
        return self.base.vertex_count if self.base.vertex_count * self.base.n**3 <= 2_000_000 else math.inf

    def vertices(self):
        """The reduced Jacobians at the vertices of the slopes, rounded, with bounds on the rounding."""
        for J in self.exact_vertices():
            near = np.array([[float(v) for v in row] for row in J])
            yield near, np.spacing(np.abs(near))

    def exact_vertices(self):
        """The same without rounding."""
        R = [[Fraction(float(v)) for v in row] for row in self.R]
        S = _right_inverse(R)[0]
        for J in self.base.exact_vertices():
            RJ = _sparse_times(R, [{j: v for j, v in enumerate(row) if v} for row in J], len(J))
            yield [[sum(a * x for a, x in zip(row, column, strict=True) if a) for column in S] for row in RJ]

    def majorants(self, p):
        """The Metzler majorant of the reduced Jacobians, rounded outward; transposed for p = 1."""
        low, high = self.entry_bounds
        low = -np.array([[_float_up(-v) for v in row] for row in low])
        high = np.array([[_float_up(v) for v in row] for row in high])
        off = np.maximum(np.abs(low), np.abs(high))
        np.fill_diagonal(off, 0.0)
        found = Majorant(off, np.diagonal(high).copy(), np.diagonal(low).copy())
        return [found.transposed() if p == 1 else found]

    def exact_rows(self, p):
        """The matrix of :meth:`majorants` without rounding."""
        low, high = self.entry_bounds
        span = range(self.n)
        size = [[max(abs(low[i][j]), abs(high[i][j])) for j in span] for i in span]
        if p == 1:
            size = [list(column) for column in zip(*size, strict=True)]
        off = [{j: size[i][j] for j in span if j != i and size[i][j]} for i in span]
        return [([high[i][i] for i in span], off)]


def _least_pair(off):
    """A lower bound on the least ``a_ij + a_ji + sum_k min(a_ik, a_jk)``, for a matrix with a zero diagonal.

    Rows are compared in blocks that stay in the cache. The entries i and j of two rows, of which one is the diagonal's 0,
    are taken out of the sum and the two direct ones added, in one correction for each pair.
    """
    n = len(off)
    growth = gamma(n + 8) * (1 + 1e-9)
    sizes = np.abs(off).sum(axis=1)
    own = np.minimum(off, 0.0)  # min(a_ij, 0), which the comparison of whole rows contains
    direct = off + off.T - own - own.T
    best, block = math.inf, max(1, _BLOCK // n)
    common = np.empty((block, n))
    for i in range(n - 1):
        for start in range(i + 1, n, block):
            part = slice(start, min(start + block, n))
            found = np.minimum(off[i], off[part], out=common[: part.stop - start]).sum(axis=1)
            total = found + direct[i, part]
            # the sum of n minima, and four more terms, each of them at most the moduli of the two rows
            doubt = growth * (3 * (sizes[i] + sizes[part])) + 1e-300
            best = min(best, float((total - doubt).min()))
    return float(np.nextafter(best, -math.inf))


def _right_inverse(R):
    """Columns S with R S = I, and a basis of the kernel, both as lists of columns; (None, None) for dependent rows."""
    r, n = len(R), len(R[0])
    rows = [list(row) + [Fraction(int(i == j)) for j in range(r)] for i, row in enumerate(R)]
    pivots = []
    for k in range(r):
        pivot = next((j for j in range(n) if rows[k][j]), None)
        if pivot is None:
            return None, None
        scale = rows[k][pivot]
        rows[k] = [v / scale for v in rows[k]]
        for i in range(r):
            if i != k and rows[i][pivot]:
                factor = rows[i][pivot]
                rows[i] = [a - factor * b for a, b in zip(rows[i], rows[k], strict=True)]
        pivots.append(pivot)
    S = [[Fraction(0)] * n for _ in range(r)]
    for k, pivot in enumerate(pivots):
        for c in range(r):
            S[c][pivot] = rows[k][n + c]
    kernel = []
    for j in (j for j in range(n) if j not in pivots):
        column = [Fraction(0)] * n
        column[j] = Fraction(1)
        for k, pivot in enumerate(pivots):
            column[pivot] = -rows[k][j]
        kernel.append(column)
    return S, kernel


def _sparse_times(R, rows, width):
    """R times a matrix that is given by its rows as dicts."""
    found = []
    for row in R:
        total = [Fraction(0)] * width
        for a, entries in zip(row, rows, strict=True):
            if a:
                for j, v in entries.items():
                    total[j] += a * v
        found.append(total)
    return found


def _apply(rows, columns):
    """For each column x, the vector of the products of the rows with x."""
    return [[sum(v * column[j] for j, v in row.items()) for row in rows] for column in columns]


def _float_up(value):
    """The least float that is not below a Fraction."""
    near = float(value)
    return near if Fraction(near) >= value else math.nextafter(near, math.inf)
