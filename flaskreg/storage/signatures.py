"""The signatures of revisions, where docker/distribution 2.0 to 2.4 kept them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from flaskreg.digest import ENCODED_LENGTHS
from flaskreg.digest import Digest
from flaskreg.digest import parse_digest
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.errors import BlobUnknown
from flaskreg.errors import DigestInvalid
from flaskreg.services import SignatureStore
from flaskreg.storage import paths
from flaskreg.storage.blobs import BlobContents
from flaskreg.storage.links import link_to
from flaskreg.storage.links import read_link


class LocalSignatures(SignatureStore):
    """Signatures on a storage driver; each is a blob and a link of its own.

    :param driver: where the links are.
    :param name: of the repository.
    :param contents: where the signatures are.
    """

    def __init__(
        self, driver: StorageDriver, name: str, contents: BlobContents
    ) -> None:
        self._driver = driver
        self._name = name
        self._contents = contents

    def get(self, revision: Digest) -> Sequence[bytes]:
        """Return the signatures of a revision; a damaged one is left out."""
        found = []
        for digest in self._linked(revision):
            directory = paths.signature(self._name, revision, digest)
            target = read_link(self._driver, directory)
            if target is not None:
                with suppress(BlobUnknown):
                    found.append(self._contents.get(target))
        return found

    def put(self, revision: Digest, *signatures: bytes) -> None:
        """Add signatures; the same one twice is one."""
        for signature in signatures:
            digest = Digest.of(signature)
            directory = paths.signature(self._name, revision, digest)
            self._contents.put(signature, digest, [link_to(directory, digest)])

    def _linked(self, revision: Digest) -> Sequence[Digest]:
        found = []
        base = paths.signatures(self._name, revision)
        for algorithm in ENCODED_LENGTHS:
            with suppress(PathNotFound):
                for name in self._driver.list(f"{base}/{algorithm}"):
                    with suppress(DigestInvalid):
                        found.append(parse_digest(f"{algorithm}:{name}"))
        return sorted(found)
