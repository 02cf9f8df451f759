"""The scheduler in one process: a thread that looks what others say."""

from __future__ import annotations

import logging
import os
import threading
import uuid
from contextlib import suppress
from functools import partial

from flaskreg.driver import DriverError
from flaskreg.driver import StorageFull
from flaskreg_proxy.scheduling.ballast import Ballast
from flaskreg_proxy.scheduling.control import read_control
from flaskreg_proxy.scheduling.holder import Holder
from flaskreg_proxy.scheduling.holder import Tools
from flaskreg_proxy.scheduling.journal import Journal
from flaskreg_proxy.scheduling.lease import Lease
from flaskreg_proxy.scheduling.members import Beat
from flaskreg_proxy.scheduling.members import SignsOfLife
from flaskreg_proxy.scheduling.pins import Pins
from flaskreg_proxy.scheduling.room import Room


_log = logging.getLogger("flaskreg.proxy.scheduler")

#: how much oftener a worker looks while something is removed or waited for, and how
#: much less often after a failure.
_HURRY = 10


class Worker:
    """The scheduler in one process.

    :param tools: what a holder works with, should this worker be one.
    """

    def __init__(self, tools: Tools) -> None:
        driver, pace = tools.driver, tools.pace
        name = uuid.uuid4().hex
        self.name = name
        self.pid = os.getpid()
        self._tools = tools
        self.journal = Journal(driver, name, tools.clock, pace.renew)
        self.pins = Pins(driver, pace.expiry, partial(read_control, driver))
        self._wake = threading.Event()
        self.room = Room(name, tools.limits.max_bytes, self._wake.set)
        self._signs = SignsOfLife(driver, name, tools.clock, pace.expiry)
        self._lease = Lease(driver, name, tools.clock, pace.expiry)
        self._ballast = Ballast(driver)
        self._holder: Holder | None = None
        self._beat = Beat()
        self._ticking = threading.Lock()
        self._hurried = False
        self._failed = False
        self._ending = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, once; others know of this worker when it returns."""
        if self._thread is None and not self._ending:
            self._thread = threading.Thread(
                target=self._run, name="flaskreg-scheduler", daemon=True
            )
            with suppress(DriverError):
                self._look()
            # At the end of the interpreter there is no new thread, and no need of one.
            with suppress(RuntimeError):
                self._thread.start()

    def tick(self) -> None:
        """Look what others say, and do what is due."""
        with self._ticking:
            control_hurries = self._look()
            if self._lease.hold():
                if self._holder is None:
                    self._holder = Holder(self._tools, self._lease)
                self._holder.turn()
                if self._tools.driver.renames and not self._holder.busy:
                    # An object store is not full.
                    self._ballast.load()
            else:
                self._holder = None
            busy = self._holder is not None and self._holder.busy
            self._hurried = control_hurries or self.room.waiting or busy

    def close(self) -> None:
        """End the thread, and leave everything to the next worker."""
        self._ending = True
        while self._thread is not None and self._thread.is_alive():
            self._wake.set()
            self._thread.join(0.1)
        self._tools.jobs.end()
        with self._ticking:
            try:
                self._end()
            except DriverError:
                _log.warning("the scheduler could not end in order", exc_info=True)

    def _end(self) -> None:
        self.journal.flush(everything=True)
        self._signs.end()
        while self._lease.hold():
            holder = self._holder or Holder(self._tools, self._lease)
            holder.end()
            self._lease.release()
            self._holder = None
            # Who ended meanwhile could not do it: the lease was not free yet.
            if not holder.is_left_something():
                return
        self._holder = None

    def _look(self) -> bool:
        """Take note of what the holder says, and tell what this worker has used.

        This worker is known to the others before it reads what they say, so that the
        holder waits for it or it knows what is condemned.

        :returns: whether others wait for this worker.
        """
        if self._signs.is_due():
            self._signs.give(self._beat)
        control = read_control(self._tools.driver)
        self.room.learn(control)
        asked, settled = self.room.counts()
        pinned = self.pins.acknowledge(control.condemned)
        self.journal.expect_again(control.condemned)
        told = settled != self._beat.settled
        self.journal.flush(everything=told or bool(control.condemned))
        self._beat = Beat(
            acknowledged=control.stamp, pinned=pinned, asked=asked, settled=settled
        )
        self._signs.give(self._beat)
        return bool(control.condemned)

    def _run(self) -> None:
        while not self._ending:
            self._wake.clear()
            self._try()
            self._wake.wait(self._pause())

    def _pause(self) -> float:
        beat = self._tools.pace.beat
        if self._failed:
            return beat * _HURRY
        return beat / _HURRY if self._hurried else beat

    def _try(self) -> None:
        """Do what is due; a failure is told once and tried again."""
        try:
            self.tick()
        except StorageFull:
            if not self._failed:
                _log.warning("the scheduler has no space left to write; it tries again")
            self._failed, self._holder = True, None
            self._ballast.drop()
        except Exception:  # noqa: BLE001 - the thread has to outlive any failure
            self._fail()
        else:
            self._failed = False

    def _fail(self) -> None:
        if not self._failed:
            _log.warning("the scheduler fails; it tries again", exc_info=True)
        self._failed = True
        # What is in memory may be half done: read it anew.
        self._holder = None
