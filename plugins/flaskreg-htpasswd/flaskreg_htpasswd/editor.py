"""Changes of a password file: whole or not at all, and one at a time."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress

from flaskreg.config import ConfigError


#: makes the new lines of a file of the old ones.
Change = Callable[[list[bytes]], list[bytes]]


def edit(path: str, change: Change, *, create: bool = False) -> None:
    """Change a password file; a reader sees the old one or the new one.

    Comments and the order of lines stay as *change* leaves them.

    :param create: whether a missing file is an empty one.
    :raises ConfigError: the file cannot be read or written.
    """
    path = os.path.realpath(path)
    try:
        if create:
            make_folder(path)
        with _locked(path, create=create) as stream:
            with open(stream, "rb", closefd=False) as old:
                content = old.read().removesuffix(b"\n")
            lines = change(content.split(b"\n") if content else [])
            replace(path, b"".join(line + b"\n" for line in lines), stream)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None


def user_of(line: bytes) -> bytes | None:
    """Return the user that a line is about, or ``None``."""
    line = line.strip()
    if not line or line.startswith(b"#") or b":" not in line:
        return None
    return line.partition(b":")[0]


def with_user(lines: list[bytes], user: bytes, stored: bytes) -> list[bytes]:
    """Return *lines* with the hash of a user, where it stood or at the end."""
    entry = user + b":" + stored
    changed = [entry if user_of(line) == user else line for line in lines]
    return changed if entry in changed else [*changed, entry]


def without_user(lines: list[bytes], user: bytes) -> list[bytes]:
    """Return *lines* without those of a user."""
    return [line for line in lines if user_of(line) != user]


def make_folder(path: str) -> None:
    """Make the folder of a file, for its owner alone."""
    os.makedirs(os.path.dirname(path) or ".", mode=0o700, exist_ok=True)


def write_new(path: str, content: bytes) -> None:
    """Write a file that is not there yet.

    :raises FileExistsError: it is; nothing has changed.
    """
    temporary = _write_beside(path, content)
    try:
        os.link(temporary, path)
    finally:
        os.unlink(temporary)
    _sync_folder(path)


def replace(path: str, content: bytes, old: int) -> None:
    """Replace a file, with the mode and the owner of the *old* one."""
    temporary = _write_beside(path, content, os.fstat(old))
    try:
        os.rename(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
    _sync_folder(path)


@contextmanager
def _locked(path: str, *, create: bool) -> Iterator[int]:
    """Hold the lock of a file, which is on the file itself."""
    flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
    while True:
        descriptor = os.open(path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # Whoever had the lock before has put another file in its place.
            if _is_at(descriptor, path):
                yield descriptor
                return
        finally:
            os.close(descriptor)


def _is_at(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _write_beside(path: str, content: bytes, like: os.stat_result | None = None) -> str:
    temporary = f"{path}.{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600)
    try:
        with open(descriptor, "wb") as stream:
            if like is not None:
                with suppress(PermissionError):
                    os.fchown(descriptor, like.st_uid, like.st_gid)
                os.fchmod(descriptor, like.st_mode & 0o777)
            stream.write(content)
            stream.flush()
            os.fsync(descriptor)
    except OSError:
        os.unlink(temporary)
        raise
    return temporary


def _sync_folder(path: str) -> None:
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
