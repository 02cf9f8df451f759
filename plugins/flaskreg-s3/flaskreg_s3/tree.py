"""The tree of directories in a flat listing of keys."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from collections.abc import Iterator

from flaskreg.driver import FileInfo
from flaskreg_s3.documents import Listed


#: a file on its way out of the listing: its components, and what is known of it.
_Entry = tuple[tuple[str, ...], Listed]


def walk_tree(base: str, objects: Iterable[Listed], prefix: str) -> Iterator[FileInfo]:
    """Yield files, and before them the directories that they are in, in name order.

    :param base: the path of the directory, empty for the root.
    :param objects: all below it, in the order of their keys.
    :param prefix: what stands before a path in a key.
    """
    above: tuple[str, ...] = ()
    for parts, listed in _by_name(objects, len(prefix)):
        for depth in range(1, len(parts)):
            if parts[:depth] != above[:depth]:
                path = f"{base}/{'/'.join(parts[:depth])}"
                yield FileInfo(path, 0, is_dir=True)
        above = parts[:-1]
        path = f"{base}/{'/'.join(parts)}"
        yield FileInfo(path, listed.size, is_dir=False, modified=listed.modified)


def _by_name(objects: Iterable[Listed], start: int) -> Iterator[_Entry]:
    """Yield what is listed in the order of components instead of that of keys.

    ``-`` and ``.`` sort before ``/``: ``a-b`` is listed before ``a/b`` and belongs
    after it. What may have something before it still is kept until that is clear; it
    is everything only where one directory's name continues another's.
    """
    waiting: list[_Entry] = []
    for listed in objects:
        rest = listed.key[start:]
        if not rest or rest.endswith("/") or "~" in rest:
            continue
        while waiting and _latest_before(waiting[0][0]) < rest:
            yield heapq.heappop(waiting)
        heapq.heappush(waiting, (tuple(rest.split("/")), listed))
    while waiting:
        yield heapq.heappop(waiting)


def _latest_before(parts: tuple[str, ...]) -> str:
    """Return a text after all keys that belong before *parts* and follow it."""
    above = ""
    for name in parts:
        for at, letter in enumerate(name):
            if at and letter in "-.":
                # The first such name is that of the widest range.
                return f"{above}{name[:at]}0"
        above = f"{above}{name}/"
    return ""
