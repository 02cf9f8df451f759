"""A storage driver that does something around each call of another one.

It is for those who measure or trace; the names of the actions are distribution's.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any
from typing import BinaryIO

from flaskreg.driver import FileInfo
from flaskreg.driver import FileWriter
from flaskreg.driver import StorageDriver


class AroundDriver(StorageDriver):
    """Hands every call on, within the context that :meth:`around` returns for it.

    :param inner: the driver that does the work.
    """

    def __init__(self, inner: StorageDriver) -> None:
        self._inner = inner
        self.name = inner.name
        self.renames = inner.renames
        self.dates_directories = inner.dates_directories

    @abstractmethod
    def around(self, action: str, path: str) -> AbstractContextManager[Any]:
        """Return what an action is done within.

        :param action: ``GetContent``, ``PutContent``, ``Reader``, ``Writer``, ``Stat``,
            ``List``, ``Move``, ``Delete``, ``Publish``, ``Walk`` or ``RedirectURL``.
        :param path: the path, or the first of them.
        """

    def get_content(self, path: str) -> bytes:
        """Return all of a small file."""
        with self.around("GetContent", path):
            return self._inner.get_content(path)

    def put_content(self, path: str, content: bytes, *, durable: bool = True) -> None:
        """Write a small file."""
        with self.around("PutContent", path):
            self._inner.put_content(path, content, durable=durable)

    def reader(self, path: str, offset: int = 0) -> BinaryIO:
        """Open a file; reading it is not within the context."""
        with self.around("Reader", path):
            return self._inner.reader(path, offset)

    def writer(self, path: str, append_at: int | None = None) -> FileWriter:
        """Open a file; writing it is not within the context."""
        with self.around("Writer", path):
            return self._inner.writer(path, append_at)

    def stat(self, path: str) -> FileInfo:
        """Return what is at *path*."""
        with self.around("Stat", path):
            return self._inner.stat(path)

    def list(self, path: str) -> list[str]:
        """Return the names in a directory."""
        with self.around("List", path):
            return self._inner.list(path)

    def move(self, source: str, destination: str) -> None:
        """Move content."""
        with self.around("Move", source):
            self._inner.move(source, destination)

    def delete(self, path: str, *, durable: bool = True) -> None:
        """Delete a file or a directory."""
        with self.around("Delete", path):
            self._inner.delete(path, durable=durable)

    def publish(
        self,
        contents: Sequence[tuple[str, bytes]],
        moves: Sequence[tuple[str, str]] = (),
        exclusive: Collection[str] = (),
    ) -> None:
        """Make content visible at several paths."""
        first = moves[0][1] if moves else contents[0][0] if contents else "/"
        with self.around("Publish", first):
            self._inner.publish(contents, moves, exclusive)

    def walk(self, path: str) -> Iterator[FileInfo]:
        """Yield all below *path*; the context is that of the whole walk."""
        with self.around("Walk", path):
            yield from self._inner.walk(path)

    def redirect(self, path: str, method: str) -> str | None:
        """Return a URL at which a client can read *path* itself."""
        with self.around("RedirectURL", path):
            return self._inner.redirect(path, method)

    def close(self) -> None:
        """Close the driver."""
        self._inner.close()
