"""JSON signatures as docker's library libtrust writes them into a document.

Each member of ``signatures`` has a ``protected`` header, which says how many bytes of
the document come before the signatures (``formatLength``) and what follows them
(``formatTail``). Both together are the payload; what is signed is the protected header
and the payload, each in base64url, with a dot between them (RFC 7515).

A good signature says that whoever has the key in its header signed it; whether that
key is to be trusted is another question, which a registry does not answer.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from flaskreg.errors import ManifestInvalid
from flaskreg.errors import RegistryError


#: the most signatures of one manifest.
MOST = 16

_HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}
_CURVES: Mapping[str, ec.EllipticCurve] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
}
_SMALLEST_RSA = 2048
_LARGEST_RSA = 8192


class ManifestUnverified(RegistryError):
    """A signature of the manifest is missing or wrong."""

    code = "MANIFEST_UNVERIFIED"
    status = 400
    message = "manifest failed signature verification"


@dataclass(frozen=True, slots=True)
class Signed:
    """A document that was taken apart."""

    payload: bytes
    #: each as JSON, for the signature store.
    signatures: Sequence[bytes]


def take_apart(content: bytes, document: Mapping[str, Any]) -> Signed:
    """Verify all signatures of a document, and take them out of it.

    :param document: the JSON object in *content*.
    :raises ManifestUnverified: there is none, or one is wrong.
    :raises ManifestInvalid: the payload is not the document without its signatures.
    """
    listed = document.get("signatures")
    if not isinstance(listed, list) or not listed:
        raise ManifestUnverified("missing signature key")
    if len(listed) > MOST:
        raise ManifestUnverified(f"more than {MOST} signatures")
    payloads = {_verified(content, entry) for entry in listed}
    if len(payloads) != 1:
        raise ManifestUnverified("the signatures are of different payloads")
    (payload,) = payloads
    rest = {key: value for key, value in document.items() if key != "signatures"}
    if _decoded(payload) != rest:
        raise ManifestInvalid("what is signed is not what the manifest says")
    return Signed(payload, tuple(_compact(entry) for entry in listed))


def put_together(payload: bytes, signatures: Sequence[bytes]) -> bytes:
    """Return the document with its signatures.

    Those that are damaged, or of another payload, are left out.

    :raises ManifestUnverified: none is left.
    """
    kept: list[Any] = []
    parts: tuple[bytes, bytes] | None = None
    for text in signatures:
        entry = _decoded(text)
        try:
            head, tail = _parts(payload, entry)
        except ManifestUnverified:
            continue
        if head + tail == payload and parts in (None, (head, tail)):
            parts = head, tail
            kept.append(entry)
    if parts is None:
        raise ManifestUnverified("the manifest has no signature here")
    block = json.dumps(kept, indent=3).replace("\n", "\n   ")
    return parts[0] + b',\n   "signatures": ' + block.encode() + parts[1]


def _verified(content: bytes, entry: Any) -> bytes:
    """Return the payload that one signature is of."""
    head, tail = _parts(content, entry)
    payload = head + tail
    signed = entry["protected"].encode("ascii") + b"." + _encode(payload)
    header = entry.get("header")
    if not isinstance(header, Mapping) or not isinstance(header.get("alg"), str):
        raise ManifestUnverified("a signature has no header with an algorithm")
    try:
        _verify(_key(header), header["alg"], _decode(entry.get("signature")), signed)
    except (InvalidSignature, ValueError, TypeError, KeyError, UnsupportedAlgorithm):
        raise ManifestUnverified("invalid signature") from None
    return payload


def _parts(content: bytes, entry: Any) -> tuple[bytes, bytes]:
    """Return what a protected header says that is before and after the signatures."""
    protected = entry.get("protected") if isinstance(entry, Mapping) else None
    try:
        header = _decoded(_decode(protected))
        length, tail = header["formatLength"], _decode(header["formatTail"])
    except (KeyError, TypeError, ValueError):
        raise ManifestUnverified("a signature has no protected header") from None
    if not isinstance(length, int) or not 0 < length <= len(content):
        raise ManifestUnverified("a signature is of more than there is")
    return content[:length], tail


def _key(header: Mapping[str, Any]) -> Any:
    """Return the public key in a header: a JWK, or that of a certificate."""
    chain = header.get("x5c")
    if isinstance(chain, list) and chain:
        certificate = x509.load_der_x509_certificate(base64.b64decode(chain[0]))
        return certificate.public_key()
    jwk = header["jwk"]
    if jwk["kty"] == "EC":
        numbers = ec.EllipticCurvePublicNumbers(
            _number(jwk["x"]), _number(jwk["y"]), _CURVES[jwk["crv"]]
        )
        return numbers.public_key()
    if jwk["kty"] != "RSA":
        raise ValueError("neither EC nor RSA")
    return rsa.RSAPublicNumbers(_number(jwk["e"]), _number(jwk["n"])).public_key()


def _verify(key: Any, algorithm: str, signature: bytes, signed: bytes) -> None:
    """Verify by the algorithm of a header, which has to be that of the key.

    :raises InvalidSignature: it is wrong.
    :raises ValueError: the key is of another kind.
    """
    digest = _HASHES[algorithm[2:]]
    if algorithm.startswith("ES") and isinstance(key, ec.EllipticCurvePublicKey):
        half = (key.curve.key_size + 7) // 8
        if len(signature) != 2 * half:
            raise ValueError("not a signature of this curve")
        r, s = signature[:half], signature[half:]
        der = encode_dss_signature(int.from_bytes(r), int.from_bytes(s))
        key.verify(der, signed, ec.ECDSA(digest))
    elif algorithm.startswith("RS") and isinstance(key, rsa.RSAPublicKey):
        if not _SMALLEST_RSA <= key.key_size <= _LARGEST_RSA:
            raise ValueError("a key of another size")
        key.verify(signature, signed, padding.PKCS1v15(), digest)
    else:
        raise ValueError("not the algorithm of this key")


def _decoded(text: bytes) -> Any:
    try:
        return json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError):
        return None


def _compact(entry: Mapping[str, Any]) -> bytes:
    return json.dumps(entry, separators=(",", ":")).encode()


def _encode(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def _decode(text: Any) -> bytes:
    """Decode base64url without its padding.

    :raises ValueError: it is none.
    """
    if not isinstance(text, str) or not text.isascii():
        raise ValueError("text is wanted")
    padded = text + "=" * (-len(text) % 4)
    try:
        return base64.b64decode(padded, altchars=b"-_", validate=True)
    except binascii.Error:
        raise ValueError("no base64url") from None


def _number(text: Any) -> int:
    return int.from_bytes(_decode(text))
