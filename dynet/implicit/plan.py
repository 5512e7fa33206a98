"""What a training is given, checked before anything starts: images, labels, and the numbers of its plan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ArgumentError, Shown
from .optimize import factor

__all__ = ["Plan", "make", "read_samples"]


@dataclass(frozen=True)
class Plan:
    """What decides the bits of a run besides network and data."""

    epochs: int
    batch: int
    lr: float
    schedule: object
    penalty: float
    eps: float
    kappa: float
    clean: float
    ramp: float
    average: float
    decay: float
    dropout: float
    edge_dropout: float
    sparse: bool
    gamma: float | None
    tol: float
    seed: int
    patience: int | None
    pixels: tuple


def check_network(net):
    """Refuse what can be neither trained nor attacked."""
    from .explicit import ExplicitNetwork
    from .network import ImplicitNetwork

    if not isinstance(net, (ImplicitNetwork, ExplicitNetwork)):
        raise ArgumentError("net", net, "an ImplicitNetwork or an ExplicitNetwork")


def read_samples(name, U, labels, inputs, outputs):
    """Images and labels as arrays, checked: float32 (samples, inputs) and int64 (samples,)."""
    try:
        U = np.ascontiguousarray(U, dtype=np.float32)
        found = np.asarray(labels)
    except (TypeError, ValueError):
        raise ArgumentError(name, U, "an array of numbers, one image in each row") from None
    if U.ndim != 2 or U.shape[1] != inputs or not len(U):
        raise ArgumentError(name, Shown(f"an array of shape {U.shape}"), f"shape (samples, {inputs})")
    if not np.isfinite(U).all():
        raise ArgumentError(name, Shown("NaN or infinity among the numbers"), "finite numbers")
    if found.shape != (len(U),) or found.dtype.kind not in "iu":
        given = Shown(f"an array of {found.dtype} of shape {found.shape}")
        raise ArgumentError("labels", given, f"{len(U)} whole numbers, one for each image")
    if found.min() < 0 or found.max() >= outputs:
        wrong = int(found[(found < 0) | (found >= outputs)][0])
        raise ArgumentError("labels", wrong, f"whole numbers from 0 to {outputs - 1}, one less than the outputs")
    return U, found.astype(np.int64)


def make(*values, samples):
    """A :class:`Plan` of values in their order, or ArgumentError; a batch is at most the samples there are."""
    plan = Plan(*values)
    ranges = {
        "epochs": (0, None), "batch": (1, None), "seed": (0, None), "lr": (0.0, None), "penalty": (0.0, None),
        "eps": (0.0, None), "kappa": (0.0, 1.0), "clean": (0.0, 1.0), "ramp": (0.0, 1.0), "average": (0.0, 0.999999),
        "decay": (0.0, None), "dropout": (0.0, 0.9), "edge_dropout": (0.0, 0.9), "tol": (1e-7, 1e-2),
    }  # fmt: skip
    for name, (low, high) in ranges.items():
        value = getattr(plan, name)
        whole = isinstance(low, int)
        kinds = (int, np.integer) if whole else (int, float, np.integer, np.floating)
        bad = isinstance(value, bool) or not isinstance(value, kinds)
        if bad or not (value >= low and (value <= high if high is not None else np.isfinite(value))):
            text = f"from {low} to {high}" if high is not None else f"of at least {low}"
            raise ArgumentError(name, value, f"{'a whole number' if whole else 'a number'} {text}")
    if plan.gamma is not None and not plan.gamma < 1.0:
        raise ArgumentError(
            "gamma", plan.gamma, "a number below 1: from there on a network may have no state, or several"
        )
    if plan.patience is not None and not plan.patience >= 1:
        raise ArgumentError("patience", plan.patience, "a whole number of at least 1")
    if plan.eps > 0.0 and plan.kappa == 0.0:
        raise ArgumentError("kappa", plan.kappa, "above 0 where eps is: the weight of the worst case")
    factor(plan.schedule, 0.0)
    if plan.batch > samples:
        object.__setattr__(plan, "batch", samples)
    return plan
