"""The driver on Azurite: the public suite, leases, and what breaks."""

from __future__ import annotations

import multiprocessing
import os
import time
import uuid

import pytest
from flaskreg_azure import make_azure
from flaskreg_azure.failures import AzureFailure
from flaskreg_azure.writer import BLOCK

from flaskreg.driver import InvalidOffset
from flaskreg.driver import PathNotFound
from flaskreg.testing import DriverTests
from flaskreg.testing.live import fetch


pytestmark = pytest.mark.live

PATH = "/docker/registry/v2/repositories/app/_uploads/1/data"


@pytest.fixture
def container(azurite):
    """Return the name of an empty container."""
    name = f"c{uuid.uuid4().hex}"
    azurite.parameters(name)
    yield name
    azurite.client.delete_container(name)


@pytest.mark.parametrize("root", ["", "/a/b/"])
class TestAzureDriver(DriverTests):
    """Everything that the contract of storage drivers promises."""

    supports_redirect = True
    #: an append blob can be read as it grows, by distribution too.
    hides_uncommitted = False
    large = True

    @pytest.fixture
    def make_driver(self, azurite, container, root):
        """Return a callable that makes drivers of one container."""
        section = {**azurite.parameters(container), "rootdirectory": root}
        self._client = azurite.client.get_container_client(container)
        return lambda: make_azure(section)

    def leftovers(self, driver):
        """Return all blobs."""
        del driver
        return [each.name for each in self._client.list_blobs()]


@pytest.fixture
def driver(azurite, container):
    """Return a driver of an empty container."""
    made = make_azure(azurite.parameters(container))
    yield made
    made.close()


def blob_of(azurite, container, path=PATH):
    """Return the tests' own client of a blob."""
    return azurite.client.get_blob_client(container, path.lstrip("/"))


def test_blocks_of_many_sizes_are_one_content(driver):
    """Around the size of a block, which is sent on its way."""
    pieces = [b"a" * (BLOCK - 1), b"b" * 2, b"c" * (2 * BLOCK), b"d"]
    with driver.writer(PATH) as writer:
        for piece in pieces:
            writer.write(piece)
        writer.commit()
    assert driver.get_content(PATH) == b"".join(pieces)


def test_a_writer_that_died_is_out_of_the_way(driver, azurite, container):
    """Its lease ends by itself; until then nobody else writes."""
    driver.writer(PATH).close()
    blob = blob_of(azurite, container)
    blob.acquire_lease(15)
    with pytest.raises(InvalidOffset):
        driver.writer(PATH, 0)
    deadline = time.monotonic() + 60
    while True:
        try:
            driver.writer(PATH, 0).close()
            break
        except InvalidOffset:
            assert time.monotonic() < deadline
    driver.delete(PATH)


def test_a_lease_that_was_taken_over_stops_the_writer(driver, azurite, container):
    """Nothing of the first one comes between the bytes of the second."""
    writer = driver.writer(PATH)
    writer.write(b"first")
    writer.flush()
    blob = blob_of(azurite, container)
    writer.lease.break_lease(0)
    with driver.writer(PATH, 5) as other:
        other.write(b" second")
        writer.write(b" more of the first")
        with pytest.raises((PathNotFound, AzureFailure)):
            writer.flush()
        other.commit()
    assert blob.download_blob().readall() == b"first second"


def test_a_block_that_arrived_twice_is_there_once(driver):
    """A request that was sent again, since its answer was lost."""
    with driver.writer(PATH) as writer:
        writer.write(b"content")
        sent = writer._blob.append_block

        def send(*args, **kwargs):
            sent(*args, **kwargs)
            return sent(*args, **kwargs)

        writer._blob.append_block = send
        writer.flush()
        writer.commit()
    assert driver.get_content(PATH) == b"content"


def test_a_blob_that_is_replaced_while_it_is_read_ends_in_an_error(driver):
    """Pieces of two contents are never put together."""
    driver.put_content(PATH, b"a" * (3 * BLOCK))
    with driver.reader(PATH) as stream:
        assert stream.read(10) == b"a" * 10
        driver.put_content(PATH, b"b" * (3 * BLOCK))
        with pytest.raises(OSError, match="ConditionNotMet"):
            stream.read()


def test_an_upload_takes_the_place_of_what_was_put(driver):
    """Azure does not change the kind of a blob, so the other one goes first."""
    driver.put_content("/blob", b"put")
    with driver.writer(PATH) as writer:
        writer.write(b"uploaded")
        writer.commit()
        driver.move(PATH, "/blob")
    assert driver.get_content("/blob") == b"uploaded"
    driver.put_content("/blob", b"put again")
    assert driver.get_content("/blob") == b"put again"


def test_what_was_put_can_be_gone_on_with(driver):
    """Whatever somebody put where an upload is."""
    driver.put_content(PATH, b"put")
    with driver.writer(PATH, 3) as writer:
        writer.write(b" and written")
        writer.commit()
    assert driver.get_content(PATH) == b"put and written"


def test_a_redirect_is_for_reading_alone(driver):
    """Nobody writes or deletes by it, or reads another blob."""
    driver.put_content("/blob", b"content")
    driver.put_content("/other", b"other")
    url = driver.redirect("/blob", "GET")
    assert fetch("GET", url).body == b"content"
    assert fetch("GET", url, headers={"Range": "bytes=1-2"}).body == b"on"
    assert fetch("DELETE", url).status == 403
    assert fetch("PUT", url, b"x", {"x-ms-blob-type": "BlockBlob"}).status == 403
    assert fetch("GET", url.replace("/blob?", "/other?")).status == 403


@pytest.mark.parametrize("wrong", ["key", "container", "server"])
def test_what_cannot_be_reached_is_no_missing_path(azurite, container, wrong):
    """Else a registry would seem to be empty; and no secret is told."""
    section = azurite.parameters(container) | {"max_retries": 0}
    section |= {
        "key": {"accountkey": "Y2FuYXJ5"},
        "container": {"container": "missing"},
        "server": {"serviceurl": "http://127.0.0.1:1/devstoreaccount1"},
    }[wrong]
    driver = make_azure(section)
    calls = [
        lambda: driver.get_content(PATH),
        lambda: driver.put_content(PATH, b""),
        lambda: driver.stat(PATH),
        lambda: driver.stat("/"),
        lambda: driver.list("/"),
        lambda: driver.writer(PATH),
        lambda: driver.delete(PATH),
    ]
    for call in calls:
        with pytest.raises(AzureFailure) as caught:
            call()
        assert "Y2FuYXJ5" not in str(caught.value)
        assert "sig=" not in str(caught.value)
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
