"""Writers: content that grows as a multipart upload, or fits into memory.

What is left uncommitted is a pending multipart upload at the key itself, which is
CNCF distribution's form: it goes on with ours, and we with its. Small content that is
committed is kept until it is moved, and then written once, where it belongs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from concurrent.futures import Future

from flaskreg.driver import FileWriter
from flaskreg.driver import InvalidOffset
from flaskreg.driver import PathNotFound
from flaskreg_s3.bucket import Bucket
from flaskreg_s3.bucket import split
from flaskreg_s3.documents import Part
from flaskreg_s3.failures import S3Error
from flaskreg_s3.lock import LockHeld
from flaskreg_s3.lock import WriterLock
from flaskreg_s3.parameters import SMALLEST_PART
from flaskreg_s3.pending import Found


#: parts of one writer that are on their way at once.
_UNDER_WAY = 2
#: S3 allows 10,000 parts; from each of so many on they are twice as large, so that
#: 5 TiB, the most that an object can have, fits at any part size.
_DOUBLING = 1000
#: what is copied at once of content that is gone on with, in bytes.
_COPIED = 1 << 30


class S3Writer(FileWriter):
    """Content on its way to a key.

    :param path: of the driver, for errors.
    :param key: of the object.
    :param target: the key at which the upload is made; the same key, or that to which
        the content is moved: then it is completed by the move and not before.
    :param lock: held by this writer.
    :param found: what is there to go on with; ``None`` to begin.
    :param part_size: of the first parts, in bytes.
    :param executor: makes the threads in which parts travel.
    :param on_close: called once at the end.
    """

    def __init__(
        self,
        bucket: Bucket,
        path: str,
        key: str,
        target: str,
        lock: WriterLock,
        found: Found | None,
        *,
        part_size: int,
        executor: Callable[[], Executor],
        on_close: Callable[[], None],
    ) -> None:
        self.path = path
        self.lock = lock
        self.size = found.size if found else 0
        self.committed = False
        #: whether no other upload waits at the key.
        self.alone = found is None or found.alone
        self._bucket = bucket
        self._key = key
        self._target = target
        self.keeps = target == key
        self._found = found
        self._part_size = part_size
        self._executor = executor
        self._on_close: Callable[[], None] | None = on_close
        self._ended = False
        #: an object is at the key that the upload takes the place of.
        self._replaces = found is not None and found.upload is None
        self._upload = found.upload if found else None
        self._parts = list(found.parts) if found else []
        self._under_way: deque[Future[Part]] = deque()
        self._buffer = bytearray()
        #: the part that holds the buffer so far; it is written again when more comes.
        self._tail: Part | None = None
        self._held: bytes | None = None

    def write(self, chunk: bytes) -> None:
        """Append a chunk; full parts leave while the next chunks come."""
        if self._ended:
            raise ValueError(f"the writer of {self.path} has ended")
        self._keep_lock()
        if not chunk:
            return
        self._go_on()
        self._buffer += chunk
        self.size += len(chunk)
        # The end of the content has to be a part that can be followed by others.
        while len(self._buffer) >= self._next_size() + SMALLEST_PART:
            self._send_part(self._next_size())

    def flush(self) -> None:
        """Upload what is in memory, so that anybody can go on with it."""
        if self._ended or not self.keeps:
            return
        if not self._buffer and self._upload is None and self._replaces:
            return
        self._open_upload()
        self._upload_tail()
        self._settle()
        self._drop_replaced()

    def commit(self) -> None:
        """Complete the upload, or keep small content for where it is moved to."""
        self._keep_lock()
        self._ended = self.committed = True
        if self._buffer and self._is_in_memory():
            self._held = bytes(self._buffer)
        elif self._under_way or self._buffer or self._parts:
            self._open_upload()
            self._upload_tail()
            self._settle()
            if self.keeps:
                self._complete()
            return
        elif not self._replaces:
            self._held = b""
        self._abort()

    def cancel(self) -> None:
        """Abort the upload, and delete an object that it was to follow."""
        self._ended = True
        self._forget_parts()
        self._held = None
        self._abort()
        if self._replaces or self.committed:
            self._bucket.delete(self._key)
            self._replaces = False

    def close(self) -> None:
        """Upload what is left, and let go of the path."""
        on_close, self._on_close = self._on_close, None
        if on_close is None:
            return
        try:
            if self._held is not None:
                self._bucket.put(self._key, self._held)
                self._held = None
            elif not self._ended:
                self.flush()
        finally:
            self._ended = True
            self._forget_parts()
            try:
                if not self.keeps:
                    self._abort()
                self.lock.release()
            finally:
                on_close()

    @property
    def held(self) -> bytes | None:
        """Committed content that is in memory alone."""
        return self._held

    def move(self, target: str) -> bool:
        """Write committed content at another key, when that costs no copy.

        :returns: whether it is there now, and no longer at this writer's key.
        """
        if self._held is not None:
            self._bucket.put(target, self._held)
            self._held = None
            self._drop_replaced()
            return True
        if self.committed and self._upload is not None and target == self._target:
            self._complete()
            return True
        return False

    def _is_in_memory(self) -> bool:
        return not self._parts and not self._under_way and self._tail is None

    def _keep_lock(self) -> None:
        try:
            self.lock.keep()
        except LockHeld:
            raise InvalidOffset(self.path) from None

    def _next_size(self) -> int:
        number = len(self._parts) + len(self._under_way)
        return self._part_size << (number // _DOUBLING)

    def _go_on(self) -> None:
        """Make what was found into something that further parts can follow."""
        found, self._found = self._found, None
        if found is None or not found.size:
            return
        ends = found.parts[-1].size if found.parts else 0
        if found.upload is not None and ends >= SMALLEST_PART and not self.lock.stolen:
            return
        if found.upload is not None:
            # A writer that lost the lock and lives on can do nothing to a new upload.
            self._bucket.complete(self._key, found.upload, found.parts)
        self._upload, self._parts, self._replaces = None, [], True
        if found.size < SMALLEST_PART:
            self._buffer += self._bucket.read(self._key)
            return
        upload = self._open_upload()
        for number, (first, end) in enumerate(split(found.size, _COPIED), 1):
            self._parts.append(
                self._bucket.copy_part(self._key, self._key, upload, number, first, end)
            )
        self._drop_replaced()

    def _open_upload(self) -> str:
        if self._upload is None:
            self._upload = self._bucket.create_upload(self._target)
        return self._upload

    def _abort(self) -> None:
        if self._upload is not None:
            self._bucket.abort(self._target, self._upload)
            self._upload = None

    def _send_part(self, size: int) -> None:
        """Let the first *size* bytes of the buffer leave."""
        content = self._buffer
        self._buffer = content[size:]
        del content[size:]
        self._tail = None
        if len(self._under_way) >= _UNDER_WAY:
            self._parts.append(self._arrived())
        number = len(self._parts) + len(self._under_way) + 1
        upload = self._open_upload()
        self._under_way.append(
            self._executor().submit(
                self._bucket.upload_part,
                self._target,
                upload,
                number,
                memoryview(content),
            )
        )

    def _settle(self) -> None:
        while self._under_way:
            self._parts.append(self._arrived())

    def _arrived(self) -> Part:
        try:
            return self._under_way.popleft().result()
        except S3Error as error:
            raise self._translated(error) from error

    def _translated(self, error: S3Error) -> Exception:
        if error.missing:
            return PathNotFound(self.path, "the upload was aborted")
        return error

    def _upload_tail(self) -> None:
        """Upload the buffer; a large enough one is done with."""
        self._settle()
        if not self._buffer or (self._tail and self._tail.size == len(self._buffer)):
            return
        number = len(self._parts) + 1
        content = bytes(self._buffer)
        try:
            self._tail = self._bucket.upload_part(
                self._target, self._open_upload(), number, content
            )
        except S3Error as error:
            raise self._translated(error) from error
        if len(content) >= SMALLEST_PART:
            self._parts.append(self._tail)
            self._tail, self._buffer = None, bytearray()

    def _complete(self) -> None:
        parts = self._parts if self._tail is None else [*self._parts, self._tail]
        try:
            self._bucket.complete(self._target, self._open_upload(), parts)
        except S3Error as error:
            raise self._translated(error) from error
        self._upload = None

    def _drop_replaced(self) -> None:
        if self._replaces:
            self._bucket.delete(self._key)
            self._replaces = False

    def _forget_parts(self) -> None:
        """Wait for what is on its way: nobody else may write before it arrived."""
        while self._under_way:
            future = self._under_way.popleft()
            if not future.cancel():
                future.exception()
