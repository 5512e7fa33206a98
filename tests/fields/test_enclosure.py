"""Enclosures of Lur'e fields, inputs and activations against their values at points."""

import numpy as np
import pytest
from scipy.sparse import csr_array

import dynet as dn
from dynet.fields import activation as activations
from dynet.fields.enclosure import enclose, input_bounds, unit_bounds
from dynet.fields.taylor import series_rhs
from dynet.linalg.series import Series, ball, working_precision

pytest.importorskip("flint", reason="enclosures of elementary functions need the extra 'exact'")


@pytest.mark.parametrize("activation", activations.names() + ["leaky_relu(-0.5)", "leaky_relu(2.0)"])
def test_every_activation_is_enclosed_and_has_a_series(activation):
    rng = np.random.default_rng(0)
    net = dn.models.Lure(E=rng.normal(size=3), F=rng.normal(size=(3, 2)), G=rng.normal(size=(2, 3)), activation=activation,
                         g=[0.3, -0.2], h=0.5)  # fmt: skip
    lo = rng.normal(size=(10, 3))
    hi = lo + rng.choice([0.0, 0.1, 3.0], (10, 3))
    found = enclose(net, lo, hi)
    assert not found.failed.any()
    for s in rng.random((50, 1, 3)):
        value = net.rhs(0.0, lo + s * (hi - lo))
        assert np.all(found.lo <= value + 1e-12) and np.all(value - 1e-12 <= found.hi)
    points = enclose(net, lo, lo)
    assert np.all(points.hi - points.lo <= 1e-13)
    with working_precision():
        series = series_rhs(net)(Series([0.0]), [Series([v, 1.0]) for v in lo[0].tolist()])
        wide = series_rhs(net)(Series([0.0]), [Series([ball(v, v)]) for v in lo[0].tolist()])
    assert [float(s.coefficients()[0].mid()) for s in series] == pytest.approx(net.rhs(0.0, lo[0]).tolist(), abs=1e-12)
    slope = net.jacobian(0.0, lo[0]).sum(axis=1)
    assert [float(s.coefficients()[1].mid()) for s in series] == pytest.approx(slope.tolist(), abs=1e-10)
    assert len(wide) == 3


@pytest.mark.parametrize("kind", ["diagonal", "dense", "large", "sparse"])
def test_products_with_every_kind_of_matrix(kind):
    rng = np.random.default_rng(1)
    n = 40 if kind in ("large", "sparse") else 4
    G = rng.normal(size=n) if kind == "diagonal" else rng.normal(size=(n, n)) * (rng.random((n, n)) < 0.5)
    net = dn.models.Lure(
        E=np.full(n, -1.0), F=np.ones(n), G=csr_array(G) if kind == "sparse" else G, activation="identity"
    )
    lo, hi = np.full(n, -1.0), np.full(n, 2.0)
    z = unit_bounds(net, lo, hi)
    dense = np.diag(G) if kind == "diagonal" else G
    high = np.maximum(dense, 0) @ hi + np.minimum(dense, 0) @ lo
    low = np.maximum(dense, 0) @ lo + np.minimum(dense, 0) @ hi
    assert z.lo[0] == pytest.approx(low, abs=1e-12) and z.hi[0] == pytest.approx(high, abs=1e-12)
    assert np.all(z.lo[0] <= low + 1e-13) and np.all(z.hi[0] >= high - 1e-13)
    lo[0] = -np.inf
    z = unit_bounds(net, lo, hi)
    touched = dense[:, 0] != 0
    assert np.array_equal(np.isinf(z.lo[0]) | np.isinf(z.hi[0]), touched)


def test_small_products_are_exact_where_they_can_be():
    net = dn.models.Lure(E=[-1.0, -1.0], F=[1.0, 1.0], G=[[0.5, 0.5], [0.25, 0.75]], activation="identity")
    assert enclose(net, [1.0, 1.0], [1.0, 1.0]).lo.tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize(
    "signal",
    [None, 0.5, dn.Sinusoid([1.0, -2.0], 3.0, offset=0.3), dn.Piecewise([1.0], [[0.0, 1.0], [2.0, -1.0]]),
     dn.Tabulated([0.0, 2.0], [[0.0, 1.0], [2.0, -1.0]])],
)  # fmt: skip
def test_inputs_stay_within_their_bounds(signal):
    net = dn.models.FiringRate(np.zeros((2, 2)), input=signal)
    lo, hi = input_bounds(net)
    values = np.array([net.input_at(t) for t in np.linspace(-1, 4, 400)])
    assert np.all(lo <= values) and np.all(values <= hi)
    assert hi - values.max(axis=0) == pytest.approx([0.0, 0.0], abs=2e-3)


def test_what_is_not_known_is_not_enclosed():
    own = dn.Activation("own", lambda z: z / 2.0, slopes=(0.5, 0.5))
    net = dn.models.FiringRate([[0.5]], activation=own)
    found = enclose(net, [0.0], [1.0])
    assert found.failed.all() and "own" in found.why and np.isinf(found.hi).all()
    assert series_rhs(net) is None
    assert series_rhs(dn.models.FiringRate([[0.5]]), dn.Piecewise([1.0], [0.0, 1.0])) is None
