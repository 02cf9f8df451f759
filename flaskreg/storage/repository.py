"""One repository on a storage driver: it composes the stores of one name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flaskreg.cache import DescriptorCache
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.manifest import ManifestOption
from flaskreg.services import ManifestServiceOption
from flaskreg.services import ManifestServiceOptions
from flaskreg.services import ManifestStore
from flaskreg.services import Repository
from flaskreg.storage import paths
from flaskreg.storage.blobs import BlobContents
from flaskreg.storage.blobs import CachedStatter
from flaskreg.storage.blobs import GlobalStatter
from flaskreg.storage.linkedblobs import LinkedBlobStore
from flaskreg.storage.links import LinkedStatter
from flaskreg.storage.links import Links
from flaskreg.storage.listings import Listings
from flaskreg.storage.manifests import LocalManifests
from flaskreg.storage.referrers import LocalReferrers
from flaskreg.storage.revisions import ManifestReader
from flaskreg.storage.revisions import RevisionStore
from flaskreg.storage.signatures import LocalSignatures
from flaskreg.storage.sweepguard import SweepGuard
from flaskreg.storage.tags import LocalTags
from flaskreg.storage.uploads import LocalUploads


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What all repositories of one registry share."""

    driver: StorageDriver
    listings: Listings
    cache: DescriptorCache
    contents: BlobContents
    reader: ManifestReader
    checks: Sequence[ManifestOption]
    guard: SweepGuard
    delete_enabled: bool
    resumable: bool
    tag_concurrency: int


class LocalRepository(Repository):
    """A repository whose stores are on a storage driver; it keeps no state.

    :param name: already parsed.
    :param parts: what it shares with the other repositories.
    """

    def __init__(self, name: str, parts: Parts) -> None:
        driver = parts.driver
        layers = Links(driver, name, paths.layer)
        known = CachedStatter(GlobalStatter(driver), parts.cache)
        self.name = name
        self._parts = parts
        self._revisions = RevisionStore(
            name, Links(driver, name, paths.revision), parts.reader
        )
        self.blobs: LinkedBlobStore = LinkedBlobStore(
            name,
            driver=driver,
            contents=parts.contents,
            links=layers,
            statter=LinkedStatter(layers, CachedStatter(known, parts.cache, name)),
            cache=parts.cache,
            guard=parts.guard,
            delete_enabled=parts.delete_enabled,
        )
        self.uploads = LocalUploads(driver, self.blobs, name, resumable=parts.resumable)
        self.tags: LocalTags = LocalTags(
            driver,
            parts.listings,
            name,
            delete_enabled=parts.delete_enabled,
            concurrency=parts.tag_concurrency,
        )
        self.referrers: LocalReferrers = LocalReferrers(
            driver, parts.listings, name, self._revisions, self.tags
        )
        self.signatures = LocalSignatures(driver, name, parts.contents)
        self._plain = self._manifests(ManifestServiceOptions())

    def manifests(self, *options: ManifestServiceOption) -> ManifestStore:
        """Return the manifests, seen with *options*."""
        if not options:
            return self._plain
        combined = ManifestServiceOptions()
        for option in options:
            combined = option.apply(combined)
        return self._manifests(combined)

    def exists(self) -> bool:
        """Whether anything was ever stored in it."""
        try:
            self._parts.driver.stat(paths.repository(self.name))
        except PathNotFound:
            return False
        return True

    def _manifests(self, options: ManifestServiceOptions) -> LocalManifests:
        return LocalManifests(
            self,
            reader=self._parts.reader,
            revisions=self._revisions,
            tags=self.tags,
            referrers=self.referrers,
            checks=self._parts.checks,
            guard=self._parts.guard,
            options=options,
            delete_enabled=self._parts.delete_enabled,
        )
