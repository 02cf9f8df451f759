"""Files of the operating system, as the ``filesystem`` driver handles them."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import time
import uuid
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from typing import TypeVar
from typing import cast

from flaskreg.defaults.anchors import Anchors
from flaskreg.driver import DriverError
from flaskreg.driver import FileWriter
from flaskreg.driver import InvalidPath
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageFull


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
#: errors of a name that cannot hold a file, whatever is done.
_UNFIT = frozenset({errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR})
#: how often a directory is made again that somebody deletes meanwhile.
_ATTEMPTS = 50
#: what the wait between two attempts grows by, in seconds.
_PAUSE = 0.0005
#: bytes after which the system is asked to begin writing them.
_WRITEBACK = 2 << 20
#: SYNC_FILE_RANGE_WRITE of Linux.
_START_WRITE = 2
#: how the operating system says that nothing is there.
MISSING = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


T = TypeVar("T")


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Turn errors of the operating system into errors of drivers."""
    try:
        yield
    except MISSING:
        raise PathNotFound(path) from None
    except OSError as error:
        raise as_driver_error(error, path) from error


def as_driver_error(error: OSError, path: str) -> DriverError:
    """Return what an error of the operating system means."""
    if error.errno in _FULL:
        return StorageFull(path)
    if error.errno in _UNFIT:
        return InvalidPath(path, str(error))
    return DriverError(path, str(error))


def write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


@functools.cache
def _sync_file_range() -> Callable[..., int] | None:
    """Return the system call of Linux, where the C library has it."""
    try:
        call = ctypes.CDLL(None).sync_file_range
    except (OSError, AttributeError):
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return cast("Callable[..., int]", call)


def start_writeback(descriptor: int, offset: int, length: int) -> None:
    """Let the system begin to write a part of a file, without waiting for it.

    A sync that comes later then has less to wait for. It promises nothing by itself.
    """
    call = _sync_file_range()
    if call is not None:
        call(descriptor, offset, length, _START_WRITE)


def make_directories(directory: str) -> list[str]:
    """Make a directory, and return the directories that got a new entry by it."""
    missing = []
    current = directory
    while not os.path.isdir(current):
        missing.append(current)
        current = os.path.dirname(current)
    for path in reversed(missing):
        try:
            os.mkdir(path, 0o777)
        except FileExistsError:
            continue
        except FileNotFoundError:
            break
    return [os.path.dirname(path) for path in missing]


def sync_directory(directory: str) -> None:
    """Make the names in a directory durable.

    One that somebody deleted, with the names that were to be durable, is no error.
    """
    with suppress(FileNotFoundError):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_tree(directory: str) -> None:
    """Delete a directory with all in it; what is gone already is no error.

    What somebody puts there meanwhile goes too, unless there is no end of it.

    :raises OSError: something could not be deleted.
    """
    with suppress(FileNotFoundError):
        for _ in range(_ATTEMPTS):
            _empty(directory)
            try:
                os.rmdir(directory)
            except OSError as error:
                if error.errno != errno.ENOTEMPTY:
                    raise
            else:
                return
        os.rmdir(directory)


def _empty(directory: str) -> None:
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                remove_tree(entry.path)
            else:
                with suppress(FileNotFoundError):
                    os.unlink(entry.path)


class Batch:
    """Files that become visible together: made ready first, renamed after.

    :param anchors: the directories that are durable already.
    :param sync: whether they are durable when they are published.
    """

    def __init__(self, anchors: Anchors, *, sync: bool) -> None:
        self._sync = sync
        self._anchors = anchors
        self._renames: list[tuple[str, str]] = []
        self._temporary: dict[str, bytes] = {}
        self._exclusive: set[str] = set()
        self._descriptors: list[int] = []
        self._directories: dict[str, None] = {}

    def add_move(self, source: str, destination: str) -> None:
        """Add a file that is there already."""
        self._descriptors.append(os.open(source, os.O_RDONLY | os.O_CLOEXEC))
        self._renames.append((source, destination))
        self._prepare(os.path.dirname(destination))

    def add_content(
        self, destination: str, content: bytes, *, exclusive: bool = False
    ) -> None:
        """Add a file that is written now, under a temporary name beside its place.

        :param exclusive: whether nothing may be at its place.
        """
        directory = os.path.dirname(destination)
        temporary = f"{directory}/.{uuid.uuid4().hex}.tmp"
        self._directories[directory] = None
        self._temporary[temporary] = content
        self._renames.append((temporary, destination))
        if exclusive:
            self._exclusive.add(destination)
        self._within(directory, lambda: self._write(temporary))

    def publish(self) -> None:
        """Sync the files, rename them in their order, and sync their directories.

        What replaces other content, as when a tag moves, waits until everything before
        it is durable: a power cut leaves what was there, or all that it leads to.
        """
        self._sync_files(self._descriptors)
        unsynced = False
        for source, destination in self._renames:
            if unsynced and self._sync and self._replaces(source, destination):
                self._sync_directories()
            self._rename(source, destination)
            unsynced = True
        for source, destination in self._renames:
            if destination not in self._exclusive:
                self._temporary.pop(source, None)
        self._sync_directories()

    def close(self) -> None:
        """Close the files, and delete those that were not published."""
        for descriptor in self._descriptors:
            os.close(descriptor)
        for temporary in self._temporary:
            with suppress(OSError):
                os.unlink(temporary)

    def _replaces(self, source: str, destination: str) -> bool:
        """Whether a content takes the place of another one."""
        content = self._temporary.get(source)
        if content is None or destination in self._exclusive:
            return False
        try:
            with open(destination, "rb") as file:
                return file.read(len(content) + 1) != content
        except OSError:
            return False

    def _sync_files(self, descriptors: Iterable[int]) -> None:
        if self._sync:
            for descriptor in descriptors:
                os.fdatasync(descriptor)

    def _sync_directories(self) -> None:
        """Make the new names durable, and those of all directories above them."""
        if not self._sync:
            return
        loose = self._anchors.find_loose(self._directories)
        above = dict.fromkeys(map(os.path.dirname, loose))
        for directory in self._directories | above:
            sync_directory(directory)
        self._anchors.add(loose)

    def _write(self, temporary: str) -> int:
        """Write a file under its temporary name, and return it open."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o666)
        self._descriptors.append(descriptor)
        write_all(descriptor, self._temporary[temporary])
        return descriptor

    def _prepare(self, directory: str) -> None:
        for each in (directory, *make_directories(directory)):
            self._directories[each] = None

    def _rename(self, source: str, destination: str) -> None:
        """Give a file its name, also when its new directory is deleted meanwhile."""
        directory = os.path.dirname(destination)
        rename = os.link if destination in self._exclusive else os.rename

        def publish() -> None:
            if source in self._temporary and not os.path.exists(source):
                self._prepare(directory)
                self._sync_files([self._write(source)])
            rename(source, destination)

        try:
            rename(source, destination)
        except FileNotFoundError:
            self._within(directory, publish)

    def _within(self, directory: str, action: Callable[[], T]) -> T:
        """Do what needs a directory, and make the directory when it is missing."""
        for attempt in range(_ATTEMPTS):
            try:
                return action()
            except FileNotFoundError:
                if attempt:
                    time.sleep(attempt * _PAUSE)
                self._prepare(directory)
        return action()


class LocalFileWriter(FileWriter):
    """Writes at the end of a locked file.

    :param path: as the driver's caller knows it.
    :param descriptor: open for writing, locked and positioned at the end.
    :param size: of the file.
    :param filename: in the operating system.
    :param sync: whether flushing reaches the disk.
    """

    def __init__(
        self, path: str, descriptor: int, size: int, filename: str, *, sync: bool
    ) -> None:
        self.size = size
        self._path = path
        self._descriptor = descriptor
        self._filename = filename
        self._sync = sync
        self._unsynced = False
        self._started = size
        self._state = "open"

    def write(self, chunk: bytes) -> None:
        """Append *chunk*, or leave the file as it was."""
        self._expect_open()
        with translated(self._path):
            try:
                write_all(self._descriptor, chunk)
            except OSError:
                os.ftruncate(self._descriptor, self.size)
                os.lseek(self._descriptor, self.size, os.SEEK_SET)
                raise
        self.size += len(chunk)
        self._unsynced = True
        if self._sync and self.size - self._started >= _WRITEBACK:
            start_writeback(self._descriptor, self._started, self.size - self._started)
            self._started = self.size

    def flush(self) -> None:
        """Bring what was written to the disk, if anything was."""
        self._expect_open()
        if self._sync and self._unsynced:
            with translated(self._path):
                os.fdatasync(self._descriptor)
            self._unsynced = False

    def commit(self) -> None:
        """End the content; the lock stays until :meth:`close`."""
        self._expect_open()
        self._state = "committed"

    def cancel(self) -> None:
        """Delete the file."""
        self._expect_open()
        self._state = "cancelled"
        with translated(self._path):
            os.unlink(self._filename)

    def close(self) -> None:
        """Unlock the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self._state = "closed"

    def _expect_open(self) -> None:
        if self._state != "open":
            raise ValueError(f"the writer of {self._path} is {self._state}")
