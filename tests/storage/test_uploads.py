"""Upload sessions: what has arrived stays, and nothing unverified is ever a blob."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from typing import Any

import pytest
from builders import ALGORITHMS
from builders import WatchedDriver
from builders import tree
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from flaskreg import digest as digest_module
from flaskreg.descriptor import Descriptor
from flaskreg.digest import Digest
from flaskreg.digest import make_digester
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageFull
from flaskreg.errors import BlobUnknown
from flaskreg.errors import BlobUploadUnknown
from flaskreg.errors import DigestInvalid
from flaskreg.errors import RangeInvalid
from flaskreg.services import UploadSession
from flaskreg.storage import paths
from flaskreg.storage.repository import LocalRepository

from .conftest import MakeRegistry


NAME = "team/app"
CONTENT = bytes(range(256)) * 8

every_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)


def uploads_left(driver: WatchedDriver) -> list[str]:
    """Return the files of all upload sessions."""
    return [path for path in tree(driver.inner) if "/_uploads/" in path]


def states(driver: WatchedDriver, session_id: str) -> dict[str, bytes]:
    """Return the digest states of a session by algorithm and offset."""
    base = paths.hash_states(NAME, session_id) + "/"
    return {
        path.removeprefix(base): content
        for path, content in tree(driver.inner).items()
        if path.startswith(base)
    }


def reads(driver: WatchedDriver, session_id: str) -> int:
    """Return how often the bytes of a session were read."""
    data = paths.upload_data(NAME, session_id)
    return len(driver.asked("reader", data)) + len(driver.asked("get_content", data))


# Starting and resuming


def test_a_session_is_where_distribution_looks_for_it(
    repository: LocalRepository, driver: WatchedDriver
) -> None:
    """Its id is a UUID, and its start is told to the second in UTC."""
    before = datetime.now(UTC) - timedelta(seconds=1)
    session = repository.uploads.start()
    path = paths.upload_started(NAME, session.id)
    text = driver.get_content(path).decode()
    assert datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) == (
        session.started_at
    )
    assert before <= session.started_at <= datetime.now(UTC)
    assert session.size == 0
    assert uploads_left(driver) == [path]


def test_any_process_goes_on_with_a_session(
    repository: LocalRepository, other: LocalRepository
) -> None:
    """Its size is told by the storage, its time is the one of its start."""
    session = repository.uploads.start()
    for owner in (other, repository, other):
        resumed = owner.uploads.resume(session.id)
        assert resumed.id == session.id
        assert resumed.started_at == session.started_at
        size = resumed.size
        assert resumed.append([b"some ", b"bytes"], size) == size + 10
        assert resumed.size == size + 10
    content = b"some bytes" * 3
    descriptor = other.uploads.resume(session.id).commit(Digest.of(content))
    assert descriptor.size == 30
    assert repository.blobs.get(descriptor.digest) == content


@pytest.mark.parametrize(
    "session_id",
    ["0189f1b0-0000-4000-8000-000000000000", "", "..", "x", "../../_layers", "A" * 36],
)
def test_an_unknown_session_is_not_resumed(
    repository: LocalRepository, driver: WatchedDriver, session_id: str
) -> None:
    """And what is no id is not even looked for."""
    with pytest.raises(BlobUploadUnknown):
        repository.uploads.resume(session_id)
    asked = {path for _, path in driver.calls}
    assert all("0189f1b0" in path for path in asked)


def test_a_session_belongs_to_its_repository(
    make_registry: MakeRegistry, repository: LocalRepository
) -> None:
    """Whoever knows its id cannot go on with it elsewhere (CVE-2026-32589)."""
    session = repository.uploads.start()
    session.append([b"secret"])
    stranger = make_registry().repository("team/other")
    with pytest.raises(BlobUploadUnknown):
        stranger.uploads.resume(session.id)
    assert repository.uploads.resume(session.id).size == 6


def test_a_new_session_is_not_looked_at(
    driver: WatchedDriver, repository: LocalRepository
) -> None:
    """Its size is known before anybody knows its name."""
    driver.calls.clear()
    session = repository.uploads.start()
    assert session.size == 0
    assert [name for name, _ in driver.calls] == ["put_content"]
    assert session.append([CONTENT]) == len(CONTENT)


def test_a_session_belongs_to_who_started_it(repository: LocalRepository) -> None:
    """One that nobody in particular started is anybody's."""
    session = repository.uploads.start(owner="alice")
    for stranger in ("bob", "", "alice "):
        with pytest.raises(BlobUploadUnknown):
            repository.uploads.resume(session.id, stranger)
    assert repository.uploads.resume(session.id, "alice").id == session.id
    session = repository.uploads.start()
    assert repository.uploads.resume(session.id, "bob").id == session.id


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"2026-08-18T11:55:22Z", datetime(2026, 8, 18, 11, 55, 22, tzinfo=UTC)),
        (b"2026-08-18T11:55:22", datetime(2026, 8, 18, 11, 55, 22, tzinfo=UTC)),
        (b"2026-08-18T11:55:22Z\n", datetime(2026, 8, 18, 11, 55, 22, tzinfo=UTC)),
        (b"2026-08-18T13:55:22+02:00", datetime(2026, 8, 18, 11, 55, 22, tzinfo=UTC)),
        (b"", datetime.fromtimestamp(0, UTC)),
        (b"yesterday", datetime.fromtimestamp(0, UTC)),
        (b"\xff\xfe", datetime.fromtimestamp(0, UTC)),
    ],
)
def test_sessions_of_others_are_resumed(
    repository: LocalRepository, driver: WatchedDriver, text: bytes, expected: datetime
) -> None:
    """Whatever wrote the time; one that cannot be read is long ago, and no error."""
    session_id = "0189f1b0-0000-7000-8000-000000000000"
    driver.put_content(paths.upload_started(NAME, session_id), text)
    with driver.writer(paths.upload_data(NAME, session_id)) as writer:
        writer.write(b"from another registry")
    session = repository.uploads.resume(session_id)
    assert (session.started_at, session.size) == (expected, 21)
    session.commit(Digest.of(b"from another registry"))


@pytest.mark.parametrize("algorithm", ["md5", "SHA256", "", "../sha256"])
def test_an_unknown_algorithm_starts_nothing(
    repository: LocalRepository, driver: WatchedDriver, algorithm: str
) -> None:
    """It is refused before a session is there."""
    with pytest.raises(DigestInvalid):
        repository.uploads.start(algorithm)
    assert tree(driver.inner) == {}


# Committing


@every_algorithm
@pytest.mark.parametrize("content", [b"", b"x", CONTENT], ids=len)
@pytest.mark.parametrize("pieces", [0, 1, 3])
def test_what_arrived_becomes_a_blob(
    repository: LocalRepository,
    other: LocalRepository,
    driver: WatchedDriver,
    algorithm: str,
    content: bytes,
    pieces: int,
) -> None:
    """Before the commit or with it, in any pieces, by any digest."""
    digest = Digest.of(content, algorithm)
    session = repository.uploads.start(algorithm)
    cut = len(content) // 2
    for at in range(pieces):
        step = slice(at * cut // pieces, (at + 1) * cut // pieces)
        session.append([content[step]])
    rest = content[session.size :]
    descriptor = session.commit(digest, [rest[:1], rest[1:]], session.size)
    canonical = Digest.of(content)
    assert descriptor == Descriptor("application/octet-stream", canonical, len(content))
    for view in (repository, other):
        for known in {digest, canonical}:
            found = view.blobs.stat(known)
            assert (found.digest, found.size) == (canonical, len(content))
            assert view.blobs.get(known) == content
    files = tree(driver.inner)
    assert files == {
        paths.blob_data(canonical): content,
        **{
            paths.link(paths.layer(NAME, each)): canonical.encode()
            for each in {digest, canonical}
        },
    }


def test_the_blob_is_linked_after_it_is_there(
    repository: LocalRepository, driver: WatchedDriver
) -> None:
    """A crash between the two leaves content that nobody can see, and no more."""
    session = repository.uploads.start()
    digest = Digest.of(CONTENT)
    session.commit(digest, [CONTENT])
    order = [path for name, path in driver.calls if name in {"move", "put_content"}]
    data = paths.blob_data(digest)
    assert order.index(data) < order.index(paths.link(paths.layer(NAME, digest)))


@every_algorithm
def test_a_wrong_digest_keeps_the_session(
    repository: LocalRepository,
    other: LocalRepository,
    driver: WatchedDriver,
    algorithm: str,
) -> None:
    """Nothing becomes readable, and the right digest can still be given."""
    session = repository.uploads.start()
    wrong = Digest.of(b"something else", algorithm)
    with pytest.raises(DigestInvalid, match="does not match"):
        session.commit(wrong, [CONTENT])
    for digest in (wrong, Digest.of(CONTENT)):
        with pytest.raises(BlobUnknown):
            repository.blobs.stat(digest)
        with pytest.raises(PathNotFound):
            driver.inner.stat(paths.blob_data(digest))
    again = other.uploads.resume(session.id)
    assert again.size == len(CONTENT)
    again.commit(Digest.of(CONTENT, algorithm))
    assert repository.blobs.get(Digest.of(CONTENT)) == CONTENT
    assert uploads_left(driver) == []


def test_a_commit_that_comes_twice(
    repository: LocalRepository, other: LocalRepository, driver: WatchedDriver
) -> None:
    """The second one finds no session, and the blob stays."""
    session = repository.uploads.start()
    session.append([CONTENT])
    twin = other.uploads.resume(session.id)
    session.commit(Digest.of(CONTENT))
    with pytest.raises(BlobUploadUnknown):
        twin.commit(Digest.of(CONTENT))
    with pytest.raises(BlobUploadUnknown):
        twin.append([b"more"])
    assert repository.blobs.get(Digest.of(CONTENT)) == CONTENT
    assert uploads_left(driver) == []


def test_every_committer_of_one_digest_wins(
    make_registry: MakeRegistry, driver: WatchedDriver
) -> None:
    """Many who push the same layer at once all succeed, and one content is there."""
    digest = Digest.of(CONTENT)
    registry = make_registry()
    barrier = threading.Barrier(12)

    def push(number: int) -> Descriptor:
        repository = registry.repository(f"team/{number % 3}")
        session = repository.uploads.start()
        session.append([CONTENT[:100]])
        barrier.wait()
        return session.commit(digest, [CONTENT[100:]], 100)

    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(push, range(12)))
    assert {each.digest for each in found} == {digest}
    for number in range(3):
        assert registry.repository(f"team/{number}").blobs.get(digest) == CONTENT
    assert uploads_left(driver) == []
    assert len([path for path in tree(driver.inner) if path.endswith("/data")]) == 1


def test_a_push_heals_damaged_content(
    repository: LocalRepository, driver: WatchedDriver
) -> None:
    """What another registry left cut or empty after a power cut is whole again."""
    digest = Digest.of(CONTENT)
    for damaged in (b"", CONTENT[:100], bytes(len(CONTENT))):
        driver.put_content(paths.blob_data(digest), damaged)
        repository.uploads.start().commit(digest, [CONTENT])
        assert driver.get_content(paths.blob_data(digest)) == CONTENT


# Appending


class Broken(Exception):
    """The connection broke off."""


def breaking(*chunks: bytes) -> Iterator[bytes]:
    """Yield chunks, and then break off."""
    yield from chunks
    raise Broken


def push(
    session: UploadSession,
    how: str,
    digest: Digest,
    chunks: Iterable[bytes],
    at: int | None = None,
) -> None:
    """Append chunks, or commit with them."""
    if how == "append":
        session.append(chunks, at)
    else:
        session.commit(digest, chunks, at)


@pytest.mark.parametrize("how", ["append", "commit"])
def test_what_arrived_before_a_break_stays(
    repository: LocalRepository, other: LocalRepository, how: str
) -> None:
    """The rest is pushed to where it ended, and the digest is right."""
    session = repository.uploads.start()
    digest = Digest.of(CONTENT)
    chunks = breaking(CONTENT[:50], CONTENT[50:70])
    with pytest.raises(Broken):
        push(session, how, digest, chunks)
    assert session.size == 70
    with pytest.raises(BlobUnknown):
        repository.blobs.stat(digest)
    resumed = other.uploads.resume(session.id)
    assert resumed.size == 70
    resumed.commit(digest, [CONTENT[70:]], 70)
    assert repository.blobs.get(digest) == CONTENT


@pytest.mark.parametrize("at", [0, 1, 9, 11, 1 << 40])
@pytest.mark.parametrize("how", ["append", "commit"])
def test_a_chunk_has_to_begin_where_the_content_ends(
    repository: LocalRepository, other: LocalRepository, at: int, how: str
) -> None:
    """Out of order, overlapping, or with a gap: refused, and nothing is changed."""
    session = repository.uploads.start()
    session.append([b"0123456789"])
    resumed = other.uploads.resume(session.id)
    with pytest.raises(RangeInvalid) as caught:
        push(resumed, how, Digest.of(b"0123456789x"), [b"x"], at)
    assert caught.value.headers["Range"] == "0-9"
    assert repository.uploads.resume(session.id).size == 10


def test_a_chunk_beyond_nothing(repository: LocalRepository) -> None:
    """A session without bytes has its end at 0."""
    session = repository.uploads.start()
    with pytest.raises(RangeInvalid) as caught:
        session.append([b"x"], 5)
    assert caught.value.headers["Range"] == "0-0"
    assert session.append([b"x"], 0) == 1


def test_of_two_who_append_one_is_refused(
    make_registry: MakeRegistry, driver: WatchedDriver
) -> None:
    """Chunks that race for one place end as one success and one RangeInvalid."""
    first = make_registry().repository(NAME).uploads.start()
    second = make_registry().repository(NAME).uploads.resume(first.id)
    begun, refused = threading.Event(), threading.Event()

    def chunks() -> Iterator[bytes]:
        yield b"first"
        begun.set()
        assert refused.wait(30)
        yield b" and last"

    with ThreadPoolExecutor(1) as pool:
        winner = pool.submit(first.append, chunks(), 0)
        assert begun.wait(30)
        with pytest.raises(RangeInvalid):
            second.append([b"second"], 0)
        refused.set()
        assert winner.result() == 14
    driver.calls.clear()
    first.commit(Digest.of(b"first and last"))


def test_many_who_append_are_one_after_the_other(make_registry: MakeRegistry) -> None:
    """Bytes of two requests are never mixed, whoever wins."""
    session = make_registry().repository(NAME).uploads.start()
    barrier = threading.Barrier(6)

    def append(letter: int) -> int | None:
        mine = make_registry().repository(NAME).uploads.resume(session.id)
        barrier.wait()
        try:
            mine.append([bytes([letter]) * 1000] * 5, 0)
        except RangeInvalid:
            return None
        return letter

    with ThreadPoolExecutor(6) as pool:
        won = [each for each in pool.map(append, range(65, 71)) if each is not None]
    (letter,) = won
    session = make_registry().repository(NAME).uploads.resume(session.id)
    session.commit(Digest.of(bytes([letter]) * 5000))


def test_no_room(
    make_registry: MakeRegistry, driver: WatchedDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was there before stays, and the push goes on when there is room again."""
    session = make_registry().repository(NAME).uploads.start()
    session.append([CONTENT[:100]])
    real = driver.inner.writer

    def full(path: str, append_at: int | None = None) -> Any:
        writer = real(path, append_at)

        def write(chunk: bytes) -> None:
            raise StorageFull(path, f"{len(chunk)} bytes")

        monkeypatch.setattr(writer, "write", write)
        return writer

    with monkeypatch.context() as patch:
        patch.setattr(driver.inner, "writer", full)
        with pytest.raises(StorageFull):
            session.append([CONTENT[100:]], 100)
    assert session.size == 100
    session.commit(Digest.of(CONTENT), [CONTENT[100:]], 100)


# Cancelling


def test_a_cancelled_session_leaves_nothing(
    repository: LocalRepository, other: LocalRepository, driver: WatchedDriver
) -> None:
    """Cancelling it again is no error; nothing can be appended to it."""
    session = repository.uploads.start("sha512", "alice")
    session.append([CONTENT])
    twin = other.uploads.resume(session.id, "alice")
    session.cancel()
    assert tree(driver.inner) == {}
    with pytest.raises(BlobUploadUnknown):
        repository.uploads.resume(session.id, "alice")
    for call in (lambda: twin.append([b"x"]), lambda: twin.commit(Digest.of(CONTENT))):
        with pytest.raises(BlobUploadUnknown):
            call()
    twin.cancel()
    assert tree(driver.inner) == {}


# Never read again


@every_algorithm
@pytest.mark.parametrize("announced", [True, False])
def test_nothing_is_read_again_at_commit(
    make_registry: MakeRegistry,
    driver: WatchedDriver,
    algorithm: str,
    announced: bool,
) -> None:
    """By sha256, and by an announced algorithm, digests are those kept meanwhile."""
    session = (
        make_registry()
        .repository(NAME)
        .uploads.start(algorithm if announced else "sha256")
    )
    for at in range(0, len(CONTENT), 300):
        resumed = make_registry().repository(NAME).uploads.resume(session.id)
        resumed.append([CONTENT[at : at + 300]], at)
    last = make_registry().repository(NAME).uploads.resume(session.id)
    last.commit(Digest.of(CONTENT, algorithm))
    expected = 0 if announced or algorithm == "sha256" else 1
    assert reads(driver, session.id) == expected


@every_algorithm
def test_a_push_in_one_piece_reads_nothing(
    repository: LocalRepository, driver: WatchedDriver, algorithm: str
) -> None:
    """Whatever the digest that the commit tells: both are taken as bytes arrive."""
    session = repository.uploads.start()
    session.commit(Digest.of(CONTENT, algorithm), [CONTENT])
    assert reads(driver, session.id) == 0


def test_states_are_those_of_distribution(
    repository: LocalRepository, driver: WatchedDriver
) -> None:
    """One after each request, by algorithm and offset, in the form of Go."""
    session = repository.uploads.start("sha512")
    session.append([CONTENT[:100]])
    session.append([CONTENT[100:300]])
    kept = states(driver, session.id)
    for algorithm in ("sha256", "sha512"):
        for offset in (100, 300):
            digester = make_digester(algorithm)
            digester.update(CONTENT[:offset])
            assert kept[f"{algorithm}/{offset}"] == digester.state()
    assert struct.unpack(">Q", kept["sha256/300"][-8:]) == (300,)


def test_large_content_is_digested_beside_its_arrival(
    make_registry: MakeRegistry, driver: WatchedDriver
) -> None:
    """What is digested in a thread gives the same digests and the same states."""
    chunk = CONTENT * 200
    session = make_registry().repository(NAME).uploads.start("sha512")
    session.append([chunk] * 5)
    digester = make_digester("sha512")
    digester.update(chunk * 5)
    assert states(driver, session.id)[f"sha512/{len(chunk) * 5}"] == digester.state()
    with pytest.raises(Broken):
        session.append(breaking(chunk, chunk, chunk))
    session = make_registry().repository(NAME).uploads.resume(session.id)
    session.commit(Digest.of(chunk * 9, "sha512"), [chunk], len(chunk) * 8)
    assert reads(driver, session.id) == 0
    assert not [each for each in threading.enumerate() if "digest" in each.name]


def damage(driver: WatchedDriver, session_id: str, how: str) -> None:
    """Damage all states of a session."""
    for name, content in states(driver, session_id).items():
        path = f"{paths.hash_states(NAME, session_id)}/{name}"
        if how == "missing":
            driver.inner.delete(path)
        elif how == "cut":
            driver.inner.put_content(path, content[:-1])
        elif how == "empty":
            driver.inner.put_content(path, b"")
        elif how == "another offset":
            other = make_digester(name.partition("/")[0])
            other.update(b"x")
            state = other.state()
            assert state is not None
            driver.inner.put_content(path, state)
        else:
            driver.inner.put_content(path, b"\0" * len(content))


@every_algorithm
@pytest.mark.parametrize("how", ["missing", "cut", "empty", "another offset", "zeros"])
def test_without_a_good_state_content_is_read_once(
    make_registry: MakeRegistry, driver: WatchedDriver, algorithm: str, how: str
) -> None:
    """A state that is lost or damaged costs time and never a wrong digest."""
    session = make_registry().repository(NAME).uploads.start(algorithm)
    session.append([CONTENT[:1000]])
    damage(driver, session.id, how)
    session.append([CONTENT[1000:1500]])
    last = make_registry().repository(NAME).uploads.resume(session.id)
    last.commit(Digest.of(CONTENT, algorithm), [CONTENT[1500:]], 1500)
    assert reads(driver, session.id) == 1
    assert make_registry().repository(NAME).blobs.get(Digest.of(CONTENT)) == CONTENT


def test_foreign_files_among_the_states_do_no_harm(
    repository: LocalRepository, driver: WatchedDriver
) -> None:
    """A name that is no algorithm of ours is left alone."""
    session = repository.uploads.start()
    base = paths.hash_states(NAME, session.id)
    driver.put_content(f"{base}/blake3/0", b"state")
    session.append([CONTENT[:10]])
    session.append([CONTENT[10:]])
    session.commit(Digest.of(CONTENT))


def test_a_state_of_bytes_that_were_lost_is_never_used(
    make_registry: MakeRegistry, driver: WatchedDriver
) -> None:
    """A file that is shorter than the last state says grew with other bytes.

    Without flushes a power cut leaves it so.
    """
    session = make_registry().repository(NAME).uploads.start()
    session.append([CONTENT[:500]])
    data = paths.upload_data(NAME, session.id)
    with driver.inner.writer(data) as writer:
        writer.write(CONTENT[:200])
    again = make_registry().repository(NAME).uploads.resume(session.id)
    assert again.size == 200
    again.append([b"other bytes, 300 of them".ljust(300, b".")], 200)
    expected = CONTENT[:200] + b"other bytes, 300 of them".ljust(300, b".")
    with pytest.raises(DigestInvalid):
        again.commit(Digest.of(CONTENT[:500]))
    again.commit(Digest.of(expected))


def test_a_cache_keeps_no_states(
    make_registry: MakeRegistry, driver: WatchedDriver
) -> None:
    """For the store of a pull-through cache resumable digests are off."""
    repository = make_registry(is_cache=True).repository(NAME)
    session = repository.uploads.start("sha512")
    session.append([CONTENT[:100]])
    assert states(driver, session.id) == {}
    session.append([CONTENT[100:]])
    session.commit(Digest.of(CONTENT, "sha512"))
    assert reads(driver, session.id) == 1
    driver.calls.clear()
    session = repository.uploads.start()
    session.commit(Digest.of(CONTENT), [CONTENT])
    assert reads(driver, session.id) == 0


def test_without_openssl_pushes_are_right_too(
    make_registry: MakeRegistry, driver: WatchedDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No states are kept, and a push in pieces is read once."""
    monkeypatch.setattr(digest_module, "_libcrypto", lambda: None)
    session = make_registry().repository(NAME).uploads.start()
    session.append([CONTENT[:100]])
    session.append([CONTENT[100:]])
    assert states(driver, session.id) == {}
    session.commit(Digest.of(CONTENT))
    assert reads(driver, session.id) == 1


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    content=st.binary(max_size=600),
    cuts=st.lists(st.integers(0, 600), max_size=5),
    algorithm=st.sampled_from(ALGORITHMS),
    announced=st.booleans(),
)
def test_any_cuts(
    make_registry: MakeRegistry,
    content: bytes,
    cuts: list[int],
    algorithm: str,
    announced: bool,
) -> None:
    """Wherever a push is cut, and in whatever process it goes on, it ends right."""
    registries = [make_registry(), make_registry()]
    session = (
        registries[0]
        .repository(NAME)
        .uploads.start(algorithm if announced else "sha256")
    )
    for number, cut in enumerate(sorted(cuts)):
        uploads = registries[number % 2].repository(NAME).uploads
        mine = uploads.resume(session.id)
        with pytest.raises(Broken):
            mine.append(breaking(content[mine.size : cut]), mine.size)
    last = registries[1].repository(NAME).uploads.resume(session.id)
    digest = Digest.of(content, algorithm)
    last.commit(digest, [content[last.size :]], last.size)
    assert registries[0].repository(NAME).blobs.get(digest) == content
