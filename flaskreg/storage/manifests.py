"""The manifests of one repository: options, revisions, referrers and tags together."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import suppress

from flaskreg.digest import CANONICAL
from flaskreg.digest import Digest
from flaskreg.driver import PathExists
from flaskreg.errors import BlobUnknown
from flaskreg.errors import DigestInvalid
from flaskreg.errors import ManifestInvalid
from flaskreg.errors import ManifestUnknown
from flaskreg.errors import Unsupported
from flaskreg.manifest import Manifest
from flaskreg.manifest import ManifestOption
from flaskreg.services import ManifestNotModified
from flaskreg.services import ManifestServiceOptions
from flaskreg.services import ManifestStore
from flaskreg.services import Repository
from flaskreg.storage.referrers import LocalReferrers
from flaskreg.storage.revisions import ManifestReader
from flaskreg.storage.revisions import RevisionStore
from flaskreg.storage.sweepguard import SweepGuard
from flaskreg.storage.sweepguard import tag_mark
from flaskreg.storage.tags import LocalTags


class LocalManifests(ManifestStore):
    """One view of the manifests of a repository.

    :param repository: handed to the manifest options.
    :param reader: parses what is pushed.
    :param revisions: the stored manifests.
    :param tags: the tags.
    :param referrers: told of each subject.
    :param checks: the manifest options, in their order.
    :param guard: keeps what is stored from a garbage collection.
    :param options: how this view behaves.
    :param delete_enabled: whether :meth:`delete` may.
    """

    def __init__(
        self,
        repository: Repository,
        *,
        reader: ManifestReader,
        revisions: RevisionStore,
        tags: LocalTags,
        referrers: LocalReferrers,
        checks: Sequence[ManifestOption],
        guard: SweepGuard,
        options: ManifestServiceOptions,
        delete_enabled: bool,
    ) -> None:
        self._repository = repository
        self._reader = reader
        self._revisions = revisions
        self._tags = tags
        self._referrers = referrers
        self._guard = guard
        self._options = options
        self._delete_enabled = delete_enabled
        self._checks = [
            check
            for check in checks
            if not (options.skip_layer_verification and check.verifies_references)
        ]

    def exists(self, digest: Digest) -> bool:
        """Whether the manifest is in this repository."""
        return self._revisions.exists(digest)

    def get(self, digest: Digest) -> Manifest:
        """Return a manifest."""
        return self._revisions.get(digest)

    def get_tagged(self, tag: str) -> Manifest:
        """Return the manifest that a tag names, unless the caller has it."""
        digest = self._tags.get(tag)
        if self._options.etag == (tag, digest):
            raise ManifestNotModified
        return self._revisions.get(digest)

    def put(
        self,
        content: bytes,
        media_type: str,
        digest: Digest | None = None,
        tags: Sequence[str] = (),
        frozen: Collection[str] = (),
    ) -> Manifest:
        """Check a manifest, store it, and only then let tags name it."""
        actual = Digest.of(content, digest.algorithm if digest else CANONICAL)
        if digest is not None and digest != actual:
            raise DigestInvalid({"given": digest, "actual": actual})
        manifest = self._reader.parse(content, media_type, actual)

        def store() -> None:
            for check in self._checks:
                check.before_put(self._repository, manifest)
            self._store(manifest, tags, frozen)

        self._guard.protect(lambda: self._relied_on(manifest, tags), store)
        for check in self._checks:
            check.after_put(self._repository, manifest)
        return manifest

    def _relied_on(self, manifest: Manifest, tags: Iterable[str]) -> Iterator[Digest]:
        """Yield what a push needs: tags, manifest, blobs, and its manifests' own."""
        yield from (tag_mark(self._repository.name, tag) for tag in tags)
        todo, seen = [manifest], {manifest.digest}
        while todo:
            each = todo.pop()
            yield Digest.of(each.content)
            for blob in each.blobs:
                with suppress(BlobUnknown):
                    yield self._repository.blobs.stat(blob.digest).digest
            for child in (*each.manifests, *each.blobs):
                if child.digest not in seen:
                    seen.add(child.digest)
                    with suppress(ManifestUnknown, ManifestInvalid):
                        todo.append(self._revisions.get(child.digest))

    def _store(
        self, manifest: Manifest, tags: Sequence[str], frozen: Collection[str]
    ) -> None:
        """Store a manifest with its links; tags that may not be moved are made once."""
        digest = manifest.digest
        links: list[tuple[str, bytes]] = []
        if manifest.subject is not None:
            subject = manifest.subject.digest
            links.append(self._referrers.entry(subject, manifest.descriptor))
        for tag in tags:
            links += self._tags.entries(tag, digest)
        while True:
            exclusive = self._tags.made(frozen, digest)
            try:
                self._revisions.put(manifest, links, exclusive)
            except PathExists:
                # Somebody made one of them in this moment: look at it again.
                continue
            return

    def delete(self, digest: Digest) -> Sequence[str]:
        """Delete a manifest with its tags and, as a referrer, its link."""
        if not self._delete_enabled:
            raise Unsupported
        manifest = self._revisions.get(digest)
        for check in self._checks:
            check.before_delete(self._repository, digest)
        names = self._revisions.delete(manifest)
        tags = self._tags.lookup(names)
        for tag in tags:
            self._tags.drop(tag)
        if manifest.subject is not None:
            for name in names:
                self._referrers.unlink(manifest.subject.digest, name)
        return tags

    def warnings(self, manifest: Manifest) -> Sequence[str]:
        """Return what the options warn of."""
        return [
            sentence
            for check in self._checks
            for sentence in check.warnings(self._repository, manifest)
        ]
