"""What stops the registry from starting is told in one line, never in a traceback."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from . import servers
from .servers import PROJECT
from .servers import TRACEBACK
from .servers import merge
from .servers import outer_environment
from .servers import settings


pytestmark = pytest.mark.live

GIB = 1 << 30
GUNICORN = [sys.executable, "-m", "gunicorn", "--name", "flaskreg-live", "wsgi:app"]
SERVE = [
    sys.executable,
    "-c",
    "from flaskreg.cli import main; main()",
    "serve",
]


def start(
    command: list[str], folder: Path, config: dict[str, Any] | str
) -> subprocess.CompletedProcess[str]:
    """Start a registry that is to end by itself; return how it ended."""
    file = folder / "config.yml"
    if isinstance(config, str):
        file.write_text(config)
    else:
        base = settings(servers.free_port(), folder / "root")
        file.write_text(yaml.safe_dump(merge(base, config)))
    return run_to_end(command, file)


def run_to_end(command: list[str], file: Path) -> subprocess.CompletedProcess[str]:
    """Run a registry with a configuration file until it ends by itself."""
    return subprocess.run(
        command,
        cwd=PROJECT,
        env=outer_environment(file),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        preexec_fn=limit_memory,
    )


def limit_memory() -> None:
    """Keep a start-up that runs away from taking the whole machine with it."""
    resource.setrlimit(resource.RLIMIT_AS, (4 * GIB, 4 * GIB))


def reason(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one line that says why a registry did not start."""
    output = done.stdout + done.stderr
    assert done.returncode != 0, output
    assert TRACEBACK not in output, output
    lines = [line for line in output.splitlines() if " [INFO] " not in line]
    assert len([line for line in lines if line.strip()]) == 1, output
    return lines[0]


@pytest.fixture(params=[GUNICORN, SERVE], ids=["gunicorn", "serve"])
def command(request: pytest.FixtureRequest) -> list[str]:
    """Both ways to start the registry."""
    return list(request.param)


def test_unknown_key(command: list[str], tmp_path: Path) -> None:
    """The line names the key and the nearest one that is known."""
    done = start(command, tmp_path, {"storage": {"delete": {"enabeld": True}}})
    line = reason(done)
    assert "enabeld" in line
    assert "storage.delete.enabled" in line
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"http": {"addr": "127.0.0.1:http"}}, "http.addr"),
        ({"storage": {"delete": {"enabled": "perhaps"}}}, "storage.delete.enabled"),
        ({"log": {"level": "loud"}}, "log.level"),
        ({"version": "9.9"}, "version"),
        ({"storage": {"azure": {"accountname": "a"}}}, "azure"),
        ("version: 0.1\nstorage: {nosuchdriver: {}}\n", "nosuchdriver"),
        ({"auth": {"nosuchauth": {"realm": "r"}}}, "nosuchauth"),
        ({"manifests": {"options": ["nosuchoption"]}}, "nosuchoption"),
        ({"storage": {"cache": {"blobdescriptor": "nosuchcache"}}}, "nosuchcache"),
        ("version: 0.1\nhttp: [\n", "config.yml"),
        ("version: 0.1\nstorage: {filesystem: {rotdirectory: x}}\n", "rotdirectory"),
    ],
    ids=lambda value: value if isinstance(value, str) and "\n" not in value else "",
)
def test_bad_configuration(
    command: list[str], tmp_path: Path, config: dict[str, Any] | str, named: str
) -> None:
    """The line names what is wrong."""
    assert named in reason(start(command, tmp_path, config))


def test_missing_file(command: list[str], tmp_path: Path) -> None:
    """A configuration file that is not there is named."""
    done = run_to_end(command, tmp_path / "not-there.yml")
    assert "not-there.yml" in reason(done)


def test_busy_port(command: list[str], tmp_path: Path) -> None:
    """A port that somebody listens on is named at once, not after retries."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        config = {"http": {"addr": f"127.0.0.1:{port}"}}
        line = reason(start(command, tmp_path, config))
    assert str(port) in line


@pytest.mark.parametrize("below", ["file", "/proc/nowhere", "/dev/null/registry"])
def test_folder_that_cannot_be_written(
    command: list[str], tmp_path: Path, below: str
) -> None:
    """A storage folder that cannot be made is named, for root as for anybody."""
    (tmp_path / "file").write_text("a file, not a folder")
    root = below if below.startswith("/") else str(tmp_path / below / "root")
    config = {"storage": {"filesystem": {"rootdirectory": root}}}
    assert root in reason(start(command, tmp_path, config))


def test_sync_worker_is_refused(tmp_path: Path) -> None:
    """gunicorn's sync worker would kill long uploads: refused, saying so."""
    command = [*GUNICORN, "--worker-class", "sync", "--threads", "1"]
    line = reason(start(command, tmp_path, {}))
    assert "sync" in line
    assert "upload" in line
