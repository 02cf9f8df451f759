"""Writers: content that grows in a session of the service."""

from __future__ import annotations

from contextlib import suppress

from google.api_core.exceptions import NotFound

from flaskreg.driver import FileWriter
from flaskreg.driver import PathNotFound
from flaskreg_gcs.lock import WriterLock
from flaskreg_gcs.parameters import UNIT
from flaskreg_gcs.service import GcsFailure
from flaskreg_gcs.service import Service
from flaskreg_gcs.sessions import CONTENT
from flaskreg_gcs.sessions import Parked
from flaskreg_gcs.sessions import begin_session
from flaskreg_gcs.sessions import park
from flaskreg_gcs.sessions import put_piece


class GcsWriter(FileWriter):
    """Content on its way to an object.

    :param service: where it goes.
    :param path: of the driver, for errors.
    :param key: of the object.
    :param lock: held by this writer.
    :param found: what earlier writers left.
    :param chunksize: what is sent at a time, in bytes.
    """

    def __init__(
        self,
        service: Service,
        path: str,
        key: str,
        lock: WriterLock,
        found: Parked,
        chunksize: int,
    ) -> None:
        self.size = found.size
        self._service = service
        self._path = path
        self._key = key
        self._lock: WriterLock | None = lock
        self._session = found.session
        self._offset = found.offset
        self._buffer = bytearray(found.rest)
        self._chunksize = chunksize
        self._ended = False
        #: whether there is something that the parked object does not tell.
        self._changed = True

    def write(self, chunk: bytes) -> None:
        """Keep a chunk, and send what fills a piece."""
        self._check()
        self._buffer += chunk
        self.size += len(chunk)
        self._changed = True
        while len(self._buffer) >= self._chunksize:
            self._send(self._chunksize)
        self._renew()

    def flush(self) -> None:
        """Send whole units, and park the rest: both survive."""
        if not self._changed or self._ended:
            return
        while len(self._buffer) >= UNIT:
            whole = len(self._buffer) - len(self._buffer) % UNIT
            self._send(min(whole, self._chunksize))
        self._renew()
        with self._service.turn(self._path) as bucket:
            parked = Parked(self._session, self._offset, bytes(self._buffer))
            park(bucket.blob(self._key), parked, self._service.retry)
        self._changed = False

    def commit(self) -> None:
        """End the session, or put small content whole."""
        self._check()
        self._renew()
        if not self._session:
            with self._service.turn(self._path) as bucket:
                blob = bucket.blob(self._key)
                blob.upload_from_string(
                    bytes(self._buffer), content_type=CONTENT, retry=self._service.retry
                )
        else:
            self._finish()
        self._ended = True
        self._buffer.clear()

    def cancel(self) -> None:
        """Delete what is there, and the session."""
        self._check()
        self._ended = True
        with self._service.turn(self._path) as bucket, suppress(NotFound):
            bucket.blob(self._key).delete(retry=self._service.retry)
        if self._session:
            # What ends it answers with 499, or is gone already.
            with suppress(GcsFailure, PathNotFound):
                self._service.send(self._path, "DELETE", self._session)

    def close(self) -> None:
        """Park what is kept, and let go of the lock."""
        lock, self._lock = self._lock, None
        if lock is None:
            return
        try:
            self.flush()
        finally:
            self._ended = True
            lock.release()

    def absorb(self, content: bytes) -> None:
        """Take content that was committed before as if it had just come."""
        self.size -= len(content)
        self.write(content)

    def _finish(self) -> None:
        while len(self._buffer) > self._chunksize:
            self._send(self._chunksize)
        while True:
            piece = memoryview(self._buffer)
            try:
                taken = put_piece(
                    self._service,
                    self._path,
                    self._session,
                    piece,
                    self._offset,
                    self.size,
                )
            finally:
                piece.release()
            self._advance(taken)
            if not self._buffer:
                return

    def _send(self, length: int) -> None:
        """Send bytes that are a multiple of a unit."""
        if not self._session:
            self._session = begin_session(self._service, self._path, self._key)
        with memoryview(self._buffer)[:length] as piece:
            taken = put_piece(
                self._service, self._path, self._session, piece, self._offset
            )
        if not taken:
            raise GcsFailure(self._path, "the upload session takes no more")
        self._advance(taken)

    def _advance(self, taken: int) -> None:
        self._offset += taken
        del self._buffer[:taken]

    def _renew(self) -> None:
        if self._lock is not None:
            self._lock.renew()

    def _check(self) -> None:
        if self._ended or self._lock is None:
            raise ValueError(f"the writer of {self._path} has ended")
