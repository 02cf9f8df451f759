"""What this worker has in use, and how the removal of it by another one is kept off.

The holder tells what it is about to remove, and removes nothing before every worker has
acknowledged that. A worker acknowledges with what of it is in use. What comes into use
later is vetoed by a file of its own; the holder announces the removal itself before it
looks for vetoes, and the worker writes its veto before it looks for that announcement,
so that one of them sees the other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from collections.abc import Collection
from contextlib import suppress

from flaskreg.digest import Digest
from flaskreg.driver import DriverError
from flaskreg.driver import StorageDriver
from flaskreg_proxy.scheduling import places
from flaskreg_proxy.scheduling.control import Control


#: between two looks at whether a removal is over, in seconds.
_STEP = 0.02

#: stands for all content, where it is not known yet what is to be used.
_ALL = Digest("")


class Pin:
    """Content that is in use as long as this is entered; each pull has one.

    :param pins: of this process.
    :param digest: of the content.
    """

    __slots__ = ("_digest", "_pins")

    def __init__(self, pins: Pins, digest: Digest) -> None:
        self._pins = pins
        self._digest = digest

    def __enter__(self) -> None:
        self._pins.enter(self._digest)

    def __exit__(self, *error: object) -> None:
        self._pins.leave(self._digest)


class Pins:
    """The content in use by this process.

    Where nothing is about to be removed, pinning takes a lock and no look at the
    storage.

    :param driver: where vetoes are.
    :param patience: seconds that a pin waits at most for a removal to end: a holder
        that takes longer is dead.
    :param read_control: reads what the holder tells now.
    """

    def __init__(
        self,
        driver: StorageDriver,
        patience: float,
        read_control: Callable[[], Control],
    ) -> None:
        self._driver = driver
        self._patience = patience
        self._read_control = read_control
        self._lock = threading.Lock()
        self._counts: dict[Digest, int] = {}
        self._condemned: frozenset[Digest] = frozenset()

    def acknowledge(self, condemned: frozenset[Digest]) -> frozenset[Digest]:
        """Take note of what is about to be removed, and return what of it is in use."""
        with self._lock:
            self._condemned = condemned
            if _ALL in self._counts:
                return condemned
            return condemned.intersection(self._counts)

    def hold(self, digest: Digest | None) -> Pin:
        """Return what keeps content, or all content, while it is entered."""
        return Pin(self, _ALL if digest is None else digest)

    def enter(self, digest: Digest) -> None:
        """Keep content from being removed."""
        counts = self._counts
        with self._lock:
            counts[digest] = counts.get(digest, 0) + 1
            condemned = self._condemned
        if condemned and (digest in condemned or digest == _ALL):
            try:
                # Where the storage fails, the removal fails too; a pull may not.
                with suppress(DriverError):
                    self._veto(condemned if digest == _ALL else {digest})
            except BaseException:
                self.leave(digest)
                raise

    def leave(self, digest: Digest) -> None:
        """Let content be removed, as far as this user of it is concerned."""
        counts = self._counts
        with self._lock:
            left = counts[digest] - 1
            if left:
                counts[digest] = left
            else:
                del counts[digest]

    def _veto(self, digests: Collection[Digest]) -> None:
        """Object to a removal, and wait for it where it has begun."""
        for digest in digests:
            self._driver.put_content(places.veto(digest), b"", durable=False)
        begun = current = self._read_control()
        deadline = time.monotonic() + self._patience
        while not current.removing.isdisjoint(digests) and current.same(begun):
            if time.monotonic() > deadline:
                return
            time.sleep(_STEP)
            current = self._read_control()
