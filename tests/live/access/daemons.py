"""containerd and docker as processes of a test, each in a folder of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ..tools import need
from ..tools import run
from ..tools import wait_until


CONFIG = """\
version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "{folder}/containerd"
"""


class Daemon:
    """A process that listens on a socket, and the program that talks to it.

    :param folder: of what it keeps; with a short name, as sockets want it.
    :param command: that starts it.
    :param client: the program, with the options that name the socket.
    """

    def __init__(self, folder: Path, command: list[str], client: list[str]) -> None:
        self._client = client
        log = folder / f"{Path(command[0]).name}.log"
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )

        def answers() -> bool:
            assert self._process.poll() is None, log.read_text()
            return self("version").returncode == 0

        wait_until(answers, 60, f"{command[0]} answers")

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one command of the client; return how it ended."""
        return run([*self._client, *arguments], check=False)

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(60)


def start_containerd(folder: Path) -> Daemon:
    """Start containerd."""
    config, socket = folder / "containerd.toml", str(folder / "containerd")
    config.write_text(CONFIG.format(folder=folder))
    command = [need("containerd"), "--config", str(config)]
    return Daemon(folder, command, [need("ctr"), "--address", socket])


def start_docker(folder: Path) -> Daemon:
    """Start docker, with no network for containers, on a containerd that runs there.

    The client keeps what it logs in with in the same folder.
    """
    socket = f"unix://{folder}/docker"
    command = [
        need("dockerd"),
        *("--containerd", str(folder / "containerd"), "--host", socket),
        *("--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")),
        *("--pidfile", str(folder / "pid"), "--storage-driver", "vfs"),
        *("--iptables=false", "--bridge=none"),
    ]
    client = [need("docker"), "--config", str(folder / "config"), "--host", socket]
    return Daemon(folder, command, client)
