"""The driver suite: paths, whole content, readers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck
from hypothesis import Phase
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from flaskreg.driver import DriverError
from flaskreg.driver import InvalidOffset
from flaskreg.driver import InvalidPath
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver
from flaskreg.testing.driver_fixtures import TOP
from flaskreg.testing.driver_fixtures import DriverFixtures
from flaskreg.testing.driver_fixtures import read


Call = Callable[[StorageDriver, str], object]

PATH = f"{TOP}/directory/file"

INVALID_PATHS = (
    "",
    "abc",
    "abc/def",
    "//abc",
    "/abc//def",
    "/abc/",
    "/.",
    "/..",
    "/../abc",
    "/abc/../def",
    "/abc/./def",
    "/abc/..",
    "/a b",
    "/abc\n",
    "/abc\0",
    "/abc\\def",
    "/abc:def",
    "/ä",
    "/abc/%2e%2e/def",
)

#: every method that takes a path, by name.
CALLS: dict[str, Call] = {
    "get_content": lambda driver, path: driver.get_content(path),
    "put_content": lambda driver, path: driver.put_content(path, b"content"),
    "reader": lambda driver, path: driver.reader(path).close(),
    "writer": lambda driver, path: driver.writer(path).close(),
    "stat": lambda driver, path: driver.stat(path),
    "list": lambda driver, path: driver.list(path),
    "walk": lambda driver, path: list(driver.walk(path)),
    "move_from": lambda driver, path: driver.move(path, PATH),
    "move_to": lambda driver, path: driver.move(PATH, path),
    "delete": lambda driver, path: driver.delete(path),
}
#: those of them that want something to be there.
LOOKS = ("get_content", "reader", "stat", "list", "walk", "move_from", "delete")
#: those of them that the root is no file for.
FILE_CALLS = ("get_content", "put_content", "reader", "writer", "move_from", "move_to")

CONTENTS = {
    "text": b"some text\n",
    "unicode": "gr\u00fc\u00df \u4f60\u597d".encode(),
    "binary": bytes(range(256)) * 16,
    "not_utf8": b"\x80\xfe\xff\xc3\x28",
    "line_ends": b"a\r\nb\rc\n\x1a\x00",
    "one_byte": b"\0",
    "empty": b"",
}

_components = st.from_regex(r"[A-Za-z0-9._-]{1,24}", fullmatch=True).filter(
    lambda text: text not in {".", ".."}
)
_paths = st.lists(_components, min_size=1, max_size=6).map("/".join)

#: for tests whose every example leaves the driver as it was.
_examples = settings(
    max_examples=20,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.differing_executors,
        HealthCheck.too_slow,
    ],
)


class PathTests(DriverFixtures):
    """Which paths can hold content, and which never reach the storage."""

    def test_the_root_exists(self, driver: StorageDriver) -> None:
        """The root is a directory, also when it is empty."""
        info = driver.stat("/")
        assert info.is_dir
        assert info.path == "/"
        assert driver.list("/") == []
        assert list(driver.walk("/")) == []

    @given(path=_paths, content=st.binary(max_size=64))
    @_examples
    def test_valid_paths(
        self, driver: StorageDriver, path: str, content: bytes
    ) -> None:
        """Content is at the very path where it was put."""
        path = f"{TOP}/{path}"
        driver.put_content(path, content)
        assert driver.get_content(path) == content
        assert driver.stat(path).path == path
        assert [info.path for info in driver.walk(TOP) if not info.is_dir] == [path]
        driver.delete(TOP)

    def test_long_names(self, driver: StorageDriver) -> None:
        """A directory can be named as long as a repository, a file as a tag."""
        path = f"{TOP}/{'r' * 255}/{'t' * 128}/link"
        driver.put_content(path, b"digest")
        driver.put_content(f"{TOP}/{'f' * 128}", b"tag")
        assert driver.get_content(path) == b"digest"
        assert sorted(driver.list(TOP)) == ["f" * 128, "r" * 255]

    def test_letter_case_matters(self, driver: StorageDriver) -> None:
        """Two paths that differ in letter case alone are two files."""
        driver.put_content(f"{TOP}/name", b"lower")
        driver.put_content(f"{TOP}/NAME", b"upper")
        assert driver.get_content(f"{TOP}/name") == b"lower"
        assert driver.get_content(f"{TOP}/NAME") == b"upper"

    @pytest.mark.parametrize("call", CALLS)
    def test_invalid_paths(self, driver: StorageDriver, call: str) -> None:
        """No method does anything with a path that cannot hold content."""
        driver.put_content(PATH, b"content")
        for path in INVALID_PATHS:
            with pytest.raises(InvalidPath):
                CALLS[call](driver, path)
        assert driver.get_content(PATH) == b"content"
        assert driver.list("/") == [TOP.strip("/")]

    @pytest.mark.parametrize("call", FILE_CALLS)
    def test_the_root_is_no_file(self, driver: StorageDriver, call: str) -> None:
        """The root cannot be read, written or moved."""
        driver.put_content(PATH, b"content")
        with pytest.raises(InvalidPath):
            CALLS[call](driver, "/")
        assert driver.get_content(PATH) == b"content"

    @pytest.mark.parametrize("call", LOOKS)
    def test_missing_paths(self, driver: StorageDriver, call: str) -> None:
        """Nothing is found where nothing was put: beside, above, or below a file."""
        driver.put_content(PATH, b"content")
        for path in (f"{PATH}-too", PATH[:-1], f"{PATH}/below", f"{TOP}/other/file"):
            with pytest.raises(PathNotFound) as caught:
                CALLS[call](driver, path)
            assert caught.value.path == path
        assert driver.get_content(PATH) == b"content"

    def test_a_file_stays_when_something_is_put_below_it(
        self, driver: StorageDriver
    ) -> None:
        """The driver may refuse that or do it, but a file is never lost by it."""
        driver.put_content(PATH, b"content")
        try:
            driver.put_content(f"{PATH}/below", b"below")
        except DriverError:
            pass
        else:
            assert driver.get_content(f"{PATH}/below") == b"below"
        assert driver.get_content(PATH) == b"content"


class ContentTests(DriverFixtures):
    """Whole content, put and got."""

    @pytest.mark.parametrize("kind", CONTENTS)
    def test_put_and_get(self, driver: StorageDriver, kind: str) -> None:
        """Bytes come back as they were put, whatever they are."""
        driver.put_content(PATH, CONTENTS[kind])
        assert driver.get_content(PATH) == CONTENTS[kind]
        assert read(driver.reader(PATH)) == CONTENTS[kind]
        assert driver.stat(PATH).size == len(CONTENTS[kind])

    @pytest.mark.parametrize("again", [b"longer than before", b"short", b"", b"first."])
    def test_put_replaces(self, driver: StorageDriver, again: bytes) -> None:
        """Nothing of the old content stays, be the new one longer or shorter."""
        driver.put_content(PATH, b"first.")
        driver.put_content(PATH, again)
        assert driver.get_content(PATH) == again
        assert driver.stat(PATH).size == len(again)

    def test_content_that_need_not_be_durable(self, driver: StorageDriver) -> None:
        """What may be lost in a power cut is there nevertheless, until then."""
        driver.put_content(PATH, b"content", durable=False)
        assert driver.get_content(PATH) == b"content"
        driver.delete(PATH, durable=False)
        with pytest.raises(PathNotFound):
            driver.get_content(PATH)

    def test_put_keeps_the_bytes_it_was_given(self, driver: StorageDriver) -> None:
        """What was put is not changed by what happens to the result of a get."""
        driver.put_content(PATH, b"content")
        got = bytearray(driver.get_content(PATH))
        got[:] = b"changed"
        assert driver.get_content(PATH) == b"content"

    def test_a_directory_has_no_content(self, driver: StorageDriver) -> None:
        """A directory is not read as if it were an empty file."""
        driver.put_content(PATH, b"content")
        with pytest.raises(PathNotFound):
            driver.get_content(TOP)
        with pytest.raises(PathNotFound):
            driver.reader(TOP)


class ReaderTests(DriverFixtures):
    """Readers, from any offset, whatever happens to the file meanwhile."""

    @pytest.mark.parametrize("offset", [0, 1, 255, 256, 4095])
    def test_reader_begins_at_its_offset(
        self, driver: StorageDriver, offset: int
    ) -> None:
        """A reader gives all that follows its offset."""
        content = CONTENTS["binary"]
        driver.put_content(PATH, content)
        assert read(driver.reader(PATH, offset)) == content[offset:]
        assert read(driver.reader(PATH, offset), step=7) == content[offset:]

    @pytest.mark.parametrize("beyond", [0, 1, 1 << 40])
    def test_reader_at_and_past_the_end(
        self, driver: StorageDriver, beyond: int
    ) -> None:
        """There is nothing to read there, and that is no error."""
        driver.put_content(PATH, b"content")
        assert read(driver.reader(PATH, len(b"content") + beyond)) == b""

    @pytest.mark.parametrize("offset", [-1, -(1 << 40)])
    def test_reader_at_a_negative_offset(
        self, driver: StorageDriver, offset: int
    ) -> None:
        """An offset is not counted from the end."""
        driver.put_content(PATH, b"content")
        with pytest.raises(InvalidOffset):
            driver.reader(PATH, offset)

    @given(content=st.binary(max_size=2048), offset=st.integers(0, 4096))
    @_examples
    def test_reader_at_any_offset(
        self, driver: StorageDriver, content: bytes, offset: int
    ) -> None:
        """A reader agrees with a slice of the content."""
        driver.put_content(PATH, content)
        assert read(driver.reader(PATH, offset)) == content[offset:]

    def test_reader_of_nothing(self, driver: StorageDriver) -> None:
        """The error comes from opening, not from reading."""
        with pytest.raises(PathNotFound):
            driver.reader(PATH, 3)

    def test_readers_do_not_disturb_each_other(self, driver: StorageDriver) -> None:
        """Each reader has its own place in the file."""
        driver.put_content(PATH, b"0123456789")
        with driver.reader(PATH) as one, driver.reader(PATH, 5) as other:
            assert one.read(3) == b"012"
            assert other.read(3) == b"567"
            assert one.read(3) == b"345"
            assert other.read(3) == b"89"

    def test_reader_goes_on_after_a_delete(self, driver: StorageDriver) -> None:
        """Who began to read a file reads it to its end."""
        content = bytes(range(256)) * 4096
        driver.put_content(PATH, content)
        with driver.reader(PATH) as stream:
            begun = stream.read(10)
            driver.delete(PATH)
            # Not compared in the assert: the difference of MiB takes minutes to show.
            unchanged = begun + read(stream) == content
            assert unchanged

    def test_reader_goes_on_after_a_replacement(self, driver: StorageDriver) -> None:
        """A reader never goes over from the old content into the new."""
        content = bytes(range(256)) * 4096
        driver.put_content(PATH, content)
        with driver.reader(PATH) as stream:
            begun = stream.read(10)
            driver.put_content(PATH, b"new" * 500_000)
            # Not compared in the assert: the difference of MiB takes minutes to show.
            unchanged = begun + read(stream) == content
            assert unchanged
