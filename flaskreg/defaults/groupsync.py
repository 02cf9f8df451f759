"""Flushes that concurrent commits share.

A file system with a journal makes everything durable that came before a flush, whoever
asked. So commits that want a flush while one is under way wait for it and are then
flushed together, by one of them, each directory once.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field
from threading import Event
from threading import Lock


@dataclass(slots=True, eq=False)
class _Wish:
    """What one commit wants to be durable."""

    files: tuple[int, ...]
    directories: tuple[str, ...]
    done: Event = field(default_factory=Event)
    #: whether this one has to flush for those that wait with it.
    leads: bool = False
    error: OSError | None = None


class GroupSync:
    """Flushes files and directories for all threads of a process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: list[_Wish] = []
        self._busy = False

    def sync(self, files: Iterable[int] = (), directories: Iterable[str] = ()) -> None:
        """Return when open *files* and the names in *directories* are durable.

        :raises OSError: one of them could not be flushed.
        """
        wish = _Wish(tuple(files), tuple(directories))
        with self._lock:
            wish.leads, self._busy = not self._busy, True
            self._waiting.append(wish)
        if not wish.leads:
            wish.done.wait()
        if wish.leads:
            self._lead()
        if wish.error is not None:
            raise wish.error

    def _lead(self) -> None:
        """Flush for all who wait by now, and let the next of those who came lead."""
        with self._lock:
            group, self._waiting = self._waiting, []
        try:
            _flush(group)
        finally:
            with self._lock:
                self._busy = bool(self._waiting)
                if self._waiting:
                    self._waiting[0].leads = True
                    self._waiting[0].done.set()
            for wish in group:
                wish.done.set()


def _flush(group: list[_Wish]) -> None:
    for wish in group:
        for descriptor in wish.files:
            try:
                os.fdatasync(descriptor)
            except OSError as error:
                wish.error = error
    wanted: dict[str, list[_Wish]] = {}
    for wish in group:
        for directory in wish.directories:
            wanted.setdefault(directory, []).append(wish)
    for directory, wishes in wanted.items():
        try:
            sync_directory(directory)
        except FileNotFoundError:
            # Somebody deleted it, with the names that were to be durable.
            continue
        except OSError as error:
            for wish in wishes:
                wish.error = error


def sync_directory(directory: str) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
