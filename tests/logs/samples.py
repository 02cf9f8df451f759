"""Exchanges as endpoints leave them."""

from __future__ import annotations

from typing import Any

from flaskreg.observer import EXCHANGE
from flaskreg.observer import Exchange


def environ(**members: str) -> dict[str, Any]:
    """Return the environ of a pull."""
    return {
        "REQUEST_METHOD": "GET",
        "RAW_URI": "/v2/a/b/manifests/t?x=1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.7",
        "HTTP_HOST": "registry.example",
        "HTTP_USER_AGENT": "docker/27",
        **members,
    }


def exchange(**members: str) -> Exchange:
    """Return a finished pull of a manifest, kept in its own environ."""
    given = environ(**members)
    found = Exchange(given, "manifest", "a/b", "t", lambda it: it["REMOTE_ADDR"])
    found.principal = "alice"
    found.status = 200
    found.headers = [("Docker-Content-Digest", "sha256:" + "0" * 64)]
    given[EXCHANGE] = found
    return found
