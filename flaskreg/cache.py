"""The contract of descriptor caches.

A cache holds descriptors and never content. It answers what a digest *is*, which
cannot change; whether a repository holds it is always read from the storage, so that
no cache can make content of one repository readable through another, or readable
after a delete.
"""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from flaskreg.descriptor import Descriptor
from flaskreg.digest import Digest


class DescriptorCache(ABC):
    """Remembers descriptors, for all repositories or for one.

    No method ever raises for a backend that does not answer: a read is then a miss,
    a write is lost, and the registry is slower but never wrong.
    """

    #: whether all worker processes see one memory.
    shared: bool = False

    @abstractmethod
    def stat(self, digest: Digest, repository: str | None = None) -> Descriptor | None:
        """Return the descriptor of *digest*.

        :param repository: a repository name, for its own view of the content;
            ``None`` for the view of the whole registry.
        :returns: ``None`` when it is not known here.
        """

    @abstractmethod
    def set(
        self, digest: Digest, descriptor: Descriptor, repository: str | None = None
    ) -> None:
        """Remember *descriptor* for *digest*.

        A repository's descriptor is remembered for the whole registry too when
        nothing is known there.

        :raises ValueError: the descriptor has no media type or a negative size.
        """

    @abstractmethod
    def clear(self, digest: Digest, repository: str | None = None) -> None:
        """Forget *digest*, for one repository or (``None``) for all of them."""

    def close(self) -> None:
        """Let go of connections; the cache is not used after it."""


def check_descriptor(descriptor: Descriptor) -> None:
    """Refuse what must not be remembered.

    :raises ValueError: the descriptor has no media type or a negative size.
    """
    if not descriptor.media_type or descriptor.size < 0:
        raise ValueError(f"not a descriptor to remember: {descriptor}")


#: makes a cache from its parameters (``blobdescriptorsize`` and a backend's own).
CacheFactory = Callable[[Mapping[str, Any]], DescriptorCache]
