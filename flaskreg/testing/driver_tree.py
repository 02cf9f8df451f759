"""The driver suite: what is where, and moving and deleting it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC
from datetime import datetime
from datetime import timedelta

import pytest

from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.testing.abilities import lacks
from flaskreg.testing.abilities import needs
from flaskreg.testing.driver_fixtures import TOP
from flaskreg.testing.driver_fixtures import DriverFixtures
from flaskreg.testing.driver_fixtures import put_all


FILE = f"{TOP}/a/file"
OTHER = f"{TOP}/b/other"


class StatTests(DriverFixtures):
    """What ``stat`` tells."""

    def test_stat_of_a_file(self, driver: StorageDriver) -> None:
        """A file has its path and its size."""
        driver.put_content(FILE, b"content")
        info = driver.stat(FILE)
        assert (info.path, info.size, info.is_dir) == (FILE, 7, False)

    def test_stat_of_a_directory(self, driver: StorageDriver) -> None:
        """A directory exists as soon as anything is in it, and has no size."""
        driver.put_content(f"{TOP}/a/b/c/file", b"content")
        for path in (TOP, f"{TOP}/a", f"{TOP}/a/b", f"{TOP}/a/b/c"):
            info = driver.stat(path)
            assert (info.path, info.size, info.is_dir) == (path, 0, True)

    def test_touching_changes_no_content(self, driver: StorageDriver) -> None:
        """A file that is touched is there as it was, and no older than before."""
        driver.put_content(FILE, b"content")
        before = driver.stat(FILE)
        driver.touch(FILE)
        after = driver.stat(FILE)
        assert driver.get_content(FILE) == b"content"
        assert (after.size, after.is_dir) == (7, False)
        if before.modified is not None and after.modified is not None:
            assert after.modified >= before.modified

    def test_nothing_is_left_over(self, driver: StorageDriver) -> None:
        """What was written to its end is no leftover."""
        driver.put_content(FILE, b"content")
        driver.move(FILE, OTHER)
        assert list(driver.iter_leftovers()) == []

    @needs("keeps_times")
    def test_the_time_of_the_last_change(self, driver: StorageDriver) -> None:
        """It has a zone, it is about now, and it does not go back."""
        driver.put_content(FILE, b"content")
        before = driver.stat(FILE).modified
        driver.put_content(FILE, b"changed")
        after = driver.stat(FILE).modified
        assert before is not None
        assert after is not None
        assert before.tzinfo is not None
        assert abs(datetime.now(UTC) - after) < timedelta(hours=1)
        assert before <= after

    def test_abilities_are_those_of_the_driver(self, driver: StorageDriver) -> None:
        """What the suite states of times is what the driver does and states."""
        driver.put_content(FILE, b"content")
        assert driver.dates_directories == self.dates_directories
        assert (driver.stat(FILE).modified is not None) == self.keeps_times

    @needs("dates_directories")
    def test_the_time_of_a_directory(self, driver: StorageDriver) -> None:
        """A driver that dates directories does so for each name that comes or goes."""
        put_all(driver, "a/one", "b/two")
        four = f"{TOP}/a/four"
        times = [driver.stat(f"{TOP}/a").modified]
        changes: list[Callable[[], None]] = [
            lambda: driver.put_content(FILE, b"content"),
            lambda: driver.move(f"{TOP}/b/two", f"{TOP}/a/two"),
            lambda: driver.publish([(f"{TOP}/a/three", b"content")]),
            lambda: driver.publish([(four, b"content")], exclusive=[four]),
            lambda: driver.move(f"{TOP}/a/two", f"{TOP}/b/two"),
            lambda: driver.delete(FILE),
        ]
        for change in changes:
            time.sleep(0.05)
            change()
            times.append(driver.stat(f"{TOP}/a").modified)
        assert None not in times
        assert len(set(times)) == len(times)

    @lacks("keeps_empty_directories")
    def test_a_directory_goes_with_its_last_file(self, driver: StorageDriver) -> None:
        """Nobody makes directories, and nobody has to delete them."""
        put_all(driver, "a/b/one", "c/two")
        driver.delete(f"{TOP}/a/b/one")
        driver.move(f"{TOP}/c/two", f"{TOP}/d/two")
        for path in (f"{TOP}/a/b", f"{TOP}/a", f"{TOP}/c"):
            with pytest.raises(PathNotFound):
                driver.stat(path)
        assert driver.list(TOP) == ["d"]

    @needs("keeps_empty_directories")
    def test_a_directory_outlives_its_last_file(self, driver: StorageDriver) -> None:
        """A driver that keeps empty directories finds nothing in them."""
        put_all(driver, "a/b/one")
        driver.delete(f"{TOP}/a/b/one")
        assert driver.stat(f"{TOP}/a/b").is_dir
        assert driver.list(f"{TOP}/a/b") == []
        assert list(driver.walk(f"{TOP}/a/b")) == []


class ListTests(DriverFixtures):
    """``list`` and ``walk``."""

    def test_list_gives_direct_children(self, driver: StorageDriver) -> None:
        """Each name once, none of deeper levels, none of siblings."""
        put_all(driver, "a/one", "a/two", "a/b/three", "a/b/c/four", "ab/five", "six")
        assert sorted(driver.list(f"{TOP}/a")) == ["b", "one", "two"]
        assert sorted(driver.list(TOP)) == ["a", "ab", "six"]
        assert driver.list("/") == [TOP.strip("/")]

    def test_list_of_many(self, driver: StorageDriver) -> None:
        """No page of the storage ends a list."""
        names = [f"n{number:04}" for number in range(self.many)]
        put_all(driver, *names)
        assert sorted(driver.list(TOP)) == names
        assert [info.path for info in driver.walk(TOP)] == [
            f"{TOP}/{name}" for name in names
        ]

    def test_list_of_a_file(self, driver: StorageDriver) -> None:
        """A file is no directory."""
        driver.put_content(FILE, b"content")
        with pytest.raises(PathNotFound):
            driver.list(FILE)

    def test_walk_goes_in_order(self, driver: StorageDriver) -> None:
        """A directory comes before what is in it, siblings in the order of names."""
        put_all(driver, "b", "a/z", "a/b/c", "a.x", "a-/y", "Z", "0/0")
        assert [info.path.removeprefix(TOP) for info in driver.walk(TOP)] == [
            "/0",
            "/0/0",
            "/Z",
            "/a",
            "/a/b",
            "/a/b/c",
            "/a/z",
            "/a-",
            "/a-/y",
            "/a.x",
            "/b",
        ]

    def test_walk_tells_what_stat_tells(self, driver: StorageDriver) -> None:
        """The path, the size, and whether it is a directory."""
        put_all(driver, "a/one", "three")
        found = list(driver.walk("/"))
        assert [(info.path, info.size, info.is_dir) for info in found] == [
            (TOP, 0, True),
            (f"{TOP}/a", 0, True),
            (f"{TOP}/a/one", 5, False),
            (f"{TOP}/three", 5, False),
        ]

    def test_walk_leaves_out_what_vanishes(self, driver: StorageDriver) -> None:
        """A delete on the way is no error of the walk."""
        put_all(driver, "a/one", "b/two", "c/three")
        walk = driver.walk(TOP)
        next(walk)
        driver.delete(f"{TOP}/b")
        paths = {info.path for info in walk}
        assert f"{TOP}/c/three" in paths


class MoveTests(DriverFixtures):
    """``move``."""

    def test_move(self, driver: StorageDriver) -> None:
        """The content is at its new path alone, whose directories are made."""
        driver.put_content(FILE, b"content")
        driver.move(FILE, f"{TOP}/new/directories/file")
        assert driver.get_content(f"{TOP}/new/directories/file") == b"content"
        with pytest.raises(PathNotFound):
            driver.get_content(FILE)
        with pytest.raises(PathNotFound):
            driver.stat(FILE)

    @pytest.mark.parametrize("old", [b"", b"a longer old content"])
    def test_move_replaces(self, driver: StorageDriver, old: bytes) -> None:
        """What was at the destination is gone."""
        driver.put_content(FILE, b"content")
        driver.put_content(OTHER, old)
        driver.move(FILE, OTHER)
        assert driver.get_content(OTHER) == b"content"
        assert driver.stat(OTHER).size == 7
        with pytest.raises(PathNotFound):
            driver.stat(FILE)

    def test_move_onto_itself(self, driver: StorageDriver) -> None:
        """Nothing is lost by it."""
        driver.put_content(FILE, b"content")
        driver.move(FILE, FILE)
        assert driver.get_content(FILE) == b"content"

    def test_move_of_nothing(self, driver: StorageDriver) -> None:
        """The destination stays as it was."""
        driver.put_content(OTHER, b"content")
        with pytest.raises(PathNotFound):
            driver.move(FILE, OTHER)
        with pytest.raises(PathNotFound):
            driver.move(FILE, f"{TOP}/new/file")
        assert driver.get_content(OTHER) == b"content"
        with pytest.raises(PathNotFound):
            driver.stat(f"{TOP}/new/file")

    def test_move_of_nothing_onto_itself(self, driver: StorageDriver) -> None:
        """What does not exist does not become so."""
        with pytest.raises(PathNotFound):
            driver.move(FILE, FILE)

    def test_move_leaves_siblings(self, driver: StorageDriver) -> None:
        """Files whose path begins alike stay where they are."""
        put_all(driver, "a/file", "a/file2", "a/file.x")
        driver.move(FILE, OTHER)
        assert sorted(driver.list(f"{TOP}/a")) == ["file.x", "file2"]


class DeleteTests(DriverFixtures):
    """``delete``."""

    def test_delete_of_a_file(self, driver: StorageDriver) -> None:
        """It is gone, for every method, and can be put again."""
        put_all(driver, "a/file", "a/other")
        driver.delete(FILE)
        with pytest.raises(PathNotFound):
            driver.get_content(FILE)
        with pytest.raises(PathNotFound):
            driver.stat(FILE)
        with pytest.raises(PathNotFound):
            driver.delete(FILE)
        assert driver.list(f"{TOP}/a") == ["other"]
        driver.put_content(FILE, b"again")
        assert driver.get_content(FILE) == b"again"

    def test_delete_of_a_directory(self, driver: StorageDriver) -> None:
        """All in it goes with it, at every depth, and nothing else."""
        put_all(driver, "a/one", "a/b/two", "a/b/c/three", "d/four", "five")
        driver.delete(f"{TOP}/a")
        for path in ("a", "a/one", "a/b", "a/b/two", "a/b/c/three"):
            with pytest.raises(PathNotFound):
                driver.stat(f"{TOP}/{path}")
        assert sorted(driver.list(TOP)) == ["d", "five"]

    @pytest.mark.parametrize("name", ["a/file", "a"])
    def test_delete_never_takes_siblings(
        self, driver: StorageDriver, name: str
    ) -> None:
        """A longer name is another name, of a file or of a directory."""
        siblings = [f"{name}{end}" for end in ("b", "-", ".x", "_", "0", "b/c")]
        siblings.remove(f"{name}b")
        put_all(driver, f"{name}/file" if name == "a" else name, *siblings)
        driver.delete(f"{TOP}/{name}")
        for sibling in siblings:
            assert driver.get_content(f"{TOP}/{sibling}") == sibling.encode()

    def test_delete_of_a_directory_of_many(self, driver: StorageDriver) -> None:
        """No page of the storage ends a delete."""
        put_all(driver, *[f"a/n{number}" for number in range(self.many)])
        driver.delete(f"{TOP}/a")
        with pytest.raises(PathNotFound):
            driver.stat(f"{TOP}/a")
