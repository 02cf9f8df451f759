"""The checks, against real files, sockets and servers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from flaskreg.config import ConfigError
from flaskreg.config import Settings
from flaskreg.defaults.inmemory import InMemoryDriver
from flaskreg.health import checks
from flaskreg.health.checks import CheckFailed
from flaskreg.health.checks import StorageCheck
from flaskreg.health.checks import make_schedules


class Answering(BaseHTTPRequestHandler):
    """Answers HEAD with the status that its path names."""

    seen: list[tuple[str, str | None]] = []

    def do_HEAD(self) -> None:  # noqa: N802 - its name
        """Answer."""
        self.seen.append((self.command, self.headers.get("X-Probe")))
        self.send_response(int(self.path[1:]))
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
        """Write nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    """The URL of a server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def made(**health: Any) -> list[checks.Schedule]:
    """Return the schedules of a section ``health``."""
    settings = Settings.model_validate(
        {"storage": {"driver": "inmemory"}, "health": health}
    )
    return make_schedules(settings, InMemoryDriver())


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_file_fails_while_it_exists(tmp_path: Path) -> None:
    path = tmp_path / "down"
    ((schedule),) = made(file=[{"file": str(path), "interval": "5s", "threshold": 3}])
    assert (schedule.check.name, schedule.interval) == (str(path), 5)
    assert schedule.threshold == 3
    schedule.check.check()
    path.touch()
    with pytest.raises(CheckFailed, match="file exists"):
        schedule.check.check()


@pytest.mark.parametrize(
    ("wanted", "answered", "well"),
    [(200, 200, True), (200, 204, False), (404, 404, True), (200, 503, False)],
)
def test_a_server_answers_one_status(
    server: str, wanted: int, answered: int, well: bool
) -> None:
    (schedule,) = made(
        http=[
            {
                "uri": f"{server}/{answered}",
                "statuscode": wanted,
                "headers": {"X-Probe": ["canary"]},
            }
        ]
    )
    if well:
        schedule.check.check()
    else:
        with pytest.raises(CheckFailed, match=f"unexpected status: {answered}"):
            schedule.check.check()
    assert Answering.seen[-1] == ("HEAD", "canary")


def test_a_server_that_is_gone() -> None:
    (http, tcp) = made(
        http=[{"uri": f"http://127.0.0.1:{free_port()}/"}],
        tcp=[{"addr": f"127.0.0.1:{free_port()}"}],
    )
    for schedule in (http, tcp):
        with pytest.raises(CheckFailed, match=r"[Rr]efused"):
            schedule.check.check()


def test_a_tcp_server_accepts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        addr = f"127.0.0.1:{listener.getsockname()[1]}"
        (schedule,) = made(tcp=[{"addr": addr, "timeout": "5s"}])
        schedule.check.check()


def test_a_server_that_is_silent_takes_no_longer_than_it_may() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        uri = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        (schedule,) = made(http=[{"uri": uri, "timeout": "50ms"}])
        with pytest.raises(CheckFailed, match="timed out"):
            schedule.check.check()


def test_an_empty_storage_is_well() -> None:
    (schedule,) = made(storagedriver={"enabled": True, "interval": "1s"})
    assert schedule.check.name == "storagedriver_inmemory"
    schedule.check.check()


def test_a_storage_says_what_is_wrong() -> None:
    def look() -> None:
        raise OSError("input/output error")

    with pytest.raises(CheckFailed, match="input/output error"):
        StorageCheck("storage", look).check()


def test_a_storage_that_hangs_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it answers; then it is asked again."""
    monkeypatch.setattr(checks, "PATIENCE", 0.05)
    release, calls = threading.Event(), []

    def look() -> None:
        calls.append(1)
        release.wait(30)

    check = StorageCheck("storage", look)
    with pytest.raises(CheckFailed, match="did not answer"):
        check.check()
    with pytest.raises(CheckFailed, match="has not answered yet"):
        check.check()
    assert len(calls) == 1
    release.set()
    assert check._hanging is not None
    check._hanging.join(30)
    check.check()


@pytest.mark.parametrize(
    ("health", "named"),
    [
        ({"file": [{}]}, r"health\.file\[0\]\.file"),
        ({"http": [{"uri": "ftp://x"}]}, r"health\.http\[0\]\.uri"),
        ({"tcp": [{"addr": "host"}]}, r"health\.tcp\[0\]\.addr"),
        ({"file": [{"file": "/a"}, {"file": "/a"}]}, "checked twice"),
    ],
)
def test_a_check_that_cannot_be_made_is_an_error(
    health: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigError, match=named):
        made(**health)


def test_nothing_is_checked_by_default() -> None:
    assert made() == []
