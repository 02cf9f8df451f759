"""Connections that one thread serves, over real sockets."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from flaskreg import hot
from flaskreg.heads import is_short
from flaskreg.hot import HotConnections


class Conn:
    """The server's end of a connection, and the client's."""

    def __init__(self) -> None:
        self.sock, self.client = socket.socketpair()
        self.client.settimeout(10)

    def ask(self, line: bytes) -> bytes:
        """Send a line, and return what comes back."""
        self.client.sendall(line)
        return self.client.recv(100)


class Served:
    """Connections that answer each line with itself and the thread that served it.

    The line ``wait`` is answered once :attr:`go` is set, ``leave`` ends the stay.
    """

    def __init__(self) -> None:
        self.left: queue.SimpleQueue[tuple[Any, Any]] = queue.SimpleQueue()
        self.go = threading.Event()
        self.threads: set[int] = set()
        self.pause = 0.0
        self.connections: list[Conn] = []
        self.hot = HotConnections(self.step, lambda *left: self.left.put(left))

    def step(self, conn: Conn) -> Any:
        """Take a line."""
        line = conn.sock.recv(100)
        self.threads.add(threading.get_ident())
        if not line:
            return False
        if line == b"fail":
            raise ValueError(line)
        if line == b"wait":
            self.go.wait(10)
        time.sleep(self.pause)
        conn.sock.sendall(line)
        return "left" if line == b"leave" else None

    def connect(self, *, taken: bool = True) -> Conn:
        """Return a connection that is served."""
        conn = Conn()
        self.connections.append(conn)
        assert self.hot.take(conn) is taken
        return conn


@pytest.fixture
def served() -> Iterator[Served]:
    """Return connections, which are closed at the end."""
    made = Served()
    yield made
    made.go.set()
    made.hot.release()
    for conn in made.connections:
        conn.client.close()
        conn.sock.close()


def test_one_thread_serves_all(served: Served) -> None:
    """Every request of every connection is answered, by one thread."""
    connections = [served.connect() for _ in range(20)]
    for number in range(10):
        for conn in connections:
            assert conn.ask(b"%d" % number) == b"%d" % number
    assert len(served.threads) == 1
    assert served.left.empty()


def test_a_connection_leaves_once(served: Served) -> None:
    """With what became of it; the others stay."""
    leaving, ending, failing, staying = (served.connect() for _ in range(4))
    assert leaving.ask(b"leave") == b"leave"
    assert served.left.get(timeout=10) == (leaving, "left")
    ending.client.close()
    assert served.left.get(timeout=10) == (ending, False)
    failing.client.sendall(b"fail")
    assert served.left.get(timeout=10) == (failing, False)
    leaving.client.sendall(b"more")
    assert staying.ask(b"on") == b"on"
    assert leaving.sock.recv(100) == b"more"
    assert served.left.empty()


def test_nobody_waits_for_a_long_request(served: Served) -> None:
    """The others go on, and the connection leaves when it is answered."""
    stuck, other = served.connect(), served.connect()
    stuck.client.sendall(b"wait")
    for _ in range(3):
        assert other.ask(b"on") == b"on"
    # Nobody looks at it meanwhile, even when it sends more.
    stuck.client.sendall(b"more")
    assert other.ask(b"on") == b"on"
    served.go.set()
    assert stuck.client.recv(100) == b"wait"
    assert served.left.get(timeout=10) == (stuck, True)
    assert served.left.empty()


def test_many_long_requests(served: Served) -> None:
    """Each costs the others a moment, and one thread."""
    stuck = [served.connect() for _ in range(10)]
    other = served.connect()
    for conn in stuck:
        conn.client.sendall(b"wait")
    assert other.ask(b"on") == b"on"
    served.go.set()
    left = {served.left.get(timeout=10) for _ in stuck}
    assert left >= {(conn, True) for conn in stuck}


def test_quiet_connections_leave(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no thread stays for none; the next ones are served as before."""
    monkeypatch.setattr(hot, "QUIET", 0.05)
    for _ in range(3):
        conn = served.connect()
        assert conn.ask(b"on") == b"on"
        assert served.left.get(timeout=10) == (conn, True)
    deadline = time.monotonic() + 10
    while any(each.name == "hot" for each in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_slow_requests_are_left_to_threads(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a while; then it is tried again."""
    monkeypatch.setattr(hot, "COOLING", 0.2)
    monkeypatch.setattr(hot, "PATIENCE", 5.0)
    served.pause = 0.005
    conn = served.connect()
    while served.left.empty():
        assert conn.ask(b"on") == b"on"
        time.sleep(0.02)
    assert served.left.get(timeout=10) == (conn, True)
    served.connect(taken=False)
    served.pause = 0.0
    time.sleep(0.3)
    conn = served.connect()
    for _ in range(100):
        assert conn.ask(b"on") == b"on"
    assert served.left.empty()


def test_all_are_released(served: Served) -> None:
    """The one whose request is being answered leaves then; each leaves once."""
    idle, stuck = served.connect(), served.connect()
    assert idle.ask(b"on") == b"on"
    stuck.client.sendall(b"wait")
    served.hot.release()
    served.go.set()
    left = {served.left.get(timeout=10) for _ in range(2)}
    assert left == {(idle, True), (stuck, True)}
    assert served.left.empty()


@pytest.mark.parametrize(
    ("line", "short"),
    [
        (b"GET /v2/", True),
        (b"HEAD /v2/a/blobs/sha256:0", True),
        (b"GET /v2/a/manifests/b", True),
        (b"GET /v2/a/blobs/sha256:0", False),
        (b"PUT /v2/a/manifests/b", False),
        (b"POST /v2/a/blobs/uploads/", False),
        (b"DELETE /v2/a/manifests/b", False),
    ],
)
def test_short_requests(line: bytes, short: bool) -> None:
    """The ones without a body to receive or a blob to send."""
    assert is_short(line + b" HTTP/1.1\r\nReferer: /blobs/\r\n\r\n") is short


@pytest.mark.parametrize(
    ("line", "short"),
    [
        (b"GET /v2/", True),
        (b"HEAD /v2/", True),
        (b"GET /v2/_catalog", False),
        (b"GET /v2/a/manifests/b", False),
        (b"HEAD /v2/a/blobs/b", False),
        (b"POST /v2/", False),
    ],
)
def test_what_is_short_where_content_is_asked_for(line: bytes, short: bool) -> None:
    """A thread that waits for another server lets others ask it too."""
    assert is_short(line + b" HTTP/1.1\r\nHost: a\r\n\r\n", remote=True) is short
