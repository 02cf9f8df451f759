"""A bounded memory: what was used least recently makes room for what is new."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Generic
from typing import TypeVar


K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class LRU(Generic[K, V]):
    """A mapping of at most *size* entries, shared by threads.

    :param size: the number of entries; 0 or less does not bound it.
    """

    def __init__(self, size: int) -> None:
        self._size = size
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
            self._entries[key] = value
            self._entries.move_to_end(key)
            if 0 < self._size < len(self._entries):
                self._entries.popitem(last=False)

    def discard(self, key: K) -> None:
        """Forget *key*, known or not."""
        with self._lock:
            self._entries.pop(key, None)

    def __len__(self) -> int:
        return len(self._entries)
