"""Command lines of the real clients, set up for plain HTTP on loopback."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from .servers import Server
from .tools import need
from .tools import run


SKOPEO = ("--insecure-policy", "--override-os", "linux", "--override-arch", "amd64")


def remote(server: Server, name: str) -> str:
    """Return skopeo's name of a repository, with a tag or digest or neither."""
    return f"docker://{server.host}/{name}"


def skopeo(*arguments: str, timeout: float = 180) -> str:
    """Run skopeo; return what it printed."""
    return run([need("skopeo"), *SKOPEO, *arguments], timeout=timeout).stdout


def skopeo_copy(source: str, destination: str, *options: str) -> None:
    """Copy an image from one place to another, TLS off on both sides."""
    skopeo(
        "copy",
        "--quiet",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
        *options,
        source,
        destination,
    )


def skopeo_digest(reference: str) -> str:
    """Return the digest of what a reference names, as skopeo computes it."""
    answer: dict[str, Any] = json.loads(
        skopeo("inspect", "--tls-verify=false", "--no-tags", reference)
    )
    return str(answer["Digest"])


def skopeo_raw(reference: str) -> str:
    """Return the raw manifest that a reference names."""
    return skopeo("inspect", "--raw", "--tls-verify=false", reference)


def skopeo_tags(reference: str) -> list[str]:
    """Return the tags of a repository."""
    answer = json.loads(skopeo("list-tags", "--tls-verify=false", reference))
    return list(answer["Tags"])


def layout_digest(folder: Path, tag: str) -> str:
    """Return the digest that an OCI layout on disk gives to a tag."""
    index = json.loads((folder / "index.json").read_text())
    for entry in index["manifests"]:
        if entry["annotations"]["org.opencontainers.image.ref.name"] == tag:
            return str(entry["digest"])
    raise LookupError(f"no tag {tag} in {folder}")


class Podman:
    """podman or buildah with a storage of its own, in a folder with a short name.

    podman refuses a run root of more than 50 characters.
    """

    def __init__(self, program: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="live-", dir="/tmp"))
        self.start = [
            need(program),
            *("--root", str(self.folder / "storage")),
            *("--runroot", str(self.folder / "run")),
            *("--storage-driver", "vfs"),
        ]

    def __call__(self, *arguments: str, timeout: float = 180) -> str:
        """Run one command; return what it printed."""
        return run([*self.start, *arguments], timeout=timeout).stdout.strip()

    def close(self) -> None:
        """Remove the storage."""
        shutil.rmtree(self.folder, ignore_errors=True)
