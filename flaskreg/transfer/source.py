"""The contract of what can be imported."""

from __future__ import annotations

import json
from abc import ABC
from abc import abstractmethod
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import BinaryIO

from flaskreg.digest import Digest
from flaskreg.digest import parse_digest
from flaskreg.mediatypes import OCI_INDEX
from flaskreg.mediatypes import OCI_MANIFEST


class SourceError(Exception):
    """A source has not got what was asked of it, or cannot be read; one sentence."""


class ManifestMissing(SourceError):
    """A source has no such manifest."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What is to be had of one repository of a source."""

    #: digests by tags.
    tags: Mapping[str, Digest] = field(default_factory=dict)
    #: further manifests, without a tag.
    untagged: Iterable[Digest] = ()


class Source(ABC):
    """Somewhere images are."""

    @abstractmethod
    def iter_repositories(self) -> Iterator[str]:
        """Yield the names of its repositories; ``""`` for one without a name.

        :raises SourceError: it cannot tell.
        """

    @abstractmethod
    def get_listing(self, repository: str) -> Listing:
        """Return what is in a repository.

        :raises SourceError: it cannot tell.
        """

    @abstractmethod
    def get_manifest(self, repository: str, digest: Digest) -> tuple[bytes, str]:
        """Return the bytes of a manifest, and its media type.

        :raises ManifestMissing: it is not there.
        :raises SourceError: it cannot be read.
        """

    @abstractmethod
    def open_blob(self, repository: str, digest: Digest) -> BinaryIO:
        """Open a blob for reading.

        :raises SourceError: it is not there.
        """

    def get_referrers(self, repository: str, subject: Digest) -> Iterable[Digest]:
        """Return manifests about another one that :meth:`get_listing` does not name."""
        del repository, subject
        return ()

    def close(self) -> None:
        """Let go of what is open."""


def media_type_of(content: bytes) -> str:
    """Return the media type that a manifest states, or has by its shape.

    :raises SourceError: it is no manifest.
    """
    document = decode(content)
    stated = document.get("mediaType")
    if isinstance(stated, str) and stated:
        return stated
    return OCI_INDEX if "manifests" in document else OCI_MANIFEST


def decode(content: bytes) -> dict[str, Any]:
    """Read a JSON object.

    :raises SourceError: it is none.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise SourceError("a manifest is not JSON") from None
    if not isinstance(document, dict):
        raise SourceError("a manifest is not a JSON object")
    return document


def listed(document: Mapping[str, Any], member: str) -> list[Mapping[str, Any]]:
    """Return the descriptors of a list of a document, of those that have a digest."""
    found = document.get(member)
    return [
        each
        for each in (found if isinstance(found, list) else ())
        if isinstance(each, dict) and isinstance(each.get("digest"), str)
    ]


def digest_in(descriptor: Mapping[str, Any]) -> Digest:
    """Return the digest of a descriptor that :func:`listed` gave.

    :raises DigestInvalid: it is none.
    """
    return parse_digest(descriptor["digest"])
