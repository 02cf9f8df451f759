"""The secret of upload states: one for all processes that share a storage."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from builders import WatchedDriver
from builders import tree

from flaskreg.defaults.inmemory import InMemoryDriver
from flaskreg.driver import StorageFull
from flaskreg.storage.secrets import FixedSecrets
from flaskreg.storage.secrets import StoredSecrets


def test_a_secret_is_made_once(driver: WatchedDriver) -> None:
    """By the first process; it is random, and every other one has it too."""
    first = StoredSecrets(driver)
    assert tree(driver.inner) == {}
    (secret,) = first.keys()
    assert len(secret) == 32
    assert list(tree(driver.inner).values()) == [secret]
    for _ in range(2):
        assert list(StoredSecrets(driver).keys()) == [secret]
        assert list(StoredSecrets(driver).keys(again=True)) == [secret]
    assert list(StoredSecrets(InMemoryDriver()).keys()) != [secret]


def test_a_secret_is_read_once(driver: WatchedDriver) -> None:
    """Unless somebody asks for those that are new."""
    secrets = StoredSecrets(driver)
    secrets.keys()
    driver.calls.clear()
    secrets.keys()
    assert driver.calls == []
    driver.inner.put_content("/flaskreg/secrets/zzz", b"another")
    assert len(secrets.keys()) == 1
    assert secrets.keys(again=True)[1] == b"another"
    assert len(secrets.keys()) == 2


class Slow(WatchedDriver):
    """Lets all who look for a secret see that there is none."""

    def __init__(self, inner: WatchedDriver, parties: int) -> None:
        super().__init__(inner)
        self.barrier = threading.Barrier(parties)

    def put_content(self, path: str, content: bytes, *, durable: bool = True) -> None:
        """Wait for the others before writing."""
        self.barrier.wait(30)
        super().put_content(path, content, durable=durable)


def test_processes_that_make_one_at_once(driver: WatchedDriver) -> None:
    """Each keeps its own, and in the end each verifies what any has signed."""
    slow = Slow(driver, 4)
    stores = [StoredSecrets(slow) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        signing = list(pool.map(lambda store: store.keys()[0], stores))
    assert len(tree(driver.inner)) == 4
    for store in stores:
        assert set(signing) <= set(store.keys(again=True))
    # From then on all sign with the same one.
    assert len({StoredSecrets(driver).keys()[0] for _ in range(3)}) == 1


def test_an_empty_secret_is_none(driver: WatchedDriver) -> None:
    """A file that a power cut left empty would let anybody sign."""
    driver.put_content("/flaskreg/secrets/empty", b"")
    (secret,) = StoredSecrets(driver).keys()
    assert len(secret) == 32


class Full(WatchedDriver):
    """Has no room."""

    def put_content(self, path: str, content: bytes, *, durable: bool = True) -> None:
        """Refuse it."""
        del content, durable
        raise StorageFull(path)


def test_a_storage_that_cannot_be_written_to(driver: WatchedDriver) -> None:
    """The process has a secret of its own, which it keeps."""
    secrets = StoredSecrets(Full(driver))
    (secret,) = secrets.keys()
    assert list(secrets.keys()) == [secret]


def test_a_configured_secret() -> None:
    """It is the only one, whatever is asked."""
    secrets = FixedSecrets("geheim")
    assert list(secrets.keys()) == list(secrets.keys(again=True)) == [b"geheim"]
