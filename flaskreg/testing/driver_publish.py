"""The driver suite: what is published together, and at paths where nothing may be."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest

from flaskreg.driver import InvalidPath
from flaskreg.driver import PathExists
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.testing.abilities import needs
from flaskreg.testing.driver_fixtures import TOP
from flaskreg.testing.driver_fixtures import DriverFixtures
from flaskreg.testing.driver_fixtures import MakeDriver
from flaskreg.testing.driver_fixtures import failures
from flaskreg.testing.driver_fixtures import put_all
from flaskreg.testing.driver_fixtures import run_together


FILE = f"{TOP}/a/file"
OTHER = f"{TOP}/b/other"


class PublishTests(DriverFixtures):
    """``publish``, by which a push becomes visible."""

    def test_publish(self, driver: StorageDriver) -> None:
        """All that is moved and all that is written is there, and no source is."""
        put_all(driver, "uploads/one", "uploads/two")
        driver.publish(
            [(f"{TOP}/links/one", b"digest"), (f"{TOP}/links/two", b"")],
            [
                (f"{TOP}/uploads/one", f"{TOP}/blobs/1/data"),
                (f"{TOP}/uploads/two", f"{TOP}/blobs/2/data"),
            ],
        )
        assert driver.get_content(f"{TOP}/blobs/1/data") == b"uploads/one"
        assert driver.get_content(f"{TOP}/blobs/2/data") == b"uploads/two"
        assert driver.get_content(f"{TOP}/links/one") == b"digest"
        assert driver.get_content(f"{TOP}/links/two") == b""
        assert sorted(driver.list(f"{TOP}/links")) == ["one", "two"]
        for name in ("one", "two"):
            with pytest.raises(PathNotFound):
                driver.stat(f"{TOP}/uploads/{name}")

    def test_publish_replaces(self, driver: StorageDriver) -> None:
        """What was there is gone; of two contents for one path the last stays."""
        put_all(driver, "uploads/one", "a/file", "b/other")
        driver.publish(
            [(FILE, b"first"), (FILE, b"last")], [(f"{TOP}/uploads/one", OTHER)]
        )
        assert driver.get_content(FILE) == b"last"
        assert driver.get_content(OTHER) == b"uploads/one"

    def test_publish_of_content_alone(self, driver: StorageDriver) -> None:
        """There need be no moves, and nothing at all is fine too."""
        driver.publish([(FILE, b"content")])
        assert driver.get_content(FILE) == b"content"
        driver.publish([])
        assert driver.list(TOP) == ["a"]

    def test_publish_onto_itself(self, driver: StorageDriver) -> None:
        """A move of a file onto itself loses nothing."""
        driver.put_content(FILE, b"content")
        driver.publish([], [(FILE, FILE)])
        assert driver.get_content(FILE) == b"content"

    def test_publish_of_nothing(self, driver: StorageDriver) -> None:
        """Nobody sees a link to what could not be moved."""
        with pytest.raises(PathNotFound):
            driver.publish([(FILE, b"link")], [(f"{TOP}/uploads/one", OTHER)])
        for path in (FILE, OTHER):
            with pytest.raises(PathNotFound):
                driver.stat(path)

    @pytest.mark.parametrize("path", ["/", "/a/../b", "relative", "/a//b"])
    def test_publish_at_an_invalid_path(self, driver: StorageDriver, path: str) -> None:
        """It goes nowhere."""
        driver.put_content(FILE, b"content")
        with pytest.raises(InvalidPath):
            driver.publish([(path, b"link")])
        with pytest.raises(InvalidPath):
            driver.publish([], [(FILE, path)])
        assert driver.get_content(FILE) == b"content"
        assert driver.list("/") == [TOP.strip("/")]


class ExclusivePublishTests(DriverFixtures):
    """``publish`` at exclusive paths, where nothing may be."""

    def test_publish_at_an_exclusive_path(self, driver: StorageDriver) -> None:
        """What is exclusive is written, and what is not replaces as ever."""
        driver.put_content(OTHER, b"old")
        driver.publish([(FILE, b"new"), (OTHER, b"new")], exclusive=[FILE])
        assert driver.get_content(FILE) == b"new"
        assert driver.get_content(OTHER) == b"new"

    @pytest.mark.parametrize("old", [b"", b"old", b"new"])
    def test_what_is_at_an_exclusive_path_stays(
        self, driver: StorageDriver, old: bytes
    ) -> None:
        """It is not replaced, be it empty or the very same content."""
        driver.put_content(FILE, old)
        for _ in range(2):
            with pytest.raises(PathExists) as caught:
                driver.publish([(FILE, b"new")], exclusive={FILE})
            assert caught.value.path == FILE
            assert driver.get_content(FILE) == old
        assert driver.list(f"{TOP}/a") == ["file"]

    def test_what_comes_before_an_exclusive_path_is_visible(
        self, driver: StorageDriver
    ) -> None:
        """All up to the path that is taken is there, and nothing after it."""
        put_all(driver, "uploads/one")
        driver.put_content(FILE, b"old")
        before, after = f"{TOP}/links/before", f"{TOP}/links/later"
        with pytest.raises(PathExists):
            driver.publish(
                [(before, b"1"), (FILE, b"2"), (after, b"3")],
                [(f"{TOP}/uploads/one", OTHER)],
                exclusive=(FILE, after),
            )
        assert driver.get_content(OTHER) == b"uploads/one"
        assert driver.get_content(before) == b"1"
        assert driver.get_content(FILE) == b"old"
        assert driver.list(f"{TOP}/links") == ["before"]

    def test_exclusive_paths_of_others(self, driver: StorageDriver) -> None:
        """A path that nothing is written to is no hindrance, whatever is there."""
        put_all(driver, "b/other", "uploads/one")
        driver.publish(
            [(FILE, b"new")],
            [(f"{TOP}/uploads/one", OTHER)],
            exclusive=[OTHER, f"{TOP}/nothing"],
        )
        assert driver.get_content(FILE) == b"new"
        assert driver.get_content(OTHER) == b"uploads/one"

    def test_an_exclusive_path_is_free_after_a_delete(
        self, driver: StorageDriver
    ) -> None:
        """Who published there has not taken the path for ever."""
        for turn in (b"1", b"2"):
            driver.publish([(FILE, turn)], exclusive=[FILE])
            assert driver.get_content(FILE) == turn
            driver.delete(FILE)

    @needs("exclusive_publish")
    def test_of_many_who_publish_at_one_path_one_does(
        self, driver: StorageDriver
    ) -> None:
        """The others are told, and the one's content is what stays."""
        self._race([driver] * 8)

    @needs("exclusive_publish", "shared_between_processes")
    def test_of_many_drivers_that_publish_at_one_path_one_does(
        self, driver: StorageDriver, make_driver: MakeDriver
    ) -> None:
        """Nobody wins twice because the workers are different ones."""
        others = [make_driver() for _ in range(5)]
        self._race([driver, *others])
        for other in others:
            other.close()

    @needs("exclusive_publish")
    def test_an_exclusive_publish_never_replaces_a_put(
        self, driver: StorageDriver
    ) -> None:
        """Whoever comes first, what was put without condition is there in the end."""
        for turn in range(10):
            path = f"{TOP}/tags/{turn}"
            publish = partial(_publish, driver, path, b"published")
            put = partial(driver.put_content, path, b"put")
            results = run_together([publish, publish, publish, put])
            assert results[-1] is None
            assert all(isinstance(error, PathExists) for error in failures(results))
            assert driver.get_content(path) == b"put"

    def _race(self, drivers: Sequence[StorageDriver]) -> None:
        for turn in range(5):
            path = f"{TOP}/tags/{turn}"
            calls = [
                partial(_publish, each, path, str(number).encode())
                for number, each in enumerate(drivers)
            ]
            results = run_together(calls)
            refused = failures(results)
            assert all(isinstance(error, PathExists) for error in refused)
            assert len(refused) == len(drivers) - 1
            (winner,) = (result for result in results if isinstance(result, bytes))
            assert {driver.get_content(path) for driver in drivers} == {winner}


def _publish(driver: StorageDriver, path: str, content: bytes) -> bytes:
    """Publish at an exclusive path, and return what was published."""
    driver.publish([(path, content)], exclusive=[path])
    return content
