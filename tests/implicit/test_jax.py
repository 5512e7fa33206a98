"""The bridge to JAX: gradients against differences and against the core, under jit and vmap, in both precisions."""

import numpy as np
import pytest

import dynet as dn
from dynet.errors import ArgumentError

jax = pytest.importorskip("jax", reason="JAX is not installed: the extra jax")
bridge = pytest.importorskip("dynet.implicit.jax")
jnp = jax.numpy


@pytest.fixture
def double():
    with jax.enable_x64(True):
        yield


def arrays(n=4, m=3, batch=5, seed=0):
    net = dn.ImplicitNetwork.random(m, n, 2, gamma=0.7, seed=seed)
    U = np.random.default_rng(seed).normal(size=(batch, m))
    return net, [jnp.asarray(np.array(v)) for v in (U, net.A, net.B, net.b)]


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_gradients_of_the_fixed_point_are_those_of_differences(double, activation):
    from jax.test_util import check_grads

    _, given = arrays()
    call = jax.jit(lambda *v: bridge.fixed_point(*v, activation=activation, tol=1e-13))
    check_grads(call, given, order=1, modes=["rev"], atol=1e-6, rtol=1e-6)


def test_gradients_through_the_parametrisation_are_those_of_differences(double):
    from jax.test_util import check_grads

    params = bridge.init(3, 4, 2, seed=1)
    U = jnp.asarray(np.random.default_rng(0).normal(size=(5, 3)))
    assert params["T"].dtype == np.float64
    check_grads(lambda p, U: bridge.apply(p, U, tol=1e-13), (params, U), order=1, modes=["rev"], atol=1e-6, rtol=1e-6)


def test_a_euclidean_family_has_exact_gradients(double):
    from jax.test_util import check_grads

    family = dn.implicit.Two(0.6)
    params, U = bridge.init(2, 3, 1, family, seed=3), jnp.asarray(np.random.default_rng(0).normal(size=(3, 2)))
    check_grads(
        lambda p: bridge.apply(p, U, family, tol=1e-12), (params,), order=1, modes=["rev"], atol=1e-5, rtol=1e-5
    )
    assert bridge.network(params, family).well_posed


def test_states_and_gradients_are_those_of_the_core(double):
    net, (U, A, B, b) = arrays(n=7)
    dY = np.random.default_rng(1).normal(size=(5, 2))
    states = net.solve(np.array(U)).x
    for compiled in (lambda f: f, jax.jit):
        x, pull = jax.vjp(compiled(lambda *v: bridge.fixed_point(*v, weights=net.weights)), U, A, B, b)
        assert np.allclose(x, states, atol=1e-9)
        core = dn.implicit.gradients(net, np.array(U), states, dY)
        for value, name in zip(pull(dY @ np.array(net.C)), "UABb", strict=True):
            assert np.allclose(value, getattr(core, name), atol=1e-8), name


def test_vmap_is_one_batch_after_the_other(double):
    _, (U, A, B, b) = arrays(batch=6)
    split = jax.vmap(lambda u: bridge.fixed_point(u, A, B, b))(U.reshape(2, 3, 3))
    assert np.array_equal(split.reshape(6, 4), bridge.fixed_point(U, A, B, b))


def test_single_precision_and_training_under_jit():
    rng = np.random.default_rng(0)
    U = jnp.asarray(rng.uniform(-1, 1, (200, 2)), jnp.float32)
    labels = (U[:, 0] * U[:, 1] > 0).astype(int)
    family = dn.implicit.WeightedInf(0.9)
    params = bridge.init(2, 12, 2, family, seed=0)

    def loss(params):
        logits = bridge.apply(params, U, family)
        return jnp.mean(jax.nn.logsumexp(logits, axis=1) - jnp.take_along_axis(logits, labels[:, None], 1)[:, 0])

    step = jax.jit(jax.value_and_grad(loss))
    first = None
    for _ in range(150):
        value, slopes = step(params)
        first = value if first is None else first
        params = jax.tree.map(lambda p, g: p - 0.5 * g, params, slopes)
    assert all(v.dtype == np.float32 for v in params.values()) and value < 0.6 * first
    net = bridge.network(params, family)
    assert net.mu <= 0.9 and np.allclose(net(np.array(U)), bridge.apply(params, U, family), atol=1e-3)


def test_a_large_batch_passes_through_a_compiled_function():
    # callbacks that convert large arrays have been known to wait for themselves
    net = dn.ImplicitNetwork.random(50, 60, 2, gamma=0.5, seed=0)
    U, A, B, b = (jnp.asarray(np.array(v), jnp.float32) for v in (np.ones((5000, 50)), net.A, net.B, net.b))
    total = jax.jit(jax.grad(lambda A: bridge.fixed_point(jnp.sin(U), A, B, b).sum()))(A)
    assert np.isfinite(total).all()


def test_ill_posed_is_nan_and_what_does_not_fit_is_named(double):
    _, (U, A, B, b) = arrays()
    assert np.isnan(bridge.fixed_point(U, A + 5 * jnp.eye(4), B, b)).all()
    slope = jax.grad(lambda A: bridge.fixed_point(U, A, B, b).sum())(A + 5 * jnp.eye(4))
    assert np.isnan(slope).all()
    for given, name in (((U[:, :2], A, B, b), "U"), ((U, A[:3], B, b), "A|U"), ((U, A, B, b[:2]), "b")):
        with pytest.raises(ArgumentError, match=name):
            bridge.fixed_point(*given)
    with pytest.raises(ArgumentError, match="float32"):
        bridge.fixed_point(U.astype(jnp.float32), A, B, b)
