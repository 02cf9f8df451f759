"""Import: whole images into a registry, each blob once, bytes as they are.

Everything goes through the services of the registry, so it is checked, durable and
counted like a push. What is there already is left out, so an import that broke off goes
on where it was when it is started again.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from typing import BinaryIO

from flaskreg.digest import Digest
from flaskreg.errors import BlobUnknown
from flaskreg.errors import ManifestUnknown
from flaskreg.errors import RegistryError
from flaskreg.mediatypes import FOREIGN_LAYERS
from flaskreg.services import ManifestServiceOption
from flaskreg.services import Registry
from flaskreg.services import Repository
from flaskreg.services import SkipLayerVerification
from flaskreg.transfer.source import ManifestMissing
from flaskreg.transfer.source import Source
from flaskreg.transfer.source import SourceError
from flaskreg.transfer.source import decode
from flaskreg.transfer.source import digest_in
from flaskreg.transfer.source import listed


_STEP = 1 << 20
#: how deep indexes may be nested.
_DEEPEST = 32


@dataclass(slots=True)
class Imported:
    """What an import did."""

    manifests: int = 0
    blobs: int = 0
    tags: int = 0
    #: of blobs that were copied, in bytes.
    size: int = 0
    #: blobs that were there.
    skipped: int = 0
    #: one sentence for each image that was not imported.
    failed: list[str] = field(default_factory=list)


class Importer:
    """Imports from one source.

    :param source: where images are.
    :param registry: where they go.
    :param progress: is told how many bytes of how many blobs were copied so far.
    :param failed: is told each failure when it happens.
    """

    def __init__(
        self,
        source: Source,
        registry: Registry,
        *,
        progress: Callable[[str, int], None] = lambda _what, _done: None,
        failed: Callable[[str], None] = lambda _sentence: None,
    ) -> None:
        self.totals = Imported()
        self._source = source
        self._registry = registry
        self._progress = progress
        self._failed = failed
        self._done: set[tuple[str, Digest]] = set()

    def run(self, target: str | None = None) -> Imported:
        """Import every repository of the source.

        :param target: the name of the one repository that takes it; ``None`` keeps
            names.
        :raises SourceError: the source cannot tell what it has, or has no names.
        """
        for name in self._source.iter_repositories():
            wanted = target or name
            if not wanted:
                raise SourceError("the images have no name: say which one they get")
            self._import_repository(name, self._registry.repository(wanted))
        return self.totals

    def _import_repository(self, name: str, repository: Repository) -> None:
        listing = self._source.get_listing(name)
        tagged = set(listing.tags.values())
        for digest in listing.untagged:
            if digest not in tagged:
                self._attempt(name, repository, digest, None)
        for tag, digest in listing.tags.items():
            self._attempt(name, repository, digest, tag)

    def _attempt(
        self, name: str, repository: Repository, digest: Digest, tag: str | None
    ) -> None:
        """Import one image; a failure is told, and the next one is tried."""
        try:
            self._copy(name, repository, digest)
            if tag is not None and not self._is_tagged(repository, tag, digest):
                self._tag(repository, tag, digest)
                self.totals.tags += 1
        except (SourceError, RegistryError) as error:
            sentence = f"{repository.name}{f':{tag}' if tag else ''}@{digest}: {error}"
            self.totals.failed.append(sentence)
            self._failed(sentence)

    def _tag(self, repository: Repository, tag: str, digest: Digest) -> None:
        """Push a manifest again by its tag, as a garbage collection respects it."""
        manifest = repository.manifests().get(digest)
        content, media_type = manifest.content, manifest.media_type
        try:
            repository.manifests().put(content, media_type, digest, [tag])
        except RegistryError:
            if not manifest.manifests:
                raise
            # An index of which not all is here.
            whole = repository.manifests(SkipLayerVerification())
            whole.put(content, media_type, digest, [tag])

    def _is_tagged(self, repository: Repository, tag: str, digest: Digest) -> bool:
        try:
            return repository.tags.get(tag) == digest
        except ManifestUnknown:
            return False

    def _copy(
        self, name: str, repository: Repository, digest: Digest, depth: int = 0
    ) -> None:
        """Copy a manifest after all that it lists, then what refers to it."""
        if (name, digest) in self._done:
            return
        if depth > _DEEPEST:
            raise SourceError(f"indexes are nested deeper than {_DEEPEST}")
        if not repository.manifests().exists(digest):
            self._put(name, repository, digest, depth)
        self._done.add((name, digest))
        for referrer in self._source.get_referrers(name, digest):
            self._copy(name, repository, referrer, depth + 1)

    def _put(
        self, name: str, repository: Repository, digest: Digest, depth: int
    ) -> None:
        content, media_type = self._source.get_manifest(name, digest)
        if Digest.of(content, digest.algorithm) != digest:
            raise SourceError(f"the manifest {digest} has other content")
        document = decode(content)
        options: list[ManifestServiceOption] = []
        for child in listed(document, "manifests"):
            try:
                self._copy(name, repository, digest_in(child), depth + 1)
            except ManifestMissing:
                # An index may list more than was kept where it comes from.
                options = [SkipLayerVerification()]
        for blob in self._blobs(document):
            self._copy_blob(name, repository, blob)
        repository.manifests(*options).put(content, media_type, digest)
        self.totals.manifests += 1
        self._progress("manifests", self.totals.manifests)

    def _blobs(self, document: dict[str, object]) -> Iterator[Digest]:
        config = document.get("config")
        for blob in (
            *listed({"config": [config]}, "config"),
            *listed(document, "layers"),
        ):
            if not (blob.get("mediaType") in FOREIGN_LAYERS and blob.get("urls")):
                yield digest_in(blob)

    def _copy_blob(self, name: str, repository: Repository, digest: Digest) -> None:
        try:
            repository.blobs.stat(digest)
        except BlobUnknown:
            pass
        else:
            self.totals.skipped += 1
            return
        session = repository.uploads.start(digest.algorithm)
        try:
            with self._source.open_blob(name, digest) as reader:
                session.commit(digest, self._chunks(reader))
        except BaseException:
            session.cancel()
            raise
        self.totals.blobs += 1
        self._progress("blobs", self.totals.blobs)

    def _chunks(self, reader: BinaryIO) -> Iterator[bytes]:
        while chunk := reader.read(_STEP):
            self.totals.size += len(chunk)
            self._progress("bytes", self.totals.size)
            yield chunk
