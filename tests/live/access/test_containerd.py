"""containerd, a process of its own, with a registry that has a policy."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..images import Layout
from ..servers import Launcher
from ..servers import Server
from ..tools import need
from ..tools import run
from ..tools import wait_until
from .guarded import ALICE
from .guarded import PRIVATE
from .guarded import PUBLIC
from .guarded import as_alice
from .guarded import start_guarded


pytestmark = pytest.mark.live

LOGIN = ":".join(ALICE)
CONFIG = """\
version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "{folder}/socket"
"""


class Containerd:
    """containerd with a folder of its own, and its command line ``ctr``."""

    def __init__(self, folder: Path) -> None:
        self._socket = str(folder / "socket")
        config, log = folder / "config.toml", folder / "log"
        config.write_text(CONFIG.format(folder=folder))
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [need("containerd"), "--config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

        def answers() -> bool:
            assert self._process.poll() is None, log.read_text()
            return self.ctr("version").returncode == 0

        wait_until(answers, 60, "containerd answers")

    def ctr(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one command; return how it ended."""
        command = [need("ctr"), "--address", self._socket, *arguments]
        return run(command, check=False)

    def pull(self, reference: str, user: str = "") -> int:
        """Pull an image by plain HTTP; return the exit status."""
        login = ["--user", user] if user else []
        plain = ["--plain-http", "--snapshotter", "native", "--platform", "linux/amd64"]
        return self.ctr("images", "pull", *plain, *login, reference).returncode

    def push(self, reference: str, local: str, user: str = "") -> int:
        """Push an image that was pulled; return the exit status."""
        login = ["--user", user] if user else []
        options = ["--plain-http", "--platform", "linux/amd64", *login]
        return self.ctr("images", "push", *options, reference, local).returncode

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(20)


@pytest.fixture
def containerd() -> Iterator[Containerd]:
    """containerd, whose socket wants a short name."""
    with tempfile.TemporaryDirectory(prefix="live-", dir="/tmp") as name:
        containerd = Containerd(Path(name))
        yield containerd
        containerd.close()


@pytest.fixture
def guarded(launcher: Launcher, tmp_path: Path, image: Layout) -> Server:
    """flaskreg with an image that everybody may pull, and one that alice may."""
    return start_guarded(launcher, tmp_path, image)


def test_containerd(containerd: Containerd, guarded: Server, image: Layout) -> None:
    """It pulls what is public without a password, and the rest and a push with one."""
    public, private = (f"{guarded.host}/{it}:one" for it in (PUBLIC, PRIVATE))
    wrong = f"{LOGIN} no"
    assert containerd.pull(private) != 0
    assert containerd.pull(private, wrong) != 0
    assert containerd.pull(public) == 0
    assert image.digest in containerd.ctr("images", "list").stdout
    target = f"{guarded.host}/private/pushed:one"
    assert containerd.push(target, public) != 0
    assert containerd.push(target, public, wrong) != 0
    assert containerd.push(target, public, LOGIN) == 0
    assert containerd.pull(private, LOGIN) == 0
    as_alice(guarded, "private/pushed").check_holds(image, "one")
