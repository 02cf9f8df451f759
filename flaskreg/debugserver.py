"""The debug server: pages for operators at an address of their own (``http.debug``).

It speaks HTTP without TLS and without credentials, as distribution's does: its address
is for those who run the registry.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler
from wsgiref.simple_server import WSGIServer

from flaskreg.errors import RouteUnknown
from flaskreg.health.pages import Page
from flaskreg.routes.answer import status_line
from flaskreg.routes.render import render


_log = logging.getLogger("flaskreg")

#: how long a client may take for its request, in seconds.
TIMEOUT = 10.0

#: how long to wait before the address is tried again, in seconds.
RETRY = 1.0


class _Handler(WSGIRequestHandler):
    timeout = TIMEOUT

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
        """Write nothing: who scrapes, scrapes all day."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Bind, and look up no name: that may take a while."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name = str(self.server_address[0])
        self.server_port = int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Write nothing: the client has left."""


class _SixServer(_Server):
    address_family = socket.AF_INET6


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of ``host:port``; no host is every address.

    :raises ValueError: it is something else.
    """
    host, colon, port = text.rpartition(":")
    if not (colon and port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ValueError("must be host:port")
    return host.strip("[]") or "0.0.0.0", int(port)


class DebugServer:
    """Serves pages in threads of their own.

    :param address: host and port.
    :param pages: by their paths.
    """

    def __init__(self, address: tuple[str, int], pages: Mapping[str, Page]) -> None:
        self._address = address
        self._pages = pages
        self._server: _Server | None = None
        self._ended = threading.Event()

    def start(self) -> None:
        """Listen, as soon as the address is free."""
        kind = _SixServer if ":" in self._address[0] else _Server
        told = False
        while self._server is None and not self._ended.is_set():
            try:
                self._server = kind(self._address, _Handler)
            except OSError as error:
                if not told:
                    where = f"{self._address[0]}:{self._address[1]}"
                    _log.error("the debug server cannot listen on %s: %s", where, error)
                told = True
                self._ended.wait(RETRY)
        if self._server is None:
            return
        self._server.set_app(self._answer)
        threading.Thread(
            target=self._server.serve_forever, name="debug server", daemon=True
        ).start()

    def stop(self) -> None:
        """Listen no more."""
        self._ended.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    @property
    def port(self) -> int:
        """Return the port that is listened on; 0 when none is."""
        return self._server.server_port if self._server is not None else 0

    def _answer(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        page = self._pages.get(environ.get("PATH_INFO", ""))
        if page is None or environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            answer = render(RouteUnknown())
            start_response(status_line(answer.status), answer.headers)
            assert isinstance(answer.body, bytes)
            return (answer.body,)
        return page(environ, start_response)
