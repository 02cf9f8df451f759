"""Numbers that the processes of a server count, each for itself, and one adds up.

A process counts in its memory. Where somebody reads the numbers that memory is a small
file in the server's run folder, which stays when the process ends, however it ends: so
do its numbers in the sum. It is locked as long as the process lives.
"""

from __future__ import annotations

import fcntl
import json
import logging
import mmap
import os
import tempfile
import threading
from array import array
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import MutableSequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast


_log = logging.getLogger("flaskreg")

#: a metric, and the values of its labels.
Key = tuple[str, ...]

_SUFFIX = ".tally"


class Tally:
    """The numbers of one process, counted by all of its threads."""

    def __init__(self) -> None:
        self._places: dict[Key, int] = {}
        #: by their places; changed by who has the lock.
        self.numbers: MutableSequence[int] = array("q")
        self.lock = threading.Lock()
        self._sharer = 0

    def place(self, *key: str) -> int:
        """Return the place of a number, made before anybody shares them."""
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = len(self.numbers)
            self.numbers.append(0)
        return place

    def add(self, place: int, count: int) -> None:
        """Count."""
        with self.lock:
            self.numbers[place] += count

    def set(self, place: int, number: int) -> None:
        """Let a number be another one."""
        self.numbers[place] = number

    def to_json(self) -> dict[Key, int]:
        """Return what this process has counted so far."""
        return {key: self.numbers[place] for key, place in self._places.items()}

    def share(self, folder: Path) -> None:
        """Go on counting in a file that others read, once in a process."""
        if self._sharer == os.getpid():
            return
        # What another process has counted before this one was forked is in its file.
        counted = array("q", [0] * len(self.numbers)) if self._sharer else None
        self._sharer = os.getpid()
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            # It is kept open, and thereby locked, until the process ends.
            descriptor, _ = tempfile.mkstemp(_SUFFIX, dir=folder)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            head = _head(self._places)
            with self.lock:
                counted = counted or array("q", self.numbers)
                os.write(descriptor, head + counted.tobytes())
                memory = mmap.mmap(descriptor, 0)
                view = memoryview(memory)[len(head) :].cast("q")
                self.numbers = cast("MutableSequence[int]", view)
        except OSError as error:
            _log.error("the cache's numbers of this process are not shown: %s", error)


@dataclass(frozen=True, slots=True)
class Told:
    """What one process has counted, as another one reads it."""

    numbers: Mapping[Key, int]
    #: whether it still counts.
    lives: bool


def iter_told(folder: Path) -> Iterator[Told]:
    """Yield the numbers of each process that has served, the ended ones too."""
    if not folder.is_dir():
        return
    for path in folder.glob(f"*{_SUFFIX}"):
        with path.open("rb") as file:
            numbers = _read(file.read())
            if numbers is not None:
                yield Told(numbers, _is_locked(file.fileno()))


def _read(content: bytes) -> Mapping[Key, int] | None:
    """Return the numbers of a file; ``None`` for one that is being made."""
    head, newline, tail = content.partition(b"\n")
    if not newline:
        return None
    keys = [tuple(each) for each in json.loads(head)]
    if len(tail) != 8 * len(keys):
        return None
    return dict(zip(keys, array("q", tail), strict=True))


def _head(places: Mapping[Key, int]) -> bytes:
    """Return a line that says what the numbers are, as long as some of them."""
    text = json.dumps(list(places)).encode()
    return text.ljust((len(text) // 8 + 1) * 8 - 1) + b"\n"


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
