"""What the caches of one process have done, counted.

Source: the ``registry.proxy`` variables of CNCF distribution. A count may miss one now
and then, when two threads count at once.
"""

from __future__ import annotations

from dataclasses import asdict
from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Requests, hits and misses; bytes pulled from upstreams and pushed to clients."""

    blob_requests: int = 0
    blob_hits: int = 0
    blob_misses: int = 0
    blob_bytes_pulled: int = 0
    blob_bytes_pushed: int = 0
    manifest_requests: int = 0
    manifest_hits: int = 0
    manifest_misses: int = 0
    manifest_stale: int = 0
    manifest_bytes_pulled: int = 0
    manifest_bytes_pushed: int = 0

    def to_json(self) -> dict[str, int]:
        """Return all of them by name."""
        return asdict(self)
