"""Certificates of synchronisation: worked numbers, files, trajectories, and graphs and matrices that try to pass."""

import dataclasses
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

import dynet as dn
from dynet import Norm
from dynet.certify.lure import LureStructure
from dynet.certify.synchronise import synchronisation
from dynet.certify.synchrony import ErgodicClaim, SpectralClaim, SynchronyStructure, exceeds
from dynet.errors import ArgumentError
from dynet.linalg.rigorous import is_positive_semidefinite_exact

RING = np.roll(np.eye(5), 1, axis=1) + np.roll(np.eye(5), -1, axis=1)
THOMAS = dn.models.Lure(E=-0.2 * np.eye(3), F=np.eye(3), G=np.roll(np.eye(3), 1, axis=1), activation="sin")


def test_both_conditions_give_certificates_that_survive_their_file():
    spectral = synchronisation(2.0 * RING, THOMAS, Norm(2))
    ergodic = synchronisation(np.ones((4, 4)), THOMAS, Norm("inf"))
    inner = synchronisation(2.0 * RING, THOMAS, Norm(2), inner=np.eye(3))
    assert (spectral.condition, ergodic.condition) == ("spectral", "ergodic")
    assert ergodic.rate == pytest.approx(4.0 - 0.8, abs=1e-9)
    assert inner.rate == pytest.approx(spectral.rate, abs=1e-6)
    for found in (spectral, ergodic, inner):
        cert = found.certificate
        assert cert.kind == "semi" and cert.rate == pytest.approx(found.rate, abs=1e-9) and cert.check()
        again = dn.Certificate.from_json(cert.to_json())
        assert again == cert and again.check() and again.check(exact=True)
        assert "systems" in str(cert) and "IEEE TAC 67(3)" in cert.explain()
        assert not dataclasses.replace(cert, rate=cert.rate + 1e-3, bounds=(-math.inf, -cert.rate - 1e-3)).check()
    assert synchronisation(0.01 * RING, THOMAS, Norm(2)).certificate is None


def test_the_seminorm_decays_as_certified():
    """Two integrations of five coupled systems: the distance to consensus under its bound."""
    cert = synchronisation(2.0 * RING, THOMAS, Norm(2)).certificate
    L = np.diag(2.0 * RING.sum(axis=1)) - 2.0 * RING
    x = np.random.default_rng(0).normal(size=(5, 3))
    start, h = cert.norm.length(x.ravel()), 1e-3
    for k in range(1, 2001):
        f = np.array([THOMAS.rhs(0.0, row) for row in x]) - L @ x
        half = x + h / 2 * f
        x = x + h * (np.array([THOMAS.rhs(0.0, row) for row in half]) - L @ half)
        if k % 400 == 0:
            assert cert.norm.length(x.ravel()) <= start * math.exp(-cert.rate * k * h) * (1 + 1e-4)


def test_an_inner_coupling_that_is_monotone_to_within_rounding_only_is_refused():
    inner = np.array([[1.0, 1.0, 0.0], [-1.0, 1e-17, 0.0], [0.0, 0.0, 1.0]])
    assert synchronisation(RING, THOMAS, Norm(2), inner=inner).condition == "spectral"
    inner[1, 1] = -1e-17
    with pytest.raises(ArgumentError, match="inner"):
        synchronisation(RING, THOMAS, Norm(2), inner=inner)
    s = SynchronyStructure(dn.certify(THOMAS, 2).claim.structure, RING, inner)
    assert not SpectralClaim(s, np.eye(3), np.array([0.1])).holds(100.0)


def test_semidefinite_by_elimination():
    random = np.random.default_rng(1)
    for _ in range(300):
        n = int(random.integers(1, 4))
        B = random.integers(-2, 3, (n, int(random.integers(1, 4)))).astype(float)
        Q = B @ B.T - (random.random() < 0.5) * np.diag(random.integers(0, 2, n))
        exact = [[Fraction(float(v)) for v in row] for row in Q]
        minors = all(
            round(np.linalg.det(Q[np.ix_(s, s)])) >= 0
            for k in range(1, n + 1)
            for s in itertools.combinations(range(n), k)
        )
        assert is_positive_semidefinite_exact(exact) == minors


@pytest.mark.parametrize("exact", [False, True])
def test_no_connectivity_is_overstated(exact):
    """Whole weights with whole eigenvalues: the complete graph has n, and exactly n is not proven by strict definiteness."""
    for n in (2, 3, 4):
        W = np.ones((n, n))
        assert (
            exceeds(W, n - 1e-6, exact) and not exceeds(W, n + 1e-12, exact) and not exceeds(W, math.inf, exact=False)
        )
    parts = np.zeros((4, 4))
    parts[0, 1] = parts[1, 0] = parts[2, 3] = parts[3, 2] = 1.0
    assert not exceeds(parts, 1e-12, exact) and exceeds(parts, 0.0, exact) and not exceeds(np.triu(RING), 0.1, exact)


def test_forged_claims_are_refused():
    base = LureStructure(np.array([-1.0, -1.0]), np.ones(2), np.zeros((2, 2)), np.zeros(2), np.ones(2))
    good = SynchronyStructure(base, np.ones((3, 3)), np.eye(2))
    exactly = ErgodicClaim(good, math.inf, np.ones(2), np.array([-1.0]))
    assert (
        exactly.holds(-4.0 + 1e-12) and exactly.holds(-4.0, exact=True) and not exactly.holds(-4.0 - 1e-12, exact=True)
    )
    assert not ErgodicClaim(good, math.inf, np.ones(2), np.array([-1.5])).holds(-4.0)  # one system has -1
    assert SpectralClaim(good, np.eye(2), np.array([2.9])).holds(-3.8)
    for W in (
        -np.ones((3, 3)),
        np.full((3, 3), np.nan),
        np.ones((3, 2)),
        np.ones((1, 1)),
        np.full((3, 3), np.inf),
        np.ones((3, 3), int),
    ):
        bad = SynchronyStructure(base, W, np.eye(2))
        for exact in (False, True):
            assert not ErgodicClaim(bad, math.inf, np.ones(2), np.array([-1.0])).holds(5.0, exact)
            assert not SpectralClaim(bad, np.eye(2), np.array([0.0])).holds(5.0, exact)
    for P, s in ((-np.eye(2), 2.9), (np.eye(2), 3.1), (np.eye(2), -1.0), (np.eye(2), math.nan), (np.eye(3), 2.9)):
        assert not SpectralClaim(good, P, np.array([s])).holds(-0.5)
    skew = SynchronyStructure(base, np.ones((3, 3)), np.array([[0.0, 2.0], [0.0, 0.0]]))
    assert not SpectralClaim(skew, np.eye(2), np.array([2.9])).holds(5.0)
    assert not ErgodicClaim(skew, math.inf, np.ones(2), np.array([-1.0])).holds(-4.0)


@pytest.mark.parametrize("norm", ["inf", 2])
def test_a_local_certificate_of_one_system_stays_local(norm):
    bistable = dn.models.FiringRate([[3.0]])  # two of them rest at different states, unless both are far out
    one = dn.certify(bistable, norm, region=([2.0], [4.0]))
    found = synchronisation([[0.0, 0.01], [0.01, 0.0]], one)
    assert found and found.certificate.check() and found.certificate.region.startswith("each system in box [2.0, 4.0]")
    assert "box [2.0, 4.0]" in found.reason
