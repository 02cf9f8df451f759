"""Idle, slow and stalled clients by the hundred: who asks for little waits for nobody.

Figures are told and not asserted, but for a wide margin: other work may be going on.
"""

from __future__ import annotations

import json
import random
import resource
import socket
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
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
from .wire import Wire
from .wire import ask


pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

IDLE_LIMIT = 10
IDLE = 1000
READERS = 200
STALLED = 50
WRITERS = 10
NAME = "crowd/a"

#: bytes a second of a slow reader, and of a slow writer.
READ_RATE = 8 * KIB
WRITE_RATE = 2 * KIB

#: bytes of a segment on a network. Loopback's are 64 KiB, and the kernel sizes the
#: buffers of a connection by them.
SEGMENT = 1400


@pytest.fixture(autouse=True)
def many_descriptors() -> Iterator[None]:
    """Let this process, and the servers that it starts, have enough connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * (IDLE + READERS + STALLED) + 1000
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class NetworkWire(Wire):
    """A connection with the segments of a network and a small receive buffer."""

    def __init__(self, host: str) -> None:
        self.host = host
        address, _, port = host.rpartition(":")
        self.socket = socket.socket()
        self.socket.settimeout(30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * KIB)
        try:
            self.socket.connect((address, int(port)))
        except OSError:
            self.socket.close()
            raise


@dataclass
class Client:
    """A client of the crowd that sends or receives, or has stopped to."""

    wire: Wire
    #: what it sends.
    content: bytes = b""
    #: bytes that went one way or the other.
    moved: int = 0
    #: when the server ended the connection.
    ended: float | None = None
    #: what was received.
    received: bytearray = field(default_factory=bytearray)


@dataclass
class Crowd:
    """Everybody who is there."""

    idle: list[Wire] = field(default_factory=list)
    readers: list[Client] = field(default_factory=list)
    writers: list[Client] = field(default_factory=list)
    stalled: list[Client] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def pace(self) -> None:
        """Let each slow client move a little, ten times a second, until the end."""
        began = time.monotonic()
        while not self.stop.is_set():
            due = time.monotonic() - began
            for client in self.readers:
                step(client, receive, int(due * READ_RATE))
            for client in self.writers:
                step(client, transmit, min(int(due * WRITE_RATE), len(client.content)))
            for client in self.stalled:
                step(client, receive, MIB)
            self.stop.wait(0.1)


def step(client: Client, move: Callable[[Client, int], None], until: int) -> None:
    """Move bytes of a connection that is there; remember when it is not."""
    if client.ended is not None:
        return
    try:
        move(client, until)
    except BlockingIOError:
        pass
    except OSError:
        client.ended = time.monotonic()


def receive(client: Client, until: int) -> None:
    """Receive up to a number of bytes in all, as far as they are there."""
    while client.moved < until:
        piece = client.wire.socket.recv(min(until - client.moved, 64 * KIB))
        if not piece:
            client.ended = time.monotonic()
            return
        client.moved += len(piece)
        if len(client.received) < KIB:
            client.received += piece


def transmit(client: Client, until: int) -> None:
    """Send up to a number of bytes in all."""
    while client.moved < until:
        client.moved += client.wire.socket.send(client.content[client.moved : until])


@contextmanager
def crowd(server: Server, api: Api, large: str, content: bytes) -> Iterator[Crowd]:
    """Let everybody come, and go again at the end."""
    there = Crowd()
    with ExitStack() as stack:
        for _ in range(IDLE):
            wire = stack.enter_context(Wire(server.host))
            assert wire.request("GET", "/v2/").status == 200
            there.idle.append(wire)
        for clients, count in ((there.stalled, STALLED), (there.writers, WRITERS)):
            size = len(content) if clients is there.writers else 64 * MIB
            for _ in range(count):
                location = api.start()
                wire = stack.enter_context(NetworkWire(server.host))
                client = Client(wire, content)
                client.wire.head("PATCH", location, {"Content-Length": str(size)})
                clients.append(client)
        for client in there.stalled:
            client.wire.send(bytes(KIB))
        for _ in range(READERS):
            client = Client(stack.enter_context(NetworkWire(server.host)))
            client.wire.head("GET", f"/v2/{NAME}/blobs/{large}")
            there.readers.append(client)
        for client in (*there.readers, *there.writers, *there.stalled):
            client.wire.socket.setblocking(False)
        pacer = threading.Thread(target=there.pace, daemon=True)
        pacer.start()
        try:
            yield there
        finally:
            there.stop.set()
            pacer.join(30)


def probe(server: Server, small: str, seconds: float) -> list[float]:
    """Ask for little for a while, on a kept connection and on new ones, and time it."""
    asked = [
        ("GET", "/v2/"),
        ("HEAD", f"/v2/{NAME}/blobs/{small}"),
        ("HEAD", f"/v2/{NAME}/manifests/one"),
        ("GET", f"/v2/{NAME}/manifests/one"),
        ("GET", f"/v2/{NAME}/blobs/{small}"),
    ]
    times = []
    end = time.monotonic() + seconds
    with Wire(server.host) as kept:
        while time.monotonic() < end:
            for method, path in asked:
                for new in (False, True):
                    began = time.perf_counter()
                    if new:
                        answer = ask(server.host, method, path)
                    else:
                        answer = kept.request(method, path)
                    times.append(time.perf_counter() - began)
                    assert answer.status == 200
            time.sleep(0.01)
    return sorted(times)


def percentile(times: list[float], percent: float) -> float:
    """Return what so many of some sorted times are within, in milliseconds."""
    return times[min(int(len(times) * percent / 100), len(times) - 1)] * 1000


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Return a function that prints a figure whether the test passes or not."""

    def write(line: str) -> None:
        with capsys.disabled():
            print(f"\n{line}")

    return write


def prepare(server: Server) -> tuple[Api, str, str]:
    """Push a large blob, a small one, and a manifest of it."""
    api = Api(server.url, NAME)
    large = api.push_blob(random.Random("crowd").randbytes(64 * MIB))
    small = api.push_blob(b"{}")
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI.manifest,
        "config": {"mediaType": OCI.config, "digest": small, "size": 2},
        "layers": [],
    }
    api.push_manifest("one", json.dumps(manifest).encode(), OCI.manifest)
    return api, large, small


def test_crowd(start_flaskreg: Any, tell: Callable[[str], None]) -> None:
    """All go on but those that stall, with the settings of a fresh installation."""
    config = {"http": {"idletimeout": f"{IDLE_LIMIT}s"}}
    server: Server = start_flaskreg(config, workers=2)
    api, large, small = prepare(server)
    probe(server, small, 1)
    alone = probe(server, small, 2)
    before = (server.rss(), server.descriptors())
    content = random.Random("slow").randbytes(WRITE_RATE * 25)
    with crowd(server, api, large, content) as there:
        began = time.monotonic()
        times = probe(server, small, 3 * IDLE_LIMIT)
        amid = (server.rss(), server.descriptors())
        waited = time.monotonic() - began

        cut = [client.ended - began for client in there.stalled if client.ended]
        assert len(cut) == STALLED, f"{len(cut)} of {STALLED} stalled uploads were cut"
        assert max(cut) < 2.5 * IDLE_LIMIT

        check_readers(there.readers, waited)
        check_writers(api, there.writers, content)
        for wire in there.idle:
            assert wire.request("GET", "/v2/").status == 200
    wait_until(
        lambda: server.descriptors() <= before[1] + 8,
        20,
        f"descriptors to fall to {before[1]} again",
    )
    after = (server.rss(), server.descriptors())
    p50, p99 = percentile(times, 50), percentile(times, 99)
    tell(
        f"{len(times)} small requests amid {IDLE} idle, {READERS} slow and {STALLED} "
        f"stalled clients: p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest "
        f"{times[-1] * 1000:.0f} ms (alone: p99 {percentile(alone, 99):.1f} ms); "
        f"stalled ones cut after {min(cut):.0f}-{max(cut):.0f} s; memory "
        f"{before[0] / MIB:.0f}, {amid[0] / MIB:.0f}, {after[0] / MIB:.0f} MiB; "
        f"descriptors {before[1]}, {amid[1]}, {after[1]}"
    )
    assert p99 < 1000
    # The more plugins are installed, the more each worker unshares of its parent.
    assert after[0] < before[0] + 128 * MIB


def check_readers(readers: list[Client], waited: float) -> None:
    """See that each slow reader still gets what it wants."""
    statuses = {bytes(client.received[:12]) for client in readers}
    assert statuses == {b"HTTP/1.1 200"}
    gone = sum(client.ended is not None for client in readers)
    assert not gone, f"{gone} of {READERS} slow readers were cut"
    assert min(client.moved for client in readers) > waited * READ_RATE / 2


def check_writers(api: Api, writers: list[Client], content: bytes) -> None:
    """See that each slow writer was answered, and that its blob is right."""
    for client in writers:
        assert client.ended is None
        assert client.moved == len(content)
        client.wire.socket.settimeout(20)
        answer = client.wire.read("PATCH")
        assert answer.status == 202
        location = api.url + (answer.get("Location") or "")
        expect(api.commit(location, digest_of(content)), 201)


def test_crowd_beyond_the_threads(
    start_flaskreg: Any, tell: Callable[[str], None]
) -> None:
    """With few of them, who is one too many is told so at once."""
    server: Server = start_flaskreg({"http": {"threads": 64}}, workers=2)
    api, large, small = prepare(server)
    content = b"slow"
    with crowd(server, api, large, content) as there:
        times = probe(server, small, 8)
        answered = [client for client in there.readers if client.received]
        refused = [
            client
            for client in there.readers
            if client.received.startswith(b"HTTP/1.1 503")
        ]
        for client in refused:
            assert b"\r\nRetry-After: " in client.received
        for wire in there.idle:
            assert wire.request("GET", "/v2/").status == 200
    tell(
        f"with 64 threads {len(refused)} of {READERS} slow readers were refused; "
        f"small requests: p50 {percentile(times, 50):.1f} ms, "
        f"p99 {percentile(times, 99):.1f} ms"
    )
    assert len(answered) == READERS
    assert percentile(times, 99) < 1000
