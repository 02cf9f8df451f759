"""A short way from the bytes of a plain request to its answer, for our worker.

It does what gunicorn does for such a request and for no other: HTTP/1.1, a body of
stated length or none, no header that asks for anything of the connection, nothing
repeated, nothing encoded in the path. All else is given back untouched.
``tests/test_quick.py`` compares the two.
"""

from __future__ import annotations

import io
import os
from typing import Any

from gunicorn.http.wsgi import base_environ

from flaskreg.reply import Clock
from flaskreg.reply import Reply
from flaskreg.socketbody import SocketBody


try:
    import gunicorn_h1c
except ImportError:  # the extension has no build for every platform
    gunicorn_h1c = None


#: headers that ask for more than an answer.
_UNUSUAL = frozenset(
    {
        b"TRANSFER-ENCODING",
        b"EXPECT",
        b"UPGRADE",
        b"HTTP2-SETTINGS",
        b"TE",
        b"TRAILER",
        b"PROXY-CONNECTION",
        b"KEEP-ALIVE",
    }
)
_METHODS = (b"GET /", b"HEAD /", b"PUT /", b"POST /", b"PATCH /", b"DELETE /")
_UNPREFIXED = frozenset({b"CONTENT-LENGTH", b"CONTENT-TYPE"})


class _Message:
    """What gunicorn's parser wants of the request before the next one."""

    __slots__ = ("body",)

    def __init__(self, body: SocketBody) -> None:
        self.body = body

    def should_close(self) -> bool:
        """Whether the connection ends with it; that was decided before."""
        return False


class QuickServer:
    """Serves plain requests of the connections of one worker.

    :param worker: the worker, whose settings, log and application are used.
    """

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._keys: dict[bytes, str | None] = {}
        self._clock = Clock()
        self._is_below = bool(os.environ.get("SCRIPT_NAME"))

    def takes(self, conn: Any) -> bool:
        """Whether the next request of a connection may be looked at here."""
        cfg = self._worker.cfg
        return (
            gunicorn_h1c is not None
            and conn.initialized
            and not conn.is_http2
            and not cfg.is_ssl
            and not self._is_below
            and cfg.proxy_protocol == "off"
        )

    def serve(self, conn: Any) -> Any:
        """Answer the next request, which is in the buffer of the connection.

        :returns: what the worker says becomes of the connection; ``None`` when it is
            not one of the plain requests, and everything is as it was.
        """
        unreader = conn.parser.unreader
        data = unreader.take_buffered()
        environ, consumed = self._environ(conn, data)
        if environ is None:
            unreader.unread(data)
            return None
        if consumed < len(data):
            unreader.unread(data[consumed:])
        # What gunicorn's parser knows is the request before this one.
        conn.parser.mesg = None
        length = int(environ.get("CONTENT_LENGTH", 0))
        if not length:
            environ["wsgi.input"] = io.BytesIO()
            return self._answer(conn, environ)
        body = environ["wsgi.input"] = SocketBody(unreader, conn.sock, length)
        conn.parser.mesg = _Message(body)
        return self._worker._keepalive_after(conn, self._answer(conn, environ))

    def _environ(self, conn: Any, data: bytes) -> tuple[dict[str, Any] | None, int]:
        """Return the environ of a plain request, and the length of its head."""
        if not data.startswith(_METHODS):
            return None, 0
        cfg = self._worker.cfg
        try:
            parsed = gunicorn_h1c.parse_request(
                data,
                limit_request_line=cfg.limit_request_line,
                limit_request_fields=cfg.limit_request_fields,
                limit_request_field_size=cfg.limit_request_field_size,
            )
        except (gunicorn_h1c.ParseError, gunicorn_h1c.IncompleteError):
            return None, 0
        target: bytes = parsed["path"]
        if (
            parsed["minor_version"] != 1
            or b"%" in target.partition(b"?")[0]
            or b"#" in target
            or target.startswith(b"//")
            or not target.isascii()
        ):
            return None, 0
        consumed: int = parsed["consumed"]
        return self._fill(conn, parsed, target.decode("ascii")), consumed

    def _fill(
        self, conn: Any, parsed: dict[str, Any], target: str
    ) -> dict[str, Any] | None:
        path, _, query = target.partition("?")
        environ = self._connection_environ(conn).copy()
        environ["REQUEST_METHOD"] = parsed["method"].decode("ascii")
        environ["RAW_URI"] = target
        environ["PATH_INFO"] = path
        environ["QUERY_STRING"] = query
        for name, value in parsed["headers"]:
            key = self._key(name)
            if key is None or key in environ:
                return None
            environ[key] = value.decode("latin-1")
        length = environ.get("CONTENT_LENGTH")
        if length is not None and not (length.isdigit() and len(length) < 20):
            return None
        if "SERVER_NAME" not in environ:
            _name_server(environ, str(conn.server))
        connection = environ.get("HTTP_CONNECTION")
        if connection is not None and connection.lower() != "keep-alive":
            return None
        return environ

    def _connection_environ(self, conn: Any) -> dict[str, Any]:
        """Return what is the same for all requests of a connection."""
        kept: dict[str, Any] | None = getattr(conn, "quick_environ", None)
        if kept is None:
            kept = base_environ(self._worker.cfg)
            client, server = conn.client, conn.server
            kept.update(
                {
                    "gunicorn.socket": conn.sock,
                    "SERVER_PROTOCOL": "HTTP/1.1",
                    "SCRIPT_NAME": "",
                    "wsgi.url_scheme": "http",
                    "wsgi.multithread": True,
                }
            )
            if isinstance(client, tuple):
                kept["REMOTE_ADDR"], kept["REMOTE_PORT"] = client[0], str(client[1])
            else:
                kept["REMOTE_ADDR"] = (
                    client.decode() if isinstance(client, bytes) else client
                )
            if isinstance(server, tuple):
                kept["SERVER_NAME"], kept["SERVER_PORT"] = server[0], str(server[1])
            conn.quick_environ = kept
        return kept

    def _key(self, name: bytes) -> str | None:
        """Return the environ's key of a header, or ``None`` for an unusual one."""
        try:
            return self._keys[name]
        except KeyError:
            upper = name.upper()
            key = None
            if upper not in _UNUSUAL and b"_" not in upper and upper.isascii():
                key = upper.decode("ascii").replace("-", "_")
                if upper not in _UNPREFIXED:
                    key = "HTTP_" + key
            if len(self._keys) < 256:
                self._keys[name] = key
            return key

    def _answer(self, conn: Any, environ: dict[str, Any]) -> bool:
        worker = self._worker
        worker.nr += 1
        if worker.nr >= worker.max_requests and worker.alive:
            worker.log.info("Autorestarting worker after current request.")
            worker.alive = False
        stays = bool(worker.alive and worker.cfg.keepalive)
        try:
            return Reply(worker, self._clock, conn, environ, stays=stays).give()
        except OSError as error:
            worker.log.debug("Ignoring a client that left: %s", error)
            return False


def _name_server(environ: dict[str, Any], path: str) -> None:
    """Name the server where there are no ports: as the client does.

    :param path: of the socket.
    """
    host = environ.get("HTTP_HOST")
    name, *port = (host or path).split(":")
    environ["SERVER_NAME"] = name
    environ["SERVER_PORT"] = port[0] if port else "80" if host else ""
