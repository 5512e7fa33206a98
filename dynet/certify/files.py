"""Certificates as text: self-contained, exact, and tamper-evident.

The text is JSON. Every float is written in hexadecimal (``float.hex``), an array as ``{"shape": ..., "data": ...}`` with the
base64 of its little-endian bytes, a sparse array by its three arrays; so nothing is lost on the way. The certificate carries
the matrices and slope intervals of the field that the claim is about, not only a digest of them: who holds the file can check
the claim without the model. ``digest`` is the SHA-256 of the rest in canonical form; it shows accidents and careless edits,
and a careful forger still has to pass the check of the inequality.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math

import numpy as np

from ..errors import ArgumentError, CertificateError, nearest
from ..linalg.norms import Norm
from .certificate import STATUSES, Certificate
from .claims import CLAIMS
from .lure import LureStructure

__all__ = ["FORMAT", "VERSION", "from_json", "to_json"]

FORMAT, VERSION = "dynet-certificate", 1
_FIELDS = (
    "format",
    "version",
    "model",
    "status",
    "kind",
    "rate",
    "norm",
    "bounds",
    "region",
    "reason",
    "claim",
    "digest",
)


def to_json(certificate):
    """The certificate as text."""
    c = certificate
    body = {
        "format": FORMAT,
        "version": VERSION,
        "model": c.model,
        "status": c.status,
        "kind": c.kind,
        "rate": _hex(c.rate),
        "norm": None if c.norm is None else {"p": _hex(c.norm.p), "weights": _pack(c.norm.weights)},
        "bounds": [_hex(b) for b in c.bounds],
        "region": c.region,
        "reason": c.reason,
        "claim": None,
    }
    if c.claim is not None:
        s = c.claim.structure
        body["claim"] = {
            "kind": c.claim.kind,
            "witness": {k: _pack(v) for k, v in c.claim.witness().items()},
            "field": {"form": "lure", **{k: _pack(getattr(s, k)) for k in ("E", "F", "G", "lo", "hi")}},
        }
        if hasattr(c.claim, "p"):
            body["claim"]["p"] = _hex(c.claim.p)
    body["digest"] = _digest(body)
    return json.dumps(body, indent=1)


def from_json(text):
    """Read what :func:`to_json` wrote.

    Raises
    ------
    CertificateError
        Names what is wrong: not JSON, another format or version, a field missing or unknown, a digest that does not fit.
    """
    try:
        body = json.loads(text)
    except (json.JSONDecodeError, TypeError, UnicodeDecodeError) as error:
        raise CertificateError(f"the certificate is not readable JSON: {error}") from None
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise CertificateError(f"this is not a certificate: expected format {FORMAT!r}")
    if body.get("version") != VERSION:
        raise CertificateError(f"version={body.get('version')!r}: expected {VERSION}; a newer dynet may read this file")
    for name in _FIELDS:
        if name not in body:
            raise CertificateError(f"the field {name!r} is missing")
    for name in body:
        if name not in _FIELDS:
            word = nearest(name, _FIELDS)
            raise CertificateError(f"unknown field {name!r}" + (f"; did you mean {word!r}?" if word else ""))
    digest = _digest({k: v for k, v in body.items() if k != "digest"})
    if digest != body["digest"]:
        raise CertificateError(
            f"digest={body['digest']!r}: the contents give {digest!r}; the file was changed after it was written"
        )
    try:
        return _build(body)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, ArgumentError) as error:
        raise CertificateError(f"the certificate is malformed: {error}") from None


def _build(body):
    if body["status"] not in STATUSES:
        raise ValueError(f"status {body['status']!r}")
    norm = body["norm"]
    if norm is not None:
        norm = Norm(float.fromhex(norm["p"]), _unpack(norm["weights"]))
    claim = body["claim"]
    if claim is not None:
        if claim["field"]["form"] != "lure":
            raise ValueError(f"form {claim['field']['form']!r}")
        structure = LureStructure(**{k: _unpack(claim["field"][k]) for k in ("E", "F", "G", "lo", "hi")})
        structure.check()
        parts = {k: _unpack(v) for k, v in claim["witness"].items()}
        if "p" in claim:
            parts["p"] = float.fromhex(claim["p"])
        claim = CLAIMS[claim["kind"]](structure, **parts)
    lower, upper = (float.fromhex(b) for b in body["bounds"])
    rate = float.fromhex(body["rate"])
    if math.isnan(rate):
        raise ValueError("rate is not a number")
    return Certificate(body["status"], body["kind"], rate, norm, (lower, upper), body["reason"], body["region"],
                       body["model"], claim)  # fmt: skip


def _digest(body):
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _hex(value):
    return float(value).hex()


def _pack(array):
    if array is None:
        return None
    if hasattr(array, "tocsr"):
        csr = array.tocsr()
        return {"shape": list(csr.shape), "indptr": _pack(csr.indptr.astype(np.int64)),
                "indices": _pack(csr.indices.astype(np.int64)), "values": _pack(csr.data.astype(float))}  # fmt: skip
    array = np.ascontiguousarray(array)
    kind = "<i8" if array.dtype.kind == "i" else "<f8"
    return {"shape": list(array.shape), "type": kind, "data": base64.b64encode(array.astype(kind).tobytes()).decode()}


def _unpack(packed):
    if packed is None:
        return None
    if "indptr" in packed:
        from scipy.sparse import csr_array

        parts = (_unpack(packed["values"]), _unpack(packed["indices"]), _unpack(packed["indptr"]))
        matrix = csr_array(parts, shape=tuple(packed["shape"]))
        matrix.check_format(full_check=True)
        return matrix
    if packed["type"] not in ("<f8", "<i8"):
        raise ValueError(f"array type {packed['type']!r}")
    array = np.frombuffer(base64.b64decode(packed["data"], validate=True), dtype=packed["type"])
    return array.reshape(packed["shape"]).astype(packed["type"][1:])
