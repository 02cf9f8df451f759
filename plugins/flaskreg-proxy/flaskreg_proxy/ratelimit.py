"""What an upstream says of how much it still lets itself be asked.

Source: the ``RateLimit-Limit`` and ``RateLimit-Remaining`` headers of Docker Hub, such
as ``100;w=21600``: how many, in a window of how many seconds.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from email.utils import parsedate_to_datetime

from flaskreg_proxy.errors import UpstreamLimited


_QUANTITY = re.compile(r"\s*([0-9]{1,12})\s*(?:;\s*w=([0-9]{1,9}))?")

#: how long to wait for an upstream that names no time, and at most, in seconds.
DEFAULT_WAIT = 10.0
LONGEST_WAIT = 3600.0

#: for how long a 429 keeps all from asking again, at most, in seconds, and for how
#: long nothing is looked up of which nothing is left.
LONGEST_PAUSE = 60.0
LONGEST_SPARING = 300.0


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


class Until:
    """A time that passes, told to all workers of the machine by a small file.

    :param path: returns the file; ``None`` keeps it in this process.
    :param longest: seconds that it is away at most, whatever the file says.
    """

    def __init__(self, path: Callable[[], str] | None, longest: float) -> None:
        self._path = path
        self._longest = longest
        self._ends = 0.0
        self._seen = (0, 0)

    @property
    def left(self) -> float:
        """Return the seconds until it has come; 0 or less when it has."""
        if self._path is not None:
            with suppress(OSError, ValueError):
                found = os.stat(self._path())
                # Two may be written within one tick of the system's clock.
                changed = (found.st_mtime_ns, found.st_ino)
                if changed != self._seen:
                    self._read(self._path(), changed)
        return self._ends - time.monotonic()

    def set(self, seconds: float) -> None:
        """Let it come in so many seconds; 0: it has come."""
        seconds = min(seconds, self._longest)
        if not seconds and self.left <= 0:
            return
        self._ends = time.monotonic() + seconds
        if self._path is not None:
            path = self._path()
            temporary = f"{path}.{os.getpid()}.{threading.get_ident()}"
            # Without a place for it each worker finds out for itself.
            with suppress(OSError):
                with open(temporary, "w", encoding="ascii") as file:
                    # What has come must not come once more by being rounded up.
                    file.write(f"{time.time() + seconds if seconds else 0:.3f}")
                os.replace(temporary, path)

    def _read(self, path: str, changed: tuple[int, int]) -> None:
        with open(path, encoding="ascii") as file:
            left = float(file.read(64)) - time.time()
        self._ends = time.monotonic() + min(left, self._longest)
        self._seen = changed


class Limits:
    """What one upstream said last.

    :param path: returns the file of a name that all workers know; ``None`` keeps to
        this process.
    """

    def __init__(self, path: Callable[[str], str] | None = None) -> None:
        def file(name: str) -> Callable[[], str] | None:
            return None if path is None else lambda: path(name)

        self._refused = Until(file("refused"), LONGEST_PAUSE)
        self._spared = Until(file("spared"), LONGEST_SPARING)
        #: as told to this process last; ``None`` when it says nothing.
        self.current: RateLimit | None = None

    def check(self) -> None:
        """Let a request through, unless the upstream asked to wait.

        :raises UpstreamLimited: it did, and the time is not over.
        """
        left = self._refused.left
        if left > 0:
            raise UpstreamLimited(left)

    @property
    def spent(self) -> bool:
        """Whether only what is not cached should be asked for."""
        return self._refused.left > 0 or self._spared.left > 0

    def note(self, headers: Mapping[str, str]) -> RateLimit | None:
        """Take note of an answer, and return what it says, if it says anything."""
        told = parse_rate_limit(headers)
        if told is not None:
            self.current = told
            # Some hundredth of the window is when a little of it is free again.
            pause = max(told.window / 100, 10.0)
            self._spared.set(pause if told.remaining <= 0 else 0.0)
        return told

    def refused(self, retry_after: str | None) -> UpstreamLimited:
        """Take note of a 429, and return it as an error."""
        seconds = parse_retry_after(retry_after)
        self._refused.set(seconds)
        return UpstreamLimited(seconds)
