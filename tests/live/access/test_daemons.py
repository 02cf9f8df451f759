"""containerd and docker, each a process of its own, with a registry with a policy."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..images import Layout
from ..servers import Launcher
from ..servers import Server
from .daemons import Daemon
from .daemons import start_containerd
from .daemons import start_docker
from .guarded import ALICE
from .guarded import PRIVATE
from .guarded import PUBLIC
from .guarded import as_alice
from .guarded import start_guarded


pytestmark = pytest.mark.live

#: where a push goes to that has to be allowed.
PUSHED = "private/pushed"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name."""
    with tempfile.TemporaryDirectory(prefix="live-", dir="/tmp") as name:
        yield Path(name)


@pytest.fixture
def containerd(folder: Path) -> Iterator[Daemon]:
    """containerd."""
    containerd = start_containerd(folder)
    yield containerd
    containerd.close()


@pytest.fixture
def docker(folder: Path, containerd: Daemon) -> Iterator[Daemon]:
    """docker."""
    del containerd
    docker = start_docker(folder)
    yield docker
    docker.close()


@pytest.fixture
def guarded(launcher: Launcher, tmp_path: Path, image: Layout) -> Server:
    """flaskreg with an image that everybody may pull, and one that alice may."""
    return start_guarded(launcher, tmp_path, image)


def test_containerd(containerd: Daemon, guarded: Server, image: Layout) -> None:
    """It pulls what is public without a password, and the rest and a push with one."""
    public, private, pushed = (
        f"{guarded.host}/{it}:one" for it in (PUBLIC, PRIVATE, PUSHED)
    )
    plain = ("--plain-http", "--platform", "linux/amd64")
    good, wrong = (("--user", f"alice:{it}") for it in (ALICE[1], "wrong"))

    def pull(reference: str, *login: str) -> int:
        command = ("images", "pull", *plain, "--snapshotter", "native", *login)
        return containerd(*command, reference).returncode

    def push(*login: str) -> int:
        command = ("images", "push", *plain, *login)
        return containerd(*command, pushed, public).returncode

    assert pull(private) != 0
    assert pull(private, *wrong) != 0
    assert pull(public) == 0
    assert image.digest in containerd("images", "list").stdout
    assert push() != 0
    assert push(*wrong) != 0
    assert push(*good) == 0
    assert pull(private, *good) == 0
    as_alice(guarded, PUSHED).check_holds(image, "one")


def test_docker(docker: Daemon, guarded: Server) -> None:
    """It pulls what is public, logs in with the password alone, and then pushes."""
    public, private, pushed = (
        f"{guarded.host}/{it}:one" for it in (PUBLIC, PRIVATE, PUSHED)
    )
    login = ("login", "--username", ALICE[0], "--password")
    assert docker("pull", public).returncode == 0
    assert docker("tag", public, pushed).returncode == 0
    assert docker("pull", private).returncode != 0
    assert docker("push", pushed).returncode != 0
    assert docker(*login, "wrong", guarded.host).returncode != 0
    assert docker("push", pushed).returncode != 0
    done = docker(*login, ALICE[1], guarded.host)
    assert "Login Succeeded" in done.stdout, done.stderr
    assert docker("push", pushed).returncode == 0
    assert docker("pull", private).returncode == 0
    api = as_alice(guarded, PUSHED)
    assert api.call("GET", "manifests/one").status_code == 200
    assert docker("logout", guarded.host).returncode == 0
    assert docker("rmi", private).returncode == 0
    assert docker("pull", private).returncode != 0
