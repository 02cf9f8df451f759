"""The revisions of one repository: manifests as they are stored, by digest."""

from __future__ import annotations

import json
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from flaskreg.digest import ENCODED_LENGTHS
from flaskreg.digest import Digest
from flaskreg.errors import BlobUnknown
from flaskreg.errors import ManifestInvalid
from flaskreg.errors import ManifestUnknown
from flaskreg.lru import LRU
from flaskreg.manifest import Manifest
from flaskreg.manifest import ManifestType
from flaskreg.mediatypes import DOCKER_SCHEMA1
from flaskreg.mediatypes import OCI_INDEX
from flaskreg.mediatypes import OCI_MANIFEST
from flaskreg.storage.blobs import BlobContents
from flaskreg.storage.links import Links


#: manifests larger than this many bytes are not kept in memory.
_MEMORABLE = 256 << 10


class ManifestReader:
    """Reads manifests and remembers small ones: their content never changes.

    :param contents: the global store.
    :param types: the manifest types, by media type.
    :param size: bytes of manifests to remember.
    """

    def __init__(
        self,
        contents: BlobContents,
        types: Mapping[str, ManifestType],
        size: int = 32 << 20,
    ) -> None:
        self.contents = contents
        self._types = types
        self._memory: LRU[Digest, Manifest] = LRU(size, _weight)

    def parse(self, content: bytes, media_type: str | None, digest: Digest) -> Manifest:
        """Read a manifest.

        :param media_type: as pushed; ``None`` to tell it from the content.
        :raises ManifestInvalid: it is not a manifest of that type, or of any.
        """
        document = _decode(content)
        kind = self._types.get(media_type or _media_type(document))
        if kind is None:
            raise ManifestInvalid(
                "unsupported manifest media type and no default available: "
                f"{media_type or _media_type(document)}"
            )
        return kind.parse(content, document, digest)

    def read(self, canonical: Digest) -> Manifest:
        """Return a stored manifest.

        :raises BlobUnknown: its content is gone.
        :raises ManifestInvalid: it is of a type that no plugin here reads.
        """
        manifest = self._memory.get(canonical)
        if manifest is None:
            content = self.contents.get(canonical)
            manifest = self.parse(content, None, canonical)
            self.remember(manifest)
        return manifest

    def remember(self, manifest: Manifest) -> None:
        """Keep a manifest in memory under its canonical digest."""
        if manifest.digest.canonical and len(manifest.content) <= _MEMORABLE:
            self._memory.set(manifest.digest, manifest)


class RevisionStore:
    """The manifests that one repository links.

    :param name: of the repository.
    :param links: the links of its revisions.
    :param reader: reads what they point at.
    """

    def __init__(self, name: str, links: Links, reader: ManifestReader) -> None:
        self._name = name
        self._links = links
        self._reader = reader

    def exists(self, digest: Digest) -> bool:
        """Whether the manifest, and its content, is here."""
        target = self._links.resolve(digest)
        if target is None:
            return False
        try:
            self._reader.contents.stat(target)
        except BlobUnknown:
            return False
        return True

    def get(self, digest: Digest) -> Manifest:
        """Return a manifest under the digest that was asked for.

        :raises ManifestUnknown: it is not in this repository.
        """
        target = self._links.resolve(digest)
        if target is None:
            raise self.unknown(digest)
        try:
            manifest = self._reader.read(target)
        except BlobUnknown:
            raise self.unknown(digest) from None
        if manifest.digest == digest:
            return manifest
        return replace(manifest, digest=digest)

    def put(
        self,
        manifest: Manifest,
        links: Sequence[tuple[str, bytes]] = (),
        exclusive: Collection[str] = (),
    ) -> None:
        """Store a manifest, link it, and then what names it, durably.

        :param links: paths and contents that become visible after it, in order.
        :param exclusive: those of *links* where nothing may be.
        :raises PathExists: something is.
        """
        canonical = manifest.digest
        if not canonical.canonical:
            canonical = Digest.of(manifest.content)
        entries = self._links.entries(manifest.digest, canonical)
        self._reader.contents.put(
            manifest.content, canonical, [*entries, *links], exclusive
        )
        self._reader.remember(manifest)

    def delete(self, manifest: Manifest) -> tuple[Digest, ...]:
        """Unlink a manifest by all of its digests, and return those."""
        names = tuple(
            Digest.of(manifest.content, algorithm) for algorithm in ENCODED_LENGTHS
        )
        self._links.unlink(*names)
        return names

    def unknown(self, digest: Digest) -> ManifestUnknown:
        """Return the error for a manifest that is not here."""
        return ManifestUnknown(f"unknown manifest name={self._name} revision={digest}")


def _weight(manifest: Manifest) -> int:
    """Return about how much memory a manifest takes, its decoded form included."""
    return 1024 + 5 * len(manifest.content)


def _decode(content: bytes) -> Mapping[str, Any]:
    """Read JSON as other languages do: UTF-8 without a mark, and finite numbers."""
    try:
        document = json.loads(content.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ManifestInvalid(f"not a JSON document: {error}") from None
    if not isinstance(document, dict):
        raise ManifestInvalid("a manifest is a JSON object")
    return document


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")


def _media_type(document: Mapping[str, Any]) -> str:
    """Return the media type that a stored document states, or has by its shape."""
    stated = document.get("mediaType")
    if isinstance(stated, str) and stated:
        return stated
    if document.get("schemaVersion") == 1:
        return DOCKER_SCHEMA1
    return OCI_INDEX if "manifests" in document else OCI_MANIFEST
