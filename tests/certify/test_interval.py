"""Interval structures against enumeration of the corners of the intervals, in exact arithmetic."""

import itertools
import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from dynet.certify.claims import DiagonalClaim, RowsClaim
from dynet.certify.interval import IntervalStructure


def log_norm(J, p, eta):
    """Exact, with Python loops."""
    n = len(J)
    J, eta = [[Fraction(float(v)) for v in row] for row in J], [Fraction(float(v)) for v in eta]
    if p == 1:
        return max(J[j][j] + sum(eta[i] * abs(J[i][j]) / eta[j] for i in range(n) if i != j) for j in range(n))
    return max(J[i][i] + sum(abs(J[i][j]) * eta[j] / eta[i] for j in range(n) if j != i) for i in range(n))


def corners(lo, hi):
    for values in itertools.product(*zip(lo.ravel(), hi.ravel(), strict=True)):
        yield np.array(values).reshape(lo.shape)


@st.composite
def structures(draw, n=2, count=2):
    entries = st.lists(st.integers(-4, 4), min_size=2 * count * n * n, max_size=2 * count * n * n)
    ends = np.array(draw(entries), dtype=float).reshape(2, count, n, n) / 4
    return IntervalStructure(
        ends.min(axis=0), ends.max(axis=0), pieces=draw(st.sampled_from(("whole", "rows", "columns")))
    )


def chosen(structure):
    """Every matrix of bounds that the meaning of the pieces allows."""
    span = range(structure.count)
    if structure.pieces == "whole":
        return [(structure.lo[k], structure.hi[k]) for k in span]
    found = []
    for choice in itertools.product(span, repeat=structure.n):
        lo, hi = (
            np.array([m[k][i] if structure.pieces == "rows" else m[k][:, i] for i, k in enumerate(choice)])
            for m in (structure.lo, structure.hi)
        )
        found.append((lo, hi) if structure.pieces == "rows" else (lo.T, hi.T))
    return found


@settings(max_examples=60, deadline=None)
@given(structures(), st.sampled_from((1.0, math.inf)), st.tuples(st.integers(1, 5), st.integers(1, 5)))
def test_the_least_bound_is_the_largest_log_norm_over_all_corners(structure, p, eta):
    claim = RowsClaim(structure, p, np.array(eta, dtype=float))
    worst = max(log_norm(J, p, eta) for lo, hi in chosen(structure) for J in corners(lo, hi))
    least = claim.least()
    assert Fraction(least) >= worst
    # the pieces that do not fit p are taken together, which may cost something; the others cost nothing
    if structure.pieces in ("whole", {1.0: "columns", math.inf: "rows"}[p]):
        assert least == pytest.approx(float(worst), rel=1e-15, abs=1e-300)
        assert not claim.holds(math.nextafter(least, -math.inf), exact=True)
    assert claim.holds(least) and claim.holds(least, exact=True)
    assert np.all(claim.quotients() >= [float(q) for q in claim.exact_quotients()])


@settings(max_examples=30, deadline=None)
@given(structures(), st.tuples(*[st.integers(1, 5)] * 4))
def test_diagonal_claims_hold_for_every_corner(structure, vectors):
    weights, v = np.array(vectors[:2], dtype=float), np.array(vectors[2:], dtype=float)
    claim = DiagonalClaim(structure, weights, v)
    b = claim.least()
    for lo, hi in chosen(structure):
        for J in corners(lo, hi):
            S = weights[:, None] * J
            symmetric = (S + S.T) / 2 - b * np.diag(weights)
            assert np.linalg.eigvalsh(symmetric)[-1] <= 1e-12


def test_sparse_bounds_are_the_dense_ones():
    rng = np.random.default_rng(1)
    mask = rng.random((30, 30)) < 0.2
    np.fill_diagonal(mask, True)
    lo = np.where(mask, rng.normal(size=(30, 30)), 0.0)
    hi = np.where(mask, lo + rng.random((30, 30)), 0.0)
    pattern = csr_array(mask.astype(float))
    at = pattern.nonzero()
    sparse = IntervalStructure(
        *(type(pattern)((m[at], pattern.indices, pattern.indptr), shape=m.shape) for m in (lo, hi))
    )
    dense = IntervalStructure(lo, hi)
    sparse.check(), dense.check()
    for p in (1.0, 2.0, math.inf):
        for a, b in zip(sparse.majorants(p), dense.majorants(p), strict=True):
            assert np.array_equal(a.matrix().toarray(), b.matrix()) and np.array_equal(a.low, b.low)
        assert sparse.exact_rows(p) == dense.exact_rows(p)
    assert sparse.entries < dense.entries == 900


def test_a_piece_that_is_worst_in_one_row_only_decides_that_row():
    first, second = np.array([[-1.0, 0.0], [0.0, -5.0]]), np.array([[-5.0, 0.0], [0.0, -2.0]])
    structure = IntervalStructure(np.array([first, second]), np.array([first, second]))
    claim = RowsClaim(structure, math.inf, np.ones(2))
    assert claim.quotients().tolist() == [-1.0, -2.0]
    assert claim.holds(-1.0) and not claim.holds(-1.5)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"lo": np.full((2, 2), 3.0)}, "above"),
        ({"hi": np.full((2, 2), np.inf)}, "finite"),
        ({"lo": np.full((2, 2), np.nan)}, "finite"),
        ({"lo": np.zeros((2, 3))}, "shapes"),
        ({"lo": np.zeros((2, 3)), "hi": np.ones((2, 3))}, "square"),
        ({"lo": np.zeros((0, 2, 2)), "hi": np.ones((0, 2, 2))}, "piece"),
        ({"lo": np.zeros((0, 0)), "hi": np.ones((0, 0))}, "square"),
        ({"pieces": "some"}, "pieces"),
        ({"lo": csr_array(np.eye(2))}, "shapes"),
        ({"lo": csr_array(np.eye(2)), "hi": csr_array(np.ones((2, 2)))}, "patterns"),
    ],
)
def test_bounds_that_say_nothing_are_refused(change, word):
    good = IntervalStructure(np.zeros((2, 2)), np.ones((2, 2)))
    good.check()
    with pytest.raises(ValueError, match=word):
        replace(good, **change).check()
