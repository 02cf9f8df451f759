"""Directories that a power cut cannot take away.

A file is durable when its content is, and its name, and the name of each directory
above it. Directories may have been made by whoever promises nothing, such as the start
of an upload, or by another process that has not synced them yet; so who promises
something looks at them all, and remembers those that it need not look at again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from collections.abc import Mapping

from flaskreg.lru import LRU


#: directories that are remembered; one that was forgotten costs a flush.
_REMEMBERED = 4096


class Anchors:
    """The directories whose whole path is known to be durable.

    They are told apart by their inodes, for one may be deleted and made anew.

    :param root: of the driver. Names above it are looked at as far as this process may
        change them, in the file system of the root.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._known: LRU[str, int] = LRU(_REMEMBERED)

    def find_loose(self, directories: Iterable[str]) -> Mapping[str, int]:
        """Return *directories*, and those above, that are not known to be durable.

        :returns: the inode of each; its name is in the directory above it.
        """
        loose: dict[str, int] = {}
        for directory in directories:
            path = directory
            while path not in loose:
                try:
                    found = os.stat(path)
                    if self._known.get(path) == found.st_ino or not self._is_ours(
                        path, found.st_dev
                    ):
                        break
                except OSError:
                    # Somebody deleted it, with the names that were to be durable.
                    break
                loose[path] = found.st_ino
                path = os.path.dirname(path)
        return loose

    def add(self, durable: Mapping[str, int]) -> None:
        """Remember what :meth:`find_loose` returned, once the names are durable."""
        for path, inode in durable.items():
            self._known.set(path, inode)

    def _is_ours(self, path: str, device: int) -> bool:
        """Whether a registry may have made a directory."""
        if path.startswith(f"{self._root}/"):
            return True
        above = os.path.dirname(path)
        return (
            above != path
            and os.stat(above).st_dev == device
            and os.access(above, os.R_OK | os.W_OK)
        )
