"""equilibrium: the bound on the error is never smaller than the error."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dynet as dn
from dynet.errors import ArgumentError, Status


def network(seed, n=5, kind="FiringRate", activation="tanh"):
    random = np.random.default_rng(seed)
    coupling = random.normal(size=(n, n))
    coupling *= 0.8 / np.abs(coupling).sum(axis=1).max()
    return getattr(dn.models, kind)(coupling, activation=activation, input=random.normal(size=n))


def reference(model, x):
    """The equilibrium in extended precision, by the averaged iteration alone."""
    E, F, G = (np.diag(m) if m.ndim == 1 else m for m in (model.E, model.F, model.G))
    u = model.input(0.0)
    B, D = (np.zeros(model.units) if m is None else m * u for m in (model.B, model.D))
    E, F, G, B, D, x = (a.astype(np.longdouble) for a in (E, F, G, B, D, x))
    phi = np.tanh if model.activation.name == "tanh" else lambda z: np.maximum(z, 0)
    for _ in range(4000):
        x = x + 0.4 * (E @ x + F @ phi(G @ x + B) + D)
    return x


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(["FiringRate", "Hopfield"]),
    activation=st.sampled_from(["tanh", "relu"]),
    tol=st.sampled_from([1e-4, 1e-10]),
)
def test_the_error_bound_holds(seed, kind, activation, tol):
    model = network(seed, kind=kind, activation=activation)
    eq = dn.equilibrium(model, tol=tol)
    assert eq.certified and eq.status is Status.OK and eq.error <= tol
    true = reference(model, eq.x)
    assert eq.norm.length(np.asarray(eq.x - true, dtype=float)) <= eq.error


def test_newton_gives_the_same_equilibrium_with_the_same_kind_of_bound():
    model = network(1)
    forward, newton = (dn.equilibrium(model, method=m, tol=1e-11) for m in ("forward", "newton"))
    assert newton.certified and newton.error <= 1e-11 and newton.iterations < 10 < forward.iterations
    assert np.allclose(forward.x, newton.x, atol=2e-11)


def test_the_forward_iteration_keeps_the_promised_pace():
    model = network(2)
    certificate = dn.certify(model)
    _, factor = certificate.step()
    start = certificate.norm.length(model.rhs(0.0, np.zeros(5)))
    eq = dn.equilibrium(model, certificate=certificate, tol=1e-9)
    promised = np.log(start / (certificate.rate * 1e-9)) / -np.log(factor)
    assert eq.iterations <= promised + 16 + 1


def test_batches_of_starts_and_inputs_have_the_bits_of_their_members():
    model = network(3)
    inputs = np.random.default_rng(0).normal(size=(6, 5))
    batch = dn.equilibrium(model, u=inputs)
    assert batch.x.shape == (6, 5) and batch.error.shape == (6,) and all(s.ok for s in batch.status)
    for i in (0, 5):
        alone = dn.equilibrium(model, u=inputs[i])
        assert np.array_equal(alone.x, batch.x[i]) and alone.error == batch.error[i]


def test_a_tolerance_below_rounding_is_a_status_with_the_bound_that_was_reached():
    eq = dn.equilibrium(network(4), tol=1e-18)
    assert eq.status is Status.PRECISION and 1e-18 < eq.error < 1e-12


def test_without_a_certificate_newton_finds_a_root_and_claims_nothing():
    eq = dn.equilibrium(dn.models.Lorenz(), x0=[8.0, 8.0, 25.0])
    assert not eq.certified and np.isnan(eq.error) and eq.method == "newton"
    assert np.allclose(eq.x, [np.sqrt(72), np.sqrt(72), 27.0])


def test_too_few_iterations_is_a_status():
    eq = dn.equilibrium(network(5), method="forward", max_iterations=16)
    assert eq.status is Status.MAX_ITERATIONS and eq.error > 1e-10 and eq.certified


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (dict(tol=0.0), "tol"),
        (dict(tol=np.nan), "tol"),
        (dict(method="nowton"), "did you mean 'newton'"),
        (dict(x0=[1.0]), "x0"),
        (dict(x0=[np.inf] * 5), "x0"),
        (dict(u=dn.Sinusoid(1.0, 1.0)), "constant input"),
        (dict(u=np.ones((2, 4))), "u="),
        (dict(x0=np.ones((3, 5)), u=np.ones((2, 5))), "batch"),
        (dict(certificate="yes"), "certificate"),
        (dict(max_iterations=0), "max_iterations"),
    ],
)
def test_bad_arguments_are_named(change, word):
    with pytest.raises(ArgumentError, match=word):
        dn.equilibrium(network(0), **change)


def test_forward_without_a_certificate_is_refused():
    with pytest.raises(ArgumentError, match="newton"):
        dn.equilibrium(dn.models.Lorenz(), method="forward")
