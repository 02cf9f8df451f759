"""The scheduler: a thread in each worker process, and one of them has the lease."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextlib import contextmanager
from contextlib import nullcontext
from typing import Literal

from flaskreg.cache import DescriptorCache
from flaskreg.digest import Digest
from flaskreg.driver import StorageDriver
from flaskreg_proxy.scheduling.clock import Clock
from flaskreg_proxy.scheduling.holder import Tools
from flaskreg_proxy.scheduling.jobs import Job
from flaskreg_proxy.scheduling.jobs import Jobs
from flaskreg_proxy.scheduling.limits import Limits
from flaskreg_proxy.scheduling.limits import Pace
from flaskreg_proxy.scheduling.limits import free_bytes
from flaskreg_proxy.scheduling.limits import pace_for
from flaskreg_proxy.scheduling.removal import UnlinkedContent
from flaskreg_proxy.scheduling.removal import Unlinker
from flaskreg_proxy.scheduling.rounds import Remove
from flaskreg_proxy.scheduling.survey import Leftovers
from flaskreg_proxy.scheduling.survey import Survey
from flaskreg_proxy.scheduling.worker import Worker


_log = logging.getLogger("flaskreg.proxy.scheduler")


def _nothing(name: str) -> bool:
    del name
    return False


class Scheduler:
    """How long cached content is kept; see :class:`flaskreg_proxy.lifetimes.Lifetimes`.

    Constructing it does no I/O, and a process that is forked has a worker of its own.

    :param driver: where content is, and the scheduler's own files.
    :param limits: what bounds the cache; without a bound nothing is ever done.
    :param cache: descriptors, which are forgotten with their content.
    :param covers: whether a repository is one of the cache, all of whose content may be
        removed: such content without an entry gets one. ``None`` when that cannot be
        told.
    :param jobs: what one of all workers does on a timetable.
    :param leftovers: parts of content that take room, and go first; ``None`` for none.
    :param pace: how often workers look; ``None`` as it suits the driver.
    :param clock: for tests.
    """

    def __init__(
        self,
        driver: StorageDriver,
        limits: Limits,
        *,
        cache: DescriptorCache | None = None,
        covers: Callable[[str], bool] | None = None,
        jobs: Sequence[Job] = (),
        leftovers: Leftovers | None = None,
        pace: Pace | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._driver = driver
        self._limits = limits
        self._cache = cache
        self._covers = covers or _nothing
        self._jobs = tuple(jobs)
        self._leftovers = leftovers
        self._bounded = limits.bounded
        self._idle = not limits.bounded and not jobs
        self._pace = pace or pace_for(driver)
        self._clock = clock or Clock()
        self._remove: Remove = Unlinker(driver, cache)
        self._lock = threading.Lock()
        self._started = False
        self._does_jobs = True
        self._closed = False
        self._worker: Worker | None = None

    def touch(
        self,
        repository: str,
        kind: Literal["blob", "manifest"],
        digest: Digest,
        size: int,
    ) -> None:
        """Note that content was cached or served just now; cheap, and never raises.

        :param size: in bytes.
        """
        if self._bounded and not self._closed:
            self._here().journal.touch(repository, kind, digest, size)

    def pinned(self, digest: Digest) -> AbstractContextManager[None]:
        """Keep content while a fill or a pull of it is in flight, in whatever worker.

        The pins of a worker that dies end when it is taken for dead.
        """
        return self.hold(digest)

    def hold(self, digest: Digest | None) -> AbstractContextManager[None]:
        """Keep content as :meth:`pinned` does; ``None`` keeps all content.

        What stores or links content holds it from before that until it is linked.
        """
        if not self._bounded or self._closed:
            return nullcontext()
        return self._here().pins.hold(digest)

    @contextmanager
    def room(self, size: int, patience: float = 30.0) -> Iterator[bool]:
        """Have room for content that is filled, and touched, inside.

        With ``max_bytes`` the cache stays below it as long as every fill asks here.

        :param size: in bytes.
        :param patience: seconds to wait while other content is removed.

        Yields whether there is room; without it content is passed on uncached.
        """
        if self._limits.max_bytes is None or not self._started:
            yield True
            return
        with self._here().room.take(size, patience) as given:
            yield given

    def start(self, remove: Remove | None = None, *, jobs: bool = True) -> None:
        """Begin in this process; in each one for itself, after it was forked.

        A thread that runs in a process while it is forked may hold what the storage
        driver locks, and the new process would wait for it for ever.

        :param remove: takes content out of a repository on expiry; called with
            repository, kind and digest, in a thread of any worker, again when it
            raises, and also for what is gone already. ``None`` unlinks it.
        :param jobs: whether this process may do what is on a timetable too; one that
            does not serve ends too soon for that.
        """
        self._does_jobs = jobs
        if remove is not None:
            self._remove = remove
        if self._idle:
            return
        if self._limits.min_free and free_bytes(self._driver) is None:
            _log.warning("min_free has no effect: %r is no disk", self._driver.name)
        worker = self._here()
        with self._lock:
            self._started = True
            worker.start()
        atexit.register(self.close)

    def close(self) -> None:
        """End in this process, and keep what is known."""
        atexit.unregister(self.close)
        with self._lock:
            self._started, self._closed = False, True
            worker, self._worker = self._worker, None
        if worker is not None and worker.pid == os.getpid():
            worker.close()

    def tick(self) -> None:
        """Do now what the thread does from time to time."""
        self._here().tick()

    def _here(self) -> Worker:
        """Return the worker of this process; a forked one has none yet."""
        worker = self._worker
        if worker is None or worker.pid != os.getpid():
            with self._lock:
                worker = self._worker
                if worker is None or worker.pid != os.getpid():
                    self._worker = worker = self._make_worker()
                    if self._started:
                        worker.start()
        return worker

    def _make_worker(self) -> Worker:
        contents = UnlinkedContent(self._driver, self._cache, self._covers)
        survey = Survey(
            self._driver, self._covers, self._limits.min_free, self._leftovers
        )
        tools = Tools(
            driver=self._driver,
            clock=self._clock,
            limits=self._limits,
            pace=self._pace,
            remove=self._call_remove,
            contents=contents,
            survey=survey,
            jobs=Jobs(self._driver, self._clock, self._jobs, lambda: self._does_jobs),
        )
        return Worker(tools)

    def _call_remove(self, repository: str, kind: str, digest: Digest) -> None:
        self._remove(repository, kind, digest)
