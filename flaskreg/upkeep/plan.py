"""What a garbage collection found: what stays, and what can go."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from dataclasses import field

from flaskreg.digest import Digest


@dataclass(frozen=True, slots=True)
class DeadManifest:
    """A manifest that nothing leads to."""

    repository: str
    digest: Digest
    #: the digests under which it is linked.
    names: tuple[Digest, ...]
    #: what it is about, as the document has it.
    subject: Digest | None
    #: tags of the older schemas that go with it.
    tags: tuple[str, ...]
    #: tags in whose history it stands.
    history: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LooseLink:
    """A blob that no manifest of its repository needs."""

    repository: str
    digest: Digest
    names: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class LooseBlob:
    """Content that no repository needs."""

    digest: Digest
    #: in bytes.
    size: int


@dataclass(slots=True)
class Plan:
    """What the mark phase found."""

    #: the digests of what is needed.
    marked: set[Digest] = field(default_factory=set)
    manifests: list[DeadManifest] = field(default_factory=list)
    links: list[LooseLink] = field(default_factory=list)
    blobs: list[LooseBlob] = field(default_factory=list)


@dataclass(slots=True)
class Totals:
    """What a garbage collection did, or would do."""

    repositories: int = 0
    manifests: int = 0
    links: int = 0
    blobs: int = 0
    uploads: int = 0
    #: of blobs and uploads, in bytes.
    size: int = 0
    #: what a push relied on meanwhile.
    spared: int = 0
    #: what the storage did not delete.
    failed: int = 0
    #: damage that was met, by its kind.
    damaged: Counter[str] = field(default_factory=Counter)
