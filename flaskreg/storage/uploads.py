"""Upload sessions: promise, start, resume, append, commit, cancel.

The size of the file is the truth of a session's offset. While bytes arrive they are
digested, and the state of the running digest is kept beside the data, in the form of
CNCF distribution, so that any process goes on with it and a commit reads nothing again.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from datetime import UTC
from datetime import datetime
from datetime import timedelta

from flaskreg.descriptor import Descriptor
from flaskreg.digest import CANONICAL
from flaskreg.digest import Digest
from flaskreg.digest import Digester
from flaskreg.digest import make_digester
from flaskreg.digest import parse_algorithm
from flaskreg.driver import FileWriter
from flaskreg.driver import InvalidOffset
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.errors import BlobUploadUnknown
from flaskreg.errors import RangeInvalid
from flaskreg.mediatypes import OCTET_STREAM
from flaskreg.names import make_session_id
from flaskreg.names import parse_session_id
from flaskreg.services import UploadSession
from flaskreg.services import UploadStore
from flaskreg.storage import paths
from flaskreg.storage.digesting import Digesting
from flaskreg.storage.hashstates import HashStates
from flaskreg.storage.linkedblobs import LinkedBlobStore
from flaskreg.storage.linkedblobs import expect_digest
from flaskreg.storage.promised import PromisedUpload


#: bytes read at a time where content has to be read again.
_STEP = 1 << 20

#: how long a session may begin after it was promised; distribution purges after that.
_PROMISE = timedelta(hours=168)

#: the start of a session that was cancelled before its first bytes came. Whoever purges
#: takes it for a very old one.
_REVOKED = b"1970-01-01T00:00:00Z"


class LocalUpload(UploadSession):
    """An upload session on a storage driver.

    :param driver: where its bytes go.
    :param blobs: the blobs that it joins at commit.
    :param name: of the repository.
    :param session_id: a UUID.
    :param started_at: when it was started.
    :param resumable: whether the states of running digests are kept.
    :param expected: bytes that it probably has, which spares a look when it does;
        ``None`` to look.
    :param size: bytes that it has, where that is sure.
    """

    #: stores that it was cancelled, when the state of its promise can still be shown.
    revoke: Callable[[], None] | None = None

    def __init__(
        self,
        driver: StorageDriver,
        blobs: LinkedBlobStore,
        name: str,
        session_id: str,
        started_at: datetime,
        *,
        resumable: bool,
        expected: int | None = None,
        size: int | None = None,
    ) -> None:
        self.id = session_id
        self.started_at = started_at
        self._driver = driver
        self._blobs = blobs
        self._name = name
        self._data = paths.upload_data(name, session_id)
        self._states = HashStates(driver, name, session_id)
        self._resumable = resumable
        # Without an expectation it has to be known before anybody changes it.
        self._size = self._stored_size() if expected is None else size
        self._expected = expected

    @property
    def size(self) -> int:
        """Return the bytes received so far."""
        if self._size is None:
            self._size = self._stored_size()
        return self._size

    def append(self, chunks: Iterable[bytes], at: int | None = None) -> int:
        """Append bytes and keep the state of the running digests."""
        with self._writer(at) as writer:
            digesters = self._kept_digesters(writer.size) if self._resumable else []
            try:
                self._receive(chunks, writer, digesters)
            finally:
                self._keep(writer, digesters)
        return self.size

    def commit(
        self, digest: Digest, chunks: Iterable[bytes] = (), at: int | None = None
    ) -> Descriptor:
        """Append the last bytes, verify, and move the content into the store."""
        with self._writer(at, digest) as writer:
            digesters = self._digesters(writer.size, {CANONICAL, digest.algorithm})
            try:
                self._receive(chunks, writer, digesters)
            except BaseException:
                if writer.keeps:
                    self._keep(writer, digesters)
                raise
            writer.commit()
            known = self._complete(digesters, digest.algorithm)
            expect_digest(known[digest.algorithm], digest)
            descriptor = Descriptor(OCTET_STREAM, known[CANONICAL], self.size)
            self._blobs.adopt(self._data, digest, descriptor)
            # Before the writer lets go: what it holds of the session goes with it.
            self._discard()
        return descriptor

    def cancel(self) -> None:
        """Drop the session."""
        self._discard()
        if self.revoke is not None:
            self.revoke()

    def _stored_size(self) -> int:
        try:
            return self._driver.stat(self._data).size
        except PathNotFound:
            return 0

    @contextmanager
    def _writer(
        self, at: int | None, digest: Digest | None = None
    ) -> Iterator[FileWriter]:
        try:
            writer = self._open(at, digest)
        except (InvalidOffset, PathNotFound):
            raise self._misplaced() from None
        with writer:
            try:
                yield writer
            except InvalidOffset:
                # Another process took the path over.
                raise self._misplaced() from None

    def _open(self, at: int | None, digest: Digest | None) -> FileWriter:
        """Open a writer.

        :param digest: of all the content, when what is written now is its end.
        """
        if at is None and self._size is None and self._expected is not None:
            with suppress(InvalidOffset, PathNotFound):
                return self._open_at(self._expected, digest)
        return self._open_at(self.size if at is None else at, digest)

    def _open_at(self, at: int, digest: Digest | None) -> FileWriter:
        direct = None
        if at == 0 and digest is not None and digest.canonical:
            # What it receives is the whole blob, whose place is known.
            direct = self._driver.direct_writer(self._data, paths.blob_data(digest))
        return direct or self._driver.writer(self._data, append_at=at)

    def _misplaced(self) -> RangeInvalid | BlobUploadUnknown:
        """Return the error for a chunk that does not begin where the content ends."""
        try:
            self._driver.stat(paths.upload_started(self._name, self.id))
        except PathNotFound:
            return BlobUploadUnknown("blob upload unknown")
        size = self._stored_size()
        return RangeInvalid(
            f"the upload has {size} bytes",
            headers={"Range": f"0-{max(size - 1, 0)}"},
        )

    def _receive(
        self, chunks: Iterable[bytes], writer: FileWriter, digesters: list[Digester]
    ) -> None:
        try:
            with Digesting(digesters) as digesting:
                for chunk in chunks:
                    writer.write(chunk)
                    digesting.update(chunk)
        finally:
            self._size = writer.size

    def _keep(self, writer: FileWriter, digesters: list[Digester]) -> None:
        """Make what has arrived durable, and then the digest states of it."""
        writer.flush()
        if self._resumable:
            for digester in digesters:
                if digester.size == self.size:
                    self._states.save(digester)

    def _kept_digesters(self, offset: int) -> list[Digester]:
        """Return the running digests of all algorithms that are kept."""
        return self._digesters(offset, self._states.algorithms())

    def _digesters(self, offset: int, wanted: set[str]) -> list[Digester]:
        """Return the running digests after *offset* bytes, as far as they are known."""
        if not self._resumable:
            algorithms = wanted if offset == 0 else set()
            return [make_digester(algorithm) for algorithm in sorted(algorithms)]
        found = []
        for algorithm in sorted(wanted):
            digester = self._states.load(algorithm, offset)
            if digester is None:
                self._states.forget(algorithm)
            else:
                found.append(digester)
        return found

    def _complete(self, digesters: list[Digester], algorithm: str) -> dict[str, Digest]:
        """Return the digests of all the content, reading it again for a lost state."""
        known = {
            digester.algorithm: digester.digest()
            for digester in digesters
            if digester.size == self.size
        }
        missing = {CANONICAL, algorithm} - known.keys()
        if missing:
            again = [make_digester(name) for name in missing]
            with self._driver.reader(self._data) as reader:
                while chunk := reader.read(_STEP):
                    for digester in again:
                        digester.update(chunk)
            known.update((digester.algorithm, digester.digest()) for digester in again)
        return known

    def _discard(self) -> None:
        with suppress(PathNotFound):
            self._driver.delete(paths.upload(self._name, self.id), durable=False)


class LocalUploads(UploadStore):
    """The upload sessions of one repository.

    :param driver: where they are.
    :param blobs: the blobs that they join.
    :param name: of the repository.
    :param resumable: whether a session can go on without digesting all again; off for
        a pull-through cache.
    """

    def __init__(
        self,
        driver: StorageDriver,
        blobs: LinkedBlobStore,
        name: str,
        *,
        resumable: bool,
    ) -> None:
        self._driver = driver
        self._blobs = blobs
        self._name = name
        self._resumable = resumable

    def start(self, algorithm: str = CANONICAL, owner: str = "") -> UploadSession:
        """Start a session; nothing of it has to survive a power cut yet."""
        parse_algorithm(algorithm)
        session_id, now = make_session_id(), _now()
        self._note(session_id, now, owner)
        # Nobody can have sent it anything: its name was not told yet.
        session = self._session(session_id, now, expected=0, size=0)
        if self._resumable and algorithm != CANONICAL:
            states = HashStates(self._driver, self._name, session.id)
            states.save(make_digester(algorithm))
        return session

    def promise(self, owner: str = "") -> UploadSession:
        """Return a session that is started when its first bytes come."""
        return self._promised(make_session_id(), _now(), owner, told=False)

    def take(self, digest: Digest, chunks: Iterable[bytes]) -> Descriptor:
        """Store a whole blob that no session is needed for."""
        session = self._promised(make_session_id(), _now(), "", told=False)
        try:
            return session.commit(digest, chunks)
        except BaseException:
            session.discard()
            raise

    def resume(
        self,
        session_id: str,
        owner: str = "",
        promised: datetime | None = None,
        expected: int | None = None,
    ) -> UploadSession:
        """Return a session that was started in this repository by its owner."""
        path = paths.upload_started(self._name, parse_session_id(session_id))
        try:
            started = self._driver.get_content(path)
        except PathNotFound:
            if promised is None or promised < _now() - _PROMISE:
                raise BlobUploadUnknown("blob upload unknown") from None
            return self._promised(session_id, promised, owner, told=True)
        if started == _REVOKED or self._owner(session_id) not in ("", owner):
            raise BlobUploadUnknown("blob upload unknown")
        moment = _parse_time(started.decode("ascii", "replace"))
        session = self._session(session_id, moment, expected)
        if promised is not None:
            session.revoke = lambda: self._put_started(session_id, _REVOKED)
        return session

    def _promised(
        self, session_id: str, started_at: datetime, owner: str, *, told: bool
    ) -> PromisedUpload:
        return PromisedUpload(
            self._blobs,
            session_id,
            started_at,
            owner,
            begin=lambda: self._begin(session_id, started_at, owner),
            revoke=lambda: self._put_started(session_id, _REVOKED),
            measure=lambda: self._session(session_id, started_at).size if told else 0,
        )

    def _begin(self, session_id: str, started_at: datetime, owner: str) -> LocalUpload:
        self._note(session_id, started_at, owner)
        return self._session(session_id, started_at, expected=0)

    def _note(self, session_id: str, started_at: datetime, owner: str) -> None:
        """Let the storage know of a session."""
        if owner:
            path = paths.upload_owner(self._name, session_id)
            self._driver.put_content(path, owner.encode(), durable=False)
        stamp = started_at.strftime("%Y-%m-%dT%H:%M:%SZ").encode("ascii")
        self._put_started(session_id, stamp)

    def _put_started(self, session_id: str, stamp: bytes) -> None:
        path = paths.upload_started(self._name, session_id)
        self._driver.put_content(path, stamp, durable=False)

    def _owner(self, session_id: str) -> str:
        path = paths.upload_owner(self._name, session_id)
        try:
            return self._driver.get_content(path).decode("utf-8", "replace")
        except PathNotFound:
            return ""

    def _session(
        self,
        session_id: str,
        started_at: datetime,
        expected: int | None = None,
        size: int | None = None,
    ) -> LocalUpload:
        return LocalUpload(
            self._driver,
            self._blobs,
            self._name,
            session_id,
            started_at,
            resumable=self._resumable,
            expected=expected,
            size=size,
        )


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _parse_time(text: str) -> datetime:
    try:
        parsed = datetime.fromisoformat(text.strip())
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
