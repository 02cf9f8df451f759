"""Import from a storage that CNCF distribution, or another flaskreg, wrote."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

from flaskreg.digest import Digest
from flaskreg.digest import parse_digest
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.errors import DigestInvalid
from flaskreg.storage import paths
from flaskreg.storage.links import read_link
from flaskreg.transfer.source import Listing
from flaskreg.transfer.source import ManifestMissing
from flaskreg.transfer.source import Source
from flaskreg.transfer.source import SourceError
from flaskreg.transfer.source import media_type_of
from flaskreg.upkeep.survey import iter_repositories


class TreeSource(Source):
    """Images in distribution's layout.

    :param driver: where the tree is; nothing is written to it.
    """

    def __init__(self, driver: StorageDriver) -> None:
        self._driver = driver

    def iter_repositories(self) -> Iterator[str]:
        """Yield the repositories that have manifests."""
        for name in iter_repositories(self._driver):
            with suppress(PathNotFound):
                self._driver.stat(paths.manifests(name))
                yield name

    def get_listing(self, repository: str) -> Listing:
        """Return all tags and revisions; a damaged link leads nowhere."""
        tags = {}
        for tag in self._children(paths.tags(repository)):
            digest = read_link(self._driver, paths.tag_current(repository, tag))
            if digest is not None:
                tags[tag] = digest
        return Listing(tags, sorted(set(self._revisions(repository))))

    def _revisions(self, repository: str) -> Iterator[Digest]:
        base = paths.revisions(repository)
        for algorithm in self._children(base):
            for encoded in self._children(f"{base}/{algorithm}"):
                # distribution deletes a link and leaves its directory.
                with suppress(DigestInvalid, PathNotFound):
                    self._driver.stat(f"{base}/{algorithm}/{encoded}/link")
                    yield parse_digest(f"{algorithm}:{encoded}")

    def get_manifest(self, repository: str, digest: Digest) -> tuple[bytes, str]:
        """Return a revision of the repository."""
        directory = paths.revision(repository, digest)
        try:
            self._driver.stat(paths.link(directory))
        except PathNotFound:
            raise ManifestMissing(f"{repository} has no manifest {digest}") from None
        # A damaged link leads where its name says.
        target = read_link(self._driver, directory)
        try:
            content = self._driver.get_content(paths.blob_data(target or digest))
        except PathNotFound:
            raise SourceError(f"the manifest {digest} has no content") from None
        return content, media_type_of(content)

    def open_blob(self, repository: str, digest: Digest) -> BinaryIO:
        """Open content that the repository links."""
        target = read_link(self._driver, paths.layer(repository, digest))
        try:
            return self._driver.reader(paths.blob_data(target or digest))
        except PathNotFound:
            raise SourceError(f"the blob {digest} has no content") from None

    def _children(self, directory: str) -> list[str]:
        try:
            return sorted(self._driver.list(directory))
        except PathNotFound:
            return []
