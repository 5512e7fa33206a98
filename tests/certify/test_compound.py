"""k- and alpha-contraction against compounds by their definition, and the worked numbers of the Thomas system."""

import itertools
import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet as dn
from dynet.certify.claims import RowsClaim
from dynet.certify.compound import AlphaClaim, CompoundNorm, CompoundStructure, pattern
from dynet.certify.lure import LureStructure
from dynet.certify.vertices import VertexClaim
from dynet.errors import ArgumentError
from dynet.linalg import Norm
from tests.certify import oracles_kinds as naive


def thomas(b):
    return dn.models.Lure(E=-b * np.eye(3), F=np.eye(3), G=np.roll(np.eye(3), 1, axis=1), activation="sin")


def test_the_compound_of_a_three_by_three_matrix():
    A = np.arange(1.0, 10.0).reshape(3, 3)
    structure = CompoundStructure(LureStructure(A, np.zeros(3), np.ones(3), np.zeros(3), np.zeros(3)), 2)
    ((J, _),) = structure.vertices()
    assert np.array_equal(J, [[6, 6, -3], [8, 10, 2], [-7, 4, 14]])
    assert [[int(v) for v in row] for row in next(iter(structure.exact_vertices()))] == J.tolist()


@pytest.mark.parametrize(("n", "k"), [(n, k) for n in range(1, 6) for k in range(1, n + 1)])
def test_compounds_agree_with_their_definition(n, k):
    random = np.random.default_rng(10 * n + k)
    A = random.integers(-4, 5, (n, n)).astype(float)
    structure = CompoundStructure(LureStructure(A, np.zeros(n), np.ones(n), np.zeros(n), np.zeros(n)), k)
    twin = naive.compound([[Fraction(v) for v in row] for row in A], k)
    ((J, _),) = structure.vertices()
    assert J.tolist() == twin and next(iter(structure.exact_vertices())) == twin
    for p in (1, math.inf):
        diagonal, off = structure.exact_rows(p)[0]
        flipped = naive.transposed(twin) if p == 1 else twin
        assert diagonal == [flipped[i][i] for i in range(structure.n)]
        assert off == [{j: abs(v) for j, v in enumerate(row) if j != i and v} for i, row in enumerate(flipped)]
        assert np.array_equal(structure.majorants(p)[0].matrix(), Norm(1).log(A) * 0 + [
            [float(v if i == j else abs(v)) for j, v in enumerate(row)] for i, row in enumerate(flipped)])  # fmt: skip


def test_thomas_is_two_contracting_for_b_above_one_half():
    c = dn.certify(thomas(0.6), 2, kind="k", order=2)
    assert c.kind == "k" and c.order == 2 and c.rate == pytest.approx(0.2, abs=1e-12) and c.rate <= 0.2
    assert c.check() and replace(c, rate=0.2 - 1e-9).check(exact=True)
    assert dn.Certificate.from_json(c.to_json()) == c and "equilibria" in c.explain() and c.verdict() == "2-contracting"
    assert not dn.certify(thomas(0.5), 2, kind="k", order=2) and dn.certify(thomas(0.4), 2, kind="k", order=3)


@pytest.mark.parametrize("b", [0.1, 0.2, 0.4])
def test_thomas_has_the_worked_dimension(b):
    c = dn.certify(thomas(b), 2, kind="alpha")
    worked = 2 + (1 - 2 * b) / (1 + b)
    assert c.kind == "alpha" and worked < c.order < worked + 1e-7 and c.check()
    assert dn.Certificate.from_json(c.to_json()) == c and "Hausdorff" in c.explain()
    assert not dn.certify(thomas(b), 2, kind="alpha", order=worked - 0.01)
    above = dn.certify(thomas(b), 2, kind="alpha", order=2.9)
    mean = Fraction(1, 10) * Fraction(1 - 2 * b) + Fraction(9, 10) * Fraction(-3 * b)
    assert above.rate == pytest.approx(-float(mean), abs=1e-9)


@settings(max_examples=150)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(2, 4),
    st.integers(1, 3),
    st.sampled_from(["rows", "columns", "neither"]),
    st.data(),
)
def test_claims_are_never_below_any_vertex(seed, n, m, shared, data):
    random = np.random.default_rng(seed)
    k = data.draw(st.integers(1, n))
    E = random.integers(-3, 3, (n, n)).astype(float)
    if shared != "neither":
        m = n
    F, G = random.integers(-2, 3, (n, m)).astype(float), random.integers(-2, 3, (m, n)).astype(float)
    F, G = (random.integers(-2, 3, n).astype(float), G) if shared == "rows" else (F, G)
    F, G = (F, random.integers(-2, 3, n).astype(float)) if shared == "columns" else (F, G)
    lo, hi = np.sort(random.integers(-1, 2, (2, m)).astype(float), axis=0)
    structure = CompoundStructure(LureStructure(E, F, G, lo, hi), k)
    structure.check()
    full = [np.diag(M) if M.ndim == 1 else M for M in (E, F, G)]
    family = [naive.compound(J, k) for J in naive.matrices(*full, lo, hi)]
    w = random.choice([1.0, 2.0, 0.5], structure.n)
    for p in (1.0, math.inf):
        top = max(naive.log_norm(J, p, w) for J in family)
        claim = RowsClaim(structure, p, w)
        b = claim.least()
        assert Fraction(b) >= top and claim.holds(b) and claim.holds(b, exact=True)
        if shared == "rows" and p == math.inf or shared == "columns" and p == 1:
            assert k > 1 or b == float(top)
        below = math.nextafter(float(top), -math.inf)
        assert not claim.holds(below) and not claim.holds(below, exact=True)
    P = np.diag(w)
    claim = VertexClaim(structure, P)
    b = claim.least()
    top = max(Norm(2, P).log(np.array(J, dtype=float)) for J in family)
    assert b < math.inf or not top
    if b < math.inf:
        assert top - 1e-9 <= b <= top + 1e-6 * (1 + abs(top))
    assert not claim.holds(top - 1e-6) and not claim.holds(top - 1e-6, exact=True)


def test_singular_and_borderline_matrices_are_not_definite():
    """b = the log norm itself: the matrix of the claim is singular, in whole numbers."""
    random = np.random.default_rng(5)
    for _ in range(200):
        v = random.integers(-3, 4, 3).astype(float)
        A = -np.outer(v, v)  # the largest eigenvalue is 0
        claim = VertexClaim(LureStructure(A, np.zeros(3), np.ones(3), np.zeros(3), np.zeros(3)), np.eye(3))
        assert not claim.holds(0.0) and not claim.holds(0.0, exact=True)
        assert claim.holds(1e-9) and claim.holds(1e-9, exact=True)


def test_weights_of_states_give_those_of_sets():
    c = dn.certify(thomas(0.9), Norm("inf", [1.0, 2.0, 4.0]), kind="k", order=2)
    assert c.norm == CompoundNorm(2, "inf", [2.0, 4.0, 8.0])
    with pytest.raises(ArgumentError, match="weights"):
        dn.certify(thomas(0.9), Norm("inf", [1.0, 2.0]), kind="k", order=2)


def test_orders_out_of_range_are_named():
    for order in (0, 4, 2.5, "two", True):
        with pytest.raises(ArgumentError, match="order"):
            dn.certify(thomas(0.6), kind="k", order=order)
    for order in (0.5, 3.5, math.nan):
        with pytest.raises(ArgumentError, match="order"):
            dn.certify(thomas(0.6), kind="alpha", order=order)
    with pytest.raises(ArgumentError, match="order"):
        dn.certify(thomas(0.6), kind="strong", order=2)


def test_volumes_shrink_as_certified():
    """The area of the parallelogram of two small differences, along a trajectory."""
    model = thomas(0.7)
    c = dn.certify(model, 2, kind="k", order=2)
    eps = 1e-5
    start = np.array([0.3, -0.5, 0.8])
    x0 = np.vstack([start, start + [eps, 0, 0], start + [0, eps, 0]])
    run = dn.simulate(model, x0, np.linspace(0.0, 3.0, 13), rtol=1e-11, atol=1e-14)
    a, b = run.x[1] - run.x[0], run.x[2] - run.x[0]
    area = np.sqrt((a * a).sum(-1) * (b * b).sum(-1) - (a * b).sum(-1) ** 2)
    assert np.all(area <= np.exp(-c.rate * run.t) * area[0] * (1 + 1e-3))


@pytest.mark.parametrize("change", ["order", "base", "bounds", "k", "kind", "same"])
def test_forged_compounds_are_refused(change):
    c = dn.certify(thomas(0.2), 2, kind="alpha")
    low, high = c.claim.parts
    other = replace(high, structure=replace(high.structure, base=replace(high.structure.base, E=-0.9 * np.eye(3))))
    claims = {
        "order": AlphaClaim((low, high), 2.9, c.claim.bounds),
        "base": AlphaClaim((low, other), c.order, c.claim.bounds),
        "bounds": AlphaClaim((low, high), c.order, c.claim.bounds - 1.0),
        "k": AlphaClaim((high, low), c.order, c.claim.bounds),
        "same": AlphaClaim((low, low), c.order, c.claim.bounds),
        "kind": low,
    }
    forged = replace(c, claim=claims[change])
    assert not forged.check() and not forged.check(exact=True)
    k = dn.certify(thomas(0.6), 2, kind="k", order=2)
    for wrong in (
        dict(order=3.0),
        dict(kind="strong"),
        dict(kind="strong", order=None),
        dict(kind="semi"),
        dict(rate=0.3),
    ):
        assert not replace(k, **wrong).check()


def test_patterns_are_whole():
    for n, k in itertools.product(range(1, 6), range(1, 4)):
        if k <= n:
            sets, rows, cols, *_ = pattern(n, k)
            assert len(sets) == math.comb(n, k) and len(rows) == len(sets) * k * (n - k)
            pairs = set(zip(rows.tolist(), cols.tolist(), strict=True))
            assert len(pairs) == len(rows) and all((b, a) in pairs for a, b in pairs)
