"""Blobs: the global store, its statters, and what one repository may see of it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from builders import ALGORITHMS
from builders import WatchedDriver
from builders import tree
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from flaskreg.cache import DescriptorCache
from flaskreg.defaults.memorycache import MemoryCache
from flaskreg.defaults.memorycache import NoCache
from flaskreg.descriptor import Descriptor
from flaskreg.digest import Digest
from flaskreg.driver import FileInfo
from flaskreg.driver import PathNotFound
from flaskreg.errors import BlobUnknown
from flaskreg.errors import Unsupported
from flaskreg.storage import paths
from flaskreg.storage.blobs import BlobContents
from flaskreg.storage.blobs import CachedStatter
from flaskreg.storage.blobs import GlobalStatter
from flaskreg.storage.links import LinkedStatter
from flaskreg.storage.links import Links
from flaskreg.storage.links import read_link
from flaskreg.storage.registry import LocalRegistry
from flaskreg.storage.repository import LocalRepository

from .conftest import MakeRegistry


CONTENT = b"the content of a blob"
DIGEST = Digest.of(CONTENT)
STREAM = "application/octet-stream"

ALIASES = [Digest.of(CONTENT, algorithm) for algorithm in ALGORITHMS]


def push(repository: LocalRepository, digest: Digest = DIGEST) -> Digest:
    """Push the content by a digest of it."""
    repository.uploads.start().commit(digest, [CONTENT])
    return digest


def readable(repository: LocalRepository, digest: Digest) -> bool:
    """Whether a repository gives a blob; all ways to it have to agree."""
    try:
        descriptor = repository.blobs.stat(digest)
    except BlobUnknown:
        with pytest.raises(BlobUnknown):
            repository.blobs.get(digest)
        return False
    assert repository.blobs.get(digest) == CONTENT
    with repository.blobs.open(descriptor) as stream:
        assert stream.read() == CONTENT
    return True


# The global store


def test_the_global_statter(driver: WatchedDriver) -> None:
    """It tells what the driver has, whoever has a link to it."""
    statter = GlobalStatter(driver)
    with pytest.raises(BlobUnknown):
        statter.stat(DIGEST)
    driver.put_content(paths.blob_data(DIGEST), CONTENT)
    assert statter.stat(DIGEST) == Descriptor(STREAM, DIGEST, len(CONTENT))


def test_a_directory_is_no_blob(driver: WatchedDriver) -> None:
    """Whatever stands in the place of content."""
    driver.put_content(paths.blob_data(DIGEST) + "/below", CONTENT)
    contents = BlobContents(driver)
    with pytest.raises(BlobUnknown):
        contents.stat(DIGEST)
    with pytest.raises(BlobUnknown):
        contents.get(DIGEST)
    with pytest.raises(BlobUnknown):
        contents.open(DIGEST)


def test_global_content(driver: WatchedDriver) -> None:
    """Small content is put whole, with what links it after it."""
    contents = BlobContents(driver)
    links = [("/one/link", b"1"), ("/two/link", b"2")]
    contents.put(CONTENT, DIGEST, links)
    assert driver.asked("put_content") == [
        paths.blob_data(DIGEST),
        "/one/link",
        "/two/link",
    ]
    assert contents.get(DIGEST) == CONTENT
    with contents.open(DIGEST, 4) as stream:
        assert stream.read() == CONTENT[4:]
    other = Digest.of(b"other")
    with pytest.raises(BlobUnknown):
        contents.get(other)
    with pytest.raises(BlobUnknown):
        contents.open(other)


@pytest.mark.parametrize("renames", [True, False])
@pytest.mark.parametrize("size", [7, 1 << 20])
@pytest.mark.parametrize("there", [None, "whole", b"", b"damaged"])
def test_adopting_content(
    driver: WatchedDriver, renames: bool, size: int, there: str | bytes | None
) -> None:
    """What is damaged is healed; what is whole and large is moved only if free."""
    driver.renames = renames
    content = b"x" * size
    digest = Digest.of(content)
    data = paths.blob_data(digest)
    if there is not None:
        driver.put_content(data, there if isinstance(there, bytes) else content)
    driver.put_content("/upload/data", content)
    link = paths.link(paths.layer("a", digest))
    BlobContents(driver).adopt("/upload/data", digest, size, [(link, b"x")])
    assert driver.get_content(data) == content
    assert driver.get_content(link) == b"x"
    left = there == "whole" and size > 7 and not renames
    assert driver.asked("move") == ([] if left else [data])


def test_content_on_its_way_is_no_blob(
    driver: WatchedDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a driver gathers at a blob's place is not there before it is committed."""
    data = paths.blob_data(DIGEST)
    coming = FileInfo(data, len(CONTENT), is_dir=False, committed=False)
    driver.put_content("/upload/data", CONTENT)
    contents = BlobContents(driver)
    with monkeypatch.context() as context:
        context.setattr(type(driver), "stat", lambda _self, _path: coming)
        with pytest.raises(BlobUnknown):
            contents.stat(DIGEST)
        contents.adopt("/upload/data", DIGEST, 1 << 30)
    assert driver.asked("move") == [data]


@pytest.mark.parametrize("redirect", [True, False])
def test_redirects_are_the_drivers(
    driver: WatchedDriver, redirect: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless they are switched off; the core's drivers have none."""
    contents = BlobContents(driver, redirect=redirect)
    assert contents.redirect(DIGEST, "GET") is None
    monkeypatch.setattr(
        type(driver), "redirect", lambda _self, path, method: f"{method} {path}"
    )
    expected = f"HEAD {paths.blob_data(DIGEST)}" if redirect else None
    assert contents.redirect(DIGEST, "HEAD") == expected


# Statters


class Counting(GlobalStatter):
    """Counts what it is asked."""

    asked = 0

    def stat(self, digest: Digest) -> Descriptor:
        """Count and answer."""
        self.asked += 1
        return super().stat(digest)


@pytest.mark.parametrize("repository", [None, "team/app"])
def test_the_cached_statter(driver: WatchedDriver, repository: str | None) -> None:
    """It asks once, remembers for its repository or for all, and never an absence."""
    cache = MemoryCache()
    inner = Counting(driver)
    statter = CachedStatter(inner, cache, repository)
    for _ in range(2):
        with pytest.raises(BlobUnknown):
            statter.stat(DIGEST)
    assert inner.asked == 2
    driver.put_content(paths.blob_data(DIGEST), CONTENT)
    for _ in range(3):
        assert statter.stat(DIGEST).size == len(CONTENT)
    assert inner.asked == 3
    assert cache.stat(DIGEST, repository) is not None
    assert cache.stat(DIGEST, "team/other") is None
    # What a repository knows, all know where nothing was known.
    assert cache.stat(DIGEST) is not None


def test_one_repositorys_view_of_content_is_its_own(driver: WatchedDriver) -> None:
    """A media type that one repository remembers is not told to another."""
    driver.put_content(paths.blob_data(DIGEST), CONTENT)
    cache = MemoryCache()
    mine = Descriptor("application/x-mine", DIGEST, len(CONTENT))
    cache.set(DIGEST, Descriptor(STREAM, DIGEST, len(CONTENT)))
    cache.set(DIGEST, mine, "team/app")
    inner = GlobalStatter(driver)
    assert CachedStatter(inner, cache, "team/app").stat(DIGEST) == mine
    assert CachedStatter(inner, cache, "team/other").stat(DIGEST).media_type == STREAM
    assert CachedStatter(inner, cache).stat(DIGEST).media_type == STREAM


class Absent(NoCache):
    """A backend that does not answer: each read is a miss, each write is lost."""


def test_a_cache_that_remembers_nothing_is_no_error(driver: WatchedDriver) -> None:
    """The registry is slower then, and right."""
    driver.put_content(paths.blob_data(DIGEST), CONTENT)
    inner = Counting(driver)
    statter = CachedStatter(inner, Absent())
    for _ in range(3):
        assert statter.stat(DIGEST).digest == DIGEST
    assert inner.asked == 3


def test_the_linked_statter(driver: WatchedDriver) -> None:
    """Without the repository's own link the statter behind it is not even asked."""
    driver.put_content(paths.blob_data(DIGEST), CONTENT)
    inner = Counting(driver)
    links = Links(driver, "team/app", paths.layer)
    statter = LinkedStatter(links, inner)
    for digest in ALIASES:
        with pytest.raises(BlobUnknown):
            statter.stat(digest)
    assert inner.asked == 0
    alias = ALIASES[-1]
    driver.publish(links.entries(alias, DIGEST))
    for digest in (DIGEST, alias):
        assert statter.stat(digest).digest == DIGEST
    with pytest.raises(BlobUnknown):
        LinkedStatter(links.of("team/other"), inner).stat(DIGEST)


# Links


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"sha256:",
        DIGEST.encode()[:-1],
        DIGEST.encode() + b"\n",
        b" " + DIGEST.encode(),
        DIGEST.upper().encode(),
        DIGEST.encode("utf-16"),
        b"\xff" * 71,
        b"\0" * 71,
        b"md5:" + b"a" * 32,
        b"../../../../etc/passwd",
    ],
)
def test_a_damaged_link_is_no_link(
    repository: LocalRepository, driver: WatchedDriver, content: bytes
) -> None:
    """It makes nothing readable and breaks nothing; pushing again heals it."""
    push(repository)
    directory = paths.layer("team/app", DIGEST)
    driver.put_content(paths.link(directory), content)
    assert read_link(driver, directory) is None
    assert not readable(repository, DIGEST)
    with pytest.raises(BlobUnknown):
        repository.blobs.delete(DIGEST)
    assert not repository.blobs.mount(DIGEST, "team/app")
    push(repository)
    assert readable(repository, DIGEST)


def test_a_link_holds_a_digest_and_nothing_else(
    repository: LocalRepository, driver: WatchedDriver
) -> None:
    """As distribution reads it: no newline."""
    alias = push(repository, ALIASES[2])
    for digest in (DIGEST, alias):
        path = paths.link(paths.layer("team/app", digest))
        assert driver.get_content(path) == DIGEST.encode()


def test_a_link_of_distribution_is_followed(
    repository: LocalRepository, driver: WatchedDriver
) -> None:
    """A tree that another registry wrote serves."""
    driver.put_content(paths.blob_data(DIGEST), CONTENT)
    for digest in ALIASES:
        path = paths.link(paths.layer("team/app", digest))
        driver.put_content(path, DIGEST.encode())
    for digest in ALIASES:
        assert readable(repository, digest)


@pytest.mark.parametrize("alias", ALIASES[1:])
def test_an_alias_alone_makes_nothing_readable(
    repository: LocalRepository, driver: WatchedDriver, alias: Digest
) -> None:
    """The link under the canonical digest is the membership."""
    driver.put_content(paths.blob_data(DIGEST), CONTENT)
    directory = paths.layer("team/app", alias)
    driver.put_content(paths.link(directory), DIGEST.encode())
    assert not readable(repository, alias)
    assert not readable(repository, DIGEST)


def test_a_link_without_its_content(
    repository: LocalRepository, driver: WatchedDriver
) -> None:
    """Content that a garbage collection took away is unknown, with no cache between."""
    push(repository)
    driver.delete(paths.blob_data(DIGEST))
    with pytest.raises(BlobUnknown):
        repository.blobs.get(DIGEST)
    with pytest.raises(BlobUnknown):
        repository.blobs.open(Descriptor(STREAM, DIGEST, len(CONTENT)))
    assert repository.blobs.mount(DIGEST, "team/app") is None


# Membership


@pytest.mark.parametrize("digest", ALIASES)
def test_content_of_another_repository_is_not_readable(
    registry: LocalRegistry, digest: Digest
) -> None:
    """Pushed by any digest, asked for by any: only where it was pushed."""
    owner, stranger = registry.repository("team/a"), registry.repository("team/b")
    assert isinstance(owner, LocalRepository)
    assert isinstance(stranger, LocalRepository)
    push(owner, digest)
    for each in ALIASES:
        assert readable(owner, each) == (each in {DIGEST, digest})
        assert not readable(stranger, each)
        with pytest.raises(BlobUnknown):
            stranger.blobs.delete(each)
    assert readable(owner, digest)


@pytest.mark.parametrize("pushed", ALIASES)
@pytest.mark.parametrize("deleted", ["pushed", "canonical"])
def test_a_delete_by_either_name_is_a_delete(
    make_registry: MakeRegistry, cache: DescriptorCache, pushed: Digest, deleted: str
) -> None:
    """Afterwards no name of it is readable, in this process or in another."""
    here = make_registry(cache=cache).repository("team/app")
    there = make_registry().repository("team/app")
    assert isinstance(here, LocalRepository)
    assert isinstance(there, LocalRepository)
    push(here, pushed)
    for view, digest in itertools.product((here, there), {pushed, DIGEST}):
        assert readable(view, digest)
    here.blobs.delete(pushed if deleted == "pushed" else DIGEST)
    for view, digest in itertools.product((here, there), ALIASES):
        assert not readable(view, digest)
    with pytest.raises(BlobUnknown):
        here.blobs.delete(pushed)


def test_a_delete_in_one_repository_stays_one(
    make_registry: MakeRegistry, cache: DescriptorCache
) -> None:
    """A read in B does not bring back what A deleted (CVE-2026-35172)."""
    registry, other = make_registry(cache=cache), make_registry(cache=cache)
    for each in (registry, other):
        for name in ("a", "b"):
            repository = each.repository(name)
            assert isinstance(repository, LocalRepository)
            push(repository)
            assert readable(repository, DIGEST)
    registry.repository("a").blobs.delete(DIGEST)
    for each in (registry, other):
        b, a = each.repository("b"), each.repository("a")
        assert isinstance(b, LocalRepository)
        assert isinstance(a, LocalRepository)
        assert readable(b, DIGEST)
        assert not readable(a, DIGEST)


_steps = st.lists(
    st.tuples(
        st.sampled_from(["push", "delete", "mount", "read"]),
        st.sampled_from([0, 1]),
        st.sampled_from(["a", "b"]),
        st.sampled_from(ALIASES),
    ),
    max_size=14,
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=_steps)
def test_membership_is_what_was_done_last(
    make_registry: MakeRegistry,
    plain_driver: Any,
    cache: DescriptorCache,
    steps: Sequence[tuple[str, int, str, Digest]],
) -> None:
    """In any order, in two processes, with any cache, each repository on its own."""
    for name in plain_driver.list("/"):
        plain_driver.delete(f"/{name}")
    registries = [make_registry(cache=cache), make_registry()]
    linked: dict[str, set[Digest]] = {"a": set(), "b": set()}

    def known(name: str, digest: Digest) -> bool:
        return {digest, DIGEST} <= linked[name]

    for step, process, name, digest in steps:
        repository = registries[process].repository(name)
        assert isinstance(repository, LocalRepository)
        if step == "push":
            push(repository, digest)
            linked[name] |= {DIGEST, digest}
        elif step == "delete" and known(name, digest):
            repository.blobs.delete(digest)
            linked[name] -= {DIGEST, digest}
        elif step == "delete":
            with pytest.raises(BlobUnknown):
                repository.blobs.delete(digest)
        elif step == "mount":
            source = "b" if name == "a" else "a"
            mounted = repository.blobs.mount(digest, source)
            assert (mounted is not None) == known(source, digest)
            if mounted:
                linked[name] |= {DIGEST, digest}
        for each, alias in itertools.product(linked, ALIASES):
            view = registries[1 - process].repository(each)
            assert isinstance(view, LocalRepository)
            assert readable(view, alias) == known(each, alias)


# Small blobs, mounts, deletes


def test_a_small_blob(repository: LocalRepository, other: LocalRepository) -> None:
    """It is put at once, with the media type that its repository knows."""
    descriptor = repository.blobs.put(CONTENT, "application/x-test")
    assert descriptor == Descriptor("application/x-test", DIGEST, len(CONTENT))
    assert readable(other, DIGEST)
    assert readable(repository, DIGEST)


@pytest.mark.parametrize("digest", ALIASES)
def test_a_mount_links_what_the_source_has(
    registry: LocalRegistry, driver: WatchedDriver, digest: Digest
) -> None:
    """By the name it is asked for and by its canonical one; nothing is copied."""
    source, target = registry.repository("team/source"), registry.repository("target")
    assert isinstance(source, LocalRepository)
    assert isinstance(target, LocalRepository)
    assert target.blobs.mount(digest, "team/source") is None
    push(source, digest)
    before = len(tree(driver.inner))
    descriptor = target.blobs.mount(digest, "team/source")
    assert descriptor is not None
    assert (descriptor.digest, descriptor.size) == (DIGEST, len(CONTENT))
    for each in {digest, DIGEST}:
        assert readable(target, each)
    assert len(tree(driver.inner)) == before + len({digest, DIGEST})
    source.blobs.delete(digest)
    assert readable(target, digest)


def test_a_mount_of_what_is_only_elsewhere(registry: LocalRegistry) -> None:
    """Content that some repository has is not mounted from one that has it not."""
    owner = registry.repository("owner")
    assert isinstance(owner, LocalRepository)
    push(owner)
    target = registry.repository("target")
    assert target.blobs.mount(DIGEST, "stranger") is None
    with pytest.raises(BlobUnknown):
        target.blobs.stat(DIGEST)


def test_deletes_may_be_switched_off(
    make_registry: MakeRegistry, cache: DescriptorCache
) -> None:
    """Known or not, a blob is not deleted then, and it is not told whether it is."""
    registry = make_registry(cache=cache, delete_enabled=False)
    repository = registry.repository("team/app")
    assert isinstance(repository, LocalRepository)
    push(repository)
    for digest in (DIGEST, Digest.of(b"other")):
        with pytest.raises(Unsupported):
            repository.blobs.delete(digest)
    assert readable(repository, DIGEST)


def test_a_blob_is_read_from_an_offset(repository: LocalRepository) -> None:
    """At and beyond the end there is nothing to read."""
    descriptor = repository.blobs.put(CONTENT, STREAM)
    for offset in (0, 1, len(CONTENT), len(CONTENT) + 5):
        with repository.blobs.open(descriptor, offset) as stream:
            assert stream.read() == CONTENT[offset:]


def test_a_stat_of_a_cached_blob_asks_for_the_link_alone(
    make_registry: MakeRegistry, driver: WatchedDriver
) -> None:
    """What a digest is cannot change; whether it is a member is read each time."""
    repository = make_registry().repository("team/app")
    repository.blobs.put(CONTENT, STREAM)
    driver.calls.clear()
    repository.blobs.stat(DIGEST)
    assert driver.calls == [
        ("get_content", paths.link(paths.layer("team/app", DIGEST)))
    ]


def test_redirects_of_a_blob(
    repository: LocalRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are those of the content that its descriptor names."""
    descriptor = repository.blobs.put(CONTENT, STREAM)
    assert repository.blobs.redirect(descriptor, "GET") is None
    monkeypatch.setattr(WatchedDriver, "redirect", lambda _self, path, _method: path)
    assert repository.blobs.redirect(descriptor, "GET") == paths.blob_data(DIGEST)


def test_nothing_of_an_unknown_blob_is_read(
    repository: LocalRepository, driver: WatchedDriver
) -> None:
    """One look at the link is all that a miss costs."""
    driver.calls.clear()
    with pytest.raises(BlobUnknown) as caught:
        repository.blobs.stat(DIGEST)
    assert caught.value.detail == {"digest": DIGEST}
    assert [name for name, _ in driver.calls] == ["get_content"]
    with pytest.raises(PathNotFound):
        driver.inner.stat("/docker")
