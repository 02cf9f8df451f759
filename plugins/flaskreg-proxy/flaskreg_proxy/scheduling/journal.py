"""What a worker has used, on its way to the holder of the lease.

Each worker writes pieces of its own, each once and under a new name. The holder deletes
a piece when a state with all that it says is on disk. A piece that is read twice says
the same twice.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from flaskreg.digest import Digest
from flaskreg.digest import parse_digest
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.errors import RegistryError
from flaskreg.lru import LRU
from flaskreg.names import parse_name
from flaskreg_proxy.scheduling import places
from flaskreg_proxy.scheduling.clock import Clock
from flaskreg_proxy.scheduling.documents import names_in
from flaskreg_proxy.scheduling.documents import read_document
from flaskreg_proxy.scheduling.documents import value_of
from flaskreg_proxy.scheduling.documents import write_document
from flaskreg_proxy.scheduling.table import BLOB
from flaskreg_proxy.scheduling.table import MANIFEST
from flaskreg_proxy.scheduling.table import Key


_log = logging.getLogger("flaskreg.proxy.scheduler")

#: content whose last note a worker remembers.
_REMEMBERED = 1 << 17
#: notes in one piece: each is about 200 bytes.
_PIECE = 20_000


@dataclass(slots=True)
class _Note:
    kind: str
    size: int
    used: float


@dataclass(frozen=True, slots=True)
class Touch:
    """One use of content, as a journal tells it.

    :param size: in bytes, as the worker knows it.
    :param age: seconds since the use; since the journal was written, where it cannot
        be told how long ago that was.
    """

    key: Key
    kind: str
    size: int
    age: float


class Journal:
    """The writing side, shared by the threads of a worker.

    :param driver: where the pieces go.
    :param worker: the name of the worker.
    :param clock: a steady one.
    :param renew: seconds between two notes of one content.
    """

    def __init__(
        self, driver: StorageDriver, worker: str, clock: Clock, renew: float
    ) -> None:
        self._driver = driver
        self._worker = worker
        self._clock = clock
        self._renew = renew
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._pending: dict[Key, _Note] = {}
        self._noted: LRU[Key, float] = LRU(_REMEMBERED)
        self._lost: LRU[Digest, bool] = LRU(_REMEMBERED)
        #: when the first of what waits was used.
        self._since = 0.0
        self._sequence = 0
        self._urgent = False

    def touch(self, repository: str, kind: str, digest: Digest, size: int) -> None:
        """Note a use, in memory."""
        now = self._clock.steady()
        # A plain tuple is found as quickly as it is made. A note that is being written
        # in this moment tells of a use that is hardly older.
        note = self._pending.get((repository, digest))  # type: ignore[call-overload]
        if note is not None and note.kind == kind:
            note.used = now
            return
        with self._lock:
            key = Key(repository, digest)
            if not self._pending:
                self._since = now
            self._pending[key] = _Note(kind, size, now)
            if self._noted.get(key) is None or self._lost.get(digest):
                self._urgent = True

    def expect_again(self, digests: Iterable[Digest]) -> None:
        """Take the next use of content that may be removed for that of new content."""
        for digest in digests:
            self._lost.set(digest, True)

    def flush(self, *, everything: bool = False) -> None:
        """Write what is due: all of it when something in it is new.

        A use that is written is known to all when this returns. On an error it is
        kept for the next time.

        :param everything: whether to write what is not due too.
        :raises DriverError: the storage does not take it.
        """
        with self._writing:
            with self._lock:
                if not self._is_due(everything):
                    return
                notes, self._pending = self._pending, {}
                self._urgent = False
            try:
                self._write(notes)
            except BaseException:
                with self._lock:
                    self._pending = notes | self._pending
                    self._urgent = True
                raise

    def _is_due(self, everything: bool) -> bool:
        if not self._pending:
            return False
        if everything or self._urgent:
            return True
        return self._clock.steady() - self._since >= self._renew

    def _write(self, notes: dict[Key, _Note]) -> None:
        now = self._clock.steady()
        items = sorted(notes.items(), key=lambda item: item[1].used)
        for start in range(0, len(items), _PIECE):
            touches = [
                [key.repository, note.kind, key.digest, note.size, now - note.used]
                for key, note in items[start : start + _PIECE]
            ]
            self._sequence += 1
            path = places.journal(self._worker, self._sequence)
            document = {"touches": touches, "steady": now, "boot": self._clock.boot()}
            write_document(self._driver, path, document, durable=True)
        for key, _ in items:
            self._noted.set(key, now)
            self._lost.discard(key.digest)


def iter_pieces(driver: StorageDriver, worker: str) -> Iterator[str]:
    """Yield the paths of the pieces of a worker, the oldest first."""
    directory = places.worker(worker)
    for name in names_in(driver, directory):
        if name.startswith(places.JOURNAL):
            yield f"{directory}/{name}"


def read_piece(driver: StorageDriver, path: str, clock: Clock) -> Sequence[Touch]:
    """Return what a piece says; what makes no sense in it is left out."""
    document = read_document(driver, path)
    if document is None:
        _log.warning("%s cannot be read; left out", path)
        return []
    found = []
    elapsed = 0.0
    if document.get("boot") and document.get("boot") == clock.boot():
        elapsed = max(clock.steady() - value_of(document, "steady", 0.0), 0.0)
    for value in value_of(document, "touches", list[Any]()):
        with suppress(TypeError, ValueError, RegistryError):
            found.append(_parse(value, elapsed))
    return found


def drop_piece(driver: StorageDriver, path: str) -> None:
    """Delete a piece."""
    with suppress(PathNotFound):
        driver.delete(path, durable=False)


def _parse(value: Any, elapsed: float) -> Touch:
    repository, kind, digest, size, age = value
    if kind not in (BLOB, MANIFEST) or not isinstance(size, int):
        raise ValueError
    key = Key(parse_name(repository), parse_digest(digest))
    return Touch(key, kind, size, max(float(age), 0.0) + elapsed)
