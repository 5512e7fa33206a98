"""Matrices and norms: log norms, Metzler matrices, rigorous bounds. Knows no model."""

from .composite import CompositeNorm
from .metzler import is_hurwitz_metzler, metzler_majorant, optimal_weights, perron, spectral_abscissa
from .norms import Norm, log_norm
from .ranges import RangeSeminorm, ergodic_coefficient

__all__ = [
    "CompositeNorm",
    "Norm",
    "RangeSeminorm",
    "ergodic_coefficient",
    "is_hurwitz_metzler",
    "log_norm",
    "metzler_majorant",
    "optimal_weights",
    "perron",
    "spectral_abscissa",
]
