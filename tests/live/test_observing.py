"""What an operator looks at, under gunicorn with several workers."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from .servers import PROJECT
from .servers import Server
from .servers import flaskreg_command
from .servers import free_port
from .servers import outer_environment


pytestmark = pytest.mark.live

COMBINED = re.compile(
    r'127\.0\.0\.1 - - \[[^\]]+\] "GET /v2/ HTTP/1\.1" 200 2 "" "[^"]*"'
)


def eventually(condition: Callable[[], Any], what: str, seconds: float = 30) -> Any:
    """Wait until a condition is true, and return its value."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            found = condition()
        except requests.ConnectionError:
            found = None
        if found:
            return found
        time.sleep(0.05)
    pytest.fail(f"not in {seconds:g} s: {what}")


def statuses(server: Server, path: str = "/v2/") -> set[int]:
    """Return the statuses of many requests, each on a connection of its own."""
    return {requests.get(server.url + path, timeout=10).status_code for _ in range(24)}


def listener(port: int, pids: list[int]) -> int:
    """Return the process that listens on a port."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    (inode,) = {
        line.split()[9]
        for line in lines
        if line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
    }
    for pid in pids:
        for file in Path(f"/proc/{pid}/fd").iterdir():
            if file.exists() or file.is_symlink():
                try:
                    if os.readlink(file) == f"socket:[{inode}]":
                        return pid
                except FileNotFoundError:
                    continue
    raise LookupError(f"nobody listens on {port}")


def test_all_workers_refuse_while_a_file_exists(
    start_flaskreg: Callable[..., Server], tmp_path: Path
) -> None:
    """One process checks, all of them know, and the debug page says what it is."""
    down, debug = tmp_path / "down", free_port()
    server = start_flaskreg(
        {
            "health": {"file": [{"file": str(down), "interval": "100ms"}]},
            "http": {"debug": {"addr": f"127.0.0.1:{debug}"}},
        },
        workers=4,
    )
    page = f"http://127.0.0.1:{debug}/debug/health"
    eventually(lambda: requests.get(page, timeout=5).status_code == 200, "it is well")
    assert statuses(server) == {200}
    down.touch()
    eventually(lambda: statuses(server) == {503}, "all refuse")
    assert requests.get(page, timeout=5).json() == {str(down): "file exists"}
    assert statuses(server, "/healthz") == {200}
    assert statuses(server, "/readyz") == {503}
    assert f"health check {down} fails: file exists" in server.text()
    down.unlink()
    eventually(lambda: statuses(server) == {200}, "all serve")


def test_the_debug_server_outlives_its_process(
    start_flaskreg: Callable[..., Server],
) -> None:
    """Killed without warning, another worker takes the address over."""
    debug = free_port()
    server = start_flaskreg(
        {"http": {"debug": {"addr": f"127.0.0.1:{debug}"}}}, workers=3
    )
    page = f"http://127.0.0.1:{debug}/debug/health"
    for _ in range(2):
        eventually(lambda: requests.get(page, timeout=5).ok, "it answers")
        leader = listener(debug, server.workers())
        os.kill(leader, signal.SIGKILL)
        while leader in server.workers():
            time.sleep(0.01)
    eventually(lambda: requests.get(page, timeout=5).json() == {}, "it answers")
    assert (
        requests.get(f"http://127.0.0.1:{debug}/nothing", timeout=5).status_code == 404
    )


def test_nothing_is_left_of_a_server(start_flaskreg: Callable[..., Server]) -> None:
    """Its folder goes with it, or with the next one when it was killed."""
    config = {"http": {"debug": {"addr": f"127.0.0.1:{free_port()}"}}}

    def folders(server: Server) -> set[Path]:
        environ = Path(f"/proc/{server.workers()[0]}/maps")
        assert environ.exists()
        return {
            path
            for path in Path("/dev/shm").glob("flaskreg-run-*")
            if (path / "lead").exists()
        }

    first = start_flaskreg(config, workers=2)
    eventually(lambda: folders(first), "there is a folder")
    before = folders(first)
    first.kill()
    second = start_flaskreg(config, workers=2)
    mine = eventually(lambda: folders(second) - before, "there is another")
    assert second.stop() == 0
    assert not any(path.exists() for path in mine)


def test_the_access_log_as_text(start_flaskreg: Callable[..., Server]) -> None:
    server = start_flaskreg({"log": {"accesslog": {"disabled": False}}}, workers=1)
    requests.get(f"{server.url}/v2/", timeout=10)
    eventually(lambda: COMBINED.search(server.text()), "a line of the combined form")


def test_all_lines_are_json(start_flaskreg: Callable[..., Server]) -> None:
    """The server's, ours and those of requests, with our fields in the first two."""
    server = start_flaskreg(
        {
            "log": {
                "level": "info",
                "formatter": "json",
                "fields": {"service": "registry"},
                "accesslog": {"disabled": False, "formatter": "json"},
            }
        },
        workers=1,
    )
    url = f"{server.url}/v2/team/app/manifests/none"
    requests.get(url, headers={"User-Agent": "probe"}, timeout=10)
    assert server.stop() == 0
    lines = [json.loads(line) for line in server.text().splitlines()]
    ours = [line for line in lines if "msg" in line]
    assert ours
    assert all(line["service"] == "registry" for line in ours)
    (access,) = [line for line in lines if line.get("repository")]
    assert access["status"] == 404
    assert access["repository"] == "team/app"
    assert access["reference"] == "none"
    assert access["code"] == "MANIFEST_UNKNOWN"
    assert access["useragent"] == "probe"
    assert re.fullmatch(r"[0-9a-f-]{36}", access["id"])
    assert access["bytes"] > 0


def test_a_debug_address_that_is_taken_is_one_line(
    flaskreg: Server, tmp_path: Path
) -> None:
    """The server does not start half."""
    config = tmp_path / "config.yml"
    config.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path}/r}}}}\n"
        f"http: {{addr: '127.0.0.1:{free_port()}', debug: {{addr: '{flaskreg.host}'}}}}"
    )
    result = subprocess.run(
        flaskreg_command(1),
        cwd=PROJECT,
        env=outer_environment(config),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode != 0
    assert f"flaskreg: cannot listen on {flaskreg.host}" in result.stderr
    assert "Traceback" not in result.stderr
