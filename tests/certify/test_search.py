"""certify: the worked numbers of the papers, optimality, statuses, and two trajectories that keep what is promised."""

import math
from fractions import Fraction

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet as dn
from dynet.certify.optimal import _symmetric_weights
from dynet.certify.search import structure_of
from dynet.errors import ArgumentError
from dynet.fields.lure import LureField
from dynet.linalg import Norm
from tests import oracles as naive
from tests.certify import oracles

A = np.array([[-1.0, 0.5], [-0.75, 0.25]])
SYMMETRIC = np.array([[0.5, -0.3], [-0.3, 0.2]])


def rate(model, norm=None):
    return dn.certify(model, norm).rate


def test_worked_numbers_of_optimal_weights():
    best = dn.certify(dn.models.FiringRate(A), "inf")
    assert best.rate == pytest.approx(0.5, abs=1e-12) and best.norm.weights[1] / best.norm.weights[0] == pytest.approx(
        3
    )
    assert best.rate <= 0.5 and best.bounds == pytest.approx((-0.5, -0.5), abs=1e-9)
    one = dn.certify(dn.models.FiringRate(A), 1)
    assert one.rate == pytest.approx(0.25, abs=1e-12) and one.norm.weights[1] / one.norm.weights[0] == pytest.approx(1)
    bent = dn.models.Persidskii([[-2.0, 1.0], [0.5, -1.0]], activation="leaky_relu(0.5)")
    found = dn.certify(bent, 1)
    assert found.rate == pytest.approx(0.3169872981, abs=1e-9)
    assert found.norm.weights[1] / found.norm.weights[0] == pytest.approx(2.732051, abs=1e-6)


def test_worked_numbers_without_weights():
    one = np.ones(2)
    firing, hopfield = dn.models.FiringRate(A), dn.models.Hopfield(A)
    values = [rate(firing, Norm("inf", one)), rate(firing, Norm(1, one)), rate(hopfield, Norm(1, one))]
    assert values == [0.0, 0.25, 0.25] and rate(hopfield, Norm("inf", one)) == 0.0
    weak = dn.certify(firing, Norm("inf", one))
    assert weak.kind == "weak" and weak and weak.check() and weak.check(exact=True)


@pytest.mark.parametrize("kind", [dn.models.FiringRate, dn.models.Hopfield])
def test_worked_numbers_of_symmetric_weights(kind):
    found = dn.certify(kind(SYMMETRIC), 2)
    assert found.rate == pytest.approx(0.3145898, abs=1e-7) and found.check() and found.check(exact=True)
    P = np.array([[1.24565162, 0.90648966], [0.90648966, 2.15214128]])
    if kind is dn.models.Hopfield:
        P = np.linalg.inv(P)
    given_P = dn.certify(kind(SYMMETRIC), Norm(2, (P + P.T) / 2))
    assert given_P.rate == pytest.approx(0.3145898, abs=1e-6) and given_P.check() and given_P.check(exact=True)
    searched = _symmetric_weights(structure_of(kind(SYMMETRIC)))
    assert np.allclose(searched, P, atol=1e-7)
    negative = kind(-SYMMETRIC)
    assert dn.certify(kind(SYMMETRIC - np.eye(2)), 2).rate == pytest.approx(1.0, abs=1e-6)
    assert dn.certify(negative, 2).check(exact=True)


@settings(max_examples=30)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 8),
    st.sampled_from(["FiringRate", "Hopfield"]),
    st.sampled_from([0.25, 1, 2]),
)
def test_symmetric_weights_reach_the_rate_of_the_theorem(seed, n, kind, leak):
    S = np.random.default_rng(seed).normal(size=(n, n))
    S = (S + S.T) / 2
    top = np.linalg.eigvalsh(S)[-1]
    S = S - np.eye(n) * max(0.0, top - 0.9 * leak)
    top = np.linalg.eigvalsh(S)[-1]
    model = getattr(dn.models, kind)(S, leak=leak)
    found = dn.certify(model, 2, kind="weak")
    best = leak - max(top, 0.0)
    assert found.rate >= best - 1e-5 * (1 + best) and found.check()


@pytest.mark.parametrize("p", [1, 2, math.inf])
def test_linear_minus_monotone(p):
    matrix = np.array([[-1.0, 0.5], [0.25, -0.5]])
    least = np.linalg.eigvals(matrix).real.max() - 0.3
    found = dn.certify(dn.models.LinearMinusMonotone(matrix, activation="leaky_relu(0.3)"), p)
    assert found.rate == pytest.approx(-least, abs=1e-9) and found.check() and found.check(exact=True)


def test_a_single_nonlinearity_is_exact_at_its_two_ends():
    E, b, k = np.array([[-2.0, 1.0], [0.0, -1.0]]), np.array([[1.0], [0.5]]), np.array([[-1.0, 0.5]])
    field = LureField(E, b, k)
    for p in (1, math.inf):
        eta = np.array([1.0, 0.5])
        expected = max(naive.log_norm(E + d * b @ k, p, eta) for d in (0.0, 1.0))
        found = dn.certify(field, Norm(p, eta), kind="weak")
        assert found.osLip == pytest.approx(expected, abs=1e-14) and "attained" in found.reason
        assert dn.certify(field, p, kind="weak").rate >= found.rate - 1e-12


@settings(max_examples=50)
@given(oracles.fields(largest=4), st.sampled_from([1, math.inf]), st.data())
def test_no_weights_do_better_than_the_lower_bound(model, p, data):
    found = dn.certify(model, p, kind="weak")
    lower, upper = found.bounds
    assert lower <= upper == -found.rate
    structure = structure_of(model)
    if not structure.exact:
        assert lower == -math.inf
        return
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    for eta in [found.norm.weights, *(np.exp(random.normal(0, 2, model.n)) for _ in range(6))]:
        assert Fraction(lower) <= oracles.exact_maximum(model, Norm(p, eta))
    assert upper - lower < 1e-5 * (1 + abs(upper))  # the gap closes


@settings(max_examples=60)
@given(oracles.fields(largest=4), st.sampled_from([None, 1, 2, "inf"]))
def test_no_certificate_is_better_than_enumeration(model, norm):
    found = dn.certify(model, norm, kind="weak")
    if not found:
        assert found.status == "unknown" and not found.check() and found.reason
        return
    assert found.check() and found.check(exact=True) and found.rate >= 0
    if found.norm.p == 2:
        P = np.diag(found.norm.weights) if found.norm.weights.ndim == 1 else found.norm.weights
        assert oracles.exact_l2_holds(model, P, -found.rate)
    else:
        assert oracles.exact_maximum(model, found.norm) <= Fraction(-found.rate)
    if norm is None:
        assert all(
            found.rate >= dn.certify(model, p, kind="weak").rate for p in (1, "inf")
        )  # full P is tried when p = 2 is asked for, or where nothing else contracts


@settings(max_examples=25)
@given(
    oracles.fields(kinds=["FiringRate", "Hopfield", "Persidskii", "LinearMinusMonotone"], sparse=False),
    st.sampled_from([1, 2, "inf"]),
)
def test_sparse_and_dense_couplings_give_one_rate(model, p):
    thin = type(model)(sp.csr_array(model.coupling), **{k: v for k, v in model._arguments.items()})
    a, b = dn.certify(model, p, kind="weak"), dn.certify(thin, p, kind="weak")
    assert a.rate == pytest.approx(b.rate, abs=1e-6) and a.status == b.status or abs(a.rate) < 1e-6


@settings(max_examples=12)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["FiringRate", "Hopfield"]), st.sampled_from([1, 2, "inf"]),
       st.sampled_from(["tanh", "relu", "silu", "sin"]))  # fmt: skip
def test_trajectories_never_separate_faster_than_certified(seed, kind, p, activation):
    random = np.random.default_rng(seed)
    coupling = random.normal(size=(4, 4))
    coupling *= 0.9 / np.abs(coupling).sum(axis=1).max()
    model = getattr(dn.models, kind)(coupling, activation=activation, input=random.normal(size=4))
    found = dn.certify(model, p, kind="weak")
    if found.norm is None or found.claim is None:
        return
    t = np.linspace(0.0, 4.0, 17)
    x = dn.simulate(model, random.normal(0, 2, (2, 4)), t, rtol=1e-10, atol=1e-12).x
    apart = found.norm.length(x[0] - x[1])
    assert np.all(apart <= apart[0] * np.exp(-found.rate * t) * (1 + 1e-6) + 1e-9)  # for a rate of any sign


def test_column_sums_of_a_firing_rate_network_are_called_an_upper_bound():
    """In l1 the maximum over slopes need not be attained by states where the coupling is singular."""
    singular = dn.certify(dn.models.FiringRate([[0.2, 0.2], [0.2, 0.2]]), 1)
    assert singular and "upper bound" in singular.reason and "invertible" in singular.reason
    for model, p in (
        (dn.models.FiringRate(A), "inf"),
        (dn.models.Hopfield(A), 1),
        (dn.models.LinearMinusMonotone(A - np.eye(2)), 1),
    ):
        assert "upper bound" not in dn.certify(model, p).reason


def test_statuses_and_reasons():
    growing = dn.certify(dn.models.FiringRate(5 * np.eye(3)), kind="weak")
    assert not growing and growing.status == "unknown" and growing.kind == "none" and growing.rate == pytest.approx(-4)
    assert "not negative" in growing.reason and not growing.check() and growing.bounds[0] == pytest.approx(4)
    weak = dn.certify(dn.models.Persidskii([[-2.0, 1.0], [1.0, -2.0]]))
    assert weak and weak.kind == "weak" and weak.rate == 0 and weak.verdict() == "weakly contracting"
    strict = dn.certify(dn.models.Persidskii([[-2.0, 1.0], [1.0, -2.0]]), kind="strong")
    assert not strict and "weakly" in strict.reason
    assert dn.certify(dn.models.FiringRate(A), kind="weak")
    unstructured = dn.certify(dn.models.Lorenz(), kind="weak")
    assert not unstructured and unstructured.norm is None and "no bound" in unstructured.reason
    sin = dn.certify(dn.models.FiringRate(A, activation="sin"), Norm(2, np.eye(2)), kind="strong")
    assert sin.claim.kind == "vertices"  # slopes of either sign: no quadratic inequality, but few vertices
    many = dn.certify(dn.models.FiringRate(np.eye(12), activation="sin"), Norm(2, np.eye(12)))
    assert many.status == "unknown" and "no rule" in many.reason


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e-20, 1e20, 1e150, 1e200, 1e300])
@pytest.mark.parametrize("kind", [dn.models.FiringRate, dn.models.Hopfield])
def test_scales_of_time(kind, scale):
    found = dn.certify(kind(A * scale, leak=scale))
    assert found.check() and found.check(exact=True)
    assert found.rate == pytest.approx(0.5 * scale, rel=1e-9)
    assert dn.Certificate.from_json(found.to_json()).check()


def test_degenerate_fields():
    for kind in (dn.models.FiringRate, dn.models.Hopfield):
        for zero in (np.zeros((1, 1)), np.zeros((3, 3)), sp.csr_array((3, 3))):
            found = dn.certify(kind(zero))
            assert found.rate == 1.0 and found.check() and found.check(exact=True)
            assert dn.certify(kind(zero, leak=0.0)).kind == "weak"
    assert dn.certify(dn.models.FiringRate(np.array([[2]]), activation="relu"), "inf").osLip == 1.0
    assert dn.certify(dn.models.FiringRate(np.array([[True, False], [False, True]])), "inf").osLip == 0.0
    chain = dn.certify(dn.models.FiringRate(np.diag(np.full(5, 1e3), -1)))  # reducible: the infimum is not attained
    assert chain and chain.rate > 0.9 and chain.check(exact=True)


def test_real_networks():
    found = dn.certify(dn.models.FiringRate(nx.karate_club_graph(), weight=0.02))
    assert found and found.check() and found.check(exact=True)


def test_a_large_network_is_certified_and_checked():
    n, random = 3_000, np.random.default_rng(0)
    columns = random.integers(0, n, (n, 10))
    values = random.normal(0, 0.12, columns.shape)
    W = sp.csr_array((values.ravel(), (np.repeat(np.arange(n), 10), columns.ravel())), shape=(n, n))
    found = dn.certify(dn.models.FiringRate(W))
    assert found and found.check() and found.bounds[1] - found.bounds[0] < 1e-5


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (dict(model=A), "model="),
        (dict(norm="two"), "p="),
        (dict(norm=3), "p = 1, 2 or inf"),
        (dict(norm=Norm(1, [1.0, 1.0, 1.0])), "2 weights"),
        (dict(norm=Norm("inf", [1e-200, 1.0])), r"norm.weights\[0\].*1e-100"),
        (dict(norm=Norm(1, [1.0, 1e200])), r"norm.weights\[1\]"),
        (dict(kind="stong"), "did you mean 'strong'"),
        (dict(region="box"), "region="),
        (dict(tol=0.0), "tol="),
        (dict(tol=math.nan), "tol="),
        (dict(tol="small"), "tol="),
    ],
)
def test_bad_arguments_are_named(change, word):
    with pytest.raises(ArgumentError, match=word):
        dn.certify(**{"model": dn.models.FiringRate(A), **change})


def test_an_activation_without_slopes_is_refused():
    with pytest.raises(ArgumentError, match="slopes="):
        dn.certify(dn.models.FiringRate(A, activation=dn.Activation("cube", lambda z, a: z**3)))
