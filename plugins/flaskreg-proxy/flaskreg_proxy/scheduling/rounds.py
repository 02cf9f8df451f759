"""One round of removals: announce, let all acknowledge, announce again, remove.

What is condemned and comes into use meanwhile is spared, see :mod:`pins`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import replace

from flaskreg.digest import Digest
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.errors import BlobUnknown
from flaskreg.errors import ManifestUnknown
from flaskreg.errors import NameUnknown
from flaskreg_proxy.scheduling import places
from flaskreg_proxy.scheduling.control import Control
from flaskreg_proxy.scheduling.control import write_control
from flaskreg_proxy.scheduling.documents import names_in
from flaskreg_proxy.scheduling.journal import drop_piece
from flaskreg_proxy.scheduling.members import Beat
from flaskreg_proxy.scheduling.removal import UnlinkedContent
from flaskreg_proxy.scheduling.table import Key
from flaskreg_proxy.scheduling.table import Table


_log = logging.getLogger("flaskreg.proxy.scheduler")

#: takes content out of a repository; called with repository, kind and digest.
Remove = Callable[[str, str, Digest], None]


@dataclass(slots=True)
class Outcome:
    """What a round did.

    :param removed: entries whose content left their repository.
    :param spared: content that stays for now: in use, or its removal failed.
    """

    removed: Collection[Key] = ()
    spared: Collection[Digest] = ()


class Announcer:
    """Writes what all workers are told, each time as something new.

    :param driver: where it goes.
    :param control: the first announcement.
    """

    def __init__(self, driver: StorageDriver, control: Control) -> None:
        self._driver = driver
        self.control = control
        write_control(driver, control)

    def tell(
        self,
        condemned: frozenset[Digest] | None = None,
        removing: frozenset[Digest] | None = None,
        grants: Mapping[str, int] | None = None,
    ) -> None:
        """Announce what changes; ``None`` leaves it as it is."""
        now = self.control
        wanted = replace(
            now,
            condemned=now.condemned if condemned is None else condemned,
            removing=now.removing if removing is None else removing,
            grants=dict(now.grants if grants is None else grants),
        )
        if wanted != now:
            self.control = replace(wanted, version=now.version + 1)
            write_control(self._driver, self.control)


class Round:
    """One round.

    :param victims: entries, with when they were last used.
    :param announcer: tells the workers.
    """

    def __init__(self, victims: Mapping[Key, float], announcer: Announcer) -> None:
        self._victims = victims
        self._announcer = announcer
        announcer.tell(condemned=frozenset(key.digest for key in victims))
        self._stamp = announcer.control.stamp

    def is_acknowledged(self, beats: Mapping[str, Beat]) -> bool:
        """Whether all workers know what is condemned."""
        return all(beat.acknowledged >= self._stamp for beat in beats.values())

    def finish(
        self,
        table: Table,
        beats: Mapping[str, Beat],
        driver: StorageDriver,
        remove: Remove,
        contents: UnlinkedContent | None,
        go_on: Callable[[], bool],
    ) -> Outcome:
        """Remove what nobody uses.

        :param table: with all that the workers had used when they acknowledged.
        :param go_on: whether the lease is still held.
        """
        used = frozenset[Digest]().union(*(beat.pinned for beat in beats.values()))
        keys = [
            key
            for key, last in self._victims.items()
            if key.digest not in used and _last_use(table, key) == last
        ]
        self._announcer.tell(removing=frozenset(key.digest for key in keys))
        try:
            vetoed = set(names_in(driver, places.VETOES))
            free = [key for key in keys if _name_of_veto(key.digest) not in vetoed]
            removed = _unlink(free, table, remove, go_on)
            _delete_contents(removed, table, contents, go_on)
            for name in vetoed:
                drop_piece(driver, f"{places.VETOES}/{name}")
        finally:
            if go_on():
                self.give_up()
        gone = {key.digest for key in removed}
        return Outcome(removed, {key.digest for key in self._victims} - gone)

    def give_up(self) -> None:
        """Take the announcement back."""
        self._announcer.tell(condemned=frozenset(), removing=frozenset())


def _last_use(table: Table, key: Key) -> float | None:
    entry = table.get(key)
    return entry.used if entry else None


def _name_of_veto(digest: Digest) -> str:
    return places.veto(digest).rpartition("/")[2]


def _unlink(
    keys: Collection[Key], table: Table, remove: Remove, go_on: Callable[[], bool]
) -> list[Key]:
    """Take content out of repositories, and return the entries for which it worked."""
    removed = []
    for key in keys:
        entry = table.get(key)
        if entry is None:
            continue
        if not go_on():
            break
        try:
            with suppress(BlobUnknown, ManifestUnknown, NameUnknown, PathNotFound):
                remove(key.repository, entry.kind, key.digest)
        except Exception:  # noqa: BLE001 - whatever it is, others are to be removed
            _log.warning(
                "%s@%s cannot be removed; tried again later",
                key.repository,
                key.digest,
                exc_info=True,
            )
            continue
        removed.append(key)
    return removed


def _delete_contents(
    removed: Collection[Key],
    table: Table,
    contents: UnlinkedContent | None,
    go_on: Callable[[], bool],
) -> None:
    """Delete the content that has no entry left, if no other repository links it."""
    if contents is None:
        return
    left: dict[Digest, set[str]] = {}
    for key in removed:
        names = left.setdefault(key.digest, set(table.repositories(key.digest)))
        names.discard(key.repository)
    contents.delete([digest for digest, names in left.items() if not names], go_on)
