r"""Periodic orbits of periodically forced systems, by shooting.

A field of period T in time has a T-periodic solution through x at the time t0 if the *period map* P, the flow from t0 to
t0 + T, has the fixed point x. Newton's method finds it, with the derivative of P (the monodromy matrix) from differences
of trajectories that run side by side.

If the field contracts with rate c in a norm, uniformly in time, then P contracts with :math:`e^{-cT}`: there is exactly
one periodic solution, it attracts all others (entrainment), and at any state

.. math:: \|x - x^*\| \le \frac{\|P(x) - x\|}{1 - e^{-cT}} .

References
----------
Russo, di Bernardo, Sontag, Global entrainment of transcriptional systems to periodic inputs, PLoS Computational Biology
6, 2010.
Davydov, Jafarpour, Bullo, Non-Euclidean contraction theory for robust nonlinear stability, arXiv:2103.12263.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .arguments import check_positive
from .certify.certificate import Certificate
from .errors import ArgumentError, Status
from .fields.base import VectorField, describe
from .linalg.norms import Norm
from .simulate import simulate
from .trajectory import Trajectory

__all__ = ["PeriodicOrbit", "periodic_orbit"]


@dataclass(frozen=True, eq=False)
class PeriodicOrbit:
    """The result of :func:`periodic_orbit`.

    Attributes
    ----------
    x : ndarray, shape (n,)
        The state at the time `t0`.
    t0, period : float
    trajectory : Trajectory
        One period.
    multipliers : ndarray of complex, shape (n,)
        Eigenvalues of the monodromy matrix, the largest first; the orbit attracts if all are within the unit circle.
    residual : float
        Length of P(x) - x in `norm`.
    error : float
        With a certificate, the entrainment bound on the distance from `x` to the periodic solution in `norm`, NaN without
        one. The error of the integration in it is an estimate, so it is not a proof.
    norm : Norm
        Of the certificate; Euclidean without one.
    iterations : int
    status : Status

    Examples
    --------
    >>> import dynet as dn
    >>> driven = dn.models.FiringRate([[0.0]], input=dn.Sinusoid(amplitude=1.0, period=2.0))
    >>> orbit = dn.periodic_orbit(driven)
    >>> orbit.status.ok, orbit.period, orbit.attracting
    (True, 2.0, True)
    """

    x: np.ndarray
    t0: float
    period: float
    trajectory: Trajectory = field(repr=False)
    multipliers: np.ndarray
    residual: float
    error: float
    norm: Norm
    iterations: int
    status: Status

    @property
    def attracting(self):
        """Whether all multipliers lie within the unit circle."""
        return bool(np.all(np.abs(self.multipliers) < 1))

    def __str__(self):
        kind = "attracting" if self.attracting else "not attracting"
        return (
            f"PeriodicOrbit of {self.x.size} states, period {self.period:g}, {kind}\n"
            f"  error     <= {self.error:.3g} in {self.norm} (integration error estimated)\n"
            f"  residual  {self.residual:.3g} after {self.iterations} iterations\n  status    {self.status}"
        )


def periodic_orbit(
    model, period=None, *, x0=None, t0=0.0, u=None, tol=1e-9, method="auto", certificate=None, max_iterations=50
):
    r"""A periodic solution of a periodically forced field.

    Parameters
    ----------
    model : VectorField
    period : float, optional
        In the unit of t; by default that of the input.
    x0 : array_like, shape (n,), optional
        Where to start; zero by default.
    t0 : float
        The time at which the state is sought.
    u : Signal, optional
        The input; the model's own by default.
    tol : float
        Wanted length of P(x) - x.
    method : str
        Of :func:`dynet.simulate`.
    certificate : Certificate, optional
        What :func:`dynet.certify` said of this model.
    max_iterations : int

    Returns
    -------
    PeriodicOrbit

    Raises
    ------
    ArgumentError
        For arguments that cannot be used, such as no period where the input has none.

    Examples
    --------
    >>> import numpy as np, dynet as dn
    >>> wave = dn.Sinusoid(amplitude=1.0, period=2 * np.pi)
    >>> model = dn.models.Lure(E=[-2.0], F=[1.0], G=[1.0], D=[[1.0]], activation="tanh", input=wave)
    >>> orbit = dn.periodic_orbit(model, certificate=dn.certify(model))
    >>> round(float(orbit.x[0]), 6), orbit.attracting, bool(orbit.error < 1e-8)
    (-0.451456, True, True)
    """
    if not isinstance(model, VectorField):
        raise ArgumentError("model", model, "a model: dn.models.*, or a function under @dn.vector_field")
    signal = model.signal(u)
    if period is None:
        period = getattr(signal, "period", None)
        if period is None:
            raise ArgumentError("period", None, "the period of the forcing: the input has none of its own")
    check_positive("period", period)
    check_positive("tol", tol)
    x = np.zeros(model.n) if x0 is None else np.array(model.check_state(x0, "x0"))
    if x.ndim != 1 or not np.isfinite(x).all():
        raise ArgumentError("x0", describe(x), f"one finite state of shape ({model.n},)")
    if isinstance(t0, bool) or not np.isscalar(t0) or not np.isreal(t0) or not np.isfinite(t0):
        raise ArgumentError("t0", t0, "a finite number")
    if isinstance(max_iterations, bool) or not isinstance(max_iterations, (int, np.integer)) or max_iterations < 1:
        raise ArgumentError("max_iterations", max_iterations, "a positive integer")
    if certificate is not None and not isinstance(certificate, Certificate):
        raise ArgumentError("certificate", certificate, "the result of dn.certify for this model")
    contracting = certificate is not None and bool(certificate) and certificate.rate > 0
    norm = certificate.norm if contracting else Norm(2)
    n, span = model.n, (float(t0), float(t0) + float(period))

    def flow(y, rtol, **options):
        return simulate(model, y, span, u=u, method=method, rtol=rtol, atol=1e-2 * rtol, **{"save": "last"} | options)

    best = None  # residual, state, its image, monodromy matrix
    status, done = Status.MAX_ITERATIONS, 0
    for done in range(1, max_iterations + 1):
        size = 1e-5 * np.maximum(1.0, np.abs(x))
        run = flow(np.concatenate([x[None], x + np.diag(size), x - np.diag(size)]), 1e-10)
        if not run.ok:
            status = next(s for s in run.statuses if not s.ok)
            break
        image, after = run.final[0], run.final[1:]
        M = ((after[:n] - after[n:]) / (2 * size[:, None])).T
        residual = float(norm.length(image - x))
        before = np.inf if best is None else best[0]
        if residual < before:
            best = residual, x, image, M
        if residual <= tol:
            status = Status.OK
            break
        if residual >= 0.5 * before and done > 5 and residual < 1e-6:
            status = Status.PRECISION
            break
        try:
            x = x + np.linalg.solve(np.eye(n) - M, image - x) if residual < 2 * before else image
        except np.linalg.LinAlgError:
            x = image
    if best is None:
        nothing = np.full(n, np.nan)
        trajectory = simulate(model, x, span, u=u, method=method, save=201)
        return PeriodicOrbit(
            x, span[0], float(period), trajectory, nothing.astype(complex), np.nan, np.nan, norm, done, status
        )
    residual, x, image, M = best
    trajectory = flow(x, 1e-10, save=201)
    error = np.nan
    if contracting:
        integration = 2 * float(norm.length(flow(x, 1e-12).final - image))
        error = (residual + integration) / -np.expm1(-certificate.rate * period)
    multipliers = np.linalg.eigvals(M).astype(complex)
    multipliers = multipliers[np.argsort(-np.abs(multipliers))]
    return PeriodicOrbit(x, span[0], float(period), trajectory, multipliers, residual, float(error), norm, done, status)
