"""Sparse Jacobians: probed patterns, colours, elimination on a fixed pattern against dense twins."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynet.engine import differences, sparse
from tests.engine.blocks import LORENZ, block


def compressed(pattern):
    rows, columns = np.nonzero(pattern)
    return np.searchsorted(rows, np.arange(len(pattern) + 1)), columns


@st.composite
def patterns(draw):
    n = draw(st.integers(1, 14))
    seed = draw(st.integers(0, 2**31))
    return np.random.default_rng(seed).random((n, n)) < draw(st.floats(0.0, 0.5))


@given(patterns(), st.integers(0, 2**31))
def test_elimination_and_substitution_solve(pattern, seed):
    random = np.random.default_rng(seed)
    n = len(pattern)
    J = np.where(pattern, random.normal(size=(n, n)), 0.0)
    structure = sparse.analyse(*compressed(pattern))
    c = 0.4 / max(1.0, np.abs(J).sum(axis=1).max())
    factors = np.zeros(structure.places.size)
    factors[structure.slots] = -c * J[pattern]
    factors[structure.diagonal] += 1.0
    row = np.zeros(n)
    differences.eliminate(structure.starts, structure.diagonal, structure.places, factors, row)
    assert not row.any()
    b = random.normal(size=n)
    x = b[structure.order]
    differences.substitute(structure.starts, structure.diagonal, structure.places, factors, x)
    found = np.empty(n)
    found[structure.order] = x
    assert np.allclose(found, np.linalg.solve(np.eye(n) - c * J, b), atol=1e-12)


@given(patterns())
def test_columns_of_one_colour_share_no_row(pattern):
    structure = sparse.analyse(*compressed(pattern))
    for c in range(structure.colours):
        assert (pattern[:, structure.colour == c].sum(axis=1) <= 1).all()
    assert sorted(structure.order) == list(range(len(pattern)))


def test_a_tree_has_no_fill_in_and_a_band_three_colours():
    n = 50
    star = np.eye(n, dtype=bool)
    star[0], star[:, 0] = True, True
    assert sparse.analyse(*compressed(star)).places.size == star.sum()
    band = np.abs(np.subtract.outer(np.arange(n), np.arange(n))) <= 1
    assert (
        sparse.analyse(*compressed(band)).colours == 3 and sparse.analyse(*compressed(band)).places.size == band.sum()
    )


def test_probing_finds_the_pattern():
    rows, columns = sparse.probe(block(LORENZ, 3), np.array([10.0, 28.0, 0.0]))
    dense = np.zeros((3, 3), bool)
    dense[np.repeat(np.arange(3), np.diff(rows)), columns] = True
    assert np.array_equal(dense, [[1, 1, 0], [1, 1, 1], [1, 1, 1]])
    hidden = block(["out[0, lane] = -1.0 if y[1, lane] < 0.1 else y[1, lane]", "out[1, lane] = 3.0"], 2)
    rows, columns = sparse.probe(hidden, np.empty(0))
    assert rows.tolist() == [0, 1, 1] and columns.tolist() == [1]


@pytest.mark.parametrize("factor", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("order", [1, 3, 5])
def test_a_change_of_step_keeps_the_polynomial(order, factor):
    """Backward differences of a polynomial at steps h become those at steps factor * h."""
    polynomials = np.random.default_rng(order).normal(size=(70, order + 1))
    value = lambda t: np.array([np.polyval(c, t) for c in polynomials])  # noqa: E731

    def backward(h):
        table = [value(-h * k) for k in range(order + 1)]
        out = [table[0]]
        while len(table) > 1:
            table = [a - b for a, b in zip(table[:-1], table[1:], strict=True)]
            out.append(table[0])
        return np.array(out)

    D = np.zeros((8, 70))
    D[: order + 1] = backward(0.5)
    differences.rescale(D, order, factor, np.zeros((18, 6)), np.zeros((6, 64)))
    assert np.allclose(D[: order + 1], backward(0.5 * factor), atol=1e-9)
