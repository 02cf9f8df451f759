"""Registries as processes of their own: flaskreg under gunicorn, and distribution."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from .tools import distribution_v3
from .tools import need


PROJECT = Path(__file__).resolve().parents[2]
SECRET = "the live tests' own http.secret"
TRACEBACK = "Traceback (most recent call last)"


@dataclass
class Server:
    """One running registry.

    It leads a session, so that what it forks can be found and ended with it.
    """

    name: str
    port: int
    root: Path
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    @property
    def tree(self) -> Path:
        """Where distribution's layout begins."""
        return self.root / "docker" / "registry" / "v2"

    @property
    def pid(self) -> int:
        return self.process.pid

    def pids(self) -> list[int]:
        """Return every process of the server, the first one first."""
        return [self.pid, *self.workers()]

    def workers(self) -> list[int]:
        """Return the processes that the server forked and that still live."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != self.pid:
                status = read_stat(int(entry.name))
                if status and status[0] != "Z" and int(status[3]) == self.pid:
                    found.append(int(entry.name))
        return sorted(found)

    def rss(self) -> int:
        """Return the resident memory of all its processes, in bytes."""
        return sum(resident(pid) for pid in self.pids())

    def bytes_read(self) -> int:
        """Return the bytes that its processes have read from files so far."""
        return sum(read_so_far(pid) for pid in self.pids())

    def descriptors(self) -> int:
        """Return how many files and sockets all its processes hold open."""
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.pids())

    def text(self) -> str:
        """Return what the server has logged so far."""
        return self.log.read_text(errors="replace")

    def stop(self) -> int:
        """End it as an operator does; one that does not end in 20 s is killed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        self.kill()
        return self.process.returncode

    def kill(self) -> None:
        """End every process of it without warning, as a lost machine would."""
        for pid in self.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(20)


def read_stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on; none for a gone one."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()


def resident(pid: int) -> int:
    """Return one process's share of the memory it has in use, in bytes."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise LookupError(f"no Pss line for process {pid}")


def read_so_far(pid: int) -> int:
    """Return the bytes that a process asked ``read`` for; sockets are not counted."""
    text = Path(f"/proc/{pid}/io").read_text()
    return int(text.split("rchar:")[1].split()[0])


def free_port() -> int:
    """Return a loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``change`` laid over it, mapping by mapping."""
    merged = dict(base)
    for key, value in change.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[key] = merge(below, value)
        else:
            merged[key] = value
    return merged


def settings(port: int, root: Path) -> dict[str, Any]:
    """Return the configuration that all three registries are started with."""
    return {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(root)},
            "delete": {"enabled": True},
        },
        "http": {"addr": f"127.0.0.1:{port}", "secret": SECRET},
    }


def flaskreg_command(workers: int | None) -> list[str]:
    """Return the command line of the registry under test."""
    command = [sys.executable, "-m", "gunicorn", "--name", "flaskreg-live"]
    if workers is not None:
        command += ["--workers", str(workers)]
    return [*command, "wsgi:app"]


def commands(workers: int | None) -> dict[str, list[str]]:
    """Return the name and command line of each kind of server, tools looked up."""
    kind = os.environ.get("FLASKREG_LIVE_SERVER", "flaskreg")
    if kind == "flaskreg":
        return {"flaskreg": flaskreg_command(workers)}
    return {f"{kind} in place of flaskreg": distribution_command(kind)}


def distribution_command(version: str) -> list[str]:
    """Return the command line of distribution, ``"2.8"`` or ``"3"``."""
    binary = {"2.8": lambda: need("docker-registry"), "3": distribution_v3}[version]()
    return [binary, "serve"]


class Launcher:
    """Starts servers and remembers them, so that each is ended and its log shown."""

    def __init__(self, folder: Path, running: list[Server]) -> None:
        self.folder = folder
        self.running = running
        self.started: list[Server] = []

    def flaskreg(
        self,
        config: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        *,
        workers: int | None = None,
        root: Path | None = None,
        port: int | None = None,
    ) -> Server:
        """Start the registry under test: ``gunicorn wsgi:app`` in the project."""
        ((name, command),) = commands(workers).items()
        return self.start(name, command, config, env, root, port)

    def distribution(
        self,
        version: str = "3",
        config: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        *,
        root: Path | None = None,
        port: int | None = None,
    ) -> Server:
        """Start the CNCF registry: ``"2.8"`` of Debian, or ``"3"`` of its module."""
        name = f"distribution {version}"
        return self.start(name, distribution_command(version), config, env, root, port)

    def start(
        self,
        name: str,
        command: list[str],
        config: Mapping[str, Any] | None,
        env: Mapping[str, str] | None,
        root: Path | None,
        port: int | None,
    ) -> Server:
        """Start one server and return it when it answers."""
        port = port or free_port()
        label = f"{name.split()[0]}-{port}-{len(self.started)}"
        root = root or self.folder / f"{label}.root"
        root.mkdir(parents=True, exist_ok=True)
        file = self.folder / f"{label}.yml"
        document = merge(settings(port, root), config or {})
        if "s3" in document["storage"]:
            del document["storage"]["filesystem"]
        file.write_text(yaml.safe_dump(document))
        log = self.folder / f"{label}.log"
        with log.open("ab") as out:
            process = subprocess.Popen(
                [*command, str(file)] if command[-1] == "serve" else command,
                cwd=PROJECT,
                env=outer_environment(file) | dict(env or {}),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        server = Server(name, port, root, log, process)
        self.started.append(server)
        self.running.append(server)
        wait_ready(server)
        return server

    def close(self) -> None:
        """End every server of this launcher; a traceback in a log is a failure."""
        broken = []
        for server in self.started:
            try:
                server.stop()
            finally:
                self.running.remove(server)
            if TRACEBACK in server.text():
                broken.append(server)
        if broken:
            pytest.fail("\n\n".join(tail(server, 60) for server in broken))


def outer_environment(config: Path) -> dict[str, str]:
    """Return our environment, with no configuration in it but the file's name."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("REGISTRY_")}
    return kept | {
        "REGISTRY_CONFIGURATION_PATH": str(config),
        "OTEL_TRACES_EXPORTER": "none",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def wait_ready(server: Server, seconds: float = 30) -> None:
    """Wait for the server's first answer; one that ends instead is a failure."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            pytest.fail(f"ended at start-up\n{tail(server)}", pytrace=False)
        try:
            requests.get(f"{server.url}/v2/", timeout=2)
        except requests.RequestException:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"no answer in {seconds:g} s\n{tail(server)}", pytrace=False)


def tail(server: Server, lines: int = 20) -> str:
    """Return the end of a server's log under a heading."""
    last = "\n".join(line[:300] for line in server.text().splitlines()[-lines:])
    return f"--- {server.name}, port {server.port}, last lines of its log\n{last}"
