"""What is cached: entries of repositories, and the content that they have in common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from typing import NamedTuple

from flaskreg.digest import Digest


BLOB = "blob"
MANIFEST = "manifest"

#: the size of content that nobody has told or looked for yet.
UNKNOWN = -1


class Key(NamedTuple):
    """Content of one repository."""

    repository: str
    digest: Digest


@dataclass(frozen=True, slots=True)
class Entry:
    """When a repository's content was last used.

    :param kind: ``blob`` or ``manifest``.
    :param size: in bytes; :data:`UNKNOWN` when it is not known.
    :param used: in steady seconds.
    """

    kind: str
    size: int
    used: float

    def merged(self, other: Entry) -> Entry:
        """Return what two accounts of one entry say together, in whatever order."""
        return Entry(
            # Unlinking a manifest is the more careful removal.
            max(self.kind, other.kind),
            max(self.size, other.size),
            max(self.used, other.used),
        )


@dataclass(slots=True)
class _Content:
    size: int = UNKNOWN
    repositories: set[str] = field(default_factory=set)


class Table:
    """All entries, those that were used least recently first.

    Each operation but iteration costs the same however many entries there are. Content
    that several repositories hold counts once. Not shared by threads.
    """

    def __init__(self) -> None:
        # Dictionaries keep the order in which keys are put in.
        self._entries: dict[Key, Entry] = {}
        self._contents: dict[Digest, _Content] = {}
        #: bytes of all content.
        self.size = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def get(self, key: Key) -> Entry | None:
        """Return an entry, or ``None``."""
        return self._entries.get(key)

    def merge(self, key: Key, entry: Entry) -> bool:
        """Add an entry, or what is new of it; return whether anything is."""
        known = self._entries.get(key)
        merged = entry if known is None else known.merged(entry)
        if merged == known:
            return False
        content = self._contents.setdefault(key.digest, _Content())
        content.repositories.add(key.repository)
        self._weigh(content, merged.size)
        if known is None or merged.used > known.used:
            self._entries.pop(key, None)
            self._contents[key.digest] = self._contents.pop(key.digest)
        self._entries[key] = merged
        return True

    def discard(self, key: Key) -> None:
        """Forget an entry, known or not; its content with the last one."""
        if self._entries.pop(key, None) is None:
            return
        content = self._contents[key.digest]
        content.repositories.discard(key.repository)
        if not content.repositories:
            del self._contents[key.digest]
            self.size -= max(content.size, 0)

    def measure(self, digest: Digest, size: int) -> None:
        """Note the size of content."""
        if digest in self._contents:
            self._weigh(self._contents[digest], size)

    def size_of(self, digest: Digest) -> int:
        """Return the size of content in bytes, 0 when it is not known."""
        content = self._contents.get(digest)
        return max(content.size, 0) if content else 0

    def repositories(self, digest: Digest) -> frozenset[str]:
        """Return the repositories that have entries for content."""
        content = self._contents.get(digest)
        return frozenset(content.repositories) if content else frozenset()

    def items(self) -> Iterator[tuple[Key, Entry]]:
        """Yield the entries; nothing may be changed meanwhile."""
        yield from self._entries.items()

    def sorted(self) -> Table:
        """Return a table of the same entries in the order of their last use."""
        table = Table()
        for key, entry in sorted(self._entries.items(), key=lambda item: item[1].used):
            table.merge(key, replace(entry, size=self.size_of(key.digest)))
        return table

    def iter_older(self, limit: float) -> Iterator[tuple[Key, Entry]]:
        """Yield the entries at the front that were last used before *limit*."""
        for key, entry in self._entries.items():
            if entry.used >= limit:
                return
            yield key, entry

    def iter_contents(self) -> Iterator[tuple[Digest, int]]:
        """Yield content with its size in bytes, what is unused longest first."""
        for digest, content in self._contents.items():
            yield digest, max(content.size, 0)

    def iter_unmeasured(self) -> Iterator[Digest]:
        """Yield content whose size is not known."""
        for digest, content in self._contents.items():
            if content.size == UNKNOWN:
                yield digest

    def _weigh(self, content: _Content, size: int) -> None:
        if size > content.size:
            self.size += size - max(content.size, 0)
            content.size = size
