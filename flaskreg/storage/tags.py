"""The tags of one repository: one small file says what a tag names."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from flaskreg.digest import Digest
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.errors import Denied
from flaskreg.errors import ManifestUnknown
from flaskreg.errors import NameUnknown
from flaskreg.errors import Unsupported
from flaskreg.services import TagStore
from flaskreg.storage import paths
from flaskreg.storage.links import link_to
from flaskreg.storage.links import read_link
from flaskreg.storage.listings import Listings


class LocalTags(TagStore):
    """Tags on a storage driver.

    :param driver: where they are.
    :param listings: the names in directories of the driver.
    :param name: of the repository.
    :param delete_enabled: whether :meth:`untag` may.
    :param concurrency: tags that are read at once when all have to be read.
    """

    def __init__(
        self,
        driver: StorageDriver,
        listings: Listings,
        name: str,
        *,
        delete_enabled: bool,
        concurrency: int = 1,
    ) -> None:
        self._driver = driver
        self._listings = listings
        self._name = name
        self._delete_enabled = delete_enabled
        self._concurrency = concurrency

    def get(self, tag: str) -> Digest:
        """Return the digest that a tag names now."""
        digest = self._read(tag)
        if digest is None:
            raise ManifestUnknown(f"unknown tag={tag}")
        return digest

    def tag(self, tag: str, digest: Digest) -> None:
        """Let a tag name a digest."""
        self._driver.publish(self.entries(tag, digest))

    def entries(self, tag: str, digest: Digest) -> Sequence[tuple[str, bytes]]:
        """Return what lets a tag name a digest: its history, then what it names now."""
        return [
            link_to(paths.tag_index(self._name, tag, digest), digest),
            link_to(paths.tag_current(self._name, tag), digest),
        ]

    def made(self, tags: Iterable[str], digest: Digest) -> Collection[str]:
        """Return the paths at which *tags*, which may not be moved, are to be made.

        :raises Denied: one of them names another manifest than *digest*.
        """
        paths_to_make = []
        for tag in tags:
            found = self._read(tag)
            if found is None and not self._named(tag):
                paths_to_make.append(paths.link(paths.tag_current(self._name, tag)))
                continue
            # Made since it was looked for; or damaged, and then it names nothing.
            found = found or self._read(tag)
            if found not in (None, digest):
                raise Denied(message=f"tag {tag} exists and may not be overwritten")
        return paths_to_make

    def untag(self, tag: str) -> None:
        """Delete a tag with its history."""
        if not self._delete_enabled:
            raise Unsupported
        self.get(tag)
        self.drop(tag)

    def drop(self, tag: str) -> None:
        """Delete a tag, known or not; what it names now goes first."""
        with suppress(PathNotFound):
            self._driver.delete(paths.tag_current(self._name, tag))
            self._driver.delete(paths.tag(self._name, tag), durable=False)

    def list(self, limit: int | None = None, last: str = "") -> Sequence[str]:
        """Return a page of tags in byte order."""
        names = self._names()
        start = bisect_right(names, last) if last else 0
        return names[start : None if limit is None else start + limit]

    def lookup(self, digests: Iterable[Digest]) -> Sequence[str]:
        """Return the tags that name one of some digests, reading each tag once."""
        wanted = set(digests)
        try:
            names = self._listings.names(paths.tags(self._name), self._named)
        except PathNotFound:
            return []
        with ThreadPoolExecutor(self._concurrency) as pool:
            found = zip(names, pool.map(self._read, names), strict=True)
            return [tag for tag, digest in found if digest in wanted]

    def _names(self) -> Sequence[str]:
        try:
            return self._listings.names(paths.tags(self._name), self._named)
        except PathNotFound:
            pass
        try:
            self._driver.stat(paths.repository(self._name))
        except PathNotFound:
            raise NameUnknown({"name": self._name}) from None
        return []

    def _named(self, tag: str) -> bool:
        try:
            self._driver.stat(paths.link(paths.tag_current(self._name, tag)))
        except PathNotFound:
            return False
        return True

    def _read(self, tag: str) -> Digest | None:
        return read_link(self._driver, paths.tag_current(self._name, tag))
