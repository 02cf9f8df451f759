"""``flaskreg mirror`` fills a cache that then needs no upstream."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from faulty import FaultyProxy
from harness import StartCache
from live.api import Api
from live.api import expect
from live.images import Layout
from live.images import make_layout
from live.servers import Server
from live.tools import wait_until


pytestmark = pytest.mark.live

Mirror = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(tmp_path: Path, upstream3: FaultyProxy) -> Callable[..., list[str]]:
    """Return a function that gives the command line for a storage."""

    def make(root: Path, *arguments: str) -> list[str]:
        file = tmp_path / "mirror.yml"
        proxy = {"upstreams": [{"prefix": "up", "remoteurl": upstream3.url}]}
        storage = {"filesystem": {"rootdirectory": str(root)}}
        document = {"version": 0.1, "storage": storage, "proxy": proxy}
        file.write_text(yaml.safe_dump(document))
        start = "from flaskreg.cli import main; main()"
        program = [sys.executable, "-c", start, "mirror"]
        return [*program, "--config", str(file), *arguments]

    return make


@pytest.fixture
def mirror(command: Callable[..., list[str]]) -> Mirror:
    """Return a function that runs the command to its end."""

    def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(root, *arguments),
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "NO_COLOR": "1"},
            check=False,
        )

    return run


def test_an_image_is_here_ahead_of_time(
    upstream3: FaultyProxy, start_cache: StartCache, image: Layout, mirror: Mirror
) -> None:
    """All tags, beside a running server; the second run receives nothing."""
    cache = start_cache(upstream3.url)
    done = mirror(cache.root, "up/team/app")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"3 manifests and {len(image.blobs())} blobs")
    again = mirror(cache.root, "up/team/app:v1", f"up/team/app@{image.digest}")
    assert (again.returncode, again.stderr) == (0, "")
    assert ": 0 bytes came" in again.stdout
    upstream3.always(status=500)
    Api(cache.url, "up/team/app").check_holds(image, "latest")


def test_a_terminal_shows_how_far_it_is(
    upstream3: FaultyProxy,
    command: Callable[..., list[str]],
    tmp_path: Path,
    image: Layout,
) -> None:
    """A bar with bytes; the summary is beside it, for who reads that."""
    upstream3.first(100, "/blobs/", rate=64 << 10)
    outside, inside = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen(
        command(tmp_path / "root", "up/team/app:v1"),
        stdout=subprocess.PIPE,
        stderr=inside,
        env=env,
    )
    os.close(inside)
    shown = b""
    # The terminal's side ends in an error when nobody has the other one open.
    with suppress(OSError):
        while chunk := os.read(outside, 1 << 16):
            shown += chunk
    os.close(outside)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert said.startswith(b"3 manifests and %d blobs" % len(image.blobs()))
    assert re.search(rb"[0-9.]+/[0-9.]+.* (KiB|bytes)", shown), shown
    assert "\u2501".encode() in shown


def test_only_what_is_wanted(
    registry3: Server,
    upstream3: FaultyProxy,
    mirror: Mirror,
    image: Layout,
    tmp_path: Path,
    start_cache: StartCache,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """One platform, some tags; and what signs them."""
    at_home = Api(registry3.url, "team/many")
    at_home.push(image, "v1", "v2", "old")
    signature = make_layout(tmp_path_factory.mktemp("signature"), layers=1, seed="sig")
    at_home.push(signature, image.digest.replace(":", "-") + ".sig")
    root = tmp_path / "root"
    done = mirror(root, "up/team/many", "--platform", "linux/arm64", "--tag", "v*")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("3 manifests and 6 blobs")
    upstream3.always(status=500)
    api = Api(start_cache(upstream3.url, root=root).url, "up/team/many")
    children = dict(image.manifests())
    index = children[image.digest]
    for child in index["manifests"]:
        here = child["platform"]["architecture"] == "arm64"
        answer = api.call("GET", f"manifests/{child['digest']}")
        assert answer.status_code == (200 if here else 502)
    expect(api.call("GET", "manifests/v2"), 200)
    expect(api.call("GET", "manifests/old"), 502)
    api.check_holds(signature)


def test_what_fails_is_told_and_the_rest_goes_on(
    mirror: Mirror, tmp_path: Path, image: Layout
) -> None:
    done = mirror(tmp_path / "root", "up/team/unknown:v1", "up/team/app:v1")
    assert done.returncode == 1
    assert "up/team/unknown:v1: the upstream has not got it" in done.stderr
    assert done.stdout.startswith(f"3 manifests and {len(image.blobs())} blobs")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "name", ["team/app:v1", "UP/app", "up/team/app:a/b", "up/team/app@sha256:x"]
)
def test_what_is_not_cached_is_one_line(
    mirror: Mirror, tmp_path: Path, name: str
) -> None:
    done = mirror(tmp_path / "root", name)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"flaskreg: {name}: ")


def test_a_run_that_was_killed_is_gone_on_with(
    registry3: Server,
    upstream3: FaultyProxy,
    command: Callable[..., list[str]],
    mirror: Mirror,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    size = 8 << 20
    big = make_layout(
        tmp_path_factory.mktemp("big"), layers=1, layer_size=size, noise=True
    )
    Api(registry3.url, "team/big").push(big, "v1")
    root = tmp_path / "root"
    layer = big.document(big.digest)["layers"][0]["digest"]
    growing = root / "flaskreg/proxy/downloads" / layer.replace(":", "-")
    upstream3.first(1, f"/blobs/{layer}", rate=2 << 20)
    running = subprocess.Popen(
        command(root, "up/team/big:v1"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(
            lambda: growing.exists() and growing.stat().st_size > size // 4, 60, "begun"
        )
    finally:
        running.kill()
        running.wait(20)
    come = growing.stat().st_size
    upstream3.heal()
    done = mirror(root, "up/team/big:v1")
    assert (done.returncode, done.stderr) == (0, "")
    asked = [it for it in upstream3.requests if it.path.endswith(layer)]
    ranges = [it.headers.get("range") for it in asked if it.method == "GET"]
    assert ranges == [f"bytes={come}-"]
    encoded = layer.partition(":")[2]
    path = f"docker/registry/v2/blobs/sha256/{encoded[:2]}/{encoded}/data"
    assert (root / path).stat().st_size >= size
