"""What stands in the directories of one repository, damaged or not."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field

from flaskreg.digest import Digest
from flaskreg.digest import parse_digest
from flaskreg.driver import DriverError
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.errors import DigestInvalid
from flaskreg.storage import paths
from flaskreg.storage.links import read_link
from flaskreg.upkeep.references import References
from flaskreg.upkeep.references import Undecided
from flaskreg.upkeep.references import read_references


_log = logging.getLogger("flaskreg")


@dataclass(slots=True)
class Member:
    """A manifest or a blob of a repository."""

    #: the digests under which it is linked; the canonical one is not always there.
    names: list[Digest] = field(default_factory=list)
    #: what a manifest leads to; ``None`` when its content is not there.
    references: References | None = None


@dataclass(slots=True)
class Survey:
    """One repository: its links by the canonical digest that they lead to."""

    name: str
    revisions: dict[Digest, Member] = field(default_factory=dict)
    layers: dict[Digest, Member] = field(default_factory=dict)
    tags: dict[str, Digest] = field(default_factory=dict)
    #: canonical digests by other ones.
    canonical: dict[Digest, Digest] = field(default_factory=dict)
    #: whether what a manifest leads to cannot be told, so that all may be needed.
    undecided: bool = False

    def resolve(self, digest: Digest) -> Digest:
        """Return the canonical digest, or *digest* when nothing here leads to one."""
        return self.canonical.get(digest, digest)

    def listed(self, revision: Digest) -> Iterator[Digest]:
        """Yield the canonical digests of all that a manifest lists."""
        references = self.revisions[revision].references
        for digest in references.listed if references else ():
            yield self.resolve(digest)

    def subject(self, revision: Digest) -> Digest | None:
        """Return the canonical digest of what a manifest is about."""
        references = self.revisions[revision].references
        if references is None or references.subject is None:
            return None
        return self.resolve(references.subject)


class Surveyor:
    """Reads repositories; what is damaged is logged, counted and left out.

    :param driver: of the storage.
    """

    def __init__(self, driver: StorageDriver) -> None:
        self._driver = driver
        #: how much damage of each kind was met.
        self.damaged: Counter[str] = Counter()

    def read(self, name: str) -> Survey:
        """Return what is in one repository."""
        survey = Survey(name)
        for digest in self.digests(paths.layers(name)):
            directory = paths.layer(name, digest)
            self._add(survey, survey.layers, digest, directory, "layer link")
        for digest in self.digests(paths.revisions(name)):
            directory = paths.revision(name, digest)
            self._add(survey, survey.revisions, digest, directory, "manifest link")
        for tag in self.children(paths.tags(name)):
            self._add_tag(survey, tag)
        for digest, member in survey.revisions.items():
            member.references = self._references(survey, digest)
        return survey

    def digests(self, directory: str) -> Iterator[Digest]:
        """Yield the digests in a directory, one algorithm each below it."""
        for algorithm in self.children(directory):
            for encoded in self.children(f"{directory}/{algorithm}"):
                with suppress(DigestInvalid):
                    yield parse_digest(f"{algorithm}:{encoded}")

    def children(self, directory: str) -> list[str]:
        """Return the names in a directory, sorted; none when it cannot be read."""
        try:
            return sorted(self._driver.list(directory))
        except PathNotFound:
            return []
        except DriverError as error:
            self.note("unreadable", str(error))
            return []

    def note(self, kind: str, sentence: str) -> None:
        """Count damage, and log it."""
        self.damaged[kind] += 1
        _log.warning("%s: %s", kind, sentence)

    def _add(
        self,
        survey: Survey,
        members: dict[Digest, Member],
        digest: Digest,
        directory: str,
        kind: str,
    ) -> None:
        """Add what a link leads to; a damaged one leads where its name says."""
        target = read_link(self._driver, directory)
        if target is None and not self._exists(paths.link(directory)):
            # distribution deletes a link and leaves its directory.
            return
        if target is None or not target.canonical:
            self.note(kind, f"{directory} holds no digest")
            target = digest
        members.setdefault(target, Member()).names.append(digest)
        if digest != target:
            survey.canonical[digest] = target

    def _add_tag(self, survey: Survey, tag: str) -> None:
        directory = paths.tag_current(survey.name, tag)
        target = read_link(self._driver, directory)
        if target is None and self._exists(paths.link(directory)):
            self.note("tag", f"{directory} holds no digest")
        elif target is not None:
            survey.tags[tag] = survey.resolve(target)

    def _references(self, survey: Survey, digest: Digest) -> References | None:
        try:
            return read_references(self._driver, digest)
        except PathNotFound:
            self.note("manifest", f"{survey.name}@{digest} has no content")
        except Undecided as error:
            if self._is_empty(digest):
                self.note("manifest", f"{survey.name}@{digest} is empty")
            else:
                survey.undecided = True
                self.note("manifest", f"{survey.name}@{digest}: {error}")
        return None

    def _exists(self, path: str) -> bool:
        try:
            self._driver.stat(path)
        except PathNotFound:
            return False
        return True

    def _is_empty(self, digest: Digest) -> bool:
        return self._driver.stat(paths.blob_data(digest)).size == 0


def iter_repositories(driver: StorageDriver, below: str = "") -> Iterator[str]:
    """Yield the names of all repositories, those without manifests too, in order."""
    try:
        children = sorted(driver.list(f"{paths.REPOSITORIES}{below}"))
    except PathNotFound:
        return
    if below and any(child.startswith("_") for child in children):
        yield below[1:]
    for child in children:
        if not child.startswith("_"):
            yield from iter_repositories(driver, f"{below}/{child}")


def iter_blobs(driver: StorageDriver) -> Iterator[Digest]:
    """Yield the digests of all content, as its directories are named."""
    surveyor = Surveyor(driver)
    for algorithm in surveyor.children(paths.BLOBS):
        for first in surveyor.children(f"{paths.BLOBS}/{algorithm}"):
            for encoded in surveyor.children(f"{paths.BLOBS}/{algorithm}/{first}"):
                if encoded.startswith(first):
                    with suppress(DigestInvalid):
                        yield parse_digest(f"{algorithm}:{encoded}")
