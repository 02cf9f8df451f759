"""The ``filesystem`` driver: files below one directory, written as distribution does.

A small file is written under a temporary name, synced, renamed, and its directory
synced. An upload is a plain file that its writer locks, so that of two processes that
append to it one does.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from datetime import UTC
from datetime import datetime
from typing import Any
from typing import BinaryIO

from flaskreg.config import ConfigError
from flaskreg.driver import DriverFactory
from flaskreg.driver import FileInfo
from flaskreg.driver import FileWriter
from flaskreg.driver import InvalidOffset
from flaskreg.driver import InvalidPath
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.driver import StorageFull
from flaskreg.driver import check_path
from flaskreg.hookspecs import hookimpl


#: where CNCF distribution keeps its content by default.
DEFAULT_ROOT = "/var/lib/registry"

#: how long a writer waits for another one at the same path, in seconds: the request of
#: a client whose connection broke ends a moment after the client comes back.
LOCK_PATIENCE = 2.0
_LOCK_STEP = 0.05

_TEMPORARY = re.compile(r"\.[0-9a-f]{32}\.tmp")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_MISSING = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


@contextmanager
def _translated(path: str) -> Iterator[None]:
    """Turn errors of the operating system into errors of drivers."""
    try:
        yield
    except _MISSING:
        raise PathNotFound(path) from None
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull(path) from error
        if error.errno == errno.ENAMETOOLONG:
            raise InvalidPath(path) from error
        raise


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_directory(directory: str) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
        self._state = "open"

    def write(self, chunk: bytes) -> None:
        """Append *chunk*, or leave the file as it was."""
        self._expect_open()
        with _translated(self._path):
            try:
                _write_all(self._descriptor, chunk)
            except OSError:
                os.ftruncate(self._descriptor, self.size)
                os.lseek(self._descriptor, self.size, os.SEEK_SET)
                raise
        self.size += len(chunk)

    def flush(self) -> None:
        """Bring what was written to the disk."""
        self._expect_open()
        if self._sync:
            with _translated(self._path):
                os.fdatasync(self._descriptor)

    def commit(self) -> None:
        """Bring the content to the disk; the lock stays until :meth:`close`."""
        self.flush()
        self._state = "committed"

    def cancel(self) -> None:
        """Delete the file."""
        self._expect_open()
        self._state = "cancelled"
        with _translated(self._path):
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


class FilesystemDriver(StorageDriver):
    """Keeps content in files below a directory.

    :param root: the directory; made when something is first written.
    :param fsync: whether acknowledged content survives a power cut.
    """

    name = "filesystem"
    renames = True

    def __init__(self, root: str, *, fsync: bool = True) -> None:
        self.root = os.path.abspath(root)
        self._fsync = fsync

    def get_content(self, path: str) -> bytes:
        """Return all of a small file."""
        with _translated(path):
            descriptor = os.open(self._filename(path), os.O_RDONLY | os.O_CLOEXEC)
            try:
                wanted = os.fstat(descriptor).st_size
                content = os.read(descriptor, wanted + 1)
                while len(content) < wanted and (
                    more := os.read(descriptor, wanted - len(content))
                ):
                    content += more
            finally:
                os.close(descriptor)
        return content

    def put_content(self, path: str, content: bytes, *, durable: bool = True) -> None:
        """Write a small file under a temporary name, then rename it."""
        filename = self._filename(path)
        directory = os.path.dirname(filename)
        temporary = os.path.join(directory, f".{uuid.uuid4().hex}.tmp")
        with _translated(path):
            grown = self._create(temporary, content, sync=durable and self._fsync)
            try:
                os.rename(temporary, filename)
            except OSError:
                os.unlink(temporary)
                raise
            self._sync_directories(directory, grown, durable=durable)

    def reader(self, path: str, offset: int = 0) -> BinaryIO:
        """Open a file for reading, unbuffered, so that it can be sent by the kernel."""
        if offset < 0:
            raise InvalidOffset(path)
        with _translated(path):
            # The caller closes it.
            file = open(self._filename(path), "rb", buffering=0)  # noqa: SIM115
            file.seek(offset)
        return file

    def writer(self, path: str, append_at: int | None = None) -> FileWriter:
        """Open and lock a file for writing at its end."""
        filename = self._filename(path)
        with _translated(path):
            descriptor = self._open_locked(path, filename, create=not append_at)
            try:
                size = os.fstat(descriptor).st_size
                if append_at is None:
                    os.ftruncate(descriptor, 0)
                    size = 0
                elif size != append_at:
                    raise InvalidOffset(path, size)
                os.lseek(descriptor, size, os.SEEK_SET)
            except BaseException:
                os.close(descriptor)
                raise
        return LocalFileWriter(path, descriptor, size, filename, sync=self._fsync)

    def stat(self, path: str) -> FileInfo:
        """Return what is at a path."""
        if path == "/":
            return FileInfo(path, 0, is_dir=True)
        with _translated(path):
            found = os.stat(self._filename(path))
        is_dir = (found.st_mode & 0o170000) == 0o040000
        modified = datetime.fromtimestamp(found.st_mtime, UTC)
        return FileInfo(path, 0 if is_dir else found.st_size, is_dir, modified)

    def list(self, path: str) -> list[str]:
        """Return the names in a directory."""
        try:
            filename = self.root if path == "/" else self._filename(path)
            names = os.listdir(filename)
        except _MISSING:
            if path == "/":
                return []
            raise PathNotFound(path) from None
        return [
            name for name in names if name[0] != "." or not _TEMPORARY.fullmatch(name)
        ]

    def move(self, source: str, destination: str) -> None:
        """Rename a file."""
        old, new = self._filename(source), self._filename(destination)
        directory = os.path.dirname(new)
        with _translated(source):
            grown: tuple[str, ...] = ()
            while True:
                try:
                    os.rename(old, new)
                    break
                except FileNotFoundError:
                    os.stat(old)
                    grown += self._make_directories(directory)
            self._sync_directories(directory, grown, durable=True)

    def delete(self, path: str, *, durable: bool = True) -> None:
        """Delete a file or a directory."""
        filename = self._filename(path)
        with _translated(path):
            try:
                os.unlink(filename)
            except IsADirectoryError:
                shutil.rmtree(filename, onerror=_ignore_missing)
            self._sync_directories(os.path.dirname(filename), (), durable=durable)

    def _filename(self, path: str) -> str:
        return self.root + check_path(path)

    def _create(self, filename: str, content: bytes, *, sync: bool) -> tuple[str, ...]:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        grown: tuple[str, ...] = ()
        while True:
            try:
                descriptor = os.open(filename, flags, 0o666)
                break
            except FileNotFoundError:
                grown += self._make_directories(os.path.dirname(filename))
        try:
            _write_all(descriptor, content)
            if sync:
                os.fdatasync(descriptor)
        except BaseException:
            os.unlink(filename)
            raise
        finally:
            os.close(descriptor)
        return grown

    def _make_directories(self, directory: str) -> tuple[str, ...]:
        """Make a directory and return the parents that got a new entry by it."""
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
        return tuple(os.path.dirname(path) for path in missing)

    def _sync_directories(
        self, directory: str, grown: tuple[str, ...], *, durable: bool
    ) -> None:
        if durable and self._fsync:
            for path in dict.fromkeys([directory, *grown]):
                _sync_directory(path)

    def _open_locked(self, path: str, filename: str, *, create: bool) -> int:
        flags = os.O_WRONLY | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        deadline = time.monotonic() + LOCK_PATIENCE
        while True:
            try:
                descriptor = os.open(filename, flags, 0o666)
            except FileNotFoundError:
                if not create:
                    raise
                self._make_directories(os.path.dirname(filename))
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(descriptor), os.stat(filename)):
                    return descriptor
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(descriptor)
                    raise InvalidOffset(path) from None
                time.sleep(_LOCK_STEP)
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)


def _ignore_missing(_function: Any, path: str, failure: Any) -> None:
    if not isinstance(failure[1], FileNotFoundError):
        raise failure[1]
    del path


def make_filesystem(parameters: Mapping[str, Any]) -> FilesystemDriver:
    """Make the driver from distribution's parameters and ours.

    ``rootdirectory``: the directory. ``fsync``: ``false`` acknowledges what a power cut
    can still lose. ``maxthreads`` is accepted; the server's threads bound the work.

    :raises ConfigError: a parameter is unknown or has a wrong value.
    """
    known = {"rootdirectory", "fsync", "maxthreads"}
    for key in parameters.keys() - known:
        raise ConfigError(
            f"storage.filesystem.{key}: unknown key; known are "
            + ", ".join(sorted(known))
        )
    root = parameters.get("rootdirectory") or DEFAULT_ROOT
    fsync = parameters.get("fsync", True)
    if not isinstance(root, str):
        raise ConfigError(
            f"storage.filesystem.rootdirectory: {root!r} is not a directory's name"
        )
    if not isinstance(fsync, bool):
        raise ConfigError(f"storage.filesystem.fsync: {fsync!r} is not true or false")
    try:
        int(parameters.get("maxthreads", 100))
    except (TypeError, ValueError):
        raise ConfigError(
            "storage.filesystem.maxthreads: "
            f"{parameters['maxthreads']!r} is not a number"
        ) from None
    return FilesystemDriver(root, fsync=fsync)


@hookimpl
def flaskreg_register_drivers() -> Mapping[str, DriverFactory]:
    """Offer the driver."""
    return {"filesystem": make_filesystem}
