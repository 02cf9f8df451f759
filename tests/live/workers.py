"""Which worker process serves which connection, read from /proc."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from pathlib import Path

import pytest

from .servers import Server
from .wire import Wire


def worker_of(server: Server, wire: Wire) -> int | None:
    """Return the process that holds the server's end of a connection."""
    client_port = wire.socket.getsockname()[1]
    inode = socket_inode(server.port, client_port)
    for pid in server.workers():
        if inode and f"socket:[{inode}]" in open_files(pid):
            return pid
    return None


def socket_inode(local: int, remote: int) -> str | None:
    """Return the inode of the loopback socket with these two ports."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        ports = [int(fields[at].rpartition(":")[2], 16) for at in (1, 2)]
        if ports == [local, remote]:
            return fields[9]
    return None


def open_files(pid: int) -> set[str]:
    """Return what the descriptors of a process point at."""
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.add(os.readlink(entry))
        except FileNotFoundError:
            continue
    return found


@contextmanager
def one_each(server: Server, count: int) -> Iterator[list[Wire]]:
    """Yield kept-alive connections to ``count`` different workers of a server."""
    with ExitStack() as stack:
        found: dict[int, Wire] = {}
        for _ in range(400):
            wire = stack.enter_context(Wire(server.host))
            assert wire.request("GET", "/v2/").status == 200
            pid = worker_of(server, wire)
            if pid is not None:
                found.setdefault(pid, wire)
            if len(found) == count:
                break
        else:
            pytest.fail(f"400 connections reached {len(found)} of {count} workers")
        yield list(found.values())
