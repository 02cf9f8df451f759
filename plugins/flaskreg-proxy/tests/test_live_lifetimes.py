"""How long content stays in caches that are served by several workers."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from faulty import FaultyProxy
from harness import StartCache
from harness import stored
from live.api import Api
from live.api import expect
from live.images import Layout
from live.images import digest_of
from live.servers import Launcher
from live.servers import Server
from live.tools import wait_until


pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

MIB = 1 << 20
NAME = "up/team/app"
STATE = "scheduler-state.json"

#: how long a removal may take on a busy machine, in seconds: what was in use is left
#: alone for half a minute.
PATIENCE = 120


def is_stored(server: Server, *digests: str) -> bool:
    """Whether a server keeps any of these blobs."""
    return any(stored(server, digest).exists() for digest in digests)


def entries(root: Path) -> dict[str, Any]:
    """Return the entries of the state file."""
    file = root / STATE
    return dict(json.loads(file.read_text())) if file.exists() else {}


def bytes_of(tree: Path) -> int:
    """Return the bytes of all content below a directory."""
    found = 0
    for folder, _, names in os.walk(tree / "blobs"):
        for name in names:
            try:
                found += os.stat(f"{folder}/{name}").st_size
            except FileNotFoundError:
                continue
    return found


def pull_slowly(server: Server, digest: str, seconds: float) -> bytes:
    """Pull a blob over a connection that takes bytes at its own pace."""
    with socket.create_connection(("127.0.0.1", server.port), 60) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        request = f"GET /v2/{NAME}/blobs/{digest} HTTP/1.1\r\nHost: a\r\n"
        client.sendall(f"{request}Connection: close\r\n\r\n".encode())
        received = b""
        until = time.monotonic() + seconds
        while chunk := client.recv(64 << 10):
            received += chunk
            if time.monotonic() < until:
                time.sleep(0.1)
    return received.partition(b"\r\n\r\n")[2]


def test_what_is_not_used_goes_and_what_is_in_use_stays(
    registry3: Server,
    upstream3: FaultyProxy,
    start_cache: StartCache,
    push_random: Callable[..., str],
) -> None:
    """One is read slowly, one is pulled now and then, and one is had once."""
    slow, used = (push_random(registry3, 32 * MIB), push_random(registry3, MIB))
    unused = push_random(registry3, MIB)
    cache = start_cache(upstream3.url, proxy={"ttl": "4s"})
    api = Api(cache.url, NAME)
    for digest in (slow, used, unused):
        api.pull_blob(digest)
    read: list[bytes] = []
    reading = threading.Thread(
        target=lambda: read.append(pull_slowly(cache, slow, 12)), daemon=True
    )
    reading.start()
    deadline = time.monotonic() + PATIENCE
    while is_stored(cache, unused) or reading.is_alive():
        assert time.monotonic() < deadline, "it did not go"
        api.pull_blob(used)
        time.sleep(0.5)
    reading.join(PATIENCE)
    assert [digest_of(content) for content in read] == [slow]
    assert upstream3.count("GET", f"/blobs/{slow}") == 1
    assert upstream3.count("GET", f"/blobs/{used}") == 1
    wait_until(lambda: not is_stored(cache, slow, used), PATIENCE, "both gone")
    api.pull_blob(unused)
    assert upstream3.count("GET", f"/blobs/{unused}") == 2


def test_an_image_goes_whole_and_comes_again(
    upstream3: FaultyProxy, start_cache: StartCache, image: Layout
) -> None:
    """Tags and manifests too; what somebody pushed with the same content stays."""
    cache = start_cache(upstream3.url, proxy={"ttl": "3s"})
    kept, cached = Api(cache.url, "mine/app"), Api(cache.url, NAME)
    cached.check_holds(image, "v1")
    first, *others = image.blobs()
    path = f"blobs/uploads/?mount={first}&from={NAME}"
    expect(kept.call("POST", path), 201)
    gone = [*others, *(digest for digest, _ in image.manifests())]
    wait_until(lambda: not is_stored(cache, *gone), PATIENCE, "gone")
    kept.pull_blob(first)
    assert is_stored(cache, first)
    cached.check_holds(image, "v1")
    kept.push(image, "v1")
    upstream3.always(status=500)
    links = cache.tree / f"repositories/{NAME}/_manifests/revisions"
    wait_until(lambda: not list(links.rglob("link")), PATIENCE, "gone")
    expect(cached.call("GET", "manifests/v1"), 502)
    kept.check_holds(image, "v1")


def test_a_bound_on_bytes_holds_under_load(
    registry3: Server,
    upstream3: FaultyProxy,
    start_cache: StartCache,
    push_random: Callable[..., str],
    image: Layout,
) -> None:
    """Every pull is right, and local repositories are pushed to and pulled beside."""
    digests = [push_random(registry3, MIB) for _ in range(40)]
    cache = start_cache(upstream3.url, proxy={"maxbytes": 10 * MIB})
    local = Api(cache.url, "mine/app")
    local.push(image, "v1")
    own = bytes_of(cache.tree)
    most, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            most[0] = max(most[0], bytes_of(cache.tree))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            pulls = [
                pool.submit(Api(cache.url, NAME, timeout=300).pull_blob, digest)
                for digest in digests + digests[:10]
            ]
            for number in range(10):
                data = f"pushed beside {number}".encode() * 1000
                local.pull_blob(local.push_blob(data))
                own += len(data)
            for pull in pulls:
                pull.result()
    finally:
        ended.set()
        watching.join()
    assert most[0] <= 11 * MIB + own
    assert most[0] >= 5 * MIB, "it keeps what it may"
    local.check_holds(image, "v1")


def test_what_takes_more_than_half_is_passed_on(
    registry3: Server,
    upstream3: FaultyProxy,
    start_cache: StartCache,
    push_random: Callable[..., str],
) -> None:
    """One download for all who want it at once, over all workers; nothing is kept."""
    digest = push_random(registry3, 8 * MIB)
    cache = start_cache(upstream3.url, workers=4, proxy={"maxbytes": 10 * MIB})
    upstream3.first(1, f"/blobs/{digest}", rate=4 * MIB)
    with ThreadPoolExecutor(8) as pool:
        pulls = [
            pool.submit(Api(cache.url, NAME, timeout=300).pull_blob, digest)
            for _ in range(8)
        ]
        for pull in pulls:
            pull.result()
    assert upstream3.count("GET", f"/blobs/{digest}") == 1
    assert not is_stored(cache, digest)
    assert list((cache.root / "flaskreg/proxy/downloads").iterdir()) == []
    Api(cache.url, NAME).pull_blob(digest)
    assert upstream3.count("GET", f"/blobs/{digest}") == 2


def test_a_restart_keeps_lifetimes(
    upstream3: FaultyProxy, start_cache: StartCache, image: Layout
) -> None:
    """What a server that ends knows, the next one goes on with."""
    cache = start_cache(upstream3.url)
    Api(cache.url, NAME).check_holds(image, "v1")
    assert cache.stop() == 0
    before = entries(cache.root)
    digests = [*image.blobs(), *(digest for digest, _ in image.manifests())]
    assert before.keys() == {f"{NAME}@{digest}" for digest in digests}
    again = start_cache(upstream3.url, root=cache.root)
    blob = image.blobs()[0]
    Api(again.url, NAME).pull_blob(blob)
    assert again.stop() == 0
    after = entries(cache.root)
    assert after.keys() == before.keys()
    for key, entry in after.items():
        then, now = (
            datetime.fromisoformat(each["ExpiryData"]) for each in (before[key], entry)
        )
        # What is left of a lifetime is not begun anew by a start.
        assert now > then if key.endswith(blob) else now - then < timedelta(seconds=1)


@pytest.fixture
def start_kind(
    launcher: Launcher, upstream3: FaultyProxy, tmp_path: Path
) -> Callable[[str, str], Server]:
    """Return a function that starts a whole cache of either kind on one storage."""

    def start(kind: str, ttl: str) -> Server:
        config = {"proxy": {"remoteurl": upstream3.url, "ttl": ttl}}
        root = tmp_path / "shared"
        if kind == "flaskreg":
            return launcher.flaskreg(config, workers=2, root=root)
        return launcher.distribution("3", config, root=root)

    return start


KINDS = [("distribution", "flaskreg"), ("flaskreg", "distribution")]


@pytest.mark.parametrize(("first", "second"), KINDS)
def test_a_cache_goes_over_to_the_other_and_back(
    start_kind: Callable[[str, str], Server],
    upstream3: FaultyProxy,
    image: Layout,
    first: str,
    second: str,
) -> None:
    """CNCF distribution 3 and this registry know what the other has cached."""
    expected = {f"team/app@{digest}" for digest in image.blobs()}
    for kind in (first, second, first):
        server = start_kind(kind, "1h")
        before = entries(server.root)
        pull(server, image)
        wait_until(partial(_is_noted, server, expected), 60, "noted")
        server.stop()
        assert before.keys() | expected <= entries(server.root).keys()
        assert "panic" not in server.text()
    for digest in image.blobs():
        assert upstream3.count("GET", f"/blobs/{digest}") == 1


@pytest.mark.parametrize(("first", "second"), KINDS)
def test_what_one_has_cached_the_other_removes(
    start_kind: Callable[[str, str], Server], image: Layout, first: str, second: str
) -> None:
    expected = {f"team/app@{digest}" for digest in image.blobs()}
    server = start_kind(first, "12s")
    pull(server, image)
    wait_until(partial(_is_noted, server, expected), 60, "noted")
    server.stop()
    assert is_stored(server, *image.blobs())
    last = start_kind(second, "12s")
    wait_until(lambda: not is_stored(last, *image.blobs()), PATIENCE, "gone")


def pull(server: Server, image: Layout) -> None:
    """Pull the tag and the blobs: distribution caches no OCI manifest by digest."""
    api = Api(server.url, "team/app")
    api.pull_manifest("v1")
    for digest in image.blobs():
        api.pull_blob(digest)


def _is_noted(server: Server, expected: set[str]) -> bool:
    """Whether distribution has written its state; flaskreg does when it ends."""
    return server.name == "flaskreg" or expected <= entries(server.root).keys()


def test_an_image_is_here_before_anybody_asks(
    upstream3: FaultyProxy, start_cache: StartCache, image: Layout
) -> None:
    """One worker does it, once."""
    prefetch = [{"images": ["up/team/app:v1"], "timetable": "1h"}]
    cache = start_cache(upstream3.url, proxy={"prefetch": prefetch})
    digests = [*image.blobs(), image.digest]
    wait_until(
        lambda: all(is_stored(cache, digest) for digest in digests), PATIENCE, "here"
    )
    for digest in image.blobs():
        assert upstream3.count("GET", f"/blobs/{digest}") == 1
    upstream3.always(status=500)
    Api(cache.url, NAME).check_holds(image, "v1")
