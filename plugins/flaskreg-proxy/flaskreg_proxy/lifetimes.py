"""What the stores of the cache tell the scheduler, and what it calls."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Literal
from typing import Protocol

from flaskreg.digest import Digest


class Lifetimes(Protocol):
    """How long cached content is kept."""

    def touch(
        self,
        repository: str,
        kind: Literal["blob", "manifest"],
        digest: Digest,
        size: int,
    ) -> None:
        """Note that content was cached or served just now; cheap, and never raises."""

    def pinned(self, digest: Digest) -> AbstractContextManager[None]:
        """Keep content while a fill or a pull of it is in flight."""

    def start(self, remove: Callable[[str, str, Digest], None]) -> None:
        """Begin; *remove* is called with repository, kind and digest on expiry."""

    def close(self) -> None:
        """End, and keep what is known."""
