"""Several worker processes over one storage of files."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from actors import wait_for
from cached import QUICK
from cached import Cached
from cached import bytes_stored
from cached import make_driver
from flaskreg_proxy.scheduling import Limits

from flaskreg.digest import Digest


STATE = "scheduler-state.json"


def holder_of(root: Path) -> int | None:
    """Return the process that holds the lease."""
    leases = sorted((root / "flaskreg-scheduler/lease").glob("0*"))
    document = json.loads(leases[-1].read_text()) if leases else {}
    return None if document.get("free") else document.get("pid")


def blob(root: Path, digest: Digest) -> Path:
    """Return where content is."""
    encoded = digest.encoded
    return root / f"docker/registry/v2/blobs/sha256/{encoded[:2]}/{encoded}/data"


def entries(root: Path) -> dict:
    """Return the entries of the state file."""
    path = root / STATE
    return json.loads(path.read_text()) if path.exists() else {}


@pytest.fixture
def root(tmp_path):
    """Return the directory of the storage."""
    return tmp_path / "root"


def test_uses_of_all_processes_arrive(make_actor, root):
    """They end in any order, and one of them holds the lease at a time."""
    actors = [make_actor(ttl=3600) for _ in range(3)]
    digests = set()
    for turn in range(10):
        for number, actor in enumerate(actors):
            digests.add(actor.fill(f"name{number}", f"{turn} {number}".encode()))
    assert holder_of(root) in [actor.process.pid for actor in actors]
    for actor in actors:
        actor.close()
    assert {name.partition("@")[2] for name in entries(root)} == digests


def test_a_process_that_is_killed_loses_no_use(make_actor, root):
    """Neither the holder nor another one; the next one has the lease at once."""
    actors = [make_actor(ttl=3600) for _ in range(3)]
    digests = {}
    for number, actor in enumerate(actors):
        digests[number] = actor.fill(f"name{number}", f"content {number}".encode())
    for actor in sorted(actors, key=lambda it: it.process.pid != holder_of(root)):
        # What is in a journal is safe; content without one is found by its link.
        actor.kill()
    last = make_actor(ttl=3600)
    wait_for(lambda: holder_of(root) == last.process.pid)
    wait_for(lambda: len(entries(root)) == 3)
    assert {name.partition("@")[2] for name in entries(root)} == set(digests.values())


def test_the_holder_is_killed_while_it_removes(make_actor, root):
    """Again and again; in the end everything that is old is gone, and no more."""
    first = make_actor(ttl=3600)
    old = [first.fill("a", f"old {number}".encode()) for number in range(150)]
    first.close()
    state = entries(root)
    for value in state.values():
        value["LastUse"] = "2020-01-01T00:00:00Z"
    (root / STATE).write_text(json.dumps(state))
    keeper = None
    for number in range(4):
        actor = make_actor(ttl=3600)
        fresh = actor.fill("a", b"fresh")
        if number == 3:
            keeper = actor
            break
        wait_for(lambda pid=actor.process.pid: holder_of(root) == pid)
        time.sleep(QUICK.beat * number)
        actor.kill()
    wait_for(lambda: not any(blob(root, digest).exists() for digest in old))
    # The last content may be gone while its entries are not: who removed it was killed.
    wait_for(lambda: list(entries(root)) == [f"a@{fresh}"])
    assert blob(root, fresh).exists()
    keeper.close()
    assert list(entries(root)) == [f"a@{fresh}"]


def test_pins_of_another_process_hold(make_actor, root):
    """For as long as the process lives, and no longer."""
    pinning, other = make_actor(ttl=1), make_actor(ttl=1)
    digest = other.fill("a", b"pinned")
    loose = other.fill("a", b"loose")
    pinning.do("pin", digest)
    wait_for(lambda: not blob(root, loose).exists())
    time.sleep(2)
    assert blob(root, digest).exists()
    pinning.kill()
    wait_for(lambda: not blob(root, digest).exists())


def test_pins_of_a_process_that_hangs_end(make_actor, root):
    """It is taken for dead when it gives no sign; and lives on when it wakes."""
    hanging, other = make_actor(ttl=1), make_actor(ttl=1)
    digest = other.fill("a", b"pinned")
    hanging.do("pin", digest)
    hanging.signal(signal.SIGSTOP)
    try:
        wait_for(lambda: not blob(root, digest).exists())
    finally:
        hanging.signal(signal.SIGCONT)
    hanging.do("unpin")
    again = hanging.fill("a", b"pinned")
    assert again == digest
    wait_for(lambda: not blob(root, digest).exists())


def test_use_in_one_process_renews_for_all(make_actor, root):
    """Content that any process serves stays; the rest goes."""
    using, other = make_actor(ttl=4), make_actor(ttl=4)
    digest = other.fill("a", b"used")
    idle = other.fill("a", b"idle")
    for _ in range(40):
        using.do("use", "a", digest)
        time.sleep(0.2)
        assert blob(root, digest).exists()
    assert not blob(root, idle).exists()
    wait_for(lambda: not blob(root, digest).exists())


def test_a_push_never_loses_its_content(make_actor, root):
    """Pushes of content that expires over and over, under the same digests.

    The cached copies are filled, expire, and are removed with their content, while
    another process pushes the same bytes into a repository that is not of the cache.
    """
    contents = [f"the same bytes {number}" for number in range(20)]
    pushing = make_actor(ttl=0.2, prefix="cache/", slow=0.02)
    cache = make_actor(ttl=0.2, prefix="cache/", slow=0.02)
    pushing.begin("push_many", "mine/a", contents, 8.0)
    layers = root / "docker/registry/v2/repositories/cache/a/_layers/sha256"
    fills, deadline = 0, time.monotonic() + 8
    while time.monotonic() < deadline or fills <= len(contents):
        for content in contents:
            if not (layers / Digest.of(content.encode()).encoded).exists():
                cache.fill("cache/a", content.encode())
                fills += 1
        time.sleep(0.05)
    pushed, lost = pushing.read()
    assert pushed >= 20
    assert fills > len(contents), "some were removed"
    assert lost == 0


def test_pulls_and_removals_at_once(make_actor):
    """Content expires under three processes that pull it: no pull ever breaks."""
    contents = [f"{number}" * 50_000 for number in range(4)]
    actors = [make_actor(ttl=0.2) for _ in range(3)]
    for actor in actors:
        actor.begin("pull_many", "a", contents, 6.0)
    for actor in actors:
        pulled, wrong, missed = actor.read()
        assert pulled > 10
        assert (wrong, missed) == (0, 0)


def test_processes_that_fill_stay_within_the_bound(make_actor, root):
    """Three of them fill five times what fits, and each blob gets its room."""
    limit, size = 200_000, 5000
    actors = [make_actor(max_bytes=limit) for _ in range(3)]
    ended, seen = threading.Event(), [0]

    def watch():
        while not ended.wait(0.02):
            seen.append(bytes_stored(root))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        for number, actor in enumerate(actors):
            actor.begin("fill_many", "a", 70, size, f"worker{number}")
        assert [actor.read() for actor in actors] == [70, 70, 70]
    finally:
        ended.set()
        watching.join()
    assert max(seen) <= limit
    assert bytes_stored(root) > limit // 2


def test_forked_workers_schedule(root):
    """What was made and used before a fork has a worker of its own in the child."""
    cached = Cached(make_driver(root), Limits(ttl=3600))
    before = cached.fill("a", b"of the parent")
    name = cached.scheduler._here().name
    read, write = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            cached.fill("a", b"of the child")
            cached.scheduler.start()
            os.write(write, cached.scheduler._here().name.encode())
            cached.scheduler.close()
            status = 0
        finally:
            os._exit(status)
    os.close(write)
    with os.fdopen(read) as reader:
        other = reader.read()
    assert os.waitpid(child, 0)[1] == 0
    assert other
    assert other != name
    cached.scheduler.start()
    cached.scheduler.close()
    after = Digest.of(b"of the child")
    assert entries(root).keys() == {f"a@{before}", f"a@{after}"}
