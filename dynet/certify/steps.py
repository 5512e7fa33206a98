r"""Forward steps that contract: :math:`x^+ = x + \alpha F(x)`.

With :math:`c = -\mathrm{osLip}(F) > 0`, :math:`\ell = \mathrm{Lip}(F) \ge c` in the same norm, :math:`\kappa = \ell/c` and
:math:`d = \sup(-\partial F_i/\partial x_i)^+`:

=============== ================================ =============================================
rule            for                              factor
=============== ================================ =============================================
``rows``        weighted l1, l-inf               :math:`\max(1-\alpha c, \alpha\ell-1)`
``diagonal``    weighted l1, l-inf; steps to 1/d :math:`1-\alpha c`
``gradient``    l2, P DF symmetric               :math:`\max(1-\alpha c, \alpha\ell-1)`
``euclidean``   l2                               :math:`\sqrt{1-2\alpha c+\alpha^2\ell^2}`
``exponential`` any norm                         :math:`e^{-\alpha c}+e^{\alpha\ell}-1-\alpha\ell`
``general``     any norm                         :math:`1-\alpha c+\alpha^2\ell^2/(1-\alpha\ell)`
``implicit``    any norm, any step               :math:`1/(1+\alpha c)`
=============== ================================ =============================================

The best steps are :math:`2/(c+\ell)` for ``rows`` and ``gradient`` (which contract below :math:`2/\ell`), 1/d for
``diagonal``, :math:`c/\ell^2` for ``euclidean`` (below twice that), the root of
:math:`\ell e^{\alpha\ell}-ce^{-\alpha c}=\ell` for ``exponential``; ``general`` contracts below
:math:`1/(c\kappa(1+\kappa))`. The implicit step :math:`x^+ = x + \alpha F(x^+)` is as large as one can solve.

In l-inf, row i of the averaged Jacobian has a diagonal a and a sum r of other moduli with :math:`a + r \le -c` and
:math:`|a| + r \le \ell`, so :math:`|1 + \alpha a| + \alpha r \le \max(1 - \alpha c, \alpha\ell - 1)`; in l1 the same holds for
columns. Where c and :math:`\ell` are the extremes of the rows themselves, both branches are attained, so that no step does
better with what the rows say: :math:`2/(c+\ell)` is then the exact optimum. In l2,
:math:`\|I + \alpha J\|^2 \le 1 - 2\alpha c + \alpha^2\ell^2`. In any norm,
:math:`\|I + hA\| \le \|e^{hA}\| + \|e^{hA} - I - hA\|` gives the exponential rule.

References
----------
Jafarpour, Davydov, Proskurnikov, Bullo, Robust implicit networks via non-Euclidean contractions, arXiv:2106.03194.
Bullo, Contraction Theory for Dynamical Systems, Kindle Direct Publishing, 2024, chapters 1 and 3.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ..errors import ArgumentError

__all__ = ["RULES", "Step", "best_forward_step", "factor", "forward_steps"]

RULES = ("rows", "diagonal", "gradient", "euclidean", "exponential", "general", "implicit")


class Step(NamedTuple):
    """A forward step and what is guaranteed of it.

    Attributes
    ----------
    rule : str
        The row of the table in :mod:`dynet.certify.steps`.
    alpha : float
        The best step by that rule.
    factor : float
        The distance of two states shrinks at least by this factor; rounded up.
    limit : float
        Steps from 0 to here contract.
    """

    rule: str
    alpha: float
    factor: float
    limit: float


def forward_steps(rate, lip, p, diagonal=None, gradient=False):
    """The best step by each rule that applies, best factor first.

    Parameters
    ----------
    rate : float
        Contraction rate c > 0.
    lip : float
        Lipschitz constant in the same norm.
    p : float
        Of the norm.
    diagonal : float, optional
        Bound on the moduli of negative diagonal entries of the Jacobian.
    gradient : bool
        Whether ``P DF`` is symmetric, for p = 2.

    Returns
    -------
    list of Step

    Examples
    --------
    >>> for step in forward_steps(1.0, 10.0, 2.0):
    ...     print(step.rule, round(step.alpha, 7), round(step.factor, 6), round(step.limit, 6))
    euclidean 0.01 0.994987 0.02
    exponential 0.0094455 0.995204 0.018605
    general 0.0046537 0.997618 0.009091
    """
    _check(rate, lip)
    lip = max(lip, rate)
    kappa = lip / rate
    found = []

    def add(rule, alpha, limit):
        found.append(Step(rule, alpha, factor(rule, alpha, rate, lip), limit))

    if p in (1.0, math.inf):
        add("rows", 2 / (rate + lip), 2 / lip)
        if diagonal is not None and diagonal > 0:
            add("diagonal", 1 / max(diagonal, rate), 1 / max(diagonal, rate))
    if p == 2:
        if gradient:
            add("gradient", 2 / (rate + lip), 2 / lip)
        add("euclidean", rate / lip / lip, 2 * rate / lip / lip)
    # in the unit a = alpha lip both equations are about kappa alone; for a -> 0 they read 0 = 0, hence expm1
    root = _root(lambda a: kappa * math.expm1(a) - math.exp(-a / kappa), 1.0)
    limit = _root(lambda a: math.expm1(a) - a + math.expm1(-a / kappa), 2.0, 1e-3 / kappa)
    add("exponential", root / lip, limit / lip)
    end = 1 / (1 + kappa)  # of a = alpha lip
    turn = _root(lambda a: kappa * (2 * a - a * a) / (1 - a) ** 2 - 1, end)
    add("general", turn / lip, end / lip)
    return sorted(found, key=lambda step: step.factor)


def factor(rule, alpha, rate, lip):
    """The factor that a rule guarantees for a step; at least 1, or inf, where it guarantees nothing. Rounded up.

    >>> round(factor("rows", 2 / 11, 1.0, 10.0), 6), factor("implicit", 4.0, 1.0, 10.0)
    (0.818182, 0.2000000000000004)
    """
    if rule not in RULES:
        raise ArgumentError("rule", rule, "the name of a rule", choices=RULES)
    if not 0 <= alpha < math.inf:
        raise ArgumentError("alpha", alpha, "a step of at least 0")
    c, h = alpha * rate, alpha * lip
    if rule == "implicit":
        value = 1 / (1 + c)
    elif rule == "diagonal":
        value = 1 - c
    elif rule in ("rows", "gradient"):
        value = max(1 - c, h - 1)
    elif rule == "euclidean":
        value = math.hypot(
            1 - c, alpha * math.sqrt(lip - rate) * math.sqrt(lip + rate)
        )  # 1 - 2 c + h^2, without cancellation
    elif rule == "exponential":
        value = math.exp(-c) + math.expm1(h) - h if h < 700 else math.inf
    else:
        value = 1 - c + h * h / (1 - h) if h < 1 else math.inf
    return value + 4e-16 * (1.0 if rule in ("implicit", "diagonal") else max(1.0, h))


def best_forward_step(rate, lip, norm, diagonal=None, gradient=False):
    """The step with the least guaranteed factor, and that factor rounded up.

    Parameters
    ----------
    rate : float
        Contraction rate c > 0.
    lip : float
        Lipschitz constant, at least `rate`, in the same norm.
    norm : Norm
        Its p decides which rules apply.
    diagonal, gradient : optional
        As for :func:`forward_steps`.

    Returns
    -------
    alpha, factor : float

    Examples
    --------
    >>> from dynet.linalg import Norm
    >>> alpha, factor = best_forward_step(1.0, 10.0, Norm("inf"))
    >>> round(alpha, 6), round(factor, 6)
    (0.181818, 0.818182)
    >>> alpha, factor = best_forward_step(1.0, 2.0, Norm(2))
    >>> round(alpha, 6), round(factor, 6)
    (0.25, 0.866025)
    """
    best = forward_steps(rate, lip, norm.p, diagonal, gradient)[0]
    return best.alpha, min(1.0, best.factor)


def _check(rate, lip):
    if not rate > 0 or not math.isfinite(lip):
        raise ArgumentError(
            "rate", rate, "a positive rate and a finite Lipschitz constant: nothing contracts otherwise"
        )


def _root(f, high, low=0.0):
    """Where an increasing function changes sign, by bisection; the last point at which it is not positive."""
    while f(high) < 0 and high < 600:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        low, high = (low, middle) if f(middle) > 0 else (middle, high)
    return low
