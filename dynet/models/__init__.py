"""The models: thin classes over a form, each with its equation, its parameters and the facts known about it.

``KINDS`` maps the word that a scenario file uses to the class; a new model is added there and nowhere else.
"""

from ..fields.lure import LureField as Lure
from .oscillators import Lorenz
from .recurrent import FiringRate, Hopfield, LinearMinusMonotone, Persidskii

__all__ = ["FiringRate", "Hopfield", "KINDS", "LinearMinusMonotone", "Lorenz", "Lure", "Persidskii"]

KINDS = {
    "hopfield": Hopfield,
    "firing_rate": FiringRate,
    "persidskii": Persidskii,
    "linear_minus_monotone": LinearMinusMonotone,
    "lorenz": Lorenz,
}
