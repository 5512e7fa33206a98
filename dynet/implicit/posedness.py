r"""The log norm of a Kronecker product from its two factors, and what follows from it.

Let K be the N x N matrix of a graph, W a d x d matrix. In the norm :math:`\max_{i,k}|x_{ik}|/(\beta_i\alpha_k)` let

.. math:: s_i = \sum_{j\ne i}|K_{ij}|\beta_j/\beta_i, \qquad t_k = \sum_{l\ne k}|W_{kl}|\alpha_l/\alpha_k.

Row (i, k) of :math:`K\otimes W` has the diagonal entry :math:`p = K_{ii}W_{kk}`, and its others have the weighted absolute sum
:math:`r = |K_{ii}|t_k + s_i(|W_{kk}| + t_k)`. So the log norm is :math:`\max(p + r)`: one pass over K, one over W, and Nd sums.

If :math:`\delta p + |\delta| r \le 1 - c` for the least and the largest slope :math:`\delta` of :math:`\Phi`, with c > 0, then
:math:`X = \Phi(KXW^\top + V)` has exactly one solution for each V. The averaged iteration with
:math:`\theta = 1/(1 - \min(\delta p)^-)` contracts with the factor :math:`1 - \theta c`, and any X is at most
:math:`\|X - \Phi(\cdot)\|/c` away from the solution. The Perron vectors of :math:`|K|` and :math:`|W|` are the best
weights where diagonals are not negative: there :math:`p + r = \rho(|K|)\rho(|W|)`.

References
----------
Gu, Chang, Zhu, Sojoudi, El Ghaoui, Implicit graph neural networks, NeurIPS 2020, arXiv:2009.06211.
Jafarpour, Davydov, Proskurnikov, Bullo, Robust implicit networks via non-Euclidean contractions, arXiv:2106.03194.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..linalg.collatz import row_choice_perron, without_diagonal
from ..linalg.rigorous import UNIT, add_down, add_up, multiply_both, multiply_up, quotient_up

__all__ = ["Posedness", "even_perron", "well_posedness"]

_ABOVE = 1.02  # how far above the spectral radius the weights of a matrix may bring its rows
_WORTH = 0.05  # relative gain in the rate for which uneven weights are taken


class Posedness(NamedTuple):
    """What two matrices prove of their Kronecker product, rounded to the safe side.

    Attributes
    ----------
    mu : float
        The log norm of the product, rounded up.
    rate : float
        1 minus the largest log norm that slopes can give, rounded down: well-posed where it is positive.
    step, factor : float
        Of the averaged iteration; the factor is below 1 where the network is well-posed.
    nodes, states : ndarray, shapes (N,) and (d,)
        The weights: the norm is the largest of ``|X[i, k]| / (nodes[i] * states[k])``.
    """

    mu: float
    rate: float
    step: float
    factor: float
    nodes: np.ndarray
    states: np.ndarray


def well_posedness(coupling, W, slopes=(0.0, 1.0), weights=None):
    r"""The log norm of :math:`K\otimes W` and what follows from it, without the Kronecker product.

    Parameters
    ----------
    coupling : ndarray (N, N) or scipy sparse array
    W : ndarray (d, d)
    slopes : (float, float)
        Bounds on the slopes of the activation.
    weights : (ndarray, ndarray), optional
        Of nodes and of states. By default Perron vectors, for either or both, where they give a rate that is better by some
        per cent, and ones otherwise: the more even the weights, the more an error in their norm says.

    Returns
    -------
    Posedness

    Examples
    --------
    >>> found = well_posedness(np.array([[0.0, 1.0], [0.5, 0.0]]), np.array([[0.5, 0.4], [-0.4, 0.5]]))
    >>> round(found.mu, 2), found.rate > 0  # not below the product of the radii: the square root of 1/2, times 0.9
    (0.65, True)
    """
    if weights is not None:
        return _posedness(coupling, W, slopes, *weights)
    nodes = [np.ones(coupling.shape[0]), even_perron(coupling)]
    states = [np.ones(W.shape[0]), even_perron(W)]
    found = [_posedness(coupling, W, slopes, n, s) for n in nodes for s in states]
    best = max(one.rate for one in found)
    return next(one for one in found if one.rate >= best - _WORTH * abs(best))


def _posedness(K, W, slopes, nodes, states):
    own = np.asarray(K.diagonal(), float), np.asarray(W.diagonal(), float)
    s, t = (quotient_up(np.zeros(len(v)), abs(without_diagonal(M)), v) for M, v in ((K, nodes), (W, states)))
    across = add_up(np.abs(own[1]), t)
    off = add_up(multiply_up(np.abs(own[0])[:, None], t), multiply_up(s[:, None], across))
    low, high = multiply_both(own[0][:, None], np.broadcast_to(own[1], off.shape))
    mu, highest, lowest = float(add_up(high, off).max()), -np.inf, 0.0
    for slope in slopes:
        up = multiply_up(slope, high if slope >= 0 else low)
        highest = max(highest, float(add_up(up, multiply_up(abs(slope), off)).max()))
        lowest = min(lowest, float((slope * (low if slope >= 0 else high)).min()))
    rate = float(add_down(1.0, -highest))
    step = 1.0 / (1.0 - lowest)
    step *= 1 - 4 * UNIT  # any smaller step is as good, a larger one may not be
    factor = float(np.nextafter(1.0 - step * rate, np.inf)) if rate > 0 else np.inf
    return Posedness(mu, rate, step, factor, nodes, states)


def even_perron(matrix):
    r"""Nearly a Perron vector of the moduli, whose entries are not too uneven; the largest is 1.

    It is :math:`(\sigma I - |M|)^{-1}\mathbf 1` with sigma two per cent above the spectral radius: its row quotients are below
    sigma, and unlike those of a Perron vector its entries are well above zero for a reducible matrix, too.
    """
    matrix = abs(matrix.tocsr() if hasattr(matrix, "tocsr") else matrix)
    one = np.ones(matrix.shape[0])
    sigma = max(_ABOVE * row_choice_perron([matrix], 1e-3).upper, 1e-3 * float((matrix @ one).max()))
    if sigma == 0:
        return one
    vector = one
    for _ in range(1000):
        into = matrix @ vector
        if (into <= sigma * vector).all():
            break
        vector = (into + one) / sigma
    return np.maximum(vector / vector.max(), 1e-60)
