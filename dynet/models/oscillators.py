"""Oscillators and chaotic flows of few states.

References
----------
Lorenz, Deterministic nonperiodic flow, Journal of the Atmospheric Sciences 20, 1963.
"""

from __future__ import annotations

from ..fields.function import FunctionField

__all__ = ["Lorenz"]


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
