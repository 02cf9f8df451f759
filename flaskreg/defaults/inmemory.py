"""The storage driver ``inmemory``: everything in one process, gone when it ends.

It is what tests and trials want. Worker processes share nothing of it, so a server
has to run with one worker.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field
from datetime import UTC
from datetime import datetime
from io import BytesIO
from typing import Any
from typing import BinaryIO

from flaskreg.config import ConfigError
from flaskreg.driver import DriverFactory
from flaskreg.driver import FileInfo
from flaskreg.driver import FileWriter
from flaskreg.driver import InvalidOffset
from flaskreg.driver import InvalidPath
from flaskreg.driver import PathExists
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.driver import check_path
from flaskreg.hookspecs import hookimpl


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class _File:
    """Committed content."""

    content: bytes
    modified: datetime = field(default_factory=_now)


@dataclass(slots=True)
class _Upload:
    """Uncommitted content."""

    content: bytearray
    modified: datetime = field(default_factory=_now)


class InMemoryWriter(FileWriter):
    """Writes the uncommitted content of one path of an :class:`InMemoryDriver`."""

    def __init__(self, driver: InMemoryDriver, path: str, upload: _Upload) -> None:
        self.size = len(upload.content)
        self._driver = driver
        self._path = path
        self._upload = upload
        self._state = "open"

    def write(self, chunk: bytes) -> None:
        """Append *chunk*."""
        self._expect_open()
        self._upload.content += chunk
        self._upload.modified = _now()
        self.size = len(self._upload.content)

    def flush(self) -> None:
        """Do nothing: memory survives no power cut."""
        self._expect_open()

    def commit(self) -> None:
        """Make the content readable.

        :raises PathNotFound: it was deleted meanwhile.
        """
        self._expect_open()
        self._driver._commit(self._path, self._upload)
        self._state = "committed"

    def cancel(self) -> None:
        """Drop all content at the path."""
        self._expect_open()
        self._driver._drop(self._path)
        self._state = "cancelled"

    def close(self) -> None:
        """Let go of the path."""
        if self._state != "closed":
            self._driver._release(self._path)
            self._state = "closed"

    def _expect_open(self) -> None:
        if self._state != "open":
            raise ValueError(f"the writer of {self._path} is {self._state}")


class InMemoryDriver(StorageDriver):
    """Keeps content in dictionaries, under one lock."""

    name = "inmemory"
    renames = True

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[str, _File] = {}
        self._uploads: dict[str, _Upload] = {}
        #: the paths that have a writer.
        self._held: set[str] = set()
        #: the names in each directory that something committed is in.
        self._directories: dict[str, set[str]] = {"/": set()}

    def get_content(self, path: str) -> bytes:
        """Return all of a file."""
        check_path(path)
        with self._lock:
            return self._committed(path).content

    def put_content(self, path: str, content: bytes, *, durable: bool = True) -> None:
        """Write a file; what was being written there is dropped."""
        del durable
        self.publish([(path, content)])

    def publish(
        self,
        contents: Sequence[tuple[str, bytes]],
        moves: Sequence[tuple[str, str]] = (),
        exclusive: Collection[str] = (),
    ) -> None:
        """Move files and write others; memory is as durable as it gets."""
        for source, destination in moves:
            self.move(source, destination)
        for path, content in contents:
            check_path(path)
            with self._lock:
                if path in exclusive and path in self._files:
                    raise PathExists(path)
                self._store(path, _File(bytes(content)))
                self._uploads.pop(path, None)

    def reader(self, path: str, offset: int = 0) -> BinaryIO:
        """Open the content as it is now; later changes are not seen."""
        check_path(path)
        with self._lock:
            file = self._committed(path)
        if offset < 0:
            raise InvalidOffset(path, len(file.content))
        stream = BytesIO(file.content)
        stream.seek(offset)
        return stream

    def writer(self, path: str, append_at: int | None = None) -> FileWriter:
        """Open a file for writing; committed content stays until the commit."""
        check_path(path)
        with self._lock:
            if path in self._held:
                raise InvalidOffset(path)
            upload = self._begin(path, append_at)
            self._held.add(path)
        return InMemoryWriter(self, path, upload)

    def stat(self, path: str) -> FileInfo:
        """Return what is at *path*; uncommitted content goes before committed."""
        if path != "/":
            check_path(path)
        with self._lock:
            found = self._uploads.get(path) or self._files.get(path)
            if found is not None:
                return FileInfo(path, len(found.content), False, found.modified)
            if path in self._directories:
                return FileInfo(path, 0, True)
        raise PathNotFound(path)

    def list(self, path: str) -> list[str]:
        """Return the names of the direct children of a directory."""
        if path != "/":
            check_path(path)
        with self._lock:
            if path not in self._directories:
                raise PathNotFound(path)
            return list(self._directories[path])

    def move(self, source: str, destination: str) -> None:
        """Move a file; what was being written at *destination* is dropped."""
        check_path(source)
        check_path(destination)
        with self._lock:
            file = self._committed(source)
            if source == destination:
                return
            self._store(destination, file)
            self._uploads.pop(destination, None)
            self._remove(source)

    def delete(self, path: str, *, durable: bool = True) -> None:
        """Delete a file, or a directory with all in it, also what is uncommitted."""
        del durable
        check_path(path)
        with self._lock:
            self._delete(path)

    def touch(self, path: str) -> None:
        """Set the time of the last change."""
        check_path(path)
        with self._lock:
            self._files[path] = _File(self._committed(path).content)

    # What writers do

    def _commit(self, path: str, upload: _Upload) -> None:
        with self._lock:
            if self._uploads.get(path) is not upload:
                raise PathNotFound(path)
            self._store(path, _File(bytes(upload.content)))
            del self._uploads[path]

    def _drop(self, path: str) -> None:
        with self._lock, suppress(PathNotFound):
            self._delete(path)

    def _release(self, path: str) -> None:
        with self._lock:
            self._held.discard(path)

    # What is done with the lock held

    def _committed(self, path: str) -> _File:
        try:
            return self._files[path]
        except KeyError:
            raise PathNotFound(path) from None

    def _begin(self, path: str, append_at: int | None) -> _Upload:
        """Return the content that a new writer of *path* goes on with."""
        there = self._uploads.get(path) or self._files.get(path)
        size = 0 if there is None else len(there.content)
        if append_at is not None and append_at != size:
            if there is None and append_at > 0:
                raise PathNotFound(path)
            raise InvalidOffset(path, size)
        self._check_place(path)
        if isinstance(there, _Upload) and append_at is not None:
            return there
        kept = there.content if there is not None and append_at is not None else b""
        self._uploads[path] = _Upload(bytearray(kept))
        return self._uploads[path]

    def _delete(self, path: str) -> None:
        files = list(self._iter_files(path))
        below = f"{path}/"
        uploads = [
            name for name in self._uploads if name == path or name.startswith(below)
        ]
        if not files and not uploads:
            raise PathNotFound(path)
        for name in uploads:
            del self._uploads[name]
        for name in files:
            self._remove(name)

    def _check_place(self, path: str) -> None:
        """Refuse a path that is a directory, or lies below a file."""
        if path in self._directories:
            raise InvalidPath(path, "a directory is there")
        parent = path
        while parent := parent.rpartition("/")[0]:
            if parent in self._files:
                raise InvalidPath(path, f"{parent} is a file")

    def _store(self, path: str, file: _File) -> None:
        if path not in self._files:
            self._check_place(path)
            self._enter(path)
        self._files[path] = file

    def _enter(self, path: str) -> None:
        """Put *path* into the directories above it, as far as they are new."""
        while path:
            parent, _, name = path.rpartition("/")
            names = self._directories.setdefault(parent or "/", set())
            if name in names:
                return
            names.add(name)
            path = parent

    def _remove(self, path: str) -> None:
        """Remove a file, and the directories that nothing is in any more."""
        del self._files[path]
        while path:
            parent, _, name = path.rpartition("/")
            names = self._directories[parent or "/"]
            names.discard(name)
            if names or not parent:
                return
            del self._directories[parent]
            path = parent

    def _iter_files(self, path: str) -> Iterator[str]:
        if path in self._files:
            yield path
        for name in self._directories.get(path, ()):
            yield from self._iter_files(f"{path}/{name}")


def make_driver(parameters: Mapping[str, Any]) -> StorageDriver:
    """Make the driver ``inmemory``.

    :raises ConfigError: there is a parameter; it takes none.
    """
    for key in parameters:
        raise ConfigError.unknown(f"storage.inmemory.{key}", ())
    return InMemoryDriver()


@hookimpl
def flaskreg_register_drivers() -> Mapping[str, DriverFactory]:
    """Offer ``inmemory``."""
    return {"inmemory": make_driver}
