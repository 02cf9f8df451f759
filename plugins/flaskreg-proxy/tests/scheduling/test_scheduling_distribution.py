"""One state under this scheduler and distribution's: either takes it over."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from actors import wait_for
from cached import QUICK
from cached import Cached
from cached import Now
from cached import make_driver
from flaskreg_proxy.scheduling import Limits

from flaskreg.digest import Digest


sys.path.insert(0, str(Path(__file__).parents[4] / "tests"))

from live.servers import Launcher  # noqa: E402 - the core's live tests
from live.servers import Server  # noqa: E402
from live.servers import tail  # noqa: E402


pytestmark = pytest.mark.live

STATE = "scheduler-state.json"
OCTETS = {"Content-Type": "application/octet-stream"}
LAYER = b"a layer " * 1000
OTHER = b"another layer"
IMAGE = "application/vnd.oci.image.manifest.v1+json"
MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": Digest.of(b"{}"),
            "size": 2,
        },
        "layers": [
            {
                "mediaType": "application/vnd.oci.image.layer.v1.tar",
                "digest": Digest.of(each),
                "size": len(each),
            }
            for each in (LAYER, OTHER)
        ],
    }
).encode()


@pytest.fixture
def launcher(tmp_path) -> Iterator[Launcher]:
    """Return what starts servers; each is ended at the end."""
    launcher = Launcher(tmp_path, [])
    yield launcher
    launcher.close()


@pytest.fixture
def upstream(launcher) -> Server:
    """Return a distribution 3 with an image."""
    server = launcher.distribution("3")
    base = f"{server.url}/v2/library/a"
    for content in (b"{}", LAYER, OTHER):
        place = requests.post(f"{base}/blobs/uploads/", timeout=30).headers["Location"]
        done = requests.put(
            place,
            params={"digest": Digest.of(content)},
            data=content,
            headers=OCTETS,
            timeout=30,
        )
        assert done.status_code == 201, done.text
    done = requests.put(
        f"{base}/manifests/latest",
        data=MANIFEST,
        headers={"Content-Type": IMAGE},
        timeout=30,
    )
    assert done.status_code == 201, done.text
    return server


@pytest.fixture
def start_cache(launcher, upstream, tmp_path):
    """Return a function that starts a distribution 3 that caches the other one."""

    def start(ttl: str) -> Server:
        proxy = {"remoteurl": upstream.url, "ttl": ttl}
        return launcher.distribution(
            "3", {"proxy": proxy}, root=tmp_path / "cache", port=None
        )

    return start


@pytest.fixture
def root(tmp_path):
    """Return the directory of the cache."""
    return tmp_path / "cache"


def pull(server: Server) -> None:
    """Pull the manifest and its layers."""
    base = f"{server.url}/v2/library/a"
    found = requests.get(
        f"{base}/manifests/latest", headers={"Accept": IMAGE}, timeout=30
    )
    assert found.content == MANIFEST
    for content in (LAYER, OTHER):
        found = requests.get(f"{base}/blobs/{Digest.of(content)}", timeout=30)
        assert found.content == content


def end(server: Server) -> None:
    """End a server in order, so that it writes its state."""
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(60)


def entries(root: Path) -> dict:
    """Return the entries of the state file."""
    path = root / STATE
    return json.loads(path.read_text()) if path.exists() else {}


def stored(root: Path, content: bytes) -> bool:
    """Whether content is on the disk."""
    encoded = Digest.of(content).encoded
    blobs = root / "docker/registry/v2/blobs/sha256"
    return (blobs / encoded[:2] / encoded / "data").exists()


def names(*contents: bytes) -> set[str]:
    """Return the entries of contents."""
    return {f"library/a@{Digest.of(content)}" for content in contents}


def test_distribution_hands_over(start_cache, root):
    """What it has cached is known, with size and age, and goes in its time."""
    server = start_cache("12s")
    pull(server)
    wait_for(lambda: names(LAYER, OTHER, MANIFEST) <= entries(root).keys())
    end(server)
    written = entries(root)
    cached = Cached(make_driver(root), Limits(ttl=12.0), pace=QUICK)
    cached.ticks(1)
    table = cached.scheduler._here()._holder.table
    assert {f"{key.repository}@{key.digest}" for key, _ in table.items()} == set(
        written
    )
    assert table.size == len(LAYER) + len(OTHER) + len(MANIFEST)
    cached.scheduler.start()
    cached.use("library/a", Digest.of(LAYER))
    wait_for(lambda: not stored(root, OTHER) and not stored(root, MANIFEST))
    cached.scheduler.close()


def test_distribution_takes_over(start_cache, root):
    """It starts from the state that is written here, and removes what is due."""
    server = start_cache("1h")
    pull(server)
    wait_for(lambda: names(LAYER, OTHER, MANIFEST) <= entries(root).keys())
    end(server)
    clock = Now(wall=time.time())
    cached = Cached(make_driver(root), Limits(ttl=3600), clock)
    cached.ticks(1)
    clock.now += 3590
    cached.use("library/a", Digest.of(LAYER))
    cached.ticks(1)
    # Written as if it were now: one layer has an hour left, the rest ten seconds.
    clock.ahead -= 3590
    cached.scheduler.close()
    state = entries(root)
    assert names(LAYER, OTHER, MANIFEST) <= state.keys()
    assert all("LastUse" in value and "Size" in value for value in state.values())
    server = start_cache("1h")
    assert stored(root, OTHER)
    wait_for(lambda: not stored(root, OTHER))
    assert stored(root, LAYER)
    wait_for(lambda: entries(root).keys() == names(LAYER))
    pull(server)
    wait_for(lambda: names(LAYER, OTHER) <= entries(root).keys())
    end(server)
    assert "panic" not in tail(server, 1000)
    again = Cached(make_driver(root), Limits(ttl=3600), pace=QUICK)
    again.ticks(1)
    table = again.scheduler._here()._holder.table
    ages = {
        key.digest: again.clock.steady() - entry.used for key, entry in table.items()
    }
    assert all(-1 < age < 300 for age in ages.values())
    again.scheduler.close()
