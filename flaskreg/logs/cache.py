"""A descriptor cache that tells the access log what it answered."""

from __future__ import annotations

from flaskreg.cache import DescriptorCache
from flaskreg.descriptor import Descriptor
from flaskreg.digest import Digest
from flaskreg.observer import CURRENT


class TellingCache(DescriptorCache):
    """Stands around a cache, and notes ``hit`` or ``miss`` on the current request.

    A request that asks more than once is a hit when one answer was.

    :param inner: the cache.
    """

    def __init__(self, inner: DescriptorCache) -> None:
        self._inner = inner
        self.shared = inner.shared

    def stat(self, digest: Digest, repository: str | None = None) -> Descriptor | None:
        """Return the descriptor of *digest*, if it is known."""
        found = self._inner.stat(digest, repository)
        exchange = CURRENT.get()
        if exchange is not None and exchange.cache != "hit":
            exchange.cache = "miss" if found is None else "hit"
        return found

    def set(
        self, digest: Digest, descriptor: Descriptor, repository: str | None = None
    ) -> None:
        """Remember *descriptor*."""
        self._inner.set(digest, descriptor, repository)

    def clear(self, digest: Digest, repository: str | None = None) -> None:
        """Forget *digest*."""
        self._inner.clear(digest, repository)

    def close(self) -> None:
        """Close the cache."""
        self._inner.close()
