"""Services around services: what middleware of registries and repositories is made of.

Each forwards all of its contract, so that a middleware holds only what differs.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from typing import BinaryIO

from flaskreg.descriptor import Descriptor
from flaskreg.digest import CANONICAL
from flaskreg.digest import Digest
from flaskreg.forwarding import forwarding
from flaskreg.lru import LRU
from flaskreg.manifest import Manifest
from flaskreg.services import BlobStore
from flaskreg.services import ManifestServiceOption
from flaskreg.services import ManifestStore
from flaskreg.services import Registry
from flaskreg.services import Repository
from flaskreg.services import Scope
from flaskreg.services import SignatureStore
from flaskreg.services import TagStore
from flaskreg.services import UploadSession
from flaskreg.services import UploadStore


#: wrapped repositories that are remembered in a process.
_REPOSITORIES = 4096

#: wraps a registry, by the ``options`` of an entry of ``middleware.registry``.
RegistryMiddleware = Callable[[Registry, Mapping[str, Any]], Registry]

#: wraps one repository. It is called for each that is used, in each process.
WrapRepository = Callable[[Repository], Repository]

#: reads the ``options`` of an entry of ``middleware.repository``, when the application
#: is made, and returns what wraps.
RepositoryMiddleware = Callable[[Mapping[str, Any]], WrapRepository]


@forwarding(Registry)
class RegistryWrapper(Registry):
    """A registry around a registry.

    :param inner: the registry that is wrapped.
    """

    def __init__(self, inner: Registry) -> None:
        self.inner = inner

    def scope(self) -> Scope:
        """Return the names that are served."""
        return self.inner.scope()

    def repository(self, name: str) -> Repository:
        """Return a repository."""
        return self.inner.repository(name)

    def iter_repositories(self, last: str = "") -> Iterator[str]:
        """Yield the names of the repositories after *last*."""
        return self.inner.iter_repositories(last)

    def iter_holders(self, digest: Digest, limit: int) -> Iterator[str]:
        """Yield names of repositories that hold a blob."""
        return self.inner.iter_holders(digest, limit)

    def repositories(self, limit: int, last: str = "") -> Sequence[str]:
        """Return the names of at most *limit* repositories after *last*.

        They are those of :meth:`iter_repositories`, which a middleware may override.
        """
        return super().repositories(limit, last)


class WrappingRegistry(RegistryWrapper):
    """A registry each of whose repositories is wrapped, once in a process.

    :param inner: gives them as they are.
    :param wraps: what wraps them, the innermost first.
    """

    def __init__(self, inner: Registry, *wraps: WrapRepository) -> None:
        super().__init__(inner)
        self._wraps = wraps
        self._memory: LRU[str, Repository] = LRU(_REPOSITORIES)

    def repository(self, name: str) -> Repository:
        """Return a repository, remembered when it was asked for before."""
        repository = self._memory.get(name)
        if repository is None:
            repository = self.inner.repository(name)
            for wrap in self._wraps:
                repository = wrap(repository)
            self._memory.set(name, repository)
        return repository


@forwarding(Repository)
class RepositoryWrapper(Repository):
    """A repository around a repository.

    :param inner: the repository that is wrapped.
    """

    def __init__(self, inner: Repository) -> None:
        self.inner = inner
        self.name = inner.name
        self.blobs = inner.blobs
        self.uploads = inner.uploads
        self.tags = inner.tags
        self.referrers = inner.referrers
        self.signatures = inner.signatures

    def manifests(self, *options: ManifestServiceOption) -> ManifestStore:
        """Return the manifests, seen with *options*."""
        return self.inner.manifests(*options)

    def exists(self) -> bool:
        """Whether anything was ever stored in it."""
        return self.inner.exists()


@forwarding(BlobStore)
class BlobStoreWrapper(BlobStore):
    """Blobs around blobs.

    Override :meth:`hand_over` to change where clients read: the routes ask for that.

    :param inner: the store that is wrapped.
    """

    def __init__(self, inner: BlobStore) -> None:
        self.inner = inner

    def stat(self, digest: Digest) -> Descriptor:
        """Return the descriptor of a blob."""
        return self.inner.stat(digest)

    def get(self, digest: Digest) -> bytes:
        """Return the content of a small blob."""
        return self.inner.get(digest)

    def open(self, descriptor: Descriptor, offset: int = 0) -> BinaryIO:
        """Open a blob for reading."""
        return self.inner.open(descriptor, offset)

    def redirect(self, descriptor: Descriptor, method: str) -> str | None:
        """Return a URL where the client reads the blob itself, or ``None``."""
        return self.inner.redirect(descriptor, method)

    def put(self, content: bytes, media_type: str) -> Descriptor:
        """Store a small blob."""
        return self.inner.put(content, media_type)

    def mount(self, digest: Digest, source: str) -> Descriptor | None:
        """Link a blob of another repository here."""
        return self.inner.mount(digest, source)

    def delete(self, digest: Digest) -> None:
        """Take a blob out of this repository."""
        self.inner.delete(digest)


@forwarding(UploadStore)
class UploadStoreWrapper(UploadStore):
    """Upload sessions around upload sessions.

    A session begins by :meth:`start` or :meth:`promise`, a small blob by :meth:`take`.

    :param inner: the store that is wrapped.
    """

    def __init__(self, inner: UploadStore) -> None:
        self.inner = inner

    def start(self, algorithm: str = CANONICAL, owner: str = "") -> UploadSession:
        """Start a session."""
        return self.inner.start(algorithm, owner)

    def take(self, digest: Digest, chunks: Iterable[bytes]) -> Descriptor:
        """Store a whole blob at once."""
        return self.inner.take(digest, chunks)

    def resume(
        self,
        session_id: str,
        owner: str = "",
        promised: datetime | None = None,
        expected: int | None = None,
    ) -> UploadSession:
        """Return a session that was started."""
        return self.inner.resume(session_id, owner, promised, expected)


@forwarding(ManifestStore)
class ManifestStoreWrapper(ManifestStore):
    """Manifests around manifests.

    :param inner: the store that is wrapped.
    """

    def __init__(self, inner: ManifestStore) -> None:
        self.inner = inner

    def exists(self, digest: Digest) -> bool:
        """Whether the manifest is in this repository."""
        return self.inner.exists(digest)

    def get(self, digest: Digest) -> Manifest:
        """Return a manifest."""
        return self.inner.get(digest)

    def get_tagged(self, tag: str) -> Manifest:
        """Return the manifest that a tag names."""
        return self.inner.get_tagged(tag)

    def put(
        self,
        content: bytes,
        media_type: str,
        digest: Digest | None = None,
        tags: Sequence[str] = (),
        frozen: Collection[str] = (),
    ) -> Manifest:
        """Check and store a manifest, then the tags that name it."""
        return self.inner.put(content, media_type, digest, tags, frozen)

    def delete(self, digest: Digest) -> Sequence[str]:
        """Delete a manifest and the tags that name it."""
        return self.inner.delete(digest)

    def warnings(self, manifest: Manifest) -> Sequence[str]:
        """Return what the client is to be warned of."""
        return self.inner.warnings(manifest)


@forwarding(TagStore)
class TagStoreWrapper(TagStore):
    """Tags around tags.

    :param inner: the store that is wrapped.
    """

    def __init__(self, inner: TagStore) -> None:
        self.inner = inner

    def get(self, tag: str) -> Digest:
        """Return the digest that a tag names."""
        return self.inner.get(tag)

    def tag(self, tag: str, digest: Digest) -> None:
        """Let a tag name a digest."""
        self.inner.tag(tag, digest)

    def untag(self, tag: str) -> None:
        """Delete a tag."""
        self.inner.untag(tag)

    def list(self, limit: int | None = None, last: str = "") -> Sequence[str]:
        """Return tags after *last*."""
        return self.inner.list(limit, last)

    def lookup(self, digests: Iterable[Digest]) -> Sequence[str]:
        """Return the tags that name one of *digests*."""
        return self.inner.lookup(digests)


@forwarding(SignatureStore)
class SignatureStoreWrapper(SignatureStore):
    """Signatures around signatures.

    :param inner: the store that is wrapped.
    """

    def __init__(self, inner: SignatureStore) -> None:
        self.inner = inner

    def get(self, revision: Digest) -> Sequence[bytes]:
        """Return the signatures of a revision."""
        return self.inner.get(revision)

    def put(self, revision: Digest, *signatures: bytes) -> None:
        """Add signatures to a revision."""
        self.inner.put(revision, *signatures)
