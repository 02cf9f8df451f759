"""Uploads that are cut, raced, and whose worker is killed.

What must hold every time: what was acknowledged is there, what was not is not served,
and the offset that a client is told is the size of the file.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from .api import Api
from .api import expect
from .api import offset_of
from .api import with_digest
from .images import KIB
from .images import MIB
from .images import OCI
from .images import digest_of
from .servers import Server
from .tools import wait_until
from .wire import Answer
from .wire import Wire
from .wire import ask
from .workers import one_each


pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

CUTS = 200


@pytest.fixture(scope="module")
def server(session_launcher: Any) -> Server:
    """A registry with four workers for all tests of this module."""
    started: Server = session_launcher.flaskreg(workers=4)
    return started


def stored(server: Server, name: str, location: str) -> Path:
    """Return the file that holds the bytes of an upload session."""
    session = urlsplit(location).path.rpartition("/")[2]
    return server.tree / "repositories" / name / "_uploads" / session / "data"


def size_of(path: Path) -> int:
    """Return the size of a file, 0 without one."""
    return path.stat().st_size if path.exists() else 0


def settled(server: Server, api: Api, location: str) -> int:
    """Return a session's offset once a cut request has let go of it.

    The offset that the registry tells must be the size of the file.
    """
    path = stored(server, api.name, location)
    seen = [-1, -2]

    def unchanged() -> bool:
        status = expect(api.status(location), 204)
        size = size_of(path)
        seen[:] = [size, seen[0]]
        return seen[0] == seen[1] and offset_of(status) == (size if size > 1 else 0)

    wait_until(unchanged, 10, "the session's offset to be its file's size")
    return seen[0]


def send_cut(
    wire: Wire, location: str, data: bytes, cut: int, *, chunked: bool, reset: bool
) -> Answer | None:
    """Send a PATCH of ``data`` that breaks off after ``cut`` bytes of it."""
    if chunked:
        wire.head("PATCH", location, {"Transfer-Encoding": "chunked"})
        wire.send(b"%x\r\n" % len(data) + data[:cut])
    else:
        wire.head("PATCH", location, {"Content-Length": str(len(data))})
        wire.send(data[:cut])
    if reset:
        wire.reset()
        return None
    wire.finish()
    return wire.read_or_none("PATCH")


def test_cut_anywhere_and_resumed(server: Server) -> None:
    """An upload that breaks off at 200 random bytes ends in the right digest."""
    choose = random.Random("cuts")
    api = Api(server.url, "faults/cut")
    for cut_number in range(0, CUTS, 2):
        data = choose.randbytes(choose.randrange(2 * KIB, 700 * KIB))
        location = api.start()
        for way in (cut_number, cut_number + 1):
            at = settled(server, api, location)
            location = api.location(api.status(location))
            with Wire(server.host) as wire:
                answer = send_cut(
                    wire,
                    location,
                    data[at:],
                    choose.randrange(len(data) - at),
                    chunked=bool(way // 2 % 2),
                    reset=bool(way % 2),
                )
            assert answer is None or answer.status in {400, 408}
        at = settled(server, api, location)
        location = api.location(api.status(location))
        location = api.append(location, data[at:], at)
        expect(api.commit(location, digest_of(data)), 201)
        assert api.pull_blob(digest_of(data)) == data


#: method, target and headers of a request.
Head = tuple[str, str, dict[str, str]]
Begin = Callable[[Api, bytes], Head]


def begin_post(_: Api, data: bytes) -> Head:
    """A whole blob in one POST."""
    target = f"/v2/faults/short/blobs/uploads/?digest={digest_of(data)}"
    return "POST", target, {"Content-Type": "application/octet-stream"}


def begin_patch(api: Api, _: bytes) -> Head:
    """A chunk."""
    return "PATCH", api.start(), {"Content-Type": "application/octet-stream"}


def begin_put(api: Api, data: bytes) -> Head:
    """A whole blob in the request that closes a session."""
    target = with_digest(api.start(), digest_of(data))
    return "PUT", target, {"Content-Type": "application/octet-stream"}


def begin_manifest(_: Api, __: bytes) -> Head:
    """A manifest."""
    return "PUT", "/v2/faults/short/manifests/cut", {"Content-Type": OCI.manifest}


def send_lying_length(wire: Wire, data: bytes, head: Head) -> None:
    """Promise more bytes than are sent."""
    method, target, headers = head
    length = {"Content-Length": str(len(data) + 40)}
    wire.head(method, target, headers | length)
    wire.send(data)


def send_open_chunk(wire: Wire, data: bytes, head: Head) -> None:
    """Break off in the middle of a chunk."""
    method, target, headers = head
    wire.head(method, target, headers | {"Transfer-Encoding": "chunked"})
    wire.send(b"%x\r\n%b" % (len(data) + 40, data))


def send_no_last_chunk(wire: Wire, data: bytes, head: Head) -> None:
    """Break off before the chunk that ends the body."""
    method, target, headers = head
    wire.head(method, target, headers | {"Transfer-Encoding": "chunked"})
    wire.chunks([data])


@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
@pytest.mark.parametrize(
    "send", [send_lying_length, send_open_chunk, send_no_last_chunk]
)
@pytest.mark.parametrize("begin", [begin_post, begin_patch, begin_put, begin_manifest])
def test_short_body_commits_nothing(
    server: Server, begin: Begin, send: Callable[..., None], *, reset: bool
) -> None:
    """A body that ends early is not taken, even where what came makes sense.

    What is sent is whole and its digest is right; only the framing says that more
    would follow.
    """
    api = Api(server.url, "faults/short")
    config = api.push_blob(b"{}")
    mark = f"{begin.__name__} {send.__name__} {reset}"
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI.manifest,
        "config": {"mediaType": OCI.config, "digest": config, "size": 2},
        "layers": [],
        "annotations": {"mark": mark},
    }
    data = json.dumps(manifest).encode()
    head = begin(api, data)
    with Wire(server.host) as wire:
        send(wire, data, head)
        if reset:
            wire.reset()
        else:
            wire.finish()
            answer = wire.read("PUT")
            assert answer.status == 400
            assert json.loads(answer.body)["errors"]
            assert wire.socket.recv(1) == b"", "the connection stays open"

    if begin in (begin_patch, begin_put):
        settled(server, api, head[1])
    else:
        wait_until(lambda: idle_uploads(server, "faults/short"), 10, "no session left")
    digest = digest_of(data)
    for path in (f"blobs/{digest}", f"manifests/{digest}", "manifests/cut"):
        assert api.call("GET", path).status_code == 404
    assert not (server.tree / "blobs/sha256" / digest[7:9] / digest[7:]).exists()
    if begin in (begin_patch, begin_put):
        location = api.location(expect(api.status(head[1]), 204))
        expect(api.call("DELETE", location), 204)


def idle_uploads(server: Server, name: str) -> bool:
    """Tell whether a repository has no upload session with bytes.

    One that was cancelled before its first byte leaves a mark until uploads are purged.
    """
    folder = server.tree / "repositories" / name / "_uploads"
    return not any(folder.glob("*/data"))


def test_one_digest_pushed_by_many(server: Server) -> None:
    """32 clients that push one blob at once are all told 201; one file stays."""
    data = random.Random("many").randbytes(3 * MIB)
    digest = digest_of(data)
    barrier = threading.Barrier(32)

    def push(number: int) -> int:
        api = Api(server.url, f"faults/many{number % 2}")
        if number % 3 == 0:
            barrier.wait(30)
            path = f"blobs/uploads/?digest={digest}"
            return api.call("POST", path, data=data).status_code
        location = api.start()
        if number % 3 == 1:
            location = api.append(location, data)
            barrier.wait(30)
            return api.commit(location, digest).status_code
        barrier.wait(30)
        return api.commit(location, digest, data).status_code

    with ThreadPoolExecutor(32) as pool:
        assert list(pool.map(push, range(32))) == [201] * 32
    folder = server.tree / "blobs/sha256" / digest[7:9] / digest[7:]
    assert [file.name for file in folder.iterdir()] == ["data"]
    for number in range(2):
        name = f"faults/many{number}"
        assert Api(server.url, name).pull_blob(digest) == data
        assert idle_uploads(server, name)


def test_many_tags_at_once(server: Server) -> None:
    """32 tags set at once are all there, and so is the last one set twice."""
    api = Api(server.url, "faults/tags")
    config = api.push_blob(b"{}")

    def push(number: int) -> str:
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI.manifest,
            "config": {"mediaType": OCI.config, "digest": config, "size": 2},
            "layers": [],
            "annotations": {"number": str(number)},
        }
        data = json.dumps(manifest).encode()
        mine = Api(server.url, "faults/tags")
        mine.push_manifest(f"t{number}", data, OCI.manifest)
        mine.push_manifest("latest", data, OCI.manifest)
        return digest_of(data)

    with ThreadPoolExecutor(32) as pool:
        digests = list(pool.map(push, range(32)))
    listed = expect(api.call("GET", "tags/list"), 200).json()["tags"]
    assert listed == sorted(["latest", *(f"t{number}" for number in range(32))])
    for number, digest in enumerate(digests):
        assert digest_of(api.pull_manifest(f"t{number}")[0]) == digest
    assert digest_of(api.pull_manifest("latest")[0]) in digests


def test_session_alternates_between_workers(server: Server) -> None:
    """PATCHes of one session that land on other workers make one right blob.

    The running digest is handed on beside the data: the commit reads nothing again.
    """
    data = random.Random("alternate").randbytes(12 * MIB + 5)
    api = Api(server.url, "faults/alternate")
    location = api.start()
    with one_each(server, 3) as wires:
        for number, at in enumerate(range(0, len(data), MIB)):
            chunk = data[at : at + MIB]
            headers = {
                "Content-Type": "application/octet-stream",
                "Content-Range": f"{at}-{at + len(chunk) - 1}",
            }
            wire = wires[number % len(wires)]
            answer = wire.request("PATCH", location, headers, chunk)
            assert answer.status == 202, answer
            location = answer.get("Location") or ""
        before = server.bytes_read()
        target = with_digest(location, digest_of(data))
        assert wires[1].request("PUT", target, body=b"").status == 201
        assert server.bytes_read() - before < MIB
    assert api.pull_blob(digest_of(data)) == data


def test_racing_chunks_never_mix(server: Server) -> None:
    """Of chunks sent for the same offset at once, one is taken and none is mixed in."""
    api = Api(server.url, "faults/race")
    for number in range(15):
        location = api.start()
        first = api.append(location, b"head")
        rivals = [bytes([65 + rival]) * 300_000 for rival in range(6)]

        def patch(rival: bytes, to: str = first) -> requests.Response:
            headers = {"Content-Type": "application/octet-stream"}
            return Api(server.url, "faults/race").call(
                "PATCH", to, data=rival, headers=headers
            )

        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(patch, rivals))
        statuses = [answer.status_code for answer in answers]
        assert statuses.count(202) == 1, f"round {number}: {statuses}"
        assert set(statuses) <= {202, 416}, f"round {number}: {statuses}"
        won = statuses.index(202)
        digest = digest_of(b"head" + rivals[won])
        expect(api.commit(api.location(answers[won]), digest), 201)


def test_session_belongs_to_its_repository(server: Server) -> None:
    """A session cannot be seen, fed, closed or cancelled through another name."""
    api = Api(server.url, "faults/mine")
    location = api.append(api.start(), b"mine")
    elsewhere = location.replace("/faults/mine/", "/faults/other/")
    digest = digest_of(b"mine")
    for method, target in (
        ("GET", elsewhere),
        ("PATCH", elsewhere),
        ("PUT", with_digest(elsewhere, digest)),
        ("DELETE", elsewhere),
    ):
        answer = ask(server.host, method, target, body=b"" if method != "GET" else None)
        assert answer.status == 404, f"{method}: {answer}"
    expect(api.commit(location, digest), 201)
