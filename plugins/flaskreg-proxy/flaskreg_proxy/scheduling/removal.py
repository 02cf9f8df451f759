"""Taking content out: the link of a repository first, the content with the last link.

The core only ever unlinks. Content without a link can be deleted when nobody is about
to link it again, and here nobody is: all who store or mount keep the content pinned
from before it is stored until it is linked (see :mod:`guard`), and what is pinned is
not removed (see :mod:`pins`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from flaskreg.cache import DescriptorCache
from flaskreg.digest import ENCODED_LENGTHS
from flaskreg.digest import Digest
from flaskreg.digest import parse_digest
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.errors import DigestInvalid
from flaskreg.storage import paths
from flaskreg.storage.links import Links
from flaskreg_proxy.scheduling.documents import names_in
from flaskreg_proxy.scheduling.documents import read_document
from flaskreg_proxy.scheduling.documents import value_of
from flaskreg_proxy.scheduling.table import MANIFEST


_log = logging.getLogger("flaskreg.proxy.scheduler")

#: the algorithm under which content is kept.
_KEPT = "sha256"


class Unlinker:
    """Takes content out of a repository, whether or not deletes are switched on.

    Who reads it goes on: on a disk its file is open, and an object store has begun to
    send it.

    :param driver: where the links are.
    :param cache: forgets the descriptor.
    """

    def __init__(self, driver: StorageDriver, cache: DescriptorCache | None) -> None:
        self._driver = driver
        self._cache = cache

    def __call__(self, repository: str, kind: str, digest: Digest) -> None:
        """Unlink a blob or a manifest; one that is not linked is left as it is."""
        if self._cache is not None:
            self._cache.clear(digest, repository)
        families = [paths.layer]
        if kind == MANIFEST:
            families.append(paths.revision)
            self._unlink_referrer(repository, digest)
        for family in families:
            Links(self._driver, repository, family).unlink(digest)

    def _unlink_referrer(self, repository: str, digest: Digest) -> None:
        """Let the subject of a manifest, if it has one, no longer list it."""
        document = read_document(self._driver, paths.blob_data(digest)) or {}
        subject = value_of(document, "subject", dict[str, Any]())
        with suppress(DigestInvalid, PathNotFound):
            of = parse_digest(value_of(subject, "digest", ""))
            self._driver.delete(paths.referrer(repository, of, digest))


class UnlinkedContent:
    """Deletes content that no repository links.

    :param driver: where it is.
    :param cache: forgets the descriptors.
    :param covers: whether a repository is one of the cache; those have no signatures.
    """

    def __init__(
        self,
        driver: StorageDriver,
        cache: DescriptorCache | None,
        covers: Callable[[str], bool],
    ) -> None:
        self._driver = driver
        self._cache = cache
        self._covers = covers

    def delete(
        self, digests: Collection[Digest], go_on: Callable[[], bool]
    ) -> set[Digest]:
        """Delete those of *digests* that nothing links, and return them.

        The links of all repositories are listed once for all of them.

        :param digests: canonical ones, which nobody is about to link.
        :param go_on: asked before each; the first ``False`` ends it.
        """
        unlinked = set(digests)
        for name in iter_repositories(self._driver):
            if not unlinked:
                break
            unlinked -= self._linked(name, unlinked)
        deleted = set()
        for digest in sorted(unlinked):
            if not go_on():
                break
            directory = paths.blob_data(digest).rpartition("/")[0]
            with suppress(PathNotFound):
                self._driver.delete(directory, durable=False)
            if self._cache is not None:
                self._cache.clear(digest)
            deleted.add(digest)
        return deleted

    def _linked(self, name: str, digests: set[Digest]) -> set[Digest]:
        found = set(iter_linked(self._driver, name, paths.layer)) & digests
        revisions = list(iter_linked(self._driver, name, paths.revision))
        found.update(digests.intersection(revisions))
        if not self._covers(name):
            for revision in revisions:
                found |= digests & self._signatures(name, revision)
        return found

    def _signatures(self, name: str, revision: Digest) -> set[Digest]:
        directory = f"{paths.signatures(name, revision)}/{_KEPT}"
        return {Digest(f"{_KEPT}:{each}") for each in names_in(self._driver, directory)}


def iter_repositories(driver: StorageDriver, prefix: str = "") -> Iterator[str]:
    """Yield every name that may be a repository, those without a manifest too."""
    for name in names_in(driver, f"{paths.REPOSITORIES}/{prefix}".rstrip("/")):
        if not name.startswith("_"):
            yield prefix + name
            yield from iter_repositories(driver, f"{prefix}{name}/")


def iter_linked(
    driver: StorageDriver, name: str, family: Callable[[str, Digest], str]
) -> Iterator[Digest]:
    """Yield the canonical digests that have a link of a family in a repository."""
    example = Digest(f"{_KEPT}:{'0' * ENCODED_LENGTHS[_KEPT]}")
    directory = family(name, example).rpartition("/")[0]
    for encoded in names_in(driver, directory):
        yield Digest(f"{_KEPT}:{encoded}")
