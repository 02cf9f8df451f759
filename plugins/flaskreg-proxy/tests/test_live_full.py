"""A cache on a disk without room: clients have everything, and nothing is broken."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from faulty import Fault
from faulty import FaultyProxy
from faulty import Request
from harness import Disk
from harness import StartCache
from harness import stored
from live.api import Api
from live.api import expect
from live.clients import layout_digest
from live.clients import remote
from live.clients import skopeo_copy
from live.images import Layout
from live.images import digest_of
from live.servers import Server
from live.tools import wait_until


pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

MIB = 1 << 20
NAME = "up/team/app"
PushRandom = Callable[..., str]


@pytest.fixture
def cache(disk: Disk, start_cache: StartCache, upstream3: FaultyProxy) -> Server:
    """A cache of two workers on the small disk."""
    return start_cache(upstream3.url, root=disk.path / "registry", tagttl="0s")


def downloads_of(cache: Server) -> list[str]:
    """Return the downloads that are under way, or were left."""
    folder = cache.root / "flaskreg/proxy/downloads"
    return [path.name for path in folder.glob("*-*") if "." not in path.name]


def grow(cache: Server, digest: str, name: str = NAME) -> socket.socket:
    """Begin to pull a blob, and return the connection."""
    client = socket.create_connection(("127.0.0.1", cache.port), 60)
    head = f"GET /v2/{name}/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n"
    client.sendall(head.encode())
    assert client.recv(12) == b"HTTP/1.1 200"
    return client


def test_what_the_disk_has_no_room_for_goes_straight(
    disk: Disk,
    cache: Server,
    registry3: Server,
    upstream3: FaultyProxy,
    push_random: PushRandom,
) -> None:
    """Every byte, to each client, and none to the disk; with room it stays."""
    digest = push_random(registry3, 8 * MIB)
    whole = Api(registry3.url, "team/app").pull_blob(digest)
    Api(cache.url, NAME).pull_manifest("v1")
    disk.fill(leave=4 * MIB)
    free = disk.free()
    with ThreadPoolExecutor(6) as pool:
        api = [Api(cache.url, NAME, timeout=120) for _ in range(6)]
        pulled = list(pool.map(lambda it: it.pull_blob(digest), api))
    assert all(content == whole for content in pulled)
    assert not stored(cache, digest).exists()
    assert downloads_of(cache) == []
    assert disk.free() >= free - (1 << 16)
    part = Api(cache.url, NAME).call(
        "GET", f"blobs/{digest}", headers={"Range": "bytes=5000000-5000099"}
    )
    assert expect(part, 206).content == whole[5000000:5000100]
    disk.empty()
    assert Api(cache.url, NAME).pull_blob(digest) == whole
    wait_until(stored(cache, digest).exists, 30, "it is kept")
    upstream3.always(drop=True)
    assert Api(cache.url, NAME).pull_blob(digest) == whole


def test_an_image_through_a_cache_on_a_full_disk(
    disk: Disk, cache: Server, image: Layout, tmp_path: Path
) -> None:
    """Manifests too, by tag and by digest; nothing of it is here afterwards."""
    assert Api(cache.url, "up/team/none").call("GET", "tags/list").status_code == 404
    disk.fill()
    Api(cache.url, NAME).check_holds(image, "v1")
    assert "no room on the disk for up/team/app" in cache.text()
    skopeo_copy(remote(cache, f"{NAME}:v1"), f"oci:{tmp_path / 'copy'}:v1", "--all")
    assert layout_digest(tmp_path / "copy", "v1") == image.digest
    unknown = digest_of(b"nobody has this")
    for path in ("manifests/none", f"manifests/{unknown}", f"blobs/{unknown}"):
        expect(Api(cache.url, NAME).call("GET", path), 404)
    disk.empty()
    Api(cache.url, NAME).check_holds(image, "v1")


@pytest.fixture
def too_large(
    disk: Disk, cache: Server, registry3: Server, push_random: PushRandom
) -> str:
    """A blob for which the disk has no room any more."""
    digest = push_random(registry3, 6 * MIB)
    Api(cache.url, NAME).pull_manifest("v1")
    disk.fill(leave=MIB)
    return digest


def test_a_straight_pull_that_is_cut_goes_on(
    cache: Server, upstream3: FaultyProxy, too_large: str
) -> None:
    upstream3.first(1, "/blobs/", cut_at=3 * MIB)
    assert digest_of(Api(cache.url, NAME).pull_blob(too_large)) == too_large
    asked = [it.headers.get("range") for it in upstream3.requests if it.method == "GET"]
    assert asked[-1] == f"bytes={3 * MIB}-"
    assert not stored(cache, too_large).exists()


@pytest.mark.parametrize("fault", ["wrong byte", "cut for good"])
def test_a_straight_pull_that_cannot_end_well_is_cut(
    cache: Server, upstream3: FaultyProxy, too_large: str, fault: str
) -> None:
    """Before its end, so that nobody takes it for what it should be."""
    if fault == "wrong byte":
        upstream3.first(100, "/blobs/", corrupt_at=3 * MIB)
    else:
        upstream3.fault = cut_once_and_then_drop(upstream3)
    with pytest.raises(requests.RequestException):
        Api(cache.url, NAME, timeout=120).pull_blob(too_large)
    upstream3.heal()
    wait_until(lambda: is_answered(cache, too_large), 60, "it is asked again")
    assert digest_of(Api(cache.url, NAME).pull_blob(too_large)) == too_large


def is_answered(cache: Server, digest: str) -> bool:
    """Whether the circuit breakers of the workers, asked in turn, are closed."""
    calls = [Api(cache.url, NAME).call("HEAD", f"blobs/{digest}") for _ in range(8)]
    part = {"Range": "bytes=0-0"}
    calls += [
        Api(cache.url, NAME).call("GET", f"blobs/{digest}", headers=part)
        for _ in range(8)
    ]
    return all(call.ok for call in calls)


def cut_once_and_then_drop(upstream: FaultyProxy) -> Callable[[Request], Fault]:
    def choose(_request: Request) -> Fault:
        if upstream.count("GET", "/blobs/"):
            return Fault(drop=True)
        return Fault(cut_at=3 * MIB)

    upstream.heal()
    return choose


def test_a_straight_pull_tells_the_true_reason(
    cache: Server, upstream3: FaultyProxy, too_large: str
) -> None:
    """Before its first byte."""
    api = Api(cache.url, NAME)
    expect(api.call("HEAD", f"blobs/{too_large}"), 200)
    upstream3.always(status=503)
    expect(api.call("GET", f"blobs/{too_large}"), 502)
    upstream3.always(status=404)
    expect(api.call("GET", f"blobs/{too_large}"), 404)


def test_room_is_had_before_the_first_byte(
    disk: Disk,
    cache: Server,
    registry3: Server,
    upstream3: FaultyProxy,
    push_random: PushRandom,
) -> None:
    """What comes onto the disk meanwhile cuts nobody."""
    digest = push_random(registry3, 8 * MIB)
    whole = Api(registry3.url, "team/app").pull_blob(digest)
    upstream3.first(1, "/blobs/", rate=4 * MIB)
    with ThreadPoolExecutor(1) as pool:
        pulled = pool.submit(Api(cache.url, NAME, timeout=120).pull_blob, digest)
        wait_until(lambda: downloads_of(cache), 60, "it has begun")
        grows = cache.root / "flaskreg/proxy/downloads" / digest.replace(":", "-")
        wait_until(lambda: grows.stat().st_size, 60, "it grows")
        assert disk.free() < 8 * MIB
        disk.fill()
        assert pulled.result() == whole
    assert downloads_of(cache) == []


def test_a_disk_keeps_free_bytes(
    disk: Disk,
    registry3: Server,
    upstream3: FaultyProxy,
    start_cache: StartCache,
    push_random: PushRandom,
) -> None:
    """Some content goes for them, and comes again when it is asked for."""
    digests = [push_random(registry3, MIB) for _ in range(12)]
    keys = {"minfree": 8 * MIB, "ttl": "0s"}
    cache = start_cache(upstream3.url, root=disk.path / "registry", proxy=keys)
    for digest in digests:
        Api(cache.url, NAME).pull_blob(digest)
    wait_until(lambda: disk.free() >= 8 * MIB, 120, "as many are free")
    wait_until(lambda: not cache_is_removing(cache), 60, "it has ended")
    assert 4 <= sum(stored(cache, digest).exists() for digest in digests) < 8
    for digest in digests:
        assert digest_of(Api(cache.url, NAME).pull_blob(digest)) == digest


def cache_is_removing(cache: Server) -> bool:
    """Whether the scheduler has announced that content goes."""
    control = json.loads((cache.root / "flaskreg-scheduler/control").read_text())
    return bool(control["condemned"] or control["removing"])


# A bound on bytes


def bytes_on_disk(cache: Server) -> int:
    """Return what content takes, of blobs and of downloads."""
    found = 0
    for place in (cache.tree / "blobs", cache.root / "flaskreg/proxy/downloads"):
        for path in place.rglob("*"):
            try:
                if path.is_file():
                    found += path.stat().st_size
            except FileNotFoundError:
                continue
    return found


def test_what_was_given_up_counts_and_goes_first(
    registry3: Server,
    upstream3: FaultyProxy,
    start_cache: StartCache,
    push_random: PushRandom,
) -> None:
    """Parts of blobs that nobody waits for any more take room of the bound."""
    keys = {"maxbytes": 20 * MIB, "cachewritetimeout": "0s"}
    cache = start_cache(upstream3.url, workers=2, proxy=keys)
    given_up = [push_random(registry3, 6 * MIB) for _ in range(2)]
    for digest in given_up:
        upstream3.first(1, "/blobs/", rate=2 * MIB)
        with grow(cache, digest):
            grows = cache.root / "flaskreg/proxy/downloads" / digest.replace(":", "-")
            wait_until(lambda g=grows: g.stat().st_size > 4 * MIB, 60, "it grows")
        lease = grows.with_name(f"{grows.name}.lease")
        wait_until(lambda it=lease: not it.exists(), 60, "it is given up")
    upstream3.heal()
    assert len(downloads_of(cache)) == 2
    most, kept = 0, set()
    for _ in range(3):
        digest = push_random(registry3, 4 * MIB)
        Api(cache.url, NAME, timeout=120).pull_blob(digest)
        kept.update([digest] if stored(cache, digest).exists() else [])
        most = max(most, bytes_on_disk(cache))
    assert most <= 20 * MIB + 1024
    wait_until(lambda: len(downloads_of(cache)) < 2, 60, "a part has gone")
    assert kept
    assert all(stored(cache, digest).exists() for digest in kept)


def test_downloads_beyond_the_bound_take_room_one_at_a_time(
    registry3: Server,
    upstream3: FaultyProxy,
    start_cache: StartCache,
    push_random: PushRandom,
) -> None:
    """All are served; the disk has the bound and one more of them at most."""
    size = 8 * MIB
    digests = [push_random(registry3, size) for _ in range(6)]
    cache = start_cache(upstream3.url, workers=2, proxy={"maxbytes": 12 * MIB})
    Api(cache.url, NAME).pull_manifest("v1")
    upstream3.first(100, "/blobs/", rate=4 * MIB)
    with ThreadPoolExecutor(6) as pool:
        pulls = [
            pool.submit(Api(cache.url, NAME, timeout=120).pull_blob, digest)
            for digest in digests
        ]
        most, files = 0, 0
        while not all(it.done() for it in pulls):
            most = max(most, bytes_on_disk(cache))
            files = max(files, len(downloads_of(cache)))
            time.sleep(0.05)
        assert [digest_of(it.result()) for it in pulls] == digests
    assert files == 1
    assert size // 4 < most <= 12 * MIB + size
    for digest in digests:
        assert upstream3.count("GET", f"/blobs/{digest}") == 1
    assert downloads_of(cache) == []
