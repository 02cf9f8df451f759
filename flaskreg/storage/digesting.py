"""Running digests that are fed while further bytes arrive.

Digesting takes about as long as receiving and writing, and none of them holds the
interpreter's lock: one chunk is digested in a thread while the next is on its
way.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from flaskreg.digest import Digester


#: bytes that are digested in the same thread before one is started for the rest.
_WORTH_A_THREAD = 1 << 20


class Digesting:
    """Feeds running digests; leaving it as a context manager ends the thread.

    :param digesters: what is fed; they are up to date when the context is left.
    """

    def __init__(self, digesters: Sequence[Digester]) -> None:
        self._digesters = digesters
        self._seen = 0
        self._pool: ThreadPoolExecutor | None = None
        self._pending: Future[None] | None = None

    def update(self, chunk: bytes) -> None:
        """Digest *chunk* after those before it."""
        self._wait()
        self._seen += len(chunk)
        if self._seen <= _WORTH_A_THREAD or not self._digesters:
            self._digest(chunk)
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, "digest")
        self._pending = self._pool.submit(self._digest, chunk)

    def _digest(self, chunk: bytes) -> None:
        for digester in self._digesters:
            digester.update(chunk)

    def _wait(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._wait()
        finally:
            if self._pool is not None:
                self._pool.shutdown()
