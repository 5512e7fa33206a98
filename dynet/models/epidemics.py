r"""Epidemics on networks: SIS, SIR and SEIR with one population per node.

With the contact matrix :math:`A`, ``A[i, j]`` the rate of contacts that bring infection from population j to i, an infected
fraction :math:`y_j`, and the force of infection :math:`\lambda_i = \beta_i \sum_j a_{ij} y_j`:

====== ==================================================================================
model  equation
====== ==================================================================================
SIS    :math:`\dot x = (1 - x)\lambda - \gamma x`
SIR    :math:`\dot s = -s\lambda,\ \dot y = s\lambda - \gamma y` (recovered: 1 - s - y)
SEIR   :math:`\dot s = -s\lambda,\ \dot e = s\lambda - \sigma e,\ \dot y = \sigma e - \gamma y`
====== ==================================================================================

References
----------
Lajmanovich, Yorke, A deterministic model for gonorrhea in a nonhomogeneous population, Mathematical Biosciences 28, 1976.
Mei, Mohagheghi, Zampieri, Bullo, On the dynamics of deterministic epidemic propagation over networks, Annual Reviews in
Control 44, 2017.
"""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError
from ..fields.facts import Facts
from ..linalg.metzler import perron
from .common import NetworkModel, numbers

__all__ = ["SEIR", "SIR", "SIS"]


def _sis(t, x, s, p, dx):
    dx[0] = p.infection * (1.0 - x[0]) * s[0] - p.recovery * x[0]


def _sir(t, x, s, p, dx):
    dx[0] = -p.infection * x[0] * s[0]
    dx[1] = p.infection * x[0] * s[0] - p.recovery * x[1]


def _seir(t, x, s, p, dx):
    dx[0] = -p.infection * x[0] * s[0]
    dx[1] = p.infection * x[0] * s[0] - p.onset * x[1]
    dx[2] = p.onset * x[1] - p.recovery * x[2]


def _first(x, y, p, s):
    s[0] = y[0]


def _second(x, y, p, s):
    s[0] = y[1]


def _third(x, y, p, s):
    s[0] = y[2]


class _Epidemic(NetworkModel):
    """What the three share: contacts that are not negative, rates, and the reproduction number."""

    def _make(self, functions, coupling, dim, **arguments):
        rates = {k: numbers(k, arguments[k], least=0.0) for k in ("infection", "recovery", "onset") if k in arguments}
        self._build(coupling, functions, arguments, rates, dim=dim)
        if (self._weights() < 0).any():
            raise ArgumentError("coupling", float(self._weights().min()), "contact rates that are not negative")

    @property
    def reproduction(self):
        r"""The basic reproduction number, the spectral radius of :math:`[\gamma]^{-1}[\beta]A`; infinite without recovery.

        Below one the disease dies out.
        """
        recovery = np.broadcast_to(self.params["recovery"], self.nodes)
        if (recovery == 0).any():
            return np.inf
        scale = np.broadcast_to(self.params["infection"], self.nodes) / recovery
        return float(perron(self.matrix.multiply(scale[:, None]).tocsr()).upper)

    @property
    def facts(self):
        return Facts(invariant=(np.zeros(self.n), np.ones(self.n)), theorem="fractions stay between 0 and 1")


_PARAMETERS = """
    Parameters
    ----------
    coupling : networkx graph, ndarray (N, N), scipy sparse array or int
        Contact rates, not negative; ``coupling[i, j]`` brings infection from j to i. A number: everyone meets everyone.
    infection, recovery{more} : float or array_like (N,)
        Rates, 1/time, not negative.
    weight : float
        Multiplies the contact rates.
    edge_weight : str
        The edge attribute of a graph that holds the contact rates.
    labels : sequence of str, optional

    Raises
    ------
    ArgumentError
        For negative rates.
"""


class SIS(_Epidemic):
    __doc__ = (
        r"""Susceptible, infected, susceptible: :math:`\dot x_i = \beta_i(1 - x_i)\sum_j a_{ij}x_j - \gamma_i x_i`.

    The state is the infected fraction of each population, in [0, 1]; the box is invariant and the system monotone in it.
    With equal rates and :math:`\beta\rho(A) < \gamma` it contracts with rate :math:`\gamma - \beta\rho(A)` in the norm
    :math:`\ell_\infty` weighted by the right Perron vector of A. Above the threshold it does not contract on the whole box:
    an endemic equilibrium :math:`x^* > 0` attracts all other states.
"""
        + _PARAMETERS.format(more="")
        + """
    Examples
    --------
    >>> import networkx as nx
    >>> model = SIS(nx.path_graph(3), infection=1.5, recovery=1.0)
    >>> round(model.reproduction, 6)
    2.12132
    >>> model.rhs(0.0, [0.5, 0.5, 0.5])
    array([-0.125,  0.25 , -0.125])
    """
    )
    name = "SIS"
    equation = "x_i' = infection (1 - x_i) sum_j a_ij x_j - recovery x_i"

    def __init__(self, coupling, infection=1.0, recovery=1.0, weight=1.0, edge_weight="weight", labels=None):
        self._make((_sis, _first), coupling, 1, infection=infection, recovery=recovery, weight=weight,
                   edge_weight=edge_weight, labels=labels)  # fmt: skip

    @property
    def facts(self):
        infection = np.broadcast_to(self.params["infection"], self.nodes)
        recovery = np.broadcast_to(self.params["recovery"], self.nodes)
        force = np.max(infection * (self.matrix @ np.ones(self.nodes)), initial=0.0)
        slopes = {
            "node_x": (np.full((1, 1), -force - recovery.max()), np.full((1, 1), -recovery.min())),
            "node_s": (np.zeros((1, 1)), np.full((1, 1), infection.max())),
            "edge_x": (np.zeros((1, 1)), np.zeros((1, 1))),
            "edge_y": (np.ones((1, 1)), np.ones((1, 1))),
        }
        box = np.zeros(self.n), np.ones(self.n)
        theorem = (
            "contracting with rate recovery - infection * rho(A) where that is positive, in l-inf weighted by Perron"
        )
        return Facts(invariant=box, monotone=True, slopes=slopes, theorem=theorem)


class SIR(_Epidemic):
    __doc__ = (
        r"""Susceptible, infected, recovered: :math:`\dot s = -s\lambda,\ \dot y = s\lambda - \gamma y` in each population.

    States (s, y) of each population, fractions in [0, 1]; the recovered are 1 - s - y. Every state without infected is an
    equilibrium, so the system contracts in no norm.
"""
        + _PARAMETERS.format(more="")
        + """
    Examples
    --------
    >>> SIR([[1.0]], infection=2.0, recovery=1.0).rhs(0.0, [0.9, 0.1])
    array([-0.18,  0.08])
    """
    )
    name = "SIR"
    equation = "s_i' = -infection s_i sum_j a_ij y_j, y_i' = infection s_i sum_j a_ij y_j - recovery y_i"
    components = ("susceptible", "infected")

    def __init__(self, coupling, infection=1.0, recovery=1.0, weight=1.0, edge_weight="weight", labels=None):
        self._make((_sir, _second), coupling, 2, infection=infection, recovery=recovery, weight=weight,
                   edge_weight=edge_weight, labels=labels)  # fmt: skip


class SEIR(_Epidemic):
    __doc__ = (
        r"""Susceptible, exposed, infected, recovered: as SIR, with a time :math:`1/\sigma` between exposure and infectiousness.

    States (s, e, y) of each population, fractions in [0, 1]; the recovered are 1 - s - e - y.
"""
        + _PARAMETERS.format(more=", onset")
        + """
    Examples
    --------
    >>> SEIR([[1.0]], infection=2.0, onset=0.5, recovery=1.0).rhs(0.0, [0.8, 0.1, 0.1])
    array([-0.16,  0.11, -0.05])
    """
    )
    name = "SEIR"
    equation = "s' = -s force, e' = s force - onset e, y' = onset e - recovery y"
    components = ("susceptible", "exposed", "infected")

    def __init__(self, coupling, infection=1.0, onset=1.0, recovery=1.0, weight=1.0, edge_weight="weight", labels=None):
        self._make((_seir, _third), coupling, 3, infection=infection, onset=onset, recovery=recovery, weight=weight,
                   edge_weight=edge_weight, labels=labels)  # fmt: skip
