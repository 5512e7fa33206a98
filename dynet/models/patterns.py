r"""Reaction and diffusion on graphs: two species that react at each node and diffuse along the edges.

References
----------
Turing, The chemical basis of morphogenesis, Philosophical Transactions of the Royal Society B 237, 1952.
Nakao, Mikhailov, Turing patterns in network-organized activator-inhibitor systems, Nature Physics 6, 2010.
"""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError, Shown
from ..fields.base import describe
from ..fields.facts import Facts
from .common import NetworkModel, number

__all__ = ["ReactionDiffusion"]


def _reaction(t, x, s, p, dx):
    dx[0] = p.fu * x[0] + p.fv * x[1] - p.cubic * x[0] ** 3 + p.diffusion_u * s[0]
    dx[1] = p.gu * x[0] + p.gv * x[1] + p.diffusion_v * s[1]


def _differences(x, y, p, s):
    s[0] = y[0] - x[0]
    s[1] = y[1] - x[1]


class ReactionDiffusion(NetworkModel):
    r"""An activator u and an inhibitor v on a graph with Laplacian L,

    .. math:: \dot u = f_u u + f_v v - \kappa u^3 - D_u L u, \qquad \dot v = g_u u + g_v v - D_v L v.

    The uniform state 0 is stable without diffusion when the reaction matrix :math:`J = [[f_u, f_v], [g_u, g_v]]` is Hurwitz.
    Diffusion destabilises it (Turing's instability) when an eigenvalue :math:`\lambda` of L makes
    :math:`J - \lambda\,\mathrm{diag}(D_u, D_v)` unstable. That needs a J whose Metzler majorant is not Hurwitz: where it is,
    no diffusion can form a pattern, and the whole field contracts in a weighted :math:`\ell_1` or :math:`\ell_\infty` norm.

    Parameters
    ----------
    coupling : networkx graph, ndarray (N, N), scipy sparse array or int
        Along what the species diffuse; weights not negative.
    reaction : array_like (2, 2)
        The matrix J, 1/time.
    diffusion : (float, float)
        D_u and D_v, not negative, 1/time.
    cubic : float
        Saturation kappa of the activator, not negative.
    weight : float
        Multiplies the weights.
    edge_weight : str
        The edge attribute of a graph that holds the weights.
    labels : sequence of str, optional

    Raises
    ------
    ArgumentError
        For a reaction that is not a matrix (2, 2), negative diffusion, negative weights.

    Examples
    --------
    >>> import networkx as nx
    >>> model = ReactionDiffusion(nx.cycle_graph(10))
    >>> round(model.growth(3.95), 6)
    0.028713
    >>> model.pattern_free
    False
    >>> ReactionDiffusion(nx.cycle_graph(10), reaction=[[-1.0, -0.5], [0.8, -1.0]]).pattern_free
    True
    """

    name = "ReactionDiffusion"
    equation = "u' = fu u + fv v - cubic u^3 - Du L u, v' = gu u + gv v - Dv L v"
    components = ("u", "v")

    def __init__(
        self, coupling, reaction=((0.5, -1.0), (1.5, -1.5)), diffusion=(0.05, 1.0), cubic=1.0, weight=1.0,
        edge_weight="weight", labels=None,
    ):  # fmt: skip
        J = np.asarray(reaction, dtype=float)
        D = np.asarray(diffusion, dtype=float)
        if J.shape != (2, 2) or not np.isfinite(J).all():
            raise ArgumentError("reaction", describe(J), "a finite matrix of shape (2, 2)")
        if D.shape != (2,) or not np.isfinite(D).all() or (D < 0).any():
            raise ArgumentError("diffusion", diffusion, "two numbers that are not negative")
        rates = {"fu": J[0, 0], "fv": J[0, 1], "gu": J[1, 0], "gv": J[1, 1], "cubic": number("cubic", cubic, least=0.0)}
        rates |= {"diffusion_u": D[0], "diffusion_v": D[1]}
        arguments = dict(reaction=J, diffusion=D, cubic=cubic, weight=weight, edge_weight=edge_weight, labels=labels)
        self.reaction, self.diffusion = J, D
        self._build(coupling, (_reaction, _differences), arguments, rates, dim=2)
        if (self._weights() < 0).any():
            raise ArgumentError("coupling", Shown("a negative weight"), "weights that are not negative")

    def growth(self, eigenvalue):
        """The growth rate, 1/time, of perturbations of 0 along an eigenvector of L with this eigenvalue."""
        return float(np.linalg.eigvals(self.reaction - eigenvalue * np.diag(self.diffusion)).real.max())

    @property
    def pattern_free(self):
        """Whether the Metzler majorant of the reaction matrix is Hurwitz: no diffusion can form a pattern."""
        J = self.reaction
        majorant = np.array([[J[0, 0], abs(J[0, 1])], [abs(J[1, 0]), J[1, 1]]])
        return bool(np.linalg.eigvals(majorant).real.max() < 0)

    @property
    def facts(self):
        D, one = np.diag(self.diffusion), np.eye(2)
        unbounded = self.reaction.copy()
        if self.params["cubic"] > 0:
            unbounded[0, 0] = -np.inf
        slopes = {"node_x": (unbounded, self.reaction), "node_s": (D, D), "edge_x": (-one, -one), "edge_y": (one, one)}
        return Facts(
            slopes=slopes, theorem="contracting, hence without patterns, when the reaction's majorant is Hurwitz"
        )
