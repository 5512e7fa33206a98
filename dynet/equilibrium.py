r"""Equilibria with a bound on their error.

A field that contracts with rate c has one equilibrium :math:`x^*`, and at any state

.. math:: \|x - x^*\| \le \|F(x)\| / c

in the norm of its certificate. So the certificate prescribes the step of the iteration, tells when to stop, and bounds
the error of what is returned; a solver without a certificate can only report a residual.

References
----------
Davydov, Jafarpour, Bullo, Non-Euclidean contraction theory for robust nonlinear stability, arXiv:2103.12263.
"""

from __future__ import annotations

import html
from dataclasses import dataclass

import numpy as np

from .certify import certify
from .certify.bounds import length as composite_length
from .certify.certificate import Certificate
from .certify.invariance import invariance
from .certify.region import WholeSpace, read_region
from .certify.search import any_input, is_about
from .engine import cuda, fixed_point
from .engine.anderson import Anderson
from .errors import ArgumentError, MissingExtraError, Shown, Status
from .fields.base import VectorField, describe
from .fields.derivative import enclose_function
from .fields.function import FunctionField
from .fields.signal import Constant, PerLane
from .linalg.norms import Norm

__all__ = ["Equilibrium", "equilibrium", "METHODS"]

METHODS = ("auto", "forward", "anderson", "newton")
_CHUNK = 16  # forward steps between two looks at the residual
_PATIENT = 20_000  # forward steps beyond which Newton's method is tried instead
_ROUNDING = 1 + 1e-12  # covers the rounding of a norm and a quotient; a sum of n = 1000 terms loses 1e-13


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """The result of :func:`equilibrium`.

    Attributes
    ----------
    x : ndarray, shape (n,) or (batch, n)
    error : float or ndarray, shape (batch,)
        Bound on the distance from `x` to the true equilibrium in `norm`; NaN where there is no certificate.
    residual : float or ndarray, shape (batch,)
        Length of the vector field at `x`, rounding included, in `norm` (Euclidean where there is no certificate).
    iterations : int or ndarray, shape (batch,)
    status : Status or tuple of Status
    norm : Norm
    certified : bool
        Whether `error` is a proven bound: the certificate holds, and the rounding of the residual is bounded.
    method : str
    labels : tuple of str

    Examples
    --------
    >>> import dynet as dn
    >>> rest = dn.equilibrium(dn.models.FiringRate([[-1.0, 0.5], [-0.75, 0.25]]), u=[0.5, 0.0], tol=1e-9)
    >>> rest.certified, bool(rest.error <= 1e-9)
    (True, True)
    """

    x: np.ndarray
    error: float | np.ndarray
    residual: float | np.ndarray
    iterations: int | np.ndarray
    status: Status | tuple
    norm: Norm
    certified: bool
    method: str
    labels: tuple

    def __str__(self):
        several = self.x.ndim == 2
        statuses = self.status if several else (self.status,)
        bad = [s for s in statuses if not s.ok]
        kind = "certified" if self.certified else "not certified"
        lines = [
            f"Equilibrium of {self.x.shape[-1]} states" + (f", {self.x.shape[0]} of them" if several else ""),
            f"  error     <= {np.max(self.error):.3g} in {self.norm} ({kind})",
            f"  residual  {np.max(self.residual):.3g} after {np.max(self.iterations)} iterations ({self.method})",
        ]
        if bad:
            lines.append(f"  {len(bad)} of {len(statuses)} did not finish: {bad[0].remedy}")
        return "\n".join(lines)

    def _repr_html_(self):
        return f"<pre>{html.escape(str(self))}</pre>"


def equilibrium(
    model, *, u=None, x0=None, tol=1e-10, method="auto", certificate=None, max_iterations=1_000_000, device="cpu",
    precision=None,
):  # fmt: skip
    r"""The equilibrium of an autonomous field, with a bound on its error.

    Parameters
    ----------
    model : VectorField
    u : float, array_like (inputs,) or (batch, inputs), optional
        Constant input; the model's own by default.
    x0 : array_like, shape (n,) or (batch, n), optional
        Where to start; zero by default.
    tol : float
        Wanted bound on the error, in the certificate's norm.
    method : str
        ``"forward"`` (the certificate's forward step: the averaged iteration of a field -x + G(x)), ``"anderson"`` (the
        same, accelerated), ``"newton"``, or ``"auto"``: forward where a certificate prescribes it, Newton's method
        otherwise or where the forward step would need very many iterations. Sweeps and splittings need the form
        x = Phi(A x + v): they are methods of :meth:`dynet.ImplicitNetwork.solve`.
    certificate : Certificate, optional
        What :func:`certify` said of this model; computed when None.
    max_iterations : int
    device : str
        ``"cpu"``, or ``"cuda"`` for a GPU (the extra ``cuda``): Lur'e fields with a certificate, by forward steps; the error is
        then the residual of the device over the certified rate, which is not proven.
    precision : str, optional
        On ``"cuda"``: ``"float32"`` (the default), ``"float64"``, ``"tf32"`` or ``"bf16"``.

    Returns
    -------
    Equilibrium
        With a certificate, iteration stops when the residual proves an error of at most `tol`; status ``precision`` says
        that rounding does not allow it, and `error` is then the bound that was reached.

    Raises
    ------
    ArgumentError
        For arguments that cannot be used, such as an input that varies in time, or ``method="forward"`` for a field
        without a certificate.

    Examples
    --------
    >>> import numpy as np, dynet as dn
    >>> net = dn.models.FiringRate([[0.0, 0.5], [-0.5, 0.0]], activation="relu", input=[1.0, 0.0])
    >>> eq = dn.equilibrium(net)
    >>> eq.certified, bool(eq.error <= 1e-10), bool(np.allclose(eq.x, [1.0, 0.0], atol=1e-9))
    (True, True, True)
    """
    if not isinstance(model, VectorField):
        raise ArgumentError("model", model, "a model: dn.models.*, or a function under @dn.vector_field")
    if method not in METHODS:
        raise ArgumentError("method", method, "the name of a method", choices=METHODS)
    if not (np.isscalar(tol) and np.isfinite(tol) and tol > 0):
        raise ArgumentError("tol", tol, "a positive number")
    if not isinstance(max_iterations, (int, np.integer)) or max_iterations < 1:
        raise ArgumentError("max_iterations", max_iterations, "a positive integer")
    form = cuda.lure_form(model, device, precision)
    x = np.zeros(model.n) if x0 is None else model.check_state(x0, "x0")
    if x.ndim > 2 or not np.isfinite(x).all():
        raise ArgumentError("x0", describe(x), f"finite, of shape ({model.n},) or (batch, {model.n})")
    inputs = _inputs(model, u)
    single = x.ndim == 1 and inputs.ndim == 1
    sizes = {a.shape[0] for a in (x, inputs) if a.ndim == 2}
    if len(sizes) > 1:
        raise ArgumentError("x0", Shown(f"a batch of {x.shape[0]}, with u of {inputs.shape[0]}"), "one batch size")
    batch = sizes.pop() if sizes else 1
    x = np.array(np.broadcast_to(x, (batch, model.n)))
    inputs = np.array(np.broadcast_to(inputs, (batch, model.inputs)))

    _check_autonomous(model, x, inputs)
    region = WholeSpace()
    if certificate is None:
        try:
            certificate = certify(model, kind="strong")
        except MissingExtraError as error:
            certificate = Certificate("unknown", "none", -np.inf, None, (-np.inf, np.inf), str(error))
    elif not isinstance(certificate, Certificate):
        raise ArgumentError("certificate", certificate, "the result of dn.certify for this model")
    elif certificate.region != "whole space":
        region = read_region(certificate.region).fits(model.n)
        if (
            method in ("forward", "anderson")
            or u is not None
            or not invariance(model, region, certificate.claim, certificate.rate)
        ):
            raise ArgumentError("certificate", Shown(f"one on {region}"), "a certificate on the whole space, or one on an "
                                "invariant region with the model's own input and method='newton'")  # fmt: skip
        method = "newton"
        if x0 is None:
            lo, hi = region.box(model.n)
            x[:] = np.where(np.isfinite(lo) & np.isfinite(hi), lo + (hi - lo) / 2, np.clip(0.0, lo, hi))
    if certificate.contracting and not (is_about(certificate, model) and certificate.check()):
        raise ArgumentError(
            "certificate",
            Shown(f"a certificate of {certificate.model}"),
            f"one that is about {model} and passes its check",
        )
    contracting = certificate.contracting and (u is None or any_input(certificate))
    if method in ("forward", "anderson") and not contracting:
        raise ArgumentError(
            "method", method, f"'newton': there is no certificate of contraction ({certificate.reason})"
        )
    if form is not None and (not contracting or method not in ("auto", "forward")):
        raise ArgumentError("device", device, f"'cpu': forward steps need a contracting field ({certificate.reason})")
    problem = _Problem(model, inputs, certificate if contracting else None, float(tol))
    if form is not None:
        found = cuda.settle(form, certificate, inputs, x, float(tol), max_iterations, precision)
        words = tuple(Status(int(word)) for word in found.status)
        error = np.where(found.status == Status.NONFINITE, np.nan, found.residual / certificate.rate)
        return _packed(
            problem, (found.x, error, found.residual, found.iterations, words), False, found.executor, single
        )
    if method != "newton" and contracting:
        used = "anderson" if method == "anderson" else "forward"
        if method == "auto" and problem.steps_needed(x) > _PATIENT:
            used = "newton"
    else:
        used = "newton"
    run = {"forward": _forward, "anderson": _anderson, "newton": _newton}[used]
    x, iterations, status = run(problem, x, max_iterations)
    residual, error = problem.measure(x, np.arange(batch))
    inside = region.contains(x)  # an invariant region holds the equilibrium; the bound is about states in it
    error = np.where(inside, error, np.nan)
    certified = contracting and problem.rounding_known and certificate.status == "certified" and bool(inside.all())
    return _packed(problem, (x, error, residual, iterations, status), certified, used, single)


def _packed(problem, values, certified, method, single):
    result = Equilibrium(*values, problem.norm, certified, method, problem.model.labels)
    if not single:
        return result
    first = {name: getattr(result, name)[0] for name in ("x", "error", "residual", "iterations", "status")}
    first.update(error=float(first["error"]), residual=float(first["residual"]), iterations=int(first["iterations"]))
    return Equilibrium(**first, norm=problem.norm, certified=certified, method=method, labels=problem.model.labels)


def _check_autonomous(model, x, inputs):
    """Raise ArgumentError for a function that, at the first state, is not the same at all times."""
    if not isinstance(model, FunctionField):
        return
    try:
        u = (inputs[:1], inputs[:1])
        ever, now = (
            enclose_function(model, x[0], x[0], t=t, u=u, jacobian=False) for t in ((-np.inf, np.inf), (0.0, 0.0))
        )
    except MissingExtraError:
        return
    if not now.failed[0] and (ever.failed[0] or np.any(ever.lo < now.lo) or np.any(ever.hi > now.hi)):
        raise ArgumentError("model", model, "an autonomous field: one that varies in time has no equilibrium")


def _inputs(model, u):
    """The constant input, shape (inputs,) or (batch, inputs)."""
    if u is not None and not hasattr(u, "pack") and np.ndim(u) == 2:
        inputs = np.asarray(u, dtype=float)
        if inputs.shape[1] != model.inputs or not np.isfinite(inputs).all():
            raise ArgumentError("u", describe(inputs), f"finite, of shape (batch, {model.inputs})")
        return inputs
    signal = model.signal(u)
    if signal is not None and not isinstance(signal, Constant):
        raise ArgumentError("u", signal, "a constant input: a field whose input varies in time has no equilibrium")
    return np.zeros(model.inputs) if signal is None else signal(0.0)


class _Problem:
    """The field at its constant inputs, and what the certificate says about errors."""

    def __init__(self, model, inputs, certificate, tol):
        self.model, self.inputs, self.certificate, self.tol = model, inputs, certificate, tol
        self.norm = certificate.norm if certificate is not None else Norm(2)
        self.rounding_known = True

    def residual(self, x, rows):
        """Lengths of F at states `x` of the batch rows `rows`: as computed, and the share of it that may be rounding."""
        u = self.inputs[rows]
        value = self.model.rhs(0.0, x, u)
        rounding = self.model.rhs_error(0.0, x, u)
        if rounding is None:
            self.rounding_known = False
            rounding = np.zeros_like(value)
        with np.errstate(over="ignore", invalid="ignore"):
            length, bound = self.norm.length(value), self._length_of_bound(rounding)
            if (
                np.ndim(getattr(self.norm, "weights", None)) == 2
            ):  # the product with the factor of P, and the factor itself, were rounded
                loss = 16 * len(self.norm.weights) * 2.0**-53 * np.trace(self.norm.weights)
                length = np.hypot(length, np.sqrt(loss) * np.linalg.norm(value, axis=-1))
            return length * _ROUNDING, bound * _ROUNDING

    def _length_of_bound(self, bound):
        """The largest length of a vector whose entries are bounded by `bound` in modulus."""
        if not hasattr(self.norm, "weights"):  # a composite norm, block by block
            return composite_length(self.norm, np.zeros_like(bound), bound)
        weights = self.norm.weights
        if weights is not None and np.ndim(weights) == 2:
            return np.sqrt(np.trace(weights)) * np.linalg.norm(bound, axis=-1)
        return self.norm.length(bound)

    def measure(self, x, rows):
        """Residual (rounding included) and error bound, each of shape (len(rows),)."""
        value, rounding = self.residual(x, rows)
        if self.certificate is None:
            return value + rounding, np.full(len(rows), np.nan)
        return value + rounding, (value + rounding) / self.certificate.rate * _ROUNDING

    def verdict(self, x, rows):
        """For each row: the error is small enough; or rounding keeps it from getting smaller."""
        value, rounding = self.residual(x, rows)
        goal = self.tol * (self.certificate.rate / _ROUNDING if self.certificate is not None else 1.0)
        return value + rounding <= goal, (rounding > 0.5 * goal) & (value <= rounding), np.isfinite(value)

    def steps_needed(self, x):
        """Forward steps that the certificate promises to be enough."""
        value, _ = self.residual(x, np.arange(len(x)))
        factor = self.certificate.step()[1]
        ratio = np.max(value) / (self.certificate.rate * self.tol)
        return 0 if ratio <= 1 else np.inf if factor >= 1 else np.log(ratio) / -np.log(factor)


def _forward(problem, x, max_iterations):
    """The certificate's step, several between two looks at the residual."""
    model = problem.model
    alpha, _ = problem.certificate.step()
    p = model.parameter_vector()
    block = model.block(PerLane(model.inputs, p.size) if model.inputs else None)
    p = np.hstack([np.tile(p, (len(x), 1)), problem.inputs])

    def advance(active):
        return fixed_point.advance(block, x[active], p[active], alpha, _CHUNK)

    return _iterated(problem, x, max_iterations, advance, _CHUNK)


def _anderson(problem, x, max_iterations):
    """Anderson's method on the forward step; the certificate's step where that does harm."""
    alpha, _ = problem.certificate.step()
    memory = Anderson(*x.shape)

    def advance(active):
        step = alpha * problem.model.rhs(0.0, x[active], problem.inputs[active])
        return memory.step(active, x[active], x[active] + step, problem.norm.length(step))

    return _iterated(problem, x, max_iterations, advance, 1)


def _iterated(problem, x, max_iterations, advance, stride):
    """Advance the samples, `stride` iterations at a time, until each has its verdict: states, iterations, statuses."""
    status, iterations = [Status.MAX_ITERATIONS] * len(x), np.zeros(len(x), int)
    active = np.arange(len(x))
    while True:
        good, stuck, finite = problem.verdict(x[active], active)
        for done, word in ((good, Status.OK), (stuck & ~good, Status.PRECISION), (~finite, Status.NONFINITE)):
            for row in active[done]:
                status[row] = word
        active = active[~(good | stuck | ~finite)]
        active = active[iterations[active] < max_iterations]
        if active.size == 0:
            return x, iterations, tuple(status)
        x[active] = advance(active)
        iterations[active] += stride


def _newton(problem, x, max_iterations):
    """Newton's method with step halving, one state at a time."""
    model = problem.model
    status, iterations = [], np.zeros(len(x), int)
    for row in range(len(x)):
        rows = np.array([row])
        word = Status.MAX_ITERATIONS
        for _ in range(min(max_iterations, 200)):
            good, stuck, finite = problem.verdict(x[rows], rows)
            if good[0] or stuck[0] or not finite[0]:
                word = Status.OK if good[0] else Status.PRECISION if stuck[0] else Status.NONFINITE
                break
            u = problem.inputs[row]
            step = _solve(model.jacobian(0.0, x[row], u), -model.rhs(0.0, x[row], u))
            size, before = 1.0, problem.residual(x[rows], rows)[0][0]
            while size > 1e-6 and not problem.residual(x[rows] + size * step, rows)[0][0] < before:
                size *= 0.5
            iterations[row] += 1
            if size <= 1e-6:  # no descent: the residual is at its floor, or Newton's direction is useless here
                goal = problem.tol * (problem.certificate.rate if problem.certificate is not None else 1.0)
                word = Status.PRECISION if before <= 1e3 * goal else Status.MAX_ITERATIONS
                break
            x[row] += size * step
        status.append(word)
    return x, iterations, tuple(status)


def _solve(matrix, vector):
    if not isinstance(matrix, np.ndarray):
        from scipy.sparse.linalg import spsolve

        return spsolve(matrix.tocsc(), vector)
    try:
        return np.linalg.solve(matrix, vector)
    except np.linalg.LinAlgError:
        return np.linalg.lstsq(matrix, vector, rcond=None)[0]
