"""A repository that keeps payloads and signatures apart, as docker's registry 2.0 did.

The digest of a signed manifest is that of its payload: who signs it again does not
change it, and its signatures add up.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from flaskreg.digest import Digest
from flaskreg.errors import ManifestInvalid
from flaskreg.errors import TagInvalid
from flaskreg.manifest import Manifest
from flaskreg.mediatypes import DOCKER_SCHEMA1
from flaskreg.services import ManifestServiceOption
from flaskreg.services import ManifestStore
from flaskreg.services import Repository
from flaskreg.services import SignatureStore
from flaskreg.servicewrappers import ManifestStoreWrapper
from flaskreg.servicewrappers import RepositoryWrapper
from flaskreg_schema1.jws import put_together
from flaskreg_schema1.jws import take_apart


#: how signed manifests are told.
SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"

#: what a signed manifest may be pushed as; the oldest clients say nothing of it.
_PUSHED = frozenset({SIGNED, DOCKER_SCHEMA1, "application/json", ""})


class SignedManifests(ManifestStoreWrapper):
    """The manifests of a repository, of which some are signed.

    :param name: of the repository.
    :param inner: where payloads and all other manifests are.
    :param signatures: where the signatures are.
    """

    def __init__(
        self, name: str, inner: ManifestStore, signatures: SignatureStore
    ) -> None:
        super().__init__(inner)
        self._name = name
        self._signatures = signatures

    def get(self, digest: Digest) -> Manifest:
        """Return a manifest, with its signatures when it is signed."""
        return self._whole(self.inner.get(digest))

    def get_tagged(self, tag: str) -> Manifest:
        """Return the manifest that a tag names, likewise."""
        return self._whole(self.inner.get_tagged(tag))

    def put(
        self,
        content: bytes,
        media_type: str,
        digest: Digest | None = None,
        tags: Sequence[str] = (),
        frozen: Collection[str] = (),
    ) -> Manifest:
        """Store a manifest; of a signed one the payload, and then what names it.

        :raises ManifestUnverified: a signature is missing or wrong.
        """
        document = _schema1(content) if media_type in _PUSHED else None
        if document is None:
            return self.inner.put(content, media_type, digest, tags, frozen)
        signed = take_apart(content, document)
        self._check(document, tags)
        # Whoever sees the manifest finds its signatures.
        self._signatures.put(Digest.of(signed.payload), *signed.signatures)
        stored = self.inner.put(signed.payload, DOCKER_SCHEMA1, digest, tags, frozen)
        return self._whole(stored)

    def _check(self, document: Mapping[str, Any], tags: Sequence[str]) -> None:
        """Refuse what was signed for another repository or tag."""
        if document.get("name") != self._name:
            raise ManifestInvalid("name: it is not that of the repository")
        if any(tag != document.get("tag") for tag in tags):
            raise TagInvalid({"tag": str(document.get("tag"))[:128]})

    def _whole(self, manifest: Manifest) -> Manifest:
        if manifest.media_type != DOCKER_SCHEMA1:
            return manifest
        revision = Digest.of(manifest.content)
        content = put_together(manifest.content, self._signatures.get(revision))
        return replace(manifest, media_type=SIGNED, content=content)


class SignedRepository(RepositoryWrapper):
    """A repository with signed manifests; all else is another one's.

    :param inner: the other one.
    """

    def __init__(self, inner: Repository) -> None:
        super().__init__(inner)
        self._plain = self._signed(inner.manifests())

    def manifests(self, *options: ManifestServiceOption) -> ManifestStore:
        """Return the manifests, seen with *options*."""
        return self._signed(self.inner.manifests(*options)) if options else self._plain

    def __getattr__(self, name: str) -> Any:
        # What a repository of another kind has beside the contract.
        if name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)

    def _signed(self, manifests: ManifestStore) -> SignedManifests:
        return SignedManifests(self.name, manifests, self.signatures)


def _schema1(content: bytes) -> Mapping[str, Any] | None:
    """Return the document when it is of schema 1."""
    try:
        document = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    version = document.get("schemaVersion")
    return document if version == 1 and not isinstance(version, bool) else None
