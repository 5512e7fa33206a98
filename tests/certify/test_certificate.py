"""The certificate itself: what it says, that it is frozen, and that its check believes nobody."""

import math
from dataclasses import FrozenInstanceError, replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import scipy.sparse as sp

import dynet as dn
from dynet.certify.certificate import STATUSES
from dynet.certify.claims import RowsClaim
from dynet.certify.explain import rate_text
from dynet.linalg import Norm

A = np.array([[-1.0, 0.5], [-0.75, 0.25]])


@pytest.fixture
def certificate():
    return dn.certify(dn.models.FiringRate(A))


def test_what_a_certificate_says(certificate):
    c = certificate
    assert c.status == "certified" in STATUSES and c.kind == "strong" and bool(c) and c.osLip == -c.rate
    assert c.norm == Norm("inf", c.claim.eta) and c.region == "whole space" and c.bounds[1] == c.osLip
    assert "attained" in c.reason and c.model == "FiringRate" and c.lip >= c.rate
    text = str(c)
    assert all(word in text for word in ("strongly contracting", "rate", "norm", "osLip", "region", "certified"))
    assert c._repr_html_().startswith("<pre>") and "-0" not in str(
        dn.certify(dn.models.FiringRate(A), Norm("inf", [1, 1]))
    )


@pytest.mark.parametrize("norm", [None, 1, 2, "inf"])
def test_explanations_show_the_rows_that_bind(norm):
    c = dn.certify(dn.models.FiringRate(A), norm)
    text = c.explain(rows=1)
    assert "claim:" in text and "arXiv" in text and text.count("slack") <= 1
    if norm is None:
        assert "row      0" in text or "row      1" in text
    quadratic = dn.certify(dn.models.FiringRate([[0.5, -0.3], [-0.3, 0.2]]), Norm(2, [[1.25, 0.9], [0.9, 2.15]]))
    assert "positive definite" in quadratic.explain()
    assert "function" in dn.certify(dn.models.Lorenz()).explain()


def test_only_what_is_certified_and_not_negative_is_true(certificate):
    for status in STATUSES:
        assert bool(replace(certificate, status=status)) == (status == "certified")
        assert replace(certificate, status=status).check() == (status == "certified")
    assert not replace(certificate, rate=-0.1) and not replace(certificate, rate=0.0, kind="strong")
    assert replace(certificate, rate=-0.1).check()  # true, and of no use
    assert not replace(certificate, rate=math.nan) and not replace(certificate, rate=math.nan).check()
    assert not replace(certificate, claim=None).check() and not replace(certificate, norm=None).check()


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("kind", ["FiringRate", "Hopfield"])
@pytest.mark.parametrize("norm", [1, 2, "inf"])
def test_a_rate_one_unit_in_the_last_place_higher_is_refused(kind, norm, exact):
    random = np.random.default_rng(0)
    for _ in range(5):
        c = dn.certify(getattr(dn.models, kind)(random.normal(0, 0.2, (4, 4))), norm)
        assert c.check(exact=exact)
        ulp = 1 if c.claim.kind != "vertices" else 2**20  # definiteness is shown with a hair to spare
        assert not replace(c, rate=c.rate + ulp * math.ulp(c.rate)).check(exact=exact)
        assert not replace(c, rate=math.inf).check(exact=exact)


def test_the_check_reuses_nothing_that_the_search_computed(certificate):
    structure = certificate.claim.structure
    structure.__dict__["_ends"] = [replace(m, high=m.high - 10.0) for m in structure._ends]  # a cache gone wrong
    assert certificate.claim.quotients().max() < -5
    assert certificate.check() and not replace(certificate, rate=5.0).check()


def test_a_coupling_changed_afterwards_is_noticed(certificate):
    certificate.claim.structure.G[0, 0] = 3.0
    assert not certificate.check()


def test_nothing_can_be_assigned(certificate):
    for name in ("rate", "status", "norm", "claim"):
        with pytest.raises(FrozenInstanceError):
            setattr(certificate, name, None)
    with pytest.raises(FrozenInstanceError):
        certificate.claim.eta = None
    with pytest.raises(ValueError, match="read-only"):
        certificate.norm.weights[0] = 1.0


def test_equality_is_of_all_that_is_said(certificate):
    again = dn.certify(dn.models.FiringRate(A))
    assert again == certificate and hash(again) == hash(certificate) and certificate != "certificate"
    for change in (dict(rate=0.4), dict(reason="because"), dict(bounds=(-math.inf, -0.5)), dict(norm=None)):
        assert replace(certificate, **change) != certificate


def test_zero_shows_without_its_sign():
    c = dn.certify(dn.models.Persidskii([[-2.0, 1.0], [1.0, -2.0]]))
    assert "osLip   <= 0" in str(c) and math.copysign(1, c.rate) == 1 and "weakly" in c.verdict()


def test_a_step_over_relaxes_where_the_certificate_allows_it():
    c = dn.certify(dn.models.FiringRate([[-1.0, 0.5], [0.5, -1.0]]), Norm("inf", [1.0, 1.0]))
    assert c.rate == 1.0 and 2.5 <= c.lip < 2.5 + 1e-14
    assert c.step() == pytest.approx((2 / 3.5, 0.428571), abs=1e-6)


@pytest.mark.parametrize("norm", [None, 2, Norm(2, [[1.25, 0.9], [0.9, 2.15]])], ids=["rows", "diagonal", "full"])
def test_it_draws_itself(norm):
    c = dn.certify(dn.models.FiringRate([[0.5, -0.3], [-0.3, 0.2]]), norm)
    axes = c.plot()
    assert axes.get_xlabel() and axes.get_ylabel() and axes.get_title()
    own = plt.figure().add_subplot()
    assert c.plot(own) is own
    assert not dn.certify(dn.models.Lorenz()).plot().axison
    plt.close("all")


def test_sparse_matrices_with_a_diagonal_given_twice_are_added_exactly_or_refused():
    """Two entries at one place that cancel up to rounding: the sum that the model holds is the one that is certified."""
    twice = sp.coo_array((np.array([1e16, 1.0, -1e16]), (np.array([0, 0, 0]), np.array([0, 0, 0]))), shape=(1, 1))
    model = dn.models.FiringRate(twice, activation="relu")
    c = dn.certify(model)
    assert c.check(exact=True) == bool(c) and float(model.G.toarray()[0, 0] if model.G.ndim == 2 else model.G[0]) in (
        0.0,
        1.0,
    )


def test_a_claim_does_not_outgrow_its_field(certificate):
    """Weights of another length than the field has states."""
    claim = RowsClaim(certificate.claim.structure, math.inf, np.ones(3))
    forged = replace(certificate, claim=claim, norm=Norm("inf", np.ones(3)), rate=-100.0)
    assert not forged.check() and not forged.check(exact=True)


def test_a_printed_rate_says_no_more_than_was_proven():
    random = np.random.default_rng(0)
    for rate in np.concatenate([np.exp(random.normal(0, 8, 400)), -np.exp(random.normal(0, 8, 400))]):
        shown = float(rate_text(float(rate)))
        assert rate - 1.1e-5 * abs(rate) <= shown <= rate + 1e-9 * abs(rate)
    assert [rate_text(r) for r in (0.0, 1.0, 999999.9, math.inf, -math.inf)] == ["0", "1", "999999", "inf", "-inf"]
