"""The contract between what is cached and what decides how long it stays."""

from __future__ import annotations

from contextlib import AbstractContextManager
from contextlib import nullcontext
from typing import Literal
from typing import Protocol

from flaskreg.digest import Digest


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

    def hold(self, digest: Digest | None) -> AbstractContextManager[None]:
        """Keep content as :meth:`pinned` does; ``None`` keeps all content."""

    def room(self, size: int, patience: float) -> AbstractContextManager[bool]:
        """Have room for content that is stored, and touched, inside.

        :param size: in bytes.
        :param patience: seconds to wait while other content is removed.
        :returns: whether there is; without it content is passed on and not kept.
        """

    def start(self, *, jobs: bool = True) -> None:
        """Begin to remove what has had its time; called in each process.

        :param jobs: whether this process may do what is on a timetable too.
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

    def hold(self, digest: Digest | None) -> AbstractContextManager[None]:
        """Nothing is ever removed."""
        del digest
        return nullcontext()

    def room(self, size: int, patience: float) -> AbstractContextManager[bool]:
        """There is always room."""
        del size, patience
        return nullcontext(True)

    def start(self, *, jobs: bool = True) -> None:
        """Remove nothing."""

    def close(self) -> None:
        """Nothing goes on."""
