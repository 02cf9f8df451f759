"""The upstreams, and which of them a repository name belongs to."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from functools import lru_cache

from flaskreg.config.proxy import Proxy
from flaskreg.config.proxy import Remote
from flaskreg.errors import Denied
from flaskreg.errors import NameUnknown
from flaskreg_proxy.client import DOCKER_HUB
from flaskreg_proxy.client import UpstreamClient
from flaskreg_proxy.client import is_docker_hub
from flaskreg_proxy.counters import Counters
from flaskreg_proxy.tokens import TokenStore


#: names whose place here is remembered.
_REMEMBERED = 4096


class Upstream:
    """One registry that is cached.

    :param prefix: of the names here; ``""`` when the whole registry is its cache.
    :param url: of the upstream.
    :param settings: its section.
    :param client: asks it.
    :param host: a ``Host`` that means it; ``""`` for none.
    """

    def __init__(
        self,
        prefix: str,
        url: str,
        settings: Remote,
        client: UpstreamClient,
        host: str = "",
    ) -> None:
        self.prefix = prefix
        self.settings = settings
        self.client = client
        self.host = host.lower()
        self.offline = settings.mode == "offline"
        hub = is_docker_hub(url)
        self._library = hub if settings.library is None else settings.library
        self.namespaces = frozenset(
            {prefix, client.host, *(DOCKER_HUB if hub else ())} - {""}
        )

    def holds(self, name: str) -> bool:
        """Whether a name here is one of its repositories."""
        return not self.prefix or name.startswith(f"{self.prefix}/")

    def here(self, name: str) -> str:
        """Return the name here of what a client names without or with the prefix."""
        there = self.there(name) if self.holds(name) else self._whole(name)
        return f"{self.prefix}/{there}" if self.prefix else there

    def there(self, name: str) -> str:
        """Return the name there of a repository here."""
        return self._whole(name[len(self.prefix) + 1 :] if self.prefix else name)

    def check(self, name: str) -> None:
        """Let names there through that are to be cached.

        :raises Denied: this one is not.
        """
        allow, deny = self.settings.allow, self.settings.deny
        allowed = not allow or any(fnmatch.fnmatchcase(name, it) for it in allow)
        if not allowed or any(fnmatch.fnmatchcase(name, it) for it in deny):
            raise Denied(message=f"{name} is not among what is cached here")

    def _whole(self, name: str) -> str:
        return f"library/{name}" if self._library and "/" not in name else name


class Upstreams:
    """All of them, the most particular prefix first."""

    def __init__(self, upstreams: Sequence[Upstream]) -> None:
        self.all = sorted(upstreams, key=lambda it: len(it.prefix), reverse=True)
        self._named = any(upstream.prefix for upstream in upstreams)
        self._hosts = {each.host: each for each in self.all if each.host}
        self._here = lru_cache(_REMEMBERED)(self._by_name)

    def find(self, name: str) -> Upstream | None:
        """Return the upstream of a name; ``None`` for a local repository."""
        for upstream in self.all:
            if upstream.holds(name):
                return upstream
        return None

    def locate(self, name: str, namespace: str | None, host: str) -> str:
        """Return the name here that a request means.

        A namespace is looked up among the upstreams and never dialled. A registry that
        is the cache of one other takes any, as CNCF distribution does.

        :raises NameUnknown: it is none of theirs.
        """
        if namespace and self._named:
            return self._by_namespace(namespace.lower()).here(name)
        if host and self._hosts and (upstream := self._by_host(host.lower())):
            return upstream.here(name)
        return self._here(name)

    def _by_name(self, name: str) -> str:
        found = self.find(name)
        return name if found is None else found.here(name)

    def _by_namespace(self, namespace: str) -> Upstream:
        for upstream in self.all:
            if namespace in upstream.namespaces:
                return upstream
        raise NameUnknown({"ns": namespace[:255]})

    def _by_host(self, host: str) -> Upstream | None:
        return self._hosts.get(host) or self._hosts.get(host.rpartition(":")[0])


def make_upstreams(
    proxy: Proxy, tokens: TokenStore, counters: Counters | None = None
) -> Upstreams:
    """Return the upstreams of the configuration; nothing is asked yet."""
    found = [
        Upstream(
            each.prefix,
            each.remoteurl,
            each,
            UpstreamClient(each.remoteurl, each, tokens, counters),
            each.host,
        )
        for each in proxy.upstreams
    ]
    if proxy.remoteurl:
        client = UpstreamClient(proxy.remoteurl, proxy, tokens, counters)
        found.append(Upstream("", proxy.remoteurl, proxy, client))
    return Upstreams(found)
