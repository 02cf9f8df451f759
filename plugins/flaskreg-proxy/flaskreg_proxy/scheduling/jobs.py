"""What the holder of the lease does on a timetable: once for all workers and nodes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flaskreg.digest import Digest
from flaskreg.driver import DriverError
from flaskreg.driver import StorageDriver
from flaskreg_proxy.scheduling import places
from flaskreg_proxy.scheduling.clock import Clock
from flaskreg_proxy.scheduling.documents import read_document
from flaskreg_proxy.scheduling.documents import value_of
from flaskreg_proxy.scheduling.documents import write_document
from flaskreg_proxy.scheduling.lease import is_gone
from flaskreg_proxy.scheduling.lease import process_marks
from flaskreg_proxy.scheduling.timetable import Timetable


_log = logging.getLogger("flaskreg.proxy.scheduler")

#: whether a job is to go on; it ends soon after that is false.
GoOn = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Job:
    """Something that is done on a timetable, such as filling the cache ahead of time.

    :param name: by which its last run is remembered.
    :param timetable: when.
    :param run: does it; called in a thread of the holder. A run that was cut off is
        begun again, so it has to go on where it was.
    """

    name: str
    timetable: Timetable
    run: Callable[[GoOn], None]

    @property
    def path(self) -> str:
        """Return where its last run is noted."""
        return places.job(Digest.of(self.name.encode()).encoded[:32])


class Jobs:
    """The jobs of one worker, should it hold the lease.

    :param driver: where their runs are noted.
    :param clock: the wall clock counts.
    :param jobs: what is to be done.
    :param wanted: whether this worker is to do it.
    """

    def __init__(
        self,
        driver: StorageDriver,
        clock: Clock,
        jobs: Sequence[Job],
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._driver = driver
        self._clock = clock
        self._jobs = jobs
        self._wanted = wanted
        self._running: dict[str, threading.Thread] = {}
        self._ending = False

    def turn(self, holds: GoOn) -> None:
        """Begin what is due.

        :param holds: whether this worker still holds the lease.
        """
        for job in self._jobs if self._wanted() else ():
            running = self._running.get(job.name)
            if running is not None and running.is_alive():
                continue
            if self._is_due(job, self._last(job)):
                self._begin(job, holds)

    def end(self) -> None:
        """Let what runs end soon, and wait for it a little."""
        self._ending = True
        for thread in self._running.values():
            thread.join(5.0)

    def _last(self, job: Job) -> Mapping[str, Any]:
        """Return the note of the last run, or of when the job was first seen.

        A time to come is of a clock that was set back since: it is now then.
        """
        now = self._clock.wall()
        note = read_document(self._driver, job.path)
        if note is None:
            return self._note(job, {"begun": None, "seen": now})
        late = {key: now for key in ("begun", "seen") if value_of(note, key, now) > now}
        return self._note(job, {**note, **late}) if late else note

    def _is_due(self, job: Job, note: Mapping[str, Any]) -> bool:
        now = self._clock.wall()
        if note.get("begun") is None:
            return job.timetable.next(None, value_of(note, "seen", now)) <= now
        if note.get("ended") is None and is_gone(note, self._clock):
            return True
        return job.timetable.next(value_of(note, "begun", now), now) <= now

    def _begin(self, job: Job, holds: GoOn) -> None:
        note = {"begun": self._clock.wall(), **process_marks(self._clock)}
        self._note(job, note)
        thread = threading.Thread(
            target=self._run,
            args=(job, note, holds),
            name=f"flaskreg-job {job.name}",
            daemon=True,
        )
        self._running[job.name] = thread
        thread.start()

    def _run(self, job: Job, note: dict[str, Any], holds: GoOn) -> None:
        _log.info("%s begins", job.name)

        def go_on() -> bool:
            return not self._ending and holds()

        try:
            job.run(go_on)
            if go_on():
                self._note(job, {**note, "ended": self._clock.wall()})
        except DriverError as error:
            _log.warning("%s: %s", job.name, error)
        except Exception:  # noqa: BLE001 - a job is whatever somebody configured
            _log.warning(
                "%s failed; it is done again in its time", job.name, exc_info=True
            )

    def _note(self, job: Job, note: dict[str, Any]) -> dict[str, Any]:
        write_document(self._driver, job.path, {**note, "name": job.name})
        return note
