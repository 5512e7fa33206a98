"""Certificates as text: bit for bit there and back, refused when changed, and a forger still has to prove his claim."""

import base64
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings

import dynet as dn
from dynet.certify import files
from dynet.certify.claims import DiagonalClaim, RowsClaim
from dynet.errors import CertificateError
from dynet.fields.lure import LureField
from dynet.linalg import Norm
from tests.certify import oracles

A = np.array([[-1.0, 0.5], [-0.75, 0.25]])
SYMMETRIC = np.array([[0.5, -0.3], [-0.3, 0.2]])


def certificates():
    yield dn.certify(dn.models.FiringRate(A))
    yield dn.certify(dn.models.FiringRate(A), 1)
    yield dn.certify(dn.models.FiringRate(A), 2)
    yield dn.certify(dn.models.Hopfield(sp.csr_array(A)))
    yield dn.certify(dn.models.FiringRate(SYMMETRIC), 2)
    yield dn.certify(LureField(A - np.eye(2), A, A))
    yield dn.certify(dn.models.Lorenz())


CERTIFICATES = {f"{i}-{c.model}-{c.status}": c for i, c in enumerate(certificates())}
TEXT = CERTIFICATES["0-FiringRate-certified"].to_json()


def forge(change, text=TEXT):
    """The text with a change of its contents and a digest that fits them again."""
    body = json.loads(text)
    change(body)
    body["digest"] = files._digest({k: v for k, v in body.items() if k != "digest"})
    return json.dumps(body)


def packed(values, kind="<f8"):
    values = np.asarray(values, dtype=kind)
    return {"shape": list(values.shape), "type": kind, "data": base64.b64encode(values.tobytes()).decode()}


@pytest.mark.parametrize("name", CERTIFICATES)
def test_there_and_back_bit_for_bit(name):
    certificate = CERTIFICATES[name]
    text = certificate.to_json()
    back = dn.Certificate.from_json(text)
    assert back.to_json() == text and back == certificate and hash(back) == hash(certificate)
    assert back.check() == certificate.check() == (certificate.status == "certified")
    assert back.check(exact=True) == certificate.check(exact=True)
    assert bool(back) == bool(certificate) and back.bounds == certificate.bounds and str(back) == str(certificate)
    if certificate:
        assert back.step() == certificate.step() and back.explain() == certificate.explain()


@settings(max_examples=40)
@given(oracles.fields(largest=4))
def test_any_certificate_survives_the_journey(model):
    certificate = dn.certify(model)
    back = dn.Certificate.from_json(certificate.to_json())
    assert back == certificate and back.check() == certificate.check() and back.check(exact=True) == back.check()


def leaves(body, path=()):
    """The paths of all scalars in nested JSON."""
    children = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else None
    if children is None:
        yield path
    else:
        for key, child in children:
            yield from leaves(child, (*path, key))


def at(body, path):
    for key in path:
        body = body[key]
    return body


@pytest.mark.parametrize("path", list(leaves(json.loads(TEXT))), ids=lambda p: ".".join(map(str, p)))
def test_each_changed_value_is_noticed(path):
    body = json.loads(TEXT)
    parent, old = at(body, path[:-1]), at(body, path)
    for new in (7, None, "tampered", [], {}, -1.5):
        parent[path[-1]] = new
        with pytest.raises(CertificateError):
            dn.Certificate.from_json(json.dumps(body))
    if isinstance(old, str) and old:  # one character
        parent[path[-1]] = ("1" if old[0] != "1" else "2") + old[1:]
        with pytest.raises(CertificateError):
            dn.Certificate.from_json(json.dumps(body))


@pytest.mark.parametrize("path", list(leaves(json.loads(TEXT))), ids=lambda p: ".".join(map(str, p)))
@pytest.mark.parametrize("new", [7, None, "tampered", [], {}, -1.5, "0x1p99999", 10**400], ids=str)
def test_nonsense_under_a_fitting_digest_is_an_error_or_no_proof(path, new):
    def change(body):
        at(body, path[:-1])[path[-1]] = new

    if path == ("digest",):
        return
    try:
        certificate = dn.Certificate.from_json(forge(change))
    except CertificateError:
        return
    free_text = path[-1] in ("model", "region", "reason")
    assert free_text or not certificate.check()


@pytest.mark.parametrize("place", [(), ("norm",), ("claim",), ("claim", "field"), ("claim", "witness", "eta")], ids=str)
def test_missing_and_unknown_fields_are_named(place):
    def add(body):
        at(body, place)["extra"] = 1

    with pytest.raises(CertificateError, match="unknown field.*extra"):
        dn.Certificate.from_json(forge(add))
    for name in at(json.loads(TEXT), place):
        if name in ("digest", "format", "version"):
            continue

        def remove(body, name=name):
            del at(body, place)[name]

        with pytest.raises(CertificateError, match=f"missing|malformed.*{name}"):
            dn.Certificate.from_json(forge(remove))


def test_the_nearest_field_is_suggested():
    with pytest.raises(CertificateError, match="did you mean 'rate'"):
        dn.Certificate.from_json(forge(lambda body: body.update(rat=1)))


@pytest.mark.parametrize("version", [0, 2, "1", None, True, 1.0])
def test_other_versions_are_refused(version):
    with pytest.raises(CertificateError, match="version="):
        dn.Certificate.from_json(forge(lambda body: body.update(version=version)))


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "1", "null", '{"format": "other"}', b"\xff\xfe", None, 3, "[" * 100_000],
    ids=lambda t: str(t)[:20],
)
def test_what_is_no_certificate_is_refused(text):
    with pytest.raises(CertificateError):
        dn.Certificate.from_json(text)


def test_a_name_that_stands_twice_is_refused():
    """The last one would win here, the first one elsewhere."""
    text = TEXT.replace('"model": "FiringRate"', '"model": "Other", "model": "FiringRate"')
    with pytest.raises(CertificateError, match="twice"):
        dn.Certificate.from_json(text)


def test_every_cut_is_noticed():
    for k in range(0, len(TEXT) - 1, 37):
        with pytest.raises(CertificateError):
            dn.Certificate.from_json(TEXT[:k])


def wrong(rate):
    def change(body):
        body["rate"], body["bounds"][1] = rate.hex(), (-rate).hex()
        body["bounds"][0] = (-math.inf).hex()

    return change


def test_a_better_rate_under_a_fitting_digest_fails_the_check():
    for name, certificate in CERTIFICATES.items():
        if not certificate:
            continue
        assert dn.Certificate.from_json(forge(wrong(certificate.rate), certificate.to_json())).check()
        quadratic = certificate.claim.kind == "quadratic"  # whose rate is given away by a hair
        more = certificate.rate + 1e-6 if quadratic else math.nextafter(certificate.rate, math.inf)
        forged = dn.Certificate.from_json(forge(wrong(more), certificate.to_json()))
        assert not forged.check() and not forged.check(exact=True), name


@pytest.mark.parametrize(
    "eta", [[0.0, 1.0], [-1.0, 1.0], [math.nan, 1.0], [math.inf, 1.0], [1.0], [[1.0, 1.0]], [], 1.0]
)
def test_forged_weights_are_refused(eta):
    def change(body):
        body["claim"]["witness"]["eta"] = body["norm"]["weights"] = packed(eta)

    try:
        certificate = dn.Certificate.from_json(forge(change))
    except CertificateError:
        return
    assert np.shape(eta) == (1,) and not certificate.check() and not certificate.check(exact=True)


@pytest.mark.parametrize("eta", [[1e-200, 3e-200], [1e-200, 1.0], [1e150, 3e150], [5e-324, 1.0]])
def test_forged_weights_out_of_range_prove_nothing(eta):
    def change(body):
        body["claim"]["witness"]["eta"] = body["norm"]["weights"] = packed(eta)

    certificate = dn.Certificate.from_json(forge(change))
    assert not certificate.check() and not certificate.check(exact=True)


def field(**arrays):
    return lambda body: body["claim"]["field"].update({k: packed(v) for k, v in arrays.items()})


@pytest.mark.parametrize(
    "change",
    [
        field(lo=[1.0, 1.0], hi=[0.0, 0.0]),
        field(lo=[math.nan, 0.0]),
        field(hi=[math.inf, 1.0]),
        field(E=[-math.inf, -1.0]),
        field(E=[-1.0]),
        field(G=[[0.0, math.nan], [0.0, 0.0]]),
        field(G=[[0.0, 1.0]]),
        field(F=[1.0, 1.0, 1.0]),
        lambda body: body["claim"]["field"].update(G=packed([[0, 1], [1, 0]], "<i8")),
        lambda body: body["claim"]["field"].update(form="other"),
        lambda body: body["claim"].update(kind="other"),
        lambda body: body["claim"].update(p=(2.0).hex(), kind="diagonal"),
        lambda body: body.update(status="proven"),
        lambda body: body.update(kind="weak"),
        lambda body: body.update(kind="k"),
        lambda body: body.update(claim=None),
        lambda body: body.update(rate="nan"),
        lambda body: body["bounds"].reverse() or body["bounds"].__setitem__(0, (0.0).hex()),
        lambda body: body["bounds"].append("0x0p0"),
    ],
)
def test_forged_structures_and_contradictions_are_refused(change):
    with pytest.raises(CertificateError):
        dn.Certificate.from_json(forge(change))


def test_entries_given_twice_are_refused():
    """A sum of two entries may be read as one of them by a part of the check."""
    csr = {
        "shape": [2, 2],
        "indptr": packed([0, 2, 2], "<i8"),
        "indices": packed([0, 0], "<i8"),
        "values": packed([5.0, -10.0]),
    }
    with pytest.raises(CertificateError, match="twice"):
        dn.Certificate.from_json(forge(lambda body: body["claim"]["field"].update(E=csr)))


@pytest.mark.parametrize("p", [2.0, 3.0, math.inf], ids=str)
def test_another_order_proves_nothing(p):
    """Row sums say nothing about l2; and column sums nothing about rows."""
    certificate = CERTIFICATES["1-FiringRate-certified"]
    assert certificate.norm.p == 1 and certificate.check()

    def change(body):
        body["claim"]["p"] = p.hex()
        body["norm"]["p"] = p.hex()
        if p == 3:
            body["norm"]["weights"] = None

    try:
        forged = dn.Certificate.from_json(forge(change, certificate.to_json()))
    except CertificateError:
        return
    assert not forged.check() and not forged.check(exact=True)


def test_a_norm_that_is_not_the_claims_proves_nothing():
    certificate = CERTIFICATES["0-FiringRate-certified"]
    for norm in (Norm("inf"), Norm(1, certificate.claim.eta), Norm("inf", 2 * certificate.claim.eta), None):
        assert not replace(certificate, norm=norm).check()


def test_claims_made_by_hand_travel_too():
    s = CERTIFICATES["0-FiringRate-certified"].claim.structure
    for claim in (RowsClaim(s, 1.0, np.array([1.0, 2.0])), DiagonalClaim(s, np.ones(2), np.array([-0.0, 1.0]))):
        certificate = dn.Certificate(
            "unknown",
            "none",
            -claim.least() if claim.kind == "rows" else -1.0,
            claim.norm(),
            (-math.inf, 9.0),
            "",
            claim=claim,
        )
        back = dn.Certificate.from_json(certificate.to_json())
        assert back == certificate and np.signbit(list(back.claim.witness().values())[-1][0]) == (
            claim.kind == "diagonal"
        )
