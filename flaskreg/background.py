"""What a worker process does beside its requests: checks, the debug server, and loops.

One process of the server makes the checks and serves the debug pages; the others read
what it found.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence

from flaskreg.debugserver import DebugServer
from flaskreg.health.checks import Schedule
from flaskreg.health.gate import Gate
from flaskreg.health.monitor import Board
from flaskreg.health.monitor import Monitor
from flaskreg.lead import Lead
from flaskreg.runfolder import run_folder


class Background:
    """Begins when the process serves its first request, or before.

    :param schedules: the checks.
    :param gate: told what fails.
    :param debug: the debug server; ``None`` for none.
    :param loops: what goes on in each process, in a thread of its own, until what it is
        given is set.
    """

    def __init__(
        self,
        schedules: Sequence[Schedule],
        gate: Gate,
        debug: DebugServer | None,
        loops: Sequence[Callable[[threading.Event], None]] = (),
    ) -> None:
        self._schedules = schedules
        self._gate = gate
        #: the debug server; ``None`` for none.
        self.debug = debug
        self.loops = tuple(loops)
        self._ending: threading.Event | None = None
        self._lock = threading.Lock()
        self._begun: Lead | None = None
        self._board: Board | None = None
        self._monitor: Monitor | None = None

    @property
    def needed(self) -> bool:
        """Whether there is anything to do."""
        return bool(self._schedules or self.debug)

    def start(self) -> None:
        """Begin, once in a process."""
        with self._lock:
            if self._ending is None:
                self._ending = threading.Event()
                for run in self.loops:
                    threading.Thread(
                        target=run, args=(self._ending,), daemon=True
                    ).start()
            if self._begun is not None or not self.needed:
                return
            folder = run_folder()
            self._board = Board(folder / "health.json")
            self._begun = Lead(folder / "lead", self._lead, self._follow)
            self._begun.start()

    def stop(self) -> None:
        """End it all; another process takes over."""
        with self._lock:
            begun, self._begun = self._begun, None
            if self._ending is not None:
                self._ending.set()
                self._ending = None
        if begun is not None:
            if self._monitor is not None:
                self._monitor.stop()
            if self.debug is not None:
                self.debug.stop()
            begun.stop()

    def _lead(self) -> None:
        self._follow()
        self._monitor = Monitor(self._schedules, self._publish)
        self._monitor.start(self._gate.failing)
        if self.debug is not None:
            self.debug.start()

    def _follow(self) -> None:
        if self._board is not None:
            self._gate.set(self._board.read())

    def _publish(self, failing: Mapping[str, str]) -> None:
        self._gate.set(failing)
        if self._board is not None:
            self._board.write(failing)
