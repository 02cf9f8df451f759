"""distribution, as a cache in front of a registry with a policy, gets its tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests
from flaskreg_htpasswd.hashes import make_hash

from ..api import Api
from ..images import Layout
from ..servers import Launcher
from ..servers import Server


pytestmark = pytest.mark.live

ALICE = ("alice", "correct horse")


@pytest.fixture
def guarded(launcher: Launcher, tmp_path: Path, image: Layout) -> Server:
    """flaskreg with an image that everybody may pull, and one that alice may."""
    file = tmp_path / "htpasswd"
    file.write_bytes(b"alice:" + make_hash(ALICE[1].encode(), 5) + b"\n")
    rules = [
        {"repositories": "public/**", "subjects": "anonymous", "allow": "pull"},
        {"repositories": "**", "subjects": "alice", "allow": "*"},
    ]
    policy = {"keys": str(tmp_path / "keys"), "htpasswd": str(file), "rules": rules}
    config = {"auth": {"policy": policy}, "log": {"accesslog": {"disabled": False}}}
    server = launcher.flaskreg(config, workers=2)
    for name in ("public/app", "private/app"):
        api = Api(server.url, name)
        api.session.auth = ALICE
        api.push(image, "one")
    return server


@pytest.mark.parametrize("version", ["3", "2.8"])
@pytest.mark.parametrize(
    ("credentials", "pulled"),
    [
        (ALICE, {"public/app", "private/app"}),
        ((), {"public/app"}),
        (("alice", "wrong"), set()),
    ],
    ids=["alice", "nobody", "wrong"],
)
def test_distribution_pulls_through(
    launcher: Launcher,
    guarded: Server,
    image: Layout,
    version: str,
    credentials: tuple[str, ...],
    pulled: set[str],
) -> None:
    """With a password all that it is good for, without one what is public."""
    upstream: dict[str, Any] = {"remoteurl": guarded.url}
    if credentials:
        upstream |= {"username": credentials[0], "password": credentials[1]}
    config = {"proxy": upstream, "storage": {"delete": {"enabled": False}}}
    cache = launcher.distribution(version, config)
    for name in ("public/app", "private/app"):
        api = Api(cache.url, name)
        if name in pulled:
            api.check_holds(image, "one")
        else:
            url = f"{cache.url}/v2/{name}/manifests/one"
            assert requests.get(url, timeout=60).status_code in (401, 403, 404, 500)
    assert "GET /auth/token" in guarded.text()
