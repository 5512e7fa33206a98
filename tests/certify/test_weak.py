"""Weak contraction: laws are found and proven exactly, or said to hold to within rounding only."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet as dn
from dynet.certify.certificate import Law
from dynet.certify.entries import exact_lower, lower_bounds, transposed
from dynet.certify.lure import LureStructure
from dynet.certify.weak import MonotoneClaim, _product, eigenvalue, find_law, is_monotone, keeps
from dynet.linalg import Norm
from tests.certify import oracles_kinds as naive

TURN = np.array([[1.0, -1.0], [1.0, -1.0]])  # translation invariant, not monotone
WALK = np.array([[1.0, -1.0, 0.0], [-0.5, 1.0, -0.5], [0.0, -1.0, 1.0]])


def linear(A):
    n = len(A)
    return dn.models.Lure(E=A, F=np.zeros(n), G=np.ones(n))


def diffusive(weights, activation="tanh", both=True):
    """x_i' = sum of w phi(x_j - x_i) over the edges of a complete graph: exact by construction."""
    n = len(weights)
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j and weights[i][j]]
    G, F = np.zeros((len(pairs), n)), np.zeros((n, len(pairs)))
    for k, (i, j) in enumerate(pairs):
        G[k, j], G[k, i], F[i, k] = 1.0, -1.0, weights[i][j]
        if both:
            F[j, k] = -weights[i][j]
    return dn.models.Lure(E=np.zeros(n), F=F, G=G, activation=activation)


def test_averaging_is_weakly_contracting_in_the_largest_entry():
    c = dn.certify(linear(-WALK))
    assert c.kind == "weak" and c.rate == 0 and c.law.name == "translation" and np.all(c.law.vector == 1)
    assert c.norm == Norm("inf", np.ones(3)) and c.check() and c.check(exact=True)
    assert dn.Certificate.from_json(c.to_json()) == c
    assert "shifted" in str(c) and "Metzler" in c.explain()
    strong = dn.certify(linear(-WALK), kind="strong")
    assert not strong and "no norm has a positive rate" in strong.reason


def test_a_law_with_weights_is_found_in_whole_numbers():
    eta = np.array([3.0, 5.0, 2.0])
    A = np.array([[-10.0, 5.0, 2.0], [4.0, -5.0, 4.0], [5.0, 5.0, -13.0]])
    assert np.array_equal(eta @ A, np.zeros(3))
    c = dn.certify(linear(A), 1, kind="weak")
    assert c.kind == "weak" and c.law.name == "conservation" and np.array_equal(c.law.vector / c.law.vector[2], eta / 2)
    assert c.check() and c.check(exact=True)


def test_a_law_that_rounding_breaks_is_not_certified():
    W = np.array([[0.0, 0.1, 0.2], [0.1, 0.0, 0.7], [0.2, 0.7, 0.0]])
    A = W - np.diag(W.sum(axis=1))
    assert any(math.fsum(row) != 0 for row in A)
    for kind in ("weak", "semi"):
        c = dn.certify(linear(A), "inf", kind=kind)
        assert c.status == "estimated" and c.kind == kind and not c and not c.check() and "rounding" in c.reason


def test_couplings_through_differences_are_exact_whatever_the_weights():
    model = diffusive(np.full((4, 4), 0.1))
    for norm, law in ((1, "conservation"), ("inf", "translation")):
        c = dn.certify(model, norm, kind="weak")
        assert c.kind == "weak" and c.law.name == law and c.check() and c.check(exact=True)
    sparse = dn.models.Lure(E=model.E, F=sp.csr_array(model.F), G=sp.csr_array(model.G))
    assert dn.certify(sparse, kind="weak").check(exact=True)


@settings(max_examples=150)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.integers(1, 4), st.booleans())
def test_laws_and_monotonicity_agree_with_enumeration(seed, n, m, left):
    random = np.random.default_rng(seed)
    E, F, G = (random.integers(-2, 3, size).astype(float) for size in ((n, n), (n, m), (m, n)))
    lo, hi = np.sort(random.integers(-1, 2, (2, m)).astype(float), axis=0)
    v = random.integers(1, 3, n).astype(float)
    if random.random() < 0.7:  # make laws likely
        G[:, 0] -= (G @ v) / v[0] if not left else 0.0
        E[:, 0] -= (E @ v) / v[0] if not left else 0.0
        F[0] -= (v @ F) / v[0] if left else 0.0
        E[0] -= (v @ E) / v[0] if left else 0.0
    if random.random() < 0.3:
        E -= np.eye(n)
    structure = LureStructure(E, F, G, lo, hi)
    found = eigenvalue(structure, v, left=left)
    seen = []
    for J in naive.matrices(E, F, G, lo, hi):
        moved = naive.times(naive.transposed(J) if left else J, v)
        seen.append({m / int(x) for m, x in zip(moved, v, strict=True)})
    if all(len(s) == 1 for s in seen):
        values = [s.pop() for s in seen]
        assert found == (min(values), max(values))
    else:
        assert found is None
    assert keeps(structure, "conservation" if left else "translation", v) == (found == (0, 0))
    family = list(naive.matrices(E, F, G, lo, hi))
    metzler = all(naive.is_metzler(J) for J in family)
    assert is_monotone(structure, exact=True) <= metzler and is_monotone(structure) <= metzler
    low, exact = lower_bounds(structure), exact_lower(structure)
    for i in range(n):
        for j in range(n):
            assert low[i, j] <= exact[i].get(j, 0) <= min(J[i][j] for J in family)
    claim = MonotoneClaim(structure, 1.0 if left else math.inf, v)
    if claim.holds(0.0) or claim.holds(0.0, exact=True):
        assert metzler and found == (0, 0)
        assert all(naive.log_norm(J, claim.p, v) == 0 for J in family)


def test_lower_bounds_of_sparse_and_dense_agree():
    random = np.random.default_rng(3)
    E, F, G = (sp.random_array(size, density=0.3, rng=random, format="csr") for size in ((30, 30), (30, 20), (20, 30)))
    lo, hi = -random.random(20), random.random(20)
    some = LureStructure(E, F, G, lo, hi)
    dense = LureStructure(E.toarray(), F.toarray(), G.toarray(), lo, hi)
    assert np.allclose(lower_bounds(some), lower_bounds(dense), atol=1e-12)
    assert np.allclose(lower_bounds(transposed(some)), lower_bounds(dense).T, atol=1e-12)
    big = LureStructure(sp.block_diag([E] * 12, format="csr"), sp.block_diag([F] * 12, format="csr"),
                        sp.block_diag([G] * 12, format="csr"), np.tile(lo, 12), np.tile(hi, 12))  # fmt: skip
    assert np.allclose(lower_bounds(big).toarray()[:30, :30], lower_bounds(dense), atol=1e-12)


def test_too_small_numbers_are_left_to_exact_arithmetic():
    structure = LureStructure(np.array([[-1.0, 1.0], [1e-200, -1.0]]), np.zeros(2), np.ones(2), np.zeros(2), np.ones(2))
    assert lower_bounds(structure) is None and is_monotone(structure)
    tiny = LureStructure(
        np.diag([-1.0, -1.0]), np.array([[1e-200], [0.0]]), np.array([[0.0, -1e-200]]), *np.ones((2, 1))
    )
    assert not is_monotone(tiny)


@pytest.mark.parametrize("change", ["law", "vector", "norm", "monotone", "kind"])
def test_forged_weak_certificates_are_refused(change):
    c = dn.certify(linear(-WALK), "inf", kind="weak")
    wrong = {
        "law": dict(law=Law("conservation", np.ones(3))),
        "vector": dict(law=Law("translation", np.array([1.0, 1.0, 2.0]))),
        "norm": dict(norm=Norm(1, np.ones(3)), claim=replace(c.claim, p=1.0)),
        "monotone": dict(claim=replace(c.claim, structure=linear_structure(TURN), eta=np.ones(2)),
                         norm=Norm("inf", np.ones(2)), law=None),
        "kind": dict(kind="semi", rate=1.0),
    }[change]  # fmt: skip
    forged = replace(c, **wrong)
    assert not forged.check() and not forged.check(exact=True)


def linear_structure(A):
    n = len(A)
    return LureStructure(A, np.zeros(n), np.ones(n), np.zeros(n), np.zeros(n))


def test_a_monotone_claim_is_about_l1_and_l_infinity_only():
    for p in (2.0, 3.0, math.nan):
        assert not MonotoneClaim(linear_structure(-WALK), p, np.ones(3)).holds(0.0)
    assert not MonotoneClaim(linear_structure(-WALK), math.inf, np.zeros(3)).holds(0.0)
    assert not MonotoneClaim(linear_structure(-WALK), math.inf, np.ones(3)).holds(-1e-300)


def test_laws_of_fields_that_are_not_monotone_are_found_too():
    A = np.array([[-1.0, 2.0, -1.0], [3.0, -1.0, -2.0], [-1.0, -1.0, 2.0]])
    assert find_law(linear_structure(A), "translation") is not None
    assert find_law(linear_structure(A + np.eye(3)), "translation") is None


@given(st.integers(0, 2**32 - 1))
def test_products_with_sparse_matrices_are_exact(seed):
    """Rows of no, one, two and three entries, some of which cancel for ones only, some for this vector only."""
    random = np.random.default_rng(seed)
    M = random.integers(-2, 3, (6, 4)) * (random.random((6, 4)) < 0.6) * random.choice([1.0, 0.1])
    v = random.choice([1.0, 2.0, 0.1], 4) if random.random() < 0.7 else np.ones(4)
    exact = [sum(Fraction(float(a)) * Fraction(float(x)) for a, x in zip(row, v, strict=True)) for row in M]
    assert _product(sp.csr_array(M), v) == exact == _product(M, v)
