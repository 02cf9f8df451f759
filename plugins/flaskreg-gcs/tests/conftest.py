"""Servers that tests share, and a service account."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from fakegcs import FakeGcs
from fakegcs import Serving
from fakegcs import Tokens
from fakegcs import make_certificates
from fakegcs import make_tunnel
from fakegcs import service_account

from flaskreg.testing.live import free_port


@pytest.fixture(scope="session")
def account_key():
    """Return the private key of the service account."""
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="session")
def account(account_key):
    """Return the key document of a service account, whose tokens are had here."""
    tokens = Serving(Tokens)
    yield service_account(tokens.url, account_key)
    tokens.stop()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """Return a server that is had as an emulator is."""
    started = FakeGcs(tmp_path_factory.mktemp("fakegcs"))
    yield started
    started.stop()


@pytest.fixture
def emulated(server, monkeypatch):
    """Return the server, which the library finds by its own variable."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
    return server


@pytest.fixture(scope="session")
def google(tmp_path_factory, account):
    """Return a server under Google's own names, and the environment that it wants."""
    folder = tmp_path_factory.mktemp("google")
    make_certificates(folder)
    tls = free_port()
    options = ["-scheme", "both", "-port", str(tls)]
    options += ["-cert-location", str(folder / "cert.pem")]
    options += ["-private-key-location", str(folder / "key.pem")]
    started = FakeGcs(
        folder,
        *options,
        external="https://www.googleapis.com",
        public="storage.googleapis.com",
    )
    tunnel = make_tunnel(tls)
    keyfile = folder / "account.json"
    keyfile.write_text(json.dumps(account))
    authority = str(folder / "ca.pem")
    environment = {
        "HTTPS_PROXY": tunnel.url,
        "SSL_CERT_FILE": authority,
        "REQUESTS_CA_BUNDLE": authority,
    }
    yield started, environment, str(keyfile)
    tunnel.stop()
    started.stop()
