r"""k-contraction: how a field shrinks k-dimensional volumes, from the additive compounds of its Jacobian.

The additive compound :math:`J^{[k]}` acts on the :math:`\binom nk` index sets :math:`\beta` of k states. Its diagonal is
:math:`\sum_{i\in\beta} a_{ii}`; sets that differ by one element, :math:`i \in \beta` at place p against j at place q,
are joined by :math:`(-1)^{p+q} a_{ij}`; all else is 0. So the row of :math:`\beta` in its Metzler majorant is

.. math:: \sum_{i\in\beta}\Big[a_{ii}w_\beta + \sum_{j\notin\beta} |a_{ij}|\,w_{\beta\setminus i\cup j}\Big],

and bounds on the entries of J bound it. With weights w on the sets, :math:`\mu(J^{[k]}) \le -c` means that k-volumes shrink
like :math:`e^{-ct}`. k = 1 is contraction; for k = 2 a bounded trajectory of a time-invariant field that stays in a compact
convex set converges to an equilibrium, and there are no periodic orbits. For a real order :math:`\alpha = k + s`,

.. math:: \mu_p(J^{[\alpha]}) = (1-s)\,\mu_p(J^{[k]}) + s\,\mu_p(J^{[k+1]}),

and if it is negative on a compact invariant set, the set has a Hausdorff dimension below :math:`\alpha`.

References
----------
Wu, Kanevskiy, Margaliot, k-contraction: theory and applications, Automatica 136, 2022.
Wu, Pines, Margaliot, Slotine, Generalization of the multiplicative and additive compounds of square matrices and contraction
in the Hausdorff dimension, IEEE Transactions on Automatic Control 67(9), 2022.
Li, Muldowney, A geometric approach to global-stability problems, SIAM Journal on Mathematical Analysis 27, 1996.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ..errors import ArgumentError
from ..linalg.norms import Norm
from ..linalg.rigorous import add_down, add_up
from .lure import Majorant, _exact_maximum, _maximum

__all__ = ["AlphaClaim", "CompoundNorm", "CompoundStructure", "pattern"]

_LARGEST = 3_000_000  # entries of a compound that are formed
_SIGNED = 400  # sets up to which signed compounds of vertices are formed


class CompoundNorm:
    """A norm of k-volumes: a weighted p-norm of the coordinates of the sets of k states, in lexicographic order.

    Examples
    --------
    >>> CompoundNorm(2, 2.0, np.ones(3))
    l_2 with equal weights, of volumes of dimension 2
    """

    __slots__ = ("k", "inner")

    def __init__(self, k, p, weights):
        object.__setattr__(self, "k", int(k))
        object.__setattr__(self, "inner", Norm(p, weights))

    def __setattr__(self, name, value):
        raise AttributeError("a norm cannot be changed; make another one")

    p = property(lambda self: self.inner.p)
    weights = property(lambda self: self.inner.weights)
    n = property(lambda self: self.inner.n)

    def length(self, x):
        """The norm of coordinates of k-volumes, shape (..., sets) -> (...)."""
        return self.inner.length(x)

    def log(self, A):
        """The log norm of a compound."""
        return self.inner.log(A)

    def pack(self):
        """What a file says of it beside p and weights."""
        return {"of": "compound", "k": self.k}

    def __eq__(self, other):
        return isinstance(other, CompoundNorm) and self.k == other.k and self.inner == other.inner

    def __hash__(self):
        return hash((self.k, self.inner))

    def __repr__(self):
        return f"{self.inner}, of volumes of dimension {self.k}"


@dataclass(frozen=True, eq=False)
class CompoundStructure:
    """The additive compounds of order k of the Jacobians that another structure bounds.

    Attributes
    ----------
    base : structure of an n x n family
    k : int
        From 1 to n.

    Examples
    --------
    >>> from dynet.certify.interconnect import GainStructure
    >>> compound = CompoundStructure(GainStructure(np.array([[-3.0, 1.0], [2.0, -4.0]])), 2)
    >>> compound.n, compound.majorants(1)[0].high
    (1, array([-7.]))
    """

    base: object
    k: int
    form = "compound"
    proves = "k"
    exact = False

    @property
    def order(self):
        return float(self.k)

    @property
    def n(self):
        return math.comb(self.base.n, self.k)

    @property
    def entries(self):
        return self.n * self.k * (self.base.n - self.k + 1)

    def norm(self, p, weights):
        """The norm that a bound with these weights is about."""
        return CompoundNorm(self.k, p, weights)

    def check(self):
        """Raise ValueError unless the order fits the number of states, and the compound can be formed."""
        self.base.check()
        if getattr(self.base, "proves", "contraction") != "contraction":
            raise ValueError("a compound is formed of the Jacobians themselves")
        if isinstance(self.k, bool) or not isinstance(self.k, int) or not 1 <= self.k <= self.base.n:
            raise ValueError(f"k is {self.k!r}, not a whole number from 1 to {self.base.n}")
        if self.entries > _LARGEST:
            raise ValueError(f"the compound of order {self.k} of {self.base.n} states is too large")

    def majorants(self, p):
        """The Metzler majorants of the compounds, of the transposed ones for p = 1.

        Where the base leaves a choice between two rows for each state, a row of the compound has one of its k states'
        rows from either, in each combination.
        """
        base = _at_most_two(self.base.majorants(p), _maximum)
        sets, rows, cols, i, j, _ = pattern(self.base.n, self.k)
        place = _place(sets, rows, i)
        dense = [m.off if isinstance(m.off, np.ndarray) else m.off.toarray() for m in base]
        found = []
        for choice in self._choices(len(base)):
            picked = np.array(choice)
            values = np.zeros(len(rows))
            for c, off in enumerate(dense):
                here = picked[place] == c
                values[here] = off[i[here], j[here]]
            high, low = np.zeros(self.n), np.zeros(self.n)
            for position, c in enumerate(choice):
                high = add_up(high, base[c].high[sets[:, position]])
                low = add_down(low, base[c].low[sets[:, position]])
            found.append(Majorant(_matrix(values, rows, cols, self.n), high, low))
        return found

    def exact_rows(self, p):
        """The matrices of :meth:`majorants` without rounding."""
        base = _at_most_two(self.base.exact_rows(p), _exact_maximum)
        sets = list(itertools.combinations(range(self.base.n), self.k))
        rank = {s: r for r, s in enumerate(sets)}
        found = []
        for choice in self._choices(len(base)):
            diagonal, off = [], []
            for s in sets:
                inside, row, total = set(s), {}, Fraction(0)
                for c, i in zip(choice, s, strict=True):
                    total += base[c][0][i]
                    for j, value in base[c][1][i].items():
                        if j not in inside:
                            row[rank[tuple(sorted(inside - {i} | {j}))]] = value
                diagonal.append(total)
                off.append(row)
            found.append((diagonal, off))
        return found

    def _choices(self, count):
        return list(itertools.product(range(count), repeat=self.k))

    def vertices(self):
        """Signed compounds of the base's vertices, each with a bound on the error of its entries."""
        for J, error in self.base.vertices():
            yield (
                self._signed(J),
                self._signed(error, moduli=True)
                + self.k * 2.0**-52 * np.diag(np.abs(np.diagonal(J))[pattern(self.base.n, self.k)[0]].sum(axis=1)),
            )

    def _signed(self, J, moduli=False):
        sets, rows, cols, i, j, sign = pattern(self.base.n, self.k)
        A = np.zeros((self.n, self.n))
        A[rows, cols] = J[i, j] if moduli else sign * J[i, j]
        np.fill_diagonal(A, np.diagonal(J)[sets].sum(axis=1))
        return A

    def exact_vertices(self):
        """The same without rounding, as lists of lists of Fraction."""
        sets, rows, cols, i, j, sign = pattern(self.base.n, self.k)
        for J in self.base.exact_vertices():
            A = [[Fraction(0)] * self.n for _ in range(self.n)]
            for r, c, a, b, s in zip(rows, cols, i, j, sign, strict=True):
                A[r][c] = int(s) * J[a][b]
            for r, members in enumerate(sets):
                A[r][r] = sum(J[a][a] for a in members)
            yield A

    @property
    def vertex_count(self):
        """How many vertices there are; inf where they are too many or the compound too large."""
        return getattr(self.base, "vertex_count", math.inf) if self.n <= _SIGNED else math.inf


@dataclass(frozen=True, eq=False)
class AlphaClaim:
    """The log norm of every compound of real order k + s is at most b: from one claim for k and one for k + 1.

    Attributes
    ----------
    parts : tuple of two claims
        Of the compounds of order k and k + 1 of the same field, in norms of the same p.
    order : float
    bounds : ndarray, shape (2,)
        What each part proves.
    """

    parts: tuple
    order: float
    bounds: np.ndarray
    kind = "alpha"
    proves = "alpha"

    @property
    def structure(self):
        return self.parts[0].structure

    def witness(self):
        return {"bounds": self.bounds}

    def norm(self):
        """The norm of the volumes of dimension k; that of dimension k + 1 is its companion."""
        return self.parts[0].norm()

    def least(self):
        """The least float that is not below the mean of the two bounds."""
        exact = self._mean()
        near = float(exact)
        return near if Fraction(near) >= exact else math.nextafter(near, math.inf)

    def holds(self, b, exact=False):
        """Whether both parts hold and their mean is at most b; a True is a proof."""
        if not self._valid() or not math.isfinite(b) or self._mean() > Fraction(b):
            return False
        return all(part.holds(float(bound), exact) for part, bound in zip(self.parts, self.bounds, strict=True))

    def lipschitz(self):
        """Not bounded here."""
        return math.inf

    def _mean(self):
        s = Fraction(self.order) - math.floor(self.order)
        low, high = (Fraction(float(b)) for b in self.bounds)
        return (1 - s) * low + s * high

    def _valid(self):
        if len(self.parts) != 2 or self.bounds.shape != (2,) or not np.isfinite([*self.bounds, self.order]).all():
            return False
        first, second = (part.structure for part in self.parts)
        if getattr(first, "form", "") != "compound" or getattr(second, "form", "") != "compound":
            return False
        same = self.parts[0].norm().p == self.parts[1].norm().p and self.parts[0].norm().p in (1, 2, math.inf)
        adjacent = first.k == math.floor(self.order) and second.k == first.k + 1
        return bool(same and adjacent and _same(first.base, second.base))


def _same(first, second):
    """Whether two structures hold the same numbers."""
    from .files import _pack_structure

    return first is second or _pack_structure(first) == _pack_structure(second)


def pattern(n, k):
    """The entries off the diagonal of an additive compound.

    Returns
    -------
    sets : ndarray of int, shape (N, k)
        The index sets in lexicographic order.
    rows, cols, i, j : ndarray of int
        Entry (row, col) of the compound comes from entry (i, j) of the matrix.
    sign : ndarray of float

    Examples
    --------
    >>> sets, rows, cols, i, j, sign = pattern(3, 2)
    >>> [(int(r), int(c), int(a), int(b), int(s)) for r, c, a, b, s in zip(rows, cols, i, j, sign)][:2]
    [(0, 2, 0, 2, -1), (1, 2, 0, 1, 1)]
    """
    sets = np.array(list(itertools.combinations(range(n), k)), dtype=np.int64).reshape(-1, k)
    count = len(sets)
    inside = np.zeros((count, n), dtype=bool)
    inside[np.arange(count)[:, None], sets] = True
    ways = np.array([[math.comb(a, b) for b in range(k + 1)] for a in range(n + 1)], dtype=np.int64)
    pieces = []
    for p in range(k):
        row, j = np.nonzero(~inside)
        others = np.delete(sets[row], p, axis=1)
        q = (others < j[:, None]).sum(axis=1)
        fresh = np.sort(np.concatenate([others, j[:, None]], axis=1), axis=1)
        # the rank counts from the last set: sum of the ways to choose what is still to come beyond each member
        later = sum(ways[n - 1 - fresh[:, m], k - m] for m in range(k))
        pieces.append((row, count - 1 - later, sets[row, p], j, np.where((p + q) % 2, -1.0, 1.0)))
    rows, cols, i, j, sign = (np.concatenate(part) for part in zip(*pieces, strict=True))
    return sets, rows, cols, i, j, sign


def _at_most_two(found, join):
    """Majorants of more than two pieces as one: each row of a compound may draw on several."""
    return found if len(found) <= 2 else [functools.reduce(join, found)]


def _place(sets, rows, i):
    """At which place of its set each i stands."""
    return (sets[rows] < i[:, None]).sum(axis=1)


def _matrix(values, rows, cols, n):
    if n <= 300:
        A = np.zeros((n, n))
        A[rows, cols] = values
        return A
    from scipy.sparse import csr_array

    keep = values != 0
    return csr_array((values[keep], (rows[keep], cols[keep])), shape=(n, n))


def check_order(order, n, whole):
    """The order of a compound as a number that fits, or an error."""
    ok = isinstance(order, int | float | np.number) and not isinstance(order, bool) and 1 <= order <= n
    if not ok or (whole and order != int(order)):
        raise ArgumentError("order", order, f"a {'whole ' if whole else ''}number from 1 to {n}, the number of states")
    return int(order) if whole else float(order)
