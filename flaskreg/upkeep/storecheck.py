"""The check of what belongs to no repository: content, and the layout itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from typing import BinaryIO

from flaskreg.digest import CANONICAL
from flaskreg.digest import Digest
from flaskreg.digest import make_digester
from flaskreg.digest import parse_digest
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.errors import DigestInvalid
from flaskreg.storage import paths
from flaskreg.upkeep.findings import Finding


#: half a file that was not written to for so long is nobody's.
_ABANDONED = timedelta(hours=1)
_STEP = 1 << 20
_EMPTY = Digest.of(b"")


class Pace:
    """Keeps reading below a rate, so that those who pull hardly notice.

    :param rate: in bytes a second; 0 for no limit.
    """

    def __init__(
        self, rate: float, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._rate = rate
        self._sleep = sleep
        self._free = 0.0

    def take(self, size: int) -> None:
        """Wait until *size* further bytes may be read."""
        if not self._rate:
            return
        now = time.monotonic()
        self._free = max(self._free, now) + size / self._rate
        if self._free > now:
            self._sleep(self._free - now)


def digest_of(
    reader: BinaryIO, algorithm: str = CANONICAL, pace: Pace | None = None
) -> Digest:
    """Return the digest of all that is read, and close the reader."""
    digester = make_digester(algorithm)
    with reader:
        while chunk := reader.read(_STEP):
            digester.update(chunk)
            if pace is not None:
                pace.take(len(chunk))
    return digester.digest()


class StoreCheck:
    """Checks content and layout; it only reads.

    :param driver: of the storage.
    :param pace: of reading content.
    :param deep: whether content is read.
    :param progress: is told how much content was looked at.
    """

    def __init__(
        self,
        driver: StorageDriver,
        pace: Pace,
        *,
        deep: bool,
        progress: Callable[[int], None] = lambda _done: None,
    ) -> None:
        self._driver = driver
        self._pace = pace
        self._deep = deep
        self._progress = progress
        self._done = 0

    def check(self) -> Iterator[Finding]:
        """Yield what is wrong."""
        for child in self._children(paths.ROOT):
            if child not in ("blobs", "repositories"):
                yield Finding("foreign", f"{paths.ROOT}/{child}")
        for algorithm in self._children(paths.BLOBS):
            for first in self._children(f"{paths.BLOBS}/{algorithm}"):
                base = f"{paths.BLOBS}/{algorithm}/{first}"
                for encoded in self._children(base):
                    yield from self._directory(algorithm, first, encoded)
        now = datetime.now(UTC)
        for info in self._driver.iter_leftovers():
            if info.modified is None or now - info.modified > _ABANDONED:
                yield Finding("leftover", info.path)

    def _directory(self, algorithm: str, first: str, encoded: str) -> Iterator[Finding]:
        place = f"{paths.BLOBS}/{algorithm}/{first}/{encoded}"
        try:
            digest = parse_digest(f"{algorithm}:{encoded}")
        except DigestInvalid:
            yield Finding("foreign", place)
            return
        for child in self._children(place):
            if child != "data":
                yield Finding("foreign", f"{place}/{child}")
        if not digest.canonical or paths.blob(digest) != place:
            if self._size(f"{place}/data") is not None:
                yield Finding("misplaced", f"{place}/data", digest=digest)
        elif self._is_wrong(digest):
            yield Finding("wrong-content", f"{place}/data", digest=digest)

    def _is_wrong(self, digest: Digest) -> bool:
        path = paths.blob_data(digest)
        size = self._size(path)
        self._done += 1
        self._progress(self._done)
        if size is None:
            return False
        if not self._deep:
            return size == 0 and digest != _EMPTY
        try:
            reader = self._driver.reader(path)
        except PathNotFound:
            return False
        return digest_of(reader, pace=self._pace) != digest

    def _size(self, path: str) -> int | None:
        try:
            return self._driver.stat(path).size
        except PathNotFound:
            return None

    def _children(self, directory: str) -> list[str]:
        try:
            return sorted(self._driver.list(directory))
        except PathNotFound:
            return []
