"""A result of a study, made up: figures need no training."""

from types import SimpleNamespace

import numpy as np


def result(kept=(1.0, 0.1, 0.5)):
    """Three networks, three sizes of the disturbance; every curve falls linearly with a slope of its own."""
    eps = (0.0, 0.1, 0.2)
    kinds = {"fgsm": 2.0, "pgd": 3.0, "interval": 4.0, "gain": 4.5}
    names = {"plain": 1.0, "smooth": 0.5, "layers": 1.1}
    curves = {
        name: {kind: np.array([0.9 - factor * slope * e for e in eps]).clip(0.0) for kind, slope in kinds.items()}
        for name, factor in names.items()
    }
    settings = SimpleNamespace(eps=eps, attacks=("fgsm", "pgd"), certificates=("interval", "gain"), kept=tuple(kept))
    return SimpleNamespace(
        networks=dict.fromkeys(names), curves=curves, settings=settings,
        kept={name: np.array([0.9, 0.3 * factor, 0.8]) for name, factor in names.items() if name != "layers"},
        numbers={f"{name}.accuracy": 0.9 + 0.01 * k for k, name in enumerate(names)},
        options={"plain": {}, "smooth": {"penalty": 0.001}, "layers": {}},
    )  # fmt: skip
