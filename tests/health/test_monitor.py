"""Thresholds, recovery, and the board that processes share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from builders import eventually

from flaskreg.health.checks import Check
from flaskreg.health.checks import CheckFailed
from flaskreg.health.checks import Schedule
from flaskreg.health.monitor import Board
from flaskreg.health.monitor import Monitor


class Scripted(Check):
    """Fails as a script says: a letter for each look, the last one for ever."""

    kind = "scripted"

    def __init__(self, script: str) -> None:
        super().__init__("scripted")
        self.script = script
        self.looks = 0

    def check(self) -> None:
        """Look."""
        letter = self.script[min(self.looks, len(self.script) - 1)]
        self.looks += 1
        if letter == "x":
            raise CheckFailed(f"look {self.looks}")


@pytest.mark.parametrize(
    ("script", "threshold", "expected"),
    [
        (".....", 1, [{}]),
        ("x....", 1, [{}, {"scripted": "look 1"}, {}]),
        ("x.x.x.", 2, [{}]),
        ("xx...", 2, [{}, {"scripted": "look 2"}, {}]),
        (".xxx.", 3, [{}, {"scripted": "look 4"}, {}]),
    ],
)
def test_failures_in_a_row_count(
    script: str, threshold: int, expected: list[Mapping[str, str]]
) -> None:
    """The first success makes it well again."""
    check, published = Scripted(script), []
    monitor = Monitor([Schedule(check, 0.001, threshold)], published.append)
    monitor.start({})
    eventually(lambda: check.looks > len(script) + 2, "the script is through")
    monitor.stop()
    assert published == expected


def test_what_failed_before_is_taken_over() -> None:
    """As far as it is still checked, and until the first look."""
    published: list[Mapping[str, str]] = []
    check = Scripted(".")
    monitor = Monitor([Schedule(check, 60, 1)], published.append)
    monitor.start({"scripted": "before", "other": "before"})
    eventually(lambda: len(published) == 2, "two publications")
    monitor.stop()
    assert published == [{"scripted": "before"}, {}]


def test_a_board_is_read_by_others(tmp_path: Path) -> None:
    writer, reader = Board(tmp_path / "b.json"), Board(tmp_path / "b.json")
    assert reader.read() == {}
    for failing in ({"a": "b"}, {"a": "ü\n", "c": ""}, {}):
        writer.write(failing)
        assert reader.read() == failing
        assert reader.read() == failing


def test_a_board_that_is_damaged_says_what_it_said(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    board = Board(path)
    board.write({"a": "b"})
    assert board.read() == {"a": "b"}
    path.write_text("{")
    assert board.read() == {"a": "b"}
