"""``flaskreg doctor``: each fault of a proxy is found, by its name, and no other."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from .servers import Server
from .servers import free_port
from .tools import need
from .tools import wait_until
from .wire import ask


pytestmark = pytest.mark.live

NGINX = """
user root;
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} {listen};
    {server}
    client_max_body_size {size};
    location / {{
      proxy_pass http://{behind};
      proxy_http_version 1.1;
      proxy_set_header Host {host};
      proxy_request_buffering {buffering};
      {location}
    }}
  }}
}}
"""

GOOD = {
    "size": "0",
    "buffering": "off",
    "host": "$http_host",
    "location": "",
    "listen": "",
    "server": "",
}


@pytest.fixture
def start_nginx(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Start nginx before a server, good but for what a test says."""
    started: list[subprocess.Popen[bytes]] = []

    def start(behind: Server, **faults: str) -> str:
        port = free_port()
        folder = tmp_path / f"nginx-{port}"
        folder.mkdir()
        file, log = folder / "nginx.conf", folder / "error.log"
        options = GOOD | faults
        file.write_text(
            NGINX.format(folder=folder, port=port, behind=behind.host, **options)
        )
        command = [need("nginx"), "-e", str(log), "-p", str(folder), "-c", str(file)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        started.append(process)

        def answers() -> bool:
            assert process.poll() is None, log.read_text()
            try:
                return ask(f"127.0.0.1:{port}", "GET", "/").status > 0
            except OSError:
                return False

        wait_until(answers, 10, "nginx to answer")
        return f"127.0.0.1:{port}"

    yield start
    for process in started:
        process.terminate()
        process.wait(10)


def doctor(url: str, *arguments: str, **environ: str) -> tuple[int, dict[str, str]]:
    """Run the command; return its status, and what is not well by its name."""
    result = subprocess.run(
        [str(Path(sys.executable).with_name("flaskreg")), "doctor", url, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "COLUMNS": "300", **environ},
    )
    assert result.stderr == "", result.stderr
    lines = [line.split(None, 1) for line in result.stdout.splitlines()]
    assert len(lines) >= 1
    told = {
        rest.partition(":")[0]: f"{state} {rest.partition(': ')[2]}"
        for state, rest in lines
        if state != "ok"
    }
    return result.returncode, told


@pytest.fixture
def server(start_flaskreg: Callable[..., Server]) -> Server:
    """A registry that believes nobody, and tells whole URLs."""
    return start_flaskreg({"http": {"relativeurls": False}}, workers=2)


def test_nothing_is_wrong_with_a_plain_registry(server: Server) -> None:
    """And the blob of the examination is gone after it."""
    assert doctor(server.url) == (0, {})
    assert not list(server.tree.glob("repositories/flaskreg/doctor/_layers/*/*/link"))


@pytest.mark.parametrize(
    ("faults", "what", "state", "words"),
    [
        ({}, None, "", ""),
        ({"size": "1m"}, "body", "wrong", "client_max_body_size"),
        ({"buffering": "on"}, "buffering", "warning", "proxy_request_buffering"),
        (
            {"location": 'proxy_set_header Range "";'},
            "ranges",
            "warning",
            "drops the header Range",
        ),
        (
            {"host": "other.example"},
            "Location",
            "wrong",
            "its host is other.example",
        ),
        (
            {"location": "proxy_hide_header Docker-Distribution-Api-Version;"},
            "API",
            "wrong",
            "not as a registry does",
        ),
    ],
)
def test_each_fault_of_a_proxy_is_found(
    server: Server,
    start_nginx: Callable[..., str],
    faults: dict[str, str],
    what: str | None,
    state: str,
    words: str,
) -> None:
    status, told = doctor(f"http://{start_nginx(server, **faults)}")
    if what is None:
        assert (status, told) == (0, {})
        return
    assert list(told) == [what]
    assert told[what].startswith(state)
    assert words in told[what]
    assert status == (1 if state == "wrong" else 0)


def test_a_proxy_that_ends_tls(
    server: Server,
    start_nginx: Callable[..., str],
    start_flaskreg: Callable[..., Server],
    tmp_path: Path,
) -> None:
    """The scheme of Location is found, and the remedy that is told is one."""
    ca = trustme.CA()
    leaf = ca.issue_cert("127.0.0.1")
    pem, root = tmp_path / "leaf.pem", tmp_path / "root.pem"
    leaf.private_key_and_cert_chain_pem.write_to_path(pem)
    ca.cert_pem.write_to_path(root)
    options = {
        "listen": "ssl",
        "server": f"ssl_certificate {pem}; ssl_certificate_key {pem};",
        "location": "proxy_set_header X-Forwarded-Proto $scheme;"
        " proxy_set_header X-Forwarded-Host $http_host;",
    }
    url = f"https://{start_nginx(server, **options)}"
    status, told = doctor(url)
    assert status == 1
    assert told["certificate"].startswith("wrong")
    status, told = doctor(url, SSL_CERT_FILE=str(root))
    assert (status, list(told)) == (1, ["Location"])
    assert "its scheme is http and not https" in told["Location"]
    assert "http.trustedproxies" in told["Location"]
    trusting = start_flaskreg(
        {"http": {"relativeurls": False, "trustedproxies": ["127.0.0.1"]}}, workers=1
    )
    url = f"https://{start_nginx(trusting, **options)}"
    assert doctor(url, SSL_CERT_FILE=str(root)) == (0, {})
    status, told = doctor(url, "--insecure")
    assert status == 0
    assert list(told) == ["certificate"]


@pytest.mark.parametrize(
    ("location", "arguments", "words"),
    [
        ("", ("--user", "alice"), None),
        ("", (), "asks for a login"),
        ("", ("--user", "mallory"), "they are refused"),
        ('proxy_set_header Authorization "";', ("--user", "alice"), "keeps the header"),
        ("proxy_hide_header WWW-Authenticate;", ("--user", "alice"), "takes it away"),
    ],
)
def test_logins(
    start_flaskreg: Callable[..., Server],
    start_nginx: Callable[..., str],
    tmp_path: Path,
    location: str,
    arguments: tuple[str, ...],
    words: str | None,
) -> None:
    """Needs flaskreg-htpasswd, as the live tests of access do."""
    htpasswd = tmp_path / "htpasswd"
    add: list[Any] = [Path(sys.executable).with_name("flaskreg"), "user", "add"]
    subprocess.run(
        [*add, "alice", "--file", str(htpasswd), "--password-stdin"],
        input="canary\n",
        text=True,
        check=True,
        capture_output=True,
    )
    auth = {"htpasswd": {"realm": "r", "path": str(htpasswd)}}
    server = start_flaskreg({"auth": auth}, workers=1)
    host = start_nginx(server, location=location)
    status, told = doctor(f"http://{host}", *arguments, FLASKREG_PASSWORD="canary")
    if words is None:
        assert (status, told) == (0, {})
    else:
        assert status == 1
        assert words in told["credentials"]


def test_nobody_answers() -> None:
    status, told = doctor(f"http://127.0.0.1:{free_port()}")
    assert status == 1
    assert "refused" in told["connection"]


@pytest.mark.parametrize("url", ["registry.example.com", "ftp://a", "http://"])
def test_a_url_that_is_none(url: str) -> None:
    command = [str(Path(sys.executable).with_name("flaskreg")), "doctor", url]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "must be an http or https URL" in result.stderr
