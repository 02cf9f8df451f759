"""Globs over repository names, and how long they are."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass


_GLOB = re.compile(r"[a-z0-9._/*?-]{1,255}")
_PART = re.compile(r"\*\*+|\*|\?|[^*?]+")
_WILD = {"*": "[^/]*", "?": "[^/]"}


@dataclass(frozen=True)
class Glob:
    """A pattern over whole repository names.

    ``*`` is any text without a slash, ``**`` any text, ``?`` one character that is no
    slash; every other character is itself.
    """

    pattern: str

    def __str__(self) -> str:
        return self.pattern

    @functools.cached_property
    def length(self) -> int:
        """Return the number of characters that stand for themselves."""
        return sum(character not in "*?" for character in self.pattern)

    def matches(self, name: str) -> bool:
        """Whether the whole of *name* fits."""
        return self._expression.fullmatch(name) is not None

    @functools.cached_property
    def _expression(self) -> re.Pattern[str]:
        parts = _PART.findall(self.pattern)
        return re.compile("".join(_translated(part) for part in parts))


def _translated(part: str) -> str:
    return ".*" if part.startswith("**") else _WILD.get(part) or re.escape(part)


def parse_glob(text: str) -> Glob:
    """Parse a glob.

    :raises ValueError: it has a character that no repository name has.
    """
    if not _GLOB.fullmatch(text):
        raise ValueError(
            f"{text[:80]!r} must be a glob over repository names, such as team/** "
            "(lower-case letters, digits, . _ - / and the wildcards * ** ?)"
        )
    return Glob(text)
