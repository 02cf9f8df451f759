"""What an upstream says of how much it still lets itself be asked.

Source: the ``RateLimit-Limit`` and ``RateLimit-Remaining`` headers of Docker Hub, such
as ``100;w=21600``: how many, in a window of how many seconds.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from email.utils import parsedate_to_datetime

from flaskreg_proxy.errors import UpstreamLimited


_QUANTITY = re.compile(r"\s*([0-9]{1,12})\s*(?:;\s*w=([0-9]{1,9}))?")

#: how long to wait for an upstream that names no time, and at most, in seconds.
DEFAULT_WAIT = 10.0
LONGEST_WAIT = 3600.0

#: for how long a 429 keeps this process from asking again, at most, in seconds.
LONGEST_PAUSE = 60.0


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How many manifests may be had in a window, and how many still."""

    limit: int
    remaining: int
    #: in seconds; 0 when not told.
    window: int = 0


def parse_rate_limit(headers: Mapping[str, str]) -> RateLimit | None:
    """Return what an answer says, if it says anything."""
    limit = _QUANTITY.match(headers.get("RateLimit-Limit") or "")
    remaining = _QUANTITY.match(headers.get("RateLimit-Remaining") or "")
    if limit is None or remaining is None:
        return None
    return RateLimit(int(limit[1]), int(remaining[1]), int(limit[2] or 0))


def parse_retry_after(text: str | None) -> float:
    """Return the seconds of a ``Retry-After``, which may be a date."""
    if not text:
        return DEFAULT_WAIT
    try:
        seconds = float(text)
    except ValueError:
        try:
            then = parsedate_to_datetime(text)
        except ValueError:
            return DEFAULT_WAIT
        if then.tzinfo is None:
            then = then.replace(tzinfo=UTC)
        seconds = (then - datetime.now(UTC)).total_seconds()
    if not 0 <= seconds < float("inf"):
        return DEFAULT_WAIT
    return min(seconds, LONGEST_WAIT)


class Limits:
    """What one upstream said last, in one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = 0.0
        self._spent_until = 0.0
        #: as told last; ``None`` when it says nothing.
        self.current: RateLimit | None = None

    def check(self) -> None:
        """Let a request through, unless the upstream asked to wait.

        :raises UpstreamLimited: it did, and the time is not over.
        """
        left = self._until - time.monotonic()
        if left > 0:
            raise UpstreamLimited(left)

    @property
    def spent(self) -> bool:
        """Whether only what is not cached should be asked for."""
        now = time.monotonic()
        return now < self._until or now < self._spent_until

    def note(self, headers: Mapping[str, str]) -> None:
        """Take note of an answer."""
        told = parse_rate_limit(headers)
        if told is None:
            return
        with self._lock:
            self.current = told
            # Some hundredth of the window is when a little of it is free again.
            pause = min(max(told.window / 100, 10.0), 300.0)
            spent = told.remaining <= 0
            self._spent_until = time.monotonic() + pause if spent else 0.0

    def refused(self, retry_after: str | None) -> UpstreamLimited:
        """Take note of a 429, and return it as an error."""
        seconds = parse_retry_after(retry_after)
        self._until = time.monotonic() + min(seconds, LONGEST_PAUSE)
        return UpstreamLimited(seconds)
