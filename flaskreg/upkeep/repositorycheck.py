"""The check of one repository: its links, manifests, tags, referrers and uploads."""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field

from flaskreg.descriptor import Descriptor
from flaskreg.descriptor import parse_descriptor
from flaskreg.digest import Digest
from flaskreg.digest import parse_digest
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.errors import DigestInvalid
from flaskreg.errors import ManifestInvalid
from flaskreg.errors import TagInvalid
from flaskreg.manifest import Manifest
from flaskreg.mediatypes import FOREIGN_LAYERS
from flaskreg.names import parse_tag
from flaskreg.storage import paths
from flaskreg.storage.links import read_link
from flaskreg.storage.revisions import ManifestReader
from flaskreg.upkeep.findings import Finding


_KNOWN = {"_layers", "_manifests", "_uploads", "_referrers"}


@dataclass(slots=True)
class _Seen:
    """What is good of a repository."""

    name: str
    #: canonical digests by those under which something is linked.
    layers: dict[Digest, Digest] = field(default_factory=dict)
    revisions: dict[Digest, Digest] = field(default_factory=dict)
    #: digests, other than canonical ones, whose link is damaged.
    broken: set[Digest] = field(default_factory=set)
    #: canonical digests of blobs that were told of.
    told: set[Digest] = field(default_factory=set)


class RepositoryCheck:
    """Checks repositories; it only reads.

    :param driver: of the storage.
    :param reader: parses manifests.
    """

    def __init__(self, driver: StorageDriver, reader: ManifestReader) -> None:
        self._driver = driver
        self._reader = reader

    def check(self, name: str) -> Iterator[Finding]:
        """Yield what is wrong with a repository."""
        seen = _Seen(name)
        base = paths.repository(name)
        for child in self._children(base):
            if child.startswith("_") and child not in _KNOWN:
                yield Finding("foreign", f"{base}/{child}", name)
        yield from self._links(seen, seen.layers, paths.layers(name), paths.layer)
        yield from self._links(
            seen, seen.revisions, paths.revisions(name), paths.revision
        )
        # Another digest counts only while the canonical one is linked.
        for revision in sorted(each for each in seen.revisions if each.canonical):
            yield from self._manifest(seen, revision)
        for digest in sorted(seen.layers.keys() - seen.told):
            if digest.canonical and self._size(digest) is None:
                link = paths.link(paths.layer(name, digest))
                yield Finding("link-to-nothing", link, name, digest)
        yield from self._tags(seen)
        yield from self._referrers(seen)
        yield from self._uploads(name)

    # Links

    def _links(
        self,
        seen: _Seen,
        good: dict[Digest, Digest],
        base: str,
        directory: Callable[[str, Digest], str],
    ) -> Iterator[Finding]:
        name = seen.name
        for digest, place in self._digests(base):
            if digest is None:
                yield Finding("foreign", place, name)
                continue
            link = paths.link(directory(name, digest))
            target = read_link(self._driver, directory(name, digest))
            # A canonical link holds its own digest, another one a canonical digest.
            fits = target == digest or not digest.canonical
            if target is not None and target.canonical and fits:
                good[digest] = target
                continue
            if self._exists(link):
                yield Finding("damaged-link", link, name, digest)
                if digest.canonical:
                    good[digest] = digest
                else:
                    seen.broken.add(digest)

    def _digests(self, base: str) -> Iterator[tuple[Digest | None, str]]:
        for algorithm in self._children(base):
            for encoded in self._children(f"{base}/{algorithm}"):
                place = f"{base}/{algorithm}/{encoded}"
                try:
                    yield parse_digest(f"{algorithm}:{encoded}"), place
                except DigestInvalid:
                    yield None, place

    # Manifests

    def _manifest(self, seen: _Seen, revision: Digest) -> Iterator[Finding]:
        data = paths.blob_data(revision)
        try:
            content = self._driver.get_content(data)
        except PathNotFound:
            link = paths.link(paths.revision(seen.name, revision))
            yield Finding("missing-manifest", link, seen.name, revision)
            return
        if Digest.of(content) != revision:
            yield Finding("wrong-content", data, seen.name, revision)
            return
        try:
            manifest = self._reader.parse(content, None, revision)
        except (ManifestInvalid, DigestInvalid):
            # Of a type that is not known here; what it needs is not known either.
            return
        for blob in manifest.blobs:
            yield from self._blob(seen, blob)
        yield from self._subject(seen, manifest)

    def _blob(self, seen: _Seen, blob: Descriptor) -> Iterator[Finding]:
        digest = seen.layers.get(blob.digest) or seen.revisions.get(blob.digest)
        linked = digest in seen.layers or digest in seen.revisions
        if digest is None:
            digest = blob.digest
        foreign = blob.media_type in FOREIGN_LAYERS and blob.urls
        if digest in seen.told or digest in seen.broken or foreign:
            return
        seen.told.add(digest)
        data = paths.blob_data(digest)
        size = self._size(digest)
        if size is None:
            yield Finding("missing-blob", data, seen.name, digest)
        elif size != blob.size:
            yield Finding("wrong-content", data, seen.name, digest)
        elif not linked:
            link = paths.link(paths.layer(seen.name, digest))
            yield Finding("unlinked-blob", link, seen.name, digest)

    def _subject(self, seen: _Seen, manifest: Manifest) -> Iterator[Finding]:
        if manifest.subject is None:
            return
        names = [n for n, t in seen.revisions.items() if t == manifest.digest]
        subject = manifest.subject.digest
        entries = [paths.referrer(seen.name, subject, each) for each in names]
        if not any(self._exists(entry) for entry in entries):
            entry = paths.referrer(seen.name, subject, manifest.digest)
            yield Finding(
                "missing-referrer", entry, seen.name, manifest.digest, subject
            )

    # Tags, referrers, uploads

    def _tags(self, seen: _Seen) -> Iterator[Finding]:
        name = seen.name
        for tag in self._children(paths.tags(name)):
            try:
                parse_tag(tag)
            except TagInvalid:
                yield Finding("foreign", paths.tag(name, tag), name)
                continue
            directory = paths.tag_current(name, tag)
            target = read_link(self._driver, directory)
            link = paths.link(directory)
            if target is None and self._exists(link):
                yield Finding("damaged-tag", link, name, tag=tag)
            elif target is not None and target not in seen.revisions:
                yield Finding("dangling-tag", link, name, target, tag=tag)

    def _referrers(self, seen: _Seen) -> Iterator[Finding]:
        name = seen.name
        for subject, place in self._digests(paths.all_referrers(name)):
            if subject is None:
                yield Finding("foreign", place, name)
                continue
            for entry in self._children(place):
                path = f"{place}/{entry}"
                try:
                    digest = parse_digest(entry.replace("-", ":", 1))
                except DigestInvalid:
                    yield Finding("foreign", path, name)
                    continue
                if digest not in seen.revisions:
                    yield Finding("dangling-referrer", path, name, digest, subject)
                elif not self._is_descriptor(path):
                    yield Finding("damaged-referrer", path, name, digest, subject)

    def _is_descriptor(self, path: str) -> bool:
        try:
            document = json.loads(self._driver.get_content(path))
            parse_descriptor(document, "referrer")
        except (PathNotFound, ValueError, ManifestInvalid, DigestInvalid):
            return False
        return True

    def _uploads(self, name: str) -> Iterator[Finding]:
        for session in self._children(paths.uploads(name)):
            if not self._exists(paths.upload_started(name, session)):
                yield Finding("broken-upload", paths.upload(name, session), name)

    # The storage

    def _size(self, digest: Digest) -> int | None:
        try:
            return self._driver.stat(paths.blob_data(digest)).size
        except PathNotFound:
            return None

    def _exists(self, path: str) -> bool:
        try:
            self._driver.stat(path)
        except PathNotFound:
            return False
        return True

    def _children(self, directory: str) -> list[str]:
        try:
            return sorted(self._driver.list(directory))
        except PathNotFound:
            return []
