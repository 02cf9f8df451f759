"""Locks between all processes of this machine, which end with their holder."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from typing import Self


#: the wait between two attempts, in seconds: at first, and at most.
_FIRST = 0.005
_LONGEST = 0.1


class Lease:
    """A lock that is a file, held until it is released or the process is gone.

    :param path: of the file, which is made and deleted with the lease.
    :param descriptor: open and locked.
    """

    def __init__(self, path: str, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: str, patience: float = 0.0) -> Self | None:
        """Return the lease, or ``None`` when somebody has it.

        :param patience: how long to wait for it, in seconds.
        """
        deadline = time.monotonic() + patience
        pause = _FIRST
        while True:
            descriptor = _open_locked(path)
            if descriptor is not None:
                return cls(path, descriptor)
            if time.monotonic() >= deadline:
                return None
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST)

    @staticmethod
    def is_held(path: str) -> bool:
        """Whether somebody has it."""
        return _is_refused(path, fcntl.LOCK_SH)

    def release(self) -> None:
        """Let others have it."""
        if self._descriptor >= 0:
            with suppress(FileNotFoundError):
                os.unlink(self._path)
            os.close(self._descriptor)
            self._descriptor = -1


def _open_locked(path: str) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Who held it before has deleted the file, maybe between the two steps.
        if os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _is_refused(path: str, lock: int) -> bool:
    """Whether somebody's lock on a file keeps others from a lock of a kind."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, lock | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


class Presence:
    """Tells who does the work whether anybody waits for it, in any process.

    :param path: of a file, which stays.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    @contextmanager
    def here(self) -> Iterator[None]:
        """Be present."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield
        finally:
            os.close(descriptor)

    def anybody(self) -> bool:
        """Whether somebody is."""
        return _is_refused(self._path, fcntl.LOCK_EX)


def key_of(*parts: str) -> str:
    """Return the name of a file for what *parts* name together."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
