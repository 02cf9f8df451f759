"""What the holder of the lease does: it alone knows all entries, and removes them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import replace
from itertools import islice

from flaskreg.digest import Digest
from flaskreg.driver import StorageDriver
from flaskreg_proxy.scheduling.choice import choose_victims
from flaskreg_proxy.scheduling.choice import excess
from flaskreg_proxy.scheduling.clock import Clock
from flaskreg_proxy.scheduling.control import Control
from flaskreg_proxy.scheduling.control import read_control
from flaskreg_proxy.scheduling.jobs import Jobs
from flaskreg_proxy.scheduling.journal import Touch
from flaskreg_proxy.scheduling.journal import drop_piece
from flaskreg_proxy.scheduling.journal import iter_pieces
from flaskreg_proxy.scheduling.journal import read_piece
from flaskreg_proxy.scheduling.lease import Lease
from flaskreg_proxy.scheduling.lease import clock_was_set
from flaskreg_proxy.scheduling.limits import Limits
from flaskreg_proxy.scheduling.limits import Pace
from flaskreg_proxy.scheduling.members import Beat
from flaskreg_proxy.scheduling.members import Roster
from flaskreg_proxy.scheduling.removal import UnlinkedContent
from flaskreg_proxy.scheduling.room import Grants
from flaskreg_proxy.scheduling.rounds import Announcer
from flaskreg_proxy.scheduling.rounds import Remove
from flaskreg_proxy.scheduling.rounds import Round
from flaskreg_proxy.scheduling.statefile import StateFile
from flaskreg_proxy.scheduling.survey import Survey
from flaskreg_proxy.scheduling.table import UNKNOWN
from flaskreg_proxy.scheduling.table import Entry
from flaskreg_proxy.scheduling.table import Key
from flaskreg_proxy.scheduling.table import Table


_log = logging.getLogger("flaskreg.proxy.scheduler")

#: the part of a lifetime, and the seconds at least, that may pass unseen: when nobody
#: scheduled for longer, and no clock can tell for how long, this is what has passed.
_UNSEEN = 0.1
_UNSEEN_AT_LEAST = 3600.0
#: pieces of journals after which the state is written early.
_PIECES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a holder works with."""

    driver: StorageDriver
    clock: Clock
    limits: Limits
    pace: Pace
    remove: Remove
    contents: UnlinkedContent | None
    survey: Survey
    jobs: Jobs


class Holder:
    """Merges what workers use, removes what is due, and keeps the state.

    Made when the lease is got, and dropped when it is lost. Used by one thread.

    :param tools: what it works with.
    :param lease: held by this worker.
    """

    def __init__(self, tools: Tools, lease: Lease) -> None:
        self._tools = tools
        self._lease = lease
        self._clock = tools.clock
        self._roster = Roster(tools.driver, tools.clock, tools.pace.expiry)
        self._state = StateFile(tools.driver, tools.clock, tools.limits.lifetime)
        self._grants = Grants(tools.limits.max_bytes)
        self._round: Round | None = None
        #: pieces that are in the table, and not in the state on disk.
        self._merged: dict[str, None] = {}
        self._dead: set[str] = set()
        self._spared: dict[Digest, float] = {}
        self._wanted = 0
        self._dirty = False
        self._checked_at = self._clock.steady()
        self._saved_at = self._clock.steady()
        self.table = Table()
        self._read_state()
        self._unmeasured = list(self.table.iter_unmeasured())
        self._linked = tools.survey.iter_covered()
        before = read_control(tools.driver)
        control = Control(
            generation=lease.generation,
            version=before.version + 1,
            grants=before.grants,
        )
        self._announcer = Announcer(tools.driver, control)

    def turn(self) -> None:
        """Do what is due."""
        beats, dead = self._roster.look()
        self._merge([*beats, *dead])
        self._dead.update(dead)
        self._take_untracked()
        self._measure()
        self._grant(beats)
        self._go_on_removing(beats)
        self._tools.jobs.turn(self._still_holds)
        late = self._clock.steady() - self._saved_at >= self._tools.pace.save
        if late or len(self._merged) >= _PIECES:
            self.save()

    @property
    def busy(self) -> bool:
        """Whether somebody waits for what is under way."""
        return self._round is not None or self._wanted > 0

    def save(self) -> None:
        """Bring all that is known to the disk, and drop the journals of it."""
        self._saved_at = self._clock.steady()
        new = self._dirty or self._merged or self._state.is_outdated()
        if new and self._still_holds(0.0):
            if self._state.is_foreign():
                self._merge_state()
            self._state.write(self._iter_measured())
            self._dirty = False
            for path in self._merged:
                drop_piece(self._tools.driver, path)
            self._merged.clear()
        for worker in self._dead:
            self._roster.forget(worker)
        self._dead.clear()

    def end(self) -> None:
        """Merge what the workers have written by now, and save."""
        if self._round is not None:
            self._round.give_up()
            self._round = None
        beats, dead = self._roster.look()
        self._merge([*beats, *dead])
        self._dead.update(dead)
        self.save()

    def is_left_something(self) -> bool:
        """Whether a worker that has ended has left what is not merged."""
        _, ended = self._roster.look()
        return any(
            path for each in ended for path in iter_pieces(self._tools.driver, each)
        )

    # What is known

    def _read_state(self) -> None:
        lifetime = self._tools.limits.lifetime or 0.0
        tolerance = max(_UNSEEN_AT_LEAST, _UNSEEN * lifetime)
        vouched = self._state.modified()
        forward = clock_was_set(self._lease.before, self._clock, vouched, tolerance)
        for key, entry in self._state.read(forward):
            self.table.merge(key, entry)

    def _merge_state(self) -> None:
        """Take what somebody else has written into the state meanwhile."""
        _log.warning("somebody else has written the scheduler's state; both are kept")
        for key, entry in self._state.read():
            self._take(key, entry)
        self.table = self.table.sorted()

    def _merge(self, workers: list[str]) -> None:
        """Take what the workers have used since the last look, in its order."""
        touches: list[Touch] = []
        for worker in workers:
            for path in iter_pieces(self._tools.driver, worker):
                if path not in self._merged:
                    self._merged[path] = None
                    touches += read_piece(self._tools.driver, path, self._clock)
        touches.sort(key=lambda touch: -touch.age)
        now = self._clock.steady()
        for touch in touches:
            self._take(touch.key, Entry(touch.kind, touch.size, now - touch.age))

    def _take(self, key: Key, entry: Entry) -> None:
        """Take one use; what is new has to be there, and has the size it has there."""
        size = self.table.size_of(key.digest)
        if key not in self.table:
            found = self._tools.survey.find(key, entry.kind)
            if found is None:
                return
            key, size = found
        self._dirty |= self.table.merge(key, replace(entry, size=size))

    def _take_untracked(self) -> None:
        """Take a few of what the cache links and no entry is known for, as used now."""
        now = self._clock.steady()
        for key, kind in islice(self._linked, self._tools.survey.step):
            if key not in self.table:
                self._take(key, Entry(kind, UNKNOWN, now))

    def _measure(self) -> None:
        """Look for a few of the sizes that the state does not tell."""
        for _ in range(min(len(self._unmeasured), self._tools.survey.step)):
            digest = self._unmeasured.pop()
            self.table.measure(digest, self._tools.survey.measure(digest) or 0)
            self._dirty = True

    def _iter_measured(self) -> Iterator[tuple[Key, Entry]]:
        for key, entry in self.table.items():
            yield key, replace(entry, size=self.table.size_of(key.digest))

    # What is done about it

    def _grant(self, beats: dict[str, Beat]) -> None:
        granted = dict(self._announcer.control.grants)
        given = self._grants.give(beats, granted, self._used())
        self._announcer.tell(grants=given)

    def _used(self) -> int:
        """Return the bytes of all content, and of what may become content."""
        bounded = self._tools.limits.max_bytes is not None
        return self.table.size + (self._tools.survey.left_over() if bounded else 0)

    def _go_on_removing(self, beats: dict[str, Beat]) -> None:
        if self._round is None:
            self._condemn(beats)
        elif self._round.is_acknowledged(beats) and self._still_holds(0.0):
            self._finish(self._round, beats)

    def _condemn(self, beats: dict[str, Beat]) -> None:
        now = self._clock.steady()
        self._spared = {
            digest: until for digest, until in self._spared.items() if until > now
        }
        granted = dict(self._announcer.control.grants)
        self._wanted = self._grants.wanted(beats, granted)
        expected = self._grants.outstanding(beats, granted) + self._wanted
        survey = self._tools.survey
        too_many = excess(self._tools.limits, self._used(), expected)
        too_many = max(too_many, survey.missing_on_disk())
        too_many -= survey.drop_left_over(too_many)
        victims = choose_victims(
            self.table,
            self._tools.limits,
            now=now,
            too_many=too_many,
            spared=self._spared,
            count=self._tools.pace.batch,
        )
        if victims:
            self._round = Round(victims, self._announcer)

    def _finish(self, current: Round, beats: dict[str, Beat]) -> None:
        tools = self._tools
        self._round = None
        outcome = current.finish(
            self.table,
            beats,
            tools.driver,
            tools.remove,
            tools.contents,
            self._still_holds,
        )
        for key in outcome.removed:
            self.table.discard(key)
            self._dirty = True
        until = self._clock.steady() + tools.pace.spare
        self._spared.update(dict.fromkeys(outcome.spared, until))
        if outcome.removed:
            _log.info("removed %d entries of the cache", len(outcome.removed))

    def _still_holds(self, age: float | None = None) -> bool:
        """Whether the lease is held, as of at most *age* seconds ago.

        A process that was stopped for a while finds out before it does anything.
        """
        now = self._clock.steady()
        oldest = self._tools.pace.expiry / 10 if age is None else age
        if now - self._checked_at > oldest or age == 0.0:
            if not self._lease.check():
                return False
            self._checked_at = now
        return True
