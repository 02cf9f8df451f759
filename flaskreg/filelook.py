"""What files look like from outside, for whoever reads them again when they change."""

from __future__ import annotations

import os
import time
from collections.abc import Callable


#: how long a look at files is good for, in seconds. Each costs a system call, at which
#: CPython lets another thread go first: threads that are busy share one.
PAUSE = 0.02

#: what stands for a file that cannot be looked at is 0 and the error's number.
Look = tuple[tuple[int, ...], ...]


class FileLook:
    """Looks at files by their time, size and inode.

    :param paths: of the files; empty ones are left out.
    :param clock: for tests.
    """

    def __init__(
        self, *paths: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._paths = tuple(path for path in paths if path)
        self._clock = clock
        self._until = float("-inf")
        self._last: Look = ()

    def take(self, *, anew: bool = False) -> Look:
        """Return how the files look now, or did up to :data:`PAUSE` ago.

        :param anew: look now in any case, such as before somebody is refused.
        """
        now = self._clock()
        if anew or now >= self._until:
            self._last = tuple(_stat(path) for path in self._paths)
            self._until = now + PAUSE
        return self._last


def _stat(path: str) -> tuple[int, ...]:
    try:
        found = os.stat(path)
    except OSError as error:
        return (0, error.errno or 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino)
