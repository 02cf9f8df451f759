"""Keeps a certificate of each host, and renews it before it ends."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from collections.abc import Sequence
from datetime import UTC
from datetime import datetime

from flaskreg_acme.folder import Folder
from flaskreg_acme.keys import validity_of


_log = logging.getLogger("flaskreg")

#: how long a certificate is not looked at, at most, in seconds.
LOOK = 3600.0

#: how long after a failure it is tried again, how much longer after each further one,
#: and at most, in seconds. Let's Encrypt lets a host fail five times in an hour.
PAUSE = 60.0
GROWTH = 3.0
LONGEST = 3600.0


class Renewer:
    """Obtains the certificates that are missing, damaged, or near their end.

    :param folder: where they are.
    :param hosts: whose they are; nobody else's are asked for.
    :param obtain: obtains one, or raises.
    :param reason: says in one line why it was raised.
    :param pause: after a first failure, in seconds.
    """

    def __init__(
        self,
        folder: Folder,
        hosts: Sequence[str],
        obtain: Callable[[str], None],
        reason: Callable[[Exception], str] = str,
        pause: float = PAUSE,
    ) -> None:
        self._folder = folder
        self._hosts = hosts
        self._obtain = obtain
        self._reason = reason
        self._pause = pause
        self._failures: dict[str, int] = {}
        self._not_before: dict[str, float] = {}

    def run(self, ending: threading.Event) -> None:
        """Go on until *ending* is set."""
        for host in self._hosts:
            # A process that was killed may have left one.
            self._folder.challenge(host).unlink(missing_ok=True)
        while not ending.is_set():
            ending.wait(min(self.attend(host) for host in self._hosts))

    def attend(self, host: str) -> float:
        """See to the certificate of a host; return after how long to do it again."""
        wait = self._wait(host)
        if wait > 0:
            return wait
        try:
            self._obtain(host)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
            return self._failed(host, error)
        self._failures.pop(host, None)
        _log.info("a new certificate of %s is there", host)
        return max(1.0, self._wait(host))

    def _wait(self, host: str) -> float:
        """Return for how many seconds there is nothing to do."""
        left = self._not_before.get(host, 0.0) - time.monotonic()
        return left if left > 0 else min(LOOK, self._until_renewal(host))

    def _until_renewal(self, host: str) -> float:
        content = self._folder.read(self._folder.certificate(host))
        if content is None:
            return 0.0
        try:
            renewal = validity_of(content, host).renewal
        except ValueError as error:
            _log.warning("the certificate of %s is no use: %s", host, error)
            return 0.0
        return (renewal - datetime.now(UTC)).total_seconds()

    def _failed(self, host: str, error: Exception) -> float:
        failures = self._failures[host] = self._failures.get(host, 0) + 1
        # No number grows for ever, whatever the failures do.
        pause = min(LONGEST, self._pause * float(GROWTH ** min(failures - 1, 20)))
        self._not_before[host] = time.monotonic() + pause
        _log.error(
            "no new certificate of %s (tried again in %d s): %s",
            host,
            pause,
            self._reason(error),
        )
        return pause
