"""Export: images of a repository into an OCI layout, bytes as they are."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from typing import BinaryIO

from flaskreg.digest import Digest
from flaskreg.digest import make_digester
from flaskreg.errors import BlobUnknown
from flaskreg.errors import ManifestUnknown
from flaskreg.manifest import Manifest
from flaskreg.mediatypes import FOREIGN_LAYERS
from flaskreg.services import Repository
from flaskreg.transfer.layout import LayoutWriter
from flaskreg.transfer.source import SourceError


_STEP = 1 << 20


class Exporter:
    """Writes images of one repository into a layout.

    What the layout has already is not read again, so an export that broke off goes on.

    :param repository: where the images are.
    :param layout: where they go.
    :param progress: is told what was written, and how much of it so far.
    """

    def __init__(
        self,
        repository: Repository,
        layout: LayoutWriter,
        progress: Callable[[str, int], None] = lambda _what, _done: None,
    ) -> None:
        self.blobs = 0
        #: in bytes.
        self.size = 0
        self._repository = repository
        self._layout = layout
        self._progress = progress
        self._done: set[Digest] = set()

    def export(self, digest: Digest, tag: str = "") -> None:
        """Write a manifest with all that it lists, and all that refers to it.

        :param tag: the name that it has in the layout; ``""`` for none.
        :raises ManifestUnknown: it is not in the repository.
        :raises BlobUnknown: something that it lists is not.
        """
        self._write(digest)
        manifest = self._repository.manifests().get(digest)
        self._layout.add(_descriptor(manifest), tag)

    def _write(self, digest: Digest) -> None:
        if digest in self._done:
            return
        self._done.add(digest)
        manifest = self._repository.manifests().get(digest)
        for child in manifest.manifests:
            try:
                self._write(child.digest)
            except ManifestUnknown:
                # An index may list platforms that were never pushed.
                continue
        for blob in manifest.blobs:
            try:
                self._write_blob(blob.digest)
            except BlobUnknown:
                if not (blob.media_type in FOREIGN_LAYERS and blob.urls):
                    raise
        if not self._layout.has(digest, len(manifest.content)):
            self._layout.put(digest, iter([manifest.content]))
        for referrer in list(self._repository.referrers.iter_referrers(digest)):
            self._write(referrer.digest)
            self._layout.add(referrer.to_json())

    def _write_blob(self, digest: Digest) -> None:
        blobs = self._repository.blobs
        descriptor = blobs.stat(digest)
        if not self._layout.has(digest, descriptor.size):
            with blobs.open(descriptor) as reader:
                self._layout.put(digest, self._chunks(reader, digest))
            self.blobs += 1
            self._progress("blobs", self.blobs)

    def _chunks(self, reader: BinaryIO, digest: Digest) -> Iterator[bytes]:
        """Yield content, and see that it is what its digest says."""
        digester = make_digester(digest.algorithm)
        while chunk := reader.read(_STEP):
            digester.update(chunk)
            self.size += len(chunk)
            self._progress("bytes", self.size)
            yield chunk
        if digester.digest() != digest:
            raise SourceError(
                f"the content of {digest} is damaged; see `flaskreg fsck`"
            )


def _descriptor(manifest: Manifest) -> dict[str, object]:
    return {
        "mediaType": manifest.media_type,
        "digest": str(manifest.digest),
        "size": len(manifest.content),
    }
