"""The global store of content, addressed by digest, and its statter.

Nothing here knows of repositories: :mod:`flaskreg.storage.links` stands before it and
asks whether a repository may see a digest.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Sequence
from dataclasses import replace
from typing import BinaryIO

from flaskreg.cache import DescriptorCache
from flaskreg.descriptor import Descriptor
from flaskreg.digest import Digest
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.errors import BlobUnknown
from flaskreg.handover import ContentRequest
from flaskreg.handover import Handover
from flaskreg.mediatypes import OCTET_STREAM
from flaskreg.services import BlobStatter
from flaskreg.storage import paths


#: content of at most so many bytes is moved without asking whether it is there.
_SMALL = 256 << 10


class GlobalStatter(BlobStatter):
    """Tells what content the driver has.

    :param driver: where the content is.
    """

    def __init__(self, driver: StorageDriver) -> None:
        self._driver = driver

    def stat(self, digest: Digest) -> Descriptor:
        """Return the descriptor of *digest*, an octet stream to all of the registry."""
        try:
            info = self._driver.stat(paths.blob_data(digest))
        except PathNotFound:
            raise BlobUnknown({"digest": digest}) from None
        if info.is_dir or not info.committed:
            raise BlobUnknown({"digest": digest})
        return Descriptor(OCTET_STREAM, digest, info.size)


class CachedStatter(BlobStatter):
    """Asks a cache first, then another statter, and remembers its answer.

    It stands behind the check of a repository's link and never before it.

    :param statter: what is asked on a miss.
    :param cache: what is asked first.
    :param repository: whose view of the content is cached; ``None`` for everybody's.
    """

    def __init__(
        self,
        statter: BlobStatter,
        cache: DescriptorCache,
        repository: str | None = None,
    ) -> None:
        self._statter = statter
        self._cache = cache
        self._repository = repository

    def stat(self, digest: Digest) -> Descriptor:
        """Return the descriptor from the cache, or else from the statter."""
        descriptor = self._cache.stat(digest, self._repository)
        if descriptor is None:
            descriptor = self._statter.stat(digest)
            self._cache.set(digest, descriptor, self._repository)
        return descriptor


class BlobContents(BlobStatter):
    """The content of all repositories, by canonical digest.

    :param driver: where the content is.
    :param redirect: whether clients may be sent to the driver's own URLs.
    """

    def __init__(self, driver: StorageDriver, *, redirect: bool = True) -> None:
        self._driver = driver
        self._statter = GlobalStatter(driver)
        self._redirect = redirect

    def stat(self, digest: Digest) -> Descriptor:
        """Return the descriptor as the driver tells it; no cache is asked."""
        return self._statter.stat(digest)

    def get(self, digest: Digest) -> bytes:
        """Return small content.

        :raises BlobUnknown: it is not here.
        """
        try:
            return self._driver.get_content(paths.blob_data(digest))
        except PathNotFound:
            raise BlobUnknown({"digest": digest}) from None

    def open(self, digest: Digest, offset: int = 0) -> BinaryIO:
        """Open content for reading.

        :raises BlobUnknown: it is not here.
        """
        try:
            return self._driver.reader(paths.blob_data(digest), offset)
        except PathNotFound:
            raise BlobUnknown({"digest": digest}) from None

    def redirect(self, digest: Digest, method: str) -> str | None:
        """Return a URL where a client reads the content itself, or ``None``."""
        if not self._redirect:
            return None
        return self._driver.redirect(paths.blob_data(digest), method)

    def hand_over(self, digest: Digest, request: ContentRequest) -> Handover | None:
        """Return how somebody else sends the content, or ``None``."""
        if not self._redirect:
            request = replace(request, redirects=False)
        return self._driver.hand_over(paths.blob_data(digest), request)

    def put(
        self,
        content: bytes,
        digest: Digest,
        links: Sequence[tuple[str, bytes]] = (),
        exclusive: Collection[str] = (),
    ) -> None:
        """Store small content and then what links it, durably.

        :param digest: its canonical digest.
        :param links: paths and contents that become visible after it, in order.
        :param exclusive: those of *links* where nothing may be.
        :raises PathExists: something is.
        """
        entries = [(paths.blob_data(digest), content), *links]
        self._driver.publish(entries, exclusive=exclusive)

    def adopt(
        self,
        source: str,
        digest: Digest,
        size: int,
        links: Sequence[tuple[str, bytes]] = (),
    ) -> None:
        """Move committed content into the store, then what links it, durably.

        Where moving is a rename it also takes the place of what is there: that costs
        nothing, makes each committer's own content durable, and heals a damaged file.

        :param source: a path of the driver.
        :param digest: its canonical digest, verified.
        :param size: of the content, in bytes.
        :param links: paths and contents that become visible after it, in order.
        """
        move = (source, paths.blob_data(digest))
        # To ask for a small one costs as much as to move it.
        free = self._driver.renames or size <= _SMALL
        wanted = free or not self._has(digest, size)
        self._driver.publish(links, [move] if wanted else [])

    def _has(self, digest: Digest, size: int) -> bool:
        try:
            return self._statter.stat(digest).size == size
        except BlobUnknown:
            return False
