"""granian in place of gunicorn: the same application, and the same promises."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from .api import Api
from .api import expect
from .api import offset_of
from .api import with_digest
from .clients import layout_digest
from .clients import remote
from .clients import skopeo_copy
from .clients import skopeo_digest
from .images import KIB
from .images import MIB
from .images import OCI
from .images import Layout
from .images import digest_of
from .servers import Launcher
from .servers import Server
from .servers import free_port
from .wire import Answer
from .wire import Wire


pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]

NAME = "granian/a"


def granian_command(port: int) -> list[str]:
    """Return the command line that the documentation gives, with a port."""
    return [
        str(Path(sys.executable).parent / "granian"),
        *("--interface", "wsgi"),
        *("--host", "127.0.0.1"),
        *("--port", str(port)),
        *("--workers", "2"),
        *("--blocking-threads", "16"),
        *("--log-level", "warning"),
        "wsgi:app",
    ]


@pytest.fixture(scope="module")
def server(session_launcher: Launcher) -> Server:
    """The registry under granian."""
    port = free_port()
    command = granian_command(port)
    return session_launcher.start("granian", command, None, None, None, port)


def blob(seed: str, size: int) -> bytes:
    """Return some content."""
    return random.Random(seed).randbytes(size)


def test_round_trip(server: Server, image: Layout, tmp_path: Path) -> None:
    """An image copied in and out again has the digest and files that it had."""
    reference = remote(server, "granian/image:one")
    skopeo_copy(image.source, reference)
    assert skopeo_digest(reference) == image.digest
    skopeo_copy(reference, f"oci:{tmp_path}/back:one")
    assert layout_digest(tmp_path / "back", "one") == image.digest
    Api(server.url, "granian/image").check_holds(image, "one")


@pytest.mark.parametrize("size", [1, 128 * KIB, 5 * MIB + 3])
def test_ranges(server: Server, size: int) -> None:
    """Parts of a blob, with the headers that tell which."""
    api = Api(server.url, NAME)
    data = blob("ranges", size)
    path = f"blobs/{api.push_blob(data)}"
    asked = {
        "bytes=0-0": data[:1],
        f"bytes={size // 2}-": data[size // 2 :],
        "bytes=-1": data[-1:],
        f"bytes=0-{size + 9}": data,
    }
    for header, part in asked.items():
        answer = expect(api.call("GET", path, headers={"Range": header}), 206)
        assert answer.content == part
        assert int(answer.headers["Content-Length"]) == len(part)
        assert answer.headers["Content-Range"].endswith(f"/{size}")
    beyond = {"Range": f"bytes={size}-"}
    answer = expect(api.call("GET", path, headers=beyond), 416)
    assert answer.headers["Content-Range"] == f"bytes */{size}"
    head = expect(api.call("HEAD", path), 200)
    assert int(head.headers["Content-Length"]) == size
    assert not head.content


def send_short(server: Server, method: str, target: str, data: bytes) -> Answer | None:
    """Promise more than is sent, and end the connection's one way."""
    with Wire(server.host, timeout=10) as wire:
        headers = {"Content-Length": str(len(data) + 100), "Content-Type": OCI.manifest}
        wire.head(method, target, headers)
        wire.send(data)
        wire.finish()
        return wire.read_or_none(method)


@pytest.mark.parametrize("size", [1, 10, 100 * KIB, 3 * MIB])
@pytest.mark.parametrize("way", ["post", "put"])
def test_truncated_blob_is_never_committed(server: Server, way: str, size: int) -> None:
    """Also when what arrived is all that the digest asks for."""
    api = Api(server.url, NAME)
    data = blob(f"short {way}", size)
    digest = digest_of(data)
    target = f"/v2/{NAME}/blobs/uploads/?digest={digest}"
    if way == "put":
        target = with_digest(api.start(), digest)
    method = way.upper()
    answer = send_short(server, method, target, data)
    assert answer is None or answer.status in range(400, 500)
    assert api.call("HEAD", f"blobs/{digest}").status_code == 404
    assert api.push_blob(data) == digest
    assert api.pull_blob(digest) == data


def test_truncated_patch_goes_on(server: Server) -> None:
    """What the session tells has arrived; sent on from there it is the blob."""
    api = Api(server.url, NAME)
    data = blob("cut", 300 * KIB)
    location = api.start()
    answer = send_short(server, "PATCH", location, data[: 200 * KIB])
    assert answer is None or answer.status in range(400, 500)
    status = expect(api.status(location), 204)
    at = offset_of(status)
    assert at <= 200 * KIB
    location = api.append(api.location(status), data[at:], at)
    expect(api.commit(location, digest_of(data)), 201)
    assert api.pull_blob(digest_of(data)) == data


def test_truncated_manifest_is_never_stored(server: Server) -> None:
    """Half a manifest is no manifest, nor is a whole one that was to be longer."""
    api = Api(server.url, NAME)
    config = api.push_blob(b"{}")
    text = (
        f'{{"schemaVersion":2,"mediaType":"{OCI.manifest}","config":{{"mediaType":'
        f'"{OCI.config}","digest":"{config}","size":2}},"layers":[]}}'
    )
    for data in (text.encode(), text.encode()[:50]):
        answer = send_short(server, "PUT", f"/v2/{NAME}/manifests/cut", data)
        assert answer is None or answer.status in range(400, 500)
        assert api.call("HEAD", "manifests/cut").status_code == 404


def test_chunked_patch(server: Server) -> None:
    """A stream of no stated length, whatever its chunks; then the next request."""
    api = Api(server.url, NAME)
    data = blob("chunked", 2 * MIB + 7)
    sizes = [1, 17, 64 * KIB, MIB, len(data)]
    parts, at = [], 0
    for size in sizes:
        parts.append(data[at : at + size])
        at += size
    with Wire(server.host) as wire:
        wire.head("PATCH", api.start(), {"Transfer-Encoding": "chunked"})
        wire.chunks(part for part in parts if part)
        wire.send(b"0\r\n\r\n")
        answer = wire.read("PATCH")
        assert answer.status == 202
        assert answer.get("Range") == f"0-{len(data) - 1}"
        assert wire.request("GET", "/v2/").status == 200
    location = api.url + (answer.get("Location") or "")
    expect(api.commit(location, digest_of(data)), 201)
    assert api.pull_blob(digest_of(data)) == data


def test_chunked_patch_that_breaks_off(server: Server) -> None:
    """Nothing of it is taken for more than it is, though granian tells no error."""
    api = Api(server.url, NAME)
    data = blob("broken off", 90 * KIB)
    location = api.start()
    with Wire(server.host, timeout=10) as wire:
        wire.head("PATCH", location, {"Transfer-Encoding": "chunked"})
        wire.send(b"%x\r\n%b" % (len(data) + 40, data))
        wire.finish()
        answer = wire.read_or_none("PATCH")
    assert answer is None or answer.status == 202 or answer.status in range(400, 500)
    status = expect(api.status(location), 204)
    assert offset_of(status) <= len(data)
    expect(api.commit(api.location(status), digest_of(data + b"x")), 400)
    assert api.call("HEAD", f"blobs/{digest_of(data + b'x')}").status_code == 404
