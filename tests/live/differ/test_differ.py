"""flaskreg answers as distribution does, but where a line says why it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..servers import Launcher
from .compare import Conversation
from .compare import Difference
from .compare import differences
from .compare import read_allowed
from .corpus import Corpus
from .corpus import corpora


pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

ALLOWED = Path(__file__).with_name("allowed.txt")
#: distribution's Location has scheme and host by default.
OURS = {"http": {"relativeurls": False}}


def run(launcher: Launcher, corpus: Corpus) -> list[Difference]:
    """Send a corpus to both registries, started alike; return where they differ."""
    theirs = Conversation(launcher.distribution("3", corpus.config))
    config = {
        **corpus.config,
        "http": {**corpus.config.get("http", {}), **OURS["http"]},
    }
    ours = Conversation(launcher.flaskreg(config, workers=1))
    return [
        difference
        for step in corpus.steps
        for difference in differences(step, theirs.send(step), ours.send(step))
    ]


def test_every_step_has_its_own_name() -> None:
    """A difference names its step, so no two steps of a corpus share a name."""
    for corpus in corpora().values():
        names = [step.name for step in corpus.steps]
        assert len(names) == len(set(names))
    assert len(corpora()["standard"].steps) > 150


def test_differences_are_all_explained(launcher: Launcher) -> None:
    """No difference without a line that allows it; no line without a difference."""
    allowed = read_allowed(ALLOWED)
    used: set[int] = set()
    unexplained = []
    for name, corpus in corpora().items():
        for difference in run(launcher, corpus):
            lines = [line for line in allowed if line.covers(difference)]
            used.update(line.number for line in lines)
            if not lines:
                unexplained.append(f"{name}: {difference}")
    unused = [f"line {line.number}" for line in allowed if line.number not in used]
    problems = unexplained + [f"{ALLOWED.name}: {line} is not used" for line in unused]
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)
