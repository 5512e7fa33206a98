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

from ...errors import ArgumentError, Shown
from ..forms import FunctionForm, LureForm, NetworkForm

__all__ = ["PRECISIONS", "devices", "prepare", "require"]

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
    if precision not in PRECISIONS:
        raise ArgumentError("precision", precision, "a precision", choices=PRECISIONS)
    if precision in ("tf32", "bf16") and type(form) is not LureForm:
        raise ArgumentError(
            "precision", precision, Shown("'float32' or 'float64': tensor cores serve Lur'e fields alone")
        )
    runner = importlib.import_module(f"{__package__}.{_RUNNERS[type(form)]}")
    work = runner.prepare(task, form, precision)
    require()
    return work
