"""One holder among all workers, whatever happens to it."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from cached import DAY
from cached import QUICK
from cached import Cached
from cached import Now
from flaskreg_proxy.scheduling import Limits
from flaskreg_proxy.scheduling.lease import Lease
from flaskreg_proxy.scheduling.silence import Silence

from flaskreg.defaults.inmemory import InMemoryDriver
from flaskreg.digest import Digest
from flaskreg.driver import StorageDriver


WEEK = Limits(ttl=7 * DAY)


def holders(workers):
    """Return those that hold the lease."""
    return [each for each in workers if each.scheduler._here()._lease.check()]


def test_one_of_many_holds_it(driver, clock):
    """However many ask at once; it stays with the one that has it."""
    leases = [Lease(driver, f"worker{number}", clock, 10.0) for number in range(16)]
    barrier = threading.Barrier(16)

    def ask(lease):
        barrier.wait(30)
        return lease.hold()

    for _ in range(5):
        with ThreadPoolExecutor(16) as pool:
            found = list(pool.map(ask, leases))
        assert found.count(True) == 1
        assert found == [lease.check() for lease in leases]
        clock.now += 5
        leases[found.index(True)].release()


class ObjectStore(InMemoryDriver):
    """A store in which two can make one name at a time, as the contract allows."""

    renames = False
    publish = StorageDriver.publish

    def put_content(self, path, content, *, durable=True):
        del durable
        InMemoryDriver.publish(self, [(path, content)])


def test_one_holds_it_where_names_are_not_exclusive(clock):
    """Two may think so for a moment; who looks again knows, and removals look."""
    driver = ObjectStore()
    leases = [Lease(driver, f"worker{number}", clock, 10.0) for number in range(16)]
    barrier = threading.Barrier(16)

    def ask(lease):
        barrier.wait(30)
        return lease.hold()

    for _ in range(20):
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(ask, leases))
        assert [lease.check() for lease in leases].count(True) == 1
        for lease in leases:
            lease.release()


def test_an_object_store_is_scheduled_over(clock):
    """All of it, on a driver that neither renames nor makes names exclusively."""
    driver = ObjectStore()
    workers = [Cached(driver, WEEK, clock) for _ in range(2)]
    digest = workers[1].fill("a", b"one")
    for _ in range(2):
        for worker in workers:
            worker.ticks(1)
    clock.now += 8 * DAY
    for _ in range(4):
        for worker in workers:
            worker.ticks(1)
    assert not workers[0].linked("a", digest)
    assert not workers[0].stored(digest)
    for worker in workers:
        worker.scheduler.close()


def test_it_is_taken_over_when_its_holder_is_silent(make_cached, clock):
    """Not before; and a holder that was only slow notices before it does anything."""
    first, second = make_cached(WEEK), make_cached(WEEK)
    digest = first.fill("a", b"one")
    first.ticks(1)
    for _ in range(20):
        clock.now += QUICK.expiry / 2
        first.ticks(1)
        second.ticks(1)
        assert holders([first, second]) == [first]
    for _ in range(6):
        clock.now += QUICK.expiry / 4
        second.ticks(1)
    assert holders([first, second]) == [second]
    assert second.scheduler._here()._holder.table.size == 3
    removed = []
    first.scheduler._remove = lambda *what: removed.append(what)
    holder = first.scheduler._here()._holder
    holder.turn()
    clock.now += 8 * DAY
    for _ in range(5):
        holder.turn()
        holder.save()
    assert removed == []
    first.ticks(1)
    assert holders([first, second]) == [second]
    for _ in range(4):
        second.ticks(1)
        first.ticks(1)
    assert not second.stored(digest)


def test_a_removal_that_was_begun_stops_when_the_lease_is_lost(make_cached, clock):
    """Each removal asks whether the lease is still held, if some time has passed."""
    first, second = make_cached(WEEK), make_cached(WEEK)
    digests = [first.fill("a", content) for content in (b"one", b"two", b"three")]
    first.ticks(1)
    second.ticks(1)
    clock.now += 8 * DAY
    second.ticks(1)
    first.ticks(1)
    second.ticks(1)
    unlink = first.scheduler._remove

    def stall(*what):
        unlink(*what)
        for _ in range(6):
            clock.now += QUICK.expiry / 4
            second.ticks(1)

    first.scheduler._remove = stall
    first.ticks(1)
    assert holders([first, second]) == [second]
    assert [first.linked("a", digest) for digest in digests].count(True) == 2


def test_a_worker_that_ends_gives_it_away(make_cached):
    """The next one has it at once, with all that the first one knew."""
    first, second = make_cached(WEEK), make_cached(WEEK)
    digest = first.fill("a", b"one")
    first.ticks(1)
    second.ticks(1)
    first.scheduler.close()
    second.ticks(1)
    assert holders([second]) == [second]
    table = second.scheduler._here()._holder.table
    assert [key for key, _ in table.items()] == [("a", digest)]


def test_the_last_one_to_end_merges_everything(make_cached):
    """Also when it never held the lease before."""
    first, second = make_cached(WEEK), make_cached(WEEK)
    first.ticks(1)
    second.ticks(1)
    digest = second.fill("b", b"two")
    first.scheduler.close()
    second.scheduler.close()
    assert list(json.loads(second.state())) == [f"b@{digest}"]
    assert not [info for info in first.driver.walk("/") if "journal" in info.path]


def test_uses_of_all_workers_arrive(make_cached):
    """None is lost, whoever holds the lease, and however it changes hands."""
    workers = [make_cached(WEEK) for _ in range(4)]
    digests = set()
    for turn in range(8):
        for number, worker in enumerate(workers):
            content = f"{turn} {number}".encode()
            digests.add(worker.fill(f"repository{number}", content))
            worker.ticks(turn % 2)
        if turn % 3 == 2:
            holding = holders(workers)[0]
            holding.scheduler._here()._lease.release()
            holding.scheduler._here()._holder = None
    for worker in workers:
        worker.scheduler.close()
    state = json.loads(workers[0].state())
    assert {name.partition("@")[2] for name in state} == digests
    assert all(value["Size"] == 3 for value in state.values())


def test_damaged_files_of_the_scheduler(make_cached, driver, clock, caplog):
    """What makes no sense is as good as not there, and is written anew."""
    names = [
        "lease/0000000000000003",
        "lease/strange",
        "control",
        "workers/one/beat",
        "workers/two/journal-0000000000000001",
        "workers/three/journal-0000000000000001",
        "vetoes/strange",
    ]
    for number, name in enumerate(names):
        content = [b"", b"{", b"[]", b'{"generation":"x","condemned":7}'][number % 4]
        driver.put_content(f"/flaskreg-scheduler/{name}", content)
    touches = {"touches": [7, ["a"], ["a", "blob", "x", 1, 0], [None] * 5]}
    driver.put_content(
        "/flaskreg-scheduler/workers/three/journal-0000000000000002",
        json.dumps(touches).encode(),
    )
    cached = make_cached(WEEK)
    digest = cached.fill("a", b"one")
    for _ in range(40):
        clock.now += 1
        cached.ticks(1)
    assert holders([cached]) == [cached]
    clock.now += 8 * DAY
    cached.ticks()
    assert not cached.stored(digest)
    assert "cannot be read" in caplog.text
    left = driver.list("/flaskreg-scheduler/workers")
    assert left == [cached.scheduler._here().name]


def test_silence_counts_while_somebody_looks():
    """A machine that was asleep has no dead workers when it wakes."""
    silence = Silence("a", 0.0)
    assert not silence.look("a", 1000.0, 10.0)
    assert not silence.look("b", 1001.0, 10.0)
    for second in range(1002, 1012):
        assert not silence.look("b", float(second), 10.0)
    assert silence.look("b", 1012.0, 10.0)
    assert not silence.look("c", 1013.0, 10.0)


@pytest.mark.parametrize("started", [False, True])
def test_constructing_does_nothing(driver, started):
    """It is made before the server forks; a worker closes what it never used."""
    cached = Cached(driver, WEEK)
    assert driver.list("/") == []
    if started:
        cached.scheduler.start()
        assert "flaskreg-scheduler" in driver.list("/")
    cached.scheduler.close()
    cached.scheduler.close()
    cached.scheduler.touch("a", "blob", Digest.of(b"one"), 3)
    with cached.scheduler.pinned(Digest.of(b"one")):
        pass


def test_uses_before_the_start_count(driver):
    """A store may be used before the scheduler is started."""
    cached = Cached(driver, WEEK)
    digest = cached.fill("a", b"one")
    assert "flaskreg-scheduler" not in driver.list("/")
    cached.scheduler.start()
    cached.scheduler.close()
    assert list(json.loads(cached.state())) == [f"a@{digest}"]


def test_min_free_without_a_disk_is_told(caplog):
    """Once, at the start."""
    cached = Cached(InMemoryDriver(), Limits(min_free=1), Now())
    cached.scheduler.start()
    cached.scheduler.close()
    assert caplog.text.count("min_free has no effect") == 1
