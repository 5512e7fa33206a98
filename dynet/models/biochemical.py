r"""Biochemical oscillators: the Goodwin model of negative feedback through a chain.

References
----------
Goodwin, Oscillatory behavior in enzymatic control processes, Advances in Enzyme Regulation 3, 1965.
Griffith, Mathematics of cellular control processes I, Journal of Theoretical Biology 20, 1968.
"""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError
from ..fields.facts import Facts
from ..fields.function import FunctionField
from .common import number, numbers

__all__ = ["Goodwin"]


class Goodwin(FunctionField):
    r"""Goodwin's oscillator with any number of stages,

    .. math:: \dot x_1 = \frac{k}{1 + x_n^p} - b_1x_1, \qquad \dot x_i = k_{i-1}x_{i-1} - b_ix_i.

    With :math:`g = k\,\sup|h'|`, :math:`h(x) = 1/(1 + x^p)`, the Metzler majorant of the Jacobian is Hurwitz if and only if
    :math:`g\,k_1\cdots k_{n-1} < b_1\cdots b_n`: then it contracts, and no oscillation is possible. With equal decays b the
    rate is :math:`b - (g\,k_1\cdots k_{n-1})^{1/n}`.

    Parameters
    ----------
    stages : int
        Number of stages n, at least 2.
    k : float
        Rate of production without repression, not negative.
    p : float
        Hill exponent, at least 1.
    gain : float or array_like (n - 1,)
        Rates k1, ..., not negative, 1/time.
    decay : float or array_like (n,)
        Rates b, positive, 1/time.

    Raises
    ------
    ArgumentError
        For negative rates, fewer than two stages, a Hill exponent below 1.

    Examples
    --------
    >>> model = Goodwin(k=0.8 / 2.525168, p=10)
    >>> model.rhs(0.0, [0.0, 0.0, 1.0])
    array([ 0.1584053,  0.       , -1.       ])
    >>> round(model.feedback_gain, 6), model.contracts
    (0.8, True)
    """

    def __init__(self, stages=3, k=1.0, p=10.0, gain=1.0, decay=1.0):
        if not isinstance(stages, (int, np.integer)) or stages < 2:
            raise ArgumentError("stages", stages, "a number of stages, at least 2")
        n = int(stages)
        params = {
            "k": number("k", k, least=0.0),
            "p": number("p", p, least=1.0),
            "gain": np.broadcast_to(numbers("gain", gain, n - 1, least=0.0, what="links"), n - 1).copy(),
            "decay": np.broadcast_to(numbers("decay", decay, n, above=0.0, what="stages"), n).copy(),
        }

        def goodwin(t, x, p, dx):
            dx[0] = p.k / (1.0 + x[n - 1] ** p.p) - p.decay[0] * x[0]
            for i in range(1, n):
                dx[i] = p.gain[i - 1] * x[i - 1] - p.decay[i] * x[i]

        equation = "x1' = k / (1 + xn^p) - decay1 x1, xi' = gain(i-1) x(i-1) - decayi xi"
        super().__init__(
            goodwin, n, params=params, labels=[f"x{i + 1}" for i in range(n)], name="Goodwin", equation=equation
        )

    @property
    def feedback_gain(self):
        r"""The steepest slope :math:`g = k \sup_x |h'(x)|` of the repression, 1/time."""
        k, p = self.params["k"], self.params["p"]
        steepest = 1.0 if p == 1 else (p + 1) ** ((p + 1) / p) * (p - 1) ** ((p - 1) / p) / (4 * p)
        return k * steepest

    @property
    def contracts(self):
        """Whether the product of all gains around the loop is below that of all decays."""
        return bool(self.feedback_gain * np.prod(self.params["gain"]) < np.prod(self.params["decay"]))

    @property
    def facts(self):
        theorem = "contracting if and only if, by its Metzler majorant, the loop's gains are below its decays"
        return Facts(invariant=(np.zeros(self.n), np.full(self.n, np.inf)), theorem=theorem)
