"""The workers: each gives signs of life, and the holder of the lease looks for them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from flaskreg.digest import Digest
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg_proxy.scheduling import places
from flaskreg_proxy.scheduling.clock import Clock
from flaskreg_proxy.scheduling.documents import as_digests
from flaskreg_proxy.scheduling.documents import names_in
from flaskreg_proxy.scheduling.documents import read_document
from flaskreg_proxy.scheduling.documents import value_of
from flaskreg_proxy.scheduling.documents import write_document
from flaskreg_proxy.scheduling.lease import is_gone
from flaskreg_proxy.scheduling.lease import process_marks
from flaskreg_proxy.scheduling.silence import Silence


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """What a worker says of itself.

    :param acknowledged: the stamp of the last announcement that it has read.
    :param pinned: what of the condemned content it had in use then.
    :param asked: bytes that it has asked to fill in its life.
    :param settled: bytes of those whose fill has ended, and is in a journal if it
        succeeded.
    """

    acknowledged: tuple[int, int] = (-1, 0)
    pinned: frozenset[Digest] = frozenset()
    asked: int = 0
    settled: int = 0


class SignsOfLife:
    """The writing side.

    :param driver: where they are.
    :param worker: the name of the worker.
    :param clock: a steady one.
    :param expiry: seconds without a sign after which a worker is taken for dead.
    """

    def __init__(
        self, driver: StorageDriver, worker: str, clock: Clock, expiry: float
    ) -> None:
        self._driver = driver
        self._path = places.beat(worker)
        self._clock = clock
        self._expiry = expiry
        self._last: Beat | None = None
        self._written_at = 0.0
        self._count = 0

    def is_due(self) -> bool:
        """Whether others need a new sign soon."""
        old = self._clock.steady() - self._written_at >= self._expiry / 5
        return self._last is None or old

    def give(self, beat: Beat) -> None:
        """Write a sign, unless the last one says the same and is young."""
        if beat == self._last and not self.is_due():
            return
        self._count += 1
        document = {
            "count": self._count,
            "expiry": self._expiry,
            "acknowledged": list(beat.acknowledged),
            "pinned": sorted(beat.pinned),
            "asked": beat.asked,
            "settled": beat.settled,
            **process_marks(self._clock),
        }
        write_document(self._driver, self._path, document)
        self._last, self._written_at = beat, self._clock.steady()

    def end(self) -> None:
        """Say that this worker has ended in order."""
        with suppress(PathNotFound):
            self._driver.delete(self._path, durable=False)
        self._last = None


@dataclass(slots=True)
class Roster:
    """The looking side: which workers live.

    :param driver: where their signs are.
    :param clock: a steady one: a worker is dead when its sign has not changed for as
        long as it said itself, on the clock of who looks.
    :param expiry: seconds after which a worker is dead that did not say so.
    """

    driver: StorageDriver
    clock: Clock
    expiry: float
    _seen: dict[str, Silence] = field(default_factory=dict)

    def look(self) -> tuple[dict[str, Beat], list[str]]:
        """Return the beats of those that live, and the names of those that do not."""
        living, dead = {}, []
        names = names_in(self.driver, places.WORKERS)
        for name in names:
            document = read_document(self.driver, places.beat(name))
            if document is None or self._is_dead(name, document):
                dead.append(name)
            else:
                living[name] = _parse(document)
        for name in self._seen.keys() - set(names):
            del self._seen[name]
        return living, dead

    def forget(self, worker: str) -> None:
        """Drop what is left of a dead worker, unless there is something new of it."""
        known = self._seen.pop(worker, None)
        found = read_document(self.driver, places.beat(worker))
        if found is not None and (known is None or known.sign != found):
            return
        left = set(names_in(self.driver, places.worker(worker))) - {"beat"}
        if not left:
            with suppress(PathNotFound):
                self.driver.delete(places.worker(worker), durable=False)

    def _is_dead(self, name: str, document: Mapping[str, Any]) -> bool:
        now = self.clock.steady()
        expiry = max(value_of(document, "expiry", self.expiry), self.expiry)
        silence = self._seen.setdefault(name, Silence(document, now))
        dead = silence.look(document, now, expiry)
        return dead or is_gone(document, self.clock)


def _parse(document: Mapping[str, Any]) -> Beat:
    stamp = document.get("acknowledged")
    acknowledged = (-1, 0)
    if isinstance(stamp, list) and [type(part) for part in stamp] == [int, int]:
        acknowledged = (stamp[0], stamp[1])
    return Beat(
        acknowledged=acknowledged,
        pinned=as_digests(document.get("pinned")),
        asked=value_of(document, "asked", 0),
        settled=value_of(document, "settled", 0),
    )
