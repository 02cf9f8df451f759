"""A clock that is set while the registry serves: nothing is lost, nothing times out.

The clock of the server alone is set. Its monotonic clock stays as it is, as when a
kernel's clock is set, and so do the times of files: those of a storage whose clock is
right.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from .api import Api
from .api import expect
from .api import offset_of
from .faketime import FakeTime
from .images import KIB
from .images import OCI
from .images import digest_of
from .servers import Launcher
from .servers import Server
from .test_upkeep import config_of
from .test_upkeep import flaskreg
from .tools import wait_until


pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

HOUR, DAY = 3600, 86400
JUMPS = (DAY, 0, -DAY, 0, 40 * DAY, 0)


@pytest.fixture
def clock(tmp_path: Path) -> FakeTime:
    """Return the clock of the server."""
    return FakeTime(tmp_path)


@pytest.fixture
def server(clock: FakeTime, launcher: Launcher) -> Server:
    """Return a registry that purges each second what was idle for an hour."""
    purging = {"enabled": True, "age": "1h", "interval": "1s"}
    return launcher.flaskreg(
        {
            "storage": {"maintenance": {"uploadpurging": purging}},
            "http": {"idletimeout": "20s"},
        },
        clock.environment(),
        workers=2,
    )


def told(server: Server) -> float:
    """Return how far the server's clock is ahead of ours, in seconds."""
    date = requests.get(f"{server.url}/v2/", timeout=10).headers["Date"]
    return parsedate_to_datetime(date).timestamp() - time.time()


def jump(server: Server, clock: FakeTime, seconds: int) -> None:
    """Set the clock, and see that every process has it."""
    clock.jump(seconds)
    for _ in range(10):
        assert abs(told(server) - seconds) < 60


class Pushing:
    """Pushes images one after the other, and pulls what it pushed.

    :param url: of the registry.
    :param name: of the repository.
    """

    def __init__(self, url: str, name: str) -> None:
        self._api = Api(url, name)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.pushed: list[tuple[str, str]] = []
        self.failed: list[str] = []

    def __enter__(self) -> Pushing:
        self._thread.start()
        return self

    def __exit__(self, *_raised: object) -> None:
        self._ended.set()
        self._thread.join(60)

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                self._push(f"v{len(self.pushed)}")
        except (AssertionError, requests.RequestException) as error:
            self.failed.append(str(error))

    def _push(self, tag: str) -> None:
        api = self._api
        layer = api.push_blob(os.urandom(20 * KIB))
        config = api.push_blob(b"{}")
        document = {
            "schemaVersion": 2,
            "mediaType": OCI.manifest,
            "config": {"mediaType": OCI.config, "digest": config, "size": 2},
            "layers": [{"mediaType": OCI.layer, "digest": layer, "size": 20 * KIB}],
        }
        digest = api.push_manifest(tag, json.dumps(document).encode(), OCI.manifest)
        self.pushed.append((tag, layer))
        assert digest_of(api.pull_manifest(tag)[0]) == digest
        api.pull_blob(layer)


def slowly(data: bytes, going: threading.Event) -> Iterator[bytes]:
    """Yield a body piece by piece, until it may go on."""
    for at in range(0, len(data), 16 * KIB):
        yield data[at : at + 16 * KIB]
        if at:
            time.sleep(0.05)
        else:
            going.wait(120)


def test_a_clock_that_jumps(server: Server, clock: FakeTime, tmp_path: Path) -> None:
    """A day ahead and back, a day back and ahead, and to the next month and back."""
    wait_until(lambda: len(server.workers()) == 2, 30, "both workers")
    workers = server.workers()
    data = random.Random("clock").randbytes(256 * KIB)
    waiting = Api(server.url, "waiting")
    promised = waiting.start()
    idle = waiting.append(waiting.start(), data[: 100 * KIB])
    going, answers = threading.Event(), []

    def push_slowly() -> None:
        api = Api(server.url, "slow", timeout=120)
        answer = api.commit(api.start(), digest_of(data), slowly(data, going))  # type: ignore[arg-type]
        answers.append(answer.status_code)

    slow = threading.Thread(target=push_slowly)
    slow.start()
    with Pushing(server.url, "a") as first, Pushing(server.url, "b") as second:
        for seconds in JUMPS:
            before = len(first.pushed), len(second.pushed)
            jump(server, clock, seconds)
            # Long enough for the purger to have its turn, and for more pushes.
            time.sleep(2.5)
            wait_until(
                lambda b=before: (
                    len(first.pushed) > b[0] + 1 and len(second.pushed) > b[1] + 1
                ),
                30,
                f"pushes after {seconds}",
            )
            # What was begun before goes on at any time.
            answer = waiting.status(idle)
            assert offset_of(expect(answer, 204)) >= 100 * KIB
            idle = waiting.location(answer)
        going.set()
        slow.join(120)
    assert first.failed == second.failed == []
    assert answers == [201]
    at = offset_of(waiting.status(idle))
    idle = waiting.append(idle, data[at:], at)
    expect(waiting.commit(idle, digest_of(data)), 201)
    expect(waiting.commit(promised, digest_of(b"late"), b"late"), 201)
    assert waiting.pull_blob(digest_of(data)) == data
    for pushing, name in ((first, "a"), (second, "b")):
        api = Api(server.url, name)
        for tag, layer in pushing.pushed:
            api.pull_manifest(tag)
            api.pull_blob(layer)
    assert server.workers() == workers, "a worker was taken for dead"
    assert "the clock jumped by" in server.text()
    assert "purged" not in server.text()
    assert "0 damaged, 0 garbage" in flaskreg("fsck", config_of(server, tmp_path))


@pytest.mark.parametrize("seconds", [DAY, -DAY])
def test_what_is_idle_for_long_is_still_purged(
    server: Server, clock: FakeTime, seconds: int
) -> None:
    """The clock's new time does not keep the purger from its work."""
    api = Api(server.url, "idle")
    old = api.append(api.start(), b"some bytes")
    new = api.append(api.start(), b"some bytes")
    tree = server.tree / "repositories/idle/_uploads"
    jump(server, clock, seconds)
    then = time.time() - 3 * HOUR - abs(seconds)
    (found,) = [path for path in tree.iterdir() if path.name in old]
    for path in (*found.rglob("*"), found):
        os.utime(path, (then, then))
    wait_until(lambda: not found.exists(), 60, "the old session to be purged")
    assert api.status(old).status_code == 404
    expect(api.status(new), 204)


def test_idle_clients_time_out_by_no_clock(server: Server, clock: FakeTime) -> None:
    """A kept connection is used again after a jump, and a slow answer is not cut."""
    session: Any = requests.Session()
    for seconds in JUMPS:
        session.get(f"{server.url}/v2/", timeout=10)
        clock.jump(seconds)
        assert session.get(f"{server.url}/v2/", timeout=10).status_code == 200
