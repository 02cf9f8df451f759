"""What goes and what stays, with a clock that goes when it is told to."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager

import pytest
from cached import DAY
from cached import Cached
from cached import contents
from flaskreg_proxy.scheduling import Limits
from flaskreg_proxy.scheduling import limits as module
from flaskreg_proxy.scheduling import survey
from flaskreg_proxy.scheduling.journal import Journal
from flaskreg_proxy.scheduling.journal import iter_pieces

from flaskreg.config import ConfigError
from flaskreg.defaults.inmemory import InMemoryDriver
from flaskreg.descriptor import Descriptor
from flaskreg.digest import Digest
from flaskreg.driver import DriverError
from flaskreg.driver import StorageFull
from flaskreg.errors import BlobUnknown
from flaskreg.errors import ManifestUnknown


class SmallDisk(InMemoryDriver):
    """A disk on which there is room for some bytes."""

    def __init__(self, capacity):
        super().__init__()
        self.capacity = capacity

    def used(self):
        with self._lock:
            return sum(len(file.content) for file in self._files.values())

    def publish(self, contents, moves=(), exclusive=()):
        if self.used() + sum(len(content) for _, content in contents) > self.capacity:
            raise StorageFull(contents[0][0] if contents else "/")
        super().publish(contents, moves, exclusive)

    def writer(self, path, append_at=None):
        if self.used() >= self.capacity:
            raise StorageFull(path)
        return super().writer(path, append_at)


WEEK = Limits(ttl=7 * DAY)
MANIFEST = b'{"schemaVersion":2,"manifests":[]}'


def test_content_goes_after_its_lifetime(make_cached, clock):
    """The link and the content, and not a moment before."""
    cached = make_cached(WEEK)
    digest = cached.fill("library/a", b"one")
    cached.ticks()
    clock.now += 7 * DAY - 1
    cached.ticks()
    assert cached.linked("library/a", digest)
    clock.now += 2
    cached.ticks()
    assert not cached.linked("library/a", digest)
    assert not cached.stored(digest)
    with pytest.raises(BlobUnknown):
        cached.registry.repository("library/a").blobs.stat(digest)


def test_use_renews(make_cached, clock):
    """What is used each day outlives any lifetime."""
    cached = make_cached(WEEK)
    digest = cached.fill("library/a", b"one")
    idle = cached.fill("library/a", b"idle")
    for _ in range(20):
        cached.ticks()
        clock.now += DAY
        cached.use("library/a", digest)
    cached.ticks()
    assert cached.stored(digest)
    assert not cached.stored(idle)


def test_use_without_a_pause_is_noted(driver, clock):
    """What is used all the time does not put off the notes, its own and others'."""
    journal = Journal(driver, "one", clock, renew=15.0)
    hot, warm = (Digest.of(content) for content in contents(2))
    for digest in (hot, warm):
        journal.touch("a", "blob", digest, 1)
    journal.flush()
    for _ in range(3):
        pieces = len(list(iter_pieces(driver, "one")))
        for _ in range(16):
            journal.touch("a", "blob", hot, 1)
            journal.touch("a", "blob", warm, 1)
            clock.now += 1
            journal.flush()
        assert len(list(iter_pieces(driver, "one"))) == pieces + 1


def test_manifests_go_too(make_cached, clock):
    """By digest and by tag; pulled again they are there again."""
    cached = make_cached(WEEK)
    digest = cached.manifest("library/a", MANIFEST, tag="latest")
    cached.ticks()
    clock.now += 8 * DAY
    cached.ticks()
    manifests = cached.registry.repository("library/a").manifests()
    assert not cached.stored(digest)
    with pytest.raises(ManifestUnknown):
        manifests.get(digest)
    with pytest.raises(ManifestUnknown):
        manifests.get_tagged("latest")
    cached.manifest("library/a", MANIFEST, tag="latest")
    assert manifests.get_tagged("latest").content == MANIFEST


def test_a_referrer_that_goes_is_not_listed(make_cached, clock):
    """Its subject stays."""
    cached = make_cached(WEEK)
    subject = cached.manifest("library/a", MANIFEST)
    other = json.loads(MANIFEST) | {
        "subject": {
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "digest": subject,
            "size": len(MANIFEST),
        }
    }
    referrer = cached.manifest("library/a", json.dumps(other).encode())
    referrers = cached.registry.repository("library/a").referrers
    assert [each.digest for each in referrers.iter_referrers(subject)] == [referrer]
    cached.ticks(1)
    clock.now += 6 * DAY
    cached.manifest("library/a", MANIFEST)
    cached.ticks(1)
    clock.now += 2 * DAY
    cached.ticks()
    assert not cached.stored(referrer)
    assert cached.linked("library/a", subject)
    assert list(referrers.iter_referrers(subject)) == []


@pytest.mark.parametrize("ttl", [0, -5, None])
def test_without_bounds_nothing_is_done(make_cached, clock, driver, ttl):
    """Distribution's ttl 0: for ever, and no file is written."""
    cached = make_cached(Limits(ttl=ttl))
    cached.scheduler.start()
    digest = cached.fill("a", b"one")
    with cached.scheduler.room(1 << 60) as given:
        assert given
    clock.now += 1000 * DAY
    cached.scheduler.close()
    assert cached.stored(digest)
    assert driver.list("/") == ["docker"]


def test_content_of_several_repositories_counts_once(make_cached, clock):
    """And goes with the last link; each link goes when its own time comes."""
    cached = make_cached(Limits(ttl=7 * DAY, max_bytes=2500, high=1, low=1))
    shared = cached.fill("a", b"s" * 1000)
    assert cached.fill("b", b"s" * 1000) == shared
    other = cached.fill("b", b"o" * 900)
    cached.ticks()
    assert cached.stored(shared), "two links of 1000 bytes are 1000 bytes"
    assert cached.stored(other)
    clock.now += 4 * DAY
    cached.use("b", shared)
    cached.ticks()
    clock.now += 4 * DAY
    cached.ticks()
    assert not cached.linked("a", shared)
    assert cached.linked("b", shared)
    assert cached.stored(shared)
    assert not cached.stored(other)
    clock.now += 4 * DAY
    cached.ticks()
    assert not cached.stored(shared)


def test_content_that_is_pushed_here_too_stays(make_cached, clock):
    """The cache loses its link; a repository of this registry keeps the content."""
    cached = make_cached(WEEK, prefix="cache/")
    digest = cached.fill("cache/a", b"one")
    session = cached.registry.repository("mine/a").uploads.start()
    session.commit(digest, [b"one"])
    cached.ticks()
    clock.now += 8 * DAY
    cached.ticks()
    assert not cached.linked("cache/a", digest)
    assert cached.registry.repository("mine/a").blobs.get(digest) == b"one"


def test_content_that_is_a_signature_stays(make_cached, clock):
    """A signature is linked in a place of its own."""
    cached = make_cached(WEEK, prefix="cache/")
    mine = cached.registry.repository("mine/a")
    revision = mine.manifests().put(MANIFEST, "application/vnd.oci.image.index.v1+json")
    mine.signatures.put(revision.digest, b"signed")
    digest = cached.fill("cache/a", b"signed")
    cached.ticks()
    clock.now += 8 * DAY
    cached.ticks()
    assert not cached.linked("cache/a", digest)
    assert list(mine.signatures.get(revision.digest)) == [b"signed"]


def test_the_least_recently_used_goes_first(make_cached, clock):
    """From the high water down to the low one."""
    limits = Limits(max_bytes=10_000, high=0.9, low=0.5)
    cached = make_cached(limits)
    digests = []
    for content in contents(8):
        digests.append(cached.fill("a", content))
        clock.now += 1
    cached.ticks()
    assert all(map(cached.stored, digests)), "8000 bytes are below the high water"
    cached.use("a", digests[0])
    clock.now += 1
    digests.append(cached.fill("a", b"n" * 1500))
    cached.ticks(8)
    left = [digest for digest in digests if cached.stored(digest)]
    assert left == [digests[0], *digests[6:]]


def test_the_disk_keeps_free_bytes(make_cached, clock, monkeypatch):
    """As many as are missing are removed, the oldest first."""
    cached = make_cached(Limits(min_free=10_000))
    free = [50_000]
    monkeypatch.setattr(survey, "free_bytes", lambda _: free[0])
    digests = []
    for content in contents(6):
        digests.append(cached.fill("a", content))
        clock.now += 1
        cached.ticks(1)
    assert all(map(cached.stored, digests))
    free[0] = 8_500
    cached.ticks(1)
    free[0] = 10_500
    cached.ticks()
    assert [cached.stored(digest) for digest in digests] == [False] * 2 + [True] * 4


def test_free_bytes_of_a_disk(tmp_path, driver):
    """Also before anything was written; a driver that is no disk has none."""
    free = module.free_bytes(driver)
    if driver.name == "inmemory":
        assert free is None
    else:
        found = os.statvfs(tmp_path)
        assert 0 < free <= found.f_blocks * found.f_frsize


def test_pinned_content_stays(make_cached, clock):
    """However old it is, and however much room is wanted; then it goes."""
    cached = make_cached(Limits(ttl=DAY, max_bytes=1000, high=0.5, low=0.5))
    old = cached.fill("a", b"o" * 400)
    big = cached.fill("a", b"b" * 900)
    cached.ticks(1)
    with cached.scheduler.pinned(old), cached.scheduler.pinned(big):
        clock.now += 2 * DAY
        cached.ticks(8)
        assert cached.stored(old)
        assert cached.stored(big)
    clock.now += 60
    cached.ticks()
    assert not cached.stored(old)
    assert not cached.stored(big)


def test_a_late_expiry_does_not_break_a_pull(make_cached, clock):
    """Who has begun to read reads to the end, also without a pin."""
    cached = make_cached(Limits(ttl=DAY))
    content = bytes(range(256)) * 4096
    digest = cached.fill("a", content)
    blobs = cached.registry.repository("a").blobs
    with blobs.open(blobs.stat(digest)) as reader:
        begun = reader.read(1000)
        cached.ticks(1)
        clock.now += 2 * DAY
        cached.ticks()
        assert not cached.stored(digest)
        rest = b"".join(iter(lambda: reader.read(1 << 16), b""))
    assert begun + rest == content


def test_descriptors_do_not_outlive_content(make_cached, clock):
    """Neither in this worker, nor in one that remembers what it has served."""
    cached, other = make_cached(WEEK), make_cached(WEEK)
    digest = cached.fill("a", b"one")
    cached.ticks(1)
    other.use("a", digest)
    other.scheduler.close()
    assert isinstance(other.cache.stat(digest, "a"), Descriptor)
    clock.now += 8 * DAY
    cached.ticks(6)
    assert not cached.stored(digest)
    assert cached.cache.stat(digest, "a") is None
    assert cached.cache.stat(digest) is None
    with pytest.raises(BlobUnknown):
        other.registry.repository("a").blobs.stat(digest)
    cached.fill("a", b"one")
    assert other.registry.repository("a").blobs.get(digest) == b"one"


def test_a_removal_that_fails_is_tried_again(make_cached, clock, caplog):
    """Distribution forgets the entry then, and the content stays for ever."""
    cached = make_cached(WEEK)
    tries = []

    def remove(repository, kind, digest):
        tries.append((repository, kind, digest))
        if len(tries) == 1:
            raise OSError("the disk is not there")

    cached.scheduler._remove = remove
    digest = cached.fill("a", b"one")
    cached.ticks(1)
    clock.now += 8 * DAY
    cached.ticks()
    assert tries == [("a", "blob", digest)]
    assert "the disk is not there" in caplog.text
    assert digest in cached.state().decode() or cached.stored(digest)
    clock.now += 60
    cached.ticks()
    assert tries == [("a", "blob", digest)] * 2


@pytest.mark.parametrize("error", [BlobUnknown, ManifestUnknown])
def test_what_is_gone_already_is_removed(make_cached, clock, error):
    """An operator may have deleted it."""
    cached = make_cached(WEEK)
    tries = []

    def remove(repository, kind, digest):
        tries.append((repository, kind, digest))
        raise error

    cached.scheduler._remove = remove
    cached.fill("a", b"one")
    cached.ticks(1)
    clock.now += 8 * DAY
    cached.ticks()
    clock.now += 8 * DAY
    cached.ticks()
    assert len(tries) == 1
    cached.scheduler.close()
    assert json.loads(cached.state()) == {}


def test_a_failing_storage_breaks_no_pull(make_cached, clock, monkeypatch, caplog):
    """What was used is told when the storage is back."""
    cached = make_cached(WEEK)
    digest = cached.fill("a", b"one")
    cached.ticks(1)
    worker = cached.scheduler._here()
    clock.now += 6 * DAY

    @contextmanager
    def broken():
        def fail(*_, **__):
            raise DriverError("/", "the network is down")

        with monkeypatch.context() as patch:
            for name in ("put_content", "publish", "list"):
                patch.setattr(cached.driver, name, fail)
            yield

    with broken():
        with cached.scheduler.pinned(digest):
            cached.scheduler.touch("a", "blob", digest, 3)
        for _ in range(3):
            worker._try()
    assert caplog.text.count("the scheduler fails") == 1
    cached.ticks(2)
    clock.now += 2 * DAY
    cached.ticks()
    assert cached.stored(digest), "the use while the storage was down counts"


def test_a_full_disk_is_emptied(clock, caplog):
    """Removing writes a little first: there is room kept for that."""
    driver = SmallDisk(4 << 20)
    cached = Cached(driver, WEEK, clock)
    worker = cached.scheduler._here()
    digests = []
    for content in contents(3, size=800_000):
        digests.append(cached.fill("a", content))
        cached.ticks(1)
    clock.now += 3600
    rest = driver.capacity - driver.used()
    driver.put_content("/rest", b"x" * rest)
    with pytest.raises(StorageFull):
        cached.fill("a", b"x" * 100_000)
    clock.now += 7 * DAY
    for _ in range(8):
        worker._try()
    assert not any(map(cached.stored, digests))
    assert "no space left" in caplog.text
    cached.scheduler.close()


def test_content_without_an_entry_gets_one(make_cached, clock):
    """Whatever lost it: only what the cache covers, and from now on."""
    cached = make_cached(WEEK, prefix="cache/")
    digests = {}
    for name in ("cache/a", "mine/b"):
        session = cached.registry.repository(name).uploads.start()
        digests[name] = Digest.of(name.encode())
        session.commit(digests[name], [name.encode()])
    cached.ticks(1)
    clock.now += 7 * DAY - 1
    cached.ticks()
    assert cached.stored(digests["cache/a"])
    clock.now += 2
    cached.ticks()
    assert not cached.stored(digests["cache/a"])
    assert cached.stored(digests["mine/b"])


def test_what_is_not_linked_gets_no_entry(make_cached):
    """A use that is told after the content has gone counts no bytes."""
    cached = make_cached(WEEK)
    cached.scheduler.touch("a", "blob", Digest.of(b"never stored"), 1 << 40)
    cached.ticks(2)
    cached.scheduler.close()
    assert not cached.there("/scheduler-state.json") or json.loads(cached.state()) == {}


def test_other_algorithms_are_the_same_content(make_cached, clock):
    """Content pulled by its sha512 digest is kept, and goes, under its sha256 one."""
    cached = make_cached(WEEK)
    alias = Digest.of(b"one", "sha512")
    cached.registry.repository("a").uploads.start("sha512").commit(alias, [b"one"])
    cached.scheduler.touch("a", "blob", alias, 3)
    cached.ticks(2)
    clock.now += 8 * DAY
    cached.ticks()
    assert not cached.stored(Digest.of(b"one"))
    with pytest.raises(BlobUnknown):
        cached.registry.repository("a").blobs.stat(alias)


@pytest.mark.parametrize(
    "wrong",
    [
        {"low": 0.9, "high": 0.8},
        {"low": 0.0},
        {"high": 1.5},
        {"max_bytes": 0},
        {"min_free": -1},
    ],
)
def test_limits_that_make_no_sense(wrong):
    """They are told at the start, with what would be right."""
    with pytest.raises(ConfigError, match="cache"):
        Limits(**wrong)
