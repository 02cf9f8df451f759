"""A request's body of known length, read from its socket as it arrives."""

from __future__ import annotations

import io
import socket
from typing import Any


#: the most bytes that are received at once.
MOST_AT_ONCE = 1 << 20


class SocketBody(io.RawIOBase):
    """The body of one request.

    gunicorn's own reader collects what is asked for and copies it twice. This one can
    hand on what there is (:meth:`read1`), so that nothing is lost when a client stops
    in the middle, and large bodies are not copied at all.

    :param unreader: gunicorn's buffer of the connection; what it holds beyond the body
        stays there, for the next request.
    :param sock: of the connection.
    :param length: of the body, in bytes.
    """

    #: gunicorn closes a connection whose body could not be read.
    failed = False

    def __init__(self, unreader: Any, sock: socket.socket, length: int) -> None:
        buffered: bytes = unreader.take_buffered()
        self._ahead = buffered[:length]
        if len(buffered) > length:
            unreader.unread(buffered[length:])
        self._sock = sock
        #: bytes that were not read yet.
        self.left = length

    def readable(self) -> bool:
        """Whether it can be read; it can."""
        return True

    def read1(self, size: int = -1) -> bytes:
        """Return what has arrived, at most *size* bytes; ``b""`` at the end."""
        wanted = self.left if size < 0 else min(size, self.left)
        if not wanted:
            return b""
        if self._ahead:
            chunk, self._ahead = self._ahead[:wanted], self._ahead[wanted:]
        else:
            chunk = self._receive(min(wanted, MOST_AT_ONCE))
        self.left -= len(chunk)
        return chunk

    def _receive(self, size: int) -> bytes:
        try:
            chunk = self._sock.recv(size)
        except BaseException:
            self.failed = True
            raise
        if not chunk:
            self.failed = True
            self.left = 0
        return chunk

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with what has arrived, and return how much that was."""
        chunk = self.read1(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def read(self, size: int | None = -1) -> bytes:
        """Return *size* bytes, or all that are left; fewer only at the end."""
        wanted = self.left if size is None or size < 0 else min(size, self.left)
        chunks = []
        while wanted and (chunk := self.read1(wanted)):
            wanted -= len(chunk)
            chunks.append(chunk)
        return b"".join(chunks)
