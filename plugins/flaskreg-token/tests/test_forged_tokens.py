"""Tokens that are signed by the wrong key, or as the key does not sign."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization import PublicFormat
from flaskreg_token.algorithms import ALGORITHMS
from flaskreg_token.verifier import TokenRefused
from flaskreg_token.verifier import TokenVerifier
from token_forge import ISSUER
from token_forge import SERVICE
from token_forge import claims
from token_forge import encode
from token_forge import hmac_token


KINDS = {
    "RS256": "rsa", "RS384": "rsa", "RS512": "rsa",
    "PS256": "rsa", "PS384": "rsa", "PS512": "rsa",
    "ES256": "p256", "ES384": "p384", "ES512": "p521",
    "EdDSA": "ed25519", "HS256": "oct", "HS384": "oct", "HS512": "oct",
}  # fmt: skip


def test_every_algorithm(verifier, forge):
    """Each key signs by those of its kind."""
    assert set(KINDS) == set(ALGORITHMS)
    for algorithm, kind in KINDS.items():
        assert verifier.verify(forge.token(kind, algorithm)).subject == "alice"


def test_no_algorithm_of_another_kind(refused, forge):
    """A key is not good for an algorithm that is not its own, whoever signed."""
    for kind, key in forge.keys.items():
        for algorithm, own in KINDS.items():
            if kind != own:
                token = forge.sign(
                    {"alg": algorithm, "kid": kind}, claims(), forge.keys[own]
                )
                assert "does not sign by" in refused(token), (key, algorithm)


def test_algorithms_can_be_limited(files, forge):
    """To those of ``signingalgorithms``."""
    verifier = TokenVerifier(files, ISSUER, SERVICE, ["RS256"])
    assert verifier.verify(forge.token("rsa", "RS256"))
    for algorithm in ("PS256", "RS512"):
        with pytest.raises(TokenRefused, match="is not accepted"):
            verifier.verify(forge.token("rsa", algorithm))


@pytest.mark.parametrize("name", ["none", "None", "NONE", "", None, 1, ["ES256"], {}])
def test_no_signature_at_all(refused, name):
    """Whatever it is called, and with and without a third part."""
    header = {"typ": "JWT", "alg": name, "kid": "p256"}
    data = f"{encode(header)}.{encode(claims())}"
    for signature in ("", ".", ".AAAA"):
        assert refused(data + signature)
    assert refused(f"{encode({'kid': 'p256'})}.{encode(claims())}.AAAA")


@pytest.mark.parametrize("kind", ["rsa", "p256", "p384", "p521", "ed25519"])
def test_a_public_key_is_no_secret(refused, forge, kind):
    """In none of the forms in which somebody could get it."""
    public = forge.keys[kind].public_key
    secrets = [
        public.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
        for encoding in (Encoding.PEM, Encoding.DER)
    ]
    secrets += [secrets[0].strip(), json.dumps(forge.jwks()).encode(), b""]
    for secret in secrets:
        token = hmac_token({"alg": "HS256", "kid": kind}, claims(), secret)
        assert "does not sign by" in refused(token)


def test_a_foreign_key(refused, forge):
    """With the id of a trusted one, brought along, or said to be elsewhere."""
    key = forge.foreign["p256"]
    public = key.as_dict(private=False)
    for header in (
        {"kid": "p256"},
        {"kid": key.thumbprint()},
        {"kid": "p256", "jwk": public},
        {"jwk": public},
        {"jwk": {**public, "kid": key.thumbprint()}, "kid": "p256"},
        {"jwk": {**public, "kid": None}, "kid": "p256"},
        {"jwk": "p256", "kid": "p256"},
        {"jku": "https://evil.example.com/jwks.json"},
        {"jku": "https://evil.example.com/jwks.json", "kid": "p256"},
        {"jku": "https://evil.example.com/jwks.json", "kid": "1"},
        {"x5u": "https://evil.example.com/chain.pem"},
        {"x5u": "https://evil.example.com/chain.pem", "kid": "p256"},
        {"kid": ""},
        {"kid": "../../etc/passwd"},
        {"kid": 1},
        {"kid": None},
        {"kid": ["p256"]},
        {},
    ):
        token = forge.sign({"alg": "ES256", "typ": "JWT", **header}, claims(), key)
        assert refused(token)


def test_an_embedded_key_counts_by_its_id_alone(verifier, refused, forge):
    """The trusted copy of the key is used, as in distribution."""
    public = forge.keys["p256"].as_dict(private=False)
    header = {"alg": "ES256", "jwk": public}
    assert verifier.verify(forge.sign(header, claims(), forge.keys["p256"]))
    # Its other members mean nothing.
    lie = forge.foreign["p256"].as_dict(private=False)
    header = {"alg": "ES256", "jwk": lie}
    assert verifier.verify(forge.sign(header, claims(), forge.keys["p256"]))
    assert refused(forge.sign(header, claims(), forge.foreign["p256"]))
