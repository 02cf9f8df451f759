"""Servers and images for the live tests; each server's log is shown on failure."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from . import servers
from .clients import Podman
from .images import Layout
from .images import make_debian
from .images import make_layout
from .nginx import Nginx
from .servers import Launcher
from .servers import Server


RUNNING = pytest.StashKey[list[Server]]()

#: modules that import a plugin, which need not be installed where no live test runs.
OF_PLUGINS = ("test_every_key.py", "test_s3.py")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave those out when live tests are not asked for."""
    unasked = config.getoption("-m") == "not live"
    return True if unasked and collection_path.name in OF_PLUGINS else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for server in item.config.stash.get(RUNNING, []):
            report.sections.append((server.name, servers.tail(server)))
    return report


@pytest.fixture(scope="session")
def running(pytestconfig: pytest.Config) -> list[Server]:
    """The servers that run now, for the report of a failure."""
    return pytestconfig.stash.setdefault(RUNNING, [])


@pytest.fixture(scope="session")
def session_launcher(
    tmp_path_factory: pytest.TempPathFactory, running: list[Server]
) -> Iterator[Launcher]:
    """Servers that many tests share."""
    launcher = Launcher(tmp_path_factory.mktemp("servers"), running)
    yield launcher
    launcher.close()


@pytest.fixture
def launcher(tmp_path: Path, running: list[Server]) -> Iterator[Launcher]:
    """Servers of one test; their trees go when it passes and when it fails."""
    launcher = Launcher(tmp_path, running)
    yield launcher
    launcher.close()
    for server in launcher.started:
        shutil.rmtree(server.root, ignore_errors=True)


@pytest.fixture
def start_flaskreg(launcher: Launcher) -> Any:
    """Start the registry under test: see :meth:`Launcher.flaskreg`."""
    return launcher.flaskreg


@pytest.fixture
def start_distribution(launcher: Launcher) -> Any:
    """Start distribution: see :meth:`Launcher.distribution`."""
    return launcher.distribution


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    """nginx, to be started in front of servers."""
    nginx = Nginx(tmp_path)
    yield nginx
    nginx.close()


@pytest.fixture
def start_nginx(nginx: Nginx) -> Any:
    """Start nginx in front of servers: see :meth:`Nginx.start`."""
    return nginx.start


@pytest.fixture
def free_port() -> int:
    """A loopback port that nobody listens on."""
    return servers.free_port()


@pytest.fixture(scope="session")
def flaskreg(session_launcher: Launcher) -> Server:
    """One registry with two workers that the client tests share."""
    return session_launcher.flaskreg(workers=2)


@pytest.fixture
def podman() -> Iterator[Podman]:
    """podman with an empty storage."""
    podman = Podman("podman")
    yield podman
    podman.close()


@pytest.fixture
def fresh_podman() -> Iterator[Podman]:
    """A second podman, which has to pull everything."""
    podman = Podman("podman")
    yield podman
    podman.close()


@pytest.fixture
def buildah() -> Iterator[Podman]:
    """buildah with an empty storage."""
    buildah = Podman("buildah")
    yield buildah
    buildah.close()


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """An OCI image of three layers."""
    return make_layout(tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="session")
def many_layers(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """An OCI image of sixty small layers."""
    return make_layout(tmp_path_factory.mktemp("sixty"), layers=60, layer_size=4096)


@pytest.fixture(scope="session")
def multi_arch(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """An OCI index over three architectures that share their first layers."""
    return make_layout(
        tmp_path_factory.mktemp("multi"),
        arches=("amd64", "arm64", "s390x"),
        share=True,
        seed="multi",
    )


@pytest.fixture(scope="session")
def docker_image(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """An image with docker's schema 2 media types."""
    return make_layout(tmp_path_factory.mktemp("docker"), docker=True, seed="docker")


@pytest.fixture(scope="session")
def docker_list(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """A docker manifest list over two architectures."""
    return make_layout(
        tmp_path_factory.mktemp("dockerlist"),
        docker=True,
        arches=("amd64", "arm64"),
        seed="list",
    )


@pytest.fixture(scope="session")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """A real Debian for two architectures, made once for all runs of this user."""
    return make_debian(tmp_path_factory.getbasetemp().parent / "flaskreg-live-debian")
