r"""States of implicit networks, with a bound on their distance from the true ones.

Whatever the method, the last word is the residual :math:`\rho = \|x - \Phi(Ax + Bu + b)\|` in the network's norm:

.. math:: \|x - x^*\| \le \rho / (1 - \bar\mu),

with :math:`\bar\mu` from :mod:`dynet.implicit.wellposed` (and a bound of the same kind where the proof is Euclidean).
The residual is computed in float64; what rounding may have hidden of it is bounded by the number of terms and the size
of what was summed, and is added."""

from __future__ import annotations

import numpy as np

from ..engine import cuda, panels, sweeps
from ..equilibrium import Equilibrium
from ..errors import ArgumentError, Status
from ..fields.base import describe
from ..linalg.rigorous import UNIT, gamma
from . import seidel, solvers, units
from .wellposed import row_sums

__all__ = ["METHODS", "outputs", "solve"]

METHODS = ("auto", "sweep", "gauss-seidel", *solvers.STEPS)
_STATUS = {
    sweeps.GOOD: Status.OK,
    sweeps.NONFINITE: Status.NONFINITE,
    sweeps.MOST: Status.MAX_ITERATIONS,
    sweeps.ROUNDED: Status.PRECISION,
}
_RESCUE = 300  # sweeps after which another method takes over, where the choice is free
_SLOW = 100  # sweeps, or three for each unit, that are worth another method
_FACTORED = 400  # units up to which a matrix is factored for each sample
_ROUGH = 50  # sweeps in float32 at most
_COARSE = 64  # units from which sweeps begin in float32
_LOOK = 200  # sweeps after which an ill-posed network is given up


def solve(net, U, tol=1e-10, *, method="auto", x0=None, max_iterations=100_000, device="cpu", precision=None):
    """The states of a network for a batch of inputs.

    Parameters
    ----------
    net : ImplicitNetwork
    U : array_like, shape (inputs,) or (batch, inputs)
    tol : float
        Wanted bound on the distance from the true state, in ``net.norm``.
    method : str
        ``"sweep"``, ``"gauss-seidel"``, ``"averaged"``, ``"anderson"``, ``"peaceman-rachford"``, ``"douglas-rachford"``,
        ``"newton"``, or ``"auto"``: see :func:`choose`.
    x0 : array_like, shape (n,) or (batch, n), optional
        Where to start; zero when None.
    max_iterations : int
    device, precision : str
        ``"cuda"`` computes on a GPU, in ``"float32"`` (the default), ``"float64"``, ``"tf32"`` or ``"bf16"``; not certified.

    Returns
    -------
    Equilibrium
        `error` bounds the distance, rounding included; it is NaN, and the status ``ill_posed``, where the network is not
        known to have one state. A sample has the same bits alone or in any batch.

    Raises
    ------
    ArgumentError
        For inputs of another shape or not finite, an unknown method, a tolerance that is not positive.

    Examples
    --------
    >>> import dynet as dn
    >>> net = dn.ImplicitNetwork([[-1.0, 0.5], [0.5, -1.0]], [[1.0], [0.0]], [[1.0, 1.0]])
    >>> found = solve(net, [3.0])
    >>> found.x.round(9), found.status.ok, bool(found.error <= 1e-10)
    (array([1.6, 0.4]), True, True)
    """
    U, single = net.check_inputs(U)
    if method not in METHODS:
        raise ArgumentError("method", method, "the name of a method", choices=METHODS)
    if not (np.isscalar(tol) and np.isfinite(tol) and tol > 0):
        raise ArgumentError("tol", tol, "a positive number")
    if not isinstance(max_iterations, (int, np.integer)) or max_iterations < 1:
        raise ArgumentError("max_iterations", max_iterations, "a positive integer")
    if x0 is not None:
        x0 = np.asarray(x0, dtype=float)
        if x0.shape not in ((net.n,), (len(U), net.n)) or not np.isfinite(x0).all():
            raise ArgumentError("x0", describe(x0), f"finite, of shape ({net.n},) or (batch, {net.n})")
        x0 = np.broadcast_to(x0, (len(U), net.n))
    U = np.ascontiguousarray(U, float)
    if cuda.wanted(device, precision, method=None if method == "auto" else method):
        from . import device as kernels

        return kernels.solve(net, U, tol, x0, max_iterations, precision, single)
    used, places = choose(net, tol) if method == "auto" else (method, None)
    inject = net._passes("float64").inject(U)
    rescue = method == "auto" and used == "sweep" and net.boxed
    limit = min(max_iterations, max(_RESCUE, 4 * net.n)) if rescue else max_iterations
    x, residual, iterations, flags = _solve(net, U, used, inject, tol, x0, limit, places)
    late = np.flatnonzero((flags == sweeps.MOST) & (iterations < max_iterations)) if rescue else np.zeros(0, int)
    if late.size:  # samples for which the sweeps are slow
        other = _direct(net)
        more = _solve(net, U[late], other, np.ascontiguousarray(inject[late]), tol, x[late], max_iterations - limit)
        for old, new in zip((x, residual, flags), (more[0], more[1], more[3]), strict=True):
            old[late] = new
        iterations[late] += more[2]
        used = f"{used}, {other}"
    error, _ = distance(net, U, x, residual)
    return result(net, x, residual, error, iterations, statuses(net, flags, error, tol), used, single)


def choose(net, tol=1e-10):
    """The method for a network, from the structure of A, and an order of its units.

    Sweeps, unless their asymptotic factor with all units active says that they would be many: a matrix of nonnegative
    entries near the boundary of well-posedness, whose state is found by Newton's method (or Anderson's, for many units).
    A network without cycles is solved by one sweep in order.

    >>> import dynet as dn
    >>> choose(dn.ImplicitNetwork.random(2, 50, 1))[0]
    'sweep'
    >>> choose(dn.ImplicitNetwork(np.full((50, 50), 0.99 / 50), np.ones((50, 1)), np.ones((1, 50))))[0]
    'newton'
    """
    if "structure" not in net._made:
        places = seidel.order(net) if net.boxed and net.n > 1 else None
        net._made["structure"] = places, _asymptotic(net) if net.boxed and places is None else 0.0
    places, factor = net._made["structure"]
    if net.well_posed and not net.boxed:
        return "peaceman-rachford", None
    if places is not None:
        return "gauss-seidel", places
    sweeps_needed = np.log(0.1 * min(tol, 0.1)) / np.log(min(factor, 1 - 1e-9)) if factor > 0 else 0
    slow = max(_SLOW, 3 * net.n) if net.n <= _FACTORED else _SLOW
    return _direct(net) if sweeps_needed > slow else "sweep", None


def _direct(net):
    return "newton" if net.n <= _FACTORED else "anderson"


def _asymptotic(net):
    """An estimate of the sweep's factor near a state where all units are as steep as they can be."""
    A = net.exact("A")
    diagonal = np.asarray(A.diagonal(), float)
    v, growth = np.random.default_rng(0).normal(size=net.n), []
    for _ in range(40):
        w = net.rows.reach * (A @ v - diagonal * v)
        size = np.linalg.norm(w)
        if not size > 0:
            return 0.0
        growth.append(size)
        v = w / size
    return float(np.exp(np.mean(np.log(growth[-15:]))))


def _solve(net, U, method, inject, tol, x0, most, places=None):
    """States to an error of `tol` by a method: states, residuals, iterations and flags."""
    if not net.well_posed:
        most = min(most, _LOOK) if np.isfinite(net.rows.reach).all() else 0
        return _run(net, "sweep", inject, x0, np.full(len(U), float(tol)), most, None)
    goals = np.full(len(U), 0.9 * tol / net.spread)
    x, residual, iterations, flags = _run(net, method, inject, x0, goals, most, places)
    error, hidden = distance(net, U, x, residual)
    again = np.flatnonzero((error > tol) & (flags == sweeps.GOOD) & (hidden < 0.9 * tol / net.spread))
    if again.size:  # rounding takes a share of the tolerance: what is left is for the residual
        goals = 0.9 * (tol / net.spread - hidden[again])
        more = _run(net, method, np.ascontiguousarray(inject[again]), x[again], goals, most, places)
        x[again], residual[again], flags[again] = more[0], more[1], more[3]
        iterations[again] += more[2]
    return x, residual, iterations, flags


def _run(net, method, inject, x0, goals, most, places):
    """One run of a method to given residuals."""
    passes = net._passes("float64")
    if method == "sweep":
        start, before = None if x0 is None else passes.pad(x0), 0
        if x0 is None and most > 2 * _ROUGH:
            start, before = coarse_start(net, inject, goals)
            most -= _ROUGH + 1
        found = sweeps.run(
            passes._update, passes.panel("A"), passes._data, inject, start, goals=goals, most=most, grain=_grain(net)
        )
        return np.array(found.x[:, : net.n]), found.residual, found.iterations + before, found.flags
    x = np.zeros_like(inject) if x0 is None else passes.pad(x0)
    if method == "gauss-seidel":
        x, *rest = seidel.run(net, inject, x, goals, most, _grain(net), places)
    else:
        x, *rest = solvers.iterate(net, solvers.STEPS[method](net, inject), inject, x, goals, most, _grain(net))
    return np.array(x), *rest


def coarse_start(net, inject, goals):
    """States after sweeps in float32, which are twice as fast, and the numbers of sweeps; None where it does not pay.

    Whether it pays is a matter of the network, not of the batch: otherwise a sample's bits would depend on its company.
    """
    if net.n < _COARSE or not isinstance(net.A, np.ndarray) or not net.boxed or not units.closed(net.activation):
        return None, 0
    with np.errstate(over="ignore", invalid="ignore"):  # what float32 cannot hold starts at zero
        passes, n = net._passes("float32"), net.n
        v = np.zeros((len(inject), passes.wide), np.float32)
        v[:, :n] = inject[:, :n]
        size = np.maximum(inject.max(axis=1), -inject.min(axis=1)) / net.weights.min()
        enough = np.minimum(np.maximum(16 * n * 2.0**-24 * size, goals), 1e30).astype(np.float32)
    found = sweeps.run(passes._update, passes.panel("A"), passes._data, v, goals=enough, most=_ROUGH, take=True)
    found.x[found.flags == sweeps.NONFINITE] = 0.0
    x = np.zeros_like(inject)
    x[:, :n] = found.x[:, :n]
    return x, found.iterations + 1


def _grain(net):
    return 4 * UNIT * (net.n + 8) * max(1.0, _sizes(net)[0])


def _sizes(net):
    """Bounds on what A, B and b can make of a state and an input of length one: three numbers, rounded up."""
    if "sizes" not in net._made:
        A, B, b, eta = net.exact("A"), net.exact("B"), net.exact("b"), net.weights
        own = np.abs(np.asarray(A.diagonal(), float))
        ones = np.ones(net.inputs)
        into = row_sums(abs(B), ones) / eta
        net._made["sizes"] = tuple(
            float(v.max(initial=0.0)) * (1 + 1e-12) for v in (own + net.rows.off, into, np.abs(b) / eta)
        )
    return net._made["sizes"]


def hidden_rounding(net, U, size):
    """A bound on what rounding may hide of the residual of states of weighted length `size` (batch,), in the net's norm."""
    by_state, by_input, by_bias = _sizes(net)
    terms = by_state * size + by_input * np.maximum(U.max(axis=1, initial=0.0), -U.min(axis=1, initial=0.0)) + by_bias
    slope = max(abs(s) for s in net.activation.slopes)
    growth = gamma(net.n + net.inputs + 8)
    least = 1e-290 * max(1.0, slope) / min(1.0, float(net.weights.min()))  # what underflows is divided by a weight
    return 1.001 * (slope * growth * terms + 32 * UNIT * (2 * size + terms)) + least


def distance(net, U, x, residual):
    """A bound on the distance of `x` from the fixed points, from the residuals as computed, and what rounding may hide.

    Returns
    -------
    error : ndarray, shape (batch,)
        NaN where the network is not known to be well-posed.
    hidden : ndarray, shape (batch,)
    """
    size = np.abs(x / net.weights).max(axis=1)
    with np.errstate(over="ignore", invalid="ignore"):
        hidden = hidden_rounding(net, U, size + residual)
        if not net.well_posed:
            return np.full(len(x), np.nan), hidden
        return (residual * (1 + 16 * UNIT) + hidden) * net.spread * (1 + 8 * UNIT), hidden


def statuses(net, flags, error, tol):
    """One status for each sample."""
    if not net.well_posed:
        return tuple(Status.NONFINITE if f == sweeps.NONFINITE else Status.ILL_POSED for f in flags)
    words = [_STATUS[f] for f in flags.tolist()]
    for r in np.flatnonzero(~(error <= tol)):
        words[r] = Status.PRECISION if words[r] is Status.OK else words[r]
    for r in np.flatnonzero((error <= tol) & (flags != sweeps.GOOD)):
        words[r] = Status.OK
    return tuple(words)


def result(net, x, residual, error, iterations, status, method, single):
    """What a solver returns."""
    certified = net.well_posed and net.activation.code is not None and bool(np.isfinite(error).all())
    values = {"x": x, "error": error, "residual": residual, "iterations": iterations, "status": status}
    if single:
        values = {name: value[0] for name, value in values.items()}
        values.update({name: float(values[name]) for name in ("error", "residual")})
        values["iterations"] = int(values["iterations"])
    return Equilibrium(**values, norm=net.norm, certified=certified, method=method, labels=())


def outputs(net, U, tol=None):
    """What ``net(U)`` returns: outputs, NaN where there is none."""
    U, single = net.check_inputs(U)
    dtype = net.dtype.name
    tol = (1e-5 if dtype == "float32" else 1e-10) if tol is None else tol
    if not (np.isscalar(tol) and np.isfinite(tol) and tol > 0):
        raise ArgumentError("tol", tol, "a positive number")
    passes = net._passes(dtype)
    if ("C", dtype) not in net._made:
        net._made["C", dtype] = panels.pack(net.C, turned=True)
    if net.boxed:
        unit = np.finfo(net.dtype).eps / 2
        grain = 4 * unit * (net.n + 8) * max(1.0, _sizes(net)[0])
        inject, goals = passes.inject(np.ascontiguousarray(U, net.dtype)), np.full(len(U), tol * net.rate, net.dtype)
        start = coarse_start(net, inject, goals)[0] if dtype == "float64" else None
        state = sweeps.run(
            passes._update, passes.panel("A"), passes._data, inject, start, goals=goals, most=100_000, grain=grain
        )
        bad = (state.flags != sweeps.GOOD) & (state.flags != sweeps.ROUNDED)
        Y = panels.affine(state.x, net._made["C", dtype], net.d)[:, : net.outputs]
        Y[bad] = np.nan
    elif net.well_posed:
        found = solve(net, U, tol)
        Y = panels.affine(found.x.astype(net.dtype), net._made["C", dtype], net.d)[:, : net.outputs]
    else:
        Y = np.full((len(U), net.outputs), np.nan, net.dtype)
    return Y[0].copy() if single else np.ascontiguousarray(Y)
