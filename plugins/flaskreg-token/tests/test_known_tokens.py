"""What is remembered of tokens, and which keys are trusted at all."""

from __future__ import annotations

import time

import pytest
from flaskreg_token import verifier as module
from flaskreg_token.sources import KeyFiles
from flaskreg_token.verifier import TokenRefused
from flaskreg_token.verifier import TokenVerifier
from token_forge import ISSUER
from token_forge import SERVICE


def count_signatures(monkeypatch):
    """Return the list of signatures that are verified from now on."""
    verified = []
    real = module.check_signature

    def check(compact, *rest):
        verified.append(compact.text)
        real(compact, *rest)

    monkeypatch.setattr(module, "check_signature", check)
    return verified


def test_a_signature_is_paid_for_once(verifier, forge, monkeypatch):
    """A good token is remembered, a refused one is not."""
    verified = count_signatures(monkeypatch)
    good, bad = forge.token(), forge.token()[:-4] + "AAAA"
    first = verifier.verify(good)
    for _ in range(1000):
        assert verifier.verify(good) is first
    for _ in range(2):
        with pytest.raises(TokenRefused):
            verifier.verify(bad)
    assert verified == [good, bad, bad]


def test_a_token_is_remembered_until_it_expires(files, forge):
    """And no longer."""
    now = [time.time()]
    verifier = TokenVerifier(files, ISSUER, SERVICE, clock=lambda: now[0])
    token = forge.token()
    verifier.verify(token)
    now[0] += 359
    verifier.verify(token)
    now[0] += 2
    with pytest.raises(TokenRefused, match="expired"):
        verifier.verify(token)
    assert len(verifier._known) == 0


def test_what_is_remembered_is_bounded(files, forge, monkeypatch):
    """Tokens weigh what they grant, and no token is kept itself."""
    monkeypatch.setattr(module, "REMEMBERED", 10)
    verifier = TokenVerifier(files, ISSUER, SERVICE)
    for number in range(10):
        verifier.verify(forge.token("oct", "HS256", jti=str(number)))
    assert len(verifier._known) == 3
    assert all(len(key) == 32 for key in verifier._known._entries)


def test_keys_for_other_purposes_are_not_trusted(forge, write_jwks):
    """``use``, ``key_ops`` and ``alg`` of a JWKS hold."""
    key = forge.keys["rsa"].as_dict(private=False)
    path = write_jwks(
        {**key, "kid": "enc", "use": "enc"},
        {**key, "kid": "ops", "key_ops": ["encrypt"]},
        {**key, "kid": "alg", "alg": "PS256"},
        {**key, "kid": "oaep", "alg": "RSA-OAEP"},
        {"kty": "future", "kid": "future"},
        {**forge.foreign["oct"].as_dict(private=True), "kid": "short", "k": "A" * 27},
        {**key, "kid": "good", "use": "sig", "key_ops": ["verify"]},
    )
    trusted = KeyFiles("", path).trusted().keys
    assert set(trusted) == {"alg", "good"}
    assert trusted["alg"].algorithms == {"PS256"}
