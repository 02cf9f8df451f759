"""The driver on fake-gcs-server: the public suite, sessions, locks."""

from __future__ import annotations

import multiprocessing
import os
import uuid

import pytest
from flaskreg_gcs import lock as lock_module
from flaskreg_gcs import make_gcs
from flaskreg_gcs.parameters import UNIT
from flaskreg_gcs.service import GcsFailure

from flaskreg.driver import InvalidOffset
from flaskreg.driver import PathNotFound
from flaskreg.testing import DriverTests


pytestmark = pytest.mark.live

PATH = "/docker/registry/v2/repositories/app/_uploads/1/data"


@pytest.fixture
def bucket(emulated):
    """Return the name of an empty bucket."""
    name = f"b{uuid.uuid4().hex}"
    emulated.make_bucket(name)
    return name


@pytest.fixture
def section(bucket, account):
    """Return the section of an empty bucket, with small pieces."""
    return {"bucket": bucket, "credentials": account, "chunksize": UNIT}


@pytest.mark.parametrize("root", ["", "/a/b/"])
class TestGcsDriver(DriverTests):
    """Everything that the contract of storage drivers promises."""

    supports_redirect = True
    large = True

    @pytest.fixture
    def make_driver(self, emulated, section, root):
        """Return a callable that makes drivers of one bucket."""
        given = {**section, "chunksize": 16 << 20, "rootdirectory": root}
        self._keys = lambda: emulated.keys(section["bucket"])
        return lambda: make_gcs(given)

    def leftovers(self, driver):
        """Return all objects."""
        del driver
        return self._keys()


@pytest.fixture
def driver(section):
    """Return a driver of an empty bucket."""
    made = make_gcs(section)
    yield made
    made.close()


@pytest.mark.parametrize(
    "sizes",
    [
        (UNIT - 1, 1),
        (UNIT, 0),
        (UNIT + 1, UNIT - 1),
        (3 * UNIT + 5, 7, 2 * UNIT),
        (1, 2, 3),
        (0, UNIT, 0),
    ],
)
def test_pieces_of_many_sizes_are_one_content(driver, sizes):
    """Around the unit of a session; what is less of it is parked between writers."""
    pieces = [bytes([65 + at]) * size for at, size in enumerate(sizes)]
    at = 0
    for piece in pieces:
        with driver.writer(PATH, at) as writer:
            writer.write(piece)
        at += len(piece)
        assert driver.stat(PATH).size == at
        with pytest.raises(PathNotFound):
            driver.get_content(PATH)
    with driver.writer(PATH, at) as writer:
        writer.commit()
    assert driver.get_content(PATH) == b"".join(pieces)


def test_a_writer_that_died_is_taken_over(driver, monkeypatch):
    """When its lock is old, by the clock of the service."""
    writer = driver.writer(PATH)
    writer.write(b"content")
    writer.flush()
    with pytest.raises(InvalidOffset):
        driver.writer(PATH, 7)
    monkeypatch.setattr(lock_module, "LEASE", -1.0)
    with driver.writer(PATH, 7) as other:
        monkeypatch.setattr(lock_module, "RENEWAL", -1.0)
        with pytest.raises(PathNotFound):
            writer.write(b" of the dead one")
        other.write(b" of another")
        other.commit()
    assert driver.get_content(PATH) == b"content of another"


def test_content_that_was_committed_goes_on(driver):
    """A session ends with its commit, so that there is another one."""
    content = b"a" * (2 * UNIT + 3)
    with driver.writer(PATH) as writer:
        writer.write(content)
        writer.commit()
    with driver.writer(PATH, len(content)) as writer:
        writer.write(b"!")
        writer.commit()
    assert driver.get_content(PATH) == content + b"!"


@pytest.mark.parametrize("wrong", ["bucket", "server"])
def test_what_cannot_be_reached_is_no_missing_path(section, monkeypatch, wrong):
    """Else a registry would seem to be empty; and no secret is told."""
    if wrong == "bucket":
        section["bucket"] = "missing"
    else:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:1")
        monkeypatch.setattr("flaskreg_gcs.service.TRIES", 1)
        monkeypatch.setattr("flaskreg_gcs.service.DEADLINE", 0.1)
    driver = make_gcs(section)
    calls = [
        lambda: driver.put_content(PATH, b""),
        lambda: driver.stat("/"),
        lambda: driver.list("/"),
        lambda: driver.writer(PATH),
    ]
    for call in calls:
        with pytest.raises(GcsFailure) as caught:
            call()
        assert "PRIVATE" not in str(caught.value)
    driver.close()


def test_a_forked_process_has_connections_of_its_own(driver):
    """The server checks the storage, and forks its workers after that."""
    driver.put_content(PATH, b"content")
    context = multiprocessing.get_context("fork")

    def read_much():
        good = all(driver.get_content(PATH) == b"content" for _ in range(30))
        os._exit(0 if good else 1)

    children = [context.Process(target=read_much) for _ in range(3)]
    for child in children:
        child.start()
    for _ in range(30):
        assert driver.get_content(PATH) == b"content"
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0] * 3
