r"""Neural and synaptic dynamics together: a Hopfield network whose weights learn by Hebb's rule.

References
----------
Centorrino, Bullo, Russo, Modeling and contractivity of neural-synaptic networks with Hebbian learning, arXiv:2204.05382.
"""

from __future__ import annotations

import math

import numpy as np

from ..errors import ArgumentError
from ..fields.base import describe
from ..fields.facts import Facts
from ..fields.function import FunctionField
from .common import number

__all__ = ["Hebbian"]


class Hebbian(FunctionField):
    r"""A network whose synapses learn while it runs,

    .. math:: \dot x_i = -c_n x_i + \sum_j W_{ij}\tanh x_j + u_i, \qquad
              \dot W_{ij} = H_{ij}\tanh x_i\tanh x_j - c_s W_{ij}.

    States: the n potentials x, then the n n weights W row by row; where H is zero the weight decays to 0. The set
    :math:`|W_{ij}| \le |H_{ij}|/c_s` is invariant. With :math:`\bar w = \max_i\sum_j|H_{ij}|/c_s` and the in-degrees
    :math:`n_i` of H, the field contracts there if the gain matrix
    :math:`[[-(c_n - \bar w), \max_i n_i], [\max|H_{ij}|, -c_s]]` is Hurwitz.

    Parameters
    ----------
    learning : array_like (n, n)
        The matrix H; ``learning[i, j]`` is the rate at which the synapse from j to i learns, 1/time.
    leak : float
        Decay of the potentials c_n, positive, 1/time.
    forgetting : float
        Decay of the weights c_s, positive, 1/time.
    input : float, array_like (n,) or Signal, optional
        External current u.

    Raises
    ------
    ArgumentError
        For a matrix that is not square, rates that are not positive.

    Examples
    --------
    >>> H = [[0, 1, 0, 0.5], [-1, 0, 0.5, 0], [0, 0.5, 0, 1], [0.5, 0, -1, 0]]
    >>> model = Hebbian(H, leak=5.0, forgetting=3.0)
    >>> model.gain_matrix()
    array([[-4.5,  2. ],
           [ 1. , -3. ]])
    >>> model.n
    20
    """

    def __init__(self, learning, leak=1.0, forgetting=1.0, input=None):
        H = np.asarray(learning, dtype=float)
        if H.ndim != 2 or H.shape[0] != H.shape[1] or not np.isfinite(H).all():
            raise ArgumentError("learning", describe(H), "a finite square matrix")
        n = H.shape[0]

        def hebbian(t, x, u, p, dx):
            for i in range(n):
                dx[i] = u[i] - p.leak * x[i]
            for i in range(n):
                for j in range(n):
                    firing = math.tanh(x[j])
                    dx[i] += x[n + n * i + j] * firing
                    dx[n + n * i + j] = p.learning[i, j] * math.tanh(x[i]) * firing - p.forgetting * x[n + n * i + j]

        params = {"learning": H, "leak": number("leak", leak, above=0.0)}
        params["forgetting"] = number("forgetting", forgetting, above=0.0)
        labels = [*(f"x{i}" for i in range(n)), *(f"W{i}.{j}" for i in range(n) for j in range(n))]
        equation = "x' = -leak x + W tanh(x) + u, W' = learning * tanh(x) tanh(x)^T - forgetting W"
        super().__init__(
            hebbian, n + n * n, params=params, labels=labels, inputs=n, input=input, name="Hebbian", equation=equation
        )
        self.neurons = n

    def gain_matrix(self, sharp=True):
        """The gain matrix of potentials (l-inf) and weights (largest entry) on the invariant set, shape (2, 2).

        Without `sharp`, with the bound 2 on the sum of the slopes of tanh(x) tanh(y) that holds for every activation with
        slopes and values up to 1; that sum is at most 1 for tanh.
        """
        H, leak, forgetting = (self.params[k] for k in ("learning", "leak", "forgetting"))
        bound, steepest = np.abs(H) / forgetting, np.abs(H).max()
        degree = np.count_nonzero(H, axis=1).max()
        slopes = 1.0 if sharp else 2.0
        return np.array([[-(leak - bound.sum(axis=1).max()), float(degree)], [slopes * steepest, -forgetting]])

    @property
    def facts(self):
        room = np.abs(self.params["learning"]).ravel() / self.params["forgetting"]
        free = np.full(self.neurons, np.inf)
        box = np.concatenate([-free, -room]), np.concatenate([free, room])
        return Facts(invariant=box, theorem="contracting on the invariant set when the gain matrix is Hurwitz")
