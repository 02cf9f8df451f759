"""Which manifests of a repository live, and what they need.

Without ``--delete-untagged`` every manifest lives. With it, these do: what a tag names,
what a living index lists (to any depth), what refers to a living manifest, and what is
too young to be judged. A tag that an older client made to keep referrers or signatures
(``sha256-<hex>`` and ``sha256-<hex>.sig``) keeps nothing alive by itself while the
manifest that it is about is here: it lives and dies with that.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from graphlib import CycleError
from graphlib import TopologicalSorter

from flaskreg.digest import Digest
from flaskreg.digest import parse_digest
from flaskreg.errors import DigestInvalid
from flaskreg.upkeep.survey import Survey


_ABOUT = re.compile(r"(sha256|sha384|sha512)-([a-f0-9]{64,128})(?:\..+)?")


@dataclass(slots=True)
class Verdict:
    """What becomes of one repository."""

    #: the manifests that stay.
    live: set[Digest] = field(default_factory=set)
    #: the manifests that go: each before all that it lists or is about.
    dead: list[Digest] = field(default_factory=list)
    #: tags that go with what they are about.
    dead_tags: list[str] = field(default_factory=list)
    #: canonical digests of the content that the living need.
    needed: set[Digest] = field(default_factory=set)


def about(tag: str) -> Digest | None:
    """Return the manifest that a tag of the older schemas is about, if it is one."""
    match = _ABOUT.fullmatch(tag)
    try:
        return parse_digest(f"{match[1]}:{match[2]}") if match else None
    except DigestInvalid:
        return None


def judge(
    survey: Survey, *, untagged: bool, is_young: Callable[[Digest], bool]
) -> Verdict:
    """Say what of a repository stays.

    :param untagged: whether manifests that nothing leads to are deleted.
    :param is_young: whether a manifest is too young to be judged.
    """
    verdict = Verdict(set(survey.revisions))
    if untagged:
        verdict.live = _living(survey, is_young)
        verdict.dead = _in_order(survey, set(survey.revisions) - verdict.live)
        gone = set(verdict.dead)
        verdict.dead_tags = [
            tag
            for tag, target in survey.tags.items()
            if target in gone and about(tag) is not None
        ]
    verdict.needed = {each for live in verdict.live for each in survey.listed(live)}
    return verdict


def _living(survey: Survey, is_young: Callable[[Digest], bool]) -> set[Digest]:
    followers = defaultdict(list)
    for revision in survey.revisions:
        subject = survey.subject(revision)
        if subject is not None:
            followers[subject].append(revision)
    roots = []
    for tag, target in survey.tags.items():
        subject = about(tag)
        if subject is not None and survey.resolve(subject) in survey.revisions:
            followers[survey.resolve(subject)].append(target)
        else:
            roots.append(target)
    live = _reach(survey, roots, followers)
    # Only what is left has to be looked up in the storage.
    young = [each for each in survey.revisions if each not in live and is_young(each)]
    return live | _reach(survey, young, followers)


def _reach(
    survey: Survey, roots: list[Digest], followers: dict[Digest, list[Digest]]
) -> set[Digest]:
    live: set[Digest] = set()
    todo = list(roots)
    while todo:
        revision = todo.pop()
        if revision in survey.revisions and revision not in live:
            live.add(revision)
            todo += survey.listed(revision)
            todo += followers.get(revision, ())
    return live


def _in_order(survey: Survey, dead: set[Digest]) -> list[Digest]:
    """Return the dead, each before what it leads to."""
    sorter: TopologicalSorter[Digest] = TopologicalSorter({each: () for each in dead})
    for revision in dead:
        for child in _below(survey, revision):
            if child in dead:
                sorter.add(child, revision)
    try:
        return list(sorter.static_order())
    except CycleError:
        # Only damaged content can lead back to itself.
        return sorted(dead)


def _below(survey: Survey, revision: Digest) -> Iterator[Digest]:
    yield from survey.listed(revision)
    subject = survey.subject(revision)
    if subject is not None:
        yield subject
