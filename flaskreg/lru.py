"""A bounded memory: what was used least recently makes room for what is new."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from collections.abc import Hashable
from threading import Lock
from typing import Generic
from typing import TypeVar


K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def _one(value: object) -> int:
    del value
    return 1


class LRU(Generic[K, V]):
    """A mapping of at most *size* entries, shared by threads.

    :param size: the number of entries, or what all of them weigh; 0 or less does not
        bound it.
    :param weigh: what an entry weighs; 1 when left out. One that weighs more than
        *size* is not remembered.
    """

    def __init__(self, size: int, weigh: Callable[[V], int] = _one) -> None:
        self._size = size
        self._weigh = weigh
        self._weight = 0
        self._entries: OrderedDict[K, V] = OrderedDict()
        self._lock = Lock()

    def get(self, key: K) -> V | None:
        """Return what is remembered for *key* and count it as used, or ``None``."""
        with self._lock:
            value = self._entries.get(key)
            if value is not None:
                self._entries.move_to_end(key)
            return value

    def set(self, key: K, value: V) -> None:
        """Remember *value* for *key*."""
        with self._lock:
            self._discard(key)
            self._entries[key] = value
            self._weight += self._weigh(value)
            while 0 < self._size < self._weight:
                self._discard(next(iter(self._entries)))

    def discard(self, key: K) -> None:
        """Forget *key*, known or not."""
        with self._lock:
            self._discard(key)

    def _discard(self, key: K) -> None:
        if key in self._entries:
            self._weight -= self._weigh(self._entries.pop(key))

    def __len__(self) -> int:
        return len(self._entries)
