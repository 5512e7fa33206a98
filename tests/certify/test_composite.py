"""Certificates of interconnections: true of random systems, carried by their file, refused when forged."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet as dn
from dynet.certify.composite import gain_bound, gain_holds
from dynet.errors import ArgumentError
from dynet.linalg import CompositeNorm, Norm

WORKED = np.array([[-2.0, 0.5, 0.0], [1.0, -1.5, 0.3], [0.2, 0.4, -1.0]])


def scalar(rate):
    return dn.models.Lure(E=[-rate], F=[0.0], G=[1.0])


def worked(gain=WORKED):
    names = "abc"
    parts = {name: scalar(-gain[i, i]) for i, name in enumerate(names)}
    pairs = [(i, j) for i in range(3) for j in range(3) if i != j and gain[i, j]]
    return dn.interconnect(parts, {(names[j], names[i]): [[gain[i, j]]] for i, j in pairs})


def random_system(random, parts=3):
    models, links = {}, {}
    for k in range(parts):
        n = int(random.integers(1, 4))
        A = random.normal(size=(n, n)) * 0.3
        make = dn.models.FiringRate if random.random() < 0.5 else dn.models.Hopfield
        models[f"p{k}"] = make(A, leak=1.0 + random.random())
    for a in models:
        for b in models:
            if a != b and random.random() < 0.7:
                links[a, b] = random.normal(size=(models[b].n, models[a].n)) * 0.15
    return dn.interconnect(models, links)


def test_the_worked_gain_matrix():
    model = worked()
    gain = model.gain_matrix()
    assert np.allclose(gain, WORKED, atol=1e-12) and gain.sel({"to": "a", "from": "b"}) == pytest.approx(0.5)
    for p in (None, 1, 2, "inf"):
        c = dn.certify(model, p)
        assert c.rate == pytest.approx(0.678235, abs=5e-7) and c.check() and c.check(exact=True)
        again = dn.Certificate.from_json(c.to_json())
        assert again == c and again.check() and again.check(exact=True)
    eta = dn.certify(model, "inf").norm.outer.weights
    assert np.allclose(eta / eta[2], [0.255894, 0.676464, 1.0], atol=5e-7)


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1))
def test_what_is_certified_is_true_of_every_jacobian(seed):
    random = np.random.default_rng(seed)
    model = random_system(random)
    c = dn.certify(model)
    gain = model.gain_matrix().values
    off = gain - np.diag(np.diagonal(gain))
    assert (off >= 0).all(), "Metzler"
    for _ in range(8):
        J = model.jacobian(0.0, random.normal(size=model.n) * 2)
        if c.norm is not None:
            assert c.norm.log(J) <= c.osLip + 1e-9
            assert c.norm.induced(J) <= c.lip + 1e-9
    if c:
        assert c.check(exact=True) and dn.Certificate.from_json(c.to_json()).check()
        x0 = random.normal(size=(2, model.n))
        run = dn.simulate(model, x0, 3.0, rtol=1e-9, atol=1e-12, save=13)
        distance = c.norm.length(run.x[0] - run.x[1])
        assert np.all(distance <= distance[0] * np.exp(-c.rate * run.t) * (1 + 1e-6) + 1e-8)
        found = dn.equilibrium(model, certificate=c, tol=1e-8)
        assert found.certified and c.norm.length(found.x - dn.equilibrium(model, tol=1e-11).x) <= found.error + 1e-9
    else:
        assert "Hurwitz" in c.reason or "by itself" in c.reason


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1.0, 2.0, math.inf]), st.sampled_from([1.0, 2.0, math.inf]))
def test_gains_bound_what_blocks_do(seed, p, q):
    random = np.random.default_rng(seed)
    m, k = random.integers(1, 4, 2)
    A = np.where(random.random((m, k)) < 0.7, random.normal(size=(m, k)), 0.0)
    limits = random.random((m, k)) * (random.random() < 0.5)
    source, target = Norm(p, random.random(k) + 0.1), Norm(q, random.random(m) + 0.1)
    bound = gain_bound(sp.csr_array(A), sp.csr_array(limits), source, target)
    blocks = sp.csr_array(A), sp.csr_array(limits)
    assert gain_holds(bound, *blocks, source, target, exact=True)
    largest = 0.0
    for _ in range(200):
        x = random.choice([-1.0, 1.0], k) * (random.random(k) if random.random() < 0.5 else 1.0)
        x = x / (source.weights if random.random() < 0.5 else 1.0)
        moved = (A + random.choice([-1.0, 1.0], (m, k)) * limits) @ x
        largest = max(largest, float(target.length(moved) / source.length(x)))
    assert largest <= bound * (1 + 1e-12)
    if p == q != 2.0:  # attained
        whole = np.abs(A) + limits
        exact = CompositeNorm([(k, source), (m, target)]).gain_matrix(
            np.block([[np.zeros((k, k)), np.zeros((k, m))], [whole, np.zeros((m, m))]]))[1, 0]  # fmt: skip
        assert bound == pytest.approx(exact, rel=1e-9, abs=1e-12)
        if exact:
            assert not gain_holds(exact * (1 - 1e-6), *blocks, source, target)
            assert not gain_holds(exact * (1 - 1e-6), *blocks, source, target, exact=True)


def test_a_gain_between_two_matrices_is_the_singular_value():
    random = np.random.default_rng(3)
    A = random.normal(size=(3, 2))
    P, Q = (M @ M.T + np.eye(len(M)) for M in (random.normal(size=(2, 2)), random.normal(size=(3, 3))))
    bound = gain_bound(sp.csr_array(A), sp.csr_array((3, 2)), Norm(2, P), Norm(2, Q))
    right = np.linalg.norm(np.linalg.cholesky(Q).T @ A @ np.linalg.inv(np.linalg.cholesky(P).T), 2)
    assert bound == pytest.approx(right, rel=1e-6) and bound >= right
    assert gain_holds(bound, sp.csr_array(A), sp.csr_array((3, 2)), Norm(2, P), Norm(2, Q), exact=True)
    assert not gain_holds(right * (1 - 1e-6), sp.csr_array(A), sp.csr_array((3, 2)), Norm(2, P), Norm(2, Q))


def test_forged_claims_are_refused():
    c = dn.certify(worked(), "inf")
    claim = c.claim
    more = replace(claim, links=(claim.links * 1.5).tocsr())
    limits = replace(claim, limits=abs(claim.links) * 0.1)
    quick = replace(claim, parts=(claim.parts[0], dn.certify(scalar(1.9), "inf").claim, *claim.parts[2:]))
    short = replace(claim, parts=claim.parts[:-1])
    own = replace(claim, links=sp.csr_array(claim.links.toarray() + 0.1 * np.eye(3)))
    for forged in (more, limits, quick, short, own):
        for exact in (False, True):
            assert not forged.holds(-c.rate, exact=exact)
    assert claim.holds(-c.rate) and claim.holds(-c.rate, exact=True)
    assert not claim.holds(float(-Fraction(c.rate) - Fraction(1, 10**6)))


def test_what_breaks_an_interconnection_is_named():
    strong = WORKED.copy()
    strong[0, 1], strong[1, 0] = 3.0, 2.0
    c = dn.certify(worked(strong))
    assert not c and "the loop a -> b -> a has gain 2" in c.reason
    lone = dn.interconnect({"good": scalar(1.0), "bad": scalar(-0.5)}, {("good", "bad"): [[0.1]]})
    c = dn.certify(lone)
    assert not c and "part bad is not shown to contract" in c.reason
    assert lone.gain_matrix().sel({"to": "bad", "from": "bad"}) == pytest.approx(0.5)


def test_certificates_of_parts_may_be_given():
    model = worked()
    given = {"a": dn.certify(model.parts["a"], 1)}
    c = model.certificate(given)
    assert c and c.check(exact=True) and c.claim.parts[1].p == 1
    with pytest.raises(ArgumentError, match="did you mean 'a'"):
        model.gain_matrix({"aa": given["a"]})
    with pytest.raises(ArgumentError, match="one of this very"):
        model.gain_matrix({"b": given["a"]})
    with pytest.raises(ArgumentError, match="without weights"):
        dn.certify(model, Norm("inf", [1.0, 2.0, 3.0]))
    assert "not for kind" in dn.certify(model, kind="weak").reason


def test_regions_are_cut_into_those_of_the_parts():
    sis = dn.models.SIS([[0.0, 1.0], [1.0, 0.0]], infection=0.5, recovery=1.0)
    model = dn.interconnect({"town": sis, "lake": scalar(1.0)}, {("town", "lake"): [[0.1, 0.1]]})
    c = dn.certify(model)
    assert c and "town in box [0.0, 1.0]^2" in c.region and "local" in c.region
    inside = dn.certify(model, region=([0, 0, -1], [0.5, 0.5, 1]))
    assert inside and "[0.0, 0.5]^2" in inside.region


def test_gains_of_squares_that_underflow_are_not_proven():
    A, norm = sp.csr_array([[1.8e-162]]), Norm(2, [1e100])
    assert not gain_holds(1.6e-162, A, 0 * A, norm, norm) and not gain_holds(1.6e-162, A, 0 * A, norm, norm, exact=True)


def test_single_precision_is_refused_by_name():
    with pytest.raises(ArgumentError, match="precision"):
        dn.simulate(worked(), np.ones(3), 1.0, save=2, precision="float32")
