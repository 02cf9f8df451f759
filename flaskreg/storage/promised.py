"""Upload sessions of which nothing is stored yet.

Most blobs are small and come whole, right after their session was started. Such a
session lives in the signed state that its client was given: a small blob goes from
memory to its place, and what would be made and deleted again is never made. A file
system has to look for a fresh inode past all that were deleted just before, and an
object store charges for each of them.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from datetime import datetime
from itertools import chain

from flaskreg.descriptor import Descriptor
from flaskreg.digest import Digest
from flaskreg.errors import RangeInvalid
from flaskreg.errors import RegistryError
from flaskreg.services import UploadSession
from flaskreg.storage.linkedblobs import LinkedBlobStore


#: bytes that are held in memory before a session begins in the storage.
_HELD = 256 << 10


class PromisedUpload(UploadSession):
    """A session that begins in the storage when it has to.

    :param blobs: the blobs that it joins at commit.
    :param session_id: a UUID.
    :param started_at: when it was promised.
    :param owner: to whom.
    :param begin: stores it, and returns the session that goes on.
    :param revoke: stores that it was cancelled, for its state can still be shown.
    :param measure: returns how many bytes the storage has all the same: a power cut may
        take the start of a session and leave its data.
    """

    stored = False

    def __init__(
        self,
        blobs: LinkedBlobStore,
        session_id: str,
        started_at: datetime,
        owner: str,
        *,
        begin: Callable[[], UploadSession],
        revoke: Callable[[], None],
        measure: Callable[[], int],
    ) -> None:
        self.id = session_id
        self.started_at = started_at
        self.owner = owner
        self._blobs = blobs
        self._begin = begin
        self._revoke = revoke
        self._measure = measure
        self._begun: UploadSession | None = None

    @property
    def size(self) -> int:
        """Return the bytes received so far."""
        return self._measure() if self._begun is None else self._begun.size

    def append(self, chunks: Iterable[bytes], at: int | None = None) -> int:
        """Begin in the storage, and append there."""
        self._expect(at)
        return self._stored().append(chunks, at)

    def commit(
        self, digest: Digest, chunks: Iterable[bytes] = (), at: int | None = None
    ) -> Descriptor:
        """Store a small blob at once, and begin in the storage for any other."""
        if at or (at is None and self.size):
            self._expect(at)
            return self._stored().commit(digest, chunks, at)
        held, pieces, arriving = 0, [], iter(chunks)
        try:
            for piece in arriving:
                pieces.append(piece)
                held += len(piece)
                if held > _HELD:
                    return self._stored().commit(digest, chain(pieces, arriving), at)
            return self._blobs.take(b"".join(pieces), digest)
        except RegistryError:
            if pieces and self._begun is None:
                # What the client sent stays, and can be gone on with.
                self.append(pieces)
            raise

    def cancel(self) -> None:
        """Drop the session, also for who comes with its state."""
        self._revoke()

    def discard(self) -> None:
        """Drop what was received; nobody was told of the session."""
        if self._begun is not None:
            self._begun.cancel()

    def _stored(self) -> UploadSession:
        if self._begun is None:
            self._begun = self._begin()
            self.stored = True
        return self._begun

    def _expect(self, at: int | None) -> None:
        if at and at != self.size:
            raise RangeInvalid(
                f"the upload has {self.size} bytes",
                headers={"Range": f"0-{max(self.size - 1, 0)}"},
            )
