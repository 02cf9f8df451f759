"""A gunicorn worker for many short requests and many long transfers at once.

gunicorn's threaded worker hands a kept-alive connection back to its main loop after
each request: a queue, a pipe, a poller and the interpreter's lock, for a next request
that is mostly there already. This one looks for it in the same thread first, for a
moment, unless other connections wait for a thread. And connections that send short
requests one after the other are all served by one thread (:mod:`flaskreg.hot`).

A thread is given to a request when its head is there, and its body when that is small,
and never to a client that is silent: beginnings of requests, bodies that nobody reads,
and connections that are being closed wait in the poller.

And a plain request, as most are, is parsed by :mod:`gunicorn_h1c` straight into its
WSGI environ and answered in one write (:mod:`flaskreg.quick`). What is not plain, or
is not valid, goes the way of gunicorn, byte for byte as it came.
"""

from __future__ import annotations

import errno
import io
import os
import select
import selectors
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future
from enum import Enum
from functools import partial
from typing import Any

from gunicorn import util
from gunicorn.http import get_parser
from gunicorn.http.body import LengthReader
from gunicorn.http2 import negotiation
from gunicorn.workers.gthread import TConn
from gunicorn.workers.gthread import ThreadWorker

from flaskreg.board import Turn
from flaskreg.board import shared_board
from flaskreg.errorpage import Told
from flaskreg.errorpage import in_json
from flaskreg.h2c import is_spoken
from flaskreg.h2c import speak
from flaskreg.heads import is_complete
from flaskreg.heads import is_short
from flaskreg.hot import HotConnections
from flaskreg.quick import QuickServer
from flaskreg.socketbody import SocketBody


#: how long a thread waits for the next request of its connection, in milliseconds.
LINGER = 5

#: how often the worker tells the arbiter that it lives, in seconds.
HEARTBEAT = 1.0

#: short requests in a row after which a connection is served with others, how many more
#: it takes after another request, and how long a short one takes at most, in seconds.
STREAK = 4
AFTER_LONG = 32
SHORT = 0.003

#: how long a body that nobody reads is received, so that the client sees its answer,
#: and how long a connection that is closed waits for the client to do so, in seconds.
DRAIN = 5.0
CLOSE = 2.0

#: bytes that are received at once: a head and, mostly, a small body.
RECEIVED = 64 << 10


#: how the system says that it has no room for a connection, and how long the worker
#: waits then, in seconds.
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
EXHAUSTED_PAUSE = 0.05


class Outcome(Enum):
    """What becomes of a connection after a thread had it, beside kept and closed."""

    #: a request has begun to arrive.
    BEGUN = "begun"
    #: an answered request has a body that nobody read.
    UNREAD = "unread"
    #: the connection is one of those that one thread serves.
    HOT = "hot"
    #: a request is whole, and not a short one.
    LONG = "long"


class RegistryWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's threaded worker, with a short way to the next request."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._notified = 0.0
        self._looked = 0.0
        self._told_exhausted = 0.0
        self._quick = QuickServer(self)
        self._turn = Turn(shared_board(), self.age)
        self._hot: HotConnections | None = None
        #: connections that wait in the poller for more than their next request.
        self._waiting: dict[Any, None] = {}
        self._h2c = is_spoken(self.cfg)

    def init_process(self) -> None:
        """Begin to serve, in the process of the worker."""
        self._hot = HotConnections(self._step, self._take_back)
        super().init_process()

    @property
    def idle(self) -> float:
        """Return the longest time without a byte moving, in seconds."""
        site = getattr(self.wsgi, "site", None)
        return getattr(site, "idle_timeout", 0) or 60.0

    def notify(self) -> None:
        """Tell the arbiter that this worker lives, but not at each event."""
        now = time.monotonic()
        if now - self._notified >= HEARTBEAT:
            self._notified = now
            super().notify()

    # What the main loop does

    def accept(self, listener: socket.socket) -> None:
        """Accept a connection, or wait until the system has room for one."""
        try:
            self._accept(listener)
        except OSError as error:
            if error.errno not in EXHAUSTED:
                raise
            self._make_room(error)

    def _accept(self, listener: socket.socket) -> None:
        """Accept a connection; a thread gets it when its request is there."""
        if not self._turn.comes(self.nr_conns):
            return
        if self.cfg.proxy_protocol != "off":
            super().accept(listener)
            return
        try:
            sock, client = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        self.nr_conns += 1
        self._turn.tell(self.nr_conns)
        conn = TConn(self.cfg, sock, client, listener.getsockname())
        if self.cfg.is_ssl:
            # A thread is for the handshake, and not for a client that is silent.
            conn.data_ready = True
            self._watch(conn, self._enqueue, time.monotonic() + self.idle)
            return
        conn.initialized = True
        conn.parser = get_parser(self.cfg, sock, client)
        self._collect(conn, self._begin if self._h2c else None)

    def _make_room(self, error: OSError) -> None:
        """Close the connections that are idle; the next one waits in the backlog."""
        now = time.monotonic()
        if now - self._told_exhausted >= HEARTBEAT:
            self._told_exhausted = now
            self.log.error("no connection can be accepted: %s", error)
        self._release_hot()
        self.murder_keepalived(force=True)
        # The listener stays readable: without a pause this would only ask again.
        time.sleep(EXHAUSTED_PAUSE)

    def on_client_socket_readable(self, conn: Any, client: Any) -> None:
        """Take what a kept-alive connection sends, or that it is closed."""
        if conn.is_http2 or self.cfg.is_ssl:
            super().on_client_socket_readable(conn, client)
            return
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._collect(conn)

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Take back a connection from a thread."""
        try:
            outcome = fs.result()
        except Exception:  # noqa: BLE001 - whatever a thread ended in, its connection ends
            outcome = False
        if outcome is Outcome.HOT:
            return
        if outcome is Outcome.BEGUN:
            self._watch(conn, self._collect, time.monotonic() + self.idle)
        elif outcome is Outcome.UNREAD:
            self._drain(conn)
        elif not outcome:
            self._close(conn)
        elif outcome is True and _buffered(conn):
            self._dispatch(conn)
        else:
            super().finish_request(conn, fs)

    def murder_pending(self) -> None:
        """Close what has waited too long, once a second."""
        super().murder_pending()
        if self.alive:
            self._turn.tell(self.nr_conns)
        else:
            self._turn.leave()
            self._release_hot()
        now = time.monotonic()
        if now - self._looked < HEARTBEAT and self.alive:
            return
        self._looked = now
        for conn in list(self._waiting):
            if not self.alive:
                conn.timeout = min(conn.timeout, now + CLOSE)
            if conn.timeout <= now:
                self._unwatch(conn)
                self._drop(conn)

    def _release_hot(self) -> None:
        if self._hot is not None:
            self._hot.release()

    def _collect(
        self, conn: Any, dispatch: Callable[[Any], None] | None = None
    ) -> None:
        """Receive what there is of a request, and dispatch it when that suffices."""
        try:
            data = conn.sock.recv(RECEIVED)
        except BlockingIOError:
            again = partial(self._collect, dispatch=dispatch)
            self._watch(conn, again, time.monotonic() + self.idle)
            return
        except OSError:
            self._drop(conn)
            return
        if data:
            _append(conn, data)
            (dispatch or self._dispatch)(conn)
        elif _buffered(conn):
            # The client sends no more: what is there gets the answer that it deserves.
            self._enqueue(conn)
        else:
            self._drop(conn)

    def _dispatch(self, conn: Any) -> None:
        if is_complete(_buffered(conn)):
            self._enqueue(conn)
        else:
            self._watch(conn, self._collect, time.monotonic() + self.idle)

    def _begin(self, conn: Any) -> None:
        """Dispatch the first bytes of a connection, which may be HTTP/2."""
        begun = negotiation.preface_match(_buffered(conn))
        if begun == negotiation.PARTIAL:
            again = partial(self._collect, dispatch=self._begin)
            self._watch(conn, again, time.monotonic() + self.idle)
        elif begun == negotiation.MATCH:
            conn.is_http2 = True
            self._enqueue(conn)
        else:
            self._dispatch(conn)

    def _enqueue(self, conn: Any) -> None:
        conn.sock.setblocking(True)
        self.enqueue_req(conn)

    def _drain(self, conn: Any, deadline: float | None = None) -> None:
        """Receive the rest of a body that nobody wants, then keep the connection."""
        deadline = deadline or time.monotonic() + DRAIN
        body: SocketBody = conn.parser.mesg.body
        conn.sock.setblocking(False)
        try:
            while body.left:
                body.read1(RECEIVED)
        except BlockingIOError:
            body.failed = False
            self._watch(conn, partial(self._drain, deadline=deadline), deadline)
            return
        except OSError:
            body.failed = True
        if body.failed:
            self._drop(conn)
        elif _buffered(conn):
            self._dispatch(conn)
        else:
            self._collect(conn)

    def _close(self, conn: Any, deadline: float | None = None) -> None:
        """Close a connection: say so, and wait a while for the client to do it too."""
        try:
            if deadline is None:
                conn.sock.shutdown(socket.SHUT_WR)
                conn.sock.setblocking(False)
                deadline = time.monotonic() + CLOSE
            while conn.sock.recv(RECEIVED):
                pass
        except BlockingIOError:
            closing = partial(self._close, deadline=deadline)
            self._watch(conn, closing, deadline or time.monotonic())
            return
        except (OSError, ValueError):
            pass
        self._drop(conn)

    def _watch(
        self, conn: Any, callback: Callable[[Any], None], deadline: float
    ) -> None:
        """Call back when a connection can be read; close it at *deadline*."""
        conn.sock.setblocking(False)
        conn.timeout = deadline
        self._waiting[conn] = None

        def wake(_fileobj: Any) -> None:
            self._unwatch(conn)
            callback(conn)

        self.poller.register(conn.sock, selectors.EVENT_READ, wake)

    def _unwatch(self, conn: Any) -> None:
        self.poller.unregister(conn.sock)
        self._waiting.pop(conn, None)

    def _drop(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()

    # What a thread does

    def handle(self, conn: Any) -> Any:
        """Serve a request, and those that follow it at once on its connection."""
        if self.cfg.is_ssl and not conn.initialized and not self._shakes(conn):
            return False
        if not self._quick.takes(conn):
            return super().handle(conn)
        streak = getattr(conn, "streak", 0)
        while True:
            short, began = self._is_short(_buffered(conn)), time.monotonic()
            result: Any = self._serve(conn)
            if result is not True:
                return result
            if not short:
                streak = -AFTER_LONG
            elif time.monotonic() - began < SHORT:
                streak += 1
            else:
                streak = min(streak, 0)
            conn.streak = streak
            if streak >= STREAK and self._heats(conn):
                return Outcome.HOT
            following = self._following(conn)
            if following is not None:
                return following

    def _is_short(self, data: bytes) -> bool:
        driver = getattr(self.wsgi, "driver", None)
        return is_short(data, remote=getattr(driver, "remote", False))

    def _heats(self, conn: Any) -> bool:
        """Whether a connection is served with others from now on."""
        return bool(
            self.alive
            and not _buffered(conn)
            and self._hot is not None
            and self._hot.take(conn)
        )

    def _step(self, conn: Any) -> Any:
        """Serve what a hot connection sends; ``None`` when it stays."""
        if not self.alive:
            return True
        try:
            data = os.read(conn.sock.fileno(), RECEIVED)
        except BlockingIOError:
            return None
        except OSError:
            return False
        if not data:
            return False
        _append(conn, data)
        while data:
            if not is_complete(data):
                return Outcome.BEGUN
            if not self._is_short(data):
                return Outcome.LONG
            result = self._serve(conn)
            if result is not True:
                return result
            data = _buffered(conn)
        return None

    def _take_back(self, conn: Any, outcome: Any) -> None:
        """Take back a connection that was hot."""
        if outcome is Outcome.LONG:
            self._enqueue(conn)
            return
        done: Future[Any] = Future()
        done.set_result(outcome)
        self.method_queue.defer(self.finish_request, conn, done)

    def _shakes(self, conn: Any) -> bool:
        """Whether a client finishes its handshake; when not, it is no error of ours."""
        try:
            conn.init()
        except OSError as error:
            self.log.debug("Ignoring a client without a handshake: %s", error)
            return False
        return True

    def handle_http2(self, conn: Any) -> Any:
        """Serve a connection that is in HTTP/2, to its end."""
        try:
            speak(conn)
        except OSError as error:
            self.log.debug("Ignoring a client without HTTP/2: %s", error)
            return False
        return super().handle_http2(conn)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Serve a request of gunicorn's parser, its body read without copies."""
        reader = getattr(req.body, "reader", None)
        if isinstance(reader, LengthReader):
            req.body = SocketBody(reader.unreader, conn.sock, reader.length)
        return super().handle_request(req, conn)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Any) -> None:
        """Answer a request that cannot be parsed, in the registry's own form."""
        told = Told()
        super().handle_error(req, told, addr, exc)
        if told.data:
            util.write_nonblock(client, in_json(told.data))

    def _serve(self, conn: Any) -> Any:
        served = self._quick.serve(conn)
        return super().handle(conn) if served is None else served

    def _keepalive_after(self, conn: Any, keepalive: Any) -> Any:
        """Whether a connection is kept; an unread body is left to the poller."""
        body = conn.parser.mesg.body
        if not isinstance(body, SocketBody):
            # A chunked body ends nobody knows where, unless it was read to its end.
            read = getattr(body.reader, "parser", None) is None
            return bool(keepalive) and read and not body.failed
        if body.failed or not keepalive:
            return False
        return Outcome.UNREAD if body.left else True

    def _following(self, conn: Any) -> Any:
        """Look for the next request; ``None`` when it is there."""
        if not self.alive:
            return True
        if not _buffered(conn):
            if self.tpool._work_queue.qsize():
                return True
            poller = select.poll()
            poller.register(conn.sock, select.POLLIN)
            if not poller.poll(LINGER):
                return True
            try:
                data = conn.sock.recv(RECEIVED)
            except OSError:
                return False
            if not data:
                return False
            _append(conn, data)
        return None if is_complete(_buffered(conn)) else Outcome.BEGUN


def _buffered(conn: Any) -> bytes:
    """Return what was received of a connection and not parsed."""
    data: bytes = conn.parser.unreader.buf.getvalue()
    return data


def _append(conn: Any, data: bytes) -> None:
    buffer = conn.parser.unreader.buf
    buffer.seek(0, io.SEEK_END)
    buffer.write(data)
