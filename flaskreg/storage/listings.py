"""Sorted names of directories, remembered for as long as the directory says so.

A page of a long list must not cost a walk of all of it. Where the driver tells when a
directory was changed, its names are read and sorted once for each change, by whatever
process: the time is read from the storage each time.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from datetime import timedelta

from flaskreg.driver import StorageDriver
from flaskreg.lru import LRU


#: a directory that changed within this time may change again without a later time.
_SETTLED = timedelta(seconds=1)

#: names that are remembered in a process.
_NAMES = 500_000


@dataclass(frozen=True, slots=True)
class _Listing:
    modified: datetime
    names: Sequence[str]


class Listings:
    """The names in directories of a driver.

    :param driver: where the directories are.
    """

    def __init__(self, driver: StorageDriver) -> None:
        self._driver = driver
        self._memory: LRU[str, _Listing] = LRU(
            _NAMES, lambda listing: len(listing.names) + 1
        )

    def names(
        self, directory: str, wanted: Callable[[str], bool] | None = None
    ) -> Sequence[str]:
        """Return the names in a directory, sorted.

        :param wanted: leaves out the names for which it is false; a listing with such a
            name is not remembered, since they may be on their way. A remote driver is
            not asked that often: names that are on their way are among the others.
        :raises PathNotFound: the directory does not exist.
        """
        if self._driver.remote:
            return self._read(directory, None)[0]
        if not self._driver.dates_directories:
            return self._read(directory, wanted)[0]
        modified = self._driver.stat(directory).modified
        known = self._memory.get(directory)
        if known is not None and known.modified == modified:
            return known.names
        now = datetime.now(UTC)
        names, complete = self._read(directory, wanted)
        settled = modified is not None and now - modified > _SETTLED
        if modified is not None and settled and complete:
            self._memory.set(directory, _Listing(modified, names))
        return names

    def _read(
        self, directory: str, wanted: Callable[[str], bool] | None
    ) -> tuple[Sequence[str], bool]:
        names = sorted(self._driver.list(directory))
        if wanted is None:
            return names, True
        kept = [name for name in names if wanted(name)]
        return kept, len(kept) == len(names)
