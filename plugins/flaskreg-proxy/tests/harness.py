"""What the tests of this plugin share beside fixtures."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path


PROJECT = Path(__file__).resolve().parents[3]
# The builders of the core's tests; the servers, clients and images of its live ones.
if str(PROJECT / "tests") not in sys.path:
    sys.path.append(str(PROJECT / "tests"))

from live.servers import Server  # noqa: E402


StartCache = Callable[..., Server]


class Disk:
    """A file system of 16 MiB in memory.

    :param path: where it is mounted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def free(self) -> int:
        """Return the bytes that are left."""
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_bsize

    def fill(self, leave: int = 0) -> None:
        """Leave so many bytes, and no more."""
        with open(self._filler, "ab", buffering=0) as file:
            while self.free() > leave:
                file.write(b"\0" * min(64 << 10, self.free() - leave))

    def empty(self) -> None:
        """Give back what :meth:`fill` took."""
        self._filler.unlink(missing_ok=True)


def tree(server: Server) -> list[str]:
    """Return the files of a server below its root."""
    return sorted(
        str(path.relative_to(server.root))
        for path in server.root.rglob("*")
        if path.is_file()
    )


def stored(server: Server, digest: str) -> Path:
    """Return where a server keeps a blob, when it does."""
    encoded = digest.partition(":")[2]
    return server.tree / "blobs" / "sha256" / encoded[:2] / encoded / "data"
