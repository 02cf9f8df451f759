"""Which content goes: what is too old, and then what was used least recently."""

from __future__ import annotations

from collections.abc import Container
from itertools import islice

from flaskreg.digest import Digest
from flaskreg_proxy.scheduling.limits import Limits
from flaskreg_proxy.scheduling.table import Key
from flaskreg_proxy.scheduling.table import Table


def excess(limits: Limits, size: int, expected: int) -> int:
    """Return how many bytes have to go for the bound on bytes, 0 below the high water.

    :param size: bytes of all content.
    :param expected: bytes that may come or are waited for.
    """
    if limits.max_bytes is None:
        return 0
    if size + expected <= limits.high * limits.max_bytes:
        return 0
    return max(size + expected - int(limits.low * limits.max_bytes), 0)


def choose_victims(
    table: Table,
    limits: Limits,
    *,
    now: float,
    too_many: int,
    spared: Container[Digest],
    count: int,
) -> dict[Key, float]:
    """Return the entries that are to go, with when they were last used.

    :param now: in steady seconds.
    :param too_many: bytes of content that have to go, whatever its age.
    :param spared: content that is left alone.
    :param count: of entries at most; more by those of one content.
    """
    victims: dict[Key, float] = {}
    if limits.lifetime is not None:
        old = (
            (key, entry.used)
            for key, entry in table.iter_older(now - limits.lifetime)
            if key.digest not in spared
        )
        victims.update(islice(old, count))
    for digest, size in table.iter_contents():
        if too_many <= 0 or len(victims) >= count:
            break
        if digest in spared:
            continue
        for name in table.repositories(digest):
            key = Key(name, digest)
            entry = table.get(key)
            if entry is not None:
                victims[key] = entry.used
        too_many -= size
    return victims
