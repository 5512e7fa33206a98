"""Certificates as text: self-contained, exact, and tamper-evident.

The text is JSON. Every float is written in hexadecimal (``float.hex``), an array as ``{"shape": ..., "data": ...}`` with the
base64 of its little-endian bytes, a sparse array by its three arrays; so nothing is lost on the way. The certificate carries
the matrices and slope intervals of the field that the claim is about, not only a digest of them: who holds the file can check
the claim without the model. ``digest`` is the SHA-256 of the rest in canonical form; it shows accidents and careless edits,
and a careful forger still has to pass the check of the inequality.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import math

import numpy as np

from ..errors import CertificateError, nearest
from ..linalg.composite import CompositeNorm
from ..linalg.norms import Norm
from .certificate import KINDS, PROVES, STATUSES, Certificate, Law
from .floors import FLOORS
from .forms import CLAIMS, FORMS, NORMS, find

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
    "floor",
    "digest",
)
_OPTIONAL = ("order", "law")


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
        "norm": _pack_norm(c.norm),
        "bounds": [_hex(b) for b in c.bounds],
        "region": c.region,
        "reason": c.reason,
        "claim": None,
        "floor": None,
    }
    if c.claim is not None:
        body["claim"] = _pack_claim(c.claim)
    if c.order is not None:
        body["order"] = _hex(c.order)
    if c.law is not None:
        body["law"] = {"name": c.law.name, "vector": _pack(c.law.vector)}
    if c.floor is not None:  # about the field of the claim, whose numbers are there already
        body["floor"] = {"kind": c.floor.kind, "witness": {k: _pack(v) for k, v in c.floor.witness().items()}}
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
    _check_fields(body, _FIELDS + tuple(name for name in _OPTIONAL if name in body))
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
    norm = _unpack_norm(body["norm"])
    claim = None if body["claim"] is None else _unpack_claim(body["claim"])
    order, law = body.get("order"), body.get("law")
    order = None if order is None else float.fromhex(order)
    if law is not None:
        _check_fields(law, ("name", "vector"), "law.")
        law = Law(law["name"], _unpack(law["vector"]))
    floor = None if body["floor"] is None else _unpack_floor(body["floor"], claim)
    lower, upper = (float.fromhex(b) for b in body["bounds"])
    rate = float.fromhex(body["rate"])
    if math.isnan(rate) or not lower <= upper:
        raise ValueError("rate and bounds are not in order")
    if body["status"] == "certified" and (claim is None or upper != -rate or not _fits(body["kind"], rate, claim)):
        raise ValueError("what is said to be certified contradicts itself in kind, rate and bounds, or lacks a claim")
    return Certificate(body["status"], body["kind"], rate, norm, (lower, upper), body["reason"], body["region"],
                       body["model"], claim, order, law, floor)  # fmt: skip


def _unpack_floor(packed, claim):
    """The proof of a lower bound; it is about the field of the claim."""
    _check_fields(packed, ("kind", "witness"), "floor.")
    if packed["kind"] not in FLOORS:
        raise ValueError(f"a floor of kind {packed['kind']!r}")
    extra = {"p": claim.p} if packed["kind"] == "rows" else {}
    return FLOORS[packed["kind"]](
        structure=claim.structure, **extra, **{k: _unpack(v) for k, v in packed["witness"].items()}
    )


def _pack_claim(claim):
    """A claim: its structure under "field", its arrays under "witness", its numbers and parts under their names."""
    packed = {"kind": claim.kind, "witness": {k: _pack(v) for k, v in claim.witness().items()}}
    if hasattr(claim, "parts"):
        packed["parts"] = [_pack_claim(part) for part in claim.parts]
        return packed if claim.order is None else {**packed, "order": _hex(claim.order)}
    packed["field"] = _pack_structure(claim.structure)
    if hasattr(claim, "p"):
        packed["p"] = _hex(claim.p)
    return packed


def _unpack_claim(packed):
    make = find(CLAIMS, packed["kind"])
    names = make.__dataclass_fields__
    inside = [("field", "structure"), ("parts", "parts"), ("p", "p"), ("order", "order")]
    _check_fields(packed, ("kind", "witness", *(word for word, name in inside if name in names)), "claim.")
    arguments = {k: _unpack(v) for k, v in packed["witness"].items()}
    arguments |= {word: float.fromhex(packed[word]) for word in ("p", "order") if word in names}
    if "parts" in names:
        claim = make(parts=tuple(_unpack_claim(part) for part in packed["parts"]), **arguments)
    else:
        claim = make(structure=_unpack_structure(packed["field"]), **arguments)
    claim.norm()  # raises where the witness is no weight of a norm
    return claim


def _pack_structure(structure):
    """A structure: its form, and each of its fields as an array, a word, a number, a dict of words or a structure."""
    packed = {"form": structure.form}
    for field in dataclasses.fields(structure):
        value = getattr(structure, field.name)
        if dataclasses.is_dataclass(value):
            packed[field.name] = _pack_structure(value)
        elif value is None or isinstance(value, str | bool | int):
            packed[field.name] = value
        elif isinstance(value, dict):
            packed[field.name] = {"words": {str(k): str(v) for k, v in value.items()}}
        else:
            packed[field.name] = _pack(value)
    return packed


def _unpack_structure(packed):
    make = find(FORMS, packed["form"])
    names = [field.name for field in dataclasses.fields(make)]
    _check_fields(packed, ("form", *names), "claim.field.")
    values = {}
    for name in names:
        value = packed[name]
        if isinstance(value, dict) and "form" in value:
            value = _unpack_structure(value)
        elif isinstance(value, dict):
            value = _words(value["words"]) if set(value) == {"words"} else _unpack(value)
        values[name] = value
    structure = make(**values)
    structure.check()
    return structure


def _words(value):
    if not all(isinstance(word, str) for word in value.values()):
        raise ValueError("words are texts")
    return value


def _pack_norm(norm):
    if norm is None:
        return None
    if isinstance(norm, CompositeNorm):
        blocks = [[size, _pack_norm(block)] for size, block in zip(norm.sizes, norm.norms, strict=True)]
        return {"of": "composite", "blocks": blocks, "outer": _pack_norm(norm.outer)}
    packed = {"p": _hex(norm.p), "weights": _pack(norm.weights)}
    if getattr(norm, "R", None) is not None:
        packed["R"] = _pack(norm.R)
    if hasattr(norm, "pack"):  # a seminorm or the norm of a compound: it says which
        packed.update(norm.pack())
    return packed


def _unpack_norm(packed):
    if packed is None:
        return None
    word = packed.get("of")
    if word == "composite":
        _check_fields(packed, ("of", "blocks", "outer"), "norm.")
        blocks = [(size, _unpack_norm(block)) for size, block in packed["blocks"]]
        return CompositeNorm(blocks, _unpack_norm(packed["outer"]))
    extra = {
        "range": ("of",),
        "compound": ("of", "k"),
        "disagreement": ("of", "nodes", "euclidean"),
        None: ("R",) if "R" in packed else (),
    }.get(word)
    if extra is None:
        raise ValueError(f"a norm of {word!r}")
    _check_fields(packed, ("p", "weights", *extra), "norm.")
    p, weights = float.fromhex(packed["p"]), _unpack(packed["weights"])
    if word == "range":
        return find(NORMS, word)(p, weights)
    if word == "disagreement":
        return find(NORMS, word)(packed["nodes"], p, weights, packed["euclidean"])
    if word == "compound":
        return find(NORMS, word)(packed["k"], p, weights)
    return Norm(p, weights, _unpack(packed["R"])) if "R" in packed else Norm(p, weights)


def _fits(kind, rate, claim):
    return PROVES.get(kind) == claim.proves and (rate == 0 if kind == "weak" else rate > 0)


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
