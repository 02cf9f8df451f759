"""A folder of numbered PEM files that several processes add to."""

from __future__ import annotations

import os
import secrets


def pem_files(folder: str) -> list[str]:
    """Return the ``*.pem`` of a folder by their names.

    :raises OSError: it cannot be read, or is not there.
    """
    return [
        os.path.join(folder, name)
        for name in sorted(os.listdir(folder))
        if name.endswith(".pem") and not name.startswith(".")
    ]


def add_numbered(folder: str, content: bytes, *, first: bool) -> str:
    """Add a file after those that are there, whole or not at all.

    :param first: only when there is none: of processes that come at once one adds its
        file, and the others find it there.
    :returns: its path, or ``""`` when another process was faster.
    :raises OSError: it cannot be written.
    """
    os.makedirs(folder, mode=0o700, exist_ok=True)
    temporary = os.path.join(folder, f".{secrets.token_hex(8)}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        with open(os.open(temporary, flags, 0o600), "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        path = _link(temporary, folder, first=first)
    finally:
        os.unlink(temporary)
    _sync(folder)
    return path


def _link(temporary: str, folder: str, *, first: bool) -> str:
    number = 1 if first else _last(folder) + 1
    while True:
        path = os.path.join(folder, f"{number:04}.pem")
        try:
            os.link(temporary, path)
        except FileExistsError:
            if first:
                return ""
            number += 1
        else:
            return path


def _last(folder: str) -> int:
    stems = [os.path.basename(path)[:-4] for path in pem_files(folder)]
    return max((int(stem) for stem in stems if stem.isdecimal()), default=0)


def _sync(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
