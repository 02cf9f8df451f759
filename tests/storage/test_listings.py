"""Listings: remembered for as long as a directory has not changed."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from datetime import timedelta
from typing import Any

import pytest
from builders import WatchedDriver

from flaskreg.defaults.inmemory import InMemoryDriver
from flaskreg.driver import FileInfo
from flaskreg.driver import PathNotFound
from flaskreg.storage.listings import Listings


OLD = datetime(2026, 1, 1, tzinfo=UTC)


class Dated(WatchedDriver):
    """A driver whose directories have the time that the test says."""

    modified: datetime | None = OLD

    def __init__(self) -> None:
        super().__init__(InMemoryDriver())
        self.dates_directories = True

    def stat(self, path: str) -> FileInfo:
        """Return what is there, with that time."""
        info = super().stat(path)
        return FileInfo(info.path, info.size, info.is_dir, self.modified)

    def lists(self) -> int:
        """Return how often a directory was listed since the last time."""
        count = len(self.asked("list"))
        self.calls.clear()
        return count


@pytest.fixture
def driver() -> Dated:
    """Return a driver with two names in a directory."""
    driver = Dated()
    for name in ("b", "a"):
        driver.put_content(f"/directory/{name}", b"")
    return driver


def test_names_are_sorted(driver: Dated) -> None:
    """Whatever order the driver has; a directory that is not there is no list."""
    assert list(Listings(driver).names("/directory")) == ["a", "b"]
    with pytest.raises(PathNotFound):
        Listings(driver).names("/nothing")


def test_an_old_directory_is_listed_once(driver: Dated) -> None:
    """Until it says another time."""
    listings = Listings(driver)
    for _ in range(3):
        assert list(listings.names("/directory")) == ["a", "b"]
    assert driver.lists() == 1
    driver.put_content("/directory/c", b"")
    driver.modified = OLD + timedelta(microseconds=1)
    assert list(listings.names("/directory")) == ["a", "b", "c"]
    assert driver.lists() == 1


@pytest.mark.parametrize("modified", [datetime.now(UTC) + timedelta(hours=1), None])
def test_a_directory_that_may_change_within_its_time_is_not_remembered(
    driver: Dated, modified: datetime | None
) -> None:
    """A time of this moment, of the future, or none tells nothing."""
    driver.modified = modified
    listings = Listings(driver)
    for expected in (["a", "b"], ["a", "b", "c"]):
        assert list(listings.names("/directory")) == expected
        driver.put_content("/directory/c", b"")
    driver.modified = datetime.now(UTC)
    driver.put_content("/directory/d", b"")
    assert list(listings.names("/directory")) == ["a", "b", "c", "d"]


def test_a_driver_that_does_not_date_directories_is_asked_each_time(
    driver: Dated,
) -> None:
    """Its times are those of something else."""
    driver.dates_directories = False
    listings = Listings(driver)
    for _ in range(3):
        assert list(listings.names("/directory")) == ["a", "b"]
    assert driver.lists() == 3


def test_unwanted_names_are_left_out_and_make_it_forget(driver: Dated) -> None:
    """They may be on their way, which the directory does not tell."""
    listings = Listings(driver)
    ready = {"a"}

    def wanted(name: str) -> bool:
        return name in ready

    assert list(listings.names("/directory", wanted)) == ["a"]
    ready.add("b")
    assert list(listings.names("/directory", wanted)) == ["a", "b"]
    driver.calls.clear()
    assert list(listings.names("/directory", wanted)) == ["a", "b"]
    assert driver.lists() == 0


def test_each_directory_has_its_own(driver: Dated) -> None:
    """And its own time."""
    driver.put_content("/other/x", b"")
    listings: Any = Listings(driver)
    assert list(listings.names("/directory")) == ["a", "b"]
    assert list(listings.names("/other")) == ["x"]
    assert list(listings.names("/directory")) == ["a", "b"]
    assert driver.lists() == 2
