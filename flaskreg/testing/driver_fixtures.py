"""What the parts of the driver suite share: fixtures, abilities, and short ways."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from typing import BinaryIO

import pytest

from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver


MakeDriver = Callable[[], StorageDriver]

#: the directory in which every test of the suite works.
TOP = "/tests"


class DriverFixtures:
    """The fixtures that a driver's author overrides, and the driver's abilities."""

    #: whether uncommitted content can be appended to.
    supports_append: bool = True
    #: whether uncommitted content cannot be read; not so where it is a plain file that
    #: other programs, too, go on with.
    hides_uncommitted: bool = True
    #: whether ``redirect`` returns URLs.
    supports_redirect: bool = False
    #: whether two drivers of one place see each other's content.
    shared_between_processes: bool = True
    #: whether of many who publish at one exclusive path exactly one does.
    exclusive_publish: bool = True
    #: whether constructing the driver does no I/O, as the contract wants.
    constructs_without_io: bool = True
    #: whether directories stay when the last file in them is deleted.
    keeps_empty_directories: bool = False
    #: whether ``stat`` tells when a file was changed.
    keeps_times: bool = True
    #: whether ``stat`` tells when a directory got or lost a name, as the driver's own
    #: attribute says.
    dates_directories: bool = False
    #: files in one directory; more than a page of the storage where it has pages.
    many: int = 120
    #: whether the test that streams 128 MiB is run.
    large: bool = False

    @pytest.fixture
    def make_driver(self) -> MakeDriver:
        """Return a callable that makes a driver of the test's own, empty place.

        Called again it makes another driver of the same place, as another worker
        process has. Override it.
        """
        raise NotImplementedError("override the fixture make_driver")

    @pytest.fixture
    def driver(self, make_driver: MakeDriver) -> Iterator[StorageDriver]:
        """Return the driver under test."""
        driver = make_driver()
        yield driver
        driver.close()

    def leftovers(self, driver: StorageDriver) -> Collection[str]:
        """Return what is in the driver's place when all was deleted.

        Override it to look behind the driver's back: temporary files, unfinished
        uploads, rows.
        """
        return driver.list("/")

    @pytest.fixture(autouse=True)
    def nothing_left_behind(self, driver: StorageDriver) -> Iterator[None]:
        """Delete what the test made, and fail when anything stays."""
        yield
        sweep(driver)
        assert driver.list("/") == []
        assert list(self.leftovers(driver)) == []


def sweep(driver: StorageDriver) -> None:
    """Delete everything of *driver*, also what only writers have seen."""
    for name in {TOP.strip("/"), *driver.list("/")}:
        with contextlib.suppress(PathNotFound):
            driver.delete(f"/{name}")


def put_all(driver: StorageDriver, *names: str) -> None:
    """Put a file at each of *names* below the suite's directory."""
    for name in names:
        driver.put_content(f"{TOP}/{name}", name.encode())


def write(
    driver: StorageDriver, path: str, *chunks: bytes, append_at: int | None = None
) -> None:
    """Write *chunks* to *path* and leave them uncommitted."""
    with driver.writer(path, append_at) as writer:
        for chunk in chunks:
            writer.write(chunk)


def commit(
    driver: StorageDriver, path: str, *chunks: bytes, append_at: int | None = None
) -> None:
    """Write *chunks* to *path* and commit them."""
    with driver.writer(path, append_at) as writer:
        for chunk in chunks:
            writer.write(chunk)
        writer.commit()


def read(stream: BinaryIO, step: int = 65536) -> bytes:
    """Read *stream* to its end, in steps, and close it."""
    with stream:
        return b"".join(iter(lambda: stream.read(step), b""))


def run_together(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Run every call in a thread of its own, begun at once.

    :returns: for each call its result, or the exception that it raised.
    """
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        futures = [pool.submit(run, call) for call in calls]
        return [future.exception() or future.result() for future in futures]


def failures(results: Sequence[Any]) -> list[BaseException]:
    """Return the exceptions among the results of :func:`run_together`."""
    return [result for result in results if isinstance(result, BaseException)]
