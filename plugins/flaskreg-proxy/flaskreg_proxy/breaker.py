"""A circuit breaker: who failed several times is left alone for a while."""

from __future__ import annotations

import threading
import time

from flaskreg_proxy.errors import UpstreamFailed


#: failures in a row after which the upstream is left alone.
FAILURES = 3

#: for how long, in seconds: at first, and at most.
FIRST = 5.0
LONGEST = 60.0


class Breaker:
    """Counts the failures of one server in a row, in one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures = 0
        self._until = 0.0
        self._error: UpstreamFailed | None = None

    @property
    def open(self) -> bool:
        """Whether requests are refused now."""
        return time.monotonic() < self._until

    @property
    def until(self) -> float:
        """Return when requests go through again, in monotonic seconds; 0: now."""
        return self._until

    def check(self) -> None:
        """Let a request through, or not.

        When the time is over one request goes through as a trial, and the others only
        when it has succeeded.

        :raises UpstreamFailed: as the last failure, with when to come back.
        """
        with self._lock:
            now = time.monotonic()
            if now < self._until and self._error is not None:
                wait = {"Retry-After": str(max(1, round(self._until - now)))}
                last = self._error
                raise type(last)(last.detail, message=last.message, headers=wait)
            if self._failures >= FAILURES:
                self._until = now + FIRST

    def succeeded(self) -> None:
        """Count from the beginning."""
        if self._failures:
            with self._lock:
                self._failures, self._until = 0, 0.0

    def failed(self, error: UpstreamFailed) -> None:
        """Count a failure."""
        with self._lock:
            self._failures += 1
            self._error = error
            if self._failures >= FAILURES:
                pause = min(FIRST * 2 ** (self._failures - FAILURES), LONGEST)
                self._until = time.monotonic() + pause
