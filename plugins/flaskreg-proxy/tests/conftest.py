"""Real upstreams, the faulty proxy before them, and caches of them."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faulty import FaultyProxy
from harness import Disk
from harness import StartCache
from live.api import Api
from live.images import Layout
from live.images import make_layout
from live.servers import Launcher
from live.servers import Server
from live.tools import need
from live.tools import run


MIB = 1 << 20


@pytest.fixture(scope="session")
def session_launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """Servers that many tests share."""
    launcher = Launcher(tmp_path_factory.mktemp("servers"), [])
    yield launcher
    launcher.close()


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[Launcher]:
    """Servers of one test."""
    launcher = Launcher(tmp_path, [])
    yield launcher
    launcher.close()
    for server in launcher.started:
        shutil.rmtree(server.root, ignore_errors=True)


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """An image of two architectures."""
    return make_layout(
        tmp_path_factory.mktemp("image"), arches=("amd64", "arm64"), seed="cached"
    )


@pytest.fixture(scope="session", params=["2.8", "3"])
def registry(
    request: pytest.FixtureRequest, session_launcher: Launcher, image: Layout
) -> Server:
    """CNCF distribution of each version, with the image in it."""
    server = session_launcher.distribution(request.param)
    Api(server.url, "team/app").push(image, "v1", "latest")
    return server


@pytest.fixture(scope="session")
def registry3(session_launcher: Launcher, image: Layout) -> Server:
    """CNCF distribution 3, for tests to which the version makes no difference."""
    server = session_launcher.distribution("3")
    Api(server.url, "team/app").push(image, "v1", "latest")
    return server


@pytest.fixture
def upstream(registry: Server) -> Iterator[FaultyProxy]:
    """What stands before each version of distribution."""
    with FaultyProxy(registry.port) as proxy:
        yield proxy


@pytest.fixture
def upstream3(registry3: Server) -> Iterator[FaultyProxy]:
    """What stands before distribution 3."""
    with FaultyProxy(registry3.port) as proxy:
        yield proxy


@pytest.fixture
def start_cache(launcher: Launcher) -> StartCache:
    """Return a function that starts a cache of an upstream below ``up/``.

    Its keywords are keys of the upstream; ``proxy`` has those beside it.
    """

    def start(
        url: str,
        *,
        workers: int = 2,
        proxy: dict[str, Any] | None = None,
        root: Path | None = None,
        **keys: Any,
    ) -> Server:
        section = {"upstreams": [{"prefix": "up", "remoteurl": url, **keys}]}
        config = {"proxy": {**section, **(proxy or {})}}
        return launcher.flaskreg(config, workers=workers, root=root)

    return start


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A small disk; only root can mount one."""
    path = tmp_path / "disk"
    path.mkdir()
    size = f"size={16 * MIB}"
    run([need("mount"), "-t", "tmpfs", "-o", size, "flaskreg-test", str(path)])
    yield Disk(path)
    run([need("umount"), "--lazy", str(path)])


@pytest.fixture
def start_whole_cache(launcher: Launcher) -> StartCache:
    """Return a function that starts a cache as distribution's ``proxy`` makes it."""

    def start(url: str, *, workers: int = 2, **keys: Any) -> Server:
        config = {"proxy": {"remoteurl": url, **keys}}
        return launcher.flaskreg(config, workers=workers)

    return start


@pytest.fixture(scope="session")
def push_random() -> Callable[..., str]:
    """Return a function that pushes a blob that nobody has had before."""
    made = iter(range(1_000_000))

    def push(server: Server, size: int, name: str = "team/app") -> str:
        source = random.Random(f"{server.port} {next(made)}")
        pieces = [source.randbytes(min(MIB, size - at)) for at in range(0, size, MIB)]
        content = b"".join(pieces)
        return Api(server.url, name, timeout=300).push_blob(content)

    return push
