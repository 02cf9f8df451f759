"""What is in use in any worker stays, at whatever moment it comes into use."""

from __future__ import annotations

import json
import threading
from contextlib import ExitStack

import pytest
from cached import DAY
from cached import QUICK
from flaskreg_proxy.scheduling import GuardedRepository
from flaskreg_proxy.scheduling import Limits
from flaskreg_proxy.scheduling import guarded
from flaskreg_proxy.scheduling.lease import Lease

from flaskreg.digest import Digest
from flaskreg.errors import BlobUnknown
from flaskreg.errors import Unsupported


LIMITS = Limits(ttl=DAY)


@pytest.fixture
def pair(make_cached):
    """Return the worker that holds the lease, and another one."""
    holder, other = make_cached(LIMITS), make_cached(LIMITS)
    holder.ticks(1)
    other.ticks(1)
    return holder, other


@pytest.fixture
def condemned(pair, clock):
    """Return the pair with content that the holder is going to remove."""
    holder, other = pair
    digest = holder.fill("a", b"one")
    holder.ticks(1)
    clock.now += DAY + 1
    holder.ticks(1)
    return holder, other, digest


def test_nothing_goes_before_all_know(condemned, clock):
    """However often the holder looks; a worker that is dead is not waited for."""
    holder, other, digest = condemned
    holder.ticks(10)
    assert holder.stored(digest)
    other.ticks(1)
    holder.ticks(1)
    assert not holder.stored(digest)
    again = holder.fill("a", b"two")
    holder.ticks(1)
    clock.now += DAY + 1
    # The other worker gives no sign from here on, as if the machine had been asleep.
    holder.ticks(5)
    assert holder.stored(again)
    for _ in range(10):
        clock.now += QUICK.expiry / 5
        holder.ticks(1)
    assert not holder.stored(again)


@pytest.mark.parametrize("moment", ["before", "announced", "acknowledged"])
@pytest.mark.parametrize("use", ["pin", "pin all", "touch"])
def test_whoever_uses_it_last(pair, clock, moment, use):
    """The content stays, whichever worker has it in use, and since when."""
    holder, other = pair
    digest = holder.fill("a", b"one")
    holder.ticks(1)
    with ExitStack() as held:

        def begin():
            if use == "pin":
                held.enter_context(other.scheduler.pinned(digest))
            elif use == "pin all":
                held.enter_context(other.scheduler.hold(None))
            else:
                with other.scheduler.pinned(digest):
                    other.scheduler.touch("a", "blob", digest, 3)

        clock.now += DAY + 1
        if moment == "before":
            begin()
        holder.ticks(1)
        if moment == "announced":
            begin()
        other.ticks(1)
        if moment == "acknowledged":
            begin()
        for _ in range(5):
            holder.ticks(1)
            other.ticks(1)
            assert holder.linked("a", digest)
            assert holder.stored(digest)
    if use != "touch":
        # The holder left it alone for a while, and comes back to it.
        clock.now += QUICK.expiry + 1
        for _ in range(5):
            other.ticks(1)
            holder.ticks(1)
        assert not holder.stored(digest)


def test_a_pin_in_the_middle_of_a_removal_waits(condemned):
    """Who comes then sees that nothing is there, and never that a half is."""
    holder, other, digest = condemned
    other.ticks(1)
    seen = []

    def pull():
        with other.scheduler.pinned(digest):
            seen.append((holder.linked("a", digest), holder.stored(digest)))

    pulling = threading.Thread(target=pull)
    unlink = holder.scheduler._remove

    def remove(repository, kind, digest):
        pulling.start()
        pulling.join(0.3)
        assert pulling.is_alive()
        assert seen == []
        unlink(repository, kind, digest)

    holder.scheduler._remove = remove
    holder.ticks(1)
    pulling.join(30)
    assert seen == [(False, False)]


def test_a_holder_that_dies_in_a_removal_holds_nobody_up(condemned, monkeypatch):
    """A pin waits no longer than it takes to take the holder for dead."""
    holder, other, digest = condemned
    other.ticks(1)
    monkeypatch.setattr(other.scheduler._here().pins, "_patience", 0.2)

    def die(*_):
        raise SystemExit

    holder.scheduler._remove = die
    monkeypatch.setattr("flaskreg_proxy.scheduling.rounds.Round.give_up", die)
    with pytest.raises(SystemExit):
        holder.ticks(1)
    with other.scheduler.pinned(digest):
        assert other.stored(digest)


def test_pins_that_end_leave_nothing(pair):
    """Memory is for what is in use."""
    holder, _ = pair
    pins = holder.scheduler._here().pins
    digest = Digest.of(b"one")
    with holder.scheduler.pinned(digest), holder.scheduler.pinned(digest):
        assert pins._counts == {digest: 2}
    assert not pins._counts


@pytest.mark.parametrize("how", ["upload", "sha512", "put", "mount", "manifest"])
def test_pushes_keep_what_they_store(pair, clock, how, monkeypatch):
    """Between content and its link there is a moment: no removal falls into it.

    The holder does all it can right when the link is about to be written.
    """
    holder, other = pair
    content = b'{"schemaVersion":2,"manifests":[]}'
    digest = holder.fill("a", content)
    holder.ticks(1)
    repository = GuardedRepository(
        other.registry.repository("mine"), other.scheduler.hold
    )
    clock.now += DAY + 1
    holder.ticks(1)
    other.ticks(1)
    publish = other.driver.publish

    def slow(contents, moves=(), exclusive=()):
        if any("/mine/" in path for path, _ in contents):
            for _ in range(3):
                holder.ticks(1)
                other.scheduler._here()._look()
        publish(contents, moves, exclusive)

    monkeypatch.setattr(other.driver, "publish", slow)
    if how == "upload":
        repository.uploads.start().commit(digest, [content])
    elif how == "sha512":
        alias = Digest.of(content, "sha512")
        repository.uploads.start("sha512").commit(alias, [content])
    elif how == "put":
        repository.blobs.put(content)
    elif how == "mount":
        assert repository.blobs.mount(digest, "a")
    else:
        media_type = "application/vnd.oci.image.index.v1+json"
        repository.manifests().put(content, media_type)
    monkeypatch.undo()
    clock.now += QUICK.expiry + 1
    for _ in range(5):
        other.ticks(1)
        holder.ticks(1)
    assert not holder.linked("a", digest)
    assert holder.linked("mine", digest)
    assert holder.stored(digest)


def test_a_guarded_repository_is_the_repository(make_cached):
    """All that it does not keep is that of the other one."""
    cached = make_cached(LIMITS)
    registry = guarded(cached.registry, cached.scheduler.hold)
    repository = registry.repository("a")
    assert registry.repository("a") is repository
    assert registry.scope() is cached.registry.scope()
    assert not repository.exists()
    session = repository.uploads.start()
    assert session.append([b"on"]) == session.size == 2
    resumed = repository.uploads.resume(session.id)
    assert (resumed.id, resumed.size) == (session.id, 2)
    assert resumed.started_at == session.started_at
    digest = Digest.of(b"one")
    descriptor = resumed.commit(digest, [b"e"])
    assert resumed.size == 3
    assert repository.exists()
    assert repository.name == "a"
    assert repository.blobs.stat(digest) == descriptor
    assert repository.blobs.get(digest) == b"one"
    with repository.blobs.open(descriptor, 1) as reader:
        assert reader.read() == b"ne"
    assert repository.blobs.redirect(descriptor, "GET") is None
    with pytest.raises(Unsupported):
        repository.blobs.delete(digest)
    content = b'{"schemaVersion":2,"manifests":[]}'
    manifests = repository.manifests()
    manifest = manifests.put(
        content, "application/vnd.oci.image.index.v1+json", tags=["latest"]
    )
    assert manifests.exists(manifest.digest)
    assert manifests.get(manifest.digest).content == content
    assert manifests.get_tagged("latest").digest == manifest.digest
    assert list(manifests.warnings(manifest)) == []
    assert registry.repositories(10) == ["a"]
    assert list(registry.iter_holders(digest, 10)) == ["a"]
    repository.signatures.put(manifest.digest, b"one", b"two")
    assert sorted(repository.signatures.get(manifest.digest)) == [b"one", b"two"]
    repository.uploads.start().cancel()
    with pytest.raises(BlobUnknown):
        repository.blobs.stat(Digest.of(b"two"))


def test_who_ends_last_merges_what_the_others_left(pair, monkeypatch):
    """Also what one leaves that ends while the holder does."""
    holder, other = pair
    digest = holder.fill("a", b"one")
    late = other.fill("b", b"two")
    release = Lease.release
    ending = iter([other.scheduler])

    def released(lease):
        for scheduler in ending:
            scheduler.close()
        release(lease)

    monkeypatch.setattr(Lease, "release", released)
    holder.scheduler.close()
    state = json.loads(holder.state())
    assert state.keys() == {f"a@{digest}", f"b@{late}"}
