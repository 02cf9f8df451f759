"""Purging of stale uploads from time to time, by one of all workers and nodes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from random import SystemRandom

from flaskreg.driver import DriverError
from flaskreg.driver import PathExists
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.storage import ourpaths
from flaskreg.storage import paths
from flaskreg.upkeep.uploads import iter_stale
from flaskreg.upkeep.uploads import purge


_log = logging.getLogger("flaskreg")
#: not the shared one, whose numbers others may want to come in an order.
_chance = SystemRandom()

#: the shortest interval, in seconds.
_SHORTEST = 1.0
#: a clock that went on by so many seconds more than time did was set.
_JUMP = 60.0


class SteadyClock:
    """The time of day, that never goes on faster than time does.

    A clock that is set forward makes everything look old that was written before it.

    :param wall: seconds since the epoch.
    :param steady: seconds since some moment, whatever the clock is set to.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._offset = wall() - steady()
        self._told = False

    def now(self) -> float:
        """Return seconds since the epoch, the earlier of what both clocks say."""
        wall, expected = self._wall(), self._steady() + self._offset
        if abs(wall - expected) > _JUMP and not self._told:
            self._told = True
            _log.warning("the clock jumped by %.0f s", wall - expected)
        return min(wall, expected)


class Purger:
    """Purges the uploads of a storage.

    Time is cut into intervals of equal length. Whoever first makes the mark of the
    present one purges in it, and the others do nothing until the next.

    :param driver: of the storage.
    :param age: how long a session must have been idle, in seconds.
    :param interval: in seconds.
    :param dry_run: whether sessions are only logged.
    :param paused: whether nothing may be written now.
    :param clock: tells the time.
    """

    def __init__(
        self,
        driver: StorageDriver,
        *,
        age: float,
        interval: float,
        dry_run: bool = False,
        paused: Callable[[], bool] = lambda: False,
        clock: SteadyClock | None = None,
    ) -> None:
        self._driver = driver
        self._age = age
        self._interval = max(interval, _SHORTEST)
        self._dry_run = dry_run
        self._paused = paused
        self._clock = clock or SteadyClock()

    def run(self, stop: threading.Event) -> None:
        """Purge in each interval until told to stop.

        All workers wait for times of their own, so that they do not ask at once.
        """
        pause = _chance.uniform(0, min(self._interval, 60))
        while not stop.wait(pause):
            try:
                self.purge()
            except (DriverError, OSError) as error:
                _log.warning("uploads are not purged: %s", error)
            into = self._clock.now() % self._interval
            jitter = min(self._interval / 4, 60)
            pause = self._interval - into + _chance.uniform(0, jitter)

    def purge(self) -> int:
        """Purge, unless it was done in this interval; return how many sessions went.

        :raises DriverError: the storage does not answer.
        """
        now = self._clock.now()
        if self._paused() or not self._claim(int(now // self._interval)):
            return 0
        moment = datetime.fromtimestamp(now, UTC)
        gone = size = 0
        for upload in iter_stale(self._driver, moment, self._age):
            _log.info(
                "upload %s of %s is idle since %s, %d bytes%s",
                upload.id,
                upload.repository,
                upload.active,
                upload.size,
                ": not deleted, this is a dry run" * self._dry_run,
            )
            if not self._dry_run and purge(self._driver, upload, moment, self._age):
                gone += 1
                size += upload.size
        if gone:
            _log.warning("purged %d uploads, %d bytes", gone, size)
        if not self._dry_run:
            before = moment - timedelta(seconds=self._age)
            left = self._driver.drop_unfinished(paths.BLOBS, before)
            if left:
                _log.warning("dropped %d blobs that never arrived", left)
        return gone

    def _claim(self, number: int) -> bool:
        """Make the mark of an interval, if nobody has, and delete the older ones."""
        mark = ourpaths.purge(number)
        try:
            self._driver.publish([(mark, b"")], exclusive=[mark])
        except PathExists:
            return False
        for name in self._driver.list(ourpaths.PURGES):
            if name != str(number):
                with suppress(PathNotFound):
                    self._driver.delete(f"{ourpaths.PURGES}/{name}", durable=False)
        return True
