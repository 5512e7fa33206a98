r"""Falsification: a search for a state that contradicts a claimed contraction rate.

The one-sided Lipschitz constant is at least the log norm of the Jacobian at every single state. So one state at which the
log norm exceeds ``-rate`` refutes the claim, and the excess is proven here: the Jacobian at the state is enclosed, and the
log norm of everything in the enclosure is bounded from below. (Where the field has a kink the enclosure holds the Jacobians
of all sides, so that the bound is about states next to it.) A search that finds nothing proves nothing.

References
----------
Davydov, Jafarpour, Bullo, Non-Euclidean contraction theory for robust nonlinear stability, arXiv:2103.12263.
"""

from __future__ import annotations

import html
import math
from dataclasses import dataclass

import numpy as np

from ..errors import ArgumentError
from ..fields.base import VectorField
from ..fields.derivative import enclose_function
from ..fields.enclosure import input_bounds, unit_bounds
from ..fields.function import FunctionField
from ..fields.lure import LureField
from ..linalg.intervals import Interval
from ..linalg.norms import Norm
from .region import Simplex, as_region, read_region

__all__ = ["Falsification", "falsify", "log_norm_down", "point_jacobians"]

_CHUNK = 200_000  # entries of Jacobians that are held at once


@dataclass(frozen=True, eq=False)
class Falsification:
    """The result of :func:`falsify`.

    Attributes
    ----------
    status : str
        ``refuted`` (the log norm at `x` exceeds ``-rate``, proven) or ``sampled`` (nothing was found: `value` is a lower
        bound on the one-sided Lipschitz constant, and no more is known).
    x : ndarray, shape (n,)
        The worst state that was found.
    value : float
        A proven lower bound on the log norm there, and so on the one-sided Lipschitz constant.
    rate : float
        The claim.
    norm : Norm
    region : str
    points : int
        States that were looked at.
    """

    status: str
    x: np.ndarray
    value: float
    rate: float
    norm: Norm
    region: str
    points: int

    def __bool__(self):
        return self.status == "refuted"

    def __str__(self):
        head = {
            "refuted": f"refuted: no contraction with rate {self.rate:.6g}",
            "sampled": f"not refuted: rate {self.rate:.6g} (nothing is proven by that)",
        }[self.status]
        state = np.array2string(self.x, precision=6, threshold=8)
        return (
            f"{head}\n  at      x = {state}\n  log norm >= {self.value:.9g} there, claimed <= {-self.rate:.9g}\n"
            f"  norm    {self.norm}\n  region  {self.region}\n  looked at {self.points} states"
        )

    def _repr_html_(self):
        return f"<pre>{html.escape(str(self))}</pre>"


def falsify(model, certificate=None, *, norm=None, rate=0.0, region=None, points=4_000, seed=0):
    """Look for a state of a region at which the log norm of the Jacobian exceeds ``-rate``.

    Parameters
    ----------
    model : VectorField
    certificate : Certificate, optional
        Whose norm, rate and region to attack; they are then not given otherwise.
    norm : Norm, 1, 2 or inf, optional
        The plain l-infinity norm by default.
    rate : float
        Claimed contraction rate, 1/time.
    region : Region or (lo, hi), optional
        The whole space by default.
    points : int
        How many states to look at.
    seed : int

    Returns
    -------
    Falsification
        Its truth value says whether the claim is refuted, which is then proven.

    Raises
    ------
    ArgumentError
        For a norm that does not fit, a certificate without a norm.

    Examples
    --------
    >>> import dynet as dn
    >>> @dn.vector_field(n=1)
    ... def two_wells(t, x, p, dx):
    ...     dx[0] = x[0] - x[0] ** 3
    >>> found = falsify(two_wells, region=([-2.0], [2.0]))
    >>> bool(found), round(found.value, 3)
    (True, 1.0)
    """
    if not isinstance(model, VectorField):
        raise ArgumentError("model", model, "a model: dn.models.*, or a function under @dn.vector_field")
    if certificate is not None:
        if norm is not None or region is not None or rate != 0.0:
            raise ArgumentError("certificate", certificate, "None where norm, rate or region are given")
        if certificate.norm is None or certificate.norm.p not in (1, 2, math.inf):
            raise ArgumentError("certificate", certificate.status, "a certificate with a norm of p = 1, 2 or inf")
        if certificate.kind in ("semi", "k", "alpha"):
            raise ArgumentError("certificate", certificate.kind, "a certificate of contraction in a norm of the states")
        norm, rate, region = certificate.norm, certificate.rate, read_region(certificate.region)
    norm = norm if isinstance(norm, Norm) else Norm("inf" if norm is None else norm)
    if norm.p not in (1, 2, math.inf):
        raise ArgumentError("norm", norm, "p = 1, 2 or inf", choices=("1", "2", "inf"))
    if norm.n not in (None, model.n):
        raise ArgumentError("norm", norm, f"{model.n} weights, one for each state of {model}")
    if not isinstance(points, (int, np.integer)) or points < 1:
        raise ArgumentError("points", points, "a positive integer")
    if not (np.ndim(rate) == 0 and np.isfinite(rate)):
        raise ArgumentError("rate", rate, "a finite number")
    region = as_region(region).fits(model.n)
    lo, hi = region.box(model.n)
    if isinstance(region, Simplex) or np.any(lo == hi):
        raise ArgumentError(
            "region", region, "a region with interior: on a thin one the log norm may exceed the constant"
        )
    x, value, looked = _search(model, norm, region, int(points), np.random.default_rng(seed))
    proven = -math.inf
    for candidate in x[np.argsort(-value)][:5]:
        bound = log_norm_down(*(end[0] for end in point_jacobians(model, candidate[None])), norm)
        if bound > proven:
            proven, best = bound, candidate
    if proven == -math.inf:
        best = x[np.argmax(value)] if len(x) else np.full(model.n, np.nan)
    status = "refuted" if proven > -rate else "sampled"
    return Falsification(status, best, float(proven), float(rate), norm, str(region), looked)


def point_jacobians(model, x):
    """Bounds on the Jacobian at states of shape (k, n), for the field's own input: two arrays (k, n, n).

    Infinite where no bound is known.
    """
    if isinstance(model, FunctionField):
        found = enclose_function(model, x, x)
        if model.inputs and not np.isfinite(found.jacobian_lo).all():
            found = enclose_function(model, x, x, u=input_bounds(model))
        return found.jacobian_lo, found.jacobian_hi
    if not isinstance(model, LureField):
        unknown = np.full((len(x), model.n, model.n), math.inf)
        return -unknown, unknown
    z = unit_bounds(model, x, x)
    slopes = Interval(*model.activation.local_slopes(z.lo, z.hi))
    E, F, G = (_dense(m) for m in (model.E, model.F, model.G))
    total = Interval(np.broadcast_to(E, (len(x), *E.shape)))
    with np.errstate(all="ignore"):
        for k in range(model.units):
            if F[:, k].any() and G[k].any():
                part = Interval(slopes.lo[:, k, None], slopes.hi[:, k, None]) * Interval(F[:, k])
                total = total + Interval(part.lo[:, :, None], part.hi[:, :, None]) * Interval(G[k])
    return total.lo, total.hi


def log_norm_down(lo, hi, norm):
    """A float that is at most the log norm of every matrix between `lo` and `hi`, shape (n, n); -inf if they are infinite.

    >>> A = np.array([[-1.0, 0.5], [-0.75, 0.25]])
    >>> bound = log_norm_down(A, A, Norm("inf", [1.0, 3.0]))
    >>> print(0.5 - 1e-15 < bound <= 0.5)
    True
    """
    if not (np.isfinite(lo).all() and np.isfinite(hi).all()):
        return -math.inf
    n = len(lo)
    weights = np.ones(n) if norm.weights is None else norm.weights
    with np.errstate(all="ignore"):
        if norm.p == 2:
            return _rayleigh_down(lo, hi, np.diag(weights) if weights.ndim == 1 else weights)
        if norm.p == 1:
            lo, hi = lo.T, hi.T
        moduli = abs(Interval(lo, hi))
        total = Interval(np.diagonal(lo), np.diagonal(hi))
        for j in range(n):
            term = Interval(moduli.lo[:, j], moduli.hi[:, j]) * float(weights[j]) / Interval(weights)
            keep = np.arange(n) != j
            total = total + Interval(np.where(keep, term.lo, 0.0), np.where(keep, term.hi, 0.0))
    return float(total.lo.max())


def _rayleigh_down(lo, hi, P):
    """``v' P J v / v' P v`` for the vector that does best in the middle."""
    factor = np.linalg.cholesky(P)
    inner = factor.T @ (lo + (hi - lo) / 2) @ np.linalg.inv(factor.T)
    v = np.linalg.solve(factor.T, np.linalg.eigh((inner + inner.T) / 2)[1][:, -1])
    Jv = _matvec(Interval(lo, hi), Interval(v))
    Pv = _matvec(Interval(P), Interval(v))
    top, bottom = _dot(Pv, Jv), _dot(Pv, Interval(v))
    return float((top / bottom).lo) if bottom.lo > 0 else -math.inf


def _matvec(A, v):
    total = Interval(np.zeros(A.lo.shape[0]))
    for j in range(A.lo.shape[1]):
        total = total + Interval(A.lo[:, j], A.hi[:, j]) * Interval(v.lo[j], v.hi[j])
    return total


def _dot(a, b):
    products = a * b
    total = Interval(0.0)
    for low, high in zip(products.lo, products.hi, strict=True):
        total = total + Interval(low, high)
    return total


def _search(model, norm, region, points, random):
    """States, the log norms there in floating point, and how many were looked at: at random first, then near the best."""
    n = model.n
    lo, hi = region.box(n)
    low = np.where(np.isfinite(lo), lo, np.where(np.isfinite(hi), hi - 100.0, -100.0))
    high = np.where(np.isfinite(hi), hi, np.where(np.isfinite(lo), lo + 100.0, 100.0))
    step = max(1, min(points // 4, _CHUNK // n**2))
    x, value = np.empty((0, n)), np.empty(0)
    looked, reach = 0, 1.0
    while looked < points:
        count = min(step, points - looked)
        if looked < points // 3 or not np.isfinite(value).any():
            fresh = random.uniform(low, high, (count, n))
            corners = random.random((count, n)) < 0.5
            fresh = np.where(random.random((count, 1)) < 0.3, np.where(corners, low, high), fresh)
            if not (np.isfinite(lo).all() and np.isfinite(hi).all()):
                size = 10.0 ** random.uniform(-3, 2, (count, 1))
                fresh = np.clip(size * random.normal(size=(count, n)), lo, hi)
            if looked == 0:
                fresh[0] = np.clip(low + (high - low) / 2, lo, hi)
        else:
            best = np.argsort(-value)[:8]
            some = random.random((count, n)) < max(0.3, 1.0 / n)
            move = some * reach * random.normal(size=(count, n)) * (high - low) / 4
            fresh = np.clip(x[random.choice(best, count)] + move, lo, hi)
            reach = max(0.7 * reach, 1e-9)
        fresh = fresh[region.contains(fresh)]
        looked += count
        if len(fresh):
            x, value = np.concatenate([x, fresh]), np.concatenate([value, _log_norms(model, norm, fresh)])
            keep = np.argsort(-value)[:64]
            x, value = x[keep], value[keep]
    good = np.isfinite(value)
    return x[good], value[good], looked


def _log_norms(model, norm, x):
    if isinstance(model, FunctionField):
        lo, hi = point_jacobians(model, x)
        with np.errstate(invalid="ignore"):
            J = lo + (hi - lo) / 2
    else:
        J = np.array([_dense(model.jacobian(0.0, state)) for state in x])
    good = np.isfinite(J).all(axis=(1, 2))
    value = np.full(len(x), -np.inf)
    if good.any():
        value[good] = norm.log(J[good])
    return value


def _dense(matrix):
    if not isinstance(matrix, np.ndarray):
        return matrix.toarray()
    return np.diag(matrix) if matrix.ndim == 1 else matrix
