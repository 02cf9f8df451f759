"""Referrers: one small file for each pair of a subject and a manifest about it.

Nothing is ever read, changed and written back, so pushes of many processes at once
lose nothing. A list of referrers that an older client kept itself, in an index under
the tag ``<algorithm>-<hex>``, is read beside ours.

Source: OCI distribution specification, "Listing Referrers" and "Enabling the Referrers
API".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress

from flaskreg.descriptor import Descriptor
from flaskreg.descriptor import parse_descriptor
from flaskreg.digest import Digest
from flaskreg.digest import parse_digest
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.errors import DigestInvalid
from flaskreg.errors import ManifestInvalid
from flaskreg.errors import ManifestUnknown
from flaskreg.services import ReferrerStore
from flaskreg.storage import paths
from flaskreg.storage.listings import Listings
from flaskreg.storage.revisions import RevisionStore
from flaskreg.storage.tags import LocalTags


_UNFIT_FOR_TAG = re.compile(r"[^A-Za-z0-9._-]")


def fallback_tag(subject: Digest) -> str:
    """Return the tag under which older clients keep the referrers of *subject*.

    Source: OCI distribution specification, "Referrers Tag Schema".
    """
    tag = f"{subject.algorithm[:32]}-{subject.encoded[:64]}"
    return _UNFIT_FOR_TAG.sub("-", tag)


class LocalReferrers(ReferrerStore):
    """Referrers on a storage driver.

    :param driver: where they are.
    :param listings: the names in directories of the driver.
    :param name: of the repository.
    :param revisions: its manifests, for the lists that clients kept.
    :param tags: its tags, likewise.
    """

    def __init__(
        self,
        driver: StorageDriver,
        listings: Listings,
        name: str,
        revisions: RevisionStore,
        tags: LocalTags,
    ) -> None:
        self._driver = driver
        self._listings = listings
        self._name = name
        self._revisions = revisions
        self._tags = tags

    def iter_referrers(self, subject: Digest, last: str = "") -> Iterator[Descriptor]:
        """Yield referrers in the order of their digests, reading each when wanted."""
        kept = self._kept_by_clients(subject)
        for digest in sorted({*self._linked(subject), *kept}):
            if digest > last:
                descriptor = self._read(subject, digest) or kept.get(digest)
                if descriptor is not None:
                    yield descriptor

    def link(self, subject: Digest, referrer: Descriptor) -> None:
        """Remember a referrer."""
        self._driver.publish([self.entry(subject, referrer)])

    def entry(self, subject: Digest, referrer: Descriptor) -> tuple[str, bytes]:
        """Return what remembers a referrer."""
        content = json.dumps(referrer.to_json(), separators=(",", ":"))
        path = paths.referrer(self._name, subject, referrer.digest)
        return path, content.encode()

    def unlink(self, subject: Digest, referrer: Digest) -> None:
        """Forget a referrer."""
        with suppress(PathNotFound):
            self._driver.delete(paths.referrer(self._name, subject, referrer))

    def _linked(self, subject: Digest) -> Iterator[Digest]:
        try:
            names = self._listings.names(paths.referrers(self._name, subject))
        except PathNotFound:
            return
        for name in names:
            with suppress(DigestInvalid):
                yield parse_digest(name.replace("-", ":", 1))

    def _read(self, subject: Digest, referrer: Digest) -> Descriptor | None:
        path = paths.referrer(self._name, subject, referrer)
        try:
            document = json.loads(self._driver.get_content(path))
            return parse_descriptor(document, "referrer")
        except (PathNotFound, ValueError, ManifestInvalid, DigestInvalid):
            return None

    def _kept_by_clients(self, subject: Digest) -> dict[Digest, Descriptor]:
        try:
            index = self._revisions.get(self._tags.get(fallback_tag(subject)))
        except (ManifestUnknown, ManifestInvalid):
            return {}
        found = {}
        for listed in index.manifests:
            with suppress(ManifestUnknown, ManifestInvalid):
                manifest = self._revisions.get(listed.digest)
                if manifest.subject and manifest.subject.digest == subject:
                    found[listed.digest] = manifest.descriptor
        return found
