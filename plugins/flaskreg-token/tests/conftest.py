"""Keys, files of keys, and tokens that a Go implementation issued."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from flaskreg_token.issuer import TokenIssuer
from flaskreg_token.keys import KeyRing
from flaskreg_token.sources import KeyFiles
from flaskreg_token.verifier import TokenRefused
from flaskreg_token.verifier import TokenVerifier
from joserfc.jwk import ECKey
from token_forge import ISSUER
from token_forge import SERVICE
from token_forge import Forge
from token_forge import certificate
from token_forge import pem_of

from flaskreg import filelook


@pytest.fixture(scope="session")
def recorded():
    """Return what Go programs issued, with their keys."""
    path = Path(__file__).parent / "data" / "go_tokens.json"
    return json.loads(path.read_text())


@pytest.fixture(scope="session")
def forge():
    """Return keys, trusted and foreign, and what makes any token of them."""
    return Forge()


@pytest.fixture
def write_jwks(tmp_path):
    """Return a callable that writes a JWKS and returns its path."""

    def write(*keys):
        path = tmp_path / "jwks.json"
        path.write_text(json.dumps({"keys": list(keys)}))
        return str(path)

    return write


@pytest.fixture
def ring(tmp_path):
    """Return a ring of keys that has none yet."""
    return KeyRing(str(tmp_path / "keys"))


@pytest.fixture
def issuer(ring):
    """Return an issuer of tokens."""
    return TokenIssuer(ring, ISSUER, SERVICE)


@pytest.fixture(scope="session")
def authority(forge):
    """Return a root certificate with its key, which is not of the JWKS."""
    del forge
    key = ECKey.generate_key("P-256")
    return certificate("root", key, ca=True), key


@pytest.fixture(scope="session")
def files(forge, authority, tmp_path_factory):
    """Return the trusted keys: a JWKS and a bundle."""
    folder = tmp_path_factory.mktemp("trust")
    bundle, jwks = folder / "bundle.pem", folder / "jwks.json"
    bundle.write_bytes(pem_of(authority[0]))
    jwks.write_text(json.dumps({"keys": forge.jwks()}))
    return KeyFiles(str(bundle), str(jwks))


@pytest.fixture
def verifier(files):
    """Return a verifier."""
    return TokenVerifier(files, ISSUER, SERVICE)


@pytest.fixture
def refused(verifier):
    """Return a callable that gives the reason for which a token is refused."""

    def call(token):
        with pytest.raises(TokenRefused) as caught:
            verifier.verify(token)
        return str(caught.value)

    return call


@pytest.fixture
def own_verifier(ring):
    """Return a verifier of our own tokens."""
    return TokenVerifier(ring, ISSUER, SERVICE)


@pytest.fixture(autouse=True)
def _look_each_time(monkeypatch):
    """Let a change of a file apply to the very next call."""
    monkeypatch.setattr(filelook, "PAUSE", 0.0)
