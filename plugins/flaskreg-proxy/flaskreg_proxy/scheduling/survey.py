"""What the storage itself tells of cached content."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from typing import Protocol

from flaskreg.digest import Digest
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.storage import paths
from flaskreg.storage.links import read_link
from flaskreg_proxy.scheduling.limits import free_bytes
from flaskreg_proxy.scheduling.removal import iter_linked
from flaskreg_proxy.scheduling.removal import iter_repositories
from flaskreg_proxy.scheduling.table import BLOB
from flaskreg_proxy.scheduling.table import MANIFEST
from flaskreg_proxy.scheduling.table import Key


class Leftovers(Protocol):
    """Parts of content that somebody may go on with, and that take room."""

    def size(self) -> int:
        """Return the bytes that they take."""

    def drop(self, size: int) -> int:
        """Delete some until *size* bytes are free, and return how many are."""


_FAMILIES = {BLOB: paths.layer, MANIFEST: paths.revision}


class Survey:
    """Looks for content, its size, and for what is free on the disk.

    :param driver: where to look.
    :param covers: whether a repository is one of the cache.
    :param min_free: bytes that have to stay free; ``None`` for no such bound.
    :param leftovers: take room beside content; ``None`` for none.
    """

    #: how many are looked for at a time.
    step = 500

    def __init__(
        self,
        driver: StorageDriver,
        covers: Callable[[str], bool],
        min_free: int | None,
        leftovers: Leftovers | None = None,
    ) -> None:
        self._driver = driver
        self._covers = covers
        self._min_free = min_free
        self._leftovers = leftovers

    def find(self, key: Key, kind: str) -> tuple[Key, int] | None:
        """Return content by its canonical digest, with its size in bytes.

        :returns: ``None`` when the repository does not link it, or it is not there.
        """
        directory = _FAMILIES[kind](key.repository, key.digest)
        target = read_link(self._driver, directory)
        size = None if target is None else self.measure(target)
        if target is None or size is None:
            return None
        return Key(key.repository, target), size

    def measure(self, digest: Digest) -> int | None:
        """Return the size of content in bytes, or ``None`` when it is not there."""
        try:
            return self._driver.stat(paths.blob_data(digest)).size
        except PathNotFound:
            return None

    def iter_covered(self) -> Iterator[tuple[Key, str]]:
        """Yield all that the repositories of the cache link, with its kind.

        There is no entry for some of it when the state is lost, or a worker ends
        between filling content and noting it.
        """
        for name in iter_repositories(self._driver):
            if not self._covers(name):
                continue
            for kind, family in _FAMILIES.items():
                for digest in iter_linked(self._driver, name, family):
                    yield Key(name, digest), kind

    def left_over(self) -> int:
        """Return the bytes that parts of content take which nobody goes on with."""
        return 0 if self._leftovers is None else self._leftovers.size()

    def drop_left_over(self, size: int) -> int:
        """Delete such parts until *size* bytes are free, and return how many are."""
        if size <= 0 or self._leftovers is None:
            return 0
        return self._leftovers.drop(size)

    def missing_on_disk(self) -> int:
        """Return the bytes that have to become free on the disk."""
        if self._min_free is None:
            return 0
        free = free_bytes(self._driver)
        return 0 if free is None else max(self._min_free - free, 0)
