"""TLS, unix sockets and inherited sockets under gunicorn."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
import yaml

from . import servers
from .servers import PROJECT
from .servers import Server
from .servers import flaskreg_command
from .servers import free_port
from .servers import outer_environment


pytestmark = pytest.mark.live


class Authority:
    """An authority, and the files of the server's certificate."""

    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.certificate, self.key = folder / "cert.pem", folder / "key.pem"
        self.issue("127.0.0.1")

    def issue(self, *names: str) -> None:
        """Write a certificate, as a tool that renews does: new files, moved in."""
        leaf = self.ca.issue_cert(*names)
        for path, content in (
            (self.key, leaf.private_key_pem.bytes()),
            (self.certificate, leaf.cert_chain_pems[0].bytes()),
        ):
            new = path.with_suffix(".new")
            new.write_bytes(content)
            new.replace(path)

    def trusting(self) -> ssl.SSLContext:
        """Return a client's context."""
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        return context

    def section(self, **options: Any) -> dict[str, Any]:
        """Return the section ``http.tls``."""
        return {"certificate": str(self.certificate), "key": str(self.key), **options}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority of this test."""
    return Authority(tmp_path)


@pytest.fixture
def start_tls(
    start_flaskreg: Callable[..., Server],
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Server]:
    """Return a function that starts a server with TLS."""

    def wait(server: Server, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", server.port)) == 0:
                    return
            assert server.process.poll() is None, server.text()
            time.sleep(0.05)
        pytest.fail(server.text())

    monkeypatch.setattr(servers, "wait_ready", wait)

    def start(http: dict[str, Any] | None = None, **options: Any) -> Server:
        section = {"tls": authority.section(**options), **(http or {})}
        return start_flaskreg({"http": section}, workers=2)

    return start


def get(server: Server, context: ssl.SSLContext, **options: Any) -> httpx.Response:
    """Ask for ``/v2/`` over TLS."""
    with httpx.Client(verify=context, timeout=20, **options) as client:
        return client.get(f"https://{server.host}/v2/")


def test_content_goes_and_comes_over_tls(
    start_tls: Callable[..., Server], authority: Authority
) -> None:
    """Large bodies too, which are not sent by the kernel here."""
    server = start_tls({"relativeurls": False})
    content = os.urandom(3 << 20)
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    base = f"https://{server.host}/v2/a/blobs"
    with httpx.Client(verify=authority.trusting(), timeout=60) as client:
        started = client.post(f"{base}/uploads/")
        location = started.headers["Location"]
        assert location.startswith(f"https://{server.host}/")
        ended = client.put(f"{location}&digest={digest}", content=content)
        assert ended.status_code == 201
        assert client.get(f"{base}/{digest}").content == content


@pytest.mark.parametrize(
    ("disabled", "version"), [(False, "HTTP/2"), (True, "HTTP/1.1")]
)
def test_http2_is_spoken_unless_it_is_switched_off(
    start_tls: Callable[..., Server],
    authority: Authority,
    disabled: bool,
    version: str,
) -> None:
    server = start_tls({"http2": {"disabled": disabled}})
    content = os.urandom(300_000)
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    base = f"https://{server.host}/v2/a/blobs"
    with httpx.Client(verify=authority.trusting(), http2=True, timeout=60) as client:
        pushed = client.post(f"{base}/uploads/?digest={digest}", content=content)
        assert (pushed.status_code, pushed.http_version) == (201, version)
        assert client.get(f"{base}/{digest}").content == content
        assert client.get(f"{base}/{digest}x").status_code == 400


def test_a_body_of_unknown_length_over_http2(
    start_tls: Callable[..., Server], authority: Authority
) -> None:
    """As docker sends a layer: there is no length, and the stream ends."""
    server = start_tls()
    content = os.urandom(2 << 20)
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    base = f"https://{server.host}"
    with httpx.Client(verify=authority.trusting(), http2=True, timeout=60) as client:
        location = client.post(f"{base}/v2/a/blobs/uploads/").headers["Location"]
        sent = client.patch(f"{base}{location}", content=iter([content]))
        assert (sent.status_code, sent.http_version) == (202, "HTTP/2")
        ended = client.put(f"{base}{sent.headers['Location']}&digest={digest}")
        assert ended.status_code == 201, ended.text
        assert client.get(f"{base}/v2/a/blobs/{digest}").content == content


def test_a_renewed_certificate_is_used_without_a_restart(
    start_tls: Callable[..., Server], authority: Authority
) -> None:
    """And one that is broken is told in the log, while the old one is used."""
    server = start_tls()
    assert get(server, authority.trusting()).status_code == 200
    authority.ca = trustme.CA()
    authority.issue("127.0.0.1")
    deadline, well = time.monotonic() + 30, 0
    # Each process looks when a client comes to it: several in a row meet both.
    while well < 16 and time.monotonic() < deadline:
        try:
            assert get(server, authority.trusting()).status_code == 200
            well += 1
        except httpx.ConnectError:
            well = 0
            time.sleep(0.2)
    assert well == 16, "the old certificate is still used"
    authority.certificate.write_text("nothing")
    time.sleep(1.5)
    assert get(server, authority.trusting()).status_code == 200
    assert "the certificate was not changed" in server.text()


def test_tls_is_not_switched_off_by_a_reload(
    start_tls: Callable[..., Server], authority: Authority, tmp_path: Path
) -> None:
    """Whether it is spoken is decided at the start."""
    server = start_tls()
    (config,) = tmp_path.glob("flaskreg-*.yml")
    document = yaml.safe_load(config.read_text())
    del document["http"]["tls"]
    config.write_text(yaml.safe_dump(document))
    before = server.workers()
    server.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 60
    while set(before) & set(server.workers()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not set(before) & set(server.workers())
    assert get(server, authority.trusting()).status_code == 200


def test_clients_are_asked_for_certificates(
    start_tls: Callable[..., Server], authority: Authority, tmp_path: Path
) -> None:
    clients = trustme.CA()
    clients.cert_pem.write_to_path(tmp_path / "clients.pem")
    server = start_tls(clientcas=[str(tmp_path / "clients.pem")])
    with pytest.raises(httpx.TransportError):
        get(server, authority.trusting())
    context = authority.trusting()
    clients.issue_cert("alice@example.com").configure_cert(context)
    assert get(server, context).status_code == 200


def test_clients_that_stall_in_the_handshake_pin_nobody(
    start_tls: Callable[..., Server], authority: Authority
) -> None:
    """They are let go after the idle time; others are served meanwhile."""
    server = start_tls({"idletimeout": "2s", "threads": 8})
    stalled = [
        socket.create_connection(("127.0.0.1", server.port), 30) for _ in range(60)
    ]
    for each in stalled[:20]:
        # A beginning of a handshake: these take a thread, and give it back.
        each.sendall(b"\x16\x03\x01\x02")
    time.sleep(0.5)
    assert get(server, authority.trusting()).status_code == 200
    for each in stalled:
        assert each.recv(100) == b""
    for each in stalled:
        each.close()


def test_a_certificate_that_is_missing_is_one_line(
    tmp_path: Path,
) -> None:
    config = tmp_path / "config.yml"
    document = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "r")}},
        "http": {
            "addr": f"127.0.0.1:{free_port()}",
            "tls": {"certificate": "/none.pem", "key": "/none.key"},
        },
    }
    config.write_text(yaml.safe_dump(document))
    result = subprocess.run(
        flaskreg_command(1),
        cwd=PROJECT,
        env=outer_environment(config),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode != 0
    assert result.stderr.startswith("flaskreg: http.tls: /none.pem")
    assert len(result.stderr.splitlines()) == 1


def ask(sock: socket.socket, path: str = "/v2/") -> bytes:
    """Return the head of an answer."""
    sock.sendall(
        f"GET {path} HTTP/1.1\r\nHost: r\r\nConnection: close\r\n\r\n".encode()
    )
    return sock.recv(4096)


def started(
    tmp_path: Path, http: dict[str, Any], **options: Any
) -> subprocess.Popen[bytes]:
    """Start a server that is not waited for."""
    config = tmp_path / "config.yml"
    document = {
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "r")}},
        "http": http,
    }
    config.write_text(yaml.safe_dump(document))
    environ = outer_environment(config) | options.pop("env", {})
    with (tmp_path / "log").open("wb") as log:
        return subprocess.Popen(
            options.pop("command", flaskreg_command(1)),
            cwd=PROJECT,
            env=environ,
            stderr=log,
            stdout=subprocess.DEVNULL,
            **options,
        )


def ended(process: subprocess.Popen[bytes]) -> int:
    """End a server, and return its status."""
    process.send_signal(signal.SIGTERM)
    return process.wait(30)


def test_a_unix_socket(tmp_path: Path) -> None:
    """A stale one is replaced."""
    path = tmp_path / "r.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    process = started(tmp_path, {"net": "unix", "addr": str(path)})
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket(socket.AF_UNIX) as client:
                try:
                    client.connect(str(path))
                except OSError:
                    time.sleep(0.1)
                    continue
                assert ask(client).startswith(b"HTTP/1.1 200")
                break
        else:
            pytest.fail((tmp_path / "log").read_text())
    finally:
        assert ended(process) == 0


def test_a_socket_of_systemd(tmp_path: Path) -> None:
    """It is used in place of ``http.addr``."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        # What systemd does: the socket is descriptor 3, and two variables say so.
        script = 'exec env LISTEN_PID=$$ LISTEN_FDS=1 "$@"'
        os.set_inheritable(listener.fileno(), True)
        number = listener.fileno()
        process = started(
            tmp_path,
            {"addr": f"127.0.0.1:{free_port()}"},
            command=[
                "bash",
                "-c",
                f"exec 3<&{number}; {script}",
                "bash",
                *flaskreg_command(1),
            ],
            pass_fds=[number],
        )
        try:
            with socket.create_connection(("127.0.0.1", port), 30) as client:
                assert ask(client).startswith(b"HTTP/1.1 200")
        finally:
            assert ended(process) == 0


def test_an_upload_in_flight_finishes_after_sigterm(
    start_flaskreg: Callable[..., Server],
) -> None:
    """Within ``http.draintimeout``, while nobody else is let in."""
    server = start_flaskreg({"http": {"draintimeout": "20s"}}, workers=1)
    content = os.urandom(600_000)
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    first = threading.Event()

    def slowly() -> Any:
        for at in range(0, len(content), 100_000):
            yield content[at : at + 100_000]
            first.set()
            time.sleep(0.4)

    answers: list[int] = []

    def push() -> None:
        url = f"{server.url}/v2/a/blobs/uploads/?digest={digest}"
        headers = {"Content-Length": str(len(content))}
        answer = httpx.post(url, content=slowly(), headers=headers, timeout=60)
        answers.append(answer.status_code)

    thread = threading.Thread(target=push)
    thread.start()
    assert first.wait(30)
    server.process.send_signal(signal.SIGTERM)
    thread.join(60)
    assert answers == [201]
    assert server.process.wait(30) == 0
