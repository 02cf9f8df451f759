"""Upload sessions of which nothing is stored before their first bytes."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from datetime import timedelta

import pytest
from builders import ALGORITHMS
from builders import WatchedDriver
from builders import tree

from flaskreg.digest import Digest
from flaskreg.errors import BlobUploadUnknown
from flaskreg.errors import DigestInvalid
from flaskreg.errors import RangeInvalid
from flaskreg.errors import SizeInvalid
from flaskreg.services import UploadSession
from flaskreg.storage import paths
from flaskreg.storage.promised import _HELD
from flaskreg.storage.repository import LocalRepository


NAME = "team/app"
#: as long as what is held in memory, and longer.
CONTENTS = [b"", b"small", b"x" * _HELD, b"y" * (_HELD + 1), b"z" * (2 * _HELD)]

every_content = pytest.mark.parametrize("content", CONTENTS, ids=len)


def uploads_left(driver: WatchedDriver) -> dict[str, bytes]:
    """Return the files of all upload sessions."""
    files = tree(driver.inner)
    return {path: files[path] for path in files if "/_uploads/" in path}


def pieces(content: bytes, size: int = 10_000) -> Iterator[bytes]:
    """Yield a content in pieces."""
    for at in range(0, len(content), size):
        yield content[at : at + size]


def broken(content: bytes) -> Iterator[bytes]:
    """Yield a content and break off, as a client does."""
    yield from pieces(content)
    raise SizeInvalid("the body broke off")


def test_a_promise_stores_nothing(
    repository: LocalRepository, driver: WatchedDriver
) -> None:
    """Nor does one that is asked how far it is."""
    session = repository.uploads.promise("alice")
    resumed = repository.uploads.resume(session.id, "alice", session.started_at)
    assert (resumed.id, resumed.size, resumed.stored) == (session.id, 0, False)
    assert (session.size, session.owner) == (0, "alice")
    assert tree(driver.inner) == {}


@every_content
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("whole", [True, False], ids=["taken", "promised"])
def test_a_blob_is_stored_and_nothing_else(
    repository: LocalRepository,
    driver: WatchedDriver,
    content: bytes,
    algorithm: str,
    whole: bool,
) -> None:
    """Whether it was held in memory or not."""
    digest = Digest.of(content, algorithm)
    if whole:
        descriptor = repository.uploads.take(digest, pieces(content))
    else:
        session = repository.uploads.promise()
        descriptor = session.commit(digest, pieces(content))
    assert descriptor.digest == Digest.of(content)
    assert descriptor.size == len(content)
    assert repository.blobs.get(digest) == content
    assert uploads_left(driver) == {}
    assert len(tree(driver.inner)) == (2 if digest.canonical else 3)


@every_content
def test_a_wrong_digest_leaves_the_session(
    repository: LocalRepository,
    other: LocalRepository,
    driver: WatchedDriver,
    content: bytes,
) -> None:
    """With all that it received, and any process ends it with the right one."""
    session = repository.uploads.promise()
    with pytest.raises(DigestInvalid):
        session.commit(Digest.of(b"other"), pieces(content))
    assert session.size == len(content)
    resumed = other.uploads.resume(session.id, "", session.started_at)
    assert resumed.size == len(content)
    resumed.commit(Digest.of(content))
    assert other.blobs.get(Digest.of(content)) == content
    assert uploads_left(driver) == {}


@every_content
def test_a_body_that_breaks_off_is_gone_on_with(
    repository: LocalRepository, other: LocalRepository, content: bytes
) -> None:
    """What came is there for the next request."""
    session = repository.uploads.promise()
    digest = Digest.of(content + b"rest")
    with pytest.raises(SizeInvalid):
        session.commit(digest, broken(content))
    resumed = other.uploads.resume(session.id, "", session.started_at)
    assert resumed.size == len(content)
    resumed.commit(digest, [b"rest"], len(content))
    assert repository.blobs.get(digest) == content + b"rest"


@every_content
@pytest.mark.parametrize("error", ["digest", "body"])
def test_a_blob_that_is_not_taken_leaves_nothing(
    repository: LocalRepository, driver: WatchedDriver, content: bytes, error: str
) -> None:
    """Nobody was told of a session that could go on."""
    chunks = pieces(content) if error == "digest" else broken(content)
    with pytest.raises((DigestInvalid, SizeInvalid)):
        repository.uploads.take(Digest.of(content + b"more"), chunks)
    assert tree(driver.inner) == {}


@pytest.mark.parametrize("appended", [b"", b"first"])
def test_appending_begins_it(
    repository: LocalRepository,
    other: LocalRepository,
    driver: WatchedDriver,
    appended: bytes,
) -> None:
    """From then on it is a session as any other, with its owner and its time."""
    session = repository.uploads.promise("alice")
    assert session.append([appended], 0) == len(appended)
    assert session.stored
    resumed = other.uploads.resume(session.id, "alice")
    assert resumed.started_at == session.started_at
    assert resumed.size == len(appended)
    with pytest.raises(BlobUploadUnknown):
        other.uploads.resume(session.id, "bob", session.started_at)
    started = paths.upload_started(NAME, session.id)
    assert started in uploads_left(driver)


@pytest.mark.parametrize(
    "act",
    [
        lambda session: session.append([b"x"], 7),
        lambda session: session.commit(Digest.of(b"x"), [b"x"], 7),
    ],
    ids=["append", "commit"],
)
def test_it_begins_at_its_start(
    repository: LocalRepository,
    driver: WatchedDriver,
    act: Callable[[UploadSession], object],
) -> None:
    """Who thinks that something is there already is told that nothing is."""
    session = repository.uploads.promise()
    with pytest.raises(RangeInvalid) as caught:
        act(session)
    assert caught.value.headers["Range"] == "0-0"
    assert tree(driver.inner) == {}


@pytest.mark.parametrize("begun", [True, False])
def test_a_cancelled_one_stays_away(
    repository: LocalRepository,
    other: LocalRepository,
    driver: WatchedDriver,
    begun: bool,
) -> None:
    """Though the state that its client was given says that it is promised."""
    session = repository.uploads.promise()
    if begun:
        session.append([b"bytes"])
    other.uploads.resume(session.id, "", session.started_at).cancel()
    for promised in (session.started_at, None):
        with pytest.raises(BlobUploadUnknown):
            repository.uploads.resume(session.id, "", promised)
    left = uploads_left(driver)
    assert [*left] == [paths.upload_started(NAME, session.id)]


def test_a_promise_ends(repository: LocalRepository) -> None:
    """When sessions that were begun are purged."""
    session = repository.uploads.promise()
    old = datetime.now(UTC) - timedelta(days=8)
    with pytest.raises(BlobUploadUnknown):
        repository.uploads.resume(session.id, "", old)
    with pytest.raises(BlobUploadUnknown):
        repository.uploads.resume(session.id)


def test_bytes_whose_session_was_lost_are_told(
    repository: LocalRepository, other: LocalRepository, driver: WatchedDriver
) -> None:
    """A power cut may take the start of a session, which nobody flushed."""
    session = repository.uploads.promise()
    session.append([b"bytes"])
    driver.inner.delete(paths.upload_started(NAME, session.id))
    resumed = other.uploads.resume(session.id, "", session.started_at)
    assert resumed.size == 5
    assert resumed.append([b" more"], 5) == 10
    again = repository.uploads.resume(session.id, "", session.started_at)
    again.commit(Digest.of(b"bytes more"))
    assert uploads_left(driver) == {}
