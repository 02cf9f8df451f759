"""HTTP/2 without TLS, by prior knowledge, beside HTTP/1.1 on the same port."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from .servers import PROJECT
from .servers import Server
from .servers import flaskreg_command
from .servers import free_port
from .servers import outer_environment
from .streams import Exchange
from .streams import exchange
from .tools import need
from .tools import run


pytestmark = pytest.mark.live

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


@pytest.fixture
def server(start_flaskreg: Callable[..., Server]) -> Server:
    """A server that speaks it."""
    return start_flaskreg({"http": {"h2c": {"enabled": True}}}, workers=1)


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def curl(*arguments: str) -> str:
    """Return what curl prints."""
    command = [need("curl"), "-sS", "--fail", "--http2-prior-knowledge", *arguments]
    return run(command).stdout


def test_curl_pushes_and_pulls(server: Server, tmp_path: Path) -> None:
    """Several MiB in both directions, with the window moving on."""
    content = os.urandom(7 << 20)
    file, back, digest = tmp_path / "blob", tmp_path / "back", digest_of(content)
    file.write_bytes(content)
    url = f"{server.url}/v2/a/blobs"
    told = ["-o", os.devnull, "-w", "%{http_version} %{response_code}"]
    pushed = ["-X", "POST", "--data-binary", f"@{file}", *told]
    assert curl(*pushed, f"{url}/uploads/?digest={digest}") == "2 201"
    told[1] = str(back)
    assert curl(*told, f"{url}/{digest}") == "2 200"
    assert back.read_bytes() == content


def test_docker_s_way_of_pushing(server: Server) -> None:
    """POST, PATCH and PUT, over one connection."""
    content = os.urandom(3 << 20)
    with prior_knowledge(server) as client:
        started = client.post("/v2/a/blobs/uploads/")
        sent = client.patch(started.headers["Location"], content=pieces(content))
        assert (sent.status_code, sent.http_version) == (202, "HTTP/2")
        digest = digest_of(content)
        ended = client.put(f"{sent.headers['Location']}&digest={digest}")
        assert ended.status_code == 201, ended.text
        assert client.get(f"/v2/a/blobs/{digest}").content == content
        part = client.get(f"/v2/a/blobs/{digest}", headers={"Range": "bytes=5-9"})
        assert (part.status_code, part.content) == (206, content[5:10])
        assert client.get("/v2/a/blobs/sha256:00").status_code == 400


def test_several_streams_of_one_connection(server: Server) -> None:
    """Those that push and those that pull, all begun before one has ended."""
    old, *contents = [os.urandom(1_500_000) for _ in range(7)]
    url = "/v2/a/blobs/uploads/?digest="
    first = Exchange("POST", url + digest_of(old), old)
    exchange(server.port, first)
    assert first.status == 201
    pushes = [Exchange("POST", url + digest_of(each), each) for each in contents]
    pulls = [Exchange("GET", f"/v2/a/blobs/{digest_of(old)}") for _ in range(6)]
    exchange(server.port, *pushes, *pulls)
    assert [each.status for each in pushes] == [201] * 6
    assert [bytes(each.content) for each in pulls] == [old] * 6


def test_http_1_goes_on_beside_it(server: Server) -> None:
    """With a blob, and on a connection that is kept."""
    content = os.urandom(1 << 20)
    with httpx.Client(base_url=server.url, timeout=60) as client:
        url = f"/v2/a/blobs/uploads/?digest={digest_of(content)}"
        assert client.post(url, content=content).status_code == 201
        pulled = client.get(f"/v2/a/blobs/{digest_of(content)}")
        assert (pulled.http_version, pulled.content) == ("HTTP/1.1", content)


def test_a_preface_that_comes_byte_by_byte(server: Server) -> None:
    """It waits for its rest, and pins no thread meanwhile."""
    with socket.create_connection(("127.0.0.1", server.port), 30) as client:
        for byte in PREFACE + SETTINGS:
            client.sendall(bytes([byte]))
            time.sleep(0.005)
        assert client.recv(9)[3] == 4, "the server's SETTINGS come first"


@pytest.mark.parametrize(
    "sent",
    [
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        b"PRI * HTTP/1.1\r\nHost: r\r\n\r\n",
        b"P\r\n\r\n",
    ],
)
def test_what_only_looks_like_a_preface_is_refused(server: Server, sent: bytes) -> None:
    """As any request that is none."""
    with socket.create_connection(("127.0.0.1", server.port), 30) as client:
        client.sendall(sent)
        assert client.recv(4096).split()[1] in {b"400", b"405", b"505"}


def test_frames_that_must_not_come(server: Server) -> None:
    """They end their own connection, and nothing else."""
    data_of_no_stream = b"\x00\x00\x01\x00\x00\x00\x00\x00\x00x"
    with socket.create_connection(("127.0.0.1", server.port), 30) as client:
        client.sendall(PREFACE + SETTINGS + data_of_no_stream)
        while client.recv(4096):
            pass
    with prior_knowledge(server) as client:
        assert client.get("/v2/").status_code == 200


def test_a_kept_connection_does_not_change_its_version(server: Server) -> None:
    """A preface is the beginning of a connection, or a request that is none."""
    with socket.create_connection(("127.0.0.1", server.port), 30) as client:
        client.sendall(b"GET /v2/ HTTP/1.1\r\nHost: r\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
        client.sendall(PREFACE + SETTINGS)
        assert client.recv(4096).startswith(b"HTTP/1.1 ")


def test_it_is_off_by_default(start_flaskreg: Callable[..., Server]) -> None:
    server = start_flaskreg(workers=1)
    with socket.create_connection(("127.0.0.1", server.port), 30) as client:
        client.sendall(PREFACE + SETTINGS)
        assert client.recv(4096).startswith(b"HTTP/1.1 ")


def test_without_the_library_the_start_is_refused_in_one_line(tmp_path: Path) -> None:
    """It says what to install."""
    config = tmp_path / "config.yml"
    http = {"addr": f"127.0.0.1:{free_port()}", "h2c": {"enabled": True}}
    root = {"filesystem": {"rootdirectory": str(tmp_path / "r")}}
    config.write_text(yaml.safe_dump({"version": "0.1", "storage": root, "http": http}))
    # An interpreter that finds no h2, as where it is not installed.
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "from importlib.machinery import PathFinder\n"
        "class Without(PathFinder):\n"
        "    @classmethod\n"
        "    def find_spec(cls, name, path=None, target=None):\n"
        "        known = name.partition('.')[0] != 'h2'\n"
        "        return PathFinder.find_spec(name, path, target) if known else None\n"
        "sys.meta_path[sys.meta_path.index(PathFinder)] = Without\n"
    )
    result = subprocess.run(
        flaskreg_command(1),
        cwd=PROJECT,
        env=outer_environment(config) | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("flaskreg: http.h2c.enabled: ")
    assert "pip install flaskreg[http2]" in line


def prior_knowledge(server: Server) -> httpx.Client:
    """Return a client that begins in HTTP/2."""
    return httpx.Client(base_url=server.url, http1=False, http2=True, timeout=60)


def pieces(content: bytes) -> Any:
    """Yield a body whose length is not told."""
    for at in range(0, len(content), 100_000):
        yield content[at : at + 100_000]
