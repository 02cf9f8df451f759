"""Clients that stall, leave, or send what nobody reads: others must not notice."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from contextlib import suppress
from typing import Any

import pytest

from .api import Api
from .api import expect
from .images import KIB
from .images import MIB
from .images import OCI
from .images import digest_of
from .servers import Server
from .tools import wait_until
from .wire import Answer
from .wire import Wire
from .wire import ask
from .workers import open_files


pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]

THREADS = 8
IDLE = 3
STALLED = 2 * THREADS


@pytest.fixture
def few_threads(start_flaskreg: Any) -> Server:
    """One worker with eight threads that waits three seconds for an idle client."""
    config = {"http": {"threads": THREADS, "idletimeout": f"{IDLE}s"}}
    started: Server = start_flaskreg(config, workers=1)
    return started


@pytest.fixture(scope="module")
def server(session_launcher: Any) -> Server:
    """A registry as it is started by default."""
    started: Server = session_launcher.flaskreg()
    return started


Stall = Callable[[Api, Wire, str], None]


def stall_upload(api: Api, wire: Wire, _: str) -> None:
    """Begin a large PATCH and send one byte of it."""
    wire.head("PATCH", api.start(), {"Content-Length": str(MIB)})
    wire.send(b"x")


def stall_chunked(api: Api, wire: Wire, _: str) -> None:
    """Begin a chunked PATCH and stop in a chunk."""
    wire.head("PATCH", api.start(), {"Transfer-Encoding": "chunked"})
    wire.send(b"400\r\nx")


def stall_small_upload(api: Api, wire: Wire, _: str) -> None:
    """Begin a PATCH of a thousand bytes and send one."""
    wire.head("PATCH", api.start(), {"Content-Length": "1000"})
    wire.send(b"x")


def stall_manifest(_: Api, wire: Wire, __: str) -> None:
    """Begin a small manifest and send one byte of it."""
    headers = {"Content-Length": "1000", "Content-Type": OCI.manifest}
    wire.head("PUT", "/v2/stalls/a/manifests/t", headers)
    wire.send(b"{")


def stall_download(_: Api, wire: Wire, digest: str) -> None:
    """Ask for a large blob and read nothing."""
    wire.head("GET", f"/v2/stalls/a/blobs/{digest}")


def stall_request_line(_: Api, wire: Wire, __: str) -> None:
    """Send half a request line."""
    wire.send(b"GET /v2/ HT")


def stall_headers(_: Api, wire: Wire, __: str) -> None:
    """Send half of the headers."""
    wire.send(f"GET /v2/ HTTP/1.1\r\nHost: {wire.host}\r\nUser-A".encode())


def stall_silent(_: Api, __: Wire, ___: str) -> None:
    """Connect and send nothing."""


def stall_unread_body(_: Api, wire: Wire, __: str) -> None:
    """Promise a body to a request that takes none, and send one byte."""
    wire.head("GET", "/v2/", {"Content-Length": str(MIB)})
    wire.send(b"x")


STALLS: list[Stall] = [
    stall_upload,
    stall_chunked,
    stall_small_upload,
    stall_manifest,
    stall_download,
    stall_request_line,
    stall_headers,
    stall_silent,
    stall_unread_body,
]


@pytest.mark.parametrize("stall", STALLS, ids=lambda stall: stall.__name__)
def test_stalled_clients_stop_nobody(few_threads: Server, stall: Stall) -> None:
    """Twice as many stalled clients as threads: the rest is served at once.

    And they are cut off some time after the idle limit, so that all threads are free.
    A download counts as cut when its file is closed: what is in the buffers of the
    connection may still be read.
    """
    server = few_threads
    api = Api(server.url, "stalls/a")
    small = api.push_blob(b"small")
    large = api.push_blob(random.Random("stall").randbytes(24 * MIB))
    with ExitStack() as stack:
        wires: list[Wire] = []
        for _ in range(STALLED):
            wire = stack.enter_context(Wire(server.host, receive=4096))
            try:
                stall(api, wire, large)
            except OSError as error:
                pytest.fail(f"client {len(wires)} could not even begin: {error!r}")
            wires.append(wire)
        began = time.monotonic()
        time.sleep(0.3)

        slow = []
        for path in ("/v2/", f"/v2/stalls/a/blobs/{small}"):
            for method in ("HEAD", "GET"):
                started = time.monotonic()
                answer = ask(server.host, method, path, timeout=20)
                assert answer.status == 200
                took = time.monotonic() - started
                if took > 1:
                    slow.append(f"{method} {path} took {took:.1f} s")
        assert not slow, slow

        if stall not in {stall_silent, stall_download}:
            for wire in wires:
                wire.socket.settimeout(max(0.1, began + 3 * IDLE - time.monotonic()))
                assert ended(wire), "a stalled client is still connected"
        wait_until(lambda: not held(server), 3 * IDLE, "its files to be closed")
    api.push_blob(random.Random("after").randbytes(MIB))


def ended(wire: Wire) -> bool:
    """Read to the end of a connection; tell whether it came in time."""
    try:
        while wire.socket.recv(MIB):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def held(server: Server) -> list[str]:
    """Return the files of the storage that the server's processes hold open."""
    return [
        file
        for pid in server.pids()
        for file in open_files(pid)
        if file.startswith(str(server.root))
    ]


def test_slow_client_is_not_cut(few_threads: Server) -> None:
    """A client that sends a little all the time may take longer than the limit."""
    api = Api(few_threads.url, "stalls/slow")
    data = random.Random("slow").randbytes(40 * KIB)
    location = api.start()
    with Wire(few_threads.host) as wire:
        wire.head("PATCH", location, {"Content-Length": str(len(data))})
        for at in range(0, len(data), 4 * KIB):
            wire.send(data[at : at + 4 * KIB])
            time.sleep(IDLE / 6)
        answer = wire.read("PATCH")
    assert answer.status == 202
    location = answer.get("Location") or ""
    expect(api.commit(api.url + location, digest_of(data)), 201)


def test_slow_reader_is_not_cut(few_threads: Server) -> None:
    """A client that reads half a MiB a second all the time gets all of it.

    It cannot be much slower here: the kernel tells the server of progress only when a
    third of its send buffer, some MiB, is free again, and the limit is short.
    """
    api = Api(few_threads.url, "stalls/reader")
    data = random.Random("reader").randbytes(6 * MIB)
    digest = api.push_blob(data)
    with Wire(few_threads.host, receive=64 * KIB) as wire:
        wire.head("GET", f"/v2/stalls/reader/blobs/{digest}", {"Connection": "close"})
        got = bytearray()
        started = time.monotonic()
        while piece := wire.socket.recv(32 * KIB):
            got += piece
            if len(got) > (time.monotonic() - started) * 512 * KIB:
                time.sleep(0.05)
    assert time.monotonic() - started > 2 * IDLE
    assert digest_of(bytes(got).partition(b"\r\n\r\n")[2]) == digest


def test_expect_100_continue(server: Server) -> None:
    """A client that waits for leave to send gets it, then its answer."""
    api = Api(server.url, "stalls/expect")
    data = b"after the leave"
    with Wire(server.host, timeout=5) as wire:
        headers = {"Content-Length": str(len(data)), "Expect": "100-continue"}
        wire.head("PATCH", api.start(), headers)
        assert wire.socket.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.send(data)
        answer = wire.read("PATCH")
    assert answer.status == 202
    location = api.url + (answer.get("Location") or "")
    expect(api.commit(location, digest_of(data)), 201)


def test_expect_100_continue_of_what_is_refused(server: Server) -> None:
    """A refused request answers with its error; no byte of the body is needed."""
    with Wire(server.host, timeout=10) as wire:
        headers = {"Content-Length": str(1024 * MIB), "Expect": "100-continue"}
        wire.head("PATCH", "/v2/stalls/expect/blobs/uploads/none", headers)
        answer = wire.read("PATCH")
    assert answer.status == 404
    assert json.loads(answer.body)["errors"][0]["code"].startswith("BLOB_UPLOAD")


Refused = tuple[str, str, dict[str, str], set[int]]
REFUSED: list[Refused] = [
    ("PATCH", "/v2/stalls/unread/blobs/uploads/none", {}, {404}),
    ("PUT", "/v2/stalls/unread/blobs/uploads/none?digest=x", {}, {404}),
    ("POST", "/v2/Stalls/UNREAD/blobs/uploads/", {}, {400}),
    ("PUT", "/v2/stalls/unread/manifests/t", {"Content-Type": "a/b"}, {400, 413}),
    ("PUT", "/v2/stalls/unread/tags/list", {}, {405}),
    ("PUT", "/v2/nowhere", {}, {404}),
    ("PUT", "/outside", {}, {404}),
]


def send_all(wire: Wire, size: int) -> None:
    """Send a body of ``size`` bytes unless the other side stops listening."""
    try:
        for _ in range(0, size, 64 * KIB):
            wire.send(bytes(64 * KIB))
    except OSError:
        pass


@pytest.mark.parametrize("connection", ["keep-alive", "close"])
@pytest.mark.parametrize("size", [64 * KIB, MIB, 16 * MIB], ids="{}".format)
@pytest.mark.parametrize("refused", REFUSED, ids=lambda r: f"{r[0]} {r[1]}")
def test_unread_body_still_gets_its_error(
    server: Server, refused: Refused, size: int, connection: str
) -> None:
    """A client that is refused early sees the JSON error, not a reset.

    It reads while it sends, as Go's clients do, or it sends all first.
    """
    method, target, headers, statuses = refused
    length = {"Content-Length": str(size), "Connection": connection}
    answers: list[Answer] = []
    with Wire(server.host) as wire:
        wire.head(method, target, length | headers)
        sender = threading.Thread(target=send_all, args=(wire, size), daemon=True)
        sender.start()
        if size <= MIB:
            sender.join(20)
        answers.append(wire.read(method))
        wire.finish()
        sender.join(20)
    assert answers[0].status in statuses
    assert json.loads(answers[0].body)["errors"]


def test_manifest_over_the_limit(server: Server) -> None:
    """413 for a manifest that is too large, whether its length is told or not."""
    target = "/v2/stalls/large/manifests/t"
    headers = {"Content-Type": OCI.manifest}
    size = 5 * MIB
    for framing in ({"Content-Length": str(size)}, {"Transfer-Encoding": "chunked"}):
        with Wire(server.host) as wire:
            wire.head("PUT", target, headers | framing)
            parts = [b" " * 64 * KIB] * (size // (64 * KIB))
            try:
                if "Content-Length" in framing:
                    wire.send(b"".join(parts))
                else:
                    wire.chunks(parts)
                    wire.send(b"0\r\n\r\n")
            except OSError:
                pass
            answer = wire.read("PUT")
        assert answer.status == 413
        assert json.loads(answer.body)["errors"][0]["code"] == "SIZE_INVALID"


def test_unread_body_is_no_request(server: Server) -> None:
    """What was not read of a refused request is never taken for the next request."""
    hidden = b"DELETE /v2/stalls/hidden/manifests/t HTTP/1.1\r\nHost: x\r\n\r\n"
    for size in (len(hidden), 3 * MIB):
        body = hidden.ljust(size, b"\n")
        with Wire(server.host, timeout=10) as wire:
            headers = {"Content-Length": str(len(body))}
            wire.head("PATCH", "/v2/stalls/hidden/blobs/uploads/none", headers)
            send = threading.Thread(target=send_raw, args=(wire, body), daemon=True)
            send.start()
            assert wire.read("PATCH").status == 404
            send.join(20)
            wire.finish()
            rest = b""
            try:
                while piece := wire.socket.recv(MIB):
                    rest += piece
            except OSError:
                pass
        assert rest == b""


def send_raw(wire: Wire, data: bytes) -> None:
    """Send bytes unless the other side stops listening."""
    with suppress(OSError):
        wire.send(data)


def test_aborted_downloads_leak_nothing(server: Server) -> None:
    """1000 downloads that are left in the middle leave no descriptor behind."""
    api = Api(server.url, "stalls/aborted")
    digest = api.push_blob(random.Random("aborted").randbytes(8 * MIB))
    before = server.descriptors()
    for number in range(1000):
        wire = Wire(server.host, receive=4096)
        wire.head("GET", f"/v2/stalls/aborted/blobs/{digest}")
        assert wire.socket.recv(1024)
        if number % 2:
            wire.reset()
        else:
            wire.close()
    wait_until(lambda: not held(server), 15, "the blob to be closed everywhere")
    wait_until(
        lambda: server.descriptors() <= before + 4,
        15,
        f"descriptors to fall from {server.descriptors()} to {before}",
    )
