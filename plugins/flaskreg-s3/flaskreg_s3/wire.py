"""HTTP/1.1 to one host: pooled connections, and answers read as they come.

Only what S3 needs of a client: a request with a body of stated length, an answer whose
length is stated, chunked, or ended by the connection. Connecting, TLS and tunnels
through a proxy are the standard library's.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import ssl
import time
import urllib.request
from collections import deque
from contextlib import suppress
from http.client import HTTPConnection
from http.client import HTTPSConnection
from typing import Any
from urllib.parse import urlsplit


#: seconds for a connection to be made, and for a peer that stays silent.
CONNECT_TIMEOUT = 10.0
SILENCE_TIMEOUT = 60.0

#: a connection that was not used for so many seconds is not used again: servers and
#: balancers between close them at about a minute.
_IDLE = 20.0
_IDLE_CONNECTIONS = 64
_RECEIVED = 64 << 10
_LONGEST_HEAD = 128 << 10
#: a body up to so many bytes travels in one piece with its head.
_JOINED = 128 << 10
#: what is read of an answer that nobody wants, to keep its connection.
_DRAINED = 256 << 10
#: how a system says that it cannot splice what it was asked to.
_UNSPLICEABLE = frozenset({errno.EINVAL, errno.ENOSYS, errno.EPERM})
_BODILESS = frozenset({204, 304})


class WireError(OSError):
    """The connection ended early, or what came is not HTTP."""


class Connection:
    """One connection, used by one request at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.buffer = b""
        self.since = time.monotonic()
        self._splices = hasattr(os, "splice") and not isinstance(sock, ssl.SSLSocket)

    def send(self, head: bytes, body: bytes | memoryview) -> None:
        """Send a request."""
        if len(body) <= _JOINED:
            self._sock.sendall(head + bytes(body))
        else:
            self._sock.sendall(head)
            self._sock.sendall(body)

    def receive(self, size: int = _RECEIVED) -> bytes:
        """Return what comes next, ``b""`` at the end of the connection."""
        if self.buffer:
            data, self.buffer = self.buffer[:size], self.buffer[size:]
            return data
        return self._sock.recv(size)

    def splice(self, pipe: int, size: int) -> int | None:
        """Let what comes next go into an empty pipe, without looking at it.

        :returns: how many bytes went; 0 at the end of the connection, and ``None``
            where they have to be received: in part they are, or they are encrypted.
        :raises TimeoutError: nothing comes.
        """
        while self._splices and not self.buffer:
            try:
                return os.splice(self._sock.fileno(), pipe, size)
            except BlockingIOError:
                self._wait()
            except OSError as error:
                if error.errno not in _UNSPLICEABLE:
                    raise
                self._splices = False
        return None

    def _wait(self) -> None:
        poller = select.poll()
        poller.register(self._sock, select.POLLIN)
        if not poller.poll(SILENCE_TIMEOUT * 1000):
            raise TimeoutError("the server sends nothing")

    def until(self, mark: bytes, longest: int = _LONGEST_HEAD) -> bytes:
        """Return all up to *mark* and with it.

        :raises WireError: the connection ends before, or it takes too long to come.
        """
        data = self.buffer
        while (at := data.find(mark)) < 0:
            if len(data) > longest:
                raise WireError("a header without an end")
            more = self._sock.recv(_RECEIVED)
            if not more:
                raise WireError("the server closed the connection")
            data += more
        end = at + len(mark)
        self.buffer = data[end:]
        return data[:end]

    def close(self) -> None:
        """Close it."""
        self._sock.close()


class Answer:
    """The answer to one request; its body is read once, and it is closed.

    :param connection: positioned at the body.
    :param pool: where the connection goes when the body was read to its end.
    """

    def __init__(
        self,
        connection: Connection,
        pool: Pool,
        status: int,
        headers: dict[str, str],
        *,
        bodiless: bool,
    ) -> None:
        self.status = status
        #: by name in lower case.
        self.headers = headers
        self._connection: Connection | None = connection
        self._pool = pool
        self._chunked = "chunked" in headers.get("transfer-encoding", "").lower()
        self._left: int | None = None
        if bodiless:
            self._left, self._chunked = 0, False
        elif self._chunked:
            self._left = 0
        elif "content-length" in headers:
            self._left = int(headers["content-length"])
        self._begun = False
        if not self._chunked and self._left == 0:
            self._finish()

    def read(self, size: int) -> bytes:
        """Return at most *size* further bytes of the body, ``b""`` at its end.

        :raises WireError: the connection ends before the body does.
        """
        connection = self._connection
        if connection is None:
            return b""
        if self._chunked and self._left == 0 and not self._next_chunk(connection):
            return b""
        if self._left is None:
            data = connection.receive(size)
            if not data:
                self.close()
            return data
        data = connection.receive(min(size, self._left))
        self._took(len(data))
        return data

    def splice(self, pipe: int, size: int) -> int | None:
        """Let at most *size* further bytes of the body go into an empty pipe.

        :returns: how many went; ``None`` where they have to be read.
        :raises OSError: the connection ends before the body does, or nothing comes.
        """
        connection = self._connection
        if connection is None or self._chunked or self._left is None:
            return None
        moved = connection.splice(pipe, min(size, self._left))
        if moved is not None:
            self._took(moved)
        return moved

    def read_all(self, most: int) -> bytes:
        """Return the whole body.

        :raises WireError: it has more than *most* bytes.
        """
        pieces, size = [], 0
        while piece := self.read(most):
            pieces.append(piece)
            size += len(piece)
            if size > most:
                self.close()
                raise WireError(f"an answer of more than {most} bytes")
        return b"".join(pieces)

    def drain(self) -> None:
        """Read what is left when that is little, and close it."""
        left = self._left
        if self._connection is not None and (self._chunked or (left or 0) <= _DRAINED):
            with suppress(OSError):
                self.read_all(_DRAINED)
        self.close()

    def close(self) -> None:
        """Let go of the connection; in the middle of a body it cannot be kept."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _took(self, count: int) -> None:
        """Note that bytes were taken, of a body whose length is known."""
        if not count:
            self.close()
            raise WireError("the server closed the connection in the middle of a body")
        self._left = (self._left or 0) - count
        if self._left == 0 and not self._chunked:
            self._finish()

    def _next_chunk(self, connection: Connection) -> bool:
        if self._begun:
            connection.until(b"\r\n")
        self._begun = True
        try:
            self._left = int(connection.until(b"\r\n").partition(b";")[0], 16)
        except ValueError:
            raise WireError("a chunk without a length") from None
        if self._left:
            return True
        while connection.until(b"\r\n") != b"\r\n":
            continue
        self._finish()
        return False

    def _finish(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if "close" in self.headers.get("connection", "").lower():
            connection.close()
        else:
            self._pool.give(connection)


class Pool:
    """Connections to one host, made when they are needed.

    A process that was forked makes its own.

    :param secure: whether they are encrypted.
    :param context: how certificates are checked; ``None`` where nothing is encrypted.
    """

    def __init__(
        self, host: str, port: int, *, secure: bool, context: ssl.SSLContext | None
    ) -> None:
        self._host = host
        self._port = port
        self._secure = secure
        self._context = context
        self._pid = 0
        self._idle: deque[Connection] = deque()

    def exchange(
        self, method: str, head: bytes, body: bytes | memoryview = b""
    ) -> Answer:
        """Send a request and return the answer, its body still to be read.

        A kept connection that turns out to be dead is replaced.

        :raises OSError: no answer came.
        """
        while True:
            connection, kept = self._take()
            try:
                connection.send(head, body)
                return self._receive(connection, method)
            except OSError:
                connection.close()
                if not kept:
                    raise
            except BaseException:
                connection.close()
                raise

    def give(self, connection: Connection) -> None:
        """Keep a connection whose answer was read."""
        if len(self._idle) < _IDLE_CONNECTIONS and not connection.buffer:
            connection.since = time.monotonic()
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Close the connections that are kept."""
        while self._idle:
            self._idle.pop().close()

    def _take(self) -> tuple[Connection, bool]:
        if self._pid != os.getpid():
            # Those of the parent process are its own; closing ours ends nothing there
            # but would say goodbye in its TLS sessions.
            self._pid, self._idle = os.getpid(), deque()
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return self._connect(), False
            if time.monotonic() - connection.since < _IDLE:
                return connection, True
            connection.close()

    def _connect(self) -> Connection:
        proxy = _proxy_for("https" if self._secure else "http", self._host)
        host, port = proxy or (self._host, self._port)
        options: dict[str, Any] = {"timeout": CONNECT_TIMEOUT}
        if self._secure:
            options["context"] = self._context
        made = (HTTPSConnection if self._secure else HTTPConnection)(
            host, port, **options
        )
        if proxy:
            made.set_tunnel(self._host, self._port)
        made.connect()
        sock: socket.socket = made.sock
        sock.settimeout(SILENCE_TIMEOUT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Connection(sock)

    def _receive(self, connection: Connection, method: str) -> Answer:
        while True:
            lines = connection.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
            version, _, rest = lines[0].partition(" ")
            if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
                raise WireError("what came is not HTTP")
            status = int(rest[:3])
            if status >= 200:
                break
        headers = {}
        for line in lines[1:-2]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if version == "HTTP/1.0":
            headers.setdefault("connection", "close")
        if not headers.get("content-length", "0").isdigit():
            raise WireError("a Content-Length that is no length")
        bodiless = method == "HEAD" or status in _BODILESS
        return Answer(connection, self, status, headers, bodiless=bodiless)


def make_context(*, verify: bool) -> ssl.SSLContext:
    """Return how certificates are checked; ``AWS_CA_BUNDLE`` names further ones."""
    context = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE"))
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _proxy_for(scheme: str, host: str) -> tuple[str, int] | None:
    """Return the host and port of the proxy that the environment names, if any."""
    named = urllib.request.getproxies_environment().get(scheme)
    if not named or urllib.request.proxy_bypass(host):
        return None
    parts = urlsplit(named if "://" in named else f"http://{named}")
    return (parts.hostname, parts.port or 80) if parts.hostname else None
