"""The check of a whole storage while it is served, and its repair."""

from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field

from flaskreg.driver import StorageDriver
from flaskreg.storage.revisions import ManifestReader
from flaskreg.upkeep.findings import Finding
from flaskreg.upkeep.repairs import Repairs
from flaskreg.upkeep.repositorycheck import RepositoryCheck
from flaskreg.upkeep.storecheck import StoreCheck
from flaskreg.upkeep.survey import iter_repositories


#: how long after it was found something is looked at again, in seconds: a push in the
#: middle of its steps is no damage.
SETTLE = 1.0

#: in which order findings are put right: what others are healed from comes first.
_ORDER = (
    "misplaced",
    "damaged-link",
    "wrong-content",
    "missing-manifest",
    "missing-blob",
    "unlinked-blob",
    "link-to-nothing",
    "damaged-tag",
    "dangling-tag",
    "dangling-referrer",
    "damaged-referrer",
    "missing-referrer",
    "leftover",
    "broken-upload",
    "foreign",
)

#: how often repairs are followed by a new look, for what one repair brings to light.
_ROUNDS = 4


@dataclass(slots=True)
class Result:
    """What a check found, each thing once, and what became of it."""

    repositories: int = 0
    healed: list[Finding] = field(default_factory=list)
    left: list[Finding] = field(default_factory=list)

    @property
    def damaged(self) -> bool:
        """Whether there is damage that is not healed."""
        return any(finding.damage for finding in self.left)


class Check:
    """Checks a storage.

    :param driver: of the storage.
    :param reader: parses manifests.
    :param store: the check of content and layout.
    :param found: is told each finding, with ``True`` when it is healed.
    :param progress: is told each repository.
    :param settle: see :data:`SETTLE`.
    """

    def __init__(
        self,
        driver: StorageDriver,
        reader: ManifestReader,
        store: StoreCheck,
        *,
        found: Callable[[Finding, bool], None] = lambda _finding, _healed: None,
        progress: Callable[[int], None] = lambda _done: None,
        settle: float = SETTLE,
    ) -> None:
        self._driver = driver
        self._check = RepositoryCheck(driver, reader)
        self._store = store
        self._found = found
        self._progress = progress
        self._settle = settle

    def run(self, repairs: Repairs | None = None) -> Result:
        """Check everything, and put right what can be.

        :param repairs: ``None`` only reads.
        """
        result = Result()
        findings = list(self._look(result))
        told: dict[tuple[str, str], Finding] = {}
        for finding in findings:
            told.setdefault(finding.key, finding)
        if repairs is not None:
            self._repair(repairs, told, result)
        else:
            result.left = list(told.values())
        for finding in result.healed:
            self._found(finding, True)
        for finding in result.left:
            self._found(finding, False)
        return result

    def _look(self, result: Result) -> Iterator[Finding]:
        for name in iter_repositories(self._driver):
            result.repositories += 1
            self._progress(result.repositories)
            yield from self._confirmed(name)
        yield from self._store.check()

    def _confirmed(self, name: str) -> Iterator[Finding]:
        """Yield what is found twice."""
        first = {finding.key for finding in self._check.check(name)}
        if first:
            time.sleep(self._settle)
            for finding in self._check.check(name):
                if finding.key in first:
                    yield finding

    def _repair(
        self,
        repairs: Repairs,
        told: dict[tuple[str, str], Finding],
        result: Result,
    ) -> None:
        """Put right what can be; content that came back may show what else is wrong."""
        todo = dict(told)
        names = {finding.repository for finding in told.values()}
        for _ in range(_ROUNDS):
            done = [
                finding
                for finding in sorted(todo.values(), key=_rank)
                if repairs.repair(finding)
            ]
            result.healed += done
            for finding in done:
                del todo[finding.key]
            fresh = self._fresh(names, told)
            todo.update(fresh)
            told.update(fresh)
            if not fresh:
                break
        result.left = list(todo.values())

    def _fresh(
        self, names: Iterable[str], told: dict[tuple[str, str], Finding]
    ) -> dict[tuple[str, str], Finding]:
        """Return what repairs brought to light in the repositories they touched."""
        found = {}
        content = {finding.digest for finding in told.values() if finding.content}
        for name in filter(None, names):
            for finding in self._check.check(name):
                known = finding.content and finding.digest in content
                if finding.key not in told and not known:
                    found[finding.key] = finding
        return found


def _rank(finding: Finding) -> int:
    return _ORDER.index(finding.kind)
