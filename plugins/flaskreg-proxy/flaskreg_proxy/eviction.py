"""Taking what is cached out of a repository, and its content with its last link."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress

from flaskreg.cache import DescriptorCache
from flaskreg.digest import Digest
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.storage import paths
from flaskreg.storage.links import Links


_log = logging.getLogger("flaskreg")

#: where content is between its last link and its end.
CONDEMNED = "/flaskreg/proxy/condemned"

#: repositories that are looked at for further links; more keep the content.
_REPOSITORIES = 100_000


class Eviction:
    """Removes one thing at a time.

    It works whether or not clients may delete. Who reads content goes on reading it,
    as drivers promise.

    :param driver: the storage.
    :param cache: told of what is gone.
    """

    def __init__(self, driver: StorageDriver, cache: DescriptorCache) -> None:
        self._driver = driver
        self._cache = cache

    def remove(self, repository: str, kind: str, digest: Digest) -> None:
        """Unlink a ``blob`` or ``manifest``; what is gone already is no error."""
        family = paths.layer if kind == "blob" else paths.revision
        links = Links(self._driver, repository, family)
        canonical = links.resolve(digest) or digest
        self._cache.clear(canonical, repository)
        links.unlink(canonical, digest)
        if canonical.canonical and not self._is_held(canonical):
            self._drop(canonical)

    def _drop(self, digest: Digest) -> None:
        """Delete content, unless somebody links it meanwhile.

        It is moved away first: who pushes it now puts it there anew.
        """
        aside = f"{CONDEMNED}/{digest.replace(':', '-', 1)}"
        with suppress(PathNotFound):
            self._driver.move(paths.blob_data(digest), aside)
            self._cache.clear(digest)
            if self._is_held(digest) and not self._is_there(digest):
                self._driver.move(aside, paths.blob_data(digest))
                return
            self._driver.delete(aside)

    def _is_there(self, digest: Digest) -> bool:
        try:
            self._driver.stat(paths.blob_data(digest))
        except PathNotFound:
            return False
        return True

    def _is_held(self, digest: Digest) -> bool:
        """Whether any repository links content, as a layer or as a manifest."""
        for count, name in enumerate(self._iter_names("")):
            if count >= _REPOSITORIES:
                _log.warning("proxy: too many repositories to look for links")
                return True
            for family in (paths.layer, paths.revision):
                if Links(self._driver, name, family).resolve(digest):
                    return True
        return False

    def _iter_names(self, above: str) -> Iterator[str]:
        """Yield all names that may be repositories, also of those without manifests."""
        try:
            names = self._driver.list(f"{paths.REPOSITORIES}/{above}".rstrip("/"))
        except PathNotFound:
            return
        for name in names:
            if not name.startswith("_"):
                yield above + name
                yield from self._iter_names(f"{above}{name}/")
