"""equilibrium: the bound on the error is never smaller than the error."""

import sys
from dataclasses import replace

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


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    norm=st.sampled_from([1, 2, "inf", "diagonal", "full"]),
    method=st.sampled_from(["forward", "anderson", "newton"]),
)
def test_the_error_bound_holds_in_every_norm(seed, norm, method):
    random = np.random.default_rng(seed)
    S = random.normal(size=(4, 4))
    S = (S + S.T) / 2 * 0.3
    S -= np.eye(4) * max(0.0, np.linalg.eigvalsh(S)[-1] - 0.6)
    model = dn.models.FiringRate(S, input=random.normal(size=4))
    if norm == "full":  # optimal for symmetric weights
        norm = dn.certify(model, 2).norm
    elif norm == "diagonal":
        norm = dn.Norm(2, random.uniform(0.9, 1.0, 4))
    certificate = dn.certify(model, norm)
    if not (certificate.contracting and certificate.rate > 1e-3):
        return
    eq = dn.equilibrium(model, certificate=certificate, tol=1e-9, method=method)
    assert eq.certified and eq.norm == certificate.norm and eq.error <= 1e-9 and eq.status is Status.OK
    assert eq.norm.length(np.asarray(eq.x - reference(model, eq.x), dtype=float)) <= eq.error


def test_the_error_bound_holds_against_fifty_digits():
    """The extended precision of some machines is that of a double; balls of fifty digits are what they say."""
    flint = pytest.importorskip("flint")
    before, flint.ctx.dps = flint.ctx.dps, 50
    try:
        for seed in range(3):
            model = network(seed, n=3)
            eq = dn.equilibrium(model, tol=1e-12)
            A, u = ([[flint.arb(v) for v in row] for row in m] for m in (model.G.tolist(), [model.input(0.0).tolist()]))
            x = [flint.arb(v) for v in eq.x.tolist()]
            for _ in range(600):  # averaged, as the certificate is in a norm of rows or columns
                z = [sum(a * v for a, v in zip(row, x, strict=True)) + w for row, w in zip(A, u[0], strict=True)]
                x = [(v + w.tanh()) / 2 for v, w in zip(x, z, strict=True)]
            assert max(v.rad() for v in x) < 1e-40 and eq.norm.p in (1, np.inf)
            weights = [flint.arb(w) for w in eq.norm.weights.tolist()]
            apart = [abs(v - flint.arb(w)) for v, w in zip(x, eq.x.tolist(), strict=True)]
            if eq.norm.p == 1:
                assert sum(d * w for d, w in zip(apart, weights, strict=True)) <= flint.arb(eq.error)
            else:
                assert all(d / w <= flint.arb(eq.error) for d, w in zip(apart, weights, strict=True))
    finally:
        flint.ctx.dps = before


def test_the_iteration_stops_where_the_residual_proves_the_tolerance():
    model = network(6)
    certificate = dn.certify(model)
    for tol in (1e-2, 1e-5, 1e-8):
        eq = dn.equilibrium(model, certificate=certificate, tol=tol)
        goal = certificate.rate * tol
        assert certificate.norm.length(model.rhs(0.0, eq.x)) <= eq.residual * (1 + 1e-12) <= goal * (1 + 1e-11)
        assert eq.error == pytest.approx(eq.residual / certificate.rate, rel=1e-9)
        if eq.iterations:  # and not much later: sixteen steps before it did not
            alpha, _ = certificate.step()
            x = np.zeros(5)
            for _ in range(eq.iterations - 16):
                x = x + alpha * model.rhs(0.0, x)
            assert certificate.norm.length(model.rhs(0.0, x)) > goal * (1 - 1e-9)


def test_a_certificate_of_another_model_or_a_false_one_is_refused():
    model = network(7)
    certificate = dn.certify(model)
    back = dn.Certificate.from_json(certificate.to_json())
    assert dn.equilibrium(model, certificate=back).certified
    for other in (
        network(8),
        network(7, n=4),
        network(7, kind="Hopfield"),
        network(7).replace(weight=2.0),
        dn.models.Lorenz(),
    ):
        with pytest.raises(ArgumentError, match="certificate=.*is about"):
            dn.equilibrium(other, certificate=certificate)
    steeper = network(7).replace(activation=dn.Activation("steep", np.tanh, slopes=(0.0, 1.5)))
    with pytest.raises(ArgumentError, match="certificate="):
        dn.equilibrium(steeper, certificate=certificate)
    assert dn.equilibrium(network(7).replace(activation="logistic"), certificate=certificate).certified
    with pytest.raises(ArgumentError, match="passes its check"):
        dn.equilibrium(model, certificate=replace(certificate, rate=2 * certificate.rate))


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


def test_functions_have_certified_equilibria_on_the_whole_space_and_on_invariant_regions():
    pytest.importorskip("flint", reason="enclosures of elementary functions need the extra 'exact'")

    @dn.vector_field(n=2, params={"beta": 1.5})
    def epidemic(t, x, p, dx):
        for i in range(2):
            dx[i] = p.beta * (1.0 - x[i]) * x[1 - i] - x[i]

    cert = dn.certify(epidemic, "inf", region=([0.2, 0.2], 1.0))
    assert cert and "invariant" in cert.region
    rest = dn.equilibrium(epidemic, certificate=cert)
    assert rest.certified and rest.x == pytest.approx([1 / 3, 1 / 3], abs=1e-10)
    assert cert.norm.length(rest.x - 1 / 3) <= rest.error <= 1e-9
    away = dn.equilibrium(epidemic, x0=[-0.1, -0.1], certificate=cert)  # Newton finds the healthy state
    assert not away.certified and np.isnan(away.error)
    local = dn.certify(epidemic, "inf", region=([0.3, 0.3], 0.32))
    with pytest.raises(ArgumentError, match="invariant"):
        dn.equilibrium(epidemic, certificate=local)

    @dn.vector_field(n=1)
    def scalar(t, x, p, dx):
        dx[0] = 1.0 - 2.0 * x[0] + np.tanh(x[0])

    rest = dn.equilibrium(scalar)
    assert rest.certified and rest.error <= 1e-10 and abs(scalar.rhs(0.0, rest.x)[0]) < 1e-9


def test_a_function_that_varies_in_time_has_no_equilibrium():
    pytest.importorskip("flint", reason="enclosures of elementary functions need the extra 'exact'")

    @dn.vector_field(n=1)
    def driven(t, x, p, dx):
        dx[0] = -x[0] + np.sin(t)

    with pytest.raises(ArgumentError, match="autonomous"):
        dn.equilibrium(driven)


def test_without_ball_arithmetic_a_function_still_has_an_equilibrium(monkeypatch):
    @dn.vector_field(n=1)
    def scalar(t, x, p, dx):
        dx[0] = 1.0 - 2.0 * x[0] + np.tanh(x[0])

    monkeypatch.setitem(sys.modules, "flint", None)
    rest = dn.equilibrium(scalar)
    assert rest.status.ok and not rest.certified and rest.method == "newton"
