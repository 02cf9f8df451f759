"""The clients that people have, through a cache."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from faulty import FaultyProxy
from harness import StartCache
from live.api import Api
from live.clients import Podman
from live.clients import layout_digest
from live.clients import remote
from live.clients import skopeo
from live.clients import skopeo_copy
from live.clients import skopeo_tags
from live.images import Layout
from live.images import digest_of
from live.servers import Server
from live.tools import need
from live.tools import run
from live.tools import wait_until


pytestmark = pytest.mark.live


@pytest.fixture
def podman() -> Iterator[Podman]:
    """podman with an empty storage."""
    podman = Podman("podman")
    yield podman
    podman.close()


def test_skopeo(
    upstream: FaultyProxy, start_cache: StartCache, image: Layout, tmp_path: Path
) -> None:
    """A cold copy, a warm one, and one while the upstream is down."""
    cache = start_cache(upstream.url, tagttl="0s")
    name = remote(cache, "up/team/app:v1")
    for number, failing in enumerate((False, False, True)):
        if failing:
            upstream.always(status=503)
        copied = tmp_path / str(number)
        skopeo_copy(name, f"oci:{copied}:v1", "--all")
        assert layout_digest(copied, "v1") == image.digest
    for digest in image.blobs():
        assert upstream.count("GET", f"/blobs/{digest}") == 1
    upstream.heal()
    assert skopeo_tags(remote(cache, "up/team/app")) == ["latest", "v1"]


def test_skopeo_gives_in_to_a_cache_at_once(
    upstream3: FaultyProxy, start_cache: StartCache, image: Layout
) -> None:
    cache = start_cache(upstream3.url)
    program = [need("skopeo"), "--insecure-policy", "copy", "--dest-tls-verify=false"]
    target = remote(cache, "up/team/app:v2")
    done = run([*program, image.source, target], timeout=60, check=False)
    assert done.returncode
    assert "is a cache: nothing is pushed to it" in done.stderr
    skopeo_copy(image.source, remote(cache, "local/app:v2"))


def test_podman(
    upstream3: FaultyProxy, start_cache: StartCache, podman: Podman
) -> None:
    """Twice, the second time without the upstream."""
    cache = start_cache(upstream3.url)
    name = f"{cache.host}/up/team/app:v1"
    first = podman("pull", "--quiet", "--tls-verify=false", name)
    podman("rmi", "--force", first)
    upstream3.always(drop=True)
    assert podman("pull", "--quiet", "--tls-verify=false", name) == first


def test_a_whole_cache_as_a_mirror_of_podman(
    upstream3: FaultyProxy,
    start_whole_cache: StartCache,
    podman: Podman,
    tmp_path: Path,
) -> None:
    """As ``registries.conf`` has it for distribution's cache."""
    cache = start_whole_cache(upstream3.url)
    config = tmp_path / "registries.conf"
    config.write_text(
        '[[registry]]\nlocation = "registry.invalid"\n'
        f'[[registry.mirror]]\nlocation = "{cache.host}"\ninsecure = true\n'
    )
    command = [*podman.start, "pull", "--quiet", "registry.invalid/team/app:v1"]
    run(command, env={"CONTAINERS_REGISTRIES_CONF": str(config)})
    assert upstream3.count("GET", "/v2/team/app/blobs/") > 0


@pytest.fixture
def containerd() -> Iterator[Path]:
    """containerd with a storage of its own; the folder holds its socket."""
    folder = Path(tempfile.mkdtemp(prefix="live-", dir="/tmp"))
    config = folder / "config.toml"
    config.write_text(
        f'version = 2\nroot = "{folder}/root"\nstate = "{folder}/state"\n'
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        f'[grpc]\n  address = "{folder}/sock"\n'
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [need("containerd"), "--config", str(config)], stdout=log, stderr=log
        )
    try:
        wait_until((folder / "sock").exists, 30, "containerd listens")
        yield folder
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def test_containerd_finds_the_upstream_by_its_ns(
    registry3: Server,
    upstream3: FaultyProxy,
    start_cache: StartCache,
    containerd: Path,
    image: Layout,
) -> None:
    """With ``hosts.toml``; what has no upstream here is not asked for anywhere."""
    Api(registry3.url, "library/app").push(image, "v1")
    keys = {"prefix": "docker.io", "remoteurl": upstream3.url, "library": True}
    cache = start_cache("", proxy={"upstreams": [keys]})
    for name in ("docker.io", "ghcr.invalid"):
        hosts = containerd / "hosts" / name / "hosts.toml"
        hosts.parent.mkdir(parents=True)
        hosts.write_text(
            f'server = "http://127.0.0.1:1"\n[host."{cache.url}"]\n'
            '  capabilities = ["pull", "resolve"]\n'
        )
    fetch = [
        *(need("ctr"), "--address", f"{containerd}/sock", "content", "fetch"),
        *("--all-platforms", "--hosts-dir", f"{containerd}/hosts"),
    ]
    run([*fetch, "docker.io/library/app:v1"], timeout=60)
    listed = run(
        [need("ctr"), "--address", f"{containerd}/sock", "content", "ls", "-q"]
    ).stdout.split()
    wanted = {*image.blobs(), *(digest for digest, _ in image.manifests())}
    assert wanted <= set(listed)
    assert all("?ns=" not in it.path for it in upstream3.requests)
    catalog = Api(cache.url, "").call("GET", f"{cache.url}/v2/_catalog").json()
    assert catalog == {"repositories": ["docker.io/library/app"]}
    upstream3.heal()
    refused = run([*fetch, "ghcr.invalid/team/app:v1"], timeout=60, check=False)
    assert refused.returncode
    assert upstream3.requests == []


def test_one_part_names_of_docker_hub(
    registry3: Server, upstream3: FaultyProxy, start_cache: StartCache, image: Layout
) -> None:
    """Both names are one repository."""
    Api(registry3.url, "library/short").push(image, "v1")
    keys = {"prefix": "docker.io", "remoteurl": upstream3.url, "library": True}
    cache = start_cache("", proxy={"upstreams": [keys]})
    for name in ("docker.io/short", "docker.io/library/short"):
        skopeo("inspect", "--tls-verify=false", "--raw", remote(cache, f"{name}:v1"))
        content, _ = Api(cache.url, name).pull_manifest("v1")
        assert digest_of(content) == image.digest
    assert upstream3.count("GET", "/manifests/") == 1
    catalog = Api(cache.url, "").call("GET", f"{cache.url}/v2/_catalog").json()
    assert catalog == {"repositories": ["docker.io/library/short"]}
