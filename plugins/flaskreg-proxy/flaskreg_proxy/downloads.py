"""Downloads that all who want a blob share, whichever process they are served by.

One thread of one process holds the lease of a digest and fills a file; a thread of each
other process watches the file for those who read it there. When the one that fills is
gone, another takes the lease and goes on where the file ends.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import closing
from contextlib import suppress
from typing import BinaryIO
from typing import cast

from flaskreg.descriptor import Descriptor
from flaskreg.digest import CANONICAL
from flaskreg.digest import Digest
from flaskreg.digest import Digester
from flaskreg.digest import make_digester
from flaskreg.driver import DriverError
from flaskreg.driver import StorageFull
from flaskreg.errors import BlobUnknown
from flaskreg.errors import InsufficientStorage
from flaskreg.errors import RegistryError
from flaskreg.mediatypes import OCTET_STREAM
from flaskreg.services import Repository
from flaskreg_proxy.counters import Counters
from flaskreg_proxy.diskroom import NoRoom
from flaskreg_proxy.diskroom import is_full
from flaskreg_proxy.diskroom import room_for
from flaskreg_proxy.errors import NotThere
from flaskreg_proxy.errors import UpstreamFailed
from flaskreg_proxy.growing import DownloadCut
from flaskreg_proxy.growing import GrowingReader
from flaskreg_proxy.growing import Growth
from flaskreg_proxy.lease import Lease
from flaskreg_proxy.lease import Presence
from flaskreg_proxy.lifetimes import Lifetimes
from flaskreg_proxy.receiving import Receiver
from flaskreg_proxy.remote import RemoteRepository
from flaskreg_proxy.straight import StraightReader
from flaskreg_proxy.verdict import Verdict
from flaskreg_proxy.workplace import Workplace


_log = logging.getLogger("flaskreg")

#: how often a process looks at what another one fills, in seconds.
POLL = 0.02

#: how often a download is begun anew that ends before its first byte.
ATTEMPTS = 3

#: how often the process that fills looks whether anybody waits elsewhere, in seconds.
_LOOK = 1.0


class Source:
    """Where a blob comes from, and where it goes.

    :param local: the repository that gets it.
    :param remote: the repository of the upstream.
    :param find: returns the descriptor of what the local repository has, or ``None``;
        it may link what other repositories have.
    """

    def __init__(
        self,
        local: Repository,
        remote: RemoteRepository,
        find: Callable[[Digest], Descriptor | None],
    ) -> None:
        self.local = local
        self.remote = remote
        self.find = find


class Downloads:
    """The downloads of one process.

    :param workplace: where they grow.
    :param lifetimes: told of what was cached.
    :param patience: how long one goes on that nobody waits for, in seconds.
    :param counters: of what was had from upstreams.
    """

    def __init__(
        self,
        workplace: Workplace,
        lifetimes: Lifetimes,
        patience: float,
        counters: Counters,
    ) -> None:
        self.workplace = workplace
        self.lifetimes = lifetimes
        self.patience = max(patience, 0.0)
        self.counters = counters
        self._lock = threading.Lock()
        self._running: dict[Digest, Download] = {}

    def open(self, source: Source, descriptor: Descriptor, offset: int) -> BinaryIO:
        """Return a reader of a blob that is not here, as soon as its bytes come.

        :param descriptor: as the upstream told it.
        :raises BlobUnknown: the upstream has not got it.
        :raises UpstreamError: it cannot be had.
        """
        for _ in range(ATTEMPTS):
            growth = self._enter(source, descriptor)
            try:
                if growth.wait_begun():
                    return cast("BinaryIO", GrowingReader(growth, offset))
            except DownloadCut:
                growth.leave()
                continue
            except NoRoom:
                growth.leave()
                return self._open_straight(source, descriptor, offset)
            except BaseException:
                growth.leave()
                raise
            growth.leave()
            stored = source.find(descriptor.digest)
            if stored is not None:
                return source.local.blobs.open(stored, offset)
        raise UpstreamFailed(message="the download failed several times")

    def receiver(self, source: Source, digest: Digest, size: int) -> Receiver:
        """Return what receives a blob."""
        return Receiver(source.remote, digest, size, self.counters)

    def _open_straight(
        self, source: Source, descriptor: Descriptor, offset: int
    ) -> BinaryIO:
        """Return a reader that has a blob from the upstream for one client alone."""
        receiver = self.receiver(source, descriptor.digest, descriptor.size)
        try:
            reader = StraightReader(receiver, descriptor, offset)
        except NotThere:
            raise BlobUnknown({"digest": descriptor.digest}) from None
        self.counters.downloaded("straight")
        return cast("BinaryIO", reader)

    def size_of(self, digest: Digest, name: str) -> int | None:
        """Return the size of a blob that a repository downloads now."""
        running = self._running.get(digest)
        if running is None or running.name_here != name:
            return None
        return running.growth.size

    def _enter(self, source: Source, descriptor: Descriptor) -> Growth:
        with self._lock:
            running = self._running.get(descriptor.digest)
            if running is None or not running.growth.enter():
                running = Download(self, source, descriptor)
                running.growth.enter()
                self._running[descriptor.digest] = running
                running.start()
            return running.growth

    def forget(self, download: Download) -> None:
        """Let the next one who asks begin anew."""
        with self._lock:
            if self._running.get(download.digest) is download:
                del self._running[download.digest]


class Download(threading.Thread):
    """One blob on its way, as one process sees it.

    The thread is a daemon: a process that ends leaves the file, and the next one goes
    on with it.

    :param downloads: of this process.
    :param source: where it comes from.
    :param descriptor: as the upstream told it.
    """

    def __init__(
        self, downloads: Downloads, source: Source, descriptor: Descriptor
    ) -> None:
        super().__init__(daemon=True, name=f"download {descriptor.digest[:19]}")
        self.digest = descriptor.digest
        self.name_here = source.local.name
        self.growth = Growth(descriptor.size)
        self.growth.written_by(self)
        self._downloads = downloads
        self._source = source
        self._file = downloads.workplace.download(self.digest)
        self._verdict = Verdict(f"{self._file}.error")
        self._presence = Presence(f"{self._file}.readers")
        self._unwanted_since: float | None = None
        self._looked = 0.0

    def run(self) -> None:
        """Fill the file, or watch who does, until it is a blob or cannot be one."""
        error: Exception | None = None
        try:
            with self._downloads.lifetimes.pinned(self.digest):
                self._work()
        except NotThere:
            error = BlobUnknown({"digest": self.digest})
        except (RegistryError, DownloadCut, NoRoom) as raised:
            error = raised
        except (StorageFull, OSError) as raised:
            if self.growth.begun or not is_full(raised):
                _log.error("proxy: download of %s: %s", self.digest, raised)
                error = raised
            else:
                error = NoRoom()
        except DriverError as raised:
            _log.error("proxy: download of %s: %s", self.digest, raised)
            error = raised
        except Exception as raised:  # noqa: BLE001 - told to whoever waits
            _log.exception("proxy: download of %s", self.digest)
            error = raised
        finally:
            self._downloads.forget(self)
            if error is not None and not isinstance(error, NoRoom):
                self._downloads.counters.downloaded("failed")
            self.growth.end(error)

    def _work(self) -> None:
        self._downloads.workplace.tidy()
        watched = False
        while True:
            lease = Lease.take(f"{self._file}.lease")
            if lease is None:
                watched = True
                with self._presence.here():
                    lease = self._watch()
            if lease is None:
                return
            try:
                if self.growth.passed_on:
                    return
                if self._source.find(self.digest) is not None:
                    return
                if watched:
                    self._verdict.raise_told()
                self._fill()
            except (RegistryError, NoRoom) as error:
                self._verdict.tell(error)
                raise
            finally:
                lease.release()
            return

    # Watching

    def _watch(self) -> Lease | None:
        """Follow the file until its lease is free, and return the lease.

        :returns: ``None`` when the file is complete, and nobody keeps it.
        :raises DownloadCut: nobody here reads it any more.
        """
        while True:
            self._observe()
            if self.growth.passed_on:
                return None
            lease = Lease.take(f"{self._file}.lease")
            if lease is not None:
                self._observe()
                return lease
            if self.growth.end_unread():
                raise DownloadCut
            time.sleep(POLL)

    def _observe(self) -> None:
        """See how far the file is, unless it is a new one after a failure."""
        if self.growth.passed_on:
            return
        try:
            if not self.growth.attached:
                self.growth.attach(os.open(self._file, os.O_RDONLY | os.O_CLOEXEC))
            found = os.stat(self._file)
        except FileNotFoundError:
            return
        if not self.growth.is_file(found):
            raise DownloadCut
        if found.st_size:
            self.growth.grow(found.st_size)
            self.growth.begin()

    # Filling

    def _fill(self) -> None:
        """Receive what is missing, verify all of it, and make it a blob."""
        self._verdict.clear()
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self._file, flags, 0o666)
        try:
            if not self.growth.attached:
                self.growth.attach(os.dup(descriptor))
            elif not self.growth.is_file(os.fstat(descriptor)):
                raise DownloadCut
            digesters = [make_digester(it) for it in {CANONICAL, self.digest.algorithm}]
            self._go_on(descriptor, digesters)
            lifetimes, workplace = self._downloads.lifetimes, self._downloads.workplace
            size = self.growth.size
            with room_for(descriptor, size, lifetimes, workplace) as stays:
                self._receive(descriptor, digesters)
                self._end(digesters, keep=stays)
        except NoRoom:
            if not os.fstat(descriptor).st_size:
                os.unlink(self._file)
            raise
        except OSError as error:
            if self.growth.begun and is_full(error):
                raise InsufficientStorage from error
            raise
        finally:
            os.close(descriptor)

    def _go_on(self, descriptor: int, digesters: list[Digester]) -> None:
        """Digest what an earlier process has received."""
        if os.fstat(descriptor).st_size > self.growth.size:
            os.ftruncate(descriptor, 0)
        self.growth.grow(os.fstat(descriptor).st_size)
        while chunk := os.read(descriptor, 1 << 20):
            for digester in digesters:
                digester.update(chunk)

    def _receive(self, descriptor: int, digesters: list[Digester]) -> None:
        """Receive the rest."""
        receiver = self._downloads.receiver(self._source, self.digest, self.growth.size)
        growth = self.growth
        chunks = receiver.receive(digesters[0].size, growth.begin, lambda: growth.begun)
        with closing(chunks):
            for chunk in chunks:
                view = memoryview(chunk)
                while view:
                    view = view[os.write(descriptor, view) :]
                for digester in digesters:
                    digester.update(chunk)
                self.growth.grow(digesters[0].size)
                self._check_wanted()

    def _check_wanted(self) -> None:
        """Go on for a while when nobody waits.

        :raises DownloadCut: for longer than that.
        """
        now = time.monotonic()
        if self.growth.readers:
            self._unwanted_since = None
            return
        if now - self._looked > _LOOK:
            self._looked = now
            if self._presence.anybody():
                self._unwanted_since = None
                return
        if self._unwanted_since is None:
            self._unwanted_since = now
        late = now - self._unwanted_since > self._downloads.patience
        if late and self.growth.end_unread():
            _log.info("proxy: %s: nobody waits for it any more", self.digest)
            raise DownloadCut

    def _end(self, digesters: list[Digester], *, keep: bool) -> None:
        """Make the file a blob when it is the right one, and there is room for it.

        :raises UpstreamFailed: it is not; nothing is kept of it.
        """
        known = {it.algorithm: it.digest() for it in digesters}
        if known[self.digest.algorithm] != self.digest:
            os.unlink(self._file)
            _log.error("proxy: the upstream sent wrong content for %s", self.digest)
            raise UpstreamFailed(message="the upstream sent wrong content")
        found = Descriptor(OCTET_STREAM, known[CANONICAL], self.growth.size)
        if keep and self._store(found):
            self._downloads.counters.downloaded("stored")
        else:
            _log.info("proxy: %s: no room for it in the cache", self.digest)
            with suppress(FileNotFoundError):
                os.unlink(self._file)
            self.growth.pass_on()
            self._downloads.counters.downloaded("passed_on")
        with suppress(FileNotFoundError):
            os.unlink(f"{self._file}.readers")

    def _store(self, descriptor: Descriptor) -> bool:
        """Make the file a blob, and return whether there was room for what links it."""
        downloads, lifetimes = self._downloads, self._downloads.lifetimes
        with lifetimes.pinned(descriptor.digest):
            try:
                downloads.workplace.store(self._source.local, self.digest, descriptor)
            except (StorageFull, InsufficientStorage):
                return False
            lifetimes.touch(self.name_here, "blob", descriptor.digest, descriptor.size)
            return True
