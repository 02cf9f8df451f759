"""Uploads that nobody goes on with are purged, once for all workers."""

from __future__ import annotations

import logging
import threading
from datetime import UTC
from datetime import datetime
from typing import Any

import pytest
from builders import Client
from builders import WatchedDriver
from builders import start

from flaskreg.app import RegistryApp
from flaskreg.driver import FileInfo
from flaskreg.upkeep.purger import Purger
from flaskreg.upkeep.purger import SteadyClock


DAY = 86400.0


def begin(client: Client, name: str) -> str:
    """Start a session that has bytes, and return where it goes on."""
    return client.patch(start(client, name), data=b"begun").headers["Location"]


class Clock:
    """A clock that is set by hand; it begins now."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.set_by = 0.0
        self.start = datetime.now(UTC).timestamp()

    def steady(self) -> SteadyClock:
        """Return the clock of a process that starts now."""
        return SteadyClock(
            lambda: self.start + self.passed + self.set_by, lambda: self.passed
        )


@pytest.fixture
def clock() -> Clock:
    """Return a clock."""
    return Clock()


def make(app: RegistryApp, clock: Clock, **options: Any) -> Purger:
    """Return a purger as one worker has it."""
    options = {"age": 7 * DAY, "interval": DAY, **options}
    return Purger(app.driver, clock=clock.steady(), **options)


@pytest.mark.parametrize("dry_run", [False, True])
def test_the_storage_drops_what_never_arrived(
    app: RegistryApp, clock: Clock, caplog: pytest.LogCaptureFixture, dry_run: bool
) -> None:
    """It is told from when on something may still arrive, and the log how much went."""
    told: list[tuple[str, datetime]] = []

    class Leaving(WatchedDriver):
        def drop_unfinished(self, directory: str, before: datetime) -> int:
            told.append((directory, before))
            return 3

    purger = Purger(
        Leaving(app.driver),
        age=7 * DAY,
        interval=DAY,
        dry_run=dry_run,
        clock=clock.steady(),
    )
    with caplog.at_level(logging.WARNING):
        assert purger.purge() == 0
        assert purger.purge() == 0
    before = datetime.fromtimestamp(clock.start - 7 * DAY, UTC)
    assert told == [] if dry_run else told == [("/docker/registry/v2/blobs", before)]
    assert ("dropped 3 blobs" in caplog.text) is not dry_run


def test_idle_uploads_go_by_their_last_activity(
    app: RegistryApp, client: Client, clock: Clock
) -> None:
    """Not by when they were started, as a push may take long."""
    idle, active = begin(client, "r"), begin(client, "a/b")
    purger = make(app, clock)
    clock.passed = 6 * DAY
    assert purger.purge() == 0

    class Later(WatchedDriver):
        def stat(self, path: str) -> FileInfo:
            info = super().stat(path)
            if "a/b/_uploads" in path and path.endswith("data"):
                later = datetime.fromtimestamp(clock.start + 5 * DAY, UTC)
                return FileInfo(info.path, info.size, info.is_dir, later)
            return info

    active = client.patch(active, data=b"goes on").headers["Location"]
    clock.passed = 8 * DAY
    purger = Purger(Later(app.driver), age=7 * DAY, interval=DAY, clock=clock.steady())
    assert purger.purge() == 1
    assert client.get(idle).status_code == 404
    assert client.get(active).headers["Range"] == "0-11"


def test_one_worker_purges_in_each_interval(
    app: RegistryApp, client: Client, clock: Clock
) -> None:
    """Whoever comes first; a restart does not make it again."""
    workers = [make(app, clock, age=0.0) for _ in range(4)]
    for day in range(1, 4):
        clock.passed = day * DAY
        for _ in range(3):
            begin(client, "r")
        counts: list[int] = []
        threads = [
            threading.Thread(target=lambda w=w, c=counts: c.append(w.purge()))
            for w in workers
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert sorted(counts) == [0, 0, 0, 3]
        assert make(app, clock, age=0.0).purge() == 0
    assert len(app.driver.list("/flaskreg/purges")) == 1


def test_a_dry_run_logs(
    app: RegistryApp, client: Client, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """And deletes nothing."""
    location = begin(client, "r")
    clock.passed = DAY
    with caplog.at_level(logging.INFO, "flaskreg"):
        assert make(app, clock, age=60.0, dry_run=True).purge() == 0
    assert "dry run" in caplog.text
    assert client.get(location).status_code == 204


def test_a_read_only_registry_purges_nothing(
    app: RegistryApp, client: Client, clock: Clock
) -> None:
    """Nor does it write a mark."""
    begin(client, "r")
    clock.passed = 8 * DAY
    assert make(app, clock, paused=lambda: True).purge() == 0
    assert make(app, clock).purge() == 1


def test_a_clock_that_is_set_forward_purges_nothing(
    app: RegistryApp, client: Client, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """A process that lives sees that less time has passed; it says so once."""
    location = begin(client, "r")
    purger = make(app, clock)
    clock.set_by = 365 * DAY
    for day in range(1, 7):
        clock.passed = day * DAY
        assert purger.purge() == 0
    assert client.get(location).status_code == 204
    assert caplog.text.count("the clock jumped by 31536000 s") == 1
    clock.passed = 8 * DAY
    assert purger.purge() == 1


def test_a_clock_that_is_set_back_purges_later(
    app: RegistryApp, client: Client, clock: Clock
) -> None:
    """What was written before it looks younger than it is."""
    begin(client, "r")
    purger = make(app, clock)
    clock.passed, clock.set_by = 8 * DAY, -3 * DAY
    assert purger.purge() == 0
    clock.passed = 11 * DAY
    assert purger.purge() == 1


def test_it_runs_until_it_is_stopped(app: RegistryApp, client: Client) -> None:
    """And a storage that fails stops nothing."""
    calls: list[int] = []
    stop = threading.Event()

    class Failing(Purger):
        def purge(self) -> int:
            calls.append(1)
            if len(calls) == 3:
                stop.set()
            raise OSError("the storage is gone")

    purger = Failing(app.driver, age=0.0, interval=0.0)
    thread = threading.Thread(target=purger.run, args=(stop,))
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert len(calls) == 3
    assert client.get("/v2/").status_code == 200


def test_what_runs_in_the_background(make_app: Any) -> None:
    """A purger, unless it is switched off; it starts when it is told to."""
    off = {"maintenance": {"uploadpurging": {"enabled": False}}}
    assert make_app(storage=off).background.loops == ()
    app = make_app()
    assert len(app.background.loops) == 1
    begun, done = threading.Event(), threading.Event()

    def run(stop: threading.Event) -> None:
        begun.set()
        assert stop.wait(30)
        done.set()

    app.background.loops = (run,)
    assert not begun.is_set()
    app.start()
    assert begun.wait(30)
    app.stop()
    assert done.wait(30)
