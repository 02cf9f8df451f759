"""One garbage collection as pushes see it: the other side of the sweep guard."""

from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from datetime import UTC
from datetime import datetime
from datetime import timedelta

from flaskreg.digest import Digest
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.storage import ourpaths


#: how often a collection says that it lives, in seconds.
_BEAT = 30.0
#: a collection that has said nothing for so long is dead.
_DEAD = timedelta(minutes=10)


class SweepBusy(Exception):
    """Another garbage collection is under way; one sentence says which."""


class SweepLost(Exception):
    """Another garbage collection took this one for dead: it must delete no more."""


class SweepRun:
    """Says in the storage what is being collected. Its marks are empty files.

    A storage without room takes an empty file mostly, so that one that is full can be
    collected too.

    :param driver: of the storage.
    :param name: of this run, and of no other; one component of a path.
    :param is_gone: tells from the name of another run whether its process has ended
        for certain.
    """

    def __init__(
        self,
        driver: StorageDriver,
        name: str,
        is_gone: Callable[[str], bool] = lambda _name: False,
    ) -> None:
        self.name = name
        self._driver = driver
        self._is_gone = is_gone
        self._beaten = 0.0

    def begin(self) -> None:
        """Let every push know from now on.

        :raises SweepBusy: there is another collection, alive as far as anybody knows.
        """
        self._beat()
        others = set(self._driver.list(ourpaths.SWEEPS)) - {self.name}
        for other in others:
            if not self._dead(other):
                self._forget(ourpaths.active_sweep(self.name))
                raise SweepBusy(
                    f"another garbage collection is under way, {other}; it is taken "
                    f"for dead {_DEAD.seconds // 60} minutes after its last sign"
                )
        for other in others:
            self._forget(ourpaths.active_sweep(other))
        with suppress(PathNotFound):
            for other in self._driver.list(ourpaths.SWEEP_RUNS):
                self._forget(ourpaths.sweep_run(other))

    def beat(self) -> None:
        """Say that this collection lives, when it is time to.

        :raises SweepLost: somebody thought that it does not.
        """
        if time.monotonic() - self._beaten > _BEAT:
            self._check()
            self._beat()

    @contextmanager
    def claim(self, digest: Digest) -> Iterator[bool]:
        """Hold a digest while it is deleted.

        :returns: whether it may be: no push relies on it.
        :raises SweepLost: as :meth:`beat`.
        """
        mark = ourpaths.sweeping(self.name, digest)
        self._driver.put_content(mark, b"", durable=False)
        try:
            self._check()
            yield not self._is_there(ourpaths.spared(self.name, digest))
        finally:
            self._forget(mark)

    def end(self) -> None:
        """Let pushes go on without it."""
        self._forget(ourpaths.active_sweep(self.name))
        self._forget(ourpaths.sweep_run(self.name))

    def _beat(self) -> None:
        mark = ourpaths.active_sweep(self.name)
        self._driver.put_content(mark, b"", durable=False)
        self._beaten = time.monotonic()

    def _check(self) -> None:
        if not self._is_there(ourpaths.active_sweep(self.name)):
            raise SweepLost("another garbage collection took this one for dead")

    def _dead(self, other: str) -> bool:
        if self._is_gone(other):
            return True
        try:
            modified = self._driver.stat(ourpaths.active_sweep(other)).modified
        except PathNotFound:
            return True
        return modified is not None and datetime.now(UTC) - modified > _DEAD

    def _is_there(self, path: str) -> bool:
        try:
            self._driver.stat(path)
        except PathNotFound:
            return False
        return True

    def _forget(self, path: str) -> None:
        with suppress(PathNotFound):
            self._driver.delete(path, durable=False)
