"""Where a value of the settings came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Origin:
    """The place that gave a value.

    :param source: what kind of place it is.
    :param place: ``file:line``, or the name of the environment variable.
    """

    source: Literal["default", "file", "environment"]
    place: str = ""

    def __str__(self) -> str:
        return self.place or self.source


DEFAULT = Origin("default")
"""The origin of every value that nobody gave."""


def join(path: str, key: str) -> str:
    """Return the dotted name of a key under a path; the root's path is empty."""
    return f"{path}.{key}" if path else key


def dotted(location: tuple[int | str, ...]) -> str:
    """Return a location, keys and list indexes, as one dotted name."""
    name = ""
    for part in location:
        name = f"{name}[{part}]" if isinstance(part, int) else join(name, part)
    return name
