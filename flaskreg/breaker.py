"""A breaker: a backend that fails is left alone for a while.

A cache whose server is gone would otherwise wait for it with each request.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable


_log = logging.getLogger("flaskreg")


class Breaker:
    """Decides whether a backend is asked.

    After a failure nobody asks it for a while, which doubles with each further one.
    When that is over, one caller tries, and the others go on without until it is known
    how that ended. The log has one line when a backend is first left alone, and one
    when it answers again.

    :param name: of the backend, for the log.
    :param shortest: seconds that it is left alone after the first failure.
    :param longest: seconds that it is left alone at the most.
    :param clock: gives seconds that never go back.
    """

    def __init__(
        self,
        name: str,
        *,
        shortest: float = 1.0,
        longest: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._shortest = shortest
        self._longest = longest
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        #: when the next one may try.
        self._until = 0.0

    def allows(self) -> bool:
        """Whether the backend is to be asked now, and the answer told here."""
        if not self._failures:
            return True
        with self._lock:
            now = self._clock()
            if now < self._until:
                return False
            self._until = now + self._wait()
            return True

    def succeeded(self) -> None:
        """Tell that the backend answered."""
        if not self._failures:
            return
        with self._lock:
            self._failures = 0
        _log.warning("%s answers again", self._name)

    def failed(self, error: BaseException) -> None:
        """Tell that the backend did not answer; *error* goes to the log."""
        with self._lock:
            self._failures += 1
            first = self._failures == 1
            self._until = self._clock() + self._wait()
        if first:
            detail = " ".join(str(error).split()) or type(error).__name__
            _log.warning(
                "%s does not answer, and is not waited for: %s", self._name, detail
            )

    def _wait(self) -> float:
        doubled = self._shortest * 2.0 ** min(max(self._failures, 1) - 1, 32)
        return min(self._longest, doubled)
