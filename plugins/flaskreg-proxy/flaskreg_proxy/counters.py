"""What the caches of a process do, counted by name.

Source: the ``registry_proxy`` metrics of CNCF distribution, and some of our own.
"""

from __future__ import annotations

import time
from pathlib import Path

from flaskreg.runfolder import run_folder
from flaskreg_proxy.ratelimit import RateLimit
from flaskreg_proxy.tally import Tally


#: the folder of the numbers in the server's run folder.
FOLDER = "proxy"

REQUESTS = "registry_proxy_requests_total"
HITS = "registry_proxy_hits_total"
MISSES = "registry_proxy_misses_total"
PULLED = "registry_proxy_pulled_bytes_total"
PUSHED = "registry_proxy_pushed_bytes_total"
STALE = "flaskreg_proxy_stale_total"
LOOKUPS = "flaskreg_proxy_lookups_total"
DOWNLOADS = "flaskreg_proxy_downloads_total"
RESUMED = "flaskreg_proxy_downloads_resumed_total"
ASKED = "flaskreg_proxy_upstream_requests_total"
ERRORS = "flaskreg_proxy_upstream_errors_total"

#: what is told of a server's limits, and when; the newest of all processes holds.
LIMIT = "limit"
REMAINING = "remaining"
WINDOW = "window"
TOLD = "told"
#: until when a server is left alone, in milliseconds of the monotonic clock.
LEFT_ALONE = "left alone"

#: what is cached, by distribution's names.
BLOB = "blob"
MANIFEST = "manifest"

#: what comes of a look-up of a tag, and of a download.
LOOKUP_RESULTS = ("new", "same", "moved", "gone", "failed")
DOWNLOAD_RESULTS = ("stored", "passed_on", "straight", "failed")
ERROR_KINDS = ("failed", "timeout", "denied", "limited")


class Kind:
    """The numbers of blobs, or of manifests.

    :param tally: of this process.
    :param name: ``blob`` or ``manifest``.
    """

    def __init__(self, tally: Tally, name: str) -> None:
        self._tally = tally
        self._requests = tally.place(REQUESTS, name)
        self._hits = tally.place(HITS, name)
        self._misses = tally.place(MISSES, name)
        self._pulled = tally.place(PULLED, name)
        self._pushed = tally.place(PUSHED, name)

    def hit(self, size: int) -> None:
        """Count a request that was served from what is here.

        :param size: bytes that are sent.
        """
        tally = self._tally
        with tally.lock:
            numbers = tally.numbers
            numbers[self._requests] += 1
            numbers[self._hits] += 1
            numbers[self._pushed] += size

    def missed(self, size: int) -> None:
        """Count one for which the upstream was asked.

        :param size: bytes that are sent.
        """
        for place, count in (
            (self._requests, 1),
            (self._misses, 1),
            (self._pushed, size),
        ):
            self._tally.add(place, count)

    def refused(self) -> None:
        """Count one that ended in an error."""
        self._tally.add(self._requests, 1)

    def pulled(self, size: int) -> None:
        """Count bytes from an upstream."""
        self._tally.add(self._pulled, size)


class OriginCounters:
    """The numbers of one server of an upstream.

    :param tally: of this process.
    :param host: of the server.
    """

    def __init__(self, tally: Tally, host: str) -> None:
        self._tally = tally
        self._asked = tally.place(ASKED, host)
        self._errors = {kind: tally.place(ERRORS, host, kind) for kind in ERROR_KINDS}
        self._limit = tally.place(LIMIT, host)
        self._remaining = tally.place(REMAINING, host)
        self._window = tally.place(WINDOW, host)
        self._told = tally.place(TOLD, host)
        self._left_alone = tally.place(LEFT_ALONE, host)

    def asked(self) -> None:
        """Count a request to its API."""
        self._tally.add(self._asked, 1)

    def failed(self, kind: str) -> None:
        """Count an error."""
        self._tally.add(self._errors[kind], 1)

    def told(self, limit: RateLimit) -> None:
        """Note what it says of its limits."""
        self._tally.set(self._limit, limit.limit)
        self._tally.set(self._remaining, limit.remaining)
        self._tally.set(self._window, limit.window)
        self._tally.set(self._told, time.time_ns() // 1000)

    def left_alone(self, until: float) -> None:
        """Note until when its circuit breaker is open, in monotonic seconds."""
        self._tally.set(self._left_alone, int(until * 1000))


class Counters:
    """What the caches of one process have done.

    :param shown: whether somebody reads the numbers of all processes.
    """

    def __init__(self, *, shown: bool = False) -> None:
        self._shown = shown
        tally = self._tally = Tally()
        self.blobs = Kind(tally, BLOB)
        self.manifests = Kind(tally, MANIFEST)
        self._stale = tally.place(STALE)
        self._resumed = tally.place(RESUMED)
        self._lookups = {it: tally.place(LOOKUPS, it) for it in LOOKUP_RESULTS}
        self._downloads = {it: tally.place(DOWNLOADS, it) for it in DOWNLOAD_RESULTS}

    def start(self) -> None:
        """Show the numbers of this process, if anybody reads them."""
        if self._shown:
            self._tally.share(counters_folder())

    def origin(self, host: str) -> OriginCounters:
        """Return the numbers of a server."""
        return OriginCounters(self._tally, host)

    def stale(self) -> None:
        """Count a manifest that may be old."""
        self._tally.add(self._stale, 1)

    def looked_up(self, result: str) -> None:
        """Count a look-up of a tag, by one of :data:`LOOKUP_RESULTS`."""
        self._tally.add(self._lookups[result], 1)

    def downloaded(self, result: str) -> None:
        """Count the end of a download, by one of :data:`DOWNLOAD_RESULTS`."""
        self._tally.add(self._downloads[result], 1)

    def resumed(self) -> None:
        """Count a download that asks its upstream to go on."""
        self._tally.add(self._resumed, 1)

    def value(self, *key: str) -> int:
        """Return one number of this process, by its metric and labels."""
        return self._tally.to_json()[key]


def counters_folder() -> Path:
    """Return the folder of the numbers of all processes of this server."""
    return run_folder() / FOLDER
