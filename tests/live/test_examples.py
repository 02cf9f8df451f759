"""Configurations that come with distribution start the registry as they are.

The files are those of its Go module and of Debian's package. Only what this machine has
elsewhere is told by variables: ports, folders, redis, and what a cache caches.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from flaskreg.config import load_settings

from .api import Api
from .api import expect
from .images import Layout
from .servers import Launcher
from .servers import Server
from .servers import flaskreg_command
from .servers import free_port
from .tools import MODULE
from .tools import need
from .tools import run
from .tools import wait_until


pytestmark = pytest.mark.live

DEBIAN = Path("/etc/docker/registry/config.yml")
EXAMPLES = ("cmd/registry/config-*.yml", "tests/conf-*.yml", "docs/**/config.yml")


def module() -> Path:
    """Return the folder of distribution's Go module, downloaded when it has to be."""
    told = run([need("go"), "mod", "download", "-json", MODULE], timeout=300).stdout
    return Path(json.loads(told)["Dir"])


@pytest.fixture(scope="module")
def examples() -> dict[str, Path]:
    """Return every configuration that it has, by its name."""
    folder = module()
    found = {path.name: path for it in EXAMPLES for path in folder.glob(it)}
    return found | {"debian": DEBIAN}


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[int]:
    """Start redis; return its port."""
    port = free_port()
    command = [need("redis-server"), "--port", str(port), "--bind", "127.0.0.1"]
    process = subprocess.Popen(
        [*command, "--save", "", "--dir", str(tmp_path)], stdout=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: b"PONG" in ping(port), 20, "redis")
        yield port
    finally:
        process.terminate()
        process.wait(20)


def ping(port: int) -> bytes:
    """Return what redis says."""
    return redis_cli(port, "PING", check=False)


def redis_cli(port: int, *words: str, check: bool = True) -> bytes:
    """Ask redis something."""
    command = [need("redis-cli"), "-p", str(port), *words]
    return subprocess.run(command, capture_output=True, check=check, timeout=20).stdout


class Start:
    """Starts the registry with a file as it is.

    :param launcher: starts servers.
    :param folder: where content is to be.
    """

    def __init__(self, launcher: Launcher, folder: Path) -> None:
        self._launcher = launcher
        self.folder = folder
        self.debug = free_port()

    def __call__(self, file: Path, **variables: str) -> Server:
        """Start it; variables are named without their beginning."""
        port = free_port()
        given = {
            "HTTP_ADDR": f"127.0.0.1:{port}",
            "STORAGE_FILESYSTEM_ROOTDIRECTORY": str(self.folder / "content"),
            **variables,
        }
        if "debug:" in file.read_text():
            given["HTTP_DEBUG_ADDR"] = f"127.0.0.1:{self.debug}"
        env = {f"REGISTRY_{name}": value for name, value in given.items()}
        env["REGISTRY_CONFIGURATION_PATH"] = str(file)
        command = flaskreg_command(None)
        server = self._launcher.start("flaskreg", command, None, env, None, port)
        # A client may have the port of the debug server for a moment: it is waited for.
        errors = [
            line
            for line in server.text().splitlines()
            if " level=error " in line and "cannot listen on" not in line
        ]
        assert errors == []
        return server

    def page(self, path: str) -> requests.Response:
        """Return a page of the debug server, when it listens."""
        found: list[requests.Response] = []

        def ask() -> bool:
            try:
                found.append(
                    requests.get(f"http://127.0.0.1:{self.debug}{path}", timeout=10)
                )
            except requests.ConnectionError:
                return False
            return True

        wait_until(ask, 20, "the debug server")
        return found[0]


@pytest.fixture
def start(launcher: Launcher, tmp_path: Path) -> Start:
    """Return what starts the registry with a file."""
    return Start(launcher, tmp_path)


def test_every_file_is_understood(examples: dict[str, Path]) -> None:
    """No key is unknown, and none has no effect."""
    assert len(examples) == 7
    for file in examples.values():
        load_settings(file, {})


def test_the_development_one(
    examples: dict[str, Path], start: Start, image: Layout
) -> None:
    """Content comes and goes, with metrics and health on the debug address."""
    server = start(examples["config-dev.yml"])
    api = Api(server.url, "team/app")
    digest = api.push(image, "v1")
    api.check_holds(image, "v1")
    answer = requests.get(f"{server.url}/v2/", timeout=10)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    expect(api.call("DELETE", f"manifests/{digest}"), 202)
    assert "environment=development" in server.text()
    assert start.page("/debug/health").json() == {}
    assert "registry_http_requests_total" in start.page("/metrics").text
    assert (start.folder / "content/docker/registry/v2/repositories/team/app").is_dir()


def test_the_cache(
    examples: dict[str, Path],
    start: Start,
    redis: int,
    flaskreg: Server,
    image: Layout,
) -> None:
    """It caches another registry, with descriptors in redis."""
    Api(flaskreg.url, "examples/cached").push(image, "v1")
    server = start(
        examples["config-cache.yml"],
        PROXY_REMOTEURL=flaskreg.url,
        REDIS_ADDRS=f"[127.0.0.1:{redis}]",
    )
    api = Api(server.url, "examples/cached")
    for _ in range(2):
        api.check_holds(image, "v1")
    assert api.call("POST", "blobs/uploads/").status_code == 405
    assert b"sha256" in redis_cli(redis, "--scan")
    assert start.page("/debug/health").json() == {}


@pytest.mark.parametrize("name", ["config-example.yml", "debian"])
def test_the_one_with_users(
    examples: dict[str, Path], start: Start, image: Layout, name: str
) -> None:
    """The file of users is made when there is none, as distribution does."""
    server = start(
        examples[name], AUTH_HTPASSWD_PATH=str(start.folder / "users/htpasswd")
    )
    api = Api(server.url, "team/app")
    refused = api.call("GET", "tags/list")
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == 'Basic realm="basic-realm"'
    told = re.search(r"with user (\S+) and password ([\w-]+)", server.text())
    assert told, server.text()
    code = base64.b64encode(":".join(told.groups()).encode()).decode()
    api.session.headers["Authorization"] = f"Basic {code}"
    api.push(image, "v1")
    api.check_holds(image, "v1")
    assert os.stat(start.folder / "users/htpasswd").st_mode & 0o077 == 0


def test_the_recipe(examples: dict[str, Path], start: Start, image: Layout) -> None:
    """The one for a Mac."""
    api = Api(start(examples["config.yml"]).url, "a")
    api.push(image, "v1")
    api.check_holds(image, "v1")
    assert start.page("/debug/health").json() == {}
