"""Where content may be that is not in its place, or is not what it was."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

from flaskreg.digest import Digest
from flaskreg.driver import DriverError
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.storage import ourpaths
from flaskreg.storage import paths
from flaskreg.upkeep.storecheck import Pace
from flaskreg.upkeep.storecheck import digest_of
from flaskreg.upkeep.survey import iter_repositories


_STEP = 1 << 20

#: opens a blob of a repository somewhere else, or returns ``None``.
Offer = Callable[[str, Digest], BinaryIO | None]


class Elsewhere:
    """Brings content back from wherever a good copy is.

    Unfinished uploads are looked at, and what the caller offers.

    :param driver: of the storage.
    :param offers: other places.
    :param pace: of reading.
    """

    def __init__(self, driver: StorageDriver, offers: list[Offer], pace: Pace) -> None:
        self._driver = driver
        self._offers = offers
        self._pace = pace
        self._uploads: dict[Digest, str] | None = None

    def restore(self, repository: str, digest: Digest) -> bool:
        """Put good content into its place; return whether there was any."""
        for reader in self._candidates(repository, digest):
            if self._take(reader, digest):
                return True
        return False

    def _candidates(self, repository: str, digest: Digest) -> Iterator[BinaryIO]:
        if self._uploads is None:
            self._uploads = dict(self._digest_uploads())
        if digest in self._uploads:
            with suppress(PathNotFound):
                yield self._driver.reader(self._uploads[digest])
        for offer in self._offers:
            reader = offer(repository, digest)
            if reader is not None:
                yield reader

    def _digest_uploads(self) -> Iterator[tuple[Digest, str]]:
        for name in iter_repositories(self._driver):
            with suppress(PathNotFound):
                for session in self._driver.list(paths.uploads(name)):
                    data = paths.upload_data(name, session)
                    with suppress(PathNotFound):
                        yield (
                            digest_of(self._driver.reader(data), pace=self._pace),
                            data,
                        )

    def _take(self, reader: BinaryIO, digest: Digest) -> bool:
        """Copy content, see that it is right, and move it into its place."""
        path = ourpaths.restored(digest)
        try:
            with reader, self._driver.writer(path) as writer:
                while chunk := reader.read(_STEP):
                    writer.write(chunk)
                    self._pace.take(len(chunk))
                writer.flush()
                writer.commit()
            right = digest_of(self._driver.reader(path)) == digest
            if right:
                self._driver.move(path, paths.blob_data(digest))
            else:
                self._driver.delete(path)
        except (DriverError, OSError):
            with suppress(DriverError):
                self._driver.delete(path)
            return False
        return right
