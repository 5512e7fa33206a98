r"""Explicit Runge-Kutta methods as data.

A step of size h from (t, y) evaluates :math:`k_s = f(t + c_s h,\ y + h \sum_j a_{sj} k_j)`. By convention the last stage is
the derivative at the new point: its row of a is the weight vector of the method. It becomes the first stage of the next
step, and is there for the interpolation. A new method is a new entry here and nothing else.

The states within a step are :math:`y + h \sum_s b_s(\theta) k_s` with polynomials b. Methods of high order need further
stages for them, which are evaluated only in the steps in which somebody asks.

References
----------
Dormand, Prince, A family of embedded Runge-Kutta formulae, J. Comput. Appl. Math. 6, 1980.
Hairer, Norsett, Wanner, Solving Ordinary Differential Equations I, second edition, 1993, sections II.4 to II.6.
Bogacki, Shampine, A 3(2) pair of Runge-Kutta formulas, Applied Mathematics Letters 2, 1989.
Shampine, Some practical Runge-Kutta formulas, Mathematics of Computation 46, 1986.
Tsitouras, Runge-Kutta pairs of order 5(4) satisfying only the first column simplifying assumption, Computers and
Mathematics with Applications 62, 2011.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from fractions import Fraction as Q

import numpy as np

from .high_order import DOP853, VERN7, table

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
        Weights of the error estimate; None where there is none.
    low : tuple or None
        Weights of a second estimate of lower order: the estimate is then ``e^2 / sqrt(e^2 + low^2 / 100)``.
    polynomials : tuple of tuple or None
        For each stage, the extra ones included, the coefficients of theta, theta^2, ... of its weight in the dense
        output; None for the cubic Hermite polynomial through both ends.
    extra : tuple of tuple
        Further rows of a, of stages for the dense output alone.
    """

    name: str
    order: int
    a: tuple
    c: tuple
    error: tuple | None = None
    low: tuple | None = None
    polynomials: tuple | None = None
    extra: tuple = ()

    @property
    def stages(self):
        """Number of stages, the one at the new point included."""
        return len(self.c)

    @functools.cached_property
    def fixed(self):
        """The same method with a step that is given."""
        return self if self.error is None else replace(self, name=f"{self.name}_fixed", error=None, low=None)

    @functools.cached_property
    def reach(self):
        """How far along the negative real axis the method is stable: :math:`|R(-x)| \\le 1` up to there."""
        x = np.arange(0.01, 40.0, 0.01)
        a, ones = [[float(v) for v in row] for row in self.a], np.ones_like(x)
        k = []
        for row in a:
            k.append(ones - x * sum((w * v for w, v in zip(row, k, strict=True)), 0.0))
        growth = ones - x * sum((w * v for w, v in zip(a[-1], k, strict=False)), 0.0)
        return float(x[np.argmax(np.abs(growth) > 1.0 + 1e-9)])

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

EULER = Tableau(name="euler", order=1, a=((), (1,)), c=(0, 1))

HEUN = Tableau(
    name="heun",
    order=2,
    a=((), (1,), (Q(1, 2), Q(1, 2))),
    c=(0, 1, 1),
    error=(Q(-1, 2), Q(1, 2), 0),
)

BS32 = Tableau(
    name="bs32",
    order=3,
    a=((), (Q(1, 2),), (0, Q(3, 4)), (Q(2, 9), Q(1, 3), Q(4, 9))),
    c=(0, Q(1, 2), Q(3, 4), 1),
    error=(Q(-5, 72), Q(1, 12), Q(1, 9), Q(-1, 8)),
)


def _decimal(text):
    return tuple(Q(word) for word in text.split())


TSIT5 = Tableau(
    name="tsit5",
    order=5,
    a=(
        (),
        _decimal("0.161"),
        _decimal("-0.008480655492356989 0.335480655492357"),
        _decimal("2.8971530571054935 -6.359448489975075 4.3622954328695815"),
        _decimal("5.325864828439257 -11.748883564062828 7.4955393428898365 -0.09249506636175525"),
        _decimal("5.86145544294642 -12.92096931784711 8.159367898576159 -0.071584973281401 -0.028269050394068383"),
        _decimal("0.09646076681806523 0.01 0.4798896504144996 1.379008574103742 -3.290069515436081 2.324710524099774"),
    ),
    c=_decimal("0 0.161 0.327 0.9 0.9800255409045097 1 1"),
    error=_decimal(
        "-0.00178001105222577714 -0.0008164344596567469 0.007880878010261995 -0.1447110071732629 0.5823571654525552 "
        "-0.45808210592918697 0.015151515151515152"
    ),
    polynomials=(
        _decimal("1 -2.763706197274826 2.9132554618219126 -1.0530884977290216"),
        _decimal("0 0.1317 -0.2234 0.1017"),
        _decimal("0 3.9302962368947516 -5.941033872131505 2.490627285651253"),
        _decimal("0 -12.411077166933676 30.33818863028232 -16.548102889244902"),
        _decimal("0 37.50931341651104 -88.1789048947664 47.37952196281928"),
        _decimal("0 -27.896526289197286 65.09189467479366 -34.87065786149661"),
        _decimal("0 1.5 -4 2.5"),
    ),
)


def _long(name, order, given):
    """A method from the tables of :mod:`dynet.engine.high_order`."""
    rows, extra = table(given["a"]), tuple(table(given["extra"]).values())
    a = ((), *rows.values())
    error = table(given["error"], len(a))[0]
    low = None
    if "low" in given:
        low = tuple(b - w for b, w in zip((*a[-1], Q(0)), table(given["low"], len(a))[0], strict=True))
    size = len(a) + len(extra)
    if "nested" in given:
        polynomials = _unnested(a[-1], table(given["nested"], size).values(), size)
    else:
        weights = table(given["polynomials"], 7)
        polynomials = tuple(weights.get(s, (Q(0),) * 7) for s in range(size))
    c = tuple(sum(row, Q(0)) for row in a)
    return Tableau(name, order, a, c, error, low, polynomials, extra)


def _unnested(b, highest, size):
    """The polynomials of an extension in the form ``theta (F0 + (1-theta) (F1 + theta (F2 + (1-theta) (F3 + ...``."""
    unit = [[Q(int(i == j)) for i in range(size)] for j in range(size)]
    jump = [*b, *[Q(0)] * (size - len(b))]
    start, end = unit[0], unit[len(b)]
    terms = [jump, [s - j for s, j in zip(start, jump, strict=True)]]
    terms.append([2 * j - s - e for s, j, e in zip(start, jump, end, strict=True)])
    terms += highest
    result, factor = [[Q(0)] * (len(terms) + 1) for _ in range(size)], [Q(0), Q(1)]
    for number, term in enumerate(terms):
        for stage, weight in enumerate(term):
            for power, f in enumerate(factor):
                result[stage][power] += weight * f
        times = [Q(1), Q(-1)] if number % 2 == 0 else [Q(0), Q(1)]
        factor = [
            sum((factor[i] * times[k - i] for i in range(len(factor)) if 0 <= k - i < 2), Q(0))
            for k in range(len(factor) + 1)
        ]
    return tuple(tuple(row[1:]) for row in result)


TABLEAUS = {
    tableau.name: tableau
    for tableau in (
        *(DOPRI5, TSIT5, _long("vern7", 7, VERN7), _long("dop853", 8, DOP853)),
        *(BS32, HEUN, RK4, EULER),
    )
}
