"""Who schedules: one process among all workers of all nodes over one storage.

The lease is a file of the storage with its owner and how long it holds without a sign
of life. Each holder makes a new generation of it, by a name that only one can make.
Nobody's clock is compared with another's: a holder is dead when its file has not
changed for that long on the clock of the one who looks.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from flaskreg.driver import PathExists
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg_proxy.scheduling import places
from flaskreg_proxy.scheduling.clock import Clock
from flaskreg_proxy.scheduling.clock import is_alive
from flaskreg_proxy.scheduling.clock import process_space
from flaskreg_proxy.scheduling.documents import encode_document
from flaskreg_proxy.scheduling.documents import names_in
from flaskreg_proxy.scheduling.documents import read_document
from flaskreg_proxy.scheduling.documents import value_of
from flaskreg_proxy.scheduling.documents import write_document
from flaskreg_proxy.scheduling.silence import Silence


_log = logging.getLogger("flaskreg.proxy.scheduler")


class Lease:
    """The lease as one worker sees it.

    :param driver: where it is.
    :param owner: the name of this worker.
    :param clock: a steady one.
    :param expiry: seconds without a sign of life after which a holder is dead.
    """

    def __init__(
        self, driver: StorageDriver, owner: str, clock: Clock, expiry: float
    ) -> None:
        self._driver = driver
        self._owner = owner
        self._clock = clock
        self._expiry = expiry
        self._silence: Silence | None = None
        self._renewed_at = 0.0
        self._count = 0
        #: the generation that this worker holds; -1 when it does not.
        self.generation = -1
        #: the lease of the holder before, when there was one.
        self.before: Mapping[str, Any] = {}

    def hold(self) -> bool:
        """Renew the lease, or get it when nobody else has it.

        :returns: whether this worker holds it now.
        """
        if self.generation >= 0:
            if self.check():
                self._renew()
                return True
            _log.warning("another worker has taken the scheduler's lease over")
            self.generation = -1
        return self._acquire()

    def check(self) -> bool:
        """Whether this worker still holds the lease.

        Where two can make one name, the one who was last has it.
        """
        return (
            self.generation >= 0
            and self._highest() == self.generation
            and self._owner_of(self.generation) == self._owner
        )

    def release(self) -> None:
        """Let the next worker have the lease at once."""
        if self.check():
            # The file stays, so that generations go on; without an owner it is free.
            self._write(self.generation, free=True)
        self.generation = -1

    def _acquire(self) -> bool:
        highest = self._highest()
        found = read_document(self._driver, places.lease(highest)) or {}
        if highest >= 0 and not self._is_free(highest, found):
            return False
        generation = highest + 1
        try:
            self._driver.publish(
                [(places.lease(generation), encode_document(self._document()))],
                exclusive=[places.lease(generation)],
            )
        except PathExists:
            return False
        self.generation, self.before = generation, found
        if not self.check():
            self.generation = -1
            return False
        self._renewed_at = self._clock.steady()
        for older in names_in(self._driver, places.LEASES):
            if older < places.lease(generation).rpartition("/")[2]:
                with suppress(PathNotFound):
                    self._driver.delete(f"{places.LEASES}/{older}", durable=False)
        return True

    def _is_free(self, generation: int, found: Mapping[str, Any]) -> bool:
        if found.get("free") is True:
            return True
        if is_gone(found, self._clock):
            return True
        now, sign = self._clock.steady(), (generation, found)
        if self._silence is None:
            self._silence = Silence(sign, now)
        expiry = max(value_of(found, "expiry", self._expiry), self._expiry)
        return self._silence.look(sign, now, expiry)

    def _renew(self) -> None:
        if self._clock.steady() - self._renewed_at >= self._expiry / 5:
            self._write(self.generation)
            self._renewed_at = self._clock.steady()

    def _write(self, generation: int, *, free: bool = False) -> None:
        document = self._document() | ({"free": True} if free else {})
        write_document(self._driver, places.lease(generation), document)

    def _document(self) -> dict[str, Any]:
        self._count += 1
        return {
            "owner": self._owner,
            "expiry": self._expiry,
            "count": self._count,
            **process_marks(self._clock),
        }

    def _owner_of(self, generation: int) -> str:
        found = read_document(self._driver, places.lease(generation)) or {}
        return value_of(found, "owner", "")

    def _highest(self) -> int:
        names = names_in(self._driver, places.LEASES)
        return max((int(name) for name in names if name.isdigit()), default=-1)


def process_marks(clock: Clock) -> dict[str, Any]:
    """Return what tells when and where this process wrote something."""
    return {
        "wall": clock.wall(),
        "steady": clock.steady(),
        "boot": clock.boot(),
        "space": process_space(clock),
        "pid": os.getpid(),
    }


def is_gone(marks: Mapping[str, Any], clock: Clock) -> bool:
    """Whether the process with these marks ran here, and has ended."""
    space, pid = value_of(marks, "space", ""), value_of(marks, "pid", 0)
    return bool(space) and space == process_space(clock) and not is_alive(pid)


def clock_was_set(
    marks: Mapping[str, Any], clock: Clock, vouched: float | None, tolerance: float
) -> float:
    """Return by how many seconds the wall clock was set forward since *marks*.

    Within one run of the machine that is known. Otherwise the time that has passed is
    not: a clock that is behind was set back, and time beyond *tolerance* in which
    nobody scheduled counts as the clock's, so that no clock makes all content old.

    :param vouched: when the state was last written, in seconds since 1970, if known.
    """
    wall = value_of(marks, "wall", 0.0)
    boot = value_of(marks, "boot", "")
    if wall and boot and boot == clock.boot():
        passed = clock.steady() - value_of(marks, "steady", 0.0)
        return clock.wall() - wall - passed
    since = clock.wall() - max(wall, vouched or 0.0)
    if not wall and vouched is None:
        return 0.0
    return min(since, 0.0) or max(since - tolerance, 0.0)
