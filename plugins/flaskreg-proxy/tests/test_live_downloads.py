"""One download for all, whatever happens to the upstream, a client or a worker."""

from __future__ import annotations

import hashlib
import http.client
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from faulty import Fault
from faulty import FaultyProxy
from harness import StartCache
from harness import stored
from live.servers import Server
from live.tools import wait_until


pytestmark = pytest.mark.live

MIB = 1 << 20
PushRandom = Callable[..., str]


@dataclass
class Pulled:
    """What one client got."""

    status: int = 0
    size: int = 0
    digest: str = ""
    whole: bool = False
    first_byte: float = 0.0


def pull(server: Server, digest: str, name: str = "up/team/app") -> Pulled:
    """Pull a blob over a connection of its own, a piece at a time."""
    pulled, digester = Pulled(), hashlib.sha256()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    try:
        connection.request("GET", f"/v2/{name}/blobs/{digest}")
        response = connection.getresponse()
        pulled.status = response.status
        stated = int(response.headers["Content-Length"])
        while chunk := response.read(64 << 10):
            pulled.first_byte = pulled.first_byte or time.monotonic()
            pulled.size += len(chunk)
            digester.update(chunk)
        pulled.whole = pulled.status == 200 and pulled.size == stated
    except (http.client.HTTPException, OSError):
        pulled.whole = False
    finally:
        connection.close()
    pulled.digest = f"sha256:{digester.hexdigest()}"
    return pulled


def pull_many(server: Server, digest: str, clients: int) -> list[Pulled]:
    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(lambda _: pull(server, digest), range(clients)))


def downloads(upstream: FaultyProxy) -> int:
    return upstream.count("GET", "/blobs/")


def test_fifty_clients_of_four_workers_make_one_download(
    registry3: Server,
    upstream3: FaultyProxy,
    start_cache: StartCache,
    push_random: PushRandom,
) -> None:
    """256 MiB come once, whoever asks, and are on the disk once."""
    size = 256 * MIB
    digest = push_random(registry3, size)
    cache = start_cache(upstream3.url, workers=4)
    pulled = pull_many(cache, digest, 50)
    assert [it.status for it in pulled] == [200] * 50
    assert {it.digest for it in pulled} == {digest}
    assert downloads(upstream3) == 1
    assert size <= upstream3.sent <= size + 4096
    assert stored(cache, digest).stat().st_size == size
    used = sum(path.stat().st_size for path in cache.root.rglob("*") if path.is_file())
    # A mebibyte is the ballast of the scheduler, which a full disk gives back.
    assert used < size + 2 * MIB


def test_the_first_byte_comes_before_the_last_one_is_here(
    registry: Server,
    upstream: FaultyProxy,
    start_cache: StartCache,
    push_random: PushRandom,
) -> None:
    """To each client, of each worker."""
    digest = push_random(registry, 8 * MIB)
    cache = start_cache(upstream.url, workers=4)
    go_on = threading.Event()
    upstream.first(1, "/blobs/", hold=go_on)
    sockets = []
    for _ in range(12):
        sock = socket.create_connection(("127.0.0.1", cache.port), 60)
        head = f"GET /v2/up/team/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n"
        sock.sendall(head.encode())
        sockets.append(sock)
    for sock in sockets:
        data = b""
        while len(data.partition(b"\r\n\r\n")[2]) < 1024:
            data += sock.recv(65536)
    assert not stored(cache, digest).exists()
    go_on.set()
    for sock in sockets:
        sock.close()
    wait_until(stored(cache, digest).exists, 60, "the download goes on")
    assert downloads(upstream) == 1


def test_a_slow_client_holds_nobody_up(
    registry3: Server,
    upstream3: FaultyProxy,
    start_cache: StartCache,
    push_random: PushRandom,
) -> None:
    """It reads nothing, and the others have everything."""
    digest = push_random(registry3, 64 * MIB)
    cache = start_cache(upstream3.url, workers=1)
    with socket.create_connection(("127.0.0.1", cache.port), 60) as slow:
        head = f"GET /v2/up/team/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n"
        slow.sendall(head.encode())
        slow.recv(100)
        assert {it.digest for it in pull_many(cache, digest, 4)} == {digest}
        assert stored(cache, digest).exists()
    assert downloads(upstream3) == 1


def test_the_first_client_leaves_and_the_download_goes_on(
    registry: Server,
    upstream: FaultyProxy,
    start_cache: StartCache,
    push_random: PushRandom,
) -> None:
    """For those who came after it, and for nobody."""
    for followers in (3, 0):
        digest = push_random(registry, 16 * MIB)
        cache = start_cache(upstream.url)
        upstream.heal()
        upstream.first(1, "/blobs/", rate=16 * MIB)
        first = socket.create_connection(("127.0.0.1", cache.port), 60)
        head = f"GET /v2/up/team/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n"
        first.sendall(head.encode())
        first.recv(1000)
        with ThreadPoolExecutor(4) as pool:
            later = [pool.submit(pull, cache, digest) for _ in range(followers)]
            first.close()
            assert [it.result().digest for it in later] == [digest] * followers
        wait_until(stored(cache, digest).exists, 60, "the download is complete")
        assert downloads(upstream) == 1


def test_a_download_that_nobody_waits_for_ends_in_time(
    registry3: Server,
    upstream3: FaultyProxy,
    start_cache: StartCache,
    push_random: PushRandom,
) -> None:
    """After ``cachewritetimeout``; the next client has it go on where it stopped."""
    digest = push_random(registry3, 8 * MIB)
    cache = start_cache(upstream3.url, proxy={"cachewritetimeout": "1s"})
    upstream3.first(1, "/blobs/", rate=MIB // 2)
    with socket.create_connection(("127.0.0.1", cache.port), 60) as first:
        head = f"GET /v2/up/team/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n"
        first.sendall(head.encode())
        first.recv(1000)
    lease = cache.root / "flaskreg/proxy/downloads" / digest.replace(":", "-")
    growing = lease.with_name(lease.name + ".lease")
    wait_until(lambda: not growing.exists(), 12, "the download is given up")
    assert not stored(cache, digest).exists()
    assert pull(cache, digest).digest == digest
    ranges = [
        it.headers.get("range", "") for it in upstream3.requests if it.method == "GET"
    ]
    assert len(ranges) == 2
    assert ranges[1].startswith("bytes=")


@pytest.mark.parametrize("place", [0, 5 * MIB, 16 * MIB - 1])
def test_a_wrong_byte_is_nobodys(
    registry3: Server,
    upstream3: FaultyProxy,
    start_cache: StartCache,
    push_random: PushRandom,
    place: int,
) -> None:
    """Every client is cut, nothing is kept, and the next download is a new one."""
    digest = push_random(registry3, 16 * MIB)
    cache = start_cache(upstream3.url, workers=4)
    upstream3.first(100, "/blobs/", corrupt_at=place, rate=32 * MIB)
    pulled = pull_many(cache, digest, 12)
    assert not any(it.whole for it in pulled)
    assert not stored(cache, digest).exists()
    assert list((cache.root / "flaskreg/proxy/downloads").glob("*-" + "?" * 64)) == []
    upstream3.heal()
    assert pull(cache, digest).digest == digest


@pytest.mark.parametrize("ignore_range", [False, True])
def test_a_cut_upstream_is_asked_to_go_on(
    registry: Server,
    upstream: FaultyProxy,
    start_cache: StartCache,
    push_random: PushRandom,
    ignore_range: bool,
) -> None:
    """From where it was cut; of one that knows no ranges the beginning is skipped."""
    digest = push_random(registry, 16 * MIB)
    cache = start_cache(upstream.url, workers=4)
    upstream.first(1, "/blobs/", cut_at=8 * MIB)
    if ignore_range:
        cut = upstream.fault
        upstream.fault = lambda request: cut(request) or Fault(ignore_range=True)
    pulled = pull_many(cache, digest, 8)
    assert {it.digest for it in pulled} == {digest}
    asked = [it for it in upstream.requests if it.method == "GET"]
    assert [it.headers.get("range") for it in asked] == [None, f"bytes={8 * MIB}-"]


def test_an_upstream_that_is_always_cut_ends_in_a_cut(
    registry3: Server,
    upstream3: FaultyProxy,
    start_cache: StartCache,
    push_random: PushRandom,
) -> None:
    """When it makes no progress any more; what came is kept for the next one."""
    digest = push_random(registry3, 4 * MIB)
    cache = start_cache(upstream3.url)

    def cut(_request: object) -> Fault | None:
        if upstream3.count("GET", "/blobs/") == 0:
            return Fault(cut_at=MIB)
        return Fault(drop=True)

    upstream3.fault = cut
    pulled = pull_many(cache, digest, 3)
    assert not any(it.whole for it in pulled)
    assert not stored(cache, digest).exists()
    upstream3.heal()
    wait_until(lambda: pull(cache, digest).digest == digest, 30, "it is had at last")
    assert upstream3.sent == 3 * MIB


def test_a_worker_is_killed_and_another_goes_on(
    registry3: Server,
    upstream3: FaultyProxy,
    start_cache: StartCache,
    push_random: PushRandom,
) -> None:
    """The clients of the others notice nothing, and no byte comes twice."""
    size = 32 * MIB
    digest = push_random(registry3, size)
    cache = start_cache(upstream3.url, workers=4)
    wait_for_workers(cache, 4)
    upstream3.first(1, "/blobs/", rate=2 * MIB)
    with ThreadPoolExecutor(24) as pool:
        pulls = [pool.submit(pull, cache, digest) for _ in range(24)]
        grows = cache.root / "flaskreg/proxy/downloads" / digest.replace(":", "-")
        wait_until(lambda: grows.exists() and grows.stat().st_size > MIB, 60, "begun")
        pids = cache.workers()
        wait_until(lambda: holders_of(f"{grows}.readers", pids), 60, "others watch it")
        (holder,) = holders_of(f"{grows}.lease", pids)
        os.kill(holder, signal.SIGKILL)
        pulled = [it.result() for it in pulls]
    whole = [it for it in pulled if it.whole]
    assert {it.digest for it in whole} == {digest}
    assert len(whole) >= 1
    assert downloads(upstream3) == 2
    assert upstream3.sent <= size + 2 * MIB


def wait_for_workers(cache: Server, count: int) -> None:
    """Wait until all serve: each says that it lives when it is about to."""
    beats = cache.root / "flaskreg-scheduler/workers"
    wait_until(lambda: len(list(beats.glob("*/beat"))) == count, 60, "all serve")


def holders_of(path: str, pids: list[int]) -> set[int]:
    """Return the processes that have a file locked."""
    if not os.path.exists(path):
        return set()
    inode, found = os.stat(path).st_ino, set()
    with open("/proc/locks", encoding="ascii") as file:
        for line in file:
            fields = line.split()
            if fields[1] != "->" and fields[5].endswith(f":{inode}"):
                found.add(int(fields[4]))
    return found.intersection(pids)


def test_a_restart_in_the_middle(
    registry: Server,
    upstream: FaultyProxy,
    start_cache: StartCache,
    push_random: PushRandom,
) -> None:
    """What had come before the machine was lost is not had again."""
    size = 16 * MIB
    digest = push_random(registry, size)
    cache = start_cache(upstream.url)
    upstream.first(1, "/blobs/", rate=4 * MIB)
    with socket.create_connection(("127.0.0.1", cache.port), 60) as client:
        head = f"GET /v2/up/team/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n"
        client.sendall(head.encode())
        growing = cache.root / "flaskreg/proxy/downloads" / digest.replace(":", "-")
        wait_until(
            lambda: growing.exists() and growing.stat().st_size > 2 * MIB, 30, "begun"
        )
        cache.kill()
    come = growing.stat().st_size
    upstream.heal()
    again = start_cache(upstream.url, root=cache.root)
    assert pull(again, digest).digest == digest
    asked = [it for it in upstream.requests if it.method == "GET"]
    assert [it.headers.get("range") for it in asked] == [f"bytes={come}-"]
    assert stored(again, digest).exists()


def test_a_folder_for_downloads_beside_the_storage(
    registry3: Server,
    upstream3: FaultyProxy,
    start_cache: StartCache,
    push_random: PushRandom,
    tmp_path: object,
) -> None:
    """A finished download goes into the storage by its writer, and is gone."""
    digest = push_random(registry3, 4 * MIB)
    folder = f"{tmp_path}/work"
    cache = start_cache(upstream3.url, proxy={"workdir": folder})
    assert {it.digest for it in pull_many(cache, digest, 6)} == {digest}
    wait_until(stored(cache, digest).exists, 30, "it is stored")
    wait_until(lambda: os.listdir(f"{folder}/downloads") == [], 10, "nothing is left")
    assert downloads(upstream3) == 1
    assert os.stat(folder + "/locks").st_uid == os.getuid()
