"""A password file that answers whether a password is right: cheaply when it can."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from flaskreg.lru import LRU
from flaskreg_htpasswd.delays import Delays
from flaskreg_htpasswd.hashes import check_hash
from flaskreg_htpasswd.hashes import cost_of
from flaskreg_htpasswd.hashes import waste
from flaskreg_htpasswd.table import Table
from flaskreg_htpasswd.table import TableFile


_log = logging.getLogger("flaskreg.htpasswd")

#: how long a good password is remembered, in seconds.
LIFETIME = 300.0

#: good passwords that are remembered.
REMEMBERED = 1024

#: longer names and passwords than HTTP carries are no one's.
_LONGEST = 8192


class PasswordFile:
    """The users of a password file.

    Threads may share it. The file may change at any time: it is looked at with each
    call, and a change applies at once.

    :param path: of the file. Nothing is read before the first call; without the file
        there are no users.
    :param delays: slows brute force down.
    :param clock: for tests.
    :param create: makes the file when it is not there; by default nobody does.
    """

    def __init__(
        self,
        path: str,
        delays: Delays | None = None,
        clock: Callable[[], float] = time.monotonic,
        create: Callable[[str], None] | None = None,
    ) -> None:
        self.file = TableFile(path, create)
        self._delays = delays or Delays()
        self._clock = clock
        self._key = os.urandom(32)
        self._table: Table | None = None
        self._good: LRU[bytes, float] = LRU(REMEMBERED)
        self._checks: dict[bytes, Future[bool]] = {}
        self._lock = threading.Lock()

    def verify(self, user: str, password: str, address: str = "") -> bool:
        """Whether *password* is that of *user*.

        A good one that was seen before costs no bcrypt and never waits. A wrong one
        takes as long whether there is such a user or not.

        :param address: who asks; who guesses has to wait.
        :raises TooManyRequests: too many guesses wait already.
        """
        if len(user) > _LONGEST or len(password) > _LONGEST:
            return False
        given = password.encode("utf-8", "surrogateescape")
        table, stored, digest = self._look_up(user, given)
        if self._is_known(digest):
            return True
        table, stored, digest = self._look_up(user, given, anew=True)
        self._delays.wait(user, address)
        if self._check_once(digest, given, stored, table.cost):
            self._delays.succeeded(user)
            return True
        self._delays.failed(user, address)
        _log.info("wrong password: user=%.120r address=%.60r", user, address)
        return False

    def knows(self, user: str) -> bool:
        """Whether there is such a user now, for whoever logged in before."""
        return user in self.file.get().hashes

    def _look_up(
        self, user: str, password: bytes, *, anew: bool = False
    ) -> tuple[Table, bytes, bytes]:
        """Return the table, the hash of a user, and what stands for the password."""
        table = self.file.get(anew=anew)
        self._drop_others(table)
        stored = table.hashes.get(user, b"")
        return table, stored, self._digest(user, password, stored)

    def _drop_others(self, table: Table) -> None:
        """Drop the good passwords of another table."""
        if table is not self._table:
            with self._lock:
                if table is not self._table:
                    self._good = LRU(REMEMBERED)
                    self._table = table

    def _is_known(self, digest: bytes) -> bool:
        return (self._good.get(digest) or 0.0) > self._clock()

    def _digest(self, user: str, password: bytes, stored: bytes) -> bytes:
        """Return what stands for a password in memory: no one can compute it back."""
        digest = hmac.new(self._key, digestmod=hashlib.sha256)
        for part in (user.encode("utf-8", "surrogateescape"), password, stored):
            digest.update(b"%d|" % len(part) + part)
        return digest.digest()

    def _check_once(
        self, digest: bytes, password: bytes, stored: bytes, cost: int
    ) -> bool:
        """Check a password; requests that come at once with the same one share it."""
        with self._lock:
            if self._is_known(digest):
                return True
            running = self._checks.get(digest)
            if running is None:
                mine: Future[bool] = Future()
                self._checks[digest] = mine
        if running is not None:
            return running.result()
        good = False
        try:
            good = _check(password, stored, cost)
            if good:
                self._good.set(digest, self._clock() + LIFETIME)
        finally:
            with self._lock:
                del self._checks[digest]
            mine.set_result(good)
        return good


def _check(password: bytes, stored: bytes, cost: int) -> bool:
    if cost_of(stored) is None:
        waste(password, cost)
        return False
    _log.debug("a password is checked by bcrypt")
    return check_hash(password, stored)
