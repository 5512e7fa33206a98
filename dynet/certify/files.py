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

from ..errors import CertificateError, nearest
from ..linalg.norms import Norm
from .certificate import STATUSES, Certificate
from .claims import CLAIMS
from .lure import LureStructure

__all__ = ["FORMAT", "VERSION", "from_json", "to_json"]

KINDS = ("strong", "weak", "none")
_MATRICES = ("E", "F", "G", "lo", "hi")
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
            "field": {"form": "lure", **{k: _pack(getattr(s, k)) for k in _MATRICES}},
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
        body = json.loads(text, object_pairs_hook=_once)
    except (ValueError, TypeError, RecursionError) as error:
        raise CertificateError(f"the certificate is not readable JSON: {error}") from None
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise CertificateError(f"this is not a certificate: expected format {FORMAT!r}")
    if type(body.get("version")) is not int or body["version"] != VERSION:
        raise CertificateError(f"version={body.get('version')!r}: expected {VERSION}; a newer dynet may read this file")
    _check_fields(body, _FIELDS)
    digest = _digest({k: v for k, v in body.items() if k != "digest"})
    if digest != body["digest"]:
        raise CertificateError(
            f"digest={body['digest']!r}: the contents give {digest!r}; the file was changed after it was written"
        )
    try:
        return _build(body)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, MemoryError) as error:
        raise CertificateError(f"the certificate is malformed: {error}") from None


def _once(pairs):
    """A JSON object in which no name stands twice: readers would differ in which value they take."""
    body = dict(pairs)
    if len(body) < len(pairs):
        raise ValueError(f"a name stands twice among {[name for name, _ in pairs]}")
    return body


def _check_fields(body, fields, where=""):
    for name in fields:
        if name not in body:
            raise CertificateError(f"the field {where + name!r} is missing")
    for name in body:
        if name not in fields:
            word = nearest(name, fields)
            raise CertificateError(f"unknown field {where + name!r}" + (f"; did you mean {word!r}?" if word else ""))


def _build(body):
    if body["status"] not in STATUSES:
        raise ValueError(f"status {body['status']!r}")
    if body["kind"] not in KINDS:
        raise ValueError(f"kind {body['kind']!r}")
    for name in ("model", "region", "reason"):
        if not isinstance(body[name], str):
            raise ValueError(f"{name} is not a text")
    norm = body["norm"]
    if norm is not None:
        _check_fields(norm, ("p", "weights"), "norm.")
        norm = Norm(float.fromhex(norm["p"]), _unpack(norm["weights"]))
    claim = body["claim"]
    if claim is not None:
        kind = CLAIMS[claim["kind"]]
        has_order = "p" in kind.__dataclass_fields__
        _check_fields(claim, ("kind", "witness", "field", *(["p"] if has_order else [])), "claim.")
        _check_fields(claim["field"], ("form", *_MATRICES), "claim.field.")
        if claim["field"]["form"] != "lure":
            raise ValueError(f"form {claim['field']['form']!r}")
        structure = LureStructure(**{k: _unpack(claim["field"][k]) for k in _MATRICES})
        structure.check()
        parts = {k: _unpack(v) for k, v in claim["witness"].items()}
        if has_order:
            parts["p"] = float.fromhex(claim["p"])
        claim = kind(structure, **parts)
        claim.norm()  # raises where the witness is no weight of a norm
    lower, upper = (float.fromhex(b) for b in body["bounds"])
    rate = float.fromhex(body["rate"])
    if math.isnan(rate) or not lower <= upper:
        raise ValueError("rate and bounds are not in order")
    if body["status"] == "certified" and (claim is None or upper != -rate or body["kind"] != _kind(rate)):
        raise ValueError("what is said to be certified contradicts itself in kind, rate and bounds, or lacks a claim")
    return Certificate(body["status"], body["kind"], rate, norm, (lower, upper), body["reason"], body["region"],
                       body["model"], claim)  # fmt: skip


def _kind(rate):
    return "strong" if rate > 0 else "weak" if rate == 0 else "none"


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


def _unpack(packed, kind="<f8"):
    if packed is None:
        return None
    if "indptr" in packed:
        from scipy.sparse import csr_array

        _check_fields(packed, ("shape", "indptr", "indices", "values"), "array.")
        parts = (_unpack(packed["values"]), _unpack(packed["indices"], "<i8"), _unpack(packed["indptr"], "<i8"))
        matrix = csr_array(parts, shape=tuple(packed["shape"]))
        matrix.check_format(full_check=True)
        return matrix
    _check_fields(packed, ("shape", "type", "data"), "array.")
    if packed["type"] != kind:
        raise ValueError(f"array type {packed['type']!r}, not {kind!r}")
    array = np.frombuffer(base64.b64decode(packed["data"], validate=True), dtype=kind)
    if list(array.reshape(packed["shape"]).shape) != packed["shape"]:
        raise ValueError(f"shape {packed['shape']!r}")
    return array.reshape(packed["shape"]).astype(kind[1:])
