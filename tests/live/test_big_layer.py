"""A layer of 1 GiB: it arrives and leaves, and no process grows with it."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from .api import Api
from .api import expect
from .clients import layout_digest
from .clients import remote
from .clients import skopeo_copy
from .images import MIB
from .images import Layout
from .images import make_layout
from .servers import Server
from .tools import wait_until


pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]

SIZE = 1024 * MIB
GROWTH = 50 * MIB


class Memory(threading.Thread):
    """Watches how much memory a server's processes take together."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self.server = server
        self.before = self.most = server.rss()
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.05):
            self.most = max(self.most, self.server.rss())


@contextmanager
def flat_memory(server: Server) -> Iterator[None]:
    """Fail when the server grows by more than ``GROWTH`` meanwhile."""
    memory = Memory(server)
    memory.start()
    try:
        yield
    finally:
        memory.done.set()
        memory.join()
    grown = memory.most - memory.before
    assert grown < GROWTH, f"{grown / MIB:.0f} MiB more than before"


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """An image with one layer of 1 GiB that does not compress."""
    folder = tmp_path_factory.mktemp("big")
    return make_layout(folder, layers=1, layer_size=SIZE, noise=True)


@pytest.fixture
def server(start_flaskreg: Any) -> Server:
    """A registry of its own that has answered one request in each worker."""
    started: Server = start_flaskreg(workers=2)
    warm_up(started)
    return started


def warm_up(server: Server) -> None:
    """Push and pull a little, so that what is loaded late is loaded."""
    api = Api(server.url, "warm")
    for number in range(20):
        api.pull_blob(api.push_blob(b"%d" % number * 1000))


def test_skopeo_round_trip(server: Server, big: Layout, tmp_path: Path) -> None:
    """skopeo pushes and pulls it; the digest is the same."""
    reference = remote(server, "big/skopeo:one")
    with flat_memory(server):
        skopeo_copy(big.source, reference)
        skopeo_copy(reference, f"oci:{tmp_path}/back:one")
    assert layout_digest(tmp_path / "back", "one") == big.digest


def test_every_way_to_push(server: Server, big: Layout) -> None:
    """One PATCH, a body in the PUT, and a chunked body: each with flat memory."""
    api = Api(server.url, "big/ways", timeout=300)
    (digest,) = (blob for blob in big.blobs() if big.blob(blob).stat().st_size > MIB)
    path = big.blob(digest)

    for way in ("patch", "put", "chunked"):
        location = api.start()
        with flat_memory(server), path.open("rb") as file:
            if way == "put":
                answer = api.commit(location, digest, file)  # type: ignore[arg-type]
            else:
                body = file if way == "patch" else iter(lambda: file.read(MIB), b"")
                sent = api.call("PATCH", location, data=body)
                location = api.location(expect(sent, 202))
                before = server.bytes_read()
                answer = api.commit(location, digest)
                assert server.bytes_read() - before < MIB, "it was read again"
        expect(answer, 201)
        expect(api.call("DELETE", f"blobs/{digest}"), 202)


def test_pull_by_ranges_and_slowly(server: Server, big: Layout) -> None:
    """Readers of parts, and readers that stop midway, cost no memory."""
    api = Api(server.url, "big/ranges", timeout=300)
    (digest,) = (blob for blob in big.blobs() if big.blob(blob).stat().st_size > MIB)
    path = big.blob(digest)
    with path.open("rb") as file:
        expect(api.commit(api.start(), digest, file), 201)  # type: ignore[arg-type]
    size = path.stat().st_size

    with flat_memory(server):
        whole = hashlib.sha256()
        step = size // 8 + 1
        for at in range(0, size, step):
            last = min(at + step, size) - 1
            headers = {"Range": f"bytes={at}-{last}"}
            with api.session.get(
                f"{api.url}/v2/big/ranges/blobs/{digest}",
                headers=headers,
                stream=True,
                timeout=60,
            ) as answer:
                assert answer.status_code == 206
                assert answer.headers["Content-Range"] == f"bytes {at}-{last}/{size}"
                for piece in answer.iter_content(MIB):
                    whole.update(piece)
        assert f"sha256:{whole.hexdigest()}" == digest

        held = [
            api.session.get(
                f"{api.url}/v2/big/ranges/blobs/{digest}", stream=True, timeout=60
            )
            for _ in range(8)
        ]
        for answer in held:
            assert answer.raw.read(MIB)
        for answer in held:
            answer.close()
    wait_until(lambda: requests_open(server) == 0, 10, "closed downloads to be let go")


def requests_open(server: Server) -> int:
    """Return how many blob files the server's processes hold open."""
    count = 0
    for pid in server.pids():
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            try:
                count += str(entry.readlink()).endswith("/data")
            except FileNotFoundError:
                continue
    return count
