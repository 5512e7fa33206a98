r"""Adam, and schedules of its rate.

.. math::
   m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \quad
   p \leftarrow (1 - r d)\, p - r \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}

at step t with rate r and decay d of the weights. A schedule is a function of the fraction of the training that is done;
it multiplies the rate.

References
----------
D. P. Kingma, J. Ba, Adam: a method for stochastic optimization, ICLR 2015, arXiv:1412.6980. I. Loshchilov, F. Hutter,
Decoupled weight decay regularization, ICLR 2019. L. N. Smith, N. Topin, Super-convergence, arXiv:1708.07120
(``one_cycle``).
"""

from __future__ import annotations

import math

import numpy as np

from ..engine.training import kernels
from ..errors import ArgumentError

__all__ = ["Adam", "SCHEDULES", "factor"]

_RISE = 0.2  # of a one-cycle schedule


def _step(done):
    return 0.1 ** math.floor(4.0 * done) if done < 1.0 else 1e-3


def _one_cycle(done):
    return done / _RISE if done < _RISE else 0.5 * (1.0 + math.cos(math.pi * (done - _RISE) / (1.0 - _RISE)))


#: Name -> the factor of the rate when a fraction of the training is done.
SCHEDULES = {
    "constant": lambda done: 1.0,
    "step": _step,  # a tenth after each quarter
    "linear": lambda done: 1.0 - done,
    "cosine": lambda done: 0.5 * (1.0 + math.cos(math.pi * done)),
    "one_cycle": _one_cycle,
}


def factor(schedule, done):
    """By what a schedule multiplies the rate.

    Parameters
    ----------
    schedule : str or callable
        A key of :data:`SCHEDULES`, or a function of the fraction that is done.
    done : float
        Between 0 and 1.

    Raises
    ------
    ArgumentError
        For an unknown name.

    Examples
    --------
    >>> factor("cosine", 0.5), factor("one_cycle", 0.1)
    (0.5, 0.5)
    """
    if callable(schedule):
        return float(schedule(done))
    if schedule not in SCHEDULES:
        raise ArgumentError("schedule", schedule, "a function of the fraction done, or a name", choices=SCHEDULES)
    return SCHEDULES[schedule](done)


class Adam:
    """The moments of Adam for a dict of arrays; :meth:`step` changes the arrays in place.

    Parameters
    ----------
    params : dict of str to ndarray
        Contiguous, all of one precision.
    beta1, beta2, small : float
        As in the formula above.
    decay : float
        Decay of matrices (arrays of two axes) towards 0, in units of the rate.

    Examples
    --------
    >>> import numpy as np
    >>> p = {"x": np.array([1.0])}
    >>> adam = Adam(p)
    >>> for _ in range(200):
    ...     adam.step(p, {"x": 2.0 * p["x"]}, rate=0.05)
    >>> bool(abs(p["x"][0]) < 0.01)
    True
    """

    def __init__(self, params, beta1=0.9, beta2=0.999, small=1e-8, decay=0.0):
        self.first = {name: np.zeros_like(p) for name, p in params.items()}
        self.second = {name: np.zeros_like(p) for name, p in params.items()}
        self.beta1, self.beta2, self.small, self.decay, self.steps = beta1, beta2, small, decay, 0

    def step(self, params, gradients, rate):
        """Change `params` by one step along `gradients`, a dict with the same names."""
        self.steps += 1
        adam = kernels().adam
        for name, p in params.items():
            real = p.dtype.type
            shrink = 1.0 - rate * self.decay if p.ndim == 2 else 1.0
            adam(
                p.reshape(-1), gradients[name].reshape(-1), self.first[name].reshape(-1), self.second[name].reshape(-1),
                real(rate), real(self.beta1), real(self.beta2), real(1.0 / (1.0 - self.beta1**self.steps)),
                real(1.0 / (1.0 - self.beta2**self.steps)), real(self.small), real(shrink),
            )  # fmt: skip
