"""Files on their way to slow clients, over real connections."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flaskreg.sending import send_file
from flaskreg.sending import send_pipe


CONTENT = os.urandom(1 << 20) * 12
#: of the socket, in seconds.
LIMIT = 1.0


@pytest.fixture(params=["tcp", "unix"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, ...]]:
    """Return both ends of a connection."""
    if request.param == "unix":
        ours, theirs = socket.socketpair()
    else:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            theirs = socket.create_connection(listener.getsockname())
            ours, _ = listener.accept()
    ours.settimeout(LIMIT)
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    """Return an open file with the content."""
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    opened = os.open(path, os.O_RDONLY)
    yield opened
    os.close(opened)


class Reader(threading.Thread):
    """Reads so many bytes, then waits for so many seconds, and again."""

    def __init__(self, sock: socket.socket, size: int, pause: float) -> None:
        super().__init__(daemon=True)
        self.received = bytearray()
        self._sock = sock
        self._size = size
        self._pause = pause

    def run(self) -> None:
        """Read to the end."""
        while data := self._sock.recv(self._size):
            self.received += data
            time.sleep(self._pause)


@pytest.mark.parametrize(
    ("offset", "count", "expected"),
    [(0, len(CONTENT), CONTENT), (5, 7, CONTENT[5:12]), (3, 0, b""),
     (len(CONTENT) - 2, 50, CONTENT[-2:])],
    ids=["all", "part", "nothing", "beyond the end"],
)  # fmt: skip
def test_a_part_arrives(
    pair: tuple[socket.socket, ...],
    descriptor: int,
    offset: int,
    count: int,
    expected: bytes,
) -> None:
    """With as many bytes as there are of it."""
    ours, theirs = pair
    reader = Reader(theirs, 1 << 20, 0)
    reader.start()
    assert send_file(ours, descriptor, offset, count) == len(expected)
    ours.close()
    reader.join(30)
    assert reader.received == expected


def test_a_client_that_moves_is_waited_for(
    pair: tuple[socket.socket, ...], descriptor: int
) -> None:
    """Though it takes longer than the limit for what the system has buffered."""
    ours, theirs = pair
    reader = Reader(theirs, 256 << 10, 0.1)
    reader.start()
    begin = time.monotonic()
    assert send_file(ours, descriptor, 0, len(CONTENT)) == len(CONTENT)
    assert time.monotonic() - begin > LIMIT
    ours.close()
    reader.join(60)
    assert reader.received == CONTENT


def test_a_client_that_stalls_is_not(
    pair: tuple[socket.socket, ...], descriptor: int
) -> None:
    """It is given the limit once it takes nothing more."""
    ours, _ = pair
    with pytest.raises(TimeoutError):
        send_file(ours, descriptor, 0, len(CONTENT))


def test_a_client_that_left_is_told(
    pair: tuple[socket.socket, ...], descriptor: int
) -> None:
    """At once, however long the limit is."""
    ours, theirs = pair
    theirs.close()
    with pytest.raises(OSError, match="Broken pipe|reset"):
        send_file(ours, descriptor, 0, len(CONTENT))


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Return both ends of a pipe."""
    out, into = os.pipe()
    yield out, into
    os.close(out)
    os.close(into)


@pytest.mark.parametrize("pause", [0, 0.001])
def test_what_a_pipe_holds_arrives(
    pair: tuple[socket.socket, ...], pipe: tuple[int, int], pause: float
) -> None:
    """Piece by piece, also to a client that is slow."""
    ours, theirs = pair
    reader = Reader(theirs, 16 << 10, pause)
    reader.start()
    size = 64 << 10
    for at in range(0, len(CONTENT), size):
        piece = CONTENT[at : at + size]
        assert os.write(pipe[1], piece) == len(piece)
        send_pipe(ours, pipe[0], len(piece))
    ours.close()
    reader.join(60)
    assert reader.received == CONTENT


def test_a_client_that_stalls_is_told_by_a_pipe(
    pair: tuple[socket.socket, ...], pipe: tuple[int, int]
) -> None:
    """It is given the limit once it takes nothing more."""
    ours, _ = pair

    def fill() -> None:
        while True:
            os.write(pipe[1], CONTENT[: 32 << 10])
            send_pipe(ours, pipe[0], 32 << 10)

    with pytest.raises(TimeoutError):
        fill()
