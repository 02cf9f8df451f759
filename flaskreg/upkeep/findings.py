"""What a check of the storage can find."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flaskreg.digest import Digest


#: kinds of damage: something that a client may ask for is not as it was pushed.
DAMAGE: Mapping[str, str] = {
    "wrong-content": "content is not what its digest says",
    "missing-blob": "a manifest needs content that is not there",
    "missing-manifest": "a manifest has no content",
    "damaged-link": "a link holds no digest, or a wrong one",
    "damaged-tag": "a tag names nothing that can be read",
    "dangling-tag": "a tag names a manifest that is not in its repository",
    "unlinked-blob": "a manifest needs a blob that its repository does not link",
    "link-to-nothing": "a link leads to content that is not there",
    "dangling-referrer": "a list of referrers names a manifest that is not there",
    "damaged-referrer": "an entry of a list of referrers cannot be read",
    "missing-referrer": "a manifest is not in the list of referrers of its subject",
    "misplaced": "content stands where nobody looks for it",
}

#: kinds of garbage: nobody misses it, and nobody reads it.
GARBAGE: Mapping[str, str] = {
    "leftover": "a process that was killed left half a file",
    "broken-upload": "an upload session has no beginning, so nobody can go on with it",
    "foreign": "this is no part of the layout",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be."""

    #: of :data:`DAMAGE` or :data:`GARBAGE`.
    kind: str
    #: of what is wrong.
    path: str
    repository: str = ""
    digest: Digest | None = None
    #: the digest under which a link stands, or the subject of a referrer.
    other: Digest | None = None
    tag: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Return what makes it the same finding."""
        return self.kind, self.path

    @property
    def damage(self) -> bool:
        """Whether it is damage, or garbage only."""
        return self.kind in DAMAGE

    @property
    def content(self) -> bool:
        """Whether it is about content that is wrong or missing."""
        return self.kind in ("wrong-content", "missing-blob", "missing-manifest")

    def __str__(self) -> str:
        meaning = DAMAGE.get(self.kind) or GARBAGE[self.kind]
        return f"{self.kind}: {self.path}: {meaning}"
