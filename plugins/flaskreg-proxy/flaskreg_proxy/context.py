"""What the stores of one cached repository share."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass

from flaskreg.digest import Digest
from flaskreg.errors import Denied
from flaskreg.errors import RegistryError
from flaskreg.errors import Unsupported
from flaskreg.manifest import Manifest
from flaskreg.services import Repository
from flaskreg_proxy.counters import Counters
from flaskreg_proxy.downloads import Downloads
from flaskreg_proxy.errors import UpstreamOffline
from flaskreg_proxy.freshness import Freshness
from flaskreg_proxy.lifetimes import Lifetimes
from flaskreg_proxy.remote import RemoteRepository
from flaskreg_proxy.upstreams import Upstream


#: reads a manifest by content, media type and digest.
Parse = Callable[[bytes, str, Digest], Manifest]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One cached repository."""

    upstream: Upstream
    local: Repository
    remote: RemoteRepository
    downloads: Downloads
    lifetimes: Lifetimes
    counters: Counters
    freshness: Freshness
    #: yields the repositories that hold a blob, looking at so many.
    holders: Callable[[Digest, int], Iterator[str]]
    #: for a manifest that there is no room to keep.
    parse: Parse

    def check_online(self) -> None:
        """Let what asks the upstream go on.

        :raises UpstreamOffline: it is not to be asked.
        :raises Denied: not for this repository.
        """
        if self.upstream.offline:
            raise UpstreamOffline
        self.upstream.check(self.remote.name)

    def refusal(self) -> RegistryError:
        """Return the error for who wants to change what is cached.

        A whole cache answers as CNCF distribution's does. Below a prefix it is 403, to
        which clients give in at once; they repeat what is answered otherwise.
        """
        if not self.upstream.prefix:
            return Unsupported()
        return Denied(
            message=f"{self.upstream.prefix} is a cache: nothing is pushed to it"
        )

    def lock(self, key: str) -> str:
        """Return the file of a lock between all workers."""
        return self.downloads.workplace.lock(key)
