"""A registry with a policy, one user, and an image that everybody may pull."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flaskreg_htpasswd.hashes import make_hash

from ..api import Api
from ..images import Layout
from ..servers import Launcher
from ..servers import Server
from ..servers import merge


ALICE = ("alice", "correct horse")
PUBLIC, PRIVATE = "public/app", "private/app"

_RULES = [
    {"repositories": "public/**", "subjects": "anonymous", "allow": "pull"},
    {"repositories": "**", "subjects": ALICE[0], "allow": "*"},
]


def start_guarded(
    launcher: Launcher,
    folder: Path,
    image: Layout,
    more: dict[str, Any] | None = None,
) -> Server:
    """Start it, with the image under a public and a private name.

    :param folder: for the keys and the password file.
    :param more: further configuration.
    """
    users = folder / "htpasswd"
    stored = make_hash(ALICE[1].encode(), 5)
    users.write_bytes(ALICE[0].encode() + b":" + stored + b"\n")
    policy = {"keys": str(folder / "keys"), "htpasswd": str(users), "rules": _RULES}
    config = merge({"auth": {"policy": policy}}, more or {})
    server = launcher.flaskreg(config, workers=2)
    for name in (PUBLIC, PRIVATE):
        as_alice(server, name).push(image, "one")
    return server


def as_alice(server: Server, name: str) -> Api:
    """Return the API of a repository, as the user sees it."""
    api = Api(server.url, name)
    api.session.auth = ALICE
    return api
