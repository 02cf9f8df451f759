"""The suite of storage drivers.

A driver's test is a class in the author's test file::

    class TestMyDriver(DriverTests):
        @pytest.fixture
        def make_driver(self, tmp_path):
            return lambda: MyDriver(tmp_path)

What the driver can and cannot do is said by class attributes, see
:class:`~flaskreg.testing.driver_fixtures.DriverFixtures`; tests of what it cannot do
are deselected. Each test works in a place that is empty, and whatever it made is
deleted after it; a test fails when something stays.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import tracemalloc
import urllib.request
from urllib.parse import urlsplit

import pytest

from flaskreg.driver import InvalidOffset
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.testing.abilities import lacks
from flaskreg.testing.abilities import needs
from flaskreg.testing.audit import watch
from flaskreg.testing.driver_content import ContentTests
from flaskreg.testing.driver_content import PathTests
from flaskreg.testing.driver_content import ReaderTests
from flaskreg.testing.driver_fixtures import TOP
from flaskreg.testing.driver_fixtures import DriverFixtures
from flaskreg.testing.driver_fixtures import MakeDriver
from flaskreg.testing.driver_fixtures import commit
from flaskreg.testing.driver_fixtures import failures
from flaskreg.testing.driver_fixtures import read
from flaskreg.testing.driver_fixtures import run_together
from flaskreg.testing.driver_fixtures import write
from flaskreg.testing.driver_publish import ExclusivePublishTests
from flaskreg.testing.driver_publish import PublishTests
from flaskreg.testing.driver_tree import DeleteTests
from flaskreg.testing.driver_tree import ListTests
from flaskreg.testing.driver_tree import MoveTests
from flaskreg.testing.driver_tree import StatTests
from flaskreg.testing.driver_writers import AppendTests
from flaskreg.testing.driver_writers import NoAppendTests
from flaskreg.testing.driver_writers import WriterTests


PATH = f"{TOP}/directory/file"

MEBIBYTE = 1 << 20


class TogetherTests(DriverFixtures):
    """Many threads at once."""

    def test_put_is_all_or_nothing(self, driver: StorageDriver) -> None:
        """Readers see the old content or the new one, never a mixture or a part."""
        contents = {b"o" * 70_000, b"n" * 40_000}
        driver.put_content(PATH, min(contents))
        done = threading.Event()
        seen: set[bytes] = set()

        def put() -> None:
            try:
                for _ in range(20):
                    for content in contents:
                        driver.put_content(PATH, content)
            finally:
                done.set()

        def look() -> None:
            while not done.is_set():
                seen.add(driver.get_content(PATH))
                seen.add(read(driver.reader(PATH)))

        assert failures(run_together([put, look, look])) == []
        assert seen <= contents

    def test_puts_at_one_path(self, driver: StorageDriver) -> None:
        """Of many who put at once, one content stays whole."""
        contents = [bytes([number]) * 10_000 for number in range(8)]
        results = run_together(
            [lambda c=c: driver.put_content(PATH, c) for c in contents]  # type: ignore[misc]
        )
        assert failures(results) == []
        assert driver.get_content(PATH) in contents
        assert driver.list(f"{TOP}/directory") == ["file"]

    def test_readers_of_one_file(self, driver: StorageDriver) -> None:
        """Readers at different offsets of one file each get their own part."""
        content = bytes(range(256)) * 400
        driver.put_content(PATH, content)
        offsets = [number * 11_003 for number in range(9)]
        results = run_together(
            [lambda o=o: read(driver.reader(PATH, o), 1000) for o in offsets]  # type: ignore[misc]
        )
        assert results == [content[offset:] for offset in offsets]

    def test_everything_at_once(self, driver: StorageDriver) -> None:
        """Threads that put, get, move and delete their own files agree with it."""

        def live(number: int) -> None:
            content = str(number).encode() * 100
            for turn in range(5):
                path = f"{TOP}/shared/{number}-{turn}"
                driver.put_content(path, content)
                driver.move(path, f"{path}-moved")
                assert read(driver.reader(f"{path}-moved")) == content
                driver.delete(f"{path}-moved")
                with contextlib.suppress(PathNotFound):
                    driver.list(f"{TOP}/shared")

        results = run_together([lambda n=n: live(n) for n in range(8)])  # type: ignore[misc]
        assert failures(results) == []

    def test_moves_onto_one_path(self, driver: StorageDriver) -> None:
        """All who commit one blob succeed, and its content is whole throughout."""
        content = b"content" * 5000
        driver.put_content(PATH, content)

        def push(number: int) -> None:
            source = f"{TOP}/uploads/{number}"
            commit(driver, source, content)
            driver.move(source, PATH)
            assert driver.get_content(PATH) == content

        results = run_together([lambda n=n: push(n) for n in range(8)])  # type: ignore[misc]
        assert failures(results) == []
        assert driver.get_content(PATH) == content

    def test_publish_keeps_its_order(self, driver: StorageDriver) -> None:
        """Who sees the later of two contents finds the earlier one too."""
        blob, link = f"{TOP}/blobs/data", f"{TOP}/links/current"
        turns = [str(turn).encode() for turn in range(30)]
        driver.publish([(blob, turns[0]), (link, turns[0])])
        late: list[tuple[bytes, bytes]] = []

        def push() -> None:
            for turn in turns:
                driver.put_content(f"{TOP}/uploads/data", turn)
                driver.publish([(link, turn)], [(f"{TOP}/uploads/data", blob)])

        def pull() -> None:
            seen = turns[0]
            while seen != turns[-1]:
                seen = driver.get_content(link)
                found = driver.get_content(blob)
                if int(found) < int(seen):
                    late.append((seen, found))

        assert failures(run_together([push, pull, pull])) == []
        assert late == []


class SharingTests(DriverFixtures):
    """Drivers of one place, as worker processes have them."""

    @pytest.fixture
    def other(self, make_driver: MakeDriver) -> StorageDriver:
        """Return another driver of the same place."""
        return make_driver()

    @needs("constructs_without_io")
    def test_construction_does_no_io(self, make_driver: MakeDriver) -> None:
        """The server forks after it: no connection, thread or file may be open."""
        made: list[StorageDriver] = []
        # The first one may import modules, which writes their compiled form.
        for _ in range(2):
            found = watch(lambda: made.append(make_driver()))
        for driver in made:
            driver.close()
        assert found == []

    @needs("shared_between_processes")
    def test_content_is_shared(
        self, driver: StorageDriver, other: StorageDriver
    ) -> None:
        """What one driver does, the other sees at once."""
        driver.put_content(PATH, b"content")
        assert other.get_content(PATH) == b"content"
        other.put_content(PATH, b"changed")
        assert driver.get_content(PATH) == b"changed"
        driver.delete(PATH)
        with pytest.raises(PathNotFound):
            other.get_content(PATH)
        other.close()

    @lacks("shared_between_processes")
    def test_content_is_not_shared(
        self, driver: StorageDriver, other: StorageDriver
    ) -> None:
        """Another driver is another place, and finds nothing."""
        driver.put_content(PATH, b"content")
        with pytest.raises(PathNotFound):
            other.get_content(PATH)
        other.close()

    @needs("supports_append", "shared_between_processes")
    def test_an_upload_goes_on_elsewhere(
        self, driver: StorageDriver, other: StorageDriver
    ) -> None:
        """Chunks of one upload may reach different workers."""
        write(driver, PATH, b"one ")
        assert other.stat(PATH).size == 4
        write(other, PATH, b"two ", append_at=4)
        with driver.writer(PATH, 8) as writer:
            writer.write(b"three")
            with pytest.raises(InvalidOffset):
                other.writer(PATH, 8)
            writer.commit()
        assert other.get_content(PATH) == b"one two three"
        other.close()


class RedirectTests(DriverFixtures):
    """URLs at which clients read for themselves."""

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_redirect(self, driver: StorageDriver, method: str) -> None:
        """The URL gives the content, or there is none and that is no error."""
        driver.put_content(PATH, b"content")
        url = driver.redirect(PATH, method)
        if not self.supports_redirect:
            assert url is None
            return
        assert url is not None
        assert urlsplit(url).scheme in {"http", "https"}
        request = urllib.request.Request(url, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            assert response.headers["Content-Length"] == "7"
            assert response.read() == (b"content" if method == "GET" else b"")


class LargeTests(DriverFixtures):
    """More than fits into memory, in principle."""

    #: what may be allocated at once, in bytes, while content streams.
    memory: int = 64 * MEBIBYTE

    @needs("large")
    def test_a_stream_of_128_mebibytes(self, driver: StorageDriver) -> None:
        """Content streams through: memory stays flat, and no byte is changed."""
        written, got = hashlib.sha256(), hashlib.sha256()
        tracemalloc.start()
        try:
            with driver.writer(PATH) as writer:
                for number in range(128):
                    chunk = hashlib.sha256(str(number).encode()).digest() * (1 << 15)
                    written.update(chunk)
                    writer.write(chunk)
                writer.commit()
            with driver.reader(PATH) as stream:
                for chunk in iter(lambda: stream.read(MEBIBYTE), b""):
                    got.update(chunk)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert driver.stat(PATH).size == 128 * MEBIBYTE
        assert got.digest() == written.digest()
        assert peak < self.memory


class DriverTests(
    PathTests,
    ContentTests,
    ReaderTests,
    WriterTests,
    AppendTests,
    NoAppendTests,
    StatTests,
    ListTests,
    MoveTests,
    PublishTests,
    ExclusivePublishTests,
    DeleteTests,
    TogetherTests,
    SharingTests,
    RedirectTests,
    LargeTests,
):
    """Everything that the contract of storage drivers promises."""
