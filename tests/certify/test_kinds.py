"""kind="auto" gives the strongest that holds, or says which states are to blame; certificates of all kinds print and draw."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
import scipy.sparse as sp

import dynet as dn
from dynet.certify import gains
from dynet.certify.forms import CLAIMS, FORMS, NORMS, find
from dynet.errors import ArgumentError
from dynet.linalg import Norm, RangeSeminorm
from tests.certify.test_weak import WALK, diffusive, linear

A = np.array([[-1.0, 0.5], [-0.75, 0.25]])
PULL = np.array([[-3.0, 1.0, 1.0], [1.0, -3.0, 1.0], [1.0, 1.0, -3.0]])


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (dn.models.FiringRate(A), "strong"),
        (linear(-WALK), "weak"),
        (linear(-WALK + 0.5 * np.eye(3)), "semi"),  # the mean grows, differences shrink
        (linear(np.array([[-3.0, 0.0], [1.0, 1.0]])), "k"),
        (linear(np.eye(2)), "none"),
    ],
    ids=["strong", "weak", "semi", "k", "none"],
)
def test_auto_gives_the_strongest_that_holds(model, kind):
    c = dn.certify(model)
    assert c.kind == kind and bool(c) == (kind != "none") and c.contracting == (kind == "strong")
    assert c.check() == bool(c) == c.check(exact=True)
    assert dn.Certificate.from_json(c.to_json()) == c
    if kind in ("semi", "k"):
        assert "No contraction" in c.reason


def test_the_states_to_blame_are_named_with_what_they_lack():
    W = np.diag([0.1, 0.2, 2.0])
    W[0, 1] = 0.3
    model = dn.models.FiringRate(W, labels=["x", "y", "z"])
    one = dn.certify(model, "inf", kind="strong")
    assert "the state z alone" in one.reason and "too large by 1" in one.reason
    row = dn.certify(model, Norm("inf", [1.0, 2.0, 3.0]), kind="strong")
    assert "row z is the worst and lacks 1" in row.reason
    pair = dn.certify(
        dn.models.FiringRate(np.kron(np.diag([1.0, 0.1]), np.full((2, 2), 2.0)), labels=list("abcd")),
        "inf",
        kind="strong",
    )
    assert "subsystem of 2 states a, b" in pair.reason
    none = dn.certify(linear(np.eye(2)))
    assert "volumes of dimension 2" in none.reason and "log seminorm is 1" in none.reason


def test_unknown_kinds_and_seminorms_in_the_wrong_place_are_named():
    model = linear(-WALK)
    with pytest.raises(ArgumentError, match="semi"):
        dn.certify(model, kind="semii")
    for norm in (RangeSeminorm(), Norm("inf", R=[[1.0, -1.0, 0.0]])):
        with pytest.raises(ArgumentError, match="seminorm"):
            dn.certify(model, norm, kind="strong")
    with pytest.raises(ArgumentError, match="norm"):
        dn.certify(model, Norm("inf", R=[[1.0, -1.0]]), kind="semi")
    moved = dn.certify(model, Norm("inf", R=[[1.0, 0.0, 0.0]]))
    assert not moved and "kernel" in moved.reason


def test_functions_get_compounds_of_their_enclosure():
    @dn.vector_field(n=2)
    def turning(t, x, p, dx):
        dx[0] = -3.0 * x[0] + x[1] ** 2
        dx[1] = x[1] / 2.0

    region = ([-1.0, -1.0], 1.0)
    c = dn.certify(turning, region=region)
    assert (
        c.kind == "k" and c.order == 2 and c.rate == pytest.approx(2.5, abs=1e-6) and c.check() and c.check(exact=True)
    )
    assert "box" in c.region and dn.Certificate.from_json(c.to_json()) == c
    assert dn.certify(turning, kind="alpha", region=region).order < 2
    assert "kernel" in dn.certify(turning, kind="semi", region=region).reason
    assert "no bound" in dn.certify(turning, kind="k").reason


def test_a_law_of_a_function_is_proven_by_algebra_or_seen_only():
    @dn.vector_field(n=3, params={"half": 0.5})
    def flow(t, x, p, dx):
        a, b = x[0] ** 3 / 3.0 + x[0], 2.0 * x[1]
        dx[0] = -a + x[2]
        dx[1] = 2.0 * p.half * a - b
        dx[2] = b - x[2]

    region = ([0.0] * 3, 1.0)
    c = dn.certify(flow, kind="weak", region=region)
    assert c.status == "certified" and c.kind == "weak" and c.check(exact=True) and c.law.name == "conservation"
    c = dn.certify(flow.replace(half=0.5 + 1e-13), kind="weak", region=region)
    assert c.status == "estimated" and c.kind == "weak" and not c and not c.check() and c.law.name == "conservation"
    assert np.allclose(c.law.vector, 1.0) and "not proven" in c.reason and dn.Certificate.from_json(c.to_json()) == c


def test_large_sparse_networks_are_quick_to_refuse_and_to_average():
    n = 1_600
    hub = sp.lil_array((n, n))
    hub[1:, 0] = 1.0
    hub[0, 1] = 2.0
    W = sp.csr_array(hub)
    model = dn.models.Lure(E=W - sp.diags_array(W.sum(axis=1)), F=np.zeros(n), G=np.ones(n))
    c = dn.certify(model, "inf", kind="semi")
    assert c.kind == "semi" and c.rate == pytest.approx(1.0, rel=1e-9) and c.rate <= 1.0 and c.check()
    assert dn.certify(model).kind == "weak"
    growing = dn.certify(dn.models.Lure(E=np.ones(n), F=np.zeros(n), G=np.ones(n)))
    assert not growing and "asked for" in growing.reason


def everything():
    thomas = dn.models.Lure(E=-0.6 * np.eye(3), F=np.eye(3), G=np.roll(np.eye(3), 1, axis=1), activation="sin")
    yield dn.certify(dn.models.FiringRate(A), "inf")
    yield dn.certify(dn.models.FiringRate(A), 2)
    yield dn.certify(linear(-WALK))
    yield dn.certify(linear(-WALK), kind="semi")
    yield dn.certify(linear(PULL), Norm("inf", R=[[1.0, -1.0, 0.0], [0.0, 1.0, -1.0]]), kind="semi")
    yield dn.certify(linear(PULL + np.eye(3)), 2, kind="semi")
    yield dn.certify(thomas, 2, kind="k", order=2)
    yield dn.certify(thomas, 1, kind="k", order=3)
    yield dn.certify(thomas, "inf", kind="alpha", order=2.9)
    yield dn.certify(diffusive(np.ones((3, 3)) - np.eye(3)), 1)
    yield gains([[-2.0, 0.5], [1.0, -1.5]])


CERTIFICATES = {f"{k}-{c.kind}-{c.claim.kind}": c for k, c in enumerate(everything())}


@pytest.mark.parametrize("name", CERTIFICATES)
def test_all_kinds_check_travel_print_and_draw(name):
    c = CERTIFICATES[name]
    assert c and c.check() and c.check(exact=True)
    back = dn.Certificate.from_json(c.to_json())
    assert (
        back == c and back.check() and back.check(exact=True) and str(back) == str(c) and back.explain() == c.explain()
    )
    text = c.explain()
    assert all(word in text for word in ("claim:", "then:", "source:")) and max(map(len, text.splitlines())) < 250
    for what in ("ball", "rows", "weights", "matrix"):
        axes = plt.figure().add_subplot()
        try:
            c.plot(axes, what=what)
        except ArgumentError as error:
            assert "picture that this certificate has" in str(error)
            continue
        assert axes.get_title()
    assert c.plot().get_title()
    plt.close("all")
    with pytest.raises(ArgumentError, match="ball"):
        c.plot(what="bal")


def test_words_of_files_lead_to_their_classes():
    for table, attribute in ((FORMS, "form"), (CLAIMS, "kind")):
        for word in table:
            assert getattr(find(table, word), attribute) == word
    assert all(hasattr(find(NORMS, word), "pack") for word in NORMS)
    with pytest.raises(ValueError, match="polynomial"):
        find(FORMS, "polynomial")


def test_solvers_take_no_other_kind_for_contraction():
    model = linear(np.array([[-3.0, 0.0], [1.0, 1.0]]))
    c = dn.certify(model)
    assert c.kind == "k"
    found = dn.equilibrium(model, certificate=c)
    assert not found.certified and math.isnan(found.error)
    with pytest.raises(ArgumentError, match="certificate"):
        dn.simulate(model, [1.0, 0.0], 1.0, certificate=c)
    with pytest.raises(ArgumentError, match="certificate"):
        dn.certify.falsify(model, c)
