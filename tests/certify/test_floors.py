"""Lower bounds with witnesses, and claims by the circle criterion: never false in exact arithmetic, refused when forged."""

import dataclasses
import itertools
import json
import math
from fractions import Fraction

import numpy as np
import pytest

import dynet as dn
from dynet.certify.criterion import CriterionClaim
from dynet.certify.files import _digest
from dynet.certify.floors import DualFloor, RowsFloor, SpectrumFloor, spectrum_floor
from dynet.certify.lure import LureStructure
from tests import oracles
from tests.certify import oracles_kinds as naive

A = [[-1.0, 0.5], [-0.75, 0.25]]


def hurwitz(J):
    """Whether all eigenvalues of a matrix of at most three rows are in the open left half-plane: Routh and Hurwitz, exactly."""
    n = len(J)
    trace = sum(J[i][i] for i in range(n))
    if n == 1:
        return J[0][0] < 0
    minors = sum(J[i][i] * J[j][j] - J[i][j] * J[j][i] for i, j in itertools.combinations(range(n), 2))
    if n == 2:
        return trace < 0 < minors
    a, b, c = J
    det = a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0])
    det += a[2] * (b[0] * c[1] - b[1] * c[0])
    return trace < 0 and det < 0 and minors * -trace > -det


def small(random):
    n, m = int(random.integers(1, 4)), int(random.integers(1, 3))
    E, F, G = (random.integers(-2, 3, size).astype(float) for size in ((n, n), (n, m), (m, n)))
    lo, hi = np.sort(random.integers(-1, 2, (2, m)).astype(float), axis=0)
    return LureStructure(E, F, G, lo, hi)


@pytest.mark.parametrize("count", [150, pytest.param(10_000, marks=pytest.mark.slow)])
def test_no_spectrum_floor_is_false(count):
    """Whole numbers: an eigenvalue on the boundary is never taken for one beyond it."""
    random, seen = np.random.default_rng(3), 0
    for _ in range(count):
        s = small(random)
        found = spectrum_floor(s)
        if found is None:
            continue
        b, floor = found
        for value in (b, float(round(b + 1e-6))):
            for exact in (False, True):
                if not floor.holds(value, exact):
                    continue
                seen += 1
                (J,) = naive.matrices(s.E, s.F, s.G, floor.slopes, floor.slopes)
                assert not hurwitz(
                    [[x - Fraction(value) * (i == j) for j, x in enumerate(row)] for i, row in enumerate(J)]
                )
    assert seen > count


@pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=pytest.mark.slow)])
def test_no_floor_of_rows_and_no_criterion_is_false(count):
    random, seen = np.random.default_rng(4), [0, 0]
    for _ in range(count):
        n = int(random.integers(1, 4))
        W, leak = random.integers(-2, 3, (n, n)).astype(float), -random.integers(0, 3, n).astype(float)
        parts = (leak, np.ones(n), W) if random.random() < 0.5 else (leak, W, np.ones(n))
        s = LureStructure(*parts, np.zeros(n), np.ones(n))
        p, v = random.choice([1.0, math.inf]), random.integers(0, 3, n).astype(float)
        b = float(random.integers(-3, 3))
        family = list(naive.matrices(*(np.diag(m) if m.ndim == 1 else m for m in parts), s.lo, s.hi))
        eta = random.choice([1.0, 2.0, 5.0], n)
        for exact in (False, True):
            if RowsFloor(s, p, v).holds(b, exact):
                seen[0] += 1
                assert max(naive.log_norm(J, p, eta) for J in family) >= b
        P = np.diag(random.choice([1.0, 2.0], n)) + (0.5 if n > 1 else 0.0)
        claim = CriterionClaim(s, P, random.choice([0.5, 1.0, 2.0], n))
        for exact in (False, True):
            if claim.holds(b, exact):
                seen[1] += 1
                for J in family:
                    Q = np.array([[float(x) for x in row] for row in J])
                    Q = P @ Q + Q.T @ P - 2 * b * P  # whole numbers and halves: exact
                    assert np.linalg.eigvalsh(Q)[-1] <= 1e-9
    assert min(seen) > count / 20


def test_worked_two_sided_bounds():
    """Both bounds in l2 are proven and agree; in l-inf they are those of the row rule."""
    net = dn.models.FiringRate(A)
    two = dn.certify(net, 2)
    assert two.rate == pytest.approx(0.742640, abs=2e-6)
    assert two.bounds[1] - two.bounds[0] < 2e-6
    assert two.floor.kind == "dual" and two.check_lower() and two.check_lower(exact=True)
    assert "no P does better" in str(two)
    inf = dn.certify(net, "inf")
    assert inf.rate == pytest.approx(0.5) and inf.check_lower(exact=True) and inf.floor.kind == "rows"
    bent = dn.Activation("g", lambda z, a: -z, lambda z, a: -1 + 0 * z, (-8 / 7, -5 / 7))
    E = np.array([[-15.6, 15.6, 0], [1, -1, 1], [0, -28, 0]])
    chua = dn.models.Lure(E=E, F=[[-15.6], [0], [0]], G=[[1.0, 0, 0]], activation=bent)
    found = dn.certify(chua, 2)
    assert -found.rate == pytest.approx(3.47308, abs=1e-4) and found.bounds[0] == pytest.approx(3.47308, abs=1e-4)
    assert found.floor.kind == "spectrum" and found.check_lower(exact=True)


def test_a_full_matrix_where_no_diagonal_one_contracts():
    """A rotation with many units: only the circle criterion finds a norm."""
    n = 8
    W = 0.8 * (np.eye(n, k=1) - np.eye(n, k=-1)) - 0.2 * np.eye(n)
    net = dn.models.FiringRate(W)
    found = dn.certify(net)
    assert found.kind == "strong" and found.claim.kind == "criterion" and found.check() and found.check(exact=True)
    again = dn.Certificate.from_json(found.to_json())
    assert again == found and again.check(exact=True) and "circle criterion" in found.explain()
    E, F, G, lo, hi = (x for x in (-np.eye(n), np.eye(n), W, np.zeros(n), np.ones(n)))
    P = found.claim.P
    for d in oracles.slope_corners(lo, hi):
        J = E + (F * np.array(d, dtype=float)) @ G
        assert np.linalg.eigvalsh(P @ J + J.T @ P + 2 * found.rate * P)[-1] <= 1e-9
    assert found.lip >= max(float(found.norm.induced(E + (F * d) @ G)) for d in (lo, hi))


def test_forged_floors_are_refused():
    cert = dn.certify(dn.models.FiringRate(A), 2)
    worse = dataclasses.replace(cert, bounds=(cert.bounds[1], cert.bounds[1]))
    assert not worse.check_lower() and not worse.check_lower(exact=True) and worse.check()
    assert worse.parts()["lower bound"] == "FAILED"
    floor, s = cert.floor, cert.claim.structure
    other = dn.certify(dn.models.FiringRate(A), "inf")  # a bound for l2 says nothing of l-inf
    assert other.check_lower() and not dataclasses.replace(other, floor=floor).check_lower()
    assert not dataclasses.replace(cert, floor=other.floor).check_lower()
    better = dn.certify(dn.models.FiringRate(np.array(A) - 1.0), 2)  # nor that of another field of this one
    assert not dataclasses.replace(better, floor=floor, bounds=(cert.bounds[0], math.inf)).check_lower()
    lower = cert.bounds[0]
    for fake in (
        DualFloor(s, floor.slopes + 2.0, floor.Z),
        DualFloor(s, floor.slopes, -floor.Z),
        DualFloor(s, floor.slopes, floor.Z * np.nan),
        DualFloor(s, floor.slopes, floor.Z[:, :1]),
        DualFloor(s, floor.slopes[:0], floor.Z[:0]),
        DualFloor(s, floor.slopes.astype(int), floor.Z),
        SpectrumFloor(s, floor.slopes[0], -np.eye(2), np.ones(2)),
        SpectrumFloor(s, floor.slopes[0], np.eye(2), np.zeros(2)),
        SpectrumFloor(s, floor.slopes[0], np.full((2, 2), np.inf), np.ones(2)),
        RowsFloor(s, math.inf, np.zeros(2)),
        RowsFloor(s, math.inf, -np.ones(2)),
        RowsFloor(s, math.inf, np.array([np.inf, 1.0])),
        RowsFloor(s, 2.0, np.ones(2)),
    ):
        assert not fake.holds(lower + 0.2) and not fake.holds(lower + 0.2, exact=True)
    assert not floor.holds(math.nan) and not floor.holds(-math.inf) and not floor.holds(math.inf)


def test_files_carry_the_floor_and_notice_changes():
    cert = dn.certify(dn.models.FiringRate(A), "inf")
    body = json.loads(cert.to_json())
    body["bounds"][0] = (cert.bounds[1]).hex()
    body["digest"] = _digest({k: v for k, v in body.items() if k != "digest"})
    forged = dn.Certificate.from_json(json.dumps(body))
    assert forged.check() and not forged.check_lower(exact=True)
    for change in ({"kind": "magic"}, {"witness": {}}, {"extra": 1}, {"witness": {"v": None}}):
        body = json.loads(cert.to_json())
        body["floor"] |= change
        body["digest"] = _digest({k: v for k, v in body.items() if k != "digest"})
        try:
            found = dn.Certificate.from_json(json.dumps(body))
        except dn.errors.CertificateError:
            continue
        assert not found.check_lower() and not found.check_lower(exact=True)


def test_bad_criteria_are_refused():
    s = LureStructure(np.array([-1.0, -1.0]), np.ones(2), np.zeros((2, 2)), np.zeros(2), np.ones(2))
    good = CriterionClaim(s, np.eye(2), np.ones(2))
    assert good.holds(-0.5) and good.holds(-0.5, exact=True) and not good.holds(-1.5) and not good.holds(math.nan)
    for P, multipliers in (
        (-np.eye(2), np.ones(2)),
        (np.eye(2), np.zeros(2)),
        (np.eye(2), -np.ones(2)),
        (np.eye(2), np.ones(3)),
        (np.eye(3), np.ones(2)),
        (np.eye(2) * np.nan, np.ones(2)),
        (np.eye(2, dtype=int), np.ones(2)),
        (np.array([[1.0, 0.5], [0.0, 1.0]]), np.ones(2)),
    ):
        claim = CriterionClaim(s, P, multipliers)
        assert not claim.holds(-0.1) and not claim.holds(-0.1, exact=True)
