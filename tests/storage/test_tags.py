"""Tags: a small file each, listed in byte order, found by what they name."""

from __future__ import annotations

import pytest
from builders import WatchedDriver
from builders import tree
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from flaskreg.digest import Digest
from flaskreg.errors import ManifestUnknown
from flaskreg.errors import NameUnknown
from flaskreg.storage import paths
from flaskreg.storage.repository import LocalRepository

from .conftest import MakeRegistry


NAME = "team/app"
ONE, TWO = Digest.of(b"one"), Digest.of(b"two", "sha512")


def test_a_tag_is_two_links(repository: LocalRepository, driver: WatchedDriver) -> None:
    """Its history first, then what it names now."""
    repository.tags.tag("v1", ONE)
    repository.tags.tag("v1", TWO)
    current = paths.link(paths.tag_current(NAME, "v1"))
    one = paths.link(paths.tag_index(NAME, "v1", ONE))
    two = paths.link(paths.tag_index(NAME, "v1", TWO))
    assert driver.asked("put_content") == [one, current, two, current]
    assert tree(driver.inner) == {
        current: TWO.encode(),
        one: ONE.encode(),
        two: TWO.encode(),
    }
    assert repository.tags.get("v1") == TWO


@pytest.mark.parametrize("content", [b"", b"sha256:abc", ONE.encode() + b"\n", b"\xff"])
def test_a_damaged_tag_is_unknown(
    repository: LocalRepository, driver: WatchedDriver, content: bytes
) -> None:
    """It can be set again, and no other tag is touched."""
    repository.tags.tag("good", ONE)
    driver.put_content(paths.link(paths.tag_current(NAME, "v1")), content)
    with pytest.raises(ManifestUnknown) as caught:
        repository.tags.get("v1")
    assert caught.value.detail == "unknown tag=v1"
    assert list(repository.tags.lookup([ONE])) == ["good"]
    repository.tags.tag("v1", ONE)
    assert repository.tags.get("v1") == ONE


def test_untag(repository: LocalRepository, other: LocalRepository) -> None:
    """The tag goes with its history, the other ones stay."""
    repository.tags.tag("v1", ONE)
    repository.tags.tag("v10", ONE)
    repository.tags.untag("v1")
    for view in (repository, other):
        with pytest.raises(ManifestUnknown):
            view.tags.get("v1")
        assert list(view.tags.list()) == ["v10"]
    with pytest.raises(ManifestUnknown):
        repository.tags.untag("v1")


def test_an_unknown_repository(repository: LocalRepository) -> None:
    """It has no list of tags; one that has content and no tags has an empty one."""
    with pytest.raises(NameUnknown) as caught:
        repository.tags.list()
    assert caught.value.detail == {"name": NAME}
    with pytest.raises(NameUnknown):
        repository.tags.list(10, "a")
    assert list(repository.tags.lookup([ONE])) == []
    assert not repository.exists()
    repository.blobs.put(b"content", "application/octet-stream")
    assert list(repository.tags.list()) == []
    assert repository.exists()


_tags = st.sets(st.from_regex(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,5}", fullmatch=True))


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(tags=_tags, limit=st.integers(1, 4), last=st.text("aZ0_.-", max_size=3))
def test_pages_are_the_list(
    make_registry: MakeRegistry,
    plain_driver: WatchedDriver,
    tags: set[str],
    limit: int,
    last: str,
) -> None:
    """In byte order, whole or in pieces, from any place, there or not."""
    for name in plain_driver.list("/"):
        plain_driver.delete(f"/{name}")
    repository = make_registry().repository(NAME)
    repository.blobs.put(b"content", "application/octet-stream")
    for tag in tags:
        repository.tags.tag(tag, ONE)
    expected = sorted(tags)
    assert list(repository.tags.list()) == expected
    found: list[str] = []
    while page := repository.tags.list(limit, found[-1] if found else ""):
        assert len(page) <= limit
        found += page
    assert found == expected
    assert list(repository.tags.list(None, last)) == [
        tag for tag in expected if tag > last
    ]
    assert list(repository.tags.list(0)) == []


def test_a_tag_on_its_way_is_not_listed(
    repository: LocalRepository, driver: WatchedDriver
) -> None:
    """One that has only a history, as in the middle of a push, comes when it is set."""
    repository.tags.tag("v1", ONE)
    link = paths.link(paths.tag_index(NAME, "v2", ONE))
    driver.put_content(link, ONE.encode())
    assert list(repository.tags.list()) == ["v1"]
    repository.tags.tag("v2", ONE)
    assert list(repository.tags.list()) == ["v1", "v2"]


@pytest.mark.parametrize("concurrency", [1, 4])
def test_lookup(make_registry: MakeRegistry, concurrency: int) -> None:
    """The tags that name one of some digests, each read once, however many at once."""
    tags = make_registry(tag_concurrency=concurrency).repository(NAME).tags
    for number in range(20):
        tags.tag(f"v{number:02}", TWO if number % 5 == 0 else ONE)
    assert list(tags.lookup([TWO])) == ["v00", "v05", "v10", "v15"]
    assert len(tags.lookup([ONE, TWO])) == 20
    assert list(tags.lookup([])) == []
