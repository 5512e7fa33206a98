r"""Road traffic: Daganzo's cell transmission model on a network of cells.

References
----------
Daganzo, The cell transmission model, part II: network traffic, Transportation Research Part B 29, 1995.
Lovisari, Como, Savla, Stability of monotone dynamical flow networks, IEEE Conference on Decision and Control, 2014.
"""

from __future__ import annotations

import inspect
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from ..errors import ArgumentError
from ..fields.facts import Facts
from ..fields.function import FunctionField
from ..fields.graph import coupling_matrix
from .common import NetworkModel, number, numbers

__all__ = ["CellTransmission"]


def _cell(t, x, s, p, dx):
    room = min(p.capacity, p.wave * (p.jam - x[0]))
    dx[0] = min(p.inflow, room * p.entry) + s[0] - p.exit * min(p.speed * x[0], p.capacity)


def _transfer(x, y, p, s):
    arriving = min(p.split * min(p.speed * y[0], p.capacity), p.share * min(p.capacity, p.wave * (p.jam - x[0])))
    leaving = min(p.turn * min(p.speed * x[0], p.capacity), p.part * min(p.capacity, p.wave * (p.jam - y[0])))
    s[0] = arriving - leaving


class CellTransmission(NetworkModel):
    r"""The cell transmission model: :math:`\dot\rho_i = \text{inflow} - \text{outflow}` of cells of unit length.

    A cell offers the demand :math:`D(\rho) = \min(v\rho, F)` and the supply
    :math:`S(\rho) = \min(F, w(\rho_{jam} - \rho))`. From cell j to a following cell i flows
    :math:`\min(r_{ij}D(\rho_j),\ \sigma_{ij}S(\rho_i))`, with turning ratios r that sum to 1 over the cells that follow j and
    shares :math:`\sigma` that sum to 1 over the cells that i follows. A queue for one exit does not hold up the others
    (a junction that is not first in, first out). The system is monotone and no vehicle is lost: distances do not grow in
    :math:`\ell_1`. Densities stay in [0, jam].

    With ``junctions="fifo"`` vehicles leave a cell in the order in which they came: the whole outflow is
    :math:`q_j = \min(D(\rho_j),\ \min_i \sigma_{ij}S(\rho_i)/r_{ij})`, of which :math:`r_{ij}q_j` goes to i. One queue then
    holds up the other exits, so that more vehicles here mean fewer there: no vehicle is lost, and the system is not monotone
    where a cell is followed by two or more; nothing is promised of distances.

    Parameters
    ----------
    coupling : networkx directed graph, ndarray (n, n), scipy sparse array or int
        ``coupling[i, j] > 0`` where cell i follows cell j, an edge j -> i; its value is a preference, scaled so that those of
        one cell sum to 1. A number n: one road of n cells.
    speed, wave, jam, capacity : float
        Free speed v and backward wave speed w (cells/time), jam density (vehicles/cell) and capacity F (vehicles/time).
    inflow : float or array_like (n,)
        Vehicles/time that want to enter, at cells that follow no other.
    junctions : str
        ``"free"``, or ``"fifo"`` for junctions that are first in, first out.
    edge_weight : str
        The edge attribute of a graph that holds the preferences.
    labels : sequence of str, optional

    Raises
    ------
    ArgumentError
        For numbers that are not positive, negative preferences, inflow into a cell that follows another.

    Examples
    --------
    >>> road = CellTransmission(3, wave=0.5, jam=4.0, capacity=1.2, inflow=0.8)
    >>> road.rhs(0.0, [0.8, 0.8, 0.8])
    array([0., 0., 0.])
    >>> fork, jammed = [[0, 0, 0], [1, 0, 0], [1, 0, 0]], [1.0, 0.0, 4.0]
    >>> CellTransmission(fork).rhs(0.0, jammed)[:2], CellTransmission(fork, junctions="fifo").rhs(0.0, jammed)[:2]
    (array([-0.5,  0.5]), array([0., 0.]))
    """

    name = "CellTransmission"
    equation = "rho_i' = sum_j flow(j -> i) - sum_j flow(i -> j), flow(j -> i) = min(r_ij D(rho_j), sigma_ij S(rho_i))"

    def __init__(
        self, coupling, speed=1.0, wave=0.5, jam=4.0, capacity=1.2, inflow=0.0, junctions="free", edge_weight="weight",
        labels=None,
    ):  # fmt: skip
        if junctions not in ("free", "fifo"):
            raise ArgumentError("junctions", junctions, "how junctions work", choices=("free", "fifo"))
        road = _road(coupling, speed, wave, jam, capacity, inflow, edge_weight)
        follows, names = road.follows, road.names
        both = csr_array(((follows + follows.T) > 0).astype(float))
        rows, columns = np.repeat(np.arange(road.n), np.diff(both.indptr)), both.indices
        pick = {"split": road.split[rows, columns], "share": road.share[rows, columns],
                "turn": road.split[columns, rows], "part": road.share[columns, rows]}  # fmt: skip
        exits = (road.out == 0).astype(float)
        params = road.rates | {"inflow": road.wanted, "entry": road.sources, "exit": exits}
        arguments = dict(road.rates, inflow=inflow, junctions=junctions, edge_weight=edge_weight, labels=labels)
        options = {k: np.asarray(v) for k, v in pick.items()}
        self._build(both, (_cell, _transfer), dict(labels=labels or names), params, edge_params=options)
        self.coupling, self._arguments = coupling, arguments

    def __new__(cls, *args, junctions="free", **options):
        return FifoCells(*args, **options) if junctions == "fifo" else object.__new__(cls)

    @property
    def facts(self):
        theorem = "monotone and conserving vehicles, hence weakly contracting in l1"
        return Facts(invariant=(np.zeros(self.n), np.full(self.n, self.params["jam"])), monotone=True, theorem=theorem)


# the arguments are those of __init__, not of __new__, which looks at one of them only
CellTransmission.__signature__ = inspect.signature(CellTransmission.__init__)


class FifoCells(FunctionField):
    """What :class:`CellTransmission` makes with ``junctions="fifo"``: the flow out of a cell looks at all cells that follow."""

    def __init__(
        self, coupling, speed=1.0, wave=0.5, jam=4.0, capacity=1.2, inflow=0.0, edge_weight="weight", labels=None
    ):
        road = _road(coupling, speed, wave, jam, capacity, inflow, edge_weight)
        self.coupling, n = coupling, road.n
        self._arguments = dict(road.rates, inflow=inflow, edge_weight=edge_weight, labels=labels)
        onward = road.follows.T.tocsr()  # row j: the cells that follow j
        start, after = onward.indptr.astype(int), onward.indices.astype(int)
        before = np.repeat(np.arange(n), np.diff(start))
        split = np.append(np.asarray(road.split[after, before]).ravel(), 1.0)
        share = np.append(np.asarray(road.share[after, before]).ravel(), 1.0)
        after, entry = np.append(after, 0), road.sources.copy()

        def cells(t, x, p, dx):
            for i in range(n):
                room = min(p.capacity, p.wave * (p.jam - x[i]))
                dx[i] = entry[i] * min(p.inflow[i], room)
            for j in range(n):
                q = min(p.speed * x[j], p.capacity)
                for e in range(start[j], start[j + 1]):
                    room = min(p.capacity, p.wave * (p.jam - x[after[e]]))
                    q = min(q, share[e] * room / split[e])
                dx[j] -= q
                for e in range(start[j], start[j + 1]):
                    dx[after[e]] += split[e] * q

        equation = "rho_i' = sum_j r_ij q_j - q_i, q_j = min(D(rho_j), min_i sigma_ij S(rho_i) / r_ij)"
        params = road.rates | {"inflow": road.wanted}
        super().__init__(
            cells, n, params=params, labels=labels or road.names, name="CellTransmission", equation=equation
        )

    def replace(self, **params):
        for name, value in params.items():
            if name not in self._arguments:
                raise ArgumentError(name, value, f"a parameter of {self.name}", choices=self._arguments, word=name)
        return type(self)(self.coupling, **{**self._arguments, **params})

    @property
    def facts(self):
        theorem = "no vehicle is lost; not monotone at forks, hence nothing is promised of distances"
        return Facts(invariant=(np.zeros(self.n), np.full(self.n, self.params["jam"])), theorem=theorem)


class _Road(NamedTuple):
    """A checked road network: who follows whom, ratios and shares, sources, rates."""

    n: int
    follows: object
    names: object
    split: object
    share: object
    out: np.ndarray
    sources: np.ndarray
    wanted: np.ndarray
    rates: dict


def _road(coupling, speed, wave, jam, capacity, inflow, edge_weight):
    if isinstance(coupling, (int, np.integer)) and not isinstance(coupling, bool):
        if coupling < 1:
            raise ArgumentError("coupling", coupling, "a number of cells, at least 1")
        coupling = np.eye(int(coupling), k=-1)
    matrix, names = coupling_matrix(coupling, weight=edge_weight)
    follows = csr_array(matrix)
    if (follows.data < 0).any() or follows.diagonal().any():
        raise ArgumentError("coupling", "a negative or a diagonal entry", "preferences for other cells, not negative")
    follows.eliminate_zeros()
    n = follows.shape[0]
    out, into = np.asarray(follows.sum(axis=0)).ravel(), np.diff(follows.indptr)
    rates = {k: number(k, v, above=0.0) for k, v in dict(speed=speed, wave=wave, jam=jam, capacity=capacity).items()}
    wanted = np.broadcast_to(numbers("inflow", inflow, n, least=0.0, what="cells"), n)
    if np.ndim(inflow) and (wanted[into > 0] > 0).any():
        cell = int(np.flatnonzero((wanted > 0) & (into > 0))[0])
        raise ArgumentError(f"inflow[{cell}]", float(wanted[cell]), "0 where a cell follows another")
    if capacity > wave * jam:
        expected = f"at most what an empty cell takes in, wave * jam = {wave * jam:g}"
        raise ArgumentError("capacity", capacity, expected)
    split = (follows @ _diagonal(1 / np.where(out > 0, out, 1))).tocsr()
    share = (_diagonal(1 / np.maximum(into, 1)) @ (follows > 0).astype(float)).tocsr()
    sources = (into == 0).astype(float)
    return _Road(n, follows, names, split, share, out, sources, wanted * sources, rates)


def _diagonal(values):
    from scipy.sparse import diags_array

    return diags_array(values).tocsr()
