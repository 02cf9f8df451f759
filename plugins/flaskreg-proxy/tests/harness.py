"""What the tests of this plugin share beside fixtures."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path


PROJECT = Path(__file__).resolve().parents[3]
# The builders of the core's tests; the servers, clients and images of its live ones.
if str(PROJECT / "tests") not in sys.path:
    sys.path.append(str(PROJECT / "tests"))

from live.servers import Server  # noqa: E402


StartCache = Callable[..., Server]


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
