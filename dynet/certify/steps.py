r"""The forward step that a certificate prescribes: :math:`x^+ = x + \alpha F(x)`.

With :math:`c = -\mathrm{osLip}(F) > 0` and :math:`\ell = \mathrm{Lip}(F)` in the same norm:

===================== ============================= ==========================================
norm                  best step                     factor
===================== ============================= ==========================================
weighted l1, l-inf    :math:`2/(c + \ell)`          :math:`(\ell - c)/(\ell + c)`
weighted l2           :math:`c/\ell^2`              :math:`\sqrt{1 - c^2/\ell^2}`
===================== ============================= ==========================================

In l-inf, row i of the averaged Jacobian has a diagonal a and a sum r of other moduli with :math:`a + r \le -c` and
:math:`|a| + r \le \ell`, so :math:`|1 + \alpha a| + \alpha r \le \max(1 - \alpha c, \alpha\ell - 1)`, least where both are
equal; in l1 the same holds for columns. In l2, :math:`\|I + \alpha J\|^2 \le 1 - 2\alpha c + \alpha^2\ell^2`.

References
----------
Jafarpour, Davydov, Proskurnikov, Bullo, Robust implicit networks via non-Euclidean contractions, arXiv:2106.03194.
"""

from __future__ import annotations

import math

from ..errors import ArgumentError

__all__ = ["best_forward_step"]


def best_forward_step(rate, lip, norm):
    """The step with the least guaranteed factor, and that factor rounded up.

    Parameters
    ----------
    rate : float
        Contraction rate c > 0.
    lip : float
        Lipschitz constant, at least `rate`, in the same norm.
    norm : Norm
        Its p decides which bound applies: 1, 2 or inf.

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
    if not rate > 0 or not math.isfinite(lip):
        raise ArgumentError(
            "rate", rate, "a positive rate and a finite Lipschitz constant: nothing contracts otherwise"
        )
    lip = max(lip, rate)
    if norm.p in (1.0, math.inf):
        alpha = 2 / (rate + lip)
        factor = max(1 - alpha * rate, alpha * lip - 1)
    else:
        alpha = rate / lip / lip
        # 1 - 2 alpha c + (alpha l)^2 without cancellation, for the step as it was rounded
        factor = math.hypot(1 - alpha * rate, alpha * math.sqrt(lip - rate) * math.sqrt(lip + rate))
    return alpha, min(1.0, factor + 4e-16)
