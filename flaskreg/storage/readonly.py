"""Whether the registry only serves: by its configuration, or switched so at run time.

The switch is an empty file in the storage, so all workers of all nodes see it.
"""

from __future__ import annotations

import time
from contextlib import suppress

from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.storage import ourpaths


#: how long a process may go by what it saw, in seconds.
MEMORY = 1.0


class ReadOnly:
    """Tells whether writes are refused.

    :param driver: where the switch is.
    :param always: whether they are by configuration, whatever the switch says.
    :param memory: how long an answer holds, in seconds.
    """

    def __init__(
        self, driver: StorageDriver, *, always: bool = False, memory: float = MEMORY
    ) -> None:
        self._driver = driver
        self._always = always
        self._memory = memory
        self._seen = False
        self._until = 0.0

    def __call__(self) -> bool:
        """Whether writes are refused, as far as this process knows.

        :raises DriverError: the storage does not answer.
        """
        if self._always:
            return True
        if time.monotonic() >= self._until:
            self._seen = self.switched()
            self._until = time.monotonic() + self._memory
        return self._seen

    def switched(self) -> bool:
        """Whether the switch is on now."""
        try:
            self._driver.stat(ourpaths.READ_ONLY)
        except PathNotFound:
            return False
        return True

    def switch(self, *, on: bool) -> None:
        """Set the switch; other processes see it within :data:`MEMORY` seconds.

        It needs no room in most storages, so a full one can be switched too.
        """
        self._until = 0.0
        if on:
            self._driver.put_content(ourpaths.READ_ONLY, b"")
            return
        with suppress(PathNotFound):
            self._driver.delete(ourpaths.READ_ONLY)
