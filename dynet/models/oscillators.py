r"""Oscillators: phases on networks, coupled circuits, and chaotic flows of few states.

References
----------
Lorenz, Deterministic nonperiodic flow, Journal of the Atmospheric Sciences 20, 1963.
Thomas, Deterministic chaos seen in terms of feedback circuits, International Journal of Bifurcation and Chaos 9, 1999.
Matsumoto, A chaotic attractor from Chua's circuit, IEEE Transactions on Circuits and Systems 31, 1984.
Kuramoto, Chemical Oscillations, Waves, and Turbulence, 1984.
"""

from __future__ import annotations

import math

import numpy as np

from ..fields.facts import Facts
from ..fields.function import FunctionField
from .common import NetworkModel, number, numbers

__all__ = ["Chua", "Kuramoto", "Lorenz", "Thomas"]


def _lorenz(t, x, p, dx):
    dx[0] = p.sigma * (x[1] - x[0])
    dx[1] = x[0] * (p.rho - x[2]) - x[1]
    dx[2] = x[0] * x[1] - p.beta * x[2]


class Lorenz(FunctionField):
    r"""The Lorenz system: :math:`\dot x = \sigma(y-x),\ \dot y = x(\rho-z)-y,\ \dot z = xy-\beta z`.

    Chaotic at the standard parameters, hence not contracting in any norm.

    Parameters
    ----------
    sigma : float
        Prandtl number, dimensionless.
    rho : float
        Rayleigh number over its critical value, dimensionless.
    beta : float
        A geometric factor of the convection cell, dimensionless.

    Examples
    --------
    >>> Lorenz().rhs(0.0, [1.0, 1.0, 1.0])
    array([ 0.        , 26.        , -1.66666667])
    """

    name = "Lorenz"
    equation = "x' = sigma (y - x), y' = x (rho - z) - y, z' = x y - beta z"

    def __init__(self, sigma=10.0, rho=28.0, beta=8.0 / 3.0):
        super().__init__(
            _lorenz,
            3,
            params={"sigma": sigma, "rho": rho, "beta": beta},
            labels=("x", "y", "z"),
            name=self.name,
            equation=self.equation,
        )


def _thomas(t, x, p, dx):
    dx[0] = math.sin(x[1]) - p.b * x[0]
    dx[1] = math.sin(x[2]) - p.b * x[1]
    dx[2] = math.sin(x[0]) - p.b * x[2]


class Thomas(FunctionField):
    r"""Thomas' cyclically symmetric system: :math:`\dot x_1 = \sin x_2 - b x_1` and so on around the cycle.

    Contracting for b > 1, 2-contracting for b > 1/2 (every trajectory converges to an equilibrium), chaotic near b = 0.2.
    In :math:`\ell_2` the sum of the two largest eigenvalues of the symmetric part of the Jacobian is at most 1 - 2b, so that
    for b < 1/2 the Hausdorff dimension of its attractor is below :math:`2 + (1 - 2b)/(1 + b)`.

    Parameters
    ----------
    b : float
        Dissipation, positive; dimensionless.

    References
    ----------
    Wu, Pines, Margaliot, Slotine, Generalization of the multiplicative and additive compounds of square matrices and
    contraction in the Hausdorff dimension, IEEE Transactions on Automatic Control 67, 2022.

    Examples
    --------
    >>> Thomas(b=0.2).rhs(0.0, [0.0, 0.0, 1.0])
    array([ 0.        ,  0.84147098, -0.2       ])
    """

    def __init__(self, b=0.208186):
        super().__init__(
            _thomas,
            3,
            params={"b": number("b", b, above=0.0)},
            labels=("x", "y", "z"),
            name="Thomas",
            equation="x' = sin y - b x, y' = sin z - b y, z' = sin x - b z",
        )

    @property
    def facts(self):
        bound = np.full(3, 1.0 / self.params["b"])
        return Facts(invariant=(-bound, bound), theorem="contracting for b > 1, 2-contracting for b > 1/2")


def _phase(t, x, s, p, dx):
    dx[0] = p.frequency + s[0]


def _attraction(x, y, p, s):
    s[0] = math.sin(y[0] - x[0])


class Kuramoto(NetworkModel):
    r"""Kuramoto oscillators: :math:`\dot\theta_i = \omega_i + \sum_j a_{ij}\sin(\theta_j - \theta_i)`.

    The field does not change when all phases are shifted alike. Where all phases differ by at most
    :math:`\gamma < \pi/2` it is monotone: weakly contracting in :math:`\ell_\infty` (in :math:`\ell_1`, too, for symmetric
    couplings), and the spread :math:`(\max\theta - \min\theta)/2` of differences of trajectories decays with rate
    :math:`\delta(A)\cos\gamma`, with :math:`\delta` as in :class:`~dynet.models.Averaging`. Beyond it nothing is promised.

    Parameters
    ----------
    coupling : networkx graph, ndarray (n, n), scipy sparse array or int
        ``coupling[i, j]`` draws oscillator i to j, 1/time. A number n: all to all with weight 1, at the cost of n and not of
        n squared; the classical model has then ``weight=K / n``.
    frequency : float or array_like (n,)
        Natural frequencies, radians/time.
    weight : float
        Multiplies the coupling.
    edge_weight : str
        The edge attribute of a graph that holds the weights.
    labels : sequence of str, optional

    References
    ----------
    Jafarpour, Bullo, Synchronization of Kuramoto oscillators via cutset projections, IEEE Transactions on Automatic Control
    64, 2019.

    Examples
    --------
    >>> import math
    >>> model = Kuramoto(3, frequency=[1.0, 2.0, 3.0], weight=0.5)
    >>> model.rhs(0.0, [0.0, math.pi / 2, 0.0])
    array([1.5, 1. , 3.5])
    >>> model.separable
    True
    """

    name = "Kuramoto"
    equation = "theta_i' = frequency_i + sum_j a_ij sin(theta_j - theta_i)"

    def __init__(self, coupling, frequency=0.0, weight=1.0, edge_weight="weight", labels=None):
        arguments = dict(frequency=frequency, weight=weight, edge_weight=edge_weight, labels=labels)
        self._build(coupling, (_phase, _attraction), arguments, {"frequency": numbers("frequency", frequency)})

    @property
    def facts(self):
        one = np.ones(self.n)
        symmetric = self.complete or abs(self._pattern - self._pattern.T).nnz == 0
        theorem = "monotone, hence weakly contracting in l-inf, where all phases differ by less than pi/2"
        slopes = {"node_x": 0.0, "node_s": 1.0, "edge_x": (-1.0, 1.0), "edge_y": (-1.0, 1.0)}
        slopes = {
            k: tuple(np.full((1, 1), b) for b in (v if isinstance(v, tuple) else (v, v))) for k, v in slopes.items()
        }
        return Facts(translation=one, conserved=one if symmetric else None, slopes=slopes, theorem=theorem)


def _circuit(t, x, s, p, dx):
    g = p.m1 * x[0] + 0.5 * (p.m0 - p.m1) * (abs(x[0] + 1.0) - abs(x[0] - 1.0))
    dx[0] = p.a * (x[1] - x[0] - g) + s[0]
    dx[1] = x[0] - x[1] + x[2] + s[1]
    dx[2] = -p.b * x[1] + s[2]


def _three_differences(x, y, p, s):
    s[0] = y[0] - x[0]
    s[1] = y[1] - x[1]
    s[2] = y[2] - x[2]


class Chua(NetworkModel):
    r"""Chua's circuits, coupled by diffusion of all three states.

    Each has :math:`\dot x = a(y - x - g(x)),\ \dot y = x - y + z,\ \dot z = -by` with the piecewise linear g of slope m0 for
    abs(x) < 1 and m1 beyond, and is drawn to its neighbours by :math:`\sum_j w_{ij}(X_j - X_i)`. One circuit is chaotic at
    the standard parameters, with one-sided Lipschitz constant 15.7104 in :math:`\ell_2` and 3.47313 in the best norm of one
    matrix P; hence circuits synchronise when the second eigenvalue of the Laplacian is above 3.4732.

    Parameters
    ----------
    coupling : networkx graph, ndarray (N, N), scipy sparse array or int
        Who is drawn to whom; by default one circuit alone.
    a, b, m0, m1 : float
        Dimensionless.
    weight : float
        Strength of the diffusion, 1/time.
    edge_weight : str
        The edge attribute of a graph that holds the weights.
    labels : sequence of str, optional

    Examples
    --------
    >>> Chua().rhs(0.0, [1.0, 0.0, 0.0])
    array([2.22857143, 1.        , 0.        ])
    >>> Chua(coupling=4, weight=1.0).n
    12
    """

    name = "Chua"
    equation = "x' = a (y - x - g(x)) + Dx, y' = x - y + z + Dy, z' = -b y + Dz, D the differences to the neighbours"
    components = ("x", "y", "z")

    def __init__(
        self, coupling=1, a=15.6, b=28.0, m0=-8.0 / 7.0, m1=-5.0 / 7.0, weight=1.0, edge_weight="weight", labels=None
    ):
        params = {k: number(k, v) for k, v in dict(a=a, b=b, m0=m0, m1=m1).items()}
        arguments = dict(params, weight=weight, edge_weight=edge_weight, labels=labels)
        self._build(coupling, (_circuit, _three_differences), arguments, params, dim=3)

    @property
    def facts(self):
        p = self.params
        steep = [-p["a"] * (1.0 + m) for m in (p["m0"], p["m1"])]
        low, high = (
            np.array([[v, p["a"], 0.0], [1.0, -1.0, 1.0], [0.0, -p["b"], 0.0]]) for v in (min(steep), max(steep))
        )
        one = np.eye(3)
        slopes = {"node_x": (low, high), "node_s": (one, one), "edge_x": (-one, -one), "edge_y": (one, one)}
        return Facts(slopes=slopes, theorem="synchronises when the Laplacian's second eigenvalue is above 3.4732")
