"""A little of the disk that is given back when it is full.

To remove content the holder has to write: what it is about to remove, and the workers
that they know. On a full disk none of that would be possible.
"""

from __future__ import annotations

from contextlib import suppress

from flaskreg.driver import DriverError
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg_proxy.scheduling import places


#: bytes that are kept: about what the scheduler's own small files need for a while.
SIZE = 1 << 20


class Ballast:
    """A file that is there to be deleted.

    :param driver: where it is.
    """

    def __init__(self, driver: StorageDriver) -> None:
        self._driver = driver

    def load(self) -> None:
        """Take the space, if there is any."""
        try:
            self._driver.stat(places.BALLAST)
        except PathNotFound:
            with suppress(DriverError):
                content = b"\xa5" * SIZE
                self._driver.put_content(places.BALLAST, content, durable=False)

    def drop(self) -> None:
        """Give the space back."""
        with suppress(DriverError):
            self._driver.delete(places.BALLAST, durable=False)
