"""TLS contexts, by real handshakes in memory."""

from __future__ import annotations

import os
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

from flaskreg import tls
from flaskreg.config import ConfigError
from flaskreg.config.tls import Tls
from flaskreg.tls import DEFAULT
from flaskreg.tls import SUITES
from flaskreg.tls import SUITES_13
from flaskreg.tls import TlsContexts


class Files:
    """A certificate of a test's own authority, on disk."""

    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.certificate, self.key = folder / "cert.pem", folder / "key.pem"
        self.clients = folder / "clients.pem"
        self.ca.cert_pem.write_to_path(self.clients)
        self.issue("localhost")

    def issue(self, name: str) -> None:
        """Write a certificate for a name."""
        leaf = self.ca.issue_cert(name)
        self.key.write_bytes(leaf.private_key_pem.bytes())
        self.certificate.write_bytes(
            b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        )
        later = self.certificate.stat().st_mtime + 5
        os.utime(self.certificate, (later, later))

    def section(self, **options: Any) -> Tls:
        """Return the section of the settings."""
        return Tls(certificate=str(self.certificate), key=str(self.key), **options)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Files of this test."""
    return Files(tmp_path)


def shake(
    server: ssl.SSLContext, client: ssl.SSLContext, name: str = "localhost"
) -> ssl.SSLObject:
    """Return the client's side of a handshake.

    :raises ssl.SSLError: one side does not want the other.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    waiting = list(ends)
    for _ in range(10):
        for end in list(waiting):
            try:
                end.do_handshake()
                waiting.remove(end)
            except ssl.SSLWantReadError:
                continue
    assert not waiting
    # What the server thinks of a client's certificate comes after TLS 1.3's handshake.
    with suppress(ssl.SSLWantReadError):
        ends[0].read()
    return ends[0]


def client_of(files: Files, **versions: Any) -> ssl.SSLContext:
    """Return a client that trusts the authority."""
    context = ssl.create_default_context()
    files.ca.configure_trust(context)
    for name, value in versions.items():
        setattr(context, name, value)
    return context


def test_a_client_that_trusts_the_authority_is_served(files: Files) -> None:
    end = shake(TlsContexts(files.section()).context, client_of(files))
    assert end.version() == "TLSv1.3"


def test_http2_is_offered_by_alpn(files: Files) -> None:
    client = client_of(files)
    client.set_alpn_protocols(["h2", "http/1.1"])
    contexts = TlsContexts(files.section(), ["h2", "http/1.1"])
    assert shake(contexts.context, client).selected_alpn_protocol() == "h2"
    contexts = TlsContexts(files.section(), ["http/1.1"])
    assert shake(contexts.context, client).selected_alpn_protocol() == "http/1.1"


@pytest.mark.parametrize(
    ("minimum", "spoken", "well"),
    [
        ("tls1.2", ssl.TLSVersion.TLSv1_2, True),
        ("tls1.2", ssl.TLSVersion.TLSv1_3, True),
        ("tls1.3", ssl.TLSVersion.TLSv1_2, False),
        ("tls1.3", ssl.TLSVersion.TLSv1_3, True),
    ],
)
def test_the_lowest_version(
    files: Files, minimum: str, spoken: ssl.TLSVersion, well: bool
) -> None:
    client = client_of(files, minimum_version=spoken, maximum_version=spoken)
    context = TlsContexts(files.section(minimumtls=minimum)).context
    if well:
        shake(context, client)
    else:
        with pytest.raises(ssl.SSLError):
            shake(context, client)


def test_the_chosen_suite_is_spoken(files: Files) -> None:
    section = files.section(ciphersuites=["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"])
    client = client_of(files, maximum_version=ssl.TLSVersion.TLSv1_2)
    cipher = shake(TlsContexts(section).context, client).cipher()
    assert cipher is not None
    assert cipher[0] == "ECDHE-ECDSA-AES128-GCM-SHA256"


def test_suites_of_13_alone_leave_no_12(files: Files) -> None:
    section = files.section(ciphersuites=["TLS_AES_256_GCM_SHA384"])
    client = client_of(files, maximum_version=ssl.TLSVersion.TLSv1_2)
    with pytest.raises(ssl.SSLError):
        shake(TlsContexts(section).context, client)


def test_names_of_suites_are_known_to_openssl() -> None:
    """But for those that it was built without."""
    assert set(DEFAULT) <= SUITES.keys()
    assert not SUITES_13 & SUITES.keys()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(":".join(SUITES[name] for name in DEFAULT))
    spoken = {cipher["name"] for cipher in context.get_ciphers()}
    assert spoken >= {SUITES[name] for name in DEFAULT}


@pytest.mark.parametrize(
    ("auth", "shown", "well"),
    [
        ("require-and-verify-client-cert", True, True),
        ("require-and-verify-client-cert", False, False),
        ("require-any-client-cert", False, False),
        ("verify-client-cert-if-given", True, True),
        ("verify-client-cert-if-given", False, True),
        ("request-client-cert", False, True),
    ],
)
def test_clients_show_certificates(
    files: Files, auth: str, shown: bool, well: bool
) -> None:
    section = files.section(clientcas=[str(files.clients)], clientauth=auth)
    client = client_of(files)
    if shown:
        files.ca.issue_cert("alice@example.com").configure_cert(client)
    if well:
        shake(TlsContexts(section).context, client)
    else:
        with pytest.raises(ssl.SSLError):
            shake(TlsContexts(section).context, client)


@pytest.mark.parametrize(
    "auth", ["require-and-verify-client-cert", "verify-client-cert-if-given"]
)
def test_certificates_of_others_are_refused(files: Files, auth: str) -> None:
    section = files.section(clientcas=[str(files.clients)], clientauth=auth)
    client = client_of(files)
    trustme.CA().issue_cert("eve@example.com").configure_cert(client)
    with pytest.raises(ssl.SSLError):
        shake(TlsContexts(section).context, client)


def test_a_changed_certificate_is_used(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a restart, and one that cannot be used is not."""
    monkeypatch.setattr(tls, "LOOK", 0.0)
    contexts, client = TlsContexts(files.section()), client_of(files)
    before = contexts.context
    shake(before, client)
    assert contexts.context is before
    files.issue("other.example")
    shake(contexts.context, client, "other.example")
    with pytest.raises(ssl.SSLError, match="[Hh]ostname"):
        shake(contexts.context, client, "localhost")
    files.certificate.write_text("no certificate")
    shake(contexts.context, client, "other.example")
    files.certificate.unlink()
    shake(contexts.context, client, "other.example")
    files.issue("third.example")
    shake(contexts.context, client, "third.example")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"key": None}, r"http\.tls\.key"),
        ({"certificate": None}, r"http\.tls\.certificate"),
        ({"certificate": "/none"}, "/none .*cannot be used"),
        ({"clientcas": ["/none"]}, "clientcas: /none cannot be used"),
        ({"ciphersuites": ["TLS_X"]}, 'ciphersuites: "?TLS_X"?'),
    ],
)
def test_what_cannot_work_is_an_error(
    files: Files, change: dict[str, Any], named: str
) -> None:
    section = files.section().model_copy(update=change)
    with pytest.raises(ConfigError, match=named):
        TlsContexts(section)
