"""The registry with caches in it: the seed's proxying registry, for many upstreams."""

from __future__ import annotations

import os
import threading

from flaskreg.lru import LRU
from flaskreg.services import Registry
from flaskreg.services import Repository
from flaskreg.servicewrappers import RegistryWrapper
from flaskreg_proxy.context import Context
from flaskreg_proxy.context import Parse
from flaskreg_proxy.counters import Counters
from flaskreg_proxy.downloads import Downloads
from flaskreg_proxy.freshness import Freshness
from flaskreg_proxy.lifetimes import Lifetimes
from flaskreg_proxy.remote import RemoteRepository
from flaskreg_proxy.repository import ProxyRepository
from flaskreg_proxy.upstreams import Upstream
from flaskreg_proxy.upstreams import Upstreams


#: cached repositories that are remembered in a process.
_REPOSITORIES = 4096


class ProxyRegistry(RegistryWrapper):
    """Gives cached repositories for the names of upstreams, and local ones else.

    :param registry: all repositories as they are here.
    :param local: those that are pushed to, when that takes more than they are.
    :param upstreams: what is cached.
    :param downloads: on their way.
    :param lifetimes: decides what stays.
    :param manifest_bytes: the most bytes of a manifest.
    :param parse: reads a manifest that is not kept.
    """

    def __init__(
        self,
        registry: Registry,
        local: Registry,
        upstreams: Upstreams,
        downloads: Downloads,
        lifetimes: Lifetimes,
        manifest_bytes: int,
        parse: Parse,
    ) -> None:
        super().__init__(registry)
        self._local = local
        self._upstreams = upstreams
        self._downloads = downloads
        self._lifetimes = lifetimes
        self._manifest_bytes = manifest_bytes
        self._parse = parse
        self._freshness = Freshness(downloads.workplace)
        self._memory: LRU[str, Repository] = LRU(_REPOSITORIES)
        self._lock = threading.Lock()
        self._process = 0

    @property
    def counters(self) -> Counters:
        """Return what this process has counted so far."""
        return self._downloads.counters

    def locate(self, name: str, namespace: str | None, host: str) -> str:
        """Return the repository that a request means, by ``ns``, ``Host`` or name."""
        located = self._upstreams.locate(name, namespace, host)
        if self._upstreams.find(located) is not None:
            return located
        return self.inner.locate(located, namespace, host)

    def repository(self, name: str) -> Repository:
        """Return a repository: of an upstream when it is below its prefix."""
        repository = self._memory.get(name)
        if repository is not None:
            return repository
        if self._process != os.getpid():
            # A program that serves nobody has not said that it begins.
            self._begin(jobs=False)
        upstream = self._upstreams.find(name)
        if upstream is None:
            repository = self._local.repository(name)
        else:
            local = self.inner.repository(name)
            repository = ProxyRepository(self._context(upstream, local))
        self._memory.set(name, repository)
        return repository

    def start(self) -> None:
        """Begin to remove what has had its time, and to do what is on a timetable."""
        self.inner.start()
        self.counters.start()
        self._begin(jobs=True)

    def stop(self) -> None:
        """Leave that to other processes."""
        self._lifetimes.close()
        self.inner.stop()

    def _begin(self, *, jobs: bool) -> None:
        with self._lock:
            if self._process != os.getpid() or jobs:
                self._process = os.getpid()
                self._lifetimes.start(jobs=jobs)

    def _context(self, upstream: Upstream, local: Repository) -> Context:
        there = upstream.there(local.name)
        return Context(
            upstream=upstream,
            local=local,
            remote=RemoteRepository(upstream.client, there, self._manifest_bytes),
            downloads=self._downloads,
            lifetimes=self._lifetimes,
            counters=self.counters,
            freshness=self._freshness,
            holders=self.inner.iter_holders,
            parse=self._parse,
        )
