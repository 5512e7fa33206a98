r"""Power grids: coupled swing equations.

References
----------
Doerfler, Bullo, Synchronization and transient stability in power networks and nonuniform Kuramoto oscillators, SIAM Journal
on Control and Optimization 50, 2012.
"""

from __future__ import annotations

import math

import numpy as np

from ..fields.facts import Facts
from .common import NetworkModel, numbers

__all__ = ["Swing"]


def _machine(t, x, s, p, dx):
    dx[0] = x[1]
    dx[1] = (p.power - p.damping * x[1] + s[0]) / p.inertia


def _line(x, y, p, s):
    s[0] = math.sin(y[0] - x[0])


class Swing(NetworkModel):
    r"""Coupled swing equations: :math:`m_i\ddot\theta_i + d_i\dot\theta_i = p_i - \sum_j a_{ij}\sin(\theta_i - \theta_j)`.

    States :math:`(\theta, \omega = \dot\theta)` of each machine. Where all angles of neighbours differ by at most
    :math:`\pi/2`, the Jacobian in the coordinates :math:`(\theta, \theta + \tau_i\omega)`, :math:`\tau_i = 2m_i/d_i`, is
    Metzler with zero row sums, hence the system weakly contracting in :math:`\ell_\infty`, if and only if
    :math:`d_i^2 \ge 4 m_i\sum_j a_{ij}` for every machine.

    Parameters
    ----------
    coupling : networkx graph, ndarray (N, N), scipy sparse array or int
        ``coupling[i, j]`` is the largest power that flows between i and j, not negative. A number: all to all, weight 1.
    inertia, damping : float or array_like (N,)
        m and d, positive.
    power : float or array_like (N,)
        What each machine feeds in, negative for loads.
    weight : float
        Multiplies the coupling.
    edge_weight : str
        The edge attribute of a graph that holds the weights.
    labels : sequence of str, optional

    Raises
    ------
    ArgumentError
        For inertia or damping that is not positive.

    Examples
    --------
    >>> grid = Swing(3, damping=3.0)
    >>> grid.overdamped, Swing(3, damping=2.0).overdamped
    (True, False)
    >>> J = grid.overdamped_jacobian([0.0, 0.0, 0.0])
    >>> bool(np.allclose(J.sum(axis=1), 0.0))
    True
    """

    name = "Swing"
    equation = "theta' = omega, inertia omega' = power - damping omega - sum_j a_ij sin(theta_i - theta_j)"
    components = ("angle", "speed")

    def __init__(self, coupling, inertia=1.0, damping=1.0, power=0.0, weight=1.0, edge_weight="weight", labels=None):
        params = {
            "inertia": numbers("inertia", inertia, above=0.0, what="machines"),
            "damping": numbers("damping", damping, above=0.0, what="machines"),
            "power": numbers("power", power, what="machines"),
        }
        arguments = dict(params, weight=weight, edge_weight=edge_weight, labels=labels)
        self._build(coupling, (_machine, _line), arguments, params, dim=2)

    def _machines(self):
        return (np.broadcast_to(self.params[k], self.nodes) for k in ("inertia", "damping"))

    @property
    def overdamped(self):
        """Whether every damping is at least 2 sqrt(inertia * sum of the couplings)."""
        m, d = self._machines()
        return bool((d**2 >= 4 * m * (self.matrix @ np.ones(self.nodes))).all())

    def overdamped_jacobian(self, theta):
        r"""The Jacobian in the coordinates :math:`(\theta, \theta + 2m\omega/d)`, ordered by coordinate, shape (2N, 2N)."""
        theta = np.asarray(theta, dtype=float)
        m, d = self._machines()
        tau = 2 * m / d
        flow = self.matrix.toarray() * np.cos(theta[:, None] - theta)
        L = np.diag(flow.sum(axis=1)) - flow
        # theta' = (w - theta) / tau;  w' = theta' + tau omega' = (1 - tau d / m)(w - theta) / tau + (tau / m)(p - ...)
        near, far = np.diag(1 / tau), np.diag((1 - tau * d / m) / tau)
        return np.block([[-near, near], [-far - (tau / m)[:, None] * L, far]])

    @property
    def facts(self):
        shift = np.tile([1.0, 0.0], self.nodes)
        theorem = "weakly contracting in l-inf where neighbours' angles differ by less than pi/2, if overdamped"
        return Facts(translation=shift, theorem=theorem)
