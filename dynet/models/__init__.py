"""The models: thin classes over a form, each with its equation, its parameters and the facts known about it.

``KINDS`` maps the word that a scenario file uses to the class; a new model is added there and nowhere else.
"""

from ..fields.lure import LureField as Lure
from ..fields.network import NetworkField as Network
from .biochemical import Goodwin
from .compartments import Averaging, Compartmental
from .descent import GradientFlow, PrimalDual
from .ecology import LotkaVolterra
from .epidemics import SEIR, SIR, SIS
from .grid import Swing
from .hebbian import Hebbian
from .implicit_graph import ImplicitGraph
from .matpower import PowerGrid
from .opinion import FriedkinJohnsen, SocialPower
from .oscillators import Chua, Kuramoto, Lorenz, Thomas
from .patterns import ReactionDiffusion
from .recurrent import FiringRate, Hopfield, LinearMinusMonotone, Persidskii
from .traffic import CellTransmission

__all__ = [
    "Averaging",
    "CellTransmission",
    "Chua",
    "Compartmental",
    "FiringRate",
    "FriedkinJohnsen",
    "Goodwin",
    "GradientFlow",
    "Hebbian",
    "Hopfield",
    "ImplicitGraph",
    "KINDS",
    "Kuramoto",
    "LinearMinusMonotone",
    "Lorenz",
    "LotkaVolterra",
    "Lure",
    "Network",
    "Persidskii",
    "PowerGrid",
    "PrimalDual",
    "ReactionDiffusion",
    "SEIR",
    "SIR",
    "SIS",
    "SocialPower",
    "Swing",
    "Thomas",
]

KINDS = {
    "hopfield": Hopfield,
    "firing_rate": FiringRate,
    "persidskii": Persidskii,
    "linear_minus_monotone": LinearMinusMonotone,
    "lorenz": Lorenz,
    "averaging": Averaging,
    "compartmental": Compartmental,
    "sis": SIS,
    "sir": SIR,
    "seir": SEIR,
    "lotka_volterra": LotkaVolterra,
    "kuramoto": Kuramoto,
    "swing": Swing,
    "power_grid": PowerGrid,
    "cell_transmission": CellTransmission,
    "chua": Chua,
    "reaction_diffusion": ReactionDiffusion,
    "goodwin": Goodwin,
    "thomas": Thomas,
    "gradient_flow": GradientFlow,
    "primal_dual": PrimalDual,
    "hebbian": Hebbian,
    "implicit_graph": ImplicitGraph,
    "social_power": SocialPower,
    "friedkin_johnsen": FriedkinJohnsen,
}
