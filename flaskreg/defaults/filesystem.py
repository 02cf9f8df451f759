"""The ``filesystem`` driver: files below one directory, written as distribution does.

A small file is written under a temporary name, synced, renamed, and its directory
synced. An upload is a plain file that its writer locks, so that of two processes that
append to it one does.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC
from datetime import datetime
from typing import Any
from typing import BinaryIO

from flaskreg.config import ConfigError
from flaskreg.defaults.anchors import Anchors
from flaskreg.defaults.localfiles import MISSING
from flaskreg.defaults.localfiles import Batch
from flaskreg.defaults.localfiles import LocalFileWriter
from flaskreg.defaults.localfiles import as_driver_error
from flaskreg.defaults.localfiles import make_directories
from flaskreg.defaults.localfiles import remove_tree
from flaskreg.defaults.localfiles import sync_directory
from flaskreg.defaults.localfiles import translated
from flaskreg.driver import DriverFactory
from flaskreg.driver import FileInfo
from flaskreg.driver import FileWriter
from flaskreg.driver import InvalidOffset
from flaskreg.driver import PathExists
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.driver import check_path
from flaskreg.hookspecs import hookimpl


#: where CNCF distribution keeps its content by default.
DEFAULT_ROOT = "/var/lib/registry"

#: how long a writer waits for another one at the same path, in seconds: the request of
#: a client whose connection broke ends a moment after the client comes back.
LOCK_PATIENCE = 2.0
_LOCK_STEP = 0.05

#: what is read at once of a small file, in bytes.
_SMALL_FILE = 64 << 10
_TEMPORARY = re.compile(r"\.[0-9a-f]{32}\.tmp")


class FilesystemDriver(StorageDriver):
    """Keeps content in files below a directory.

    :param root: the directory; made when something is first written.
    :param fsync: whether acknowledged content survives a power cut.
    """

    name = "filesystem"
    renames = True
    dates_directories = True

    def __init__(self, root: str, *, fsync: bool = True) -> None:
        self.root = os.path.abspath(root)
        self._fsync = fsync
        self._anchors = Anchors(self.root)

    def get_content(self, path: str) -> bytes:
        """Return all of a small file."""
        try:
            descriptor = os.open(self._filename(path), os.O_RDONLY | os.O_CLOEXEC)
            try:
                content = os.read(descriptor, _SMALL_FILE)
                if len(content) == _SMALL_FILE:
                    pieces = [content]
                    while piece := os.read(descriptor, _SMALL_FILE):
                        pieces.append(piece)
                    content = b"".join(pieces)
            finally:
                os.close(descriptor)
        except MISSING:
            raise PathNotFound(path) from None
        except OSError as error:
            raise as_driver_error(error, path) from error
        return content

    def put_content(self, path: str, content: bytes, *, durable: bool = True) -> None:
        """Write a small file under a temporary name, then rename it."""
        self._publish([(path, content)], [], sync=durable and self._fsync)

    def publish(
        self,
        contents: Sequence[tuple[str, bytes]],
        moves: Sequence[tuple[str, str]] = (),
        exclusive: Collection[str] = (),
    ) -> None:
        """Write and rename several files with two rounds of flushes for all of them."""
        self._publish(contents, moves, exclusive, sync=self._fsync)

    def reader(self, path: str, offset: int = 0) -> BinaryIO:
        """Open a file for reading, unbuffered, so that it can be sent by the kernel."""
        if offset < 0:
            raise InvalidOffset(path)
        with translated(path):
            # The caller closes it.
            file = open(self._filename(path), "rb", buffering=0)  # noqa: SIM115
            file.seek(offset)
        return file

    def writer(self, path: str, append_at: int | None = None) -> FileWriter:
        """Open and lock a file for writing at its end."""
        filename = self._filename(path)
        with translated(path):
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
        with translated(path):
            found = os.stat(self._filename(path))
        is_dir = (found.st_mode & 0o170000) == 0o040000
        modified = datetime.fromtimestamp(found.st_mtime, UTC)
        return FileInfo(path, 0 if is_dir else found.st_size, is_dir, modified)

    def list(self, path: str) -> list[str]:
        """Return the names in a directory."""
        try:
            filename = self.root if path == "/" else self._filename(path)
            names = os.listdir(filename)
        except MISSING:
            if path == "/":
                return []
            raise PathNotFound(path) from None
        except OSError as error:
            raise as_driver_error(error, path) from error
        return [
            name for name in names if name[0] != "." or not _TEMPORARY.fullmatch(name)
        ]

    def move(self, source: str, destination: str) -> None:
        """Rename a file."""
        self._publish([], [(source, destination)], sync=self._fsync)

    def delete(self, path: str, *, durable: bool = True) -> None:
        """Delete a file or a directory."""
        filename = self._filename(path)
        with translated(path):
            try:
                os.unlink(filename)
            except IsADirectoryError:
                remove_tree(filename)
            if durable and self._fsync:
                sync_directory(os.path.dirname(filename))

    def touch(self, path: str) -> None:
        """Set the time of the last change; it need not survive a power cut."""
        with translated(path):
            os.utime(self._filename(path))

    def iter_leftovers(self) -> Iterator[FileInfo]:
        """Yield the temporary files below the root."""
        for directory, _, names in os.walk(self.root):
            for name in filter(_TEMPORARY.fullmatch, names):
                with suppress(PathNotFound):
                    yield self.stat(f"{directory}/{name}".removeprefix(self.root))

    def filename(self, path: str) -> str:
        """Return the name of a file in the operating system."""
        return self._filename(path)

    def _filename(self, path: str) -> str:
        return self.root + check_path(path)

    def _publish(
        self,
        contents: Sequence[tuple[str, bytes]],
        moves: Sequence[tuple[str, str]],
        exclusive: Collection[str] = (),
        *,
        sync: bool,
    ) -> None:
        """Make everything ready, sync it, rename it, and sync the directories.

        A file system with a journal writes it once for each round, however many files
        there are: only the first sync of a round waits for the disk.
        """
        if not contents and not moves:
            return
        batch = Batch(self._anchors, sync=sync)
        path = ""
        try:
            for path, destination in moves:
                with translated(path):
                    batch.add_move(self._filename(path), self._filename(destination))
            for path, content in contents:
                batch.add_content(
                    self._filename(path), content, exclusive=path in exclusive
                )
            batch.publish()
        except FileExistsError as error:
            taken = str(error.filename2 or "").removeprefix(self.root)
            raise PathExists(taken or path, str(error)) from None
        except OSError as error:
            raise as_driver_error(error, path) from error
        finally:
            batch.close()

    def _open_locked(self, path: str, filename: str, *, create: bool) -> int:
        flags = os.O_WRONLY | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        deadline = time.monotonic() + LOCK_PATIENCE
        while True:
            try:
                descriptor = os.open(filename, flags, 0o666)
            except FileNotFoundError:
                if not create or time.monotonic() > deadline:
                    raise
                make_directories(os.path.dirname(filename))
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
