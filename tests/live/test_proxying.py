"""flaskreg behind a real nginx: prefix, forwarded headers, two servers as one."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from .api import Api
from .api import expect
from .api import with_digest
from .clients import layout_digest
from .clients import skopeo_copy
from .images import MIB
from .images import Layout
from .images import digest_of
from .servers import Launcher
from .servers import Server
from .tools import wait_until
from .wire import Wire
from .wire import ask


pytestmark = pytest.mark.live


@pytest.mark.parametrize("buffering", ["off", "on"])
def test_two_servers_behind_one_name(
    launcher: Launcher,
    start_nginx: Callable[..., str],
    many_layers: Layout,
    tmp_path: Path,
    buffering: str,
) -> None:
    """Requests of one push alternate between two servers on one storage.

    They share no ``http.secret`` but what the storage holds.
    """
    own_secret = {"http": {"secret": None}}
    first = launcher.flaskreg(own_secret, workers=1)
    second = launcher.flaskreg(own_secret, workers=1, root=first.root)
    host = start_nginx(first, second, buffering=buffering)

    reference = f"docker://{host}/proxy/sixty:latest"
    skopeo_copy(many_layers.source, reference)
    skopeo_copy(reference, f"oci:{tmp_path}/back:latest")
    assert layout_digest(tmp_path / "back", "latest") == many_layers.digest

    api = Api(f"http://{host}", "proxy/chunks")
    data = random.Random("chunks").randbytes(5 * MIB)
    location = api.start()
    for at in range(0, len(data), MIB):
        location = api.append(location, data[at : at + MIB], at)
    expect(api.commit(location, digest_of(data)), 201)
    assert api.pull_blob(digest_of(data)) == data
    body = iter([data[:MIB], data[MIB:]])
    answer = api.call("PATCH", api.start(), data=body)
    expect(api.commit(api.location(expect(answer, 202)), digest_of(data)), 201)


def test_prefix(
    start_flaskreg: Any, start_nginx: Callable[..., str], image: Layout
) -> None:
    """Under a prefix every Location keeps it, and nothing answers outside."""
    server: Server = start_flaskreg({"http": {"prefix": "/registry/"}}, workers=1)
    host = start_nginx(server)
    api = Api(f"http://{host}/registry", "proxy/prefix")
    location = expect(api.call("POST", "blobs/uploads/"), 202).headers["Location"]
    assert urlsplit(location).path.startswith("/registry/v2/proxy/prefix/blobs/uploads")
    api.push(image, "one", "two")
    api.check_holds(image, "one")
    page = expect(api.call("GET", "tags/list?n=1"), 200)
    assert page.headers["Link"].startswith("</registry/v2/proxy/prefix/tags/list?")
    assert ask(host, "GET", "/v2/proxy/prefix/tags/list").status == 404


def location_of(host: str, headers: dict[str, str] | None = None) -> str:
    """Start an upload session; return the Location as it came."""
    answer = ask(host, "POST", "/v2/proxy/where/blobs/uploads/", headers, b"")
    assert answer.status == 202
    return answer.get("Location") or ""


STEERING = [
    {"X-Forwarded-Host": "evil.example"},
    {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"},
    {"Forwarded": "host=evil.example;proto=https"},
    {"X-Forwarded-Prefix": "/evil.example"},
    {"X-Forwarded-Server": "evil.example", "X-Original-Host": "evil.example"},
    {"X-Forwarded-Scheme": "evil.example", "X-Script-Name": "/evil.example"},
]


@pytest.mark.parametrize("relative", [True, False])
@pytest.mark.parametrize("headers", STEERING, ids=lambda h: ",".join(h))
def test_clients_do_not_steer_location(
    launcher: Launcher, headers: dict[str, str], *, relative: bool
) -> None:
    """A client that nobody trusts names no host, scheme or path of a Location."""
    config = {"http": {"relativeurls": relative}}
    server = launcher.flaskreg(config, workers=1)
    location = location_of(server.host, headers)
    start = "" if relative else server.url
    assert location.startswith(f"{start}/v2/proxy/where/blobs/uploads/")
    assert "evil" not in location


def test_trusted_proxy_tells_the_host(
    start_flaskreg: Any, start_nginx: Callable[..., str]
) -> None:
    """A trusted nginx tells scheme and host; what its client claims is replaced."""
    config = {"http": {"relativeurls": False, "trustedproxies": ["127.0.0.1"]}}
    server: Server = start_flaskreg(config, workers=1)
    host = start_nginx(server, scheme="https")
    for claimed in ({}, {"X-Forwarded-Host": "evil.example"}):
        location = location_of(host, claimed)
        assert location.startswith(f"https://{host}/v2/proxy/where/blobs/uploads/")


def test_configured_host_wins(start_flaskreg: Any) -> None:
    """``http.host`` is what every Location begins with, whatever anybody tells."""
    config = {
        "http": {
            "host": "https://registry.example",
            "trustedproxies": ["127.0.0.1"],
        }
    }
    server: Server = start_flaskreg(config, workers=1)
    for headers in ({}, *STEERING, {"Host": "evil.example"}):
        location = location_of(server.host, headers)
        assert location.startswith("https://registry.example/v2/proxy/where/")


def test_client_gone_behind_the_proxy(
    start_flaskreg: Any, start_nginx: Callable[..., str]
) -> None:
    """A push that breaks off in front of nginx commits nothing behind it."""
    server: Server = start_flaskreg(workers=1)
    host = start_nginx(server)
    api = Api(f"http://{host}", "proxy/gone")
    data = b"whole, but more was promised"
    target = with_digest(api.start(), digest_of(data))
    with Wire(host) as wire:
        wire.head("PUT", target, {"Content-Length": str(len(data) + 10)})
        wire.send(data)
        wire.reset()
    wait_until(
        lambda: api.status(target).status_code == 204, 10, "the session to be free"
    )
    assert api.call("GET", f"blobs/{digest_of(data)}").status_code == 404
