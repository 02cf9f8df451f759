"""Real servers of Redis: one, with TLS, a cluster, and one with a sentinel."""

from __future__ import annotations

import datetime
import ipaddress
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from redis_servers import RedisServer
from redis_servers import wait_for

from flaskreg.testing.live import free_port


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """Return a server that tests share; each empties it first."""
    started = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield started
    started.stop()


@pytest.fixture
def empty_server(server):
    """Return the server, with nothing in it."""
    client = server.client()
    client.flushall()
    client.close()
    return server


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """Return a folder with a CA, a server's certificate and a client's."""
    folder = tmp_path_factory.mktemp("tls")
    ca_key, ca = _certificate("ca", None, None)
    _write(folder, "ca", ca_key, ca)
    for name in ("server", "client"):
        _write(folder, name, *_certificate(name, ca_key, ca))
    return folder


def _certificate(name, issuer_key, issuer):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    local = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([local]), critical=False)
        .add_extension(x509.BasicConstraints(issuer is None, None), critical=True)
    )
    return key, builder.sign(issuer_key or key, hashes.SHA256())


def _write(folder, name, key, certificate):
    pem = serialization.Encoding.PEM
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(pem))
    clear = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    (folder / f"{name}.key").write_bytes(key.private_bytes(pem, form, clear))


@pytest.fixture(scope="session")
def tls_server(tmp_path_factory, authority):
    """Return a server that wants TLS and the client's certificate."""
    options = ["--tls-cert-file", str(authority / "server.pem")]
    options += ["--tls-key-file", str(authority / "server.key")]
    options += ["--tls-ca-cert-file", str(authority / "ca.pem")]
    folder = tmp_path_factory.mktemp("redis-tls")
    started = RedisServer(folder, *options, tls=authority).start()
    yield started
    started.stop()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """Return the three servers of a cluster."""
    servers = []
    for number in range(3):
        folder = tmp_path_factory.mktemp(f"cluster-{number}")
        options = ["--cluster-enabled", "yes", "--cluster-port", str(free_port())]
        servers.append(RedisServer(folder, *options).start())
    addresses = [each.address for each in servers]
    command = ["redis-cli", "--cluster", "create", *addresses, "--cluster-yes"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    for each in servers:
        client = each.client()
        wait_for(lambda c=client: c.cluster("info")["cluster_state"] == "ok")
        client.close()
    yield servers
    for each in servers:
        each.stop()


@pytest.fixture(scope="session")
def sentinel(tmp_path_factory):
    """Return a sentinel and the server that it watches, which wants a password."""
    folder = tmp_path_factory.mktemp("sentinel")
    master = RedisServer(folder, "--requirepass", "of the server").start()
    file = folder / "sentinel.conf"
    file.write_text(
        f"sentinel monitor registry 127.0.0.1 {master.port} 1\n"
        'sentinel auth-pass registry "of the server"\n'
    )
    watcher = RedisServer(folder, "--sentinel", file=file).start()
    yield watcher, master
    watcher.stop()
    master.stop()
