"""What may not pass: each wrong input gives an error that names it, or a certificate that claims nothing."""

import json
import math

import networkx as nx
import numpy as np
import pytest

import dynet as dn
from dynet.certify.files import _digest
from dynet.certify.region import Ball, Box, PhaseCohesive, Simplex
from dynet.errors import ArgumentError, CertificateError

NET = dn.models.FiringRate([[-1.0, 0.5], [-0.75, 0.25]])


@dn.vector_field(n=2)
def square(t, x, p, dx):
    dx[0] = -x[0] + x[1] ** 2
    dx[1] = -x[1]


@pytest.mark.parametrize(
    ("p", "weights"),
    [
        ("inf", [1.0, 0.0]),
        ("inf", [1.0, -1.0]),
        (1, [1.0, math.nan]),
        (1, [1.0, math.inf]),
        (2, [[1.0, 2.0], [2.0, 1.0]]),
        (2, [[1.0, 1.0], [1.0, 1.0]]),
        (2, [[1.0, 0.5], [0.0, 1.0]]),
        (2, [[math.nan, 0.0], [0.0, 1.0]]),
        ("inf", [1.0, 1e-200]),
        ("inf", [1.0, 1.0, 1.0]),
    ],
)
def test_weights_that_make_no_norm(p, weights):
    with pytest.raises(ArgumentError, match="weights|norm|P"):
        dn.certify(NET, dn.Norm(p, weights))


def test_a_kernel_that_is_not_kept():
    found = dn.certify(NET, dn.Norm(2, None, [[1.0, -1.0]]), kind="semi")
    assert not found and found.status == "unknown" and "kernel" in found.reason
    walk = dn.models.Lure(E=[[-1.0, 1.0], [1.0, -1.0 - 1e-15]], F=[0.0, 0.0], G=[1.0, 1.0])
    assert not dn.certify(walk, dn.Norm("inf", None, [[1.0, -1.0]]), kind="semi")


@pytest.mark.parametrize(
    "region",
    [
        lambda: Box([1.0, 0.0], [0.0, 1.0]),
        lambda: Box([math.nan, 0.0], 1.0),
        lambda: Ball([0.0, 0.0], -1.0),
        lambda: Ball([0.0, math.inf], 1.0),
        lambda: Simplex(2, -1.0),
        lambda: PhaseCohesive(2, -0.1),
        lambda: PhaseCohesive(0, 1.0),
        lambda: lambda x: x > 0,
        lambda: [(0.0, 1.0), (2.0, 3.0), (4.0, 5.0)],
        lambda: "everywhere",
        lambda: Box([0.0] * 3, 1.0),
    ],
)
def test_regions_that_are_empty_or_not_convex_or_do_not_fit(region):
    with pytest.raises(ArgumentError):
        dn.certify(square, region=region())


def test_fields_without_slope_bounds():
    with pytest.raises(ArgumentError, match="slopes"):
        cube = dn.Activation("cube", lambda z, a: z**3, lambda z, a: 3 * z**2, None)
        dn.certify(dn.models.FiringRate([[0.5]], activation=cube))
    found = dn.certify(square)
    assert found.status == "unknown" and "region" in found.reason

    def node(t, x, s, p, dx):
        dx[0] = -x[0] + s[0]

    def edge(x, y, p, s):
        s[0] = y[0] ** 2

    found = dn.certify(dn.models.Network(nx.path_graph(3), node=node, edge=edge))
    assert found.status == "unknown" and "slopes=" in found.reason and not found.check()


@pytest.mark.parametrize(
    ("kind", "order"),
    [
        *(("k", v) for v in (0, 3, 1.5, -1, True, "2", math.nan)),
        ("alpha", 0.5),
        ("alpha", 2.5),
        ("alpha", math.inf),
        ("strong", 2),
    ],
)
def test_orders_out_of_range(kind, order):
    with pytest.raises(ArgumentError, match="order"):
        dn.certify(NET, kind=kind, order=order)


def changed(**parts):
    body = json.loads(dn.certify(NET, "inf").to_json()) | parts
    return json.dumps(body | {"digest": _digest({k: v for k, v in body.items() if k != "digest"})})


def test_files_with_a_changed_digit_an_unknown_version_or_a_missing_field():
    text = dn.certify(NET, "inf").to_json()
    rate = json.loads(text)["rate"]
    for wrong, words in (
        (text.replace(rate, rate.replace("p-", "p+")), "digest"),
        (changed(version=2), "version"),
        (json.dumps({k: v for k, v in json.loads(text).items() if k != "norm"}), "norm"),
        (changed(surprise=1), "surprise"),
        (changed(rate="nan"), "malformed"),
        (changed(rate=(0.6).hex()), "malformed"),
    ):
        with pytest.raises(CertificateError, match=words):
            dn.Certificate.from_json(wrong)
    forged = dn.Certificate.from_json(changed(rate=(0.6).hex(), bounds=[(-0.6).hex(), (-0.6).hex()]))
    assert not forged.check() and not forged.check(exact=True) and forged.parts()["rate"] == "FAILED"


@pytest.mark.parametrize("value", [0.0, -0.0, 5e-324, 1e-300, 1e300, -1e300])
def test_extreme_couplings_give_no_false_certificate(value):
    """One state with slope in [0, 1] and coupling a: osLip is max(-1, a - 1)."""
    for make in (dn.models.FiringRate, dn.models.Hopfield):
        for norm in (None, 1, 2, "inf"):
            found = dn.certify(make([[value]]), norm)
            if found.kind in ("strong", "weak"):
                assert found.rate <= 1 and value < 1 and found.check()
            if math.isfinite(found.bounds[0]):
                assert found.bounds[0] <= max(-1.0, value - 1.0)


def test_one_state_and_a_network_without_edges():
    for model in (dn.models.FiringRate([[0.5]]), dn.models.Network(np.zeros((3, 3)), node=leaky, edge=nothing)):
        for kind in ("auto", "strong", "weak", "semi", "k"):
            found = dn.certify(model, kind=kind, order=1 if kind == "k" else None)
            assert not found or (found.check() and found.check(exact=True) and found.rate <= 1)
        assert dn.certify(model).rate == pytest.approx(0.5 if model.n == 1 else 1.0)


def leaky(t, x, s, p, dx):
    dx[0] = -x[0] + s[0]


def nothing(x, y, p, s):
    s[0] = math.tanh(y[0] - x[0])
