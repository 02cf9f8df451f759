"""Writes events to the outbox, those of many requests with one flush of the disk."""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

from flaskreg.driver import DriverError
from flaskreg.driver import StorageFull
from flaskreg_notifications.outbox import Entry
from flaskreg_notifications.outbox import Outbox


_log = logging.getLogger("flaskreg")

#: events that may wait in memory for the disk; of more, those that nobody was
#: promised are lost and counted.
MOST = 10_000

#: events that are written at once.
BATCH = 500

_Item = tuple[Sequence[Entry], "Future[None] | None"]


class OutboxWriter:
    """The one thread of a process that adds events.

    :param folder: of the outbox.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._queue: queue.Queue[_Item | None] = queue.Queue(MOST)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._lost = 0

    def put(self, entries: Sequence[Entry], *, promised: bool) -> None:
        """Add events.

        :param promised: return when they are safe; otherwise return at once.
        :raises DriverError: they cannot be written.
        """
        self._ensure_thread()
        if not promised:
            try:
                self._queue.put_nowait((entries, None))
            except queue.Full:
                self._lost += len(entries)
            return
        done: Future[None] = Future()
        self._queue.put((entries, done))
        try:
            done.result()
        except sqlite3.Error as error:
            kind = StorageFull if "full" in str(error) else DriverError
            raise kind("/outbox", str(error)) from None
        except OSError as error:
            raise DriverError("/outbox", str(error)) from None

    def stop(self) -> None:
        """Write what waits, and end."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            thread.join()

    def _ensure_thread(self) -> None:
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(
                        target=self._run, name="outbox", daemon=True
                    )
                    self._thread.start()

    def _run(self) -> None:
        outbox: Outbox | None = None
        ended = False
        while not ended:
            batch = self._batch()
            ended = None in batch
            items = [item for item in batch if item is not None]
            try:
                if outbox is None:
                    outbox = Outbox(self._folder, safe=True)
                outbox.put(entry for entries, _ in items for entry in entries)
            except (sqlite3.Error, OSError) as error:
                self._fail(items, error)
            else:
                for _, done in items:
                    if done is not None:
                        done.set_result(None)
        if outbox is not None:
            outbox.close()

    def _batch(self) -> list[_Item | None]:
        """Return what waits, at least one thing."""
        batch = [self._queue.get()]
        while len(batch) < BATCH and batch[-1] is not None:
            try:
                batch.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return batch

    def _fail(self, items: Sequence[_Item], error: Exception) -> None:
        for entries, done in items:
            if done is not None:
                done.set_exception(error)
            else:
                self._lost += len(entries)
        lost, self._lost = self._lost, 0
        _log.error("the outbox cannot be written: %s (%d events lost)", error, lost)
