"""HTTP by hand: requests cut anywhere, sent slowly, or wrong on purpose."""

from __future__ import annotations

import http.client
import socket
import struct
from collections.abc import Iterable
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    """One response as it came over the wire."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    #: whether the body had the length that the headers tell.
    whole: bool = True

    def get(self, name: str) -> str | None:
        """Return the first header of a name."""
        lowered = name.lower()
        return next((v for k, v in self.headers if k.lower() == lowered), None)


class Wire:
    """One connection to a server, with nothing between the test and the bytes."""

    def __init__(self, host: str, *, timeout: float = 30, receive: int = 0) -> None:
        """Connect to ``host:port``.

        :param receive: bytes of the socket's receive buffer; 0 leaves the system's.
        """
        address, _, port = host.rpartition(":")
        self.host = host
        self.socket = socket.socket()
        self.socket.settimeout(timeout)
        if receive:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        try:
            self.socket.connect((address, int(port)))
        except OSError:
            self.socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def head(
        self, method: str, target: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a request line and headers, ``Host`` among them unless given."""
        lines = [f"{method} {target_of(target)} HTTP/1.1"]
        given = dict(headers or {})
        for name, value in {"Host": self.host, **given}.items():
            lines.append(f"{name}: {value}")
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1"))

    def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """Send one whole request, its length added, and read the answer.

        A server may answer and stop listening before it has all of the body.
        """
        length = {} if body is None else {"Content-Length": str(len(body))}
        self.head(method, target, {**length, **dict(headers or {})})
        if body:
            with suppress(ConnectionError):
                self.send(body)
        return self.read(method)

    def read(self, method: str = "GET") -> Answer:
        """Read one answer; a connection that ends before it is an OSError."""
        response = http.client.HTTPResponse(self.socket, method=method)
        whole = True
        try:
            response.begin()
            body = response.read()
        except http.client.IncompleteRead as cut:
            body, whole = cut.partial, False
        finally:
            response.close()
        return Answer(response.status, response.getheaders(), body, whole)

    def read_or_none(self, method: str = "GET") -> Answer | None:
        """Read an answer if there is one before the connection ends."""
        try:
            return self.read(method)
        except (OSError, http.client.HTTPException):
            return None

    def chunks(self, parts: Iterable[bytes]) -> None:
        """Send parts of a chunked body, without the chunk that ends it."""
        for part in parts:
            self.send(b"%x\r\n%b\r\n" % (len(part), part))

    def finish(self) -> None:
        """Say that no more is sent (FIN), and go on listening."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """End the connection with RST, as a client that is killed may."""
        now = struct.pack("ii", 1, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
        self.socket.close()

    def close(self) -> None:
        self.socket.close()


def target_of(location: str) -> str:
    """Return path and query of a location, relative or absolute."""
    if "://" not in location:
        return location
    parts = urlsplit(location)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def ask(
    host: str,
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    *,
    timeout: float = 30,
) -> Answer:
    """Send one request on a connection of its own."""
    with Wire(host, timeout=timeout) as wire:
        return wire.request(method, target, headers, body)
