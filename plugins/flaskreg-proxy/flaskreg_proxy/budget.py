"""How long things may take."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import urllib3

from flaskreg_proxy.errors import UpstreamTimeout


T = TypeVar("T")

#: the longest time for a connection, in seconds.
CONNECT = 3.0

#: the longest time of a look-up that a cached answer waits for, in seconds.
REVALIDATION = 5.0

#: the longest time for a manifest or a list that is not cached, in seconds.
FETCH = 15.0

#: the longest time without a byte of a blob, in seconds.
STALL = 30.0


class Budget:
    """A time that several requests share.

    :param seconds: for all of them.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Return the seconds that are left.

        :raises UpstreamTimeout: none are.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise UpstreamTimeout
        return left

    def timeout(self) -> urllib3.Timeout:
        """Return the limits of the next request."""
        left = self.left
        return urllib3.Timeout(connect=min(CONNECT, left), read=min(STALL, left))


class Stalls(Budget):
    """No limit but that of silence, for content of any size."""

    def __init__(self) -> None:
        super().__init__(0)

    @property
    def left(self) -> float:
        """Return what one step may take."""
        return STALL


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return what *call* returns, unless it takes too long.

    Time limits of sockets do not hold for the look-up of a name, nor for one who sends
    a byte now and then. The call goes on in its thread, and nobody waits for it.

    :raises UpstreamTimeout: it did.
    """
    outcome: list[Callable[[], T]] = []

    def run() -> None:
        try:
            value = call()
        except Exception as error:  # noqa: BLE001 - raised again by who waits
            failed = error

            def fail() -> T:
                raise failed

            outcome.append(fail)
        else:
            outcome.append(lambda: value)

    thread = threading.Thread(target=run, daemon=True, name="flaskreg-proxy-within")
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise UpstreamTimeout
    return outcome[0]()
