"""Downloads that were cut or given up: what has come of them waits to be gone on with.

They take room as content does, and go before any of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from flaskreg_proxy.lease import Lease
from flaskreg_proxy.lease import Presence
from flaskreg_proxy.reserve import taken
from flaskreg_proxy.workplace import Workplace


class Leftovers:
    """The downloads in the storage that nobody goes on with now.

    :param workplace: where downloads grow. One beside the storage takes none of the
        storage's room.
    """

    def __init__(self, workplace: Workplace) -> None:
        self._workplace = workplace

    def size(self) -> int:
        """Return the bytes that they take."""
        return sum(size for _, _, size in self._iter_files())

    def drop(self, size: int) -> int:
        """Delete the oldest of them until *size* bytes are free.

        :returns: the bytes that are.
        """
        freed = 0
        for _, path, bytes_taken in sorted(self._iter_files()):
            if freed >= size:
                break
            lease = Lease.take(f"{path}.lease")
            if lease is not None:
                with suppress(FileNotFoundError):
                    os.unlink(path)
                    freed += bytes_taken
                lease.release()
        return freed

    def _iter_files(self) -> Iterator[tuple[float, str, int]]:
        """Yield when each was written last, its path, and the bytes that it takes."""
        folder = self._workplace.downloads_in_storage
        if folder is None:
            return
        with suppress(FileNotFoundError), os.scandir(folder) as entries:
            for entry in entries:
                if "." in entry.name or _is_wanted(entry.path):
                    continue
                with suppress(FileNotFoundError):
                    found = entry.stat()
                    yield found.st_mtime, entry.path, taken(found)


def _is_wanted(path: str) -> bool:
    """Whether somebody fills a file, or waits to go on with it."""
    return Lease.is_held(f"{path}.lease") or Presence(f"{path}.readers").anybody()
