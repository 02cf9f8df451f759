"""Readers: an object as it comes, gone on with where a connection breaks."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable
from functools import partial

from flaskreg.driver import PathNotFound
from flaskreg_s3.bucket import Bucket
from flaskreg_s3.failures import S3Error
from flaskreg_s3.failures import pauses
from flaskreg_s3.relay import Relay
from flaskreg_s3.wire import Answer


#: what is asked for at once by who begins in the middle, in bytes: he may want little.
#: Each further time it is twice as much.
_FIRST_WINDOW = 4 << 20
_LARGEST_WINDOW = 256 << 20
_READ = 128 << 10


class ObjectReader(io.RawIOBase):
    """An object, read from an offset on.

    It stays the object that was opened: one that took its place is not read.

    :param path: of the driver, for errors.
    """

    def __init__(self, bucket: Bucket, path: str, key: str, offset: int) -> None:
        super().__init__()
        self._bucket = bucket
        self._path = path
        self._key = key
        self._at = offset
        self._window = _FIRST_WINDOW
        #: where the object ends; ``None`` before anything is known of it.
        self._size: int | None = None
        self._tag = ""
        self._answer: Answer | None = None
        #: where the bytes of the answer end.
        self._end = 0
        self._open()

    def readable(self) -> bool:
        """Whether it can be read: always."""
        return True

    def seekable(self) -> bool:
        """Whether it can go to another place: always."""
        return True

    def tell(self) -> int:
        """Return where it is, in bytes."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; what is there is asked for when it is read."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size or 0}
        target = base[whence] + offset
        if target != self._at:
            self._let_go()
            self._at, self._window = target, _FIRST_WINDOW
        return target

    def read(self, size: int = -1) -> bytes:
        """Return at most *size* bytes, all that are left when it is negative."""
        if size >= 0:
            return self._read_some(size)
        pieces = []
        while piece := self._read_some(_READ):
            pieces.append(piece)
        return b"".join(pieces)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer as far as bytes come at once."""
        data = self._read_some(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def send_to(self, sock: socket.socket, count: int) -> int:
        """Send at most *count* bytes to a socket, and return how many there were.

        They stay in the kernel where the connection to the server is a plain one.

        :raises OSError: the one at the socket is gone, or takes nothing.
        :raises S3Error: they cannot be had.
        """
        left = count
        with Relay(sock) as relay:
            while left and (moved := self._advance(partial(relay.take, left))):
                relay.send(moved)
                left -= moved
        return count - left

    def close(self) -> None:
        """Let go of the connection."""
        self._let_go()
        super().close()

    def _read_some(self, size: int) -> bytes:
        data = b""

        def take(answer: Answer) -> int:
            nonlocal data
            data = answer.read(size)
            return len(data)

        if size:
            self._advance(take)
        return data

    def _advance(self, take: Callable[[Answer], int]) -> int:
        """Take what comes next, of another answer where one breaks off.

        :param take: takes bytes of an answer, and returns how many.
        :returns: the same; 0 at the end of the object.
        :raises S3Error: it cannot be had.
        """
        waits = pauses()
        while self._size is not None and self._at < self._size:
            if self._answer is None:
                self._open()
                continue
            try:
                count = take(self._answer)
            except OSError as fault:
                self._let_go()
                if next(waits, None) is None:
                    raise S3Error(self._key, 0, type(fault).__name__) from fault
                continue
            self._at += count
            if self._at >= self._end or not count:
                self._let_go()
            if count:
                return count
        return 0

    def _open(self) -> None:
        """Ask for the object from here on, or for a window of it."""
        headers = {"if-match": self._tag} if self._tag else {}
        if self._at:
            headers["range"] = f"bytes={self._at}-{self._at + self._window - 1}"
            self._window = min(self._window * 2, _LARGEST_WINDOW)
        try:
            answer = self._bucket.get(self._key, headers)
        except S3Error as error:
            if error.status == 416:
                self._size = self._at
                return
            if error.missing:
                raise PathNotFound(self._path) from None
            raise
        length = int(answer.headers.get("content-length", 0))
        _, _, total = answer.headers.get("content-range", "").rpartition("/")
        self._size = int(total) if total.isdigit() else length
        self._tag = answer.headers.get("etag", "")
        if self._at and answer.status == 200:
            # A server that knows no ranges sends all of it.
            self._skip(answer, self._at)
        self._answer, self._end = answer, self._at + length
        if not length:
            self._let_go()

    def _skip(self, answer: Answer, count: int) -> None:
        while count and (data := answer.read(min(count, _READ))):
            count -= len(data)

    def _let_go(self) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.close()
