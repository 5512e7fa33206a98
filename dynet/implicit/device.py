r"""States of implicit networks on a GPU: the diagonal absorbed, or averaged steps, until the residual is small enough.

With the diagonal of A absorbed the map contracts by the network's `factor` q, so a step of length d leaves an error of at most
:math:`d/(1-q)`; the averaged step :math:`\alpha = 1/(1 - \min_i (d_i a_{ii})^-)` has a residual that leaves
:math:`\rho/(1-\bar\mu)`. Both are the device's numbers with an estimate of its rounding: nothing here is certified.

References
----------
Jafarpour, Davydov, Proskurnikov, Bullo, Robust implicit networks via non-Euclidean contractions, arXiv:2106.03194.
"""

from __future__ import annotations

import numpy as np

from ..engine import cuda
from ..engine.cuda import plan
from ..equilibrium import Equilibrium
from ..errors import ArgumentError, Status

__all__ = ["layer", "solve"]


def layer(net):
    """What a kernel iterates for a network: ``(plan, step, factor, rate)``; an error is the residual over the rate.

    >>> import dynet as dn
    >>> found, step, factor, rate = layer(dn.ImplicitNetwork([[-1.0, 0.5], [0.5, -1.0]], [[1.0], [0.0]], [[1.0, 1.0]]))
    >>> found.f, step, round(factor, 6), round(rate, 6)
    (array([0.5, 0.5]), 1.0, 0.25, 0.75)
    """
    if net.activation.code not in plan.ACTIVATIONS:
        raise ArgumentError(
            "activation", net.activation.name, "a built-in activation on device='cuda', or device='cpu'"
        )
    if not net.well_posed:
        raise ArgumentError("device", "cuda", "'cpu': the network is not known to have one state for each input")
    A, one = (
        np.asarray(net.exact("A").todense() if hasattr(net.A, "todense") else net.exact("A"), float),
        np.ones(net.n),
    )
    whole = plan.Plan(plan.INSIDE, A, -one, one, one, net.activation.code, net.activation.parameter)
    from ..engine.cuda import equilibria

    shorter = equilibria.absorbed(whole)
    if shorter is not None and net.factor < 1:
        return shorter, 1.0, float(net.factor), 1.0 - float(net.factor)
    least = min(0.0, *(float(np.min(s * np.diagonal(A))) for s in net.activation.slopes))
    step = 1.0 / (1.0 - least)
    return whole, step, 1.0 - step * float(net.rate), float(net.rate)


def solve(net, U, tol, x0, max_iterations, precision, single):
    """What :func:`dynet.implicit.solve.solve` returns, computed on a device; its arguments are checked."""
    iterated, step, factor, rate = layer(net)
    cuda.require()
    from ..engine.cuda import equilibria

    precision = precision or "float32"
    u = U @ np.asarray(net.exact("B").T, float) + net.exact("b")
    start = np.zeros((len(U), net.n)) if x0 is None else np.array(x0, float)
    scale = 1.0 / net.weights
    found = equilibria.solve(
        iterated, u, np.zeros(net.n), start, alpha=step, scale=scale, kind=np.inf, tol=tol * rate, precision=precision,
        limit=min(max_iterations, 2**31 - 2), patience=equilibria.patience_of(factor),
    )  # fmt: skip
    with np.errstate(over="ignore", invalid="ignore"):
        residual = found.residual + equilibria.rounding(iterated, u, found.x, scale, np.inf, precision)
        error = residual / rate
    status = [
        Status.PRECISION if s == 0 and not e <= tol else Status(int(s))
        for s, e in zip(found.status, error, strict=True)
    ]
    values = (found.x, error, residual, found.iterations, tuple(status))
    if single:
        values = (found.x[0], float(error[0]), float(residual[0]), int(found.iterations[0]), status[0])
    return Equilibrium(*values, net.norm, False, found.executor, ())
