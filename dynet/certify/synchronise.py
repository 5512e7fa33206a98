r"""Synchronisation of diffusively coupled systems, :math:`\dot x_i = f(t, x_i) + \sum_j w_{ij}\Gamma(x_j - x_i)`.

*Any norm, any directed graph.* With :math:`\Gamma = I` the largest distance :math:`\max_{ij}\|x_i - x_j\|` decays with rate
:math:`\delta(W) - \mathrm{osLip}(f)`, where :math:`\delta` is the ergodic coefficient of the graph.

*Euclidean, undirected.* The distance to consensus :math:`(\sum_i\|x_i - \bar x\|_P^2)^{1/2}` decays with rate
:math:`\lambda_2(L) - \mathrm{osLip}_{2,P}(f)`. With an inner coupling :math:`\Gamma` that has
:math:`P\Gamma + \Gamma^\top P \succeq 0` it decays with rate c if :math:`\mu_{2,P}(Df(x) - \lambda_2\Gamma) \le -c` for all x.

The conditions are evaluated with their rounding given away; the eigenvalue is bounded from below by a Cholesky factorisation
that accounts for its own rounding, and :math:`P\Gamma + \Gamma^\top P \succeq 0` is decided in rational arithmetic. Where one
system is known by its numbers the answer is also a certificate (:mod:`dynet.certify.synchrony`).

References
----------
Jafarpour, Cisneros-Velarde, Bullo, Weak and semi-contraction for network systems and diffusively coupled oscillators,
IEEE Transactions on Automatic Control 67(3), 2022.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from ..errors import ArgumentError, Shown
from ..fields.base import VectorField
from ..fields.lure import LureField
from ..linalg.norms import Norm
from ..linalg.ranges import ergodic_coefficient
from ..linalg.rigorous import add_down, gamma, is_positive_semidefinite_exact
from .certificate import Certificate
from .synchrony import ErgodicClaim, SpectralClaim, SynchronyStructure, exceeds
from .vertices import VertexClaim

__all__ = ["Synchronisation", "connectivity", "synchronisation"]


class Synchronisation(NamedTuple):
    """Whether, how fast and why identical systems synchronise.

    Attributes
    ----------
    rate : float
        They do where it is positive.
    condition : str
        ``"ergodic"`` or ``"spectral"``.
    coupling : float
        What the graph contributes: its ergodic coefficient, or a lower bound on its algebraic connectivity.
    osLip : float
        What one system contributes.
    reason : str
    certificate : Certificate or None
        The same as a certificate of kind ``"semi"`` that carries system, graph and norm, and that its ``check()`` and
        ``dynet verify`` prove again; where one system is a Lur'e field (or a certificate of one) with few vertices of slopes.
        None otherwise, and where nothing is shown.
    """

    rate: float
    condition: str
    coupling: float
    osLip: float
    reason: str
    certificate: object | None = None

    def __bool__(self):
        return bool(self.rate > 0)


def synchronisation(W, dynamics, norm=None, *, inner=None):
    r"""How fast diffusively coupled copies of one system synchronise.

    Parameters
    ----------
    W : array_like or sparse (m, m)
        ``W[i, j]`` is the weight with which system i is drawn towards system j; at least 0. The diagonal is not read.
    dynamics : float, Certificate, or LureField
        Bound on the one-sided Lipschitz constant of one system, or what gives it in `norm`.
    norm : Norm, optional
        In which `dynamics` is meant. A norm with p = 2 makes the spectral condition available, which is for undirected
        graphs; with other norms, or None, the ergodic one is used.
    inner : array_like (n, n), optional
        The inner coupling :math:`\Gamma`; the identity when None. Needs a LureField, and a norm with p = 2.

    Returns
    -------
    Synchronisation
        By the condition with the larger rate.

    Raises
    ------
    ArgumentError
        For negative weights, a norm that does not fit, an inner coupling that is not monotone in P.

    Examples
    --------
    >>> import dynet as dn
    >>> W = np.ones((4, 4))
    >>> found = synchronisation(W, 3.4732, dn.Norm(2))
    >>> bool(found), found.condition, round(found.rate, 4)
    (True, 'spectral', 0.5268)
    >>> found = synchronisation([[0.0, 1.0], [0.0, 0.0]], -0.5)
    >>> round(found.rate, 9), found.condition
    (1.5, 'ergodic')
    """
    W = W if hasattr(W, "tocsr") else np.asarray(W, dtype=float)
    coefficient = ergodic_coefficient(W) * (
        1 - gamma(2 * W.shape[0] + 8)
    )  # a sum of numbers of one sign, and a minimum
    if isinstance(norm, Certificate):
        norm = norm.norm
    norm = norm if norm is None or isinstance(norm, Norm) else Norm(norm)
    if isinstance(dynamics, Certificate) and norm is None:
        norm = dynamics.norm if isinstance(dynamics.norm, Norm) else None
    euclidean = norm is not None and norm.p == 2 and norm.R is None
    connection = connectivity(W) if euclidean and _is_symmetric(W) else None
    if inner is not None:
        return _with_inner(W, dynamics, norm, np.asarray(inner, dtype=float), connection)
    osLip = _oslip(dynamics, norm)
    found = Synchronisation(float(add_down(coefficient, -osLip)), "ergodic", coefficient, osLip,
                            "the largest distance of two systems decays: any two are drawn to common neighbours")  # fmt: skip
    if connection is not None and connection >= coefficient * (1 - 1e-9):
        found = Synchronisation(float(add_down(connection, -osLip)), "spectral", connection, osLip,
                                "the distance to consensus decays: connectivity exceeds what one system adds")  # fmt: skip
    if found.rate > 0:
        if (region := _region(dynamics)) != "whole space":
            found = found._replace(reason=f"{found.reason}; {region}")
        return found._replace(certificate=_certificate(W, dynamics, found, norm))
    return found._replace(reason=f"not shown: the coupling contributes {found.coupling:.6g}, and one system takes {osLip:.6g}; "
                          f"weights larger by a factor above {osLip / found.coupling if found.coupling > 0 else math.inf:.4g} "
                          "would do")  # fmt: skip


def connectivity(W):
    r"""A lower bound on the algebraic connectivity :math:`\lambda_2(L)` of an undirected graph; 0.0 where none is shown.

    >>> print(round(connectivity(np.ones((3, 3))), 9))
    3.0
    """
    W = W.toarray() if hasattr(W, "tocsr") else np.array(W, dtype=float)
    if not _is_symmetric(W):
        raise ArgumentError(
            "W", Shown("a matrix that is not symmetric"), "the symmetric weights of an undirected graph"
        )
    n = len(W)
    np.fill_diagonal(W, 0.0)
    values = np.linalg.eigvalsh(np.diag(W.sum(axis=1)) - W)
    slack = gamma(n + 4) * 8 * n * float(W.sum(axis=1).max(initial=0.0))
    for _ in range(60):
        s = float(values[1]) - slack if n > 1 else 0.0
        if s <= 0:
            return 0.0
        if exceeds(W, s):
            return s
        slack *= 4
    return 0.0


def _is_symmetric(W):
    if hasattr(W, "tocsr"):
        return W.shape[0] == W.shape[1] and abs(W - W.T).max() == 0
    return W.ndim == 2 and W.shape[0] == W.shape[1] and np.array_equal(W, W.T)


def _oslip(dynamics, norm):
    """The bound on the one-sided Lipschitz constant of one system."""
    if isinstance(dynamics, Certificate):
        if dynamics.claim is None or dynamics.claim.proves != "contraction":
            raise ArgumentError(
                "dynamics", Shown(f"a certificate of kind {dynamics.kind!r}"), "one of a norm, with a claim"
            )
        if norm is not None and norm != dynamics.norm:
            raise ArgumentError("norm", norm, f"the certificate's own, {dynamics.norm}")
        if not dynamics.claim.holds(dynamics.osLip):
            raise ArgumentError(
                "dynamics", Shown("a certificate whose bound does not hold"), "one that passes its check"
            )
        return dynamics.osLip
    if isinstance(dynamics, VectorField):
        from .search import certify

        return _oslip(certify(dynamics, norm, kind="strong"), None)
    number = isinstance(dynamics, int | float | np.number) and not isinstance(dynamics, bool)
    if not number or not math.isfinite(dynamics):
        raise ArgumentError("dynamics", dynamics, "a finite one-sided Lipschitz constant, a certificate, or a model")
    return float(dynamics)


def _with_inner(W, dynamics, norm, inner, connection):
    """The spectral condition with an inner coupling."""
    from .search import structure_of

    if connection is None:
        raise ArgumentError("inner", Shown("a matrix"), "None: an inner coupling needs p = 2 and an undirected graph")
    if not isinstance(dynamics, LureField) or inner.shape != (dynamics.n, dynamics.n):
        raise ArgumentError("dynamics", dynamics, "a Lur'e field with as many states as the inner coupling")
    P = (
        np.eye(dynamics.n)
        if norm.weights is None
        else np.diag(norm.weights)
        if norm.weights.ndim == 1
        else norm.weights
    )
    exact = [[Fraction(float(v)) for v in row] for row in P], [[Fraction(float(v)) for v in row] for row in inner]
    span = range(len(P))
    PG = [[sum(exact[0][i][k] * exact[1][k][j] for k in span) for j in span] for i in span]
    if not is_positive_semidefinite_exact([[PG[i][j] + PG[j][i] for j in span] for i in span]):
        lowest = np.linalg.eigvalsh(P @ inner + inner.T @ P)[0]
        raise ArgumentError(
            "inner", Shown(f"a matrix with P G + G'P not semidefinite, by {-lowest:.3g}"), "P G + G'P >= 0, exactly"
        )
    structure = SynchronyStructure(structure_of(dynamics), _dense(W), inner)
    claim = SpectralClaim(structure, P, np.array([connection]))
    osLip = claim.least() if VertexClaim.applies(structure.drawn(connection)) else math.inf
    reason = "one system, drawn by the graph's connectivity through the inner coupling, contracts"
    if not osLip < 0:
        reason = f"not shown: one system, drawn by the graph's connectivity, has the log norm {osLip:.6g}"
    return Synchronisation(
        -osLip, "spectral", connection, osLip, reason, _certified(dynamics.name, claim, osLip, reason)
    )


def _certified(name, claim, b, reason, region="whole space"):
    """The certificate of a claim of synchronisation, or None where it does not hold."""
    if not (b < 0 and claim.holds(b)):
        return None
    return Certificate("certified", "semi", -b, claim.norm(), (-math.inf, b), reason, region, name, claim)


def _region(dynamics):
    """Where the systems must stay: the region of a certificate of one system, as that of all of them."""
    place = dynamics.region if isinstance(dynamics, Certificate) else "whole space"
    if place == "whole space":
        return place
    return f"each system in {place.partition(' (')[0]} (local: not shown to be invariant)"


def _certificate(W, dynamics, found, norm):
    """The certificate of what was found without an inner coupling, where one system is known by its numbers; or None."""
    if isinstance(dynamics, Certificate):
        base, name = getattr(dynamics.claim, "structure", None), dynamics.model
        norm = dynamics.norm
    elif isinstance(dynamics, LureField) and norm is not None:
        from .search import structure_of

        base, name = structure_of(dynamics), dynamics.name
    else:
        return None
    if getattr(base, "form", "") != "lure" or not isinstance(norm, Norm) or norm.R is not None:
        return None
    structure, n = SynchronyStructure(base, _dense(W), np.eye(base.n)), base.n
    weights = np.ones(n) if norm.weights is None else np.array(norm.weights)
    if norm.p == 2:
        weights = np.diag(weights) if weights.ndim == 1 else weights
    if norm.p == 2 and not VertexClaim.applies(base):
        return None
    if found.condition == "spectral":
        claim = SpectralClaim(structure, weights, np.array([found.coupling]))
    else:
        claim = ErgodicClaim(structure, norm.p, weights, np.array([found.osLip]))
    return _certified(name, claim, claim.least(), found.reason, _region(dynamics))


def _dense(W):
    return np.array(W.toarray() if hasattr(W, "tocsr") else W, dtype=float)
