"""One process of several does what only one may do; when it ends, another does.

The one that holds a file lock is it. The kernel frees the lock of a process that ends,
however it ends.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path


_log = logging.getLogger("flaskreg")

#: how often a process that does not lead looks whether it can, in seconds.
LOOK = 1.0


class Lead:
    """Waits for the lead in a thread, and does something with it.

    :param path: the file that is locked.
    :param lead: called once, when this process has the lead.
    :param follow: called every :data:`LOOK` seconds as long as it has not.
    """

    def __init__(
        self,
        path: Path,
        lead: Callable[[], None],
        follow: Callable[[], None] | None = None,
    ) -> None:
        self._path = path
        self._lead = lead
        self._follow = follow
        self._file: int | None = None
        self._ended = threading.Event()

    def start(self) -> None:
        """Begin to wait."""
        threading.Thread(target=self._run, name="lead", daemon=True).start()

    def stop(self) -> None:
        """Let another process have the lead."""
        self._ended.set()
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                if self._take():
                    self._lead()
                    return
                if self._follow is not None:
                    self._follow()
            except Exception:  # noqa: BLE001 - it is tried again
                _log.exception("the lead cannot be had")
                self._drop()
            self._ended.wait(LOOK)

    def _take(self) -> bool:
        if self._file is None:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._file = os.open(self._path, flags, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _drop(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
