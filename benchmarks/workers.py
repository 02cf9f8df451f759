"""Compare gunicorn's worker classes: ``python benchmarks/workers.py``.

gthread, gevent where it is installed, and the registry's own run with the same
settings. First each is measured by the load generator, in alternating rounds. Then
stalled, slow and idle clients come to each, and small requests are timed among them.
It writes ``WORKERS.md``. ``--smoke`` does a little of all of it and writes nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import http.client
import importlib.util
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import ExitStack
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path

from run import HERE
from run import Server
from run import find_regload
from run import free_port
from run import machine
from run import measure
from run import running
from run import write_configuration


MIB = 1 << 20
NAME = "workers"
OURS = "registry"
CLASSES = {
    "gthread": "gthread",
    "gevent": "gevent",
    OURS: "flaskreg.worker.RegistryWorker",
}
ROWS = "ping,manifest-get-tag,blob-head,blob-get,push-big,push-small,push-images"

#: clients that are there at once: with half a request, with an upload that has stopped,
#: that read a large blob slowly, and with nothing to ask.
HALF, STALLED, SLOW, IDLE = 200, 40, 40, 400

#: how long a small request is waited for, in seconds.
PATIENCE = 2.0

#: gevent replaces the standard library's blocking calls, before anything is imported.
PATCH = "from gevent import monkey\nmonkey.patch_all()\n"


@dataclass
class Times:
    """What small requests took among the others, in milliseconds."""

    took: list[float] = field(default_factory=list)
    failed: int = 0

    def percentile(self, percent: float) -> float:
        """Return what so many of them are within."""
        if not self.took:
            return float("inf")
        ordered = sorted(self.took)
        return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]


def write_settings(folder: Path, kind: str) -> Path:
    """Write a settings file of gunicorn that changes the worker class alone."""
    file = folder / f"{kind}.conf.py"
    file.write_text(
        f"{PATCH if kind == 'gevent' else ''}"
        "from flaskreg.gunicornconf import *\n"
        f"worker_class = {CLASSES[kind]!r}\n"
        "worker_connections = 2000\n"
        "loglevel = 'critical'\n"
    )
    return file


def make_server(folder: Path, kind: str) -> tuple[Server, Path]:
    """Return a server with a worker class, and its configuration."""
    port = free_port()
    settings = write_settings(folder, kind)
    command = [
        *(sys.executable, "-m", "gunicorn", "-c", str(settings)),
        *("-w", "2", "wsgi:app"),
    ]
    return Server(kind, command, port), write_configuration(folder, kind, port)


# Among others


def ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes | None = None,
) -> http.client.HTTPResponse:
    """Send a request and read its answer."""
    connection.request(method, path, body)
    response = connection.getresponse()
    response.read()
    return response


def push(port: int, content: bytes) -> str:
    """Push a blob and return its digest."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    path = f"/v2/{NAME}/blobs/uploads/?digest={digest}"
    response = ask(connection, "POST", path, content)
    connection.close()
    if response.status != 201:
        raise RuntimeError(f"a push was answered with {response.status}")
    return digest


@dataclass
class Crowd:
    """Clients of one server that are there and ask for nothing quickly.

    :param port: of the server.
    :param digest: of a large blob.
    """

    port: int
    digest: str
    slow: list[socket.socket] = field(default_factory=list)
    others: list[socket.socket] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def connect(self, data: bytes, where: list[socket.socket]) -> None:
        """Connect and send something; a server that is full may not take it."""
        with contextlib.suppress(OSError):
            sock = socket.socket()
            sock.settimeout(2)
            where.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 10)
            sock.connect(("127.0.0.1", self.port))
            sock.sendall(data)

    def come(self, share: float) -> None:
        """Let a share of all of them come; the sessions are started before that."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        sessions = [
            ask(connection, "POST", f"/v2/{NAME}/blobs/uploads/").headers["Location"]
            for _ in range(int(STALLED * share))
        ]
        connection.close()
        for _ in range(int(IDLE * share)):
            self.connect(b"", self.others)
        for location in sessions:
            head = f"PATCH {location} HTTP/1.1\r\nHost: x\r\n"
            head += f"Content-Length: {64 * MIB}\r\n\r\nx"
            self.connect(head.encode(), self.others)
        for _ in range(int(SLOW * share)):
            head = f"GET /v2/{NAME}/blobs/{self.digest} HTTP/1.1\r\nHost: x\r\n\r\n"
            self.connect(head.encode(), self.slow)
        for _ in range(int(HALF * share)):
            self.connect(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nAcc", self.others)

    def read_slowly(self) -> None:
        """Receive some KiB a second of each large blob, until told to stop."""
        while not self.stop.wait(0.5):
            for sock in self.slow:
                with contextlib.suppress(OSError):
                    sock.recv(8 << 10, socket.MSG_DONTWAIT)


@contextmanager
def crowded(port: int, digest: str, share: float) -> Iterator[None]:
    """Let clients come, and go at the end."""
    crowd = Crowd(port, digest)
    reader = threading.Thread(target=crowd.read_slowly)
    reader.start()
    try:
        crowd.come(share)
        yield
    finally:
        crowd.stop.set()
        reader.join()
        for sock in (*crowd.slow, *crowd.others):
            sock.close()


def probe(port: int, digest: str, seconds: float) -> Times:
    """Time small requests for a while, each on a connection of its own."""
    times = Times()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for method, path in (("GET", "/v2/"), ("HEAD", f"/v2/{NAME}/blobs/{digest}")):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
            begin = time.perf_counter()
            try:
                ask(connection, method, path)
                times.took.append((time.perf_counter() - begin) * 1000)
            except (OSError, http.client.HTTPException):
                times.failed += 1
            finally:
                connection.close()
        time.sleep(0.005)
    return times


def push_rate(port: int, size: int) -> float:
    """Return MiB/s of one push among the others, 0 when it fails."""
    content = os.urandom(size)
    begin = time.monotonic()
    try:
        push(port, content)
    except (OSError, RuntimeError, http.client.HTTPException):
        return 0.0
    return size / MIB / (time.monotonic() - begin)


def among_others(port: int, *, share: float, seconds: float) -> tuple[Times, float]:
    """Return the times of small requests, and the rate of a push, in a crowd."""
    digest = push(port, os.urandom(64 * MIB))
    with crowded(port, digest, share):
        times = probe(port, digest, seconds)
        return times, push_rate(port, 64 * MIB)


# What is written


def page(
    table: str,
    kinds: Sequence[str],
    crowd: dict[str, tuple[Times, float]],
    memory: dict[str, float],
    folder: Path,
) -> str:
    """Return the page of results."""
    lines = [
        "# Worker classes of gunicorn",
        "",
        f"One run of `benchmarks/workers.py` on {time.strftime('%Y-%m-%d')}: "
        f"{machine(folder)}.",
        "Two workers of 64 threads, other work on the machine: ratios of one run.",
        "",
        f"| row | {' | '.join(kinds)} | unit |",
        f"|---|{'---|' * len(kinds)}---|",
    ]
    for row in table.splitlines()[1:]:
        name, *cells = row.split()[: len(kinds) + 2]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += [
        "",
        f"Among {HALF} clients with half a request, {STALLED} stalled uploads, {SLOW} "
        f"slow readers and {IDLE}",
        f"connections that say nothing; a small request fails after {PATIENCE:.0f} s.",
        "",
        "| worker | median, ms | p99, ms | answered | failed | push, MiB/s "
        "| resident, MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind in kinds:
        times, rate = crowd[kind]
        cells = [
            kind,
            f"{times.percentile(50):.1f}",
            f"{times.percentile(99):.1f}",
            str(len(times.took)),
            str(times.failed),
            f"{rate:.0f}",
            f"{memory[kind]:.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="a moment, no results")
    parser.add_argument("--rounds", default="3", help="rounds of each row")
    parser.add_argument("--secs", default="3", help="seconds of each rate")
    arguments = parser.parse_args()
    regload = find_regload()
    options = ["-rounds", arguments.rounds, "-secs", arguments.secs, "-only", ROWS]
    share, seconds = 1.0, 10.0
    if arguments.smoke:
        options = ["-rounds", "1", "-secs", "0.3", "-warm", "0.1", "-only", "ping"]
        options += ["-big", "8"]
        share, seconds = 0.05, 0.5
    kinds = [
        kind
        for kind in CLASSES
        if kind != "gevent" or importlib.util.find_spec("gevent")
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = [make_server(folder, kind) for kind in kinds]
        with ExitStack() as stack:
            servers = [
                stack.enter_context(running(server, configuration))
                for server, configuration in made
            ]
            table = measure(servers, regload, options)
            memory = {server.name: server.memory()[0] for server in servers}
        crowd = {}
        for server, configuration in made:
            with running(server, configuration):
                crowd[server.name] = among_others(
                    server.port, share=share, seconds=seconds
                )
        text = page(table, kinds, crowd, memory, folder)
    if arguments.smoke:
        print(text)
    else:
        (HERE / "WORKERS.md").write_text(text)


if __name__ == "__main__":
    main()
