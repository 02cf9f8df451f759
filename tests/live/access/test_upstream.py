"""distribution, as a cache in front of a registry with a policy, gets its tokens."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import requests

from ..api import Api
from ..images import Layout
from ..servers import Launcher
from ..servers import Server
from .guarded import ALICE
from .guarded import PRIVATE
from .guarded import PUBLIC
from .guarded import start_guarded


pytestmark = pytest.mark.live


@pytest.fixture
def guarded(launcher: Launcher, tmp_path: Path, image: Layout) -> Server:
    """flaskreg with an image that everybody may pull, and one that alice may."""
    log = {"log": {"accesslog": {"disabled": False}}}
    return start_guarded(launcher, tmp_path, image, log)


@pytest.mark.parametrize("version", ["3", "2.8"])
@pytest.mark.parametrize(
    ("credentials", "pulled"),
    [
        (ALICE, {PUBLIC, PRIVATE}),
        ((), {PUBLIC}),
        ((ALICE[0], "wrong"), set()),
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
    for name in (PUBLIC, PRIVATE):
        api = Api(cache.url, name)
        if name in pulled:
            pull(api, image)
        else:
            url = f"{cache.url}/v2/{name}/manifests/one"
            assert requests.get(url, timeout=60).status_code in (401, 403, 404, 500)
    assert "GET /auth/token" in guarded.text()


def pull(api: Api, image: Layout) -> None:
    """Pull an image, again where distribution read a link that it was writing.

    2.8 links what it has just cached beside the next request, and not atomically; that
    one is told "invalid checksum digest format".
    """
    for left in (4, 3, 2, 1, 0):
        try:
            return api.check_holds(image, "one")
        except AssertionError as error:
            if not left or not str(error).startswith("500"):
                raise
            time.sleep(0.5)
    return None
