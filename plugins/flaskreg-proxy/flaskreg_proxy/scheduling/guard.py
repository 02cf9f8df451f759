"""Repositories whose pushes keep what they store, until it is linked.

Between content and its link a push has a moment in which nothing links the content, and
a mount has one in which it relies on somebody else's link.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextlib import ExitStack
from datetime import datetime
from typing import BinaryIO

from flaskreg.descriptor import Descriptor
from flaskreg.digest import CANONICAL
from flaskreg.digest import Digest
from flaskreg.handover import ContentRequest
from flaskreg.handover import Handover
from flaskreg.lru import LRU
from flaskreg.manifest import Manifest
from flaskreg.mediatypes import OCTET_STREAM
from flaskreg.services import BlobStore
from flaskreg.services import ManifestServiceOption
from flaskreg.services import ManifestStore
from flaskreg.services import Registry
from flaskreg.services import Repository
from flaskreg.services import Scope
from flaskreg.services import SignatureStore
from flaskreg.services import UploadSession
from flaskreg.services import UploadStore


#: keeps content, or all content for ``None``, while it is entered.
Hold = Callable[[Digest | None], AbstractContextManager[None]]


#: repositories that are remembered in a process.
_REPOSITORIES = 4096


class GuardedRegistry(Registry):
    """A registry all of whose repositories are guarded.

    :param registry: the one whose they are.
    :param hold: keeps content.
    """

    def __init__(self, registry: Registry, hold: Hold) -> None:
        self._registry = registry
        self._hold = hold
        self._memory: LRU[str, Repository] = LRU(_REPOSITORIES)

    def scope(self) -> Scope:
        """Return the names that are served."""
        return self._registry.scope()

    def repository(self, name: str) -> Repository:
        """Return a repository, remembered when it was asked for before."""
        repository = self._memory.get(name)
        if repository is None:
            plain = self._registry.repository(name)
            repository = GuardedRepository(plain, self._hold)
            self._memory.set(name, repository)
        return repository

    def iter_repositories(self, last: str = "") -> Iterator[str]:
        """Yield the names of the repositories after *last*."""
        return self._registry.iter_repositories(last)

    def iter_holders(self, digest: Digest, limit: int) -> Iterator[str]:
        """Yield names of repositories that hold blob *digest*."""
        return self._registry.iter_holders(digest, limit)


class GuardedRepository(Repository):
    """A repository that keeps content while it is stored and mounted.

    :param repository: the one that does it.
    :param hold: keeps content.
    """

    def __init__(self, repository: Repository, hold: Hold) -> None:
        self._repository = repository
        self._hold = hold
        self.name = repository.name
        self.blobs = GuardedBlobs(repository.blobs, hold)
        self.uploads = GuardedUploads(repository.uploads, hold)
        self.tags = repository.tags
        self.referrers = repository.referrers
        self.signatures = GuardedSignatures(repository.signatures, hold)
        self._plain = GuardedManifests(repository.manifests(), hold)

    def manifests(self, *options: ManifestServiceOption) -> ManifestStore:
        """Return the manifests, seen with *options*."""
        if not options:
            return self._plain
        return GuardedManifests(self._repository.manifests(*options), self._hold)

    def exists(self) -> bool:
        """Whether anything was ever stored in it."""
        return self._repository.exists()


class GuardedBlobs(BlobStore):
    """Blobs that are kept while they are stored and mounted."""

    def __init__(self, blobs: BlobStore, hold: Hold) -> None:
        self._blobs = blobs
        self._hold = hold

    def stat(self, digest: Digest) -> Descriptor:
        """Return the descriptor of a blob."""
        return self._blobs.stat(digest)

    def get(self, digest: Digest) -> bytes:
        """Return the content of a small blob."""
        return self._blobs.get(digest)

    def open(self, descriptor: Descriptor, offset: int = 0) -> BinaryIO:
        """Open a blob for reading."""
        return self._blobs.open(descriptor, offset)

    def redirect(self, descriptor: Descriptor, method: str) -> str | None:
        """Return a URL where the client reads the blob itself, or ``None``."""
        return self._blobs.redirect(descriptor, method)

    def hand_over(
        self, descriptor: Descriptor, request: ContentRequest
    ) -> Handover | None:
        """Return how somebody else sends a blob."""
        return self._blobs.hand_over(descriptor, request)

    def announce(self, descriptor: Descriptor) -> None:
        """Note that a client was told of a blob."""
        self._blobs.announce(descriptor)

    def put(self, content: bytes, media_type: str = OCTET_STREAM) -> Descriptor:
        """Store a small blob."""
        with self._hold(Digest.of(content)):
            return self._blobs.put(content, media_type)

    def mount(self, digest: Digest, source: str) -> Descriptor | None:
        """Link a blob of repository *source* here."""
        with self._hold(_kept(digest)):
            return self._blobs.mount(digest, source)

    def delete(self, digest: Digest) -> None:
        """Take a blob out of this repository."""
        self._blobs.delete(digest)


class GuardedUploads(UploadStore):
    """Upload sessions whose content is kept while it is committed."""

    def __init__(self, uploads: UploadStore, hold: Hold) -> None:
        self._uploads = uploads
        self._hold = hold

    def start(self, algorithm: str = CANONICAL, owner: str = "") -> UploadSession:
        """Start a session."""
        return GuardedUpload(self._uploads.start(algorithm, owner), self._hold)

    def promise(self, owner: str = "") -> UploadSession:
        """Return a session that may begin with its first bytes."""
        return GuardedUpload(self._uploads.promise(owner), self._hold)

    def take(self, digest: Digest, chunks: Iterable[bytes]) -> Descriptor:
        """Store a whole blob at once."""
        if digest.canonical:
            with self._hold(digest):
                return self._uploads.take(digest, chunks)
        session = self.start(digest.algorithm)
        try:
            return session.commit(digest, chunks)
        except BaseException:
            session.cancel()
            raise

    def resume(
        self,
        session_id: str,
        owner: str = "",
        promised: datetime | None = None,
        expected: int | None = None,
    ) -> UploadSession:
        """Return a session that was started."""
        session = self._uploads.resume(session_id, owner, promised, expected)
        return GuardedUpload(session, self._hold)


class GuardedUpload(UploadSession):
    """An upload session whose content is kept while it is committed."""

    def __init__(self, session: UploadSession, hold: Hold) -> None:
        self._session = session
        self._hold = hold
        self.id = session.id
        self.started_at = session.started_at
        self.stored = session.stored
        self.owner = session.owner

    @property
    def size(self) -> int:
        """Return the bytes received so far."""
        return self._session.size

    def append(self, chunks: Iterable[bytes], at: int | None = None) -> int:
        """Append bytes."""
        try:
            return self._session.append(chunks, at)
        finally:
            self.stored = self._session.stored

    def commit(
        self, digest: Digest, chunks: Iterable[bytes] = (), at: int | None = None
    ) -> Descriptor:
        """Append the last bytes, verify, and make the blob readable."""
        if not digest.canonical:
            # All content is kept then: not for as long as the client takes.
            self.append(chunks, at)
            chunks, at = (), None
        try:
            with self._hold(_kept(digest)):
                return self._session.commit(digest, chunks, at)
        finally:
            self.stored = self._session.stored

    def cancel(self) -> None:
        """Drop the session."""
        self._session.cancel()


class GuardedManifests(ManifestStore):
    """Manifests that are kept while they are stored."""

    def __init__(self, manifests: ManifestStore, hold: Hold) -> None:
        self._manifests = manifests
        self._hold = hold

    def exists(self, digest: Digest) -> bool:
        """Whether the manifest is here."""
        return self._manifests.exists(digest)

    def get(self, digest: Digest) -> Manifest:
        """Return a manifest."""
        return self._manifests.get(digest)

    def get_tagged(self, tag: str) -> Manifest:
        """Return the manifest that a tag names."""
        return self._manifests.get_tagged(tag)

    def put(
        self,
        content: bytes,
        media_type: str,
        digest: Digest | None = None,
        tags: Sequence[str] = (),
        frozen: Collection[str] = (),
    ) -> Manifest:
        """Check and store a manifest, then the tags that name it."""
        with self._hold(Digest.of(content)):
            return self._manifests.put(content, media_type, digest, tags, frozen)

    def delete(self, digest: Digest) -> Sequence[str]:
        """Delete a manifest and the tags that name it."""
        return self._manifests.delete(digest)

    def warnings(self, manifest: Manifest) -> Sequence[str]:
        """Return what the client is to be warned of."""
        return self._manifests.warnings(manifest)


class GuardedSignatures(SignatureStore):
    """Signatures that are kept while they are stored."""

    def __init__(self, signatures: SignatureStore, hold: Hold) -> None:
        self._signatures = signatures
        self._hold = hold

    def get(self, revision: Digest) -> Sequence[bytes]:
        """Return the signatures of a revision."""
        return self._signatures.get(revision)

    def put(self, revision: Digest, *signatures: bytes) -> None:
        """Add signatures to a revision."""
        with ExitStack() as held:
            for signature in signatures:
                held.enter_context(self._hold(Digest.of(signature)))
            self._signatures.put(revision, *signatures)


def _kept(digest: Digest) -> Digest | None:
    """Return the digest under which content is kept, or ``None`` when that is open."""
    return digest if digest.canonical else None
