r"""Swing equations of a power grid from a MATPOWER case: the steady flow, then the machines alone.

1. The steady flow: bus voltages :math:`V_ke^{j\vartheta_k}` that balance active and reactive power, by Newton's method in
   polar coordinates (buses of type 2 hold their voltage, one of type 3 its angle, too; limits are not enforced).
2. Each generator in service becomes a machine: a voltage :math:`E_ie^{j\delta_i}` of constant modulus behind its transient
   reactance, which feeds what the flow says. Loads become admittances.
3. Kron reduction: the buses are eliminated, :math:`Y = Y_{gg} - Y_{gb}Y_{bb}^{-1}Y_{bg}`, and with
   :math:`Y_{ij} = |Y_{ij}|e^{j(\pi/2 - \varphi_{ij})}` the machines obey

   .. math:: m_i\ddot\theta_i + d_i\dot\theta_i = p_i - \sum_j a_{ij}\sin(\theta_i - \theta_j + \varphi_{ij}), \qquad
             a_{ij} = E_iE_j|Y_{ij}|, \quad p_i = P_i - E_i^2\operatorname{Re}Y_{ii},

   which is at rest at the angles of the flow.

References
----------
Zimmerman, Murillo-Sanchez, Thomas, MATPOWER, IEEE Transactions on Power Systems 26, 2011 (the case format, the flow).
Doerfler, Bullo, Kron reduction of graphs with applications to electrical networks, IEEE Transactions on Circuits and Systems I
60, 2013.
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import numpy as np

from ..errors import ArgumentError, MissingExtraError, Shown
from ..fields.facts import Facts
from .common import NetworkModel, number, numbers
from .grid import _machine

__all__ = ["PowerGrid", "read_case", "steady_flow"]

_BUS, _GEN, _BRANCH = (13, 10, 11)  # columns that a case has at least
_ITERATIONS = 30


def _line(x, y, p, s):
    s[0] = math.sin(y[0] - x[0] - p.shift)


class PowerGrid(NetworkModel):
    r"""The swing equations of the machines of a MATPOWER case, its buses eliminated, at rest in the case's steady flow.

    .. math:: m_i\ddot\theta_i + d_i\dot\theta_i = p_i - \sum_j a_{ij}\sin(\theta_i - \theta_j + \varphi_{ij})

    States :math:`(\theta_i, \omega_i)` of each generator in service, in rad and rad/s; powers in units of the case's base;
    time in s. With losses (:math:`\varphi \ne 0`) the flow is not symmetric; where
    :math:`|\theta_i - \theta_j + \varphi_{ij}| \le \pi/2` it is weakly contracting under the condition of
    :class:`~dynet.models.Swing`.

    Parameters
    ----------
    case : path
        A MATPOWER case file, ``.m``, format version 2.
    inertia : float or array_like (N,)
        Inertia constant H of each machine in s, on its own rating.
    damping : float or array_like (N,)
        Damping D in units of power for a unit of speed, on its own rating.
    reactance : float or array_like (N,)
        Transient reactance of each machine, on its own rating.
    frequency : float
        Of the grid, Hz.
    weight : float
        Multiplies the coupling.
    labels : sequence of str, optional
        One for each state; by default the machines' buses with ``angle`` and ``speed``.

    Attributes
    ----------
    angles : ndarray, shape (N,)
        The machines' angles in the steady flow, rad.
    steady : ndarray, shape (2 N,)
        The state at rest.
    voltages : ndarray of complex, shape (buses,)
        Bus voltages of the steady flow, in the order of the file.

    Raises
    ------
    ArgumentError
        For a file that is no MATPOWER case, a flow that does not exist (Newton's method does not converge), numbers that are
        not positive.
    MissingExtraError
        Without the package matpowercaseframes.

    Notes
    -----
    A case says nothing of dynamics: H, D and the reactance are yours, with round defaults. The rating of a machine is the
    largest of its MVA base, its largest active power and its power in the flow.

    Examples
    --------
    >>> grid = PowerGrid("scenarios/data/case9.m")
    >>> grid.labels[:2], grid.angles.round(3)
    (('1.angle', '1.speed'), array([0.07 , 0.302, 0.162]))
    >>> bool(abs(grid.rhs(0.0, grid.steady)).max() < 1e-12)
    True
    """

    name = "PowerGrid"
    equation = "theta' = omega, inertia omega' = power - damping omega - sum_j a_ij sin(theta_i - theta_j + shift_ij)"
    components = ("angle", "speed")

    def __init__(self, case, inertia=4.0, damping=2.0, reactance=0.25, frequency=60.0, weight=1.0, labels=None):
        base, bus, gen, branch = read_case(case)
        speed = 2 * math.pi * number("frequency", frequency, above=0.0)
        gen = gen[gen[:, 7] > 0]
        n = len(gen)
        constants = dict(inertia=inertia, damping=damping, reactance=reactance)
        given = {k: np.broadcast_to(numbers(k, v, n, above=0.0, what="machines"), n) for k, v in constants.items()}
        V, Y = steady_flow(case, base, bus, gen, branch)
        at = _places(case, bus, gen[:, 0], "generator")
        demand = (bus[:, 2] + 1j * bus[:, 3]) / base
        feed = V * np.conj(Y @ V) + demand  # what the generators of each bus feed in
        active = gen[:, 1] / base
        slack = np.flatnonzero(bus[:, 1] == 3)[0]
        rating = np.maximum.reduce([gen[:, 6], gen[:, 8], np.hypot(gen[:, 1], gen[:, 2]), np.full(n, 1.0)]) / base
        share = rating / np.bincount(at, weights=rating, minlength=len(bus))[at]
        active = np.where(at == slack, share * feed.real[at], active)
        current = np.conj((active + 1j * share * feed.imag[at]) / V[at])
        y = rating / (1j * given["reactance"])
        E = V[at] + current / y
        coupling, shift, power = _reduced(V, Y, demand, at, y, E)
        m, d = 2 * given["inertia"] * rating / speed, given["damping"] * rating / speed
        self.angles, self.voltages = np.angle(E), V
        self.steady = np.column_stack([self.angles, np.zeros(n)]).ravel()
        params = {"inertia": m, "damping": d, "power": power}
        names = _names(bus, at)
        arguments = dict(weight=weight, labels=labels or [f"{name}.{k}" for name in names for k in self.components])
        self._build(coupling, (_machine, _line), arguments, params, dim=2, edge_params={"shift": shift})
        self.coupling = case
        self._arguments = dict(constants, frequency=frequency, weight=weight, labels=labels)

    @property
    def overdamped(self):
        """Whether every damping is at least 2 sqrt(inertia * sum of the couplings)."""
        m, d = self.params["inertia"], self.params["damping"]
        return bool((d**2 >= 4 * m * (self.matrix @ np.ones(self.nodes))).all())

    @property
    def facts(self):
        theorem = "weakly contracting in l-inf where |theta_i - theta_j + shift_ij| <= pi/2, if overdamped"
        return Facts(translation=np.tile([1.0, 0.0], self.nodes), theorem=theorem)


def read_case(case):
    """The base (MVA) and the tables of buses, generators and branches of a MATPOWER case file, as arrays.

    Raises
    ------
    ArgumentError
        For a missing file, or one that is no case.
    MissingExtraError
    """
    try:
        from matpowercaseframes import CaseFrames
    except ImportError:
        raise MissingExtraError("reading MATPOWER cases", "grid") from None
    path = Path(case)
    if not path.is_file():
        near = [p.name for p in path.parent.glob("*.m")] if path.parent.is_dir() else []
        raise ArgumentError("case", str(case), "an existing MATPOWER case file", choices=near or None, word=path.name)
    expected = "a MATPOWER case file (.m, version 2) with baseMVA and the tables bus, gen and branch"
    if path.suffix.lower() != ".m":
        raise ArgumentError("case", str(case), expected)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package's own use of pandas
            frames = CaseFrames(str(path), update_index=False)
        base = float(frames.baseMVA)
        tables = [np.asarray(getattr(frames, name), dtype=float) for name in ("bus", "gen", "branch")]
    except Exception as error:  # the parser raises many kinds: all mean that the file is not what is wanted
        raise ArgumentError("case", str(case), expected) from error
    for name, table, columns in zip(("bus", "gen", "branch"), tables, (_BUS, _GEN, _BRANCH), strict=True):
        if table.ndim != 2 or not len(table) or table.shape[1] < columns or not np.isfinite(table[:, :columns]).all():
            what = Shown(f"{case}: a table {name} of shape {table.shape}")
            raise ArgumentError("case", what, f"{expected}; {name} has at least {columns} columns of numbers")
    if not base > 0:
        raise ArgumentError("case", str(case), f"{expected}; baseMVA is {base:g}")
    return base, *tables


def steady_flow(case, base, bus, gen, branch):
    """The bus voltages of the steady flow, complex (buses,), and the admittance matrix of the lines, csr (buses, buses).

    Raises
    ------
    ArgumentError
        Where there is no slack bus, or Newton's method does not find a flow.
    """
    from scipy.sparse.linalg import splu

    n = len(bus)
    Y = _admittances(case, base, bus, branch)
    at = _places(case, bus, gen[:, 0], "generator")
    kind = bus[:, 1].copy()
    driven = np.bincount(at, minlength=n) > 0
    kind[(kind == 2) & ~driven] = 1  # a bus whose generators are out of service holds nothing
    if np.count_nonzero(kind == 3) != 1 or not driven[kind == 3].all():
        raise ArgumentError(
            "case", Shown(str(case)), "exactly one bus of type 3 (the slack) with a generator in service"
        )
    modulus, angle = bus[:, 7].copy(), np.deg2rad(bus[:, 8])
    modulus[at] = np.where(kind[at] > 1, gen[:, 5], modulus[at])
    wanted = -(bus[:, 2] + 1j * bus[:, 3]) / base
    wanted += np.bincount(at, weights=gen[:, 1] / base, minlength=n)
    wanted += 1j * np.bincount(at, weights=np.where(kind[at] == 1, gen[:, 2], 0.0) / base, minlength=n)
    turned, moved = np.flatnonzero(kind != 3), np.flatnonzero(kind == 1)
    for _ in range(_ITERATIONS):
        V = modulus * np.exp(1j * angle)
        missing = wanted - V * np.conj(Y @ V)
        gap = np.concatenate([missing.real[turned], missing.imag[moved]])
        if not np.isfinite(gap).all():
            break
        if np.abs(gap).max(initial=0.0) < 1e-12:
            return V, Y
        step = splu(_flow_jacobian(V, Y, turned, moved)).solve(gap)
        angle[turned] += step[: len(turned)]
        modulus[moved] += step[len(turned) :] * modulus[moved]
    if np.isfinite(gap).all() and np.abs(gap).max() < 1e-8:
        return V, Y
    raise ArgumentError(
        "case", Shown(str(case)), f"a case with a steady flow: Newton's method is still {np.abs(gap).max():.2g} off"
    )


def _flow_jacobian(V, Y, turned, moved):
    """Derivatives of the powers by angles and by logarithms of moduli, sparse."""
    from scipy.sparse import block_array, diags_array

    current = diags_array(np.conj(Y @ V))
    D = diags_array(V)
    by_angle = (1j * D @ (current - (Y @ D).conj())).tocsr()
    by_modulus = (D @ (current + (Y @ D).conj())).tocsr()
    rows = (by_angle.real[turned], by_modulus.real[turned]), (by_angle.imag[moved], by_modulus.imag[moved])
    return block_array([[a[:, turned], m[:, moved]] for a, m in rows], format="csc")


def _admittances(case, base, bus, branch):
    from scipy.sparse import coo_array, diags_array

    n = len(bus)
    lines = branch[branch[:, 10] > 0]
    f, t = (_places(case, bus, lines[:, k], "branch") for k in (0, 1))
    z = lines[:, 2] + 1j * lines[:, 3]
    if not np.all(z != 0):
        raise ArgumentError("case", Shown(f"{case}: a branch without impedance"), "branches with r or x other than 0")
    y, half = 1 / z, 0.5j * lines[:, 4]
    tap = np.where(lines[:, 8] == 0, 1.0, lines[:, 8]) * np.exp(1j * np.deg2rad(lines[:, 9]))
    entries = np.concatenate([(y + half) / np.abs(tap) ** 2, -y / np.conj(tap), -y / tap, y + half])
    where = np.concatenate([f, f, t, t]), np.concatenate([f, t, f, t])
    shunt = diags_array((bus[:, 4] + 1j * bus[:, 5]) / base)
    return (coo_array((entries, where), shape=(n, n)).tocsr() + shunt).tocsr()


def _places(case, bus, numbers_, what):
    """The rows of buses, by their numbers."""
    order = np.argsort(bus[:, 0])
    found = np.searchsorted(bus[order, 0], numbers_).clip(max=len(bus) - 1)
    wrong = bus[order[found], 0] != numbers_
    if wrong.any():
        raise ArgumentError(
            "case", Shown(f"{case}: a {what} at bus {numbers_[wrong][0]:g}"), "buses that the table bus has"
        )
    return order[found]


def _reduced(V, Y, demand, at, y, E):
    """Couplings, shifts and powers of the machines, all buses eliminated."""
    from scipy.sparse import coo_array, diags_array
    from scipy.sparse.linalg import splu

    buses, n = len(V), len(at)
    inner = Y + diags_array(np.conj(demand) / np.abs(V) ** 2 + np.bincount(at, weights=y.imag, minlength=buses) * 1j)
    joins = coo_array((-y, (at, np.arange(n))), shape=(buses, n)).tocsc()
    Z = np.diag(y) - joins.T @ splu(inner.tocsc()).solve(joins.toarray())
    mechanical = (E * np.conj(Z @ E)).real
    size = np.abs(E)
    coupling = size[:, None] * size * np.abs(Z)
    np.fill_diagonal(coupling, 0.0)
    shift = np.pi / 2 - np.angle(Z)
    np.fill_diagonal(shift, 0.0)
    return coupling, np.arctan2(np.sin(shift), np.cos(shift)), mechanical - size**2 * Z.diagonal().real


def _names(bus, at):
    names = [f"{number_:g}" for number_ in bus[at, 0]]
    count = {name: names.count(name) for name in names}
    seen = dict.fromkeys(names, 0)
    out = []
    for name in names:
        seen[name] += 1
        out.append(name if count[name] == 1 else f"{name}-{seen[name]}")
    return out
