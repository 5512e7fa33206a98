"""Thousands of small fields in whole numbers, many of them borderline: no claim of any kind is false in exact arithmetic."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from dynet.certify.claims import DiagonalClaim, QuadraticClaim, RowsClaim
from dynet.certify.compound import CompoundStructure
from dynet.certify.criterion import CriterionClaim
from dynet.certify.lure import LureStructure
from dynet.certify.semi import RangeClaim
from dynet.certify.vertices import VertexClaim
from dynet.certify.weak import MonotoneClaim, keeps
from tests.certify import oracles_kinds as naive


def small_field(random, kernel):
    """Whole numbers, two or three states, one or two units; with a kernel to the right or left if asked for."""
    n, m = int(random.integers(2, 4)), int(random.integers(1, 3))
    E, F, G = (random.integers(-2, 3, size).astype(float) for size in ((n, n), (n, m), (m, n)))
    lo, hi = np.sort(random.integers(-1, 2, (2, m)).astype(float), axis=0)
    v = random.choice([1.0, 2.0], n)
    for M in {"right": (E, G), "left": (E.T, F.T), "": ()}[kernel]:
        M[:, 0] -= (M @ v) / v[0]
    if random.random() < 0.3:
        E[np.diag_indices(n)] -= random.integers(0, 3)
    return E, F, G, lo, hi, v


def nonnegative(Q):
    """Whether a symmetric matrix of at most three rows is positive semidefinite: all principal minors, in Fractions."""
    n = len(Q)
    for rows in (s for k in range(1, n + 1) for s in itertools.combinations(range(n), k)):
        sub = [[Q[i][j] for j in rows] for i in rows]
        if len(rows) == 1:
            value = sub[0][0]
        elif len(rows) == 2:
            value = sub[0][0] * sub[1][1] - sub[0][1] * sub[1][0]
        else:
            a, b, c = sub
            value = (a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0])
                     + a[2] * (b[0] * c[1] - b[1] * c[0]))  # fmt: skip
        if value < 0:
            return False
    return True


@pytest.mark.parametrize("count", [400, pytest.param(10_000, marks=pytest.mark.slow)])
def test_no_claim_is_false(count):
    random = np.random.default_rng(7)
    seen = dict.fromkeys(("monotone", "range", "rows", "vertices"), 0)
    for _ in range(count):
        kernel = str(random.choice(["right", "left", ""]))
        E, F, G, lo, hi, v = small_field(random, kernel)
        structure = LureStructure(E, F, G, lo, hi)
        family = list(naive.matrices(E, F, G, lo, hi))
        b = float(random.integers(-4, 3))
        p = 1.0 if kernel == "left" else math.inf
        for exact in (False, True):
            if MonotoneClaim(structure, p, v).holds(0.0, exact):
                seen["monotone"] += 1
                assert all(naive.is_metzler(J) and naive.log_norm(J, p, v) == 0 for J in family)
            if RangeClaim(structure, p, v).holds(b, exact):
                seen["range"] += 1
                assert all(naive.range_log_seminorm(naive.transposed(J) if p == 1 else J, v) <= b for J in family)
            k = int(random.integers(1, len(E) + 1))
            compound = CompoundStructure(structure, k)
            w = random.choice([1.0, 2.0], compound.n)
            if RowsClaim(compound, p, w).holds(b, exact):
                seen["rows"] += 1
                assert all(naive.log_norm(naive.compound(J, k), p, w) <= b for J in family)
            if VertexClaim(compound, np.diag(w)).holds(b, exact):
                seen["vertices"] += 1
                for A in (naive.compound(J, k) for J in family):
                    Q = [[Fraction(b) * Fraction(w[i]) * (i == j) - (Fraction(w[i]) * A[i][j] + Fraction(w[j]) * A[j][i]) / 2
                          for j in range(len(A))] for i in range(len(A))]  # fmt: skip
                    assert nonnegative(Q)
        for name in ("translation", "conservation"):
            zero = all(not any(naive.times(naive.transposed(J) if name == "conservation" else J, v)) for J in family)
            assert keeps(structure, name, v) == zero
    assert all(number > count / 100 for number in seen.values()), seen


def borderline(random):
    """Whole numbers with shared slopes: rows or columns, a linear part that is a diagonal or singular, P singular at times."""
    n = int(random.integers(1, 4))
    A, leak = random.integers(-2, 3, (n, n)).astype(float), -random.integers(0, 4, n).astype(float)
    if random.random() < 0.3:
        A = A + A.T
    if random.random() < 0.3:
        A[-1] = A[0]  # singular
    E = leak if random.random() < 0.6 else np.diag(leak) + random.integers(-1, 2, (n, n))
    lo = random.integers(0, 2, n).astype(float)
    hi = lo + random.integers(0, 2, n)
    parts = (E, np.ones(n), A) if random.random() < 0.5 else (E, A, np.ones(n))
    B = random.integers(-1, 2, (n, n)).astype(float)
    P = B @ B.T + (random.random() < 0.7) * np.eye(n)
    return LureStructure(*parts, lo, hi), P


def exceeds_nowhere(P, J, b):
    """Whether ``P J + J'P <= 2 b P``, in Fractions, for matrices of at most three rows."""
    n = len(J)
    P, b = [[Fraction(float(v)) for v in row] for row in P], Fraction(b)
    PJ = [[sum(P[i][k] * J[k][j] for k in range(n)) for j in range(n)] for i in range(n)]
    return nonnegative([[2 * b * P[i][j] - PJ[i][j] - PJ[j][i] for j in range(n)] for i in range(n)])


@pytest.mark.parametrize("count", [150, pytest.param(10_000, marks=pytest.mark.slow)])
def test_no_claim_of_contraction_is_false(count):
    """Rows, diagonal, quadratic, vertices and the criterion: borderline cases are proven where they hold only."""
    random = np.random.default_rng(11)
    seen = dict.fromkeys(("rows", "diagonal", "quadratic", "criterion"), 0)
    for _ in range(count):
        structure, P = borderline(random)
        n = structure.n
        dense = [np.diag(m) if m.ndim == 1 else m for m in (structure.E, structure.F, structure.G)]
        family = list(naive.matrices(*dense, structure.lo, structure.hi))
        w, v, b = random.choice([1.0, 2.0], n), random.choice([1.0, 2.0, 3.0], n), float(random.integers(-4, 3))
        p = float(random.choice([1.0, math.inf]))
        claims = {
            "rows": RowsClaim(structure, p, w),
            "diagonal": DiagonalClaim(structure, w, v),
            "quadratic": QuadraticClaim(structure, P),
            "criterion": CriterionClaim(structure, P, v),
        }
        for exact in (False, True):
            for name, claim in claims.items():
                if not claim.holds(b, exact):
                    continue
                seen[name] += 1
                if name == "rows":
                    assert all(naive.log_norm(J, p, w) <= b for J in family)
                    continue
                weight = np.diag(w) if name == "diagonal" else P
                assert np.linalg.eigvalsh(weight)[0] > 1e-12
                assert all(exceeds_nowhere(weight, J, b) for J in family)
        if claims["rows"].holds(b, exact=True) != all(naive.log_norm(J, p, w) <= b for J in family):
            raise AssertionError("the row rule is exact for shared slopes")
    assert all(number > count / 100 for number in seen.values()), seen
