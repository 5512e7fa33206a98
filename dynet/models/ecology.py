r"""Populations of interacting species: the Lotka-Volterra equations.

References
----------
Goh, Global stability in many-species systems, The American Naturalist 111, 1977.
Bullo, Contraction Theory for Dynamical Systems, 2023.
"""

from __future__ import annotations

import numpy as np

from ..fields.facts import Facts
from .common import NetworkModel, numbers

__all__ = ["LotkaVolterra"]


def _species(t, x, s, p, dx):
    dx[0] = x[0] * (p.growth + s[0])


def _abundance(x, y, p, s):
    s[0] = y[0]


class LotkaVolterra(NetworkModel):
    r"""Lotka-Volterra: :math:`\dot x_i = x_i\,(r_i + \sum_j a_{ij}x_j)`, abundances that stay nonnegative.

    Mutualistic when the off-diagonal entries of A are not negative. With A Metzler and Hurwitz and r > 0, and any positive
    :math:`\eta` with :math:`\eta^\top A < 0`, the logarithms :math:`z = \ln x` obey a field that contracts weakly in the
    weighted :math:`\ell_1` norm, strongly on sets where abundances are bounded below: at x the log norm is
    :math:`\max_j (\eta^\top A)_j x_j/\eta_j`; all positive states converge to one equilibrium.

    Parameters
    ----------
    coupling : networkx graph, ndarray (n, n) or scipy sparse array
        ``coupling[i, j]`` is the effect of species j on the growth of i per head of both, the diagonal included.
    growth : float or array_like (n,)
        Rates of growth when rare, 1/time.
    weight : float
        Multiplies the coupling.
    edge_weight : str
        The edge attribute of a graph that holds the coefficients.
    labels : sequence of str, optional

    Examples
    --------
    >>> model = LotkaVolterra([[-2.0, 0.5], [0.5, -1.0]], growth=1.0)
    >>> model.mutualistic
    True
    >>> model.equilibrium_point()
    array([0.85714286, 1.42857143])
    >>> model.logarithmic_jacobian(model.equilibrium_point())
    array([[-1.71428571,  0.71428571],
           [ 0.42857143, -1.42857143]])
    """

    name = "LotkaVolterra"
    equation = "x_i' = x_i (growth_i + sum_j a_ij x_j)"

    def __init__(self, coupling, growth=1.0, weight=1.0, edge_weight="weight", labels=None):
        arguments = dict(growth=growth, weight=weight, edge_weight=edge_weight, labels=labels)
        self._build(coupling, (_species, _abundance), arguments, {"growth": numbers("growth", growth)})

    @property
    def mutualistic(self):
        """Whether no species harms another."""
        matrix = self.matrix
        off = matrix.data[matrix.indices != np.repeat(np.arange(self.nodes), np.diff(matrix.indptr))]
        return bool((off >= 0).all())

    def equilibrium_point(self):
        """The state at which all species grow at rate 0, shape (n,); a species may have a negative abundance there."""
        from scipy.sparse.linalg import spsolve

        growth = np.broadcast_to(self.params["growth"], self.nodes).astype(float)
        matrix = self.matrix
        return np.linalg.solve(matrix.toarray(), -growth) if self.n <= 500 else spsolve(matrix.tocsc(), -growth)

    def logarithmic_jacobian(self, x):
        """The Jacobian ``A diag(x)`` of the field of the logarithms ln x at the abundances x, shape (n, n)."""
        return self.matrix.toarray() * self.check_state(x)

    @property
    def facts(self):
        theorem = "in ln x weakly contracting in weighted l1 when A is Metzler and Hurwitz and growth is positive"
        return Facts(invariant=(np.zeros(self.n), np.full(self.n, np.inf)), monotone=self.mutualistic, theorem=theorem)
