"""What an application answers to a plain request, on its way to the client.

Most answers are a status, headers with a length, and one piece of that length or a
file: those leave in one write. All else that WSGI allows is left to gunicorn's own
response, told what the application said so far.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from gunicorn import util
from gunicorn.http.wsgi import FileWrapper
from gunicorn.http.wsgi import Response

from flaskreg.driver import DriverError
from flaskreg.sending import send_bytes
from flaskreg.sending import send_file


#: gunicorn's tuples of a header's name and value.
Headers = list[tuple[str, str]]

#: what may stand around a header's value, and is no part of it.
BLANKS = " \t"


class PlainRequest:
    """A request as gunicorn's response and logs want to see it.

    :param environ: of the request.
    """

    version = (1, 1)
    proxy_protocol_info = None

    def __init__(self, environ: dict[str, Any]) -> None:
        self._environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        self.uri: str = environ["RAW_URI"]
        self.query: str = environ["QUERY_STRING"]
        self.body = environ["wsgi.input"]

    @property
    def headers(self) -> Headers:
        """Return the headers, for an access log that tells them."""
        return [
            (key.removeprefix("HTTP_").replace("_", "-"), value)
            for key, value in self._environ.items()
            if key.startswith(("HTTP_", "CONTENT_"))
        ]

    def should_close(self) -> bool:
        """Whether it asks for the end of the connection; a plain one does not."""
        return False


class Clock:
    """The time as headers have it; the same text for a second."""

    def __init__(self) -> None:
        self._last = (0, "")

    def read(self) -> str:
        """Return the time now."""
        second, text = self._last
        if second != int(time.time()):
            second, text = int(time.time()), util.http_date()
            self._last = second, text
        return text


class Reply:
    """The answer to one plain request.

    :param worker: whose settings and application are used.
    :param clock: tells the date.
    :param conn: gunicorn's connection.
    :param environ: of the request.
    :param stays: whether the connection is kept.
    """

    def __init__(
        self,
        worker: Any,
        clock: Clock,
        conn: Any,
        environ: dict[str, Any],
        *,
        stays: bool,
    ) -> None:
        self._worker = worker
        self._clock = clock
        self._conn = conn
        self._environ = environ
        self._stays = stays
        self._full: Response | None = None
        self._headers_sent = False
        self.status = ""
        self.headers: Headers = []
        #: bytes of the body.
        self.sent = 0

    def give(self) -> bool:
        """Call the application, and send what it answers.

        :returns: whether the connection goes on.
        :raises OSError: when the client is gone.
        """
        begin = datetime.now()  # noqa: DTZ005 - gunicorn's log wants it so
        try:
            body = self._worker.wsgi(self._environ, self.start)
            try:
                if not self._send_plain(body):
                    self._send(self._in_full(), body)
            finally:
                self._log(begin)
                if hasattr(body, "close"):
                    body.close()
        except OSError:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - any fault of an application
            self._tell(error)
            return False
        return self._stays and (self._full is None or not self._full.should_close())

    def start(
        self, status: str, headers: Headers, exc_info: Any = None
    ) -> Callable[[bytes], None]:
        """Take status and headers; WSGI's ``start_response``."""
        if self.status or exc_info or self._full is not None:
            write: Callable[[bytes], None] = self._in_full().start_response(
                status, headers, exc_info
            )
            return write
        self.status, self.headers = status, headers
        return self._write

    def _write(self, data: bytes) -> None:
        self._in_full().write(data)

    def _in_full(self) -> Response:
        """Return gunicorn's response, which knows all that was said here."""
        if self._full is None:
            full = Response(
                PlainRequest(self._environ), self._conn.sock, self._worker.cfg
            )
            self._full = full
            if not self._stays:
                full.force_close()
            if self.status:
                full.start_response(self.status, self.headers)
        return self._full

    def _send(self, full: Response, body: Iterable[bytes]) -> None:
        """Send any body, as gunicorn does."""
        if isinstance(body, FileWrapper):
            full.write_file(body)
        else:
            for piece in body:
                full.write(piece)
        full.close()

    def _send_plain(self, body: Iterable[bytes]) -> bool:
        """Send an answer of the usual form; ``False`` when it is another."""
        piece = _single(body)
        if piece is None or self._full is not None:
            return False
        length, head = self._head()
        if length is None:
            return False
        if self._environ["REQUEST_METHOD"] == "HEAD" or self.status[:3] == "304":
            if piece:
                return False
            self._begin(head)
        elif isinstance(piece, FileWrapper):
            self._begin(head, socket.MSG_MORE if length else 0)
            if length:
                self._send_file(piece.filelike, length)
        elif len(piece) > length:
            return False
        else:
            self._begin(head + piece)
            self.sent = len(piece)
        return True

    def _begin(self, data: bytes, flags: int = 0) -> None:
        self._headers_sent = True
        if flags:
            self._conn.sock.sendall(data, flags)
        else:
            send_bytes(self._conn.sock, data)

    def _send_file(self, file: Any, length: int) -> None:
        sock = self._conn.sock
        if hasattr(file, "send_to"):
            self.sent = file.send_to(sock, length)
        else:
            descriptor = file.fileno()
            offset = os.lseek(descriptor, 0, os.SEEK_CUR)
            self.sent = send_file(sock, descriptor, offset, length)
        if self.sent < length:
            raise ConnectionError("the file ended before its length")

    def _head(self) -> tuple[int | None, bytes]:
        """Return the length of the body and the head; no length when it is unusual."""
        status = self.status
        lines = [
            f"HTTP/1.1 {status}\r\nServer: gunicorn\r\nDate: {self._clock.read()}\r\n"
            f"Connection: {'keep-alive' if self._stays else 'close'}\r\n"
        ]
        length = 0 if status[:3] == "304" else None
        for name, value in self.headers:
            lower = name.lower()
            if lower == "content-length":
                length = int(value)
            elif lower in util.hop_headers:
                continue
            lines.append(f"{name}: {value.strip(BLANKS)}\r\n")
        lines.append("\r\n")
        head = "".join(lines)
        breaks = len(lines) + 3
        if (
            status[:1] not in "2345"
            or status[:3] == "204"
            or head.count("\n") != breaks
            or head.count("\r") != breaks
        ):
            length = None
        return length, head.encode("latin-1")

    def _log(self, begin: datetime) -> None:
        log = self._worker.log
        if getattr(log, "access_log_enabled", True):
            took = datetime.now() - begin  # noqa: DTZ005 - as above
            told = self if self._full is None else self._full
            log.access(told, PlainRequest(self._environ), self._environ, took)

    def _tell(self, error: BaseException) -> None:
        """Tell the client of a fault, or cut an answer that has begun."""
        conn, full = self._conn, self._full
        if self._headers_sent or (full is not None and full.headers_sent):
            if isinstance(error, DriverError):
                self._worker.log.error("an answer is cut short: %s", error)
            else:
                self._worker.log.exception("Error handling request")
            util.close_graceful(conn.sock)
            return
        request = PlainRequest(self._environ)
        self._worker.handle_error(request, conn.sock, conn.client, error)


def _single(body: Iterable[bytes]) -> bytes | FileWrapper | None:
    """Return the only piece of a body, or its file; ``None`` for any other."""
    if type(body) in (tuple, list):
        pieces: Any = body
        if len(pieces) == 1 and type(pieces[0]) is bytes:
            return pieces[0]
        return None
    if isinstance(body, FileWrapper) and (
        hasattr(body.filelike, "send_to") or util.has_fileno(body.filelike)
    ):
        return body
    return None
