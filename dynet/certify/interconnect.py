r"""Networks of contracting systems: a Metzler matrix of gains instead of all their Jacobians.

Part i contracts at rate :math:`c_i` in its own norm whatever the others do, and part j moves it by at most
:math:`\gamma_{ij}\|x_j - y_j\|_j`. The gain matrix :math:`\Gamma` with :math:`\Gamma_{ii} = -c_i` is Metzler, and
:math:`\Gamma\eta \le -c\eta` with a positive vector proves that the whole contracts at rate c in
:math:`\max_i \|x_i\|_i/\eta_i`; the transpose does the same in :math:`\sum_i \eta_i\|x_i\|_i`.

If the parts contract and the whole is not shown to, gains around loops are too large: a loop alone makes
:math:`\Gamma` unstable if and only if the product of :math:`\gamma_{ij}/c_i` around it is 1 or
more. The loop with the largest geometric mean of these is found by Karp's algorithm; where no loop suffices alone, all
gains of a strongly connected set must shrink together, by the spectral radius of :math:`[c]^{-1}\Gamma_{\rm off}`.

References
----------
Davydov, Jafarpour, Bullo, Non-Euclidean contraction theory for robust nonlinear stability, arXiv:2103.12263.
Karp, A characterization of the minimum cycle mean in a digraph, Discrete Mathematics 23, 1978.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from ..errors import ArgumentError, Shown
from ..linalg.metzler import _check_metzler, perron
from ..linalg.norms import Norm
from .entries import exact_rows_of
from .lure import Majorant

__all__ = ["GainStructure", "Loop", "breaking_loop", "gains"]

_KARP = 400  # parts up to which single loops are looked for


@dataclass(frozen=True, eq=False)
class GainStructure:
    """A matrix of gains: the numbers that a certificate of an interconnection is about.

    It says nothing of the parts: that they contract at the rates on its diagonal and act on each other by no more than its
    other entries is for their own certificates to show.

    Attributes
    ----------
    gain : ndarray (r, r) or scipy.sparse.csr_array
        Metzler.
    """

    gain: object
    form = "gain"
    exact = True

    @property
    def n(self):
        return self.gain.shape[0]

    @property
    def entries(self):
        return getattr(self.gain, "nnz", self.gain.size)

    def check(self):
        """Raise ValueError unless the matrix is square, finite and Metzler."""
        _check_metzler(self.gain)

    def majorants(self, p):
        """The matrix itself; transposed for p = 1. A rate bounds no Lipschitz constant: the diagonal has no lower bound."""
        diagonal = np.asarray(self.gain.diagonal(), dtype=float).copy()
        if isinstance(self.gain, np.ndarray):
            off = self.gain.copy()
            np.fill_diagonal(off, 0.0)
        else:
            from scipy.sparse import diags_array

            off = (self.gain - diags_array(diagonal)).tocsr()
        found = Majorant(off, diagonal, np.full(self.n, -math.inf))
        return [found.transposed() if p == 1 else found]

    def exact_rows(self, p):
        """The same in exact arithmetic."""
        rows = exact_rows_of(
            self.gain if p != 1 else self.gain.T if isinstance(self.gain, np.ndarray) else self.gain.T.tocsr()
        )
        return [([row.get(i, Fraction(0)) for i, row in enumerate(rows)],
                 [{j: v for j, v in row.items() if j != i and v} for i, row in enumerate(rows)])]  # fmt: skip


class Loop(NamedTuple):
    """What keeps a gain matrix from being Hurwitz.

    Attributes
    ----------
    parts : tuple of int
        The parts around the loop, each acting on the next; one part if it does not contract itself; the strongly
        connected set where no loop suffices alone.
    product : float
        Product of gain over rate around the loop, 1 or more; the spectral radius for a set; inf for one part.
    single : bool
        Whether the loop alone makes the matrix unstable.
    """

    parts: tuple
    product: float
    single: bool

    def remedy(self, names):
        """In words, what has to go."""
        who = " -> ".join(names[i] for i in (*self.parts, self.parts[0]))
        if len(self.parts) == 1:
            return f"part {names[self.parts[0]]} does not contract by itself"
        if self.single:
            return (
                f"the loop {who} has gain {self.product:.4g}: their product has to shrink to below 1/{self.product:.4g}"
            )
        who = ", ".join(names[i] for i in self.parts[:8]) + (", ..." if len(self.parts) > 8 else "")
        return f"no loop alone breaks it: all gains among {who} have to shrink below 1/{self.product:.4g} of them"


def gains(gain, norm=None, labels=None, tol=None):
    """Certify an interconnection by its matrix of gains.

    Parameters
    ----------
    gain : array_like or sparse (r, r)
        Metzler: minus the rates of the parts on the diagonal, the gains between them elsewhere.
    norm : 1, 2, inf or Norm, optional
        How the lengths of the parts are put together; inf when None. With weights, these are taken as they stand.
    labels : sequence of str, optional
        Names of the parts.
    tol : float, optional

    Returns
    -------
    Certificate
        Its norm is the outer norm, for :class:`dynet.linalg.CompositeNorm`. Its reason names the loop that is to blame where
        the matrix is not Hurwitz.

    Examples
    --------
    >>> cert = gains([[-2.0, 0.5, 0.0], [1.0, -1.5, 0.3], [0.2, 0.4, -1.0]])
    >>> print(bool(cert), round(cert.rate, 6), (cert.norm.weights / cert.norm.weights[2]).round(6), cert.check(exact=True))
    True 0.678235 [0.255894 0.676464 1.      ] True
    >>> print(gains([[-1.0, 2.0], [1.0, -1.0]], labels=["pump", "tank"]).reason)
    the gain matrix is not Hurwitz: the loop pump -> tank -> pump has gain 2: their product has to shrink to below 1/2
    """
    from .certificate import Certificate
    from .search import claims_for

    gain = _check_metzler(gain)
    if isinstance(gain, np.ndarray):
        gain = np.array(gain)
    n = gain.shape[0]
    names = [str(i) for i in range(n)] if labels is None else [str(label) for label in labels]
    if len(names) != n:
        raise ArgumentError("labels", Shown(f"{len(names)} names"), f"{n}, one for each part")
    norm = Norm("inf") if norm is None else norm if isinstance(norm, Norm) else Norm(norm)
    if norm.p not in (1, 2, math.inf) or norm.R is not None or np.ndim(norm.weights) == 2:
        raise ArgumentError(
            "norm", norm, "p = 1, 2 or inf with or without positive weights: the outer norm is monotone"
        )
    if norm.n not in (None, n):
        raise ArgumentError("norm", norm, f"{n} weights, one for each part")
    structure = GainStructure(gain)
    b, claim, lower = min(((one.claim.least(), one.claim, one.lower) for one in claims_for(structure, norm, tol)),
                          key=lambda item: item[0])  # fmt: skip
    where = "where the parts contract and act on each other as the matrix says"
    if b < 0 and claim.holds(b):
        reason = "the gain matrix is Hurwitz: the parts contract faster than they disturb each other"
        return Certificate(
            "certified", "strong", -b, claim.norm(), (lower, b), reason, where, "the interconnection", claim
        )
    loop = breaking_loop(gain)
    if loop is None:
        reason = f"the gain matrix is Hurwitz, but these weights do not show it: the largest row is at {b:.4g}"
    else:
        reason = "the gain matrix is not Hurwitz: " + loop.remedy(names)
    return Certificate("unknown", "none", -b, claim.norm(), (lower, b), reason, where, "the interconnection", claim)


def breaking_loop(gain):
    """What keeps a Metzler matrix from being Hurwitz; None where nothing does. In floating point.

    >>> breaking_loop(np.array([[-1.0, 3.0, 0.0], [0.0, -1.0, 1.0], [0.5, 0.0, -1.0]]))
    Loop(parts=(0, 2, 1), product=1.5, single=True)
    """
    found = perron(gain)
    dense = gain if isinstance(gain, np.ndarray) else gain.toarray() if gain.shape[0] <= _KARP else None
    if found.upper < 0 or (dense is not None and np.linalg.eigvals(dense).real.max() < 0):
        return None
    diagonal = np.asarray(gain.diagonal(), dtype=float)
    worst = int(diagonal.argmax())
    if diagonal[worst] >= 0:
        return Loop((worst,), math.inf, True)
    parts = np.flatnonzero(found.witness > 0)
    inner = gain[parts][:, parts]
    inner = inner if isinstance(inner, np.ndarray) else inner.toarray() if len(parts) <= _KARP else inner
    rates = -diagonal[parts]
    if len(parts) <= _KARP:
        ratio = inner / rates[:, None]
        np.fill_diagonal(ratio, 0.0)
        loop = _largest_loop(ratio)
        if loop is not None:
            product = math.prod(ratio[b, a] for a, b in zip(loop, (*loop[1:], loop[0]), strict=True))
            if product >= 1 - 1e-12:
                return Loop(tuple(int(parts[i]) for i in loop), float(product), True)
        radius = float(np.abs(np.linalg.eigvals(ratio)).max())
    else:
        radius = 1 + found.upper / float(rates.min())
    return Loop(tuple(int(i) for i in parts), radius, False)


def _largest_loop(ratio):
    """The loop with the largest geometric mean: nodes in the order in which each acts on the next; None without loops."""
    n = len(ratio)
    with np.errstate(divide="ignore"):
        weight = np.log(ratio).T  # from the acting node to the one acted upon
    best = np.full((n + 1, n), -np.inf)
    best[0] = 0.0
    came = np.zeros((n + 1, n), dtype=int)
    for k in range(1, n + 1):
        through = best[k - 1][:, None] + weight
        came[k] = through.argmax(axis=0)
        best[k] = through.max(axis=0)
    if not np.isfinite(best[n]).any():
        return None
    with np.errstate(invalid="ignore"):
        means = np.where(np.isfinite(best[:n]), (best[n] - best[:n]) / (n - np.arange(n))[:, None], np.inf).min(axis=0)
    end = int(np.where(np.isfinite(best[n]), means, -np.inf).argmax())
    walk = [end]
    for k in range(n, 0, -1):
        walk.append(int(came[k][walk[-1]]))
    walk.reverse()  # a walk of n steps, which holds the loop
    loops, seen, path = [], {}, []
    for node in walk:
        if node in seen:
            start = seen[node]
            loops.append(path[start:])
            for gone in path[start:]:
                del seen[gone]
            path = path[:start]
        seen[node] = len(path)
        path.append(node)

    def mean(loop):
        return sum(weight[a, b] for a, b in zip(loop, [*loop[1:], loop[0]], strict=True)) / len(loop)

    loop = max(loops, key=mean)
    first = loop.index(min(loop))
    return tuple(loop[first:] + loop[:first])
