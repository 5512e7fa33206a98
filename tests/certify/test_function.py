"""Certificates of functions: known numbers, points of the region as a lower bound, and the claim's own check."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet as dn
from dynet.certify.cover import cover, packed
from dynet.certify.files import _digest
from dynet.certify.function import confirm
from dynet.certify.region import Ball, Box, Simplex
from dynet.certify.search import is_about
from dynet.errors import ArgumentError, CertificateError
from dynet.fields.derivative import fingerprint

pytest.importorskip("flint", reason="enclosures of elementary functions need the extra 'exact'")
STEEP = {2.0: 0.649519, 4.0: 1.065206, 8.0: 2.031579, 10.0: 2.525168}  # the largest slope of 1 / (1 + x^p)


@dn.vector_field(n=3, params={"k": 0.8, "p": 10.0})
def goodwin(t, x, p, dx):
    dx[0] = p.k / (1.0 + x[2] ** p.p) - x[0]
    dx[1] = x[0] - x[1]
    dx[2] = x[1] - x[2]


@dn.vector_field(n=3, params={"beta": 0.5, "gamma": 1.0, "A": [[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]})
def sis(t, x, p, dx):
    for i in range(3):
        s = 0.0
        for j in range(3):
            s += p.A[i, j] * x[j]
        dx[i] = p.beta * (1.0 - x[i]) * s - p.gamma * x[i]


@dn.vector_field(n=2)
def lotka_volterra(t, z, p, dx):
    dx[0] = -2.0 * np.exp(z[0]) + 0.5 * np.exp(z[1]) + 1.0
    dx[1] = 0.5 * np.exp(z[0]) - np.exp(z[1]) + 1.0


@dn.vector_field(n=1)
def driven(t, x, p, dx):
    dx[0] = -2.0 * x[0] + np.tanh(x[0]) + np.sin(t)


@pytest.mark.parametrize("power", STEEP)
def test_goodwin_contracts_with_the_rate_of_its_steepest_point(power):
    field = goodwin.replace(k=0.8 / STEEP[power], p=power)
    cert = dn.certify(field, norm="inf", region=([0.0] * 3, 2.0))
    exact = 1 - 0.8 ** (1 / 3)
    assert cert and cert.kind == "strong" and cert.check() and cert.check(exact=True)
    assert exact - 2e-4 <= cert.rate <= exact + 1e-6  # the slope above is rounded
    assert cert.bounds[0] == pytest.approx(-exact, abs=2e-5) and cert.bounds[1] == -cert.rate
    assert "invariant" in cert.region
    assert confirm(cert, field) and not confirm(cert, goodwin)


def test_goodwin_beyond_the_secant_condition_is_not_certified_and_the_reason_says_why():
    cert = dn.certify(goodwin.replace(k=1.01 / STEEP[10.0]), norm="inf", kind="strong", region=([0.0] * 3, 2.0))
    assert not cert and cert.status == "unknown" and cert.bounds[0] > 0 and "no weights" in cert.reason


def test_an_epidemic_below_its_threshold():
    cert = dn.certify(sis, region=([0.0] * 3, 1.0))
    assert cert.rate == pytest.approx(1 - 0.5 * math.sqrt(2), abs=1e-9) and cert.norm.p == math.inf
    assert cert.norm.weights / cert.norm.weights.min() == pytest.approx([1.0, math.sqrt(2), 1.0], abs=1e-6)
    assert cert.check(exact=True) and "invariant" in cert.region


def test_an_epidemic_above_its_threshold():
    field = sis.replace(beta=1.5)
    assert not dn.certify(field, norm="inf", kind="weak", region=([0.0] * 3, 1.0))
    x = np.array([7 / 15, 7 / 12, 7 / 15])
    cert = dn.certify(field, norm=dn.Norm("inf", x), region=(x, 1.0))
    assert cert.rate == pytest.approx(0.875, abs=1e-6) and cert.check(exact=True)
    assert cert.bounds[0] == -math.inf  # given weights say nothing of others


def test_the_local_value_of_mutualists():
    z = np.log([6 / 7, 10 / 7])
    cert = dn.certify(lotka_volterra, norm=dn.Norm(1, [1.0, 1.0]), region=(z - 1e-9, z + 1e-9))
    assert cert.rate == pytest.approx(5 / 7, abs=1e-7)
    assert not dn.certify(lotka_volterra)  # only weakly: the rate falls with the states


def test_a_driven_scalar_on_the_whole_line():
    cert = dn.certify(driven)
    assert cert.rate == 1.0 and cert.region == "whole space" and confirm(cert, driven)
    assert dn.certify(driven, norm=2).rate == pytest.approx(1.0, abs=1e-12)


def test_the_structure_of_a_layer_is_worth_a_lot():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(10, 10))
    np.fill_diagonal(A, 0.0)
    np.fill_diagonal(A, 0.5 - np.abs(A).sum(axis=1))
    plain = dn.Norm("inf", np.ones(10))
    assert plain.log(A) == pytest.approx(0.5)
    box = (np.full(10, -0.5), 0.5)
    layer = dn.certify(dn.models.FiringRate(A, activation="tanh"), plain, region=box)
    assert layer.rate == pytest.approx(0.5, abs=1e-12) and layer.check(exact=True)

    @dn.vector_field(n=10, params={"A": A})
    def entries(t, x, p, dx):
        for i in range(10):
            s = 0.0
            for j in range(10):
                s += p.A[i, j] * x[j]
            dx[i] = -x[i] + np.tanh(s)

    root = cover(entries, Box(*box), math.inf, eta=np.ones(10), budget=1)
    assert root.upper > 5.0  # the entries of a row no longer know that they share a slope


def test_slopes_on_a_region_are_used():
    net = dn.models.FiringRate([[0.0, 3.0], [3.0, 0.0]], activation="tanh", input=[0.5, 0.0])
    assert not dn.certify(net, "inf", kind="weak")
    cert = dn.certify(net, "inf", region=([0.4, 0.4], 2.0))
    steep = [3 * (1 - np.tanh(z) ** 2) for z in (3 * 0.4 + 0.5, 3 * 0.4)]
    assert cert.rate == pytest.approx(1 - np.sqrt(steep[0] * steep[1]), abs=1e-9)
    assert cert.check(exact=True) and "box" in cert.region
    ball = dn.certify(net, "inf", region=Ball([1.2, 1.2], 0.8, "inf"))
    assert ball.rate == pytest.approx(cert.rate, abs=1e-12) and ball.rate <= cert.rate


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from((1, 2, "inf")))
def test_no_point_of_the_region_contradicts_a_bound(seed, p):
    rng = np.random.default_rng(seed)
    c = rng.normal(size=6)

    @dn.vector_field(n=2, params={"c": c})
    def random(t, x, p, dx):
        dx[0] = p.c[0] * x[0] + np.sin(p.c[1] * x[1]) - np.tanh(x[0] * x[1])
        dx[1] = np.exp(p.c[2] * x[0]) / (1.5 + np.cos(x[1])) + p.c[3] * x[1] + max(p.c[4] * x[0], p.c[5] * x[1])

    lo = rng.uniform(-1, 1, 2)
    hi = lo + rng.uniform(0, 1, 2)
    cert = dn.certify(random, norm=p, kind="weak", region=(lo, hi), tol=0.05)
    norm, bound = cert.norm, cert.bounds[1]
    x = np.concatenate([rng.uniform(lo, hi, (100, 2)), [lo, hi]])
    worst = max(norm.log(random.jacobian(0.0, state)) for state in x)
    assert worst <= bound + 1e-6
    assert cert.bounds[0] <= bound
    if p != 2:  # the claim holds for its interval matrices, whatever the search thought
        assert cert.claim.holds(bound) and not cert.claim.holds(bound - 1e-9, exact=True)


def test_every_piece_of_a_cover_is_covered():
    field = goodwin.replace(k=0.3)
    found = cover(field, Box([0.0] * 3, 2.0), math.inf, eta=np.array([1.0, 1.1, 1.2]), tol=0.01)
    assert len(found.row) > 20
    lo, hi = packed(found, found.upper)
    rng = np.random.default_rng(1)
    for x in rng.uniform(0, 2, (200, 3)):
        J = field.jacobian(0.0, x)
        slack = 1e-9 * (1 + np.abs(J))
        inside = (lo <= J + slack) & (J - slack <= hi)
        assert inside.all(axis=2).any(axis=0).all()  # each row in one of its pieces


def test_pieces_outside_a_region_are_dropped():
    @dn.vector_field(n=2)
    def product(t, x, p, dx):
        dx[0] = -x[0] + x[0] ** 2 * x[1] ** 2
        dx[1] = -x[1]

    box = cover(product, Box([0.0, 0.0], 1.0), math.inf, eta=np.ones(2), tol=1e-2)
    simplex = cover(product, Simplex(2), math.inf, eta=np.ones(2), tol=1e-2)
    # the largest 2 x y (x + y) on the box and on the simplex
    assert box.upper == pytest.approx(3.0, abs=0.05) and simplex.upper == pytest.approx(-0.5, abs=0.05)
    assert simplex.upper >= -0.5


def test_a_budget_ends_the_search_with_a_sound_bound():
    field = goodwin.replace(k=0.3)
    few = cover(field, Box([0.0] * 3, 2.0), math.inf, budget=1)
    many = cover(field, Box([0.0] * 3, 2.0), math.inf)
    assert few.upper > many.upper >= many.lower
    assert few.evaluations < many.evaluations


def test_what_has_no_bound_says_so():
    @dn.vector_field(n=1)
    def blows(t, x, p, dx):
        dx[0] = -x[0] + 1.0 / x[0]

    @dn.vector_field(n=1)
    def jumps(t, x, p, dx):
        dx[0] = -x[0] + (1.0 if x[0] > 0.3 else 0.0)

    for field, word in ((blows, "zero"), (jumps, "either way")):
        for region in (None, ([-1.0], [1.0])):
            cert = dn.certify(field, region=region)
            assert cert.status == "unknown" and word in cert.reason and not cert.check()
    # away from the trouble both contract
    assert dn.certify(blows, region=([1.0], [2.0])).rate > 1.0
    assert dn.certify(jumps, region=([0.5], [1.0])).rate == 1.0
    assert "P" in dn.certify(goodwin, norm=dn.Norm(2, np.eye(3)), region=([0.0] * 3, 1.0)).reason


def test_a_changed_rate_or_matrix_is_not_checked_true():
    cert = dn.certify(driven)
    assert not replace(cert, rate=np.nextafter(cert.rate, 2)).check()
    structure = cert.claim.structure
    bad = replace(cert.claim, structure=replace(structure, hi=structure.hi + 0.5))
    assert not replace(cert, claim=bad).check()
    assert structure.origin["function"] == "driven" and len(structure.origin["digest"]) == 64


@pytest.mark.parametrize("norm", ["inf", 1, 2])
def test_a_file_carries_the_bounds_and_the_region_exactly(norm):
    cert = dn.certify(goodwin.replace(k=0.3), norm, region=([0.0, 0.0, 0.1], 2.0), tol=0.01)
    again = dn.Certificate.from_json(cert.to_json())
    assert again == cert and again.check() and again.check(exact=True) and again.region == cert.region
    assert again.claim.structure.origin == cert.claim.structure.origin
    assert np.array_equal(again.claim.structure.hi, cert.claim.structure.hi)
    if norm != 2:
        assert confirm(again, goodwin.replace(k=0.3))
    text = cert.to_json()
    for old, new in (('"rows"' if norm == "inf" else '"form": "interval"', '"form": "none"'), ('"words"', '"word"')):
        with pytest.raises(CertificateError):
            dn.Certificate.from_json(text.replace(old, new))


def test_inputs_are_any_where_the_jacobian_lets_them():
    @dn.vector_field(n=1, inputs=1, input=0.5)
    def added(t, x, u, p, dx):
        dx[0] = -x[0] + u[0]

    @dn.vector_field(n=1, inputs=1, input=0.5)
    def scaled(t, x, u, p, dx):
        dx[0] = -(1.0 + u[0]) * x[0]

    assert dn.certify(added).claim.structure.origin["input"] == "any"
    cert = dn.certify(scaled)
    assert cert.rate == 1.5 and cert.claim.structure.origin["input"] == "its own"
    assert confirm(cert, scaled)


def test_regions_that_do_not_fit_are_refused():
    for region in (Box([0.0], [1.0]), Simplex(2), "everywhere", ([1.0] * 3, 0.0)):
        with pytest.raises(ArgumentError, match="region"):
            dn.certify(goodwin, region=region)


def test_ten_states_in_good_time():
    @dn.vector_field(n=10, params={"w": 0.4})
    def coupled(t, x, p, dx):
        for i in range(10):
            dx[i] = -2.0 * x[i] + np.tanh(x[i]) + p.w * np.sin(x[(i + 1) % 10]) / (1.0 + x[i] ** 2)

    cert = dn.certify(coupled, norm="inf", region=(np.full(10, -1.0), 1.0))
    assert cert and cert.check(exact=True)


def test_a_file_that_names_another_function_is_believed_by_no_solver():
    @dn.vector_field(n=1)
    def grows(t, x, p, dx):
        dx[0] = 0.5 * x[0] + 0.1 * np.sin(x[0])

    @dn.vector_field(n=1)
    def decays(t, x, p, dx):
        dx[0] = -1.5 * x[0] + 0.1 * np.sin(x[0])

    for norm in ("inf", 2):
        body = json.loads(dn.certify(decays, norm).to_json())
        again = dn.Certificate.from_json(json.dumps(body))
        assert again.check() and is_about(again, decays)
        body["claim"]["field"]["origin"]["words"]["digest"] = fingerprint(grows)
        body["digest"] = _digest({name: value for name, value in body.items() if name != "digest"})
        forged = dn.Certificate.from_json(json.dumps(body))
        assert forged.check() and not is_about(
            forged, grows
        )  # true of its own numbers, which are not those of the field
        with pytest.raises(ArgumentError, match="certificate"):
            dn.simulate(grows, [1.0], 1.0, save=2, certificate=forged)
