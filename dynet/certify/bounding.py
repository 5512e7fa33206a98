r"""From a certificate to error bounds of whole runs: what :func:`dynet.simulate` does with ``certificate=``.

The certificate must be about the field that is simulated: the same numbers, or the same function with the same parameters,
and, where the certificate is about the field's own input only, that input. Each trajectory gets a proven bound where there
is one (:mod:`dynet.certify.error`), and an estimate otherwise; the word of the run is the weaker of the two.

References
----------
Davydov, Jafarpour, Bullo, Non-Euclidean contraction theory for robust nonlinear stability, arXiv:2103.12263.
"""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError, Shown
from ..fields.signal import Constant, PerLane
from ..linalg.norms import Norm
from .certificate import Certificate
from .error import ErrorBound, estimated, proven
from .region import read_region
from .search import any_input, is_about

__all__ = ["check_certificate", "error_bounds"]

_WORK = 600_000  # operations on series, times steps, that a run may spend on proofs


def check_certificate(certificate, model, params=None, u=None):
    """Raise ArgumentError unless a certificate can bound errors of this model with these parameters and this input.

    Parameters
    ----------
    certificate : Certificate
    model : VectorField
    params, u
        As for :func:`dynet.simulate`.
    """
    if not isinstance(certificate, Certificate):
        raise ArgumentError("certificate", certificate, "a certificate: dn.certify(model)")
    if not certificate or certificate.kind not in ("strong", "weak") or not _is_norm(certificate.norm):
        raise ArgumentError(
            "certificate", Shown(f"one of kind {certificate.kind!r}, {certificate.status}"),
            "a certificate of strong or weak contraction in an l1, l2 or l-infinity norm",
        )  # fmt: skip
    if params:
        raise ArgumentError(
            "certificate", Shown("one of the model's own parameters"), "no params: they change the model"
        )
    if not is_about(certificate, model):
        raise ArgumentError(
            "certificate", Shown(f"one of {certificate.model}"), f"a certificate of this very {model.name}"
        )
    if u is not None and not any_input(certificate):
        raise ArgumentError(
            "certificate", Shown("one of the model's own input"), "no u, or a certificate of all inputs"
        )
    if not certificate.check():
        raise ArgumentError("certificate", Shown("one that its check refuses"), "a certificate that holds")


def error_bounds(certificate, model, t0, y0, times, x, signal, p, rtol):
    """Bounds on the distance of computed states from the true ones.

    Parameters
    ----------
    certificate : Certificate
        One that :func:`check_certificate` lets pass.
    model : VectorField
    t0 : float
    y0 : ndarray, shape (batch, n)
    times : ndarray, shape (k,) or (batch, k)
    x : ndarray, shape (batch, k, n)
        NaN where a trajectory failed; so is the bound.
    signal : Signal or None
    p : ndarray, shape (batch, npar)
        Where a constant input of each lane stands.
    rtol : float

    Returns
    -------
    radius : ndarray, shape (batch, k)
    status : str
        ``"certified"`` or ``"estimated"``.
    why : str
        Why it is not certified; empty where it is.
    """
    region = read_region(certificate.region)
    radius, why = np.full(x.shape[:2], np.nan), ""
    work = _WORK // len(x)
    for lane in range(len(x)):
        good = int(np.isfinite(x[lane]).all(axis=1).cumprod().sum())
        if not good:
            continue
        u = signal
        if isinstance(signal, PerLane):
            u = Constant(p[lane, signal.first : signal.first + signal.size])
        t, states = (times if times.ndim == 1 else times[lane])[:good], x[lane, :good]
        found = ErrorBound(np.empty(0), False, why)
        if not why:
            found = proven(model, certificate.norm, certificate.rate, region, t0, y0[lane], t, states, u,
                           tol=1e-3 * rtol, work=work)  # fmt: skip
            why = found.why
        if not found.certified:
            t, states = (t, states) if t[0] == t0 else (np.append(t0, t), np.vstack([y0[lane], states]))
            found = estimated(model, certificate.norm, certificate.rate, t, states, u, why)
        radius[lane, :good] = found.radius[-good:]
    return radius, "estimated" if why else "certified", why


def _is_norm(norm):
    """Whether this is a norm of states with p = 1, 2 or inf, and no seminorm."""
    return isinstance(norm, Norm) and getattr(norm, "R", None) is None and norm.p in (1, 2, np.inf)
