"""Repairs: each kind of finding is put right where that can be done.

They are made as a garbage collection deletes, under the same marks, so that a push at
the same moment loses nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC
from datetime import datetime

from flaskreg.digest import Digest
from flaskreg.digest import parse_digest
from flaskreg.driver import DriverError
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.errors import DigestInvalid
from flaskreg.errors import ManifestInvalid
from flaskreg.storage import ourpaths
from flaskreg.storage import paths
from flaskreg.storage.links import link_to
from flaskreg.storage.links import read_link
from flaskreg.storage.revisions import ManifestReader
from flaskreg.storage.sweepguard import tag_mark
from flaskreg.upkeep.elsewhere import Elsewhere
from flaskreg.upkeep.findings import Finding
from flaskreg.upkeep.storecheck import digest_of
from flaskreg.upkeep.survey import Surveyor
from flaskreg.upkeep.survey import iter_repositories
from flaskreg.upkeep.sweeprun import SweepRun


_LONG_AGO = datetime.fromtimestamp(0, UTC)


class Repairs:
    """Puts right what was found.

    :param driver: of the storage.
    :param run: under whose marks something is deleted.
    :param elsewhere: where content may be.
    :param reader: parses manifests.
    """

    def __init__(
        self,
        driver: StorageDriver,
        run: SweepRun,
        elsewhere: Elsewhere,
        reader: ManifestReader,
    ) -> None:
        self._driver = driver
        self._run = run
        self._elsewhere = elsewhere
        self._reader = reader
        self._by_kind: Mapping[str, Callable[[Finding], bool]] = {
            "wrong-content": self._wrong_content,
            "missing-blob": self._missing_blob,
            "missing-manifest": self._missing_manifest,
            "damaged-link": self._damaged_link,
            "damaged-tag": self._damaged_tag,
            "dangling-tag": self._dangling_tag,
            "unlinked-blob": self._link_blob,
            "link-to-nothing": self._link_to_nothing,
            "dangling-referrer": self._remove,
            "damaged-referrer": self._write_referrer,
            "missing-referrer": self._write_referrer,
            "misplaced": self._misplaced,
            "leftover": self._remove,
            "broken-upload": self._remove,
        }

    def repair(self, finding: Finding) -> bool:
        """Put a finding right; return whether it is.

        What is foreign is never touched.
        """
        action = self._by_kind.get(finding.kind)
        try:
            return action is not None and action(finding)
        except DriverError:
            return False

    # Content

    def _wrong_content(self, finding: Finding) -> bool:
        """Bring it back, or take it away so that it can be pushed again.

        Its links go first: without them everybody is told that it is not there, also by
        a process that remembers it, and pushes it.
        """
        digest = _known(finding.digest)
        holders = list(self._holders(digest))
        if any(self._elsewhere.restore(name, digest) for name in holders):
            return True
        with self._run.claim(digest) as free:
            if not free:
                return False
            for name in holders:
                self._delete(paths.layer(name, digest))
            with suppress(PathNotFound):
                self._driver.move(finding.path, ourpaths.quarantined(digest))
        return False

    def _holders(self, digest: Digest) -> Iterator[str]:
        """Yield the repositories that link a blob or manifest."""
        for name in iter_repositories(self._driver):
            for directory in (paths.layer(name, digest), paths.revision(name, digest)):
                with suppress(PathNotFound):
                    self._driver.stat(directory)
                    yield name
                    break

    def _missing_blob(self, finding: Finding) -> bool:
        digest = _known(finding.digest)
        if self._restore(finding.repository, digest):
            return self._link_blob(finding)
        # Somebody who asks is to be told to push it.
        with self._run.claim(digest) as free:
            if free:
                self._delete(paths.layer(finding.repository, digest))
        return False

    def _missing_manifest(self, finding: Finding) -> bool:
        """Bring it back; what no tag and no index leads to can also go."""
        name, digest = finding.repository, _known(finding.digest)
        if self._restore(name, digest):
            return True
        survey = Surveyor(self._driver).read(name)
        wanted = set(survey.tags.values())
        wanted.update(each for one in survey.revisions for each in survey.listed(one))
        if digest in wanted:
            return False
        with self._run.claim(digest) as free:
            if free:
                for each in survey.revisions[digest].names:
                    self._delete(paths.revision(name, each))
            return free

    def _restore(self, name: str, digest: Digest) -> bool:
        """Bring content back, unless another repair or a push has."""
        try:
            self._driver.stat(paths.blob_data(digest))
        except PathNotFound:
            return self._elsewhere.restore(name, digest)
        return True

    def _misplaced(self, finding: Finding) -> bool:
        """Move content to its place, if it is what its directory says."""
        digest = _known(finding.digest)
        reader = self._driver.reader(finding.path)
        if digest_of(reader, digest.algorithm) != digest:
            return False
        canonical = digest
        if not digest.canonical:
            canonical = digest_of(self._driver.reader(finding.path))
        self._driver.move(finding.path, paths.blob_data(canonical))
        self._delete(finding.path.rpartition("/")[0])
        return True

    # Links and tags

    def _damaged_link(self, finding: Finding) -> bool:
        digest = _known(finding.digest)
        target: Digest | None = digest
        if not digest.canonical:
            target = self._find_canonical(finding.repository, digest)
        if target is None:
            self._delete(finding.path.rpartition("/")[0])
            return True
        self._driver.put_content(finding.path, target.encode())
        return True

    def _find_canonical(self, name: str, digest: Digest) -> Digest | None:
        """Return which blob or manifest of a repository has another digest too."""
        for base in (paths.layers(name), paths.revisions(name)):
            for encoded in self._children(f"{base}/sha256"):
                with suppress(DigestInvalid, PathNotFound):
                    candidate = parse_digest(f"sha256:{encoded}")
                    reader = self._driver.reader(paths.blob_data(candidate))
                    if digest_of(reader, digest.algorithm) == digest:
                        return candidate
        return None

    def _link_blob(self, finding: Finding) -> bool:
        digest = _known(finding.digest)
        directory = paths.layer(finding.repository, digest)
        self._driver.publish([link_to(directory, digest)])
        return True

    def _link_to_nothing(self, finding: Finding) -> bool:
        digest = _known(finding.digest)
        if self._restore(finding.repository, digest):
            return True
        with self._run.claim(digest) as free:
            if free:
                self._delete(paths.layer(finding.repository, digest))
            return free

    def _damaged_tag(self, finding: Finding) -> bool:
        """Let it name again what it was last made to name, or nothing."""
        name, tag = finding.repository, finding.tag
        with self._run.claim(tag_mark(name, tag)) as free:
            if not free or read_link(self._driver, paths.tag_current(name, tag)):
                return True
            last = self._last_named(name, tag)
            if last is None:
                self._delete(paths.tag(name, tag))
            else:
                self._driver.put_content(finding.path, last.encode())
        return True

    def _last_named(self, name: str, tag: str) -> Digest | None:
        base = f"{paths.tag(name, tag)}/index"
        found: list[tuple[datetime, Digest]] = []
        for algorithm in self._children(base):
            for encoded in self._children(f"{base}/{algorithm}"):
                with suppress(DigestInvalid, PathNotFound):
                    digest = parse_digest(f"{algorithm}:{encoded}")
                    info = self._driver.stat(f"{base}/{algorithm}/{encoded}/link")
                    if read_link(self._driver, paths.revision(name, digest)):
                        found.append((info.modified or _LONG_AGO, digest))
        return max(found)[1] if found else None

    def _dangling_tag(self, finding: Finding) -> bool:
        """Delete it: a manifest that is deleted goes before its tags."""
        name, tag = finding.repository, finding.tag
        with self._run.claim(tag_mark(name, tag)) as free:
            current = read_link(self._driver, paths.tag_current(name, tag))
            if free and current == finding.digest:
                self._delete(paths.tag_current(name, tag))
                self._delete(paths.tag(name, tag))
        return True

    # Referrers, and what nobody misses

    def _write_referrer(self, finding: Finding) -> bool:
        digest = _known(finding.digest)
        target = read_link(self._driver, paths.revision(finding.repository, digest))
        if target is None:
            return False
        try:
            content = self._driver.get_content(paths.blob_data(target))
            manifest = self._reader.parse(content, None, digest)
        except (PathNotFound, ManifestInvalid, DigestInvalid):
            return False
        entry = json.dumps(manifest.descriptor.to_json(), separators=(",", ":"))
        self._driver.put_content(finding.path, entry.encode())
        return True

    def _remove(self, finding: Finding) -> bool:
        self._delete(finding.path)
        return True

    def _delete(self, path: str) -> None:
        with suppress(PathNotFound):
            self._driver.delete(path)

    def _children(self, directory: str) -> list[str]:
        try:
            return sorted(self._driver.list(directory))
        except PathNotFound:
            return []


def _known(digest: Digest | None) -> Digest:
    if digest is None:
        raise ValueError("a finding without a digest")
    return digest
