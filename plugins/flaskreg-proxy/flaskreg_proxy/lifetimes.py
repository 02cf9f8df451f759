"""The contract between what is cached and what decides how long it stays."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from contextlib import nullcontext
from typing import Literal
from typing import Protocol

from flaskreg.digest import Digest


#: takes content out of a repository: its name, ``blob`` or ``manifest``, the digest.
Remove = Callable[[str, str, Digest], None]


class Lifetimes(Protocol):
    """Knows what is cached and when it was used, and has it removed in its time."""

    def touch(
        self,
        repository: str,
        kind: Literal["blob", "manifest"],
        digest: Digest,
        size: int,
    ) -> None:
        """Note that content was cached or served; cheap, and never raises.

        :param size: in bytes.
        """

    def pinned(self, digest: Digest) -> AbstractContextManager[None]:
        """Keep content from being removed while it is received or sent."""

    def start(self, remove: Remove) -> None:
        """Begin to remove what has had its time; called once in each process.

        :param remove: takes one thing out of a repository.
        """

    def close(self) -> None:
        """Stop."""


class Endless:
    """Everything stays for ever: ``ttl: 0`` without a limit of size."""

    def touch(
        self,
        repository: str,
        kind: Literal["blob", "manifest"],
        digest: Digest,
        size: int,
    ) -> None:
        """Note nothing."""

    def pinned(self, digest: Digest) -> AbstractContextManager[None]:
        """Nothing is ever removed."""
        del digest
        return nullcontext()

    def start(self, remove: Remove) -> None:
        """Remove nothing."""

    def close(self) -> None:
        """Nothing goes on."""
