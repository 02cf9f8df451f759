"""A file that grows while many read it, each at its own pace."""

from __future__ import annotations

import errno
import io
import os
import stat
import threading
from typing import Any
from typing import Protocol


#: the mode of a file that is verified, and deleted since nobody keeps it.
_PASSED_ON = 0o400

#: how long a reader sleeps before it looks whether the writer still lives, in seconds.
_LOOK = 5.0


class DownloadCut(ConnectionResetError):
    """What was being read will never be complete, or is not what it should be.

    The connection of whoever reads it ends before the last byte: a server takes this
    for a client that left, and cuts it.
    """

    def __init__(self) -> None:
        super().__init__(errno.ECONNRESET, "the download failed")


class Writer(Protocol):
    """Who makes the file grow."""

    def is_alive(self) -> bool:
        """Whether it may still do so."""


class Growth:
    """How far a file is, told to all threads that read it.

    The last byte is not given to anybody before all of it is verified, so that nobody
    can take a wrong content for a complete one.

    :param size: that the file will have, in bytes.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        #: who waits or reads.
        self.readers = 0
        self.ended = False
        self.error: Exception | None = None
        self._changed = threading.Condition()
        self._grown = 0
        self._begun = False
        self._descriptor = -1
        self._writer: Writer | None = None

    # The writer's side

    def written_by(self, writer: Writer) -> None:
        """Say who writes it."""
        self._writer = writer

    def attach(self, descriptor: int) -> None:
        """Take over the open file."""
        with self._changed:
            if self._descriptor >= 0:
                os.close(descriptor)
                return
            self._descriptor = descriptor
            self._changed.notify_all()

    @property
    def begun(self) -> bool:
        """Whether somebody may be reading."""
        return self._begun

    @property
    def attached(self) -> bool:
        """Whether the file is known."""
        return self._descriptor >= 0

    def is_file(self, other: os.stat_result) -> bool:
        """Whether the open file is *other*."""
        return self.attached and os.path.samestat(os.fstat(self._descriptor), other)

    def pass_on(self) -> None:
        """Tell all who have the file open, in any process, that it is right.

        The file is to be deleted before.
        """
        os.fchmod(self._descriptor, _PASSED_ON)

    @property
    def passed_on(self) -> bool:
        """Whether the file is complete and verified, and kept by nobody."""
        if not self.attached:
            return False
        found = os.fstat(self._descriptor)
        return not found.st_nlink and stat.S_IMODE(found.st_mode) == _PASSED_ON

    def grow(self, size: int) -> None:
        """Say that there are *size* bytes now."""
        with self._changed:
            if size > self._grown:
                self._grown = size
                self._changed.notify_all()

    def begin(self) -> None:
        """Say that bytes are coming."""
        with self._changed:
            self._begun = True
            self._changed.notify_all()

    def end_unread(self) -> bool:
        """End it when nobody reads it, and let nobody enter it in that moment."""
        with self._changed:
            if self.readers:
                return False
            self.ended, self.error = True, DownloadCut()
            return True

    def end(self, error: Exception | None = None) -> None:
        """Say that all is there and verified, or that it never will be."""
        with self._changed:
            if not self.ended:
                self.ended = True
                self.error = error
                self._changed.notify_all()
            self._close_when_unused()

    # The readers' side

    def enter(self) -> bool:
        """Count a reader; ``False`` when it has ended."""
        with self._changed:
            if self.ended:
                return False
            self.readers += 1
            return True

    def leave(self) -> None:
        """Count a reader less."""
        with self._changed:
            self.readers -= 1
            self._close_when_unused()

    def wait_begun(self) -> bool:
        """Wait until bytes are coming.

        :returns: ``False`` when it ended well and there is no file to read: it was
            complete before.
        :raises Exception: what it ended in.
        """
        with self._changed:
            while not self.ended and not self._begun:
                self._wait()
            if self.error is not None and not self._begun:
                raise self.error
            return self.attached

    def read(self, position: int, size: int) -> bytes:
        """Return bytes from *position* on, at most *size*, when there are any.

        :raises DownloadCut: there never will be.
        """
        if size <= 0 or position >= self.size:
            return b""
        with self._changed:
            while (free := self._free(position)) <= 0:
                self._wait()
            descriptor = self._descriptor
        return os.pread(descriptor, min(size, free), position)

    def _free(self, position: int) -> int:
        """Return how many bytes may be read from *position* on."""
        if self.ended and self.error is None:
            return self.size - position
        free = min(self._grown, self.size - 1) - position
        if free <= 0 and self.ended:
            raise DownloadCut
        return free

    def _wait(self) -> None:
        self._changed.wait(_LOOK)
        if self._writer is not None and not self._writer.is_alive() and not self.ended:
            self.ended, self.error = True, DownloadCut()

    def _close_when_unused(self) -> None:
        if self.ended and not self.readers and self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class GrowingReader(io.RawIOBase):
    """Reads a growing file; ends as the whole file would, or is cut.

    :param growth: which the caller has entered.
    :param offset: where to begin, in bytes.
    """

    def __init__(self, growth: Growth, offset: int) -> None:
        self._growth = growth
        self._position = offset

    def readable(self) -> bool:
        """Whether it can be read; it can."""
        return True

    def seekable(self) -> bool:
        """Whether it can be positioned; it can."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return what there is, waiting for the first byte of it."""
        wanted = self._growth.size if size is None or size < 0 else size
        chunk = self._growth.read(self._position, min(wanted, 1 << 20))
        self._position += len(chunk)
        return chunk

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with what there is."""
        chunk = self.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to an offset from the beginning."""
        if whence != os.SEEK_SET:
            raise io.UnsupportedOperation("only from the beginning")
        self._position = offset
        return offset

    def tell(self) -> int:
        """Return the offset."""
        return self._position

    def close(self) -> None:
        """Let go of the file."""
        if not self.closed:
            self._growth.leave()
        super().close()
