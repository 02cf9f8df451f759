"""Repositories whose pushes keep what they store, until it is linked.

Between content and its link a push has a moment in which nothing links the content, and
a mount has one in which it relies on somebody else's link.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextlib import ExitStack
from datetime import datetime

from flaskreg.descriptor import Descriptor
from flaskreg.digest import CANONICAL
from flaskreg.digest import Digest
from flaskreg.manifest import Manifest
from flaskreg.mediatypes import OCTET_STREAM
from flaskreg.services import BlobStore
from flaskreg.services import ManifestServiceOption
from flaskreg.services import ManifestStore
from flaskreg.services import Registry
from flaskreg.services import Repository
from flaskreg.services import SignatureStore
from flaskreg.services import UploadSession
from flaskreg.services import UploadStore
from flaskreg.servicewrappers import BlobStoreWrapper
from flaskreg.servicewrappers import ManifestStoreWrapper
from flaskreg.servicewrappers import RepositoryWrapper
from flaskreg.servicewrappers import SignatureStoreWrapper
from flaskreg.servicewrappers import UploadStoreWrapper
from flaskreg.servicewrappers import WrappingRegistry


#: keeps content, or all content for ``None``, while it is entered.
Hold = Callable[[Digest | None], AbstractContextManager[None]]


def guarded(registry: Registry, hold: Hold) -> Registry:
    """Return a registry all of whose repositories are guarded."""
    return WrappingRegistry(registry, lambda each: GuardedRepository(each, hold))


class GuardedRepository(RepositoryWrapper):
    """A repository that keeps content while it is stored and mounted.

    :param repository: the one that does it.
    :param hold: keeps content.
    """

    def __init__(self, repository: Repository, hold: Hold) -> None:
        super().__init__(repository)
        self._hold = hold
        self.blobs = GuardedBlobs(repository.blobs, hold)
        self.uploads = GuardedUploads(repository.uploads, hold)
        self.signatures = GuardedSignatures(repository.signatures, hold)
        self._plain = GuardedManifests(repository.manifests(), hold)

    def manifests(self, *options: ManifestServiceOption) -> ManifestStore:
        """Return the manifests, seen with *options*."""
        if not options:
            return self._plain
        return GuardedManifests(self.inner.manifests(*options), self._hold)


class GuardedBlobs(BlobStoreWrapper):
    """Blobs that are kept while they are stored and mounted."""

    def __init__(self, blobs: BlobStore, hold: Hold) -> None:
        super().__init__(blobs)
        self._hold = hold

    def put(self, content: bytes, media_type: str = OCTET_STREAM) -> Descriptor:
        """Store a small blob."""
        with self._hold(Digest.of(content)):
            return self.inner.put(content, media_type)

    def mount(self, digest: Digest, source: str) -> Descriptor | None:
        """Link a blob of repository *source* here."""
        with self._hold(_kept(digest)):
            return self.inner.mount(digest, source)


class GuardedUploads(UploadStoreWrapper):
    """Upload sessions whose content is kept while it is committed."""

    def __init__(self, uploads: UploadStore, hold: Hold) -> None:
        super().__init__(uploads)
        self._hold = hold

    def start(self, algorithm: str = CANONICAL, owner: str = "") -> UploadSession:
        """Start a session."""
        return GuardedUpload(self.inner.start(algorithm, owner), self._hold)

    def promise(self, owner: str = "") -> UploadSession:
        """Return a session that may begin with its first bytes."""
        return GuardedUpload(self.inner.promise(owner), self._hold)

    def take(self, digest: Digest, chunks: Iterable[bytes]) -> Descriptor:
        """Store a whole blob at once."""
        if digest.canonical:
            with self._hold(digest):
                return self.inner.take(digest, chunks)
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
        session = self.inner.resume(session_id, owner, promised, expected)
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


class GuardedManifests(ManifestStoreWrapper):
    """Manifests that are kept while they are stored."""

    def __init__(self, manifests: ManifestStore, hold: Hold) -> None:
        super().__init__(manifests)
        self._hold = hold

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
            return self.inner.put(content, media_type, digest, tags, frozen)


class GuardedSignatures(SignatureStoreWrapper):
    """Signatures that are kept while they are stored."""

    def __init__(self, signatures: SignatureStore, hold: Hold) -> None:
        super().__init__(signatures)
        self._hold = hold

    def put(self, revision: Digest, *signatures: bytes) -> None:
        """Add signatures to a revision."""
        with ExitStack() as held:
            for signature in signatures:
                held.enter_context(self._hold(Digest.of(signature)))
            self.inner.put(revision, *signatures)


def _kept(digest: Digest) -> Digest | None:
    """Return the digest under which content is kept, or ``None`` when that is open."""
    return digest if digest.canonical else None
