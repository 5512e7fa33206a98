r"""Synchronisation of diffusively coupled systems, :math:`\dot x_i = f(t, x_i) + \sum_j w_{ij}\Gamma(x_j - x_i)`.

*Any norm, any directed graph.* With :math:`\Gamma = I` the largest distance :math:`\max_{ij}\|x_i - x_j\|` decays with rate
:math:`\delta(W) - \mathrm{osLip}(f)`, where :math:`\delta` is the ergodic coefficient of the graph.

*Euclidean, undirected.* The distance to consensus :math:`(\sum_i\|x_i - \bar x\|_P^2)^{1/2}` decays with rate
:math:`\lambda_2(L) - \mathrm{osLip}_{2,P}(f)`. With an inner coupling :math:`\Gamma` that has
:math:`P\Gamma + \Gamma^\top P \succeq 0` it decays with rate c if :math:`\mu_{2,P}(Df(x) - \lambda_2\Gamma) \le -c` for all x.

The conditions are evaluated in floating point with their rounding given away, except for the eigenvalue, which is bounded
from below by a Cholesky factorisation that accounts for its own rounding.

References
----------
Jafarpour, Cisneros-Velarde, Bullo, Weak and semi-contraction for network systems and diffusively coupled oscillators,
IEEE Transactions on Automatic Control 67(3), 2022.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..errors import ArgumentError, Shown
from ..fields.base import VectorField
from ..linalg.norms import Norm
from ..linalg.ranges import ergodic_coefficient
from ..linalg.rigorous import gamma, is_positive_definite
from .certificate import Certificate

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
    """

    rate: float
    condition: str
    coupling: float
    osLip: float
    reason: str

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
    found = Synchronisation(coefficient - osLip, "ergodic", coefficient, osLip,
                            "the largest distance of two systems decays: any two are drawn to common neighbours")  # fmt: skip
    if connection is not None and connection >= coefficient * (1 - 1e-9):
        found = Synchronisation(connection - osLip, "spectral", connection, osLip,
                                "the distance to consensus decays: connectivity exceeds what one system adds")  # fmt: skip
    if found.rate > 0:
        return found
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
    degree = W.sum(axis=1)
    L = np.diag(degree) - W
    values = np.linalg.eigvalsh(L)
    # L - s I + (s + t) 11'/n is positive definite if and only if s < lambda_2, for t > 0
    size = float(degree.max(initial=0.0))
    doubt = gamma(2 * n + 8) * 4 * (size + 1e-290)
    slack = 4 * doubt + gamma(n + 4) * 4 * n * size
    for _ in range(60):
        s = float(values[1]) - slack if n > 1 else 0.0
        if s <= 0:
            return 0.0
        Q = L - s * np.eye(n) + (s + size) / n
        if is_positive_definite((Q + Q.T) / 2, doubt + gamma(4) * 2 * (s + size)):
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
    from ..fields.lure import LureField
    from .search import certify

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
    S = P @ inner + inner.T @ P
    lowest = np.linalg.eigvalsh(S)[0]
    if lowest < -1e-12 * np.abs(S).max(initial=0.0):
        raise ArgumentError(
            "inner", Shown(f"a matrix with P G + G'P not semidefinite, by {lowest:.3g}"), "P G + G'P >= 0"
        )
    E = dynamics.E if isinstance(dynamics.E, np.ndarray) else dynamics.E.toarray()
    E = np.diag(E) if E.ndim == 1 else E
    coupled = LureField(E - connection * inner, dynamics.F, dynamics.G, activation=dynamics.activation)
    found = certify(coupled, Norm(2, P), kind="strong")
    osLip = found.osLip if found.claim is not None else math.inf
    reason = "one system, drawn by the graph's connectivity through the inner coupling, contracts"
    if not found:
        reason = f"not shown: {found.reason}"
    return Synchronisation(-osLip, "spectral", connection, osLip, reason)
