"""A gunicorn worker for many short requests and many long transfers at once.

gunicorn's threaded worker hands a kept-alive connection back to its main loop after
each request: a queue, a pipe, a poller and the interpreter's lock, for a next request
that is mostly there already. This one looks for it in the same thread first, for a
moment, unless other connections wait for a thread.

And a plain request, as most are, is parsed by :mod:`gunicorn_h1c` straight into its
WSGI environ and answered in one write (:mod:`flaskreg.quick`). What is not plain, or
is not valid, goes the way of gunicorn, byte for byte as it came.
"""

from __future__ import annotations

import select
import time
from typing import Any

from gunicorn.http.body import LengthReader
from gunicorn.workers.gthread import ThreadWorker

from flaskreg.quick import QuickServer
from flaskreg.socketbody import SocketBody


#: how long a thread waits for the next request of its connection, in milliseconds.
LINGER = 5

#: how often the worker tells the arbiter that it lives, in seconds.
HEARTBEAT = 1.0


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
        reader = getattr(req.body, "reader", None)
        if isinstance(reader, LengthReader):
            req.body = SocketBody(reader.unreader, conn.sock, reader.length)
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
