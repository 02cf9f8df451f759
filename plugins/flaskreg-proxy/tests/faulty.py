"""A TCP proxy before an upstream, which counts what passes and does harm on request."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field
from typing import Self


_STEP = 64 << 10
#: a connection of the proxy ends when nothing moves for so long, in seconds.
_IDLE = 60.0


@dataclass(frozen=True)
class Request:
    """The head of one request."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass(frozen=True)
class Fault:
    """What happens to an answer.

    :param status: is answered in place of the upstream; 0 for its own answer.
    :param hang: nothing is ever answered.
    :param drop: the connection is closed at once.
    :param cut_at: bytes of the body after which the connection is closed.
    :param corrupt_at: the place of a byte of the body that is changed.
    :param rate: bytes a second; 0 for all speed.
    :param hold: after the first piece of the body, waits for this.
    :param ignore_range: whether the upstream does not see the ``Range``.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    drop: bool = False
    cut_at: int | None = None
    corrupt_at: int | None = None
    rate: int = 0
    hold: threading.Event | None = None
    ignore_range: bool = False


Choose = Callable[[Request], Fault | None]


class FaultyProxy:
    """Listens on loopback; each connection carries one request.

    :param port: of the upstream, on loopback.
    """

    def __init__(self, port: int) -> None:
        self.target = port
        self.requests: list[Request] = []
        #: headers that every answer of the upstream gets.
        self.added: dict[str, str] = {}
        #: bytes of the bodies of all answers that were passed on.
        self.sent = 0
        #: chooses what happens to a request; ``None``: nothing.
        self.fault: Choose = lambda _request: None
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def count(self, method: str, part: str) -> int:
        """Return how many requests of a method have had *part* in their path."""
        return sum(it.method == method and part in it.path for it in self.requests)

    def always(self, **fault: object) -> None:
        """Let one thing happen to every request."""
        made = Fault(**fault)  # type: ignore[arg-type]
        self.fault = lambda _request: made

    def first(self, times: int, part: str, **fault: object) -> None:
        """Let something happen to the first GETs that have *part* in their path."""
        made, left = Fault(**fault), [times]  # type: ignore[arg-type]
        lock = threading.Lock()

        def choose(request: Request) -> Fault | None:
            if request.method != "GET" or part not in request.path:
                return None
            with lock:
                left[0] -= 1
                return made if left[0] >= 0 else None

        self.fault = choose

    def heal(self) -> None:
        """Let everything through, and count from the beginning."""
        self.fault = lambda _request: None
        self.requests.clear()
        self.sent = 0

    def close(self) -> None:
        """Listen no more, and close what is open."""
        self._ended.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            client.settimeout(_IDLE)
            head = _read_head(client)
            if not head:
                return
            request = _parse(head)
            fault = self.fault(request) or Fault()
            self.requests.append(request)
            if fault.drop:
                return
            if fault.hang:
                self._ended.wait(_IDLE)
            elif fault.status:
                client.sendall(_answer(fault))
            else:
                self._pass_on(client, request, fault)

    def _pass_on(self, client: socket.socket, request: Request, fault: Fault) -> None:
        with socket.create_connection(("127.0.0.1", self.target), _IDLE) as upstream:
            upstream.sendall(_head_for(request, fault))
            head = _read_head(upstream)
            head = head.replace(b"http://127.0.0.1:%d" % self.target, b"")
            client.sendall(_with_headers(head, self.added))
            self._copy(client, upstream, fault)

    def _copy(
        self, client: socket.socket, upstream: socket.socket, fault: Fault
    ) -> None:
        done = 0
        step = min(_STEP, fault.rate // 20 or _STEP)
        while chunk := upstream.recv(step):
            place = fault.corrupt_at
            if place is not None and done <= place < done + len(chunk):
                changed = bytearray(chunk)
                changed[place - done] ^= 1
                chunk = bytes(changed)
            if fault.cut_at is not None and done + len(chunk) > fault.cut_at:
                client.sendall(chunk[: fault.cut_at - done])
                self.sent += max(fault.cut_at - done, 0)
                return
            client.sendall(chunk)
            done += len(chunk)
            self.sent += len(chunk)
            if fault.rate:
                time.sleep(len(chunk) / fault.rate)
            if fault.hold is not None:
                fault.hold.wait(_IDLE)


def _read_head(sock: socket.socket) -> bytes:
    """Read up to the empty line, a byte at a time, so that the body stays."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)
        if not byte:
            return b""
        head += byte
    return head


def _with_headers(head: bytes, headers: dict[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return head.removesuffix(b"\r\n") + lines.encode("latin-1") + b"\r\n"


def _parse(head: bytes) -> Request:
    first, *lines = head.decode("latin-1").rstrip().split("\r\n")
    method, path, _version = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    return Request(method, path, {k.lower(): v.strip() for k, _, v in pairs})


def _head_for(request: Request, fault: Fault) -> bytes:
    headers = {**request.headers, "connection": "close"}
    if fault.ignore_range:
        headers.pop("range", None)
    lines = [f"{request.method} {request.path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _answer(fault: Fault) -> bytes:
    lines = [f"HTTP/1.1 {fault.status} Told", "Content-Length: 0", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in fault.headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
