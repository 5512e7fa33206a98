r"""Bounds that hold in spite of rounding.

Three tools. *Directed* sums and products of arrays: the rounding error of a floating-point sum or product is itself a
floating-point number, so its sign tells which neighbour bounds the exact result. *Row quotients*: an upper bound on
:math:`\max_i d_i + (M\eta)_i/\eta_i` for nonnegative M from one product and an a priori error bound. *Positive
definiteness*: if the Cholesky factorisation of a matrix shifted down by a bound on its own backward error runs to the end,
the matrix is positive definite, whatever was rounded on the way.

References
----------
Dekker, A floating-point technique for extending the available precision, Numerische Mathematik 18, 1971.
Rump, Verification of positive definiteness, BIT Numerical Mathematics 46, 2006.
Higham, Accuracy and Stability of Numerical Algorithms, second edition, 2002, chapters 3 and 10.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

__all__ = [
    "add_down",
    "add_up",
    "gamma",
    "is_positive_definite",
    "is_positive_definite_exact",
    "is_positive_semidefinite_exact",
    "multiply_both",
    "multiply_down",
    "multiply_up",
    "quotient_down",
    "quotient_up",
    "rows_with_entries",
]

UNIT = 2.0**-53
_BLOCK = 2**14  # elements
_LARGE = 200  # rows from which it pays to load scipy's interface to LAPACK
_SPLIT = 134217729.0  # 2**27 + 1
_LEAST = 5e-324  # the least positive float
_TINY = 1e-280  # below this size a product's error may not be representable


def add_up(x, y):
    """The least float that is not below the exact ``x + y``, elementwise.

    >>> print(add_up(0.1, 0.2) >= 0.3, add_up(0.5, 0.25))
    True 0.75
    """
    return _in_blocks(_sum_with_error, x, y, np.inf)


def add_down(x, y):
    """The largest float that is not above the exact ``x + y``, elementwise."""
    return _in_blocks(_sum_with_error, x, y, -np.inf)


def multiply_up(x, y):
    """A float that is not below the exact ``x * y`` (the least one unless it is tiny or huge), elementwise."""
    return _in_blocks(_product_with_error, x, y, np.inf)


def multiply_down(x, y):
    """A float that is not above the exact ``x * y`` (the largest one unless it is tiny or huge), elementwise."""
    return _in_blocks(_product_with_error, x, y, -np.inf)


def multiply_both(x, y):
    """What :func:`multiply_down` and :func:`multiply_up` return, at the price of one."""
    product, error = _product_with_error(x, y)
    down = np.where(~(error >= 0), _next(product, -np.inf), product)
    return down, np.where(~(error <= 0), _next(product, np.inf), product)


def gamma(k):
    """The factor ``k u / (1 - k u)`` that bounds the relative error of k roundings, itself rounded up."""
    return k * UNIT / (1 - k * UNIT) * (1 + 4 * UNIT)


def quotient_up(diagonal, off, weights):
    r"""Upper bounds on :math:`d_i + (M w)_i / w_i`, one for each row.

    Parameters
    ----------
    diagonal : ndarray, shape (n,)
        Upper bounds on d.
    off : ndarray (n, n) or scipy.sparse.csr_array
        Nonnegative upper bounds on M; its diagonal is zero.
    weights : ndarray, shape (n,)
        Positive, between 1e-100 and 1e100.

    Returns
    -------
    ndarray, shape (n,)
    """
    terms = np.diff(off.indptr) if hasattr(off, "indptr") else np.full(len(weights), off.shape[1])
    present = rows_with_entries(off)
    # the sum of k nonnegative products has a relative error of at most k + 1 roundings; 1e-290 covers underflow
    with np.errstate(over="ignore"):
        high = np.nextafter((off @ weights) * (1 + 2 * (terms + 2) * UNIT) + 1e-290, np.inf)
        quotient = np.where(present, np.nextafter(high / weights, np.inf), 0.0)
    return add_up(diagonal, quotient)


def quotient_down(diagonal, off, weights):
    r"""Lower bounds on :math:`d_i + (M w)_i / w_i` for the rows with :math:`w_i > 0`; inf for the others.

    Parameters
    ----------
    diagonal : ndarray, shape (n,)
        Lower bounds on d.
    off : ndarray (n, n) or scipy.sparse.csr_array
        Nonnegative lower bounds on M; its diagonal is zero.
    weights : ndarray, shape (n,)
        Nonnegative, at most 1e100; those that are positive at least 1e-100.

    Returns
    -------
    ndarray, shape (n,)
    """
    terms = np.diff(off.indptr) if hasattr(off, "indptr") else np.full(len(weights), off.shape[1])
    inside = weights > 0
    low = np.maximum(np.nextafter((off @ weights) * (1 - 2 * (terms + 2) * UNIT) - 1e-290, -np.inf), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient = np.maximum(np.nextafter(low / weights, -np.inf), 0.0)
    return np.where(inside, add_down(diagonal, np.where(inside, quotient, 0.0)), np.inf)


def rows_with_entries(matrix):
    """Which rows of a dense or csr matrix have an entry other than zero, shape (n,)."""
    if not hasattr(matrix, "indptr"):
        return matrix.any(axis=1)
    if np.all(matrix.data):
        return np.diff(matrix.indptr) > 0
    return np.diff(np.concatenate([[0], np.cumsum(matrix.data != 0)])[matrix.indptr]) > 0


def is_positive_definite(Q, formation_error=0.0):
    """Whether every symmetric matrix within `formation_error` of Q (in the spectral norm) is positive definite, proven.

    Parameters
    ----------
    Q : ndarray, shape (n, n)
        Symmetric.
    formation_error : float
        Bound on the spectral norm of the difference between Q and the matrix that is meant.

    Returns
    -------
    bool
        True is a proof. False says nothing: the matrix may be definite by less than about ``n u trace(Q)``.

    Examples
    --------
    >>> is_positive_definite(np.array([[2.0, 1.0], [1.0, 2.0]])), is_positive_definite(np.array([[1.0, 1.0], [1.0, 1.0]]))
    (True, False)
    """
    Q = np.asarray(Q, dtype=float)
    n = len(Q)
    diagonal = np.diagonal(Q)
    if not (np.isfinite(Q).all() and np.isfinite(formation_error) and np.array_equal(Q, Q.T) and (diagonal > 0).all()):
        return False
    # Rump's bound has n + 2 roundings; two more for libraries that multiply by the reciprocal of a pivot
    g = gamma(n + 4)
    shifted = Q.copy()
    with np.errstate(over="ignore", invalid="ignore"):
        backward = g / (1 - g) * diagonal.sum() * (1 + 1e-9) + 4 * n * (2 * (n + 2) + diagonal.max()) * _LEAST
        np.fill_diagonal(shifted, np.nextafter(diagonal - np.nextafter(backward + formation_error, np.inf), -np.inf))
        return _has_factor(shifted)


def _has_factor(Q):
    """Whether the Cholesky factorisation of a symmetric matrix, which is overwritten, runs to the end with finite numbers."""
    if len(Q) < _LARGE:
        try:
            factor = np.linalg.cholesky(Q)
        except np.linalg.LinAlgError:
            return False
    else:  # the same routine without copies, in half the time
        from scipy.linalg.lapack import dpotrf

        factor, info = dpotrf(Q.T, lower=0, clean=0, overwrite_a=1)
        if info != 0:
            return False
    return bool(np.isfinite(factor).all())  # some libraries run through a pivot that is NaN after an overflow


def is_positive_definite_exact(Q):
    """Whether a symmetric matrix of rationals is positive definite, by fraction-free elimination in integers.

    >>> is_positive_definite_exact([[Fraction(2), Fraction(1)], [Fraction(1), Fraction(1, 2)]])
    False
    """
    n = len(Q)
    denominator = 1
    for row in Q:
        for entry in row:
            denominator = max(denominator, Fraction(entry).denominator)  # dyadic rationals: the largest is a multiple
    rows = [[int(Fraction(entry) * denominator) for entry in row] for row in Q]
    if any(Fraction(int_entry, denominator) != Fraction(entry)
           for int_row, row in zip(rows, Q, strict=True) for int_entry, entry in zip(int_row, row, strict=True)):  # fmt: skip
        raise ValueError("the entries are not dyadic rationals")
    before = 1
    for k in range(n):
        pivot = rows[k][k]  # the leading minor of order k + 1
        if pivot <= 0:
            return False
        for i in range(k + 1, n):
            factor = rows[i][k]
            for j in range(k + 1, n):
                rows[i][j] = (rows[i][j] * pivot - factor * rows[k][j]) // before
        before = pivot
    return True


def is_positive_semidefinite_exact(Q):
    """Whether a symmetric matrix of rationals is positive semidefinite, by elimination.

    >>> is_positive_semidefinite_exact([[Fraction(2), Fraction(1)], [Fraction(1), Fraction(1, 2)]])
    True
    """
    rows = [list(row) for row in Q]
    for k, row in enumerate(rows):
        pivot = row[k]
        if pivot < 0 or (pivot == 0 and any(rows[i][k] for i in range(k, len(rows)))):
            return False
        for i in range(k + 1, len(rows) if pivot else 0):
            factor = rows[i][k] / pivot
            if factor:
                rows[i] = [a - factor * b for a, b in zip(rows[i], row, strict=True)]
    return True


def _in_blocks(operation, x, y, toward):
    """The result of an operation, moved to the next float `toward` where its error is not known to lie on the other side.

    Large arrays are done in pieces that stay in the cache.
    """
    x, y = np.asarray(x), np.asarray(y)
    shape = np.broadcast_shapes(x.shape, y.shape)
    size = math.prod(shape)
    if size <= _BLOCK:
        value, error = operation(x, y)
        doubtful = ~(error <= 0 if toward > 0 else error >= 0)
        value = np.asarray(value)
        if doubtful.any():
            value[doubtful] = _next(value[doubtful], toward)
        return value if shape else value[()]
    x, y = np.broadcast_to(x, shape), np.broadcast_to(y, shape)
    if shape[0] == 1:
        return _in_blocks(operation, x[0], y[0], toward)[np.newaxis]
    step = max(1, _BLOCK * shape[0] // size)
    out = np.empty(shape)
    for start in range(0, shape[0], step):
        part = slice(start, start + step)
        out[part] = _in_blocks(operation, x[part], y[part], toward)
    return out


def _sum_with_error(x, y):
    """The sum, and its exact error ``x + y - sum`` (Knuth); NaN, for any sign, where an intermediate result overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        total = x + y
        part = total - x
        error = (x - (total - part)) + (y - part)
    return total, np.where(np.isfinite(error), error, np.nan)


def _product_with_error(x, y):
    """The product, and its exact error ``x y - product`` (Dekker); NaN, for any sign, where it cannot be represented."""
    with np.errstate(over="ignore", invalid="ignore"):
        product = x * y
        if _is_one_power_of_two(x):
            error = product - product  # nothing is rounded; NaN where the product is not finite
        else:
            a, b = _split(x), _split(y)
            error = ((a[0] * b[0] - product) + a[0] * b[1] + a[1] * b[0]) + a[1] * b[1]
    known = (np.abs(product) > _TINY) & np.isfinite(error)
    return product, np.where((x == 0) | (y == 0), 0.0, np.where(known, error, np.nan))


def _is_one_power_of_two(x):
    """Whether all entries of an array are the same power of two: slopes that end at 1, for instance."""
    first = float(x.flat[0]) if x.size else 1.0
    return abs(math.frexp(first)[0]) == 0.5 and bool(np.all(x == first))


def _next(x, toward):
    with np.errstate(over="ignore"):
        return np.nextafter(x, toward)


def _split(x):
    big = _SPLIT * x
    high = big - (big - x)
    return high, x - high
