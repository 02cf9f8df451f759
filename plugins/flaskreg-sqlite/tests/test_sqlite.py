"""The cache ``sqlite``: the public suites, bounds, processes, and what is broken."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import time

import pytest
from flaskreg_sqlite import SqliteCache
from flaskreg_sqlite import make_sqlite_cache
from flaskreg_sqlite.cache import VERSION

from flaskreg.config import ConfigError
from flaskreg.testing import DescriptorCacheTests
from flaskreg.testing import PluginTests
from flaskreg.testing.caches import ONE
from flaskreg.testing.caches import TWO
from flaskreg.testing.caches import make_descriptor
from flaskreg.testing.live import serve


class TestSqliteCache(DescriptorCacheTests):
    """Everything that the contract of descriptor caches promises."""

    shared = True
    has_backend = True

    @pytest.fixture
    def cache(self, tmp_path):
        """Return a cache in a file of the test's own."""
        return make(tmp_path)

    @pytest.fixture
    def other_cache(self, tmp_path):
        """Return a cache in the same file."""
        return make(tmp_path)

    @pytest.fixture(params=["no folder", "no database", "a folder"])
    def broken_cache(self, tmp_path, request):
        """Return a cache whose file cannot be used."""
        if request.param == "no folder":
            return make(tmp_path / "missing")
        place = tmp_path / "broken"
        place.mkdir()
        if request.param == "a folder":
            (place / "cache.sqlite").mkdir()
        else:
            (place / "cache.sqlite").write_bytes(b"no database" * 1000)
        return make(place)


class TestSqlitePlugin(PluginTests):
    """Everything that a plugin distribution promises; it has to be installed."""

    plugin_name = "sqlite"
    distribution = "flaskreg-sqlite"
    parameters = ("file", "timeout", "blobdescriptorsize")

    def valid_parameters(self, name):
        """Return the parameter that has to be there."""
        del name
        return {"file": "cache.sqlite"}


def make(folder, **parameters):
    """Return a cache in a folder's file."""
    return make_sqlite_cache({"file": str(folder / "cache.sqlite"), **parameters})


@pytest.fixture
def cache(tmp_path):
    """Return a cache in a file of the test's own."""
    made = make(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({}, "storage.cache.options.file"),
        ({"file": ""}, "storage.cache.options.file"),
        ({"file": 5}, "storage.cache.options.file"),
        ({"file": "a", "timeout": 0}, "storage.cache.options.timeout"),
        ({"file": "a", "timeout": True}, "storage.cache.options.timeout"),
        ({"file": "a", "timeout": 1e9}, "storage.cache.options.timeout"),
        ({"file": "a", "blobdescriptorsize": "x"}, "storage.cache.blobdescriptorsize"),
        ({"file": "a", "fil": "a"}, "did you mean storage.cache.options.file"),
    ],
)
def test_wrong_parameters_are_named(parameters, named):
    """In one line, where they stand."""
    with pytest.raises(ConfigError) as caught:
        make_sqlite_cache(parameters)
    assert named in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def rows(file):
    """Return the number of rows in a file."""
    connection = sqlite3.connect(file)
    try:
        return connection.execute("SELECT count(*) FROM descriptor").fetchone()[0]
    finally:
        connection.close()


@pytest.mark.parametrize("size", [1, 2, 7, 50])
def test_it_is_bounded(tmp_path, size):
    """The newest stay, whatever was set, and it never holds more."""
    cache = make(tmp_path, blobdescriptorsize=size)
    descriptors = [make_descriptor(f"content {n}") for n in range(60)]
    for descriptor in descriptors:
        cache.set(descriptor.digest, descriptor)
        assert rows(cache.file) <= size
    known = [each for each in descriptors if cache.stat(each.digest)]
    assert known == descriptors[-size:]
    cache.close()


@pytest.mark.parametrize("size", [0, -1])
def test_there_may_be_no_bound(tmp_path, size):
    """As distribution has it."""
    cache = make(tmp_path, blobdescriptorsize=size)
    descriptors = [make_descriptor(f"content {n}") for n in range(100)]
    for descriptor in descriptors:
        cache.set(descriptor.digest, descriptor)
    assert all(cache.stat(each.digest) == each for each in descriptors)
    cache.close()


def test_what_is_set_again_is_the_newest(tmp_path):
    """So that what is in use stays."""
    cache = make(tmp_path, blobdescriptorsize=2)
    three = make_descriptor("three")
    for descriptor in (ONE, TWO, ONE, three):
        cache.set(descriptor.digest, descriptor)
    assert cache.stat(ONE.digest) == ONE
    assert cache.stat(TWO.digest) is None
    cache.close()


def test_it_outlives_the_process(tmp_path):
    """Who starts again finds what was known."""
    first = make(tmp_path)
    first.set(ONE.digest, ONE, "team/app")
    first.close()
    second = make(tmp_path)
    assert second.stat(ONE.digest, "team/app") == ONE
    second.close()


def fill(cache, number):
    """Set and read descriptors of a process's own; end with 0 when all are right."""
    for turn in range(30):
        descriptor = make_descriptor(f"{number}-{turn}")
        cache.set(descriptor.digest, descriptor, f"repository-{number}")
        found = cache.stat(descriptor.digest, f"repository-{number}")
        if found != descriptor or cache.stat(ONE.digest) != ONE:
            os._exit(1)
    os._exit(0)


def test_forked_workers_share_it(tmp_path):
    """A connection that was open before the fork is used by no child."""
    cache = make(tmp_path, timeout=30)
    cache.set(ONE.digest, ONE)
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=fill, args=(cache, n)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    for number in range(4):
        descriptor = make_descriptor(f"{number}-29")
        assert cache.stat(descriptor.digest, f"repository-{number}") == descriptor
    cache.close()


def test_a_file_of_another_version_is_emptied(tmp_path):
    """A cache has nothing that would have to be kept."""
    file = tmp_path / "cache.sqlite"
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE descriptor (other TEXT)")
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    cache = make(tmp_path)
    cache.set(ONE.digest, ONE)
    assert cache.stat(ONE.digest) == ONE
    cache.close()


def test_a_locked_file_is_done_without(tmp_path, caplog):
    """A write is lost after the time-out; reads go on, and nobody waits again."""
    cache = make(tmp_path, timeout=0.05)
    cache.set(ONE.digest, ONE)
    blocker = sqlite3.connect(cache.file, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    cache.set(TWO.digest, TWO)
    cache.set(TWO.digest, TWO)
    assert caplog.text.count("does not answer") == 1
    assert "locked" in caplog.text
    blocker.execute("ROLLBACK")
    blocker.close()
    assert cache.stat(TWO.digest) is None
    cache.close()


@pytest.mark.parametrize(
    "change",
    ["size = -1", "size = 'x'", "target = 'x'", "media_type = ''", "target = x'00ff'"],
)
def test_a_damaged_row_is_a_miss(cache, change):
    """Whatever somebody wrote there."""
    cache.set(ONE.digest, ONE)
    connection = sqlite3.connect(cache.file)
    with connection:
        connection.execute(f"UPDATE descriptor SET {change}")
    connection.close()
    assert cache.stat(ONE.digest) is None


def test_close_and_use_again_opens_again(cache):
    """So a thread that is late in a process that ends gets no error."""
    cache.set(ONE.digest, ONE)
    cache.close()
    assert cache.stat(ONE.digest) == ONE


@pytest.mark.live
def test_a_registry_with_two_workers(tmp_path):
    """Configured by config.yml; the file knows what was pushed, and forgets deletes."""
    file = tmp_path / "cache.sqlite"
    config = {
        "storage": {
            "filesystem": {"rootdirectory": str(tmp_path / "root")},
            "cache": {"blobdescriptor": "sqlite", "options": {"file": str(file)}},
            "delete": {"enabled": True},
        },
        "http": {"workers": 2},
    }
    with serve(config, tmp_path) as registry:
        while registry.told().count("Booting worker") < 2:
            time.sleep(0.05)
        digest = registry.push_blob("team/app", b"content")
        cache = SqliteCache(str(file), 1.0, 0)
        assert cache.stat(digest, "team/app").size == 7
        assert registry.pull_blob("team/app", digest) == b"content"
        path = f"/v2/team/app/blobs/{digest}"
        assert registry.call("GET", f"/v2/team/other/blobs/{digest}").status == 404
        assert registry.call("DELETE", path).status == 202
        assert cache.stat(digest, "team/app") is None
        assert registry.call("GET", path).status == 404
        cache.close()
