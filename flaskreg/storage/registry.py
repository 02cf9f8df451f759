"""The registry on a storage driver; the seed's Namespace."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from bisect import bisect_right
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from itertools import islice

from flaskreg.cache import DescriptorCache
from flaskreg.digest import Digest
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.errors import BlobUnknown
from flaskreg.errors import NameUnknown
from flaskreg.lru import LRU
from flaskreg.manifest import ManifestOption
from flaskreg.manifest import ManifestType
from flaskreg.names import parse_name
from flaskreg.services import GlobalScope
from flaskreg.services import Registry
from flaskreg.services import Repository
from flaskreg.services import Scope
from flaskreg.storage import paths
from flaskreg.storage.blobs import BlobContents
from flaskreg.storage.links import Links
from flaskreg.storage.listings import Listings
from flaskreg.storage.repository import LocalRepository
from flaskreg.storage.repository import Parts
from flaskreg.storage.revisions import ManifestReader
from flaskreg.storage.sweepguard import SweepGuard


#: repositories that are remembered in a process.
_REPOSITORIES = 4096


class LocalRegistry(Registry):
    """All repositories of one storage driver.

    :param driver: where everything is.
    :param cache: remembers descriptors.
    :param manifest_types: by media type.
    :param manifest_options: the checks on manifests, in their order.
    :param make_repository: makes a repository by the hook, so that it can be wrapped;
        ``None`` makes a plain one.
    :param scope: the names that are served; all by default.
    :param delete_enabled: whether content can be deleted.
    :param redirect: whether clients may be sent to the driver's own URLs.
    :param is_cache: whether this is the store of a pull-through cache, which turns
        resumable digests off.
    :param tag_concurrency: tags that are read at once when all have to be.
    """

    def __init__(
        self,
        driver: StorageDriver,
        cache: DescriptorCache,
        manifest_types: Mapping[str, ManifestType],
        manifest_options: Sequence[ManifestOption] = (),
        *,
        make_repository: Callable[[Registry, str], Repository] | None = None,
        scope: Scope | None = None,
        delete_enabled: bool = False,
        redirect: bool = True,
        is_cache: bool = False,
        tag_concurrency: int = 1,
    ) -> None:
        contents = BlobContents(driver, redirect=redirect)
        self._parts = Parts(
            driver=driver,
            listings=Listings(driver),
            cache=cache,
            contents=contents,
            reader=ManifestReader(contents, manifest_types),
            checks=tuple(manifest_options),
            guard=SweepGuard(driver),
            delete_enabled=delete_enabled,
            resumable=not is_cache,
            tag_concurrency=tag_concurrency,
        )
        self._driver = driver
        self._scope = scope or GlobalScope()
        self._make = make_repository
        self._memory: LRU[str, Repository] = LRU(_REPOSITORIES)

    def scope(self) -> Scope:
        """Return the names that are served."""
        return self._scope

    def repository(self, name: str) -> Repository:
        """Return a repository, remembered when it was asked for before."""
        repository = self._memory.get(name)
        if repository is None:
            if not self._scope.contains(parse_name(name)):
                raise NameUnknown({"name": name})
            make = self._make or LocalRegistry.local_repository
            repository = make(self, name)
            self._memory.set(name, repository)
        return repository

    def local_repository(self, name: str) -> Repository:
        """Make a plain repository on the driver."""
        return LocalRepository(name, self._parts)

    def iter_repositories(self, last: str = "") -> Iterator[str]:
        """Yield names in byte order, those of the catalog and within the scope."""
        for name in self._iter_names(last):
            if self._exists(paths.manifests(name)):
                yield name

    def _iter_names(self, last: str = "", prefix: str = "") -> Iterator[str]:
        """Yield names below *prefix* in byte order, those after *last*.

        A name and what is below it are two entries of an order, ``a`` and ``a/``, since
        names such as ``a-b`` come between them. A directory is read when it is its
        turn, and its names before *last* are not looked at.
        """
        names = self._children(prefix)
        after = last.removeprefix(prefix) if last.startswith(prefix) else ""
        below = _entered(names, after)
        for at in range(bisect_right(names, after), len(names)):
            name = names[at]
            while below and below[0] < name:
                yield from self._iter_names(last, prefix + heapq.heappop(below))
            if name.startswith("_"):
                continue
            if self._scope.contains(prefix + name):
                yield prefix + name
            heapq.heappush(below, name + "/")
        while below:
            yield from self._iter_names(last, prefix + heapq.heappop(below))

    def iter_holders(self, digest: Digest, limit: int) -> Iterator[str]:
        """Yield repositories that link a blob, looking at none when it is nowhere."""
        if digest.canonical:
            try:
                self._parts.contents.stat(digest)
            except BlobUnknown:
                return
        for name in islice(self._iter_names(), limit):
            if Links(self._driver, name, paths.layer).resolve(digest):
                yield name

    def _children(self, prefix: str) -> Sequence[str]:
        directory = paths.REPOSITORIES + ("/" + prefix).rstrip("/")
        try:
            return self._parts.listings.names(directory)
        except PathNotFound:
            return ()

    def _exists(self, path: str) -> bool:
        try:
            self._driver.stat(path)
        except PathNotFound:
            return False
        return True


def _entered(names: Sequence[str], after: str) -> list[str]:
    """Return those names up to *after* below which something may come after it."""
    prefixes = (after[:length] for length in range(1, len(after) + 1))
    found = [prefix for prefix in prefixes if _holds(names, prefix)]
    return sorted(
        name + "/"
        for name in found
        if name + "/" > after or after.startswith(name + "/")
    )


def _holds(names: Sequence[str], name: str) -> bool:
    at = bisect_left(names, name)
    return at < len(names) and names[at] == name and not name.startswith("_")
