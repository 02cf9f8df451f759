"""Sends the events of one endpoint, in the order of each repository.

An event that fails holds back its own repository for a while and no other. After too
many failures in a row, whatever the repositories, the endpoint is left alone for a
growing time, then tried with one event.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from pathlib import Path

import urllib3

from flaskreg.version import __version__
from flaskreg_notifications.endpoints import Endpoint
from flaskreg_notifications.envelope import encode_event
from flaskreg_notifications.envelope import signature
from flaskreg_notifications.outbox import Outbox
from flaskreg_notifications.outbox import Waiting


_log = logging.getLogger("flaskreg")

#: how often an empty outbox is looked at, in seconds.
LOOK = 0.2

#: how often old events are looked for, in seconds.
SWEEP = 10.0

#: the longest wait between two attempts, in seconds.
LONGEST = 300.0

#: repositories that are held back one by one; with more, all wait.
MOST_BLOCKED = 100

#: bytes of an answer that are read, so that its connection can be used again.
_ANSWER = 64 << 10


class Sender:
    """The one thread that posts to an endpoint.

    :param folder: of the outbox.
    :param endpoint: to which.
    :param max_age: of an event, in seconds; older ones become dead letters.
    :param max_events: that wait; the oldest of more become dead letters.
    """

    def __init__(
        self, folder: Path, endpoint: Endpoint, max_age: float, max_events: int
    ) -> None:
        self._folder = folder
        self._endpoint = endpoint
        self._max_age = max_age
        self._max_events = max_events
        self._pool = urllib3.PoolManager(
            timeout=endpoint.timeout, retries=False, maxsize=1
        )
        self._blocked: dict[str, float] = {}
        self._failures = 0
        self._swept = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"notify {endpoint.name}", daemon=True
        )

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Begin no further attempt."""
        self._ended.set()

    def join(self, seconds: float) -> None:
        """Wait for the end of the attempt that is made."""
        self._thread.join(seconds)

    def _run(self) -> None:
        outbox: Outbox | None = None
        while not self._ended.is_set():
            try:
                outbox = outbox or Outbox(self._folder)
                self._ended.wait(self._step(outbox))
            except (sqlite3.Error, OSError) as error:
                _log.error("the outbox cannot be read: %s", error)
                self._ended.wait(SWEEP)
        if outbox is not None:
            outbox.close()

    def _step(self, outbox: Outbox) -> float:
        """Try one event; return how long to wait before the next, in seconds."""
        now = time.monotonic()
        if now - self._swept > SWEEP:
            self._swept = now
            self._sweep(outbox)
        self._blocked = {name: at for name, at in self._blocked.items() if at > now}
        if len(self._blocked) >= MOST_BLOCKED:
            return LOOK
        event = outbox.next(self._endpoint.name, list(self._blocked))
        if event is None:
            return min([LOOK, *(at - now for at in self._blocked.values())])
        return self._try(outbox, event)

    def _try(self, outbox: Outbox, event: Waiting) -> float:
        try:
            status = self._post(event)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            return self._failed(outbox, event, type(error).__name__, "")
        if not 200 <= status.code < 400:
            return self._failed(outbox, event, f"answered {status}", str(status))
        outbox.sent(event, str(status))
        if self._failures >= self._endpoint.threshold:
            _log.info("endpoint %s takes events again", self._endpoint.name)
        self._failures = 0
        return 0.0

    def _failed(self, outbox: Outbox, event: Waiting, error: str, status: str) -> float:
        outbox.failed(event, error, status)
        endpoint = self._endpoint
        self._failures += 1
        pause = _growing(endpoint.backoff / 8, event.attempts)
        self._blocked[event.repository] = time.monotonic() + pause
        if self._failures < endpoint.threshold:
            return 0.0
        if self._failures == endpoint.threshold:
            _log.warning(
                "endpoint %s is left alone: %d failures in a row, the last: %s",
                endpoint.name,
                self._failures,
                error,
            )
        self._blocked.clear()
        return _growing(endpoint.backoff, self._failures - endpoint.threshold)

    def _post(self, event: Waiting) -> Status:
        endpoint = self._endpoint
        kind, body = encode_event(event.document, endpoint.format)
        headers = {
            "Content-Type": kind,
            "User-Agent": f"flaskreg/{__version__}",
            **endpoint.headers,
        }
        if endpoint.secret:
            now = int(time.time())
            headers |= {
                "webhook-id": event.id,
                "webhook-timestamp": str(now),
                "webhook-signature": signature(endpoint.secret, event.id, now, body),
            }
        response = self._pool.request(
            "POST",
            endpoint.url,
            body=body,
            headers=headers,
            redirect=False,
            preload_content=False,
        )
        try:
            if len(response.read(_ANSWER)) == _ANSWER:
                response.close()
        finally:
            response.release_conn()
        return Status(response.status, response.reason or "")

    def _sweep(self, outbox: Outbox) -> None:
        name = self._endpoint.name
        buried = outbox.bury_old(self._max_age, name, self._max_events)
        if buried:
            _log.error("endpoint %s: %d events became dead letters", name, buried)


class Status:
    """The status of an answer, as ``202 Accepted``."""

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self._reason = reason

    def __str__(self) -> str:
        return f"{self.code} {self._reason}".strip()[:100]


def _growing(first: float, times: int) -> float:
    """Return a wait that doubles each time, in seconds, up to the longest."""
    return min(first * 2.0 ** min(times, 30), LONGEST)
