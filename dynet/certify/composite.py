r"""Certificates of interconnections: one for each part, gains between them, and the Metzler matrix of both.

For :math:`\dot x_i = f_i(t, x_i) + \sum_j L_{ij}x_j + \sum_j g_{ij}(t, x_j)` with parts that contract at rates :math:`c_i`
in norms of their own, the matrix with :math:`\Gamma_{ii} = -c_i` and
:math:`\Gamma_{ij} \ge \|L_{ij} + \partial g_{ij}\|_{j\to i}`
bounds the log norm in the composite norm: :math:`\Gamma\eta \le -c\eta` proves the rate c in :math:`\max_i\|x_i\|_i/\eta_i`,
and likewise for outer norms with p = 1 and 2. The links do not depend on the receiving state, so the parts' own certificates
stay true whatever the others do.

The gain of a block A (moduli of a matrix, plus bounds on slopes of functions) from a weighted norm to another one:

========= ======================= =========================================== ==============================================
from, to  inf                     1                                           2
========= ======================= =========================================== ==============================================
any       largest length of a row ``sum_i eta_i r_i``, r the lengths of rows  ``sqrt(sum_i P_i r_i^2)``, or Schur's test
1                                 largest weighted column sum                 largest weighted length of a column
2, any P                                                                      ``gain^2 P_from - A' P_to A`` is semidefinite
========= ======================= =========================================== ==============================================

The check computes these bounds again, in directed rounding or in rationals, and compares them with the matrix of the claim.

References
----------
Davydov, Jafarpour, Bullo, Non-Euclidean contraction theory for robust nonlinear stability, arXiv:2103.12263.
Strom, On logarithmic norms, SIAM J. Numer. Anal. 12, 1975.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ..linalg.composite import CompositeNorm
from ..linalg.norms import Norm
from ..linalg.rigorous import gamma, is_positive_definite, is_positive_definite_exact

__all__ = ["InterconnectedClaim", "gain_bound"]

_SMALL, _LARGE = 1e-60, 1e60  # numbers whose products and squares neither vanish nor overflow
_DENSE = 400  # states up to which a gain between two Euclidean norms is an inequality of matrices
_UP = 1 + 2.0**-50


@dataclass(frozen=True, eq=False)
class InterconnectedClaim:
    """The log norm of every Jacobian of an interconnection is at most b in a composite norm.

    Attributes
    ----------
    parts : tuple of claims
        First the claim about the matrix of gains, which is the bound; then one for each part, in the order of their states.
    links : scipy.sparse.csr_array (n, n)
        Matrices between the parts, as they stand.
    limits : scipy.sparse.csr_array (n, n)
        Bounds on the moduli of the derivatives of functions between the parts.
    """

    parts: tuple
    links: object
    limits: object
    kind = "interconnection"
    proves = "contraction"
    order = None

    @property
    def structure(self):
        """The matrix of gains."""
        return self.parts[0].structure

    def witness(self):
        return {"links": self.links, "limits": self.limits}

    def norm(self):
        return CompositeNorm([(part.structure.n, part.norm()) for part in self.parts[1:]], self.parts[0].norm())

    def least(self):
        """The bound that the matrix of gains proves."""
        return self.parts[0].least()

    def quotients(self):
        """What each part has left: the rows of the matrix of gains."""
        return self.parts[0].quotients()

    def holds(self, b, exact=False):
        """Whether the gains and rates are as the matrix says and it proves the bound; a True is a proof."""
        if not self._is_well_formed():
            return False
        outer, *inner = self.parts
        gain = _dense(outer.structure.gain)
        if not outer.holds(b, exact=exact):
            return False
        if not all(part.holds(float(gain[i, i]), exact=exact) for i, part in enumerate(inner)):
            return False
        norms, ends = self.norm().norms, self.norm()._ends
        pairs = self._pairs(ends)
        for i, j in pairs:
            blocks = tuple(m[ends[i] : ends[i + 1], ends[j] : ends[j + 1]] for m in (self.links, self.limits))
            if not gain_holds(float(gain[i, j]), *blocks, norms[j], norms[i], exact):
                return False
        return all(i != j for i, j in pairs)

    def _pairs(self, ends):
        """Which parts act on which: pairs (to, from)."""
        found = set()
        for matrix in (self.links, self.limits):
            entries = matrix.tocoo()
            to, source = (np.searchsorted(ends, where, side="right") - 1 for where in (entries.row, entries.col))
            found |= set(zip(to.tolist(), source.tolist(), strict=True))
        return sorted(found)

    def _is_well_formed(self):
        if len(self.parts) < 2 or self.parts[0].structure.form != "gain":
            return False
        outer, *inner = self.parts
        if outer.structure.n != len(inner) or any(part.proves != "contraction" for part in self.parts):
            return False
        n = sum(part.structure.n for part in inner)
        for matrix in (self.links, self.limits):
            if matrix.shape != (n, n) or not matrix.has_canonical_format or not np.isfinite(matrix.data).all():
                return False
        return bool(np.all(self.limits.data >= 0))

    def lipschitz(self):
        """A bound on the induced norm of every Jacobian: of the gains with the parts' own Lipschitz constants."""
        gain = np.array(_dense(self.structure.gain))
        np.fill_diagonal(gain, [part.lipschitz() for part in self.parts[1:]])
        if not np.isfinite(gain).all():
            return math.inf
        outer = self.parts[0].norm()
        return float(outer.induced(gain) * (1 + 1e-12))


def gain_bound(links, limits, source, target):
    """A proven bound on the gain of a block between two norms; inf where no rule applies.

    Parameters
    ----------
    links, limits : scipy.sparse.csr_array (m, k)
        The matrix, and bounds on the moduli of what is added to it.
    source, target : Norm
        Of k and of m states: weighted l1, l2 or l-infinity; l2 with a full matrix only on both sides, and without limits.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> A = csr_array([[1.0, -2.0]])
    >>> round(gain_bound(A, 0 * A, Norm("inf", [1.0, 1.0]), Norm("inf", [2.0])), 9)
    1.5
    """
    found = [float(value) ** (1 / power) for value, power in _bounds(links, limits, source, target, exact=False)]
    guesses = [min(found, default=math.inf)]
    if _comparable(links, limits, source, target):
        guesses.append(float(CompositeNorm([(links.shape[1], source), (links.shape[0], target)]).gain_matrix(
            _corner(links.toarray()))[1, 0]))  # fmt: skip
    for guess in sorted(guesses):
        for hair in (2.0**-50, 1e-12, 1e-9, 1e-6):
            bound = guess * (1 + hair)
            if math.isfinite(bound) and gain_holds(bound, links, limits, source, target):
                return bound
    return math.inf


def gain_holds(bound, links, limits, source, target, exact=False):
    """Whether a block has at most this gain between two norms; a True is a proof."""
    if not (math.isfinite(bound) and bound >= 0) or any(_is_nested(norm) for norm in (source, target)):
        return False
    limit = Fraction(bound)
    for value, power in _bounds(links, limits, source, target, exact):
        if (value if exact else Fraction(float(value))) <= limit**power:
            return True
    return _comparable(links, limits, source, target) and _holds_as_matrices(bound, links, source, target, exact)


def _bounds(links, limits, source, target, exact):
    """Bounds by sums of moduli, as pairs (value, power): the gain to that power is at most the value."""
    if any(_is_nested(norm) or np.ndim(norm.weights) == 2 or norm.R is not None for norm in (source, target)):
        return []
    whole = (abs(links) + limits).tocoo()
    sides = (source, links.shape[1]), (target, links.shape[0])
    w, v = (np.ones(size) if norm.weights is None else norm.weights for norm, size in sides)
    data = whole.data
    if not exact and not all(np.all((x >= _SMALL) & (x <= _LARGE)) for x in (data[data > 0], w, v)):
        return []
    up = 1 + 4 * gamma(2 * whole.nnz + 60)
    if exact:  # the sum of moduli in rationals, too
        up = Fraction(1)
        data = _fractions(abs(links).tocoo().data), _fractions(limits.tocoo().data)
        rows = np.concatenate([abs(links).tocoo().row, limits.tocoo().row])
        columns = np.concatenate([abs(links).tocoo().col, limits.tocoo().col])
        merged = {}
        for i, j, value in zip(rows.tolist(), columns.tolist(), np.concatenate(data), strict=True):
            merged[i, j] = merged.get((i, j), 0) + value
        rows, columns = (np.array([key[k] for key in merged], int) for k in (0, 1))
        data, w, v = _fractions(list(merged.values())), _fractions(w), _fractions(v)
    else:
        rows, columns = whole.row, whole.col
    if not len(data):
        return [(0, 1)]

    def summed(values, where, size):
        total = np.zeros(size, dtype=object if exact else float)
        np.add.at(total, where, values)
        return total

    def largest(values, where, size):
        total = np.zeros(size, dtype=object if exact else float)
        np.maximum.at(total, where, values)
        return total

    m, k = links.shape
    p, q = source.p, target.p
    if p == 2:
        squares, power = summed(data * data / w[columns], rows, m), 2
    else:
        lengths = summed(data * w[columns], rows, m) if p == math.inf else largest(data / w[columns], rows, m)
        squares, power = lengths * lengths, 1
    if q == math.inf:
        found = [(max(lengths / v), 1)] if power == 1 else [(max(squares / (v * v)), 2)]
    elif q == 1:
        found = [(sum(v * lengths), 1)] if power == 1 else [(m * sum(v * v * squares), 2)]
        if p == 1:
            found = [(max(summed(v[rows] * data / w[columns], columns, k)), 1)]
    else:
        found = [(sum(v * squares), 2)]
        if p == 1:
            found = [(max(summed(v[rows] * data * data / (w[columns] * w[columns]), columns, k)), 2)]
        if p == 2:  # Schur's test
            found.append((max(summed(data, rows, m)) * max(summed(v[rows] * data / w[columns], columns, k)), 2))
    return [(value * up, power) for value, power in found]


def _comparable(links, limits, source, target):
    """Whether the gain is between two Euclidean norms, of a matrix alone, and small enough for matrices."""
    euclidean = all(not _is_nested(norm) and norm.p == 2 and norm.R is None for norm in (source, target))
    return euclidean and max(links.shape) <= _DENSE and not np.any(limits.data)


def _holds_as_matrices(bound, links, source, target, exact):
    """Whether ``bound^2 P_from - A' P_to A`` is positive definite, proven; both P are positive definite."""
    A = links.toarray()
    m, k = A.shape
    P, Q = _matrix(source, k), _matrix(target, m)
    if exact:
        A, P, Q = (
            np.array([[Fraction(float(x)) for x in row] for row in M], dtype=object).reshape(M.shape) for M in (A, P, Q)
        )
        whole = [list(row) for row in Fraction(bound) ** 2 * P - A.T @ Q @ A]
        parts = ([list(row) for row in M] for M in (P, Q))
        return all(map(is_positive_definite_exact, parts)) and is_positive_definite_exact(whole)
    sizes = np.abs(A[A != 0])
    if not _SMALL <= bound <= _LARGE or not np.all((sizes >= _SMALL) & (sizes <= _LARGE)):
        return False  # a square of the bound that underflows is off by as much as itself
    S = bound * bound * P - A.T @ Q @ A
    moduli = np.abs(A)
    size = bound * bound * np.abs(P).sum(axis=1) + moduli.T @ (np.abs(Q) @ moduli.sum(axis=1))
    error = gamma(2 * (m + k) + 20) * size.max() * (1 + 1e-9) + 1e-290
    return is_positive_definite(P) and is_positive_definite(Q) and is_positive_definite((S + S.T) / 2, error)


def _matrix(norm, n):
    if norm.weights is None:
        return np.eye(n)
    return np.diag(norm.weights) if norm.weights.ndim == 1 else norm.weights


def _corner(A):
    """The square matrix of a sending and a receiving block in which only the latter's rows are not zero."""
    m, k = A.shape
    whole = np.zeros((k + m, k + m))
    whole[k:, :k] = A
    return whole


def _is_nested(norm):
    return not isinstance(norm, Norm)


def _fractions(values):
    out = np.empty(len(values), dtype=object)
    out[:] = [Fraction(float(v)) if isinstance(v, float | np.floating) else Fraction(v) for v in values]
    return out


def _dense(matrix):
    return matrix if isinstance(matrix, np.ndarray) else matrix.toarray()
