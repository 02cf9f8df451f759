"""The descriptor caches ``inmemory`` (of one worker process) and ``none``."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from flaskreg.cache import CacheFactory
from flaskreg.cache import DescriptorCache
from flaskreg.cache import check_descriptor
from flaskreg.config import ConfigError
from flaskreg.descriptor import Descriptor
from flaskreg.digest import Digest
from flaskreg.hookspecs import hookimpl


#: how many descriptors are remembered when the configuration does not say.
DEFAULT_SIZE = 10000

_SIZE = "blobdescriptorsize"


class MemoryCache(DescriptorCache):
    """Remembers the descriptors that were used last.

    A descriptor of the whole registry and one of a repository count as two.

    :param size: how many are remembered; there is no limit for 0 or less.
    """

    def __init__(self, size: int = DEFAULT_SIZE) -> None:
        self.size = size
        self._lock = threading.Lock()
        #: by repository (``""`` for the whole registry) and digest, last used last.
        self._entries: OrderedDict[tuple[str, Digest], Descriptor] = OrderedDict()

    def stat(self, digest: Digest, repository: str | None = None) -> Descriptor | None:
        """Return what is remembered, and count it as used."""
        key = (repository or "", digest)
        with self._lock:
            descriptor = self._entries.get(key)
            if descriptor is not None:
                self._entries.move_to_end(key)
            return descriptor

    def set(
        self, digest: Digest, descriptor: Descriptor, repository: str | None = None
    ) -> None:
        """Remember *descriptor*, and forget what was not used for longest."""
        check_descriptor(descriptor)
        with self._lock:
            if repository and ("", digest) not in self._entries:
                self._entries["", digest] = descriptor
            key = (repository or "", digest)
            self._entries[key] = descriptor
            self._entries.move_to_end(key)
            while 0 < self.size < len(self._entries):
                self._entries.popitem(last=False)

    def clear(self, digest: Digest, repository: str | None = None) -> None:
        """Forget a repository's descriptor and the registry's, or all of them."""
        with self._lock:
            if repository:
                self._entries.pop((repository, digest), None)
                self._entries.pop(("", digest), None)
                return
            for key in [key for key in self._entries if key[1] == digest]:
                del self._entries[key]


class NoCache(DescriptorCache):
    """Remembers nothing."""

    def stat(self, digest: Digest, repository: str | None = None) -> Descriptor | None:
        """Return ``None``."""
        del digest, repository
        return None

    def set(
        self, digest: Digest, descriptor: Descriptor, repository: str | None = None
    ) -> None:
        """Refuse what no cache takes; else do nothing."""
        del digest, repository
        check_descriptor(descriptor)

    def clear(self, digest: Digest, repository: str | None = None) -> None:
        """Do nothing."""


def parse_size(parameters: Mapping[str, Any], name: str) -> int:
    """Return the ``blobdescriptorsize`` of a cache that takes nothing else.

    :param name: of the cache, for the error.
    :raises ConfigError: it is no whole number, or there is another parameter.
    """
    for key in parameters.keys() - {_SIZE}:
        raise ConfigError.unknown(f"storage.cache.options.{key}", ())
    size = parameters.get(_SIZE, DEFAULT_SIZE)
    if isinstance(size, int) and not isinstance(size, bool):
        return size
    raise ConfigError.wrong(
        f"storage.cache.{_SIZE}", size, f"the cache {name} wants a whole number"
    )


def make_memory_cache(parameters: Mapping[str, Any]) -> DescriptorCache:
    """Make the cache ``inmemory``.

    :raises ConfigError: a parameter is wrong.
    """
    return MemoryCache(parse_size(parameters, "inmemory"))


def make_no_cache(parameters: Mapping[str, Any]) -> DescriptorCache:
    """Make the cache ``none``.

    :raises ConfigError: a parameter is wrong.
    """
    parse_size(parameters, "none")
    return NoCache()


@hookimpl
def flaskreg_register_caches() -> Mapping[str, CacheFactory]:
    """Offer ``inmemory`` and ``none``."""
    return {"inmemory": make_memory_cache, "none": make_no_cache}
