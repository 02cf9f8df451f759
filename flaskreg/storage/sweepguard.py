"""What keeps pushes and a garbage collection from each other, on any driver.

A collection that runs says so in the storage *before* it reads what is there. Who
pushes looks whether one runs, and then names all that the push relies on as spared,
*before* it looks whether that is still there and *before* it makes anything visible.
For each digest the collection says that it sweeps it, and *then* looks whether it is
spared; the push says that it is spared, and *then* looks whether it is being swept. So
at least one of the two sees the other, whatever the order:

- a push that saw no collection was visible before the collection read the storage;
- a push that saw one has all it relies on spared, or waits, and finds it gone.

Nothing is locked, a collection that was killed stops nobody, and a push looks up one
small file while none runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Iterable
from contextlib import suppress
from typing import TypeVar

from flaskreg.digest import Digest
from flaskreg.driver import DriverError
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.errors import Unavailable
from flaskreg.lru import LRU
from flaskreg.storage import ourpaths
from flaskreg.storage import paths


#: how long a push waits while something that it relies on is deleted, in seconds.
PATIENCE = 10.0
_STEP = 0.02

#: how long a blob is not announced again that was announced, in seconds. It is far
#: less than any grace that a collection is given while people push.
_ANNOUNCED = 60.0

T = TypeVar("T")


def tag_mark(name: str, tag: str) -> Digest:
    """Return the digest that stands for a tag where digests are spared and swept."""
    return Digest.of(f"{name}:{tag}".encode())


class SweepGuard:
    """The pushing side.

    :param driver: where the marks of a collection are.
    :param patience: how long a push waits for one digest, in seconds.
    """

    def __init__(self, driver: StorageDriver, patience: float = PATIENCE) -> None:
        self._driver = driver
        self._patience = patience
        self._announced: LRU[tuple[str, Digest], float] = LRU(10_000)

    def runs(self) -> frozenset[str]:
        """Return the collections that are under way; there is one at most, mostly."""
        try:
            return frozenset(self._driver.list(ourpaths.SWEEPS))
        except PathNotFound:
            return frozenset()

    def protect(
        self, digests: Callable[[], Iterable[Digest]], write: Callable[[], T]
    ) -> T:
        """Do what makes a push visible, so that nothing it relies on is swept.

        :param digests: returns the canonical digests that it relies on; called only
            while a collection is under way.
        :param write: looks whether they are there, and writes. It is done again when a
            collection begins meanwhile.
        :raises Unavailable: one of them is being deleted, and goes on being so.
        """
        known: frozenset[str] = frozenset()
        runs = self.runs()
        while True:
            if runs:
                self.spare(runs, digests())
                known |= runs
            result = write()
            runs = self.runs() - known
            if not runs:
                return result

    def spare(self, runs: Iterable[str], digests: Iterable[Digest]) -> None:
        """Keep collections from *digests*; those that they have are gone after it.

        :raises Unavailable: as :meth:`protect`.
        """
        wanted = [(run, each) for each in dict.fromkeys(digests) for run in runs]
        for run, digest in wanted:
            path = ourpaths.spared(run, digest)
            self._driver.put_content(path, b"", durable=False)
        for run, digest in wanted:
            self._wait(ourpaths.sweeping(run, digest))

    def announce(self, name: str, digest: Digest) -> None:
        """Note that a client was told of a blob, and may rely on it from now on.

        A storage that is full or cannot be written to has no pushes to serve.
        """
        now = time.monotonic()
        told = self._announced.get((name, digest))
        if told is not None and now - told < _ANNOUNCED:
            return
        self._announced.set((name, digest), now)
        with suppress(DriverError, Unavailable):
            self._driver.touch(paths.link(paths.layer(name, digest)))
            self.spare(self.runs(), [digest])

    def _wait(self, path: str) -> None:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                self._driver.stat(path)
            except PathNotFound:
                return
            if time.monotonic() > deadline:
                raise Unavailable(
                    "a garbage collection deletes what this push relies on",
                    headers={"Retry-After": "10"},
                )
            time.sleep(_STEP)
