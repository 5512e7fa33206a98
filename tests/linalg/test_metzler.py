"""Optimal weights against linear programs, enumeration and eigenvalues; the witnesses prove what is returned."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from dynet.errors import ArgumentError
from dynet.linalg import Norm, common_weights, is_hurwitz_metzler, metzler_majorant, optimal_weights, perron
from dynet.linalg.metzler import row_choice_perron
from tests import oracles


@st.composite
def metzler(draw, count=1, largest=6):
    """Metzler matrices with zeros, so that many are reducible."""
    n = draw(st.integers(1, largest))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    density = draw(st.sampled_from([0.2, 0.5, 1.0]))
    matrices = []
    for _ in range(count):
        M = np.abs(random.normal(size=(n, n))) * (random.random((n, n)) < density)
        np.fill_diagonal(M, random.normal(size=n))
        matrices.append(M)
    return matrices


def proven_exactly(rows, found):
    """The two Collatz-Wielandt inequalities in rational arithmetic."""
    v, w = ([Fraction(float(x)) for x in vector] for vector in (found.vector, found.witness))
    assert min(v) > 0 and min(w) >= 0 and max(w) > 0
    for i, k in enumerate(found.choice):
        for M in rows:
            assert sum(Fraction(float(m)) * x for m, x in zip(M[i], v, strict=True)) <= Fraction(found.upper) * v[i]
        product = sum(Fraction(float(m)) * x for m, x in zip(rows[k][i], w, strict=True))
        assert product >= Fraction(found.lower) * w[i]


def proven(rows, found):
    """The two Collatz-Wielandt inequalities, evaluated plainly."""
    assert np.all(found.vector > 0)
    assert all(np.all(M @ found.vector <= (found.upper + 1e-12) * found.vector) for M in rows)
    chosen = np.array([rows[k][i] for i, k in enumerate(found.choice)])
    assert np.all(found.witness >= 0) and found.witness.any()
    assert np.all(chosen @ found.witness >= (found.lower - 1e-12) * found.witness - 1e-13)


@settings(max_examples=100)
@given(metzler())
def test_perron_encloses_the_spectral_abscissa_and_proves_it(matrices):
    found = perron(matrices[0])
    alpha = oracles.abscissa(matrices[0])
    proven(matrices, found)
    proven_exactly(matrices, found)
    assert found.lower - 1e-9 <= alpha <= found.upper + 1e-9
    assert found.upper <= alpha + 1e-5  # also for reducible matrices, where the infimum may not be attained
    assert np.isclose(perron(sp.csr_array(matrices[0])).upper, found.upper, atol=1e-6)


@settings(max_examples=30)
@given(metzler(count=2, largest=5))
def test_row_choice_agrees_with_enumeration_and_linear_programming(matrices):
    found = row_choice_perron(matrices)
    proven(matrices, found)
    proven_exactly(matrices, found)
    best = oracles.optimal_value_by_choice(*matrices)
    assert best - 1e-9 <= found.upper <= best + 1e-5
    assert abs(oracles.optimal_value_by_lp(matrices, tol=1e-7) - best) < 1e-4


@settings(max_examples=60)
@given(metzler())
def test_optimal_weights_attain_the_abscissa_in_all_three_norms(matrices):
    A = matrices[0] + 0.1  # irreducible
    A = np.where(np.random.default_rng(0).random(A.shape) < 0.5, A, -A)
    alpha = oracles.abscissa(metzler_majorant(A))
    for p in (1, 2, "inf"):
        value, weights = optimal_weights(A, p)
        assert np.isclose(value, alpha, atol=1e-8)
        assert np.isclose(Norm(p, weights).log(metzler_majorant(A)), alpha, atol=1e-7)


@settings(max_examples=20)
@given(metzler(count=4, largest=4), st.integers(1, 4), st.sampled_from([1, "inf"]))
def test_families_agree_with_enumeration_of_rows_and_with_linear_programs(matrices, count, p):
    family = [np.where(np.eye(len(M), dtype=bool), M, M * np.random.default_rng(0).choice([-1, 1], M.shape))
              for M in matrices[:count]]  # fmt: skip
    found = common_weights(family, p)
    rows = [oracles.majorant(A) if p == "inf" else oracles.majorant(A).T for A in family]
    proven(rows, found)
    proven_exactly(rows, found)
    best = max(
        oracles.abscissa(np.array([rows[k][i] for i, k in enumerate(choice)]))
        for choice in itertools.product(range(count), repeat=len(rows[0]))
    )
    assert found.lower - 1e-9 <= best <= found.upper + 1e-9 and found.upper <= best + 1e-5
    assert all(Norm(p, found.vector).log(A) <= found.upper + 1e-9 for A in family)
    program = common_weights(family, p, method="program")
    proven(rows, program)
    proven_exactly(rows, program)
    assert program.lower - 1e-7 <= best <= program.upper + 1e-9
    if found.vector.max() < 1e3 * found.vector.min():  # within the tolerances of the solver
        assert program.upper <= best + 1e-5
    sparse = common_weights([sp.csr_array(A) for A in family], p)
    assert np.isclose(sparse.upper, found.upper, atol=1e-6)
    value, weights = optimal_weights(family, p)
    assert value == found.upper and np.array_equal(weights, found.vector)
    value, weights = optimal_weights(family, 2)
    if weights.max() < 1e8 * weights.min():
        assert all(Norm(2, weights).log(A) <= value + 1e-6 * (1 + abs(value)) for A in family)


def test_a_bad_family_is_refused():
    for bad in ([], [np.eye(2), np.eye(3)], np.ones((2, 3)), [[np.inf]], "matrix", [sp.eye_array(2), np.eye(3)]):
        for function in (common_weights, optimal_weights):
            with pytest.raises(ArgumentError, match="A="):
                function(bad)
    with pytest.raises(ArgumentError, match="p="):
        common_weights(np.eye(2), 2)
    with pytest.raises(ArgumentError, match="program"):
        common_weights(np.eye(2), method="programm")


def test_worked_numbers():
    value, weights = optimal_weights([[-1.0, 0.5], [-0.75, 0.25]])
    assert np.isclose(value, 0.5) and np.allclose(weights / weights[0], [1, 3])
    gain = np.array([[-2.0, 0.5, 0.0], [1.0, -1.5, 0.3], [0.2, 0.4, -1.0]])
    found = perron(gain)
    assert round(found.upper, 6) == -0.678235
    assert np.allclose(found.vector / found.vector[2], [0.255894, 0.676464, 1.0], atol=1e-6)


def test_slowly_converging_chains_and_grids_are_solved():
    chain = np.diag(np.full(300, -2.0)) + np.diag(np.ones(299), 1) + np.diag(np.ones(299), -1)
    found = perron(chain)
    assert found.attained and abs(found.upper - oracles.abscissa(chain)) < 1e-12
    line = sp.diags_array([np.ones(39), np.full(40, -2.0), np.ones(39)], offsets=[-1, 0, 1])
    grid = sp.csr_array(sp.kron(line, sp.eye_array(40)) + sp.kron(sp.eye_array(40), line))
    exact = 2 * (-2 + 2 * np.cos(np.pi / 41))
    found = perron(grid)
    assert found.attained and abs(found.upper - exact) < 1e-9


def test_large_sparse_random_networks():
    n, random = 20_000, np.random.default_rng(0)
    columns = random.integers(0, n, (n, 10))
    values = np.abs(random.normal(0, 0.05, columns.shape))
    M = sp.csr_array((values.ravel(), (np.repeat(np.arange(n), 10), columns.ravel())), shape=(n, n)) - sp.eye_array(n)
    found = perron(M)
    assert found.attained and np.all(M @ found.vector <= (found.upper + 1e-12) * found.vector)


@settings(max_examples=60)
@given(metzler())
def test_hurwitz_witnesses_exist_exactly_for_hurwitz_matrices(matrices):
    M = matrices[0]
    alpha = oracles.abscissa(M)
    if abs(alpha) < 1e-4:
        return
    eta = is_hurwitz_metzler(M)
    assert (eta is not None) == (alpha < 0)
    if eta is not None:
        assert np.all(eta > 0) and np.all(M @ eta < 0)


def test_exactly_singular_metzler_matrices_are_never_called_hurwitz():
    random = np.random.default_rng(4)
    for _ in range(150):
        n = int(random.integers(2, 8))
        M = random.integers(0, 4, (n, n)) * random.integers(1, 4, n)  # columns scaled: the kernel has uneven entries
        kernel = random.integers(1, 6, n)
        np.fill_diagonal(M, 0)
        M = M * kernel[:, None]
        np.fill_diagonal(M, -(M @ kernel) // kernel)  # M kernel = 0 in integers
        assert not np.any(M @ kernel)
        M = M.astype(float)
        found = perron(M)
        assert found.lower <= 0 <= found.upper
        assert is_hurwitz_metzler(M) is None and is_hurwitz_metzler(sp.csr_array(M)) is None
        assert is_hurwitz_metzler(M - 2.0**-30 * np.eye(n)) is not None


@pytest.mark.parametrize("bad", [[[1.0, -1.0], [0.0, 1.0]], np.ones((2, 3)), [[np.nan]], [[0.0, np.inf], [1.0, 0.0]]])
def test_what_is_not_metzler_is_refused(bad):
    for function in (perron, is_hurwitz_metzler):
        with pytest.raises(ArgumentError, match="M="):
            function(bad)


def test_chains_whose_weights_are_far_apart():
    """Nilpotent couplings: any rate below the leak is reached, by weights that differ by many orders of magnitude."""
    for n, strength in ((5, 1e3), (12, 10.0), (3, 1e6)):
        chain = np.diag(np.full(n - 1, strength), -1) - np.eye(n)
        found = perron(chain)
        proven([chain], found)
        assert found.upper < -0.999 and found.lower <= -1.0


def test_a_reducible_choice_closes_the_gap_from_any_start():
    """The rows that bind the first vector are not the ones that bind the best; the infimum is not attained."""
    one = np.array([[0.30550288, 1.35026801], [0.0, -2.55574334]])
    two = np.array([[0.40862842, 0.38579086], [0.0, -2.34333855]])
    found = row_choice_perron([one, two])
    assert found.lower <= 0.40862842 <= found.upper < 0.40862842 + 1e-8
