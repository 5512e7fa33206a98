"""Matrices and norms: log norms, Metzler matrices, rigorous bounds. Knows no model."""

from .composite import CompositeNorm
from .compound import additive_compound, alpha_compound, compound_log_norm, multiplicative_compound
from .lmi import common_quadratic_norm
from .metzler import (
    common_weights,
    is_hurwitz_metzler,
    metzler_majorant,
    optimal_weights,
    perron,
    spectral_abscissa,
)
from .norms import Norm, log_norm
from .ranges import RangeSeminorm, ergodic_coefficient

__all__ = [
    "CompositeNorm",
    "Norm",
    "RangeSeminorm",
    "additive_compound",
    "alpha_compound",
    "common_quadratic_norm",
    "common_weights",
    "compound_log_norm",
    "ergodic_coefficient",
    "is_hurwitz_metzler",
    "log_norm",
    "metzler_majorant",
    "multiplicative_compound",
    "optimal_weights",
    "perron",
    "spectral_abscissa",
]
