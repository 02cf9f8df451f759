"""The checks that ``health`` configures: files, HTTP and TCP servers, the storage.

Source: CNCF distribution's package ``health/checks``; the names of the checks are its.
"""

from __future__ import annotations

import http.client
import os
import socket
import threading
import urllib.error
import urllib.request
from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass

from flaskreg.config import ConfigError
from flaskreg.config import Settings
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageDriver


#: the shortest time between two checks, in seconds.
SHORTEST = 0.1

#: how long the storage may take for an answer, in seconds.
PATIENCE = 10.0


class CheckFailed(Exception):
    """What was checked is not well; the sentence says why."""


class Check(ABC):
    """Looks whether one thing is well.

    :param name: what ``/debug/health`` calls it.
    """

    #: what sort of thing it is, for those who may not know more.
    kind: str

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def check(self) -> None:
        """Look once.

        :raises CheckFailed: it is not well.
        """


class FileCheck(Check):
    """Fails while a file exists: an operator takes a server out by making it."""

    kind = "file"

    def check(self) -> None:
        """Look whether the file is there."""
        if os.path.lexists(self.name):
            raise CheckFailed("file exists")


class HttpCheck(Check):
    """Asks a URL with HEAD for one exact status.

    :param name: the URL.
    :param headers: sent along.
    :param timeout: in seconds.
    """

    kind = "http"

    def __init__(
        self,
        name: str,
        headers: Mapping[str, Sequence[str]],
        status: int,
        timeout: float,
    ) -> None:
        super().__init__(name)
        self._headers = {key: ", ".join(values) for key, values in headers.items()}
        self._status = status
        self._timeout = timeout

    def check(self) -> None:
        """Ask once; redirects are followed."""
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            self.name, headers=self._headers, method="HEAD"
        )
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as answer:  # noqa: S310 - likewise
                status = answer.status
        except urllib.error.HTTPError as error:
            status = error.code
            error.close()
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise CheckFailed(f"error while checking: {reason}") from None
        if status != self._status:
            raise CheckFailed(
                f"downstream service returned unexpected status: {status}"
            )


class TcpCheck(Check):
    """Connects to ``host:port``."""

    kind = "tcp"

    def __init__(self, name: str, timeout: float) -> None:
        super().__init__(name)
        self._timeout = timeout

    def check(self) -> None:
        """Connect once."""
        host, _, port = self.name.rpartition(":")
        try:
            address = (host.strip("[]"), int(port))
            socket.create_connection(address, self._timeout).close()
        except OSError as error:
            raise CheckFailed(f"connection to {self.name} failed: {error}") from None


class StorageCheck(Check):
    """Calls what uses the storage, and waits for a limited time.

    A storage that hangs, as a lost network file system does, holds one thread and no
    more: there is no second call before the first has come back.

    :param look: raises what is wrong.
    """

    kind = "storage"

    def __init__(self, name: str, look: Callable[[], object]) -> None:
        super().__init__(name)
        self._look = look
        self._hanging: threading.Thread | None = None

    def check(self) -> None:
        """Call once."""
        if self._hanging is not None and self._hanging.is_alive():
            raise CheckFailed("the storage has not answered yet")
        failed: list[str] = []

        def run() -> None:
            try:
                self._look()
            except Exception as error:  # noqa: BLE001 - whatever the storage does, it is not well
                failed.append(str(error) or type(error).__name__)

        thread = threading.Thread(target=run, name="storage check", daemon=True)
        thread.start()
        thread.join(PATIENCE)
        if thread.is_alive():
            self._hanging = thread
            raise CheckFailed(f"the storage did not answer in {PATIENCE:g} s")
        if failed:
            raise CheckFailed(failed[0])


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a check is made, and how many failures count.

    :param interval: between two checks, in seconds.
    :param threshold: failures in a row.
    """

    check: Check
    interval: float
    threshold: int


def make_schedules(settings: Settings, driver: StorageDriver) -> list[Schedule]:
    """Return the checks that ``health`` configures.

    :raises ConfigError: one of them names nothing that can be checked, or two are one.
    """
    found = list(_iter_schedules(settings, driver))
    names: set[str] = set()
    for schedule in found:
        name = schedule.check.name
        if name in names:
            raise ConfigError(f"health: {name} is checked twice")
        names.add(name)
    return found


def _iter_schedules(settings: Settings, driver: StorageDriver) -> Iterator[Schedule]:
    health = settings.health
    stored = health.storagedriver
    if stored.enabled:
        check = StorageCheck(
            f"storagedriver_{settings.storage.driver}", lambda: _stat_root(driver)
        )
        yield Schedule(check, max(stored.interval, SHORTEST), max(stored.threshold, 1))
    for at, file in enumerate(health.file):
        key = f"health.file[{at}].file"
        name = _required(key, file.file, well=bool(file.file), right="a path")
        yield _schedule(FileCheck(name), file.interval, file.threshold)
    for at, each in enumerate(health.http):
        key, well = (
            f"health.http[{at}].uri",
            each.uri.startswith(("http://", "https://")),
        )
        name = _required(key, each.uri, well=well, right="an http or https URL")
        timeout = each.timeout if each.timeout > 0 else max(each.interval, SHORTEST)
        asked = HttpCheck(name, each.headers, each.statuscode, timeout)
        yield _schedule(asked, each.interval, each.threshold)
    for at, tcp in enumerate(health.tcp):
        key, port = f"health.tcp[{at}].addr", tcp.addr.rpartition(":")[2]
        well = ":" in tcp.addr and port.isascii() and port.isdigit()
        name = _required(key, tcp.addr, well=well, right="host:port")
        timeout = tcp.timeout if tcp.timeout > 0 else max(tcp.interval, SHORTEST)
        yield _schedule(TcpCheck(name, timeout), tcp.interval, tcp.threshold)


def _schedule(check: Check, interval: float, threshold: int) -> Schedule:
    return Schedule(check, max(interval, SHORTEST), max(threshold, 1))


def _required(key: str, value: str, *, well: bool, right: str) -> str:
    if not well:
        raise ConfigError.wrong(key, value, f"must be {right}")
    return value


def _stat_root(driver: StorageDriver) -> None:
    try:
        driver.stat("/")
    except PathNotFound:
        # Nothing was stored yet.
        return
