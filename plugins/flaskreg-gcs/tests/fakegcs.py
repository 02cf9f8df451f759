"""fake-gcs-server as a process, and what makes Google's own names lead to it."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from flaskreg.testing.live import fetch
from flaskreg.testing.live import free_port


NAMES = ("www.googleapis.com", "storage.googleapis.com", "localhost")
PEM = serialization.Encoding.PEM
CLEAR = serialization.NoEncryption()
PKCS8 = serialization.PrivateFormat.PKCS8


class FakeGcs:
    """One server; its content is in memory."""

    def __init__(self, folder, *options, external=None, public=None):
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        binary = os.environ.get("FLASKREG_FAKE_GCS") or shutil.which("fake-gcs-server")
        assert binary, (
            "fake-gcs-server is not installed "
            "(go install github.com/fsouza/fake-gcs-server@latest)"
        )
        command = [binary, "-backend", "memory", "-host", "127.0.0.1"]
        command += ["-external-url", external or self.url, "-log-level", "error"]
        command += ["-public-host", public or f"127.0.0.1:{self.port}"]
        command += list(options) or ["-scheme", "http", "-port", str(self.port)]
        command += ["-port-http", str(self.port)] if options else []
        with (folder / "fake-gcs.log").open("wb") as out:
            self.process = subprocess.Popen(
                command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, cwd=folder
            )
        deadline = time.monotonic() + 30
        while True:
            assert self.process.poll() is None, "fake-gcs-server ended"
            try:
                fetch("GET", f"{self.url}/storage/v1/b")
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.1)

    def make_bucket(self, name):
        """Make an empty bucket."""
        body = json.dumps({"name": name}).encode()
        headers = {"Content-Type": "application/json"}
        answer = fetch("POST", f"{self.url}/storage/v1/b?project=p", body, headers)
        assert answer.status == 200, answer

    def keys(self, bucket):
        """Return all keys of a bucket."""
        answer = fetch("GET", f"{self.url}/storage/v1/b/{bucket}/o")
        return [each["name"] for each in answer.json().get("items", [])]

    def stop(self):
        """End it."""
        self.process.terminate()
        self.process.wait(20)


class Serving:
    """A server of this process, in a thread."""

    def __init__(self, handler):
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def stop(self):
        """End it."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Tokens(BaseHTTPRequestHandler):
    """Gives a token to whoever asks, as Google does to service accounts."""

    def do_POST(self):
        """Give one."""
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps(
            {"access_token": "token", "token_type": "Bearer", "expires_in": 3600}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Log nothing."""
        del args


def make_tunnel(port):
    """Return a proxy that connects everybody to a port of this machine."""

    class Tunnel(BaseHTTPRequestHandler):
        def do_CONNECT(self):
            there = socket.create_connection(("127.0.0.1", port))
            self.send_response(200)
            self.end_headers()
            pump = threading.Thread(target=copy, args=(there, self.connection))
            pump.start()
            copy(self.connection, there)
            pump.join()
            there.close()
            self.close_connection = True

        def log_message(self, *args):
            del args

    return Serving(Tunnel)


def copy(source, target):
    """Copy bytes until one of both ends."""
    with contextlib.suppress(OSError):
        while chunk := source.recv(65536):
            target.sendall(chunk)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def service_account(token_url, key):
    """Return the key document of a service account."""
    return {
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "1",
        "private_key": key.private_bytes(PEM, PKCS8, CLEAR).decode(),
        "client_email": "registry@p.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": f"{token_url}/token",
    }


def make_certificates(folder):
    """Write a CA and a certificate for Google's names."""
    ca_key, ca = _certificate("ca", None, None)
    key, certificate = _certificate("server", ca_key, ca)
    (folder / "ca.pem").write_bytes(ca.public_bytes(PEM))
    (folder / "cert.pem").write_bytes(certificate.public_bytes(PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(PEM, PKCS8, CLEAR))


def _certificate(name, issuer_key, issuer):
    key = rsa.generate_private_key(65537, 2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(each) for each in NAMES])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(issuer is None, None), critical=True)
    )
    return key, builder.sign(issuer_key or key, hashes.SHA256())
