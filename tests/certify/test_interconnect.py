"""Gain matrices: the worked one, random ones against enumeration of loops, and what breaks them."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet as dn
from dynet.certify import breaking_loop, gains
from dynet.errors import ArgumentError
from dynet.linalg import CompositeNorm, Norm
from tests.certify import oracles_kinds as naive

WORKED = np.array([[-2.0, 0.5, 0.0], [1.0, -1.5, 0.3], [0.2, 0.4, -1.0]])


@pytest.mark.parametrize("norm", ["inf", 1, 2])
def test_the_worked_matrix(norm):
    c = gains(WORKED, norm)
    assert c and c.rate == pytest.approx(0.678235, abs=5e-7) and c.check() and c.check(exact=True)
    assert dn.Certificate.from_json(c.to_json()) == c and "the parts contract" in c.region
    if norm == "inf":
        assert np.allclose(c.norm.weights / c.norm.weights[2], [0.255894, 0.676464, 1.0], atol=5e-7)
    with pytest.raises(ArgumentError):
        c.step()  # a gain matrix bounds no Lipschitz constant
    sparse = gains(sp.csr_array(WORKED), norm)
    assert sparse.rate == pytest.approx(c.rate, rel=1e-9) and sparse.check(exact=True)
    assert dn.Certificate.from_json(sparse.to_json()).check()


def test_the_outer_norm_makes_a_composite_norm():
    """Two blocks of two states: the composite log norm is at most that of the gain matrix."""
    random = np.random.default_rng(2)
    A = random.normal(size=(4, 4)) * 0.3 - 2.0 * np.eye(4)
    inner = CompositeNorm([(2, "inf"), (2, 2)])
    c = gains(inner.gain_matrix(A))
    assert c and CompositeNorm([(2, "inf"), (2, 2)], outer=c.norm).log(A) <= -c.rate + 1e-9


@settings(max_examples=150)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4))
def test_the_loop_that_is_named_is_the_largest(seed, n):
    random = np.random.default_rng(seed)
    gain = random.choice([0.0, 0.5, 1.0, 2.0, 3.0], (n, n), p=[0.5, 0.2, 0.1, 0.1, 0.1])
    np.fill_diagonal(gain, -random.choice([1.0, 2.0], n))
    c, loop = gains(gain), breaking_loop(gain)
    abscissa = np.linalg.eigvals(gain).real.max()
    if abs(abscissa) > 1e-7:
        assert bool(c) == (abscissa < 0) == (loop is None)
    if c:
        product = gain @ c.norm.weights
        assert np.all(product < 0) and c.check(exact=True)
    product, nodes = naive.largest_loop(gain)
    if loop is not None and loop.single:
        assert loop.product >= 1 - 1e-12 and product ** (1 / len(nodes)) >= loop.product ** (1 / len(loop.parts)) - 1e-9
        ring = zip(loop.parts, (*loop.parts[1:], loop.parts[0]), strict=True)
        assert loop.product == pytest.approx(np.prod([gain[b, a] / -gain[b, b] for a, b in ring]))
    if loop is not None and not loop.single:
        assert product < 1 or product == pytest.approx(1) or nodes is None
        scaled = gain / loop.product * 0.999
        np.fill_diagonal(scaled, gain.diagonal())
        inside = np.ix_(loop.parts, loop.parts)
        assert np.linalg.eigvals(scaled[inside]).real.max() < 0


def test_what_breaks_is_named():
    c = gains([[-1.0, 2.0, 0.0], [1.0, -1.0, 0.0], [1.0, 0.0, -5.0]], labels=["pump", "tank", "log"])
    assert not c and "pump -> tank -> pump" in c.reason and "gain 2" in c.reason
    assert "part b does not contract" in gains([[-1.0, 0.0], [0.0, 0.0]], labels="ab").reason
    joint = gains(np.full((3, 3), 0.6) - 1.6 * np.eye(3))
    assert "all gains among 0, 1, 2" in joint.reason and "1/1.2" in joint.reason
    given = gains(WORKED, Norm("inf", [1.0, 1e-3, 1.0]))
    assert not given and "these weights" in given.reason


def test_bad_gain_matrices_are_refused():
    for bad in ([[-1.0, -0.1], [0.0, -1.0]], [[-1.0, math.nan], [0.0, -1.0]], [[1.0, 2.0]]):
        with pytest.raises(ArgumentError, match="M="):
            gains(bad)
    for norm in (3, Norm(2, np.eye(3)), Norm("inf", [1.0, 2.0])):
        with pytest.raises(ArgumentError, match="norm"):
            gains(WORKED, norm)
    with pytest.raises(ArgumentError, match="labels"):
        gains(WORKED, labels=["a"])


def test_singular_gain_matrices_and_forgeries_prove_nothing():
    random = np.random.default_rng(0)
    for _ in range(300):
        eta = random.integers(1, 4, 3).astype(float)
        gain = random.integers(0, 4, (3, 3)).astype(float)
        np.fill_diagonal(gain, 0.0)
        sums = gain @ eta
        gain *= eta[:, None]
        np.fill_diagonal(gain, -sums)  # gain eta = 0 in whole numbers
        assert not gains(gain)
    c = gains(WORKED)
    for forged in (
        replace(c, rate=c.rate + 1e-9),
        replace(c, kind="weak", rate=1.0, claim=replace(c.claim, eta=np.ones(3))),
    ):
        assert not forged.check() and not forged.check(exact=True)
    exact = max(sum(Fraction(v) * Fraction(float(w)) for v, w in zip(row, c.norm.weights, strict=True)) / Fraction(float(own))
                for row, own in zip(WORKED.tolist(), c.norm.weights, strict=True))  # fmt: skip
    assert Fraction(-c.rate) >= exact
