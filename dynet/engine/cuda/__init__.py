"""Kernels for NVIDIA GPUs: the only room that imports ``numba.cuda``, and only when it is asked to compute.

============== ======================================================= =================================
module         what it runs                                            who works on what
============== ======================================================= =================================
``lure``       :math:`\\dot x = E x + F\\phi(G x + c) + d`, fixed step    a warp on 16 (8) trajectories: tensor cores
``equilibria`` :math:`F(x) = 0` and its adjoint, batched               the same
``ensembles``  any function of few states, own step for each           a thread on one trajectory
``networks``   node and edge functions on a graph                      a thread on one node of one trajectory
============== ======================================================= =================================

``ptx`` holds every inline instruction, ``fragments`` the order in which a warp holds a matrix (NumPy alone), ``device`` what
is asked of the driver. :func:`prepare` takes the same task as the engine of the host.

A result of a GPU is never a certificate; what proves runs on the host.
"""

from __future__ import annotations

import importlib

from ...errors import ArgumentError, Shown, Status
from ..forms import FunctionForm, LureForm, NetworkForm

__all__ = ["PRECISIONS", "devices", "lure_form", "prepare", "require", "settle", "step_ends", "wanted"]

PRECISIONS = ("float32", "tf32", "bf16", "float64")
_RUNNERS = {LureForm: "lure", FunctionForm: "ensembles", NetworkForm: "networks"}


def devices():
    """What ``dynet info`` says of GPUs: a list of names, or a list of one sentence that says what is missing."""
    from .device import listed

    return listed()


def require():
    """Raise :class:`~dynet.errors.DeviceError` unless a device, or its simulator, can be used."""
    from .device import require

    require()


def prepare(task, precision=None):
    """Check a :class:`dynet.engine.methods.Task` and the device; return the function that runs it and gives a Solution."""
    form = task.model.form()
    if type(form) not in _RUNNERS:
        raise ArgumentError("device", "cuda", f"'cpu': {task.model} has no form that the device knows (functions with "
                            "constant indices and loops, without inputs; Lur'e fields; networks)")  # fmt: skip
    precision = "float32" if precision is None else precision
    if precision in ("tf32", "bf16") and type(form) is not LureForm:
        raise ArgumentError(
            "precision", precision, Shown("'float32' or 'float64': tensor cores serve Lur'e fields alone")
        )
    runner = importlib.import_module(f"{__package__}.{_RUNNERS[type(form)]}")
    work = runner.prepare(task, form, precision)
    require()
    return work


def wanted(device, precision, **unknown):
    """Whether to compute on a GPU; raise for other words, and for options given by name that a GPU does not know."""
    if device not in ("cpu", "cuda"):
        raise ArgumentError("device", device, "a device", choices=("cpu", "cuda"))
    if device == "cpu":
        if precision not in (None, "float64"):
            raise ArgumentError("precision", precision, "None or 'float64' on device='cpu'")
        return False
    if precision not in (None, *PRECISIONS):
        raise ArgumentError("precision", precision, "a precision", choices=PRECISIONS)
    for name, value in unknown.items():
        if value is not None and value is not False:
            raise ArgumentError(name, Shown("given"), "None on device='cuda', or device='cpu'")
    return True


def step_ends(t0, t1, dt):
    """At most 102 save times, all at the ends of steps: what ``save=None`` means for a fixed step on the device.

    >>> step_ends(0.0, 1.0, 0.3)
    array([0. , 0.3, 0.6, 0.9, 1. ])
    """
    import numpy as np

    steps = int(np.ceil(abs(t1 - t0) / dt - 1e-9))
    stride = -(-steps // 100)
    return np.append(t0 + np.copysign(dt, t1 - t0) * np.arange(0, steps, max(1, stride)), t1)


def lure_form(model, device, precision):
    """The Lur'e form of a model for :func:`settle`, None on the host; raise for what no device computes."""
    if not wanted(device, precision):
        return None
    form = model.form()
    if not isinstance(form, LureForm):
        raise ArgumentError("device", device, f"'cpu': {model} is not a Lur'e field")
    from .plan import plan

    plan(form)  # says what the device does not know
    require()
    return form


def settle(form, certificate, inputs, x0, tol, limit, precision=None):
    """Forward steps of a certificate from each row of `x0`, with the inputs of that row, to an error of `tol`.

    Parameters
    ----------
    form : LureForm
    certificate : Certificate
        Contracting; it prescribes the step, the norm and the rate.
    inputs : ndarray, shape (batch, k)
    x0 : ndarray, shape (batch, n)
    tol : float
    limit : int
    precision : str, optional

    Returns
    -------
    Settled
    """
    import numpy as np

    from . import equilibria, plan

    here, norm = plan.plan(form), certificate.norm
    main, side = plan.drives(form, here.place, None, inputs if inputs.shape[1] else None, np.zeros(1))
    if side.shape[0] > 1 and not (side == side[:1]).all():
        raise ArgumentError("u", "an input that differs between samples", "one that enters only once, beside the product "
                            "with the full matrix, on device='cuda'")  # fmt: skip
    if norm.p not in equilibria.KINDS:
        raise ArgumentError("certificate", Shown(str(norm)), "one in an l1, l2 or l-infinity norm on device='cuda'")
    if np.ndim(norm.weights) == 2:  # a longer norm: the greatest eigenvalue bounds what a full P can make of a length
        scale = np.full(here.n, np.sqrt(np.linalg.eigvalsh(norm.weights)[-1] * (1 + 1e-12)))
    else:
        scale = norm.length(np.eye(here.n))
    alpha, factor = certificate.step()
    main = main[:, 0] if len(main) > 1 and (main != main[:1]).any() else main[:1, 0]
    precision = precision or "float32"
    found = equilibria.solve(
        here, main, side[0, 0], x0, alpha=alpha, scale=scale, kind=norm.p, tol=tol * certificate.rate,
        limit=min(limit, 2**31 - 2), patience=equilibria.patience_of(factor), precision=precision,
    )  # fmt: skip
    with np.errstate(over="ignore", invalid="ignore"):
        residual = found.residual + equilibria.rounding(here, main, found.x, scale, norm.p, precision)
    status = np.where(
        (found.status == Status.OK) & ~(residual <= tol * certificate.rate), Status.PRECISION, found.status
    )
    return found._replace(residual=residual, status=status)
