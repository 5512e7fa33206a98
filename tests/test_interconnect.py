"""Interconnections: they agree with fields written as one, their labels, parameters and inputs are those of the parts."""

import math

import numpy as np
import pytest
import scipy.sparse as sp

import dynet as dn
from dynet.errors import ArgumentError
from tests.blocks import run_block

RANDOM = np.random.default_rng(4)
A, B = RANDOM.normal(size=(3, 3)) * 0.3, RANDOM.normal(size=(2, 4))


@dn.vector_field(n=2, params={"k": 1.0})
def pump(t, x, p, dx):
    dx[0] = -2.0 * x[0] + p.k * math.tanh(x[1])
    dx[1] = -3.0 * x[1] + 0.1 * x[0]


def press(t, x, p, s):
    s[0] = p.a * math.sin(x[0])
    s[1] = 0.1 * math.tanh(x[2]) * math.cos(t)


def whole(**changes):
    wave = dn.Sinusoid([1.0, 2.0, 3.0], 2.0)
    parts = {"pump": pump, "net": dn.models.FiringRate(A, input=wave), "ring": dn.models.Kuramoto(4)}
    links = {
        ("pump", "net"): np.full((3, 2), 0.1),
        ("net", "pump"): dn.Link(press, [[0.5, 0, 0], [0, 0, 0.1]], {"a": 0.5}),
        ("ring", "pump"): sp.csr_array(B),
        ("pump", "ring"): np.eye(4, 2),
    } | changes
    return dn.interconnect(parts, links)


def by_hand(t, x):
    """The same equations written as one field."""
    y, z, q = x[:2], x[2:5], x[5:]
    u = np.array([1.0, 2.0, 3.0]) * np.sin(np.pi * t)
    first = [-2 * y[0] + np.tanh(y[1]) + 0.5 * np.sin(z[0]), -3 * y[1] + 0.1 * y[0] + 0.1 * np.tanh(z[2]) * np.cos(t)]
    ring = np.sin(q - q[:, None]).sum(1)
    return np.concatenate([first + B @ q, -z + np.tanh(A @ z + u) + 0.1 * y.sum(), ring + [y[0], y[1], 0, 0]])


def test_parts_and_links_agree_with_the_field_written_as_one():
    field, x = whole(), RANDOM.normal(size=(5, 9))
    wanted = np.array([by_hand(0.3, row) for row in x])
    assert np.abs(field.rhs(0.3, x) - wanted).max() < 1e-13
    together = run_block(field, 0.3, x, field.input)
    assert np.abs(together - wanted).max() < 1e-12
    assert np.array_equal(np.vstack([run_block(field, 0.3, row[None], field.input) for row in x]), together)
    steps = 1e-6 * np.eye(9)
    differences = np.array([(by_hand(0.3, x[0] + e) - by_hand(0.3, x[0] - e)) / 2e-6 for e in steps]).T
    assert np.abs(field.jacobian(0.3, x[0]) - differences).max() < 1e-8
    rows, columns = np.nonzero(differences.round(6))
    indptr, indices = field.jacobian_pattern() or (np.arange(10) * 9, np.tile(np.arange(9), 9))
    for i, j in zip(rows, columns, strict=True):
        assert j in indices[indptr[i] : indptr[i + 1]]


def test_a_trajectory_agrees_with_scipy():
    from scipy.integrate import solve_ivp

    x0 = RANDOM.normal(size=9)
    run = dn.simulate(whole(), x0, 3.0, method="dopri5", rtol=1e-12, atol=1e-13, save=4)
    right = solve_ivp(by_hand, (0, 3.0), x0, method="DOP853", rtol=1e-13, atol=1e-13, t_eval=run.t)
    assert np.abs(run.x - right.y.T).max() < 1e-10


def test_labels_parameters_and_inputs_are_those_of_the_parts():
    field, x0 = whole(), RANDOM.normal(size=9)
    assert field.labels[:3] == ("pump.x0", "pump.x1", "net.x0") and field.n == 9 and field.inputs == 3
    k = np.array([0.0, 2.0])
    run = dn.simulate(field, x0, 1.0, params={"pump.k": k, "net->pump.a": [0.5, 0.1]}, save="last")
    for lane, (value, a) in enumerate(zip(k, (0.5, 0.1), strict=True)):
        other = field.replace(**{"pump.k": value, "net->pump.a": a})
        assert np.array_equal(dn.simulate(other, x0, 1.0, save="last").x, run.x[lane])
    assert field.params["pump.k"] == 1.0
    u = np.array([[1.0, 0.0, 2.0], [0.0, 0.0, 1.0]])
    run = dn.simulate(field, x0, 1.0, u=u, save="last")
    assert np.array_equal(dn.simulate(field, x0, 1.0, u=u[1], save="last").x, run.x[1])
    with pytest.raises(ArgumentError, match="did you mean 'pump.k'"):
        field.replace(**{"pump.kk": 1.0})


def test_interconnections_are_parts_of_others():
    inner = whole()
    outer = dn.interconnect({"all": inner, "one": dn.models.Thomas(0.3)}, {("one", "all"): np.ones((9, 3))})
    x = RANDOM.normal(size=(2, 12))
    wanted = np.array(
        [np.append(by_hand(0.1, row[:9]) + row[9:].sum(), outer.parts["one"].rhs(0.1, row[9:])) for row in x]
    )
    assert np.allclose(run_block(outer, 0.1, x, outer.input), wanted, atol=1e-12)
    assert [leaf.name for leaf in outer.leaves()] == ["all.pump", "all.net", "all.ring", "one"]
    links, limits = outer.couplings()
    assert links.shape == (12, 12) and limits.nnz == 2 and links[0, 9] == 1.0


def test_another_interconnection_compiles_nothing():
    from dynet.engine import codegen

    whole().block()
    before = codegen.loaded()
    other = dn.interconnect({"b": dn.models.FiringRate(A[:2, :2]), "a": pump}, {("a", "b"): np.ones((2, 2))})
    other.block()
    assert codegen.loaded() == before


@pytest.mark.parametrize(
    ("links", "message"),
    [
        ({("pump", "nett"): np.ones((3, 2))}, "did you mean 'net'"),
        ({("pump", "net"): np.ones((2, 3))}, r"shape \(3, 2\): the states of 'net' by those of 'pump'"),
        ({("pump", "pump"): np.ones((2, 2))}, "two different parts"),
        ({("pump", "net"): press}, "pair"),
        ({("net", "pump"): (press, 0.5)}, "a declared parameter"),
        ({("net", "pump"): dn.Link(press, [[0.1, 0, 0], [0, 0, 0.1]], {"a": 0.5})}, "bounds that hold"),
        ({("net", "pump"): dn.Link(press, [[0.1]], {"a": 0.5})}, r"shape \(2, 3\)"),
        ({("net", "ring"): dn.Link(press, 1.0, {"a": 0.5})}, "all 4 components"),
        ({"pump": np.ones((3, 2))}, "pairs"),
    ],
)
def test_wrong_links_are_named(links, message):
    with pytest.raises(ArgumentError, match=message):
        dn.interconnect(whole().parts, links)


@pytest.mark.parametrize("bad", [-1.0, np.inf, "x", [1.0, 2.0]])
def test_wrong_bounds_are_named(bad):
    with pytest.raises(ArgumentError, match="lipschitz"):
        dn.Link(press, bad)


def test_single_precision_is_refused():
    part = dn.models.Hopfield([[-0.5]], leak=1.5)
    with pytest.raises(ArgumentError, match="precision='float32': expected 'float64': interconnections"):
        dn.simulate(dn.interconnect({"a": part, "b": part}, {}), [1.0, 2.0], t=1.0, precision="float32")


def test_wrong_parts_are_named():
    for parts in ({}, {"a": 3.0}, {"a.b": pump}, [pump]):
        with pytest.raises(ArgumentError, match="parts"):
            dn.interconnect(parts, {})
