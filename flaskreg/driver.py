"""The contract of storage drivers: paths and bytes, and no word of registries.

A path is absolute, its components are made of letters, digits, ``.``, ``_`` and
``-``. Directories are not made by anybody: a directory exists while something is in it,
and may outlive its content.
Source: CNCF distribution's ``storagedriver.StorageDriver``.
"""

from __future__ import annotations

import re
from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any
from typing import BinaryIO
from typing import Self

from flaskreg.handover import ContentRequest
from flaskreg.handover import Handover


_PATH = re.compile(r"(?:/(?!\.\.?(?:/|\Z))[A-Za-z0-9._-]+)+")


class DriverError(Exception):
    """A driver could not do what was asked; the base of every error here.

    :param path: the path that was asked for.
    :param detail: what else is known.
    """

    #: the sentence of the error.
    message = "storage error"

    def __init__(self, path: str, detail: str = "") -> None:
        super().__init__(path, detail)
        self.path = path
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.message}: {self.path}" + (
            f" ({self.detail})" * bool(self.detail)
        )


class PathNotFound(DriverError):
    """Nothing is at the path."""

    message = "path not found"


class PathExists(DriverError):
    """Something is at a path where nothing was to be."""

    message = "path exists"


class InvalidPath(DriverError):
    """The path is not one that can hold anything."""

    message = "invalid path"


class InvalidOffset(DriverError):
    """The offset is negative, or is not where the content ends.

    :param size: bytes that are there, when that is known.
    """

    message = "invalid offset"

    def __init__(self, path: str, size: int | None = None) -> None:
        super().__init__(path, "" if size is None else f"{size} bytes are there")
        self.size = size


class UnsupportedMethod(DriverError):
    """The driver has no such ability."""

    message = "not supported by this driver"


class StorageFull(DriverError):
    """There is no room left (``ENOSPC``, ``EDQUOT``)."""

    message = "no space left"


@dataclass(frozen=True, slots=True)
class FileInfo:
    """What is at a path."""

    path: str
    #: in bytes; 0 for a directory.
    size: int
    is_dir: bool
    #: time of the last change, with a zone; ``None`` where the driver keeps none.
    modified: datetime | None = None
    #: false for content on its way, which nobody can read; where that is a plain file,
    #: anybody can.
    committed: bool = True


def check_path(path: str) -> str:
    """Return *path* when it can hold content.

    :raises InvalidPath: it is relative, ends in ``/``, or has a component that is
        empty, ``.``, ``..`` or has other characters than letters, digits and ``._-``.
    """
    if _PATH.fullmatch(path):
        return path
    raise InvalidPath(path)


class FileWriter(ABC):
    """Content on its way to a path.

    Content that is not committed can be appended to, told by ``stat`` and deleted; a
    driver need not let anybody read it. A writer is used by one thread, and of all
    processes it alone writes at its path until it is closed. Leaving it as a context
    manager closes it.
    """

    #: bytes at the path so far, those of earlier writers included.
    size: int
    #: whether content that is not committed stays when the writer is closed.
    keeps: bool = True

    @abstractmethod
    def write(self, chunk: bytes) -> None:
        """Append *chunk*.

        :raises StorageFull: there is no room; what was there before stays.
        """

    @abstractmethod
    def flush(self) -> None:
        """Make what was written so far survive a power cut."""

    @abstractmethod
    def commit(self) -> None:
        """Make the content readable; nothing can be written after it.

        It is durable when it was moved, by :meth:`StorageDriver.move` or
        :meth:`StorageDriver.publish`; the path stays the writer's own until then, and
        until it is closed.
        """

    @abstractmethod
    def cancel(self) -> None:
        """Drop the content, also what earlier writers left at the path."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the path; content that is not committed can be appended to."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class StorageDriver(ABC):
    """Where paths and bytes are kept.

    Methods are called by many threads and processes at once. Constructing a driver
    does no I/O, since the server forks after it.
    """

    #: the name under which the driver is registered.
    name: str = ""
    #: whether ``move`` costs no copy and may replace equal content at any time.
    renames: bool = False
    #: whether ``stat`` tells when a directory got or lost a name.
    dates_directories: bool = False
    #: whether every call asks a server, so that one for each of many names is too much.
    remote: bool = False

    @abstractmethod
    def get_content(self, path: str) -> bytes:
        """Return all of a small file.

        :raises PathNotFound: there is no committed file.
        """

    @abstractmethod
    def put_content(self, path: str, content: bytes, *, durable: bool = True) -> None:
        """Write a small file, all or nothing.

        A reader sees the old content or the new, never a mixture or a part.

        :param durable: whether it survives a power cut when this returns. ``False`` is
            for what can be done without, such as the notes of an upload session.
        :raises StorageFull: there is no room; the old content stays.
        """

    @abstractmethod
    def reader(self, path: str, offset: int = 0) -> BinaryIO:
        """Open a file for reading from *offset*; it stays readable when deleted.

        A reader may have a method ``send_to(sock, count)`` that sends so many bytes to
        a connected socket and returns how many went, which are fewer only at the end
        of the content: a server that can calls it instead of ``read``. What the client
        does raises an ``OSError`` in it, and a fault of the storage no such error.

        :param offset: in bytes. At or beyond the end, the first read returns ``b""``.
        :raises PathNotFound: there is no committed file.
        :raises InvalidOffset: *offset* is negative.
        """

    @abstractmethod
    def writer(self, path: str, append_at: int | None = None) -> FileWriter:
        """Open a file for writing.

        :param append_at: ``None`` begins anew. Otherwise the size that the content
            has, committed or not: of two who append at one size, one gets a writer.
        :raises InvalidOffset: the content has another size, or is being written.
        :raises PathNotFound: *append_at* is not ``None`` or 0 and nothing is there.
        """

    def direct_writer(self, path: str, destination: str) -> FileWriter | None:
        """Open a file for writing that will be moved to *destination*, and only there.

        It is for a storage whose moves are copies: content can gather at its
        destination, where nobody sees it before it is committed and moved. What is not
        is lost when the writer is closed, and then its ``keeps`` is false.

        :param path: where nothing may be, as for :meth:`writer` at 0.
        :returns: ``None`` where :meth:`writer` is as good.
        :raises InvalidOffset: something is at *path*, or it is being written.
        """
        del path, destination
        return None

    @abstractmethod
    def stat(self, path: str) -> FileInfo:
        """Return what is at *path*; ``/`` always exists.

        Uncommitted content is told too, with the size that it has so far.

        :raises PathNotFound: nothing is there.
        """

    @abstractmethod
    def list(self, path: str) -> list[str]:
        """Return the names of the direct children of a directory, unordered.

        :raises PathNotFound: the directory does not exist; ``/`` always does.
        """

    @abstractmethod
    def move(self, source: str, destination: str) -> None:
        """Move committed content, replacing what is at *destination*, durably.

        :raises PathNotFound: *source* does not exist.
        """

    @abstractmethod
    def delete(self, path: str, *, durable: bool = True) -> None:
        """Delete a file, or a directory with all in it; never a longer-named sibling.

        :param durable: whether it stays deleted over a power cut when this returns.
        :raises PathNotFound: nothing is there.
        """

    def publish(
        self,
        contents: Sequence[tuple[str, bytes]],
        moves: Sequence[tuple[str, str]] = (),
        exclusive: Collection[str] = (),
    ) -> None:
        """Make content visible at several paths, in order, and all of it durable.

        First each of *moves*, then each of *contents*: nobody sees a later one before
        an earlier one. A driver that needs fewer flushes for all of them than for each
        overrides this.

        :param contents: paths and what to write there, as :meth:`put_content` does.
        :param moves: sources and destinations, as :meth:`move` takes them.
        :param exclusive: those paths of *contents* where nothing may be. Of two who
            publish at one such path, one does; a driver that cannot promise that leaves
            a moment in which both do.
        :raises PathExists: something is at an exclusive path; what comes before it in
            the order is visible then.
        :raises PathNotFound: a source does not exist.
        :raises StorageFull: there is no room; some may be visible then, from the first.
        """
        for source, destination in moves:
            self.move(source, destination)
        for path, content in contents:
            if path in exclusive and self._is_there(path):
                raise PathExists(path)
            self.put_content(path, content)

    def _is_there(self, path: str) -> bool:
        try:
            self.stat(path)
        except PathNotFound:
            return False
        return True

    def walk(self, path: str) -> Iterator[FileInfo]:
        """Yield all below *path*, a directory before what is in it, in name order.

        What vanishes meanwhile is left out.

        :raises PathNotFound: the directory does not exist.
        """
        base = "" if path == "/" else path
        for name in sorted(self.list(path)):
            try:
                info = self.stat(f"{base}/{name}")
                yield info
                if info.is_dir:
                    yield from self.walk(info.path)
            except PathNotFound:
                continue

    def touch(self, path: str) -> None:
        """Make now the time of the last change of a file, as ``stat`` tells it.

        A driver that cannot do so without writing the content again does nothing.

        :raises PathNotFound: nothing is there; never by a driver that does nothing.
        """
        del path

    def iter_leftovers(self) -> Iterator[FileInfo]:
        """Yield what a process that was killed left while it wrote.

        ``list`` does not show it and nobody reads it; ``delete`` takes it. What is
        being written now is yielded too, so its age decides.
        """
        return iter(())

    def drop_unfinished(self, directory: str, before: datetime) -> int:
        """Drop what was on its way to paths below a directory and never arrived.

        It is what neither ``list`` nor ``stat`` needs to tell of, such as the parts of
        an upload that a process gathered at its destination when it was killed.

        :param directory: where no writer of :meth:`writer` is ever closed unfinished.
        :param before: what was begun after it is left, for it may still arrive.
        :returns: how many there were.
        """
        del directory, before
        return 0

    def redirect(self, path: str, method: str) -> str | None:
        """Return a URL at which a client can read *path* itself.

        :param method: ``GET`` or ``HEAD``.
        :returns: ``None`` where the registry has to serve the content.
        """
        del path, method
        return None

    def filename(self, path: str) -> str | None:
        """Return the name of the file of this machine that holds what is at *path*.

        What writes it must be readable as it grows, and moving the path must move the
        file: who has it open keeps it.

        :returns: ``None`` where content is not in plain files.
        """
        del path
        return None

    def hand_over(self, path: str, request: ContentRequest) -> Handover | None:
        """Return how somebody else sends *path*; by default as :meth:`redirect` says.

        It is called for each GET and HEAD of a blob, so it asks nobody.

        :returns: ``None`` where the registry has to serve the content.
        """
        url = self.redirect(path, request.method) if request.redirects else None
        return Handover(url) if url else None

    def object_key(self, path: str) -> str | None:
        """Return the key under which a bucket holds *path*, ``None`` without one."""
        del path
        return None

    def close(self) -> None:
        """Let go of connections; the driver is not used after it."""


#: makes a driver from its own parameters of the configuration.
DriverFactory = Callable[[Mapping[str, Any]], StorageDriver]

#: wraps a driver, by the ``options`` of an entry of ``middleware.storage``.
StorageMiddleware = Callable[[StorageDriver, Mapping[str, Any]], StorageDriver]
