"""Connections are shared out among worker processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from flaskreg import board
from flaskreg.board import Board
from flaskreg.board import Turn


class Clock:
    """A time that passes when somebody sleeps, and when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """Return the time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock of the module."""
    clock = Clock()
    monkeypatch.setattr(board, "time", clock)
    return clock


def test_who_has_no_more_than_others_takes_it(clock: Clock) -> None:
    """And it does not wait for that."""
    shared = Board()
    first, second = Turn(shared, 1), Turn(shared, 2)
    first.tell(0)
    second.tell(0)
    assert first.comes(0)
    first.tell(1)
    assert not first.comes(1)
    assert second.comes(0)
    second.tell(1)
    assert first.comes(1)
    assert clock.now < 1000.001


def test_who_has_more_takes_it_when_nobody_else_does(clock: Clock) -> None:
    """After a moment, and again after that for the next one."""
    shared = Board()
    first, second = Turn(shared, 1), Turn(shared, 2)
    for pause in (0.0, 1.0, 0.0):
        first.tell(5)
        second.tell(2)
        begin = clock.now
        while not first.comes(5):
            assert clock.now < begin + 0.01
        assert clock.now > begin + 0.001
        clock.sleep(pause)


@pytest.mark.parametrize("gone", ["left", "silent", "never there"])
def test_nobody_waits_for_who_is_gone(clock: Clock, gone: str) -> None:
    """A worker that ended, is stuck, or was never started."""
    shared = Board()
    first, second = Turn(shared, 1), Turn(shared, 300)
    if gone != "never there":
        second.tell(0)
    if gone == "left":
        second.leave()
    if gone == "silent":
        clock.sleep(10)
    first.tell(9)
    assert first.comes(9)


def test_forked_processes_share_it() -> None:
    """What a child tells, its parent knows."""
    shared = Board()
    child = os.fork()
    if not child:
        shared.tell(7, 0)
        os._exit(0)
    os.waitpid(child, 0)
    assert shared.has_less_busy(8, 1)


APPLICATION = """
import os

def app(environ, start_response):
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


@pytest.mark.parametrize("workers", [2, 3])
def test_connections_of_one_client_are_spread(tmp_path: Path, workers: int) -> None:
    """Those that come at once and stay end at all workers, evenly."""
    (tmp_path / "spread.py").write_text(APPLICATION)
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    address = listener.getsockname()
    command = [
        sys.executable, "-m", "gunicorn", "--chdir", str(tmp_path), "-w", str(workers),
        "-b", f"fd://{listener.fileno()}", "-k", "flaskreg.worker.RegistryWorker",
        "--threads", "8", "--keep-alive", "60", "--no-control-socket", "spread:app",
    ]  # fmt: skip
    with listener:
        process = subprocess.Popen(command, pass_fds=[listener.fileno()], cwd=tmp_path)
    try:
        seen: set[bytes] = set()
        deadline = time.monotonic() + 60
        while len(seen) < workers and time.monotonic() < deadline:
            with socket.create_connection(address, 60) as sock:
                seen.add(ask(sock))
        # A worker that gets no processor for a while is not waited for.
        rounds = (spread(address, 4 * workers) for _ in range(20))
        assert any(len(counts) == workers and max(counts) <= 5 for counts in rounds)
    finally:
        process.terminate()
        process.wait(30)


def spread(address: tuple[str, int], count: int) -> list[int]:
    """Open connections, and return how many each process got."""
    socks = [socket.create_connection(address, 60) for _ in range(count)]
    counts = Counter(ask(sock) for sock in socks)
    for sock in socks:
        sock.close()
    return list(counts.values())


def ask(sock: socket.socket) -> bytes:
    """Return the process that answers on a connection."""
    sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    return sock.recv(4096).rpartition(b"\r\n\r\n")[2]
