"""The contracts of the registry: what routes call and what wraps what.

A :class:`Registry` gives a :class:`Repository` for a name, and a repository gives its
stores. All of them are cheap, hold no state of their own and are shared by threads.
Source: the root package of CNCF distribution, whose Namespace is the registry here.
"""

from __future__ import annotations

import fnmatch
from abc import ABC
from abc import abstractmethod
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from datetime import datetime
from typing import BinaryIO

from flaskreg.descriptor import Descriptor
from flaskreg.digest import CANONICAL
from flaskreg.digest import Digest
from flaskreg.handover import ContentRequest
from flaskreg.handover import Handover
from flaskreg.manifest import Manifest


# Scope


class Scope(ABC):
    """The repository names that a registry serves."""

    @abstractmethod
    def contains(self, name: str) -> bool:
        """Whether repository *name* is served."""


class GlobalScope(Scope):
    """Every name."""

    def contains(self, name: str) -> bool:
        """Return ``True``."""
        del name
        return True


class GlobScope(Scope):
    """The names that match one of some globs; ``*`` matches ``/`` too.

    :param globs: such as ``team/*``.
    """

    def __init__(self, globs: Sequence[str]) -> None:
        self.globs = tuple(globs)

    def contains(self, name: str) -> bool:
        """Whether one of the globs matches."""
        return any(fnmatch.fnmatchcase(name, glob) for glob in self.globs)


# Manifest service options


class ManifestNotModified(Exception):
    """The manifest is still the one whose etag the caller has."""


@dataclass(frozen=True, slots=True)
class ManifestServiceOptions:
    """How one view of a repository's manifests behaves."""

    #: leave out the options that look for what a manifest lists.
    skip_layer_verification: bool = False
    #: the digest that the caller has of a tag: getting it again raises
    #: :class:`ManifestNotModified`. ``(tag, etag)`` or ``None``.
    etag: tuple[str, str] | None = None


class ManifestServiceOption(ABC):
    """Changes one thing of :class:`ManifestServiceOptions`."""

    @abstractmethod
    def apply(self, options: ManifestServiceOptions) -> ManifestServiceOptions:
        """Return the options with the change."""


class SkipLayerVerification(ManifestServiceOption):
    """Take manifests whose layers are not here (yet), as a pull-through cache must."""

    def apply(self, options: ManifestServiceOptions) -> ManifestServiceOptions:
        """Switch the verification off."""
        return replace(options, skip_layer_verification=True)


@dataclass(frozen=True, slots=True)
class AddEtagToTag(ManifestServiceOption):
    """Get *tag* only when it is no longer the manifest whose digest is *etag*."""

    tag: str
    etag: str

    def apply(self, options: ManifestServiceOptions) -> ManifestServiceOptions:
        """Remember tag and etag."""
        return replace(options, etag=(self.tag, self.etag))


# Statters and stores


class BlobStatter(ABC):
    """Tells the descriptor of a digest without its content."""

    @abstractmethod
    def stat(self, digest: Digest) -> Descriptor:
        """Return the descriptor; its digest is the one under which content is kept.

        :raises BlobUnknown: there is no such blob within this statter's reach.
        """


class BlobStore(BlobStatter):
    """The blobs of one repository."""

    @abstractmethod
    def get(self, digest: Digest) -> bytes:
        """Return the content of a small blob.

        :raises BlobUnknown: it is not in this repository.
        """

    @abstractmethod
    def open(self, descriptor: Descriptor, offset: int = 0) -> BinaryIO:
        """Open a blob for reading, from *offset* bytes.

        :param descriptor: what :meth:`stat` of this store just told.
        :raises BlobUnknown: its content is gone.
        """

    @abstractmethod
    def redirect(self, descriptor: Descriptor, method: str) -> str | None:
        """Return a URL where the client reads the blob itself, or ``None``.

        :param descriptor: what :meth:`stat` of this store just told.
        """

    def hand_over(
        self, descriptor: Descriptor, request: ContentRequest
    ) -> Handover | None:
        """Return how somebody else sends a blob; by default as :meth:`redirect` says.

        :param descriptor: what :meth:`stat` of this store just told.
        :returns: ``None`` where the registry has to serve the content.
        """
        url = self.redirect(descriptor, request.method)
        return Handover(url) if url else None

    def announce(self, descriptor: Descriptor) -> None:
        """Note that a client was told of a blob, and may not push it therefore.

        :param descriptor: what :meth:`stat` of this store just told.
        """

    @abstractmethod
    def put(self, content: bytes, media_type: str) -> Descriptor:
        """Store a small blob in this repository at once."""

    @abstractmethod
    def mount(self, digest: Digest, source: str) -> Descriptor | None:
        """Link a blob of repository *source* here.

        :returns: ``None`` when it is not there.
        """

    @abstractmethod
    def delete(self, digest: Digest) -> None:
        """Take the blob out of this repository; the content may stay elsewhere.

        :raises BlobUnknown: it is not in this repository.
        :raises Unsupported: deletes are switched off.
        """


class UploadSession(ABC):
    """A started, unfinished blob push."""

    id: str
    #: when it was started; has a zone.
    started_at: datetime
    #: whether the storage knows of it; one that is only promised lives in the signed
    #: state that its client was given.
    stored: bool = True
    #: to whom it was promised; ``""`` for anybody.
    owner: str = ""

    @property
    @abstractmethod
    def size(self) -> int:
        """Return the bytes received so far."""

    @abstractmethod
    def append(self, chunks: Iterable[bytes], at: int | None = None) -> int:
        """Append bytes; what has arrived stays when *chunks* raises in the middle.

        :param at: where the chunk begins; ``None`` wherever the content ends.
        :returns: the size after it.
        :raises RangeInvalid: *at* is not where the content ends, or another request
            is appending.
        :raises BlobUploadUnknown: the session is gone.
        """

    @abstractmethod
    def commit(
        self, digest: Digest, chunks: Iterable[bytes] = (), at: int | None = None
    ) -> Descriptor:
        """Append the last bytes, verify *digest*, and make the blob readable.

        After it returns, content and link are durable. On an error nothing is
        readable and the session is still there.

        :raises DigestInvalid: the content has another digest.
        :raises RangeInvalid: as :meth:`append`.
        :raises BlobUploadUnknown: the session is gone.
        """

    @abstractmethod
    def cancel(self) -> None:
        """Drop the session and what it received."""


class UploadStore(ABC):
    """The upload sessions of one repository."""

    @abstractmethod
    def start(self, algorithm: str = CANONICAL, owner: str = "") -> UploadSession:
        """Start a session.

        :param algorithm: of the digest by which the blob will be committed.
        :param owner: the name of the principal to whom it belongs; ``""`` for anybody.
        """

    def promise(self, owner: str = "") -> UploadSession:
        """Return a session that may begin in the storage with its first bytes.

        :param owner: as for :meth:`start`.
        """
        return self.start(owner=owner)

    @abstractmethod
    def take(self, digest: Digest, chunks: Iterable[bytes]) -> Descriptor:
        """Store a whole blob at once, as durable as :meth:`UploadSession.commit` does.

        On an error nothing of it is left.

        :raises DigestInvalid: the content has another digest.
        """

    @abstractmethod
    def resume(
        self,
        session_id: str,
        owner: str = "",
        promised: datetime | None = None,
        expected: int | None = None,
    ) -> UploadSession:
        """Return a session that was started.

        :param owner: who asks for it.
        :param promised: when :meth:`promise` gave it to that owner, if the caller knows
            that it did; ``None`` for a session that must be stored.
        :param expected: bytes that it has as far as the caller knows; it may be wrong.
        :raises BlobUploadUnknown: this repository has no such session, or it belongs
            to somebody else.
        """


class ManifestStore(ABC):
    """The manifests of one repository, by digest."""

    @abstractmethod
    def exists(self, digest: Digest) -> bool:
        """Whether the manifest is in this repository."""

    @abstractmethod
    def get(self, digest: Digest) -> Manifest:
        """Return a manifest.

        :raises ManifestUnknown: it is not in this repository.
        """

    @abstractmethod
    def get_tagged(self, tag: str) -> Manifest:
        """Return the manifest that *tag* names.

        :raises ManifestUnknown: the tag, or its manifest, is not in this repository.
        :raises ManifestNotModified: see :class:`AddEtagToTag`.
        """

    @abstractmethod
    def put(
        self,
        content: bytes,
        media_type: str,
        digest: Digest | None = None,
        tags: Sequence[str] = (),
        frozen: Collection[str] = (),
    ) -> Manifest:
        """Check and store a manifest, then the tags that name it.

        :param digest: what the client says its digest is; ``None`` for a push by tag.
        :param frozen: those of *tags* that may be made and not moved. Of two pushes
            that make one at the same time, one does.
        :raises Denied: a frozen tag names another manifest.
        :raises DigestInvalid: the content has another digest.
        :raises ManifestInvalid: it is not a manifest of that media type.
        :raises RegistryError: a manifest option refuses it.
        """

    @abstractmethod
    def delete(self, digest: Digest) -> Sequence[str]:
        """Delete a manifest and the tags that name it; return those tags.

        :raises ManifestUnknown: it is not in this repository.
        :raises Unsupported: deletes are switched off.
        """

    @abstractmethod
    def warnings(self, manifest: Manifest) -> Sequence[str]:
        """Return what the client is to be warned of about *manifest*."""


class TagStore(ABC):
    """The tags of one repository."""

    @abstractmethod
    def get(self, tag: str) -> Digest:
        """Return the digest that *tag* names.

        :raises ManifestUnknown: there is no such tag.
        """

    @abstractmethod
    def tag(self, tag: str, digest: Digest) -> None:
        """Let *tag* name *digest*; durable when it returns."""

    @abstractmethod
    def untag(self, tag: str) -> None:
        """Delete a tag; the manifest stays.

        :raises ManifestUnknown: there is no such tag.
        :raises Unsupported: deletes are switched off.
        """

    @abstractmethod
    def list(self, limit: int | None = None, last: str = "") -> Sequence[str]:
        """Return tags after *last* in byte order, at most *limit* (``None``: all).

        :raises NameUnknown: there is no such repository.
        """

    @abstractmethod
    def lookup(self, digests: Iterable[Digest]) -> Sequence[str]:
        """Return the tags that name one of *digests*."""


class ReferrerStore(ABC):
    """Which manifests of one repository have which subject."""

    @abstractmethod
    def iter_referrers(self, subject: Digest, last: str = "") -> Iterator[Descriptor]:
        """Yield the referrers of *subject* after digest *last*, in order."""

    @abstractmethod
    def link(self, subject: Digest, referrer: Descriptor) -> None:
        """Remember a referrer; durable when it returns."""

    @abstractmethod
    def unlink(self, subject: Digest, referrer: Digest) -> None:
        """Forget a referrer; nothing happens when it is not known."""


class SignatureStore(ABC):
    """The signatures of revisions, as docker's schema 1 manifests have them."""

    @abstractmethod
    def get(self, revision: Digest) -> Sequence[bytes]:
        """Return the signatures of a revision, in the order of their digests."""

    @abstractmethod
    def put(self, revision: Digest, *signatures: bytes) -> None:
        """Add signatures to a revision; those that are there stay."""


class Repository(ABC):
    """The named set of blobs, manifests, tags and uploads."""

    name: str
    blobs: BlobStore
    uploads: UploadStore
    tags: TagStore
    referrers: ReferrerStore
    signatures: SignatureStore

    @abstractmethod
    def manifests(self, *options: ManifestServiceOption) -> ManifestStore:
        """Return the manifests, seen with *options*."""

    @abstractmethod
    def exists(self) -> bool:
        """Whether anything was ever stored in it."""


class Registry(ABC):
    """All repositories of one store."""

    @abstractmethod
    def scope(self) -> Scope:
        """Return the names that this registry serves."""

    @abstractmethod
    def repository(self, name: str) -> Repository:
        """Return a repository, whether or not anything is in it.

        :raises NameInvalid: *name* does not follow the grammar.
        :raises NameUnknown: *name* is outside the scope.
        """

    @abstractmethod
    def iter_repositories(self, last: str = "") -> Iterator[str]:
        """Yield the names of the repositories after *last* in byte order, lazily."""

    @abstractmethod
    def iter_holders(self, digest: Digest, limit: int) -> Iterator[str]:
        """Yield names of repositories that hold blob *digest*.

        :param limit: how many repositories are looked at.
        """

    def locate(self, name: str, namespace: str | None, host: str) -> str:
        """Return the name of the repository that a request means by *name*.

        It is asked before access is decided. Most registries mean what they are told.

        :param name: already parsed.
        :param namespace: the registry whose repository is meant, as containerd tells
            a mirror in ``ns``; ``None`` when the request does not say.
        :param host: the ``Host`` of the request.
        :raises NameUnknown: there is no such namespace here.
        """
        del namespace, host
        return name

    def start(self) -> None:
        """Begin what goes on in this process beside requests; by default nothing.

        Called in each process of a server, after it was forked, before it serves.
        """

    def stop(self) -> None:
        """End it, when the process has served its last request."""

    def repositories(self, limit: int, last: str = "") -> Sequence[str]:
        """Return the names of at most *limit* repositories after *last*."""
        names = []
        if limit > 0:
            for name in self.iter_repositories(last):
                names.append(name)
                if len(names) == limit:
                    break
        return names
