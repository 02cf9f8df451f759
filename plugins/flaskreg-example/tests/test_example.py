"""The driver ``example``: the public suites, and what only this driver promises."""

from __future__ import annotations

import sqlite3

import flaskreg_example
import pytest
from flaskreg_example import ExampleDriver
from flaskreg_example import make_example

from flaskreg.config import ConfigError
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageFull
from flaskreg.testing import DriverTests
from flaskreg.testing import PluginTests


class TestExampleDriver(DriverTests):
    """Everything that the contract of storage drivers promises."""

    #: the rows tell no time.
    keeps_times = False

    @pytest.fixture
    def make_driver(self, tmp_path):
        """Return a callable that makes drivers of one file."""
        return lambda: make_example({"file": str(tmp_path / "registry.sqlite")})

    def leftovers(self, driver):
        """Return all rows."""
        with driver.connect("/") as connection:
            files = connection.execute("SELECT path FROM file").fetchall()
            chunks = connection.execute("SELECT rowid FROM chunk").fetchall()
        return files + chunks


class TestExamplePlugin(PluginTests):
    """Everything that a plugin distribution promises; it has to be installed."""

    plugin_name = "example"
    distribution = "flaskreg-example"
    parameters = ("file", "timeout", "pattern")

    def valid_parameters(self, name):
        """Return the parameter that has to be there."""
        if name in ("naming", "tagging"):
            return {"pattern": "v[0-9]+"}
        return {"file": "registry.sqlite"}


@pytest.fixture
def driver(tmp_path):
    """Return a driver of an empty file."""
    return ExampleDriver(str(tmp_path / "registry.sqlite"), 30.0)


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({}, "storage.example.file"),
        ({"file": ""}, "storage.example.file"),
        ({"file": 1}, "storage.example.file"),
        ({"file": "f", "timeout": 0}, "storage.example.timeout"),
        ({"file": "f", "timeout": "long"}, "storage.example.timeout"),
        ({"file": "f", "filename": "f"}, "storage.example.filename"),
    ],
)
def test_a_wrong_parameter_is_refused(parameters, named):
    """The error names it where it stands in the configuration."""
    with pytest.raises(ConfigError, match=named):
        make_example(parameters)


def test_a_writer_whose_process_died_is_forgotten(driver, monkeypatch):
    """After a while another writer goes on, and the first one cannot any more."""
    dead = driver.writer("/uploads/data")
    dead.write(b"content")
    monkeypatch.setattr(flaskreg_example, "LEASE", -1)
    with driver.writer("/uploads/data", 7) as writer:
        with pytest.raises(PathNotFound):
            dead.write(b"more")
        dead.close()
        writer.write(b"!")
        writer.commit()
    assert driver.get_content("/uploads/data") == b"content!"


def test_a_full_disk_is_told(driver, monkeypatch):
    """What was there before stays."""
    driver.put_content("/file", b"old")
    schema = flaskreg_example.SCHEMA + "PRAGMA max_page_count = 20;"
    monkeypatch.setattr(flaskreg_example, "SCHEMA", schema)
    with pytest.raises(StorageFull):
        driver.put_content("/file", bytes(1 << 20))
    assert driver.get_content("/file") == b"old"


def test_a_file_that_is_no_database(driver):
    """Nobody's file is written over."""
    with open(driver.file, "wb") as stream:
        stream.write(b"some text that is no database" * 100)
    with pytest.raises(sqlite3.DatabaseError):
        driver.put_content("/file", b"content")
    with open(driver.file, "rb") as stream:
        assert stream.read(9) == b"some text"
