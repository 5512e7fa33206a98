"""Laws of functions: proven by algebra, refused where they hold to within rounding only, and never believed from a file."""

import dataclasses
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet as dn
from dynet.certify.function import confirm
from dynet.certify.interval import IntervalStructure
from dynet.certify.kept import KeptStructure
from dynet.certify.semi import RangeClaim
from dynet.certify.weak import MonotoneClaim
from dynet.linalg.ranges import RangeSeminorm
from tests.certify import oracles_kinds as naive

BOX = ([-1.0] * 3, 1.0)


@dn.vector_field(n=3, params={"rate": 0.3})
def flow(t, x, p, dx):
    q = [np.tanh(x[0]), p.rate * x[1], math.atan(x[2])]
    for i in range(3):
        dx[i] = q[i - 1] - q[i]


@dn.vector_field(n=3)
def agree(t, x, p, dx):
    for i in range(3):
        dx[i] = math.tanh(x[(i + 1) % 3] - x[i]) + math.tanh(x[(i + 2) % 3] - x[i])


@dn.vector_field(n=2)
def nearly(t, x, p, dx):
    dx[0] = -0.3 * math.tanh(x[0]) + 0.3 * x[1]
    dx[1] = (0.1 + 0.2) * math.tanh(x[0]) - 0.3 * x[1]


@dn.vector_field(n=2)
def forgetful(t, x, p, dx):
    dx[0] = 0.5 * x[0] + 2.0 * math.sin(x[1] - x[0])
    dx[1] = 0.5 * x[1] + 2.0 * math.sin(x[0] - x[1])


def test_a_flow_conserves_and_agreement_is_translated():
    for model, p, name in ((flow, 1.0, "conservation"), (agree, math.inf, "translation")):
        weak, semi = dn.certify(model, region=BOX), dn.certify(model, kind="semi", region=BOX)
        assert (weak.kind, weak.law.name, weak.norm.p) == ("weak", name, p)
        assert semi.kind == "semi" and semi.rate > 0 and semi.law.name == name
        for found in (weak, semi):
            assert found.check() and found.check(exact=True) and confirm(found, model)
            assert dn.Certificate.from_json(found.to_json()).check(exact=True)
    assert not confirm(dn.certify(flow, region=BOX), flow.replace(rate=0.2))
    assert not confirm(dn.certify(flow, region=BOX), agree)


def test_a_law_to_within_rounding_is_estimated():
    found = dn.certify(nearly, kind="weak", region=([-1.0] * 2, 1.0))
    assert found.status == "estimated" and not found and not found.check()
    assert not dn.certify(nearly, kind="semi", region=([-1.0] * 2, 1.0))


def test_the_eigenvalue_counts():
    """Differences shrink at 4 cos - 1/2 though the common part grows; no law, since lambda = 1/2."""
    found = dn.certify(forgetful, kind="semi", region=([-0.25] * 2, 0.25))
    assert found.rate == pytest.approx(4 * math.cos(0.5) - 0.5, abs=2e-2) and found.rate <= 4 * math.cos(0.5) - 0.5
    assert found.law is None and found.check(exact=True) and confirm(found, forgetful)
    for x in np.random.default_rng(0).uniform(-0.25, 0.25, (50, 2)):
        J = forgetful.jacobian(0.0, x)
        assert RangeSeminorm().log(J) <= -found.rate + 1e-9


def test_functions_without_a_kernel_say_so():
    found = dn.certify(dn.models.Lorenz(), kind="semi", region=BOX)
    assert not found and "algebra" in found.reason
    assert "only the range" in dn.certify(agree, dn.Norm(2, None, [[1.0, -1.0, 0.0]]), kind="semi", region=BOX).reason


def vector_of(low, high, left=False, ends=(0.0, 0.0), vector=(1.0, 1.0)):
    base = IntervalStructure(np.array(low, dtype=float), np.array(high, dtype=float))
    return KeptStructure(base, left, np.array(vector, dtype=float), np.array(ends, dtype=float))


def test_nonsense_structures_are_refused():
    low, high = [[-2.0, 1.0], [1.0, -2.0]], [[-1.0, 2.0], [2.0, -1.0]]
    good = vector_of(low, high)
    good.check()
    assert MonotoneClaim(good, math.inf, np.ones(2)).holds(0.0) and RangeClaim(good, math.inf, np.ones(2)).holds(-2.0)
    assert not RangeClaim(good, math.inf, np.ones(2)).holds(-2.1, exact=True)
    assert not MonotoneClaim(good, 1.0, np.ones(2)).holds(0.0)  # the vector is kept from the other side
    assert not MonotoneClaim(good, math.inf, np.array([1.0, 2.0])).holds(0.0)
    for bad in (
        vector_of(low, high, vector=(1.0, -1.0)),
        vector_of(low, high, vector=(1.0, math.nan)),
        vector_of(low, high, vector=(1.0, math.inf)),
        vector_of(low, high, vector=(1.0,)),
        vector_of(low, high, ends=(1.0, 0.0)),
        vector_of(low, high, ends=(0.0, math.inf)),
        vector_of(low, high, ends=(math.nan, 0.0)),
        vector_of(high, low),
        vector_of([low], [high]),
        vector_of(low, high, left=1),
        dataclasses.replace(good, vector=np.array([1, 1])),
    ):
        with pytest.raises(ValueError):
            bad.check()


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_no_range_claim_is_false(seed):
    """Matrices in whole numbers with the vector kept exactly, between the bounds: Dobrushin's formula never exceeds a claim."""
    random = np.random.default_rng(seed)
    n, left = 3, bool(random.random() < 0.5)
    low = random.integers(-2, 2, (n, n)).astype(float)
    high = low + random.integers(0, 3, (n, n))
    rate = float(random.integers(-2, 3))
    np.fill_diagonal(low, -50.0)
    np.fill_diagonal(high, 50.0)
    claim = RangeClaim(vector_of(low, high, left, (rate, rate), np.ones(n)), 1.0 if left else math.inf, np.ones(n))
    b = claim.least()
    for _ in range(10):
        J = random.uniform(low, high).round()
        np.fill_diagonal(J, 0.0)
        J -= np.diag(J.sum(axis=0 if left else 1) - rate)
        exact = [[Fraction(float(v)) for v in row] for row in (J.T if left else J)]
        for value in (b, b - 1.0):
            if claim.holds(value) or claim.holds(value, exact=True):
                assert naive.range_log_seminorm(exact, np.ones(n)) <= value
