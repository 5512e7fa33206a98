"""Composite norms: bounds that hold, closed forms where the blocks are trivial, duals and pairings."""

import math

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from dynet.errors import ArgumentError
from dynet.linalg import CompositeNorm, Norm, RangeSeminorm
from tests.linalg import oracles

ORDERS = (1, 2, math.inf, 3.0)


@st.composite
def cases(draw):
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def norm(size):
        p = draw(st.sampled_from(ORDERS))
        kind = draw(st.sampled_from(["plain", "weights", "R"]))
        if kind == "weights" and p == 2 and size > 1:
            root = random.normal(size=(size, size))
            return Norm(2, root @ root.T + np.eye(size))
        weights = random.uniform(0.3, 3.0, size) if kind == "weights" and p != 3 else None
        return Norm(p, weights, random.normal(size=(size, size)) + 3 * np.eye(size) if kind == "R" else None)

    sizes = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    blocks = [(size, norm(size)) for size in sizes]
    if draw(st.booleans()):
        blocks.append((3, CompositeNorm([(2, norm(2)), (1, norm(1))], draw(st.sampled_from(ORDERS[:3])))))
    weights = random.uniform(0.3, 3.0, len(blocks)) if draw(st.booleans()) else None
    return CompositeNorm(blocks, Norm(draw(st.sampled_from(ORDERS[:3])), weights)), random


@settings(max_examples=80)
@given(cases())
def test_log_and_induced_norms_are_bounds_and_the_pairing_is_one(case):
    norm, random = case
    A = random.normal(size=(norm.n, norm.n))
    x = random.normal(size=(300, norm.n))
    x[:20] = np.round(x[:20])  # some blocks vanish
    x = x[norm.length(x) > 0]
    assert oracles.log_norm_by_limit(norm, A, x) <= norm.log(A) + 1e-5
    assert (norm.length(x @ A.T) / norm.length(x)).max() <= norm.induced(A) + 1e-9
    pairing = norm.pairing(x @ A.T, x)
    assert np.allclose(norm.pairing(x, x), norm.length(x) ** 2)
    assert np.all(pairing <= norm.log(A) * norm.length(x) ** 2 + 1e-8)
    assert np.all(np.abs(pairing) <= norm.length(x @ A.T) * norm.length(x) * (1 + 1e-9))
    inside = x[20:]  # where no entry vanishes, the pairing is the derivative of half the squared length
    h = 1e-7
    slope = (norm.length(inside + h * inside @ A.T) - norm.length(inside)) / h * norm.length(inside)
    assert np.allclose(pairing[-len(inside) :], slope, rtol=1e-3, atol=1e-4 * (1 + np.abs(slope).max()))
    gains = norm.gain_matrix(A)
    assert np.allclose(gains, norm.gain_matrix(sp.csr_array(A)))
    assert np.allclose(norm.log(np.stack([A, 2 * A])), [norm.log(A), norm.log(2 * A)])
    y = random.normal(size=x.shape)
    assert np.all(np.abs((x * y).sum(axis=1)) <= norm.length(x) * norm.dual().length(y) * (1 + 1e-9))


@settings(max_examples=30)
@given(st.sampled_from(ORDERS[:3]), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_one_block_and_blocks_of_one_state_give_the_norm_itself(p, n, seed):
    random = np.random.default_rng(seed)
    A, x, eta = random.normal(size=(n, n)), random.normal(size=n), random.uniform(0.2, 4.0, n)
    inner = Norm(p, eta)
    whole = CompositeNorm([(n, inner)])
    assert np.isclose(whole.length(x), inner.length(x)) and np.isclose(whole.log(A), inner.log(A))
    parts = CompositeNorm([(1, 2)] * n, outer=inner)
    assert np.isclose(parts.length(x), inner.length(x))
    M = np.where(np.eye(n, dtype=bool), A, np.abs(A))
    assert np.isclose(parts.log(A), inner.log(M))
    assert np.isclose(parts.log(A), parts.dual().log(A.T))


def test_mixed_gains_that_have_a_closed_form_are_attained():
    random = np.random.default_rng(3)
    A = random.normal(size=(3, 4))
    big = np.block([[np.zeros((3, 3)), A], [np.zeros((4, 7))]])
    signs = np.array(np.meshgrid(*[[-1.0, 1.0]] * 4)).reshape(4, -1)
    for p, q, exact in (
        (1, 2, np.linalg.norm(A, axis=0).max()),
        (2, math.inf, np.linalg.norm(A, axis=1).max()),
        (1, math.inf, np.abs(A).max()),
        (2, 2, np.linalg.norm(A, 2)),
        (1, 1, np.abs(A).sum(axis=0).max()),
        (math.inf, math.inf, np.abs(A @ signs).max()),
    ):
        assert np.isclose(CompositeNorm([(3, q), (4, p)]).gain_matrix(big)[0, 1], exact)


def test_bad_composites_are_refused():
    for blocks, outer, word in (
        ([], "inf", "blocks"),
        ([3], "inf", r"blocks\[0\]"),
        ([(0, 1)], "inf", r"blocks\[0\]\[0\]"),
        ([(2, Norm(1, [1.0]))], "inf", r"blocks\[0\]\[1\]"),
        ([(2, Norm(2, R=[[1.0, -1.0]]))], "inf", "not a seminorm"),
        ([(1, 1), (1, 1)], Norm(1, [1.0]), "outer"),
        ([(1, 1), (1, 1)], Norm(2, np.eye(2)), "monotone"),
        ([(1, 1)], 3, "outer"),
    ):
        with pytest.raises(ArgumentError, match=word):
            CompositeNorm(blocks, outer)
    norm = CompositeNorm([(1, 1), (1, "inf")])
    with pytest.raises(ArgumentError, match="size 2"):
        norm.log(np.eye(3))
    with pytest.raises(ArgumentError, match="last axis of 2"):
        norm.length(np.ones(3))
    with pytest.raises(AttributeError):
        norm.outer = Norm(1)
    same = CompositeNorm([(1, Norm(1)), (1, Norm("inf"))])
    assert (
        same == norm
        and hash(same) == hash(norm)
        and norm != CompositeNorm([(1, 1), (1, 1)])
        and norm != RangeSeminorm()
    )
