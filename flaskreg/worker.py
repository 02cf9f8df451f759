"""A gunicorn worker for many short requests and many long transfers at once.

gunicorn's threaded worker hands a kept-alive connection back to its main loop after
each request: a queue, a pipe, a poller and the interpreter's lock, for a next request
that is mostly there already. This one looks for it in the same thread first, for a
moment, unless other connections wait for a thread.

And a request that is nothing but the head of a GET or HEAD, as most are, is parsed by
:mod:`gunicorn_h1c` straight into its WSGI environ and answered in one write
(:mod:`flaskreg.quick`). Whatever is not as plain as that, or is not valid, goes the way
of gunicorn, byte for byte as it came.
"""

from __future__ import annotations

import io
import select
import socket
import time
from typing import Any

from gunicorn.http.body import LengthReader
from gunicorn.workers.gthread import ThreadWorker

from flaskreg.quick import QuickServer


#: how long a thread waits for the next request of its connection, in milliseconds.
LINGER = 5

#: the most bytes that are received at once.
MOST_AT_ONCE = 1 << 20

#: how often the worker tells the arbiter that it lives, in seconds.
HEARTBEAT = 1.0


class SocketBody(io.RawIOBase):
    """A body of known length, read from the socket as it arrives.

    gunicorn's own reader collects what is asked for and copies it twice. This one can
    hand on what there is (:meth:`read1`), so that nothing is lost when a client stops
    in the middle, and large bodies are not copied at all.

    :param reader: gunicorn's reader of the same body; it is told what was read.
    :param sock: of the connection.
    """

    #: gunicorn closes a connection whose body could not be read.
    failed = False

    def __init__(self, reader: Any, sock: socket.socket) -> None:
        self._reader = reader
        self._sock = sock
        self._ahead = reader.unreader.take_buffered()

    def readable(self) -> bool:
        """Whether it can be read; it can."""
        return True

    def read1(self, size: int = -1) -> bytes:
        """Return what has arrived, at most *size* bytes; ``b""`` at the end."""
        left: int = self._reader.length
        wanted = left if size < 0 else min(size, left)
        chunk = b""
        if not wanted:
            return chunk
        if self._ahead:
            chunk, self._ahead = self._ahead[:wanted], self._ahead[wanted:]
        else:
            try:
                chunk = self._sock.recv(min(wanted, MOST_AT_ONCE))
            except BaseException:
                self.failed = True
                raise
        self._reader.length = left - len(chunk) if chunk else 0
        if not self._reader.length and self._ahead:
            self._reader.unreader.unread(self._ahead)
            self._ahead = b""
        self.failed = self.failed or not chunk
        return chunk

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with what has arrived, and return how much that was."""
        chunk = self.read1(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def read(self, size: int | None = -1) -> bytes:
        """Return *size* bytes, or all that are left; fewer only at the end."""
        left: int = self._reader.length
        wanted = left if size is None or size < 0 else min(size, left)
        chunks = []
        while wanted and (chunk := self.read1(wanted)):
            wanted -= len(chunk)
            chunks.append(chunk)
        return b"".join(chunks)


class RegistryWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's threaded worker, with a short way to the next request."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._notified = 0.0
        self._quick = QuickServer(self)

    def notify(self) -> None:
        """Tell the arbiter that this worker lives, but not at each event."""
        now = time.monotonic()
        if now - self._notified >= HEARTBEAT:
            self._notified = now
            super().notify()

    def handle(self, conn: Any) -> Any:
        """Serve a request, and those that follow it at once on its connection."""
        if conn.initialized and self._quick.takes(conn):
            result = self._serve(conn)
        else:
            result = super().handle(conn)
        while result is True and self._next_is_here(conn):
            result = (
                self._serve(conn) if self._quick.takes(conn) else super().handle(conn)
            )
        return result

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Serve a request of gunicorn's parser, its body read without copies."""
        if isinstance(getattr(req.body, "reader", None), LengthReader):
            req.body = SocketBody(req.body.reader, conn.sock)
        return super().handle_request(req, conn)

    def _serve(self, conn: Any) -> Any:
        served = self._quick.serve(conn)
        return super().handle(conn) if served is None else served

    def _next_is_here(self, conn: Any) -> bool:
        if not self.alive or self.tpool._work_queue.qsize():
            return False
        if conn.parser.unreader.buf.getvalue():
            return True
        poller = select.poll()
        poller.register(conn.sock, select.POLLIN)
        return bool(poller.poll(LINGER))
