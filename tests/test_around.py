"""A driver around another is a driver, and sees every call."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from flaskreg.around import AroundDriver
from flaskreg.defaults.inmemory import InMemoryDriver
from flaskreg.driver import StorageDriver
from flaskreg.testing import DriverTests


class Noting(AroundDriver):
    """Notes each action with its path, when it is over."""

    def __init__(self, inner: StorageDriver) -> None:
        super().__init__(inner)
        self.noted: list[tuple[str, str]] = []

    @contextmanager
    def around(self, action: str, path: str) -> Iterator[None]:
        """Note an action."""
        yield
        self.noted.append((action, path))


class TestAroundDriver(DriverTests):
    """It does what the driver inside does."""

    shared_between_processes = False

    @pytest.fixture
    def make_driver(self) -> Callable[[], StorageDriver]:
        """Return what makes one around an empty driver."""
        return lambda: Noting(InMemoryDriver())


def test_every_call_is_seen() -> None:
    driver = Noting(InMemoryDriver())
    driver.put_content("/a/b", b"content")
    driver.get_content("/a/b")
    driver.stat("/a/b")
    driver.list("/a")
    list(driver.walk("/a"))
    driver.reader("/a/b").close()
    driver.writer("/a/c").close()
    driver.move("/a/b", "/a/d")
    driver.publish([("/a/e", b"")])
    driver.redirect("/a/e", "GET")
    driver.delete("/a/e")
    assert driver.noted == [
        ("PutContent", "/a/b"),
        ("GetContent", "/a/b"),
        ("Stat", "/a/b"),
        ("List", "/a"),
        ("Walk", "/a"),
        ("Reader", "/a/b"),
        ("Writer", "/a/c"),
        ("Move", "/a/b"),
        ("Publish", "/a/e"),
        ("RedirectURL", "/a/e"),
        ("Delete", "/a/e"),
    ]


def test_a_driver_around_another_has_its_abilities() -> None:
    inner = InMemoryDriver()
    driver = Noting(inner)
    assert (driver.name, driver.renames) == (inner.name, inner.renames)
    assert driver.dates_directories == inner.dates_directories
