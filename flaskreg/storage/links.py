"""Membership: which content a repository may see.

A link is a small file that holds a digest. The link under the canonical digest *is* the
membership; a link under another algorithm is a second name for it and counts only
while the canonical one is there, so that a delete by either name is a delete.
"""

from __future__ import annotations

from collections.abc import Callable

from flaskreg.descriptor import Descriptor
from flaskreg.digest import Digest
from flaskreg.digest import parse_digest
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.errors import BlobUnknown
from flaskreg.errors import DigestInvalid
from flaskreg.services import BlobStatter
from flaskreg.storage import paths


def read_link(driver: StorageDriver, directory: str) -> Digest | None:
    """Return the digest in a directory's link.

    :returns: ``None`` when there is no link, or a damaged one, such as an empty file
        after a power cut under another registry: pushing again heals it.
    """
    try:
        return parse_digest(driver.get_content(paths.link(directory)).decode("ascii"))
    except (PathNotFound, DigestInvalid, UnicodeDecodeError):
        return None


def link_to(directory: str, target: Digest) -> tuple[str, bytes]:
    """Return a directory's link, as path and content, for a driver to publish."""
    return paths.link(directory), target.encode("ascii")


class Links:
    """One family of links of one repository: its layers, or its revisions.

    :param driver: where the links are.
    :param name: of the repository.
    :param directory: gives the directory of a link for a name and a digest.
    """

    def __init__(
        self,
        driver: StorageDriver,
        name: str,
        directory: Callable[[str, Digest], str],
    ) -> None:
        self._driver = driver
        self._name = name
        self._directory = directory

    def of(self, name: str) -> Links:
        """Return the same family of links of another repository."""
        return Links(self._driver, name, self._directory)

    def resolve(self, digest: Digest) -> Digest | None:
        """Return the canonical digest behind *digest*, or ``None`` without a link."""
        target = self._read(digest)
        if target is None or digest.canonical:
            return target
        return target if self._read(target) else None

    def entries(self, digest: Digest, canonical: Digest) -> list[tuple[str, bytes]]:
        """Return what makes content a member, by its canonical digest and *digest*."""
        return [
            link_to(self._directory(self._name, each), canonical)
            for each in dict.fromkeys((canonical, digest))
        ]

    def unlink(self, *digests: Digest) -> None:
        """Take content out, by each of its digests; unknown ones are left out."""
        for digest in digests:
            try:
                self._driver.delete(self._directory(self._name, digest))
            except PathNotFound:
                continue

    def _read(self, digest: Digest) -> Digest | None:
        return read_link(self._driver, self._directory(self._name, digest))


class LinkedStatter(BlobStatter):
    """Checks the link, then asks another statter: the gate of a repository.

    :param links: the links that decide.
    :param statter: what is asked behind them, for the canonical digest.
    """

    def __init__(self, links: Links, statter: BlobStatter) -> None:
        self._links = links
        self._statter = statter

    def stat(self, digest: Digest) -> Descriptor:
        """Return the descriptor of the content behind *digest*."""
        target = self._links.resolve(digest)
        if target is None:
            raise BlobUnknown({"digest": digest})
        return self._statter.stat(target)
