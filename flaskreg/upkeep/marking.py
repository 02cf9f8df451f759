"""The mark phase of a garbage collection: it reads, and pulls go on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from collections.abc import Iterable
from datetime import datetime

from flaskreg.digest import Digest
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.storage import paths
from flaskreg.upkeep.mark import Verdict
from flaskreg.upkeep.mark import judge
from flaskreg.upkeep.plan import DeadManifest
from flaskreg.upkeep.plan import LooseBlob
from flaskreg.upkeep.plan import LooseLink
from flaskreg.upkeep.plan import Plan
from flaskreg.upkeep.survey import Survey
from flaskreg.upkeep.survey import Surveyor
from flaskreg.upkeep.survey import iter_blobs
from flaskreg.upkeep.survey import iter_repositories


class Age:
    """Says what is too young to be deleted.

    :param driver: where it is.
    :param limit: what changed later is young; ``None`` for nothing.
    """

    def __init__(self, driver: StorageDriver, limit: datetime | None) -> None:
        self._driver = driver
        self._limit = limit

    def is_young(self, *files: str) -> bool:
        """Whether one of *files* is young; one of unknown age is."""
        if self._limit is None:
            return False
        for path in files:
            try:
                modified = self._driver.stat(path).modified
            except PathNotFound:
                continue
            if modified is None or modified > self._limit:
                return True
        return False


class Marking:
    """Reads all repositories and says what can go.

    :param driver: of the storage.
    :param age: what is too young is left alone.
    :param untagged: whether manifests that nothing leads to can go.
    :param say: is told each line that distribution's command prints.
    """

    def __init__(
        self,
        driver: StorageDriver,
        age: Age,
        *,
        untagged: bool,
        say: Callable[[str], None],
    ) -> None:
        self.surveyor = Surveyor(driver)
        self._driver = driver
        self._age = age
        self._untagged = untagged
        self._say = say

    def plan(
        self,
        progress: Callable[[str], None],
    ) -> Plan:
        """Return what stays and what can go.

        :param progress: is told what is looked at.
        """
        plan = Plan()
        for name in iter_repositories(self._driver):
            progress(name)
            self._say(name)
            self._add(plan, self.surveyor.read(name))
        self._say(
            f"\n{len(plan.marked)} blobs marked, {self._add_blobs(plan, progress)} "
            f"blobs and {len(plan.manifests)} manifests eligible for deletion"
        )
        return plan

    def _add(self, plan: Plan, survey: Survey) -> None:
        verdict = judge(
            survey,
            untagged=self._untagged,
            is_young=lambda digest: self._age.is_young(
                *links(paths.revision, survey.name, survey.revisions[digest].names)
            ),
        )
        self._tell(survey, verdict)
        plan.marked |= verdict.live | verdict.needed
        plan.marked.update(self._signatures(survey, verdict.live))
        plan.manifests += self._dead(survey, verdict)
        for digest, member in survey.layers.items():
            files = links(paths.layer, survey.name, member.names)
            if (
                survey.undecided
                or digest in verdict.needed
                or self._age.is_young(*files)
            ):
                plan.marked.add(digest)
            else:
                plan.links.append(LooseLink(survey.name, digest, tuple(member.names)))

    def _tell(self, survey: Survey, verdict: Verdict) -> None:
        for digest in survey.revisions:
            if digest in verdict.live:
                self._say(f"{survey.name}: marking manifest {digest} ")
                for listed in survey.listed(digest):
                    if listed not in survey.revisions:
                        self._say(f"{survey.name}: marking blob {listed}")

    def _dead(self, survey: Survey, verdict: Verdict) -> list[DeadManifest]:
        if not verdict.dead:
            return []
        history = self._history(survey)
        dead = []
        for digest in verdict.dead:
            member = survey.revisions[digest]
            about = [t for t in verdict.dead_tags if survey.tags[t] == digest]
            tags = history[digest]
            self._say(
                "manifest eligible for deletion: "
                f"{{{survey.name} {digest} [{' '.join(tags)}]}}"
            )
            subject = member.references.subject if member.references else None
            names = tuple(sorted(member.names))
            dead.append(
                DeadManifest(
                    survey.name, digest, names, subject, tuple(about), tuple(tags)
                )
            )
        return dead

    def _history(self, survey: Survey) -> dict[Digest, list[str]]:
        """Return the tags that have ever named a manifest, by its digest."""
        found: dict[Digest, list[str]] = defaultdict(list)
        for tag in self.surveyor.children(paths.tags(survey.name)):
            index = f"{paths.tag(survey.name, tag)}/index"
            for digest in self.surveyor.digests(index):
                found[survey.resolve(digest)].append(tag)
        return found

    def _signatures(self, survey: Survey, live: Iterable[Digest]) -> list[Digest]:
        found: list[Digest] = []
        for digest in live:
            member = survey.revisions[digest]
            if member.references is not None and member.references.signed:
                directory = paths.signatures(survey.name, digest)
                found += self.surveyor.digests(directory)
        return found

    def _add_blobs(self, plan: Plan, progress: Callable[[str], None]) -> int:
        for digest in iter_blobs(self._driver):
            if digest in plan.marked:
                continue
            progress(digest)
            path = paths.blob_data(digest)
            try:
                info = self._driver.stat(path)
            except PathNotFound:
                continue
            if not self._age.is_young(path):
                plan.blobs.append(LooseBlob(digest, info.size))
        return len(plan.blobs)


def links(
    directory: Callable[[str, Digest], str], name: str, digests: Iterable[Digest]
) -> list[str]:
    """Return the link files of a member of a repository."""
    return [paths.link(directory(name, each)) for each in digests]
