"""A driver around a driver: what storage middleware is made of."""

from __future__ import annotations

from typing import BinaryIO

from flaskreg.driver import FileInfo
from flaskreg.driver import FileWriter
from flaskreg.driver import StorageDriver
from flaskreg.forwarding import forwarding
from flaskreg.handover import ContentRequest


@forwarding(StorageDriver)
class DriverWrapper(StorageDriver):
    """Does what another driver does; inherit it and override what is to differ.

    Override :meth:`hand_over` to change where clients get content: :meth:`redirect`
    follows it.

    :param inner: the driver.
    """

    def __init__(self, inner: StorageDriver) -> None:
        self.inner = inner
        self.name = inner.name
        self.renames = inner.renames
        self.dates_directories = inner.dates_directories
        self.remote = inner.remote

    def get_content(self, path: str) -> bytes:
        """Return all of a small file."""
        return self.inner.get_content(path)

    def put_content(self, path: str, content: bytes, *, durable: bool = True) -> None:
        """Write a small file, all or nothing."""
        self.inner.put_content(path, content, durable=durable)

    def reader(self, path: str, offset: int = 0) -> BinaryIO:
        """Open a file for reading."""
        return self.inner.reader(path, offset)

    def writer(self, path: str, append_at: int | None = None) -> FileWriter:
        """Open a file for writing."""
        return self.inner.writer(path, append_at)

    def stat(self, path: str) -> FileInfo:
        """Return what is at *path*."""
        return self.inner.stat(path)

    def list(self, path: str) -> list[str]:
        """Return the names of the direct children of a directory."""
        return self.inner.list(path)

    def move(self, source: str, destination: str) -> None:
        """Move committed content."""
        self.inner.move(source, destination)

    def delete(self, path: str, *, durable: bool = True) -> None:
        """Delete a file, or a directory with all in it."""
        self.inner.delete(path, durable=durable)

    def redirect(self, path: str, method: str) -> str | None:
        """Return the URL of :meth:`hand_over`, if it has one."""
        found = self.hand_over(path, ContentRequest(method))
        return found.url or None if found is not None else None
