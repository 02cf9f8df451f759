"""``docs/operations.md``: its commands for a registry that runs do what it says."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from .api import Api
from .images import Layout
from .servers import Launcher
from .servers import Server
from .servers import flaskreg_command
from .servers import free_port
from .tools import run
from .tools import wait_until


pytestmark = pytest.mark.live

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()

_CONSOLE = re.compile(r"^```console server\n(.*?)^```$", re.M | re.S)
_STEP = re.compile(r"^\$ (?P<command>.*)\n(?P<output>(?:(?!\$ ).*\n)*)", re.M)

STEPS = [
    (step["command"], step["output"])
    for block in _CONSOLE.findall(PAGE)
    for step in _STEP.finditer(block)
]


@pytest.fixture
def server(launcher: Launcher, tmp_path: Path) -> Server:
    """Return a registry with all that the page speaks of."""
    return launcher.start(
        "flaskreg",
        [*flaskreg_command(2), "--pid", str(tmp_path / "registry.pid")],
        {
            "http": {"debug": {"addr": f"127.0.0.1:{free_port()}"}},
            "health": {"storagedriver": {"enabled": True}},
            "notifications": {
                "endpoints": [{"name": "dead", "url": "http://127.0.0.1:1/"}]
            },
        },
        None,
        None,
        None,
    )


def fits(shown: str, printed: str) -> bool:
    """Whether what was printed is what is shown, where ``...`` is anything."""
    pattern = ".*".join(re.escape(part) for part in shown.split("..."))
    return re.fullmatch(pattern, printed, re.S) is not None


def test_every_command(server: Server, tmp_path: Path, image: Layout) -> None:
    """One after the other, as somebody reads the page."""
    config = server.log.with_suffix(".yml")
    (tmp_path / "config.yml").write_text(config.read_text())
    found = re.search(r"debug:\s+addr: (\S+)", config.read_text())
    assert found is not None
    Api(server.url, "team/app").push(image, "v1")
    wait_until(lambda: answers(found[1]), 30, "the debug server")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    assert len(STEPS) > 6
    for command, shown in STEPS:
        asked = command.replace("registry.example:5000", server.host)
        asked = asked.replace("registry.example:5001", found[1])
        done = run(
            ["bash", "-o", "pipefail", "-c", f"cd {tmp_path} && {asked}"],
            env={"PATH": path},
        )
        assert fits(shown, done.stdout), f"{command}\n{done.stdout}"


def answers(address: str) -> bool:
    """Whether somebody answers there."""
    return bool(run(["curl", "-s", f"http://{address}/healthz"], check=False).stdout)
