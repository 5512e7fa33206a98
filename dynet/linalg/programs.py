r"""Weights by linear programs: bisection on the bound b, with HiGHS deciding whether weights for b exist.

The vectors that satisfy :math:`M_k\eta \le b\eta` for all matrices of a family form a cone, which shrinks as b does. For
each b the program asks for the vector of it with entries of at least 1 and the least sum. What the solver answers is a
candidate: the bounds that are reported are computed from the vector.

References
----------
Davydov, Jafarpour, Bullo, Non-Euclidean contraction theory for robust nonlinear stability, arXiv:2103.12263.
"""

from __future__ import annotations

import numpy as np

__all__ = ["weights_by_bisection"]

_LARGEST = 1e9  # ratio of weights up to which the solver's tolerances mean something


def weights_by_bisection(rows, tol=1e-9):
    """The vector whose largest quotient is least, to within `tol` of the size of the matrices, as far as HiGHS can tell.

    Parameters
    ----------
    rows : list of Metzler matrices (n, n), dense or sparse
    tol : float

    Returns
    -------
    ndarray, shape (n,)

    Examples
    --------
    >>> eta = weights_by_bisection([np.array([[-1.0, 0.5], [0.75, 0.25]])])
    >>> print((eta / eta[0]).round(6))
    [1. 3.]
    """
    from scipy.optimize import linprog
    from scipy.sparse import csr_array, eye_array, vstack

    matrices = [csr_array(M) for M in rows]
    n = matrices[0].shape[0]

    def largest(eta):
        return max(float(((M @ eta) / eta).max()) for M in matrices)

    best, least = np.ones(n), largest(np.ones(n))
    high, low = least, max(float(M.diagonal().max()) for M in matrices)
    size = max(float(abs(M).sum(axis=1).max()) for M in matrices) or 1.0
    while high - low > tol * size:
        b = (low + high) / 2
        conditions = vstack([M - b * eye_array(n) for M in matrices]).tocsc()
        found = linprog(np.ones(n), A_ub=conditions, b_ub=np.zeros(conditions.shape[0]), bounds=(1.0, _LARGEST))
        if found.status == 0:
            high = b
            eta = np.maximum(found.x, 1.0)
            value = largest(eta)
            if value < least:
                best, least = eta, value
                high = min(high, value)
        else:
            low = b
    return best
