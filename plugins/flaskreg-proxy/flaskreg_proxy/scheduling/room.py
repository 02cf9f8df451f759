"""Room for what is to be cached, so that a bound on bytes holds while it is filled.

A worker counts the bytes that it has asked for in its life, and those whose fill has
ended. The holder answers with a count up to which the worker may go, and grants no more
than there is room for. Counts that only grow need nobody to read, change and write.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flaskreg_proxy.scheduling.control import Control
from flaskreg_proxy.scheduling.members import Beat


class Room:
    """The side of one worker, shared by its threads.

    :param worker: its name.
    :param max_bytes: the bound; ``None`` always has room.
    :param wake: called when something new is asked.
    """

    def __init__(
        self, worker: str, max_bytes: int | None, wake: Callable[[], None]
    ) -> None:
        self._worker = worker
        self._max_bytes = max_bytes
        self._wake = wake
        self._changed = threading.Condition()
        self._asked = 0
        self._settled = 0
        self._granted = 0
        #: what was asked for and not waited for any more.
        self._spare = 0

    @contextmanager
    def take(self, size: int, patience: float) -> Iterator[bool]:
        """Wait until there is room for *size* bytes, at most *patience* seconds.

        Yields whether there is. The fill, and its touch, happen inside. There is never
        room for what takes more than half of all.
        """
        if self._max_bytes is None or 2 * size > self._max_bytes:
            yield self._max_bytes is None
            return
        with self._changed:
            reused = min(self._spare, size)
            self._spare -= reused
            self._asked += size - reused
            until = self._asked
            waits = self._granted < until
        if waits:
            self._wake()
        with self._changed:
            given = self._changed.wait_for(lambda: self._granted >= until, patience)
            if not given:
                self._spare += size
        try:
            yield given
        finally:
            if given:
                with self._changed:
                    self._settled += size

    @property
    def waiting(self) -> bool:
        """Whether something is asked for and not granted."""
        return self._granted < self._asked

    def counts(self) -> tuple[int, int]:
        """Return the bytes asked for and settled.

        What is settled has been touched before: count first, then write the journal,
        then say the count.
        """
        with self._changed:
            return self._asked, self._settled

    def learn(self, control: Control) -> None:
        """Take note of a grant."""
        with self._changed:
            granted = control.grants.get(self._worker, 0)
            if granted > self._granted:
                self._granted = granted
                self._changed.notify_all()


@dataclass(slots=True)
class Grants:
    """The side of the holder.

    :param max_bytes: the bound; ``None`` without one, and then nobody asks.
    """

    max_bytes: int | None

    def outstanding(self, beats: dict[str, Beat], granted: dict[str, int]) -> int:
        """Return the bytes that were granted and may still be filled."""
        return sum(
            max(granted.get(name, 0) - beat.settled, 0) for name, beat in beats.items()
        )

    def wanted(self, beats: dict[str, Beat], granted: dict[str, int]) -> int:
        """Return the bytes that are asked for and not granted."""
        return sum(
            max(beat.asked - granted.get(name, 0), 0) for name, beat in beats.items()
        )

    def give(
        self, beats: dict[str, Beat], granted: dict[str, int], used: int
    ) -> dict[str, int]:
        """Return what each worker may fill by now.

        What is asked for comes first; a part of the room that is left is granted ahead
        of being asked for, so that the next fill does not wait.

        :param used: bytes of all content.
        """
        if self.max_bytes is None:
            return {}
        given = {name: granted.get(name, 0) for name in beats}
        room = self.max_bytes - used - self.outstanding(beats, granted)
        for name, beat in sorted(beats.items()):
            want = beat.asked - given[name]
            if 0 < want <= room:
                given[name] += want
                room -= want
        return self._give_ahead(beats, given, room)

    def _give_ahead(
        self, beats: dict[str, Beat], given: dict[str, int], room: int
    ) -> dict[str, int]:
        share = max(room, 0) // (4 * max(len(beats), 1))
        for name, beat in beats.items():
            ahead = given[name] - beat.asked
            if beat.asked <= given[name] and ahead < share:
                given[name] += share - ahead
        return given
