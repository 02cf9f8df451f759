"""When a tag was looked up last, by any worker of this machine."""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress

from flaskreg_proxy.lease import Lease
from flaskreg_proxy.lease import key_of
from flaskreg_proxy.workplace import Workplace


#: look-ups that a process remembers.
_REMEMBERED = 65536


class Freshness:
    """Notes of look-ups, each a small file.

    Its time of change is when the upstream was asked; what stands in it, when the
    upstream last had it. Without the notes everything is looked up again.

    :param workplace: where they are.
    """

    def __init__(self, workplace: Workplace) -> None:
        self._workplace = workplace
        # Each pull looks here: a plain dictionary is the quickest that threads share.
        self._asked: dict[tuple[str, str], float] = {}

    def is_fresh(self, repository: str, what: str, ttl: float) -> bool:
        """Whether it was looked up less than *ttl* seconds ago.

        What this process remembers needs no look at the file: others can only have
        looked it up later.
        """
        now, key = time.monotonic(), (repository, what)
        asked = self._asked.get(key)
        if asked is not None and now - asked < ttl:
            return True
        age = self.age(repository, what)
        if age >= ttl:
            return False
        if len(self._asked) >= _REMEMBERED:
            self._asked.clear()
        self._asked[key] = now - age
        return True

    def age(self, repository: str, what: str) -> float:
        """Return the seconds since it was looked up; endless when it never was."""
        try:
            asked = os.stat(self._path(repository, what)).st_mtime
        except OSError:
            return float("inf")
        return max(0.0, time.time() - asked)

    def unseen(self, repository: str, what: str) -> float:
        """Return the seconds since the upstream had it."""
        try:
            with open(self._path(repository, what), encoding="ascii") as file:
                return max(0.0, time.time() - float(file.read(64)))
        except (OSError, ValueError):
            return 0.0

    def seen(self, repository: str, what: str) -> None:
        """Note that the upstream has it."""
        path = self._path(repository, what)
        temporary = f"{path}.{os.getpid()}.{time.monotonic_ns()}"
        try:
            with open(temporary, "w", encoding="ascii") as file:
                file.write(f"{time.time():.3f}")
            os.replace(temporary, path)
        except OSError as error:
            # On a full disk it is looked up again.
            with suppress(OSError):
                os.unlink(temporary)
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise

    def asked(self, repository: str, what: str) -> None:
        """Note that the upstream was asked, and has it not."""
        try:
            os.utime(self._path(repository, what))
        except FileNotFoundError:
            self.seen(repository, what)

    def lease(self, repository: str, what: str, patience: float) -> Lease | None:
        """Return the right to look it up, when nobody else does."""
        key = key_of("look", repository, what)
        return Lease.take(self._workplace.lock(key), patience)

    def _path(self, repository: str, what: str) -> str:
        return self._workplace.tag(key_of(repository, what))
