r"""When a network has exactly one state: rows and weights.

With slopes in :math:`[d_{\min}, d_{\max}]` and weights :math:`\eta > 0` let
:math:`r_i = \sum_{j\ne i}|a_{ij}|\eta_j/\eta_i` and

.. math:: \bar\mu = \max_i \max_{\delta\in\{d_{\min}, d_{\max}\}} (\delta a_{ii} + |\delta| r_i).

Row i of any matrix :math:`DA` with slopes in D has the log norm :math:`d_i a_{ii} + |d_i|r_i`, convex in :math:`d_i`, hence
:math:`\bar\mu` bounds the log norm of all of them in :math:`\|x\| = \max_i|x_i|/\eta_i`. If :math:`\bar\mu < 1` then
:math:`x = \Phi(Ax + v)` has one solution for every v, and any x is at most :math:`\|x - \Phi(Ax+v)\|/(1-\bar\mu)` away from it.
For slopes in [0, 1] this is :math:`\mu(A) < 1`. The best weights are a Perron vector of rows that may be chosen.

Each unit solved for itself has slopes :math:`d/(1 - d a_{ii})`, so the sweep contracts in the same norm with the factor
:math:`\max_i \max_\delta |\delta| r_i/(1 - \delta a_{ii}) < 1`.

References
----------
Jafarpour, Davydov, Proskurnikov, Bullo, Robust implicit networks via non-Euclidean contractions, arXiv:2106.03194.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..linalg.collatz import row_choice_perron, without_diagonal
from ..linalg.rigorous import UNIT, add_down, add_up, multiply_up, quotient_up

__all__ = ["Rows", "best_weights", "modulus", "row_sums", "rows"]

_TINY = 1e-100  # of the largest weight: the least that the rigorous quotients take


class Rows(NamedTuple):
    """What the rows of a matrix prove with given weights, rounded to the safe side.

    Attributes
    ----------
    mu : float
        The log norm of A, rounded up.
    rate : float
        1 minus the largest log norm that slopes can give, rounded down; the network is well-posed where it is positive.
    gap : ndarray, shape (n,)
        The same for each row.
    reach : ndarray, shape (n,)
        Largest slope (in modulus) of each unit solved for itself, rounded up; inf where it has none.
    off : ndarray, shape (n,)
        Row sums r, rounded up.
    factor : float
        With which the sweep contracts at worst, rounded up.
    """

    mu: float
    rate: float
    gap: np.ndarray
    reach: np.ndarray
    off: np.ndarray
    factor: float


def row_sums(M, vector):
    """Upper bounds on ``M @ vector`` for nonnegative M and vector, dense or csr; shape (rows,)."""
    terms = np.diff(M.indptr) if hasattr(M, "indptr") else M.shape[1]
    return np.asarray(M @ vector) * (1 + 2 * (terms + 2) * UNIT) + 1e-290


def modulus(A):
    """The moduli of the entries off the diagonal of a float64 matrix, dense or csr."""
    return abs(without_diagonal(A if isinstance(A, np.ndarray) else A.tocsr()))


def rows(A, weights, slopes):
    """The rows of a float64 matrix with given weights.

    >>> found = rows(np.array([[-1.0, 0.5], [-0.75, 0.25]]), np.array([1.0, 3.0]), (0.0, 1.0))
    >>> print(round(found.mu, 9), round(found.rate, 9), round(found.factor, 9))
    0.5 0.5 0.75
    """
    diagonal = np.asarray(A.diagonal(), float)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        off = quotient_up(np.zeros(len(diagonal)), modulus(A), weights)
        highest = np.full(len(diagonal), -np.inf)
        reach = np.zeros(len(diagonal))
        for slope in slopes:
            own = multiply_up(slope, diagonal)
            highest = np.maximum(highest, add_up(own, multiply_up(abs(slope), off)))
            least = add_down(1.0, -own)
            unit = np.nextafter(abs(slope) / least, np.inf) if slope else np.zeros(len(diagonal))
            reach = np.maximum(reach, np.where(least > 0, unit, np.inf))
        gap = add_down(1.0, -highest)
        mu = add_up(diagonal, off)
        factor = multiply_up(reach, off)
    return Rows(float(mu.max()), float(gap.min()), gap, reach, off, float(np.where(off > 0, factor, 0.0).max()))


def best_weights(A, slopes):
    """Weights that make the largest log norm smallest, the largest of them 1.

    >>> best_weights(np.array([[-1.0, 0.5], [-0.75, 0.25]]), (0.0, 1.0)).round(9)
    array([0.33333333, 1.        ])
    """
    diagonal, off = np.asarray(A.diagonal(), float), modulus(A)
    family = [(slope * diagonal, abs(slope) * off) for slope in sorted({s for s in slopes if s != 0})]
    if not family:
        return np.ones(len(diagonal))
    vector = _layered(A, slopes, off)
    vector = row_choice_perron(family).vector if vector is None else vector
    return np.maximum(vector / vector.max(), _TINY)


def _layered(A, slopes, off):
    r"""Weights for a network without cycles, else None.

    Any factor is possible there, at the price of weights that lie far apart: those of
    :math:`\eta = \mathbf 1 + 2S|A_{\rm off}|\eta` give the factor 1/2.
    """
    n = off.shape[0]
    entries = off.nnz if hasattr(off, "nnz") else np.count_nonzero(off)
    if entries > n * (n - 1) // 2:
        return None
    reach = rows(A, np.ones(n), slopes).reach
    if not np.isfinite(reach).all():
        return None
    pattern, left, eta = (off != 0).astype(float), np.ones(n), np.ones(n)
    while left.any():
        further = (pattern @ left > 0).astype(float)  # units with a chain of so many links behind them
        if np.array_equal(further, left):
            return None
        left, eta = further, 1 + 2 * reach * (off @ eta)
    return eta if np.isfinite(eta).all() and eta.max() < 1e90 else None
