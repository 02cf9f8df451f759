"""The driver ``inmemory``: the suite, and what only this driver promises."""

from __future__ import annotations

import io

import pytest

from flaskreg.config import ConfigError
from flaskreg.defaults.inmemory import InMemoryDriver
from flaskreg.defaults.inmemory import flaskreg_register_drivers
from flaskreg.driver import InvalidOffset
from flaskreg.driver import InvalidPath
from flaskreg.driver import PathNotFound
from flaskreg.testing import DriverTests


class TestInMemoryDriver(DriverTests):
    """The suite."""

    shared_between_processes = False

    @pytest.fixture
    def make_driver(self):
        """Return the class itself."""
        return InMemoryDriver

    def leftovers(self, driver):
        """Return every path that the driver still knows."""
        directories = driver._directories.keys() - {"/"}
        return [*driver._files, *driver._uploads, *driver._held, *directories]


@pytest.fixture
def driver():
    """Return an empty driver."""
    return InMemoryDriver()


def test_the_hook_offers_it():
    """It is registered by its name and takes no parameters."""
    ((name, factory),) = flaskreg_register_drivers().items()
    driver = factory({})
    assert name == driver.name == "inmemory"
    assert driver.renames


@pytest.mark.parametrize("key", ["rootdirectory", "maxthreads"])
def test_a_parameter_is_refused(key):
    """The error names the parameter where it stands in the configuration."""
    with pytest.raises(ConfigError, match=f"storage.inmemory.{key}"):
        flaskreg_register_drivers()["inmemory"]({key: 1})


def test_a_reader_can_seek(driver):
    """Ranges are served without opening the file again."""
    driver.put_content("/file", b"0123456789")
    with driver.reader("/file", 2) as stream:
        assert stream.seekable()
        assert stream.read(2) == b"23"
        stream.seek(-1, io.SEEK_END)
        assert stream.read() == b"9"


def test_uncommitted_content_is_in_no_list(driver):
    """A directory exists while something committed is in it."""
    driver.put_content("/uploads/startedat", b"now")
    with driver.writer("/uploads/data") as writer:
        writer.write(b"content")
    assert driver.list("/uploads") == ["startedat"]
    driver.delete("/uploads/startedat")
    with pytest.raises(PathNotFound):
        driver.list("/uploads")
    driver.delete("/uploads")
    with pytest.raises(PathNotFound):
        driver.stat("/uploads/data")


def test_a_file_is_no_directory(driver):
    """Paths behave as in a file system, so that tests find what would fail there."""
    driver.put_content("/a/file", b"content")
    for path in ("/a", "/a/file/below", "/a/file/far/below"):
        with pytest.raises(InvalidPath):
            driver.put_content(path, b"content")
        with pytest.raises(InvalidPath):
            driver.writer(path)
        with pytest.raises(InvalidPath):
            driver.move("/a/file", path)
    assert driver.get_content("/a/file") == b"content"


def test_a_failed_writer_holds_nothing(driver):
    """A writer that was refused does not keep others from the path."""
    with pytest.raises(PathNotFound):
        driver.writer("/file", 5)
    with driver.writer("/file") as writer:
        writer.write(b"content")
    with pytest.raises(InvalidOffset) as caught:
        driver.writer("/file", 5)
    assert caught.value.size == 7
    driver.writer("/file", 7).close()


def test_a_commit_of_what_was_deleted(driver):
    """A cancelled upload does not come back when its last request ends."""
    with driver.writer("/uploads/data") as writer:
        writer.write(b"content")
        driver.delete("/uploads")
        with pytest.raises(PathNotFound):
            writer.commit()
    with pytest.raises(PathNotFound):
        driver.stat("/uploads/data")


def test_committed_content_stays_until_the_commit(driver):
    """Whoever reads meanwhile reads the old content."""
    driver.put_content("/file", b"old")
    with driver.writer("/file", 3) as writer:
        writer.write(b" and new")
        assert driver.get_content("/file") == b"old"
        assert driver.stat("/file").size == 11
        writer.commit()
        assert driver.get_content("/file") == b"old and new"
