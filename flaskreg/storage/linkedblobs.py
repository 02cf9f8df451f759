"""The blobs of one repository."""

from __future__ import annotations

from typing import BinaryIO

from flaskreg.cache import DescriptorCache
from flaskreg.descriptor import Descriptor
from flaskreg.digest import Digest
from flaskreg.driver import StorageDriver
from flaskreg.errors import BlobUnknown
from flaskreg.errors import DigestInvalid
from flaskreg.errors import Unsupported
from flaskreg.mediatypes import OCTET_STREAM
from flaskreg.services import BlobStatter
from flaskreg.services import BlobStore
from flaskreg.storage.blobs import BlobContents
from flaskreg.storage.links import Links


def expect_digest(found: Digest, stated: Digest) -> None:
    """Compare the digest of a content with the one that it was pushed by.

    :raises DigestInvalid: they differ.
    """
    if found != stated:
        raise DigestInvalid(
            "invalid digest for referenced layer: "
            f"{stated}, content does not match digest"
        )


class LinkedBlobStore(BlobStore):
    """Global content seen through the links of one repository.

    A descriptor is had from :meth:`stat` alone, which asks for the link first.

    :param name: of the repository.
    :param driver: where the links are.
    :param contents: the global store.
    :param links: what makes content a member.
    :param statter: a statter that checks those links.
    :param cache: told what is stored and what is deleted.
    :param delete_enabled: whether :meth:`delete` may.
    """

    def __init__(
        self,
        name: str,
        *,
        driver: StorageDriver,
        contents: BlobContents,
        links: Links,
        statter: BlobStatter,
        cache: DescriptorCache,
        delete_enabled: bool,
    ) -> None:
        self._name = name
        self._driver = driver
        self._contents = contents
        self._links = links
        self._statter = statter
        self._cache = cache
        self._delete_enabled = delete_enabled

    def stat(self, digest: Digest) -> Descriptor:
        """Return the descriptor of a blob of this repository."""
        return self._statter.stat(digest)

    def get(self, digest: Digest) -> bytes:
        """Return the content of a small blob."""
        return self._contents.get(self._statter.stat(digest).digest)

    def open(self, descriptor: Descriptor, offset: int = 0) -> BinaryIO:
        """Open a blob for reading."""
        return self._contents.open(descriptor.digest, offset)

    def redirect(self, descriptor: Descriptor, method: str) -> str | None:
        """Return the driver's URL of a blob, if it has one."""
        return self._contents.redirect(descriptor.digest, method)

    def put(self, content: bytes, media_type: str = OCTET_STREAM) -> Descriptor:
        """Store a small blob."""
        digest = Digest.of(content)
        self._contents.put(content, digest, self._links.entries(digest, digest))
        return self._remember(Descriptor(media_type, digest, len(content)))

    def take(self, content: bytes, digest: Digest) -> Descriptor:
        """Store a small blob that was pushed.

        :param digest: by which it was pushed.
        :raises DigestInvalid: the content has another one.
        """
        found = Digest.of(content, digest.algorithm)
        expect_digest(found, digest)
        canonical = found if found.canonical else Digest.of(content)
        self._contents.put(content, canonical, self._links.entries(digest, canonical))
        return self._remember(Descriptor(OCTET_STREAM, canonical, len(content)))

    def mount(self, digest: Digest, source: str) -> Descriptor | None:
        """Link a blob of repository *source* here."""
        target = self._links.of(source).resolve(digest)
        if target is None:
            return None
        try:
            descriptor = self._contents.stat(target)
        except BlobUnknown:
            return None
        self._driver.publish(self._links.entries(digest, target))
        return self._remember(descriptor)

    def adopt(self, source: str, digest: Digest, descriptor: Descriptor) -> Descriptor:
        """Move the committed content of an upload into the store and link it.

        :param source: a path of the driver.
        :param digest: by which it was pushed.
        :param descriptor: of the content, by its canonical digest.
        """
        canonical = descriptor.digest
        links = self._links.entries(digest, canonical)
        self._contents.adopt(source, canonical, descriptor.size, links)
        return self._remember(descriptor)

    def delete(self, digest: Digest) -> None:
        """Take a blob out of this repository."""
        if not self._delete_enabled:
            raise Unsupported
        target = self._links.resolve(digest)
        if target is None:
            raise BlobUnknown({"digest": digest})
        self._cache.clear(target, self._name)
        self._links.unlink(target, digest)

    def _remember(self, descriptor: Descriptor) -> Descriptor:
        self._cache.set(descriptor.digest, descriptor, self._name)
        return descriptor
