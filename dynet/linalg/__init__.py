"""Matrices and norms: log norms, Metzler matrices, rigorous bounds. Knows no model."""

from .metzler import is_hurwitz_metzler, metzler_majorant, optimal_weights, perron, spectral_abscissa
from .norms import Norm, log_norm

__all__ = [
    "Norm",
    "is_hurwitz_metzler",
    "log_norm",
    "metzler_majorant",
    "optimal_weights",
    "perron",
    "spectral_abscissa",
]
