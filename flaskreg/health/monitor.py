"""Makes the checks again and again, and tells what fails to all processes."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path

from flaskreg.health.checks import CheckFailed
from flaskreg.health.checks import Schedule


_log = logging.getLogger("flaskreg")

#: the most bytes of a board that are read.
_LONGEST = 1 << 20


class Board:
    """What fails now, in a file that one process writes and the others read.

    :param path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._failing: Mapping[str, str] = {}

    def write(self, failing: Mapping[str, str]) -> None:
        """Publish what fails; readers see the old or the new, and nothing between."""
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(dict(failing)), encoding="utf-8")
        new.replace(self._path)

    def read(self) -> Mapping[str, str]:
        """Return what fails: names of checks with their sentences."""
        try:
            stat = os.stat(self._path)
            seen = (stat.st_mtime_ns, stat.st_ino)
            if seen != self._seen:
                with self._path.open(encoding="utf-8") as file:
                    self._failing = json.loads(file.read(_LONGEST))
                self._seen = seen
        except (OSError, ValueError):
            return self._failing
        return self._failing


class Monitor:
    """Makes each check in a thread of its own.

    :param schedules: what is checked, and when.
    :param publish: called with all that fails, whenever that changes.
    """

    def __init__(
        self,
        schedules: Sequence[Schedule],
        publish: Callable[[Mapping[str, str]], None],
    ) -> None:
        self._schedules = schedules
        self._publish = publish
        self._failing: dict[str, str] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def start(self, failing: Mapping[str, str]) -> None:
        """Begin.

        :param failing: what failed before; the first checks decide whether it still
            does.
        """
        names = {schedule.check.name for schedule in self._schedules}
        self._failing = {name: failing[name] for name in names.intersection(failing)}
        self._publish(dict(self._failing))
        for schedule in self._schedules:
            threading.Thread(
                target=self._run,
                args=(schedule,),
                name=f"check {schedule.check.name}",
                daemon=True,
            ).start()

    def stop(self) -> None:
        """Begin no further check."""
        self._ended.set()

    def _run(self, schedule: Schedule) -> None:
        failures = 0
        while not self._ended.is_set():
            try:
                schedule.check.check()
            except CheckFailed as error:
                failures += 1
                if failures >= schedule.threshold:
                    self._set(schedule.check.name, str(error))
            else:
                failures = 0
                self._set(schedule.check.name, None)
            self._ended.wait(schedule.interval)

    def _set(self, name: str, error: str | None) -> None:
        with self._lock:
            if self._failing.get(name) == error:
                return
            if error is None:
                del self._failing[name]
                _log.info("health check %s is well again", name)
            else:
                if name not in self._failing:
                    _log.error("health check %s fails: %s", name, error)
                self._failing[name] = error
            self._publish(dict(self._failing))
