"""Notices that a file has changed, and that whoever changed it is done."""

from __future__ import annotations

import time
from collections.abc import Callable

from flaskreg.filelook import FileLook
from flaskreg.filelook import Look


#: how often the file is looked at, in seconds.
INTERVAL = 1.0


class FileWatch:
    """Looks at one file again and again, when it is asked to.

    :param path: of the file; ``None`` for none, which never changes.
    :param clock: for tests.
    """

    def __init__(
        self, path: str | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._look = FileLook(path or "", clock=clock)
        self._clock = clock
        self._looked = clock()
        self._taken = self._last = self._look.take(anew=True)

    def take(self) -> None:
        """Note that the file is read as it is now, for whatever reason."""
        self._taken = self._last = self._look.take(anew=True)

    def changed(self) -> bool:
        """Whether the file is another than that which was taken; true once for each.

        It has to look the same twice, :data:`INTERVAL` apart: half a file may be valid
        and leave out who may do what. A file that is gone is waited for.
        """
        now = self._clock()
        if now - self._looked < INTERVAL:
            return False
        self._looked = now
        look = self._look.take(anew=True)
        settled, self._last = look == self._last, look
        if look == self._taken or not settled or _gone(look):
            return False
        self._taken = look
        return True


def _gone(look: Look) -> bool:
    return any(found[0] == 0 for found in look)
