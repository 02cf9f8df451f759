"""A look at files is shared for a moment, and tells whatever changes."""

from __future__ import annotations

import os

import pytest

from flaskreg.filelook import PAUSE
from flaskreg.filelook import FileLook


@pytest.fixture
def clock():
    """Return a list whose only member is the time."""
    return [1000.0]


@pytest.fixture
def path(tmp_path):
    """Return a file."""
    path = tmp_path / "file"
    path.write_text("one")
    return path


@pytest.fixture
def look(path, clock):
    """Return a look at the file."""
    return FileLook(str(path), clock=lambda: clock[0])


def test_a_look_is_shared_for_a_moment(look, path, clock):
    """The next one is taken when that is over, or when it has to be."""
    first = look.take()
    path.write_text("other")
    clock[0] += PAUSE * 0.9
    assert look.take() is first
    clock[0] += PAUSE * 0.2
    second = look.take()
    assert second != first
    path.unlink()
    assert look.take() is second
    third = look.take(anew=True)
    assert third not in (first, second)
    assert look.take() is third


def _replace(path):
    other = path.with_name("other")
    other.write_text(path.read_text())
    times = path.stat()
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    other.rename(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_text("longer than before"),
        lambda path: os.utime(path, (1, 1)),
        lambda path: path.unlink(),
        _replace,
    ],
    ids=["size", "time", "gone", "inode"],
)
def test_what_changes_is_told(look, path, clock, change):
    """The size, the time, the inode, and that there is none."""
    first = look.take()
    change(path)
    clock[0] += 1
    assert look.take() != first


def test_several_files(tmp_path):
    """Each has its part, those that are not there too, and empty names none."""
    (tmp_path / "a").write_text("a")
    look = FileLook(str(tmp_path / "a"), "", str(tmp_path / "b"))
    there, missing = look.take()
    assert there[1] == 1
    assert missing[0] == 0
    assert FileLook("").take() == ()
