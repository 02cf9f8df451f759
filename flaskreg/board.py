"""How many connections each worker process has, so that they are shared out evenly.

All workers wait at one listening socket, and whoever wakes first takes what there is: a
few kept-alive connections that come together mostly end at one process, and the other
cores have nothing to do. So each worker tells its count in memory that all of them
have, and one that has more than another leaves a new connection to it, for a moment.
"""

from __future__ import annotations

import functools
import mmap
import struct
import time


#: workers that have a place; more than that share places, which costs evenness.
_PLACES = 256
_ENTRY = struct.Struct("=dQ")
#: a worker that said nothing for so long is not waited for, in seconds.
_FRESH = 3.0
#: how long a connection is left to others, and how long one look takes, in seconds.
_PATIENCE = 0.002
_LOOK = 0.0001
#: after that, in seconds, it is another connection.
_FORGOTTEN = 0.05


class Board:
    """The counts of all workers that were forked from one process."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _PLACES * _ENTRY.size)

    def tell(self, place: int, count: int) -> None:
        """Tell how many connections the worker at a place has."""
        at = place % _PLACES * _ENTRY.size
        _ENTRY.pack_into(self._memory, at, time.monotonic(), count)

    def leave(self, place: int) -> None:
        """Tell that the worker at a place takes no more connections."""
        _ENTRY.pack_into(self._memory, place % _PLACES * _ENTRY.size, 0.0, 0)

    def has_less_busy(self, place: int, count: int) -> bool:
        """Whether another worker has fewer connections than *count*."""
        since, mine = time.monotonic() - _FRESH, place % _PLACES
        return any(
            told > since and other < count and each != mine
            for each, (told, other) in enumerate(_ENTRY.iter_unpack(self._memory))
        )


class Turn:
    """Decides for one worker whether it takes a connection now.

    :param board: what the workers tell each other.
    :param place: of this worker.
    """

    def __init__(self, board: Board, place: int) -> None:
        self._board = board
        self._place = place
        self._asked = 0.0

    def tell(self, count: int) -> None:
        """Tell how many connections this worker has."""
        self._board.tell(self._place, count)

    def leave(self) -> None:
        """Tell that this worker takes no more."""
        self._board.leave(self._place)

    def comes(self, count: int) -> bool:
        """Whether to take a connection; it waits a moment before it says no.

        :param count: of the connections that this worker has.
        """
        if not count or not self._board.has_less_busy(self._place, count):
            return True
        now = time.monotonic()
        if now - self._asked > _FORGOTTEN:
            self._asked = now
        if now - self._asked > _PATIENCE:
            self._asked = 0.0
            return True
        time.sleep(_LOOK)
        return False


@functools.cache
def shared_board() -> Board:
    """Return the board of this process, which those that it forks have too."""
    return Board()
