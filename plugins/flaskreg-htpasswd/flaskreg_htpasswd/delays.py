"""Brute force made slow: who failed waits before the next password is checked."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from flaskreg.errors import TooManyRequests
from flaskreg.lru import LRU


#: failures that everybody has free, since people mistype.
FREE = 3

#: the first delay, in seconds; each further failure doubles it.
FIRST = 0.1

#: the longest delay, in seconds.
LONGEST = 3.0

#: after so many seconds without a failure the failures are forgotten.
MEMORY = 300.0

#: users and addresses that are remembered, each.
REMEMBERED = 4096

#: requests of one process that may wait at once: each takes a thread.
WAITING = 8


@dataclass(frozen=True)
class _Failures:
    count: int
    last: float


class Delays:
    """Failures by user and by address, in bounded memory.

    Nothing is held while somebody waits. When too many wait already, who would have to
    wait is told to come back: attackers shall not take all threads.

    :param sleep: for tests; likewise *clock*.
    """

    def __init__(
        self,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sleep = sleep
        self._clock = clock
        self._users: LRU[str, _Failures] = LRU(REMEMBERED)
        self._addresses: LRU[str, _Failures] = LRU(REMEMBERED)
        self._places = threading.Semaphore(WAITING)

    def delay(self, user: str, address: str) -> float:
        """Return for how many seconds the next attempt has to wait."""
        failed = self._count(self._users, user)
        if address:
            failed = max(failed, self._count(self._addresses, _network(address)))
        if failed < FREE:
            return 0.0
        return float(min(LONGEST, FIRST * 2 ** min(failed - FREE, 10)))

    def wait(self, user: str, address: str) -> None:
        """Wait as long as the failures of *user* and *address* want.

        :raises TooManyRequests: too many wait already.
        """
        seconds = self.delay(user, address)
        if not seconds:
            return
        if not self._places.acquire(blocking=False):
            raise TooManyRequests(headers={"Retry-After": str(int(LONGEST))})
        try:
            self._sleep(seconds)
        finally:
            self._places.release()

    def failed(self, user: str, address: str) -> None:
        """Count a wrong password."""
        self._add(self._users, user)
        if address:
            self._add(self._addresses, _network(address))

    def succeeded(self, user: str) -> None:
        """Forget a user's failures; those of the address may be of an attacker."""
        self._users.discard(user)

    def _count(self, table: LRU[str, _Failures], key: str) -> int:
        found = table.get(key)
        if found is None or self._clock() - found.last > MEMORY:
            return 0
        return found.count

    def _add(self, table: LRU[str, _Failures], key: str) -> None:
        table.set(key, _Failures(self._count(table, key) + 1, self._clock()))


def _network(address: str) -> str:
    """Return what stands for an address: one host has a whole /64 of IPv6."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False))
