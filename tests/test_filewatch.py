"""A change of a file is told once, when it is complete."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flaskreg.filewatch import INTERVAL
from flaskreg.filewatch import FileWatch


class Clock:
    """A clock that is moved by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Return a clock."""
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file that is there."""
    path = tmp_path / "config.yml"
    path.write_text("one")
    return path


@pytest.fixture
def watch(file: Path, clock: Clock) -> FileWatch:
    """Return a watch over the file."""
    return FileWatch(str(file), clock)


def looks(watch: FileWatch, clock: Clock, count: int = 4) -> list[bool]:
    """Let time go by, and return what is told each time."""
    told = []
    for _ in range(count):
        clock.now += INTERVAL
        told.append(watch.changed())
    return told


def test_nothing_changes(watch: FileWatch, clock: Clock) -> None:
    assert looks(watch, clock) == [False] * 4


def test_a_change_is_told_once_and_when_it_is_settled(
    watch: FileWatch, clock: Clock, file: Path
) -> None:
    file.write_text("other")
    assert looks(watch, clock) == [False, True, False, False]


def test_a_file_that_is_being_written_is_waited_for(
    watch: FileWatch, clock: Clock, file: Path
) -> None:
    for length in range(1, 5):
        file.write_text("x" * length * 10)
        assert looks(watch, clock, 1) == [False]
    assert looks(watch, clock) == [True, False, False, False]


def test_a_file_that_takes_its_place(
    watch: FileWatch, clock: Clock, file: Path
) -> None:
    """As editors and Kubernetes do it, whatever its time and size."""
    before = file.stat()
    other = file.with_name("new")
    other.write_text("two")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(file)
    assert looks(watch, clock) == [False, True, False, False]


def test_a_file_that_is_gone_is_waited_for(
    watch: FileWatch, clock: Clock, file: Path
) -> None:
    file.unlink()
    assert looks(watch, clock) == [False] * 4
    file.write_text("again")
    assert looks(watch, clock) == [False, True, False, False]


def test_what_was_taken_for_another_reason_is_not_told(
    watch: FileWatch, clock: Clock, file: Path
) -> None:
    file.write_text("other")
    assert looks(watch, clock, 1) == [False]
    watch.take()
    assert looks(watch, clock) == [False] * 4


def test_it_is_not_looked_at_all_the_time(
    watch: FileWatch, clock: Clock, file: Path
) -> None:
    file.write_text("other")
    assert [watch.changed() for _ in range(9)] == [False] * 9
    assert looks(watch, clock, 2) == [False, True]


def test_no_file_at_all(clock: Clock) -> None:
    assert looks(FileWatch(None, clock), clock) == [False] * 4
