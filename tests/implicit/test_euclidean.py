"""Networks that only the Euclidean norm proves: their states, bounds and gradients."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from implicit.oracles import dense_gradients, exact_relu, rational

import dynet as dn
from dynet.errors import ArgumentError, Status
from dynet.implicit import adjoint, wellposed
from dynet.implicit.parametrize import Two
from dynet.linalg.rigorous import is_positive_definite_exact


def network(seed, n, gamma=0.5, scale=3.0, activation="relu"):
    random = np.random.default_rng(seed)
    family = Two(gamma)
    params = {name: scale * value for name, value in family.init(n, random).items()}
    A, weights = family.build(params)
    return dn.ImplicitNetwork(A, random.normal(size=(n, 2)), random.normal(size=(2, n)), random.normal(size=n),
                              activation=activation, weights=weights)  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 5),
    gamma=st.floats(-2, 0.99),
    dtype=st.sampled_from([float, np.float32]),
)
def test_the_log_norm_is_at_most_gamma_exactly(seed, n, gamma, dtype):
    family = Two(gamma)
    A, _ = family.build({k: (3 * v).astype(dtype) for k, v in family.init(n, seed).items()})
    rows = rational(A)
    bound = Fraction(gamma) + Fraction(2) ** -60  # dyadic, and definite by more than nothing
    gap = [[(bound if i == j else 0) - (rows[i][j] + rows[j][i]) / 2 for j in range(n)] for i in range(n)]
    assert is_positive_definite_exact(gap)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 5), gamma=st.floats(-0.5, 0.9), tol=st.sampled_from([1e-3, 1e-8]))
def test_the_error_bounds_the_distance_from_the_exact_state(seed, n, gamma, tol):
    net = network(seed, n, gamma)
    U = np.random.default_rng(seed).normal(size=(2, 2))
    found = net.solve(U, tol)
    assert found.certified and found.norm.p in (2, np.inf)
    A, B, b = rational(net.A), rational(net.B), [Fraction(float(v)) for v in net.b]
    for r in range(2):
        u = [Fraction(float(v)) for v in U[r]]
        exact = exact_relu(A, [sum(B[i][k] * u[k] for k in range(2)) + b[i] for i in range(n)])
        gap = found.x[r] - np.array([float(e) for e in exact])
        assert found.norm.length(gap) <= found.error[r] + 1e-14 * np.abs(found.x[r]).max()
        assert found.status[r] is Status.OK and found.error[r] <= tol


def test_a_network_that_no_weights_prove():
    net = network(0, 8, 0.5, 4.0)
    assert not net.boxed and net.well_posed and net.norm == dn.Norm(2) and net.mu <= 0.5 + 1e-6
    assert np.linalg.eigvalsh((net.A + net.A.T) / 2)[-1] <= net.mu
    U = np.random.default_rng(1).normal(size=(5, 2))
    found = net.solve(U, 1e-9)
    assert found.method == "peaceman-rachford" and np.array_equal(net.solve(U[2], 1e-9).x, found.x[2])
    for method in ("douglas-rachford", "newton"):
        other = net.solve(U, 1e-9, method=method)
        assert np.linalg.norm(other.x - found.x, axis=1).max() <= (other.error + found.error).max()
    with pytest.raises(ArgumentError, match="maximum norm"):
        net.solve(U, method="averaged")
    assert np.isinf(net.gain()).all() and net.lipschitz() == np.inf
    assert not net.certify(U, np.zeros(5, int), 0.01).any() and np.isinf(net.bounds(U[0], U[0])[0]).all()
    V = U + 0.1 * np.random.default_rng(2).normal(size=U.shape)
    moved = np.linalg.norm(net(U) - net(V), axis=1)
    assert (moved <= net.lipschitz(2) * np.linalg.norm(U - V, axis=1)).all()
    dY = np.ones((5, 2))
    gradients = adjoint.gradients(net, U, found.x, dY)
    assert gradients.exact
    for name, value in dense_gradients(net, U, found.x, dY).items():
        assert np.allclose(getattr(gradients, name), value, rtol=1e-9, atol=1e-11)


def test_factorised_and_swept_adjoints_agree():
    net = dn.ImplicitNetwork.random(2, 12, 2, gamma=0.8, seed=3)
    U, dY = np.ones((3, 2)), np.ones((3, 2))
    one, other = (adjoint.gradients(net, U, net.solve(U).x, dY, method=m) for m in ("sweep", "lu"))
    assert one.exact and other.exact and np.allclose(one.A, other.A, atol=1e-9)


def test_the_proof_refuses_what_is_not_strongly_monotone():
    assert wellposed.quadratic(np.eye(3), (0.0, 1.0)) is None
    assert wellposed.quadratic(np.zeros((3, 3)), (-0.1, 1.0)) is None
    singular = np.array([[1.0, 1.0], [-1.0, 0.0]])  # log norm 1 exactly
    assert wellposed.quadratic(singular, (0.0, 1.0)) is None


def test_the_pull_equals_finite_differences():
    family = Two(0.3)
    start, random = family.init(5, 0), np.random.default_rng(0)
    dA, step = random.normal(size=(5, 5)), 1e-6
    found = family.pull(start, dA)
    for name, array in start.items():
        change = random.normal(size=array.shape)
        ends = [np.sum(dA * family.build({**start, name: array + s * step * change})[0]) for s in (1, -1)]
        assert np.isclose((ends[0] - ends[1]) / (2 * step), np.sum(change * found[name]), rtol=1e-6)
