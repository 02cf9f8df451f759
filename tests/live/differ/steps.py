"""What a corpus is made of: requests in an order, later ones using earlier answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from ..images import digest_of


OCTETS = {"Content-Type": "application/octet-stream"}


@dataclass(frozen=True)
class Step:
    """One request.

    ``{upload}`` in a target or header is the path and query that the last step with
    ``keep="upload"`` was told in its ``Location``.
    """

    name: str
    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    chunked: bool = False
    keep: str | None = None


@dataclass(frozen=True)
class Image:
    """A small image: a config, one layer, and a manifest over them."""

    config: bytes
    layer: bytes
    manifest: bytes
    media_type: str

    @property
    def digest(self) -> str:
        return digest_of(self.manifest)


def descriptor(data: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    """Return the descriptor of bytes."""
    return {
        "mediaType": media_type,
        "digest": digest_of(data),
        "size": len(data),
        **more,
    }


def document(value: Any) -> bytes:
    """Return JSON as clients write it."""
    return json.dumps(value, indent=3).encode()


def put_blob(name: str, repository: str, data: bytes) -> list[Step]:
    """Push a blob as docker does, in three steps."""
    return [
        Step(f"{name}-post", "POST", f"/v2/{repository}/blobs/uploads/", keep="upload"),
        Step(f"{name}-patch", "PATCH", "{upload}", OCTETS, data, keep="upload"),
        Step(f"{name}-put", "PUT", "{upload}&digest=" + digest_of(data), body=b""),
    ]


def put_manifest(
    name: str, repository: str, reference: str, data: bytes, media_type: str | None
) -> Step:
    """Push a manifest."""
    headers = {} if media_type is None else {"Content-Type": media_type}
    target = f"/v2/{repository}/manifests/{reference}"
    return Step(name, "PUT", target, headers, data)


def get(name: str, target: str, **headers: str) -> Step:
    """Read something; header names have underscores in place of dashes."""
    return Step(name, "GET", target, renamed(headers))


def head(name: str, target: str, **headers: str) -> Step:
    """Ask for something; header names have underscores in place of dashes."""
    return Step(name, "HEAD", target, renamed(headers))


def renamed(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers with dashes in their names."""
    return {name.replace("_", "-"): value for name, value in headers.items()}
