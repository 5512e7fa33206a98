r"""Explicit Runge-Kutta methods as data.

A step of size h from (t, y) evaluates :math:`k_s = f(t + c_s h,\ y + h \sum_j a_{sj} k_j)`. By convention the last stage is
the derivative at the new point: its row of a is the weight vector of the method. It becomes the first stage of the next
step, and is there for the interpolation. A new method is a new entry here and nothing else.

References
----------
Dormand, Prince, A family of embedded Runge-Kutta formulae, J. Comput. Appl. Math. 6, 1980.
Hairer, Norsett, Wanner, Solving Ordinary Differential Equations I, second edition, 1993, sections II.4 to II.6.
Shampine, Some practical Runge-Kutta formulas, Mathematics of Computation 46, 1986.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction as Q

import numpy as np

__all__ = ["TABLEAUS", "Tableau"]


@dataclass(frozen=True, eq=False)  # one object per method: hashing all coefficients takes longer than a short run
class Tableau:
    """A method.

    Attributes
    ----------
    name : str
    order : int
        Of the solution that is carried on.
    a : tuple of tuple
        Row s holds s coefficients; the last row is the weights.
    c : tuple
        Where in the step each stage lies, as a fraction of it.
    error : tuple or None
        Weights of the error estimate; None for a fixed step.
    polynomials : tuple of tuple or None
        For each stage the coefficients of theta, theta^2, ... of its weight in the dense output; None for the cubic
        Hermite polynomial through both ends.
    """

    name: str
    order: int
    a: tuple
    c: tuple
    error: tuple | None = None
    polynomials: tuple | None = None

    @property
    def stages(self):
        """Number of stages, the one at the new point included."""
        return len(self.c)

    def dense(self):
        """The polynomial coefficients of the dense output, an array of shape (stages, degree)."""
        if self.polynomials is not None:
            return np.array([[float(v) for v in row] for row in self.polynomials])
        weights = np.array([float(v) for v in self.a[-1]] + [0.0])
        table = np.outer(weights, [0.0, 3.0, -2.0])  # the Hermite polynomial of the end value
        table[0] += [1.0, -2.0, 1.0]  # of the slope at the start
        table[-1] += [0.0, -1.0, 1.0]  # of the slope at the end
        return table


RK4 = Tableau(
    name="rk4",
    order=4,
    a=((), (Q(1, 2),), (0, Q(1, 2)), (0, 0, 1), (Q(1, 6), Q(1, 3), Q(1, 3), Q(1, 6))),
    c=(0, Q(1, 2), Q(1, 2), 1, 1),
)

DOPRI5 = Tableau(
    name="dopri5",
    order=5,
    a=(
        (),
        (Q(1, 5),),
        (Q(3, 40), Q(9, 40)),
        (Q(44, 45), Q(-56, 15), Q(32, 9)),
        (Q(19372, 6561), Q(-25360, 2187), Q(64448, 6561), Q(-212, 729)),
        (Q(9017, 3168), Q(-355, 33), Q(46732, 5247), Q(49, 176), Q(-5103, 18656)),
        (Q(35, 384), 0, Q(500, 1113), Q(125, 192), Q(-2187, 6784), Q(11, 84)),
    ),
    c=(0, Q(1, 5), Q(3, 10), Q(4, 5), Q(8, 9), 1, 1),
    error=(Q(71, 57600), 0, Q(-71, 16695), Q(71, 1920), Q(-17253, 339200), Q(22, 525), Q(-1, 40)),
    polynomials=(
        (1, Q(-8048581381, 2820520608), Q(8663915743, 2820520608), Q(-12715105075, 11282082432)),
        (0, 0, 0, 0),
        (0, Q(131558114200, 32700410799), Q(-68118460800, 10900136933), Q(87487479700, 32700410799)),
        (0, Q(-1754552775, 470086768), Q(14199869525, 1410260304), Q(-10690763975, 1880347072)),
        (0, Q(127303824393, 49829197408), Q(-318862633887, 49829197408), Q(701980252875, 199316789632)),
        (0, Q(-282668133, 205662961), Q(2019193451, 616988883), Q(-1453857185, 822651844)),
        (0, Q(40617522, 29380423), Q(-110615467, 29380423), Q(69997945, 29380423)),
    ),
)

TABLEAUS = {tableau.name: tableau for tableau in (DOPRI5, RK4)}
