"""Garbage collection: mark what is needed, sweep the rest.

What goes, goes in an order in which nothing that stays ever lacks anything: manifests,
each before what it lists, then the links of blobs, then content. A collection that is
killed leaves garbage, and the next one takes it.

**What is safe.** Pulls go on. Pushes do too: one that is acknowledged never
lacks anything that was swept, at any grace (:mod:`flaskreg.storage.sweepguard`). A push
that relies on old content that no manifest needs is refused, as for a missing blob,
when that was swept before its manifest came; so the grace is to be longer than a push.
What a client was told of within the grace is not swept: an upload, a mount and a
``HEAD`` of a blob all make its link a young one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from functools import partial

from flaskreg.digest import Digest
from flaskreg.driver import DriverError
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.driver import StorageFull
from flaskreg.storage import ourpaths
from flaskreg.storage import paths
from flaskreg.storage.links import read_link
from flaskreg.storage.sweepguard import tag_mark
from flaskreg.upkeep.marking import Age
from flaskreg.upkeep.marking import Marking
from flaskreg.upkeep.marking import links
from flaskreg.upkeep.plan import DeadManifest
from flaskreg.upkeep.plan import LooseBlob
from flaskreg.upkeep.plan import LooseLink
from flaskreg.upkeep.plan import Plan
from flaskreg.upkeep.plan import Totals
from flaskreg.upkeep.sweeprun import SweepRun
from flaskreg.upkeep.uploads import iter_stale
from flaskreg.upkeep.uploads import purge


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a garbage collection is done."""

    #: whether nothing is deleted, nor written.
    dry_run: bool = False
    #: whether manifests go that no tag leads to.
    untagged: bool = False
    #: what was changed within so many seconds is not deleted.
    grace: float = 3600.0
    #: upload sessions go that were idle for so many seconds; ``None`` leaves them.
    upload_age: float | None = None


class Collection:
    """One garbage collection.

    :param driver: of the storage.
    :param run: of this collection.
    :param options: how it is done.
    :param say: is told the lines that distribution's command prints.
    :param progress: is told how far it is: what is done, how much of how much;
        ``None`` where nobody knows how much there is.
    """

    def __init__(
        self,
        driver: StorageDriver,
        run: SweepRun,
        options: Options,
        *,
        say: Callable[[str], None] = lambda _line: None,
        progress: Callable[[str, int, int | None], None] = lambda _a, _b, _c: None,
    ) -> None:
        self.totals = Totals()
        self._driver = driver
        self._run = run
        self._options = options
        self._say = say
        self._progress = progress
        self._age = Age(driver, None)

    def collect(self) -> Totals:
        """Mark and sweep; return what was done, or would be.

        :raises SweepBusy: another collection is under way.
        :raises SweepLost: another one began and took this one for dead.
        """
        if self._options.dry_run:
            self._mark_and_sweep()
            return self.totals
        self._run.begin()
        try:
            self._mark_and_sweep()
        finally:
            self._run.end()
        return self.totals

    def _mark_and_sweep(self) -> None:
        now = self._now()
        grace = timedelta(seconds=self._options.grace)
        self._age = Age(self._driver, now - grace if grace else None)
        marking = Marking(
            self._driver, self._age, untagged=self._options.untagged, say=self._say
        )
        self.totals.damaged = marking.surveyor.damaged
        plan = marking.plan(self._looked_at)
        self._sweep(plan)
        self._purge_uploads(now)

    def _now(self) -> datetime:
        """Return the time by the storage's clock, which dates what is there."""
        with suppress(PathNotFound):
            mark = self._driver.stat(ourpaths.active_sweep(self._run.name))
            if mark.modified is not None:
                return mark.modified
        return datetime.now(UTC)

    def _looked_at(self, what: str) -> None:
        if not self._options.dry_run:
            self._run.beat()
        self.totals.repositories += not what.startswith("sha")
        self._progress("marking", self.totals.repositories, None)

    def _sweep(self, plan: Plan) -> None:
        for done, manifest in enumerate(plan.manifests):
            self._progress("deleting manifests", done, len(plan.manifests))
            self._delete(manifest.digest, partial(self._forget_manifest, manifest))
        for blob in plan.blobs:
            self._say(f"blob eligible for deletion: {blob.digest}")
        for done, link in enumerate(plan.links):
            self._progress("deleting links", done, len(plan.links))
            self._say(
                f"{link.repository}: layer link eligible for deletion: {link.digest}"
            )
            self._delete(link.digest, partial(self._forget_link, link))
        for done, blob in enumerate(plan.blobs):
            self._progress("deleting content", done, len(plan.blobs))
            self._delete(blob.digest, partial(self._forget_blob, blob))

    def _delete(self, digest: Digest, forget: Callable[[], None]) -> None:
        if self._options.dry_run:
            forget()
            return
        self._run.beat()
        try:
            with self._run.claim(digest) as free:
                if free:
                    forget()
                else:
                    self.totals.spared += 1
        except StorageFull:
            raise
        except DriverError as error:
            self.totals.failed += 1
            self._say(f"not deleted: {error}")

    def _forget_manifest(self, dead: DeadManifest) -> None:
        """Delete a manifest with what is said of it in its repository."""
        name = dead.repository
        if self._is_young(links(paths.revision, name, dead.names)):
            return
        self.totals.manifests += 1
        if self._options.dry_run:
            return
        for tag in dead.tags:
            self._forget_tag(name, tag, dead.names)
        for tag in dead.history:
            for each in dead.names:
                self._remove(paths.tag_index(name, tag, each))
        for each in dead.names:
            # What is deleted after it may be durably gone before a power cut.
            self._remove(paths.revision(name, each), durable=True)
            if dead.subject is not None:
                self._remove(paths.referrer(name, dead.subject, each))

    def _forget_tag(self, name: str, tag: str, names: tuple[Digest, ...]) -> None:
        """Delete a tag that still names what goes, unless it is being pushed."""
        with self._run.claim(tag_mark(name, tag)) as free:
            current = paths.tag_current(name, tag)
            if free and read_link(self._driver, current) in names:
                self._remove(current)
                self._remove(paths.tag(name, tag))

    def _forget_link(self, link: LooseLink) -> None:
        if self._is_young(links(paths.layer, link.repository, link.names)):
            return
        self.totals.links += 1
        if not self._options.dry_run:
            for each in sorted(link.names):
                self._remove(paths.layer(link.repository, each))

    def _forget_blob(self, blob: LooseBlob) -> None:
        if self._is_young([paths.blob_data(blob.digest)]):
            return
        self.totals.blobs += 1
        self.totals.size += blob.size
        if not self._options.dry_run:
            self._remove(paths.blob(blob.digest))

    def _is_young(self, files: list[str]) -> bool:
        """Whether something changed since it was marked."""
        if not self._age.is_young(*files):
            return False
        self.totals.spared += 1
        return True

    def _purge_uploads(self, now: datetime) -> None:
        age = self._options.upload_age
        if age is None:
            return
        for upload in iter_stale(self._driver, now, age):
            self._say(f"{upload.repository}: upload eligible for deletion: {upload.id}")
            gone = self._options.dry_run or purge(self._driver, upload, now, age)
            self.totals.uploads += gone
            self.totals.size += upload.size * gone

    def _remove(self, path: str, *, durable: bool = False) -> None:
        with suppress(PathNotFound):
            self._driver.delete(path, durable=durable)
